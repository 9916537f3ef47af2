/* SPDX-License-Identifier: MIT */
/*
 * LayerNorm, softmax, reductions and gather, run on this machine with every instruction set it has and compared byte for byte
 * with the evaluator; and compiled for all targets.
 */
#include "ir/contract.h"
#include "ir/eval.h"
#include "tests/unit/guarded.h"
#include "tests/unit/kernel_check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- one node, evaluated ---- */

typedef struct bench {
	vq_arena arena;
	vq_diag diag;
	vq_graph g;
	vq_node_info node;
	vq_tensor in[3], out;
	char what[64];
} bench;

static void bench_init(bench *b, vq_op op, uint32_t n_in)
{
	memset(b, 0, sizeof *b);
	vq_diag_init(&b->diag, &b->arena, NULL);
	vq_graph_init(&b->g, &b->arena, &b->diag, "bench");
	b->node.op = op;
	b->node.n_in = n_in;
}

/* f32, or codes where scale > 0 */
static vq_type tensor_type(bench *b, uint32_t rank, const int64_t *dim, float scale, int32_t zero, int32_t lo)
{
	vq_type t = vq_type_make(scale > 0.0f ? VQ_S8 : VQ_F32, rank, dim);

	if (scale > 0.0f)
		t.quant = vq_quant_per_tensor(&b->g, scale, zero, lo, 127);
	return t;
}

/* how the result is stored; into e and into the evaluator's result type. merged: the scale is in the operands already */
static void pick_result(bench *b, vq_epilogue *e, uint32_t rank, const int64_t *dim, bool merged)
{
	static const vq_store stores[] = { VQ_STORE_F32, VQ_STORE_S8, VQ_STORE_U8 };
	float scale = 0.0125f;

	e->store = PICK(stores);
	e->flush = e->store == VQ_STORE_F32;
	e->scaled = e->store != VQ_STORE_F32 && !merged;
	e->lo = check_random_u32() & 1 ? -127 : -128;
	e->hi = 127;
	e->zero = e->store == VQ_STORE_F32 ? 0 : (int32_t)check_random_in(-140, 100);
	e->inv = vq_c_inverse((double)scale);
	b->out.type = tensor_type(b, rank, dim, e->store == VQ_STORE_F32 ? 0.0f : scale, e->zero, e->lo);
	b->out.data = vq_arena_alloc(&b->arena, vq_type_bytes(&b->out.type));
}

/* evaluates, runs the kernel everywhere, compares */
static void evaluate_and_run(
	bench *b, const vq_kernel *k, const vq_epilogue *e, guarded *arg, uint32_t n_args, uint32_t result)
{
	size_t bytes = vq_type_bytes(&b->out.type);
	guarded out = guarded_alloc(bytes);
	const char *wrong = vq_eval_node(&b->g, &b->node, b->in, &b->out, &b->arena);

	if (wrong)
		fail_msg("evaluator: %s", wrong);
	if (e->store == VQ_STORE_U8)
		for (size_t i = 0; i < bytes; i++)
			((uint8_t *)b->out.data)[i] ^= 0x80;
	memset(out.data, CHECK_PATTERN, bytes);
	arg[result] = out;
	check_on_each(k, arg, n_args, result, b->out.data, e->store == VQ_STORE_F32, true, b->what);
	guarded_free(&out);
}

/*
 * Rows of one kind each: ordinary, huge, denormal, constant, of all magnitudes, with an infinity or NaN. Denormals only where
 * the contract promises one result however they are treated: they must not meet an infinite or unbounded factor (LayerNorm
 * without epsilon, products).
 */
static void fill_rows(float *x, int64_t rows, int64_t n, bool denormals)
{
	for (int64_t r = 0; r < rows; r++) {
		uint32_t kind = check_random_u32() % 8;

		for (int64_t i = 0; i < n; i++) {
			float v = check_tame_f32();

			v = kind == 1       ? v * 0x1p70f
				: kind == 2 ? v * 0x1p-130f
				: kind == 3 ? 1.375f
				: kind == 4 ? check_random_f32()
					    : v;
			x[r * n + i] = denormals ? v : vq_c_flush(v);
		}
		if (kind == 5)
			x[r * n + check_random_in(0, n - 1)] = NAN;
		else if (kind == 6)
			x[r * n + check_random_in(0, n - 1)] = check_random_u32() & 1 ? INFINITY : -INFINITY;
	}
}

static const uint32_t long_rows[] = { 48, 63, 64, 77, 192, 197, 384, 1000 };

/* 1 … 40, then long_rows */
static uint32_t row_length(uint32_t i) { return i < 40 ? i + 1 : long_rows[i - 40]; }
enum { ROW_LENGTHS = 40 + sizeof long_rows / sizeof *long_rows };

/* ---- LayerNorm ---- */

static void layernorm_length(uint32_t n)
{
	uint32_t rows = (uint32_t)check_random_in(1, 9), gap = check_random_u32() % 3;
	int64_t dim[2] = { rows, n }, one[1] = { n };
	float scale;
	bench b;
	vq_kernel k;
	vq_layernorm *d = &k.u.layernorm;

	bench_init(&b, VQ_OP_LAYERNORM, 3);
	memset(&k, 0, sizeof k);
	k.kind = VQ_KERNEL_LAYERNORM;
	d->rows = rows;
	d->n = n;
	d->epsilon = check_random_u32() % 4 ? 1e-6f : 0.0f;
	d->x_row = 4 * (int64_t)(n + gap);
	d->row_block = (uint32_t)check_random_in(1, rows + 2);
	b.node.attr.norm.epsilon = d->epsilon;
	pick_result(&b, &d->epilogue, 2, dim, true);
	scale = b.out.type.quant ? b.g.quant[b.out.type.quant].scale[0] : 1.0f;

	guarded x = guarded_alloc((rows * (n + gap) - gap) * 4), g = guarded_alloc(n * 4), beta = guarded_alloc(n * 4);
	float *dense = VQ_ARRAY(&b.arena, rows * n, float), *plain = VQ_ARRAY(&b.arena, 2 * n, float);
	guarded arg[4] = { x, g, beta };

	fill_rows(dense, rows, n, d->epsilon > 0.0f);
	for (uint32_t r = 0; r < rows; r++)
		memcpy((float *)x.data + r * (n + gap), dense + r * n, n * 4);
	for (uint32_t i = 0; i < n; i++) {
		plain[i] = check_tame_f32();
		plain[n + i] = check_tame_f32();
		((float *)g.data)[i] = vq_c_merge_bias(plain[i], scale);
		((float *)beta.data)[i] = vq_c_merge_bias(plain[n + i], scale);
	}
	b.in[0] = (vq_tensor){ tensor_type(&b, 2, dim, 0.0f, 0, 0), dense };
	b.in[1] = (vq_tensor){ tensor_type(&b, 1, one, 0.0f, 0, 0), plain };
	b.in[2] = (vq_tensor){ tensor_type(&b, 1, one, 0.0f, 0, 0), plain + n };
	snprintf(b.what, sizeof b.what, "layernorm %ux%u", rows, n);
	evaluate_and_run(&b, &k, &d->epilogue, arg, 4, 3);
	if (n % 13 == 0)
		check_objects(&k);
	guarded_free(&x);
	guarded_free(&g);
	guarded_free(&beta);
	vq_arena_free(&b.arena);
}

static void layernorm(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < ROW_LENGTHS; i++)
		layernorm_length(row_length(i));
}

/* ---- softmax ---- */

/* x * 0.125 + bias, each result an f32 value of the graph: what the prologue computes */
static void add_prologue(vq_epilogue *p, const float *x, const float *bias, float *y, int64_t count)
{
	p->n_extras = 1;
	p->extra[0] = (vq_extra){ .elem = VQ_F32, .index = VQ_X_FULL };
	p->n_eops = 2;
	p->eop[0] = (vq_eop){ .op = VQ_OP_MUL, .extra = -2, .imm = 0.125f, .flush = 1 };
	p->eop[1] = (vq_eop){ .op = VQ_OP_ADD, .extra = 0, .flush = 1 };
	for (int64_t i = 0; i < count; i++) {
		float scaled = vq_c_flush(x[i] * 0.125f);

		y[i] = vq_c_flush(scaled + bias[i]);
	}
}

static void softmax_length(uint32_t n)
{
	uint32_t rows = (uint32_t)check_random_in(1, 5);
	int64_t dim[2] = { rows, n };
	bool prologue = n % 2;
	bench b;
	vq_kernel k;
	vq_softmax *d = &k.u.softmax;

	bench_init(&b, VQ_OP_SOFTMAX, 1);
	memset(&k, 0, sizeof k);
	k.kind = VQ_KERNEL_SOFTMAX;
	d->rows = rows;
	d->n = n;
	d->row_block = (uint32_t)check_random_in(1, rows + 2);
	b.node.attr.axis.axis = 1;
	pick_result(&b, &d->epilogue, 2, dim, false);

	guarded x = guarded_alloc(rows * n * 4), bias = guarded_alloc(rows * n * 4);
	float *plain = VQ_ARRAY(&b.arena, rows * n, float);
	guarded arg[3] = { x, { 0 }, bias };

	fill_rows(x.data, rows, n, true);
	fill_rows(bias.data, rows, n, true);
	if (prologue)
		add_prologue(&d->prologue, x.data, bias.data, plain, (int64_t)rows * n);
	b.in[0] = (vq_tensor){ tensor_type(&b, 2, dim, 0.0f, 0, 0), prologue ? (void *)plain : x.data };
	snprintf(b.what, sizeof b.what, "softmax %ux%u", rows, n);
	evaluate_and_run(&b, &k, &d->epilogue, arg, 3, 1);
	if (n % 13 == 0)
		check_objects(&k);
	guarded_free(&x);
	guarded_free(&bias);
	vq_arena_free(&b.arena);
}

static void softmax(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < ROW_LENGTHS; i++)
		softmax_length(row_length(i));
}

/* ---- reductions ---- */

/* dimensions of the result (all kept ones, reduced ones as 1) and the kernel's: kept first */
static void split_axes(vq_reduce *d, uint32_t rank, const int64_t *dim, uint32_t axes, int64_t *kept)
{
	for (int inner = 0; inner < 2; inner++) {
		for (uint32_t r = 0; r < rank; r++) {
			int64_t stride = 1;

			kept[r] = axes >> r & 1 ? 1 : dim[r];
			if ((axes >> r & 1) != (uint32_t)inner)
				continue;
			for (uint32_t q = r + 1; q < rank; q++)
				stride *= dim[q];
			d->dim[d->outer_rank + d->inner_rank] = dim[r];
			d->stride[d->outer_rank + d->inner_rank] = stride;
			d->outer_rank += !inner;
			d->inner_rank += (uint32_t)inner;
		}
	}
}

static void reduction(uint32_t i)
{
	static const vq_op ops[] = { VQ_OP_REDUCE_SUM, VQ_OP_REDUCE_MEAN, VQ_OP_REDUCE_MAX, VQ_OP_REDUCE_MIN,
		VQ_OP_REDUCE_PROD };
	uint32_t rank = (uint32_t)check_random_in(1, 4), axes = (uint32_t)check_random_in(0, (1 << rank) - 1);
	int64_t dim[4], kept[4] = { 1 };
	bool codes = check_random_u32() & 1;
	bench b;
	vq_kernel k;
	vq_reduce *d = &k.u.reduce;
	vq_extra *x = &d->epilogue.extra[0];

	memset(&k, 0, sizeof k);
	k.kind = VQ_KERNEL_REDUCE;
	d->op = PICK(ops);
	bench_init(&b, d->op, 1);
	for (uint32_t r = 0; r < rank; r++)
		dim[r] = check_random_in(1, rank == 1 ? 400 : rank == 2 ? 80 : 12);
	split_axes(d, rank, dim, axes, kept);
	b.node.attr.reduce.axes = axes;
	b.node.attr.reduce.keepdims = true;
	pick_result(&b, &d->epilogue, rank, kept, false);
	d->epilogue.n_extras = 1;
	x->elem = codes ? VQ_S8 : VQ_F32;
	x->codes = codes;
	x->stored_u8 = codes && (check_random_u32() & 1);
	x->scale = 0.0625f;
	x->zero = (int32_t)check_random_in(-30, 30);
	b.in[0].type = tensor_type(&b, rank, dim, codes ? x->scale : 0.0f, x->zero, -128);
	b.in[0].data = vq_arena_alloc(&b.arena, vq_type_bytes(&b.in[0].type));

	size_t bytes = vq_type_bytes(&b.in[0].type);
	guarded in = guarded_alloc(bytes);
	guarded arg[2] = { { 0 }, in };

	if (codes)
		check_fill(b.in[0].data, VQ_S8, (int64_t)bytes);
	else
		fill_rows(b.in[0].data, (int64_t)bytes / 4, 1, d->op != VQ_OP_REDUCE_PROD);
	memcpy(in.data, b.in[0].data, bytes);
	for (size_t j = 0; x->stored_u8 && j < bytes; j++)
		((uint8_t *)in.data)[j] ^= 0x80;
	snprintf(b.what, sizeof b.what, "reduction %u: %s", i, vq_ops[d->op].text);
	evaluate_and_run(&b, &k, &d->epilogue, arg, 2, 0);
	if (i % 20 == 0)
		check_objects(&k);
	guarded_free(&in);
	vq_arena_free(&b.arena);
}

static void reductions(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 120; i++)
		reduction(i);
}

/* ---- gather ---- */

static void gather(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 40; i++) {
		uint32_t outer = (uint32_t)check_random_in(1, 3), axis = (uint32_t)check_random_in(1, 9),
			 n = (uint32_t)check_random_in(1, 7);
		uint32_t inner = i < 20 ? i + 1 : (uint32_t)check_random_in(1, 900), index_bytes = i % 2 ? 8 : 4;
		guarded data = guarded_alloc(outer * axis * inner), index = guarded_alloc(n * index_bytes);
		guarded out = guarded_alloc(outer * n * inner);
		unsigned char *want = vq_alloc(outer * n * inner);
		guarded arg[3] = { data, index, out };
		vq_kernel k;

		memset(&k, 0, sizeof k);
		k.kind = VQ_KERNEL_GATHER;
		k.u.gather = (vq_gather){
			.outer = outer, .axis = axis, .n = n, .inner_bytes = inner, .index = i % 2 ? VQ_I64 : VQ_I32
		};
		check_fill(data.data, VQ_U8, (int64_t)outer * axis * inner);
		for (uint32_t j = 0; j < n; j++) {
			int64_t at = check_random_in(-1, axis),
				row = at < 0 || at >= axis ? axis - 1 : at; /* the clamp */

			if (i % 2)
				((int64_t *)index.data)[j] = at;
			else
				((int32_t *)index.data)[j] = (int32_t)at;
			for (uint32_t o = 0; o < outer; o++)
				memcpy(want + (o * n + j) * inner, (char *)data.data + (o * axis + row) * inner, inner);
		}
		memset(out.data, CHECK_PATTERN, out.bytes);
		check_on_each(&k, arg, 3, 2, want, false, true, "gather");
		if (i % 10 == 0)
			check_objects(&k);
		guarded_free(&data);
		guarded_free(&index);
		guarded_free(&out);
		vq_free(want);
	}
}

static void elsewhere(void **state)
{
	(void)state;
	check_elsewhere("rows");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layernorm),
		cmocka_unit_test(softmax),
		cmocka_unit_test(reductions),
		cmocka_unit_test(gather),
		cmocka_unit_test(elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
