/* SPDX-License-Identifier: MIT */
/* Importers of constants and of what is constant once shapes are: Shape, Range, masks, scattering into constants. */
#include "frontend/onnx_node.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { LIST_LIMIT = 64 << 20 }; /* elements made here, as the folding limit of ir/build.h */

static vq_value i64_scalar(vq_onnx *o, int64_t v)
{
	vq_type t = vq_type_make(VQ_I64, 0, NULL);

	return vq_add_const_copy(o->g, &t, &v, NULL);
}

bool vq_import_constant(vq_onnx *o)
{
	const Onnx__AttributeProto *a;
	int64_t i;
	float f;

	a = vq_onnx_attr(o, "value");
	if (a && a->t)
		return vq_onnx_out_tensor(o, 0, a->t);
	if (vq_onnx_attr(o, "value_float"))
		return vq_onnx_attr_float(o, "value_float", 0, &f) && vq_onnx_out(o, 0, vq_onnx_scalar(o, f));
	if (vq_onnx_attr(o, "value_int"))
		return vq_onnx_attr_int(o, "value_int", 0, &i) && vq_onnx_out(o, 0, i64_scalar(o, i));
	a = vq_onnx_attr(o, "value_ints");
	if (a && a->n_ints > LIST_LIMIT)
		return vq_onnx_refuse(o, "the list has %zu entries", a->n_ints);
	if (a)
		return a->n_ints ? vq_onnx_out(o, 0, vq_const_i64s(o->g, a->ints, (uint32_t)a->n_ints))
				 : vq_onnx_out_empty_list(o, 0, VQ_I64);
	a = vq_onnx_attr(o, "value_floats");
	if (a && a->n_floats) {
		vq_type t = vq_type_make(VQ_F32, 1, &(int64_t){ (int64_t)a->n_floats });

		return vq_onnx_out(o, 0, vq_add_const_copy(o->g, &t, a->floats, NULL));
	}
	if (a)
		return vq_onnx_out_empty_list(o, 0, VQ_F32);
	return vq_onnx_refuse(o, "it has no value that is supported, expected a dense tensor, floats or integers");
}

bool vq_import_shape(vq_onnx *o)
{
	int64_t start, end, rank;
	vq_type t;

	t = vq_onnx_empty(o, 0) ? vq_onnx_input_name(o, 0)->empty : *vq_onnx_in_type(o, 0);
	rank = t.rank;
	if (!vq_onnx_attr_int(o, "start", 0, &start) || !vq_onnx_attr_int(o, "end", rank, &end))
		return false;
	start = start < -rank ? 0 : start < 0 ? start + rank : start > rank ? rank : start;
	end = end < -rank ? 0 : end < 0 ? end + rank : end > rank ? rank : end;
	if (start >= end)
		return vq_onnx_out_empty_list(o, 0, VQ_I64);
	return vq_onnx_out(o, 0, vq_const_i64s(o->g, t.dim + start, (uint32_t)(end - start)));
}

bool vq_import_size(vq_onnx *o)
{
	return vq_onnx_out(o, 0, i64_scalar(o, vq_onnx_empty(o, 0) ? 0 : vq_type_count(vq_onnx_in_type(o, 0))));
}

bool vq_import_constant_of_shape(vq_onnx *o)
{
	const Onnx__AttributeProto *a = vq_onnx_attr(o, "value");
	int64_t dim[VQ_MAX_RANK];
	vq_type t = vq_type_make(VQ_F32, 0, NULL), empty = { 0 };
	const void *data = &(float){ 0 };
	bool none = false;
	uint32_t n;

	if (!vq_onnx_ints(o, 0, "shape", dim, VQ_MAX_RANK, &n))
		return false;
	if (a && a->t) {
		switch (vq_onnx_tensor(o->model, a->t, o->where, &t, &data)) {
		case VQ_ONNX_BAD: return false;
		case VQ_ONNX_EMPTY: return vq_onnx_refuse(o, "attribute 'value' has no elements, expected one");
		case VQ_ONNX_DATA: break;
		}
	}
	if (vq_type_count(&t) != 1)
		return vq_onnx_refuse(o, "attribute 'value' has %" PRId64 " elements, expected one", vq_type_count(&t));
	t.rank = 0;
	memset(t.dim, 0, sizeof t.dim);
	for (uint32_t i = 0; i < n; i++) {
		if (dim[i] < 0)
			return vq_onnx_refuse(o, "shape entry %u is %" PRId64 ", expected a size", (unsigned)i, dim[i]);
		empty.dim[i] = dim[i];
		none |= !dim[i];
	}
	empty.elem = t.elem;
	empty.rank = n;
	if (none)
		return vq_onnx_out_empty(o, 0, &empty);
	return vq_onnx_out(o, 0, vq_onnx_expand(o, vq_add_const_copy(o->g, &t, data, NULL), n, dim));
}

static bool float_range(vq_onnx *o)
{
	float start, limit, delta, *v;
	double count;
	vq_type t;

	if (!vq_onnx_float(o, 0, "start", &start) || !vq_onnx_float(o, 1, "limit", &limit) ||
		!vq_onnx_float(o, 2, "delta", &delta))
		return false;
	count = ceil(((double)limit - start) / delta);
	if (!(count <= (double)LIST_LIMIT))
		return vq_onnx_refuse(o, "the range from %g to %g by %g is endless or too long", (double)start,
			(double)limit, (double)delta);
	if (count < 1)
		return vq_onnx_out_empty_list(o, 0, VQ_F32);
	t = vq_type_make(VQ_F32, 1, &(int64_t){ (int64_t)count });
	v = VQ_ARRAY(o->arena, (size_t)count, float);
	for (int64_t i = 0; i < t.dim[0]; i++)
		v[i] = start + (float)i * delta;
	return vq_onnx_out(o, 0, vq_add_const(o->g, &t, v, NULL));
}

bool vq_import_range(vq_onnx *o)
{
	vq_elem elem = vq_onnx_in_type(o, 0)->elem;
	int64_t start, limit, delta, *v;
	double count;
	vq_type t;

	if (elem == VQ_F32)
		return float_range(o);
	if (!vq_onnx_int(o, 0, "start", &start) || !vq_onnx_int(o, 1, "limit", &limit) ||
		!vq_onnx_int(o, 2, "delta", &delta))
		return false;
	count = delta ? ceil(((double)limit - (double)start) / (double)delta) : INFINITY;
	if (!(count <= (double)LIST_LIMIT))
		return vq_onnx_refuse(o,
			"the range from %" PRId64 " to %" PRId64 " by %" PRId64 " is endless or too long", start, limit,
			delta);
	if (count < 1)
		return vq_onnx_out_empty_list(o, 0, elem);
	t = vq_type_make(VQ_I64, 1, &(int64_t){ (int64_t)count });
	v = VQ_ARRAY(o->arena, (size_t)count, int64_t);
	for (int64_t i = 0; i < t.dim[0]; i++)
		v[i] = (int64_t)((uint64_t)start + (uint64_t)i * (uint64_t)delta);
	return vq_onnx_out(o, 0, vq_onnx_cast(o, vq_add_const(o->g, &t, v, NULL), elem));
}

/* The data of input i, which must be constant. */
static const unsigned char *constant_input(vq_onnx *o, uint32_t i)
{
	vq_value v = vq_onnx_in(o, i);

	if (vq_is_const(o->g, v))
		return o->g->value[v.id].data;
	vq_onnx_refuse(o, "input %u '%s' is computed at run time, expected a constant", (unsigned)i, o->node->input[i]);
	vq_onnx_not_static(o);
	return NULL;
}

bool vq_import_non_zero(vq_onnx *o)
{
	const unsigned char *data = constant_input(o, 0);
	vq_type t = *vq_onnx_in_type(o, 0), result;
	int64_t n = vq_type_count(&t), found = 0, *v, at = 0;
	size_t size = vq_elem_bytes(t.elem);
	bool *set;

	if (!data)
		return false;
	set = VQ_ARRAY(o->arena, (size_t)n, bool);
	for (int64_t i = 0; i < n; i++) {
		/* -0 counts as zero */
		for (size_t k = 0; k < size; k++)
			set[i] |= (data[(size_t)i * size + k] & (t.elem == VQ_F32 && k == 3 ? 0x7f : 0xff)) != 0;
		found += set[i];
	}
	if (!found || !t.rank)
		return vq_onnx_refuse(o, found ? "input is a scalar" : "the result has no elements");
	result = vq_type_make(VQ_I64, 2, (int64_t[]){ t.rank, found });
	v = VQ_ARRAY(o->arena, (size_t)vq_type_count(&result), int64_t);
	for (int64_t i = 0; i < n; i++) {
		int64_t rest = i;

		if (!set[i])
			continue;
		for (uint32_t d = t.rank; d--; rest /= t.dim[d])
			v[d * found + at] = rest % t.dim[d];
		at++;
	}
	return vq_onnx_out(o, 0, vq_add_const(o->g, &result, v, NULL));
}

/* ---- matrices of a pattern ---- */

/* constant bool [rows, columns]: column - row in [lo, hi] */
static vq_value band(vq_onnx *o, int64_t rows, int64_t columns, int64_t lo, int64_t hi)
{
	vq_type t = vq_type_make(VQ_BOOL, 2, (int64_t[]){ rows, columns });
	uint8_t *v;

	if (rows > LIST_LIMIT / columns) {
		vq_onnx_refuse(o, "the matrix of %" PRId64 "x%" PRId64 " is too large", rows, columns);
		return VQ_NO_VALUE;
	}
	v = VQ_ARRAY(o->arena, (size_t)(rows * columns), uint8_t);
	for (int64_t r = 0; r < rows; r++)
		for (int64_t c = 0; c < columns; c++)
			v[r * columns + c] = c - r >= lo && c - r <= hi;
	return vq_add_const(o->g, &t, v, NULL);
}

bool vq_import_trilu(vq_onnx *o)
{
	vq_type t = *vq_onnx_in_type(o, 0);
	vq_value x = vq_onnx_in(o, 0), keep;
	int64_t k = 0, limit = INT64_MAX / 2;
	bool upper;

	if (!vq_onnx_attr_bool(o, "upper", true, &upper) || (vq_onnx_has(o, 1) && !vq_onnx_int(o, 1, "k", &k)))
		return false;
	if (t.rank < 2)
		return vq_onnx_refuse(o, "input has %u dimensions, expected at least 2", (unsigned)t.rank);
	k = k > limit ? limit : k < -limit ? -limit : k;
	keep = band(o, t.dim[t.rank - 2], t.dim[t.rank - 1], upper ? k : -limit, upper ? limit : k);
	if (t.elem == VQ_BOOL)
		return vq_onnx_out(o, 0, vq_onnx_2(o, VQ_OP_AND, x, keep));
	return vq_onnx_out(o, 0, vq_onnx_3(o, VQ_OP_WHERE, keep, x, vq_onnx_number(o, x, 0)));
}

bool vq_import_eye_like(vq_onnx *o)
{
	vq_type t = *vq_onnx_in_type(o, 0);
	vq_elem elem = t.elem;
	int64_t k, to;

	if (!vq_onnx_attr_int(o, "k", 0, &k) || !vq_onnx_attr_int(o, "dtype", 0, &to))
		return false;
	if (t.rank != 2)
		return vq_onnx_refuse(o, "input has %u dimensions, expected 2", (unsigned)t.rank);
	if (to && (to < 0 || to > INT32_MAX || !vq_onnx_elem((int32_t)to, &elem)))
		return vq_onnx_refuse(o, "attribute 'dtype' is %" PRId64 ", which is not supported", to);
	return vq_onnx_out(o, 0, vq_onnx_cast(o, band(o, t.dim[0], t.dim[1], k, k), elem));
}

/* running sums of constant integers (position ids) along axis */
static vq_value sum_integers(vq_onnx *o, vq_value x, uint32_t axis, bool exclusive, bool reverse)
{
	vq_type t = *vq_type_of(o->g, x), wide = t;
	int64_t n = vq_type_count(&t), after = 1, dim = t.dim[axis];
	int64_t *v = VQ_ARRAY(o->arena, (size_t)n, int64_t);
	const int64_t *from;

	wide.elem = VQ_I64;
	x = vq_onnx_cast(o, x, VQ_I64);
	from = vq_onnx_data_of(o, x, VQ_I64);
	if (!from)
		return VQ_NO_VALUE;
	for (uint32_t i = axis + 1; i < t.rank; i++)
		after *= t.dim[i];
	for (int64_t line = 0; line < n / dim; line++) {
		int64_t base = line / after * after * dim + line % after;
		uint64_t sum = 0;

		for (int64_t k = 0; k < dim; k++) {
			int64_t at = base + (reverse ? dim - 1 - k : k) * after;

			v[at] = (int64_t)(exclusive ? sum : sum + (uint64_t)from[at]);
			sum += (uint64_t)from[at];
		}
	}
	return vq_onnx_cast(o, vq_add_const(o->g, &wide, v, NULL), t.elem);
}

/*
 * Running sums of integers at run time: every element gets the sum of the 1, 2, 4 … before it in turn. Positions are counted so from
 * the mask of padding (RoBERTa).
 */
static vq_value sum_at_run_time(vq_onnx *o, vq_value x, uint32_t axis, bool exclusive, bool reverse)
{
	int64_t n = vq_type_of(o->g, x)->dim[axis];

	for (int64_t step = exclusive ? 0 : 1; step < n; step = step ? 2 * step : 1) {
		int64_t by = step ? step : 1; /* exclusive: moved by one first */
		vq_attr a = { 0 };
		vq_value moved;

		if (by >= n)
			return vq_onnx_2(o, VQ_OP_MUL, x, vq_onnx_number(o, x, 0));
		moved = vq_onnx_slice(o, x, axis, reverse ? by : 0, 1, n - by);
		a.pad.before[axis] = reverse ? 0 : by;
		a.pad.after[axis] = reverse ? by : 0;
		moved = vq_onnx_build(o, VQ_OP_PAD, &moved, 1, &a);
		x = step ? vq_onnx_2(o, VQ_OP_ADD, x, moved) : moved;
	}
	return x;
}

/* running sums of floats: a product with a triangle of ones */
static vq_value sum_floats(vq_onnx *o, vq_value x, uint32_t axis, bool exclusive, bool reverse)
{
	vq_type t = *vq_type_of(o->g, x);
	int64_t n = t.dim[axis], perm[VQ_MAX_RANK];
	vq_value ones;

	for (uint32_t i = 0; i < t.rank; i++)
		perm[i] = i;
	perm[axis] = t.rank - 1;
	perm[t.rank - 1] = axis;
	/* y[j] is the sum of x[i] with i <= j; reverse: i >= j; exclusive: without i = j */
	ones = reverse ? band(o, n, n, -n, exclusive ? -1 : 0) : band(o, n, n, exclusive ? 1 : 0, n);
	x = vq_onnx_transpose(o, x, perm);
	if (t.rank == 1)
		x = vq_onnx_reshape(o, x, 2, (int64_t[]){ 1, n });
	x = vq_onnx_build(o, VQ_OP_MATMUL, (vq_value[]){ x, vq_onnx_cast(o, ones, VQ_F32) }, 2, &(vq_attr){ 0 });
	if (t.rank == 1)
		x = vq_onnx_reshape(o, x, 1, &n);
	return vq_onnx_transpose(o, x, perm);
}

bool vq_import_cum_sum(vq_onnx *o)
{
	vq_type t = *vq_onnx_in_type(o, 0);
	vq_value x = vq_onnx_in(o, 0);
	bool exclusive, reverse;
	int64_t axis_in;
	uint32_t axis;

	if (!vq_onnx_attr_bool(o, "exclusive", false, &exclusive) ||
		!vq_onnx_attr_bool(o, "reverse", false, &reverse) || !vq_onnx_int(o, 1, "axis", &axis_in) ||
		!vq_onnx_axis(o, axis_in, t.rank, &axis))
		return false;
	if (t.elem == VQ_F32)
		return vq_onnx_out(o, 0, sum_floats(o, x, axis, exclusive, reverse));
	if (t.elem != VQ_I64 && t.elem != VQ_I32)
		return vq_onnx_refuse(o, "input is %s, expected floats or integers", vq_type_text(o->arena, &t));
	if (!vq_is_const(o->g, x))
		return vq_onnx_out(o, 0, sum_at_run_time(o, x, axis, exclusive, reverse));
	return vq_onnx_out(o, 0, sum_integers(o, x, axis, exclusive, reverse));
}
