/* SPDX-License-Identifier: MIT */
#include "passes/match.h"

#include <math.h>

uint32_t vq_uses(const vq_graph *g, vq_value v)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i < g->n_nodes; i++)
		for (uint32_t j = 0; g->node[i].op && j < g->node[i].n_in; j++)
			n += vq_same(g->node[i].in[j], v);
	for (uint32_t i = 0; i < g->n_outputs; i++)
		n += vq_same(g->output[i].value, v);
	return n;
}

static bool const_f32(const vq_graph *g, vq_value v)
{
	return v.id && vq_is_const(g, v) && vq_type_of(g, v)->elem == VQ_F32;
}

bool vq_scalar(const vq_graph *g, vq_value v, double *out)
{
	if (!const_f32(g, v) || vq_type_count(vq_type_of(g, v)) != 1)
		return false;
	if (out)
		*out = (double)*(const float *)g->value[v.id].data;
	return true;
}

bool vq_near(double got, double want) { return fabs(got - want) <= 1e-5 * fabs(want); }

bool vq_last_axis(const vq_graph *g, vq_value v, int64_t n, double *out)
{
	const vq_type *t = vq_type_of(g, v);
	const float *data;
	int64_t count;

	if (!const_f32(g, v))
		return false;
	count = vq_type_count(t);
	if (count != 1 && (count != n || t->dim[t->rank - 1] != n))
		return false;
	data = g->value[v.id].data;
	for (int64_t i = 0; out && i < n; i++)
		out[i] = (double)data[count == 1 ? 0 : i];
	return true;
}

bool vq_by_scalar(const vq_graph *g, vq_value v, vq_op op, vq_value *a, double *c)
{
	if (vq_def_op(g, v) != op || !vq_scalar(g, vq_in(g, v, 1), c))
		return false;
	*a = vq_in(g, v, 0);
	return true;
}

bool vq_scaled(const vq_graph *g, vq_value v, vq_value *a, double *factor)
{
	if (vq_by_scalar(g, v, VQ_OP_MUL, a, factor))
		return true;
	if (!vq_by_scalar(g, v, VQ_OP_DIV, a, factor) || *factor == 0)
		return false;
	*factor = 1 / *factor;
	return true;
}

int64_t vq_last_dim(const vq_graph *g, vq_value v)
{
	const vq_type *t = vq_type_of(g, v);

	return t->rank ? t->dim[t->rank - 1] : 1;
}

bool vq_is_weight(const vq_graph *g, vq_value w)
{
	if (vq_def_op(g, w) == VQ_OP_DEQUANTIZE)
		return vq_is_const(g, vq_in(g, w, 0));
	return const_f32(g, w);
}

vq_value vq_const_from(vq_graph *g, uint32_t rank, const int64_t *dim, const double *v)
{
	vq_type t = vq_type_make(VQ_F32, rank, dim);
	int64_t n = vq_type_count(&t);
	float *data = VQ_ARRAY(g->arena, (size_t)n, float);

	for (int64_t i = 0; i < n; i++)
		data[i] = fabs(v[i]) < 0x1p-100 ? 0 : (float)v[i];
	return vq_add_const(g, &t, data, NULL);
}

void vq_inherit(vq_graph *g, vq_value v, vq_node n)
{
	vq_node_info *to = &g->node[vq_def_of(g, v).id];
	const vq_node_info *from = &g->node[n.id];

	if (!vq_def_of(g, v).id || to->name)
		return;
	to->name = from->name;
	to->source = from->source;
	g->value[v.id].name = g->value[from->out.id].name;
}

bool vq_take_over(vq_graph *g, vq_node n, vq_value v)
{
	if (!v.id || !vq_same_type(vq_type_of(g, v), vq_type_of(g, g->node[n.id].out)))
		return false;
	vq_inherit(g, v, n);
	/* the fused operator computes what n did: bias, scale and all */
	if (vq_def_of(g, v).id && g->value[g->node[n.id].out.id].name)
		g->value[v.id].name = g->value[g->node[n.id].out.id].name;
	vq_replace(g, g->node[n.id].out, v);
	g->node[n.id].op = VQ_OP_NONE;
	return true;
}
