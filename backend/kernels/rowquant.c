/* SPDX-License-Identifier: MIT */
/*
 * quantize_dynamic: the least and greatest element of a row, its scale and zero point, its codes (docs/ir.md). A row is read
 * twice, the second time from the first-level cache.
 */
#include "backend/kernels/kernel.h"
#include "ir/contract.h"

enum { CHUNKS = 4, REGISTERS = 16 }; /* pieces of 16 lanes in flight, where the registers allow it */

typedef struct row {
	vq_ll x, codes;
	vq_ll inv;            /* splat to 16 lanes */
	vq_epilogue epilogue; /* how codes are stored; their range is in the codegen's store_ fields */
} row;

static vq_ll x_piece(vq_codegen *c, const row *s, vq_ll j, uint32_t piece, uint32_t count)
{
	return vq_extra_load16(c, &vq_extra_f32, s->x, vq_add_word(c, j, vq_cword(c, 16 * (int64_t)piece)), count);
}

/* lanes beyond the row's end are +0, which is in the range anyway */
static void range(vq_codegen *c, void *user, vq_ll j, uint32_t pieces, uint32_t count, vq_ll *acc)
{
	for (uint32_t p = 0; p < pieces; p++) {
		vq_ll x = x_piece(c, user, j, p, count);

		acc[0] = vq_select(c, LLVMRealOLT, x, acc[0], x, acc[0]);
		acc[1] = vq_select(c, LLVMRealOGT, x, acc[1], x, acc[1]);
	}
}

static void store_codes(vq_codegen *c, void *user, vq_ll j, uint32_t pieces, uint32_t count, vq_ll *none)
{
	const row *s = user;
	vq_ll v[CHUNKS];

	(void)none;
	for (uint32_t p = 0; p < pieces; p++)
		v[p] = vq_fmul(c, x_piece(c, s, j, p, count), s->inv);
	for (uint32_t p = 0; p < pieces; p++) {
		vq_ll to = vq_offset(c, s->codes, vq_add_word(c, j, vq_cword(c, 16 * (int64_t)p)));

		vq_epilogue_convert(c, &s->epilogue, &v[p], 1);
		vq_store_first(c, v[p], to, count);
	}
}

/* as vq_c_row_scale and vq_c_row_scale_symmetric */
static void choose(vq_codegen *c, row *s, bool symmetric, vq_ll lo, vq_ll hi, vq_ll params)
{
	vq_ll scale, inv, zero;

	if (symmetric) {
		lo = LLVMBuildFNeg(c->b, lo, "");
		hi = vq_fmin_const(c, vq_select(c, LLVMRealOGT, lo, hi, lo, hi), 0x1p100f);
		scale = vq_fmul(c, hi, vq_cf32(c, 1.0f / 127.0f));
	} else {
		lo = vq_fmax_const(c, lo, -0x1p100f);
		hi = vq_fmin_const(c, hi, 0x1p100f);
		scale = vq_fmul(c, vq_fsub(c, hi, lo), vq_cf32(c, 1.0f / 255.0f));
	}
	scale = vq_fmax_const(c, scale, VQ_LEAST_ROW_SCALE);
	inv = LLVMBuildFDiv(c->b, vq_cf32(c, 1.0f), scale, "");
	s->inv = vq_splat(c, inv, 16);
	vq_store_to(c, scale, params, 4);
	if (symmetric) {
		vq_store_to(c, vq_cf32(c, 0.0f), vq_offset_const(c, params, 4), 4);
		return;
	}
	zero = vq_quantize(c, vq_fsub(c, vq_cf32(c, -128.0f), vq_fmul(c, lo, inv)), -128, 127, 0, true);
	c->store_zero = zero;
	zero = LLVMBuildSIToFP(c->b, zero, c->f32, "");
	c->store_low = vq_fsub(c, vq_cf32(c, -128.0f), zero);
	c->store_high = vq_fsub(c, vq_cf32(c, 127.0f), zero);
	vq_store_to(c, zero, vq_offset_const(c, params, 4), 4);
}

static uint32_t chunks_of(const vq_codegen *c)
{
	uint32_t chunks = c->lanes * REGISTERS / 64;

	return chunks < CHUNKS ? chunks : CHUNKS;
}

static row start(const vq_rowquant *d)
{
	return (row){ .epilogue = { .store = d->u8 ? VQ_STORE_U8 : VQ_STORE_S8,
			      .lo = d->symmetric ? -127 : -128,
			      .hi = 127,
			      .scalars = !d->symmetric } };
}

/* a block of rows with one scale: its range over all of them, then its codes */
static void block(vq_codegen *c, const vq_rowquant *d, vq_ll x, vq_ll codes, vq_ll params)
{
	const int64_t step = (int64_t)d->groups * d->n;
	row s = start(d);
	vq_ll acc[2];
	vq_loop loop;

	acc[0] = acc[1] = vq_splat_f32(c, 0.0f, 16);
	vq_loop_begin(c, &loop, vq_cword(c, 0), vq_cword(c, d->tall), vq_cword(c, 1), acc, 2);
	s.x = vq_offset(c, x, vq_mul_const(c, loop.i, 4 * step));
	loop.next[0] = loop.phi[0];
	loop.next[1] = loop.phi[1];
	vq_walk16(c, d->n, chunks_of(c), range, &s, loop.next, 2);
	vq_loop_end(c, &loop);
	acc[1] = vq_fold16(c, loop.phi[1], true);
	choose(c, &s, d->symmetric, vq_fold16(c, loop.phi[0], false), acc[1], params);
	vq_loop_begin(c, &loop, vq_cword(c, 0), vq_cword(c, d->tall), vq_cword(c, 1), NULL, 0);
	s.x = vq_offset(c, x, vq_mul_const(c, loop.i, 4 * step));
	s.codes = vq_offset(c, codes, vq_mul_const(c, loop.i, step));
	vq_walk16(c, d->n, chunks_of(c), store_codes, &s, NULL, 0);
	vq_loop_end(c, &loop);
}

void vq_rowquant_row(vq_codegen *c, const vq_rowquant *d, vq_ll x, vq_ll codes, vq_ll params)
{
	row s = start(d);
	vq_ll acc[2];

	s.x = x;
	s.codes = codes;
	acc[0] = acc[1] = vq_splat_f32(c, 0.0f, 16);
	vq_walk16(c, d->n, chunks_of(c), range, &s, acc, 2);
	acc[1] = vq_fold16(c, acc[1], true);
	choose(c, &s, d->symmetric, vq_fold16(c, acc[0], false), acc[1], params);
	vq_walk16(c, d->n, chunks_of(c), store_codes, &s, NULL, 0);
}

void vq_build_rowquant(vq_codegen *c, const vq_rowquant *d, vq_kernel_args *a)
{
	vq_ll first, count, params, codes;
	vq_loop loop;

	vq_task_rows(c, a->task, d->rows, d->row_block, &first, &count);
	vq_loop_begin(c, &loop, first, vq_add_word(c, first, count), vq_cword(c, 1), NULL, 0);
	params = vq_offset(c, a->arg[2], vq_mul_const(c, loop.i, 8));
	if (d->tall > 1) {
		vq_ll outer = LLVMBuildUDiv(c->b, loop.i, vq_cword(c, d->groups), ""), at;

		at = vq_mul_const(c, outer, (int64_t)(d->tall - 1) * d->groups * d->n);
		at = vq_add_word(c, at, vq_mul_const(c, loop.i, d->n));
		codes = vq_offset(c, a->arg[1], at);
		block(c, d, vq_offset(c, a->arg[0], vq_mul_const(c, at, 4)), codes, params);
	} else {
		codes = vq_offset(c, a->arg[1], vq_mul_const(c, loop.i, d->n));
		vq_rowquant_row(c, d, vq_offset(c, a->arg[0], vq_mul_const(c, loop.i, d->x_row)), codes, params);
	}
	vq_loop_end(c, &loop);
}
