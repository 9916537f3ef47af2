/* SPDX-License-Identifier: MIT */
/* The reference evaluator: operands, results and dispatch. The operators are in ir/eval_*.c. */
#include "ir/eval.h"
#include "ir/contract.h"
#include "ir/eval_ops.h"

#include <string.h>

const char *vq_eval_refuse(vq_eval *e, vq_elem elem)
{
	return vq_arena_printf(
		e->a, "%s has no meaning for elements of type %s", vq_ops[e->node->op].text, vq_elem_name(elem));
}

const vq_quant *vq_eval_in_quant(const vq_eval *e, uint32_t i) { return vq_quant_of(e->g, &e->in[i].type); }

const vq_quant *vq_eval_out_quant(const vq_eval *e) { return vq_quant_of(e->g, &e->out->type); }

uint32_t vq_eval_entry(const vq_quant *q, const vq_type *t, int64_t flat)
{
	int64_t inner = 1, c;

	if (q->axis < 0)
		return 0;
	for (uint32_t d = t->rank; d-- > (uint32_t)q->axis + 1;)
		inner *= t->dim[d];
	c = flat / inner % t->dim[q->axis];
	return (uint32_t)(c / (t->dim[q->axis] / q->n));
}

bool vq_eval_is_float(const vq_eval *e, uint32_t i) { return e->in[i].type.elem == VQ_F32 || e->in[i].type.quant; }

/*
 * A row of elements that share one entry: with scales along an axis, the elements behind it times the channels of one
 * entry; the whole tensor without.
 */
static int64_t run_length(const vq_quant *q, const vq_type *t)
{
	int64_t n = 1;

	if (q->axis < 0)
		return vq_type_count(t);
	for (uint32_t d = (uint32_t)q->axis; d < t->rank; d++)
		n *= t->dim[d];
	return n / q->n;
}

const float *vq_eval_f32(vq_eval *e, uint32_t i)
{
	const vq_tensor *x = &e->in[i];
	const vq_quant *q = vq_eval_in_quant(e, i);
	int64_t n = vq_type_count(&x->type), run;
	const int8_t *code = x->data;
	float *f;

	if (!q)
		return x->data;
	f = VQ_ARRAY(e->a, (size_t)n, float);
	run = run_length(q, &x->type);
	for (int64_t k = 0; k < n; k += run) {
		uint32_t c = vq_eval_entry(q, &x->type, k);

		for (int64_t j = k; j < k + run; j++)
			f[j] = (float)(code[j] - q->zero[c]) * q->scale[c];
	}
	return f;
}

float *vq_eval_result(vq_eval *e)
{
	if (e->out->type.elem == VQ_F32)
		return e->out->data;
	return VQ_ARRAY(e->a, (size_t)vq_type_count(&e->out->type), float);
}

void vq_eval_quantize(vq_eval *e, const float *v)
{
	const vq_quant *q = vq_eval_out_quant(e);
	int64_t n = vq_type_count(&e->out->type), run = run_length(q, &e->out->type);
	int8_t *code = e->out->data;

	for (int64_t k = 0; k < n; k += run) {
		uint32_t c = vq_eval_entry(q, &e->out->type, k);

		for (int64_t j = k; j < k + run; j++)
			code[j] = (int8_t)vq_c_quantize(v[j], q->lo, q->hi, q->zero[c]);
	}
}

const char *vq_eval_finish(vq_eval *e, float *y)
{
	const vq_quant *q = vq_eval_out_quant(e);
	int64_t n = vq_type_count(&e->out->type), run;

	if (!q) {
		if (e->out->type.elem != VQ_F32)
			return vq_eval_refuse(e, e->out->type.elem);
		for (int64_t i = 0; i < n; i++)
			y[i] = vq_c_flush(y[i]);
		return NULL;
	}
	run = run_length(q, &e->out->type);
	for (int64_t k = 0; k < n; k += run) {
		float inverse = vq_c_inverse((double)q->scale[vq_eval_entry(q, &e->out->type, k)]);

		for (int64_t j = k; j < k + run; j++)
			y[j] = y[j] * inverse;
	}
	vq_eval_quantize(e, y);
	return NULL;
}

int64_t vq_eval_load_int(vq_elem t, const void *data, int64_t i)
{
	switch (t) {
	case VQ_I64: return ((const int64_t *)data)[i];
	case VQ_I32: return ((const int32_t *)data)[i];
	case VQ_S8: return ((const int8_t *)data)[i];
	case VQ_BOOL:
	case VQ_U8: return ((const uint8_t *)data)[i];
	case VQ_F32:
	case VQ_ELEM_COUNT: break;
	}
	return 0;
}

/* Through unsigned and memcpy: narrowing a signed number is implementation-defined in C11. */
void vq_eval_store_int(vq_elem t, void *data, int64_t i, int64_t v)
{
	uint64_t u = (uint64_t)v;
	uint32_t u32 = (uint32_t)u;
	uint8_t u8 = t == VQ_BOOL ? v != 0 : (uint8_t)u;

	switch (t) {
	case VQ_I64: ((int64_t *)data)[i] = v; break;
	case VQ_I32: memcpy((int32_t *)data + i, &u32, sizeof u32); break;
	case VQ_S8:
	case VQ_BOOL:
	case VQ_U8: ((uint8_t *)data)[i] = u8; break;
	case VQ_F32:
	case VQ_ELEM_COUNT: break;
	}
}

void vq_eval_strides(const vq_type *t, int64_t *stride)
{
	int64_t s = 1;

	for (uint32_t d = t->rank; d-- > 0;) {
		stride[d] = s;
		s *= t->dim[d];
	}
}

/* quantize is the identity with a quantized result, dequantize the identity with an f32 one */
static const char *convert(vq_eval *e)
{
	int64_t n = vq_type_count(&e->out->type);
	const float *x;
	float *y;

	if (!vq_eval_is_float(e, 0))
		return vq_eval_refuse(e, e->in[0].type.elem);
	x = vq_eval_f32(e, 0);
	y = vq_eval_result(e);
	memmove(y, x, (size_t)n * sizeof *y);
	return vq_eval_finish(e, y);
}

const char *vq_eval_node(const vq_graph *g, const vq_node_info *node, const vq_tensor *in, vq_tensor *out, vq_arena *a)
{
	vq_eval e = { .g = g, .node = node, .in = in, .out = out, .a = a };

	switch (vq_ops[node->op].class_) {
	case VQ_CLASS_ELT: return vq_eval_elementwise(&e);
	case VQ_CLASS_MOVE: return vq_eval_move(&e);
	case VQ_CLASS_REDUCE: return vq_eval_reduce(&e);
	case VQ_CLASS_NORM: return vq_eval_norm(&e);
	case VQ_CLASS_DOT:
		return node->op == VQ_OP_ATTENTION            ? vq_eval_attention(&e)
			: node->op == VQ_OP_ATTENTION_DYNAMIC ? vq_eval_attention_dynamic(&e)
			: node->op == VQ_OP_LINEAR_DYNAMIC    ? vq_eval_linear_dynamic(&e)
			: node->op == VQ_OP_MATMUL_DYNAMIC    ? vq_eval_matmul_dynamic(&e)
							      : vq_eval_dot(&e);
	case VQ_CLASS_QUANT: return node->op == VQ_OP_QUANTIZE_DYNAMIC ? vq_eval_quantize_dynamic(&e) : convert(&e);
	}
	return "unknown class of operator";
}
