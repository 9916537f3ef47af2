/* SPDX-License-Identifier: MIT */
/*
 * The intermediate representation: an SSA graph of tensors.
 *
 * Values and nodes live in arrays of the graph and are named by 32-bit ids, 0 = none. Never keep a pointer into an
 * array over a call that may append. All memory belongs to the graph's arena; constants are views until something
 * rewrites them. One graph takes three forms (float, QDQ, integer; docs/ir.md); an op whose operands have
 * quantized types is an integer op.
 */
#ifndef VQ_IR_IR_H
#define VQ_IR_IR_H

#include "ir/arena.h"
#include "ir/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VQ_MAX_RANK = 8 };

typedef struct vq_value {
	uint32_t id;
} vq_value;
typedef struct vq_node {
	uint32_t id;
} vq_node;

#define VQ_NO_VALUE ((vq_value){ 0 })
#define VQ_NO_NODE ((vq_node){ 0 })

static inline bool vq_same(vq_value a, vq_value b) { return a.id == b.id; }

/* ---- types ---- */

typedef enum vq_elem {
	VQ_F32,
	VQ_I64,
	VQ_I32,
	VQ_BOOL, /* one byte, 0 or 1 */
	VQ_U8,   /* plain bytes: images and what ONNX calls uint8; codes are always VQ_S8 */
	VQ_S8,   /* codes if the type has a quantization entry, else plain int8 */
	VQ_ELEM_COUNT
} vq_elem;

size_t vq_elem_bytes(vq_elem e);
const char *vq_elem_name(vq_elem e);
bool vq_elem_parse(const char *name, size_t length, vq_elem *e);

typedef struct vq_type {
	vq_elem elem;
	uint32_t rank;            /* 0 = scalar */
	int64_t dim[VQ_MAX_RANK]; /* all >= 1; unused ones 0 */
	uint32_t quant;           /* entry of the graph's quantization table, 0 = none; then elem is VQ_S8 */
} vq_type;

int64_t vq_type_count(const vq_type *t); /* elements; shapes in a graph never overflow it */
size_t vq_type_bytes(const vq_type *t);
bool vq_same_shape(const vq_type *a, const vq_type *b);
bool vq_same_type(const vq_type *a, const vq_type *b); /* quantization entries by id */
vq_type vq_type_make(vq_elem elem, uint32_t rank, const int64_t *dim);
/* "f32[1,3,224,224]"; "f32[]" for a scalar; in the arena */
const char *vq_type_text(vq_arena *a, const vq_type *t);

/* ---- quantization table ---- */

typedef enum vq_encoding { VQ_UNIFORM } vq_encoding;

/*
 * value = (code - zero) * scale. Codes are signed 8 bit in [lo, hi]. zero is int32 and need not lie in [lo, hi].
 * With axis >= 0 there are n scales along that dimension, channel c of C uses entry c / (C / n): n = C is per channel,
 * n = heads is per head. Scales lie in [2^-100, 2^100], |zero| <= 2^22 - 256.
 */
typedef struct vq_quant {
	vq_encoding encoding;
	uint32_t bits;  /* 8 */
	int32_t lo, hi; /* codes; -127..127 for what vitqc makes symmetric, -128..127 otherwise */
	int32_t axis;   /* -1: per tensor */
	uint32_t n;     /* of scale and zero; 1 per tensor */
	const float *scale;
	const int32_t *zero;
} vq_quant;

/* ---- operators and attributes ---- */

typedef enum vq_op {
	VQ_OP_NONE,
#define VQ_OP(id, ...) VQ_OP_##id,
#include "ir/ops.def"
	VQ_OP_COUNT
} vq_op;

/* clang-format off */
typedef enum vq_attr_kind {
	VQ_ATTR_NONE, VQ_ATTR_AXIS, VQ_ATTR_CAST, VQ_ATTR_SHAPE, VQ_ATTR_PERM, VQ_ATTR_SLICE, VQ_ATTR_VIEW, VQ_ATTR_PAD,
	VQ_ATTR_REDUCE, VQ_ATTR_NORM, VQ_ATTR_MATMUL, VQ_ATTR_CONV, VQ_ATTR_ATTENTION, VQ_ATTR_DYNAMIC,
	VQ_ATTR_QUANT,
} vq_attr_kind;
/* clang-format on */

typedef enum vq_op_class {
	VQ_CLASS_ELT,
	VQ_CLASS_MOVE,
	VQ_CLASS_REDUCE,
	VQ_CLASS_NORM,
	VQ_CLASS_DOT,
	VQ_CLASS_QUANT,
} vq_op_class;

typedef struct vq_op_info {
	const char *text;
	uint32_t least, most, results;
	vq_attr_kind attr;
	vq_op_class class_;
} vq_op_info;

extern const vq_op_info vq_ops[VQ_OP_COUNT];
vq_op vq_op_parse(const char *text, size_t length); /* VQ_OP_NONE if unknown */

/* clang-format off */
/* fields are described in ir/attrs.def */
typedef union vq_attr {
	struct { int32_t axis; } axis;
	struct { vq_elem to; } cast;
	struct { int64_t dim[VQ_MAX_RANK]; uint32_t rank; } shape;
	struct { int64_t perm[VQ_MAX_RANK]; } perm;
	struct { int64_t start[VQ_MAX_RANK], step[VQ_MAX_RANK], count[VQ_MAX_RANK]; } slice;
	struct { int64_t offset, dim[VQ_MAX_RANK], stride[VQ_MAX_RANK]; uint32_t rank; } view;
	struct { int64_t before[VQ_MAX_RANK], after[VQ_MAX_RANK]; float value; } pad;
	struct { uint32_t axes; bool keepdims; } reduce;
	struct { float epsilon; } norm;
	struct { bool trans_a, trans_b; } matmul;
	struct { int32_t stride[3], dilation[3], before[3], after[3], group; } conv;
	struct { int32_t heads; float scale; } attention;
	struct { int32_t groups, span; bool symmetric; } dynamic;
	struct { uint32_t id; } quant;
} vq_attr;
/* clang-format on */

/* ---- the graph ---- */

typedef enum vq_def { VQ_DEF_NONE, VQ_DEF_INPUT, VQ_DEF_CONST, VQ_DEF_NODE } vq_def;

typedef struct vq_value_info {
	vq_type type;
	vq_def def;
	uint32_t index;   /* of the input, or id of the defining node */
	const void *data; /* VQ_DEF_CONST: vq_type_bytes(type) bytes, host byte order, row-major; aligned to 16 */
	const char *name; /* of the tensor in the source file, for messages; NULL if made by us */
} vq_value_info;

typedef struct vq_node_info {
	vq_op op; /* VQ_OP_NONE: deleted */
	uint32_t n_in;
	vq_value *in;       /* in the arena */
	vq_value out;       /* the first result */
	vq_value out2;      /* the second one of the ops that have two, else VQ_NO_VALUE */
	vq_attr attr;       /* unused bytes zero, so that memcmp compares */
	const char *name;   /* of the source node, for messages; NULL if made by us */
	const char *source; /* its operator there ("MatMul"), NULL if made by us */
} vq_node_info;

typedef struct vq_port {
	const char *name;
	vq_value value;
} vq_port;

typedef struct vq_graph {
	vq_arena *arena;
	vq_diag *diag;
	const char *name;
	vq_value_info *value;
	uint32_t n_values, cap_values; /* [0] unused */
	vq_node_info *node;
	uint32_t n_nodes, cap_nodes; /* [0] unused; after vq_graph_sweep in execution order */
	vq_quant *quant;
	uint32_t n_quants, cap_quants; /* [0] unused */
	vq_port *input;
	uint32_t n_inputs, cap_inputs;
	vq_port *output;
	uint32_t n_outputs, cap_outputs;
} vq_graph;

void vq_graph_init(vq_graph *g, vq_arena *arena, vq_diag *diag, const char *name);
/* An independent copy (constants' data shared). */
void vq_graph_copy(vq_graph *to, const vq_graph *from, vq_arena *arena, vq_diag *diag);

static inline const vq_type *vq_type_of(const vq_graph *g, vq_value v) { return &g->value[v.id].type; }
static inline bool vq_is_const(const vq_graph *g, vq_value v) { return g->value[v.id].def == VQ_DEF_CONST; }
/* the node that defines v, VQ_NO_NODE for inputs and constants */
vq_node vq_def_of(const vq_graph *g, vq_value v);
/* operand i of the node, VQ_NO_VALUE past the end */
vq_value vq_operand(const vq_graph *g, vq_node n, uint32_t i);
static inline vq_op vq_op_of(const vq_graph *g, vq_node n) { return g->node[n.id].op; }
/* op of the node that defines v, VQ_OP_NONE for inputs and constants */
vq_op vq_def_op(const vq_graph *g, vq_value v);

/* The quantization of t, NULL if it has none. */
const vq_quant *vq_quant_of(const vq_graph *g, const vq_type *t);
/* Finds an equal entry or adds q (arrays are copied). Returns its id. */
uint32_t vq_quant_add(vq_graph *g, const vq_quant *q);
/* Id of an equal entry, 0 if there is none. */
uint32_t vq_quant_find(const vq_graph *g, const vq_quant *q);
uint32_t vq_quant_per_tensor(vq_graph *g, float scale, int32_t zero, int32_t lo, int32_t hi);

vq_value vq_add_input(vq_graph *g, const char *name, const vq_type *t);
void vq_add_output(vq_graph *g, const char *name, vq_value v);
/* data is not copied and must live as long as the graph's arena, or stand in it (vq_graph_release) */
vq_value vq_add_const(vq_graph *g, const vq_type *t, const void *data, const char *name);
/* copies */
vq_value vq_add_const_copy(vq_graph *g, const vq_type *t, const void *data, const char *name);
vq_value vq_const_f32(vq_graph *g, float v);                       /* rank 0 */
vq_value vq_const_i64s(vq_graph *g, const int64_t *v, uint32_t n); /* rank 1 */

/*
 * Appends a node with the given type of its (first) result, without checks or folding (ir/build.h has the checking builder).
 * attr may be NULL. The order of nodes is restored by vq_graph_sweep.
 */
vq_value vq_add_node(
	vq_graph *g, vq_op op, const vq_value *in, uint32_t n_in, const vq_attr *attr, const vq_type *result);

/* The type of the second result of an op that has two, whose first is of type t. */
vq_type vq_second_type(const vq_type *t, const vq_attr *attr);
/* Parts of a row that quantize_dynamic gives scales of their own, at least 1. */
uint32_t vq_dynamic_groups(const vq_attr *attr);
/* Is codes the first and rows the second result of one quantize_dynamic? */
bool vq_same_dynamic(const vq_graph *g, vq_value codes, vq_value rows);
/* Does op multiply codes whose scales are chosen at run time? Its codes and rows stand in pairs, as operands 0 and 1, 2 and 3 ... */
bool vq_is_dynamic(vq_op op);
/* The number of those pairs. */
uint32_t vq_dynamic_pairs(vq_op op);
/* What is wrong with those pairs of a node, NULL if nothing or if its op has none. */
const char *vq_dynamic_problem(const vq_graph *g, vq_op op, const vq_value *in, const vq_attr *attr);

/* Every use of old, graph outputs included, becomes a use of new. */
void vq_replace(vq_graph *g, vq_value old, vq_value new_);

/*
 * Drops nodes, values and quantization entries that no output needs and brings nodes into execution order: depth-first from the outputs, operands first,
 * so that the order depends on the graph alone and not on how it was made. Inputs stay. Renumbers everything: ids held by the caller die.
 */
void vq_graph_sweep(vq_graph *g);
/*
 * Frees the data of large constants that none of these graphs, which share an arena, has any more. All graphs of the arena that are
 * still used must be given, and nothing else may point to a constant's data.
 */
void vq_graph_release(const vq_graph *const *g, uint32_t n);

/* Number of uses of each value (graph outputs count), indexed by value id; in a. */
uint32_t *vq_use_counts(const vq_graph *g, vq_arena *a);

/* "node 'blocks.0/attn/MatMul' (MatMul)" for messages; falls back on the op and result number */
const char *vq_where(const vq_graph *g, vq_node n);

#endif
