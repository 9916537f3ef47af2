/* SPDX-License-Identifier: MIT */
/*
 * The contract's functions against double references, every STRIDE-th f32 (VQ_TEST_STRIDE=1: all of them, some minutes),
 * with the bounds of docs/arithmetic.md, and their special values.
 */
#include "ir/contract.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t stride = 1999;

static double sigmoid_ref(double x) { return 1 / (1 + exp(-x)); }

static double gelu_ref(double x) { return 0.5 * x * erfc(-x * 0.70710678118654752440); }

static double gelu_tanh_ref(double x)
{
	return x * sigmoid_ref(2 * 0.79788456080286535588 * (x + 0.044715 * x * x * x));
}

static double gelu_quick_ref(double x) { return x * sigmoid_ref(1.702 * x); }

static double silu_ref(double x) { return x * sigmoid_ref(x); }

/*
 * The largest |f(x) - ref(x)| / unit over finite x in [lo, hi], unit = max(1, |x|) or |ref(x)|; results whose reference
 * is below 2^-100 or beyond the largest f32 do not count as relative errors.
 */
static double worst(float f(float), double ref(double), float lo, float hi, bool relative)
{
	double most = 0;

	for (uint64_t b = 0; b < 1ull << 32; b += stride) {
		float x = vq_c_float((uint32_t)b);
		double r, e, unit;

		if (!(x >= lo && x <= hi) || !isfinite(x))
			continue;
		r = ref((double)x);
		if (fabs(r) > (double)FLT_MAX || (relative && fabs(r) < 0x1p-100))
			continue;
		unit = relative ? fabs(r) : fmax(1, fabs((double)x));
		e = fabs((double)f(x) - r) / unit;
		most = e > most ? e : most;
	}
	return most;
}

static void functions_keep_their_bounds(void **state)
{
	static const struct {
		const char *name;
		float (*f)(float);
		double (*ref)(double);
		double bound;    /* relative to max(1, |x|), of all finite x */
		double relative; /* 0: not promised */
		float lo, hi;    /* of the relative bound */
	} row[] = {
		{ "gelu", vq_c_gelu, gelu_ref, 7.4e-7, 0, 0, 0 },
		{ "gelu_tanh", vq_c_gelu_tanh, gelu_tanh_ref, 8.0e-7, 0, 0, 0 },
		{ "gelu_quick", vq_c_gelu_quick, gelu_quick_ref, 1.85e-6, 0, 0, 0 },
		{ "silu", vq_c_silu, silu_ref, 1.95e-6, 0, 0, 0 },
		{ "erf", vq_c_erf, erf, 1.7e-6, 4.2e-6, -FLT_MAX, FLT_MAX },
		{ "tanh", vq_c_tanh, tanh, 1.2e-7, 2.3e-7, -FLT_MAX, FLT_MAX },
		{ "sigmoid", vq_c_sigmoid, sigmoid_ref, 9.5e-8, 3.1e-7, -69, FLT_MAX },
		{ "exp", vq_c_exp, exp, INFINITY, 1.9e-7, -69, FLT_MAX },
		{ "log", vq_c_log, log, INFINITY, 2.5e-7, FLT_MIN, FLT_MAX },
		{ "floor", vq_c_floor, floor, 0, 0, 0, 0 },
		{ "rint", vq_c_rint, rint, 0, 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		double e = row[i].bound < (double)INFINITY
			? worst(row[i].f, row[i].ref, row[i].f == vq_c_floor ? 0 : -FLT_MAX, FLT_MAX, false)
			: 0;
		double r = row[i].relative > 0 ? worst(row[i].f, row[i].ref, row[i].lo, row[i].hi, true) : 0;

		print_message("%-10s error / max(1, |x|) %.3g, relative %.3g\n", row[i].name, e, r);
		assert_true(e <= row[i].bound);
		assert_true(r <= row[i].relative || row[i].relative == 0);
	}
}

static void special_values(void **state)
{
	static const float inf = INFINITY;

	(void)state;
	assert_true(vq_c_exp(-87.1f) == 0 && vq_c_exp(89) == inf && vq_c_exp(inf) == inf && vq_c_exp(-inf) == 0);
	assert_true(vq_c_exp(0) == 1 && isnan(vq_c_exp(NAN)));
	assert_true(vq_c_sigmoid(0) == 0.5f && vq_c_sigmoid(inf) == 1 && vq_c_sigmoid(-inf) == 0 &&
		isnan(vq_c_sigmoid(NAN)));
	assert_true(vq_c_tanh(inf) == 1 && vq_c_tanh(-inf) == -1 && isnan(vq_c_tanh(NAN)));
	assert_true(
		fabsf(vq_c_erf(inf) - 1) < 4e-6f && vq_c_erf(-inf) == -vq_c_erf(inf) && vq_c_erf(NAN) == vq_c_erf(inf));
	assert_true(vq_c_log(1) == 0 && vq_c_log(0) == -inf && vq_c_log(1e-40f) == -inf && vq_c_log(-1e-40f) == -inf);
	assert_true(isnan(vq_c_log(-1)) && isnan(vq_c_log(-inf)) && vq_c_log(inf) == inf && isnan(vq_c_log(NAN)));
	assert_true(vq_c_floor(-0.5f) == -1 && vq_c_floor(-1e-40f) == 0 && vq_c_floor(8388607.5f) == 8388607.0f);
	assert_true(vq_c_floor(-3e9f) == -3e9f && vq_c_floor(-inf) == -inf && isnan(vq_c_floor(NAN)));
	assert_true(vq_c_rint(-1.5f) == -2 && vq_c_rint(0.5f) == 0 && vq_c_rint(8388606.5f) == 8388606.0f);
	assert_true(vq_c_rint(3e9f) == 3e9f && vq_c_rint(-inf) == -inf && isnan(vq_c_rint(NAN)));
	/* +0 at both zeros; the tail beyond the clamp is a small constant */
	assert_int_equal(vq_c_bits(vq_c_gelu(-0.0f)), 0);
	assert_int_equal(vq_c_bits(vq_c_silu(0.0f)), 0);
	assert_true(vq_c_gelu(inf) == inf && vq_c_gelu(-inf) == vq_c_gelu(-5) && fabsf(vq_c_gelu(-inf)) < 2.5e-6f);
	assert_true(vq_c_gelu(NAN) == vq_c_gelu(-inf) && vq_c_silu(NAN) == vq_c_silu(-inf));
	assert_true(fabsf(vq_c_silu(-inf)) < 2.3e-5f && fabsf(vq_c_gelu_quick(-inf)) < 1.3e-5f);
}

static void integers_of_every_small_step(void **state)
{
	(void)state;
	for (int i = -40000; i <= 40000; i++) {
		float x = (float)i * 0.0625f;

		assert_true(vq_c_floor(x) == floorf(x) && vq_c_rint(x) == rintf(x));
	}
	for (float x = 0x1p20f; x < 0x1p25f; x = x * 1.01f + 0.5f) {
		assert_true(vq_c_floor(x) == floorf(x) && vq_c_floor(-x) == floorf(-x));
		assert_true(vq_c_rint(x) == rintf(x) && vq_c_rint(-x) == rintf(-x));
	}
}

static void pow_against_double(void **state)
{
	double most = 0;

	(void)state;
	for (float x = 0x1p-99f; x < 0x1p99f; x *= 1.73f)
		for (float y = -9.1f; y < 9; y += 0.37f) {
			double r = pow((double)x, (double)y);

			if (r < 0x1p-100 || r > (double)FLT_MAX)
				continue;
			most = fmax(most, fabs((double)vq_c_pow(x, y) / r - 1));
		}
	print_message("pow        relative %.3g\n", most);
	assert_true(most < 6.1e-8); /* half an ulp and a little */
	assert_true(vq_c_pow(-2, 5) == -32 && vq_c_pow(-2, 4) == 16 && vq_c_pow(10, 6) == 1e6f);
	assert_true(isnan(vq_c_pow(-2, 0.3f)) && vq_c_pow(0, 1.5f) == 0 && vq_c_pow(0, -1.5f) == INFINITY);
	assert_true(vq_c_pow(2, 300) == INFINITY && vq_c_pow(2, -300) == 0 && vq_c_pow(NAN, 0) == 1);
	assert_true(isnan(vq_c_pow(NAN, 1.5f)) && vq_c_pow(1, INFINITY) == 1 && vq_c_pow(0.5f, INFINITY) == 0);
	assert_true(vq_c_pow(INFINITY, 1.5f) == INFINITY && vq_c_pow(-INFINITY, 5) == -INFINITY);
}

/* 255 * 2^y: within 0.001 before rounding down to y = -16, 1 % relative in the tail, 0 below */
static void softmax_codes(void **state)
{
	double error = 0, relative = 0;
	uint64_t differ = 0, all = 0, rises = 0;
	int32_t last = 255;

	(void)state;
	for (uint64_t b = 0x80000000u; b <= 0xc1800000u; b += stride) {
		float y = vq_c_float((uint32_t)b), v = vq_c_exp2_u8(y);
		double want = 255 * exp2((double)y);
		int32_t code = vq_c_softmax_code(y, 0);

		error = fmax(error, fabs((double)v - want));
		relative = fmax(relative, fabs((double)v / want - 1));
		assert_true(abs(code - (int)rint(want)) <= 1);
		differ += code != (int)rint(want);
		rises += code > last;
		last = code;
		all++;
	}
	print_message("255 * 2^y  error %.3g codes, relative %.3g; %llu of %llu codes differ, %llu order violations\n",
		error, relative, (unsigned long long)differ, (unsigned long long)all, (unsigned long long)rises);
	assert_true(error < 9.0e-4 && relative < 7.5e-3);
	assert_true(rises <= 1); /* one pair of neighbouring f32 among all 1.1e9 */
	for (uint32_t j = 0; j < VQ_DITHER_PERIOD; j++) {
		assert_int_equal(vq_c_softmax_code(-16, vq_dither(j)), 0);
		assert_int_equal(vq_c_softmax_code(-INFINITY, vq_dither(j)), 0);
		assert_int_equal(vq_c_softmax_code(NAN, vq_dither(j)), 0);
		assert_in_range(vq_c_softmax_code(0, vq_dither(j)), 254, 255);
	}
}

/* Scores are integers times a factor: on such grids the codes never rise as the score falls */
static void softmax_codes_keep_the_order_of_scores(void **state)
{
	(void)state;
	for (float c = 0x1p-12f; c < 1; c *= 1.37f)
		for (uint32_t j = 0; j < VQ_DITHER_PERIOD; j += 51) {
			int32_t last = 256;

			for (int a = 0; (float)a * c < 16.5f; a++) {
				int32_t code = vq_c_softmax_code((float)-a * c, vq_dither(j));

				assert_true(code <= last);
				last = code;
			}
		}
}

static void dither_is_van_der_corput(void **state)
{
	double sum = 0;

	(void)state;
	assert_true(vq_dither(0) == -0.5f && vq_dither(1) == 0 && vq_dither(2) == -0.25f && vq_dither(3) == 0.25f);
	assert_true(
		vq_dither(255) == 0.49609375f && vq_dither(256) == -0.5f && vq_dither(1000) == vq_dither(1000 % 256));
	for (uint32_t j = 0; j < VQ_DITHER_PERIOD; j++)
		sum += (double)vq_dither(j);
	assert_true(sum == -0.5); /* mean -1/512 */
}

static void rounding_is_to_even(void **state)
{
	static const float v[] = { 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 126.5f, -127.5f, 4194303.5f, -4194303.5f,
		0.49999997f };

	(void)state;
	for (size_t i = 0; i < sizeof v / sizeof *v; i++)
		assert_int_equal(vq_c_round(v[i]), (int32_t)rintf(v[i]));
	for (uint64_t b = 0; b < 1ull << 32; b += stride) {
		float x = vq_c_float((uint32_t)b);

		if (fabsf(x) <= 0x1p22f)
			assert_int_equal(vq_c_round(x), (int32_t)rintf(x));
	}
}

static void quantize_clamps_first(void **state)
{
	(void)state;
	assert_int_equal(vq_c_quantize(NAN, -128, 127, 3), 3);
	assert_int_equal(vq_c_quantize(INFINITY, -128, 127, 3), 127);
	assert_int_equal(vq_c_quantize(-INFINITY, -127, 127, 3), -127);
	assert_int_equal(vq_c_quantize(3e38f, -128, 127, 0), 127);
	assert_int_equal(vq_c_quantize(0.5f, -128, 127, 1), 1); /* the tie is of v, not of v + zero */
	assert_int_equal(vq_c_quantize(4194000.0f, -128, 127, -4194048), -48);
	assert_int_equal(vq_c_quantize(-1e9f, -128, 127, 4194048), -128);
}

static void tree_is_8_4_2_1(void **state)
{
	float s[16] = { 0 };

	(void)state;
	/* 0 + 8 cancels before lane 4 joins: any other tree loses the 1 */
	s[0] = 0x1p30f, s[8] = -0x1p30f, s[4] = 1;
	assert_true(vq_c_tree16(s) == 1);
	s[0] = 0x1p30f, s[8] = 0, s[4] = 1, s[12] = 0, s[1] = -0x1p30f;
	assert_true(vq_c_tree16(s) == 0);
}

static void flush_keeps_what_counts(void **state)
{
	(void)state;
	assert_int_equal(vq_c_bits(vq_c_flush(-0.0f)), 0);
	assert_int_equal(vq_c_bits(vq_c_flush(-0x1.fffffep-101f)), 0);
	assert_true(vq_c_flush(0x1p-100f) == 0x1p-100f && isnan(vq_c_flush(NAN)) && vq_c_flush(-INFINITY) == -INFINITY);
}

static void folded_factors_round_once(void **state)
{
	(void)state;
	assert_true(vq_c_merge_scale(0.1f, 0.3f, 0.7f) == (float)((double)0.1f * (double)0.3f / (double)0.7f));
	assert_true(vq_c_merge_bias(1, 3) == (float)(1.0 / 3.0) && vq_c_merge_bias(1e-30f, 1e30f) == 0);
	assert_true(vq_c_score_scale(0.125f, 1, 1) == 0x1.715476p-3f && vq_c_inverse(3) == (float)(1.0 / 3.0));
}

int main(void)
{
	const char *every = getenv("VQ_TEST_STRIDE");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions_keep_their_bounds),
		cmocka_unit_test(special_values),
		cmocka_unit_test(integers_of_every_small_step),
		cmocka_unit_test(pow_against_double),
		cmocka_unit_test(softmax_codes),
		cmocka_unit_test(softmax_codes_keep_the_order_of_scores),
		cmocka_unit_test(dither_is_van_der_corput),
		cmocka_unit_test(rounding_is_to_even),
		cmocka_unit_test(quantize_clamps_first),
		cmocka_unit_test(tree_is_8_4_2_1),
		cmocka_unit_test(flush_keeps_what_counts),
		cmocka_unit_test(folded_factors_round_once),
	};

	if (every && strtoull(every, NULL, 10))
		stride = strtoull(every, NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
