/* SPDX-License-Identifier: MIT */
/*
 * What a channel transform costs: the expected squared error of the consumers' outputs, errors of activations (uniform, S^2/12)
 * and of weights taken as independent:
 *   sum over c of (W_c d_c)^2 S^2 / 12 + (rounding of W_c d_c)^2 E[(x_c - t_c)^2] / d_c^2
 */
#include "passes/observe.h"
#include "passes/transform.h"

#include <math.h>

/* Outputs of a consumer that are looked at: all rows of a matrix of weights are much alike, and there may be thousands. */
enum { OUTPUTS = 256 };

/* Widths below this share of the largest count as that much. */
static const double floor_ratio = 1e-5;

/* x^(n/8): roots of IEEE arithmetic are the same on every host, pow is not. */
static double power(double x, unsigned n)
{
	double half = sqrt(x), quarter = sqrt(half), eighth = sqrt(quarter);

	if (n == 8)
		return x;
	return (n & 4 ? half : 1) * (n & 2 ? quarter : 1) * (n & 1 ? eighth : 1);
}

void vq_channel_divisors(const vq_channels *c, const double *width, unsigned n, double *d)
{
	double largest = 0, sum = 0;

	for (uint32_t i = 0; i < c->n; i++)
		largest = fmax(largest, width[i]);
	for (uint32_t i = 0; i < c->n; i++) {
		d[i] = largest > 0 ? power(fmax(width[i] / largest, floor_ratio), n) : 1;
		sum += d[i];
	}
	for (uint32_t i = 0; i < c->n; i++)
		d[i] /= sum / c->n;
}

static uint32_t step_of(const vq_consumer *c) { return (c->rows + OUTPUTS - 1) / OUTPUTS; }

/* rounded: [channels], mean square of what a weight is multiplied by */
static double output_error(const vq_channels *c, const float *w, const vq_change *change, const double *moment)
{
	double peak = 0, scale, rounding = (double)change->scale * (double)change->scale / 12, sum = 0;

	for (uint32_t i = 0; i < c->n; i++)
		peak = fmax(peak, fabs((double)w[i] * change->d[i]));
	scale = (double)vq_entry_symmetric(peak);
	for (uint32_t i = 0; i < c->n; i++) {
		double v = (double)w[i] * change->d[i];
		double e = nearbyint(v / scale) * scale - v;

		sum += v * v * rounding + e * e * moment[i];
	}
	return sum;
}

double vq_channels_error(const vq_channels *c, const vq_change *change)
{
	double *moment = VQ_ARRAY(c->scratch, c->n, double);
	double sum = 0;

	for (uint32_t i = 0; i < c->n; i++) {
		double t = change->t[i];

		moment[i] = fmax(c->square[i] - 2 * t * c->mean[i] + t * t, 0) / (change->d[i] * change->d[i]);
	}
	for (uint32_t k = 0; k < c->n_consumers; k++)
		for (uint32_t o = 0; o < c->consumer[k].rows; o += step_of(&c->consumer[k]))
			sum += output_error(c, c->consumer[k].w + (size_t)o * c->n, change, moment) *
				step_of(&c->consumer[k]);
	return sum;
}

double vq_channels_signal(const vq_channels *c)
{
	double all = 0;

	for (uint32_t k = 0; k < c->n_consumers; k++)
		for (uint32_t o = 0; o < c->consumer[k].rows; o += step_of(&c->consumer[k])) {
			const float *w = c->consumer[k].w + (size_t)o * c->n;
			double mean = 0, variance = 0;

			for (uint32_t i = 0; i < c->n; i++) {
				mean += (double)w[i] * c->mean[i];
				variance += (double)w[i] * (double)w[i] *
					fmax(c->square[i] - c->mean[i] * c->mean[i], 0);
			}
			all += (mean * mean + variance) * step_of(&c->consumer[k]);
		}
	return all;
}
