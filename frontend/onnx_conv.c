/* SPDX-License-Identifier: MIT */
/* Importers of convolution and pooling. */
#include "frontend/onnx_conv.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef struct window {
	uint32_t n; /* spatial dimensions, entries used below */
	int64_t kernel[VQ_MAX_RANK];
	int64_t stride[2 * VQ_MAX_RANK]; /* as long as an attribute may be */
	int64_t dilation[2 * VQ_MAX_RANK];
	int64_t before[VQ_MAX_RANK]; /* padding */
	int64_t after[VQ_MAX_RANK];
} window;

bool vq_onnx_window_list(vq_onnx *o, const char *name, int64_t standard, uint32_t n, int64_t *v)
{
	uint32_t got;

	if (!vq_onnx_attr_ints(o, name, v, 2 * VQ_MAX_RANK, &got))
		return false;
	if (got && got != n)
		return vq_onnx_refuse(
			o, "attribute '%s' has %u entries, expected %u", name, (unsigned)got, (unsigned)n);
	for (uint32_t i = 0; i < n; i++) {
		v[i] = got ? v[i] : standard;
		if (v[i] < 0 || v[i] > 1 << 20 || (standard == 1 && v[i] < 1))
			return vq_onnx_refuse(o, "attribute '%s' has the entry %" PRId64, name, v[i]);
	}
	return true;
}

/* total padding that makes the output ceil(size / stride) */
static void same_padding(window *w, const int64_t *size, bool more_after)
{
	for (uint32_t i = 0; i < w->n; i++) {
		int64_t out = (size[i] + w->stride[i] - 1) / w->stride[i];
		int64_t need = (out - 1) * w->stride[i] + (w->kernel[i] - 1) * w->dilation[i] + 1 - size[i];

		need = need < 0 ? 0 : need;
		w->before[i] = more_after ? need / 2 : need - need / 2;
		w->after[i] = need - w->before[i];
	}
}

/*
 * Attributes kernel_shape, strides, dilations, pads and auto_pad of the current node for an input of type x. kernel: the
 * size given by weights, or NULL.
 */
static bool read_window(vq_onnx *o, const vq_type *x, const int64_t *kernel, window *w)
{
	int64_t given[2 * VQ_MAX_RANK], pads[2 * VQ_MAX_RANK];
	const char *mode;
	uint32_t n_given;

	if (x->rank < 3 || x->rank > 5)
		return vq_onnx_refuse(o, "input has %u dimensions, expected batch, channels and one to three more",
			(unsigned)x->rank);
	*w = (window){ .n = x->rank - 2 };
	if (!vq_onnx_attr_ints(o, "kernel_shape", given, VQ_MAX_RANK, &n_given))
		return false;
	if (!kernel && !n_given)
		return vq_onnx_refuse(o, "attribute 'kernel_shape' is missing");
	if (n_given && n_given != w->n)
		return vq_onnx_refuse(
			o, "attribute 'kernel_shape' has %u entries, expected %u", (unsigned)n_given, (unsigned)w->n);
	for (uint32_t i = 0; i < w->n; i++) {
		w->kernel[i] = kernel ? kernel[i] : given[i];
		if (n_given && given[i] != w->kernel[i])
			return vq_onnx_refuse(o,
				"attribute 'kernel_shape' is %" PRId64
				" in dimension %u, but the weights have %" PRId64,
				given[i], (unsigned)i, w->kernel[i]);
		if (w->kernel[i] < 1 || w->kernel[i] > 1 << 20)
			return vq_onnx_refuse(o, "the kernel size is %" PRId64, w->kernel[i]);
	}
	if (!vq_onnx_window_list(o, "strides", 1, w->n, w->stride) ||
		!vq_onnx_window_list(o, "dilations", 1, w->n, w->dilation) ||
		!vq_onnx_window_list(o, "pads", 0, 2 * w->n, pads) ||
		!vq_onnx_attr_string(o, "auto_pad", "NOTSET", &mode))
		return false;
	for (uint32_t i = 0; i < w->n; i++) {
		w->before[i] = pads[i];
		w->after[i] = pads[w->n + i];
	}
	if (!strcmp(mode, "VALID")) {
		memset(w->before, 0, sizeof w->before);
		memset(w->after, 0, sizeof w->after);
	} else if (!strcmp(mode, "SAME_UPPER") || !strcmp(mode, "SAME_LOWER")) {
		same_padding(w, x->dim + 2, !strcmp(mode, "SAME_UPPER"));
	} else if (strcmp(mode, "NOTSET") && *mode) {
		return vq_onnx_refuse(
			o, "attribute 'auto_pad' is '%s', expected NOTSET, VALID, SAME_UPPER or SAME_LOWER", mode);
	}
	return true;
}

vq_value vq_onnx_conv(vq_onnx *o, vq_value x, vq_value w, vq_value bias)
{
	vq_type tw;
	window win;
	vq_attr attr = { 0 };
	int64_t group;

	if (!x.id || !w.id)
		return VQ_NO_VALUE;
	tw = *vq_type_of(o->g, w);
	if (tw.rank != vq_type_of(o->g, x)->rank) {
		vq_onnx_refuse(o, "weights have %u dimensions, but the input has %u", (unsigned)tw.rank,
			(unsigned)vq_type_of(o->g, x)->rank);
		return VQ_NO_VALUE;
	}
	if (!vq_onnx_attr_int(o, "group", 1, &group) || !read_window(o, vq_type_of(o->g, x), tw.dim + 2, &win))
		return VQ_NO_VALUE;
	if (group < 1 || group > INT32_MAX) {
		vq_onnx_refuse(o, "attribute 'group' is %" PRId64, group);
		return VQ_NO_VALUE;
	}
	attr.conv.group = (int32_t)group;
	for (uint32_t i = 0; i < win.n; i++) {
		attr.conv.stride[i] = (int32_t)win.stride[i];
		attr.conv.dilation[i] = (int32_t)win.dilation[i];
		attr.conv.before[i] = (int32_t)win.before[i];
		attr.conv.after[i] = (int32_t)win.after[i];
	}
	return vq_onnx_build(o, VQ_OP_CONV, (vq_value[]){ x, w, bias }, bias.id ? 3 : 2, &attr);
}

bool vq_import_conv(vq_onnx *o)
{
	return vq_onnx_out(o, 0, vq_onnx_conv(o, vq_onnx_in(o, 0), vq_onnx_in(o, 1), vq_onnx_in(o, 2)));
}

/* ---- pooling: a view of every window, reduced ---- */

/* output size and, with ceil_mode, the padding that makes the last window whole */
static bool fit_windows(vq_onnx *o, const vq_type *x, window *w, int64_t *out)
{
	bool ceil_mode;

	if (!vq_onnx_attr_bool(o, "ceil_mode", false, &ceil_mode))
		return false;
	for (uint32_t i = 0; i < w->n; i++) {
		int64_t size = x->dim[2 + i] + w->before[i] + w->after[i];
		int64_t span = (w->kernel[i] - 1) * w->dilation[i] + 1;

		if (span > size)
			return vq_onnx_refuse(o,
				"the window is larger than the padded input in dimension %u: %" PRId64 " and %" PRId64,
				(unsigned)i + 2, span, size);
		out[i] = (size - span) / w->stride[i] + 1;
		/* a window that would start in the padding after the input is left out */
		if (ceil_mode && (size - span) % w->stride[i] && out[i] * w->stride[i] < x->dim[2 + i] + w->before[i]) {
			w->after[i] += out[i] * w->stride[i] + span - size;
			out[i]++;
		}
	}
	return true;
}

/* x padded with fill as [N, C, windows…, kernel…] */
static vq_value windows(vq_onnx *o, vq_value x, const window *w, const int64_t *out, float fill)
{
	vq_attr pad = { 0 }, view = { 0 };
	vq_type t;
	int64_t step = 1;
	uint32_t rank = 2 + 2 * w->n;

	if (rank > VQ_MAX_RANK) {
		vq_onnx_refuse(o, "a pool of %u dimensions is not supported", (unsigned)w->n);
		return VQ_NO_VALUE;
	}
	pad.pad.value = fill;
	for (uint32_t i = 0; i < w->n; i++) {
		pad.pad.before[2 + i] = w->before[i];
		pad.pad.after[2 + i] = w->after[i];
	}
	x = vq_onnx_build(o, VQ_OP_PAD, &x, 1, &pad);
	if (!x.id)
		return x;
	t = *vq_type_of(o->g, x);
	view.view.rank = rank;
	for (uint32_t i = t.rank; i--;) {
		if (i < 2) {
			view.view.dim[i] = t.dim[i];
			view.view.stride[i] = step;
		} else {
			view.view.dim[i] = out[i - 2];
			view.view.stride[i] = step * w->stride[i - 2];
			view.view.dim[i + w->n] = w->kernel[i - 2];
			view.view.stride[i + w->n] = step * w->dilation[i - 2];
		}
		step *= t.dim[i];
	}
	return vq_onnx_build(o, VQ_OP_VIEW, &x, 1, &view);
}

/* the window dimensions of what windows() gives */
static uint32_t window_axes(const window *w) { return ((1u << w->n) - 1) << (2 + w->n); }

bool vq_import_max_pool(vq_onnx *o)
{
	int64_t out[VQ_MAX_RANK];
	window w;
	vq_type t = *vq_onnx_in_type(o, 0);
	vq_value x = vq_onnx_in(o, 0);
	bool bytes = t.elem == VQ_U8 || t.elem == VQ_S8; /* exact in f32 */

	vq_onnx_attr_ignore(o, "storage_order"); /* of the second output */
	if (!read_window(o, &t, NULL, &w) || !fit_windows(o, &t, &w, out))
		return false;
	if (bytes)
		x = vq_onnx_cast(o, x, VQ_F32);
	x = vq_onnx_reduce(o, VQ_OP_REDUCE_MAX, windows(o, x, &w, out, -INFINITY), window_axes(&w), false);
	if (bytes && x.id)
		x = vq_onnx_cast(o, vq_onnx_cast(o, x, VQ_I32), t.elem);
	return vq_onnx_out(o, 0, x);
}

/* sum of |x|^p over every window, then the root; the padding is 0 */
bool vq_import_lp_pool(vq_onnx *o)
{
	int64_t out[VQ_MAX_RANK], p;
	window w;
	vq_type t = *vq_onnx_in_type(o, 0);
	vq_value x, y;

	if (!vq_onnx_attr_int(o, "p", 2, &p) || !read_window(o, &t, NULL, &w) || !fit_windows(o, &t, &w, out))
		return false;
	if (p < 1 || p > 64)
		return vq_onnx_refuse(o, "attribute 'p' is %" PRId64 ", expected 1 to 64", p);
	x = y = vq_onnx_1(o, VQ_OP_ABS, vq_onnx_in(o, 0));
	for (int64_t i = 1; i < p; i++)
		y = vq_onnx_2(o, VQ_OP_MUL, y, x);
	y = vq_onnx_reduce(o, VQ_OP_REDUCE_SUM, windows(o, y, &w, out, 0), window_axes(&w), false);
	if (p == 2)
		y = vq_onnx_1(o, VQ_OP_SQRT, y);
	if (p > 2) { /* log(0) is -inf, and exp of that 0 */
		vq_value power = vq_onnx_scalar(o, 1.0f / (float)p);

		y = vq_onnx_1(o, VQ_OP_EXP, vq_onnx_2(o, VQ_OP_MUL, vq_onnx_1(o, VQ_OP_LOG, y), power));
	}
	return vq_onnx_out(o, 0, y);
}

bool vq_import_average_pool(vq_onnx *o)
{
	int64_t out[VQ_MAX_RANK], after[VQ_MAX_RANK];
	window w, counted;
	vq_type t = *vq_onnx_in_type(o, 0);
	bool with_padding, padded = false, beyond = false;
	vq_value sum, count, ones;

	if (!vq_onnx_attr_bool(o, "count_include_pad", false, &with_padding) || !read_window(o, &t, NULL, &w))
		return false;
	memcpy(after, w.after, sizeof after);
	if (!fit_windows(o, &t, &w, out))
		return false;
	for (uint32_t i = 0; i < w.n; i++) {
		padded |= w.before[i] || w.after[i];
		beyond |= w.after[i] != after[i]; /* a window of ceil_mode that ends outside of the padding */
	}
	if (!padded)
		return vq_onnx_out(o, 0,
			vq_onnx_reduce(o, VQ_OP_REDUCE_MEAN, windows(o, vq_onnx_in(o, 0), &w, out, 0), window_axes(&w),
				false));
	if (with_padding && !beyond)
		return vq_onnx_out(o, 0,
			vq_onnx_reduce(o, VQ_OP_REDUCE_MEAN, windows(o, vq_onnx_in(o, 0), &w, out, 0), window_axes(&w),
				false));
	/* elements of each window that lie in the input, or in its padding if that counts: a constant, folded */
	t.dim[0] = t.dim[1] = 1;
	counted = w;
	for (uint32_t i = 0; i < w.n && with_padding; i++) {
		t.dim[2 + i] += w.before[i] + after[i];
		counted.before[i] = 0;
		counted.after[i] -= after[i];
	}
	ones = vq_onnx_expand(o, vq_onnx_scalar(o, 1), t.rank, t.dim);
	count = vq_onnx_reduce(o, VQ_OP_REDUCE_SUM, windows(o, ones, &counted, out, 0), window_axes(&w), false);
	sum = vq_onnx_reduce(o, VQ_OP_REDUCE_SUM, windows(o, vq_onnx_in(o, 0), &w, out, 0), window_axes(&w), false);
	return vq_onnx_out(o, 0, vq_onnx_2(o, VQ_OP_DIV, sum, count));
}
