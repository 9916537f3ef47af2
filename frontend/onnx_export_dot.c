/* SPDX-License-Identifier: MIT */
/* -emit=onnx: products. */
#include "frontend/onnx_export_node.h"

/* ---- linear ---- */

/* w[N,K] as [K,N] */
static void *transposed(vq_onnx_writer *w, const vq_type *t, const void *data)
{
	size_t rows = (size_t)t->dim[0], columns = (size_t)t->dim[1], bytes = vq_elem_bytes(t->elem);
	uint8_t *to = vq_arena_alloc(&w->arena, vq_type_bytes(t));
	const uint8_t *from = data;

	for (size_t r = 0; r < rows; r++)
		for (size_t c = 0; c < columns; c++)
			for (size_t b = 0; b < bytes; b++)
				to[(c * rows + r) * bytes + b] = from[(r * columns + c) * bytes + b];
	return to;
}

static const char *weights(vq_onnx_writer *w, vq_value v)
{
	static const int64_t swap[] = { 1, 0 };
	const vq_graph *g = w->g;
	vq_value codes = vq_def_op(g, v) == VQ_OP_DEQUANTIZE ? vq_operand(g, vq_def_of(g, v), 0) : v;
	const vq_type *t = vq_type_of(g, codes);
	const vq_quant *q = vq_quant_of(g, t);
	int64_t dim[] = { t->dim[1], t->dim[0] };
	const char *name;

	if (!vq_is_const(g, codes))
		return vq_onnx_put_transpose(w, vq_export_value(w, v), 2, swap, NULL);
	name = vq_onnx_put_tensor(w, t->elem, 2, dim, transposed(w, t, g->value[codes.id].data));
	return q ? vq_export_dequantize(w, name, q, dim, 2, q->axis < 0 ? -1 : 1 - q->axis, NULL) : name;
}

static const char *linear(vq_onnx_writer *w, const vq_node_info *n, const char *to)
{
	bool bias = n->n_in > 2;
	const char *y = vq_onnx_put_node2(
		w, "MatMul", vq_export_value(w, n->in[0]), weights(w, n->in[1]), bias ? NULL : to);

	return bias ? vq_onnx_put_node2(w, "Add", y, vq_export_value(w, n->in[2]), to) : y;
}

/* ---- matmul, conv ---- */

static const char *operand(vq_onnx_writer *w, vq_value v, bool swapped)
{
	const vq_type *t = vq_type_of(w->g, v);
	int64_t perm[VQ_MAX_RANK];

	if (!swapped || t->rank < 2)
		return vq_export_value(w, v);
	for (uint32_t i = 0; i < t->rank; i++)
		perm[i] = i;
	perm[t->rank - 2] = t->rank - 1;
	perm[t->rank - 1] = t->rank - 2;
	return vq_onnx_put_transpose(w, vq_export_value(w, v), t->rank, perm, NULL);
}

static const char *conv(vq_onnx_writer *w, const vq_node_info *n, const char *to)
{
	uint32_t spatial = vq_type_of(w->g, n->in[0])->rank - 2;
	int64_t stride[3], dilation[3], pads[6];
	const char *in[3], *y;

	for (uint32_t i = 0; i < n->n_in; i++)
		in[i] = vq_export_value(w, n->in[i]);
	for (uint32_t i = 0; i < spatial; i++) {
		stride[i] = n->attr.conv.stride[i];
		dilation[i] = n->attr.conv.dilation[i];
		pads[i] = n->attr.conv.before[i];
		pads[spatial + i] = n->attr.conv.after[i];
	}
	y = vq_onnx_put_node(w, "Conv", in, n->n_in, to);
	vq_onnx_put_attr_ints(w, "strides", stride, spatial);
	vq_onnx_put_attr_ints(w, "dilations", dilation, spatial);
	vq_onnx_put_attr_ints(w, "pads", pads, 2 * spatial);
	vq_onnx_put_attr_int(w, "group", n->attr.conv.group);
	return y;
}

/* ---- attention ---- */

/* [B,N,H*D] -> [B,H,N,D], or [B,H,D,N] for keys */
static const char *split_heads(vq_onnx_writer *w, vq_value v, int64_t heads, bool keys)
{
	static const int64_t to_rows[] = { 0, 2, 1, 3 }, to_columns[] = { 0, 2, 3, 1 };
	const vq_type *t = vq_type_of(w->g, v);
	int64_t dim[] = { t->dim[0], t->dim[1], heads, t->dim[2] / heads };
	const char *x = vq_onnx_put_reshape(w, vq_export_value(w, v), 4, dim, NULL);

	return vq_onnx_put_transpose(w, x, 4, keys ? to_columns : to_rows, NULL);
}

/* Probabilities as other tools quantize them: uint8, scale 1/255. */
static const char *round_probabilities(vq_onnx_writer *w, const char *p)
{
	static const uint8_t zero;
	const char *in[3] = { p, vq_onnx_put_scalar(w, 1 / 255.0f), vq_onnx_put_tensor(w, VQ_U8, 0, NULL, &zero) };

	in[0] = vq_onnx_put_node(w, "QuantizeLinear", in, 3, NULL);
	return vq_onnx_put_node(w, "DequantizeLinear", in, 3, NULL);
}

static const char *attention(vq_onnx_writer *w, const vq_node_info *n, const char *to)
{
	static const int64_t merge[] = { 0, 2, 1, 3 };
	const vq_graph *g = w->g;
	const vq_type *t = vq_type_of(g, n->out);
	int64_t heads = n->attr.attention.heads;
	const char *q = split_heads(w, n->in[0], heads, false), *k = split_heads(w, n->in[1], heads, true);
	const char *v = split_heads(w, n->in[2], heads, false), *s = vq_onnx_put_node2(w, "MatMul", q, k, NULL);

	if (n->attr.attention.scale != 1)
		s = vq_onnx_put_node2(w, "Mul", s, vq_onnx_put_scalar(w, n->attr.attention.scale), NULL);
	if (n->n_in > 3)
		s = vq_onnx_put_node2(w, "Add", s, vq_export_value(w, n->in[3]), NULL);
	s = vq_onnx_put_node1(w, "Softmax", s, NULL);
	vq_onnx_put_attr_int(w, "axis", -1);
	if (vq_def_op(g, n->in[0]) == VQ_OP_DEQUANTIZE)
		s = round_probabilities(w, s);
	s = vq_onnx_put_transpose(w, vq_onnx_put_node2(w, "MatMul", s, v, NULL), 4, merge, NULL);
	return vq_onnx_put_reshape(w, s, t->rank, t->dim, to);
}

const char *vq_export_dot(vq_onnx_writer *w, const vq_node_info *n, const char *to)
{
	switch (n->op) {
	case VQ_OP_LINEAR: return linear(w, n, to);
	case VQ_OP_MATMUL:
		return vq_onnx_put_node2(w, "MatMul", operand(w, n->in[0], n->attr.matmul.trans_a),
			operand(w, n->in[1], n->attr.matmul.trans_b), to);
	case VQ_OP_CONV: return conv(w, n, to);
	case VQ_OP_ATTENTION: return attention(w, n, to);
	default: return NULL;
	}
}
