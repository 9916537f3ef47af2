/* SPDX-License-Identifier: MIT */
/* Reductions, softmax and layernorm: the fixed order of sums, written out again. */
#include "eval_test.h"
#include "ir/contract.h"

static void sums_over_any_axes(void **state)
{
	static const struct {
		uint32_t axes;
		int n, dim[3];
		float want[6];
	} row[] = {
		{ 1, 6, { 2, 3, 0 }, { 6, 8, 10, 12, 14, 16 } },
		{ 2, 6, { 2, 3, 0 }, { 3, 5, 7, 15, 17, 19 } },
		{ 4, 4, { 2, 2, 0 }, { 3, 12, 21, 30 } },
		{ 5, 2, { 2, 0, 0 }, { 24, 42 } },
		{ 7, 1, { 1, 0, 0 }, { 66 } },
	};
	bench *b = *state;
	float x[12];

	for (int i = 0; i < 12; i++)
		x[i] = (float)i;
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		vq_attr attr = { .reduce = { .axes = row[i].axes } };
		vq_tensor in = tensor(b, VQ_F32, x, 2, 2, 3, 0);
		vq_tensor out = tensor(b, VQ_F32, NULL, row[i].dim[0], row[i].dim[1], row[i].dim[2], 0);

		assert_null(compute(b, VQ_OP_REDUCE_SUM, &attr, &in, 1, &out));
		assert_memory_equal(out.data, row[i].want, (size_t)row[i].n * sizeof(float));
	}
}

static void other_reductions(void **state)
{
	static const struct {
		vq_op op;
		float want[2];
	} row[] = {
		{ VQ_OP_REDUCE_MEAN, { 2.25f, 0.75f } },
		{ VQ_OP_REDUCE_MAX, { 4, 5 } },
		{ VQ_OP_REDUCE_MIN, { -1, -3 } },
		{ VQ_OP_REDUCE_PROD, { -24, -30 } },
	};
	bench *b = *state;
	vq_attr attr = { .reduce = { .axes = 2, .keepdims = true } };

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		vq_tensor in = tensor(b, VQ_F32, F32(4, 2, 3, -1, -3, -1, 2, 5), 2, 4, 0),
			  out = tensor(b, VQ_F32, NULL, 2, 1, 0);

		if (row[i].op == VQ_OP_REDUCE_MEAN)
			((float *)in.data)[3] = 0;
		if (row[i].op == VQ_OP_REDUCE_PROD)
			((float *)in.data)[5] = 1;
		assert_null(compute(b, row[i].op, &attr, &in, 1, &out));
		assert_memory_equal(out.data, row[i].want, sizeof row[i].want);
	}
}

static void maxima_ignore_nan(void **state)
{
	bench *b = *state;
	vq_attr attr = { .reduce = { .axes = 2 } };
	vq_tensor in = tensor(b, VQ_F32, F32(NAN, 2, 3, 3, NAN, 2), 2, 3, 0), out = tensor(b, VQ_F32, NULL, 2, 0);

	assert_null(compute(b, VQ_OP_REDUCE_MAX, &attr, &in, 1, &out));
	assert_f32(out, 3, 3);
	assert_null(compute(b, VQ_OP_REDUCE_MIN, &attr, &in, 1, &out));
	assert_f32(out, 2, 2);
}

static void integer_reductions(void **state)
{
	bench *b = *state;
	vq_attr attr = { .reduce = { .axes = 1 } };
	vq_tensor in = tensor(b, VQ_I64, I64(-7, 2, 3), 3, 0), out = tensor(b, VQ_I64, NULL, 1, 0);

	assert_null(compute(b, VQ_OP_REDUCE_PROD, &attr, &in, 1, &out));
	assert_ints(out, int64_t, -42);
	assert_null(compute(b, VQ_OP_REDUCE_MAX, &attr, &in, 1, &out));
	assert_ints(out, int64_t, 3);
	assert_null(compute(b, VQ_OP_REDUCE_MEAN, &attr, &in, 1, &out));
	assert_ints(out, int64_t, 0);
}

/* the sum of n f32 as docs/arithmetic.md says: lanes i % 16, then the tree, written without loops over widths */
static float lane_sum(const float *x, int n)
{
	float s[16] = { 0 };

	for (int i = 0; i < n; i++)
		s[i % 16] = s[i % 16] + x[i];
	for (int i = 0; i < 8; i++)
		s[i] = s[i] + s[i + 8];
	for (int i = 0; i < 4; i++)
		s[i] = s[i] + s[i + 4];
	s[0] = s[0] + s[2];
	s[1] = s[1] + s[3];
	return s[0] + s[1];
}

static void sums_run_in_lanes(void **state)
{
	enum { N = 197 };
	bench *b = *state;
	vq_attr attr = { .reduce = { .axes = 1 } };
	uint32_t seed = 2, differ = 0;

	for (int t = 0; t < 50; t++) {
		float x[N], want, plain = 0;
		vq_tensor in, out = tensor(b, VQ_F32, NULL, 1, 0);

		for (int i = 0; i < N; i++) {
			x[i] = random_f32(&seed, 100);
			plain = plain + x[i];
		}
		want = lane_sum(x, N);
		in = tensor(b, VQ_F32, x, N, 0);
		assert_null(compute(b, VQ_OP_REDUCE_SUM, &attr, &in, 1, &out));
		assert_memory_equal(out.data, &want, 4);
		differ += plain != want;
		assert_null(compute(b, VQ_OP_REDUCE_MEAN, &attr, &in, 1, &out));
		want = want * (float)(1.0 / (double)N);
		assert_memory_equal(out.data, &want, 4);
	}
	assert_true(differ > 10); /* the order is visible */
}

/* any axis; the same values along the last one give the same bits */
static void softmax_by_its_definition(void **state)
{
	enum { N = 50, M = 3 };
	bench *b = *state;
	uint32_t seed = 8;
	float x[M * N], t[N * M], want[M * N];
	vq_attr last = { .axis = { 1 } }, first = { .axis = { 0 } };
	vq_tensor in, out, it, ot;

	for (int r = 0; r < M; r++) {
		float most = -INFINITY, inverse;

		for (int i = 0; i < N; i++) {
			t[i * M + r] = x[r * N + i] = random_f32(&seed, 30);
			most = fmaxf(most, x[r * N + i]);
		}
		for (int i = 0; i < N; i++)
			want[r * N + i] = vq_c_exp(x[r * N + i] - most);
		inverse = 1.0f / lane_sum(want + r * N, N);
		for (int i = 0; i < N; i++)
			want[r * N + i] = vq_c_flush(want[r * N + i] * inverse);
	}
	in = tensor(b, VQ_F32, x, M, N, 0);
	out = tensor(b, VQ_F32, NULL, M, N, 0);
	assert_null(compute(b, VQ_OP_SOFTMAX, &last, &in, 1, &out));
	assert_memory_equal(out.data, want, sizeof want);
	it = tensor(b, VQ_F32, t, N, M, 0);
	ot = tensor(b, VQ_F32, NULL, N, M, 0);
	assert_null(compute(b, VQ_OP_SOFTMAX, &first, &it, 1, &ot));
	for (int r = 0; r < M; r++)
		for (int i = 0; i < N; i++)
			assert_memory_equal(&((float *)ot.data)[i * M + r], &want[r * N + i], 4);
}

/* transcribed from the description: two passes, lanes, tree; v = ((x - mean) * r) * g + b */
static void layernorm_ref(const float *x, int n, const float *g, const float *b, float eps, float *v)
{
	float s[16] = { 0 }, inv_n = (float)(1.0 / n), mean, var, r;

	mean = lane_sum(x, n) * inv_n;
	if (fabsf(mean) < 0x1p-100f)
		mean = 0;
	for (int i = 0; i < n; i++) {
		float d = x[i] - mean, q = d * d;

		s[i % 16] = s[i % 16] + (q < 0x1p-100f ? 0.0f : q);
	}
	var = lane_sum(s, 16) * inv_n;
	r = 1.0f / sqrtf(var + eps);
	for (int i = 0; i < n; i++) {
		float d = x[i] - mean, t = d * r, u = t * g[i];

		v[i] = u + b[i];
	}
}

static void layernorm_by_its_definition(void **state)
{
	enum { N = 100, ROWS = 6 };
	bench *b = *state;
	vq_attr attr = { .norm = { 1e-6f } };
	float x[ROWS * N], g[N], beta[N], v[N], gs[N], bs[N];
	uint32_t seed = 4, q = vq_quant_per_tensor(&b->g, 0.03f, -5, -128, 127);
	vq_tensor in[3], out = tensor(b, VQ_F32, NULL, ROWS, N, 0), c = codes(tensor(b, VQ_S8, NULL, ROWS, N, 0), q);

	for (int i = 0; i < ROWS * N; i++)
		x[i] = random_f32(&seed, 3) + 1;
	for (int i = 0; i < N; i++) {
		x[N + i] = 2;             /* constant */
		x[2 * N + i] *= 0x1p-70f; /* squares below the bound */
		x[3 * N + i] *= 0x1p70f;  /* squares overflow */
		x[4 * N + i] = i == 7 ? NAN : 1;
		g[i] = random_f32(&seed, 2);
		beta[i] = random_f32(&seed, 1);
		gs[i] = (float)((double)g[i] / (double)0.03f);
		bs[i] = (float)((double)beta[i] / (double)0.03f);
	}
	in[0] = tensor(b, VQ_F32, x, ROWS, N, 0);
	in[1] = tensor(b, VQ_F32, g, N, 0);
	in[2] = tensor(b, VQ_F32, beta, N, 0);
	assert_null(compute(b, VQ_OP_LAYERNORM, &attr, in, 3, &out));
	assert_null(compute(b, VQ_OP_LAYERNORM, &attr, in, 3, &c));
	for (int r = 0; r < ROWS; r++) {
		layernorm_ref(x + r * N, N, g, beta, 1e-6f, v);
		for (int i = 0; i < N; i++) {
			float got = ((float *)out.data)[r * N + i], want = vq_c_flush(v[i]);

			assert_true(isnan(want) ? isnan(got) : vq_c_bits(got) == vq_c_bits(want));
		}
		layernorm_ref(x + r * N, N, gs, bs, 1e-6f, v);
		for (int i = 0; i < N; i++)
			assert_int_equal(((int8_t *)c.data)[r * N + i], vq_c_quantize(v[i], -128, 127, -5));
	}
}

static void softmax_with_quantized_result(void **state)
{
	bench *b = *state;
	uint32_t q = vq_quant_per_tensor(&b->g, 1.0f / 256, -128, -128, 127);
	vq_attr attr = { .axis = { 0 } };
	vq_tensor in = tensor(b, VQ_F32, F32(0, 0, -INFINITY, -90), 4, 0), out = codes(tensor(b, VQ_S8, NULL, 4, 0), q);

	assert_null(compute(b, VQ_OP_SOFTMAX, &attr, &in, 1, &out));
	assert_ints(out, int8_t, 0, 0, -128, -128);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)
	const struct CMUnitTest tests[] = {
		TEST(sums_over_any_axes),
		TEST(other_reductions),
		TEST(maxima_ignore_nan),
		TEST(integer_reductions),
		TEST(sums_run_in_lanes),
		TEST(softmax_by_its_definition),
		TEST(layernorm_by_its_definition),
		TEST(softmax_with_quantized_result),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
