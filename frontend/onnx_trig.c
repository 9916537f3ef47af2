/* SPDX-License-Identifier: MIT */
/*
 * Importers of trigonometric functions, written out in f32 arithmetic: tables of rotary embeddings are folded by the same
 * operations that objects would do, so that they are the same on every host.
 */
#include "frontend/onnx_node.h"

static vq_value add(vq_onnx *o, vq_value x, float by) { return vq_onnx_2(o, VQ_OP_ADD, x, vq_onnx_scalar(o, by)); }

static vq_value mul(vq_onnx *o, vq_value x, float by) { return vq_onnx_2(o, VQ_OP_MUL, x, vq_onnx_scalar(o, by)); }

static vq_value less(vq_onnx *o, vq_value x, float limit)
{
	return vq_onnx_2(o, VQ_OP_LESS, x, vq_onnx_scalar(o, limit));
}

/* c[0] + z (c[1] + z (…)) */
static vq_value poly(vq_onnx *o, vq_value z, const float *c, uint32_t n)
{
	vq_value r = vq_onnx_scalar(o, c[n - 1]);

	for (uint32_t i = n - 1; i-- > 0;)
		r = add(o, vq_onnx_2(o, VQ_OP_MUL, r, z), c[i]);
	return r;
}

/* ---- sine and cosine ---- */

/* x = quarter * pi/2 + rest, |rest| <= pi/4. Products of the three parts of pi/2 are exact for quarters up to 2^12. */
static vq_value reduce(vq_onnx *o, vq_value x, vq_value *quarter)
{
	static const float part[] = { 0x1.92p+0f, 0x1.fb4p-12f, 0x1.4442d2p-24f };

	*quarter = vq_onnx_1(o, VQ_OP_ROUND, mul(o, x, 0x1.45f306p-1f));
	for (int i = 0; i < 3; i++)
		x = vq_onnx_2(o, VQ_OP_SUB, x, mul(o, *quarter, part[i]));
	return x;
}

/* n mod 2 for whole n: 0 or 1 */
static vq_value odd(vq_onnx *o, vq_value n)
{
	vq_value down = vq_onnx_1(o, VQ_OP_FLOOR, mul(o, n, 0.5f));

	return vq_onnx_2(o, VQ_OP_SUB, n, mul(o, down, 2));
}

/*
 * Of sin(quarter pi/2 + rest): odd quarters take the cosine, the second half of the circle the other sign. A cosine is the sine a
 * quarter later.
 */
static vq_value sine(vq_onnx *o, vq_value x, bool cosine)
{
	/* least squares on [-pi/4, pi/4]; test_onnx_trig has the bound */
	static const float s[] = { -0x1.555552p-3f, 0x1.110c2ap-7f, -0x1.9acap-13f };
	static const float c[] = { 0x1.555554p-5f, -0x1.6c12cep-10f, 0x1.9bd718p-16f };
	vq_value quarter, rest = reduce(o, x, &quarter), square = vq_onnx_2(o, VQ_OP_MUL, rest, rest), y, z, half;

	if (cosine)
		quarter = add(o, quarter, 1);
	y = vq_onnx_2(o, VQ_OP_MUL, vq_onnx_2(o, VQ_OP_MUL, poly(o, square, s, 3), square), rest);
	y = vq_onnx_2(o, VQ_OP_ADD, y, rest);
	z = vq_onnx_2(o, VQ_OP_MUL, vq_onnx_2(o, VQ_OP_MUL, poly(o, square, c, 3), square), square);
	z = add(o, vq_onnx_2(o, VQ_OP_SUB, z, mul(o, square, 0.5f)), 1);
	half = odd(o, vq_onnx_1(o, VQ_OP_FLOOR, mul(o, quarter, 0.5f)));
	y = vq_onnx_3(o, VQ_OP_WHERE, less(o, odd(o, quarter), 0.5f), y, z);
	return vq_onnx_2(o, VQ_OP_MUL, y, add(o, mul(o, half, -2), 1));
}

bool vq_import_sin(vq_onnx *o) { return vq_onnx_out(o, 0, sine(o, vq_onnx_in(o, 0), false)); }

bool vq_import_cos(vq_onnx *o) { return vq_onnx_out(o, 0, sine(o, vq_onnx_in(o, 0), true)); }

bool vq_import_tan(vq_onnx *o)
{
	vq_value x = vq_onnx_in(o, 0), cosine = sine(o, x, true);

	return vq_onnx_out(o, 0, vq_onnx_2(o, VQ_OP_DIV, sine(o, x, false), cosine));
}

/* ---- inverse functions ---- */

static const float pi_2 = 0x1.921fb6p+0f;

/* with the sign of x; 0 for 0 */
static vq_value signed_like(vq_onnx *o, vq_value y, vq_value x)
{
	vq_value negative = vq_onnx_1(o, VQ_OP_NEG, y);

	return vq_onnx_3(o, VQ_OP_WHERE, less(o, x, 0), negative, y);
}

/* a polynomial up to 1, pi/2 - atan(1 / x) beyond */
static vq_value arc_tangent(vq_onnx *o, vq_value x)
{
	static const float c[] = { 0x1p+0f, -0x1.5554a2p-2f, 0x1.997232p-3f, -0x1.22de6p-3f, 0x1.b3ae74p-4f,
		-0x1.330372p-4f, 0x1.5ce0bp-5f, -0x1.0639f6p-6f, 0x1.73776ap-9f };
	vq_value a = vq_onnx_1(o, VQ_OP_ABS, x), beyond = vq_onnx_2(o, VQ_OP_LESS, vq_onnx_scalar(o, 1), a), t, y;

	t = vq_onnx_3(o, VQ_OP_WHERE, beyond, vq_onnx_1(o, VQ_OP_RECIP, a), a);
	y = vq_onnx_2(o, VQ_OP_MUL, poly(o, vq_onnx_2(o, VQ_OP_MUL, t, t), c, 9), t);
	y = vq_onnx_3(o, VQ_OP_WHERE, beyond, vq_onnx_2(o, VQ_OP_SUB, vq_onnx_scalar(o, pi_2), y), y);
	return signed_like(o, y, x);
}

bool vq_import_atan(vq_onnx *o) { return vq_onnx_out(o, 0, arc_tangent(o, vq_onnx_in(o, 0))); }

/* asin(x) = atan(x / sqrt((1 - x)(1 + x))); at +-1 the quotient is infinite, which is right */
static vq_value arc_sine(vq_onnx *o)
{
	vq_value x = vq_onnx_in(o, 0), root;

	root = add(o, x, 1);
	root = vq_onnx_2(o, VQ_OP_MUL, vq_onnx_2(o, VQ_OP_SUB, vq_onnx_scalar(o, 1), x), root);
	return arc_tangent(o, vq_onnx_2(o, VQ_OP_DIV, x, vq_onnx_1(o, VQ_OP_SQRT, root)));
}

bool vq_import_asin(vq_onnx *o) { return vq_onnx_out(o, 0, arc_sine(o)); }

bool vq_import_acos(vq_onnx *o)
{
	vq_value y = arc_sine(o);

	return vq_onnx_out(o, 0, vq_onnx_2(o, VQ_OP_SUB, vq_onnx_scalar(o, pi_2), y));
}

/* ---- hyperbolic functions ---- */

/* (e^x -+ e^-x) / 2, halved first: the largest results do not overflow on the way */
static vq_value half_exps(vq_onnx *o, vq_op op)
{
	vq_value x = vq_onnx_in(o, 0), up = mul(o, vq_onnx_1(o, VQ_OP_EXP, x), 0.5f);

	return vq_onnx_2(o, op, up, mul(o, vq_onnx_1(o, VQ_OP_EXP, vq_onnx_1(o, VQ_OP_NEG, x)), 0.5f));
}

bool vq_import_cosh(vq_onnx *o) { return vq_onnx_out(o, 0, half_exps(o, VQ_OP_ADD)); }

/* near 0 the difference of the exponentials would cancel: a series there */
bool vq_import_sinh(vq_onnx *o)
{
	static const float c[] = { 1, 1.0f / 6, 1.0f / 120, 1.0f / 5040 };
	vq_value x = vq_onnx_in(o, 0), near = less(o, vq_onnx_1(o, VQ_OP_ABS, x), 0.5f), y;

	y = vq_onnx_2(o, VQ_OP_MUL, poly(o, vq_onnx_2(o, VQ_OP_MUL, x, x), c, 4), x);
	return vq_onnx_out(o, 0, vq_onnx_3(o, VQ_OP_WHERE, near, y, half_exps(o, VQ_OP_SUB)));
}

/* log(1 + u) without losing a small u: u log(w) / (w - 1), w = 1 + u as it was rounded */
static vq_value log_1p(vq_onnx *o, vq_value u)
{
	vq_value w = add(o, u, 1), v = add(o, w, -1), same = vq_onnx_2(o, VQ_OP_EQUAL, v, vq_onnx_scalar(o, 0)), y;

	v = vq_onnx_3(o, VQ_OP_WHERE, same, vq_onnx_scalar(o, 1), v);
	y = vq_onnx_2(o, VQ_OP_MUL, u, vq_onnx_2(o, VQ_OP_DIV, vq_onnx_1(o, VQ_OP_LOG, w), v));
	return vq_onnx_3(o, VQ_OP_WHERE, same, u, y);
}

/* sign(x) log(|x| + sqrt(x^2 + 1)) */
bool vq_import_asinh(vq_onnx *o)
{
	vq_value x = vq_onnx_in(o, 0), a = vq_onnx_1(o, VQ_OP_ABS, x), s = vq_onnx_2(o, VQ_OP_MUL, x, x), u;

	/* |x| + x^2 / (1 + sqrt(x^2 + 1)) */
	u = add(o, vq_onnx_1(o, VQ_OP_SQRT, add(o, s, 1)), 1);
	u = vq_onnx_2(o, VQ_OP_ADD, a, vq_onnx_2(o, VQ_OP_DIV, s, u));
	return vq_onnx_out(o, 0, signed_like(o, log_1p(o, u), x));
}

/* log(x + sqrt((x - 1)(x + 1))) */
bool vq_import_acosh(vq_onnx *o)
{
	vq_value x = vq_onnx_in(o, 0), t = add(o, x, -1), root;

	root = vq_onnx_1(o, VQ_OP_SQRT, vq_onnx_2(o, VQ_OP_MUL, t, add(o, x, 1)));
	return vq_onnx_out(o, 0, log_1p(o, vq_onnx_2(o, VQ_OP_ADD, t, root)));
}

/* log(1 + 2x / (1 - x)) / 2 */
bool vq_import_atanh(vq_onnx *o)
{
	vq_value x = vq_onnx_in(o, 0), a = vq_onnx_1(o, VQ_OP_ABS, x), u;

	u = vq_onnx_2(o, VQ_OP_SUB, vq_onnx_scalar(o, 1), a);
	u = vq_onnx_2(o, VQ_OP_DIV, vq_onnx_2(o, VQ_OP_ADD, a, a), u);
	return vq_onnx_out(o, 0, signed_like(o, mul(o, log_1p(o, u), 0.5f), x));
}
