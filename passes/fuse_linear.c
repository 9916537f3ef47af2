/* SPDX-License-Identifier: MIT */
#include "passes/pass.h"

#include "passes/from_conv.h"
#include "passes/match.h"
#include "passes/simplify.h"
#include "passes/split_linear.h"
#include "passes/weights.h"

/* matmul(x, W), W a constant matrix (leading dimensions 1) -> linear */
static bool from_matmul(vq_graph *g, vq_node n)
{
	vq_node_info i = g->node[n.id];
	vq_value x, w, v;
	vq_type t, out = *vq_type_of(g, i.out);
	int64_t rows, cols;

	if (i.op != VQ_OP_MATMUL || i.attr.matmul.trans_a)
		return false;
	x = i.in[0];
	w = i.in[1];
	t = *vq_type_of(g, w);
	rows = t.dim[t.rank - 2];
	cols = t.dim[t.rank - 1];
	if (!vq_is_weight(g, w) || vq_is_const(g, x) || vq_type_count(&t) != rows * cols)
		return false;
	w = vq_build_reshape(g, NULL, w, 2, (int64_t[]){ rows, cols });
	if (!i.attr.matmul.trans_b && w.id)
		w = vq_build_transpose(g, NULL, w, (int64_t[]){ 1, 0 });
	v = vq_build2(g, vq_where(g, n), VQ_OP_LINEAR, x, w);
	if (!v.id)
		return false;
	vq_inherit(g, v, n);
	return vq_take_over(g, n, vq_build_reshape(g, NULL, v, out.rank, out.dim));
}

/* linear, used once, then a constant factor or term along the last axis */
static bool absorb(vq_graph *g, vq_node n)
{
	vq_node_info i = g->node[n.id];
	vq_node l;
	vq_value bias;
	int64_t outputs;
	double *c;

	if (i.op != VQ_OP_ADD && i.op != VQ_OP_SUB && i.op != VQ_OP_MUL && i.op != VQ_OP_DIV)
		return false;
	l = vq_def_of(g, i.in[0]);
	if ((vq_op_of(g, l) != VQ_OP_LINEAR && vq_op_of(g, l) != VQ_OP_LINEAR_DYNAMIC) || !vq_used_once(g, i.in[0]) ||
		!vq_is_const(g, i.in[1]) || !vq_same_shape(vq_type_of(g, i.in[0]), vq_type_of(g, i.out)))
		return false;
	outputs = vq_linear_outputs(g, l);
	c = VQ_ARRAY(g->arena, (size_t)outputs, double);
	if (!vq_last_axis(g, i.in[1], outputs, c))
		return false;
	for (int64_t o = 0; o < outputs; o++) {
		if (i.op == VQ_OP_DIV && c[o] == 0)
			return false;
		c[o] = i.op == VQ_OP_SUB ? -c[o] : i.op == VQ_OP_DIV ? 1 / c[o] : c[o];
	}
	if (i.op == VQ_OP_MUL || i.op == VQ_OP_DIV)
		return vq_is_f32_linear(g, l) && vq_take_over(g, n, vq_linear_scaled(g, l, c));
	bias = vq_operand(g, l, vq_linear_bias(vq_op_of(g, l)));
	if (bias.id && !vq_is_const(g, bias))
		return false;
	return vq_take_over(g, n, vq_linear_biased(g, l, c));
}

static bool once(vq_pass *p)
{
	vq_graph *g = p->g;
	bool changed = false;

	for (uint32_t i = 1, n = g->n_nodes; i < n; i++) {
		vq_node node = { i };

		if (g->node[i].op)
			changed |= from_matmul(g, node) || vq_from_conv(p, node) || absorb(g, node) ||
				vq_split_linear(g, node);
	}
	return changed;
}

/*
 * fuse_linear: every product by a constant becomes linear, with its bias and scale, one per
 * projection.
 *
 * Needs:   canonicalize.
 * Changes: matmul by a constant matrix, or by dequantize of constant codes (its entry moves along);
 *          conv as linear on a view of its windows (patch embedding, where they tile the operand,
 *          is a view alone), group by group; of single channels as a sum over its taps. A constant
 *          term along the last axis becomes bias; a constant factor (LayerScale, the attention
 *          scale on q) goes into f32 weights and bias, each rounded once from double. A merged
 *          projection is split where its results are taken apart, also behind a per-tensor quantize
 *          and dequantize. linear_dynamic, which models quantized at run time bring, takes biases, too.
 * Leaves:  matmul of a constant by a value; factors of operators that are used elsewhere, or whose
 *          weights are codes.
 * Why:     one form for all exporters, and scales of their own for q, k and v.
 */
bool vq_pass_fuse_linear(vq_pass *p)
{
	do {
		if (!vq_canonicalize(p->g))
			return false;
	} while (once(p));
	return vq_canonicalize(p->g);
}
