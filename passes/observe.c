/* SPDX-License-Identifier: MIT */
/* Observers: minima and maxima per channel, histograms, and the ranges and scales made of them. */
#include "passes/observe.h"

#include <math.h>
#include <string.h>

/*
 * Scales of activations stay above 2^-60, far from where a product of two scales would become
 * denormal. A tensor that is 0 in all samples says nothing about its scale and gets the range [-1,
 * 1].
 */
static const double smallest_scale = 0x1p-60;

void vq_stats_init(vq_stats *s, vq_arena *a, vq_value v, uint32_t channels, bool histogram)
{
	*s = (vq_stats){
		.value = v,
		.channels = channels,
		.lo = VQ_ARRAY(a, channels, float),
		.hi = VQ_ARRAY(a, channels, float),
		.sum = VQ_ARRAY(a, channels, double),
		.square = VQ_ARRAY(a, channels, double),
		.histogram = histogram ? VQ_NEW(a, struct vq_histogram) : NULL,
	};
	for (uint32_t c = 0; c < channels; c++) {
		s->lo[c] = INFINITY;
		s->hi[c] = -INFINITY;
	}
}

static uint32_t bin_of(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof bits);
	return bits >> 16;
}

bool vq_stats_add(vq_stats *s, const float *data, uint64_t rows)
{
	uint32_t bad = 0;

	for (uint64_t r = 0; r < rows; r++, data += s->channels) {
		float lo = 0, hi = 0;
		double sum = 0;

		for (uint32_t c = 0; c < s->channels; c++) {
			float x = data[c];

			bad |= !(x - x == 0); /* NaN for NaN and infinities */
			lo = x < lo ? x : lo;
			hi = x > hi ? x : hi;
			s->lo[c] = x < s->lo[c] ? x : s->lo[c];
			s->hi[c] = x > s->hi[c] ? x : s->hi[c];
			s->sum[c] += (double)x;
			s->square[c] += (double)x * x;
			sum += (double)x * x;
			if (s->histogram)
				s->histogram->count[bin_of(x)]++;
		}
		s->row_square += ((double)hi - lo) * ((double)hi - lo);
		s->row_inverse += sum > 0 ? s->channels / sum : 0;
	}
	s->rows += rows;
	return !bad;
}

/* square of the range of all channels */
static double range_square(const vq_stats *s)
{
	vq_range all = { 0, 0 };

	for (uint32_t c = 0; c < s->channels; c++) {
		all.lo = fmin(all.lo, (double)s->lo[c]);
		all.hi = fmax(all.hi, (double)s->hi[c]);
	}
	return (all.hi - all.lo) * (all.hi - all.lo);
}

double vq_stats_row_gain(const vq_stats *s)
{
	return s->row_square > 0 ? range_square(s) * (double)s->rows / s->row_square : 1;
}

double vq_stats_row_noise(const vq_stats *s)
{
	return s->rows ? range_square(s) / (255.0 * 255 * 12) * s->row_inverse / (double)s->rows : 0;
}

double vq_stats_peak(const vq_stats *s, uint32_t first, uint32_t n)
{
	double peak = 0;

	for (uint32_t c = first; c < first + n; c++)
		peak = fmax(peak, fmax(fabs((double)s->lo[c]), fabs((double)s->hi[c])));
	return peak;
}

/* ---- ranges out of a histogram ---- */

/* Bins in ascending order of value: negative ones from -max to -0, then the positive ones. */
static uint32_t bin_at(uint32_t position)
{
	return position < VQ_HISTOGRAM_BINS / 2 ? VQ_HISTOGRAM_BINS - 1 - position : position - VQ_HISTOGRAM_BINS / 2;
}

static double value_of_bits(uint32_t bits)
{
	float x;

	memcpy(&x, &bits, sizeof x);
	return (double)x;
}

/* Edges of a bin: the one away from 0 and the one next to it. */
static double outer_edge(uint32_t bin) { return value_of_bits((bin << 16) + 0x10000u); }

static double inner_edge(uint32_t bin) { return value_of_bits(bin << 16); }

/*
 * The range outside of which lies a share 1 - percentile/100 of the elements on either side,
 * rounded outwards to the edge of a bin.
 */
static vq_range percentile_range(const struct vq_histogram *h, double percentile, vq_range all)
{
	vq_range r = all;
	uint64_t total = 0, seen, tail;

	for (uint32_t i = 0; i < VQ_HISTOGRAM_BINS; i++)
		total += h->count[i];
	tail = (uint64_t)((double)total * (1 - percentile / 100));
	seen = 0;
	for (uint32_t i = 0; i < VQ_HISTOGRAM_BINS; i++) {
		uint32_t bin = bin_at(i);

		seen += h->count[bin];
		if (seen > tail) {
			r.lo = i < VQ_HISTOGRAM_BINS / 2 ? outer_edge(bin) : inner_edge(bin);
			break;
		}
	}
	seen = 0;
	for (uint32_t i = VQ_HISTOGRAM_BINS; i-- > 0;) {
		uint32_t bin = bin_at(i);

		seen += h->count[bin];
		if (seen > tail) {
			r.hi = i < VQ_HISTOGRAM_BINS / 2 ? inner_edge(bin) : outer_edge(bin);
			break;
		}
	}
	r.lo = fmax(r.lo, all.lo);
	r.hi = fmin(r.hi, all.hi);
	return r;
}

/* One filled bin: its middle and how many elements it holds. */
typedef struct filled {
	double value, count;
} filled;

static double squared_error(const filled *bin, uint32_t n, vq_range r)
{
	float scale;
	int32_t zero;
	double sum = 0;

	vq_entry_asymmetric(r, &scale, &zero);
	for (uint32_t i = 0; i < n; i++) {
		double code = nearbyint(bin[i].value / (double)scale) + zero;
		double e;

		code = fmin(fmax(code, -128), 127);
		e = (code - zero) * (double)scale - bin[i].value;
		sum += bin[i].count * e * e;
	}
	return sum;
}

/*
 * Shrinks the range in steps of 1 % down to 10 % and keeps the one with the least squared error
 * over the histogram.
 */
static vq_range mse_range(const struct vq_histogram *h, vq_range all)
{
	vq_arena scratch = { 0 };
	filled *bin = VQ_ARRAY(&scratch, VQ_HISTOGRAM_BINS, filled);
	vq_range best = all;
	double least = INFINITY;
	uint32_t n = 0;

	for (uint32_t i = 0; i < VQ_HISTOGRAM_BINS; i++)
		if (h->count[bin_at(i)])
			bin[n++] = (filled){
				.value = (outer_edge(bin_at(i)) + inner_edge(bin_at(i))) / 2,
				.count = (double)h->count[bin_at(i)],
			};
	for (int step = 0; step <= 90; step++) {
		vq_range r = { all.lo * (1 - step * 0.01), all.hi * (1 - step * 0.01) };
		double e = squared_error(bin, n, r);

		if (e < least) {
			least = e;
			best = r;
		}
	}
	vq_arena_free(&scratch);
	return best;
}

vq_range vq_stats_range(const vq_stats *s, const vq_settings *set)
{
	vq_range r = { 0, 0 };

	for (uint32_t c = 0; c < s->channels; c++) {
		r.lo = fmin(r.lo, (double)s->lo[c]);
		r.hi = fmax(r.hi, (double)s->hi[c]);
	}
	if (!s->histogram || set->observer == VQ_OBSERVE_MINMAX)
		return r;
	r = set->observer == VQ_OBSERVE_MSE ? mse_range(s->histogram, r)
					    : percentile_range(s->histogram, set->percentile, r);
	return (vq_range){ fmin(r.lo, 0), fmax(r.hi, 0) };
}

/* ---- scales ---- */

void vq_entry_asymmetric(vq_range r, float *scale, int32_t *zero)
{
	double lo = fmin(r.lo, 0), hi = fmax(r.hi, 0);

	if (lo == 0 && hi == 0) {
		*scale = vq_entry_symmetric(0);
		*zero = 0;
		return;
	}
	*scale = (float)fmax((hi - lo) / 255, smallest_scale);
	*zero = (int32_t)nearbyint(fmin(fmax(-128 - lo / (double)*scale, -128), 127));
}

float vq_entry_symmetric(double peak) { return (float)fmax((peak == 0 ? 1 : peak) / 127, smallest_scale); }
