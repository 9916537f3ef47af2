/* SPDX-License-Identifier: MIT */
/*
 * The plan: a graph as a list of steps, each one call of a kernel on buffers. Layouts and lifetimes are decided here; kernels are
 * described by plain data, so that equal descriptors share one function (code size depends on distinct shapes, not on layers).
 */
#ifndef VQ_BACKEND_PLAN_H
#define VQ_BACKEND_PLAN_H

#include "backend/target.h"
#include "ir/window.h"

/* Where an argument lives. Kernels get plain pointers; only the run function and this know where weights are. */
typedef enum vq_ref_kind { VQ_REF_NONE, VQ_REF_INPUT, VQ_REF_OUTPUT, VQ_REF_WEIGHT, VQ_REF_BUFFER } vq_ref_kind;

typedef struct vq_ref {
	vq_ref_kind kind;
	uint32_t index;  /* of input, output, or buffer */
	uint64_t offset; /* bytes from its start; for VQ_REF_WEIGHT from the weights' base */
} vq_ref;

/* A block of workspace, live from step first to step last inclusive. */
typedef struct vq_buffer {
	uint64_t bytes;
	uint32_t first, last;
	uint64_t offset; /* in the workspace, by the memory planner */
} vq_buffer;

enum { VQ_MAX_ARGS = 16, VQ_MAX_EXTRAS = 6, VQ_MAX_EOPS = 12 };

/* ---- the elementwise program: epilogue of products and norms, body of elementwise kernels ---- */

/*
 * How an extra operand is indexed by the element (row, column) or, in elementwise kernels, by the element's coordinates.
 * FULL: same linear index as the result. COLUMN: by the last dimension. SCALAR: one element. STRIDED: elementwise kernels only.
 */
typedef enum vq_extra_index { VQ_X_FULL, VQ_X_COLUMN, VQ_X_SCALAR, VQ_X_STRIDED } vq_extra_index;

typedef struct vq_extra {
	vq_elem elem; /* VQ_F32, or VQ_S8/VQ_U8/VQ_I32… converted on load */
	vq_extra_index index;
	bool codes;     /* VQ_S8 with scale: loaded as float(code - zero) * scale */
	bool stored_u8; /* codes are stored ^ 0x80 */
	bool sanitize;  /* may hold NaN from the caller: v == v ? v : 0 */
	float scale;
	int32_t zero;
	int64_t stride[VQ_MAX_RANK]; /* STRIDED: elements per iteration dimension; 0 repeats */
} vq_extra;

/* v = op(v), v = op(v, extra) or v = op(extra, v) on f32. op is any f32 ELT operator of ops.def. */
typedef struct vq_eop {
	uint8_t op;      /* vq_op; VQ_OP_NONE changes nothing (before a flush) */
	int8_t extra;    /* index of the second operand in vq_epilogue.extra; -1: unary; -2: the immediate */
	uint8_t swapped; /* v is the second operand */
	uint8_t third;   /* where: index + 1 of the else operand */
	float imm;
	uint8_t flush; /* the operator's f32 result is flushed (it was an f32 value of the graph) */
	uint8_t pad[3];
} vq_eop;

typedef enum vq_store {
	VQ_STORE_F32,
	VQ_STORE_S8,
	VQ_STORE_U8 /* code ^ 0x80 */,
	VQ_STORE_I32,
	VQ_STORE_RAW /* bytes moved unchanged */,
	VQ_STORE_BOOL /* v != 0 as a byte */
} vq_store;

typedef struct vq_epilogue {
	uint32_t n_eops, n_extras;
	vq_eop eop[VQ_MAX_EOPS];
	vq_extra extra[VQ_MAX_EXTRAS];
	vq_store store;
	bool flush;           /* the stored f32 is flushed */
	bool scaled;          /* S8/U8: v * inv before rounding; false: v is already in units of codes */
	bool bounded;         /* |v| < 2^31 is proved and v is never NaN: convert, then saturate is allowed */
	float inv;            /* f32(1/scale), per tensor */
	int32_t lo, hi, zero; /* of the result's entry */
	/*
	 * Number of the argument that holds a vq_store_scalars with inv and zero (then both are 0 here), so that layers which differ in
	 * nothing else share a kernel; 0: they are the constants above.
	 */
	uint32_t scalars;
} vq_epilogue;

/* A 16 bit lane saturated before adding a zero point of at most this magnitude stays beyond the bytes' range. */
enum { VQ_FAR_ZERO = 32767 - 128 };

/* What a quantizing store reads when it is shared, in the weights; little endian. */
typedef struct vq_store_scalars {
	float inv;       /* f32(1/scale) */
	float low, high; /* lo - zero, hi - zero */
	int32_t zero;
} vq_store_scalars;

/* ---- kernels ---- */

/* clang-format off */
typedef enum vq_kernel_kind {
	VQ_KERNEL_GEMM, VQ_KERNEL_ATTENTION, VQ_KERNEL_PACK, VQ_KERNEL_LAYERNORM, VQ_KERNEL_SOFTMAX, VQ_KERNEL_ELEMENTWISE,
	VQ_KERNEL_REDUCE, VQ_KERNEL_GATHER, VQ_KERNEL_ROWQUANT,
} vq_kernel_kind;
/* clang-format on */

/*
 * C[b] = epilogue(A[b] · B[b]), b over the batch. Arguments: 0 A, 1 packed B, 2 column parameters (f32: bias f32[Np];
 * s8: initial accumulator s32[Np], multiplier f32[Np], addend f32[Np], with rows: column sums s32[Np], with b_zeros: zero points
 * s32[Np]; Np = N rounded up to NR),
 * 3 C, 4 … extras of the epilogue.
 * Packed B: panels [Np/NR][Kp/KR][NR][KR], Kp = K rounded up to KA, zero padded (see vq_tile).
 */
typedef struct vq_gemm {
	bool f32;
	bool wide;         /* both operands may hold -128: tile without 16-bit pair sums */
	bool a_u8;         /* A is stored as code ^ 0x80 */
	uint32_t batch[2]; /* outer, inner batch counts (1 if none) */
	uint32_t m, n, k;
	int64_t a_row; /* bytes between rows of A; elements of a row are contiguous */
	int64_t a_batch[2], b_batch[2], p_batch[2],
		c_batch[2]; /* bytes between batch elements of A, B, parameters, C */
	int64_t c_row;      /* bytes between rows of C */
	/*
	 * B packed at run time by VQ_KERNEL_PACK: the initial accumulators s32[Np] follow the panels of each batch element of B
	 * (at Np * Kp bytes), and arguments 2 holds only the multipliers and addends. False: all three are in argument 2.
	 * With rows: column sums s32[Np] and multipliers f32[Np] stand there, too; there are no addends and argument 2 is not used.
	 */
	bool comp_with_b;
	/* Zero point of B (imports; 0 for what vitqc makes): acc -= b_zero * (sum over k of the row's codes - k * a_zero), codes as s8. */
	int32_t b_zero;
	uint32_t
		b_zeros; /* the same with a zero point per column, in the parameters, of 1 or 4 bytes; b_zero is 0; 0: none */
	int32_t a_zero;
	/*
	 * Number of the argument that holds a scale and a zero point per row of A as two f32 (batch elements one after the other, a_zero
	 * 0; column sums are those of B minus its zero points): (float(acc - zero * column sum) * scale) * multiplier + addend. 0: none.
	 */
	uint32_t rows;
	/*
	 * Number of the argument that receives codes of the result's rows, the next one their scales and zero points (quantize_dynamic).
	 * 0: none. Results go to scratch as f32, a block of whole rows at a time; argument 3 is not used.
	 */
	uint32_t row_codes;
	bool row_codes_u8; /* these codes are stored ^ 0x80 */
	vq_epilogue epilogue;
	uint32_t row_block, col_block; /* rows and panels per task */
} vq_gemm;

/*
 * Packs an activation as the B operand of GEMM or attention: result panels as above, then s32[Np] column sums per batch element.
 * Arguments: 0 source, 1 result, 2 scales or none.
 */
typedef struct vq_pack {
	bool f32;
	bool wide;
	uint32_t batch[2];
	uint32_t n, k;
	int64_t n_stride, k_stride; /* elements between source elements */
	int64_t batch_stride[2];    /* elements */
	int64_t batch_bytes;        /* between results; inner batch varies fastest */
	/*
	 * s8: the s32[Np] after the panels are add * column sum, the initial accumulators of the product. The planner sets, with the
	 * tile's A code: matmul -(a_zero + (U8 ? 128 : 0)); attention K (U8 ? -128 : 0); attention V (S8 ? 128 : 0), because
	 * probabilities are code - 128 where A is S8 and the natural 0..255 where it is U8 or S16.
	 */
	int32_t add;
	/*
	 * s8, if not 0: behind the initial accumulators stand the column sums s32[Np] and scales f32[Np]. Argument 2 has them as the first
	 * of two f32, this many such pairs for each batch element: one, or n.
	 */
	uint32_t pairs;
} vq_pack;

/*
 * Fused attention on packed K and V. Arguments: 0 q, 1 packed k, 2 packed v, 3 head parameters (s8: f32[heads] c, f32[heads] v scale;
 * with scales: those of q, as quantize_dynamic stores them),
 * 4 result, 5 additive bias or none. Packed k and v of batch element b, head h stand at (b * heads + h) * vq_pack_batch_bytes of
 * (m x d) and of (e x m).
 */
typedef struct vq_attention {
	bool f32;
	bool q_u8;                         /* q is stored as code ^ 0x80 */
	uint32_t batch, heads, n, m, d, e; /* N queries, M keys, head dimensions of q/k and of v */
	int64_t q_row, q_head, q_batch;    /* bytes */
	int64_t o_row, o_head, o_batch;    /* bytes */
	int64_t bias_stride[4];            /* elements per batch, head, query, key; all 0 and has_bias false: none */
	bool has_bias;
	uint32_t bias_period; /* the bias of batch b is that of b modulo this; 0: none repeats */
	/*
	 * Number of the argument that is added to the bias, [bias_period, n, m]: f32, or, with mask_only, bytes that are 1 where it is
	 * added and 0 elsewhere. 0: nothing
	 */
	uint32_t mask;
	float mask_only;
	float scale; /* f32 form; with scales: times log2 e */
	/* s8: number of the argument that holds the scales of k, those of v follow: scales are known at run time only. 0: see argument 3 */
	uint32_t scales;
	vq_epilogue epilogue; /* store, lo, hi, zero; no extras */
	uint32_t row_block;   /* queries per task */
} vq_attention;

/*
 * Arguments: 0 x, 1 gamma f32[n], 2 beta f32[n] (divided by the result's scale if it is quantized), 3 result. Rows contiguous.
 * row_codes: argument 3 receives codes, 4 scales and zero points of rows (quantize_dynamic); the f32 result stays in scratch.
 */
typedef struct vq_layernorm {
	uint32_t rows, n;
	float epsilon;
	int64_t x_row;
	bool row_codes, row_codes_u8; /* codes stored ^ 0x80 */
	vq_epilogue epilogue;
	uint32_t row_block;
} vq_layernorm;

/* Last axis, contiguous rows. Arguments: 0 x, 1 result, 2 … extras applied to x before (scale, bias). */
typedef struct vq_softmax {
	uint32_t rows, n;
	vq_epilogue prologue, epilogue;
	uint32_t row_block;
} vq_softmax;

/*
 * result[i] = epilogue(extra[0][i]) over an iteration space of rank <= 8; extra 0 is the first operand, all are STRIDED.
 * The result is written with strides out_stride (elements). Arguments: 0 result, 1 … extras. Copies are this with VQ_STORE_RAW.
 */
typedef struct vq_elementwise {
	uint32_t rank;
	int64_t dim[VQ_MAX_RANK], out_stride[VQ_MAX_RANK];
	uint32_t raw_bytes; /* VQ_STORE_RAW: bytes per element */
	/*
	 * Not VQ_OP_NONE: this one operator on integers and truth values instead of the program, operand i is extra i, exact and modulo
	 * the width of `to`; VQ_STORE_RAW. Index types are small: element by element.
	 */
	vq_op integer;
	vq_elem to;
	vq_epilogue epilogue;
	uint32_t tasks; /* the outermost dimension is split evenly */
} vq_elementwise;

/* Sum, mean, max or min over the inner `n` elements (strides in elements); outer iteration as in elementwise. Arguments: 0 result, 1 x. */
typedef struct vq_reduce {
	vq_op op;
	uint32_t outer_rank, inner_rank;
	int64_t dim[VQ_MAX_RANK], stride[VQ_MAX_RANK]; /* outer dimensions, then inner */
	vq_epilogue epilogue;                          /* extra 0 describes x's element */
} vq_reduce;

/* Arguments: 0 data, 1 indices, 2 result. data is [outer][axis][inner bytes]. */
typedef struct vq_gather {
	uint32_t outer, axis, n;
	uint64_t inner_bytes;
	vq_elem index;
} vq_gather;

/*
 * Codes, and the scale and zero point of every row as two f32 (quantize_dynamic). Elements of a row are contiguous, and so are codes
 * and parameters. With tall > 1 a "row" is a block of that many rows, `groups` blocks stand side by side, and x is dense:
 * block i begins (i / groups) * tall * groups * n + (i mod groups) * n elements from the start.
 * Arguments: 0 x, 1 codes, 2 scales and zero points.
 */
typedef struct vq_rowquant {
	uint32_t rows, n;
	uint32_t tall, groups; /* 0 or 1: a row is a row */
	int64_t x_row;         /* bytes between rows of x, if not tall */
	bool symmetric;        /* codes -127..127, zero point 0 */
	bool u8;               /* codes are stored ^ 0x80 */
	uint32_t row_block;    /* rows per task */
} vq_rowquant;

/* All padding bytes zero: descriptors are compared with memcmp. */
typedef struct vq_kernel {
	vq_kernel_kind kind;
	union {
		vq_gemm gemm;
		vq_pack pack;
		vq_attention attention;
		vq_layernorm layernorm;
		vq_softmax softmax;
		vq_elementwise elementwise;
		vq_reduce reduce;
		vq_gather gather;
		vq_rowquant rowquant;
	} u;
} vq_kernel;

typedef struct vq_step {
	uint32_t kernel; /* index into vq_plan.kernel */
	uint32_t n_args;
	vq_ref arg[VQ_MAX_ARGS];
	uint32_t tasks;
	vq_node node;          /* what it mainly computes, for names and the report */
	uint64_t weight_bytes; /* of constants packed for it */
	int64_t macs;
	bool integer;
} vq_step;

/* A value shown to the observer after a step (instrumented objects and the JIT). */
typedef struct vq_watch {
	uint32_t step; /* after which */
	vq_value value;
	vq_ref at;
	bool u8; /* stored as code ^ 0x80: converted into a bounce buffer first */
	vq_ref bounce;
} vq_watch;

/* Indices of a gather that the caller gives: <prefix>_run compares each with limit before it writes anything. */
typedef struct vq_index_check {
	vq_window window;     /* the elements of the input that are used, VQ_I64, VQ_I32 or (through a cast) VQ_F32 */
	int64_t least, limit; /* they must lie in [least, limit) */
	vq_node node;         /* the gather, for messages */
} vq_index_check;

/* A piece of the weights. */
typedef struct vq_piece {
	uint64_t offset, bytes;
	uint64_t hash; /* of its first bytes */
} vq_piece;

/* clang-format off */
typedef struct vq_plan {
	vq_arena *arena;
	const vq_graph *g;
	const vq_target *target;
	bool strict;
	vq_kernel *kernel; uint32_t n_kernels, cap_kernels;
	vq_step *step;     uint32_t n_steps, cap_steps;
	vq_buffer *buffer; uint32_t n_buffers, cap_buffers;
	vq_watch *watch;   uint32_t n_watches, cap_watches;
	vq_index_check *check; uint32_t n_checks, cap_checks;
	unsigned char *weights; uint64_t weight_bytes, cap_weights; /* the one read-only section, execution order, 64-byte aligned pieces */
	/* all pieces so far, of which an equal one is used again: layers may share weights (ALBERT), and so do several sizes */
	vq_piece *piece; uint32_t n_pieces, cap_pieces;
	uint64_t buffer_bytes;  /* workspace without worker scratch, by the memory planner */
	uint64_t scratch_bytes; /* per worker, a multiple of 64; follows the buffers: scratch of worker w at buffer_bytes + w * scratch_bytes */
} vq_plan;
/* clang-format on */

/* watched[n]: values to observe; or all materialised ones with all = true. false after errors in g->diag. */
bool vq_plan_make(vq_plan *p, vq_arena *arena, const vq_graph *g, const vq_target *t, bool strict,
	const vq_value *watched, uint32_t n, bool all);

/*
 * The plans of one model at n sizes of a dimension: kernels, weights and the bytes of scratch are those of all of them together, and
 * what is the same stands there once. plan[0].weights is to be freed, also after errors.
 */
bool vq_plan_make_all(vq_plan *plan, const vq_graph *const *g, uint32_t n, vq_arena *arena, const vq_target *t,
	bool strict, bool all);

/* Gives every buffer its offset; sets buffer_bytes to the exact peak. backend/memory.c */
void vq_plan_memory(vq_plan *p);

/* Bytes of scratch one worker needs for the kernel. backend/kernels/scratch.c */
uint64_t vq_kernel_scratch(const vq_kernel *k, const vq_target *t);

/* How the kernel stores its result; NULL for kernels that only move. backend/plan.c */
const vq_epilogue *vq_kernel_epilogue(const vq_kernel *k);

/* Number of tasks a kernel splits into; a step's tasks equal it. backend/kernels/tasks.c */
uint32_t vq_kernel_tasks(const vq_kernel *k, const vq_target *t);

/* Packing of constants. Append to p->weights, aligned to 64, return the reference. backend/pack.c */
vq_ref vq_pack_bytes(vq_plan *p, const void *data, uint64_t bytes);
/* w[n][k] s8 codes -> panels; sums[n] (of Np) receives the column sums if not NULL */
vq_ref vq_pack_weights_s8(vq_plan *p, const vq_tile *t, const int8_t *w, uint32_t n, uint32_t k, int64_t *sums);
/* bytes of one operand packed at run time: panels, and for codes the initial accumulators */
uint64_t vq_pack_batch_bytes(const vq_tile *t, uint64_t n, uint64_t k, bool f32);
vq_ref vq_pack_weights_f32(vq_plan *p, const vq_tile *t, const float *w, uint32_t n, uint32_t k);

#endif
