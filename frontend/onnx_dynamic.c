/* SPDX-License-Identifier: MIT */
/*
 * Importers of quantization at run time: DynamicQuantizeLinear, products of integers, and ONNX Runtime's fusions of them.
 *
 * Exporters write  codes, scale, zero = DynamicQuantizeLinear(x);  y = Cast(MatMulInteger(codes, W, zero, zeroW)) * (scale * scaleW).
 * That is the integer product of quantize_dynamic, with one scale for all rows, and linear_dynamic, and becomes it. To see the
 * pattern, what the nodes computed is noted by value (vq_onnx_origin). What is used in any other way computes what ONNX says,
 * in floats that are exact; without a use it disappears. A product that has no such form (of a convolution; weights that are
 * no matrix) becomes that of x in floats by dequantize(W), and -quant decides how it is computed.
 */
#include "frontend/onnx_conv.h"
#include "frontend/onnx_matmul.h"
#include "frontend/onnx_quant.h"
#include "ir/contract.h"

#include <inttypes.h>
#include <string.h>

/* Products of two integers of 9 bits, summed in f32: so many are exact. */
enum { EXACT_TERMS = 256 };

typedef enum origin_kind {
	CODES, /* of a DynamicQuantizeLinear */
	ROWS,  /* x, whose quantize_dynamic there is */
	SCALE,
	ZERO,
	FACTOR, /* SCALE times a constant */
	SUM,    /* CODES - ZERO times integer weights, as i32 or f32 */
	WHOLE,  /* x, a constant of 8-bit integers, as f32 */
} origin_kind;

struct vq_onnx_origin {
	vq_value value; /* which this tells the origin of */
	origin_kind kind;
	vq_value x;      /* what was quantized */
	uint32_t site;   /* id of the codes: tells two quantizations of one x apart */
	vq_value factor; /* FACTOR: the constant */
	vq_node node;    /* ROWS: the quantize_dynamic */
	vq_op op;        /* SUM: matmul or conv, its attributes and weights */
	vq_attr attr;
	vq_onnx_weights weights;
};

static vq_onnx_origin *add_origin(vq_onnx *o, vq_value v, const vq_onnx_origin *like, origin_kind kind)
{
	vq_onnx_origin *n;

	o->origin = vq_arena_grow(o->arena, o->origin, &o->cap_origins, o->n_origins + 1, sizeof *o->origin);
	n = &o->origin[o->n_origins++];
	*n = *like;
	n->value = v;
	n->kind = kind;
	return n;
}

static const vq_onnx_origin *origin_of(const vq_onnx *o, vq_value v, origin_kind kind)
{
	for (uint32_t i = o->n_origins; v.id && i-- > 0;)
		if (vq_same(o->origin[i].value, v) && o->origin[i].kind == kind)
			return &o->origin[i];
	return NULL;
}

void vq_onnx_follow_cast(vq_onnx *o, vq_value from, vq_value to)
{
	const vq_onnx_origin *sum = origin_of(o, from, SUM);
	vq_elem elem = from.id ? vq_type_of(o->g, from)->elem : VQ_F32;
	vq_onnx_origin like;

	if (!to.id || vq_type_of(o->g, to)->elem != VQ_F32)
		return;
	memset(&like, 0, sizeof like);
	like.x = from;
	if (sum)
		like = *sum;
	if (sum || ((elem == VQ_S8 || elem == VQ_U8) && vq_is_const(o->g, from)))
		add_origin(o, to, &like, sum ? SUM : WHOLE);
}

/* ---- DynamicQuantizeLinear ---- */

static vq_value to_u8(vq_onnx *o, vq_value x)
{
	vq_value most = vq_onnx_scalar(o, 255);

	x = vq_onnx_2(o, VQ_OP_MIN, vq_onnx_2(o, VQ_OP_MAX, x, vq_onnx_scalar(o, 0)), most);
	return vq_onnx_cast(o, vq_onnx_cast(o, x, VQ_I32), VQ_U8);
}

bool vq_import_dynamic_quantize(vq_onnx *o)
{
	vq_value x = vq_onnx_in(o, 0), zero = vq_onnx_scalar(o, 0), lo, hi, range, scale, one, z, codes;
	vq_onnx_origin like;
	uint32_t axes;

	if (vq_type_of(o->g, x)->elem != VQ_F32)
		return vq_onnx_refuse(o, "input is %s, expected floats", vq_type_text(o->arena, vq_type_of(o->g, x)));
	axes = (1u << vq_type_of(o->g, x)->rank) - 1;
	lo = vq_onnx_2(o, VQ_OP_MIN, vq_onnx_reduce(o, VQ_OP_REDUCE_MIN, x, axes, false), zero);
	hi = vq_onnx_2(o, VQ_OP_MAX, vq_onnx_reduce(o, VQ_OP_REDUCE_MAX, x, axes, false), zero);
	range = vq_onnx_2(o, VQ_OP_SUB, hi, lo);
	/* ONNX leaves a tensor of zeros open; ONNX Runtime gives it the scale 1 */
	scale = vq_onnx_2(o, VQ_OP_DIV, range, vq_onnx_scalar(o, 255));
	one = vq_onnx_scalar(o, 1);
	scale = vq_onnx_3(o, VQ_OP_WHERE, vq_onnx_2(o, VQ_OP_EQUAL, range, zero), one, scale);
	z = vq_onnx_1(o, VQ_OP_ROUND, vq_onnx_2(o, VQ_OP_DIV, vq_onnx_1(o, VQ_OP_NEG, lo), scale));
	codes = vq_onnx_1(o, VQ_OP_ROUND, vq_onnx_2(o, VQ_OP_DIV, x, scale));
	codes = to_u8(o, vq_onnx_2(o, VQ_OP_ADD, codes, z));
	z = to_u8(o, z);
	if (!vq_onnx_out(o, 0, codes) || !vq_onnx_out(o, 1, scale) || !vq_onnx_out(o, 2, z))
		return false;
	memset(&like, 0, sizeof like);
	like.x = x;
	like.site = codes.id;
	add_origin(o, codes, &like, CODES);
	add_origin(o, scale, &like, SCALE);
	add_origin(o, z, &like, ZERO);
	return true;
}

/* ---- products of integers ---- */

/* input i minus the zero points of zero_in as f32, exact; per_row: several zero points are one per row, else per column */
static vq_value minus_zero(vq_onnx *o, uint32_t i, uint32_t zero_in, int64_t axis)
{
	vq_value x = vq_onnx_in(o, i), z = vq_onnx_in(o, zero_in);
	vq_type t = *vq_onnx_in_type(o, i);
	uint32_t a, rank = t.rank;
	int64_t dim[VQ_MAX_RANK];

	if (t.elem != VQ_U8 && t.elem != VQ_S8) {
		vq_onnx_refuse(o, "input %u is %s, expected uint8 or int8", (unsigned)i, vq_type_text(o->arena, &t));
		return VQ_NO_VALUE;
	}
	x = vq_onnx_cast(o, x, VQ_F32);
	if (!z.id)
		return x;
	t = *vq_onnx_in_type(o, zero_in);
	z = vq_onnx_cast(o, z, VQ_F32);
	if (vq_type_count(&t) > 1 && t.rank == 1) {
		if (!vq_onnx_axis(o, axis, rank, &a))
			return VQ_NO_VALUE;
		for (uint32_t d = 0; d < rank; d++)
			dim[d] = d == a ? t.dim[0] : 1;
		z = vq_onnx_reshape(o, z, rank, dim);
	} else if (vq_type_count(&t) == 1) {
		z = vq_onnx_reshape(o, z, 0, NULL);
	}
	return vq_onnx_2(o, VQ_OP_SUB, x, z);
}

/* a times b, whose elements are small integers, as i32: in as many parts as keep every one exact */
static vq_value exact_matmul(vq_onnx *o, vq_value a, vq_value b)
{
	vq_value sum = VQ_NO_VALUE;
	uint32_t ra, rb;
	int64_t k;

	if (!a.id || !b.id)
		return VQ_NO_VALUE;
	ra = vq_type_of(o->g, a)->rank;
	rb = vq_type_of(o->g, b)->rank;
	k = ra ? vq_type_of(o->g, a)->dim[ra - 1] : 0;
	for (int64_t at = 0; at < k; at += EXACT_TERMS) {
		int64_t n = k - at < EXACT_TERMS ? k - at : EXACT_TERMS;
		vq_value pa = vq_onnx_slice(o, a, ra - 1, at, 1, n),
			 pb = vq_onnx_slice(o, b, rb < 2 ? 0 : rb - 2, at, 1, n);
		vq_value part = vq_onnx_cast(o, vq_onnx_matmul(o, pa, pb), VQ_I32);

		sum = sum.id ? vq_onnx_2(o, VQ_OP_ADD, sum, part) : part;
		if (!sum.id)
			return sum;
	}
	return sum;
}

/* the same of a convolution, in parts of channels; *attr is that of the convolution */
static vq_value exact_conv(vq_onnx *o, vq_value x, vq_value w, vq_attr *attr)
{
	vq_value sum = VQ_NO_VALUE;
	const vq_type *t;
	int64_t window = 1, channels, each;

	if (!x.id || !w.id)
		return VQ_NO_VALUE;
	t = vq_type_of(o->g, w);
	channels = t->rank > 2 ? t->dim[1] : 1;
	for (uint32_t i = 2; i < t->rank; i++)
		window *= t->dim[i];
	each = window < EXACT_TERMS ? EXACT_TERMS / window : 1;
	if (window > EXACT_TERMS || (each < channels && vq_type_of(o->g, x)->dim[1] != channels)) {
		vq_onnx_refuse(o, "a result is the sum of %" PRId64 " products in a group, expected at most %d",
			window * channels, EXACT_TERMS);
		return VQ_NO_VALUE;
	}
	if (each >= channels) {
		sum = vq_onnx_conv(o, x, w, VQ_NO_VALUE);
		*attr = sum.id ? o->g->node[vq_def_of(o->g, sum).id].attr : *attr;
		return vq_onnx_cast(o, sum, VQ_I32);
	}
	for (int64_t at = 0; at < channels; at += each) {
		int64_t n = channels - at < each ? channels - at : each;
		vq_value of_w = vq_onnx_slice(o, w, 1, at, 1, n);
		vq_value part = vq_onnx_conv(o, vq_onnx_slice(o, x, 1, at, 1, n), of_w, VQ_NO_VALUE);

		*attr = part.id ? o->g->node[vq_def_of(o->g, part).id].attr : *attr;
		part = vq_onnx_cast(o, part, VQ_I32);
		sum = sum.id ? vq_onnx_2(o, VQ_OP_ADD, sum, part) : part;
		if (!sum.id)
			return sum;
	}
	return sum;
}

static bool integer_product(vq_onnx *o, vq_op op)
{
	bool conv = op == VQ_OP_CONV;
	const vq_onnx_origin *codes = origin_of(o, vq_onnx_in(o, 0), CODES),
			     *zero = origin_of(o, vq_onnx_in(o, 2), ZERO);
	vq_value b, y;
	vq_onnx_origin sum;

	memset(&sum, 0, sizeof sum);
	sum.op = op;
	if (vq_is_const(o->g, vq_onnx_in(o, 1)) && (!vq_onnx_has(o, 3) || vq_is_const(o->g, vq_onnx_in(o, 3)))) {
		if (!vq_onnx_read_weights(o, 1, 3, conv ? 0 : -1, &sum.weights))
			return false;
		b = vq_onnx_weights_scaled(o, &sum.weights, &(float){ 1.0f }, 1);
	} else {
		b = minus_zero(o, 1, 3, conv ? 0 : -1);
	}
	y = minus_zero(o, 0, 2, conv ? 1 : -2);
	y = conv ? exact_conv(o, y, b, &sum.attr) : exact_matmul(o, y, b);
	if (y.id && sum.weights.codes.id && codes && zero && codes->site == zero->site) {
		sum.x = codes->x;
		sum.site = codes->site;
		add_origin(o, y, &sum, SUM);
	}
	return vq_onnx_out(o, 0, y);
}

bool vq_import_matmul_integer(vq_onnx *o) { return integer_product(o, VQ_OP_MATMUL); }

bool vq_import_conv_integer(vq_onnx *o) { return integer_product(o, VQ_OP_CONV); }

/* ---- the integer product of the IR ---- */

/* x quantized with one scale for all of it; the node, 0 after an error */
static vq_node rows_of(vq_onnx *o, vq_value x)
{
	const vq_onnx_origin *known = origin_of(o, x, ROWS);
	vq_onnx_origin like;
	vq_attr attr;
	vq_value codes;

	if (known)
		return known->node;
	memset(&attr, 0, sizeof attr);
	memset(&like, 0, sizeof like);
	attr.dynamic.span = (int32_t)vq_type_of(o->g, x)->rank - 1;
	codes = vq_onnx_build(o, VQ_OP_QUANTIZE_DYNAMIC, &x, 1, &attr);
	like.node = vq_def_of(o->g, codes);
	if (codes.id)
		add_origin(o, x, &like, ROWS);
	return like.node;
}

/*
 * x, quantized at run time, by w, which is dequantize of constant codes; bias may be VQ_NO_VALUE. Of what linear_dynamic
 * cannot compute the product is left to the passes.
 */
static vq_value product_of(vq_onnx *o, vq_value x, vq_value w, vq_value bias)
{
	vq_value codes = w.id && vq_def_op(o->g, w) == VQ_OP_DEQUANTIZE ? vq_operand(o->g, vq_def_of(o->g, w), 0)
									: VQ_NO_VALUE,
		 y;
	const vq_quant *q = codes.id ? vq_quant_of(o->g, vq_type_of(o->g, codes)) : NULL;
	const vq_type *t = codes.id ? vq_type_of(o->g, codes) : NULL;
	bool fits = x.id && t && t->rank == 2 && vq_is_const(o->g, codes) && !vq_is_const(o->g, x) && q->axis != 0 &&
		vq_type_of(o->g, x)->rank && t->dim[0] <= INT32_MAX / (255 * 255);
	bool vector = false;
	vq_node rows;

	for (uint32_t i = 0; fits && i < q->n; i++)
		fits = q->scale[i] >= VQ_LEAST_ROW_SCALE;
	if (!fits) {
		y = vq_onnx_matmul(o, x, w);
		return bias.id ? vq_onnx_2(o, VQ_OP_ADD, y, bias) : y;
	}
	vector = bias.id && vq_is_const(o->g, bias) && vq_type_of(o->g, bias)->rank == 1 &&
		vq_type_of(o->g, bias)->dim[0] == t->dim[1];
	codes = vq_onnx_transpose(o, codes, (int64_t[]){ 1, 0 });
	rows = rows_of(o, x);
	if (!rows.id)
		return VQ_NO_VALUE;
	y = vq_onnx_build(o, VQ_OP_LINEAR_DYNAMIC,
		(vq_value[]){ o->g->node[rows.id].out, o->g->node[rows.id].out2, codes, bias }, vector ? 4 : 3, NULL);
	return bias.id && !vector ? vq_onnx_2(o, VQ_OP_ADD, y, bias) : y;
}

/* ---- the multiplication that gives the product its scale ---- */

/* Does a constant of this shape have one element per channel of the weights, at the axis of the result where they are? */
static bool per_channel(const vq_onnx *o, const vq_onnx_origin *s, const vq_type *t)
{
	const vq_type *w = vq_type_of(o->g, s->weights.codes);
	int64_t n = vq_type_count(t);
	uint32_t from_end = s->op == VQ_OP_CONV ? w->rank - 1 : 1;

	return n == 1 || (n == w->dim[s->weights.axis] && t->rank >= from_end && t->dim[t->rank - from_end] == n);
}

static vq_value scaled_product(vq_onnx *o, const vq_onnx_origin *s, vq_value factor)
{
	const float one = 1.0f, *scale = factor.id ? vq_onnx_data_of(o, factor, VQ_F32) : &one;
	uint32_t n = factor.id ? (uint32_t)vq_type_count(vq_type_of(o->g, factor)) : 1;
	vq_value w = vq_onnx_weights_scaled(o, &s->weights, scale, n);

	if (s->op == VQ_OP_CONV)
		return vq_onnx_build(o, VQ_OP_CONV, (vq_value[]){ s->x, w }, 2, &s->attr);
	return product_of(o, s->x, w, VQ_NO_VALUE);
}

/*
 * A constant of integers, as f32, times constant scales, at most one axis of them: weights and tables of embeddings as codes, spelt
 * out. VQ_NO_VALUE if it is not that.
 */
static vq_value scaled_constant(vq_onnx *o, vq_value a, vq_value b)
{
	const vq_onnx_origin *whole = origin_of(o, a, WHOLE);
	const float *scale = vq_onnx_data_of(o, b, VQ_F32);
	vq_type t, ts;
	uint32_t axis = 0;
	int64_t n;

	if (!whole || !scale)
		return VQ_NO_VALUE;
	t = *vq_type_of(o->g, a);
	ts = *vq_type_of(o->g, b);
	n = vq_type_count(&ts);
	if (ts.rank > t.rank)
		return VQ_NO_VALUE;
	for (uint32_t i = 0; i < ts.rank; i++)
		if (ts.dim[i] != 1)
			axis = t.rank - ts.rank + i;
	for (int64_t i = 0; i < n; i++)
		if (!(scale[i] >= 0x1p-100f && scale[i] <= 0x1p100f))
			return VQ_NO_VALUE;
	return n == 1 || n == t.dim[axis] ? vq_onnx_codes_scaled(o, whole->x, axis, scale, (uint32_t)n) : VQ_NO_VALUE;
}

bool vq_import_mul(vq_onnx *o)
{
	for (uint32_t side = 0; side < 2; side++) {
		vq_value a = vq_onnx_in(o, side), b = vq_onnx_in(o, 1 - side), y;
		const vq_onnx_origin *sum = origin_of(o, a, SUM), *scale = origin_of(o, b, SCALE),
				     *f = origin_of(o, b, FACTOR);
		vq_onnx_origin like;

		y = scaled_constant(o, a, b);
		if (y.id)
			return vq_onnx_out(o, 0, y);
		if (sum && scale && sum->site == scale->site && vq_type_of(o->g, a)->elem == VQ_F32) {
			like = *sum;
			return vq_onnx_out(o, 0, scaled_product(o, &like, VQ_NO_VALUE));
		}
		if (sum && f && sum->site == f->site && vq_type_of(o->g, a)->elem == VQ_F32 &&
			per_channel(o, sum, vq_type_of(o->g, f->factor))) {
			like = *sum;
			return vq_onnx_out(o, 0, scaled_product(o, &like, f->factor));
		}
		if (!scale || !vq_onnx_data_of(o, a, VQ_F32))
			continue;
		like = *scale;
		like.factor = a;
		y = vq_onnx_2(o, VQ_OP_MUL, a, b);
		if (!y.id)
			return false;
		add_origin(o, y, &like, FACTOR);
		return vq_onnx_out(o, 0, y);
	}
	return vq_import_binary(o);
}

/* ---- ONNX Runtime's own ---- */

bool vq_import_dynamic_quantize_matmul(vq_onnx *o)
{
	return vq_onnx_out(
		o, 0, product_of(o, vq_onnx_in(o, 0), vq_onnx_dequantized(o, 1, 2, 3, -1), vq_onnx_in(o, 4)));
}

vq_value vq_onnx_unquantized(vq_onnx *o, uint32_t in, uint32_t scale_in, uint32_t zero_in, int64_t axis)
{
	const vq_onnx_origin *codes = origin_of(o, vq_onnx_in(o, in), CODES);
	const vq_onnx_origin *scale = origin_of(o, vq_onnx_in(o, scale_in), SCALE);
	const vq_onnx_origin *zero = origin_of(o, vq_onnx_in(o, zero_in), ZERO);

	if (codes && scale && zero && codes->site == scale->site && codes->site == zero->site)
		return codes->x;
	return vq_onnx_dequantized(o, in, scale_in, zero_in, axis);
}

bool vq_import_matmul_integer_to_float(vq_onnx *o)
{
	vq_value w = vq_onnx_dequantized(o, 1, 3, 5, -1), x = vq_onnx_unquantized(o, 0, 2, 4, -2),
		 bias = vq_onnx_in(o, 6), y;
	const vq_onnx_origin *codes = origin_of(o, vq_onnx_in(o, 0), CODES);

	if (codes && vq_same(codes->x, x))
		return vq_onnx_out(o, 0, product_of(o, x, w, bias));
	y = vq_onnx_matmul(o, x, w);
	return vq_onnx_out(o, 0, bias.id ? vq_onnx_2(o, VQ_OP_ADD, y, bias) : y);
}
