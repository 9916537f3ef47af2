/* SPDX-License-Identifier: MIT */
/*
 * Importers of indexing with constant indices, gathers and scatters: where every element comes from is known now, so each is a
 * gather of a flat tensor, and a scatter one that picks from the data and the updates.
 */
#include "frontend/onnx_node.h"

#include <inttypes.h>
#include <string.h>

enum {
	ROUNDS = 64,           /* updates of one element by a scatter with a reduction */
	LIST_LIMIT = 64 << 20, /* places that are listed */
	MOST_STEPS = 1 << 20,  /* along a dimension, by indices of run time */
	MOST_COMPARED = 16,    /* indices of run time along an axis: a comparison of everything each */
};

/* Constant indices of input i as int64, NULL after an error. */
static const int64_t *indices(vq_onnx *o, uint32_t i)
{
	vq_value v = vq_onnx_in(o, i), wide;

	if (!vq_is_const(o->g, v)) {
		vq_onnx_refuse(o, "input %u '%s' (indices) is computed at run time, expected a constant", (unsigned)i,
			o->node->input[i]);
		return NULL;
	}
	wide = vq_onnx_cast(o, v, VQ_I64);
	return vq_onnx_data_of(o, wide, VQ_I64);
}

static bool in_range(vq_onnx *o, int64_t *at, int64_t size, uint32_t d)
{
	if (*at < -size || *at >= size)
		return vq_onnx_refuse(
			o, "index %" PRId64 " is outside of dimension %u of size %" PRId64, *at, (unsigned)d, size);
	*at += *at < 0 ? size : 0;
	return true;
}

static vq_value flat(vq_onnx *o, vq_value x)
{
	return vq_onnx_reshape(o, x, 1, (int64_t[]){ vq_type_count(vq_type_of(o->g, x)) });
}

/* elements `from` of flat x in the shape of t */
static vq_value take(vq_onnx *o, vq_value x, const int64_t *from, const vq_type *t)
{
	int64_t n = vq_type_count(t);

	if (n > UINT32_MAX) {
		vq_onnx_refuse(o, "there are too many indices");
		return VQ_NO_VALUE;
	}
	return vq_onnx_reshape(o, vq_onnx_gather(o, x, 0, from, (uint32_t)n), t->rank, t->dim);
}

/* ---- scatters ---- */

static bool read_reduction(vq_onnx *o, vq_op *op)
{
	/* clang-format off */
	static const struct { const char *name; vq_op op; } known[] = {
		{ "none", VQ_OP_NONE }, { "add", VQ_OP_ADD }, { "mul", VQ_OP_MUL }, { "min", VQ_OP_MIN }, { "max", VQ_OP_MAX },
	};
	const char *mode;
	/* clang-format on */

	*op = VQ_OP_NONE;
	if (!vq_onnx_attr_string(o, "reduction", "none", &mode))
		return false;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (!strcmp(mode, known[i].name)) {
			*op = known[i].op;
			return true;
		}
	return vq_onnx_refuse(o, "attribute 'reduction' is '%s', expected none, add, mul, min or max", mode);
}

/*
 * data with element to[i] replaced by, or reduced with, element i of updates. Without a reduction the last update of an element
 * counts. With one, every round takes the next update of each element; those that have none keep their value.
 */
static vq_value scatter(vq_onnx *o, vq_value data, const int64_t *to, vq_value updates, int64_t n, vq_op op)
{
	vq_type t = *vq_type_of(o->g, data);
	int64_t count = vq_type_count(&t), *from;
	bool *done, *taken, more = n > 0;
	vq_value x = data;

	if (count > LIST_LIMIT) {
		vq_onnx_refuse(o, "the data has %" PRId64 " elements, expected at most %d", count, LIST_LIMIT);
		return VQ_NO_VALUE;
	}
	from = VQ_ARRAY(o->arena, (size_t)count, int64_t);
	done = VQ_ARRAY(o->arena, (size_t)n, bool);
	taken = VQ_ARRAY(o->arena, (size_t)count, bool);
	for (int round = 0; more; round++) {
		vq_value both, next;

		if (round == ROUNDS || count > LIST_LIMIT / (round + 1)) {
			vq_onnx_refuse(o, "an element of %" PRId64 " has more than %d updates", count, round);
			return VQ_NO_VALUE;
		}
		more = false;
		for (int64_t k = 0; k < count; k++) {
			from[k] = k;
			taken[k] = false;
		}
		for (int64_t i = 0; i < n; i++) {
			if (done[i])
				continue;
			if (op && taken[to[i]]) {
				more = true;
				continue;
			}
			taken[to[i]] = done[i] = true;
			from[to[i]] = count + i;
		}
		both = vq_onnx_build(
			o, VQ_OP_CONCAT, (vq_value[]){ flat(o, x), flat(o, updates) }, 2, &(vq_attr){ .axis = { 0 } });
		next = take(o, both, from, &t);
		if (op) {
			vq_type mask = vq_type_make(VQ_BOOL, t.rank, t.dim);
			vq_value new_ = vq_add_const_copy(o->g, &mask, taken, NULL);

			_Static_assert(sizeof(bool) == 1, "bool elements are bytes");
			next = vq_onnx_3(o, VQ_OP_WHERE, new_, vq_onnx_2(o, op, x, next), x);
		}
		if (!next.id)
			return next;
		x = next;
	}
	return x;
}

/* The flat offsets, in slices of data's dimensions behind `batch` and the tuple's, that the index tuples name. NULL after an error. */
static int64_t *tuple_offsets(
	vq_onnx *o, const vq_type *data, const vq_type *index, const int64_t *tuple, uint32_t batch)
{
	int64_t width = index->rank ? index->dim[index->rank - 1] : 0, n, per_batch = 1, *offset;

	if (width < 1 || width > data->rank - batch || batch >= index->rank) {
		vq_onnx_refuse(o, "index tuples have %" PRId64 " entries, but the data has %u dimensions", width,
			(unsigned)(data->rank - batch));
		return NULL;
	}
	n = vq_type_count(index) / width;
	for (uint32_t i = batch; i + 1 < index->rank; i++)
		per_batch *= index->dim[i];
	offset = VQ_ARRAY(o->arena, (size_t)n, int64_t);
	for (int64_t i = 0; i < n; i++) {
		offset[i] = i / per_batch; /* the batch dimensions, which both share */
		for (uint32_t k = 0; k < width; k++) {
			int64_t at = tuple[i * width + k], size = data->dim[batch + k];

			if (!in_range(o, &at, size, batch + k))
				return NULL;
			offset[i] = offset[i] * size + at;
		}
	}
	return offset;
}

/* offsets of slices as those of their elements */
static int64_t *spread(vq_onnx *o, const int64_t *offset, int64_t n, int64_t slice)
{
	int64_t *at = VQ_ARRAY(o->arena, (size_t)(n * slice), int64_t);

	for (int64_t i = 0; i < n * slice; i++)
		at[i] = offset[i / slice] * slice + i % slice;
	return at;
}

bool vq_import_scatter_nd(vq_onnx *o)
{
	vq_type t = *vq_onnx_in_type(o, 0), ti = *vq_onnx_in_type(o, 1), tu = *vq_onnx_in_type(o, 2);
	const int64_t *tuple = indices(o, 1);
	int64_t *offset, n, slice = 1;
	vq_op op;

	if (!tuple || !read_reduction(o, &op))
		return false;
	offset = tuple_offsets(o, &t, &ti, tuple, 0);
	if (!offset)
		return false;
	n = vq_type_count(&ti) / ti.dim[ti.rank - 1];
	for (int64_t i = ti.dim[ti.rank - 1]; i < t.rank; i++)
		slice *= t.dim[i];
	if (n > LIST_LIMIT / slice)
		return vq_onnx_refuse(o, "%" PRId64 " updates of %" PRId64 " elements each are too many", n, slice);
	if (tu.elem != t.elem || vq_type_count(&tu) != n * slice)
		return vq_onnx_refuse(o, "updates are %s, expected %" PRId64 " elements of %s",
			vq_type_text(o->arena, &tu), n * slice, vq_elem_name(t.elem));
	return vq_onnx_out(
		o, 0, scatter(o, vq_onnx_in(o, 0), spread(o, offset, n, slice), vq_onnx_in(o, 2), n * slice, op));
}

/* element j of every tuple of indices; what concat put there tells more about its range than a slice */
static vq_value member(vq_onnx *o, vq_value tuples, int64_t j)
{
	const vq_node_info *n = &o->g->node[vq_def_of(o->g, tuples).id];
	vq_type t = *vq_type_of(o->g, tuples);
	vq_value v;

	if (n->op == VQ_OP_CONCAT && n->attr.axis.axis + 1 == (int32_t)t.rank && n->n_in == t.dim[t.rank - 1])
		v = n->in[j];
	else
		v = vq_onnx_slice(o, tuples, t.rank - 1, j, 1, 1);
	return vq_onnx_reshape(o, vq_onnx_cast(o, v, VQ_I64), t.rank - 1, t.dim);
}

/* Indices that are computed when the model runs: each tuple is one into the flattened leading dimensions. */
static bool gather_nd_at_run_time(vq_onnx *o, int64_t batch)
{
	vq_type t = *vq_onnx_in_type(o, 0), ti = *vq_onnx_in_type(o, 1);
	int64_t dim[VQ_MAX_RANK], width = ti.rank ? ti.dim[ti.rank - 1] : 0, step = 1;
	vq_value at = VQ_NO_VALUE, part;
	uint32_t rank = 0;

	if (batch)
		return vq_onnx_refuse(o,
			"input 1 '%s' (indices) is computed at run time, expected a constant where there are "
			"batch dimensions",
			o->node->input[1]);
	if (width < 1 || width > t.rank)
		return vq_onnx_refuse(
			o, "indices are tuples of %" PRId64 ", but data has %u dimensions", width, (unsigned)t.rank);
	for (int64_t j = width; j-- > 0; step *= t.dim[j]) {
		if (t.dim[j] == 1 && (at.id || j))
			continue; /* 0, or -1, which is the same */
		part = member(o, vq_onnx_in(o, 1), j);
		if (step > 1)
			part = vq_onnx_2(
				o, VQ_OP_MUL, part, vq_onnx_reshape(o, vq_const_i64s(o->g, &step, 1), 0, NULL));
		at = at.id ? vq_onnx_2(o, VQ_OP_ADD, at, part) : part;
	}
	dim[rank++] = step;
	for (uint32_t i = (uint32_t)width; i < t.rank; i++)
		dim[rank++] = t.dim[i];
	return vq_onnx_out(o, 0,
		vq_onnx_build(o, VQ_OP_GATHER, (vq_value[]){ vq_onnx_reshape(o, vq_onnx_in(o, 0), rank, dim), at }, 2,
			&(vq_attr){ .axis = { .axis = 0 } }));
}

/* a gather of slices, from the flattened leading dimensions */
bool vq_import_gather_nd(vq_onnx *o)
{
	vq_type t = *vq_onnx_in_type(o, 0), ti = *vq_onnx_in_type(o, 1);
	int64_t *offset, dim[2 * VQ_MAX_RANK], width, n, batch;
	const int64_t *tuple;
	uint32_t rank = 0;
	vq_value x;

	if (!vq_onnx_attr_int(o, "batch_dims", 0, &batch))
		return false;
	if (!vq_is_const(o->g, vq_onnx_in(o, 1)))
		return gather_nd_at_run_time(o, batch);
	tuple = indices(o, 1);
	if (!tuple)
		return false;
	if (batch < 0 || batch >= t.rank || batch >= ti.rank)
		return vq_onnx_refuse(o,
			"attribute 'batch_dims' is %" PRId64 ", but data and indices have %u and %u dimensions", batch,
			(unsigned)t.rank, (unsigned)ti.rank);
	for (uint32_t i = 0; i < batch; i++)
		if (t.dim[i] != ti.dim[i])
			return vq_onnx_refuse(o,
				"batch dimension %u is %" PRId64 " in the data, %" PRId64 " in the indices",
				(unsigned)i, t.dim[i], ti.dim[i]);
	offset = tuple_offsets(o, &t, &ti, tuple, (uint32_t)batch);
	if (!offset)
		return false;
	width = batch + ti.dim[ti.rank - 1];
	n = vq_type_count(&ti) / ti.dim[ti.rank - 1];
	if (n > UINT32_MAX)
		return vq_onnx_refuse(o, "there are too many indices");
	dim[rank++] = 1;
	for (uint32_t i = 0; i < width; i++)
		dim[0] *= t.dim[i];
	for (uint32_t i = (uint32_t)width; i < t.rank; i++)
		dim[rank++] = t.dim[i];
	x = vq_onnx_gather(o, vq_onnx_reshape(o, vq_onnx_in(o, 0), rank, dim), 0, offset, (uint32_t)n);
	rank = 0;
	for (uint32_t i = 0; i + 1 < ti.rank; i++)
		dim[rank++] = ti.dim[i];
	for (uint32_t i = (uint32_t)width; i < t.rank; i++)
		dim[rank++] = t.dim[i];
	return vq_onnx_out(o, 0, vq_onnx_reshape(o, x, rank, dim));
}

/* ---- element by element along an axis ---- */

/* Flat offsets into data: index position by position, but for the axis, where it is the index. NULL after an error. */
static int64_t *axis_offsets(vq_onnx *o, const vq_type *data, const vq_type *index, const int64_t *at, uint32_t axis)
{
	int64_t n = vq_type_count(index), *offset = VQ_ARRAY(o->arena, (size_t)n, int64_t);

	for (uint32_t d = 0; d < data->rank; d++)
		if (index->rank != data->rank || (d != axis && index->dim[d] > data->dim[d])) {
			vq_onnx_refuse(o, "indices are %s, which is not within %s", vq_type_text(o->arena, index),
				vq_type_text(o->arena, data));
			return NULL;
		}
	for (int64_t i = 0; i < n; i++) {
		int64_t rest = i, stride = 1;

		for (uint32_t d = data->rank; d-- > 0; rest /= index->dim[d]) {
			int64_t place = rest % index->dim[d];

			if (d == axis) {
				place = at[i];
				if (!in_range(o, &place, data->dim[d], d))
					return NULL;
			}
			offset[i] += place * stride;
			stride *= data->dim[d];
		}
	}
	return offset;
}

/* 0, step, 2 step … along a dimension that `behind` others follow */
static vq_value steps(vq_onnx *o, int64_t n, int64_t step, uint32_t behind)
{
	int64_t *v = VQ_ARRAY(o->arena, (size_t)n, int64_t), dim[VQ_MAX_RANK] = { n };

	for (int64_t i = 0; i < n; i++)
		v[i] = i * step;
	for (uint32_t d = 1; d <= behind; d++)
		dim[d] = 1;
	return vq_onnx_reshape(o, vq_const_i64s(o->g, v, (uint32_t)n), behind + 1, dim);
}

/*
 * A lookup in multiples of the axis's stride checks the index and says what it can be; with the offsets of the other dimensions it is
 * an index into the flattened data, of which that proves that it lies inside.
 */
static bool gather_elements_at_run_time(vq_onnx *o, const vq_type *t, const vq_type *ti, uint32_t axis)
{
	bool fits = (ti->elem == VQ_I64 || ti->elem == VQ_I32) && ti->rank == t->rank && t->dim[axis] <= MOST_STEPS &&
		vq_type_count(t) <= 1 << 30;
	int64_t stride[VQ_MAX_RANK], next = 1;
	vq_value at;

	for (uint32_t d = t->rank; fits && d-- > 0; next *= t->dim[d]) {
		fits = d == axis || (ti->dim[d] <= t->dim[d] && ti->dim[d] <= MOST_STEPS);
		stride[d] = next;
	}
	if (!fits)
		return vq_onnx_refuse(o,
			"indices computed at run time are %s for data of %s, expected integers within it and at most %d along a dimension",
			vq_type_text(o->arena, ti), vq_type_text(o->arena, t), MOST_STEPS);
	at = steps(o, t->dim[axis], stride[axis], 0);
	at = vq_onnx_build(
		o, VQ_OP_GATHER, (vq_value[]){ at, vq_onnx_in(o, 1) }, 2, &(vq_attr){ .axis = { .axis = 0 } });
	for (uint32_t d = 0; d < t->rank; d++)
		if (d != axis && ti->dim[d] > 1)
			at = vq_onnx_2(o, VQ_OP_ADD, at, steps(o, ti->dim[d], stride[d], t->rank - 1 - d));
	return vq_onnx_out(o, 0,
		vq_onnx_build(o, VQ_OP_GATHER, (vq_value[]){ flat(o, vq_onnx_in(o, 0)), at }, 2,
			&(vq_attr){ .axis = { .axis = 0 } }));
}

bool vq_import_gather_elements(vq_onnx *o)
{
	vq_type t = *vq_onnx_in_type(o, 0), ti = *vq_onnx_in_type(o, 1);
	const int64_t *at;
	int64_t *offset;
	uint32_t axis;

	if (!vq_onnx_attr_axis(o, 0, t.rank, &axis))
		return false;
	/* indices into one row are those of Gather (token types of RoBERTa) */
	if (!vq_is_const(o->g, vq_onnx_in(o, 1)) && vq_type_count(&t) == t.dim[axis] && ti.rank == t.rank &&
		(ti.elem == VQ_I64 || ti.elem == VQ_I32) && vq_type_count(&ti) == ti.dim[axis])
		return vq_onnx_out(o, 0,
			vq_onnx_build(o, VQ_OP_GATHER, (vq_value[]){ flat(o, vq_onnx_in(o, 0)), vq_onnx_in(o, 1) }, 2,
				&(vq_attr){ .axis = { 0 } }));
	if (!vq_is_const(o->g, vq_onnx_in(o, 1)))
		return gather_elements_at_run_time(o, &t, &ti, axis);
	at = indices(o, 1);
	if (!at)
		return false;
	offset = axis_offsets(o, &t, &ti, at, axis);
	return offset && vq_onnx_out(o, 0, take(o, flat(o, vq_onnx_in(o, 0)), offset, &ti));
}

/* 0, 1, 2 … along axis of a tensor of this rank */
static vq_value places(vq_onnx *o, int64_t n, uint32_t axis, uint32_t rank)
{
	int64_t dim[VQ_MAX_RANK];
	vq_type t = vq_type_make(VQ_F32, 1, &n);
	float *v = VQ_ARRAY(o->arena, (size_t)n, float);

	for (int64_t i = 0; i < n; i++)
		v[i] = (float)i;
	for (uint32_t i = axis; i < rank; i++)
		dim[i - axis] = i == axis ? n : 1;
	return vq_onnx_reshape(o, vq_add_const(o->g, &t, v, NULL), rank - axis, dim);
}

/* f32 indices of a dimension of n places, those from its end too: as they count from the start */
static vq_value from_start(vq_onnx *o, vq_value at, int64_t n)
{
	vq_value moved = vq_onnx_2(o, VQ_OP_ADD, at, vq_onnx_scalar(o, (float)n));

	return vq_onnx_3(o, VQ_OP_WHERE, vq_onnx_2(o, VQ_OP_LESS, at, vq_onnx_scalar(o, 0)), moved, at);
}

/*
 * Indices of run time (one-hot by the place of the largest element): each along the axis is compared with every place. One out of
 * range changes nothing.
 */
static bool scatter_by_comparison(vq_onnx *o, uint32_t axis, vq_op op)
{
	vq_type t = *vq_onnx_in_type(o, 0), ti = *vq_onnx_in_type(o, 1);
	vq_value x = vq_onnx_in(o, 0), at = vq_onnx_cast(o, vq_onnx_in(o, 1), VQ_F32), one, update;
	bool fits = ti.rank == t.rank && ti.dim[axis] <= MOST_COMPARED && t.dim[axis] <= 1 << 24;

	for (uint32_t d = 0; d < t.rank; d++)
		fits = fits && (d == axis || ti.dim[d] == t.dim[d]);
	if (!fits)
		return vq_onnx_refuse(o,
			"indices computed at run time are %s for data of %s, expected at most %d along the axis and the same dimensions otherwise",
			vq_type_text(o->arena, &ti), vq_type_text(o->arena, &t), MOST_COMPARED);
	if (at.id)
		at = from_start(o, at, t.dim[axis]);
	for (int64_t i = 0; i < ti.dim[axis]; i++) {
		one = vq_onnx_slice(o, at, axis, i, 1, 1);
		one = vq_onnx_2(o, VQ_OP_EQUAL, one, places(o, t.dim[axis], axis, t.rank));
		update = vq_onnx_slice(o, vq_onnx_in(o, 2), axis, i, 1, 1);
		if (op != VQ_OP_NONE)
			update = vq_onnx_2(o, op, x, update);
		x = vq_onnx_3(o, VQ_OP_WHERE, one, update, x);
	}
	return vq_onnx_out(o, 0, x);
}

bool vq_import_scatter_elements(vq_onnx *o)
{
	vq_type t = *vq_onnx_in_type(o, 0), ti = *vq_onnx_in_type(o, 1), tu = *vq_onnx_in_type(o, 2);
	const int64_t *at;
	int64_t *offset;
	uint32_t axis;
	vq_op op;

	if (!vq_onnx_attr_axis(o, 0, t.rank, &axis) || !read_reduction(o, &op))
		return false;
	if (!vq_same_shape(&ti, &tu) || tu.elem != t.elem)
		return vq_onnx_refuse(o,
			"updates are %s, expected the shape of the indices %s and elements of the data",
			vq_type_text(o->arena, &tu), vq_type_text(o->arena, &ti));
	if (!vq_is_const(o->g, vq_onnx_in(o, 1)))
		return scatter_by_comparison(o, axis, op);
	at = indices(o, 1);
	offset = at ? axis_offsets(o, &t, &ti, at, axis) : NULL;
	return offset &&
		vq_onnx_out(o, 0, scatter(o, vq_onnx_in(o, 0), offset, vq_onnx_in(o, 2), vq_type_count(&ti), op));
}

/* ---- the place of the largest element, and its inverse ---- */

/* the first, or last, place along axis where x is the extreme; f32 */
static vq_value place_of(vq_onnx *o, vq_op extreme, vq_value x, uint32_t axis, bool last, bool keepdims)
{
	vq_type t = *vq_type_of(o->g, x);
	vq_value found, place;

	if (t.dim[axis] > 1 << 24) {
		vq_onnx_refuse(o, "dimension %u is %" PRId64 ", expected at most 2^24", (unsigned)axis, t.dim[axis]);
		return VQ_NO_VALUE;
	}
	found = vq_onnx_2(o, VQ_OP_EQUAL, x, vq_onnx_reduce(o, extreme, x, 1u << axis, true));
	place = vq_onnx_scalar(o, last ? 0 : (float)t.dim[axis] - 1);
	place = vq_onnx_3(o, VQ_OP_WHERE, found, places(o, t.dim[axis], axis, t.rank), place);
	return vq_onnx_reduce(o, last ? VQ_OP_REDUCE_MAX : VQ_OP_REDUCE_MIN, place, 1u << axis, keepdims);
}

/* ArgMax and ArgMin. Integers are compared as f32 at run time, exactly up to 2^24. */
bool vq_import_arg(vq_onnx *o)
{
	vq_value x = vq_onnx_in(o, 0), y;
	bool keepdims, last;
	uint32_t axis;

	if (!vq_onnx_attr_axis(o, 0, vq_onnx_in_type(o, 0)->rank, &axis) ||
		!vq_onnx_attr_bool(o, "keepdims", true, &keepdims) ||
		!vq_onnx_attr_bool(o, "select_last_index", false, &last))
		return false;
	if (vq_onnx_in_type(o, 0)->elem != VQ_F32 && !vq_is_const(o->g, x))
		x = vq_onnx_cast(o, x, VQ_F32);
	y = vq_onnx_cast(o, place_of(o, o->op->ir, x, axis, last, keepdims), VQ_I32);
	return vq_onnx_out(o, 0, y.id ? vq_onnx_cast(o, y, VQ_I64) : y);
}

/* 1 at the first largest element, else 0; before operator set 13 everything from the axis on is one axis */
bool vq_import_hardmax(vq_onnx *o)
{
	vq_value x = vq_onnx_in(o, 0), first;
	vq_type t = *vq_onnx_in_type(o, 0), work;
	int64_t dim[2] = { 1, 1 };
	uint32_t axis;

	if (!vq_onnx_attr_axis(o, o->model->opset < 13 ? 1 : -1, t.rank, &axis))
		return false;
	for (uint32_t i = 0; i < t.rank; i++)
		dim[i >= axis] *= t.dim[i];
	if (o->model->opset < 13) {
		x = vq_onnx_reshape(o, x, 2, dim);
		axis = 1;
	}
	if (!x.id)
		return false;
	work = *vq_type_of(o->g, x);
	first = place_of(o, VQ_OP_REDUCE_MAX, x, axis, false, true);
	if (!first.id)
		return false;
	first = vq_onnx_2(o, VQ_OP_EQUAL, first, places(o, work.dim[axis], axis, work.rank));
	return vq_onnx_out(o, 0, vq_onnx_reshape(o, vq_onnx_cast(o, first, VQ_F32), t.rank, t.dim));
}

/* indices of [0, depth), or from the end; others give a row of `off` */
bool vq_import_one_hot(vq_onnx *o)
{
	vq_value at = vq_onnx_in(o, 0), values = vq_onnx_in(o, 2), hot, on, off;
	vq_type t = *vq_onnx_in_type(o, 0);
	int64_t dim[VQ_MAX_RANK + 1] = { 0 }, depth, axis_in;
	const float *number = vq_onnx_data_of(o, vq_onnx_in(o, 1), VQ_F32);
	uint32_t axis;

	if (number && *number > 0 && *number < 0x1p24f)
		depth = (int64_t)*number;
	else if (!vq_onnx_int(o, 1, "depth", &depth))
		return false;
	if (t.rank == VQ_MAX_RANK)
		return vq_onnx_refuse(o, "the result has more than %d dimensions", VQ_MAX_RANK);
	if (!vq_onnx_attr_int(o, "axis", -1, &axis_in) || !vq_onnx_axis(o, axis_in, t.rank + 1, &axis))
		return false;
	if (depth < 1 || depth > 1 << 24 || vq_type_of(o->g, values)->rank != 1 ||
		vq_type_of(o->g, values)->dim[0] != 2)
		return vq_onnx_refuse(o, "depth is %" PRId64 " and values are %s, expected a size and two values",
			depth, vq_type_text(o->arena, vq_type_of(o->g, values)));
	if (t.elem != VQ_F32)
		at = vq_onnx_cast(o, at, VQ_F32);
	if (!at.id)
		return false;
	hot = from_start(o, at, depth);
	for (uint32_t i = 0; i <= t.rank; i++)
		dim[i] = i < axis ? t.dim[i] : i == axis ? 1 : t.dim[i - 1];
	at = places(o, depth, axis, t.rank + 1);
	hot = vq_onnx_2(o, VQ_OP_EQUAL, vq_onnx_reshape(o, hot, t.rank + 1, dim), at);
	off = vq_onnx_reshape(o, vq_onnx_slice(o, values, 0, 0, 1, 1), 0, NULL);
	on = vq_onnx_reshape(o, vq_onnx_slice(o, values, 0, 1, 1, 1), 0, NULL);
	return vq_onnx_out(o, 0, vq_onnx_3(o, VQ_OP_WHERE, hot, on, off));
}
