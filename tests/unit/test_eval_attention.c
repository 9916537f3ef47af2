/* SPDX-License-Identifier: MIT */
/* attention: f32 by its definition, integers by a transcription of docs/ir.md and against softmax in doubles. */
#include "eval_test.h"
#include "ir/contract.h"

#include <stdlib.h>

enum { B = 2, H = 3, N = 5, M = 40, D = 8, E = 6 };

static void fill_f32(vq_tensor *t, uint32_t *seed, float range)
{
	for (int64_t i = 0; i < vq_type_count(&t->type); i++)
		((float *)t->data)[i] = random_f32(seed, range);
}

static void fill_codes(vq_tensor *t, uint32_t *seed)
{
	for (int64_t i = 0; i < vq_type_count(&t->type); i++)
		((int8_t *)t->data)[i] = (int8_t)((int)(next_random(seed) % 255) - 127);
}

static void f32_by_its_definition(void **state)
{
	bench *b = *state;
	vq_attr attr = { .attention = { .heads = H, .scale = 0.35f } };
	uint32_t seed = 6;
	vq_tensor in[4] = { tensor(b, VQ_F32, NULL, B, N, H * D, 0), tensor(b, VQ_F32, NULL, B, M, H * D, 0),
		tensor(b, VQ_F32, NULL, B, M, H * E, 0), tensor(b, VQ_F32, NULL, H, 1, M, 0) };
	vq_tensor out = tensor(b, VQ_F32, NULL, B, N, H * E, 0);

	for (int i = 0; i < 4; i++)
		fill_f32(&in[i], &seed, 1.5f);
	for (int biased = 0; biased < 2; biased++) {
		assert_null(compute(b, VQ_OP_ATTENTION, &attr, in, biased ? 4 : 3, &out));
		for (int r = 0; r < B * N * H; r++) {
			int h = r % H, n = r / H % N, o = r / H / N;
			const float *q = (float *)in[0].data + (o * N + n) * H * D + h * D;
			vq_tensor s = tensor(b, VQ_F32, NULL, M, 0), p = tensor(b, VQ_F32, NULL, M, 0);
			vq_attr axis = { .axis = { 0 } };

			for (int j = 0; j < M; j++) {
				const float *k = (float *)in[1].data + (o * M + j) * H * D + h * D;
				float acc = 0;

				for (int d = 0; d < D; d++) {
					float t = q[d] * k[d];

					acc = acc + t;
				}
				acc = acc * 0.35f;
				((float *)s.data)[j] = biased ? acc + ((float *)in[3].data)[h * M + j] : acc;
			}
			assert_null(compute(b, VQ_OP_SOFTMAX, &axis, &s, 1, &p));
			for (int e = 0; e < E; e++) {
				float acc = 0;

				for (int j = 0; j < M; j++) {
					float t = ((float *)p.data)[j] *
						((float *)in[2].data)[(o * M + j) * H * E + h * E + e];

					acc = acc + t;
				}
				acc = vq_c_flush(acc);
				assert_memory_equal(&((float *)out.data)[(o * N + n) * H * E + h * E + e], &acc, 4);
			}
		}
	}
}

/* Operands of the integer tests: scales per head, so that scores spread over a few units. */
typedef struct setup {
	vq_tensor in[4], f32, s8;
	float sq[H], sk[H], sv[H], so[H];
	vq_attr attr;
} setup;

static uint32_t per_head(bench *b, const float *scale)
{
	static const int32_t zero[H];
	vq_quant q = { .bits = 8, .lo = -127, .hi = 127, .axis = 2, .n = H, .scale = scale, .zero = zero };

	return vq_quant_add(&b->g, &q);
}

static void set_up(bench *b, setup *s)
{
	uint32_t seed = 9;

	for (int h = 0; h < H; h++) {
		s->sq[h] = 0.02f + 0.01f * (float)h;
		s->sk[h] = 0.05f - 0.01f * (float)h;
		s->sv[h] = 0.03f * (float)(h + 1);
		s->so[h] = 0.01f * (float)(h + 1);
	}
	s->attr = (vq_attr){ .attention = { .heads = H, .scale = 0.35355338f } };
	s->in[0] = codes(tensor(b, VQ_S8, NULL, B, N, H * D, 0), per_head(b, s->sq));
	s->in[1] = codes(tensor(b, VQ_S8, NULL, B, M, H * D, 0), per_head(b, s->sk));
	s->in[2] = codes(tensor(b, VQ_S8, NULL, B, M, H * E, 0), per_head(b, s->sv));
	s->in[3] = tensor(b, VQ_F32, NULL, B, 1, 1, M, 0);
	s->f32 = tensor(b, VQ_F32, NULL, B, N, H * E, 0);
	s->s8 = codes(tensor(b, VQ_S8, NULL, B, N, H * E, 0), per_head(b, s->so));
	for (int i = 0; i < 3; i++)
		fill_codes(&s->in[i], &seed);
	fill_f32(&s->in[3], &seed, 2);
}

/* One row as docs/ir.md has it; y, code: [M]. Returns the sum of the codes. */
static int32_t row_codes(const setup *s, int o, int n, int h, bool biased, int32_t *code, double *exact)
{
	const int8_t *q = (int8_t *)s->in[0].data + (o * N + n) * H * D + h * D;
	float c = (float)((double)s->attr.attention.scale * (double)s->sq[h] * (double)s->sk[h] * 1.4426950408889634);
	const float *bias = (float *)s->in[3].data + o * M;
	int32_t acc[M], most = INT32_MIN, total = 0;
	float t[M], top = -INFINITY;
	double sum = 0, peak = -INFINITY;

	for (int j = 0; j < M; j++) {
		const int8_t *k = (int8_t *)s->in[1].data + (o * M + j) * H * D + h * D;

		acc[j] = 0;
		for (int d = 0; d < D; d++)
			acc[j] += q[d] * k[d];
		most = acc[j] > most ? acc[j] : most;
		t[j] = (float)acc[j] * c;
		t[j] = t[j] + bias[j] * 0x1.715476p+0f;
		top = fmaxf(top, t[j]);
		exact[j] = acc[j] * (double)s->sq[h] * (double)s->sk[h] * (double)s->attr.attention.scale +
			(biased ? (double)bias[j] : 0);
		peak = fmax(peak, exact[j]);
	}
	for (int j = 0; j < M; j++) {
		float y = biased ? t[j] - top : (float)(acc[j] - most) * c;

		code[j] = vq_c_softmax_code(y, vq_dither((uint32_t)j));
		total += code[j];
		exact[j] = exp(exact[j] - peak);
		sum += exact[j];
	}
	for (int j = 0; j < M; j++)
		exact[j] /= sum;
	return total;
}

static void integers_by_transcription(void **state)
{
	bench *b = *state;
	double worst = 0, spread = 0;
	setup s;

	set_up(b, &s);
	for (int biased = 0; biased < 2; biased++) {
		assert_null(compute(b, VQ_OP_ATTENTION, &s.attr, s.in, biased ? 4 : 3, &s.f32));
		assert_null(compute(b, VQ_OP_ATTENTION, &s.attr, s.in, biased ? 4 : 3, &s.s8));
		for (int r = 0; r < B * N * H; r++) {
			int h = r % H, n = r / H % N, o = r / H / N;
			int32_t code[M], total;
			double p[M];
			float inverse;

			total = row_codes(&s, o, n, h, biased, code, p);
			inverse = 1.0f / (float)total;
			assert_true(total >= 254);
			for (int j = 0; j < M; j++)
				assert_in_range(code[j], 0, 255);
			for (int e = 0; e < E; e++) {
				int at = (o * N + n) * H * E + h * E + e;
				int32_t acc = 0;
				double want = 0;
				float v, w;

				for (int j = 0; j < M; j++) {
					int8_t x = ((int8_t *)s.in[2].data)[(o * M + j) * H * E + h * E + e];

					acc += code[j] * x;
					want += p[j] * x * (double)s.sv[h];
				}
				v = (float)acc * inverse;
				w = v * (float)((double)s.sv[h] / (double)s.so[h]);
				v = v * s.sv[h];
				assert_memory_equal(&((float *)s.f32.data)[at], &v, 4);
				assert_int_equal(((int8_t *)s.s8.data)[at], vq_c_quantize(w, -127, 127, 0));
				worst = fmax(worst, fabs((double)v - want) / (127 * (double)s.sv[h]));
				spread = fmax(spread, fabs(want) / (127 * (double)s.sv[h]));
			}
		}
	}
	/* codes of 8 bits: 40 roundings of at most 1/255 each, of random sign, against softmax in doubles */
	print_message("against doubles: %.3g of the range of v, results reach %.3g\n", worst, spread);
	assert_true(worst < 0.02 && spread > 0.2);
}

/* a mask of -inf leaves exactly the keys that remain */
static void masked_keys_count_nothing(void **state)
{
	bench *b = *state;
	vq_tensor half;
	setup s;

	set_up(b, &s);
	for (int i = 0; i < B * M; i++)
		((float *)s.in[3].data)[i] = i % M < 7 ? 0 : i % 2 ? -INFINITY : -3e38f;
	assert_null(compute(b, VQ_OP_ATTENTION, &s.attr, s.in, 4, &s.f32));
	for (int o = 0; o < B; o++)
		for (int j = 7; j < M; j++)
			memset((int8_t *)s.in[2].data + (o * M + j) * H * E, 99, H * E);
	half = tensor(b, VQ_F32, NULL, B, N, H * E, 0);
	assert_null(compute(b, VQ_OP_ATTENTION, &s.attr, s.in, 4, &half));
	assert_memory_equal(half.data, s.f32.data, vq_type_bytes(&half.type));
	for (int i = 0; i < B * M; i++) /* nothing remains: results are 0, not NaN */
		((float *)s.in[3].data)[i] = -INFINITY;
	assert_null(compute(b, VQ_OP_ATTENTION, &s.attr, s.in, 4, &half));
	for (int64_t i = 0; i < vq_type_count(&half.type); i++)
		assert_true(((float *)half.data)[i] == 0);
}

/* the least f32 added to all keys of a row: all weigh the same, as in f32, where it leaves nothing of the scores */
static void masked_by_the_least_number(void **state)
{
	bench *b = *state;
	setup s;

	set_up(b, &s);
	for (int i = 0; i < B * M; i++)
		((float *)s.in[3].data)[i] = i < M ? -0x1.fffffep+127f : 0;
	assert_null(compute(b, VQ_OP_ATTENTION, &s.attr, s.in, 4, &s.f32));
	for (int n = 0; n < N; n++)
		for (int i = 0; i < H * E; i++) {
			double mean = 0, got = (double)((float *)s.f32.data)[n * H * E + i], unit = (double)s.sv[i / E];

			for (int j = 0; j < M; j++)
				mean += ((int8_t *)s.in[2].data)[j * H * E + i] * unit / (double)M;
			assert_true(fabs(got - mean) <= 127 * unit / 255); /* codes are 254 or 255 */
		}
}

static void zero_points_are_refused(void **state)
{
	bench *b = *state;
	setup s;

	set_up(b, &s);
	s.in[1].type.quant = vq_quant_per_tensor(&b->g, 0.1f, 3, -128, 127);
	assert_string_equal(compute(b, VQ_OP_ATTENTION, &s.attr, s.in, 3, &s.f32), "k has zero point 3, expected 0");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)
	const struct CMUnitTest tests[] = {
		TEST(f32_by_its_definition),
		TEST(integers_by_transcription),
		TEST(masked_keys_count_nothing),
		TEST(masked_by_the_least_number),
		TEST(zero_points_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
