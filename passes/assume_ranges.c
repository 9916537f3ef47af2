/* SPDX-License-Identifier: MIT */
/*
 * assume_ranges: statistics without samples, for scales chosen at run time. A LayerNorm's gamma and
 * beta say which channels of its result are large: of normalised values few are beyond 4, so
 * channel c is taken to lie in beta[c] +- 4 |gamma[c]|. That suffices to fold what channels differ
 * in (transform); the ranges of rows are found at run time.
 *
 * Needs:   what calibrate needs, but samples.
 * Changes: p->stats: of the input of every linear with constant weights.
 * Leaves:  the graph.
 * Does nothing unless the scheme is w8a8-dynamic.
 */
#include "passes/observe.h"
#include "passes/stats.h"
#include "passes/transform.h"

#include <math.h>

static const double reach = 4; /* of a normalised value, in standard deviations */

static bool is_site(const vq_graph *g, uint32_t node)
{
	const vq_node_info *n = &g->node[node];

	return n->op == VQ_OP_LINEAR && vq_is_const(g, n->in[1]) && vq_type_of(g, n->in[1])->elem == VQ_F32 &&
		!vq_is_const(g, n->in[0]) && vq_type_of(g, n->in[0])->elem == VQ_F32;
}

static void take_range(vq_stats *s, const float *gamma, const float *beta)
{
	for (uint32_t c = 0; c < s->channels; c++) {
		double middle = (double)beta[c], size = fabs((double)gamma[c]);

		s->lo[c] = (float)(middle - reach * size);
		s->hi[c] = (float)(middle + reach * size);
		s->sum[c] = middle;
		s->square[c] = middle * middle + size * size;
	}
}

static void at_layernorm(vq_pass *p, vq_node n)
{
	const vq_graph *g = p->g;
	vq_value gamma = vq_operand(g, n, 1), beta = vq_operand(g, n, 2);
	vq_arena scratch = { 0 };
	vq_reach r;

	if (!vq_is_const(g, gamma) || !vq_is_const(g, beta))
		return;
	vq_reach_find(g, g->node[n.id].out, &scratch, &r);
	for (uint32_t i = 0; i < r.n_values; i++) {
		vq_stats *s = vq_stats_find(p, r.value[i]);

		if (s && s->channels == r.channels)
			take_range(s, g->value[gamma.id].data, g->value[beta.id].data);
	}
	vq_arena_free(&scratch);
}

bool vq_pass_assume_ranges(vq_pass *p)
{
	vq_graph *g = p->g;

	vq_graph_sweep(g);
	if (p->set->scheme != VQ_SCHEME_W8A8_DYNAMIC)
		return true;
	p->stats = VQ_ARRAY(g->arena, g->n_values, vq_stats);
	p->n_stats = g->n_values;
	for (uint32_t i = 1; i < g->n_nodes; i++) {
		vq_value x = vq_operand(g, (vq_node){ i }, 0);
		const vq_type *t = vq_type_of(g, x);
		vq_stats *s = &p->stats[x.id];

		if (!is_site(g, i) || s->channels)
			continue;
		vq_stats_init(s, g->arena, x, (uint32_t)t->dim[t->rank - 1], false);
		s->rows = 1;
		for (uint32_t c = 0; c < s->channels; c++)
			s->lo[c] = s->hi[c] = 0;
	}
	for (uint32_t i = 1; i < g->n_nodes; i++)
		if (g->node[i].op == VQ_OP_LAYERNORM)
			at_layernorm(p, (vq_node){ i });
	return true;
}
