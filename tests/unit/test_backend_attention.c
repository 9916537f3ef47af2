/* SPDX-License-Identifier: MIT */
/* Fused attention on every instruction set, byte for byte against the evaluator. K and V are packed here as docs/kernels.md says. */
#include "tests/unit/kernel_run.h"

#include "ir/contract.h"
#include "ir/eval.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_DATA = 1 << 17 };

typedef enum bias_shape { NO_BIAS, FULL, PER_KEY, PER_QUERY, MASKED } bias_shape;

typedef struct attend {
	uint32_t batch, heads, n, m, d, e;
	bool f32, q_u8;
	float spread; /* scale of the scores: how unequal probabilities are */
	bool f32_result;
	vq_store store;
	bias_shape bias;
	bool extremes;
	bool dynamic; /* scales are arguments: of every row and head of q, of every head of k and v */
	uint32_t row_block;
} attend;

static int8_t q8[MOST_DATA], k8[MOST_DATA], v8[MOST_DATA];
static float row_scales[3][MOST_DATA];
static float qf[MOST_DATA], kf[MOST_DATA], vf[MOST_DATA], biasf[MOST_DATA];
static unsigned char stored_q[4 * MOST_DATA], packed_k[8 * MOST_DATA], packed_v[8 * MOST_DATA], result[4 * MOST_DATA];

static uint32_t up(uint32_t n, uint32_t to) { return (n + to - 1) / to * to; }

static void fill(const attend *p, int8_t *codes, float *values, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		codes[i] = (int8_t)(p->extremes ? (i % 3 ? -127 : 127) : test_code(-127, 127));
		values[i] = test_f32(1.5f);
	}
}

/* Operand n x k of each head from [batch][rows][heads * width], with first accumulators. */
static void pack(const attend *p, const vq_tile *t, bool keys, unsigned char *out)
{
	uint32_t n = keys ? p->m : p->e, k = keys ? p->d : p->m, nr = vq_tile_nr(t), kr = t->kr;
	uint32_t np = up(n, nr), kp = up(k, vq_tile_ka(t)), width = keys ? p->d : p->e;
	size_t bytes = vq_pack_batch_bytes(t, n, k, p->f32), element = p->f32 ? 4 : 1;
	int32_t add = keys ? (t->a == VQ_A_U8 ? -128 : 0) : t->a == VQ_A_S8 ? 128 : 0;

	memset(out, 0, bytes * p->batch * p->heads);
	for (uint32_t z = 0; z < p->batch * p->heads; z++, out += bytes)
		for (uint32_t j = 0; j < n; j++) {
			int32_t sum = 0;

			for (uint32_t i = 0; i < k; i++) {
				uint32_t row = keys ? j : i, column = keys ? i : j;
				size_t from = ((size_t)(z / p->heads) * p->m + row) * p->heads * width +
					z % p->heads * width + column;
				size_t to = (size_t)(j / nr) * nr * kp + (size_t)(i / kr) * nr * kr + j % nr * kr +
					i % kr;
				const int8_t *codes = keys ? k8 : v8;
				const float *values = keys ? kf : vf;

				memcpy(out + to * element, p->f32 ? (const void *)&values[from] : &codes[from],
					element);
				sum += codes[from];
			}
			sum *= add;
			if (!p->f32)
				memcpy(out + (size_t)np * kp + 4 * (size_t)j, &sum, 4);
		}
}

static vq_type type_of(
	vq_graph *g, bool f32, uint32_t batch, uint32_t rows, uint32_t width, uint32_t heads, const float *scale)
{
	int64_t dim[3] = { batch, rows, width };
	vq_type t = vq_type_make(f32 ? VQ_F32 : VQ_S8, 3, dim);
	int32_t zero[16] = { 0 };
	vq_quant q = { .encoding = VQ_UNIFORM,
		.bits = 8,
		.lo = -127,
		.hi = 127,
		.axis = 2,
		.n = heads,
		.scale = scale,
		.zero = zero };

	if (!f32)
		t.quant = vq_quant_add(g, &q);
	return t;
}

/* bias values and how the kernel walks them; returns their number */
static uint32_t make_bias(const attend *p, vq_type *t, int64_t stride[4])
{
	int64_t dim[4] = { p->batch, p->heads, p->n, p->m };
	uint32_t count = 1, step = 1;

	if (p->bias == PER_KEY)
		dim[0] = dim[1] = dim[2] = 1;
	if (p->bias == PER_QUERY)
		dim[0] = dim[1] = dim[3] = 1;
	if (p->bias == MASKED)
		dim[1] = 1;
	*t = vq_type_make(VQ_F32, 4, dim);
	for (uint32_t i = 4; i-- > 0;) {
		stride[i] = dim[i] > 1 ? step : 0;
		step *= (uint32_t)dim[i];
		count *= (uint32_t)dim[i];
	}
	for (uint32_t i = 0; i < count; i++) {
		biasf[i] = test_f32(4.0f);
		if (p->bias == MASKED && (i % p->m > i / p->m || i / p->m == 2)) /* and a row without any key */
			biasf[i] = -INFINITY;
	}
	return count;
}

/* rows of quantize_dynamic: scale and zero point, `each` of them */
static void fill_scales(float *rows, uint32_t each)
{
	static const float size[] = { 1.0f, 1.0f, 1.0f, 0x1p-30f, 1.0f, 0x1p40f,
		1.0f }; /* scores beyond what c may be */

	for (uint32_t i = 0; i < each; i++) {
		rows[2 * i] = (0.0625f + test_f32(0.03f)) * size[i % 7];
		rows[2 * i + 1] = 0;
	}
}

/* operands of attention_dynamic from those of attention: codes are plain, rows stand between */
static void add_rows(const attend *p, vq_tensor in[7])
{
	vq_tensor bias = in[3];

	for (uint32_t i = 3; i-- > 0;) {
		in[2 * i] = in[i];
		in[2 * i].type.quant = 0;
		in[2 * i + 1].type = vq_type_make(VQ_F32, 3, (int64_t[]){ p->batch, i ? 1 : p->n, 2 * p->heads });
		in[2 * i + 1].data = row_scales[i];
		fill_scales(row_scales[i], p->batch * p->heads * (i ? 1 : p->n));
	}
	in[6] = bias;
}

/* q as the kernel reads it */
static void store_q(const attend *p)
{
	for (uint32_t i = 0; i < p->batch * p->n * p->heads * p->d; i++) {
		if (p->f32)
			memcpy(stored_q + 4 * (size_t)i, &qf[i], 4);
		else
			stored_q[i] = (unsigned char)(q8[i] ^ (p->q_u8 ? 0x80 : 0));
	}
}

static void add_attention(kernel_suite *s, attend p)
{
	const vq_target *target = kernel_suite_target(s);
	vq_tile t = p.f32 ? vq_tile_f32(target->isa) : vq_tile_s8(target->isa, false);
	vq_arena arena = { 0 };
	vq_diag diag;
	vq_graph g;
	float scale[3][16], params[32], so = 0.0625f, factor = p.spread != 0 ? p.spread : 0.02f;
	vq_tensor in[7], out;
	vq_value value[7];
	vq_attr attr;
	vq_kernel k;
	vq_attention *d = &k.u.attention;
	kernel_data arg[8] = { { NULL, 0, false } };
	uint32_t n_bias = 0, n_in = 3, width = p.heads * p.d;
	size_t element = p.f32 ? 4 : 1, o_element = p.store == VQ_STORE_F32 ? 4 : 1,
	       total = (size_t)p.batch * p.n * p.heads * p.e;
	const char *wrong;
	char name[160];

	if ((p.e & 2) && p.store != VQ_STORE_F32 && kernel_suite_lacks_word_stores(s))
		return;
	vq_diag_init(&diag, &arena, "test");
	vq_graph_init(&g, &arena, &diag, "g");
	memset(&k, 0, sizeof k);
	memset(&attr, 0, sizeof attr);
	fill(&p, q8, qf, p.batch * p.n * width);
	fill(&p, k8, kf, p.batch * p.m * width);
	fill(&p, v8, vf, p.batch * p.m * p.heads * p.e);
	for (uint32_t i = 0; i < 3; i++)
		for (uint32_t h = 0; h < p.heads; h++)
			scale[i][h] = 0.0625f + test_f32(0.03f);

	k.kind = VQ_KERNEL_ATTENTION;
	d->f32 = p.f32;
	d->q_u8 = p.q_u8;
	d->batch = p.batch;
	d->heads = p.heads;
	d->n = p.n;
	d->m = p.m;
	d->d = p.d;
	d->e = p.e;
	d->q_row = (int64_t)(width * element);
	d->q_head = (int64_t)(p.d * element);
	d->q_batch = d->q_row * p.n;
	d->o_row = (int64_t)(p.heads * p.e * o_element);
	d->o_head = (int64_t)(p.e * o_element);
	d->o_batch = d->o_row * p.n;
	d->scale = p.f32 ? factor * 8 : factor;
	d->row_block = p.row_block ? p.row_block : p.n;
	d->epilogue.store = p.store;
	d->epilogue.lo = -128;
	d->epilogue.hi = 127;
	d->epilogue.zero = -5;
	d->epilogue.flush = p.f32 && p.store == VQ_STORE_F32;
	d->epilogue.scaled = p.f32 || p.dynamic;
	d->epilogue.inv = d->epilogue.scaled ? vq_c_inverse((double)so) : 1.0f;

	in[0] = (vq_tensor){ type_of(&g, p.f32, p.batch, p.n, width, p.heads, scale[0]), p.f32 ? (void *)qf : q8 };
	in[1] = (vq_tensor){ type_of(&g, p.f32, p.batch, p.m, width, p.heads, scale[1]), p.f32 ? (void *)kf : k8 };
	in[2] = (vq_tensor){ type_of(&g, p.f32, p.batch, p.m, p.heads * p.e, p.heads, scale[2]),
		p.f32 ? (void *)vf : v8 };
	if (p.bias) {
		n_bias = make_bias(&p, &in[3].type, d->bias_stride);
		in[3].data = biasf;
		d->has_bias = true;
	}
	int64_t dim[3] = { p.batch, p.n, p.heads * p.e };

	out.type = vq_type_make(p.store == VQ_STORE_F32 ? VQ_F32 : VQ_S8, 3, dim);
	out.data = result;
	if (p.store != VQ_STORE_F32)
		out.type.quant = vq_quant_per_tensor(&g, so, -5, -128, 127);
	attr.attention.heads = (int32_t)p.heads;
	attr.attention.scale = d->scale;
	if (p.dynamic) {
		add_rows(&p, in);
		d->scale = vq_c_score_factor(d->scale);
		d->scales = 6;
		n_in = 6;
	}
	n_in += p.bias != NO_BIAS;
	for (uint32_t i = 0; i < n_in; i++)
		value[i] = vq_add_input(&g, "x", &in[i].type);
	vq_value y = vq_add_node(
		&g, p.dynamic ? VQ_OP_ATTENTION_DYNAMIC : VQ_OP_ATTENTION, value, n_in, &attr, &out.type);

	wrong = vq_eval_node(&g, &g.node[vq_def_of(&g, y).id], in, &out, &arena);
	if (wrong)
		fail_msg("%s", wrong);
	for (size_t i = 0; i < total && p.store == VQ_STORE_U8; i++)
		result[i] ^= 0x80;
	for (uint32_t h = 0; h < p.heads; h++) {
		params[h] = vq_c_score_scale(d->scale, scale[0][h], scale[1][h]);
		params[p.heads + h] = vq_c_merge_scale(scale[2][h], 1.0f, p.store == VQ_STORE_F32 ? 1.0f : so);
	}
	store_q(&p);
	pack(&p, &t, true, packed_k);
	pack(&p, &t, false, packed_v);
	arg[0] = (kernel_data){ stored_q, (size_t)p.batch * p.n * width * element, false };
	arg[1] = (kernel_data){ packed_k, vq_pack_batch_bytes(&t, p.m, p.d, p.f32) * p.batch * p.heads, false };
	arg[2] = (kernel_data){ packed_v, vq_pack_batch_bytes(&t, p.e, p.m, p.f32) * p.batch * p.heads, false };
	arg[3] = (kernel_data){ params, p.f32 ? 0 : 8 * (size_t)p.heads, false };
	arg[4] = (kernel_data){ result, total * o_element, true };
	arg[5] = (kernel_data){ biasf, 4 * (size_t)n_bias, false };
	if (p.dynamic) {
		arg[3] = (kernel_data){ row_scales[0], 8 * (size_t)p.batch * p.n * p.heads, false };
		arg[6] = (kernel_data){ row_scales[1], 8 * (size_t)p.batch * p.heads, false };
		arg[7] = (kernel_data){ row_scales[2], 8 * (size_t)p.batch * p.heads, false };
	}
	snprintf(name, sizeof name, "attention %s %u x %u heads, %ux%u, d %u e %u, bias %d, u8 %d, store %d, rows %u",
		p.f32               ? "f32"
			: p.dynamic ? "dynamic"
				    : "s8",
		p.batch, p.heads, p.n, p.m, p.d, p.e, (int)p.bias, p.q_u8, (int)p.store, d->row_block);
	kernel_suite_add(s, name, &k, arg, p.dynamic ? 8 : 6);
	vq_arena_free(&arena);
}

static void integers(kernel_suite *s)
{
	static const uint32_t ms[] = { 1, 2, 5, 15, 16, 17, 31, 33, 49, 64, 65, 100 };

	/* clang-format off */
	for (uint32_t i = 0; i < 12; i++)
		add_attention(s, (attend){ .batch = 1 + i % 2, .heads = 1 + i % 3, .n = 1 + 3 * i % 14, .m = ms[i], .d = 8 + 5 * i % 40,
			.e = 4 + 7 * i % 33, .q_u8 = i & 1, .store = i % 3 == 0 ? VQ_STORE_F32 : i % 3 == 1 ? VQ_STORE_S8 : VQ_STORE_U8,
			.spread = 0.01f * (float)(1 + i % 5), .row_block = i % 4 ? 0 : 3 });
	add_attention(s, (attend){ .batch = 1, .heads = 3, .n = 26, .m = 197, .d = 64, .e = 64, .q_u8 = true, .store = VQ_STORE_U8, .row_block = 12 });
	add_attention(s, (attend){ .batch = 1, .heads = 1, .n = 7, .m = 300, .d = 32, .e = 32, .store = VQ_STORE_S8, .spread = 0.3f });
	add_attention(s, (attend){ .batch = 1, .heads = 1, .n = 6, .m = 64, .d = 64, .e = 64, .store = VQ_STORE_F32, .spread = 0.001f, .extremes = true });
	/* clang-format on */
}

static void biased(kernel_suite *s)
{
	/* clang-format off */
	add_attention(s, (attend){ .batch = 2, .heads = 2, .n = 9, .m = 49, .d = 32, .e = 32, .bias = FULL, .store = VQ_STORE_S8 });
	add_attention(s, (attend){ .batch = 2, .heads = 3, .n = 8, .m = 20, .d = 16, .e = 16, .bias = PER_KEY, .q_u8 = true, .store = VQ_STORE_F32 });
	add_attention(s, (attend){ .batch = 1, .heads = 2, .n = 7, .m = 33, .d = 16, .e = 20, .bias = PER_QUERY, .store = VQ_STORE_F32 });
	add_attention(s, (attend){ .batch = 2, .heads = 2, .n = 12, .m = 12, .d = 32, .e = 32, .bias = MASKED, .store = VQ_STORE_S8, .row_block = 5 });
	/* clang-format on */
}

static void dynamics(kernel_suite *s)
{
	static const uint32_t ms[] = { 1, 5, 16, 33, 65, 100 };

	/* clang-format off */
	for (uint32_t i = 0; i < 6; i++)
		add_attention(s, (attend){ .batch = 1 + i % 2, .heads = 1 + i % 3, .n = 1 + 3 * i % 14, .m = ms[i], .d = 8 + 5 * i % 40,
			.e = 4 + 7 * i % 33, .q_u8 = i & 1, .store = i % 3 == 1 ? VQ_STORE_S8 : VQ_STORE_F32,
			.spread = 1.0f * (float)(1 + i % 5), .dynamic = true, .row_block = i % 4 ? 0 : 3 });
	add_attention(s, (attend){ .batch = 2, .heads = 3, .n = 13, .m = 50, .d = 32, .e = 32, .dynamic = true, .q_u8 = true, .spread = 0.5f,
		.row_block = 6 });
	add_attention(s, (attend){ .batch = 2, .heads = 2, .n = 12, .m = 12, .d = 32, .e = 32, .dynamic = true, .bias = MASKED, .row_block = 5 });
	add_attention(s, (attend){ .batch = 1, .heads = 2, .n = 9, .m = 49, .d = 16, .e = 32, .dynamic = true, .bias = FULL, .store = VQ_STORE_U8 });
	/* clang-format on */
}

static void floats(kernel_suite *s)
{
	static const uint32_t ms[] = { 1, 4, 15, 16, 17, 50, 64, 79 };

	/* clang-format off */
	for (uint32_t i = 0; i < 8; i++)
		add_attention(s, (attend){ .batch = 1 + i % 2, .heads = 1 + i % 3, .n = 1 + 3 * i % 11, .m = ms[i], .d = 8 + 5 * i % 20, .e = 5 + 7 * i % 20,
			.f32 = true, .store = i % 3 ? VQ_STORE_F32 : VQ_STORE_S8, .row_block = i % 4 ? 0 : 3 });
	add_attention(s, (attend){ .batch = 2, .heads = 2, .n = 9, .m = 49, .d = 32, .e = 32, .f32 = true, .bias = FULL, .store = VQ_STORE_F32 });
	add_attention(s, (attend){ .batch = 1, .heads = 2, .n = 7, .m = 33, .d = 16, .e = 20, .f32 = true, .bias = PER_QUERY, .store = VQ_STORE_F32 });
	add_attention(s, (attend){ .batch = 1, .heads = 2, .n = 7, .m = 21, .d = 16, .e = 20, .f32 = true, .bias = PER_KEY, .store = VQ_STORE_F32 });
	/* clang-format on */
}

/* clang-format off */
static void test_integers(void **state) { (void)state; assert_true(kernel_suite_each("attention_s8", integers)); }
static void test_biased(void **state) { (void)state; assert_true(kernel_suite_each("attention_bias", biased)); }
static void test_dynamics(void **state) { (void)state; assert_true(kernel_suite_each("attention_dynamic", dynamics)); }
static void test_floats(void **state) { (void)state; assert_true(kernel_suite_each("attention_f32", floats)); }
/* clang-format on */

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_biased),
		cmocka_unit_test(test_dynamics),
		cmocka_unit_test(test_floats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
