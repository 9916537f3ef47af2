/* SPDX-License-Identifier: MIT */
/*
 * Importer of ConvTranspose: a convolution of stride 1 and a pixel shuffle, which is what it computes without the zeros that
 * the textbook inserts. With stride s and weights w[k], result s*i + r is the sum over t of x[i - t] * w[s*t + r]: for every
 * phase r < s a convolution of its own by every s-th weight, all of them channels of one convolution.
 */
#include "frontend/onnx_conv.h"

#include <inttypes.h>
#include <string.h>

typedef struct geometry {
	uint32_t n;                      /* spatial dimensions, entries used below */
	int64_t group, channels;         /* of the result per group */
	int64_t stride[2 * VQ_MAX_RANK]; /* as long as an attribute may be */
	int64_t dilation[2 * VQ_MAX_RANK];
	int64_t kernel[VQ_MAX_RANK]; /* of the weights */
	int64_t taps[VQ_MAX_RANK];   /* weights of one phase */
	int64_t before[VQ_MAX_RANK]; /* cut from the start of the whole result */
	int64_t size[VQ_MAX_RANK];   /* of the result */
	int64_t whole[VQ_MAX_RANK];  /* of what convolution and shuffle give */
} geometry;

static int64_t span_of(const geometry *w, uint32_t i) { return (w->kernel[i] - 1) * w->dilation[i] + 1; }

/* sizes of the result and what is cut at its start, by pads, output_shape or auto_pad */
static bool read_sizes(vq_onnx *o, const vq_type *x, geometry *w)
{
	int64_t pads[2 * VQ_MAX_RANK], more[2 * VQ_MAX_RANK], shape[2 * VQ_MAX_RANK];
	const char *mode;
	bool same, shaped = vq_onnx_attr(o, "output_shape") != NULL;

	if (!vq_onnx_window_list(o, "pads", 0, 2 * w->n, pads) ||
		!vq_onnx_window_list(o, "output_padding", 0, w->n, more) ||
		!vq_onnx_window_list(o, "output_shape", 0, w->n, shape) ||
		!vq_onnx_attr_string(o, "auto_pad", "NOTSET", &mode))
		return false;
	same = !strcmp(mode, "SAME_UPPER") || !strcmp(mode, "SAME_LOWER");
	if (!same && strcmp(mode, "NOTSET") && strcmp(mode, "VALID") && *mode)
		return vq_onnx_refuse(
			o, "attribute 'auto_pad' is '%s', expected NOTSET, VALID, SAME_UPPER or SAME_LOWER", mode);
	for (uint32_t i = 0; i < w->n; i++) {
		int64_t full = w->stride[i] * (x->dim[2 + i] - 1) + more[i] + span_of(w, i),
			cut = pads[i] + pads[w->n + i];

		w->before[i] = pads[i];
		if (!strcmp(mode, "VALID"))
			cut = w->before[i] = 0;
		if (shaped || same) {
			cut = full - (shaped ? shape[i] : x->dim[2 + i] * w->stride[i]);
			w->before[i] = cut < 0 ? 0 : !strcmp(mode, "SAME_UPPER") ? cut / 2 : cut - cut / 2;
		}
		w->size[i] = full - cut;
		w->whole[i] = w->stride[i] * (x->dim[2 + i] + w->taps[i] - 1);
		if (w->size[i] < 1 || w->size[i] > 1 << 20 || w->before[i] >= w->whole[i])
			return vq_onnx_refuse(o, "dimension %u would be %" PRId64 ", expected 1 to %d", (unsigned)i + 2,
				w->size[i], 1 << 20);
	}
	return true;
}

static bool read_geometry(vq_onnx *o, const vq_type *x, const vq_type *tw, geometry *w)
{
	int64_t given[2 * VQ_MAX_RANK];
	uint32_t n_given;

	if (x->rank < 3 || x->rank > 5 || tw->rank != x->rank)
		return vq_onnx_refuse(o, "input and weights are %s and %s, expected 3 to 5 dimensions each",
			vq_type_text(o->arena, x), vq_type_text(o->arena, tw));
	*w = (geometry){ .n = x->rank - 2, .channels = tw->dim[1] };
	if (!vq_onnx_attr_ints(o, "kernel_shape", given, 2 * VQ_MAX_RANK, &n_given) ||
		!vq_onnx_attr_int(o, "group", 1, &w->group) || !vq_onnx_window_list(o, "strides", 1, w->n, w->stride) ||
		!vq_onnx_window_list(o, "dilations", 1, w->n, w->dilation))
		return false;
	if (w->group < 1 || x->dim[1] != tw->dim[0] || x->dim[1] % w->group)
		return vq_onnx_refuse(o,
			"input has %" PRId64 " channels and weights are for %" PRId64 " in %" PRId64 " groups",
			x->dim[1], tw->dim[0], w->group);
	for (uint32_t i = 0; i < w->n; i++) {
		w->kernel[i] = tw->dim[2 + i];
		if (n_given && (n_given != w->n || given[i] != w->kernel[i]))
			return vq_onnx_refuse(o, "attribute 'kernel_shape' does not match the weights %s",
				vq_type_text(o->arena, tw));
		if (w->stride[i] > 1 << 10 || span_of(w, i) > 1 << 20)
			return vq_onnx_refuse(o, "stride %" PRId64 " and a window of %" PRId64 " are too large",
				w->stride[i], span_of(w, i));
		w->taps[i] = (span_of(w, i) + w->stride[i] - 1) / w->stride[i];
	}
	return read_sizes(o, x, w);
}

/* dimension `at` of x grown to [(n - 1) * dilation + 1] with zeros between, then with zeros behind up to `to` */
static vq_value spread(vq_onnx *o, vq_value x, uint32_t at, int64_t dilation, int64_t to)
{
	vq_type t;
	vq_attr pad = { 0 };
	int64_t n, before = 1, after = 1;

	if (!x.id)
		return x;
	t = *vq_type_of(o->g, x);
	n = t.dim[at];
	for (uint32_t i = 0; i < t.rank; i++)
		*(i < at ? &before : &after) *= i == at ? 1 : t.dim[i];
	if (dilation > 1) {
		pad.pad.after[2] = dilation - 1;
		x = vq_onnx_reshape(o, x, 4, (int64_t[]){ before, n, 1, after });
		x = vq_onnx_build(o, VQ_OP_PAD, &x, 1, &pad);
		n *= dilation;
	}
	x = vq_onnx_reshape(o, x, 3, (int64_t[]){ before, n, after });
	memset(&pad, 0, sizeof pad);
	pad.pad.after[1] = to > n ? to - n : 0;
	x = vq_onnx_build(o, VQ_OP_PAD, &x, 1, &pad);
	x = vq_onnx_slice(o, x, 1, 0, 1, to); /* the zeros behind the last weight are more than asked for */
	t.dim[at] = to;
	return vq_onnx_reshape(o, x, t.rank, t.dim);
}

/*
 * w [group * I, O, k…] as [group * O * phases, I, taps…], taps reversed: a convolution looks forward. Dimensions are brought
 * together step by step, as three of a window split in two are too many at once.
 */
static vq_value phase_weights(vq_onnx *o, vq_value w, const geometry *g)
{
	int64_t in = vq_type_of(o->g, w)->dim[0] / g->group, phases = 1, taps = 1, dim[VQ_MAX_RANK];

	for (uint32_t i = 0; i < g->n; i++)
		w = spread(o, w, 2 + i, g->dilation[i], g->taps[i] * g->stride[i]);
	/* per dimension: [rows, phases so far, taps so far, tap, phase, rest] with phase behind phases and tap behind taps */
	for (uint32_t i = 0; i < g->n; i++) {
		int64_t rest = 1;

		for (uint32_t k = i + 1; k < g->n; k++)
			rest *= g->taps[k] * g->stride[k];
		w = vq_onnx_reshape(o, w, 6,
			(int64_t[]){ g->group * in * g->channels, phases, taps, g->taps[i], g->stride[i], rest });
		w = vq_onnx_slice(o, w, 3, g->taps[i] - 1, -1, g->taps[i]);
		w = vq_onnx_transpose(o, w, (int64_t[]){ 0, 1, 4, 2, 3, 5 });
		phases *= g->stride[i];
		taps *= g->taps[i];
	}
	w = vq_onnx_reshape(o, w, 5, (int64_t[]){ g->group, in, g->channels, phases, taps });
	w = vq_onnx_transpose(o, w, (int64_t[]){ 0, 2, 3, 1, 4 });
	dim[0] = g->group * g->channels * phases;
	dim[1] = in;
	memcpy(dim + 2, g->taps, g->n * sizeof *dim);
	return vq_onnx_reshape(o, w, 2 + g->n, dim);
}

/* y [N, C * phases, n…] as [N, C, n * stride…] */
static vq_value shuffle(vq_onnx *o, vq_value y, const geometry *g)
{
	int64_t phases = 1, c = g->group * g->channels, batch;
	vq_type t;

	if (!y.id)
		return y;
	t = *vq_type_of(o->g, y);
	batch = t.dim[0];
	for (uint32_t i = 0; i < g->n; i++)
		phases *= g->stride[i];
	if (phases == 1)
		return y;
	/* the last phase dimension goes behind the last spatial one, then both are out of the way */
	for (uint32_t i = g->n; i-- > 0;) {
		int64_t lead = 1, tail = 1;

		phases /= g->stride[i];
		for (uint32_t k = 0; k < g->n; k++)
			*(k < i ? &lead : &tail) *= k < i ? t.dim[2 + k] : k == i ? 1 : t.dim[2 + k] * g->stride[k];
		y = vq_onnx_reshape(o, y, 6, (int64_t[]){ batch * c, phases, g->stride[i], lead, t.dim[2 + i], tail });
		y = vq_onnx_transpose(o, y, (int64_t[]){ 0, 1, 3, 4, 2, 5 });
	}
	t.dim[1] = c;
	memcpy(t.dim + 2, g->whole, g->n * sizeof *t.dim);
	return vq_onnx_reshape(o, y, t.rank, t.dim);
}

/* the part of y asked for; beyond its end there is nothing but bias */
static vq_value cut(vq_onnx *o, vq_value y, const geometry *g)
{
	vq_attr pad = { 0 };

	for (uint32_t i = 0; i < g->n; i++) {
		int64_t left = g->whole[i] - g->before[i];

		y = vq_onnx_slice(o, y, 2 + i, g->before[i], 1, left < g->size[i] ? left : g->size[i]);
		pad.pad.after[2 + i] = left < g->size[i] ? g->size[i] - left : 0;
	}
	return vq_onnx_build(o, VQ_OP_PAD, &y, 1, &pad);
}

/* bias [C] once per phase, or beside every channel of the result */
static vq_value spread_bias(vq_onnx *o, vq_value bias, const geometry *g, bool per_phase)
{
	int64_t c = g->group * g->channels, phases = 1, dim[VQ_MAX_RANK] = { c, 1, 1, 1 };

	if (!per_phase)
		return vq_onnx_reshape(o, bias, 1 + g->n, dim);
	for (uint32_t i = 0; i < g->n; i++)
		phases *= g->stride[i];
	bias = vq_onnx_reshape(o, bias, 2, (int64_t[]){ c, 1 });
	bias = vq_onnx_expand(o, bias, 2, (int64_t[]){ c, phases });
	return vq_onnx_reshape(o, bias, 1, (int64_t[]){ c * phases });
}

bool vq_import_conv_transpose(vq_onnx *o)
{
	vq_value x = vq_onnx_in(o, 0), w = vq_onnx_in(o, 1), bias = vq_onnx_in(o, 2), y;
	vq_attr attr = { 0 };
	bool beyond = false;
	geometry g;

	if (!read_geometry(o, vq_onnx_in_type(o, 0), vq_onnx_in_type(o, 1), &g))
		return false;
	if (bias.id && vq_type_count(vq_type_of(o->g, bias)) != g.group * g.channels)
		return vq_onnx_refuse(o, "bias is %s, expected %" PRId64 " values",
			vq_type_text(o->arena, vq_type_of(o->g, bias)), g.group * g.channels);
	attr.conv.group = (int32_t)g.group;
	for (uint32_t i = 0; i < g.n; i++) {
		attr.conv.stride[i] = attr.conv.dilation[i] = 1;
		attr.conv.before[i] = attr.conv.after[i] = (int32_t)(g.taps[i] - 1);
		beyond |= g.before[i] + g.size[i] > g.whole[i];
	}
	w = phase_weights(o, w, &g);
	if (bias.id && !beyond)
		y = vq_onnx_build(o, VQ_OP_CONV, (vq_value[]){ x, w, spread_bias(o, bias, &g, true) }, 3, &attr);
	else
		y = vq_onnx_build(o, VQ_OP_CONV, (vq_value[]){ x, w }, 2, &attr);
	y = cut(o, shuffle(o, y, &g), &g);
	if (bias.id && beyond)
		y = vq_onnx_2(o, VQ_OP_ADD, y, spread_bias(o, bias, &g, false));
	return vq_onnx_out(o, 0, y);
}
