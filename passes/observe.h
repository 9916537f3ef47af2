/* SPDX-License-Identifier: MIT */
/*
 * Observers: what calibration remembers of a value, and the step from a range to a scale and zero
 * point.
 *
 * Minima, maxima, sums of squares and histogram counts are taken in row-major order of the
 * elements, so they are the same bits whatever executor produced the values.
 */
#ifndef VQ_PASSES_OBSERVE_H
#define VQ_PASSES_OBSERVE_H

#include "passes/pass.h"

/*
 * Counts by the upper 16 bits of the f32: sign, exponent and 7 bits of mantissa. The bins are fixed
 * powers-of-two steps (relative width 2^-7), so no range has to be known before the first sample.
 */
enum { VQ_HISTOGRAM_BINS = 1 << 16 };
struct vq_histogram {
	uint64_t count[VQ_HISTOGRAM_BINS];
};

typedef struct vq_range {
	double lo, hi;
} vq_range;

/* Empty statistics of v with that many channels; a histogram only if asked for. */
void vq_stats_init(vq_stats *s, vq_arena *a, vq_value v, uint32_t channels, bool histogram);

/*
 * Adds rows * channels elements. false if one of them is NaN or infinite (then s is of no use any
 * more).
 */
bool vq_stats_add(vq_stats *s, const float *data, uint64_t rows);

/* Range of the whole tensor under the observer of the settings; contains 0. */
vq_range vq_stats_range(const vq_stats *s, const vq_settings *set);

/*
 * How many times less noise a scale for every row makes than one for the tensor: noise is a step squared over 12 whatever the
 * weights are, and steps are as the ranges.
 */
double vq_stats_row_gain(const vq_stats *s);
/* Noise of one scale for the tensor over signal, the mean of what the rows have: large where a few rows set the range of all. */
double vq_stats_row_noise(const vq_stats *s);

/* Largest magnitude among channels [first, first + n). */
double vq_stats_peak(const vq_stats *s, uint32_t first, uint32_t n);

/*
 * s8 codes -128..127 for a range, which is widened to contain 0: zero = rne(-128 - lo / scale), in
 * -128..127.
 */
void vq_entry_asymmetric(vq_range r, float *scale, int32_t *zero);

/* s8 codes -127..127 for |x| <= peak, zero point 0. */
float vq_entry_symmetric(double peak);

#endif
