/* SPDX-License-Identifier: MIT */
/*
 * Choosers of the channel transform.
 *
 * RepQ (Li et al. 2023, RepQ-ViT): quantize every channel on its own range (s_c, z_c), then fold
 * the difference to one common (S, Z) away: d = s_c / S, t = s_c (Z - z_c). With an integer Z the
 * codes of the common quantizer are those of the per-channel quantizers exactly: x'/S + Z = x/s_c +
 * z_c. S and Z are a gauge as far as the codes go. S is the mean of s_c. Z is the mean of z_c
 * brought into the range of codes: the nearer Z is to the codes that occur, the less an error of
 * the weights is multiplied by, and the accumulator bound of the product stays that of an ordinary
 * zero point.
 */
#include "passes/observe.h"
#include "passes/transform.h"

#include <math.h>

/*
 * No channel is scaled down by more than this, relative to the common scale; constant channels
 * would otherwise divide by 0.
 */
static const double floor_ratio = 1e-5;

/* The range of channel i with its room, in steps of 1/255; *lo is its lower end. */
static double step_of(const vq_channels *c, uint32_t i, double *lo)
{
	double width = (double)c->hi[i] - (double)c->lo[i];

	*lo = (double)c->lo[i] - (VQ_REPQ_ROOM - 1) / 2 * width;
	return VQ_REPQ_ROOM * width / 255;
}

void vq_choose_repq(const vq_channels *c, vq_change *change)
{
	double *z = VQ_ARRAY(c->scratch, c->n, double);
	double mean = 0, middle = 0, lo;
	uint32_t live = 0;

	for (uint32_t i = 0; i < c->n; i++)
		mean += step_of(c, i, &lo);
	mean /= c->n;
	/* rounded now: what the consumer's entry stores is what d and t are made of */
	change->scale = mean > 0 ? (float)fmax(mean, 0x1p-60) : vq_entry_symmetric(0);
	for (uint32_t i = 0; i < c->n; i++) {
		double s = step_of(c, i, &lo);
		double least = (mean > 0 ? floor_ratio : 1) * (double)change->scale;

		if (s >= least) {
			z[i] = nearbyint(-128 - lo / s);
			middle += z[i];
			live++;
		} else {
			s = least;
			/* its constant gets code 0 */
			z[i] = nearbyint(-((double)c->lo[i] + (double)c->hi[i]) / 2 / s);
		}
		change->d[i] = s / (double)change->scale;
	}
	middle = live ? nearbyint(middle / live) : 0;
	change->zero = (int32_t)fmin(fmax(middle, -128), 127);
	for (uint32_t i = 0; i < c->n; i++)
		change->t[i] = change->d[i] * (double)change->scale * (change->zero - z[i]);
}
