/* SPDX-License-Identifier: MIT */
/*
 * The scale-only chooser: d_c = (peak_c)^alpha up to a common factor, t = 0, alpha from a grid by
 * the expected squared error of the consumers' outputs. For sites that see one row per image (the
 * class token's last LayerNorm): ranges of single channels over so few rows clip new images if they
 * are trusted with a shift.
 */
#include "passes/observe.h"
#include "passes/transform.h"

#include <math.h>

static const unsigned eighths[] = { 0, 2, 4, 5, 6, 7, 8 };

/*
 * Of n rows seen, a new one exceeds the peak of a channel with probability 1/(n + 1), and after
 * division all channels peak alike: room is left above. 1.25 costs 2 dB of one site's SQNR.
 */
static void entry(const vq_channels *c, const double *d, vq_change *change)
{
	const double room = 1.25 + 3 / (c->rows + 1);
	vq_range r = { 0, 0 };

	for (uint32_t i = 0; i < c->n; i++) {
		r.lo = fmin(r.lo, (double)c->lo[i] / d[i]);
		r.hi = fmax(r.hi, (double)c->hi[i] / d[i]);
	}
	r.lo *= room;
	r.hi *= room;
	vq_entry_asymmetric(r, &change->scale, &change->zero);
}

void vq_choose_alpha(const vq_channels *c, vq_change *change)
{
	double *peak = VQ_ARRAY(c->scratch, c->n, double);
	double least = INFINITY;
	unsigned best = 0;

	for (uint32_t i = 0; i < c->n; i++) {
		peak[i] = fmax(fabs((double)c->lo[i]), fabs((double)c->hi[i]));
		change->t[i] = 0;
	}
	for (size_t a = 0; a < sizeof eighths / sizeof *eighths; a++) {
		double error;

		vq_channel_divisors(c, peak, eighths[a], change->d);
		entry(c, change->d, change);
		error = vq_channels_error(c, change);
		if (error < least) {
			least = error;
			best = eighths[a];
		}
	}
	vq_channel_divisors(c, peak, best, change->d);
	entry(c, change->d, change);
}
