/* SPDX-License-Identifier: MIT */
/*
 * Importers of quantization. Codes of the IR are signed: uint8 codes and zero points are shifted by -128, which changes
 * no value. QuantizeLinear and DequantizeLinear are kept as nodes even between constants, because what they carry is the
 * point of the model; only weights are rounded to codes here.
 */
#include "frontend/onnx_quant.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define T(name) ONNX__TENSOR_PROTO__DATA_TYPE__##name

/* Scales and zero points of a node. */
typedef struct params {
	vq_quant q;    /* axis -1 per tensor; zero points shifted like the codes */
	int32_t *zero; /* q.zero */
	bool zero_given;
	int32_t shift; /* what was added to zero points: -128 for uint8, else 0 */
} params;

/* the type in the file, which tells int16 from int32 */
static int32_t file_type(vq_onnx *o, uint32_t i)
{
	const vq_onnx_name *n = vq_onnx_input_name(o, i);

	if (n->data_type)
		return n->data_type;
	switch (vq_onnx_in_type(o, i)->elem) {
	case VQ_U8: return T(UINT8);
	case VQ_S8: return T(INT8);
	case VQ_I32: return T(INT32);
	default: return 0;
	}
}

/*
 * Scales in the IR's range. Larger ones, of masks whose -3.4e38 went through a calibration, are cut to its end: codes of 0 and
 * of what is at least 2^108 stay the same, and what they mean is as good as infinite.
 */
static bool fit_scale(vq_onnx *o, const float **scale, uint32_t n)
{
	const float most = 0x1p100f;
	float *cut = NULL;

	for (uint32_t i = 0; i < n; i++) {
		if (!((*scale)[i] >= 0x1p-100f && isfinite((*scale)[i]))) {
			vq_onnx_refuse(o, "scale %u is %g, expected a positive number of at least 2^-100", (unsigned)i,
				(double)(*scale)[i]);
			vq_hint(o->diag,
				"a channel of zeros may have got this scale: calibrate with a lower bound for scales");
			return false;
		}
		if ((*scale)[i] <= most)
			continue;
		if (!cut)
			cut = memcpy(VQ_ARRAY(o->arena, n, float), *scale, n * sizeof *cut);
		cut[i] = most;
		if (!o->said_scale)
			vq_warning(o->diag, o->where,
				"scale %u is %g, as of a mask with -3.4e38: it is taken for 2^100", (unsigned)i,
				(double)(*scale)[i]);
		o->said_scale = true;
	}
	*scale = cut ? cut : *scale;
	return true;
}

static bool need_constant(vq_onnx *o, uint32_t i, const char *what)
{
	if (vq_onnx_in(o, i).id && vq_is_const(o->g, vq_onnx_in(o, i)))
		return true;
	vq_onnx_refuse(o, "input %u (%s) is not a constant", (unsigned)i, what);
	vq_hint(o->diag, "quantization at run time is not imported: give vitqc the float model, it quantizes itself");
	return false;
}

static bool read_zero(vq_onnx *o, uint32_t i, params *p)
{
	vq_type t = *vq_onnx_in_type(o, i);
	const void *data = o->g->value[vq_onnx_in(o, i).id].data;
	int32_t type = file_type(o, i), *zero;

	if (type != T(UINT8) && type != T(INT8) && type != T(INT32)) {
		vq_onnx_refuse(o, "the zero point is %s, expected uint8 or int8",
			type ? vq_onnx_type_name(o->arena, type) : vq_elem_name(t.elem));
		return vq_hint(o->diag,
			"codes have 8 bits here: quantize with uint8 or int8 activations and weights, or give "
			"vitqc the float model");
	}
	if (vq_type_count(&t) != p->q.n)
		return vq_onnx_refuse(
			o, "there are %u scales and %" PRId64 " zero points", (unsigned)p->q.n, vq_type_count(&t));
	p->shift = type == T(UINT8) ? -128 : 0;
	zero = VQ_ARRAY(o->arena, p->q.n, int32_t);
	for (uint32_t k = 0; k < p->q.n; k++)
		zero[k] = t.elem == VQ_U8 ? ((const uint8_t *)data)[k] - 128
			: t.elem == VQ_S8 ? ((const int8_t *)data)[k]
					  : ((const int32_t *)data)[k];
	p->zero = zero;
	p->q.zero = zero;
	p->zero_given = true;
	return true;
}

/* Parameters from inputs scale_in and zero_in for a tensor of type x quantized along axis. */
static bool read_params(vq_onnx *o, uint32_t scale_in, uint32_t zero_in, const vq_type *x, int64_t axis, params *p)
{
	const vq_type *t;
	uint32_t a;

	*p = (params){ .q = { .bits = 8, .lo = -128, .hi = 127, .axis = -1, .n = 1 } };
	if (!need_constant(o, scale_in, "scale") ||
		(vq_onnx_has(o, zero_in) && !need_constant(o, zero_in, "zero point")))
		return false;
	t = vq_onnx_in_type(o, scale_in);
	p->q.scale = vq_onnx_data_of(o, vq_onnx_in(o, scale_in), VQ_F32);
	if (!p->q.scale || t->rank > 1) {
		vq_onnx_refuse(o, "scale is %s, expected a number or a vector of floats", vq_type_text(o->arena, t));
		if (t->rank > 1)
			vq_hint(o->diag,
				"scales per block (opset 21) are not supported; quantize per tensor or per channel");
		return false;
	}
	if (vq_type_count(t) > 1) {
		if (!vq_onnx_axis(o, axis, x->rank, &a))
			return false;
		if (t->dim[0] != x->dim[a])
			return vq_onnx_refuse(o, "there are %" PRId64 " scales, but dimension %u is %" PRId64,
				t->dim[0], (unsigned)a, x->dim[a]);
		p->q.axis = (int32_t)a;
		p->q.n = (uint32_t)t->dim[0];
	}
	if (!fit_scale(o, &p->q.scale, p->q.n))
		return false;
	if (vq_onnx_has(o, zero_in))
		return read_zero(o, zero_in, p);
	p->zero = VQ_ARRAY(o->arena, p->q.n, int32_t);
	p->q.zero = p->zero;
	return true;
}

/* of element i in a tensor of type t */
static uint32_t channel_of(const vq_quant *q, const vq_type *t, int64_t i)
{
	int64_t after = 1;

	if (q->axis < 0)
		return 0;
	for (uint32_t d = (uint32_t)q->axis + 1; d < t->rank; d++)
		after *= t->dim[d];
	return (uint32_t)(i / after % t->dim[q->axis]);
}

/* ---- to codes ---- */

/* a weight: saturate(round_half_even(x / scale) + zero), as ONNX defines it */
static vq_value round_constant(vq_onnx *o, vq_value x, const vq_quant *q, uint32_t quant)
{
	vq_type t = *vq_type_of(o->g, x);
	const float *data = o->g->value[x.id].data;
	int64_t n = vq_type_count(&t);
	int8_t *code = VQ_ARRAY(o->arena, (size_t)n, int8_t);

	for (int64_t i = 0; i < n; i++) {
		uint32_t c = channel_of(q, &t, i);
		float v = rintf(data[i] / q->scale[c]) + (float)q->zero[c];

		v = v == v ? v : (float)q->zero[c];
		v = v > (float)q->lo ? v : (float)q->lo;
		v = v < (float)q->hi ? v : (float)q->hi;
		code[i] = (int8_t)v;
	}
	t.elem = VQ_S8;
	t.quant = quant;
	return vq_add_const(o->g, &t, code, o->g->value[x.id].name);
}

/* Can n entries say what q's do, each for as many neighbours? */
static bool repeats(const vq_quant *q, uint32_t n)
{
	uint32_t each = q->n / n;

	for (uint32_t i = 0; i < q->n; i++)
		if (q->scale[i] != q->scale[i / each * each] || q->zero[i] != q->zero[i / each * each])
			return false;
	return true;
}

/* Equal neighbours share an entry, as heads do in a vector of channels: the form that scales per head have in the IR. */
static void share_entries(vq_onnx *o, params *p)
{
	for (uint32_t n = 1; n < p->q.n; n++) {
		uint32_t each = p->q.n / n;
		float *scale;
		int32_t *zero;

		if (p->q.n % n || !repeats(&p->q, n))
			continue;
		scale = VQ_ARRAY(o->arena, n, float);
		zero = VQ_ARRAY(o->arena, n, int32_t);
		for (uint32_t i = 0; i < n; i++) {
			scale[i] = p->q.scale[i * each];
			zero[i] = p->q.zero[i * each];
		}
		p->q.scale = scale;
		p->q.zero = p->zero = zero;
		p->q.n = n;
		p->q.axis = n == 1 ? -1 : p->q.axis;
	}
}

vq_value vq_onnx_quantized(vq_onnx *o, vq_value x, uint32_t scale_in, uint32_t zero_in, int64_t axis, bool is_signed)
{
	vq_type t;
	params p;
	uint32_t quant;

	if (!x.id)
		return x;
	t = *vq_type_of(o->g, x);
	if (t.elem != VQ_F32) {
		vq_onnx_refuse(o, "input is %s, expected floats", vq_type_text(o->arena, &t));
		return VQ_NO_VALUE;
	}
	if (!read_params(o, scale_in, zero_in, &t, axis, &p))
		return VQ_NO_VALUE;
	if (p.zero_given && file_type(o, zero_in) == T(INT32)) {
		vq_onnx_refuse(o, "the zero point is int32, expected uint8 or int8");
		return VQ_NO_VALUE;
	}
	/* without a zero point it is uint8 0, or int8 0 if the node says so */
	for (uint32_t i = 0; i < p.q.n && !p.zero_given && !is_signed; i++)
		p.zero[i] = -128;
	if (!vq_is_const(o->g, x))
		share_entries(o, &p);
	quant = vq_quant_add(o->g, &p.q);
	if (vq_is_const(o->g, x))
		return round_constant(o, x, &p.q, quant);
	return vq_build_quantize(o->g, o->where, x, quant);
}

static bool read_common(vq_onnx *o, int64_t *axis)
{
	int64_t block;

	vq_onnx_attr_ignore(o, "saturate"); /* of float8 only */
	vq_onnx_attr_ignore(o, "precision");
	if (!vq_onnx_attr_int(o, "block_size", 0, &block) || !vq_onnx_attr_int(o, "axis", 1, axis))
		return false;
	if (!block)
		return true;
	vq_onnx_refuse(o, "attribute 'block_size' is %" PRId64 "; scales per block are not supported", block);
	vq_hint(o->diag, "quantize per tensor or per channel");
	return false;
}

bool vq_import_quantize(vq_onnx *o)
{
	int64_t axis, type;

	if (!read_common(o, &axis) || !vq_onnx_attr_int(o, "output_dtype", 0, &type))
		return false;
	if (type && type != T(UINT8) && type != T(INT8))
		return vq_onnx_refuse(o, "output is %s, expected uint8 or int8",
			vq_onnx_type_name(o->arena, type < 0 || type > INT32_MAX ? -1 : (int32_t)type));
	return vq_onnx_out(o, 0, vq_onnx_quantized(o, vq_onnx_in(o, 0), 1, 2, axis, type == T(INT8)));
}

/* ---- from codes ---- */

static bool same_params(const vq_quant *a, const params *p)
{
	const vq_quant *b = &p->q;

	if (a->n != b->n || (a->n > 1 && a->axis != b->axis) || memcmp(a->scale, b->scale, a->n * sizeof *a->scale))
		return false;
	/* no zero point means 0 of a type that is no longer known: 0 or, shifted, -128 */
	for (uint32_t i = 0; i < a->n; i++)
		if (p->zero_given ? a->zero[i] != b->zero[i] : a->zero[i] != 0 && a->zero[i] != -128)
			return false;
	return true;
}

/* An int32 bias: one rounding from the exact product. */
static vq_value bias_constant(vq_onnx *o, vq_value x, const params *p, double factor)
{
	vq_type t = *vq_type_of(o->g, x);
	const int32_t *data = o->g->value[x.id].data;
	int64_t n = vq_type_count(&t);
	float *v = VQ_ARRAY(o->arena, (size_t)n, float);

	for (int64_t i = 0; i < n; i++) {
		uint32_t c = channel_of(&p->q, &t, i);

		v[i] = (float)((double)((int64_t)data[i] - p->q.zero[c]) * p->q.scale[c] * factor);
	}
	t.elem = VQ_F32;
	return vq_add_const(o->g, &t, v, o->g->value[x.id].name);
}

/* int8 or uint8 weights become signed codes, without an entry yet */
static vq_value as_codes(vq_onnx *o, vq_value x, params *p)
{
	vq_value_info info = o->g->value[x.id];
	int64_t n = vq_type_count(&info.type);
	const void *data = info.data;

	if (info.type.elem == VQ_U8) {
		int8_t *code = VQ_ARRAY(o->arena, (size_t)n, int8_t);

		for (int64_t i = 0; i < n; i++)
			code[i] = (int8_t)(((const uint8_t *)data)[i] - 128);
		data = code;
		for (uint32_t i = 0; i < p->q.n && !p->zero_given; i++)
			p->zero[i] = -128;
	}
	info.type.elem = VQ_S8;
	return vq_add_const(o->g, &info.type, data, info.name);
}

static vq_value code_constant(vq_onnx *o, vq_value x, params *p)
{
	vq_value codes = as_codes(o, x, p);
	vq_value_info info = o->g->value[codes.id];

	info.type.quant = vq_quant_add(o->g, &p->q);
	return vq_add_const(o->g, &info.type, info.data, info.name);
}

/* codes that are no result of a quantize (inputs of the model): (x - zero) * scale in f32, exact but for the product */
static vq_value by_arithmetic(vq_onnx *o, vq_value x, const params *p)
{
	vq_type t = *vq_type_of(o->g, x), tp = vq_type_make(VQ_F32, p->q.axis < 0 ? 0 : 1, &(int64_t){ p->q.n });
	float *zero = VQ_ARRAY(o->arena, p->q.n, float);
	int64_t dim[VQ_MAX_RANK];
	vq_value z, s;

	for (uint32_t i = 0; i < p->q.n; i++)
		zero[i] = (float)(p->q.zero[i] - p->shift);
	z = vq_add_const(o->g, &tp, zero, NULL);
	s = vq_add_const_copy(o->g, &tp, p->q.scale, NULL);
	if (p->q.axis >= 0) {
		for (uint32_t i = 0; i < t.rank; i++)
			dim[i] = i == (uint32_t)p->q.axis ? t.dim[i] : 1;
		z = vq_onnx_reshape(o, z, t.rank, dim);
		s = vq_onnx_reshape(o, s, t.rank, dim);
	}
	x = vq_onnx_2(o, VQ_OP_SUB, vq_onnx_cast(o, x, VQ_F32), z);
	return vq_onnx_2(o, VQ_OP_MUL, x, s);
}

vq_value vq_onnx_dequantized(vq_onnx *o, uint32_t in, uint32_t scale_in, uint32_t zero_in, int64_t axis)
{
	vq_value x = vq_onnx_in(o, in);
	vq_type t;
	int32_t type;
	params p;

	if (!x.id)
		return x;
	t = *vq_type_of(o->g, x);
	if (!read_params(o, scale_in, zero_in, &t, axis, &p))
		return VQ_NO_VALUE;
	if (t.quant) {
		share_entries(o, &p);
		if (same_params(&o->g->quant[t.quant], &p))
			return vq_build_dequantize(o->g, o->where, x);
		vq_onnx_refuse(o, "its scales or zero points are not those that the tensor was quantized with");
		return VQ_NO_VALUE;
	}
	type = file_type(o, in);
	if (type != T(UINT8) && type != T(INT8) && type != T(INT32)) {
		vq_onnx_refuse(o, "input %u is %s, expected uint8, int8 or int32", (unsigned)in,
			type ? vq_onnx_type_name(o->arena, type) : vq_elem_name(t.elem));
		vq_hint(o->diag, "quantize to 8 bits, or give vitqc the float model: it quantizes itself");
		return VQ_NO_VALUE;
	}
	if (p.zero_given && file_type(o, zero_in) != type) {
		vq_onnx_refuse(o, "input is %s, but its zero point is %s", vq_onnx_type_name(o->arena, type),
			vq_onnx_type_name(o->arena, file_type(o, zero_in)));
		return VQ_NO_VALUE;
	}
	if (!vq_is_const(o->g, x))
		return by_arithmetic(o, x, &p);
	return type == T(INT32) ? bias_constant(o, x, &p, 1)
				: vq_build_dequantize(o->g, o->where, code_constant(o, x, &p));
}

bool vq_import_dequantize(vq_onnx *o)
{
	int64_t axis;

	vq_onnx_attr_ignore(o, "output_dtype"); /* float types: all are float32 here */
	return read_common(o, &axis) && vq_onnx_out(o, 0, vq_onnx_dequantized(o, 0, 1, 2, axis));
}

/* ---- for operators of integers ---- */

vq_value vq_onnx_bias(vq_onnx *o, uint32_t in, uint32_t scale_in, double factor)
{
	vq_type t = *vq_onnx_in_type(o, in);
	params p;

	if (!need_constant(o, in, "bias") || !read_params(o, scale_in, VQ_ONNX_NO_INPUT, &t, -1, &p))
		return VQ_NO_VALUE;
	if (t.elem == VQ_I32)
		return bias_constant(o, vq_onnx_in(o, in), &p, factor);
	vq_onnx_refuse(o, "bias is %s, expected int32", vq_type_text(o->arena, &t));
	return VQ_NO_VALUE;
}

/* 8-bit codes as they are */
static params unit_params(vq_onnx *o)
{
	static const float one = 1.0f;

	return (params){ .q = { .bits = 8, .lo = -128, .hi = 127, .axis = -1, .n = 1, .scale = &one },
		.zero = VQ_NEW(o->arena, int32_t) };
}

bool vq_onnx_read_weights(vq_onnx *o, uint32_t in, uint32_t zero_in, int64_t axis, vq_onnx_weights *w)
{
	vq_value x = vq_onnx_in(o, in);
	vq_type t = *vq_type_of(o->g, x);
	params p = unit_params(o);
	bool has_zero = vq_onnx_has(o, zero_in);

	if (t.elem != VQ_U8 && t.elem != VQ_S8)
		return vq_onnx_refuse(o, "weights are %s, expected uint8 or int8", vq_type_text(o->arena, &t));
	if (!vq_onnx_axis(o, axis, t.rank, &w->axis) || (has_zero && !need_constant(o, zero_in, "zero point")))
		return false;
	if (has_zero) {
		p.q.n = (uint32_t)vq_type_count(vq_onnx_in_type(o, zero_in));
		if (p.q.n != 1 && p.q.n != t.dim[w->axis])
			return vq_onnx_refuse(o, "there are %u zero points, but dimension %u is %" PRId64,
				(unsigned)p.q.n, (unsigned)w->axis, t.dim[w->axis]);
		if (vq_onnx_in_type(o, zero_in)->elem != t.elem)
			return vq_onnx_refuse(o, "weights are %s, but their zero point is %s", vq_elem_name(t.elem),
				vq_elem_name(vq_onnx_in_type(o, zero_in)->elem));
		if (!read_zero(o, zero_in, &p))
			return false;
	}
	w->codes = as_codes(o, x, &p);
	w->zero = p.zero;
	w->n = p.q.n;
	return true;
}

vq_value vq_onnx_weights_scaled(vq_onnx *o, const vq_onnx_weights *w, const float *scale, uint32_t n)
{
	vq_value_info info = o->g->value[w->codes.id];
	vq_quant q = { .bits = 8, .lo = -128, .hi = 127, .axis = -1, .n = n > w->n ? n : w->n };
	float *scales = VQ_ARRAY(o->arena, q.n, float);
	int32_t *zero = VQ_ARRAY(o->arena, q.n, int32_t);

	if (!fit_scale(o, &scale, n))
		return VQ_NO_VALUE;
	for (uint32_t i = 0; i < q.n; i++) {
		scales[i] = scale[n == 1 ? 0 : i];
		zero[i] = w->zero[w->n == 1 ? 0 : i];
	}
	if (q.n > 1)
		q.axis = (int32_t)w->axis;
	q.scale = scales;
	q.zero = zero;
	info.type.quant = vq_quant_add(o->g, &q);
	return vq_build_dequantize(o->g, o->where, vq_add_const(o->g, &info.type, info.data, info.name));
}

vq_value vq_onnx_codes_scaled(vq_onnx *o, vq_value codes, uint32_t axis, const float *scale, uint32_t n)
{
	params p = unit_params(o);
	vq_onnx_weights w = { .codes = as_codes(o, codes, &p), .n = 1, .axis = axis };

	w.zero = p.zero;
	return vq_onnx_weights_scaled(o, &w, scale, n);
}
