/* SPDX-License-Identifier: MIT */
/*
 * The chooser for scales per row: a row brings its own range, so nothing is clipped and channels need not be made alike for the
 * codes' sake alone. The more alike they are, the wider apart are the columns of the weights, which have one scale for all
 * channels: d = width^alpha, alpha from a grid by the expected error of the outputs. t is the middle of the range: what is
 * constant in a channel goes into the bias, where it is not rounded.
 */
#include "passes/observe.h"
#include "passes/transform.h"

#include <math.h>

static const unsigned eighths[] = { 0, 2, 3, 4, 5, 6, 7, 8 };

/* A step that suffices for all rows: that of the range of all channels. */
static void take_scale(const vq_channels *c, vq_change *change)
{
	vq_range r = { 0, 0 };

	for (uint32_t i = 0; i < c->n; i++) {
		r.lo = fmin(r.lo, ((double)c->lo[i] - change->t[i]) / change->d[i]);
		r.hi = fmax(r.hi, ((double)c->hi[i] - change->t[i]) / change->d[i]);
	}
	vq_entry_asymmetric(r, &change->scale, &change->zero);
}

void vq_choose_rows(const vq_channels *c, vq_change *change)
{
	double *width = VQ_ARRAY(c->scratch, c->n, double);
	double mean = 0, least = INFINITY;
	unsigned best = 0;

	for (uint32_t i = 0; i < c->n; i++) {
		width[i] = (double)c->hi[i] - (double)c->lo[i];
		change->t[i] = ((double)c->hi[i] + (double)c->lo[i]) / 2;
		mean += width[i] / c->n;
	}
	/* what few rows show of a channel may be far too little: it would be blown up when it comes to life */
	for (uint32_t i = 0; i < c->n; i++)
		width[i] += mean * fmin(4 / c->rows, 1);
	for (size_t a = 0; a < sizeof eighths / sizeof *eighths; a++) {
		double error;

		vq_channel_divisors(c, width, eighths[a], change->d);
		take_scale(c, change);
		error = vq_channels_error(c, change);
		if (error < least) {
			least = error;
			best = eighths[a];
		}
	}
	vq_channel_divisors(c, width, best, change->d);
	take_scale(c, change);
}
