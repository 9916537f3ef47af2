/* SPDX-License-Identifier: MIT */
#include "passes/split_linear.h"

#include "passes/match.h"

/*
 * More parts are something else than merged projections (a loop over heads, say) and stay together.
 */
enum { MOST_PARTS = 8, MOST_VIEWS = 64 };

/* Consecutive output channels. */
typedef struct part {
	int64_t first, end;
} part;

typedef struct split {
	vq_value seen;   /* what the views look at: the result, or dequantize(quantize(result)) */
	uint32_t quant;  /* entry of the quantize in between, 0 = none */
	int64_t outputs; /* of the merged operator */
	vq_node view[MOST_VIEWS];
	part taken[MOST_VIEWS]; /* channels of each view */
	uint32_t n_views;
	part part[MOST_PARTS]; /* in order, disjoint */
	uint32_t n_parts;
} split;

/* The only user of v, if it is of this kind. */
static vq_node only_user(const vq_graph *g, vq_value v, vq_op op)
{
	if (!vq_used_once(g, v))
		return VQ_NO_NODE;
	for (uint32_t i = 1; i < g->n_nodes; i++)
		if (g->node[i].op == op && vq_same(g->node[i].in[0], v))
			return (vq_node){ i };
	return VQ_NO_NODE;
}

static void look_behind_quantize(const vq_graph *g, split *s)
{
	vq_node q = only_user(g, s->seen, VQ_OP_QUANTIZE), d;

	if (!q.id)
		return;
	d = only_user(g, g->node[q.id].out, VQ_OP_DEQUANTIZE);
	if (!d.id || g->quant[g->node[q.id].attr.quant.id].axis >= 0)
		return;
	s->quant = g->node[q.id].attr.quant.id;
	s->seen = g->node[d.id].out;
}

/* Channels a view takes; false if its steps mix rows and channels. */
static bool channels_of(const vq_attr *a, int64_t outputs, part *p)
{
	p->first = p->end = a->view.offset % outputs;
	for (uint32_t i = 0; i < a->view.rank; i++) {
		int64_t s = a->view.stride[i];

		if (a->view.dim[i] == 1 || s % outputs == 0)
			continue;
		if (s < 0)
			return false;
		p->end += s * (a->view.dim[i] - 1);
	}
	p->end++;
	return p->end <= outputs;
}

static bool find_views(const vq_graph *g, split *s)
{
	for (uint32_t i = 0; i < g->n_outputs; i++)
		if (vq_same(g->output[i].value, s->seen))
			return false;
	for (uint32_t i = 1; i < g->n_nodes; i++) {
		const vq_node_info *n = &g->node[i];

		for (uint32_t j = 0; n->op && j < n->n_in; j++) {
			if (!vq_same(n->in[j], s->seen))
				continue;
			if (n->op != VQ_OP_VIEW || vq_type_of(g, n->out)->quant || s->n_views == MOST_VIEWS ||
				!channels_of(&n->attr, s->outputs, &s->taken[s->n_views]))
				return false;
			s->view[s->n_views++].id = i;
		}
	}
	return s->n_views > 0;
}

/* Adds channels to the parts; overlapping parts become one. */
static bool add_part(split *s, part p)
{
	uint32_t kept = 0, at;

	for (uint32_t i = 0; i < s->n_parts; i++) {
		part o = s->part[i];

		if (o.first < p.end && p.first < o.end) {
			p.first = o.first < p.first ? o.first : p.first;
			p.end = o.end > p.end ? o.end : p.end;
		} else {
			s->part[kept++] = o;
		}
	}
	if (kept == MOST_PARTS)
		return false;
	for (at = kept; at > 0 && s->part[at - 1].first > p.first; at--)
		s->part[at] = s->part[at - 1];
	s->part[at] = p;
	s->n_parts = kept + 1;
	return true;
}

/* the linear operator of one part, with the quantize and dequantize that followed the whole */
static vq_value build_part(vq_graph *g, vq_node n, const split *s, part p)
{
	vq_value in[3], v;
	uint32_t n_in = g->node[n.id].n_in;

	in[0] = g->node[n.id].in[0];
	for (uint32_t i = 1; i < n_in; i++)
		in[i] = vq_build_slice(g, NULL, g->node[n.id].in[i], 0, p.first, p.end - p.first);
	v = vq_build(g, vq_where(g, n), VQ_OP_LINEAR, in, n_in, NULL);
	if (!v.id)
		return v;
	vq_inherit(g, v, n);
	if (s->quant) {
		v = vq_build_quantize(g, NULL, v, s->quant);
		v = vq_build_dequantize(g, NULL, v);
	}
	return v;
}

static vq_value view_part(vq_graph *g, const vq_attr *view, const split *s, part p, vq_value v)
{
	int64_t n = p.end - p.first;
	vq_attr a = *view;

	a.view.offset = view->view.offset / s->outputs * n + view->view.offset % s->outputs - p.first;
	for (uint32_t i = 0; i < a.view.rank; i++)
		if (a.view.dim[i] > 1 && a.view.stride[i] % s->outputs == 0)
			a.view.stride[i] = a.view.stride[i] / s->outputs * n;
	return vq_build(g, NULL, VQ_OP_VIEW, &v, 1, &a);
}

bool vq_split_linear(vq_graph *g, vq_node n)
{
	const vq_node_info *i = &g->node[n.id];
	split s = { .seen = i->out };

	if (i->op != VQ_OP_LINEAR || vq_type_of(g, i->out)->quant || !vq_is_weight(g, i->in[1]) ||
		(i->n_in > 2 && !vq_is_const(g, i->in[2])))
		return false;
	s.outputs = vq_last_dim(g, i->out);
	look_behind_quantize(g, &s);
	if (!find_views(g, &s))
		return false;
	for (uint32_t j = 0; j < s.n_views; j++)
		if (!add_part(&s, s.taken[j]))
			return false;
	if (s.n_parts == 1 && s.part[0].end - s.part[0].first == s.outputs)
		return false;
	for (uint32_t j = 0; j < s.n_parts; j++) {
		vq_value v = build_part(g, n, &s, s.part[j]);

		for (uint32_t k = 0; v.id && k < s.n_views; k++)
			if (s.taken[k].first >= s.part[j].first && s.taken[k].end <= s.part[j].end)
				vq_take_over(g, s.view[k], view_part(g, &g->node[s.view[k].id].attr, &s, s.part[j], v));
	}
	return true;
}
