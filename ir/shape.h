/* SPDX-License-Identifier: MIT */
/* Shared by the shape rules (shape.c, shape_move.c, shape_quant.c). */
#ifndef VQ_IR_SHAPE_H
#define VQ_IR_SHAPE_H

#include "ir/ir.h"

/* More elements than this are refused: sums of products of offsets stay far inside 64 bits. */
#define VQ_MAX_ELEMENTS ((int64_t)1 << 40)

/*
 * The entry of the result of a MOVE op whose first operand has a per-axis entry q. Fills to (arrays in a). Returns
 * NULL or why the scales do not survive. out has its shape already.
 */
const char *vq_moved_quant(vq_arena *a, vq_op op, const vq_type *in, const vq_attr *attr, const vq_type *out,
	const vq_quant *q, vq_quant *to);

/*
 * What is wrong with the size of t (rank, an empty dimension, more than VQ_MAX_ELEMENTS), NULL if nothing; what names
 * the type in the message. Text in a.
 */
const char *vq_size_problem(vq_arena *a, const vq_type *t, const char *what);

/* Shape as in messages: "3x197x64", "scalar". In a. */
const char *vq_shape_text(vq_arena *a, const vq_type *t);

/* What a rule is given and what it fills. */
typedef struct vq_rule {
	const vq_graph *g;
	vq_arena *a; /* of messages */
	vq_op op;
	const vq_type *in;
	uint32_t n_in;
	const vq_attr *attr;
	vq_type *out; /* elem f32 and rank 0 before the rule */
} vq_rule;

/* The shape of an operand as in messages. */
const char *vq_rule_shape_text(const vq_rule *r, uint32_t operand);
/* Is the operand's element, as arithmetic sees it, in the set (bit 1 << elem)? NULL or the problem. */
const char *vq_rule_need_elem(const vq_rule *r, uint32_t operand, int allowed, const char *expected);
/* Is the axis attribute a dimension of the first operand? NULL or the problem. */
const char *vq_rule_check_axis(const vq_rule *r);
void vq_rule_set_shape(const vq_rule *r, const vq_type *from);
/* Aligns the last dimensions as NumPy does. out may be a. NULL or the problem. */
const char *vq_rule_broadcast(const vq_rule *r, const vq_type *a, const vq_type *b, vq_type *out);

/* The rules of ops.def. Each fills r->out and returns NULL, or returns what is wrong. */
const char *vq_shape_same(vq_rule *r);
const char *vq_shape_cast(vq_rule *r);
const char *vq_shape_broadcast(vq_rule *r);
const char *vq_shape_compare(vq_rule *r);
const char *vq_shape_where(vq_rule *r);
const char *vq_shape_reshape(vq_rule *r);
const char *vq_shape_expand(vq_rule *r);
const char *vq_shape_transpose(vq_rule *r);
const char *vq_shape_slice(vq_rule *r);
const char *vq_shape_view(vq_rule *r);
const char *vq_shape_concat(vq_rule *r);
const char *vq_shape_gather(vq_rule *r);
const char *vq_shape_pad(vq_rule *r);
const char *vq_shape_reduce(vq_rule *r);
const char *vq_shape_layernorm(vq_rule *r);
const char *vq_shape_linear(vq_rule *r);
const char *vq_shape_matmul(vq_rule *r);
const char *vq_shape_conv(vq_rule *r);
const char *vq_shape_attention(vq_rule *r);
const char *vq_shape_linear_dynamic(vq_rule *r);
const char *vq_shape_matmul_dynamic(vq_rule *r);
const char *vq_shape_quantize(vq_rule *r);
const char *vq_shape_quantize_dynamic(vq_rule *r);
const char *vq_shape_dequantize(vq_rule *r);

#endif
