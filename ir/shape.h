/* Shared by the shape rules (shape.c, shape_quant.c). */
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

#endif
