/* SPDX-License-Identifier: MIT */
/*
 * The arithmetic contract: the scalar f32 functions every target computes bit for bit, and their coefficients.
 *
 * docs/arithmetic.md gives formulas, error bounds and derivations; tests/tools/fit_contract.py made the coefficients.
 * Every operator in these functions is one f32 rounding (-ffp-contract=off); the order is that of the code in
 * ir/contract.c. The code generator emits the same operations and takes its coefficients from here.
 */
#ifndef VQ_IR_CONTRACT_H
#define VQ_IR_CONTRACT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * P(z)^(2^squarings), P(z) = ((c[n-1] z + c[n-2]) z + …) + c[0]: multiply, then add; then `p = p * p`, squarings times.
 * limit clamps the argument and means, per function, what is written beside it.
 */
typedef struct vq_poly {
	uint32_t n; /* coefficients */
	uint32_t squarings;
	float limit;
	float c[12];
} vq_poly;

extern const vq_poly vq_poly_exp2_u8;    /* 255 * 2^y = P(y)^32, y = max(y, limit), limit = -16 */
extern const vq_poly vq_poly_gelu;       /* max(x, 0) - z * P(z)^8, z = min(|x|, limit) */
extern const vq_poly vq_poly_gelu_tanh;  /* likewise */
extern const vq_poly vq_poly_gelu_quick; /* likewise */
extern const vq_poly vq_poly_silu;       /* likewise */
extern const vq_poly vq_poly_erf;        /* z * P(z * z)^2, z = max(min(x, limit), -limit) */
extern const vq_poly vq_poly_tanh;       /* |x| < limit: x * P(x * x); else by exp */
extern const vq_poly vq_poly_exp;        /* exp(r) = ((r * r) * P(r) + r) + 1; limit: largest |r|, not clamped */
extern const vq_poly vq_poly_log;        /* log(1 + r) = (r * r) * P(r) + r; limit unused */

#define VQ_MAGIC 12582912.0f     /* 1.5 * 2^23: v + VQ_MAGIC rounds |v| <= 2^22 to an integer, ties to even */
#define VQ_MAGIC_BITS 0x4b400000 /* its bits: bits(v + VQ_MAGIC) - VQ_MAGIC_BITS is that integer */
#define VQ_TINY 0x1p-100f        /* magnitudes below count as +0 where a denormal could matter */
#define VQ_LOG2E_F32 0x1.715476p+0f
#define VQ_LOG2E 0x1.71547652b82fep+0 /* double */
#define VQ_LN2_HI 0x1.62ep-1f         /* n * VQ_LN2_HI is exact for |n| < 2^12 */
#define VQ_LN2_LO 0x1.0bfbe8p-15f
#define VQ_EXP_MAX 0x1.62e42ep+6f    /* the largest f32 below ln(2^128): above, exp is +inf */
#define VQ_EXP_MIN -87.0f            /* below, exp is +0 */
#define VQ_SQRT_HALF_BITS 0x3f3504f3 /* bits of sqrt(1/2): where log splits mantissa and exponent */
#define VQ_LEAST_NORMAL 0x1p-126f    /* log of anything below it down to its negative is -inf */
enum { VQ_DITHER_PERIOD = 256 };

uint32_t vq_c_bits(float v);
float vq_c_float(uint32_t bits);

/* a < c ? a : c and a > c ? a : c: NaN in a gives c */
float vq_c_min(float a, float c);
float vq_c_max(float a, float c);
float vq_c_abs(float a);
/* |a| < 2^-100 ? +0 : a */
float vq_c_flush(float a);
/* v in [-2^22, 2^22] to the nearest integer, ties to even */
int32_t vq_c_round(float v);
/* round(clamp(v, lo - zero, hi - zero)) + zero; NaN counts as 0 */
int32_t vq_c_quantize(float v, int32_t lo, int32_t hi, int32_t zero);
/* P(z)^(2^squarings) */
float vq_c_poly(const vq_poly *p, float z);

float vq_c_gelu(float x);
float vq_c_gelu_tanh(float x);
float vq_c_gelu_quick(float x);
float vq_c_silu(float x);
float vq_c_erf(float x);
float vq_c_tanh(float x);
float vq_c_sigmoid(float x);
float vq_c_exp(float x);
float vq_c_log(float x);
float vq_c_rint(float x); /* to the nearest integer, ties to even; any size */
float vq_c_floor(float x);
float vq_c_pow(float x, float y);

/*
 * The code range of one row, chosen at run time: scale and zero point such that 0 is a code and [lo, hi] is covered. lo <= 0 <= hi
 * are the row's least and greatest element, or 0.
 */
#define VQ_LEAST_ROW_SCALE 0x1p-60f
typedef struct vq_row_scale {
	float scale, inv; /* in [2^-60, 2^94]; 1 / scale */
	int32_t zero;     /* in [-128, 127] */
} vq_row_scale;
vq_row_scale vq_c_row_scale(float lo, float hi);
/* The same with the zero point 0: codes -127..127. */
vq_row_scale vq_c_row_scale_symmetric(float lo, float hi);

/* 255 * 2^y for y <= 0, not rounded; NaN and y < -16 give the value at -16, which every dither rounds to 0 */
float vq_c_exp2_u8(float y);
/* Dither of key j: the base-2 van der Corput sequence of j mod 256, minus 1/2; a multiple of 1/256 in [-1/2, 1/2) */
float vq_dither(uint32_t j);
/* rne(clamp(255 * 2^y + dither, 0, 255)) */
int32_t vq_c_softmax_code(float y, float dither);

/* The fixed tree over 16 lanes: lanes i and i + 8, then + 4, + 2, + 1 */
float vq_c_tree16(const float s[16]);

/* Factors the compiler folds: computed in double, left to right, rounded once. */
float vq_c_merge_scale(float sx, float sw, float so);    /* sx * sw / so */
float vq_c_merge_bias(float bias, float so);             /* bias / so, flushed */
float vq_c_score_scale(float scale, float sq, float sk); /* scale * sq * sk * log2(e) */
float vq_c_score_factor(float scale);                    /* scale * log2(e), of attention_dynamic */
bool vq_c_score_factor_fits(float scale);                /* may attention_dynamic have this scale? */
/* (sq * sk) * factor, brought into [2^-100, 2^100]: what scales a row of scores when sq and sk are known at run time only */
float vq_c_score_dynamic(float sq, float sk, float factor);
float vq_c_inverse(double v); /* 1 / v */

#endif
