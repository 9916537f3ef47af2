/* SPDX-License-Identifier: MIT */
/*
 * The scale-only chooser: d_c = (peak_c)^alpha up to a common factor, t = 0, alpha from a grid by
 * the expected squared error of the consumers' outputs. For sites that see one row per image (the
 * class token's last LayerNorm): ranges of single channels over so few rows clip new images if they
 * are trusted with a shift.
 *
 * Expected error of an output, errors of activations (uniform, S^2/12) and weights taken as
 * independent:
 *   sum over c of (W_c d_c)^2 S^2 / 12 + (rounding of W_c d_c)^2 E[x_c^2] / d_c^2
 */
#include "passes/observe.h"
#include "passes/transform.h"

#include <math.h>

/* In eighths: roots of IEEE arithmetic are the same on every host, pow is not. */
static const unsigned eighths[] = { 0, 2, 4, 5, 6, 7, 8 };

/* Peaks below this share of the largest count as that much. */
static const double floor_ratio = 1e-5;

/* x^(n/8) */
static double power(double x, unsigned n)
{
	double half = sqrt(x), quarter = sqrt(half), eighth = sqrt(quarter);

	if (n == 8)
		return x;
	return (n & 4 ? half : 1) * (n & 2 ? quarter : 1) * (n & 1 ? eighth : 1);
}

static void divisors(const vq_channels *c, unsigned alpha, double *d)
{
	double largest = 0, sum = 0;

	for (uint32_t i = 0; i < c->n; i++) {
		d[i] = fmax(fabs((double)c->lo[i]), fabs((double)c->hi[i]));
		largest = fmax(largest, d[i]);
	}
	for (uint32_t i = 0; i < c->n; i++) {
		d[i] = largest > 0 ? power(fmax(d[i] / largest, floor_ratio), alpha) : 1;
		sum += d[i];
	}
	for (uint32_t i = 0; i < c->n; i++)
		d[i] /= sum / c->n;
}

static double row_error(const vq_channels *c, const float *w, const double *d, double step)
{
	double peak = 0, scale, sum = 0;

	for (uint32_t i = 0; i < c->n; i++)
		peak = fmax(peak, fabs((double)w[i] * d[i]));
	scale = (double)vq_entry_symmetric(peak);
	for (uint32_t i = 0; i < c->n; i++) {
		double v = (double)w[i] * d[i];
		double e = nearbyint(v / scale) * scale - v;

		sum += v * v * step * step / 12 + e * e * c->square[i] / (d[i] * d[i]);
	}
	return sum;
}

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
	double *d = VQ_ARRAY(c->scratch, c->n, double);
	double least = INFINITY;
	unsigned best = 0;

	for (size_t a = 0; a < sizeof eighths / sizeof *eighths; a++) {
		double error = 0;

		divisors(c, eighths[a], d);
		entry(c, d, change);
		for (uint32_t k = 0; k < c->n_consumers; k++)
			for (uint32_t o = 0; o < c->consumer[k].rows; o++)
				error += row_error(c, c->consumer[k].w + (size_t)o * c->n, d, (double)change->scale);
		if (error < least) {
			least = error;
			best = eighths[a];
		}
	}
	divisors(c, best, change->d);
	entry(c, change->d, change);
	for (uint32_t i = 0; i < c->n; i++)
		change->t[i] = 0;
}
