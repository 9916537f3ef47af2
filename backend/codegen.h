/* SPDX-License-Identifier: MIT */
/* Building LLVM IR: one context struct, small helpers, and the kernel builders' entry points. */
#ifndef VQ_BACKEND_CODEGEN_H
#define VQ_BACKEND_CODEGEN_H

#include "backend/llvm_versions.h"
#include "backend/plan.h"

/* Everything a builder needs. One per compilation; no globals. */
typedef struct vq_codegen {
	LLVMContextRef context;
	LLVMModuleRef module;
	LLVMBuilderRef b;
	const vq_target *target;
	const vq_plan *plan;
	bool strict;        /* no contraction, no reassociation */
	bool report_frames; /* functions get the attribute that makes LLVM tell their frames (stack.c) */
	bool jit; /* the body itself is the entry: no argument checks, no facts; weights stay where the plan has them */
	bool weights_apart;    /* LLVM gets room for the weights instead of the weights (vq_elf_place) */
	bool weights_given;    /* the caller of <prefix>_run gives their address */
	uint64_t weights_hash; /* of the file that he gives then */
	LLVMTypeRef void_, i1, i8, i16, i32, i64, f32, ptr;
	LLVMTypeRef word;      /* i32 or i64: as wide as a pointer */
	uint32_t lanes;        /* f32 lanes of one vector register, at least 4 */
	LLVMValueRef function; /* being built */
	/* vq_store_scalars of the kernel being built, loaded; NULL where its epilogue holds constants */
	LLVMValueRef store_inv, store_low, store_high, store_zero;
	const char
		*unknown_intrinsic; /* first name this LLVM does not have: the module is unusable and must be refused */
} vq_codegen;

/* Fills c (types, lanes, builder); function and plan stay NULL. The caller disposes c->b, module and context. */
void vq_codegen_init(vq_codegen *c, LLVMContextRef context, LLVMModuleRef module, const vq_target *t, bool strict);
/* What every function needs: nounwind, no-builtins, CPU and features of the target. */
void vq_function_attributes(vq_codegen *c, LLVMValueRef f);

typedef LLVMValueRef vq_ll; /* shorter in expressions */

/* ---- values ---- */
vq_ll vq_ci32(vq_codegen *c, int64_t v);
vq_ll vq_cword(vq_codegen *c, int64_t v);
vq_ll vq_cf32(vq_codegen *c, float v);                       /* exact bits */
vq_ll vq_splat(vq_codegen *c, vq_ll scalar, uint32_t lanes); /* lanes == 1: the scalar itself */
vq_ll vq_splat_f32(vq_codegen *c, float v, uint32_t lanes);
LLVMTypeRef vq_vec(LLVMTypeRef e, uint32_t lanes);                        /* lanes == 1: e */
vq_ll vq_shuffle(vq_codegen *c, vq_ll v, uint32_t first, uint32_t count); /* lanes first … first + count - 1 */
vq_ll vq_concat(vq_codegen *c, vq_ll a, vq_ll b);                         /* lanes of a, then those of b (as many) */
uint32_t vq_lanes_of(vq_ll v);                                            /* 1 for a scalar */
vq_ll vq_mul_const(vq_codegen *c, vq_ll a, int64_t k);
vq_ll vq_add_word(vq_codegen *c, vq_ll a, vq_ll b);
vq_ll vq_min_word(vq_codegen *c, vq_ll a, vq_ll b);   /* unsigned */
vq_ll vq_offset(vq_codegen *c, vq_ll p, vq_ll bytes); /* byte offset, inbounds */
vq_ll vq_offset_const(vq_codegen *c, vq_ll p, int64_t bytes);
vq_ll vq_load(vq_codegen *c, LLVMTypeRef t, vq_ll p, uint32_t align);
void vq_store_to(vq_codegen *c, vq_ll v, vq_ll p, uint32_t align);
/* An LLVM intrinsic by name and overload types: looked up, checked, arguments bitcast to the declared types (they differ between LLVM versions). */
vq_ll vq_intrinsic(
	vq_codegen *c, const char *name, LLVMTypeRef *overload, uint32_t n_overload, vq_ll *arg, uint32_t n_arg);

/* ---- loops: for (i = from; i < to; i += step); i is a word. from < to must hold on entry, except with _maybe. ---- */
enum { VQ_MAX_CARRIED = 64 };
typedef struct vq_loop {
	LLVMBasicBlockRef before, body, after;
	vq_ll i;
	vq_ll to, step;
	uint32_t n_carried;
	vq_ll phi[VQ_MAX_CARRIED];  /* carried values inside the body */
	vq_ll next[VQ_MAX_CARRIED]; /* set by the body before vq_loop_end; unchanged if not */
	vq_ll initial[VQ_MAX_CARRIED];
} vq_loop;
/* carried: initial values of n loop-carried values (may be 0) */
void vq_loop_begin(vq_codegen *c, vq_loop *l, vq_ll from, vq_ll to, vq_ll step, const vq_ll *carried, uint32_t n);
void vq_loop_begin_maybe(vq_codegen *c, vq_loop *l, vq_ll from, vq_ll to, vq_ll step, const vq_ll *carried, uint32_t n);
/* afterwards l->phi[k] holds the final value of carried value k, valid after the loop */
void vq_loop_end(vq_codegen *c, vq_loop *l);

/* ---- arithmetic of the contract on f32 scalars or vectors (docs/arithmetic.md); backend/arith.c ---- */
vq_ll vq_fadd(vq_codegen *c, vq_ll a, vq_ll b);
vq_ll vq_fsub(vq_codegen *c, vq_ll a, vq_ll b);
vq_ll vq_fmul(vq_codegen *c, vq_ll a, vq_ll b);
vq_ll vq_to_bits(vq_codegen *c, vq_ll a); /* f32 lanes as i32 lanes */
vq_ll vq_from_bits(vq_codegen *c, vq_ll a);
vq_ll vq_fabs(vq_codegen *c, vq_ll a); /* by bits: never flushes */
vq_ll vq_select(vq_codegen *c, LLVMRealPredicate p, vq_ll a, vq_ll b, vq_ll yes, vq_ll no);
vq_ll vq_select_true(vq_codegen *c, vq_ll condition, vq_ll yes, vq_ll no); /* condition != 0 ? yes : no */
vq_ll vq_fmin_const(vq_codegen *c, vq_ll a, float k);                      /* a < k ? a : k */
vq_ll vq_fmax_const(vq_codegen *c, vq_ll a, float k);                      /* a > k ? a : k */
vq_ll vq_flush(vq_codegen *c, vq_ll a);                                    /* |a| < 2^-100 ? +0 : a */
vq_ll vq_sanitize(vq_codegen *c, vq_ll a);                                 /* a == a ? a : 0 */
/* rne(clamp(v, lo - zero, hi - zero)) + zero as i32 lanes; bounded as in vq_epilogue */
vq_ll vq_quantize(vq_codegen *c, vq_ll v, int32_t lo, int32_t hi, int32_t zero, bool bounded);
/* likewise with the kernel's vq_store_scalars */
vq_ll vq_quantize_shared(vq_codegen *c, vq_ll v, bool bounded);
/* i32 code lanes (already in [lo, hi]) to bytes; u8: ^ 0x80 */
vq_ll vq_narrow_codes(vq_codegen *c, vq_ll codes, bool u8);
/* i32 code lanes (already in [lo, hi]) of n equal vectors to bytes, in place; returns into how many vectors, same order of lanes */
uint32_t vq_narrow_vectors(vq_codegen *c, vq_ll *codes, uint32_t n, bool u8);
/* f32 lanes of n equal vectors (in units of codes) to stored bytes, as e's lo, hi, zero, bounded and store say; likewise */
uint32_t vq_quantize_vectors(vq_codegen *c, vq_ll *v, uint32_t n, const vq_epilogue *e);
/* n a power of two: concatenates all into v[0], returns 1; else returns n */
uint32_t vq_join(vq_codegen *c, vq_ll *v, uint32_t n);
/* cast f32 to i32 as the operator does */
vq_ll vq_to_i32(vq_codegen *c, vq_ll a);
/* unary f32 operator of ops.def (NEG … NOT) on n vectors in lockstep, in place */
void vq_unary(vq_codegen *c, vq_op op, vq_ll *v, uint32_t n);
/* binary f32 operator (ADD … MAX, POW excluded: POW only with the exponents docs/arithmetic.md lists) */
vq_ll vq_binary(vq_codegen *c, vq_op op, vq_ll a, vq_ll b);
/* 255 * 2^y on n vectors in lockstep, in place, not rounded: see attention in docs/ir.md */
void vq_exp2_u8(vq_codegen *c, vq_ll *y, uint32_t n);

/* ---- the elementwise program; backend/kernels/epilogue.c ---- */
/*
 * Where the elements of v are: extra k is at extra_ptr[k]; element offsets of v[0] are full (linear index in the result),
 * column (in the last dimension); v[i] holds `lanes` consecutive elements starting i * lanes further.
 */
typedef struct vq_place {
	const vq_ll *extra_ptr;
	vq_ll full, column;
	uint32_t lanes;
} vq_place;
/* Runs e's operators on n vectors in lockstep, in place. */
void vq_epilogue_apply(vq_codegen *c, const vq_epilogue *e, const vq_place *at, vq_ll *v, uint32_t n);
/* Stores v[n] (after apply) to consecutive elements of the result from pointer `to`, quantizing as e says. */
void vq_epilogue_store(vq_codegen *c, const vq_epilogue *e, vq_ll *v, uint32_t n, uint32_t lanes, vq_ll to);

/* ---- kernels: each builds the body of `void k(ptr args, i32 task, i32 worker)`; backend/kernels/<kind>.c ---- */
typedef struct vq_kernel_args {
	vq_ll arg[VQ_MAX_ARGS]; /* loaded pointers */
	vq_ll task;             /* word */
	vq_ll scratch;          /* this worker's scratch, 64-byte aligned, or undefined if the kernel needs none */
} vq_kernel_args;
void vq_build_gemm(vq_codegen *c, const vq_gemm *d, vq_kernel_args *a);
void vq_build_pack(vq_codegen *c, const vq_pack *d, vq_kernel_args *a);
void vq_build_attention(vq_codegen *c, const vq_attention *d, vq_kernel_args *a);
void vq_build_layernorm(vq_codegen *c, const vq_layernorm *d, vq_kernel_args *a);
void vq_build_softmax(vq_codegen *c, const vq_softmax *d, vq_kernel_args *a);
void vq_build_elementwise(vq_codegen *c, const vq_elementwise *d, vq_kernel_args *a);
void vq_build_reduce(vq_codegen *c, const vq_reduce *d, vq_kernel_args *a);
void vq_build_gather(vq_codegen *c, const vq_gather *d, vq_kernel_args *a);
void vq_build_rowquant(vq_codegen *c, const vq_rowquant *d, vq_kernel_args *a);

/* the one of k's kind */
void vq_build_kernel(vq_codegen *c, const vq_kernel *k, vq_kernel_args *a);

/* ---- the module: kernels, run function, weights, info; backend/module.c. Returns false after an error in diag. ---- */
bool vq_module_build(vq_codegen *c, const vq_plan *p, const vq_emit_options *o, vq_diag *diag);

#endif
