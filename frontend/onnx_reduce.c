/* SPDX-License-Identifier: MIT */
/* Importers of reductions. Axes are an attribute, or an input from operator set 13 (ReduceSum) or 18 (the others). */
#include "frontend/onnx_node.h"

typedef struct along {
	uint32_t axes; /* bit set */
	bool keepdims;
	bool nothing; /* no axes, and that means none */
} along;

static bool read_along(vq_onnx *o, along *a)
{
	uint32_t rank = vq_onnx_in_type(o, 0)->rank;
	bool given, noop;

	if (vq_onnx_empty(o, 0))
		return vq_onnx_refuse(o, "input 0 has no elements");
	if (!vq_onnx_axes(o, 1, rank, &a->axes, &given) || !vq_onnx_attr_bool(o, "keepdims", true, &a->keepdims) ||
		!vq_onnx_attr_bool(o, "noop_with_empty_axes", false, &noop))
		return false;
	a->nothing = (!given && noop) || !rank;
	if (!given && !noop)
		a->axes = (1u << rank) - 1;
	return true;
}

static vq_value reduce(vq_onnx *o, vq_op op, vq_value x, const along *a)
{
	return a->nothing ? x : vq_onnx_reduce(o, op, x, a->axes, a->keepdims);
}

bool vq_import_reduce(vq_onnx *o)
{
	along a;
	vq_elem elem;
	vq_value x;

	if (!read_along(o, &a))
		return false;
	x = vq_onnx_in(o, 0);
	elem = vq_onnx_in_type(o, 0)->elem;
	/* max and min of bool are or and and */
	if (elem == VQ_BOOL && (o->op->ir == VQ_OP_REDUCE_MAX || o->op->ir == VQ_OP_REDUCE_MIN))
		return vq_onnx_out(
			o, 0, vq_onnx_cast(o, reduce(o, o->op->ir, vq_onnx_cast(o, x, VQ_I32), &a), VQ_BOOL));
	if (elem == VQ_U8 || elem == VQ_S8) /* computed as i32 and cut to 8 bits again */
		return vq_onnx_out(o, 0, vq_onnx_cast(o, reduce(o, o->op->ir, vq_onnx_cast(o, x, VQ_I32), &a), elem));
	return vq_onnx_out(o, 0, reduce(o, o->op->ir, x, &a));
}

bool vq_import_reduce_l1(vq_onnx *o)
{
	along a;

	return read_along(o, &a) &&
		vq_onnx_out(o, 0, reduce(o, VQ_OP_REDUCE_SUM, vq_onnx_1(o, VQ_OP_ABS, vq_onnx_in(o, 0)), &a));
}

static vq_value sum_of_squares(vq_onnx *o, const along *a)
{
	vq_value x = vq_onnx_in(o, 0);

	return reduce(o, VQ_OP_REDUCE_SUM, vq_onnx_2(o, VQ_OP_MUL, x, x), a);
}

bool vq_import_reduce_l2(vq_onnx *o)
{
	along a;

	return read_along(o, &a) && vq_onnx_out(o, 0, vq_onnx_1(o, VQ_OP_SQRT, sum_of_squares(o, &a)));
}

bool vq_import_reduce_square(vq_onnx *o)
{
	along a;

	return read_along(o, &a) && vq_onnx_out(o, 0, sum_of_squares(o, &a));
}

bool vq_import_reduce_log(vq_onnx *o)
{
	along a;

	return read_along(o, &a) &&
		vq_onnx_out(o, 0, vq_onnx_1(o, VQ_OP_LOG, reduce(o, VQ_OP_REDUCE_SUM, vq_onnx_in(o, 0), &a)));
}

/* max + log(sum(exp(x - max))): no overflow */
bool vq_import_reduce_log_exp(vq_onnx *o)
{
	along a, kept;
	vq_value x, most, sum;

	if (!read_along(o, &a))
		return false;
	x = vq_onnx_in(o, 0);
	kept = a;
	kept.keepdims = true;
	most = reduce(o, VQ_OP_REDUCE_MAX, x, &kept);
	sum = reduce(o, VQ_OP_REDUCE_SUM, vq_onnx_1(o, VQ_OP_EXP, vq_onnx_2(o, VQ_OP_SUB, x, most)), &a);
	if (!a.keepdims)
		most = reduce(o, VQ_OP_REDUCE_MAX, x, &a);
	return vq_onnx_out(o, 0, vq_onnx_2(o, VQ_OP_ADD, vq_onnx_1(o, VQ_OP_LOG, sum), most));
}

bool vq_import_global_pool(vq_onnx *o)
{
	uint32_t rank = vq_onnx_in_type(o, 0)->rank;

	if (rank < 3)
		return vq_onnx_refuse(
			o, "input has %u dimensions, expected batch, channels and at least one more", (unsigned)rank);
	return vq_onnx_out(o, 0, vq_onnx_reduce(o, o->op->ir, vq_onnx_in(o, 0), (1u << rank) - 4, true));
}
