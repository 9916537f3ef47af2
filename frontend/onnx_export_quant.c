/* SPDX-License-Identifier: MIT */
/* -emit=onnx: QuantizeLinear and DequantizeLinear. */
#include "frontend/onnx_export_node.h"

/*
 * Entries as ONNX has them: one scale and int8 zero point per tensor or per element of the axis. A
 * zero point outside int8 is brought into it, and what is missing is added before quantizing and
 * subtracted after dequantizing: x / s + z = (x + (z - z') s) / s + z'.
 */
typedef struct onnx_entry {
	const char *scale, *zero;
	const char *shift; /* (z - z') s, broadcastable; NULL if all zero points are int8 */
} onnx_entry;

static onnx_entry entry_of(vq_onnx_writer *w, const vq_quant *q, const int64_t *dim, uint32_t rank, int32_t axis)
{
	int64_t n = axis < 0 ? 1 : dim[axis], shape[VQ_MAX_RANK];
	float *scale = VQ_ARRAY(&w->arena, (size_t)n, float), *shift = VQ_ARRAY(&w->arena, (size_t)n, float);
	int8_t *zero = VQ_ARRAY(&w->arena, (size_t)n, int8_t);
	uint32_t entry_rank = axis < 0 ? 0 : 1;
	bool shifted = false;
	onnx_entry e = { 0 };

	for (int64_t i = 0; i < n; i++) {
		uint32_t k = (uint32_t)(i * q->n / n);
		int32_t z = q->zero[k];

		zero[i] = (int8_t)(z < -128 ? -128 : z > 127 ? 127 : z);
		scale[i] = q->scale[k];
		shift[i] = (float)((double)(z - zero[i]) * (double)scale[i]);
		shifted |= z != zero[i];
	}
	for (uint32_t i = 0; i < rank; i++)
		shape[i] = (int32_t)i == axis ? n : 1;
	e.scale = vq_onnx_put_tensor(w, VQ_F32, entry_rank, &n, scale);
	e.zero = vq_onnx_put_tensor(w, VQ_S8, entry_rank, &n, zero);
	if (shifted)
		e.shift = vq_onnx_put_tensor(w, VQ_F32, axis < 0 ? 0 : rank, shape, shift);
	return e;
}

static const char *linear_node(
	vq_onnx_writer *w, const char *op, const char *x, const onnx_entry *e, int32_t axis, const char *to)
{
	x = vq_onnx_put_node(w, op, (const char *[]){ x, e->scale, e->zero }, 3, to);
	if (axis >= 0)
		vq_onnx_put_attr_int(w, "axis", axis);
	return x;
}

const char *vq_export_dequantize(vq_onnx_writer *w, const char *codes, const vq_quant *q, const int64_t *dim,
	uint32_t rank, int32_t axis, const char *to)
{
	onnx_entry e = entry_of(w, q, dim, rank, axis);
	const char *x = linear_node(w, "DequantizeLinear", codes, &e, axis, e.shift ? NULL : to);

	return e.shift ? vq_onnx_put_node2(w, "Sub", x, e.shift, to) : x;
}

/*
 * Weights behind dequantize are written where a linear uses them, transposed as MatMul wants them.
 */
static bool only_weights(const vq_graph *g, vq_value v)
{
	for (uint32_t i = 1; i < g->n_nodes; i++)
		for (uint32_t j = 0; j < g->node[i].n_in; j++)
			if (vq_same(g->node[i].in[j], v) && !(g->node[i].op == VQ_OP_LINEAR && j == 1))
				return false;
	for (uint32_t i = 0; i < g->n_outputs; i++)
		if (vq_same(g->output[i].value, v))
			return false;
	return true;
}

const char *vq_export_quant(vq_onnx_writer *w, const vq_node_info *n, const char *to)
{
	const vq_graph *g = w->g;
	const vq_type *t = vq_type_of(g, n->op == VQ_OP_QUANTIZE ? n->out : n->in[0]);
	const vq_quant *q = vq_quant_of(g, t);
	const char *x;
	onnx_entry e;

	if (n->op == VQ_OP_DEQUANTIZE) {
		if (vq_is_const(g, n->in[0]) && only_weights(g, n->out))
			return "";
		return vq_export_dequantize(w, vq_export_value(w, n->in[0]), q, t->dim, t->rank, q->axis, to);
	}
	x = vq_export_value(w, n->in[0]);
	e = entry_of(w, q, t->dim, t->rank, q->axis);
	if (e.shift)
		x = vq_onnx_put_node2(w, "Add", x, e.shift, NULL);
	return linear_node(w, "QuantizeLinear", x, &e, q->axis, to);
}
