/* SPDX-License-Identifier: MIT */
/*
 * Statistics of calibration: where they are taken and how they follow their values through a sweep.
 */
#include "passes/stats.h"

#include <string.h>

vq_stats *vq_stats_find(const vq_pass *p, vq_value v)
{
	return v.id < p->n_stats && p->stats[v.id].channels ? &p->stats[v.id] : NULL;
}

/*
 * A sweep renumbers but keeps structure, so the two graphs are walked side by side from the
 * outputs. The arrays of the old graph are still in the arena.
 */
void vq_stats_sweep(vq_pass *p)
{
	vq_graph old = *p->g;
	vq_arena scratch = { 0 };
	uint32_t *map, *stack, depth = 0;
	vq_stats *stats;

	vq_graph_sweep(p->g);
	if (!p->n_stats)
		return;
	map = VQ_ARRAY(&scratch, old.n_values, uint32_t);
	stack = VQ_ARRAY(&scratch, old.n_values, uint32_t);
	stats = VQ_ARRAY(p->g->arena, p->g->n_values, vq_stats);
	for (uint32_t i = 0; i < old.n_inputs; i++)
		map[old.input[i].value.id] = p->g->input[i].value.id;
	for (uint32_t i = 0; i < old.n_outputs; i++) {
		uint32_t id = old.output[i].value.id;

		if (!map[id] || old.value[id].def == VQ_DEF_INPUT) {
			map[id] = p->g->output[i].value.id;
			stack[depth++] = id;
		}
	}
	while (depth) {
		uint32_t id = stack[--depth];
		vq_node from = vq_def_of(&old, (vq_value){ id });
		vq_node to = vq_def_of(p->g, (vq_value){ map[id] });

		for (uint32_t j = 0; j < old.node[from.id].n_in; j++) {
			uint32_t in = old.node[from.id].in[j].id;

			if (map[in])
				continue;
			map[in] = p->g->node[to.id].in[j].id;
			stack[depth++] = in;
		}
	}
	for (uint32_t i = 1; i < p->n_stats; i++)
		if (p->stats[i].channels && map[i]) {
			stats[map[i]] = p->stats[i];
			stats[map[i]].value.id = map[i];
		}
	p->stats = stats;
	p->n_stats = p->g->n_values;
	vq_arena_free(&scratch);
}

/* How many leading operands of a product are quantized activations or weights. */
static uint32_t data_operands(vq_op op)
{
	switch (op) {
	case VQ_OP_LINEAR:
	case VQ_OP_MATMUL: return 2;
	case VQ_OP_ATTENTION: return 3;
	default: return 0;
	}
}

vq_value *vq_stats_sites(const vq_graph *g, vq_arena *a, uint32_t *n)
{
	vq_value *site = VQ_ARRAY(a, g->n_values, vq_value);
	bool *seen = VQ_ARRAY(a, g->n_values, bool);

	*n = 0;
	for (uint32_t i = 1; i < g->n_nodes; i++)
		for (uint32_t j = 0; j < data_operands(g->node[i].op); j++) {
			vq_value v = g->node[i].in[j];
			const vq_type *t = vq_type_of(g, v);

			if (seen[v.id] || vq_is_const(g, v) || t->elem != VQ_F32 || t->rank == 0)
				continue;
			seen[v.id] = true;
			site[(*n)++] = v;
		}
	return site;
}

/* ---- from one size to another ---- */

static const char *site_name(const vq_graph *g, vq_value v)
{
	vq_node n = vq_def_of(g, v);
	const char *name = n.id ? g->node[n.id].name : g->value[v.id].name;

	return name ? name : "";
}

void vq_stats_keep(const vq_pass *p, const vq_value *site, uint32_t n, vq_kept_stats *to)
{
	vq_arena *a = p->g->arena;

	*to = (vq_kept_stats){ .site = VQ_ARRAY(a, n, vq_stats), .name = VQ_ARRAY(a, n, const char *), .n = n };
	for (uint32_t i = 0; i < n; i++) {
		const vq_stats *s = vq_stats_find(p, site[i]);

		to->name[i] = site_name(p->g, site[i]);
		to->site[i] = *s; /* a histogram is shared: nothing changes it */
		to->site[i].lo = VQ_ARRAY(a, s->channels, float);
		to->site[i].hi = VQ_ARRAY(a, s->channels, float);
		to->site[i].sum = VQ_ARRAY(a, s->channels, double);
		to->site[i].square = VQ_ARRAY(a, s->channels, double);
		memcpy(to->site[i].lo, s->lo, s->channels * sizeof *s->lo);
		memcpy(to->site[i].hi, s->hi, s->channels * sizeof *s->hi);
		memcpy(to->site[i].sum, s->sum, s->channels * sizeof *s->sum);
		memcpy(to->site[i].square, s->square, s->channels * sizeof *s->square);
	}
}

static void take_site(vq_stats *s, const vq_stats *from)
{
	vq_stats own = *s;
	float lo = from->lo[0], hi = from->hi[0];
	double sum = 0, square = 0;

	*s = *from; /* whatever is known of it, but for what belongs to this graph */
	s->value = own.value;
	s->channels = own.channels;
	s->lo = own.lo;
	s->hi = own.hi;
	s->sum = own.sum;
	s->square = own.square;
	for (uint32_t c = 0; c < from->channels; c++) {
		lo = from->lo[c] < lo ? from->lo[c] : lo;
		hi = from->hi[c] > hi ? from->hi[c] : hi;
		sum += from->sum[c] / from->channels;
		square += from->square[c] / from->channels;
	}
	for (uint32_t c = 0; c < s->channels; c++) {
		bool same = s->channels == from->channels;

		s->lo[c] = same ? from->lo[c] : lo;
		s->hi[c] = same ? from->hi[c] : hi;
		s->sum[c] = same ? from->sum[c] : sum;
		s->square[c] = same ? from->square[c] : square;
	}
}

bool vq_stats_take(vq_pass *p, const vq_value *site, uint32_t n, const vq_kept_stats *from)
{
	for (uint32_t i = 0; i < n; i++) {
		const char *name = site_name(p->g, site[i]);

		if (n == from->n && strcmp(name, from->name[i]) == 0) {
			take_site(vq_stats_find(p, site[i]), &from->site[i]);
			continue;
		}
		vq_error(p->g->diag, NULL,
			"the model has other operators at this size: ranges of %u values were "
			"calibrated, expected %u, the first that differs is '%s'",
			(unsigned)from->n, (unsigned)n, name);
		return vq_hint(p->g->diag, "compile each size into an object of its own");
	}
	return true;
}
