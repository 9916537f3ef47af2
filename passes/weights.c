/* SPDX-License-Identifier: MIT */
#include "passes/weights.h"

#include "passes/match.h"

bool vq_is_f32_linear(const vq_graph *g, vq_node n)
{
	const vq_node_info *i = &g->node[n.id];

	if (i->op != VQ_OP_LINEAR)
		return false;
	for (uint32_t j = 1; j < i->n_in; j++)
		if (!vq_is_const(g, i->in[j]) || vq_type_of(g, i->in[j])->elem != VQ_F32)
			return false;
	return true;
}

uint32_t vq_linear_bias(vq_op op) { return op == VQ_OP_LINEAR_DYNAMIC ? 3 : 2; }

int64_t vq_linear_outputs(const vq_graph *g, vq_node n)
{
	return vq_type_of(g, g->node[n.id].in[vq_linear_bias(g->node[n.id].op) - 1])->dim[0];
}

/* constant v[n, k] with row o times factor[o] */
static vq_value scaled_rows(vq_graph *g, vq_value v, const double *factor)
{
	vq_type t = *vq_type_of(g, v);
	const float *from = g->value[v.id].data;
	int64_t count = vq_type_count(&t), k = count / t.dim[0];
	double *to = vq_alloc((size_t)count * sizeof *to);
	vq_value r;

	for (int64_t i = 0; i < count; i++)
		to[i] = (double)from[i] * factor[i / k];
	r = vq_const_from(g, t.rank, t.dim, to);
	vq_free(to);
	g->value[r.id].name = g->value[v.id].name;
	return r;
}

vq_value vq_linear_scaled(vq_graph *g, vq_node n, const double *factor)
{
	vq_value in[3], v;
	uint32_t n_in = g->node[n.id].n_in;

	in[0] = g->node[n.id].in[0];
	for (uint32_t i = 1; i < n_in; i++)
		in[i] = scaled_rows(g, g->node[n.id].in[i], factor);
	v = vq_build(g, vq_where(g, n), VQ_OP_LINEAR, in, n_in, NULL);
	vq_inherit(g, v, n);
	return v;
}

vq_value vq_linear_biased(vq_graph *g, vq_node n, const double *term)
{
	const vq_node_info *i = &g->node[n.id];
	uint32_t bias = vq_linear_bias(i->op);
	vq_value in[4] = { i->in[0], i->in[1], bias > 2 ? i->in[2] : VQ_NO_VALUE }, v;
	int64_t count = vq_linear_outputs(g, n);
	double *sum = VQ_ARRAY(g->arena, (size_t)count, double);

	for (int64_t o = 0; o < count; o++)
		sum[o] = term[o] + (i->n_in > bias ? (double)((const float *)g->value[i->in[bias].id].data)[o] : 0);
	in[bias] = vq_const_from(g, 1, &count, sum);
	v = vq_build(g, vq_where(g, n), g->node[n.id].op, in, bias + 1, NULL);
	vq_inherit(g, v, n);
	return v;
}
