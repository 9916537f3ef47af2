/* SPDX-License-Identifier: MIT */
/* Shared by the files of the reference evaluator: one context per node, operands as f32, results to their type. */
#ifndef VQ_IR_EVAL_OPS_H
#define VQ_IR_EVAL_OPS_H

#include "ir/eval.h"

typedef struct vq_eval {
	const vq_graph *g;        /* for the quantization table */
	const vq_node_info *node; /* op, attr and n_in */
	const vq_tensor *in;      /* [node->n_in] */
	vq_tensor *out;           /* [results] */
	vq_arena *a;              /* scratch, and texts of errors */
} vq_eval;

/* Each returns NULL or what is wrong, in e->a. */
const char *vq_eval_elementwise(vq_eval *e);
const char *vq_eval_move(vq_eval *e);
const char *vq_eval_reduce(vq_eval *e);
const char *vq_eval_norm(vq_eval *e);
const char *vq_eval_dot(vq_eval *e);
const char *vq_eval_attention(vq_eval *e);
const char *vq_eval_quantize_dynamic(vq_eval *e);
const char *vq_eval_linear_dynamic(vq_eval *e);
const char *vq_eval_matmul_dynamic(vq_eval *e);
const char *vq_eval_attention_dynamic(vq_eval *e);

/* "add has no meaning for elements of type bool" */
const char *vq_eval_refuse(vq_eval *e, vq_elem elem);

/* The quantization of operand i or of the result, NULL if it has none. */
const vq_quant *vq_eval_in_quant(const vq_eval *e, uint32_t i);
const vq_quant *vq_eval_out_quant(const vq_eval *e);
/* Entry of q that covers element `flat` (row-major) of a tensor of type t */
uint32_t vq_eval_entry(const vq_quant *q, const vq_type *t, int64_t flat);

/* Index of the matrix of an operand of type x that matrix `batch` of a product of type y uses. */
int64_t vq_eval_matrix(const vq_type *y, const vq_type *x, int64_t batch);

/* Does operand i read as f32 (it is f32, or codes with a scale)? */
bool vq_eval_is_float(const vq_eval *e, uint32_t i);
/* Operand i as f32: its own data, or codes dequantized into scratch. */
const float *vq_eval_f32(vq_eval *e, uint32_t i);

/* Where an operator writes its f32 results before vq_eval_finish: the result itself, or scratch if it is quantized. */
float *vq_eval_result(vq_eval *e);
/* y (from vq_eval_result) becomes the result: flushed if f32, times f32(1/scale) and quantized if codes. */
const char *vq_eval_finish(vq_eval *e, float *y);
/* v (already divided by the scale) becomes codes of the result; entry by element as in vq_eval_entry. */
void vq_eval_quantize(vq_eval *e, const float *v);

/* softmax of x[0], x[step] … to y; y may be x. Not flushed. */
void vq_eval_softmax_row(const float *x, float *y, int64_t n, int64_t step, bool masked);

/* Integer elements, widened; stores wrap modulo 2^bits, to bool: 0 or 1. */
int64_t vq_eval_load_int(vq_elem t, const void *data, int64_t i);
void vq_eval_store_int(vq_elem t, void *data, int64_t i, int64_t v);

/* Row-major strides in elements. */
void vq_eval_strides(const vq_type *t, int64_t *stride);

#endif
