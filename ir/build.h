/* SPDX-License-Identifier: MIT */
/* The checking builder: infers the result's type and folds what is constant. What importers and passes use. */
#ifndef VQ_IR_BUILD_H
#define VQ_IR_BUILD_H

#include "ir/ir.h"

/*
 * Result type of op on operands of these types. Returns NULL, or what is wrong ("inner dimensions differ: left is
 * 3x197x64, right is 3x197x64"), in the arena. Quantized operands: MOVE ops keep the entry (or are refused where a
 * per-axis entry does not survive), the others give f32.
 */
const char *vq_infer(
	const vq_graph *g, vq_op op, const vq_type *in, uint32_t n_in, const vq_attr *attr, vq_type *result);
/*
 * The same, and adds the result's entry to the table where a movement takes a per-axis entry to another axis or to a part
 * of its scales; vq_infer reports an error if that entry is not there.
 */
const char *vq_infer_add(vq_graph *g, vq_op op, const vq_type *in, uint32_t n_in, const vq_attr *attr, vq_type *result);

/* Constants of more elements are not computed by the builder but at run time. */
enum { VQ_FOLD_LIMIT = 64 << 20 };

/*
 * Adds op(in…) and returns its value; VQ_NO_VALUE after reporting an error at `where` (may be NULL) to g->diag. If all operands
 * are constants and op is neither quantize nor dequantize, the value is computed now and a constant is returned
 * (up to VQ_FOLD_LIMIT elements). A node that changes nothing (reshape to the same shape, transpose by identity, full slice,
 * cast to the same element) returns its operand.
 */
vq_value vq_build(vq_graph *g, const char *where, vq_op op, const vq_value *in, uint32_t n_in, const vq_attr *attr);

/* Common cases of vq_build. */
vq_value vq_build1(vq_graph *g, const char *where, vq_op op, vq_value a);
vq_value vq_build2(vq_graph *g, const char *where, vq_op op, vq_value a, vq_value b);
vq_value vq_build_reshape(vq_graph *g, const char *where, vq_value x, uint32_t rank, const int64_t *dim);
vq_value vq_build_transpose(vq_graph *g, const char *where, vq_value x, const int64_t *perm);
vq_value vq_build_slice(vq_graph *g, const char *where, vq_value x, int32_t axis, int64_t start, int64_t count);
vq_value vq_build_quantize(vq_graph *g, const char *where, vq_value x, uint32_t quant);
vq_value vq_build_dequantize(vq_graph *g, const char *where, vq_value x);

#endif
