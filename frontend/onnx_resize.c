/* SPDX-License-Identifier: MIT */
/*
 * Importer of Resize. Interpolation is separable: along each axis every result is a weighted sum of a few inputs, and which
 * and how much is known now. A constant (position embeddings) is folded by the product with the matrix of these weights.
 */
#include "frontend/onnx_node.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum {
	MOST = 1 << 20,        /* size of a resized dimension */
	MATRIX_MOST = 1 << 26, /* elements of a matrix of weights */
	TAPS_AT_RUN_TIME = 4,  /* with more the matrix is cheaper than reading the input as often */
};

typedef enum method { NEAREST, LINEAR, CUBIC } method;

typedef struct resize {
	method method;
	bool antialias, exclude_outside;
	const char *transform; /* coordinate_transformation_mode */
	const char *nearest;   /* nearest_mode */
	float cubic_a;
	float outside; /* extrapolation_value */
	int64_t size[VQ_MAX_RANK];
	double scale[VQ_MAX_RANK];
	double roi[2][VQ_MAX_RANK]; /* start and end per dimension, of tf_crop_and_resize */
} resize;

/* Along one axis: result i is the sum over t < taps of weight[i * taps + t] * x[index[i * taps + t]]. */
typedef struct along {
	uint32_t taps;
	int64_t in, out;
	int64_t *index;
	double *weight;
	bool *outside; /* results that are the value for outside instead */
	bool any_outside;
} along;

/* ---- attributes and sizes ---- */

static bool one_of(
	vq_onnx *o, const char *name, const char *value, const char *const *known, uint32_t n, uint32_t *which)
{
	const char *text = "";

	for (*which = 0; *which < n; ++*which) {
		if (!strcmp(value, known[*which]))
			return true;
		text = vq_arena_printf(o->arena, "%s%s%s", text, *which ? ", " : "", known[*which]);
	}
	return vq_onnx_refuse(o, "attribute '%s' is '%s', expected one of %s", name, value, text);
}

static bool read_attributes(vq_onnx *o, resize *r)
{
	static const char *const methods[] = { "nearest", "linear", "cubic" };
	static const char *const roundings[] = { "round_prefer_floor", "round_prefer_ceil", "floor", "ceil" };
	static const char *const transforms[] = { "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",
		"align_corners", "asymmetric", "tf_crop_and_resize" };
	const char *mode;
	uint32_t which, ignored;

	if (!vq_onnx_attr_string(o, "mode", "nearest", &mode) || !one_of(o, "mode", mode, methods, 3, &which) ||
		!vq_onnx_attr_string(o, "nearest_mode", "round_prefer_floor", &r->nearest) ||
		!one_of(o, "nearest_mode", r->nearest, roundings, 4, &ignored) ||
		!vq_onnx_attr_string(o, "coordinate_transformation_mode", "half_pixel", &r->transform) ||
		!one_of(o, "coordinate_transformation_mode", r->transform, transforms, 6, &ignored) ||
		!vq_onnx_attr_bool(o, "antialias", false, &r->antialias) ||
		!vq_onnx_attr_bool(o, "exclude_outside", false, &r->exclude_outside) ||
		!vq_onnx_attr_float(o, "cubic_coeff_a", -0.75f, &r->cubic_a) ||
		!vq_onnx_attr_float(o, "extrapolation_value", 0, &r->outside))
		return false;
	r->method = (method)which;
	return true;
}

/* The dimensions that scales, sizes and roi are about, in the order given. */
static bool read_axes(vq_onnx *o, uint32_t rank, uint32_t *axis, uint32_t *n)
{
	int64_t given[VQ_MAX_RANK];
	uint32_t set = 0;

	if (!vq_onnx_attr_ints(o, "axes", given, VQ_MAX_RANK, n))
		return false;
	for (uint32_t i = 0; i < *n; i++) {
		if (!vq_onnx_axis(o, given[i], rank, &axis[i]))
			return false;
		if (set >> axis[i] & 1)
			return vq_onnx_refuse(o, "axis %u is listed twice", (unsigned)axis[i]);
		set |= 1u << axis[i];
	}
	for (uint32_t i = 0; i < rank && !set; i++)
		axis[(*n)++] = i;
	return true;
}

static bool floats(vq_onnx *o, uint32_t i, const char *what, uint32_t n, const float **v)
{
	vq_value in = vq_onnx_in(o, i);

	*v = vq_onnx_data_of(o, in, VQ_F32);
	if (!*v || vq_type_count(vq_type_of(o->g, in)) != n)
		return vq_onnx_refuse(o, "input %u (%s) is %s %s, expected a constant list of %u floats", (unsigned)i,
			what, in.id && vq_is_const(o->g, in) ? "a constant" : "not a constant, but",
			in.id ? vq_type_text(o->arena, vq_type_of(o->g, in)) : "missing", (unsigned)n);
	return true;
}

static bool sizes_of_policy(vq_onnx *o, const vq_type *t, const uint32_t *axis, uint32_t n, resize *r)
{
	static const char *const policies[] = { "stretch", "not_larger", "not_smaller" };
	const char *policy;
	uint32_t which;
	double scale = 0;

	if (!vq_onnx_attr_string(o, "keep_aspect_ratio_policy", "stretch", &policy) ||
		!one_of(o, "keep_aspect_ratio_policy", policy, policies, 3, &which))
		return false;
	for (uint32_t i = 0; i < n; i++) {
		double s = (double)r->size[axis[i]] / (double)t->dim[axis[i]];

		r->scale[axis[i]] = s;
		scale = !i || (which == 1 ? s < scale : s > scale) ? s : scale;
	}
	for (uint32_t i = 0; i < n && which; i++) {
		r->scale[axis[i]] = scale;
		r->size[axis[i]] = (int64_t)(scale * (double)t->dim[axis[i]] + 0.5);
	}
	return true;
}

/* inputs 1 to 3: region of interest, scales, sizes; the last two exclude each other, empty ones are absent */
static bool read_sizes(vq_onnx *o, const vq_type *t, resize *r)
{
	bool scaled = vq_onnx_has(o, 2) && !vq_onnx_empty(o, 2), sized = vq_onnx_has(o, 3) && !vq_onnx_empty(o, 3);
	uint32_t axis[VQ_MAX_RANK], n, n_sizes;
	int64_t size[VQ_MAX_RANK];
	const float *v;

	if (!read_axes(o, t->rank, axis, &n))
		return false;
	if (scaled == sized)
		return vq_onnx_refuse(
			o, "it has %s sizes, expected one of them", scaled ? "both scales and" : "neither scales nor");
	for (uint32_t i = 0; i < t->rank; i++) {
		r->size[i] = t->dim[i];
		r->scale[i] = 1;
		r->roi[1][i] = 1;
	}
	if (scaled) {
		vq_onnx_attr_ignore(o, "keep_aspect_ratio_policy"); /* of sizes only */
		if (!floats(o, 2, "scales", n, &v))
			return false;
		for (uint32_t i = 0; i < n; i++) {
			float size_f = v[i] * (float)t->dim[axis[i]];

			if (!(v[i] > 0) || !(size_f < (float)MOST))
				return vq_onnx_refuse(
					o, "the scale of dimension %u is %g", (unsigned)axis[i], (double)v[i]);
			r->scale[axis[i]] = (double)v[i];
			r->size[axis[i]] = (int64_t)size_f;
		}
	} else {
		if (!vq_onnx_ints(o, 3, "sizes", size, VQ_MAX_RANK, &n_sizes))
			return false;
		if (n_sizes != n)
			return vq_onnx_refuse(
				o, "input 3 (sizes) has %u entries, expected %u", (unsigned)n_sizes, (unsigned)n);
		for (uint32_t i = 0; i < n; i++)
			r->size[axis[i]] = size[i];
		if (!sizes_of_policy(o, t, axis, n, r))
			return false;
	}
	for (uint32_t i = 0; i < t->rank; i++)
		if (r->size[i] < 1 || r->size[i] > MOST)
			return vq_onnx_refuse(o, "dimension %u would be %" PRId64 ", expected 1 to %d", (unsigned)i,
				r->size[i], MOST);
	if (strcmp(r->transform, "tf_crop_and_resize"))
		return true;
	if (!floats(o, 1, "roi", 2 * n, &v))
		return false;
	for (uint32_t i = 0; i < n; i++) {
		r->roi[0][axis[i]] = (double)v[i];
		r->roi[1][axis[i]] = (double)v[n + i];
	}
	return true;
}

/* ---- which inputs, and how much of each ---- */

/* the place in the input, in elements, that result i of a dimension looks at */
static double place_of(const resize *r, uint32_t d, double in, int64_t i)
{
	double out = (double)r->size[d], ideal = r->scale[d] * in, scale = r->scale[d], x = (double)i;

	if (!strcmp(r->transform, "align_corners"))
		return ideal == 1 ? 0 : x * (in - 1) / (ideal - 1);
	if (!strcmp(r->transform, "asymmetric"))
		return x / scale;
	if (!strcmp(r->transform, "tf_crop_and_resize")) {
		double start = r->roi[0][d], span = (r->roi[1][d] - start) * (in - 1);

		return (ideal == 1 ? span / 2 : x * span / (ideal - 1)) + start * (in - 1);
	}
	if (!strcmp(r->transform, "pytorch_half_pixel") && ideal == 1)
		return -0.5;
	x = (x + 0.5) / scale - 0.5;
	return strcmp(r->transform, "half_pixel_symmetric") ? x : x + in / 2 * (1 - out / ideal);
}

/* the kernel at a distance from the place */
static double kernel_at(const resize *r, double distance)
{
	double x = fabs(distance), a = (double)r->cubic_a;

	if (r->method == LINEAR)
		return x < 1 ? 1 - x : 0;
	if (x <= 1)
		return ((a + 2) * x - (a + 3)) * x * x + 1;
	return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

static int64_t nearest(const char *rounding, double place)
{
	double down = floor(place), part = place - down;
	bool up = !strcmp(rounding, "ceil")              ? part > 0
		: !strcmp(rounding, "round_prefer_ceil") ? part >= 0.5
							 : !strcmp(rounding, "round_prefer_floor") && part > 0.5;

	return (int64_t)down + up;
}

static int64_t clamp(int64_t i, int64_t n) { return i < 0 ? 0 : i >= n ? n - 1 : i; }

/* the weights of one result; a wider kernel where many inputs become few results and antialias asks for it */
static void weigh(const resize *r, uint32_t d, along *a, int64_t i)
{
	double place = place_of(r, d, (double)a->in, i), sum = 0;
	double stretch = r->antialias && r->scale[d] < 1 ? r->scale[d] : 1;
	int64_t *index = a->index + i * a->taps, first;
	double *weight = a->weight + i * a->taps;

	/* far outside of the input nothing changes any more */
	place = place < -(double)MOST ? -(double)MOST : place > 2.0 * (double)MOST ? 2.0 * (double)MOST : place;
	a->outside[i] = !strcmp(r->transform, "tf_crop_and_resize") && !(place >= 0 && place <= (double)a->in - 1);
	a->any_outside |= a->outside[i];
	if (r->method == NEAREST) {
		index[0] = clamp(nearest(r->nearest, place), a->in);
		weight[0] = 1;
		return;
	}
	first = (int64_t)floor(place) + 1 - (int64_t)a->taps / 2;
	for (uint32_t t = 0; t < a->taps; t++) {
		int64_t at = first + t;

		weight[t] = r->exclude_outside && (at < 0 || at >= a->in)
			? 0
			: kernel_at(r, ((double)at - place) * stretch);
		index[t] = clamp(at, a->in);
		sum += weight[t];
	}
	for (uint32_t t = 0; t < a->taps && sum != 0 && (r->antialias || r->exclude_outside); t++)
		weight[t] /= sum;
}

static bool find_weights(vq_onnx *o, const resize *r, uint32_t d, int64_t in, along *a)
{
	double reach = r->method == NEAREST ? 0.5 : r->method == LINEAR ? 1 : 2;
	size_t n;

	*a = (along){ .taps = 1, .in = in, .out = r->size[d] };
	if (r->method != NEAREST && r->antialias && r->scale[d] < 1)
		reach = ceil(reach / r->scale[d]);
	if (reach > (double)MOST)
		return vq_onnx_refuse(o, "the scale of dimension %u is %g", (unsigned)d, r->scale[d]);
	a->taps = (uint32_t)(2 * reach);
	if (a->taps > MATRIX_MOST / a->out || in > MATRIX_MOST / a->out)
		return vq_onnx_refuse(
			o, "dimension %u of %" PRId64 " is too large to become %" PRId64, (unsigned)d, in, a->out);
	n = (size_t)a->out * a->taps;
	a->index = VQ_ARRAY(o->arena, n, int64_t);
	a->weight = VQ_ARRAY(o->arena, n, double);
	a->outside = VQ_ARRAY(o->arena, (size_t)a->out, bool);
	for (int64_t i = 0; i < a->out; i++)
		weigh(r, d, a, i);
	return true;
}

/* ---- as operators ---- */

/* v [out] to broadcast along dimension d of a tensor of this rank */
static vq_value beside(vq_onnx *o, vq_value v, uint32_t d, uint32_t rank)
{
	int64_t dim[VQ_MAX_RANK], n = vq_type_of(o->g, v)->dim[0];

	for (uint32_t i = d; i < rank; i++)
		dim[i - d] = i == d ? n : 1;
	return vq_onnx_reshape(o, v, rank - d, dim);
}

/* every element f times: a matter of strides */
static vq_value repeat(vq_onnx *o, vq_value x, uint32_t d, int64_t f)
{
	vq_type t = *vq_type_of(o->g, x);
	int64_t before = 1, after = 1;

	for (uint32_t i = 0; i < t.rank; i++)
		*(i <= d ? &before : &after) *= t.dim[i];
	x = vq_onnx_reshape(o, x, 3, (int64_t[]){ before, 1, after });
	x = vq_onnx_expand(o, x, 3, (int64_t[]){ before, f, after });
	t.dim[d] *= f;
	return vq_onnx_reshape(o, x, t.rank, t.dim);
}

static vq_value pick(vq_onnx *o, vq_value x, uint32_t d, const along *a, uint32_t tap)
{
	int64_t *index = VQ_ARRAY(o->arena, (size_t)a->out, int64_t), f = a->out % a->in ? 0 : a->out / a->in;

	for (int64_t i = 0; i < a->out; i++) {
		index[i] = a->index[i * a->taps + tap];
		if (f && index[i] != i / f)
			f = 0;
	}
	return f ? repeat(o, x, d, f) : vq_onnx_gather(o, x, d, index, (uint32_t)a->out);
}

/* the sum of a few gathers, each with its weights */
static vq_value by_picking(vq_onnx *o, vq_value x, uint32_t d, const along *a, uint32_t rank)
{
	vq_type t = vq_type_make(VQ_F32, 1, &a->out);
	vq_value sum = VQ_NO_VALUE, part;

	if (a->taps == 1)
		return pick(o, x, d, a, 0);
	for (uint32_t k = 0; k < a->taps; k++) {
		float *w = VQ_ARRAY(o->arena, (size_t)a->out, float);

		for (int64_t i = 0; i < a->out; i++)
			w[i] = (float)a->weight[i * a->taps + k];
		part = beside(o, vq_add_const(o->g, &t, w, NULL), d, rank);
		part = vq_onnx_2(o, VQ_OP_MUL, pick(o, x, d, a, k), part);
		sum = k ? vq_onnx_2(o, VQ_OP_ADD, sum, part) : part;
	}
	return sum;
}

/* the product with the matrix of weights along dimension d */
static vq_value by_matrix(vq_onnx *o, vq_value x, uint32_t d, const along *a, uint32_t rank)
{
	vq_type t = vq_type_make(VQ_F32, 2, (int64_t[]){ a->out, a->in });
	double *row = VQ_ARRAY(o->arena, (size_t)a->in, double);
	float *w = VQ_ARRAY(o->arena, (size_t)vq_type_count(&t), float);
	int64_t perm[VQ_MAX_RANK];

	for (int64_t i = 0; i < a->out; i++) {
		memset(row, 0, (size_t)a->in * sizeof *row);
		for (uint32_t k = 0; k < a->taps; k++)
			row[a->index[i * a->taps + k]] += a->weight[i * a->taps + k];
		for (int64_t k = 0; k < a->in; k++)
			w[i * a->in + k] = (float)row[k];
	}
	for (uint32_t i = 0; i < rank; i++)
		perm[i] = i;
	perm[d] = rank - 1;
	perm[rank - 1] = d;
	x = vq_onnx_transpose(o, x, perm);
	x = vq_onnx_build(o, VQ_OP_LINEAR, (vq_value[]){ x, vq_add_const(o->g, &t, w, NULL) }, 2, NULL);
	return vq_onnx_transpose(o, x, perm);
}

static vq_value replace_outside(vq_onnx *o, vq_value x, uint32_t d, const along *a, float value)
{
	vq_type t = vq_type_make(VQ_BOOL, 1, &a->out);
	uint8_t *mask = VQ_ARRAY(o->arena, (size_t)a->out, uint8_t);
	vq_value fill;

	if (!a->any_outside || !x.id)
		return x;
	for (int64_t i = 0; i < a->out; i++)
		mask[i] = a->outside[i];
	fill = vq_onnx_number(o, x, (double)value);
	return vq_onnx_3(
		o, VQ_OP_WHERE, beside(o, vq_add_const(o->g, &t, mask, NULL), d, vq_type_of(o->g, x)->rank), fill, x);
}

bool vq_import_resize(vq_onnx *o)
{
	vq_value x = vq_onnx_in(o, 0);
	vq_type t;
	resize r = { 0 };

	if (!x.id)
		return vq_onnx_refuse(o, "input 0 has no elements");
	t = *vq_type_of(o->g, x);
	if (!read_attributes(o, &r) || !read_sizes(o, &t, &r))
		return false;
	if (t.elem != VQ_F32 && r.method != NEAREST)
		return vq_onnx_refuse(o, "input 0 is %s, expected floats: only the mode nearest takes other elements",
			vq_type_text(o->arena, &t));
	for (uint32_t d = 0; d < t.rank; d++) {
		along a;

		if (r.size[d] == t.dim[d] && fabs(r.scale[d] - 1) < 1e-9 && r.roi[0][d] == 0 && r.roi[1][d] == 1)
			continue;
		if (!find_weights(o, &r, d, t.dim[d], &a))
			return false;
		x = a.taps > 1 && x.id && (vq_is_const(o->g, x) || a.taps > TAPS_AT_RUN_TIME)
			? by_matrix(o, x, d, &a, t.rank)
			: by_picking(o, x, d, &a, t.rank);
		x = replace_outside(o, x, d, &a, r.outside);
	}
	return vq_onnx_out(o, 0, x);
}
