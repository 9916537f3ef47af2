/* SPDX-License-Identifier: MIT */
/* -emit=onnx: the walk over the graph and the elementwise, reducing and normalising operators. */
#include "frontend/onnx_export.h"

#include "frontend/onnx_export_node.h"

#include <string.h>

const char *vq_export_value(vq_onnx_writer *w, vq_value v)
{
	const vq_value_info *i = &w->g->value[v.id];

	if (!w->name[v.id] && i->def == VQ_DEF_CONST)
		w->name[v.id] = vq_onnx_put_tensor(w, i->type.elem, i->type.rank, i->type.dim, i->data);
	return w->name[v.id];
}

/* operators ONNX has under a name of its own, with the same operands and no attributes */
static const char *const direct_names[VQ_OP_COUNT] = {
	[VQ_OP_NEG] = "Neg",
	[VQ_OP_ABS] = "Abs",
	[VQ_OP_SQRT] = "Sqrt",
	[VQ_OP_RECIP] = "Reciprocal",
	[VQ_OP_EXP] = "Exp",
	[VQ_OP_LOG] = "Log",
	[VQ_OP_ERF] = "Erf",
	[VQ_OP_TANH] = "Tanh",
	[VQ_OP_SIGMOID] = "Sigmoid",
	[VQ_OP_RELU] = "Relu",
	[VQ_OP_FLOOR] = "Floor",
	[VQ_OP_ROUND] = "Round",
	[VQ_OP_NOT] = "Not",
	[VQ_OP_ADD] = "Add",
	[VQ_OP_SUB] = "Sub",
	[VQ_OP_MUL] = "Mul",
	[VQ_OP_DIV] = "Div",
	[VQ_OP_MOD] = "Mod",
	[VQ_OP_POW] = "Pow",
	[VQ_OP_MIN] = "Min",
	[VQ_OP_MAX] = "Max",
	[VQ_OP_EQUAL] = "Equal",
	[VQ_OP_LESS] = "Less",
	[VQ_OP_AND] = "And",
	[VQ_OP_OR] = "Or",
	[VQ_OP_WHERE] = "Where",
};

/* 0.5 x (1 + erf(x / sqrt 2)), in the order exporters write it */
static const char *gelu(vq_onnx_writer *w, const char *x, const char *to)
{
	const char *y = vq_onnx_put_node2(w, "Div", x, vq_onnx_put_scalar(w, 0x1.6a09e6p+0f), NULL);

	y = vq_onnx_put_node1(w, "Erf", y, NULL);
	y = vq_onnx_put_node2(w, "Add", y, vq_onnx_put_scalar(w, 1), NULL);
	y = vq_onnx_put_node2(w, "Mul", x, y, NULL);
	return vq_onnx_put_node2(w, "Mul", y, vq_onnx_put_scalar(w, 0.5f), to);
}

/* 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) */
static const char *gelu_tanh(vq_onnx_writer *w, const char *x, const char *to)
{
	const char *y = vq_onnx_put_node2(w, "Pow", x, vq_onnx_put_scalar(w, 3), NULL);

	y = vq_onnx_put_node2(w, "Mul", y, vq_onnx_put_scalar(w, 0.044715f), NULL);
	y = vq_onnx_put_node2(w, "Add", x, y, NULL);
	y = vq_onnx_put_node2(w, "Mul", y, vq_onnx_put_scalar(w, 0.7978845608028654f), NULL);
	y = vq_onnx_put_node1(w, "Tanh", y, NULL);
	y = vq_onnx_put_node2(w, "Add", y, vq_onnx_put_scalar(w, 1), NULL);
	x = vq_onnx_put_node2(w, "Mul", x, vq_onnx_put_scalar(w, 0.5f), NULL);
	return vq_onnx_put_node2(w, "Mul", x, y, to);
}

static const char *times_sigmoid(vq_onnx_writer *w, const char *x, float factor, const char *to)
{
	const char *y = factor == 1 ? x : vq_onnx_put_node2(w, "Mul", x, vq_onnx_put_scalar(w, factor), NULL);

	return vq_onnx_put_node2(w, "Mul", x, vq_onnx_put_node1(w, "Sigmoid", y, NULL), to);
}

static const char *elementwise(vq_onnx_writer *w, const vq_node_info *n, const char *to)
{
	const char *in[3] = { NULL }, *direct = direct_names[n->op], *y;

	for (uint32_t i = 0; i < n->n_in; i++)
		in[i] = vq_export_value(w, n->in[i]);
	if (direct)
		return vq_onnx_put_node(w, direct, in, n->n_in, to);
	switch (n->op) {
	case VQ_OP_GELU: return gelu(w, in[0], to);
	case VQ_OP_GELU_TANH: return gelu_tanh(w, in[0], to);
	case VQ_OP_GELU_QUICK: return times_sigmoid(w, in[0], 1.702f, to);
	case VQ_OP_SILU: return times_sigmoid(w, in[0], 1, to);
	case VQ_OP_CAST:
		y = vq_onnx_put_node1(w, "Cast", in[0], to);
		vq_onnx_put_attr_int(w, "to", vq_onnx_elem_code(n->attr.cast.to));
		return y;
	default: return NULL;
	}
}

static const char *reduce(vq_onnx_writer *w, const vq_node_info *n, const char *to)
{
	static const struct {
		vq_op op;
		const char *name;
	} names[] = {
		{ VQ_OP_REDUCE_SUM, "ReduceSum" },
		{ VQ_OP_REDUCE_MEAN, "ReduceMean" },
		{ VQ_OP_REDUCE_MAX, "ReduceMax" },
		{ VQ_OP_REDUCE_MIN, "ReduceMin" },
		{ VQ_OP_REDUCE_PROD, "ReduceProd" },
	};
	const char *x = vq_export_value(w, n->in[0]), *name = NULL, *y;
	int64_t axis[VQ_MAX_RANK];
	uint32_t count = 0;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].op == n->op)
			name = names[i].name;
	if (!name)
		return NULL;
	for (uint32_t i = 0; i < vq_type_of(w->g, n->in[0])->rank; i++)
		if (n->attr.reduce.axes >> i & 1)
			axis[count++] = i;
	if (n->op == VQ_OP_REDUCE_SUM) { /* axes are an operand since opset 13, of the others since 18 */
		y = vq_onnx_put_node2(w, name, x, vq_onnx_put_ints(w, axis, count), to);
	} else {
		y = vq_onnx_put_node1(w, name, x, to);
		vq_onnx_put_attr_ints(w, "axes", axis, count);
	}
	vq_onnx_put_attr_int(w, "keepdims", n->attr.reduce.keepdims);
	return y;
}

static const char *norm(vq_onnx_writer *w, const vq_node_info *n, const char *to)
{
	const char *in[3] = { NULL }, *y;

	for (uint32_t i = 0; i < n->n_in; i++)
		in[i] = vq_export_value(w, n->in[i]);
	if (n->op == VQ_OP_SOFTMAX) {
		y = vq_onnx_put_node1(w, "Softmax", in[0], to);
		vq_onnx_put_attr_int(w, "axis", n->attr.axis.axis);
		return y;
	}
	y = vq_onnx_put_node(w, "LayerNormalization", in, 3, to);
	vq_onnx_put_attr_int(w, "axis", -1);
	vq_onnx_put_attr_float(w, "epsilon", n->attr.norm.epsilon);
	return y;
}

static const char *export_node(vq_onnx_writer *w, const vq_node_info *n, const char *to)
{
	switch (vq_ops[n->op].class_) {
	case VQ_CLASS_ELT: return elementwise(w, n, to);
	case VQ_CLASS_MOVE: return vq_export_move(w, n, to);
	case VQ_CLASS_REDUCE: return reduce(w, n, to);
	case VQ_CLASS_NORM: return norm(w, n, to);
	case VQ_CLASS_DOT: return vq_export_dot(w, n, to);
	case VQ_CLASS_QUANT: return vq_export_quant(w, n, to);
	}
	return NULL;
}

/* ---- the walk ---- */

/* An operator that computes on codes: not QDQ form. */
static bool is_integer(const vq_graph *g, const vq_node_info *n)
{
	vq_op_class c = vq_ops[n->op].class_;
	bool quantized = vq_type_of(g, n->out)->quant != 0;

	if (n->out2.id)
		return true;
	for (uint32_t i = 0; i < n->n_in; i++)
		quantized |= vq_type_of(g, n->in[i])->quant != 0;
	return quantized && c != VQ_CLASS_MOVE && c != VQ_CLASS_QUANT;
}

static bool check_form(const vq_graph *g, vq_diag *diag)
{
	for (uint32_t i = 1; i < g->n_nodes; i++)
		if (g->node[i].op && is_integer(g, &g->node[i])) {
			vq_error(diag, vq_where(g, (vq_node){ i }), "ONNX cannot express it in integer form");
			return vq_hint(diag, "stop earlier: -stop=cancel_qdq");
		}
	for (uint32_t i = 0; i < g->n_outputs; i++)
		if (vq_type_of(g, g->output[i].value)->quant)
			return vq_error(diag, NULL, "output '%s' is a tensor of codes, which ONNX cannot describe",
				g->output[i].name);
	return true;
}

/* Name of the first output that is v, NULL if v is no output or not computed by a node. */
static const char *output_name(const vq_graph *g, vq_value v)
{
	for (uint32_t i = 0; i < g->n_outputs; i++)
		if (vq_same(g->output[i].value, v))
			return g->output[i].name;
	return NULL;
}

static bool export_all(vq_onnx_writer *w, vq_diag *diag)
{
	const vq_graph *g = w->g;

	for (uint32_t i = 0; i < g->n_inputs; i++)
		w->name[g->input[i].value.id] = g->input[i].name;
	for (uint32_t i = 1; i < g->n_nodes; i++) {
		const vq_node_info *n = &g->node[i];
		const char *to = output_name(g, n->out);

		if (!n->op)
			continue;
		w->source = n->name;
		w->name[n->out.id] = export_node(w, n, to);
		if (!w->name[n->out.id])
			return vq_error(
				diag, vq_where(g, (vq_node){ i }), "ONNX has no form of %s", vq_ops[n->op].text);
	}
	w->source = NULL;
	for (uint32_t i = 0; i < g->n_outputs; i++) {
		const char *from = vq_export_value(w, g->output[i].value);

		if (strcmp(from, g->output[i].name))
			vq_onnx_put_node1(w, "Identity", from, g->output[i].name);
	}
	return true;
}

bool vq_export_onnx(const vq_graph *qdq, vq_diag *diag, FILE *out)
{
	vq_onnx_writer w;
	bool ok;

	if (!check_form(qdq, diag))
		return false;
	vq_onnx_writer_init(&w, qdq);
	ok = export_all(&w, diag) && vq_onnx_write(&w, diag, out);
	vq_arena_free(&w.arena);
	return ok;
}
