/* SPDX-License-Identifier: MIT */
/* Elementwise operators by hand values: f32, integers, bool, casts, broadcasting, quantized operands and results. */
#include "eval_test.h"

static void add_broadcasts_both_ways(void **state)
{
	bench *b = *state;
	vq_tensor in[2] = { tensor(b, VQ_F32, F32(1, 2), 2, 1, 0), tensor(b, VQ_F32, F32(10, 20, 30), 3, 0) };
	vq_tensor out = tensor(b, VQ_F32, NULL, 2, 3, 0);

	assert_null(compute(b, VQ_OP_ADD, NULL, in, 2, &out));
	assert_f32(out, 11, 21, 31, 12, 22, 32);
}

static void middle_dimension_repeats(void **state)
{
	bench *b = *state;
	vq_tensor in[2] = { tensor(b, VQ_F32, F32(0, 1, 2, 3, 4, 5, 6, 7), 2, 2, 2, 0),
		tensor(b, VQ_F32, F32(10, 20, 30, 40), 2, 1, 2, 0) };
	vq_tensor out = tensor(b, VQ_F32, NULL, 2, 2, 2, 0);

	assert_null(compute(b, VQ_OP_SUB, NULL, in, 2, &out));
	assert_f32(out, -10, -19, -8, -17, -26, -35, -24, -33);
}

static void f32_results_are_flushed(void **state)
{
	bench *b = *state;
	vq_tensor in[2] = { tensor(b, VQ_F32, F32(0x1p-60f, -0x1p-60f, 0x1p-50f, -1), 4, 0),
		tensor(b, VQ_F32, F32(0x1p-60f, 0x1p-60f, 0x1p-50f, 0), 4, 0) };
	vq_tensor out = tensor(b, VQ_F32, NULL, 4, 0);

	assert_null(compute(b, VQ_OP_MUL, NULL, in, 2, &out));
	assert_f32(out, 0, 0, 0x1p-100f, 0); /* bits: +0, also for -1 * 0 */
}

static void unary_f32(void **state)
{
	static const struct {
		vq_op op;
		float want[4]; /* of -2.5, 0, 0.25, 4 */
	} row[] = {
		{ VQ_OP_NEG, { 2.5f, 0, -0.25f, -4 } },
		{ VQ_OP_ABS, { 2.5f, 0, 0.25f, 4 } },
		{ VQ_OP_RELU, { 0, 0, 0.25f, 4 } },
		{ VQ_OP_FLOOR, { -3, 0, 0, 4 } },
		{ VQ_OP_ROUND, { -2, 0, 0, 4 } },
		{ VQ_OP_RECIP, { -0.4f, INFINITY, 4, 0.25f } },
	};
	bench *b = *state;

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		vq_tensor in = tensor(b, VQ_F32, F32(-2.5f, 0, 0.25f, 4), 4, 0), out = tensor(b, VQ_F32, NULL, 4, 0);

		assert_null(compute(b, row[i].op, NULL, &in, 1, &out));
		assert_memory_equal(out.data, row[i].want, sizeof row[i].want);
	}
}

static void pow_has_exact_forms(void **state)
{
	static const float exponent[] = { 0, 1, 2, 3, 0.5f, -1, -0.5f };
	bench *b = *state;
	float x = 1.7f, want[] = { 1, x, x * x, (x * x) * x, sqrtf(x), 1 / x, 1 / sqrtf(x) };
	vq_tensor in[2] = { tensor(b, VQ_F32, &x, 1, 0), tensor(b, VQ_F32, exponent, 7, 0) };
	vq_tensor out = tensor(b, VQ_F32, NULL, 7, 0);

	assert_null(compute(b, VQ_OP_POW, NULL, in, 2, &out));
	assert_memory_equal(out.data, want, sizeof want);
}

static void integers_wrap_and_truncate(void **state)
{
	static const struct {
		vq_op op;
		int64_t want[4];
	} row[] = {
		{ VQ_OP_ADD, { INT64_MIN, -4, 4, -4 } },
		{ VQ_OP_SUB, { INT64_MAX - 1, -10, 10, -10 } },
		{ VQ_OP_MUL, { INT64_MAX, -21, -21, -21 } },
		{ VQ_OP_DIV, { INT64_MAX, -2, -2, -2 } },
		{ VQ_OP_MOD, { 0, 2, -2, 2 } }, /* sign of the divisor */
		{ VQ_OP_MIN, { 1, -7, -3, -7 } },
		{ VQ_OP_MAX, { INT64_MAX, 3, 7, 3 } },
	};
	bench *b = *state;

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		vq_tensor in[2] = { tensor(b, VQ_I64, I64(INT64_MAX, -7, 7, -7), 4, 0),
			tensor(b, VQ_I64, I64(1, 3, -3, 3), 4, 0) };
		vq_tensor out = tensor(b, VQ_I64, NULL, 4, 0);

		assert_null(compute(b, row[i].op, NULL, in, 2, &out));
		assert_memory_equal(out.data, row[i].want, sizeof row[i].want);
	}
}

static void i32_wraps_at_32_bits(void **state)
{
	bench *b = *state;
	vq_tensor in[2] = { tensor(b, VQ_I32, I32(INT32_MAX, INT32_MIN), 2, 0), tensor(b, VQ_I32, I32(1, -1), 2, 0) };
	vq_tensor out = tensor(b, VQ_I32, NULL, 2, 0);

	assert_null(compute(b, VQ_OP_ADD, NULL, in, 2, &out));
	assert_ints(out, int32_t, INT32_MIN, INT32_MAX);
	assert_null(compute(b, VQ_OP_DIV, NULL, in, 2, &out));
	assert_ints(out, int32_t, INT32_MAX, INT32_MIN);
}

static void integer_pow(void **state)
{
	bench *b = *state;
	vq_tensor in[2] = { tensor(b, VQ_I64, I64(3, -2, 2, -1, 1), 5, 0),
		tensor(b, VQ_I64, I64(4, 3, -1, -3, -9), 5, 0) };
	vq_tensor out = tensor(b, VQ_I64, NULL, 5, 0);

	assert_null(compute(b, VQ_OP_POW, NULL, in, 2, &out));
	assert_ints(out, int64_t, 81, -8, 0, -1, 1);
}

static void division_by_zero_is_zero(void **state)
{
	bench *b = *state;
	vq_tensor in[2] = { tensor(b, VQ_I64, I64(7, -7, 0, INT64_MIN, INT64_MIN), 5, 0),
		tensor(b, VQ_I64, I64(0, 0, -3, 0, -1), 5, 0) };
	vq_tensor out = tensor(b, VQ_I64, NULL, 5, 0);

	assert_null(compute(b, VQ_OP_DIV, NULL, in, 2, &out));
	assert_ints(out, int64_t, 0, 0, 0, 0, INT64_MIN);
	assert_null(compute(b, VQ_OP_MOD, NULL, in, 2, &out));
	assert_ints(out, int64_t, 7, -7, 0, INT64_MIN, 0);
	assert_null(compute(b, VQ_OP_POW, NULL, (vq_tensor[]){ in[1], in[0] }, 2, &out));
	assert_ints(out, int64_t, 0, 0, 1, 0, 1);
}

static void comparisons_and_logic(void **state)
{
	bench *b = *state;
	vq_tensor f[2] = { tensor(b, VQ_F32, F32(1, 2, NAN, 1e-40f), 4, 0),
		tensor(b, VQ_F32, F32(2, 2, NAN, 0), 4, 0) };
	vq_tensor i[2] = { tensor(b, VQ_I64, I64(-1, 5, 5, 7), 4, 0), tensor(b, VQ_I64, I64(5), 1, 0) };
	vq_tensor c[2] = { tensor(b, VQ_BOOL, U8(0, 0, 1, 1), 4, 0), tensor(b, VQ_BOOL, U8(0, 1, 0, 1), 4, 0) };
	vq_tensor out = tensor(b, VQ_BOOL, NULL, 4, 0);

	assert_null(compute(b, VQ_OP_LESS, NULL, f, 2, &out));
	assert_ints(out, uint8_t, 1, 0, 0, 0);
	assert_null(compute(b, VQ_OP_EQUAL, NULL, f, 2, &out));
	assert_ints(out, uint8_t, 0, 1, 0, 1); /* a denormal equals 0 */
	assert_null(compute(b, VQ_OP_LESS, NULL, i, 2, &out));
	assert_ints(out, uint8_t, 1, 0, 0, 0);
	assert_null(compute(b, VQ_OP_AND, NULL, c, 2, &out));
	assert_ints(out, uint8_t, 0, 0, 0, 1);
	assert_null(compute(b, VQ_OP_OR, NULL, c, 2, &out));
	assert_ints(out, uint8_t, 0, 1, 1, 1);
	assert_null(compute(b, VQ_OP_NOT, NULL, c, 1, &out));
	assert_ints(out, uint8_t, 1, 1, 0, 0);
}

static void where_broadcasts(void **state)
{
	bench *b = *state;
	vq_tensor in[3] = { tensor(b, VQ_BOOL, U8(1, 0, 1), 3, 0), tensor(b, VQ_F32, F32(1, 2), 2, 1, 0),
		tensor(b, VQ_F32, F32(9), 1, 0) };
	vq_tensor n[3] = { in[0], tensor(b, VQ_I64, I64(1, 2, 3), 3, 0), tensor(b, VQ_I64, I64(-1), 1, 0) };
	vq_tensor out = tensor(b, VQ_F32, NULL, 2, 3, 0), ints = tensor(b, VQ_I64, NULL, 3, 0);

	assert_null(compute(b, VQ_OP_WHERE, NULL, in, 3, &out));
	assert_f32(out, 1, 9, 1, 2, 9, 2);
	assert_null(compute(b, VQ_OP_WHERE, NULL, n, 3, &ints));
	assert_ints(ints, int64_t, 1, -1, 3);
}

static void casts_from_f32_are_clamped(void **state)
{
	bench *b = *state;
	vq_tensor in = tensor(b, VQ_F32, F32(NAN, -1e30f, 1e30f, -1.9f, 300.5f), 5, 0);
	vq_tensor i64 = tensor(b, VQ_I64, NULL, 5, 0), i32 = tensor(b, VQ_I32, NULL, 5, 0);
	vq_tensor u8 = tensor(b, VQ_U8, NULL, 5, 0), s8 = tensor(b, VQ_S8, NULL, 5, 0),
		  yes = tensor(b, VQ_BOOL, NULL, 5, 0);

	assert_null(compute(b, VQ_OP_CAST, NULL, &in, 1, &i64));
	assert_ints(i64, int64_t, 0, INT64_MIN, INT64_MAX, -1, 300);
	assert_null(compute(b, VQ_OP_CAST, NULL, &in, 1, &i32));
	assert_ints(i32, int32_t, 0, INT32_MIN, INT32_MAX, -1, 300);
	assert_null(compute(b, VQ_OP_CAST, NULL, &in, 1, &u8));
	assert_ints(u8, uint8_t, 0, 0, 255, 0, 255);
	assert_null(compute(b, VQ_OP_CAST, NULL, &in, 1, &s8));
	assert_ints(s8, int8_t, 0, -128, 127, -1, 127);
	assert_null(compute(b, VQ_OP_CAST, NULL, &in, 1, &yes));
	assert_ints(yes, uint8_t, 1, 1, 1, 1, 1);
}

static void casts_of_integers_wrap(void **state)
{
	bench *b = *state;
	vq_tensor in = tensor(b, VQ_I64, I64(0x1ffffffffll, -1, 256, 16777217), 4, 0);
	vq_tensor i32 = tensor(b, VQ_I32, NULL, 4, 0), u8 = tensor(b, VQ_U8, NULL, 4, 0);
	vq_tensor yes = tensor(b, VQ_BOOL, NULL, 4, 0), f = tensor(b, VQ_F32, NULL, 4, 0);

	assert_null(compute(b, VQ_OP_CAST, NULL, &in, 1, &i32));
	assert_ints(i32, int32_t, -1, -1, 256, 16777217);
	assert_null(compute(b, VQ_OP_CAST, NULL, &in, 1, &u8));
	assert_ints(u8, uint8_t, 255, 255, 0, 1);
	assert_null(compute(b, VQ_OP_CAST, NULL, &in, 1, &yes));
	assert_ints(yes, uint8_t, 1, 1, 1, 1);
	assert_null(compute(b, VQ_OP_CAST, NULL, &in, 1, &f));
	assert_f32(f, 8589934591.0f, -1, 256, 16777216);
}

static void mixed_elements_are_refused(void **state)
{
	bench *b = *state;
	vq_tensor in[2] = { tensor(b, VQ_F32, F32(1), 1, 0), tensor(b, VQ_I64, I64(1), 1, 0) };
	vq_tensor c[2] = { tensor(b, VQ_BOOL, U8(1), 1, 0), tensor(b, VQ_BOOL, U8(1), 1, 0) };
	vq_tensor out = tensor(b, VQ_F32, NULL, 1, 0), yes = tensor(b, VQ_BOOL, NULL, 1, 0);

	assert_string_equal(compute(b, VQ_OP_ADD, NULL, in, 2, &out), "add has no meaning for elements of type f32");
	assert_string_equal(compute(b, VQ_OP_ADD, NULL, c, 2, &yes), "add has no meaning for elements of type bool");
	assert_string_equal(
		compute(b, VQ_OP_GELU, NULL, &in[1], 1, &out), "gelu has no meaning for elements of type i64");
}

/* codes read as (code - zero) * scale; the result is y * f32(1/so), rounded half to even */
static void quantized_operands_and_result(void **state)
{
	bench *b = *state;
	uint32_t qi = vq_quant_per_tensor(&b->g, 0.25f, 2, -128, 127),
		 qo = vq_quant_per_tensor(&b->g, 0.5f, -3, -128, 127);
	vq_tensor in[2] = { codes(tensor(b, VQ_S8, S8(2, 3, 4, 5, 7), 5, 0), qi), tensor(b, VQ_F32, F32(0), 1, 0) };
	vq_tensor out = codes(tensor(b, VQ_S8, NULL, 5, 0), qo);

	assert_null(compute(b, VQ_OP_ADD, NULL, in, 2, &out));
	assert_ints(out, int8_t, -3, -3, -2, -1, -1); /* 0, 0.5, 1, 1.5, 2.5 halves up and down to even */
}

static void quantize_and_dequantize_per_axis(void **state)
{
	static const float scale[] = { 1, 2 };
	static const int32_t zero[] = { 0, 1 };
	bench *b = *state;
	vq_quant q = { .bits = 8, .lo = -127, .hi = 127, .axis = 1, .n = 2, .scale = scale, .zero = zero };
	uint32_t id = vq_quant_add(&b->g, &q);
	vq_tensor x = tensor(b, VQ_F32, F32(1, 200, 1, 3, NAN, -500, 254, -INFINITY), 2, 4, 0);
	vq_tensor c = codes(tensor(b, VQ_S8, NULL, 2, 4, 0), id), y = tensor(b, VQ_F32, NULL, 2, 4, 0);

	assert_null(compute(b, VQ_OP_QUANTIZE, NULL, &x, 1, &c));
	assert_ints(c, int8_t, 1, 127, 1, 3, 0, -127, 127, -127); /* 0.5 and 1.5 round to 0 and 2, plus zero point 1 */
	assert_null(compute(b, VQ_OP_DEQUANTIZE, NULL, &c, 1, &y));
	assert_f32(y, 1, 127, 0, 4, 0, -127, 252, -256);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)
	const struct CMUnitTest tests[] = {
		TEST(add_broadcasts_both_ways),
		TEST(middle_dimension_repeats),
		TEST(f32_results_are_flushed),
		TEST(unary_f32),
		TEST(pow_has_exact_forms),
		TEST(integers_wrap_and_truncate),
		TEST(i32_wraps_at_32_bits),
		TEST(integer_pow),
		TEST(division_by_zero_is_zero),
		TEST(comparisons_and_logic),
		TEST(where_broadcasts),
		TEST(casts_from_f32_are_clamped),
		TEST(casts_of_integers_wrap),
		TEST(mixed_elements_are_refused),
		TEST(quantized_operands_and_result),
		TEST(quantize_and_dequantize_per_axis),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
