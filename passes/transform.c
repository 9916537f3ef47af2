/* SPDX-License-Identifier: MIT */
/*
 * transform: the channel transform x' = (x - t) / d, W' = W diag(d), b' = b + W t at every
 * LayerNorm whose result feeds products by constants.
 *
 * Needs:   p->stats (calibrate); a swept graph.
 * Changes: gamma and beta of layernorm, weights and biases of the linear operators behind it
 *          (always as new constants: old ones may be shared); the statistics of the values between
 *          them, which then carry the scale and zero point that were chosen.
 * Leaves:  what the graph computes, up to rounding (1e-5 of the largest value).
 * A site is refused as a whole, with the reason in the report, if one reader cannot be rewritten.
 */
#include "passes/transform.h"

#include "passes/observe.h"
#include "passes/stats.h"

#include <math.h>

static const char *source_op(const vq_graph *g, vq_node n)
{
	return g->node[n.id].source ? g->node[n.id].source : vq_ops[g->node[n.id].op].text;
}

static void report(vq_pass *p, vq_node n, const char *scheme, const char *why, const vq_change *change)
{
	vq_site s = {
		.name = p->g->node[n.id].name,
		.op = source_op(p->g, n),
		.scheme = scheme,
		.why = why,
		.sqnr_db = (double)NAN,
	};

	if (change) {
		s.scale_min = s.scale_max = change->scale;
		s.zero = change->zero;
	}
	if (p->report)
		vq_report_add(p->report, &s);
}

/* One row per image: the value has no more rows than the batch. */
static bool few_rows(const vq_graph *g, const vq_type *t)
{
	const vq_type *in = g->n_inputs ? vq_type_of(g, g->input[0].value) : NULL;
	int64_t batch = in && in->rank > 1 ? in->dim[0] : 1;

	return vq_type_count(t) / t->dim[t->rank - 1] <= batch;
}

/*
 * Ranges per channel over everything the consumers read. false if one of them was not observed or
 * has its entry already.
 */
static bool collect(const vq_pass *p, const vq_reach *r, vq_arena *a, vq_channels *c, bool *few)
{
	float *lo = VQ_ARRAY(a, r->channels, float), *hi = VQ_ARRAY(a, r->channels, float);
	double *mean = VQ_ARRAY(a, r->channels, double), *square = VQ_ARRAY(a, r->channels, double);
	double rows = 0;

	*c = (vq_channels){
		.n = r->channels,
		.lo = lo,
		.hi = hi,
		.mean = mean,
		.square = square,
		.consumer = r->consumer,
		.n_consumers = r->n_consumers,
		.scratch = a,
	};
	*few = true;
	for (uint32_t i = 0; i < r->channels; i++) {
		lo[i] = INFINITY;
		hi[i] = -INFINITY;
	}
	for (uint32_t k = 0; k < r->n_consumers; k++) {
		vq_value x = vq_operand(p->g, r->consumer[k].node, 0);
		const vq_stats *s = vq_stats_find(p, x);

		if (!s || s->channels != r->channels || s->scale != 0)
			return false;
		for (uint32_t i = 0; i < r->channels; i++) {
			lo[i] = fminf(lo[i], s->lo[i]);
			hi[i] = fmaxf(hi[i], s->hi[i]);
			mean[i] += s->sum[i];
			square[i] += s->square[i];
		}
		rows += (double)s->rows;
		*few &= few_rows(p->g, vq_type_of(p->g, x));
	}
	for (uint32_t i = 0; i < r->channels; i++) {
		mean[i] /= rows;
		square[i] /= rows;
	}
	c->rows = p->set->scheme == VQ_SCHEME_W8A8_DYNAMIC ? (double)INFINITY : rows;
	return true;
}

static vq_value new_weights(vq_graph *g, const vq_consumer *c, const vq_change *change)
{
	vq_value old = vq_operand(g, c->node, 1);
	vq_type t = *vq_type_of(g, old);
	size_t channels = (size_t)t.dim[1];
	float *w = VQ_ARRAY(g->arena, c->rows * channels, float);

	for (size_t o = 0; o < c->rows; o++)
		for (size_t i = 0; i < channels; i++)
			w[o * channels + i] = (float)((double)c->w[o * channels + i] * change->d[i]);
	return vq_add_const(g, &t, w, g->value[old.id].name);
}

static vq_value new_bias(vq_graph *g, const vq_consumer *c, const vq_change *change)
{
	vq_value old = vq_operand(g, c->node, 2);
	const float *from = old.id ? g->value[old.id].data : NULL;
	size_t channels = (size_t)vq_type_of(g, vq_operand(g, c->node, 1))->dim[1];
	vq_type t = vq_type_make(VQ_F32, 1, &(int64_t){ c->rows });
	float *b = VQ_ARRAY(g->arena, c->rows, float);

	for (size_t o = 0; o < c->rows; o++) {
		double sum = from ? (double)from[o] : 0;

		for (size_t i = 0; i < channels; i++)
			sum += (double)c->w[o * channels + i] * change->t[i];
		b[o] = (float)sum;
	}
	return vq_add_const(g, &t, b, old.id ? g->value[old.id].name : NULL);
}

static void rewrite_consumer(vq_graph *g, const vq_consumer *c, const vq_change *change)
{
	vq_value w = new_weights(g, c, change);
	bool shifted = vq_operand(g, c->node, 2).id != 0;
	vq_value b = VQ_NO_VALUE;
	vq_node_info *n;

	for (size_t i = 0; i < (size_t)vq_type_of(g, w)->dim[1]; i++)
		shifted |= change->t[i] != 0;
	if (shifted)
		b = new_bias(g, c, change);
	n = &g->node[c->node.id];
	if (shifted && n->n_in == 2) {
		vq_value *in = VQ_ARRAY(g->arena, 3, vq_value);

		in[0] = n->in[0];
		n->in = in;
		n->n_in = 3;
	}
	n->in[1] = w;
	if (shifted)
		n->in[2] = b;
}

static void rewrite_stats(vq_pass *p, const vq_reach *r, const vq_change *change, double row_better)
{
	for (uint32_t k = 0; k < r->n_values; k++) {
		vq_stats *s = vq_stats_find(p, r->value[k]);

		if (!s)
			continue;
		for (uint32_t i = 0; i < s->channels; i++) {
			s->lo[i] = (float)(((double)s->lo[i] - change->t[i]) / change->d[i]);
			s->hi[i] = (float)(((double)s->hi[i] - change->t[i]) / change->d[i]);
			s->square[i] += change->t[i] * (change->t[i] * (double)s->rows - 2 * s->sum[i]);
			s->square[i] = fmax(s->square[i], 0) / (change->d[i] * change->d[i]);
			s->sum[i] = (s->sum[i] - change->t[i] * (double)s->rows) / change->d[i];
		}
		s->row_better = row_better;
		s->scale = change->scale;
		s->zero = change->zero;
	}
}

static vq_change no_change(vq_arena *a, uint32_t channels)
{
	return (vq_change){ .d = VQ_ARRAY(a, channels, double), .t = VQ_ARRAY(a, channels, double) };
}

/*
 * Chooses d and t. The result: how many times less noise the outputs have with a scale per row than with one scale and the
 * channels' ranges made alike, 0 where one scale is what they get. Scales per row have to save 1 dB, for a row is looked at twice;
 * and one scale is good enough where its noise, that of the weights included, is 37 dB below the signal. Of DINOv2 ViT-S/14 that
 * leaves 9 of 24 sites, of a ViT trained without massive activations all of them.
 */
static double choose(const vq_pass *p, const vq_channels *c, bool few, vq_change *change)
{
	const double noise = 2e-4, enough = 1.25;
	vq_change rows = no_change(c->scratch, c->n);
	double error, better;

	if (p->set->scheme == VQ_SCHEME_W8A8_DYNAMIC) {
		vq_choose_rows(c, change);
		return 0;
	}
	(few ? vq_choose_alpha : vq_choose_repq)(c, change);
	if (few || p->set->granularity == VQ_GRANULARITY_TENSOR)
		return 0;
	vq_choose_rows(c, &rows);
	error = vq_channels_error(c, change);
	better = error / vq_channels_error(c, &rows);
	if (p->set->granularity == VQ_GRANULARITY_AUTO && !(error >= noise * vq_channels_signal(c) && better >= enough))
		return 0;
	*change = rows;
	return better;
}

static void at_layernorm(vq_pass *p, vq_node n)
{
	vq_graph *g = p->g;
	vq_arena scratch = { 0 };
	vq_reach r;
	vq_channels c;
	vq_change change;
	bool few;
	double row_better;
	const char *why;

	vq_reach_find(g, g->node[n.id].out, &scratch, &r);
	why = r.refused ? r.refused : vq_fold_layernorm_refuses(g, n);
	if (r.n_consumers && why) {
		report(p, n, "ranges of channels not folded", why, NULL);
	} else if (r.n_consumers && collect(p, &r, &scratch, &c, &few)) {
		change = no_change(&scratch, r.channels);
		row_better = choose(p, &c, few, &change);
		vq_fold_layernorm(g, n, &change);
		for (uint32_t k = 0; k < r.n_consumers; k++)
			rewrite_consumer(g, &r.consumer[k], &change);
		rewrite_stats(p, &r, &change, row_better);
		report(p, n, few ? "scale of channels folded" : "scale and shift of channels folded", NULL, &change);
	}
	vq_arena_free(&scratch);
}

bool vq_pass_transform(vq_pass *p)
{
	if (p->n_stats && p->set->fold == VQ_FOLD_REPQ)
		for (uint32_t i = 1; i < p->g->n_nodes; i++)
			if (p->g->node[i].op == VQ_OP_LAYERNORM)
				at_layernorm(p, (vq_node){ i });
	vq_stats_sweep(p);
	return true;
}
