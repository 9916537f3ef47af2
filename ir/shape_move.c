/* SPDX-License-Identifier: MIT */
/* The shape rules of movement. */
#include "ir/shape.h"

static const char *set_dims(const vq_rule *r, uint32_t rank, const int64_t *dim)
{
	r->out->rank = rank;
	for (uint32_t i = 0; i < rank && rank <= VQ_MAX_RANK; i++)
		r->out->dim[i] = dim[i];
	return vq_size_problem(r->a, r->out, "the result");
}

const char *vq_shape_reshape(vq_rule *r)
{
	const char *wrong = set_dims(r, r->attr->shape.rank, r->attr->shape.dim);

	if (!wrong && vq_type_count(r->out) != vq_type_count(&r->in[0]))
		wrong = vq_arena_printf(r->a, "cannot reshape %s (%lld elements) to %s (%lld elements)",
			vq_rule_shape_text(r, 0), (long long)vq_type_count(&r->in[0]), vq_shape_text(r->a, r->out),
			(long long)vq_type_count(r->out));
	return wrong;
}

const char *vq_shape_expand(vq_rule *r)
{
	const char *wrong = set_dims(r, r->attr->shape.rank, r->attr->shape.dim);
	vq_type wide;

	if (wrong)
		return wrong;
	if (vq_rule_broadcast(r, &r->in[0], r->out, &wide) || !vq_same_shape(&wide, r->out))
		return vq_arena_printf(
			r->a, "cannot expand %s to %s", vq_rule_shape_text(r, 0), vq_shape_text(r->a, r->out));
	return NULL;
}

const char *vq_shape_transpose(vq_rule *r)
{
	const vq_type *in = &r->in[0];
	uint32_t had = 0;

	r->out->rank = in->rank;
	for (uint32_t i = 0; i < in->rank; i++) {
		int64_t p = r->attr->perm.perm[i];

		if (p < 0 || p >= in->rank || had & 1u << p)
			return vq_arena_printf(r->a, "the permutation's entry %u is %lld, expected each of 0..%u once",
				(unsigned)i, (long long)p, (unsigned)in->rank - 1);
		had |= 1u << p;
		r->out->dim[i] = in->dim[p];
	}
	return NULL;
}

const char *vq_shape_slice(vq_rule *r)
{
	const vq_type *in = &r->in[0];

	r->out->rank = in->rank;
	for (uint32_t i = 0; i < in->rank; i++) {
		int64_t start = r->attr->slice.start[i], step = r->attr->slice.step[i], count = r->attr->slice.count[i];
		int64_t dim = in->dim[i];
		bool inside = start >= 0 && start < dim && step != 0;

		if (count < 1)
			return vq_arena_printf(r->a, "slice of dimension %u takes %lld elements, expected at least 1",
				(unsigned)i, (long long)count);
		if (inside && count > 1) {
			int64_t room = step < 0 ? start : dim - 1 - start;

			inside = step < dim && step > -dim && count - 1 <= room / (step < 0 ? -step : step);
		}
		if (!inside)
			return vq_arena_printf(r->a,
				"slice start %lld, step %lld, count %lld leaves dimension %u of %s", (long long)start,
				(long long)step, (long long)count, (unsigned)i, vq_rule_shape_text(r, 0));
		r->out->dim[i] = count;
	}
	return NULL;
}

const char *vq_shape_view(vq_rule *r)
{
	int64_t n = vq_type_count(&r->in[0]), low = r->attr->view.offset, high = low;
	const char *wrong = set_dims(r, r->attr->view.rank, r->attr->view.dim);
	const char *outside = "view of %s (%lld elements) reads outside of it: element %lld";

	if (wrong)
		return wrong;
	if (low < 0 || low >= n)
		return vq_arena_printf(r->a, outside, vq_rule_shape_text(r, 0), (long long)n, (long long)low);
	for (uint32_t i = 0; i < r->out->rank; i++) {
		int64_t s = r->attr->view.stride[i], last = r->out->dim[i] - 1;

		if (last == 0)
			continue;
		if (s >= n || s <= -n || (s < 0 ? -s : s) > (n - 1) / last)
			return vq_arena_printf(r->a,
				"view of %s (%lld elements) reads outside of it: %lld steps of "
				"%lld in dimension %u",
				vq_rule_shape_text(r, 0), (long long)n, (long long)last, (long long)s, (unsigned)i);
		low += s < 0 ? s * last : 0;
		high += s > 0 ? s * last : 0;
	}
	if (low < 0 || high >= n)
		return vq_arena_printf(
			r->a, outside, vq_rule_shape_text(r, 0), (long long)n, (long long)(low < 0 ? low : high));
	return NULL;
}

const char *vq_shape_concat(vq_rule *r)
{
	const char *wrong = vq_rule_check_axis(r);
	int64_t sum = 0;

	if (wrong)
		return wrong;
	vq_rule_set_shape(r, &r->in[0]);
	for (uint32_t i = 0; i < r->n_in; i++) {
		vq_type t = r->in[i];

		if (t.elem != r->in[0].elem)
			return vq_arena_printf(r->a, "element types differ: operand 1 is %s, operand %u is %s",
				vq_type_text(r->a, &r->in[0]), (unsigned)i + 1, vq_type_text(r->a, &t));
		if (t.quant != r->in[0].quant)
			return vq_arena_printf(
				r->a, "operands 1 and %u of concat are quantized differently", (unsigned)i + 1);
		sum += t.rank == r->in[0].rank ? t.dim[r->attr->axis.axis] : 0;
		t.dim[r->attr->axis.axis] = r->in[0].dim[r->attr->axis.axis];
		if (!vq_same_shape(&t, &r->in[0]))
			return vq_arena_printf(r->a,
				"operands differ outside of axis %d: operand 1 is %s, operand %u "
				"is %s",
				(int)r->attr->axis.axis, vq_rule_shape_text(r, 0), (unsigned)i + 1,
				vq_rule_shape_text(r, i));
	}
	r->out->dim[r->attr->axis.axis] = sum;
	return NULL;
}

const char *vq_shape_gather(vq_rule *r)
{
	const vq_type *data = &r->in[0], *index = &r->in[1];
	const char *wrong = vq_rule_check_axis(r);
	uint32_t axis, rank = 0;

	if (!wrong)
		wrong = vq_rule_need_elem(r, 1, 1 << VQ_I64 | 1 << VQ_I32, "i64 or i32 indices");
	if (wrong)
		return wrong;
	axis = (uint32_t)r->attr->axis.axis;
	if (data->rank + index->rank - 1 > VQ_MAX_RANK)
		return vq_arena_printf(r->a,
			"the result of gathering %s by %s has %u dimensions, at most %d are "
			"supported",
			vq_rule_shape_text(r, 0), vq_rule_shape_text(r, 1), (unsigned)(data->rank + index->rank - 1),
			VQ_MAX_RANK);
	for (uint32_t i = 0; i < axis; i++)
		r->out->dim[rank++] = data->dim[i];
	for (uint32_t i = 0; i < index->rank; i++)
		r->out->dim[rank++] = index->dim[i];
	for (uint32_t i = axis + 1; i < data->rank; i++)
		r->out->dim[rank++] = data->dim[i];
	r->out->rank = rank;
	return NULL;
}

const char *vq_shape_pad(vq_rule *r)
{
	vq_rule_set_shape(r, &r->in[0]);
	for (uint32_t i = 0; i < r->out->rank; i++) {
		int64_t before = r->attr->pad.before[i], after = r->attr->pad.after[i];

		if (before < 0 || after < 0 || before > VQ_MAX_ELEMENTS || after > VQ_MAX_ELEMENTS)
			return vq_arena_printf(r->a,
				"padding of dimension %u is %lld before and %lld after, expected 0 "
				"to 2^40",
				(unsigned)i, (long long)before, (long long)after);
		r->out->dim[i] += before + after;
	}
	return NULL;
}
