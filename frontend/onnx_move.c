/* SPDX-License-Identifier: MIT */
/* Importers of operators that change shapes: elements stay where they are in memory, or are repeated. */
#include "frontend/onnx_node.h"

#include <inttypes.h>
#include <string.h>

static vq_type type_of(vq_onnx *o, uint32_t i) { return *vq_onnx_in_type(o, i); }

/* Turns 0 and -1 of a Reshape's shape into sizes. count: elements there are. */
static bool resolve_reshape(vq_onnx *o, const vq_type *x, int64_t count, bool allow_zero, int64_t *dim, uint32_t n)
{
	int64_t known = 1;
	uint32_t unknown = n;

	for (uint32_t i = 0; i < n; i++) {
		if (dim[i] == 0 && !allow_zero) {
			if (i >= x->rank)
				return vq_onnx_refuse(o, "shape entry %u is 0 (copy), but the input has %u dimensions",
					(unsigned)i, (unsigned)x->rank);
			dim[i] = x->dim[i];
		}
		if (dim[i] == -1 && unknown == n)
			unknown = i;
		else if (dim[i] < 1)
			return vq_onnx_refuse(o, "shape entry %u is %" PRId64 "%s", (unsigned)i, dim[i],
				dim[i] == -1 ? " for the second time" : ", expected a size, 0 or -1");
		else if (dim[i] > INT64_MAX / known / 2)
			return vq_onnx_refuse(o, "the shape has too many elements");
		else
			known *= dim[i];
	}
	if (unknown == n)
		return true;
	if (count % known)
		return vq_onnx_refuse(o,
			"cannot infer the entry -1 of the shape: %" PRId64 " elements are no multiple of %" PRId64,
			count, known);
	dim[unknown] = count / known;
	return true;
}

/* no elements stay no elements */
static bool reshape_empty(vq_onnx *o, bool allow_zero, const int64_t *dim, uint32_t n)
{
	vq_type from = vq_onnx_input_name(o, 0)->empty, to = { .elem = from.elem, .rank = n };
	bool none = false;

	for (uint32_t i = 0; i < n; i++) {
		to.dim[i] = dim[i] == 0 && !allow_zero && i < from.rank ? from.dim[i] : dim[i] == -1 ? 0 : dim[i];
		none |= to.dim[i] == 0;
		if (to.dim[i] < 0)
			return vq_onnx_refuse(o, "shape entry %u is %" PRId64, (unsigned)i, dim[i]);
	}
	return none ? vq_onnx_out_empty(o, 0, &to)
		    : vq_onnx_refuse(o, "input 0 has no elements, but the result would have");
}

bool vq_import_reshape(vq_onnx *o)
{
	int64_t dim[VQ_MAX_RANK];
	uint32_t n;
	vq_type t;
	bool allow_zero;

	if (!vq_onnx_attr_bool(o, "allowzero", false, &allow_zero) ||
		!vq_onnx_ints(o, 1, "shape", dim, VQ_MAX_RANK, &n))
		return false;
	if (vq_onnx_empty(o, 0))
		return reshape_empty(o, allow_zero, dim, n);
	t = type_of(o, 0);
	return resolve_reshape(o, &t, vq_type_count(&t), allow_zero, dim, n) &&
		vq_onnx_out(o, 0, vq_onnx_reshape(o, vq_onnx_in(o, 0), n, dim));
}

bool vq_import_flatten(vq_onnx *o)
{
	vq_type t = type_of(o, 0);
	int64_t axis, dim[2] = { 1, 1 };

	if (!vq_onnx_attr_int(o, "axis", 1, &axis))
		return false;
	if (axis < 0)
		axis += t.rank;
	if (axis < 0 || axis > t.rank)
		return vq_onnx_refuse(o, "axis is outside of the input's %u dimensions", (unsigned)t.rank);
	for (uint32_t i = 0; i < t.rank; i++)
		dim[i >= axis] *= t.dim[i];
	return vq_onnx_out(o, 0, vq_onnx_reshape(o, vq_onnx_in(o, 0), 2, dim));
}

bool vq_import_squeeze(vq_onnx *o)
{
	uint32_t axes, rank = 0;
	int64_t dim[VQ_MAX_RANK];
	bool given;
	vq_type t;

	if (vq_onnx_empty(o, 0))
		return vq_onnx_refuse(o, "input 0 has no elements");
	t = type_of(o, 0);
	if (!vq_onnx_axes(o, 1, t.rank, &axes, &given))
		return false;
	for (uint32_t i = 0; i < t.rank; i++) {
		bool drop = given ? axes >> i & 1 : t.dim[i] == 1;

		if (drop && t.dim[i] != 1)
			return vq_onnx_refuse(o, "dimension %u is %" PRId64 ", expected 1", (unsigned)i, t.dim[i]);
		if (!drop)
			dim[rank++] = t.dim[i];
	}
	return vq_onnx_out(o, 0, vq_onnx_reshape(o, vq_onnx_in(o, 0), rank, dim));
}

bool vq_import_unsqueeze(vq_onnx *o)
{
	vq_type t = type_of(o, 0);
	int64_t list[VQ_MAX_RANK], dim[VQ_MAX_RANK];
	uint32_t n, axes = 0, rank, axis, from = 0;

	if (vq_onnx_has(o, 1) ? !vq_onnx_ints(o, 1, "axes", list, VQ_MAX_RANK, &n)
			      : !vq_onnx_attr_ints(o, "axes", list, VQ_MAX_RANK, &n))
		return false;
	/* axes count in the result */
	rank = t.rank + n;
	if (rank > VQ_MAX_RANK)
		return vq_onnx_refuse(
			o, "the result has %u dimensions, at most %d are supported", (unsigned)rank, VQ_MAX_RANK);
	for (uint32_t i = 0; i < n; i++) {
		if (!vq_onnx_axis(o, list[i], rank, &axis))
			return false;
		if (axes >> axis & 1)
			return vq_onnx_refuse(o, "axis %u is listed twice", (unsigned)axis);
		axes |= 1u << axis;
	}
	for (uint32_t i = 0; i < rank; i++)
		dim[i] = axes >> i & 1 ? 1 : t.dim[from++];
	return vq_onnx_out(o, 0, vq_onnx_reshape(o, vq_onnx_in(o, 0), rank, dim));
}

bool vq_import_transpose(vq_onnx *o)
{
	uint32_t rank = vq_onnx_in_type(o, 0)->rank, n;
	int64_t perm[VQ_MAX_RANK];

	if (!vq_onnx_attr_ints(o, "perm", perm, VQ_MAX_RANK, &n))
		return false;
	if (n && n != rank)
		return vq_onnx_refuse(o, "attribute 'perm' has %u entries, but the input has %u dimensions",
			(unsigned)n, (unsigned)rank);
	for (uint32_t i = 0; i < rank && !n; i++)
		perm[i] = rank - 1 - i;
	return vq_onnx_out(o, 0, vq_onnx_transpose(o, vq_onnx_in(o, 0), perm));
}

/* both sides broadcast: an entry 1 of the shape keeps the input's dimension */
bool vq_import_expand(vq_onnx *o)
{
	int64_t want[VQ_MAX_RANK], dim[VQ_MAX_RANK];
	uint32_t n, rank;
	vq_type t;

	if (vq_onnx_empty(o, 0))
		return vq_onnx_refuse(o, "input 0 has no elements");
	t = type_of(o, 0);
	if (!vq_onnx_ints(o, 1, "shape", want, VQ_MAX_RANK, &n))
		return false;
	rank = n > t.rank ? n : t.rank;
	for (uint32_t i = 0; i < rank; i++) {
		int64_t a = i < rank - t.rank ? 1 : t.dim[i - (rank - t.rank)],
			b = i < rank - n ? 1 : want[i - (rank - n)];

		if (b < 1 || (a != b && a != 1 && b != 1))
			return vq_onnx_refuse(
				o, "dimension %u is %" PRId64 " and cannot expand to %" PRId64, (unsigned)i, a, b);
		dim[i] = a == 1 ? b : a;
	}
	return vq_onnx_out(o, 0, vq_onnx_expand(o, vq_onnx_in(o, 0), rank, dim));
}

/* one axis at a time as [before, repeats, dim and after] */
bool vq_import_tile(vq_onnx *o)
{
	vq_type t = type_of(o, 0);
	int64_t repeats[VQ_MAX_RANK];
	vq_value x = vq_onnx_in(o, 0);
	uint32_t n;

	if (!vq_onnx_ints(o, 1, "repeats", repeats, VQ_MAX_RANK, &n))
		return false;
	if (n != t.rank)
		return vq_onnx_refuse(
			o, "repeats has %u entries, but the input has %u dimensions", (unsigned)n, (unsigned)t.rank);
	for (uint32_t i = 0; i < n; i++) {
		int64_t before = 1, rest = 1;

		if (repeats[i] < 1 || repeats[i] > INT32_MAX)
			return vq_onnx_refuse(o, "repeats has the entry %" PRId64 ", expected at least 1", repeats[i]);
		for (uint32_t k = 0; k < n; k++)
			*(k < i ? &before : &rest) *= t.dim[k];
		if (repeats[i] > 1) {
			x = vq_onnx_reshape(o, x, 3, (int64_t[]){ before, 1, rest });
			x = vq_onnx_expand(o, x, 3, (int64_t[]){ before, repeats[i], rest });
			if (!x.id) /* too large, for one */
				return false;
			t.dim[i] *= repeats[i];
			x = vq_onnx_reshape(o, x, t.rank, t.dim);
		}
		if (!x.id)
			return false;
	}
	return vq_onnx_out(o, 0, x);
}

/* ---- joining and cutting ---- */

enum { CONCAT_LIMIT = 64 }; /* operands of one IR concat */

bool vq_import_concat(vq_onnx *o)
{
	vq_value *in = VQ_ARRAY(o->arena, vq_onnx_inputs(o), vq_value);
	uint32_t n = 0, axis;
	vq_attr attr = { 0 };

	for (uint32_t i = 0; i < vq_onnx_inputs(o); i++)
		if (vq_onnx_in(o, i).id)
			in[n++] = vq_onnx_in(o, i);
	if (!n) {
		int64_t ignored;

		return vq_onnx_attr_int(o, "axis", 0, &ignored) && vq_onnx_out_same(o, 0, 0);
	}
	if (!vq_onnx_attr_axis(o, 0, vq_type_of(o->g, in[0])->rank, &axis))
		return false;
	attr.axis.axis = (int32_t)axis;
	while (n > 1) {
		uint32_t groups = 0;

		for (uint32_t i = 0; i < n; i += CONCAT_LIMIT)
			in[groups++] = vq_onnx_build(
				o, VQ_OP_CONCAT, in + i, n - i < CONCAT_LIMIT ? n - i : CONCAT_LIMIT, &attr);
		n = groups;
	}
	return vq_onnx_out(o, 0, in[0]);
}

static bool split_nothing(vq_onnx *o, uint32_t output, vq_type t, uint32_t axis)
{
	t.dim[axis] = 0;
	return vq_onnx_out_empty(o, output, &t);
}

bool vq_import_split(vq_onnx *o)
{
	uint32_t n_out = (uint32_t)o->node->n_output, n = 0, axis;
	int64_t *size = VQ_ARRAY(o->arena, n_out, int64_t), parts, at = 0;
	vq_type t = type_of(o, 0);

	if (!vq_onnx_attr_axis(o, 0, t.rank, &axis) || !vq_onnx_attr_int(o, "num_outputs", n_out, &parts))
		return false;
	if (vq_onnx_has(o, 1) ? !vq_onnx_ints(o, 1, "split", size, n_out, &n)
			      : !vq_onnx_attr_ints(o, "split", size, n_out, &n))
		return false;
	if (n && n != n_out)
		return vq_onnx_refuse(
			o, "split has %u entries, but there are %u outputs", (unsigned)n, (unsigned)n_out);
	if (!n && (parts != n_out || !n_out))
		return vq_onnx_refuse(
			o, "attribute 'num_outputs' is %" PRId64 ", but there are %u outputs", parts, (unsigned)n_out);
	/* equal parts; from operator set 18 the last one may be smaller */
	for (uint32_t i = 0; i < n_out && !n; i++) {
		int64_t part = (t.dim[axis] + n_out - 1) / n_out;

		size[i] = i + 1 < n_out ? part : t.dim[axis] - part * (n_out - 1);
		if (size[i] != part && o->model->opset < 18)
			return vq_onnx_refuse(o, "dimension %u is %" PRId64 ", which %u outputs do not divide",
				(unsigned)axis, t.dim[axis], (unsigned)n_out);
	}
	for (uint32_t i = 0; i < n_out; i++) {
		if (size[i] < 0 || size[i] > t.dim[axis] - at)
			return vq_onnx_refuse(o,
				"output %u takes %" PRId64 " of the %" PRId64 " elements left in dimension %u",
				(unsigned)i, size[i], t.dim[axis] - at, (unsigned)axis);
		if (size[i] ? !vq_onnx_out(o, i, vq_onnx_slice(o, vq_onnx_in(o, 0), axis, at, 1, size[i]))
			    : !split_nothing(o, i, t, axis))
			return false;
		at += size[i];
	}
	return at == t.dim[axis] ||
		vq_onnx_refuse(o, "split adds up to %" PRId64 ", but dimension %u is %" PRId64, at, (unsigned)axis,
			t.dim[axis]);
}

static int64_t clamp(int64_t v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : v; }

/* ONNX's clamping rules; exporters write INT64_MAX and INT64_MIN + 1 for the ends */
static int64_t slice_count(int64_t dim, int64_t step, int64_t *start, int64_t end)
{
	bool back = step < 0;

	*start = clamp(*start < 0 ? *start + dim : *start, 0, back ? dim - 1 : dim);
	end = clamp(end < 0 ? end + dim : end, back ? -1 : 0, dim);
	if (back ? end >= *start : end <= *start)
		return 0;
	if (back)
		return step < -dim ? 1 : (*start - end - 1) / -step + 1;
	return step > dim ? 1 : (end - *start - 1) / step + 1;
}

bool vq_import_slice(vq_onnx *o)
{
	int64_t start[VQ_MAX_RANK], end[VQ_MAX_RANK], axes[VQ_MAX_RANK], step[VQ_MAX_RANK];
	uint32_t n, n_end, n_axes, n_step, axis, had = 0;
	vq_value x = vq_onnx_in(o, 0);
	vq_type t = type_of(o, 0);
	vq_attr attr = { 0 };
	bool empty = false;

	if (!vq_onnx_ints(o, 1, "starts", start, VQ_MAX_RANK, &n) ||
		!vq_onnx_ints(o, 2, "ends", end, VQ_MAX_RANK, &n_end))
		return false;
	n_axes = n_step = n;
	for (uint32_t i = 0; i < n; i++) {
		axes[i] = i;
		step[i] = 1;
	}
	if (vq_onnx_has(o, 3) && !vq_onnx_ints(o, 3, "axes", axes, VQ_MAX_RANK, &n_axes))
		return false;
	if (vq_onnx_has(o, 4) && !vq_onnx_ints(o, 4, "steps", step, VQ_MAX_RANK, &n_step))
		return false;
	if (n_end != n || n_axes != n || n_step != n)
		return vq_onnx_refuse(o, "starts, ends, axes and steps have %u, %u, %u and %u entries", (unsigned)n,
			(unsigned)n_end, (unsigned)n_axes, (unsigned)n_step);
	for (uint32_t i = 0; i < t.rank; i++) {
		attr.slice.step[i] = 1;
		attr.slice.count[i] = t.dim[i];
	}
	for (uint32_t i = 0; i < n; i++) {
		if (!vq_onnx_axis(o, axes[i], t.rank, &axis))
			return false;
		if (had >> axis & 1 || !step[i])
			return vq_onnx_refuse(
				o, step[i] ? "axis %u is listed twice" : "the step of axis %u is 0", (unsigned)axis);
		had |= 1u << axis;
		attr.slice.count[axis] = slice_count(t.dim[axis], step[i], &start[i], end[i]);
		attr.slice.start[axis] = start[i];
		attr.slice.step[axis] = attr.slice.count[axis] > 1 ? step[i] : 1;
		empty |= !attr.slice.count[axis];
	}
	if (empty) {
		memcpy(t.dim, attr.slice.count, sizeof t.dim);
		return vq_onnx_out_empty(o, 0, &t);
	}
	return vq_onnx_out(o, 0, vq_onnx_build(o, VQ_OP_SLICE, &x, 1, &attr));
}

/* ---- picking ---- */

/* constant indices without negative entries; the value itself if it is no constant */
static bool normal_indices(vq_onnx *o, vq_value index, int64_t dim, vq_value *result)
{
	vq_type t = *vq_type_of(o->g, index);
	const void *data = o->g->value[index.id].data;
	int64_t n = vq_type_count(&t), *v;
	bool negative = false;

	*result = index;
	if (!vq_is_const(o->g, index) || (t.elem != VQ_I64 && t.elem != VQ_I32))
		return true;
	v = VQ_ARRAY(o->arena, (size_t)n, int64_t);
	for (int64_t i = 0; i < n; i++) {
		v[i] = t.elem == VQ_I64 ? ((const int64_t *)data)[i] : ((const int32_t *)data)[i];
		negative |= v[i] < 0;
		if (v[i] < -dim || v[i] >= dim)
			return vq_onnx_refuse(o,
				"index %" PRId64 " at position %" PRId64 " is outside of %" PRId64 " to %" PRId64, v[i],
				i, -dim, dim - 1);
		v[i] += v[i] < 0 ? dim : 0;
	}
	t.elem = VQ_I64;
	if (negative)
		*result = vq_add_const(o->g, &t, v, NULL);
	return true;
}

bool vq_import_gather(vq_onnx *o)
{
	vq_value index;
	vq_attr attr = { 0 };
	uint32_t axis;

	if (!vq_onnx_attr_axis(o, 0, vq_onnx_in_type(o, 0)->rank, &axis) ||
		!normal_indices(o, vq_onnx_in(o, 1), vq_onnx_in_type(o, 0)->dim[axis], &index))
		return false;
	attr.axis.axis = (int32_t)axis;
	return vq_onnx_out(o, 0, vq_onnx_build(o, VQ_OP_GATHER, (vq_value[]){ vq_onnx_in(o, 0), index }, 2, &attr));
}

/* ---- Pad ---- */

enum { PICK_LIMIT = 1 << 24 }; /* entries of a list of indices */

/* which element of [0, dim) stands at position i, possibly outside of it */
static int64_t source_of(int64_t i, int64_t dim, const char *mode)
{
	if (!strcmp(mode, "edge"))
		return clamp(i, 0, dim - 1);
	if (!strcmp(mode, "wrap"))
		return (i % dim + dim) % dim;
	if (dim == 1)
		return 0;
	i = (i % (2 * dim - 2) + 2 * dim - 2) % (2 * dim - 2);
	return i < dim ? i : 2 * dim - 2 - i;
}

static vq_value pad_by_picking(vq_onnx *o, vq_value x, uint32_t axis, int64_t before, int64_t after, const char *mode)
{
	int64_t dim = vq_type_of(o->g, x)->dim[axis], n = before + dim + after;
	int64_t *index;

	if (n > PICK_LIMIT) {
		vq_onnx_refuse(
			o, "dimension %u would be %" PRId64 ", expected at most %d", (unsigned)axis, n, PICK_LIMIT);
		return VQ_NO_VALUE;
	}
	index = VQ_ARRAY(o->arena, (size_t)n, int64_t);
	for (int64_t i = 0; i < n; i++)
		index[i] = source_of(i - before, dim, mode);
	return vq_onnx_gather(o, x, axis, index, (uint32_t)n);
}

static vq_value pad_with_constant(vq_onnx *o, vq_value x, const int64_t *before, const int64_t *after)
{
	vq_type t = *vq_type_of(o->g, x);
	vq_attr attr = { 0 };
	float fill = 0;
	int64_t number = 0;
	vq_value fill_in = vq_onnx_in(o, 2);

	for (uint32_t i = 0; i < t.rank; i++) {
		attr.pad.before[i] = before[i];
		attr.pad.after[i] = after[i];
	}
	if (fill_in.id && t.elem == VQ_F32) {
		if (!vq_onnx_float(o, 2, "constant_value", &fill))
			return VQ_NO_VALUE;
	} else if (fill_in.id && (t.elem == VQ_I64 || t.elem == VQ_I32)) {
		if (!vq_onnx_int(o, 2, "constant_value", &number))
			return VQ_NO_VALUE;
		fill = (float)number;
		if (number > 1 << 24 || number < -(1 << 24)) {
			vq_onnx_refuse(o, "the constant %" PRId64 " is too large, expected at most 2^24", number);
			return VQ_NO_VALUE;
		}
	} else if (fill_in.id) {
		const uint8_t *byte = vq_onnx_data_of(o, fill_in, t.elem);

		if (!byte) {
			vq_onnx_refuse(o, "the constant is not of the input's type");
			return VQ_NO_VALUE;
		}
		fill = t.elem == VQ_S8 ? (float)(int8_t)*byte : (float)*byte;
	}
	attr.pad.value = fill;
	return vq_onnx_build(o, VQ_OP_PAD, &x, 1, &attr);
}

/* pads of the node per dimension; negative ones cut */
static bool read_pads(vq_onnx *o, uint32_t rank, int64_t *before, int64_t *after)
{
	int64_t pads[2 * VQ_MAX_RANK], axes[VQ_MAX_RANK];
	uint32_t n, n_axes = rank, axis;

	if (!vq_onnx_ints(o, 1, "pads", pads, 2 * VQ_MAX_RANK, &n))
		return false;
	for (uint32_t i = 0; i < rank; i++)
		axes[i] = i;
	if (vq_onnx_has(o, 3) && !vq_onnx_ints(o, 3, "axes", axes, VQ_MAX_RANK, &n_axes))
		return false;
	if (n != 2 * n_axes)
		return vq_onnx_refuse(o, "pads has %u entries, expected %u", (unsigned)n, 2 * (unsigned)n_axes);
	for (uint32_t i = 0; i < n_axes; i++) {
		if (!vq_onnx_axis(o, axes[i], rank, &axis))
			return false;
		before[axis] = pads[i];
		after[axis] = pads[n_axes + i];
		for (uint32_t k = 0; k < 2; k++)
			if (pads[i + k * n_axes] > INT32_MAX / 4 || pads[i + k * n_axes] < -INT32_MAX / 4)
				return vq_onnx_refuse(o, "pads has the entry %" PRId64, pads[i + k * n_axes]);
	}
	return true;
}

bool vq_import_pad(vq_onnx *o)
{
	int64_t before[VQ_MAX_RANK] = { 0 }, after[VQ_MAX_RANK] = { 0 };
	vq_value x = vq_onnx_in(o, 0);
	vq_type t = type_of(o, 0);
	const char *mode;

	if (!vq_onnx_attr_string(o, "mode", "constant", &mode) || !read_pads(o, t.rank, before, after))
		return false;
	for (uint32_t i = 0; i < t.rank; i++) {
		int64_t cut = -clamp(before[i], INT64_MIN + 1, 0),
			left = t.dim[i] - cut + clamp(after[i], INT64_MIN + 1, 0);

		if (left < 1)
			return vq_onnx_refuse(o, "negative pads leave no elements in dimension %u", (unsigned)i);
		x = vq_onnx_slice(o, x, i, cut, 1, left);
		before[i] = clamp(before[i], 0, INT64_MAX);
		after[i] = clamp(after[i], 0, INT64_MAX);
	}
	if (!strcmp(mode, "constant"))
		return vq_onnx_out(o, 0, x.id ? pad_with_constant(o, x, before, after) : x);
	if (strcmp(mode, "edge") && strcmp(mode, "reflect") && strcmp(mode, "wrap"))
		return vq_onnx_refuse(o, "attribute 'mode' is '%s', expected constant, edge, reflect or wrap", mode);
	for (uint32_t i = 0; i < t.rank; i++)
		if (x.id && (before[i] || after[i]))
			x = pad_by_picking(o, x, i, before[i], after[i], mode);
	return vq_onnx_out(o, 0, x);
}

/* ---- blocks ---- */

static bool read_block(vq_onnx *o, int64_t *block)
{
	if (vq_onnx_in_type(o, 0)->rank != 4)
		return vq_onnx_refuse(o, "input has %u dimensions, expected 4", (unsigned)vq_onnx_in_type(o, 0)->rank);
	if (!vq_onnx_attr_int(o, "blocksize", 0, block))
		return false;
	return (*block >= 1 && *block <= 1 << 15) || vq_onnx_refuse(o, "attribute 'blocksize' is %" PRId64, *block);
}

bool vq_import_depth_to_space(vq_onnx *o)
{
	vq_type t = type_of(o, 0);
	vq_value x = vq_onnx_in(o, 0);
	const char *mode;
	int64_t b;

	if (!read_block(o, &b) || !vq_onnx_attr_string(o, "mode", "DCR", &mode))
		return false;
	if (t.dim[1] % (b * b))
		return vq_onnx_refuse(
			o, "%" PRId64 " channels are no multiple of the block's %" PRId64, t.dim[1], b * b);
	if (!strcmp(mode, "DCR")) {
		x = vq_onnx_reshape(o, x, 6, (int64_t[]){ t.dim[0], b, b, t.dim[1] / (b * b), t.dim[2], t.dim[3] });
		x = vq_onnx_transpose(o, x, (int64_t[]){ 0, 3, 4, 1, 5, 2 });
	} else if (!strcmp(mode, "CRD")) {
		x = vq_onnx_reshape(o, x, 6, (int64_t[]){ t.dim[0], t.dim[1] / (b * b), b, b, t.dim[2], t.dim[3] });
		x = vq_onnx_transpose(o, x, (int64_t[]){ 0, 1, 4, 2, 5, 3 });
	} else {
		return vq_onnx_refuse(o, "attribute 'mode' is '%s', expected DCR or CRD", mode);
	}
	return vq_onnx_out(o, 0,
		vq_onnx_reshape(o, x, 4, (int64_t[]){ t.dim[0], t.dim[1] / (b * b), t.dim[2] * b, t.dim[3] * b }));
}

bool vq_import_space_to_depth(vq_onnx *o)
{
	vq_type t = type_of(o, 0);
	vq_value x = vq_onnx_in(o, 0);
	const char *mode;
	int64_t b;

	if (!read_block(o, &b) || !vq_onnx_attr_string(o, "mode", "DCR", &mode))
		return false;
	if (strcmp(mode, "DCR") && strcmp(mode, "CRD"))
		return vq_onnx_refuse(o, "attribute 'mode' is '%s', expected DCR or CRD", mode);
	if (t.dim[2] % b || t.dim[3] % b)
		return vq_onnx_refuse(o, "the image of %" PRId64 "x%" PRId64 " is no multiple of the block of %" PRId64,
			t.dim[2], t.dim[3], b);
	x = vq_onnx_reshape(o, x, 6, (int64_t[]){ t.dim[0], t.dim[1], t.dim[2] / b, b, t.dim[3] / b, b });
	x = vq_onnx_transpose(o, x, *mode == 'D' ? (int64_t[]){ 0, 3, 5, 1, 2, 4 } : (int64_t[]){ 0, 1, 3, 5, 2, 4 });
	return vq_onnx_out(
		o, 0, vq_onnx_reshape(o, x, 4, (int64_t[]){ t.dim[0], t.dim[1] * b * b, t.dim[2] / b, t.dim[3] / b }));
}
