/* SPDX-License-Identifier: MIT */
/*
 * LayerNorm, rows in lockstep: two passes in 16 fixed lanes and the fixed tree (docs/arithmetic.md), then normalize and store.
 * With row_codes a row goes to scratch, where its range is taken before it is quantized (rowquant.c).
 * Several rows at once hide the latency of the sums; rows that are left over go one at a time with several pieces in flight.
 */
#include "backend/kernels/kernel.h"
#include "backend/kernels/scratch.h"
#include "ir/contract.h"

#include <assert.h>

enum { MOST_ROWS = VQ_LAYERNORM_ROWS };

typedef struct rows {
	const vq_layernorm *d;
	uint32_t n; /* rows in lockstep */
	vq_ll x[MOST_ROWS], y[MOST_ROWS];
	vq_ll gamma, beta;
	vq_ll mean[MOST_ROWS], r[MOST_ROWS]; /* splat to 16 lanes */
} rows;

static vq_ll x_piece(vq_codegen *c, const rows *s, uint32_t row, vq_ll j, uint32_t piece, uint32_t count)
{
	return vq_extra_load16(c, &vq_extra_f32, s->x[row], vq_add_word(c, j, vq_cword(c, 16 * (int64_t)piece)), count);
}

static void sum(vq_codegen *c, void *user, vq_ll j, uint32_t pieces, uint32_t count, vq_ll *acc)
{
	const rows *s = user;

	for (uint32_t p = 0; p < pieces; p++)
		for (uint32_t i = 0; i < s->n; i++)
			acc[i] = vq_fadd(c, acc[i], x_piece(c, s, i, j, p, count));
}

static void sum_squares(vq_codegen *c, void *user, vq_ll j, uint32_t pieces, uint32_t count, vq_ll *acc)
{
	const rows *s = user;
	vq_ll zero = vq_splat_f32(c, 0.0f, 16), tiny = vq_splat_f32(c, VQ_TINY, 16);

	for (uint32_t p = 0; p < pieces; p++)
		for (uint32_t i = 0; i < s->n; i++) {
			vq_ll d = vq_fsub(c, x_piece(c, s, i, j, p, count), s->mean[i]);
			vq_ll q = vq_fmul(c, d, d);

			q = vq_select(c, LLVMRealOLT, q, tiny, zero, q);
			acc[i] = vq_fadd(c, acc[i], vq_first_lanes(c, q, count, zero));
		}
}

static void normalize(vq_codegen *c, void *user, vq_ll j, uint32_t pieces, uint32_t count, vq_ll *none)
{
	const rows *s = user;
	uint32_t bytes = vq_store_bytes(&s->d->epilogue);

	(void)none;
	for (uint32_t p = 0; p < pieces; p++) {
		vq_ll at = vq_add_word(c, j, vq_cword(c, 16 * (int64_t)p));
		vq_ll g = vq_extra_load16(c, &vq_extra_f32, s->gamma, at, count);
		vq_ll b = vq_extra_load16(c, &vq_extra_f32, s->beta, at, count);
		vq_ll v[MOST_ROWS];

		for (uint32_t i = 0; i < s->n; i++) {
			v[i] = vq_fsub(c, x_piece(c, s, i, j, p, count), s->mean[i]);
			v[i] = vq_fmul(c, v[i], s->r[i]);
			v[i] = vq_fadd(c, vq_fmul(c, v[i], g), b);
		}
		for (uint32_t i = 0; i < s->n; i++) {
			vq_epilogue_convert(c, &s->d->epilogue, &v[i], 1);
			vq_store_first(c, v[i], vq_offset(c, s->y[i], vq_mul_const(c, at, bytes)), count);
		}
	}
}

static void build_rows(vq_codegen *c, rows *s, uint32_t chunks)
{
	const vq_layernorm *d = s->d;
	float inv = (float)(1.0 / (double)d->n);
	vq_ll acc[MOST_ROWS], zero = vq_cf32(c, 0.0f);
	LLVMTypeRef f32 = c->f32;

	for (uint32_t i = 0; i < s->n; i++)
		acc[i] = vq_splat_f32(c, 0.0f, 16);
	vq_walk16(c, d->n, chunks, sum, s, acc, s->n);
	for (uint32_t i = 0; i < s->n; i++) {
		vq_ll mean = vq_fmul(c, vq_tree16(c, acc[i]), vq_cf32(c, inv));

		mean = vq_select(c, LLVMRealOLT, vq_fabs(c, mean), vq_cf32(c, VQ_TINY), zero, mean);
		s->mean[i] = vq_splat(c, mean, 16);
		acc[i] = vq_splat_f32(c, 0.0f, 16);
	}
	vq_walk16(c, d->n, chunks, sum_squares, s, acc, s->n);
	for (uint32_t i = 0; i < s->n; i++) {
		vq_ll var = vq_fmul(c, vq_tree16(c, acc[i]), vq_cf32(c, inv));
		vq_ll root = vq_fadd(c, var, vq_cf32(c, d->epsilon));

		root = vq_intrinsic(c, "llvm.sqrt", &f32, 1, &root, 1);
		s->r[i] = vq_splat(c, LLVMBuildFDiv(c->b, vq_cf32(c, 1.0f), root, ""), 16);
	}
	vq_walk16(c, d->n, chunks, normalize, s, NULL, 0);
}

/* rows [from, to) of the task, n at a time */
static void block(vq_codegen *c, const vq_layernorm *d, const vq_kernel_args *a, vq_ll from, vq_ll to, uint32_t n,
	uint32_t chunks)
{
	rows s = { .d = d, .n = n, .gamma = a->arg[1], .beta = a->arg[2] };
	int64_t y_row = (int64_t)d->n * vq_store_bytes(&d->epilogue);
	vq_loop l;

	vq_loop_begin_maybe(c, &l, from, to, vq_cword(c, n), NULL, 0);
	for (uint32_t i = 0; i < n; i++) {
		vq_ll row = vq_add_word(c, l.i, vq_cword(c, i));

		s.x[i] = vq_offset(c, a->arg[0], vq_mul_const(c, row, d->x_row));
		s.y[i] = d->row_codes ? vq_offset_const(c, a->scratch, i * y_row)
				      : vq_offset(c, a->arg[3], vq_mul_const(c, row, y_row));
	}
	build_rows(c, &s, chunks);
	for (uint32_t i = 0; i < n && d->row_codes; i++) {
		vq_rowquant q = { .n = d->n, .u8 = d->row_codes_u8 };
		vq_ll row = vq_add_word(c, l.i, vq_cword(c, i));
		vq_ll params = vq_offset(c, a->arg[4], vq_mul_const(c, row, 8));

		vq_rowquant_row(c, &q, s.y[i], vq_offset(c, a->arg[3], vq_mul_const(c, row, d->n)), params);
	}
	vq_loop_end(c, &l);
}

void vq_build_layernorm(vq_codegen *c, const vq_layernorm *d, vq_kernel_args *a)
{
	uint32_t most = c->lanes / 4 < MOST_ROWS ? c->lanes / 4
						 : MOST_ROWS; /* 16 lanes of that many rows fill four registers */
	vq_ll first, count, middle, end;
	bool known;

	assert(!d->epilogue.n_eops && d->n);
	vq_task_rows(c, a->task, d->rows, d->row_block, &first, &count);
	end = vq_add_word(c, first, count);
	known = LLVMIsAConstantInt(count) != NULL;
	if (most == 1) {
		block(c, d, a, first, end, 1, 1);
		return;
	}
	middle = LLVMBuildAnd(c->b, count, vq_cword(c, -(int64_t)most), "");
	if (!known || LLVMConstIntGetZExtValue(middle))
		block(c, d, a, first, vq_add_word(c, first, middle), most, 1);
	if (!known || LLVMConstIntGetZExtValue(middle) != LLVMConstIntGetZExtValue(count))
		block(c, d, a, vq_add_word(c, first, middle), end, 1, most);
}
