/* SPDX-License-Identifier: MIT */
/*
 * Movement: elements change place and are not computed with. From codes to codes the codes are kept: the result's entry
 * is the operand's, with the axis where it moved to. Where only one side is quantized the values move as f32.
 */
#include "ir/contract.h"
#include "ir/eval_ops.h"

#include <string.h>

/* Elements of one size, from and to. */
typedef struct data {
	const void *from;
	void *to;
	size_t size;
} data;

static void copy_strided(const data *d, const vq_type *to, int64_t offset, const int64_t *stride)
{
	int64_t at[VQ_MAX_RANK] = { 0 };
	int64_t row = to->rank ? to->dim[to->rank - 1] : 1, step = to->rank ? stride[to->rank - 1] : 0;
	int64_t rows = vq_type_count(to) / row;
	const char *from = d->from;
	char *p = d->to;

	for (int64_t r = 0; r < rows; r++) {
		if (step == 1) {
			memcpy(p, from + (size_t)offset * d->size, (size_t)row * d->size);
			p += (size_t)row * d->size;
		} else {
			for (int64_t i = 0; i < row; i++, p += d->size)
				memcpy(p, from + (size_t)(offset + i * step) * d->size, d->size);
		}
		for (uint32_t k = to->rank > 0 ? to->rank - 1 : 0; k-- > 0;) {
			offset += stride[k];
			if (++at[k] < to->dim[k])
				break;
			offset -= stride[k] * to->dim[k];
			at[k] = 0;
		}
	}
}

/* reshape, expand, transpose, slice and view are strided windows of the operand */
static void window(const vq_eval *e, const data *d)
{
	const vq_type *x = &e->in[0].type, *y = &e->out->type;
	const vq_attr *attr = &e->node->attr;
	int64_t from[VQ_MAX_RANK] = { 0 }, stride[VQ_MAX_RANK] = { 0 }, offset = 0;

	vq_eval_strides(x, from);
	switch (e->node->op) {
	case VQ_OP_EXPAND:
		for (uint32_t i = 0; i < x->rank; i++)
			stride[i + y->rank - x->rank] = x->dim[i] > 1 ? from[i] : 0;
		break;
	case VQ_OP_TRANSPOSE:
		for (uint32_t i = 0; i < y->rank; i++)
			stride[i] = from[attr->perm.perm[i]];
		break;
	case VQ_OP_SLICE:
		for (uint32_t i = 0; i < y->rank; i++) {
			stride[i] = from[i] * attr->slice.step[i];
			offset += from[i] * attr->slice.start[i];
		}
		break;
	case VQ_OP_VIEW:
		offset = attr->view.offset;
		memcpy(stride, attr->view.stride, sizeof stride);
		break;
	default: /* VQ_OP_RESHAPE */ vq_eval_strides(y, stride); break;
	}
	copy_strided(d, y, offset, stride);
}

/* product of the dimensions first … last - 1 */
static size_t span(const vq_type *t, uint32_t first, uint32_t last)
{
	size_t n = 1;

	for (uint32_t i = first; i < last; i++)
		n *= (size_t)t->dim[i];
	return n;
}

/* from[i]: the elements of operand i */
static void concat(const vq_eval *e, const void *const *from, char *to, size_t size)
{
	const vq_type *y = &e->out->type;
	uint32_t axis = (uint32_t)e->node->attr.axis.axis;
	size_t outer = span(y, 0, axis);

	for (size_t o = 0; o < outer; o++)
		for (uint32_t i = 0; i < e->node->n_in; i++) {
			size_t bytes = span(&e->in[i].type, axis, y->rank) * size;

			memcpy(to, (const char *)from[i] + o * bytes, bytes);
			to += bytes;
		}
}

static const char *gather(const vq_eval *e, const data *d)
{
	const vq_type *x = &e->in[0].type, *index = &e->in[1].type;
	uint32_t axis = (uint32_t)e->node->attr.axis.axis;
	size_t outer = span(x, 0, axis), inner = span(x, axis + 1, x->rank) * d->size;
	int64_t n = vq_type_count(index), rows = x->dim[axis];
	char *to = d->to;

	if (index->elem != VQ_I64 && index->elem != VQ_I32)
		return vq_arena_printf(e->a, "indices have type %s, expected i64 or i32", vq_elem_name(index->elem));
	for (size_t o = 0; o < outer; o++)
		for (int64_t i = 0; i < n; i++, to += inner) {
			int64_t k = vq_eval_load_int(index->elem, e->in[1].data, i);

			if (k < 0 || k >= rows)
				return vq_arena_printf(e->a, "index %lld at position %lld is outside [0, %lld)",
					(long long)k, (long long)i, (long long)rows);
			memcpy(to, (const char *)d->from + (o * (size_t)rows + (size_t)k) * inner, inner);
		}
	return NULL;
}

static void pad(const vq_eval *e, const data *d, const void *value)
{
	const vq_type *x = &e->in[0].type, *y = &e->out->type;
	const vq_attr *attr = &e->node->attr;
	int64_t n = vq_type_count(y), from[VQ_MAX_RANK] = { 0 }, to[VQ_MAX_RANK] = { 0 };

	vq_eval_strides(x, from);
	vq_eval_strides(y, to);
	for (int64_t i = 0; i < n; i++) {
		bool inside = true;
		int64_t k = 0;

		for (uint32_t r = 0; r < y->rank; r++) {
			int64_t c = i / to[r] % y->dim[r] - attr->pad.before[r];

			inside = inside && c >= 0 && c < x->dim[r];
			k += c * from[r];
		}
		memcpy((char *)d->to + (size_t)i * d->size,
			inside ? (const char *)d->from + (size_t)k * d->size : value, d->size);
	}
}

/* The pad value as an element of the result: codes by f32(1/scale), integers toward 0 */
static const char *pad_value(const vq_eval *e, bool raw, void *value)
{
	const vq_quant *q = vq_eval_out_quant(e);
	float v = e->node->attr.pad.value;
	int8_t code;

	if (raw && q) {
		if (q->axis >= 0)
			return "pad of a tensor with scales along an axis";
		code = (int8_t)vq_c_quantize(v * vq_c_inverse((double)q->scale[0]), q->lo, q->hi, q->zero[0]);
		memcpy(value, &code, sizeof code);
	} else if (raw && e->out->type.elem != VQ_F32) {
		if (!(v >= -0x1p62f && v <= 0x1p62f))
			return vq_arena_printf(
				e->a, "pad value %g does not fit %s", (double)v, vq_elem_name(e->out->type.elem));
		vq_eval_store_int(e->out->type.elem, value, 0, (int64_t)v);
	} else {
		memcpy(value, &v, sizeof v);
	}
	return NULL;
}

static bool keeps_codes(const vq_eval *e)
{
	uint32_t n = e->node->op == VQ_OP_GATHER ? 1 : e->node->n_in;

	for (uint32_t i = 0; i < n; i++)
		if (e->in[i].type.elem != e->out->type.elem || !e->in[i].type.quant != !e->out->type.quant)
			return false;
	return true;
}

const char *vq_eval_move(vq_eval *e)
{
	bool raw = keeps_codes(e);
	uint32_t n = e->node->op == VQ_OP_GATHER ? 1 : e->node->n_in;
	const void **from = VQ_ARRAY(e->a, n, const void *);
	data d = { .to = e->out->data, .size = vq_elem_bytes(e->out->type.elem) };
	uint64_t value = 0;
	const char *wrong = NULL;

	for (uint32_t i = 1; raw && i < n; i++)
		if (e->in[i].type.quant != e->in[0].type.quant)
			return vq_arena_printf(e->a, "operands 0 and %u have different scales", i);
	for (uint32_t i = 0; i < n; i++) {
		if (!raw && !vq_eval_is_float(e, i))
			return vq_arena_printf(e->a, "operand %u has type %s, the result %s", i,
				vq_elem_name(e->in[i].type.elem), vq_elem_name(e->out->type.elem));
		from[i] = raw ? e->in[i].data : vq_eval_f32(e, i);
	}
	if (!raw) {
		if (e->out->type.elem != VQ_F32 && !e->out->type.quant)
			return vq_eval_refuse(e, e->out->type.elem);
		d.to = vq_eval_result(e);
		d.size = sizeof(float);
	}
	d.from = from[0];
	switch (e->node->op) {
	case VQ_OP_CONCAT: concat(e, from, d.to, d.size); break;
	case VQ_OP_GATHER: wrong = gather(e, &d); break;
	case VQ_OP_PAD:
		wrong = pad_value(e, raw, &value);
		if (!wrong)
			pad(e, &d, &value);
		break;
	default: window(e, &d); break;
	}
	return wrong || raw ? wrong : vq_eval_finish(e, d.to);
}
