/* SPDX-License-Identifier: MIT */
/*
 * The channel transform x' = (x - t) / d, W' = W diag(d), b' = b + W t (docs/quantization.md). A
 * chooser says what d and t are, a fold says how the producer of x comes to produce x' at no cost;
 * the consumers are rewritten in one place.
 */
#ifndef VQ_PASSES_TRANSFORM_H
#define VQ_PASSES_TRANSFORM_H

#include "passes/pass.h"

/* The weights of one consumer. */
typedef struct vq_consumer {
	vq_node node;   /* a linear */
	const float *w; /* [rows, channels] */
	uint32_t rows;  /* output channels */
} vq_consumer;

/*
 * The values that hold the channels of one producer, and who reads them. Values are reached from
 * the producer through operators that keep the channels apart (movement that leaves the last axis
 * alone, means over other axes).
 */
typedef struct vq_reach {
	vq_value root;
	uint32_t channels;
	vq_value *value; /* all of them, root first */
	uint32_t n_values;
	vq_consumer *consumer;
	uint32_t n_consumers;
	const char *refused; /* why the consumers cannot all be rewritten; NULL: they can */
} vq_reach;

void vq_reach_find(const vq_graph *g, vq_value root, vq_arena *a, vq_reach *r);

/* What a chooser sees: ranges per channel over all values the consumers read, and the consumers. */
typedef struct vq_channels {
	uint32_t n;
	const float *lo, *hi;
	const double *mean, *square; /* mean and mean square */
	double rows;                 /* rows of channels they are taken from; infinite where ranges are assumed */
	const vq_consumer *consumer;
	uint32_t n_consumers;
	vq_arena *scratch;
} vq_channels;

/*
 * What it chooses. d > 0. The transformed tensor is quantized with scale and zero, or with what its rows have at run time: then
 * scale is a guess at what they need at most.
 */
typedef struct vq_change {
	double *d, *t; /* [n], allocated by the caller: 1 and 0 */
	float scale;
	int32_t zero;
} vq_change;

typedef void vq_chooser(const vq_channels *c, vq_change *change);

/*
 * RepQ makes every channel's range this much wider than was seen. Ranges of hundreds of channels,
 * each from a few thousand rows of a few images, do not hold on new images, and what they clip hurts
 * far more than a coarser step: of the tokens of DINOv2 ViT-S/14, calibrated with 11 photographs,
 * 1 - cosine is 0.0036 without room, 0.0015 with 1.2, 0.0011 with 1.35, 0.0009 with 1.6.
 */
#define VQ_REPQ_ROOM 1.5
/*
 * RepQ: every channel gets its own range; the common scale is the mean, the common zero point an
 * integer.
 */
vq_chooser vq_choose_repq;
/*
 * A scale only, d = peak^alpha, alpha by the error of the consumers' outputs: for sites that see
 * few rows.
 */
vq_chooser vq_choose_alpha;
/*
 * For scales per row, chosen at run time: d = width^alpha, alpha by the error of the consumers' outputs, and t the middle of the
 * range.
 */
vq_chooser vq_choose_rows;

/*
 * The expected squared error of the consumers' outputs, summed over them, in the mean of the rows: every activation rounded to
 * change->scale, the weights of a channel times d to theirs. Of a large consumer a part of the outputs stands for all.
 */
double vq_channels_error(const vq_channels *c, const vq_change *change);
/* The mean square of the same outputs, channels taken as independent of each other. */
double vq_channels_signal(const vq_channels *c);

/* d[i] = (width[i] / largest width)^(n/8), their mean 1; widths below 1e-5 of the largest count as that much. */
void vq_channel_divisors(const vq_channels *c, const double *width, unsigned n, double *d);

/* Why the layernorm cannot take 1/d and t into gamma and beta; NULL if it can. */
const char *vq_fold_layernorm_refuses(const vq_graph *g, vq_node n);
/* gamma' = gamma / d, beta' = (beta - t) / d, in double, rounded once, as new constants. */
void vq_fold_layernorm(vq_graph *g, vq_node n, const vq_change *change);

#endif
