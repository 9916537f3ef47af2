/* SPDX-License-Identifier: MIT */
/* Movement by hand values, for elements of every size and for codes. */
#include "eval_test.h"

static void reshape_and_expand(void **state)
{
	bench *b = *state;
	vq_tensor in = tensor(b, VQ_I64, I64(1, 2, 3), 3, 1, 0), flat = tensor(b, VQ_I64, NULL, 3, 0);
	vq_tensor wide = tensor(b, VQ_I64, NULL, 2, 3, 2, 0);

	assert_null(compute(b, VQ_OP_RESHAPE, NULL, &in, 1, &flat));
	assert_ints(flat, int64_t, 1, 2, 3);
	assert_null(compute(b, VQ_OP_EXPAND, NULL, &in, 1, &wide));
	assert_ints(wide, int64_t, 1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3);
}

static void reshape_of_a_scalar(void **state)
{
	bench *b = *state;
	vq_tensor in = tensor(b, VQ_F32, F32(7), 0), out = tensor(b, VQ_F32, NULL, 1, 1, 0);

	assert_null(compute(b, VQ_OP_RESHAPE, NULL, &in, 1, &out));
	assert_f32(out, 7);
}

static void transpose_by_permutation(void **state)
{
	bench *b = *state;
	vq_attr attr = { .perm = { { 2, 0, 1 } } };
	vq_tensor in = tensor(b, VQ_U8, U8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11), 2, 2, 3, 0);
	vq_tensor out = tensor(b, VQ_U8, NULL, 3, 2, 2, 0);

	assert_null(compute(b, VQ_OP_TRANSPOSE, &attr, &in, 1, &out));
	assert_ints(out, uint8_t, 0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11);
}

static void slice_with_steps(void **state)
{
	bench *b = *state;
	vq_attr attr = { .slice = { .start = { 1, 3 }, .step = { 1, -2 }, .count = { 2, 2 } } };
	vq_tensor in = tensor(b, VQ_I32, I32(0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23), 3, 4, 0);
	vq_tensor out = tensor(b, VQ_I32, NULL, 2, 2, 0);

	assert_null(compute(b, VQ_OP_SLICE, &attr, &in, 1, &out));
	assert_ints(out, int32_t, 13, 11, 23, 21);
}

static void view_repeats_and_reverses(void **state)
{
	bench *b = *state;
	vq_attr attr = { .view = { .offset = 5, .dim = { 2, 3 }, .stride = { 0, -2 }, .rank = 2 } };
	vq_tensor in = tensor(b, VQ_F32, F32(0, 1, 2, 3, 4, 5), 6, 0), out = tensor(b, VQ_F32, NULL, 2, 3, 0);

	assert_null(compute(b, VQ_OP_VIEW, &attr, &in, 1, &out));
	assert_f32(out, 5, 3, 1, 5, 3, 1);
}

static void concat_along_the_middle(void **state)
{
	bench *b = *state;
	vq_attr attr = { .axis = { 1 } };
	vq_tensor in[3] = { tensor(b, VQ_F32, F32(1, 2, 3, 4), 2, 1, 2, 0),
		tensor(b, VQ_F32, F32(5, 6, 7, 8, 9, 10, 11, 12), 2, 2, 2, 0),
		tensor(b, VQ_F32, F32(13, 14, 15, 16), 2, 1, 2, 0) };
	vq_tensor out = tensor(b, VQ_F32, NULL, 2, 4, 2, 0);

	assert_null(compute(b, VQ_OP_CONCAT, &attr, in, 3, &out));
	assert_f32(out, 1, 2, 5, 6, 7, 8, 13, 14, 3, 4, 9, 10, 11, 12, 15, 16);
}

static void gather_along_an_axis(void **state)
{
	bench *b = *state;
	vq_attr rows = { .axis = { 0 } }, columns = { .axis = { 1 } };
	vq_tensor in[2] = { tensor(b, VQ_F32, F32(0, 1, 2, 10, 11, 12), 2, 3, 0),
		tensor(b, VQ_I64, I64(1, 0, 1), 3, 0) };
	vq_tensor c[2] = { in[0], tensor(b, VQ_I32, I32(2), 0) };
	vq_tensor out = tensor(b, VQ_F32, NULL, 3, 3, 0), column = tensor(b, VQ_F32, NULL, 2, 0);

	assert_null(compute(b, VQ_OP_GATHER, &rows, in, 2, &out));
	assert_f32(out, 10, 11, 12, 0, 1, 2, 10, 11, 12);
	assert_null(compute(b, VQ_OP_GATHER, &columns, c, 2, &column));
	assert_f32(column, 2, 12);
}

static void gather_checks_indices(void **state)
{
	bench *b = *state;
	vq_attr attr = { .axis = { 0 } };
	vq_tensor in[2] = { tensor(b, VQ_F32, NULL, 5, 0), tensor(b, VQ_I64, I64(0, 4, 1, 7), 4, 0) };
	vq_tensor low[2] = { in[0], tensor(b, VQ_I64, I64(-1), 1, 0) }, out = tensor(b, VQ_F32, NULL, 4, 0);

	assert_string_equal(compute(b, VQ_OP_GATHER, &attr, in, 2, &out), "index 7 at position 3 is outside [0, 5)");
	assert_string_equal(compute(b, VQ_OP_GATHER, &attr, low, 2, &out), "index -1 at position 0 is outside [0, 5)");
}

static void pad_of_values_and_codes(void **state)
{
	bench *b = *state;
	uint32_t q = vq_quant_per_tensor(&b->g, 0.5f, 3, -128, 127);
	vq_attr attr = { .pad = { .before = { 1, 0 }, .after = { 0, 2 }, .value = 2 } };
	vq_tensor f = tensor(b, VQ_F32, F32(1, 2, 3, 4), 2, 2, 0), fo = tensor(b, VQ_F32, NULL, 3, 4, 0);
	vq_tensor c = codes(tensor(b, VQ_S8, S8(1, 2, 3, 4), 2, 2, 0), q),
		  co = codes(tensor(b, VQ_S8, NULL, 3, 4, 0), q);

	assert_null(compute(b, VQ_OP_PAD, &attr, &f, 1, &fo));
	assert_f32(fo, 2, 2, 2, 2, 1, 2, 2, 2, 3, 4, 2, 2);
	assert_null(compute(b, VQ_OP_PAD, &attr, &c, 1, &co));
	assert_ints(co, int8_t, 7, 7, 7, 7, 1, 2, 7, 7, 3, 4, 7, 7); /* 2 / 0.5 + 3 */
}

/* scales move with their axis, codes stay what they are */
static void transpose_keeps_codes(void **state)
{
	static const float scale[] = { 1, 2 };
	static const int32_t zero[] = { 4000000, 0 };
	bench *b = *state;
	vq_quant q = { .bits = 8, .lo = -128, .hi = 127, .axis = 0, .n = 2, .scale = scale, .zero = zero };
	uint32_t before = vq_quant_add(&b->g, &q);
	vq_attr attr = { .perm = { { 1, 0 } } };
	vq_tensor in = codes(tensor(b, VQ_S8, S8(1, 2, 3, 4, 5, 6), 2, 3, 0), before), out;

	q.axis = 1;
	out = codes(tensor(b, VQ_S8, NULL, 3, 2, 0), vq_quant_add(&b->g, &q));
	assert_null(compute(b, VQ_OP_TRANSPOSE, &attr, &in, 1, &out));
	assert_ints(out, int8_t, 1, 4, 2, 5, 3, 6);
}

static void f32_moves_to_codes(void **state)
{
	bench *b = *state;
	uint32_t q = vq_quant_per_tensor(&b->g, 0.5f, 1, -128, 127);
	vq_tensor in = tensor(b, VQ_F32, F32(1, -2, 0.75f), 3, 0), out = codes(tensor(b, VQ_S8, NULL, 1, 3, 0), q);

	assert_null(compute(b, VQ_OP_RESHAPE, NULL, &in, 1, &out));
	assert_ints(out, int8_t, 3, -3, 3);
}

static void concat_of_two_scales_is_refused(void **state)
{
	bench *b = *state;
	uint32_t q1 = vq_quant_per_tensor(&b->g, 0.5f, 0, -128, 127), q2 = vq_quant_per_tensor(&b->g, 1, 0, -128, 127);
	vq_attr attr = { .axis = { 0 } };
	vq_tensor in[2] = { codes(tensor(b, VQ_S8, S8(3, 5), 2, 0), q1), codes(tensor(b, VQ_S8, S8(3, 5), 2, 0), q2) };
	vq_tensor out = codes(tensor(b, VQ_S8, NULL, 4, 0), q2);

	assert_string_equal(compute(b, VQ_OP_CONCAT, &attr, in, 2, &out), "operands 0 and 1 have different scales");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)
	const struct CMUnitTest tests[] = {
		TEST(reshape_and_expand),
		TEST(reshape_of_a_scalar),
		TEST(transpose_by_permutation),
		TEST(slice_with_steps),
		TEST(view_repeats_and_reverses),
		TEST(concat_along_the_middle),
		TEST(gather_along_an_axis),
		TEST(gather_checks_indices),
		TEST(pad_of_values_and_codes),
		TEST(transpose_keeps_codes),
		TEST(f32_moves_to_codes),
		TEST(concat_of_two_scales_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
