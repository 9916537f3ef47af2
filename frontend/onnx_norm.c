/* SPDX-License-Identifier: MIT */
/* Importers of normalisations and softmax. */
#include "frontend/onnx_node.h"

#include <inttypes.h>
#include <string.h>

/* x flattened to [before axis, from axis on] */
static vq_value as_rows(vq_onnx *o, vq_value x, uint32_t axis, int64_t *columns)
{
	vq_type t = *vq_type_of(o->g, x);
	int64_t dim[2] = { 1, 1 };

	for (uint32_t i = 0; i < t.rank; i++)
		dim[i >= axis] *= t.dim[i];
	*columns = dim[1];
	return vq_onnx_reshape(o, x, 2, dim);
}

static vq_value back(vq_onnx *o, vq_value x, const vq_type *t) { return vq_onnx_reshape(o, x, t->rank, t->dim); }

/* scale or bias as [n]; it may broadcast to the normalised dimensions of t from axis on */
static vq_value as_vector(vq_onnx *o, vq_value v, const vq_type *t, uint32_t axis, int64_t n)
{
	if (!v.id || (vq_type_of(o->g, v)->rank == 1 && vq_type_of(o->g, v)->dim[0] == n))
		return v;
	if (vq_type_count(vq_type_of(o->g, v)) != n)
		v = vq_onnx_expand(o, v, t->rank - axis, t->dim + axis);
	return vq_onnx_reshape(o, v, 1, &n);
}

/* LayerNormalization over the dimensions from axis on */
static vq_value layernorm_from(vq_onnx *o, vq_value x, vq_value gamma, vq_value beta, uint32_t axis, float epsilon)
{
	vq_type t;
	int64_t n;

	if (!x.id || !gamma.id)
		return VQ_NO_VALUE;
	t = *vq_type_of(o->g, x);
	if (axis + 1 < t.rank)
		x = as_rows(o, x, axis, &n);
	else
		n = t.dim[axis];
	gamma = as_vector(o, gamma, &t, axis, n);
	beta = beta.id ? as_vector(o, beta, &t, axis, n) : vq_onnx_filled(o, 0, n);
	x = vq_onnx_layernorm(o, x, gamma, beta, epsilon);
	return x.id && axis + 1 < t.rank ? back(o, x, &t) : x;
}

/* the bits of all axes from axis on */
static uint32_t axes_from(uint32_t axis, uint32_t rank) { return ((1u << rank) - 1) & ~((1u << axis) - 1); }

static vq_value root_of(vq_onnx *o, vq_value variance, float epsilon)
{
	return vq_onnx_1(o, VQ_OP_SQRT, vq_onnx_2(o, VQ_OP_ADD, variance, vq_onnx_scalar(o, epsilon)));
}

/* outputs Mean and InvStdDev, which inference graphs hardly ever use */
static bool statistics(vq_onnx *o, uint32_t axes, float epsilon)
{
	vq_value x = vq_onnx_in(o, 0), mean, d, variance;

	if (!vq_onnx_wants(o, 1) && !vq_onnx_wants(o, 2))
		return true;
	mean = vq_onnx_reduce(o, VQ_OP_REDUCE_MEAN, x, axes, true);
	d = vq_onnx_2(o, VQ_OP_SUB, x, mean);
	variance = vq_onnx_reduce(o, VQ_OP_REDUCE_MEAN, vq_onnx_2(o, VQ_OP_MUL, d, d), axes, true);
	return vq_onnx_out(o, 1, mean) && vq_onnx_out(o, 2, vq_onnx_1(o, VQ_OP_RECIP, root_of(o, variance, epsilon)));
}

bool vq_import_layernorm(vq_onnx *o)
{
	uint32_t axis, rank = vq_onnx_in_type(o, 0)->rank;
	float epsilon;

	vq_onnx_attr_ignore(o, "stash_type"); /* float32 is what we compute in */
	return vq_onnx_attr_axis(o, -1, rank, &axis) && vq_onnx_attr_float(o, "epsilon", 1e-5f, &epsilon) &&
		vq_onnx_out(
			o, 0, layernorm_from(o, vq_onnx_in(o, 0), vq_onnx_in(o, 1), vq_onnx_in(o, 2), axis, epsilon)) &&
		statistics(o, axes_from(axis, rank), epsilon);
}

/* ONNX Runtime's: x + skip + bias, normalised; output 3 is the sum */
bool vq_import_skip_layernorm(vq_onnx *o)
{
	vq_value sum = vq_onnx_2(o, VQ_OP_ADD, vq_onnx_in(o, 0), vq_onnx_in(o, 1));
	float epsilon;

	if (!vq_onnx_attr_float(o, "epsilon", 1e-12f, &epsilon))
		return false;
	if (vq_onnx_has(o, 4))
		sum = vq_onnx_2(o, VQ_OP_ADD, sum, vq_onnx_in(o, 4));
	if (!sum.id || !vq_type_of(o->g, sum)->rank)
		return false;
	return vq_onnx_out(o, 0,
		       layernorm_from(
			       o, sum, vq_onnx_in(o, 2), vq_onnx_in(o, 3), vq_type_of(o->g, sum)->rank - 1, epsilon)) &&
		(!vq_onnx_wants(o, 3) || vq_onnx_out(o, 3, sum));
}

/* x / sqrt(mean(x^2) + epsilon) * scale, the mean over the dimensions from axis on */
static vq_value rms_norm(vq_onnx *o, vq_value x, vq_value scale, uint32_t axis, float epsilon)
{
	vq_value root;

	if (!x.id)
		return x;
	root = vq_onnx_reduce(
		o, VQ_OP_REDUCE_MEAN, vq_onnx_2(o, VQ_OP_MUL, x, x), axes_from(axis, vq_type_of(o->g, x)->rank), true);
	return vq_onnx_2(o, VQ_OP_MUL, vq_onnx_2(o, VQ_OP_DIV, x, root_of(o, root, epsilon)), scale);
}

bool vq_import_rms_norm(vq_onnx *o)
{
	uint32_t axis, rank = vq_onnx_in_type(o, 0)->rank;
	float epsilon;

	vq_onnx_attr_ignore(o, "stash_type");
	return vq_onnx_attr_axis(o, -1, rank, &axis) && vq_onnx_attr_float(o, "epsilon", 1e-5f, &epsilon) &&
		vq_onnx_out(o, 0, rms_norm(o, vq_onnx_in(o, 0), vq_onnx_in(o, 1), axis, epsilon));
}

/* ONNX Runtime's: x + skip + bias, normalised; output 3 is the sum */
bool vq_import_skip_rms_norm(vq_onnx *o)
{
	vq_value sum = vq_onnx_2(o, VQ_OP_ADD, vq_onnx_in(o, 0), vq_onnx_in(o, 1));
	float epsilon;

	if (!vq_onnx_attr_float(o, "epsilon", 1e-12f, &epsilon))
		return false;
	if (vq_onnx_has(o, 3))
		sum = vq_onnx_2(o, VQ_OP_ADD, sum, vq_onnx_in(o, 3));
	if (!sum.id || !vq_type_of(o->g, sum)->rank)
		return false;
	return vq_onnx_out(o, 0, rms_norm(o, sum, vq_onnx_in(o, 2), vq_type_of(o->g, sum)->rank - 1, epsilon)) &&
		(!vq_onnx_wants(o, 3) || vq_onnx_out(o, 3, sum));
}

/* v [C] as [C, 1, 1 …], to broadcast along dimension 1 of a tensor of this rank */
static vq_value per_channel(vq_onnx *o, vq_value v, uint32_t rank)
{
	int64_t dim[VQ_MAX_RANK];

	if (!v.id)
		return v;
	if (vq_type_of(o->g, v)->rank != 1) {
		vq_onnx_refuse(o, "a parameter is %s, expected a vector", vq_type_text(o->arena, vq_type_of(o->g, v)));
		return VQ_NO_VALUE;
	}
	dim[0] = vq_type_of(o->g, v)->dim[0];
	for (uint32_t i = 1; i + 1 < rank; i++)
		dim[i] = 1;
	return vq_onnx_reshape(o, v, rank > 1 ? rank - 1 : 1, dim);
}

/* With constant statistics it is one scale and one shift per channel. */
bool vq_import_batch_norm(vq_onnx *o)
{
	uint32_t rank = vq_onnx_in_type(o, 0)->rank;
	vq_value scale, shift, y;
	bool training;
	float epsilon;

	vq_onnx_attr_ignore(o, "momentum");
	vq_onnx_attr_ignore(o, "spatial");
	if (!vq_onnx_attr_bool(o, "training_mode", false, &training) ||
		!vq_onnx_attr_float(o, "epsilon", 1e-5f, &epsilon))
		return false;
	if (training) {
		vq_onnx_refuse(o, "it computes its statistics from the batch (training mode)");
		vq_hint(o->diag, "export the model in evaluation mode: model.eval()");
		return false;
	}
	if (rank < 2)
		return vq_onnx_refuse(o, "input has %u dimensions, expected at least 2", (unsigned)rank);
	scale = vq_onnx_2(o, VQ_OP_DIV, vq_onnx_in(o, 1), root_of(o, vq_onnx_in(o, 4), epsilon));
	shift = vq_onnx_2(o, VQ_OP_SUB, vq_onnx_in(o, 2), vq_onnx_2(o, VQ_OP_MUL, vq_onnx_in(o, 3), scale));
	y = vq_onnx_2(o, VQ_OP_MUL, vq_onnx_in(o, 0), per_channel(o, scale, rank));
	return vq_onnx_out(o, 0, vq_onnx_2(o, VQ_OP_ADD, y, per_channel(o, shift, rank)));
}

/* rows of x normalised by their own mean and variance, then scale and bias along dimension 1 of t */
static bool finish_instance(
	vq_onnx *o, vq_value rows, int64_t columns, const vq_type *t, vq_value scale, vq_value bias, float epsilon)
{
	vq_value zeros = vq_onnx_filled(o, 0, columns);
	vq_value y = vq_onnx_layernorm(o, rows, vq_onnx_filled(o, 1, columns), zeros, epsilon);

	scale = per_channel(o, scale, t->rank);
	y = vq_onnx_2(o, VQ_OP_MUL, back(o, y, t), scale);
	return vq_onnx_out(o, 0, vq_onnx_2(o, VQ_OP_ADD, y, per_channel(o, bias, t->rank)));
}

bool vq_import_instance_norm(vq_onnx *o)
{
	vq_type t = *vq_onnx_in_type(o, 0);
	vq_value rows;
	float epsilon;
	int64_t columns;

	if (!vq_onnx_attr_float(o, "epsilon", 1e-5f, &epsilon))
		return false;
	if (t.rank < 3)
		return vq_onnx_refuse(o, "input has %u dimensions, expected at least 3", (unsigned)t.rank);
	rows = as_rows(o, vq_onnx_in(o, 0), 2, &columns);
	return finish_instance(o, rows, columns, &t, vq_onnx_in(o, 1), vq_onnx_in(o, 2), epsilon);
}

/* groups of channels; scale and bias are per group before operator set 21, per channel from then on */
bool vq_import_group_norm(vq_onnx *o)
{
	vq_type t = *vq_onnx_in_type(o, 0);
	vq_value rows, scale = vq_onnx_in(o, 1), bias = vq_onnx_in(o, 2);
	int64_t groups, per_group, columns = 1;
	float epsilon;

	vq_onnx_attr_ignore(o, "stash_type");
	if (!vq_onnx_attr_float(o, "epsilon", 1e-5f, &epsilon) || !vq_onnx_attr_int(o, "num_groups", 0, &groups))
		return false;
	if (t.rank < 3 || groups < 1 || t.dim[1] % groups)
		return vq_onnx_refuse(
			o, "%" PRId64 " groups do not divide the channels of %s", groups, vq_type_text(o->arena, &t));
	per_group = t.dim[1] / groups;
	if (o->model->opset < 21 && per_group > 1) {
		vq_value *part[] = { &scale, &bias };

		for (int i = 0; i < 2; i++) {
			*part[i] = vq_onnx_reshape(o, *part[i], 2, (int64_t[]){ groups, 1 });
			*part[i] = vq_onnx_expand(o, *part[i], 2, (int64_t[]){ groups, per_group });
			*part[i] = vq_onnx_reshape(o, *part[i], 1, &t.dim[1]);
		}
	}
	for (uint32_t i = 1; i < t.rank; i++)
		columns *= t.dim[i];
	columns /= groups;
	rows = vq_onnx_reshape(o, vq_onnx_in(o, 0), 2, (int64_t[]){ t.dim[0] * groups, columns });
	return finish_instance(o, rows, columns, &t, scale, bias, epsilon);
}

bool vq_import_lp_norm(vq_onnx *o)
{
	vq_value x = vq_onnx_in(o, 0), norm, zero;
	uint32_t axis;
	int64_t p;

	if (!vq_onnx_attr_axis(o, -1, vq_onnx_in_type(o, 0)->rank, &axis) || !vq_onnx_attr_int(o, "p", 2, &p))
		return false;
	if (p != 1 && p != 2)
		return vq_onnx_refuse(o, "attribute 'p' is %" PRId64 ", expected 1 or 2", p);
	norm = p == 1 ? vq_onnx_1(o, VQ_OP_ABS, x) : vq_onnx_2(o, VQ_OP_MUL, x, x);
	norm = vq_onnx_reduce(o, VQ_OP_REDUCE_SUM, norm, 1u << axis, true);
	if (p == 2)
		norm = vq_onnx_1(o, VQ_OP_SQRT, norm);
	/* a zero vector stays zero */
	zero = vq_onnx_2(o, VQ_OP_EQUAL, norm, vq_onnx_scalar(o, 0));
	norm = vq_onnx_3(o, VQ_OP_WHERE, zero, vq_onnx_scalar(o, 1), norm);
	return vq_onnx_out(o, 0, vq_onnx_2(o, VQ_OP_DIV, x, norm));
}

bool vq_import_mean_variance_norm(vq_onnx *o)
{
	vq_value x = vq_onnx_in(o, 0), d, root;
	uint32_t axes, rank = vq_onnx_in_type(o, 0)->rank;
	bool given;

	if (!vq_onnx_axes(o, 1, rank, &axes, &given)) /* an attribute: it has one input */
		return false;
	if (!given && rank != 4)
		return vq_onnx_refuse(
			o, "input has %u dimensions, expected 4 where attribute 'axes' is absent", (unsigned)rank);
	if (!given)
		axes = 1 | 1u << 2 | 1u << 3;
	d = vq_onnx_2(o, VQ_OP_SUB, x, vq_onnx_reduce(o, VQ_OP_REDUCE_MEAN, x, axes, true));
	root = vq_onnx_1(
		o, VQ_OP_SQRT, vq_onnx_reduce(o, VQ_OP_REDUCE_MEAN, vq_onnx_2(o, VQ_OP_MUL, d, d), axes, true));
	return vq_onnx_out(o, 0, vq_onnx_2(o, VQ_OP_DIV, d, vq_onnx_2(o, VQ_OP_ADD, root, vq_onnx_scalar(o, 1e-9f))));
}

/* ---- softmax ---- */

/*
 * The axis, and x in the shape to work on: before operator set 13 everything from the axis on is one flat axis, and the
 * default is 1 instead of -1.
 */
static bool softmax_axis(vq_onnx *o, vq_value *x, uint32_t *axis)
{
	bool old = o->model->opset < 13;
	vq_type t = *vq_onnx_in_type(o, 0);
	int64_t columns;

	*x = vq_onnx_in(o, 0);
	if (!vq_onnx_attr_axis(o, old ? 1 : -1, t.rank, axis))
		return false;
	if (old && *axis + 1 < t.rank) {
		*x = as_rows(o, *x, *axis, &columns);
		*axis = 1;
	}
	return true;
}

bool vq_import_softmax(vq_onnx *o)
{
	vq_type t = *vq_onnx_in_type(o, 0);
	vq_value x;
	uint32_t axis;

	return softmax_axis(o, &x, &axis) && vq_onnx_out(o, 0, back(o, vq_onnx_softmax(o, x, axis), &t));
}

/* (x - max) - log(sum(exp(x - max))) */
bool vq_import_log_softmax(vq_onnx *o)
{
	vq_type t = *vq_onnx_in_type(o, 0);
	vq_value x, sum;
	uint32_t axis;

	if (!softmax_axis(o, &x, &axis))
		return false;
	x = vq_onnx_2(o, VQ_OP_SUB, x, vq_onnx_reduce(o, VQ_OP_REDUCE_MAX, x, 1u << axis, true));
	sum = vq_onnx_reduce(o, VQ_OP_REDUCE_SUM, vq_onnx_1(o, VQ_OP_EXP, x), 1u << axis, true);
	return vq_onnx_out(o, 0, back(o, vq_onnx_2(o, VQ_OP_SUB, x, vq_onnx_1(o, VQ_OP_LOG, sum)), &t));
}
