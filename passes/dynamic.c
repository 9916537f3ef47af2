/* SPDX-License-Identifier: MIT */
/* Scales per row, chosen at run time. */
#include "passes/dynamic.h"

#include "ir/build.h"
#include "ir/contract.h"

#include <string.h>

/* codes and rows of operand `operand` of n */
static bool quantize(vq_dynamic *s, vq_node n, uint32_t operand, const vq_attr *attr, vq_value *to)
{
	vq_value x = s->g->node[n.id].in[operand], c;
	vq_dynamic_edge *e = NULL;

	for (uint32_t i = 0; i < s->n_edges && !e; i++)
		if (vq_same(s->edge[i].value, x) && !memcmp(&s->edge[i].attr, attr, sizeof *attr))
			e = &s->edge[i];
	if (!e) {
		c = vq_build(s->g, vq_where(s->g, n), VQ_OP_QUANTIZE_DYNAMIC, &x, 1, attr);
		if (!c.id)
			return false;
		s->edge = vq_arena_grow(&s->scratch, s->edge, &s->cap_edges, s->n_edges + 1, sizeof *s->edge);
		e = &s->edge[s->n_edges++];
		*e = (vq_dynamic_edge){ .value = x, .node = vq_def_of(s->g, c) };
		memcpy(&e->attr, attr, sizeof *attr);
	}
	to[0] = s->g->node[e->node.id].out;
	to[1] = s->g->node[e->node.id].out2;
	return true;
}

/* op takes the place of n */
static bool replace(vq_dynamic *s, vq_node n, vq_op op, const vq_value *in, uint32_t n_in)
{
	vq_graph *g = s->g;
	vq_node_info old = g->node[n.id];
	vq_value y = vq_build(g, vq_where(g, n), op, in, n_in, &old.attr);

	if (!y.id)
		return false;
	g->node[vq_def_of(g, y).id].name = old.name;
	g->node[vq_def_of(g, y).id].source = old.source;
	g->value[y.id].name = g->value[old.out.id].name;
	vq_replace(g, old.out, y);
	return true;
}

/* a zeroed attribute: attributes are compared byte for byte */
static vq_attr dynamic_attr(int32_t groups, int32_t span, bool symmetric)
{
	vq_attr a = { 0 };

	memset(&a, 0, sizeof a);
	a.dynamic.groups = groups;
	a.dynamic.span = span;
	a.dynamic.symmetric = symmetric;
	return a;
}

bool vq_dynamic_linear(vq_dynamic *s, vq_node n)
{
	vq_graph *g = s->g;
	vq_value in[4];
	vq_attr attr = dynamic_attr(0, 0, false);

	if (!quantize(s, n, 0, &attr, in))
		return false;
	in[2] = vq_operand(g, vq_def_of(g, vq_operand(g, n, 1)), 0);
	in[3] = vq_operand(g, n, 2);
	return replace(s, n, VQ_OP_LINEAR_DYNAMIC, in, g->node[n.id].n_in + 1);
}

const char *vq_dynamic_attention_refuses(const vq_graph *g, vq_node n)
{
	const vq_node_info *i = &g->node[n.id];
	const vq_type *q = vq_type_of(g, i->in[0]), *v = vq_type_of(g, i->in[2]);

	if (q->dim[2] / i->attr.attention.heads > INT32_MAX / (128 * 128) || v->dim[1] > INT32_MAX / (255 * 128))
		return "its accumulator could exceed 32 bits";
	if (!vq_c_score_factor_fits(i->attr.attention.scale))
		return "the scale of its scores is outside 2^-30 to 2^30";
	for (uint32_t k = 0; k < 3; k++)
		if (vq_is_const(g, i->in[k]))
			return "q, k or v is a constant";
	return NULL;
}

bool vq_dynamic_attention(vq_dynamic *s, vq_node n)
{
	const vq_node_info *i = &s->g->node[n.id];
	int32_t heads = i->attr.attention.heads > 1 ? i->attr.attention.heads : 0;
	vq_attr row = dynamic_attr(heads, 0, true), all = dynamic_attr(heads, 1, true);
	uint32_t n_in = i->n_in;
	vq_value in[7];

	if (!quantize(s, n, 0, &row, in) || !quantize(s, n, 1, &all, in + 2) || !quantize(s, n, 2, &all, in + 4))
		return false;
	in[6] = vq_operand(s->g, n, 3);
	return replace(s, n, VQ_OP_ATTENTION_DYNAMIC, in, n_in + 3);
}
