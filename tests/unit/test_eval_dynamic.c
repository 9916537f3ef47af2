/* SPDX-License-Identifier: MIT */
/* quantize_dynamic, linear_dynamic and matmul_dynamic in the evaluator: numbers worked out by hand, bounds, and what rows may hold. */
#include "ir/contract.h"
#include "ir/exec.h"
#include "ir/text.h"
#include "tests/unit/eval_test.h"

static void quantize(bench *b, const float *x, int rows, int n, int8_t *code, float *row)
{
	vq_tensor in = tensor(b, VQ_F32, x, rows, n, 0);
	vq_tensor out[2] = { tensor(b, VQ_S8, NULL, rows, n, 0), tensor(b, VQ_F32, NULL, rows, 2, 0) };

	assert_null(compute(b, VQ_OP_QUANTIZE_DYNAMIC, NULL, &in, 1, out));
	memcpy(code, out[0].data, (size_t)(rows * n));
	memcpy(row, out[1].data, (size_t)rows * 8);
}

static void rows_by_hand(void **state)
{
	/* clang-format off */
	static const float x[] = {
		-1.0f, 0.0f, 1.55f, 0.5f,      /* 0.01 per code: zero point -128 + 100 */
		0.0f, 0.0f, 0.0f, 0.0f,        /* nothing to scale */
		0.0f, 255.0f, 127.5f, 2.5f,    /* no negative element: zero point -128; ties to even */
		-255.0f, -1.0f, -0.0f, -254.0f,
	};
	static const int8_t want[] = { -128, -28, 127, 22, -128, -128, -128, -128, -128, 127, 0, -126, -128, 126, 127, -127 };
	static const float zeros[] = { -28, -128, -128, 127 };
	int8_t code[16];
	float row[8];
	/* clang-format on */

	quantize(*state, x, 4, 4, code, row);
	assert_memory_equal(code, want, sizeof want);
	for (int r = 0; r < 4; r++)
		assert_true(row[2 * r + 1] == zeros[r]);
	assert_true(fabsf(row[0] - 0.01f) < 1e-8f);
	assert_true(row[2] == VQ_LEAST_ROW_SCALE);
	assert_true(row[4] == 255.0f * (1.0f / 255.0f));
}

static void odd_rows(void **state)
{
	/* clang-format off */
	static const float x[] = {
		NAN, -1.0f, 1.55f, NAN,            /* NaN is no part of the range and counts as 0 */
		INFINITY, 1.0f, -1.0f, -INFINITY,  /* the range ends at 2^100 */
		INFINITY, 0x1p99f, 0.0f, 0.0f,
		3e38f, -3e38f, 0.0f, 1.0f,
		0x1p-140f, -0x1p-130f, 0.0f, -0.0f,
	};
	static const int8_t want[] = { -28, -128, 127, -28, 127, -1, -1, -128, 127, -1, -128, -128, 127, -128, -1, -1, -128, -128, -128, -128 };
	int8_t code[20];
	float row[10];
	/* clang-format on */

	quantize(*state, x, 5, 4, code, row);
	assert_memory_equal(code, want, sizeof want);
	for (int r = 0; r < 5; r++)
		assert_true(row[2 * r] >= VQ_LEAST_ROW_SCALE && row[2 * r] <= 0x1p94f);
}

/* every element comes back to within half a step, 0 exactly */
static void half_a_step(void **state)
{
	enum { ROWS = 300, N = 40 };
	static float x[ROWS * N], row[2 * ROWS];
	static int8_t code[ROWS * N];
	uint32_t seed = 3;

	for (int i = 0; i < ROWS * N; i++) {
		float size = ldexpf(1.0f, i / N % 60 - 30);

		x[i] = i % 7 ? random_f32(&seed, size) + (i / N % 5 == 1 ? size : 0) : 0.0f;
	}
	quantize(*state, x, ROWS, N, code, row);
	for (int i = 0; i < ROWS * N; i++) {
		double scale = (double)row[i / N * 2], zero = (double)row[i / N * 2 + 1];

		/* the zero point is rounded: an end of the range may be half a step beyond the codes */
		assert_true(fabs((code[i] - zero) * scale - (double)x[i]) <= scale * 0.5001);
		assert_true(x[i] != 0.0f || code[i] == (int8_t)zero);
	}
}

/* groups of a row, and rows that share a scale */
static void parts_by_hand(void **state)
{
	/* clang-format off */
	static const float x[] = {
		1.27f, -0.5f,   2.0f, 254.0f,
		-0.3f,  0.0f,  -508.0f, 1.0f,
		 0.0f,  0.0f,   1.0f, 127.0f,
		 0.0f,  0.0f,   2.0f, 3.0f,
	};
	static const int8_t shared[] = { 127, -50, 0, 64, -30, 0, -127, 0, 0, 0, 1, 127, 0, 0, 2, 3 };
	static const int8_t alone[] = { 127, -50, 1, 127, -127, 0, -127, 0, 0, 0, 1, 127, 0, 0, 85, 127 };
	bench *b = *state;
	vq_tensor in = tensor(b, VQ_F32, x, 2, 2, 4, 0);
	vq_tensor out[2] = { tensor(b, VQ_S8, NULL, 2, 2, 4, 0), tensor(b, VQ_F32, NULL, 2, 1, 4, 0) };
	vq_attr a = { .dynamic = { .groups = 2, .span = 1, .symmetric = true } };
	const float *row = out[1].data;
	/* clang-format on */

	assert_null(compute(b, VQ_OP_QUANTIZE_DYNAMIC, &a, &in, 1, out));
	assert_memory_equal(out[0].data, shared, sizeof shared);
	assert_true(fabsf(row[0] - 0.01f) < 1e-8f && fabsf(row[2] - 4.0f) < 1e-6f && row[4] == VQ_LEAST_ROW_SCALE &&
		row[6] == 1.0f);
	assert_true(row[1] == 0 && row[3] == 0 && row[5] == 0 && row[7] == 0);
	a.dynamic.span = 0;
	out[1] = tensor(b, VQ_F32, NULL, 2, 2, 4, 0);
	assert_null(compute(b, VQ_OP_QUANTIZE_DYNAMIC, &a, &in, 1, out));
	assert_memory_equal(out[0].data, alone, sizeof alone);
	a = (vq_attr){ .dynamic = { .span = 2 } };
	out[1] = tensor(b, VQ_F32, NULL, 1, 1, 2, 0);
	assert_null(compute(b, VQ_OP_QUANTIZE_DYNAMIC, &a, &in, 1, out));
	assert_true(((float *)out[1].data)[0] == (254.0f + 508.0f) * (1.0f / 255.0f));
	assert_int_equal(((int8_t *)out[0].data)[3], 127);
	assert_int_equal(((int8_t *)out[0].data)[6], -128);
}

/* With scales that are powers of two nothing is rounded: the same as attention with these scales in the types. */
static void attention(void **state)
{
	enum { N = 3, M = 5, H = 2, D = 4 };
	bench *b = *state;
	int8_t code[3][M * H * D];
	static const float scale[3][H] = { { 0.5f, 0.25f }, { 0.125f, 2.0f }, { 0.25f, 0x1p-7f } };
	uint32_t seed = 5;
	vq_attr a = { .attention = { .heads = H, .scale = 0x1p-9f } };
	vq_tensor in[4], pairs[7], out = tensor(b, VQ_F32, NULL, 1, N, H * D, 0),
				   want = tensor(b, VQ_F32, NULL, 1, N, H * D, 0);

	for (int i = 0; i < 3; i++) {
		int rows = i ? M : N;
		vq_quant q = {
			.bits = 8, .lo = -127, .hi = 127, .axis = 2, .n = H, .scale = scale[i], .zero = I32(0, 0)
		};
		float *row;

		for (int j = 0; j < rows * H * D; j++)
			code[i][j] = (int8_t)random_f32(&seed, 127.0f);
		pairs[2 * i] = tensor(b, VQ_S8, code[i], 1, rows, H * D, 0);
		in[i] = codes(tensor(b, VQ_S8, code[i], 1, rows, H * D, 0), vq_quant_add(&b->g, &q));
		pairs[2 * i + 1] = tensor(b, VQ_F32, NULL, 1, i ? 1 : N, 2 * H, 0);
		row = pairs[2 * i + 1].data;
		for (int j = 0; j < (i ? 1 : N) * H; j++)
			row[2 * j] = scale[i][j % H];
	}
	in[3] = pairs[6] = tensor(b, VQ_F32, F32(0, 1, 2, 0, -1), 1, 1, 1, M, 0);
	assert_null(compute(b, VQ_OP_ATTENTION, &a, in, 3, &want));
	assert_null(compute(b, VQ_OP_ATTENTION_DYNAMIC, &a, pairs, 6, &out));
	assert_memory_equal(out.data, want.data, N * H * D * sizeof(float));
	assert_null(compute(b, VQ_OP_ATTENTION, &a, in, 4, &want));
	assert_null(compute(b, VQ_OP_ATTENTION_DYNAMIC, &a, pairs, 7, &out));
	assert_memory_equal(out.data, want.data, N * H * D * sizeof(float));
	/* a row of q twice as large scores as with twice the scale */
	((float *)pairs[1].data)[0] *= 2;
	assert_null(compute(b, VQ_OP_ATTENTION_DYNAMIC, &a, pairs, 7, &out));
	assert_memory_not_equal(out.data, want.data, D * sizeof(float));
	assert_memory_equal((float *)out.data + D, (float *)want.data + D, (N * H - 1) * D * sizeof(float));
}

/* any two scales give a factor that scores can take */
static void score_factor(void **state)
{
	static const float s[] = { VQ_LEAST_ROW_SCALE, 0x1p-40f, 0.01f, 1.0f, 0x1p50f, 0x1p94f };

	(void)state;
	for (int i = 0; i < 6; i++)
		for (int j = 0; j < 6; j++) {
			float c = vq_c_score_dynamic(s[i], s[j], vq_c_score_factor(i % 2 ? 0x1p-30f : 0.125f));

			assert_true(c >= VQ_TINY && c <= 0x1p100f);
		}
	assert_true(vq_c_score_dynamic(0.5f, 0.25f, 2.0f) == 0.25f);
}

static void linear(void **state)
{
	bench *b = *state;
	static const float scale[] = { 0.5f, 2.0f };
	vq_quant q = { .bits = 8, .lo = -127, .hi = 127, .axis = 0, .n = 2, .scale = scale, .zero = I32(0, 0) };
	vq_tensor in[4] = {
		tensor(b, VQ_S8, S8(-128, 0, 127, 10, 10, 10), 2, 3, 0),
		tensor(b, VQ_F32, F32(0.25f, -128.0f, 4.0f, 9.0f), 2, 2, 0),
		codes(tensor(b, VQ_S8, S8(1, 2, 3, -127, 0, 127), 2, 3, 0), vq_quant_add(&b->g, &q)),
		tensor(b, VQ_F32, F32(1.0f, 0x1p-101f), 2, 0),
	};
	vq_tensor out = tensor(b, VQ_F32, NULL, 2, 2, 0);

	/* row 0: x - zero = 0, 128, 255; row 1: 1, 1, 1 */
	assert_null(compute(b, VQ_OP_LINEAR_DYNAMIC, NULL, in, 4, &out));
	assert_f32(out, (256 + 765) * 0.25f * 0.5f + 1.0f, 255 * 127 * 0.25f * 2.0f, 6 * 4.0f * 0.5f + 1.0f, 0.0f);
	assert_null(compute(b, VQ_OP_LINEAR_DYNAMIC, NULL, in, 3, &out));
	assert_f32(out, (256 + 765) * 0.25f * 0.5f, 255 * 127 * 0.25f * 2.0f, 6 * 4.0f * 0.5f, 0.0f);
	/* weights with zero points: 0, 1, 2 and -128, -1, 126 */
	q.zero = I32(1, 1);
	in[2] = codes(tensor(b, VQ_S8, S8(1, 2, 3, -127, 0, 127), 2, 3, 0), vq_quant_add(&b->g, &q));
	assert_null(compute(b, VQ_OP_LINEAR_DYNAMIC, NULL, in, 3, &out));
	assert_f32(
		out, (128 + 510) * 0.25f * 0.5f, (255 * 126 - 128) * 0.25f * 2.0f, 3 * 4.0f * 0.5f, -3 * 4.0f * 2.0f);
}

static void matmul(void **state)
{
	bench *b = *state;
	vq_attr a = { .matmul = { .trans_b = true } };
	vq_tensor in[4] = {
		tensor(b, VQ_S8, S8(-128, 0, 127, 10, 10, 10), 2, 1, 3, 0), /* two batch elements of one row */
		tensor(b, VQ_F32, F32(0.25f, -128.0f, 4.0f, 9.0f), 2, 1, 2, 0),
		tensor(b, VQ_S8, S8(1, 2, 3, -127, 0, 127), 2, 3, 0),
		tensor(b, VQ_F32, F32(0.5f, 0.0f, 2.0f, 0.0f), 2, 2, 0),
	};
	vq_tensor out = tensor(b, VQ_F32, NULL, 2, 1, 2, 0);

	assert_null(compute(b, VQ_OP_MATMUL_DYNAMIC, &a, in, 4, &out));
	assert_f32(out, (256 + 765) * 0.25f * 0.5f, 255 * 127 * 0.25f * 2.0f, 6 * 4.0f * 0.5f, 0.0f);
	/* columns that are summed over have one scale */
	a.matmul.trans_b = false;
	in[2] = tensor(b, VQ_S8, S8(1, -127, 2, 0, 3, 127), 3, 2, 0);
	in[3] = tensor(b, VQ_F32, F32(0.5f, 0.0f), 1, 2, 0);
	assert_null(compute(b, VQ_OP_MATMUL_DYNAMIC, &a, in, 4, &out));
	assert_f32(out, (256 + 765) * 0.25f * 0.5f, 255 * 127 * 0.25f * 0.5f, 6 * 4.0f * 0.5f, 0.0f);
	/* a quantized result; one scale for all rows of the left operand */
	in[1] = tensor(b, VQ_F32, F32(0.25f, -128.0f), 1, 1, 2, 0);
	out = codes(tensor(b, VQ_S8, NULL, 2, 1, 2, 0), vq_quant_per_tensor(&b->g, 4.0f, 1, -128, 127));
	assert_null(compute(b, VQ_OP_MATMUL_DYNAMIC, &a, in, 4, &out));
	assert_int_equal(((int8_t *)out.data)[0], 33); /* 127.625 / 4 + 1 */
	assert_int_equal(((int8_t *)out.data)[1], 127);
	assert_int_equal(((int8_t *)out.data)[2], 27); /* 6 * 138 / 8 / 4 + 1, to even */
	assert_int_equal(((int8_t *)out.data)[3], 1);
}

/* what the text form of a product of codes must not say */
static void matmul_refused(void **state)
{
	static const char *const line[][2] = {
		{ "%1 = matmul_dynamic %c, %r, %d, %s", "expected one scale per matrix" },
		{ "%1 = matmul_dynamic %c, %r, %d, %s trans_a trans_b", "the left operand is transposed" },
		{ "%1 = matmul_dynamic %c, %r, %c, %r trans_b", "codes of the right operand are not symmetric" },
		{ "%1 = matmul_dynamic %c, %s, %d, %s trans_b",
			"neither the results of one quantize_dynamic nor constants" },
		{ "%1 = matmul_dynamic @w, @bad, %d, %s trans_b",
			"scale 1 of constant codes is 0, expected 2^-60 to 2^94" },
		{ "%1 = matmul_dynamic @w, @odd, %d, %s trans_b",
			"zero point 1 of constant codes is 0.5, expected an integer" },
		{ "%1 = matmul_dynamic %c, %r, @w, @skew trans_b", "zero point 0 of constant codes is 3, expected 0" },
		{ "%1 = matmul_dynamic %c, %r, @w, @good trans_b",
			"constant codes that are to be symmetric contain -128" },
		{ "%1 = matmul_dynamic %c, %r, @w, @few trans_b", "the rows of the right operand are" },
	};
	bench *b = *state;

	for (size_t i = 0; i < sizeof line / sizeof *line; i++) {
		vq_diag diag;
		vq_graph g;
		const char *text = vq_arena_printf(&b->arena,
			"graph f(x: f32[2,2]) {\n"
			"  const @w : s8[2,2] = inline [1, 2, -128, 4]\n"
			"  const @good : f32[2,2] = inline [1, 0, 2, 0]\n"
			"  const @bad : f32[2,2] = inline [1, 0, 0, 0]\n"
			"  const @odd : f32[2,2] = inline [1, 0, 1, 0.5]\n"
			"  const @skew : f32[2,2] = inline [1, 3, 1, 0]\n"
			"  const @few : f32[2,1] = inline [1, 3]\n"
			"  %%c, %%r = quantize_dynamic %%x : s8[2,2], f32[2,2]\n"
			"  %%d, %%s = quantize_dynamic %%x symmetric : s8[2,2], f32[2,2]\n"
			"  %s\n  return %%1\n}\n",
			line[i][0]);

		vq_diag_init(&diag, &b->arena, "test.vir");
		assert_false(vq_parse_graph(&g, &b->arena, &diag, text, strlen(text), "."));
		if (!strstr(diag.item[0].text, line[i][1]))
			fail_msg("'%s' does not say '%s'", diag.item[0].text, line[i][1]);
	}
}

static void overflow(void **state)
{
	enum { K = 70000 };
	bench *b = *state;
	static int8_t x[K], w[K];
	vq_tensor in[3], out = tensor(b, VQ_F32, NULL, 1, 1, 0);
	const char *wrong;

	memset(x, 127, K);
	memset(w, 127, K);
	in[0] = tensor(b, VQ_S8, x, 1, K, 0);
	in[1] = tensor(b, VQ_F32, F32(1.0f, -128.0f), 1, 2, 0);
	in[2] = codes(tensor(b, VQ_S8, w, 1, K, 0), vq_quant_per_tensor(&b->g, 1.0f, 0, -127, 127));
	wrong = compute(b, VQ_OP_LINEAR_DYNAMIC, NULL, in, 3, &out);
	assert_non_null(wrong);
	assert_non_null(strstr(wrong, "accumulator overflow"));
}

/* text in, executed: both results are values of the graph */
static void in_a_graph(void **state)
{
	static const char text[] = "quant #1 = axis 0 [0x1p-7, 0x1p-6] [0, 0] -127:127\n"
				   "graph f(x: f32[2,2]) {\n"
				   "  const @w : s8<#1>[2,2] = inline [64, 32, -127, 127]\n"
				   "  %c, %r = quantize_dynamic %x : s8[2,2], f32[2,2]\n"
				   "  %y = linear_dynamic %c, %r, @w\n"
				   "  return %y as \"y\", %r as \"r\", %c as \"c\"\n"
				   "}\n";
	bench *b = *state;
	vq_graph g;
	vq_exec *e;
	float y[4], r[4];
	int8_t c[4];

	assert_true(vq_parse_graph(&g, &b->arena, &b->diag, text, sizeof text - 1, "."));
	e = vq_evaluator.prepare(&vq_evaluator, &g, NULL, 0);
	assert_non_null(e);
	assert_true(vq_evaluator.run(
		e, (const void *[]){ F32(1.0f, 2.0f, -255.0f, 0.0f) }, (void *[]){ y, r, c }, NULL, NULL));
	vq_evaluator.dispose(e);
	assert_true(r[1] == -128.0f && r[3] == 127.0f);
	assert_int_equal(c[1], 127);
	assert_int_equal(c[2], -128);
	assert_true(fabsf(y[0] - 1.0f) < 0.01f && fabsf(y[1] - 127.0f / 64) < 0.01f);
	assert_true(y[2] == r[2] * -255.0f * 64 * 0x1p-7f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rows_by_hand, bench_begin, bench_end),
		cmocka_unit_test_setup_teardown(odd_rows, bench_begin, bench_end),
		cmocka_unit_test_setup_teardown(half_a_step, bench_begin, bench_end),
		cmocka_unit_test_setup_teardown(parts_by_hand, bench_begin, bench_end),
		cmocka_unit_test_setup_teardown(attention, bench_begin, bench_end),
		cmocka_unit_test(score_factor),
		cmocka_unit_test_setup_teardown(linear, bench_begin, bench_end),
		cmocka_unit_test_setup_teardown(matmul, bench_begin, bench_end),
		cmocka_unit_test_setup_teardown(matmul_refused, bench_begin, bench_end),
		cmocka_unit_test_setup_teardown(overflow, bench_begin, bench_end),
		cmocka_unit_test_setup_teardown(in_a_graph, bench_begin, bench_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
