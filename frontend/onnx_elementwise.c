/* SPDX-License-Identifier: MIT */
/* Importers of elementwise operators. */
#include "frontend/onnx_node.h"

#include "ir/eval_ops.h"

#include <math.h>
#include <string.h>

static vq_value in(vq_onnx *o, uint32_t i) { return vq_onnx_in(o, i); }

/* integers of 8 bits are computed as i32 and cut to 8 bits again */
static bool narrow(const vq_onnx *o, vq_value x)
{
	vq_elem e = vq_type_of(o->g, x)->elem;

	return x.id && (e == VQ_U8 || e == VQ_S8);
}

/* A divisor that is known to be 0 is a mistake; one that is computed gives what ir/eval_elementwise.c says. */
static bool divides_by_zero(vq_onnx *o, vq_op op, vq_value b)
{
	vq_elem e = b.id ? vq_type_of(o->g, b)->elem : VQ_F32;

	if ((op != VQ_OP_DIV && op != VQ_OP_MOD) || e == VQ_F32 || !vq_is_const(o->g, b))
		return false;
	for (int64_t i = 0, n = vq_type_count(vq_type_of(o->g, b)); i < n; i++)
		if (!vq_eval_load_int(e, o->g->value[b.id].data, i))
			return !vq_onnx_refuse(o, "division by zero at position %lld of input 2", (long long)i);
	return false;
}

static vq_value calculate(vq_onnx *o, vq_op op, vq_value a, vq_value b)
{
	vq_value y;

	if (divides_by_zero(o, op, b))
		return VQ_NO_VALUE;
	if (!narrow(o, a) || !narrow(o, b))
		return vq_onnx_2(o, op, a, b);
	y = vq_onnx_cast(o, b, VQ_I32);
	y = vq_onnx_2(o, op, vq_onnx_cast(o, a, VQ_I32), y);
	return y.id && op != VQ_OP_LESS && op != VQ_OP_EQUAL ? vq_onnx_cast(o, y, vq_type_of(o->g, a)->elem) : y;
}

bool vq_import_unary(vq_onnx *o)
{
	vq_value x = in(o, 0);

	if (!narrow(o, x))
		return vq_onnx_out(o, 0, vq_onnx_1(o, o->op->ir, x));
	return vq_onnx_out(
		o, 0, vq_onnx_cast(o, vq_onnx_1(o, o->op->ir, vq_onnx_cast(o, x, VQ_I32)), vq_type_of(o->g, x)->elem));
}

bool vq_import_binary(vq_onnx *o) { return vq_onnx_out(o, 0, calculate(o, o->op->ir, in(o, 0), in(o, 1))); }

bool vq_import_xor(vq_onnx *o)
{
	return vq_onnx_out(o, 0, vq_onnx_1(o, VQ_OP_NOT, vq_onnx_2(o, VQ_OP_EQUAL, in(o, 0), in(o, 1))));
}

bool vq_import_greater(vq_onnx *o) { return vq_onnx_out(o, 0, calculate(o, VQ_OP_LESS, in(o, 1), in(o, 0))); }

/* not the negation of the opposite: a NaN compares false both ways */
static bool or_equal(vq_onnx *o, vq_value a, vq_value b)
{
	vq_value less = calculate(o, VQ_OP_LESS, a, b);

	return vq_onnx_out(o, 0, vq_onnx_2(o, VQ_OP_OR, less, calculate(o, VQ_OP_EQUAL, a, b)));
}

bool vq_import_less_or_equal(vq_onnx *o) { return or_equal(o, in(o, 0), in(o, 1)); }

bool vq_import_greater_or_equal(vq_onnx *o) { return or_equal(o, in(o, 1), in(o, 0)); }

/* the quotient without its fraction: away from the floor where it is negative */
static vq_value truncated(vq_onnx *o, vq_value x)
{
	vq_value down = vq_onnx_1(o, VQ_OP_FLOOR, vq_onnx_1(o, VQ_OP_ABS, x)), up = vq_onnx_1(o, VQ_OP_NEG, down);

	return vq_onnx_3(o, VQ_OP_WHERE, vq_onnx_2(o, VQ_OP_LESS, x, vq_onnx_scalar(o, 0)), up, down);
}

/* v[0] < v[1] and v[2] < v[3] */
static vq_value both_less(vq_onnx *o, const vq_value v[4])
{
	vq_value second = vq_onnx_2(o, VQ_OP_LESS, v[2], v[3]);

	return vq_onnx_2(o, VQ_OP_AND, vq_onnx_2(o, VQ_OP_LESS, v[0], v[1]), second);
}

/*
 * a - trunc(a / b) * b has the sign of the dividend; where that of the divisor is asked for, the other sign is one divisor away. A
 * dividend below an infinite divisor stays.
 */
static vq_value mod_floats(vq_onnx *o, bool c_sign)
{
	vq_value a = in(o, 0), b = in(o, 1), zero = vq_onnx_scalar(o, 0), whole, part, y, other;

	whole = truncated(o, vq_onnx_2(o, VQ_OP_DIV, a, b));
	part = vq_onnx_2(o, VQ_OP_MUL, whole, b);
	part = vq_onnx_3(o, VQ_OP_WHERE, vq_onnx_2(o, VQ_OP_EQUAL, whole, zero), zero, part);
	y = vq_onnx_2(o, VQ_OP_SUB, a, part);
	if (c_sign)
		return y;
	other = both_less(o, (const vq_value[]){ zero, y, b, zero });
	other = vq_onnx_2(o, VQ_OP_OR, both_less(o, (const vq_value[]){ y, zero, zero, b }), other);
	return vq_onnx_3(o, VQ_OP_WHERE, other, vq_onnx_2(o, VQ_OP_ADD, y, b), y);
}

bool vq_import_mod(vq_onnx *o)
{
	bool c_sign;
	vq_value whole;

	if (!vq_onnx_attr_bool(o, "fmod", false, &c_sign))
		return false;
	if (vq_onnx_in_type(o, 0)->elem == VQ_F32)
		return vq_onnx_out(o, 0, mod_floats(o, c_sign));
	if (!c_sign)
		return vq_onnx_out(o, 0, calculate(o, VQ_OP_MOD, in(o, 0), in(o, 1)));
	/* sign of the dividend: a - trunc(a / b) * b */
	whole = calculate(o, VQ_OP_MUL, calculate(o, VQ_OP_DIV, in(o, 0), in(o, 1)), in(o, 1));
	return vq_onnx_out(o, 0, calculate(o, VQ_OP_SUB, in(o, 0), whole));
}

/* ---- powers ---- */

/* x^n, n > 0, by squares; of an odd n the last factor is x itself */
static vq_value whole_power(vq_onnx *o, vq_value x, uint32_t n)
{
	vq_value y = VQ_NO_VALUE;

	for (; n; n >>= 1) {
		if (n & 1)
			y = y.id ? vq_onnx_2(o, VQ_OP_MUL, y, x) : x;
		if (n > 1)
			x = vq_onnx_2(o, VQ_OP_MUL, x, x);
	}
	return y;
}

/* |base|^exponent by logarithm, then the sign: that of an odd exponent, NaN for a negative base with a broken one; x^0 is 1 */
static vq_value power_by_log(vq_onnx *o, vq_value base, vq_value exponent)
{
	vq_value zero = vq_onnx_scalar(o, 0), one = vq_onnx_scalar(o, 1), half, odd, broken, y, negative;

	y = vq_onnx_1(o, VQ_OP_EXP,
		vq_onnx_2(o, VQ_OP_MUL, exponent, vq_onnx_1(o, VQ_OP_LOG, vq_onnx_1(o, VQ_OP_ABS, base))));
	half = vq_onnx_2(o, VQ_OP_MUL, exponent, vq_onnx_scalar(o, 0.5f));
	odd = vq_onnx_2(o, VQ_OP_EQUAL, vq_onnx_1(o, VQ_OP_FLOOR, half), half);
	negative = vq_onnx_3(o, VQ_OP_WHERE, odd, y, vq_onnx_1(o, VQ_OP_NEG, y));
	broken = vq_onnx_2(o, VQ_OP_EQUAL, vq_onnx_1(o, VQ_OP_FLOOR, exponent), exponent);
	negative = vq_onnx_3(o, VQ_OP_WHERE, broken, negative, vq_onnx_scalar(o, NAN));
	y = vq_onnx_3(o, VQ_OP_WHERE, vq_onnx_2(o, VQ_OP_LESS, base, zero), negative, y);
	return vq_onnx_3(o, VQ_OP_WHERE, vq_onnx_2(o, VQ_OP_EQUAL, exponent, zero), one, y);
}

/* The IR's power where kernels have it (the exponents that exporters write) or all is constant; else written out. */
static vq_value power(vq_onnx *o, vq_value base, vq_value exponent)
{
	static const float plain[] = { 0.0f, 1.0f, 2.0f, 3.0f, 0.5f, -1.0f, -0.5f };
	const float *known = vq_onnx_data_of(o, exponent, VQ_F32);
	bool one = known && vq_type_count(vq_type_of(o->g, exponent)) == 1;
	vq_value y;

	if (!base.id || !exponent.id || (vq_is_const(o->g, base) && vq_is_const(o->g, exponent)))
		return vq_onnx_2(o, VQ_OP_POW, base, exponent);
	for (size_t i = 0; i < sizeof plain / sizeof *plain && one; i++)
		if (*known == plain[i])
			return vq_onnx_2(o, VQ_OP_POW, base, exponent);
	if (!one || fabsf(*known) > 64 || floorf(*known) != *known)
		return power_by_log(o, base, exponent);
	y = whole_power(o, base, (uint32_t)fabsf(*known));
	if (*known < 0)
		y = vq_onnx_1(o, VQ_OP_RECIP, y);
	/* the exponent may have more dimensions */
	return vq_onnx_2(o, VQ_OP_MUL, y,
		vq_onnx_reshape(
			o, vq_onnx_scalar(o, 1), vq_type_of(o->g, exponent)->rank, vq_type_of(o->g, exponent)->dim));
}

/* the exponent may be of another type than the base */
bool vq_import_pow(vq_onnx *o)
{
	vq_elem elem = vq_onnx_in_type(o, 0)->elem;
	vq_value base = in(o, 0), exponent = in(o, 1);

	if (elem == VQ_F32)
		return vq_onnx_out(o, 0, power(o, base, vq_onnx_cast(o, exponent, VQ_F32)));
	if (vq_onnx_in_type(o, 1)->elem == VQ_F32)
		return vq_onnx_out(o, 0, vq_onnx_cast(o, power(o, vq_onnx_cast(o, base, VQ_F32), exponent), elem));
	return vq_onnx_out(o, 0, calculate(o, VQ_OP_POW, base, vq_onnx_cast(o, exponent, elem)));
}

static vq_value fold_left(vq_onnx *o, vq_op op)
{
	vq_value v = in(o, 0);

	for (uint32_t i = 1; i < vq_onnx_inputs(o); i++)
		v = calculate(o, op, v, in(o, i));
	return v;
}

bool vq_import_variadic(vq_onnx *o) { return vq_onnx_out(o, 0, fold_left(o, o->op->ir)); }

bool vq_import_mean(vq_onnx *o)
{
	vq_value sum = fold_left(o, VQ_OP_ADD);

	return vq_onnx_out(o, 0, vq_onnx_2(o, VQ_OP_DIV, sum, vq_onnx_scalar(o, (float)vq_onnx_inputs(o))));
}

bool vq_import_where(vq_onnx *o) { return vq_onnx_out(o, 0, vq_onnx_3(o, VQ_OP_WHERE, in(o, 0), in(o, 1), in(o, 2))); }

/* ---- casts ---- */

/* half and double are computed in f32: say so once */
static void note_width(vq_onnx *o, int64_t to)
{
	bool half = to == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16 || to == ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16;
	bool wide = to == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE;

	if (half && !o->said_half)
		vq_warning(o->diag, o->where, "16-bit floats are computed in float32");
	if (wide && !o->said_double)
		vq_warning(o->diag, o->where, "float64 is computed in float32");
	o->said_half |= half;
	o->said_double |= wide;
}

static bool cast_input(vq_onnx *o, vq_elem elem)
{
	vq_value v;
	vq_type t;

	if (!vq_onnx_empty(o, 0)) {
		v = vq_onnx_cast(o, in(o, 0), elem);
		vq_onnx_follow_cast(o, in(o, 0), v);
		return vq_onnx_out(o, 0, v);
	}
	t = vq_onnx_input_name(o, 0)->empty;
	t.elem = elem;
	return vq_onnx_out_empty(o, 0, &t);
}

bool vq_import_cast(vq_onnx *o)
{
	vq_elem elem = VQ_F32;
	int64_t to;

	vq_onnx_attr_ignore(o, "saturate"); /* of float8 only */
	vq_onnx_attr_ignore(o, "round_mode");
	if (!vq_onnx_attr_int(o, "to", 0, &to))
		return false;
	if (!to)
		return vq_onnx_refuse(o, "attribute 'to' is missing, expected the type to cast to");
	if (to < 0 || to > INT32_MAX || !vq_onnx_elem((int32_t)to, &elem))
		return vq_onnx_refuse(o, "cast to %s is not supported",
			vq_onnx_type_name(o->arena, to < 0 || to > INT32_MAX ? -1 : (int32_t)to));
	if (to == ONNX__TENSOR_PROTO__DATA_TYPE__UINT16 || to == ONNX__TENSOR_PROTO__DATA_TYPE__INT16 ||
		to == ONNX__TENSOR_PROTO__DATA_TYPE__UINT32 || to == ONNX__TENSOR_PROTO__DATA_TYPE__UINT64)
		return vq_onnx_refuse(o,
			"cast to %s is not supported, expected float32, int64, int32, uint8, int8 or bool",
			vq_onnx_type_name(o->arena, (int32_t)to));
	note_width(o, to);
	return cast_input(o, elem);
}

bool vq_import_cast_like(vq_onnx *o)
{
	vq_onnx_attr_ignore(o, "saturate");
	vq_onnx_attr_ignore(o, "round_mode");
	return cast_input(o, vq_onnx_empty(o, 1) ? vq_onnx_input_name(o, 1)->empty.elem : vq_onnx_in_type(o, 1)->elem);
}

bool vq_import_clip(vq_onnx *o)
{
	vq_value x = in(o, 0);

	if (vq_onnx_has(o, 1))
		x = calculate(o, VQ_OP_MAX, x, in(o, 1));
	if (vq_onnx_has(o, 2))
		x = calculate(o, VQ_OP_MIN, x, in(o, 2));
	return vq_onnx_out(o, 0, x);
}

bool vq_import_ceil(vq_onnx *o)
{
	vq_value down = vq_onnx_1(o, VQ_OP_FLOOR, vq_onnx_1(o, VQ_OP_NEG, in(o, 0)));

	return vq_onnx_out(o, 0, vq_onnx_1(o, VQ_OP_NEG, down));
}

bool vq_import_sign(vq_onnx *o)
{
	vq_value x = in(o, 0), zero = vq_onnx_number(o, x, 0), positive = vq_onnx_number(o, x, 1);
	vq_value negative = vq_onnx_number(o, x, -1);

	positive = vq_onnx_3(o, VQ_OP_WHERE, vq_onnx_2(o, VQ_OP_LESS, zero, x), positive, zero);
	return vq_onnx_out(o, 0, vq_onnx_3(o, VQ_OP_WHERE, vq_onnx_2(o, VQ_OP_LESS, x, zero), negative, positive));
}

bool vq_import_is_nan(vq_onnx *o)
{
	return vq_onnx_out(o, 0, vq_onnx_1(o, VQ_OP_NOT, vq_onnx_2(o, VQ_OP_EQUAL, in(o, 0), in(o, 0))));
}

bool vq_import_is_inf(vq_onnx *o)
{
	vq_value up = vq_onnx_2(o, VQ_OP_EQUAL, in(o, 0), vq_onnx_scalar(o, INFINITY));
	vq_value down = vq_onnx_2(o, VQ_OP_EQUAL, in(o, 0), vq_onnx_scalar(o, -INFINITY));
	bool positive, negative;

	if (!vq_onnx_attr_bool(o, "detect_positive", true, &positive) ||
		!vq_onnx_attr_bool(o, "detect_negative", true, &negative))
		return false;
	if (positive && negative)
		return vq_onnx_out(o, 0, vq_onnx_2(o, VQ_OP_OR, up, down));
	if (positive || negative)
		return vq_onnx_out(o, 0, positive ? up : down);
	return vq_onnx_out(o, 0, vq_onnx_2(o, VQ_OP_AND, up, vq_onnx_1(o, VQ_OP_NOT, up)));
}

/* ---- identities ---- */

bool vq_import_identity(vq_onnx *o) { return vq_onnx_out_same(o, 0, 0); }

/* Inference only: training mode is accepted where it drops nothing (torchvision's Swin exports ratio 0 so). */
bool vq_import_dropout(vq_onnx *o)
{
	vq_value training = in(o, 2);
	const uint8_t *flag = vq_onnx_data_of(o, training, VQ_BOOL);
	float ratio = 0.5f;

	vq_onnx_attr_ignore(o, "ratio");
	vq_onnx_attr_ignore(o, "seed");
	if (vq_onnx_has(o, 2) && !flag)
		return vq_onnx_refuse(o, "training_mode is not a constant bool");
	if (flag && *flag && vq_onnx_has(o, 1) && !vq_onnx_float(o, 1, "ratio", &ratio))
		return false;
	if (flag && *flag && ratio != 0) {
		vq_onnx_refuse(o, "it drops elements at random (training mode)");
		vq_hint(o->diag, "export the model in evaluation mode: model.eval()");
		return false;
	}
	if (vq_onnx_wants(o, 1)) {
		vq_type t = *vq_onnx_in_type(o, 0), scalar = vq_type_make(VQ_BOOL, 0, NULL);
		vq_value yes = vq_add_const_copy(o->g, &scalar, &(uint8_t){ 1 }, NULL);

		if (!vq_onnx_out(o, 1, vq_onnx_expand(o, yes, t.rank, t.dim)))
			return false;
	}
	return vq_onnx_out_same(o, 0, 0);
}
