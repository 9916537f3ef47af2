/* SPDX-License-Identifier: MIT */
#include "passes/pass.h"

#include "passes/match.h"
#include "passes/simplify.h"

static bool mean_of_last(const vq_graph *g, vq_value v, vq_value *x)
{
	const vq_node_info *n = &g->node[vq_def_of(g, v).id];
	uint32_t rank;

	if (n->op != VQ_OP_REDUCE_MEAN || !n->attr.reduce.keepdims)
		return false;
	rank = vq_type_of(g, n->in[0])->rank;
	*x = n->in[0];
	return n->attr.reduce.axes == 1u << (rank - 1);
}

/*
 * v = 1/sqrt(variance + eps) or sqrt(…), as a factor (recip) or a divisor; gives the sum under the
 * root
 */
static bool root_of_sum(const vq_graph *g, vq_value v, bool divisor, vq_value *sum)
{
	if (!divisor) {
		if (vq_def_op(g, v) != VQ_OP_RECIP || !vq_used_once(g, vq_in(g, v, 0)))
			return false;
		v = vq_in(g, v, 0);
	}
	if (vq_def_op(g, v) != VQ_OP_SQRT)
		return false;
	*sum = vq_in(g, v, 0);
	return vq_used_once(g, v) && vq_used_once(g, *sum);
}

/*
 * v = (x - mean) / sqrt(mean((x - mean)^2) + eps), in any of its forms, with nothing in it used
 * elsewhere
 */
static bool normalised(const vq_graph *g, vq_value v, vq_value *x, double *eps)
{
	vq_op op = vq_def_op(g, v);

	for (uint32_t side = 0; side < (op == VQ_OP_MUL ? 2u : op == VQ_OP_DIV ? 1u : 0u); side++) {
		vq_value d = vq_in(g, v, side), r = vq_in(g, v, 1 - side), sum, variance, square, mean, y;

		if (!root_of_sum(g, r, op == VQ_OP_DIV, &sum) || !vq_used_once(g, r))
			continue;
		if (!vq_by_scalar(g, sum, VQ_OP_ADD, &variance, eps) || !(*eps >= 0) || !vq_used_once(g, variance))
			continue;
		if (!mean_of_last(g, variance, &square) || vq_def_op(g, square) != VQ_OP_MUL ||
			!vq_used_once(g, square))
			continue;
		if (!vq_same(vq_in(g, square, 0), d) || !vq_same(vq_in(g, square, 1), d) || vq_uses(g, d) != 3)
			continue;
		if (vq_def_op(g, d) != VQ_OP_SUB)
			continue;
		*x = vq_in(g, d, 0);
		mean = vq_in(g, d, 1);
		if (mean_of_last(g, mean, &y) && vq_same(y, *x) && vq_used_once(g, mean))
			return true;
	}
	return false;
}

static vq_value vector_of(vq_graph *g, const double *v, int64_t n) { return vq_const_from(g, 1, &n, v); }

/* The only user of v if it is op(v, constant along the last axis); the constant's elements in c. */
static vq_node affine_user(const vq_graph *g, vq_value v, vq_op op, double *c)
{
	if (!vq_used_once(g, v))
		return VQ_NO_NODE;
	for (uint32_t i = 1; i < g->n_nodes; i++) {
		const vq_node_info *n = &g->node[i];

		if (n->op != op || !vq_same(n->in[0], v) || !vq_same_shape(vq_type_of(g, n->out), vq_type_of(g, v)))
			continue;
		if (vq_last_axis(g, n->in[1], vq_last_dim(g, v), c))
			return (vq_node){ i };
	}
	return VQ_NO_NODE;
}

static bool fuse(vq_graph *g, vq_node n)
{
	vq_value out = g->node[n.id].out, x, in[3];
	int64_t k = vq_last_dim(g, out);
	double eps, *c;
	vq_node last = n, user;

	if (!normalised(g, out, &x, &eps) || !vq_same_shape(vq_type_of(g, x), vq_type_of(g, out)))
		return false;
	c = VQ_ARRAY(g->arena, (size_t)k, double);
	for (int64_t i = 0; i < k; i++)
		c[i] = 1;
	user = affine_user(g, out, VQ_OP_MUL, c);
	last = user.id ? user : last;
	in[0] = x;
	in[1] = vector_of(g, c, k);
	for (int64_t i = 0; i < k; i++)
		c[i] = 0;
	user = affine_user(g, g->node[last.id].out, VQ_OP_ADD, c);
	last = user.id ? user : last;
	in[2] = vector_of(g, c, k);
	return vq_take_over(g, last,
		vq_build(
			g, vq_where(g, last), VQ_OP_LAYERNORM, in, 3, &(vq_attr){ .norm = { .epsilon = (float)eps } }));
}

/*
 * fuse_layernorm: decomposed LayerNorm becomes layernorm.
 *
 * Needs:   canonicalize (squares are mul(d, d), roots are sqrt, 1/x is recip, constants stand
 *          second).
 * Changes: (x - mean) / sqrt(mean((x - mean)^2) + eps), also times 1/sqrt, over the last axis with
 *          keepdims; a constant factor and a constant term along the last axis become gamma and
 *          beta (else ones and zeros).
 * Leaves:  the pattern alone if any value inside it is used elsewhere, if a mean is over other axes
 *          or eps is no constant.
 * Why:     ONNX has LayerNormalization from opset 17 only; older exports spell it out in nine
 *          nodes.
 */
bool vq_pass_fuse_layernorm(vq_pass *p)
{
	vq_graph *g = p->g;

	if (!vq_canonicalize(g))
		return false;
	for (uint32_t i = 1, n = g->n_nodes; i < n; i++)
		if (g->node[i].op)
			fuse(g, (vq_node){ i });
	return vq_canonicalize(g);
}
