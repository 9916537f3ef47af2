/* SPDX-License-Identifier: MIT */
/* Measuring what quantization cost. */
#ifndef VQ_PASSES_MEASURE_H
#define VQ_PASSES_MEASURE_H

#include "passes/pass.h"

/* How far a tensor is from what it should be, over any number of calls; starts zeroed. */
typedef struct vq_distance {
	double signal, noise; /* sums of squares: of what is wanted, of the difference */
	double got, both;     /* of what there is; of the products of both */
	double worst, peak;   /* largest magnitudes: of the difference, of what is wanted */
} vq_distance;

/* Adds the elements of a tensor of type t, f32 or with the entry q; want: as many numbers. */
void vq_distance_add(vq_distance *d, const vq_quant *q, const vq_type *t, const void *data, const float *want);
/* 10 log10(signal / noise): infinite if there is no difference. */
double vq_distance_sqnr(const vq_distance *d);
/* Cosine of the angle between both as vectors; 1 if both are 0, 0 if one is. */
double vq_distance_cosine(const vq_distance *d);
/* Element i of a tensor as vq_distance_add takes it, as a number. */
double vq_element(const vq_quant *q, const vq_type *t, const void *data, int64_t i);

/*
 * Runs the float graph kept by calibrate and the graph as it is now on a few samples and fills
 * sqnr_db of the report's products: 10 log10(sum of y^2 / sum of (y - y')^2), y' in the quantized
 * graph with everything before it quantized, too. Does nothing unless asked (vq_settings.measure).
 * false after an error in the graph's diag.
 */
bool vq_measure(vq_pass *p);

#endif
