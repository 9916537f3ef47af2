/* SPDX-License-Identifier: MIT */
/*
 * Products and the packing of their operands on every instruction set, against naive loops over logical matrices. What
 * this machine can run (natively or in qemu) is run; everything else is built, and its k loops are scanned for spills.
 */
#include "tests/unit/kernel_run.h"

#include "ir/contract.h"
#include "ir/eval.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 1 << 18 };

/* One product; zero means the obvious. */
typedef struct product {
	uint32_t m, n, k;
	uint32_t batch0, batch1;
	vq_store store;
	bool f32, a_u8, wide, extremes, with_b, gelu, residual, column, rows;
	uint32_t b_zeros;     /* bytes of each */
	bool codes, codes_u8; /* the f32 rows become codes with a scale per row */
	int32_t a_zero, b_zero;
	uint32_t row_block, col_block;
	uint32_t a_pad;  /* bytes between rows of A beyond k */
	uint32_t a_skew; /* bytes A starts after its buffer */
} product;

static uint32_t up(uint32_t n, uint32_t to) { return (n + to - 1) / to * to; }

static int8_t logical_a[MOST], logical_b[MOST];
static float f32_a[MOST], f32_b[MOST], mult[MOST], addend[MOST], residual[MOST], column_extra[MOST], row_scales[MOST],
	result_scales[MOST];
static int32_t zeros[MOST]; /* of the columns, with b_zeros */
static unsigned char a_bytes[4 * MOST], b_bytes[4 * MOST], p_bytes[4 * MOST], c_bytes[4 * MOST], source[4 * MOST],
	row_codes[MOST];

/* panels as vq_tile describes them, zero padded; at most one batch element */
static void pack_b(const vq_tile *t, bool f32, uint32_t n, uint32_t k, const void *b, unsigned char *out)
{
	uint32_t nr = vq_tile_nr(t), kr = t->kr, kp = up(k, vq_tile_ka(t)), np = up(n, nr);
	size_t element = f32 ? 4 : 1;

	memset(out, 0, (size_t)np * kp * element);
	for (uint32_t j = 0; j < n; j++)
		for (uint32_t i = 0; i < k; i++) {
			size_t at = (size_t)(j / nr) * nr * kp + (size_t)(i / kr) * nr * kr + j % nr * kr + i % kr;

			memcpy(out + at * element, (const unsigned char *)b + ((size_t)j * k + i) * element, element);
		}
}

static void fill(const product *p, uint32_t batch)
{
	int lo = p->wide ? -128 : -127;
	uint32_t m = p->m * batch, n = p->n * batch;

	for (uint32_t i = 0; i < m * p->k; i++) {
		logical_a[i] = p->extremes ? -128 : test_code(-128, 127);
		f32_a[i] = test_f32(2.0f);
	}
	for (uint32_t i = 0; i < n * p->k; i++) {
		logical_b[i] = (int8_t)(p->extremes ? lo : test_code(lo, 127));
		f32_b[i] = test_f32(2.0f);
	}
	for (uint32_t i = 0; i < p->n; i++) {
		mult[i] = 0x1p-9f + test_f32(0x1p-11f);
		addend[i] = test_f32(20.0f);
		column_extra[i] = test_f32(3.0f);
		zeros[i] = p->b_zeros ? (int32_t)test_code(-128, 127) * (i % 5 || p->b_zeros == 1 ? 1 : 3) : p->b_zero;
	}
	for (uint32_t i = 0; i < m * p->n; i++)
		residual[i] = test_f32(3.0f);
	for (uint32_t i = 0; i < m; i++) {
		row_scales[2 * i] = 0x1p-3f + test_f32(0x1p-4f);
		row_scales[2 * i + 1] = i % 3 ? (float)test_code(-128, 127) : -128.0f;
	}
}

static float value(const product *p, uint32_t z, uint32_t r, uint32_t j)
{
	const float *row = &row_scales[2 * ((size_t)z * p->m + r)];
	int32_t zero = p->rows ? (int32_t)row[1] : p->a_zero;
	float v = 0.0f;
	int64_t acc = 0;

	for (uint32_t i = 0; i < p->k; i++) {
		size_t a = ((size_t)z * p->m + r) * p->k + i, b = ((size_t)z * p->n + j) * p->k + i;

		acc += (logical_a[a] - zero) * (logical_b[b] - zeros[j]);
		v = v + f32_a[a] * f32_b[b];
	}
	if (!p->f32)
		v = (float)(int32_t)acc;
	if (p->rows)
		v = v * row[0];
	if (!p->f32)
		v = v * mult[j];
	if (!p->rows || !p->with_b)
		v = v + addend[j];
	if (p->gelu)
		v = vq_c_gelu(v);
	if (p->column)
		v = v * column_extra[j];
	if (p->residual)
		v = v + residual[((size_t)z * p->m + r) * p->n + j];
	return v;
}

static void expect(const product *p, uint32_t batch)
{
	for (uint32_t z = 0; z < batch; z++)
		for (uint32_t r = 0; r < p->m; r++)
			for (uint32_t j = 0; j < p->n; j++) {
				size_t at = ((size_t)z * p->m + r) * p->n + j;
				float v = value(p, z, r, j);
				int32_t code = vq_c_quantize(v, -128, 127, 3);

				if (p->store == VQ_STORE_F32)
					memcpy(c_bytes + 4 * at, &v, 4);
				else
					c_bytes[at] = (unsigned char)(p->store == VQ_STORE_U8 ? code ^ 0x80 : code);
			}
}

/* initial accumulators of one batch element, in the layout of vq_gemm */
static void first_accumulators(const product *p, const vq_tile *t, uint32_t z, unsigned char *out)
{
	for (uint32_t j = 0; j < up(p->n, vq_tile_nr(t)); j++) {
		int64_t sum = 0;
		int32_t v;

		for (uint32_t i = 0; i < p->k && j < p->n; i++)
			sum += logical_b[((size_t)z * p->n + j) * p->k + i];
		sum *= -(p->a_zero + (t->a == VQ_A_U8 ? 128 : 0));
		v = (int32_t)(uint32_t)sum;
		memcpy(out + 4 * j, &v, 4);
	}
}

static void epilogue(const product *p, vq_epilogue *e)
{
	e->store = p->store;
	e->lo = -128;
	e->hi = 127;
	e->zero = 3;
	e->inv = 1.0f;
	if (p->gelu)
		e->eop[e->n_eops++] = (vq_eop){ .op = VQ_OP_GELU, .extra = -1 };
	if (p->column) {
		e->eop[e->n_eops++] = (vq_eop){ .op = VQ_OP_MUL, .extra = (int8_t)e->n_extras };
		e->extra[e->n_extras++] = (vq_extra){ .elem = VQ_F32, .index = VQ_X_COLUMN };
	}
	if (p->residual) {
		e->eop[e->n_eops++] = (vq_eop){ .op = VQ_OP_ADD, .extra = (int8_t)e->n_extras };
		e->extra[e->n_extras++] = (vq_extra){ .elem = VQ_F32, .index = VQ_X_FULL };
	}
}

static void column_sums(const product *p, uint32_t z, unsigned char *out)
{
	for (uint32_t j = 0; j < p->n; j++) {
		int32_t sum = 0;

		for (uint32_t i = 0; i < p->k; i++)
			sum += logical_b[((size_t)z * p->n + j) * p->k + i] - zeros[j];
		memcpy(out + 4 * j, &sum, 4);
	}
}

/* a row as quantize_dynamic makes it */
static void quantize_row(const float *x, uint32_t n, bool u8, unsigned char *codes, float *params)
{
	float lo = 0, hi = 0;
	vq_row_scale q;

	for (uint32_t i = 0; i < n; i++) {
		lo = vq_c_min(x[i], lo);
		hi = vq_c_max(x[i], hi);
	}
	q = vq_c_row_scale(lo, hi);
	for (uint32_t i = 0; i < n; i++)
		codes[i] = (unsigned char)(vq_c_quantize(x[i] * q.inv, -128, 127, q.zero) ^ (u8 ? 0x80 : 0));
	params[0] = q.scale;
	params[1] = (float)q.zero;
}

/* A of one batch element as the kernel reads it, a_row bytes from row to row */
static void store_a(const product *p, uint32_t z, size_t a_row)
{
	size_t element = p->f32 ? 4 : 1;

	for (uint32_t r = 0; r < p->m; r++)
		for (uint32_t i = 0; i < p->k; i++) {
			size_t at = ((size_t)z * p->m + r) * p->k + i;
			unsigned char *to = a_bytes + p->a_skew + ((size_t)z * p->m + r) * a_row + i * element;

			if (p->f32)
				memcpy(to, &f32_a[at], 4);
			else
				*to = (unsigned char)(logical_a[at] ^ (p->a_u8 ? 0x80 : 0));
		}
}

static void add_product(kernel_suite *s, product p)
{
	const vq_target *target = kernel_suite_target(s);
	vq_tile t = p.f32 ? vq_tile_f32(target->isa) : vq_tile_s8(target->isa, p.wide);
	uint32_t b0 = p.batch0 ? p.batch0 : 1, b1 = p.batch1 ? p.batch1 : 1, batch = b0 * b1;
	uint32_t np = up(p.n, vq_tile_nr(&t)), kp = up(p.k, vq_tile_ka(&t));
	size_t element = p.f32 ? 4 : 1, out = p.store == VQ_STORE_F32 ? 4 : 1, a_row = p.k * element + p.a_pad;
	size_t b_size = p.with_b ? vq_pack_batch_bytes(&t, p.n, p.k, p.f32) + (p.rows ? 8 * (size_t)np : 0)
				 : (size_t)np * kp * element,
	       p_size;
	unsigned char *params = p_bytes;
	kernel_data arg[10];
	uint32_t n = 4;
	vq_kernel k;
	vq_gemm *d = &k.u.gemm;
	char name[160];

	if ((p.n & 2) && (p.codes || p.store != VQ_STORE_F32) && kernel_suite_lacks_word_stores(s))
		return;
	memset(&k, 0, sizeof k);
	k.kind = VQ_KERNEL_GEMM;
	d->f32 = p.f32;
	d->wide = p.wide;
	d->a_u8 = p.a_u8;
	d->batch[0] = b0;
	d->batch[1] = b1;
	d->m = p.m;
	d->n = p.n;
	d->k = p.k;
	d->a_row = (int64_t)a_row;
	d->a_batch[1] = (int64_t)(a_row * p.m);
	d->a_batch[0] = d->a_batch[1] * b1;
	d->b_batch[1] = (int64_t)b_size;
	d->b_batch[0] = d->b_batch[1] * b1;
	d->c_row = (int64_t)(p.n * out);
	d->c_batch[1] = d->c_row * p.m;
	d->c_batch[0] = d->c_batch[1] * b1;
	d->comp_with_b = p.with_b;
	d->a_zero = p.a_zero;
	d->b_zero = p.b_zero;
	d->b_zeros = p.b_zeros;
	d->row_block = p.row_block ? p.row_block : p.m;
	d->col_block = p.col_block ? p.col_block : 1000;
	epilogue(&p, &d->epilogue);

	fill(&p, batch);
	expect(&p, batch);
	for (uint32_t z = 0; z < batch; z++) {
		pack_b(&t, p.f32, p.n, p.k,
			p.f32 ? (void *)(f32_b + (size_t)z * p.n * p.k) : logical_b + (size_t)z * p.n * p.k,
			b_bytes + z * b_size);
		if (p.with_b && !p.f32)
			first_accumulators(&p, &t, z, b_bytes + z * b_size + (size_t)np * kp);
		if (p.with_b && p.rows) {
			unsigned char *to = b_bytes + z * b_size + (size_t)np * (kp + 4);

			column_sums(&p, z, memset(to, 0, 8 * (size_t)np));
			memcpy(to + 4 * (size_t)np, mult, 4 * (size_t)p.n);
		}
		store_a(&p, z, a_row);
	}
	memset(params, 0, 16 * (size_t)np);
	if (!p.f32 && !p.with_b) {
		first_accumulators(&p, &t, 0, params);
		params += 4 * (size_t)np;
	}
	if (!p.f32) {
		memcpy(params, mult, 4 * (size_t)p.n);
		params += 4 * (size_t)np;
	}
	memcpy(params, addend, 4 * (size_t)p.n);
	p_size = (size_t)(params - p_bytes) + 4 * (size_t)np;
	if (p.rows && !p.with_b) {
		column_sums(&p, 0, p_bytes + p_size);
		p_size += 4 * (size_t)np;
	}
	if (p.b_zeros) {
		memset(p_bytes + p_size, 0, p.b_zeros * (size_t)np);
		for (uint32_t i = 0; i < p.n; i++)
			if (p.b_zeros == 1)
				((int8_t *)p_bytes)[p_size + i] = (int8_t)zeros[i];
			else
				memcpy(p_bytes + p_size + 4 * (size_t)i, &zeros[i], 4);
		p_size += p.b_zeros * (size_t)np;
	}
	/* the last row of A has no padding after it: reading it would fault */
	arg[0] = (kernel_data){ a_bytes + p.a_skew, a_row * p.m * batch - p.a_pad, false };
	arg[1] = (kernel_data){ b_bytes, b_size * batch, false };
	arg[2] = (kernel_data){ p_bytes, p_size, false };
	if (p.rows && p.with_b) /* all with B */
		arg[2] = (kernel_data){ NULL, 0, false };
	arg[3] = (kernel_data){ c_bytes, out * p.m * p.n * batch, true };
	if (p.column)
		arg[n++] = (kernel_data){ column_extra, 4 * (size_t)p.n, false };
	if (p.residual)
		arg[n++] = (kernel_data){ residual, 4 * (size_t)p.m * p.n * batch, false };
	if (p.rows) {
		d->rows = n;
		arg[n++] = (kernel_data){ row_scales, 8 * (size_t)p.m * batch, false };
	}
	if (p.codes) {
		float row[128]; /* rows of these tests are shorter */

		for (uint32_t r = 0; r < p.m * batch; r++) {
			memcpy(row, c_bytes + 4 * (size_t)r * p.n, 4 * (size_t)p.n);
			quantize_row(row, p.n, p.codes_u8, row_codes + (size_t)r * p.n, result_scales + 2 * r);
		}
		arg[3] = (kernel_data){ NULL, 0, false };
		d->row_codes = n;
		d->row_codes_u8 = p.codes_u8;
		arg[n++] = (kernel_data){ row_codes, (size_t)p.m * p.n * batch, true };
		arg[n++] = (kernel_data){ result_scales, 8 * (size_t)p.m * batch, true };
	}
	snprintf(name, sizeof name,
		"%s %ux%ux%u batch %ux%u store %d u8 %d wide %d extremes %d zeros %d %d%s blocks %u %u",
		p.f32 ? "f32" : "s8", p.m, p.n, p.k, b0, b1, (int)p.store, p.a_u8, p.wide, p.extremes, (int)p.a_zero,
		(int)p.b_zero, p.b_zeros ? " per column" : "", d->row_block, d->col_block);
	kernel_suite_add(s, name, &k, arg, n);
}

static void small_shapes(kernel_suite *s)
{
	static const uint32_t ns[] = { 1, 3, 4, 5, 8, 13, 16, 17, 31, 33, 64, 70 },
			      ks[] = { 1, 2, 3, 7, 8, 15, 16, 17, 48, 65 };

	/* clang-format off */
	for (uint32_t i = 0; i < 60; i++)
		add_product(s, (product){ .m = 1 + i % 20, .n = ns[i % 12], .k = ks[i % 10], .store = i % 3 ? VQ_STORE_S8 : VQ_STORE_F32,
			.a_u8 = i & 1, .a_zero = i % 5 ? 0 : (int32_t)i - 30, .a_pad = i % 4, .a_skew = i % 3 });
	/* clang-format on */
}

static void real_shapes(kernel_suite *s)
{
	/* clang-format off */
	add_product(s, (product){ .m = 50, .n = 192, .k = 192, .store = VQ_STORE_S8, .a_u8 = true, .row_block = 18, .col_block = 1 });
	add_product(s, (product){ .m = 197, .n = 72, .k = 64, .store = VQ_STORE_U8, .a_u8 = true, .gelu = true, .row_block = 48 });
	add_product(s, (product){ .m = 13, .n = 100, .k = 96, .store = VQ_STORE_F32, .residual = true, .row_block = 6, .col_block = 2 });
	add_product(s, (product){ .m = 13, .n = 101, .k = 96, .store = VQ_STORE_F32, .residual = true, .column = true, .gelu = true });
	add_product(s, (product){ .m = 1, .n = 100, .k = 384, .store = VQ_STORE_F32, .col_block = 1 });
	add_product(s, (product){ .m = 9, .n = 20, .k = 33, .batch0 = 2, .batch1 = 3, .store = VQ_STORE_S8, .with_b = true, .a_zero = -7 });
	add_product(s, (product){ .m = 9, .n = 20, .k = 33, .batch0 = 2, .store = VQ_STORE_F32, .with_b = true, .a_zero = 9,
		.b_zero = 21, .row_block = 4 });
	add_product(s, (product){ .m = 7, .n = 66, .k = 48, .store = VQ_STORE_F32, .a_u8 = true, .b_zero = -128, .a_zero = 300 });
	add_product(s, (product){ .m = 7, .n = 66, .k = 48, .store = VQ_STORE_F32, .a_u8 = true, .b_zeros = 4, .a_zero = 300 });
	add_product(s, (product){ .m = 21, .n = 37, .k = 65, .store = VQ_STORE_S8, .b_zeros = 1, .a_zero = -3, .wide = true,
		.row_block = 9, .col_block = 1 });
	/* clang-format on */
}

static void row_scaled(kernel_suite *s)
{
	static const uint32_t ns[] = { 1, 5, 16, 31, 64, 70 };

	/* clang-format off */
	for (uint32_t i = 0; i < 18; i++)
		add_product(s, (product){ .m = 1 + i, .n = ns[i % 6], .k = 1 + 9 * i, .rows = true, .a_u8 = i & 1,
			.store = i % 3 ? VQ_STORE_F32 : VQ_STORE_S8 });
	add_product(s, (product){ .m = 50, .n = 72, .k = 192, .store = VQ_STORE_F32, .rows = true, .a_u8 = true, .residual = true,
		.row_block = 18, .col_block = 1 });
	add_product(s, (product){ .m = 13, .n = 101, .k = 96, .store = VQ_STORE_F32, .rows = true, .gelu = true, .column = true,
		.row_block = 6 });
	add_product(s, (product){ .m = 7, .n = 37, .k = 200, .store = VQ_STORE_F32, .rows = true, .a_u8 = true, .extremes = true });
	add_product(s, (product){ .m = 23, .n = 70, .k = 33, .store = VQ_STORE_F32, .rows = true, .b_zeros = 4, .row_block = 8 });
	add_product(s, (product){ .m = 6, .n = 19, .k = 64, .store = VQ_STORE_F32, .rows = true, .a_u8 = true, .b_zero = 77, .wide = true });
	/* both factors with scales at run time */
	for (uint32_t i = 0; i < 6; i++)
		add_product(s, (product){ .m = 1 + 4 * i, .n = ns[i], .k = 1 + 13 * i, .batch0 = 1 + i % 3, .batch1 = 1 + i % 2, .rows = true,
			.with_b = true, .a_u8 = i & 1, .store = i % 3 ? VQ_STORE_F32 : VQ_STORE_S8, .row_block = i % 2 ? 0 : 4 });
	add_product(s, (product){ .m = 13, .n = 70, .k = 64, .batch1 = 2, .store = VQ_STORE_F32, .rows = true, .with_b = true, .a_u8 = true,
		.gelu = true, .residual = true, .extremes = true, .row_block = 6 });
	/* clang-format on */
}

/* results that leave as codes with a scale per row */
static void row_quantized(kernel_suite *s)
{
	static const uint32_t ns[] = { 1, 5, 16, 31, 64, 70 };

	/* clang-format off */
	for (uint32_t i = 0; i < 12; i++)
		add_product(s, (product){ .m = 1 + 2 * i, .n = ns[i % 6], .k = 1 + 9 * i, .rows = i & 1, .f32 = i % 4 == 2, .a_u8 = i % 4 == 1, .codes = true,
			.codes_u8 = i % 3 == 1, .gelu = i % 5 == 0, .store = VQ_STORE_F32, .row_block = i % 2 ? 0 : 4 });
	add_product(s, (product){ .m = 50, .n = 72, .k = 192, .store = VQ_STORE_F32, .rows = true, .a_u8 = true, .residual = true, .codes = true,
		.codes_u8 = true, .row_block = 18 });
	add_product(s, (product){ .m = 9, .n = 48, .k = 33, .batch0 = 2, .batch1 = 2, .store = VQ_STORE_F32, .with_b = true, .a_zero = -7,
		.residual = true, .codes = true, .row_block = 4 });
	add_product(s, (product){ .m = 29, .n = 100, .k = 64, .store = VQ_STORE_F32, .a_u8 = true, .b_zero = 21, .a_zero = 3, .gelu = true,
		.column = true, .codes = true, .row_block = 12 });
	/* clang-format on */
}

static void worst_cases(kernel_suite *s)
{
	/* clang-format off */
	for (uint32_t wide = 0; wide < 2; wide++)
		for (uint32_t u8 = 0; u8 < 2; u8++)
			add_product(s, (product){ .m = 7, .n = 37, .k = 200, .store = VQ_STORE_F32, .a_u8 = u8, .wide = wide, .extremes = true });
	add_product(s, (product){ .m = 6, .n = 64, .k = 1536, .store = VQ_STORE_F32, .a_u8 = true, .extremes = true });
	/* clang-format on */
}

static void f32_products(kernel_suite *s)
{
	static const uint32_t ns[] = { 1, 5, 16, 31, 64, 70 };

	for (uint32_t i = 0; i < 18; i++)
		add_product(s,
			(product){ .m = 1 + i,
				.n = ns[i % 6],
				.k = 1 + 7 * i % 50,
				.f32 = true,
				.store = i % 4 ? VQ_STORE_F32 : VQ_STORE_S8 });
	add_product(s, (product){ .m = 9, .n = 20, .k = 33, .batch0 = 2, .batch1 = 3, .f32 = true, .with_b = true });
	add_product(
		s, (product){ .m = 19, .n = 40, .k = 64, .f32 = true, .gelu = true, .row_block = 8, .col_block = 1 });
}

/* ---- rows quantized at run time ---- */

static void fill_row(float *x, uint32_t n, uint32_t kind)
{
	static const float size[] = { 1.0f, 0x1p70f, 0x1p-130f, 0.0f, 0x1p-55f, 0x1p126f, 40.0f, 0x1p-58f };
	static const uint32_t odd[] = { 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001, 1, 0x80000000 };

	for (uint32_t i = 0; i < n; i++) {
		x[i] = test_f32(2.0f) * size[kind % 8];
		if (kind % 8 == 6) /* as behind GELU */
			x[i] = x[i] < 0 ? x[i] * 0x1p-8f : x[i];
	}
	if (kind % 3 == 2)
		x[test_random() % n] = vq_c_float(odd[kind % 6]);
	if (kind % 16 == 7) /* one sign only */
		for (uint32_t i = 0; i < n; i++)
			x[i] = vq_c_abs(x[i]);
}

static void add_rowquant(kernel_suite *s, uint32_t rows, uint32_t n, uint32_t pad, bool u8, uint32_t row_block)
{
	vq_kernel k;
	vq_rowquant *d = &k.u.rowquant;
	kernel_data arg[3];
	char name[80];

	memset(&k, 0, sizeof k);
	k.kind = VQ_KERNEL_ROWQUANT;
	d->rows = rows;
	d->n = n;
	d->x_row = 4 * (int64_t)(n + pad);
	d->u8 = u8;
	d->row_block = row_block;
	for (uint32_t r = 0; r < rows; r++) {
		float *x = f32_a + (size_t)r * (n + pad), lo = 0, hi = 0;
		vq_row_scale q;

		fill_row(x, n, r + n);
		for (uint32_t i = 0; i < n; i++) {
			lo = vq_c_min(x[i], lo);
			hi = vq_c_max(x[i], hi);
		}
		q = vq_c_row_scale(lo, hi);
		for (uint32_t i = 0; i < n; i++)
			c_bytes[r * n + i] = (unsigned char)(vq_c_quantize(x[i] * q.inv, -128, 127, q.zero) ^
				(u8 ? 0x80 : 0));
		row_scales[2 * r] = q.scale;
		row_scales[2 * r + 1] = (float)q.zero;
	}
	arg[0] = (kernel_data){ f32_a, 4 * ((size_t)rows * (n + pad) - pad), false };
	arg[1] = (kernel_data){ c_bytes, (size_t)rows * n, true };
	arg[2] = (kernel_data){ row_scales, 8 * (size_t)rows, true };
	snprintf(name, sizeof name, "rowquant %ux%u pad %u u8 %d", rows, n, pad, u8);
	kernel_suite_add(s, name, &k, arg, 3);
}

/* blocks of `tall` rows with one scale, `groups` of them side by side */
static void add_blocks(kernel_suite *s, uint32_t outer, uint32_t tall, uint32_t groups, uint32_t n, bool symmetric,
	bool u8, uint32_t row_block)
{
	vq_kernel k;
	vq_rowquant *d = &k.u.rowquant;
	uint32_t width = groups * n, all = outer * tall * width;
	int32_t least = symmetric ? -127 : -128;
	kernel_data arg[3];
	char name[100];

	/* clang-format off */
	memset(&k, 0, sizeof k);
	k.kind = VQ_KERNEL_ROWQUANT;
	*d = (vq_rowquant){ .rows = outer * groups, .n = n, .tall = tall, .groups = groups, .symmetric = symmetric, .u8 = u8, .row_block = row_block,
		.x_row = 4 * (int64_t)n };
	for (uint32_t r = 0; r < outer * tall; r++)
		fill_row(f32_a + (size_t)r * width, width, r / 3 + n);
	for (uint32_t b = 0; b < outer * groups; b++) {
		uint32_t at = b / groups * tall * width + b % groups * n;
		float lo = 0, hi = 0;
		vq_row_scale q;
		/* clang-format on */

		for (uint32_t i = 0; i < tall * n; i++) {
			lo = vq_c_min(f32_a[at + i / n * width + i % n], lo);
			hi = vq_c_max(f32_a[at + i / n * width + i % n], hi);
		}
		q = symmetric ? vq_c_row_scale_symmetric(lo, hi) : vq_c_row_scale(lo, hi);
		for (uint32_t i = 0; i < tall * n; i++) {
			uint32_t e = at + i / n * width + i % n;

			c_bytes[e] = (unsigned char)(vq_c_quantize(f32_a[e] * q.inv, least, 127, q.zero) ^
				(u8 ? 0x80 : 0));
		}
		row_scales[2 * b] = q.scale;
		row_scales[2 * b + 1] = (float)q.zero;
	}
	arg[0] = (kernel_data){ f32_a, 4 * (size_t)all, false };
	arg[1] = (kernel_data){ c_bytes, all, true };
	arg[2] = (kernel_data){ row_scales, 8 * (size_t)outer * groups, true };
	snprintf(name, sizeof name, "rowquant %u blocks of %u x %u groups of %u, symmetric %d, u8 %d", outer, tall,
		groups, n, symmetric, u8);
	kernel_suite_add(s, name, &k, arg, 3);
}

/* LayerNorm whose rows become codes; what it computes is the evaluator's */
static void add_norm_codes(kernel_suite *s, uint32_t rows, uint32_t n, bool u8, uint32_t row_block)
{
	vq_node_info node = { .op = VQ_OP_LAYERNORM, .n_in = 3, .attr.norm.epsilon = 1e-6f };
	vq_arena arena = { 0 };
	vq_diag diag;
	vq_graph g;
	vq_tensor in[3] = { { vq_type_make(VQ_F32, 2, (int64_t[]){ rows, n }), f32_a },
		{ vq_type_make(VQ_F32, 1, (int64_t[]){ n }), mult },
		{ vq_type_make(VQ_F32, 1, (int64_t[]){ n }), addend } },
		  out = { in[0].type, f32_b };
	vq_kernel k;
	kernel_data arg[5];
	char name[80];

	vq_diag_init(&diag, &arena, "test");
	vq_graph_init(&g, &arena, &diag, "g");
	memset(&k, 0, sizeof k);
	k.kind = VQ_KERNEL_LAYERNORM;
	k.u.layernorm.rows = rows;
	k.u.layernorm.n = n;
	k.u.layernorm.epsilon = 1e-6f;
	k.u.layernorm.x_row = 4 * (int64_t)n;
	k.u.layernorm.row_codes = true;
	k.u.layernorm.row_codes_u8 = u8;
	k.u.layernorm.epilogue.store = VQ_STORE_F32;
	k.u.layernorm.epilogue.flush = true;
	k.u.layernorm.row_block = row_block;
	for (uint32_t i = 0; i < rows * n; i++)
		f32_a[i] = test_f32(2.0f);
	for (uint32_t i = 0; i < n; i++) {
		mult[i] = test_f32(2.0f);
		addend[i] = test_f32(1.0f);
	}
	assert_null(vq_eval_node(&g, &node, in, &out, &arena));
	for (uint32_t r = 0; r < rows; r++)
		quantize_row(f32_b + (size_t)r * n, n, u8, c_bytes + (size_t)r * n, result_scales + 2 * r);
	arg[0] = (kernel_data){ f32_a, 4 * (size_t)rows * n, false };
	arg[1] = (kernel_data){ mult, 4 * (size_t)n, false };
	arg[2] = (kernel_data){ addend, 4 * (size_t)n, false };
	arg[3] = (kernel_data){ c_bytes, (size_t)rows * n, true };
	arg[4] = (kernel_data){ result_scales, 8 * (size_t)rows, true };
	snprintf(name, sizeof name, "layernorm to codes %ux%u u8 %d rows %u", rows, n, u8, row_block);
	kernel_suite_add(s, name, &k, arg, 5);
	vq_arena_free(&arena);
}

static void rowquants(kernel_suite *s)
{
	static const uint32_t ns[] = { 1, 2, 7, 15, 16, 17, 33, 48, 64, 65, 77, 192, 391 };

	add_norm_codes(s, 11, 48, true, 8);
	add_norm_codes(s, 6, 33, false, 100);
	add_norm_codes(s, 1, 192, false, 1);
	add_blocks(s, 7, 1, 1, 33, true, false, 4);
	add_blocks(s, 2, 9, 3, 32, true, false, 1);
	add_blocks(s, 1, 11, 4, 24, false, true, 3);
	add_blocks(s, 3, 5, 2, 64, true, true, 1);

	for (uint32_t i = 0; i < sizeof ns / sizeof *ns; i++)
		if (!(ns[i] & 2) || !kernel_suite_lacks_word_stores(s))
			add_rowquant(s, 17 + i, ns[i], i % 3, i & 1, i % 2 ? 8 : 100);
}

/* ---- packing ---- */

/* pairs: of scales per batch element, 0: none */
static void add_pack(kernel_suite *s, bool f32, uint32_t batch0, uint32_t batch1, uint32_t n, uint32_t k, bool k_inner,
	int32_t add, uint32_t pairs)
{
	const vq_target *target = kernel_suite_target(s);
	vq_tile t = f32 ? vq_tile_f32(target->isa) : vq_tile_s8(target->isa, false);
	uint32_t np = up(n, vq_tile_nr(&t)), kp = up(k, vq_tile_ka(&t)), batch = batch0 * batch1, heads = batch1;
	size_t element = f32 ? 4 : 1, bytes = vq_pack_batch_bytes(&t, n, k, f32) + (pairs ? 8 * (size_t)np : 0),
	       panels = (size_t)np * kp * element;
	uint32_t width = heads * (k_inner ? k : n); /* of a source row: heads side by side */
	vq_kernel kernel;
	vq_pack *d = &kernel.u.pack;
	char name[120];

	memset(&kernel, 0, sizeof kernel);
	kernel.kind = VQ_KERNEL_PACK;
	d->f32 = f32;
	d->batch[0] = batch0;
	d->batch[1] = batch1;
	d->n = n;
	d->k = k;
	d->n_stride = k_inner ? width : 1;
	d->k_stride = k_inner ? 1 : width;
	d->batch_stride[0] = (int64_t)width * (k_inner ? n : k);
	d->batch_stride[1] = k_inner ? k : n;
	d->batch_bytes = (int64_t)bytes;
	d->add = add;
	d->pairs = pairs;
	for (uint32_t i = 0; i < 2 * pairs * batch; i++)
		row_scales[i] = test_f32(1.0f);
	memset(c_bytes, 0x77, bytes * batch); /* the gap after a batch element stays as the driver filled it */
	for (uint32_t z = 0; z < batch; z++) {
		size_t base = (size_t)((z / heads) * d->batch_stride[0] + (z % heads) * d->batch_stride[1]);

		for (uint32_t j = 0; j < n; j++)
			for (uint32_t i = 0; i < k; i++) {
				size_t at = base + (size_t)(j * d->n_stride + i * d->k_stride);

				f32_b[j * k + i] = test_f32(1.0f);
				logical_b[j * k + i] = test_code(-127, 127);
				memcpy(source + at * element, f32 ? (void *)&f32_b[j * k + i] : &logical_b[j * k + i],
					element);
			}
		pack_b(&t, f32, n, k, f32 ? (void *)f32_b : logical_b, c_bytes + z * bytes);
		for (uint32_t j = 0; j < np && !f32; j++) {
			int32_t sum = 0;

			for (uint32_t i = 0; i < k && j < n; i++)
				sum += logical_b[j * k + i];
			if (pairs)
				memcpy(c_bytes + z * bytes + panels + 4 * (np + j), &sum, 4);
			if (pairs && j < n)
				memcpy(c_bytes + z * bytes + panels + 4 * (2 * np + j),
					&row_scales[2 * (z * pairs + (pairs > 1 ? j : 0))], 4);
			sum *= add;
			memcpy(c_bytes + z * bytes + panels + 4 * j, &sum, 4);
		}
	}
	snprintf(name, sizeof name, "pack %s %ux%u, %ux%u, k inner %d, %u scales", f32 ? "f32" : "s8", batch0, batch1,
		n, k, k_inner, pairs);
	kernel_data arg[3] = { { source, (size_t)width * (k_inner ? n : k) * batch0 * element, false },
		{ c_bytes, bytes * batch, true }, { row_scales, 8 * (size_t)pairs * batch, false } };
	kernel_suite_add(s, name, &kernel, arg, pairs ? 3 : 2);
}

static void packs(kernel_suite *s)
{
	for (int inner = 0; inner < 2; inner++) {
		add_pack(s, false, 1, 3, 50, 64, inner, -128, 0);
		add_pack(s, false, 2, 2, 64, 37, inner, 128, 0);
		add_pack(s, false, 1, 1, 7, 5, inner, 0, 0);
		add_pack(s, false, 1, 2, 33, 48, inner, 77, 0);
		add_pack(s, true, 2, 2, 19, 21, inner, 0, 0);
		add_pack(s, true, 1, 1, 64, 16, inner, 0, 0);
		add_pack(s, false, 2, 3, 21, 40, inner, -128, 21);
		add_pack(s, false, 1, 2, 64, 16, inner, 0, 1);
	}
}

/* clang-format off */
static void test_small_shapes(void **state) { (void)state; assert_true(kernel_suite_each("gemm_small", small_shapes)); }
static void test_real_shapes(void **state) { (void)state; assert_true(kernel_suite_each("gemm_real", real_shapes)); }
static void test_worst_cases(void **state) { (void)state; assert_true(kernel_suite_each("gemm_worst", worst_cases)); }
static void test_products_f32(void **state) { (void)state; assert_true(kernel_suite_each("gemm_f32", f32_products)); }
static void test_row_quantized(void **state) { (void)state; assert_true(kernel_suite_each("gemm_codes", row_quantized)); }
static void test_row_scaled(void **state) { (void)state; assert_true(kernel_suite_each("gemm_rows", row_scaled)); }
static void test_rowquants(void **state) { (void)state; assert_true(kernel_suite_each("rowquant", rowquants)); }
static void test_packs(void **state) { (void)state; assert_true(kernel_suite_each("pack", packs)); }
/* clang-format on */

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_shapes),
		cmocka_unit_test(test_real_shapes),
		cmocka_unit_test(test_worst_cases),
		cmocka_unit_test(test_products_f32),
		cmocka_unit_test(test_row_scaled),
		cmocka_unit_test(test_row_quantized),
		cmocka_unit_test(test_rowquants),
		cmocka_unit_test(test_packs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
