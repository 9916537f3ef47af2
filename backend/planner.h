/* SPDX-License-Identifier: MIT */
/* What the planner's files share (plan.c, plan_group.c, plan_dot.c, plan_other.c). */
#ifndef VQ_BACKEND_PLANNER_H
#define VQ_BACKEND_PLANNER_H

#include "backend/plan.h"
#include "ir/window.h"

/* Where a value's row-major data is. */
typedef struct vq_home {
	bool set;
	bool u8; /* codes stored ^ 0x80 */
	vq_ref ref;
} vq_home;

/* Nodes computed by one kernel: head, then a chain of elementwise nodes each consuming the result of the one before. */
typedef struct vq_group {
	uint32_t n;
	vq_node *node;     /* n of them, execution order; the last one's value is what the kernel stores */
	uint32_t *through; /* operand of node[i] that is the result of node[i - 1]; [0] unused */
} vq_group;

typedef struct vq_planner {
	vq_plan *p;
	const vq_graph *g;
	vq_arena *a;
	vq_tile s8, wide, f32; /* tiles of the target */
	uint64_t packed;       /* bytes of weights that belong to steps planned before */
	uint32_t *uses;        /* by value id */
	uint32_t *left;        /* by value id: uses by kernels not planned yet, of the value as root of a window */
	bool *watched;         /* by value id */
	bool *u8;              /* by value id: to be stored ^ 0x80 */
	vq_home *home;         /* by value id */
	vq_group *group;       /* by node id of the last member; n = 0: not a last member */
	vq_node *
		row_codes; /* by value id: the quantize_dynamic with a scale per row that is its only reader; 0: none */
} vq_planner;

/* ---- plan.c ---- */
vq_step *vq_planner_step(vq_planner *s, const vq_kernel *k, const vq_ref *arg, uint32_t n_args, vq_node node);
/* Moves inv and zero of a quantizing store out of the kernel into an argument (to be called when e is complete). */
void vq_planner_share(vq_planner *s, vq_epilogue *e, vq_ref *arg, uint32_t *n_args);
vq_ref vq_planner_buffer(vq_planner *s, uint64_t bytes);
/* The data of w's root; plans the copy or packing that brings it into being. */
vq_home vq_planner_home(vq_planner *s, vq_value root);
/* The window v is, over a root that has or gets a home. */
vq_window vq_planner_window(vq_planner *s, vq_value v);
/* Where the group's result goes: a buffer, or the caller's output. */
vq_ref vq_planner_result(vq_planner *s, vq_value v);
/* v as f32 or codes without gaps, copying or dequantizing if need be; f32: elem must become f32 */
vq_ref vq_planner_dense(vq_planner *s, vq_value v, bool f32, vq_node node);
/*
 * The scales of codes of type x, one set for each of its first n dimensions' indices: where quantize_dynamic made one for several,
 * it is repeated.
 */
vq_ref vq_planner_row_scales(vq_planner *s, vq_value rows, const vq_type *x, uint32_t n, vq_node node);
/*
 * The quantize_dynamic that the kernel of value v can do itself because nobody else reads v; VQ_NO_NODE if there is none. Its
 * results have their places in codes and rows then.
 */
vq_node vq_planner_row_codes(vq_planner *s, vq_value v, vq_ref *codes, vq_ref *rows, bool *u8);
/* reference moved by a number of bytes */
static inline vq_ref vq_ref_at(vq_ref r, int64_t bytes)
{
	r.offset += (uint64_t)bytes;
	return r;
}
/* f32 data of a constant or of dequantize(constant), NULL if v is neither; *n elements */
const float *vq_planner_const_f32(vq_planner *s, vq_value v, int64_t *n);
bool vq_planner_refuse(vq_planner *s, vq_node n, const char *what);

/* is node n a product of codes? */
static inline bool vq_integer_product(const vq_graph *g, vq_node n)
{
	return vq_is_dynamic(vq_op_of(g, n)) ||
		(vq_ops[vq_op_of(g, n)].class_ == VQ_CLASS_DOT && vq_type_of(g, vq_operand(g, n, 0))->quant);
}

/* ---- plan_group.c ---- */
void vq_plan_groups(vq_planner *s);
/*
 * The program of the group's elementwise members from member `first` on, the store, and the arguments of its extras (appended to
 * arg). dense: extras are FULL, COLUMN or SCALAR (products); otherwise STRIDED over the result's shape. e->scaled, set by the caller:
 * the product's multipliers do not hold the scale of its result. false after an error.
 */
bool vq_plan_epilogue(vq_planner *s, const vq_group *group, uint32_t first, bool dense, vq_epilogue *e, vq_ref *arg,
	uint32_t *n_args);
/* all operands of the node as STRIDED extras, without operators */
bool vq_plan_operands(vq_planner *s, vq_node node, vq_epilogue *e, vq_ref *arg, uint32_t *n_args);

/* ---- plan_dot.c ---- */
/* the tile for codes of these entries */
vq_tile vq_product_tile(const vq_planner *s, const vq_quant *qx, const vq_quant *qw);
/*
 * Whether the stored value stays below 2^31, so that it can be converted before it is saturated, if |v| <= most before the operators.
 * Those that count never make a value greater, but for the 1e-5 that an activation's tail may be off.
 */
bool vq_product_bounded(const vq_epilogue *e, double most);
/* rows and panels per task; depends on the shape and the target alone */
void vq_product_tasks(vq_gemm *d, const vq_tile *t);
/* the strides of a result without gaps */
void vq_product_dense(vq_gemm *d);
/* Where the group's result goes: a dead extra of its shape (the residual), or its own place. */
vq_ref vq_product_result(
	vq_planner *s, const vq_group *group, const vq_epilogue *e, const vq_ref *extra, const vq_ref *a);
/* The step of a product whose rows have scales at run time, the last argument; the epilogue is in the kernel. */
void vq_product_by_rows(vq_planner *s, const vq_group *group, const vq_tile *t, vq_kernel *kernel, vq_ref *arg,
	uint32_t n_args, vq_ref rows);

/* ---- plan_dot.c, plan_matmul.c, plan_other.c, plan_move.c: one per head; false after an error ---- */
bool vq_plan_linear(vq_planner *s, const vq_group *group);
bool vq_plan_linear_dynamic(vq_planner *s, const vq_group *group);
bool vq_plan_matmul(vq_planner *s, const vq_group *group);
bool vq_plan_matmul_dynamic(vq_planner *s, const vq_group *group);
bool vq_plan_attention(vq_planner *s, const vq_group *group);
/* argument 5 of attention, and maybe the next free one; plan_bias.c */
bool vq_plan_bias(vq_planner *s, vq_value bias, vq_attention *d, vq_ref *arg, uint32_t *n_args, vq_node node);
bool vq_plan_layernorm(vq_planner *s, const vq_group *group);
bool vq_plan_quantize_dynamic(vq_planner *s, const vq_group *group);
bool vq_plan_softmax(vq_planner *s, const vq_group *group);
bool vq_plan_reduce(vq_planner *s, const vq_group *group);
bool vq_plan_gather(vq_planner *s, const vq_group *group);
bool vq_plan_concat(vq_planner *s, const vq_group *group);
bool vq_plan_pad(vq_planner *s, const vq_group *group);
bool vq_plan_elementwise(vq_planner *s, const vq_group *group);
/* copies the elements of w, whose first is at `from`, as they are; to_stride NULL: row-major */
void vq_plan_move(vq_planner *s, vq_ref from, const vq_window *w, uint32_t bytes, vq_ref to, const int64_t *to_stride,
	vq_node node);
/* a step of the elementwise kernel, whose loops are brought into shape first */
void vq_planner_loop(vq_planner *s, vq_kernel *kernel, const vq_ref *arg, uint32_t n_args, vq_node node);
void vq_planner_row_major(int64_t *stride, const int64_t *dim, uint32_t rank);
/* copies window w of elements elem (or dequantizes: f32 = true) to `to` */
void vq_plan_copy(vq_planner *s, const vq_window *w, bool f32, vq_ref to, const int64_t *to_stride, vq_node node);

#endif
