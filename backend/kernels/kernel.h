/* SPDX-License-Identifier: MIT */
/* What kernel builders share beyond backend/codegen.h. */
#ifndef VQ_BACKEND_KERNELS_KERNEL_H
#define VQ_BACKEND_KERNELS_KERNEL_H

#include "backend/codegen.h"

/* Vectors in lockstep at most, see vq_epilogue_apply. */
enum { VQ_MOST_VECTORS = 16 };

LLVMTypeRef vq_elem_type(vq_codegen *c, vq_elem e);

/* Lanes of type e at elements offset, offset + stride, …; stride 0 repeats one element; bytes = size of an element. */
vq_ll vq_load_lanes(
	vq_codegen *c, LLVMTypeRef e, uint32_t bytes, vq_ll p, vq_ll offset, int64_t stride, uint32_t lanes);
void vq_store_lanes(vq_codegen *c, vq_ll v, uint32_t bytes, vq_ll p, vq_ll offset, int64_t stride);

/* The extra operand's lanes as f32: converted, dequantized, sanitized as x says. */
vq_ll vq_extra_load(vq_codegen *c, const vq_extra *x, vq_ll p, vq_ll offset, int64_t stride, uint32_t lanes);

/* VQ_OP_DIV, VQ_OP_MOD or VQ_OP_POW of two i64; integer.c */
vq_ll vq_integer_binary(vq_codegen *c, vq_op op, vq_ll a, vq_ll b);
/* An f32 as an i64 in the range of `to`: toward 0, the nearest end, of NaN 0. */
vq_ll vq_truncate_f32(vq_codegen *c, vq_ll x, vq_elem to);

/* Gives vector i of extra k. */
typedef vq_ll vq_extra_get(vq_codegen *c, void *user, uint32_t k, uint32_t i);

/* vq_epilogue_apply with the extras from get. */
void vq_epilogue_run(vq_codegen *c, const vq_epilogue *e, vq_extra_get *get, void *user, vq_ll *v, uint32_t n);

/* The stored form of v: i8 codes, i32 or f32 lanes, flushed or quantized as e says; one vector of n * lanes if n is a power of two, else in place. */
uint32_t vq_epilogue_convert(vq_codegen *c, const vq_epilogue *e, vq_ll *v, uint32_t n);

uint32_t vq_store_bytes(const vq_epilogue *e);

/* Copies a constant number of bytes, at most one pass of unrolled vectors per loop iteration. Alignment of both sides. */
void vq_copy_bytes(vq_codegen *c, vq_ll to, vq_ll from, uint64_t bytes, uint32_t align);

/* first row and number of rows of this task when `rows` are split into blocks */
void vq_task_rows(vq_codegen *c, vq_ll task, uint32_t rows, uint32_t block, vq_ll *first, vq_ll *count);

/* 16 lanes added by the fixed tree 8-4-2-1; a scalar */
vq_ll vq_tree16(vq_codegen *c, vq_ll lanes16);

/* Elements offset … offset + 16 of x as f32 lanes; only the first `count` are read, the others are +0. */
vq_ll vq_extra_load16(vq_codegen *c, const vq_extra *x, vq_ll p, vq_ll offset, uint32_t count);
/* Stores the first `count` lanes of v (a stored form, see vq_epilogue_convert). */
void vq_store_first(vq_codegen *c, vq_ll v, vq_ll to, uint32_t count);
/* lane < count ? v : other, on 16 lanes, for a constant count */
vq_ll vq_first_lanes(vq_codegen *c, vq_ll v, uint32_t count, vq_ll other);
/* 16 lanes to one by `a > b ? a : b`, or `a < b ? a : b` */
vq_ll vq_fold16(vq_codegen *c, vq_ll lanes16, bool greatest);

/* Range, scale, zero point and codes of one row of d->n f32 elements; params receives two f32. */
void vq_rowquant_row(vq_codegen *c, const vq_rowquant *d, vq_ll x, vq_ll codes, vq_ll params);

/* one f32 tensor element as an operand */
extern const vq_extra vq_extra_f32;

/*
 * Walks n elements in pieces of 16 lanes, `chunks` pieces at a time: piece gets the index of the first element, how many
 * pieces, and how many elements the (single) piece has: 16, or fewer in the tail. carried[k] go through the loop: the callback
 * replaces them.
 */
typedef void vq_pieces(vq_codegen *c, void *user, vq_ll j, uint32_t pieces, uint32_t count, vq_ll *carried);
void vq_walk16(
	vq_codegen *c, uint32_t n, uint32_t chunks, vq_pieces *piece, void *user, vq_ll *carried, uint32_t n_carried);

#endif
