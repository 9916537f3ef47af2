/* SPDX-License-Identifier: MIT */
/*
 * Where the scales of a per-axis entry go when elements move. Every movement of one operand but gather and pad is a
 * strided view of it; an entry survives if its index still depends on one dimension of the result alone.
 */
#include "ir/shape.h"

/* The movement as result element (i0, i1, ...) = operand element offset + sum of i * stride. */
typedef struct moved {
	int64_t offset;
	int64_t stride[VQ_MAX_RANK];
} moved;

static void row_major(const vq_type *t, int64_t *stride)
{
	int64_t step = 1;

	for (uint32_t i = t->rank; i--;) {
		stride[i] = step;
		step *= t->dim[i];
	}
}

static void as_view(vq_op op, const vq_type *in, const vq_attr *attr, const vq_type *out, moved *m)
{
	int64_t old[VQ_MAX_RANK];

	*m = (moved){ 0 };
	row_major(in, old);
	switch (op) {
	case VQ_OP_RESHAPE: row_major(out, m->stride); break;
	case VQ_OP_EXPAND:
		for (uint32_t i = 0; i < in->rank; i++)
			m->stride[out->rank - in->rank + i] = in->dim[i] == 1 ? 0 : old[i];
		break;
	case VQ_OP_TRANSPOSE:
		for (uint32_t i = 0; i < out->rank; i++)
			m->stride[i] = old[attr->perm.perm[i]];
		break;
	case VQ_OP_SLICE:
		for (uint32_t i = 0; i < out->rank; i++) {
			m->offset += attr->slice.start[i] * old[i];
			m->stride[i] = out->dim[i] == 1 ? 0 : attr->slice.step[i] * old[i];
		}
		break;
	default: /* view */
		m->offset = attr->view.offset;
		for (uint32_t i = 0; i < out->rank; i++)
			m->stride[i] = attr->view.stride[i];
	}
}

static void use_entries(
	vq_arena *a, const vq_quant *q, int32_t axis, int64_t first, int64_t step, int64_t n, vq_quant *to)
{
	float *scale = VQ_ARRAY(a, (size_t)n, float);
	int32_t *zero = VQ_ARRAY(a, (size_t)n, int32_t);

	for (int64_t i = 0; i < n; i++) {
		scale[i] = q->scale[first + i * step];
		zero[i] = q->zero[first + i * step];
	}
	*to = *q;
	to->axis = n == 1 ? -1 : axis;
	to->n = (uint32_t)n;
	to->scale = scale;
	to->zero = zero;
}

/*
 * The operand is cut into blocks of elements that share an entry: element e uses entry (e / block) mod n. A dimension
 * of the result is outside (steps over all n), along (steps from block to block, or walks through blocks in
 * pieces that divide one) or inside (stays in a block). One dimension at most may be along.
 */
static const char *through_view(
	vq_arena *a, const vq_type *in, const moved *m, const vq_type *out, const vq_quant *q, vq_quant *to)
{
	const char *lost = "the scales along dimension %d would end up in more than one dimension";
	int64_t block = in->dim[q->axis] / q->n, low, high, piece, first;
	int32_t along = -1;

	for (uint32_t i = (uint32_t)q->axis + 1; i < in->rank; i++)
		block *= in->dim[i];
	piece = block;
	low = high = m->offset % block;
	for (uint32_t i = 0; i < out->rank; i++) {
		int64_t s = m->stride[i], reach = s * (out->dim[i] - 1);

		if (out->dim[i] == 1 || s % (block * q->n) == 0)
			continue;
		if (s % block == 0 || (s > 0 && block % s == 0 && reach >= block)) {
			if (along >= 0)
				return vq_arena_printf(a, lost, (int)q->axis);
			along = (int32_t)i;
			piece = s % block == 0 ? block : s;
			continue;
		}
		low += reach < 0 ? reach : 0;
		high += reach > 0 ? reach : 0;
	}
	if (low < 0 || high >= piece)
		return vq_arena_printf(a, lost, (int)q->axis);
	first = m->offset / block % q->n;
	if (along < 0) {
		use_entries(a, q, -1, first, 0, 1, to);
	} else if (piece < block) {
		int64_t n = out->dim[along] / (block / piece);

		if (out->dim[along] % (block / piece) || first + n > q->n)
			return vq_arena_printf(a, lost, (int)q->axis);
		use_entries(a, q, along, first, 1, n, to);
	} else {
		int64_t step = m->stride[along] / block, last = first + step * (out->dim[along] - 1);

		if (last < 0 || last >= q->n)
			return vq_arena_printf(a, lost, (int)q->axis);
		use_entries(a, q, along, first, step, out->dim[along], to);
	}
	return NULL;
}

const char *vq_moved_quant(vq_arena *a, vq_op op, const vq_type *in, const vq_attr *attr, const vq_type *out,
	const vq_quant *q, vq_quant *to)
{
	int32_t axis = q->axis;
	moved m;

	*to = *q;
	switch (op) {
	case VQ_OP_GATHER:
		if (attr->axis.axis == axis)
			return vq_arena_printf(
				a, "gather along dimension %d, which has a scale per channel", (int)axis);
		if (attr->axis.axis < axis)
			to->axis = axis + (int32_t)out->rank - (int32_t)in->rank;
		return NULL;
	case VQ_OP_PAD:
		/* the padding is one value, whose code would differ from channel to channel */
		return vq_arena_printf(a, "pad of a value with scales along dimension %d", (int)axis);
	case VQ_OP_CONCAT:
		if (attr->axis.axis == axis)
			return vq_arena_printf(
				a, "concat along dimension %d, which has a scale per channel", (int)axis);
		return NULL;
	default: as_view(op, in, attr, out, &m); return through_view(a, in, &m, out, q, to);
	}
}
