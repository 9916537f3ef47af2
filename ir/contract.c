/* SPDX-License-Identifier: MIT */
/* The arithmetic contract. Each statement is one rounding; docs/arithmetic.md is its description. */
#include "ir/contract.h"

#include <float.h>
#include <math.h>
#include <string.h>

_Static_assert(FLT_EVAL_METHOD == 0, "f32 operators must round to f32: x86-32 needs -msse2 -mfpmath=sse");
_Static_assert(sizeof(float) == 4 && FLT_MANT_DIG == 24 && FLT_MAX_EXP == 128, "float must be IEEE binary32");

const vq_poly vq_poly_exp2_u8 = { 4, 5, -16.0f, { 0x1.306658p+0f, 0x1.a5fb12p-6f, 0x1.23fc34p-12f, 0x1.f5c9eap-20f } };
const vq_poly vq_poly_gelu = { 6, 3, 0x1.366666p+2f,
	{ 0x1.d5824cp-1f, -0x1.76e462p-4f, -0x1.035766p-5f, -0x1.2f15fp-10f, 0x1.004798p-9f, -0x1.942e46p-13f } };
const vq_poly vq_poly_gelu_tanh = { 7, 3, 0x1.39999ap+2f,
	{ 0x1.d58278p-1f, -0x1.770178p-4f, -0x1.01fbbep-5f, -0x1.877f5p-10f, 0x1.477488p-9f, -0x1.f788bcp-12f,
		0x1.3ea8a2p-15f } };
const vq_poly vq_poly_gelu_quick = { 10, 3, 0x1.dcccccp+2f,
	{ 0x1.d58126p-1f, -0x1.8fd15cp-4f, -0x1.22c7b8p-5f, 0x1.17b81p-10f, 0x1.7abebep-7f, -0x1.a2eff2p-8f,
		0x1.c4c9e8p-10f, -0x1.12e874p-12f, 0x1.658f1ep-16f, -0x1.8333e2p-21f } };
const vq_poly vq_poly_silu = { 10, 3, 0x1.98p+3f,
	{ 0x1.d581eap-1f, -0x1.d61448p-5f, -0x1.8fa2e8p-7f, 0x1.5dcdfep-13f, 0x1.6f33d4p-10f, -0x1.dc0766p-12f,
		0x1.2e604ep-14f, -0x1.afc818p-18f, 0x1.4a2cdp-22f, -0x1.a44a6cp-28f } };
const vq_poly vq_poly_erf = { 9, 1, 0x1.a66666p+1f,
	{ 0x1.0fefcep+0f, -0x1.6a9d28p-3f, 0x1.3a98bap-5f, -0x1.9ce544p-8f, 0x1.88f162p-11f, -0x1.06b2a8p-14f,
		0x1.d27682p-19f, -0x1.ebf494p-24f, 0x1.d0c068p-30f } };
const vq_poly vq_poly_tanh = { 5, 0, 0x1.4p-1f,
	{ 0x1.fffffcp-1f, -0x1.555126p-2f, 0x1.106bf2p-3f, -0x1.a7b306p-5f, 0x1.e9496cp-7f } };
const vq_poly vq_poly_exp = { 4, 0, 0x1.62e43p-2f, { 0x1.fffe02p-2f, 0x1.5557ccp-3f, 0x1.5728fap-5f, 0x1.1058aap-7f } };
const vq_poly vq_poly_log = { 8, 0, 0.0f,
	{ -0x1.ffffeep-2f, 0x1.55578p-2f, -0x1.000998p-2f, 0x1.98b3a6p-3f, -0x1.5272d4p-3f, 0x1.31cdd4p-3f,
		-0x1.2b2416p-3f, 0x1.72cbb6p-4f } };

uint32_t vq_c_bits(float v)
{
	uint32_t u;

	memcpy(&u, &v, sizeof u);
	return u;
}

float vq_c_float(uint32_t bits)
{
	float v;

	memcpy(&v, &bits, sizeof v);
	return v;
}

/* two's complement bits as a signed number; the conversion is implementation-defined in C11 otherwise */
static int32_t as_signed(uint32_t bits)
{
	int32_t i;

	memcpy(&i, &bits, sizeof i);
	return i;
}

float vq_c_min(float a, float c) { return a < c ? a : c; }

float vq_c_max(float a, float c) { return a > c ? a : c; }

float vq_c_abs(float a) { return vq_c_float(vq_c_bits(a) & 0x7fffffffu); }

float vq_c_flush(float a) { return vq_c_abs(a) < VQ_TINY ? 0.0f : a; }

int32_t vq_c_round(float v) { return as_signed(vq_c_bits(v + VQ_MAGIC) - VQ_MAGIC_BITS); }

int32_t vq_c_quantize(float v, int32_t lo, int32_t hi, int32_t zero)
{
	v = v == v ? v : 0.0f;
	v = vq_c_max(v, (float)(lo - zero));
	v = vq_c_min(v, (float)(hi - zero));
	return vq_c_round(v) + zero;
}

vq_row_scale vq_c_row_scale(float lo, float hi)
{
	vq_row_scale r;
	float range = vq_c_min(hi, 0x1p100f) - vq_c_max(lo, -0x1p100f), v;

	r.scale = vq_c_max(range * (1.0f / 255.0f), VQ_LEAST_ROW_SCALE);
	r.inv = 1.0f / r.scale;
	v = vq_c_max(lo, -0x1p100f) * r.inv;
	r.zero = vq_c_quantize(-128.0f - v, -128, 127, 0);
	return r;
}

vq_row_scale vq_c_row_scale_symmetric(float lo, float hi)
{
	vq_row_scale r = { .zero = 0 };
	float most = vq_c_max(-lo, hi);

	r.scale = vq_c_max(vq_c_min(most, 0x1p100f) * (1.0f / 127.0f), VQ_LEAST_ROW_SCALE);
	r.inv = 1.0f / r.scale;
	return r;
}

float vq_c_poly(const vq_poly *p, float z)
{
	float r = p->c[p->n - 1];

	for (uint32_t i = p->n - 1; i-- > 0;) {
		r = r * z;
		r = r + p->c[i];
	}
	for (uint32_t k = 0; k < p->squarings; k++)
		r = r * r;
	return r;
}

/* x * S(x) with S(-x) = 1 - S(x), as relu(x) minus the decaying part |x| S(-|x|) */
static float activation(const vq_poly *p, float x)
{
	float z = vq_c_min(vq_c_abs(x), p->limit);
	float t = z * vq_c_poly(p, z);

	return vq_c_max(x, 0.0f) - t;
}

float vq_c_gelu(float x) { return activation(&vq_poly_gelu, x); }

float vq_c_gelu_tanh(float x) { return activation(&vq_poly_gelu_tanh, x); }

float vq_c_gelu_quick(float x) { return activation(&vq_poly_gelu_quick, x); }

float vq_c_silu(float x) { return activation(&vq_poly_silu, x); }

float vq_c_erf(float x)
{
	float z = vq_c_max(vq_c_min(x, vq_poly_erf.limit), -vq_poly_erf.limit);

	return z * vq_c_poly(&vq_poly_erf, z * z);
}

float vq_c_exp(float x)
{
	float y = vq_c_max(vq_c_min(x, VQ_EXP_MAX), VQ_EXP_MIN);
	float t = y * VQ_LOG2E_F32 + VQ_MAGIC;
	float n = t - VQ_MAGIC;
	float r = (y - n * VQ_LN2_HI) - n * VQ_LN2_LO;
	float p = ((r * r) * vq_c_poly(&vq_poly_exp, r) + r) + 1.0f;
	float e = vq_c_float(vq_c_bits(p) + (vq_c_bits(t) << 23));

	e = x < VQ_EXP_MIN ? 0.0f : e;
	e = x > VQ_EXP_MAX ? INFINITY : e;
	return x == x ? e : x;
}

/* e and 1 / (1 + e) serve both signs; at 0, where a denormal could decide, both branches are 1/2 */
float vq_c_sigmoid(float x)
{
	float e = vq_c_exp(-vq_c_abs(x));
	float r = 1.0f / (1.0f + e);

	return x > 0.0f ? r : e * r;
}

float vq_c_tanh(float x)
{
	float a = vq_c_abs(x);
	float s = x * vq_c_poly(&vq_poly_tanh, x * x);
	float e = vq_c_exp(-(a + a));
	float l = 1.0f - (e + e) / (1.0f + e);

	l = x < 0.0f ? -l : l;
	return a < vq_poly_tanh.limit ? s : l;
}

float vq_c_log(float x)
{
	uint32_t b = vq_c_bits(x), d = b - VQ_SQRT_HALF_BITS;
	uint32_t n = (d >> 23) | (d >> 31 ? 0xfffffe00u : 0u); /* arithmetic shift: the exponent */
	float f = (float)as_signed(n);
	float r = vq_c_float(b - (n << 23)) - 1.0f;
	float p = (r * r) * vq_c_poly(&vq_poly_log, r) + r;
	float v = (f * VQ_LN2_LO + p) + f * VQ_LN2_HI;

	v = x < VQ_LEAST_NORMAL ? -INFINITY : v;
	v = x <= -VQ_LEAST_NORMAL ? NAN : v;
	v = x > FLT_MAX ? x : v;
	return x == x ? v : x;
}

/* from 2^23 on every f32 is an integer */
float vq_c_rint(float x)
{
	float t = vq_c_flush(x), a = vq_c_abs(t);
	float m = (a + 0x1p23f) - 0x1p23f;
	float r = t < 0.0f ? -m : m;

	return a < 0x1p23f ? r : t;
}

/* magnitudes below 2^-100 count as 0: a denormal may compare as 0, and the branches differ there */
float vq_c_floor(float x)
{
	float t = vq_c_flush(x), r = vq_c_rint(t);

	return r > t ? r - 1.0f : r;
}

/* log2 of a normal positive double: atanh series on [sqrt(1/2), sqrt(2)), error below 1e-15 */
static double log2_f64(double x)
{
	uint64_t b, n;
	int64_t e;
	double m, s, u, p = 0.0;

	memcpy(&b, &x, sizeof b);
	n = (b - 0x3fe6a09e667f3bcdu) >> 52; /* bits of sqrt(1/2) */
	e = n >> 11 ? (int64_t)n - 4096 : (int64_t)n;
	b -= n << 52;
	memcpy(&m, &b, sizeof m);
	s = (m - 1.0) / (m + 1.0);
	u = s * s;
	for (int k = 23; k > 0; k -= 2) {
		p = p * u;
		p = p + 1.0 / k;
	}
	return (double)e + (2.0 * s * p) * VQ_LOG2E;
}

/* 2^x for |x| <= 1000: Taylor series of degree 18 on [-1/2, 1/2], error below 1e-15 */
static double exp2_f64(double x)
{
	double t = x + 0x1.8p52, n = t - 0x1.8p52, r = (x - n) * 0x1.62e42fefa39efp-1, p = 1.0;
	uint64_t b;

	for (int k = 18; k > 0; k--) {
		p = p * r;
		p = p / k;
		p = p + 1.0;
	}
	memcpy(&b, &p, sizeof b);
	b += (uint64_t)(int64_t)n << 52;
	memcpy(&p, &b, sizeof p);
	return p;
}

/* x^y where no exact form applies: constants and unusual exponents (docs/arithmetic.md) */
static float pow_general(float x, float y)
{
	float a = vq_c_abs(x), sign = 1.0f, h = y * 0.5f;
	double t, r;

	if (!(x == x) || !(y == y))
		return NAN;
	if (x < 0.0f && vq_c_floor(y) != y)
		return a > FLT_MAX || vq_c_abs(y) > FLT_MAX ? (y > 0.0f) == (a > 1.0f) ? INFINITY : 0.0f : NAN;
	if (x < 0.0f && vq_c_floor(h) != h)
		sign = -1.0f;
	if (a < VQ_TINY)
		return y > 0.0f ? 0.0f : INFINITY;
	if (a > FLT_MAX)
		return y > 0.0f ? sign * INFINITY : 0.0f;
	if (a == 1.0f)
		return sign;
	t = (double)y * log2_f64((double)a); /* infinite y: +-inf */
	if (t >= 128.0)
		return sign * INFINITY;
	if (t < -126.0)
		return 0.0f;
	r = exp2_f64(t);
	return sign * (r > (double)FLT_MAX ? INFINITY : (float)r);
}

float vq_c_pow(float x, float y)
{
	if (y == 0.0f)
		return 1.0f;
	if (y == 1.0f)
		return x;
	if (y == 2.0f)
		return x * x;
	if (y == 3.0f)
		return (x * x) * x;
	if (y == 0.5f)
		return sqrtf(x);
	if (y == -1.0f)
		return 1.0f / x;
	if (y == -0.5f)
		return 1.0f / sqrtf(x);
	return pow_general(x, y);
}

float vq_c_exp2_u8(float y) { return vq_c_poly(&vq_poly_exp2_u8, vq_c_max(y, vq_poly_exp2_u8.limit)); }

float vq_dither(uint32_t j)
{
	uint32_t v = 0;

	for (uint32_t i = 0; i < 8; i++)
		v |= (j >> i & 1u) << (7 - i);
	return (float)v * 0x1p-8f - 0.5f;
}

int32_t vq_c_softmax_code(float y, float dither)
{
	float v = vq_c_exp2_u8(y) + dither;

	v = vq_c_max(v, 0.0f);
	v = vq_c_min(v, 255.0f);
	return vq_c_round(v);
}

float vq_c_tree16(const float s[16])
{
	float t[16];

	memcpy(t, s, sizeof t);
	for (int w = 8; w; w /= 2)
		for (int i = 0; i < w; i++)
			t[i] = t[i] + t[i + w];
	return t[0];
}

float vq_c_merge_scale(float sx, float sw, float so) { return (float)((double)sx * (double)sw / (double)so); }

float vq_c_merge_bias(float bias, float so) { return vq_c_flush((float)((double)bias / (double)so)); }

float vq_c_score_scale(float scale, float sq, float sk)
{
	return (float)((double)scale * (double)sq * (double)sk * VQ_LOG2E);
}

float vq_c_score_factor(float scale) { return (float)((double)scale * VQ_LOG2E); }

bool vq_c_score_factor_fits(float scale) { return scale >= 0x1p-30f && scale <= 0x1p30f; }

float vq_c_score_dynamic(float sq, float sk, float factor)
{
	float c = (sq * sk) * factor;

	return vq_c_min(vq_c_max(c, VQ_TINY), 0x1p100f);
}

float vq_c_inverse(double v) { return (float)(1.0 / v); }
