/* SPDX-License-Identifier: MIT */
/*
 * The additive bias of attention. Constant ones of shifted windows are large and say little: a table per head plus a mask per
 * window, added up and repeated for every image of the batch. They are stored as that where it gives the very same sums.
 */
#include "backend/planner.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* A constant bias [batches, heads, matrix], matrix = queries * keys, and what it is found to be. */
typedef struct table {
	const float *at;
	int64_t batches, heads, matrix;
	int64_t period; /* batches after which it repeats */
	float *mask;    /* [period, matrix]: at[b, h] = at[0, h] + mask[b]; NULL: not of that form */
	float only;     /* the only value of the mask but 0; 0: it has several, or one that is no product of it and 1 */
} table;

static const float *matrix_of(const table *t, int64_t b, int64_t h) { return t->at + (b * t->heads + h) * t->matrix; }

static void find_period(table *t)
{
	size_t each = (size_t)(t->heads * t->matrix);

	for (t->period = 1; t->period < t->batches; t->period++) {
		if (t->batches % t->period)
			continue;
		if (!memcmp(t->at, t->at + (size_t)t->period * each,
			    (size_t)(t->batches - t->period) * each * sizeof *t->at))
			return;
	}
}

/* m of few digits such that row + m is sum, at this element of every head */
static bool summand(const table *t, int64_t b, int64_t i, float *m)
{
	double difference = (double)matrix_of(t, b, 0)[i] - (double)matrix_of(t, 0, 0)[i];
	int exponent;
	double fraction = frexp(difference, &exponent);

	if (fabs(difference) > (double)FLT_MAX && !isinf(difference))
		return false;
	for (int digits = 8; digits <= 24; digits += 8) {
		bool same = true;

		*m = difference == 0 || isinf(difference)
			? (float)difference
			: (float)ldexp(rint(ldexp(fraction, digits)), exponent - digits);
		for (int64_t h = 0; h < t->heads && same; h++)
			same = matrix_of(t, 0, h)[i] + *m == matrix_of(t, b, h)[i];
		if (same)
			return true;
	}
	return false;
}

static void find_mask(table *t, vq_arena *a)
{
	float *mask = VQ_ARRAY(a, (size_t)(t->period * t->matrix), float);
	bool several = false;

	for (int64_t b = 0; b < t->period; b++)
		for (int64_t i = 0; i < t->matrix; i++) {
			float *m = &mask[b * t->matrix + i];

			if (!summand(t, b, i, m))
				return;
			several |= *m != 0 && t->only != 0 && *m != t->only;
			t->only = *m != 0 ? *m : t->only;
		}
	t->mask = mask;
	if (several || !isfinite(t->only))
		t->only = 0;
}

static vq_ref pack_mask(vq_planner *s, const table *t)
{
	int64_t n = t->period * t->matrix;
	int8_t *codes;

	if (t->only == 0)
		return vq_pack_bytes(s->p, t->mask, (uint64_t)n * sizeof *t->mask);
	codes = VQ_ARRAY(s->a, (size_t)n, int8_t);
	for (int64_t i = 0; i < n; i++)
		codes[i] = t->mask[i] != 0;
	return vq_pack_bytes(s->p, codes, (uint64_t)n);
}

/* A constant that nobody else reads, in the shape [batch, heads, queries, keys] of the scores but for heads. */
static bool is_table(vq_planner *s, const vq_window *w, const vq_attention *d, table *t)
{
	const vq_type *type = vq_type_of(s->g, w->root);

	*t = (table){ .batches = d->batch, .matrix = (int64_t)d->n * d->m };
	if (!vq_is_const(s->g, w->root) || type->quant || s->uses[w->root.id] != 1 || w->rank != 4 || w->offset ||
		!vq_window_contiguous(w) || vq_window_count(w) != vq_type_count(type) || d->batch == 1)
		return false;
	t->at = s->g->value[w->root.id].data;
	t->heads = w->dim[1];
	return w->dim[0] == d->batch && w->dim[2] == d->n && w->dim[3] == d->m;
}

static bool add_table(vq_planner *s, const vq_window *w, vq_attention *d, vq_ref *arg, uint32_t *n_args)
{
	table t;

	if (!is_table(s, w, d, &t))
		return false;
	find_period(&t);
	if (t.period > 1 && t.heads > 1)
		find_mask(&t, s->a);
	if (t.period == t.batches && !t.mask)
		return false;
	d->bias_stride[0] = t.mask || t.period == 1 ? 0 : t.heads * t.matrix;
	d->bias_stride[1] = t.heads > 1 ? t.matrix : 0;
	d->bias_stride[2] = d->m;
	d->bias_stride[3] = 1;
	d->bias_period = (uint32_t)t.period;
	arg[5] = vq_pack_bytes(s->p, t.at, (uint64_t)((t.mask ? 1 : t.period) * t.heads * t.matrix) * sizeof *t.at);
	if (t.mask) {
		d->mask = *n_args;
		d->mask_only = t.only;
		arg[(*n_args)++] = pack_mask(s, &t);
	}
	return true;
}

bool vq_plan_bias(vq_planner *s, vq_value bias, vq_attention *d, vq_ref *arg, uint32_t *n_args, vq_node node)
{
	const int64_t want[4] = { d->batch, d->heads, d->n, d->m };
	vq_window w = vq_window_find(s->g, bias, NULL, NULL);

	if (vq_type_of(s->g, bias)->elem != VQ_F32 || w.rank > 4)
		return vq_planner_refuse(s, node, "the additive bias is not an f32 tensor of at most 4 dimensions");
	s->left[w.root.id]--;
	d->has_bias = true;
	if (add_table(s, &w, d, arg, n_args))
		return true;
	for (uint32_t i = 0; i < w.rank; i++)
		d->bias_stride[4 - w.rank + i] = w.dim[i] == want[4 - w.rank + i] && w.dim[i] != 1 ? w.stride[i] : 0;
	arg[5] = vq_ref_at(vq_planner_home(s, w.root).ref, w.offset * 4);
	return true;
}
