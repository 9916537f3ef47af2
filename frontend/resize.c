/* SPDX-License-Identifier: MIT */
/*
 * Resampling as in Pillow (libImaging/Resample.c): a separable filter whose support grows with the
 * factor of reduction, so that shrinking is antialiased; columns first, 8 bits between the passes,
 * weights of 22 bits. Training pipelines resize so, and calibration must see what training saw.
 * Pixel centres are at half integers.
 */
#include "frontend/image.h"

#include <math.h>
#include <string.h>

enum { PRECISION = 32 - 8 - 2 }; /* bits of a weight: sums of weights up to 2 in magnitude fit in 32 bits */

static double bilinear(double x)
{
	x = fabs(x);
	return x < 1.0 ? 1.0 - x : 0.0;
}

static double bicubic(double x) /* a = -0.5 */
{
	x = fabs(x);
	if (x < 1.0)
		return (1.5 * x - 2.5) * x * x + 1.0;
	if (x < 2.0)
		return ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0;
	return 0.0;
}

/* For every result pixel along one axis: the first source pixel, how many, and their weights. */
typedef struct taps {
	uint32_t most; /* weights kept per result pixel */
	uint32_t *first, *count;
	int32_t *weight; /* [result][most] */
} taps;

static taps make_taps(vq_arena *arena, uint32_t in, uint32_t out, vq_filter filter)
{
	double (*f)(double) = filter == VQ_FILTER_BICUBIC ? bicubic : bilinear;
	double scale = (double)in / out, stretch = scale < 1.0 ? 1.0 : scale;
	double support = (filter == VQ_FILTER_BICUBIC ? 2.0 : 1.0) * stretch;
	taps t = { .most = (uint32_t)ceil(support) * 2 + 1 };
	double *w = VQ_ARRAY(arena, t.most, double);

	t.first = VQ_ARRAY(arena, out, uint32_t);
	t.count = VQ_ARRAY(arena, out, uint32_t);
	t.weight = vq_arena_array(arena, (size_t)out * t.most, sizeof *t.weight);
	for (uint32_t i = 0; i < out; i++) {
		double centre = (i + 0.5) * scale, total = 0;
		double from = trunc(centre - support + 0.5), to = trunc(centre + support + 0.5);
		uint32_t first = from < 0 ? 0 : (uint32_t)from, end = to > in ? in : (uint32_t)to;

		for (uint32_t k = first; k < end; k++) {
			w[k - first] = f((k - centre + 0.5) * (1.0 / stretch));
			total += w[k - first];
		}
		t.first[i] = first;
		t.count[i] = end - first;
		for (uint32_t k = 0; k < end - first; k++) {
			double v = (total != 0 ? w[k] / total : w[k]) * (1 << PRECISION);

			t.weight[(size_t)i * t.most + k] = (int32_t)(v < 0 ? v - 0.5 : v + 0.5);
		}
	}
	return t;
}

static unsigned char clip(int64_t v)
{
	v >>= PRECISION;
	return (unsigned char)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/*
 * Scales along one axis: result[o][i][c] over outer o; the axis has `in` source and t's result
 * pixels, `step` bytes apart.
 */
static void pass(const taps *t, const unsigned char *from, unsigned char *to, uint32_t outer, uint32_t in, uint32_t out,
	size_t step)
{
	for (uint32_t o = 0; o < outer; o++) {
		for (uint32_t i = 0; i < out; i++) {
			const int32_t *w = t->weight + (size_t)i * t->most;
			const unsigned char *p = from + ((size_t)o * in + t->first[i]) * step;

			for (size_t c = 0; c < step; c++) {
				int64_t sum = INT64_C(1) << (PRECISION - 1);

				for (uint32_t k = 0; k < t->count[i]; k++)
					sum += (int64_t)p[k * step + c] * w[k];
				to[((size_t)o * out + i) * step + c] = clip(sum);
			}
		}
	}
}

vq_image vq_image_resize(vq_arena *arena, const vq_image *from, uint32_t width, uint32_t height, vq_filter filter)
{
	vq_image r = *from;

	if (width != r.width) {
		taps t = make_taps(arena, r.width, width, filter);
		unsigned char *to = vq_arena_alloc(arena, (size_t)width * r.height * r.channels);

		pass(&t, r.pixel, to, r.height, r.width, width, r.channels);
		r.pixel = to;
		r.width = width;
	}
	if (height != r.height) {
		taps t = make_taps(arena, r.height, height, filter);
		size_t row = (size_t)r.width * r.channels;
		unsigned char *to = vq_arena_alloc(arena, height * row);

		pass(&t, r.pixel, to, 1, r.height, height, row);
		r.pixel = to;
		r.height = height;
	}
	return r;
}

vq_image vq_image_crop(vq_arena *arena, const vq_image *from, uint32_t width, uint32_t height)
{
	vq_image r = { .width = width, .height = height, .channels = from->channels };
	/* half to even, as Python's round */
	uint32_t left = (uint32_t)nearbyint((from->width - width) / 2.0),
		 top = (uint32_t)nearbyint((from->height - height) / 2.0);
	size_t row = (size_t)width * r.channels;

	r.pixel = vq_arena_alloc(arena, height * row);
	for (uint32_t y = 0; y < height; y++)
		memcpy(r.pixel + y * row, from->pixel + ((size_t)(top + y) * from->width + left) * r.channels, row);
	return r;
}
