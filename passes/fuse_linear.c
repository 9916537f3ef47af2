#include "passes/pass.h"

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

/* Does the kernel of a conv tile its operand: stride = size, nothing padded, spread or grouped? */
static bool tiles(const vq_node_info *i, const vq_type *w)
{
	if (i->attr.conv.group != 1)
		return false;
	for (uint32_t k = 0; k + 2 < w->rank; k++)
		if (i->attr.conv.stride[k] != w->dim[k + 2] || i->attr.conv.dilation[k] != 1 ||
			i->attr.conv.before[k] || i->attr.conv.after[k])
			return false;
	return true;
}

/* conv whose kernel tiles its operand -> linear on a view of the tiles */
static bool from_conv(vq_graph *g, vq_node n)
{
	vq_node_info i = g->node[n.id];
	vq_type x, w, out = *vq_type_of(g, i.out);
	vq_attr a = { 0 };
	vq_value in[3], v;
	uint32_t spatial;
	int64_t step = 1, tile = 1, places = 1;

	if (i.op != VQ_OP_CONV || !vq_is_weight(g, i.in[1]) ||
		(i.n_in > 2 && !vq_is_const(g, i.in[2])))
		return false;
	x = *vq_type_of(g, i.in[0]);
	w = *vq_type_of(g, i.in[1]);
	if (!tiles(&i, &w))
		return false;
	/* [batch, place..., channel, position in the tile...] */
	spatial = x.rank - 2;
	a.view.rank = 2 + 2 * spatial;
	for (uint32_t k = spatial; k-- > 0;) {
		a.view.dim[1 + k] = out.dim[2 + k];
		a.view.stride[1 + k] = step * w.dim[2 + k];
		a.view.dim[2 + spatial + k] = w.dim[2 + k];
		a.view.stride[2 + spatial + k] = step;
		step *= x.dim[2 + k];
		tile *= w.dim[2 + k];
		places *= out.dim[2 + k];
	}
	a.view.dim[1 + spatial] = x.dim[1];
	a.view.stride[1 + spatial] = step;
	a.view.dim[0] = x.dim[0];
	a.view.stride[0] = step * x.dim[1];
	in[0] = vq_build(g, NULL, VQ_OP_VIEW, &i.in[0], 1, &a);
	in[0] = vq_build_reshape(
		g, NULL, in[0], 3, (int64_t[]){ x.dim[0], places, x.dim[1] * tile });
	in[1] = vq_build_reshape(g, NULL, i.in[1], 2, (int64_t[]){ w.dim[0], x.dim[1] * tile });
	in[2] = i.n_in > 2 ? i.in[2] : VQ_NO_VALUE;
	v = vq_build(g, vq_where(g, n), VQ_OP_LINEAR, in, i.n_in, NULL);
	if (!v.id)
		return false;
	vq_inherit(g, v, n);
	v = vq_build_transpose(g, NULL, v, (int64_t[]){ 0, 2, 1 });
	return vq_take_over(g, n, vq_build_reshape(g, NULL, v, out.rank, out.dim));
}

/* linear, used once, then a constant factor or term along the last axis */
static bool absorb(vq_graph *g, vq_node n)
{
	vq_node_info i = g->node[n.id];
	vq_node l;
	int64_t outputs;
	double *c;

	if (i.op != VQ_OP_ADD && i.op != VQ_OP_SUB && i.op != VQ_OP_MUL && i.op != VQ_OP_DIV)
		return false;
	l = vq_def_of(g, i.in[0]);
	if (vq_op_of(g, l) != VQ_OP_LINEAR || !vq_used_once(g, i.in[0]) ||
		!vq_is_const(g, i.in[1]) ||
		!vq_same_shape(vq_type_of(g, i.in[0]), vq_type_of(g, i.out)))
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
	if (g->node[l.id].n_in > 2 && !vq_is_const(g, g->node[l.id].in[2]))
		return false;
	return vq_take_over(g, n, vq_linear_biased(g, l, c));
}

static bool once(vq_graph *g)
{
	bool changed = false;

	for (uint32_t i = 1, n = g->n_nodes; i < n; i++) {
		vq_node node = { i };

		if (g->node[i].op)
			changed |= from_matmul(g, node) || from_conv(g, node) || absorb(g, node) ||
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
 *          conv whose kernel tiles its operand (patch embedding), as linear on a view. A constant
 *          term along the last axis becomes bias; a constant factor (LayerScale, the attention
 *          scale on q) goes into f32 weights and bias, each rounded once from double. A merged
 *          projection is split where its results are taken apart, also behind a per-tensor quantize
 *          and dequantize.
 * Leaves:  matmul of a constant by a value; factors of operators that are used elsewhere, or whose
 *          weights are codes.
 * Why:     one form for all exporters, and scales of their own for q, k and v.
 */
bool vq_pass_fuse_linear(vq_pass *p)
{
	do {
		if (!vq_canonicalize(p->g))
			return false;
	} while (once(p->g));
	return vq_canonicalize(p->g);
}
