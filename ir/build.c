/* SPDX-License-Identifier: MIT */
#include "ir/build.h"

#include "ir/attrs.h"
#include "ir/eval.h"

#include <string.h>

static bool is_identity_view(const vq_type *in, const vq_type *out, const vq_attr *attr)
{
	int64_t step = 1;

	if (!vq_same_shape(in, out) || attr->view.offset)
		return false;
	for (uint32_t i = out->rank; i--;) {
		if (out->dim[i] > 1 && attr->view.stride[i] != step)
			return false;
		step *= out->dim[i];
	}
	return true;
}

/* true if the operator gives its first operand unchanged */
static bool changes_nothing(vq_op op, const vq_type *in, uint32_t n_in, const vq_attr *attr, const vq_type *out)
{
	switch (op) {
	case VQ_OP_RESHAPE:
	case VQ_OP_EXPAND:
	case VQ_OP_PAD: return vq_same_shape(in, out);
	case VQ_OP_TRANSPOSE:
		for (uint32_t i = 0; i < in->rank; i++)
			if (attr->perm.perm[i] != i)
				return false;
		return true;
	case VQ_OP_SLICE:
		for (uint32_t i = 0; i < in->rank; i++)
			if (in->dim[i] > 1 && (attr->slice.step[i] != 1 || attr->slice.count[i] != in->dim[i]))
				return false;
		return true;
	case VQ_OP_VIEW: return is_identity_view(in, out, attr);
	case VQ_OP_CONCAT: return n_in == 1;
	case VQ_OP_CAST: return !in->quant && in->elem == attr->cast.to;
	default: return false;
	}
}

static bool can_fold(const vq_graph *g, vq_op op, const vq_value *in, uint32_t n_in, const vq_type *result)
{
	if (op == VQ_OP_QUANTIZE || op == VQ_OP_DEQUANTIZE || vq_ops[op].results > 1 ||
		vq_type_count(result) > VQ_FOLD_LIMIT)
		return false;
	for (uint32_t i = 0; i < n_in; i++)
		if (!vq_is_const(g, in[i]))
			return false;
	return true;
}

static vq_value fold(vq_graph *g, const char *where, vq_op op, const vq_value *in, uint32_t n_in, const vq_attr *attr,
	const vq_type *result)
{
	vq_arena scratch = { 0 };
	vq_tensor *operand;
	vq_tensor out = { .type = *result };
	vq_node_info node = { .op = op, .n_in = n_in, .in = (vq_value *)in, .attr = *attr };
	const char *wrong;

	/* a reshaped constant is the same bytes */
	if (op == VQ_OP_RESHAPE)
		return vq_add_const(g, result, g->value[in[0].id].data, g->value[in[0].id].name);
	operand = VQ_ARRAY(&scratch, n_in, vq_tensor);
	for (uint32_t i = 0; i < n_in; i++)
		operand[i] = (vq_tensor){ .type = g->value[in[i].id].type, .data = (void *)g->value[in[i].id].data };
	out.data = vq_arena_alloc(g->arena, vq_type_bytes(result));
	wrong = vq_eval_node(g, &node, operand, &out, &scratch);
	if (wrong)
		vq_error(g->diag, where, "%s", wrong);
	vq_arena_free(&scratch);
	if (wrong)
		return VQ_NO_VALUE;
	return vq_add_const(g, result, out.data, vq_ops[op].class_ == VQ_CLASS_MOVE ? g->value[in[0].id].name : NULL);
}

vq_value vq_build(vq_graph *g, const char *where, vq_op op, const vq_value *in, uint32_t n_in, const vq_attr *attr)
{
	vq_type small[4], *type = n_in <= 4 ? small : VQ_ARRAY(g->arena, n_in, vq_type);
	vq_type result;
	vq_attr normal;
	const char *wrong;

	if (op <= VQ_OP_NONE || op >= VQ_OP_COUNT) {
		vq_error(g->diag, where, "unknown operator");
		return VQ_NO_VALUE;
	}
	where = where ? where : vq_ops[op].text;
	for (uint32_t i = 0; i < n_in; i++) {
		if (in[i].id == 0 || in[i].id >= g->n_values) {
			/* the error that left this operand without a value has been reported */
			if (!g->diag->errors)
				vq_error(g->diag, where, "operand %u is missing", (unsigned)i + 1);
			return VQ_NO_VALUE;
		}
		type[i] = *vq_type_of(g, in[i]);
	}
	wrong = vq_infer_add(g, op, type, n_in, attr, &result);
	if (wrong) {
		vq_error(g->diag, where, "%s", wrong);
		return VQ_NO_VALUE;
	}
	normal = vq_attr_normal(vq_ops[op].attr, attr, type[0].rank, result.rank);
	if (changes_nothing(op, &type[0], n_in, &normal, &result))
		return in[0];
	if (can_fold(g, op, in, n_in, &result))
		return fold(g, where, op, in, n_in, &normal, &result);
	return vq_add_node(g, op, in, n_in, &normal, &result);
}

vq_value vq_build1(vq_graph *g, const char *where, vq_op op, vq_value a) { return vq_build(g, where, op, &a, 1, NULL); }

vq_value vq_build2(vq_graph *g, const char *where, vq_op op, vq_value a, vq_value b)
{
	return vq_build(g, where, op, (vq_value[]){ a, b }, 2, NULL);
}

vq_value vq_build_reshape(vq_graph *g, const char *where, vq_value x, uint32_t rank, const int64_t *dim)
{
	vq_attr attr = { .shape = { .rank = rank } };

	for (uint32_t i = 0; i < rank && i < VQ_MAX_RANK; i++)
		attr.shape.dim[i] = dim[i];
	return vq_build(g, where, VQ_OP_RESHAPE, &x, 1, &attr);
}

vq_value vq_build_transpose(vq_graph *g, const char *where, vq_value x, const int64_t *perm)
{
	vq_attr attr = { 0 };

	for (uint32_t i = 0; i < vq_type_of(g, x)->rank; i++)
		attr.perm.perm[i] = perm[i];
	return vq_build(g, where, VQ_OP_TRANSPOSE, &x, 1, &attr);
}

vq_value vq_build_slice(vq_graph *g, const char *where, vq_value x, int32_t axis, int64_t start, int64_t count)
{
	const vq_type *t = vq_type_of(g, x);
	vq_attr attr = { 0 };

	if (axis < 0 || (uint32_t)axis >= t->rank) {
		if (x.id)
			vq_error(g->diag, where ? where : "slice", "axis %d is outside the operand's %u dimensions",
				(int)axis, (unsigned)t->rank);
		return VQ_NO_VALUE;
	}
	for (uint32_t i = 0; i < t->rank; i++) {
		attr.slice.start[i] = i == (uint32_t)axis ? start : 0;
		attr.slice.step[i] = 1;
		attr.slice.count[i] = i == (uint32_t)axis ? count : t->dim[i];
	}
	return vq_build(g, where, VQ_OP_SLICE, &x, 1, &attr);
}

vq_value vq_build_quantize(vq_graph *g, const char *where, vq_value x, uint32_t quant)
{
	return vq_build(g, where, VQ_OP_QUANTIZE, &x, 1, &(vq_attr){ .quant = { .id = quant } });
}

vq_value vq_build_dequantize(vq_graph *g, const char *where, vq_value x)
{
	return vq_build1(g, where, VQ_OP_DEQUANTIZE, x);
}
