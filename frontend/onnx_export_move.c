/* SPDX-License-Identifier: MIT */
/* -emit=onnx: movement. ONNX moves int8 as well as float, so codes need nothing special. */
#include "frontend/onnx_export_node.h"

static const char *slice(vq_onnx_writer *w, const char *x, uint32_t rank, const int64_t *start, const int64_t *step,
	const int64_t *count, const char *to)
{
	int64_t end[VQ_MAX_RANK], axis[VQ_MAX_RANK];
	const char *in[5] = { x };

	for (uint32_t i = 0; i < rank; i++) {
		axis[i] = i;
		end[i] = start[i] + step[i] * count[i];
		if (end[i] < 0)
			end[i] = INT64_MIN; /* to the first element: -1 would mean the last one */
	}
	in[1] = vq_onnx_put_ints(w, start, rank);
	in[2] = vq_onnx_put_ints(w, end, rank);
	in[3] = vq_onnx_put_ints(w, axis, rank);
	in[4] = vq_onnx_put_ints(w, step, rank);
	return vq_onnx_put_node(w, "Slice", in, 5, to);
}

/* ---- views ---- */

/*
 * One dimension of a view that is no repetition: which one, and where it lies in the operand cut
 * into digits.
 */
typedef struct digit {
	uint32_t dim; /* of the view */
	int64_t stride;
	int64_t start;  /* first index used */
	int64_t extent; /* of the digit in the operand */
} digit;

/*
 * A view whose strides divide one another is reshape (cut the operand into digits), slice,
 * transpose, reshape, expand. false: no such form.
 */
static bool cut(const vq_node_info *n, int64_t total, digit *d, uint32_t *n_digits)
{
	int64_t offset = n->attr.view.offset, outer = total;
	uint32_t count = 0;

	for (uint32_t i = 0; i < n->attr.view.rank; i++) {
		digit x = { i, n->attr.view.stride[i], 0, 0 };
		uint32_t k = count;

		if (n->attr.view.dim[i] == 1 || x.stride == 0)
			continue;
		if (x.stride < 0)
			return false;
		for (; k > 0 && d[k - 1].stride < x.stride; k--)
			d[k] = d[k - 1];
		d[k] = x;
		count++;
	}
	if (count == 0 ||
		d[count - 1].stride > 1) { /* a digit for what the view steps over, at most one element of it */
		if (count == VQ_MAX_RANK)
			return false;
		d[count++] = (digit){ UINT32_MAX, 1, 0, 0 };
	}
	for (uint32_t k = 0; k < count; k++) {
		int64_t taken = d[k].dim == UINT32_MAX ? 1 : n->attr.view.dim[d[k].dim];

		if (outer % d[k].stride)
			return false;
		d[k].extent = outer / d[k].stride;
		d[k].start = offset / d[k].stride;
		offset -= d[k].start * d[k].stride;
		if (d[k].start + taken > d[k].extent)
			return false;
		outer = d[k].stride;
	}
	*n_digits = count;
	return offset == 0;
}

/* Any view: the elements one by one. */
static const char *gather_elements(
	vq_onnx_writer *w, const vq_node_info *n, const char *x, int64_t total, const char *to)
{
	const vq_type *t = vq_type_of(w->g, n->out);
	int64_t count = vq_type_count(t);
	int64_t *index = VQ_ARRAY(&w->arena, (size_t)count, int64_t);

	for (int64_t i = 0; i < count; i++) {
		int64_t rest = i;

		index[i] = n->attr.view.offset;
		for (uint32_t k = t->rank; k-- > 0; rest /= t->dim[k])
			index[i] += rest % t->dim[k] * n->attr.view.stride[k];
	}
	x = vq_onnx_put_reshape(w, x, 1, &total, NULL);
	x = vq_onnx_put_node2(w, "Gather", x, vq_onnx_put_tensor(w, VQ_I64, t->rank, t->dim, index), to);
	vq_onnx_put_attr_int(w, "axis", 0);
	return x;
}

static const char *view(vq_onnx_writer *w, const vq_node_info *n, const char *x, const char *to)
{
	const vq_type *t = vq_type_of(w->g, n->out);
	int64_t total = vq_type_count(vq_type_of(w->g, n->in[0]));
	int64_t extent[VQ_MAX_RANK], start[VQ_MAX_RANK], count[VQ_MAX_RANK], step[VQ_MAX_RANK], perm[VQ_MAX_RANK],
		once[VQ_MAX_RANK];
	uint32_t digits, at = 0;
	bool sliced = false, repeats = false;
	digit d[VQ_MAX_RANK];

	if (!cut(n, total, d, &digits))
		return gather_elements(w, n, x, total, to);
	for (uint32_t k = 0; k < digits; k++) {
		extent[k] = d[k].extent;
		start[k] = d[k].start;
		count[k] = d[k].dim == UINT32_MAX ? 1 : t->dim[d[k].dim];
		step[k] = 1;
		sliced |= count[k] != extent[k];
	}
	for (uint32_t i = 0; i < t->rank; i++) {
		bool found = false;

		for (uint32_t k = 0; k < digits; k++)
			if (d[k].dim == i) {
				perm[at++] = k;
				found = true;
			}
		once[i] = found ? t->dim[i] : 1;
		repeats |= once[i] != t->dim[i];
	}
	if (d[digits - 1].dim == UINT32_MAX)
		perm[at++] = digits - 1;
	x = vq_onnx_put_reshape(w, x, digits, extent, NULL);
	if (sliced)
		x = slice(w, x, digits, start, step, count, NULL);
	x = vq_onnx_put_transpose(w, x, digits, perm, NULL);
	x = vq_onnx_put_reshape(w, x, t->rank, once, repeats ? NULL : to);
	return repeats ? vq_onnx_put_node2(w, "Expand", x, vq_onnx_put_ints(w, t->dim, t->rank), to) : x;
}

/* ---- the others ---- */

static const char *pad(vq_onnx_writer *w, const vq_node_info *n, const char *x, const char *to)
{
	const vq_type *t = vq_type_of(w->g, n->in[0]);
	int64_t pads[2 * VQ_MAX_RANK];
	const char *in[3] = { x };

	for (uint32_t i = 0; i < t->rank; i++) {
		pads[i] = n->attr.pad.before[i];
		pads[t->rank + i] = n->attr.pad.after[i];
	}
	in[1] = vq_onnx_put_ints(w, pads, 2 * t->rank);
	in[2] = vq_onnx_put_scalar(w, n->attr.pad.value);
	return vq_onnx_put_node(
		w, "Pad", in, t->elem == VQ_F32 ? 3 : 2, to); /* the value is a float; integers are padded with 0 */
}

static const char *concat(vq_onnx_writer *w, const vq_node_info *n, const char *to)
{
	const char **in = VQ_ARRAY(&w->arena, n->n_in, const char *), *y;

	for (uint32_t i = 0; i < n->n_in; i++)
		in[i] = vq_export_value(w, n->in[i]);
	y = vq_onnx_put_node(w, "Concat", in, n->n_in, to);
	vq_onnx_put_attr_int(w, "axis", n->attr.axis.axis);
	return y;
}

const char *vq_export_move(vq_onnx_writer *w, const vq_node_info *n, const char *to)
{
	const char *x = vq_export_value(w, n->in[0]);
	const vq_type *from = vq_type_of(w->g, n->in[0]), *t = vq_type_of(w->g, n->out);

	switch (n->op) {
	case VQ_OP_RESHAPE: return vq_onnx_put_reshape(w, x, t->rank, t->dim, to);
	case VQ_OP_EXPAND: return vq_onnx_put_node2(w, "Expand", x, vq_onnx_put_ints(w, t->dim, t->rank), to);
	case VQ_OP_TRANSPOSE: return vq_onnx_put_transpose(w, x, t->rank, n->attr.perm.perm, to);
	case VQ_OP_SLICE:
		return slice(w, x, from->rank, n->attr.slice.start, n->attr.slice.step, n->attr.slice.count, to);
	case VQ_OP_VIEW: return view(w, n, x, to);
	case VQ_OP_CONCAT: return concat(w, n, to);
	case VQ_OP_GATHER:
		x = vq_onnx_put_node2(w, "Gather", x, vq_export_value(w, n->in[1]), to);
		vq_onnx_put_attr_int(w, "axis", n->attr.axis.axis);
		return x;
	case VQ_OP_PAD: return pad(w, n, x, to);
	default: return NULL;
	}
}
