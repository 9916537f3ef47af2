/* SPDX-License-Identifier: MIT */
/*
 * calibrate: runs the samples through the executor and records, for the operands of every product,
 * minima and maxima per channel, sums of squares and (for the percentile and MSE observers) a
 * histogram.
 *
 * Needs:   shapes known; products in their canonical form (after the fuse passes).
 * Changes: p->stats, p->reference.
 * Leaves:  the graph.
 * Does nothing for a float object, for w8a8-dynamic and for a graph that carries scales of its own; constants alone as codes are none.
 * With -calib-stats the statistics are read instead.
 */
#include "passes/observe.h"
#include "passes/stats.h"

#include <math.h>
#include <string.h>

/* What the observer callback needs. */
typedef struct watch {
	vq_pass *p;
	vq_value bad;    /* first value that was NaN or infinite */
	uint32_t sample; /* being run */
} watch;

static void observe(void *user, vq_value v, const void *data)
{
	watch *w = user;
	vq_stats *s = vq_stats_find(w->p, v);
	int64_t n = vq_type_count(vq_type_of(w->p->g, v));

	if (!vq_stats_add(s, data, (uint64_t)n / s->channels) && !w->bad.id)
		w->bad = v;
}

/* name of an input with such a value; NULL: the model made it */
static const char *input_not_finite(const vq_graph *g, void *const *in)
{
	for (uint32_t i = 0; i < g->n_inputs; i++) {
		const vq_type *t = vq_type_of(g, g->input[i].value);
		const float *x = in[i];
		int64_t n = t->elem == VQ_F32 ? vq_type_count(t) : 0;

		for (int64_t k = 0; k < n; k++)
			if (!isfinite(x[k]))
				return g->input[i].name;
	}
	return NULL;
}

static bool not_finite(const vq_graph *g, vq_value v, void *const *in, uint32_t sample)
{
	const char *input = input_not_finite(g, in);
	vq_node n = vq_def_of(g, v);

	if (n.id)
		vq_error(g->diag, vq_where(g, n), "its result is NaN or infinite in calibration sample %u", sample);
	else
		vq_error(g->diag, NULL, "input '%s' is NaN or infinite in calibration sample %u", g->value[v.id].name,
			sample);
	if (n.id && input)
		vq_note(g->diag, "input '%s' of that sample has values that are NaN or infinite", input);
	return vq_hint(g->diag, "check the calibration files and the normalisation the model expects");
}

/* Inputs need no executor to be seen: it is asked for what it computes only. */
static uint32_t computed_sites(const vq_graph *g, const vq_value *site, uint32_t n, vq_value *to)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < n; i++)
		if (vq_def_of(g, site[i]).id)
			to[count++] = site[i];
	return count;
}

static void observe_inputs(watch *w, void *const *in)
{
	const vq_graph *g = w->p->g;

	for (uint32_t i = 0; i < g->n_inputs; i++)
		if (vq_stats_find(w->p, g->input[i].value))
			observe(w, g->input[i].value, in[i]);
}

/* Our own fault if not: an executor that skips a value would leave it without a range. */
static bool all_were_seen(vq_pass *p, const vq_value *site, uint32_t n)
{
	const vq_graph *g = p->g;

	for (uint32_t i = 0; i < n; i++) {
		const vq_stats *s = vq_stats_find(p, site[i]);
		uint64_t rows = (uint64_t)vq_type_count(vq_type_of(g, site[i])) / s->channels;

		if (s->rows != rows * p->set->samples->n)
			return vq_bug(g->diag, vq_where(g, vq_def_of(g, site[i])),
				"the %s showed %llu of %llu rows in calibration", p->set->executor->name,
				(unsigned long long)s->rows, (unsigned long long)(rows * p->set->samples->n));
	}
	return true;
}

static bool run_samples(vq_pass *p, const vq_value *site, uint32_t n)
{
	vq_graph *g = p->g;
	const vq_samples *samples = p->set->samples;
	const vq_executor *x = p->set->executor;
	vq_arena scratch = { 0 };
	watch w = { .p = p };
	vq_value *computed = VQ_ARRAY(&scratch, n, vq_value);
	vq_exec *e = x->prepare(x, g, computed, computed_sites(g, site, n, computed));
	void **in, **out;
	bool ok = e != NULL;

	in = VQ_ARRAY(&scratch, g->n_inputs, void *);
	out = VQ_ARRAY(&scratch, g->n_outputs, void *);
	for (uint32_t i = 0; i < g->n_inputs; i++)
		in[i] = vq_arena_alloc(&scratch, vq_type_bytes(vq_type_of(g, g->input[i].value)));
	for (uint32_t i = 0; i < g->n_outputs; i++)
		out[i] = vq_arena_alloc(&scratch, vq_type_bytes(vq_type_of(g, g->output[i].value)));
	for (uint32_t s = 0; ok && s < samples->n; s++) {
		if (p->set->progress)
			p->set->progress(p->set->progress_user, "calibrate", s, samples->n);
		w.sample = s;
		ok = samples->get(samples->self, s, in);
		if (ok)
			observe_inputs(&w, in);
		ok = ok && !w.bad.id && x->run(e, (const void *const *)in, out, observe, &w);
		if (w.bad.id)
			ok = not_finite(g, w.bad, in, s);
	}
	ok = ok && all_were_seen(p, site, n);
	if (ok && p->set->progress)
		p->set->progress(p->set->progress_user, "calibrate", samples->n, samples->n);
	if (e)
		x->dispose(e);
	vq_arena_free(&scratch);
	return ok;
}

/* Rows of what an activation function gives differ much in their ranges, in every trained transformer; others do not. */
static bool rows_differ(vq_op op)
{
	return op == VQ_OP_GELU || op == VQ_OP_GELU_TANH || op == VQ_OP_GELU_QUICK || op == VQ_OP_SILU ||
		op == VQ_OP_RELU;
}

/* Statistics that fit any model (vq_settings.guess). */
static void guess(vq_pass *p, const vq_value *site, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		vq_stats *s = vq_stats_find(p, site[i]);

		s->rows = 1;
		s->row_square = rows_differ(vq_def_op(p->g, site[i])) ? 0.09 : 9;
		for (uint32_t c = 0; c < s->channels; c++) {
			s->lo[c] = -1;
			s->hi[c] = 2;
			s->sum[c] = 0.5;
			s->square[c] = 1;
		}
	}
}

bool vq_pass_calibrate(vq_pass *p)
{
	vq_graph *g = p->g;
	vq_value *site;
	uint32_t n;
	bool ok = true;

	vq_graph_sweep(g);
	p->stats = NULL;
	p->n_stats = 0;
	if (p->set->scheme != VQ_SCHEME_W8A8 || vq_carries_scales(g))
		return true;
	site = vq_stats_sites(g, g->arena, &n);
	if (!n)
		return true;
	if (!p->set->stats_in && !p->set->guess && !p->set->like && (!p->set->samples || !p->set->samples->n)) {
		vq_error(g->diag, NULL, "the model has no scales and there are no samples to calibrate it with");
		return vq_hint(g->diag,
			"give samples with -calib=, statistics with -calib-stats=, "
			"or use -quant=w8a8-dynamic or -quant=none");
	}
	if (p->set->measure) {
		p->reference = VQ_NEW(g->arena, vq_graph);
		vq_graph_copy(p->reference, g, g->arena, g->diag);
	}
	p->stats = VQ_ARRAY(g->arena, g->n_values, vq_stats);
	p->n_stats = g->n_values;
	for (uint32_t i = 0; i < n; i++) {
		const vq_type *t = vq_type_of(g, site[i]);

		vq_stats_init(&p->stats[site[i].id], g->arena, site[i], (uint32_t)t->dim[t->rank - 1],
			p->set->observer != VQ_OBSERVE_MINMAX);
	}
	if (p->set->like)
		ok = vq_stats_take(p, site, n, p->set->like);
	else if (p->set->guess)
		guess(p, site, n);
	else
		ok = p->set->stats_in ? vq_stats_read(p, site, n, p->set->stats_in) : run_samples(p, site, n);
	if (ok && p->set->keep)
		vq_stats_keep(p, site, n, p->set->keep);
	if (ok && p->set->stats_out)
		ok = vq_stats_write(p, site, n, p->set->stats_out);
	return ok;
}
