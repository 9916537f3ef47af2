/* SPDX-License-Identifier: MIT */
/* Sums of products: f32 order of additions, integer products against int64, convolution against its definition. */
#include "eval_test.h"
#include "ir/contract.h"

#include <stdlib.h>

static void fill_f32(vq_tensor *t, uint32_t *seed)
{
	for (int64_t i = 0; i < vq_type_count(&t->type); i++)
		((float *)t->data)[i] = random_f32(seed, 2);
}

static void fill_codes(vq_tensor *t, uint32_t *seed, int lo, int hi)
{
	for (int64_t i = 0; i < vq_type_count(&t->type); i++)
		((int8_t *)t->data)[i] = (int8_t)(lo + (int)(next_random(seed) % (uint32_t)(hi - lo + 1)));
}

/* acc = acc + a * b, two roundings, k ascending, then the bias */
static void linear_adds_in_order(void **state)
{
	enum { M = 3, N = 37, K = 101 };
	bench *b = *state;
	uint32_t seed = 1;
	vq_tensor in[3] = { tensor(b, VQ_F32, NULL, M, K, 0), tensor(b, VQ_F32, NULL, N, K, 0),
		tensor(b, VQ_F32, NULL, N, 0) };
	vq_tensor out = tensor(b, VQ_F32, NULL, M, N, 0);
	const float *x, *w, *c;

	for (int i = 0; i < 3; i++)
		fill_f32(&in[i], &seed);
	x = in[0].data, w = in[1].data, c = in[2].data;
	assert_null(compute(b, VQ_OP_LINEAR, NULL, in, 3, &out));
	for (int m = 0; m < M; m++)
		for (int n = 0; n < N; n++) {
			volatile float acc = 0, p;

			for (int k = 0; k < K; k++) {
				p = x[m * K + k] * w[n * K + k];
				acc = acc + p;
			}
			acc = acc + c[n];
			assert_memory_equal(&((float *)out.data)[m * N + n], &(float){ acc }, 4);
		}
}

/* 1e8 + 1 - 1e8 in this order is 0: a sum in another order, or in double, would give 1 */
static void linear_rounds_each_step(void **state)
{
	bench *b = *state;
	vq_tensor in[2] = { tensor(b, VQ_F32, F32(1e8f, 1, -1e8f), 1, 3, 0), tensor(b, VQ_F32, F32(1, 1, 1), 1, 3, 0) };
	vq_tensor out = tensor(b, VQ_F32, NULL, 1, 1, 0);

	assert_null(compute(b, VQ_OP_LINEAR, NULL, in, 2, &out));
	assert_f32(out, 0);
}

static void matmul_transposes_and_broadcasts(void **state)
{
	enum { B = 3, H = 2, M = 4, N = 5, K = 6 };
	bench *b = *state;

	for (int form = 0; form < 4; form++) {
		vq_attr attr = { .matmul = { .trans_a = form & 1, .trans_b = form >> 1 } };
		uint32_t seed = 7;
		vq_tensor in[2] = { form & 1 ? tensor(b, VQ_F32, NULL, B, 1, K, M, 0)
					     : tensor(b, VQ_F32, NULL, B, 1, M, K, 0),
			form & 2 ? tensor(b, VQ_F32, NULL, H, N, K, 0) : tensor(b, VQ_F32, NULL, H, K, N, 0) };
		vq_tensor out = tensor(b, VQ_F32, NULL, B, H, M, N, 0);
		const float *x, *w;

		fill_f32(&in[0], &seed);
		fill_f32(&in[1], &seed);
		x = in[0].data, w = in[1].data;
		assert_null(compute(b, VQ_OP_MATMUL, &attr, in, 2, &out));
		for (int i = 0; i < B * H * M * N; i++) {
			int n = i % N, m = i / N % M, h = i / N / M % H, o = i / N / M / H;
			float acc = 0;

			for (int k = 0; k < K; k++) {
				float p = x[o * M * K + (form & 1 ? k * M + m : m * K + k)] *
					w[h * K * N + (form & 2 ? n * K + k : k * N + n)];

				acc = acc + p;
			}
			assert_memory_equal(&((float *)out.data)[i], &acc, 4);
		}
	}
}

/* v = float(acc) * m + c, code = rne(clamp(v)) + zo, written out again from docs/ir.md */
static int8_t code_of(int64_t acc, double sx, double sw, double bias, double so, int zo, int lo, int hi)
{
	float m = (float)(sx * sw / so), c = (float)(bias / so), v = (float)acc * m;

	v = v + c;
	v = v > (float)(lo - zo) ? v : (float)(lo - zo);
	v = v < (float)(hi - zo) ? v : (float)(hi - zo);
	return (int8_t)((int)rintf(v) + zo);
}

static void integer_linear_against_int64(void **state)
{
	enum { M = 5, N = 19, K = 130 };
	static const int zeros[][2] = { { 0, 0 }, { -7, 0 }, { 4000000, 0 }, { -128, 5 } };
	bench *b = *state;
	uint32_t seed = 3;
	float sw[N], bias[N];
	int32_t zw[N];

	for (size_t z = 0; z < sizeof zeros / sizeof *zeros; z++) {
		bool huge = zeros[z][0] > 1000;
		uint32_t qx = vq_quant_per_tensor(&b->g, 0.017f, zeros[z][0], -128, 127);
		uint32_t qo = vq_quant_per_tensor(&b->g, huge ? 700.0f : 0.6f, 11, -128, 127);
		vq_quant q = { .bits = 8, .lo = -127, .hi = 127, .axis = 0, .n = N, .scale = sw, .zero = zw };
		vq_tensor in[3], out = codes(tensor(b, VQ_S8, NULL, M, N, 0), qo), f = tensor(b, VQ_F32, NULL, M, N, 0);

		for (int n = 0; n < N; n++) {
			sw[n] = 0.01f + 0.001f * (float)n;
			zw[n] = zeros[z][1] ? n % 3 : 0;
			bias[n] = (float)n - 9;
		}
		in[0] = codes(tensor(b, VQ_S8, NULL, M, K, 0), qx);
		in[1] = codes(tensor(b, VQ_S8, NULL, N, K, 0), vq_quant_add(&b->g, &q));
		in[2] = tensor(b, VQ_F32, bias, N, 0);
		fill_codes(&in[0], &seed, -128, 127);
		fill_codes(&in[1], &seed, huge ? -1 : -127, huge ? 1 : 127);
		assert_null(compute(b, VQ_OP_LINEAR, NULL, in, 3, &out));
		assert_null(compute(b, VQ_OP_LINEAR, NULL, in, 3, &f));
		for (int i = 0; i < M * N; i++) {
			const int8_t *x = (int8_t *)in[0].data + i / N * K, *w = (int8_t *)in[1].data + i % N * K;
			int64_t acc = 0;
			float v;

			for (int k = 0; k < K; k++)
				acc += (int64_t)(x[k] - zeros[z][0]) * (w[k] - zw[i % N]);
			assert_int_equal(((int8_t *)out.data)[i],
				code_of(acc, 0.017f, sw[i % N], bias[i % N], huge ? 700.0f : 0.6f, 11, -128, 127));
			v = (float)acc * (float)((double)0.017f * (double)sw[i % N]);
			v = v + bias[i % N];
			assert_memory_equal(&((float *)f.data)[i], &v, 4);
		}
	}
}

static void accumulator_overflow_is_reported(void **state)
{
	enum { K = 400 };
	bench *b = *state;
	uint32_t qx = vq_quant_per_tensor(&b->g, 1, 4000000, -128, 127),
		 qw = vq_quant_per_tensor(&b->g, 1, 0, -127, 127);
	vq_tensor in[2] = { codes(tensor(b, VQ_S8, NULL, 1, K, 0), qx), codes(tensor(b, VQ_S8, NULL, 1, K, 0), qw) };
	vq_tensor out = tensor(b, VQ_F32, NULL, 1, 1, 0);

	memset(in[1].data, 127, K);
	assert_string_equal(compute(b, VQ_OP_LINEAR, NULL, in, 2, &out),
		"accumulator overflow: -203200000000 at position 0 does not fit 32 bits");
}

static void scales_out_of_bounds_are_refused(void **state)
{
	bench *b = *state;
	uint32_t q = vq_quant_per_tensor(&b->g, 0x1p-60f, 0, -127, 127);
	vq_tensor in[2] = { codes(tensor(b, VQ_S8, S8(1), 1, 1, 0), q), codes(tensor(b, VQ_S8, S8(1), 1, 1, 0), q) };
	vq_tensor out = tensor(b, VQ_F32, NULL, 1, 1, 0);

	assert_string_equal(
		compute(b, VQ_OP_LINEAR, NULL, in, 2, &out), "merged scale 0x1p-120 is outside [2^-100, 2^100]");
}

static void integer_matmul_with_zero_points(void **state)
{
	enum { H = 3, M = 4, N = 18, K = 33 };
	static const float sa[H] = { 0.01f, 0.02f, 0.03f };
	static const int32_t za[H] = { 0, -5, 9 };
	bench *b = *state;
	uint32_t seed = 5, qb = vq_quant_per_tensor(&b->g, 0.5f, -17, -128, 127),
		 qo = vq_quant_per_tensor(&b->g, 3, 2, -128, 127);
	vq_quant q = { .bits = 8, .lo = -128, .hi = 127, .axis = 1, .n = H, .scale = sa, .zero = za };
	vq_attr attr = { .matmul = { .trans_b = true } };
	vq_tensor in[2] = { codes(tensor(b, VQ_S8, NULL, 1, H, M, K, 0), vq_quant_add(&b->g, &q)),
		codes(tensor(b, VQ_S8, NULL, 1, H, N, K, 0), qb) };
	vq_tensor out = codes(tensor(b, VQ_S8, NULL, 1, H, M, N, 0), qo);

	fill_codes(&in[0], &seed, -128, 127);
	fill_codes(&in[1], &seed, -128, 127);
	assert_null(compute(b, VQ_OP_MATMUL, &attr, in, 2, &out));
	for (int i = 0; i < H * M * N; i++) {
		int h = i / N / M;
		const int8_t *x = (int8_t *)in[0].data + i / N * K, *w = (int8_t *)in[1].data + (h * N + i % N) * K;
		int64_t acc = 0;

		for (int k = 0; k < K; k++)
			acc += (x[k] - za[h]) * (w[k] + 17);
		assert_int_equal(((int8_t *)out.data)[i], code_of(acc, sa[h], 0.5, 0, 3, 2, -128, 127));
	}
}

/* one kind of conv by its definition, taps in order channel, row, column */
static void check_conv(bench *b, bool integer, int group)
{
	enum { B = 2, C = 4, O = 6, IH = 7, IW = 8, KH = 3, KW = 2, OH = 4, OW = 3 };
	int per = C / group;
	vq_attr attr = { .conv = { .stride = { 2, 3 },
				 .dilation = { 1, 2 },
				 .before = { 1, 0 },
				 .after = { 1, 1 },
				 .group = group } };
	uint32_t seed = 11, qx = vq_quant_per_tensor(&b->g, 0.1f, 300, -128, 127),
		 qw = vq_quant_per_tensor(&b->g, 0.2f, 0, -127, 127);
	vq_tensor in[3] = { tensor(b, integer ? VQ_S8 : VQ_F32, NULL, B, C, IH, IW, 0),
		tensor(b, integer ? VQ_S8 : VQ_F32, NULL, O, per, KH, KW, 0),
		tensor(b, VQ_F32, F32(1, 2, 3, 4, 5, 6), O, 0) };
	vq_tensor out = tensor(b, VQ_F32, NULL, B, O, OH, OW, 0);

	if (integer) {
		in[0] = codes(in[0], qx), in[1] = codes(in[1], qw);
		fill_codes(&in[0], &seed, -128, 127);
		fill_codes(&in[1], &seed, -127, 127);
	} else {
		fill_f32(&in[0], &seed);
		fill_f32(&in[1], &seed);
	}
	assert_null(compute(b, VQ_OP_CONV, &attr, in, 3, &out));
	for (int i = 0; i < B * O * OH * OW; i++) {
		int x = i % OW, y = i / OW % OH, o = i / OW / OH % O, n = i / OW / OH / O;
		int64_t sum = 0;
		float acc = 0, v;

		for (int c = 0; c < per; c++)
			for (int t = 0; t < KH * KW; t++) {
				int h = y * 2 - 1 + t / KW, w = x * 3 + t % KW * 2;
				int from = ((n * C + o / (O / group) * per + c) * IH + h) * IW + w,
				    tap = (o * per + c) * KH * KW + t;

				if (h < 0 || h >= IH || w < 0 || w >= IW)
					continue;
				if (integer) {
					sum += (((int8_t *)in[0].data)[from] - 300) * ((int8_t *)in[1].data)[tap];
				} else {
					float p = ((float *)in[0].data)[from] * ((float *)in[1].data)[tap];

					acc = acc + p;
				}
			}
		v = integer ? (float)sum * (float)((double)0.1f * (double)0.2f) : acc;
		v = v + (float)(o + 1);
		assert_memory_equal(&((float *)out.data)[i], &v, 4);
	}
}

static void conv_by_its_definition(void **state)
{
	for (int group = 1; group <= 2; group++) {
		check_conv(*state, false, group);
		check_conv(*state, true, group);
	}
}

static void conv_of_sequences(void **state)
{
	bench *b = *state;
	vq_attr attr = { .conv = { .stride = { 2 }, .dilation = { 1 }, .group = 1 } };
	vq_tensor in[2] = { tensor(b, VQ_F32, F32(1, 2, 3, 4), 1, 1, 4, 0), tensor(b, VQ_F32, F32(10, 1), 1, 1, 2, 0) };
	vq_tensor out = tensor(b, VQ_F32, NULL, 1, 1, 2, 0);

	assert_null(compute(b, VQ_OP_CONV, &attr, in, 2, &out));
	assert_f32(out, 12, 34);
}

/* float weights with codes as input: the codes read as their values */
static void half_quantized_is_f32(void **state)
{
	bench *b = *state;
	uint32_t q = vq_quant_per_tensor(&b->g, 0.5f, 1, -128, 127);
	vq_tensor in[2] = { codes(tensor(b, VQ_S8, S8(3, 5), 1, 2, 0), q),
		tensor(b, VQ_F32, F32(0.1f, 0.2f), 1, 2, 0) };
	vq_tensor out = tensor(b, VQ_F32, NULL, 1, 1, 0);

	assert_null(compute(b, VQ_OP_LINEAR, NULL, in, 2, &out));
	assert_f32(out, 0.1f + 2 * 0.2f);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)
	const struct CMUnitTest tests[] = {
		TEST(linear_adds_in_order),
		TEST(linear_rounds_each_step),
		TEST(matmul_transposes_and_broadcasts),
		TEST(integer_linear_against_int64),
		TEST(accumulator_overflow_is_reported),
		TEST(scales_out_of_bounds_are_refused),
		TEST(integer_matmul_with_zero_points),
		TEST(conv_by_its_definition),
		TEST(conv_of_sequences),
		TEST(half_quantized_is_f32),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
