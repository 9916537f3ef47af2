/*
 * quantize_dynamic: the least and greatest element of a row, its scale and zero point, its codes (docs/ir.md). A row is read
 * twice, the second time from the first-level cache.
 */
#include "backend/kernels/kernel.h"
#include "ir/contract.h"

enum { CHUNKS = 4, REGISTERS = 16 }; /* pieces of 16 lanes in flight, where the registers allow it */

typedef struct row {
	vq_ll x, codes;
	vq_ll inv;             /* splat to 16 lanes */
	vq_epilogue epilogue;  /* how codes are stored; their range is in the codegen's store_ fields */
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

/* as vq_c_row_scale */
static void choose(vq_codegen *c, row *s, vq_ll lo, vq_ll hi, vq_ll params)
{
	vq_ll scale, inv, zero;

	lo = vq_fmax_const(c, lo, -0x1p100f);
	hi = vq_fmin_const(c, hi, 0x1p100f);
	scale = vq_fmul(c, vq_fsub(c, hi, lo), vq_cf32(c, 1.0f / 255.0f));
	scale = vq_fmax_const(c, scale, VQ_LEAST_ROW_SCALE);
	inv = LLVMBuildFDiv(c->b, vq_cf32(c, 1.0f), scale, "");
	zero = vq_quantize(c, vq_fsub(c, vq_cf32(c, -128.0f), vq_fmul(c, lo, inv)), -128, 127, 0, true);
	s->inv = vq_splat(c, inv, 16);
	c->store_zero = zero;
	zero = LLVMBuildSIToFP(c->b, zero, c->f32, "");
	c->store_low = vq_fsub(c, vq_cf32(c, -128.0f), zero);
	c->store_high = vq_fsub(c, vq_cf32(c, 127.0f), zero);
	vq_store_to(c, scale, params, 4);
	vq_store_to(c, zero, vq_offset_const(c, params, 4), 4);
}

void vq_build_rowquant(vq_codegen *c, const vq_rowquant *d, vq_kernel_args *a)
{
	uint32_t chunks = c->lanes * REGISTERS / 64 < CHUNKS ? c->lanes * REGISTERS / 64 : CHUNKS;
	row s = { .epilogue = { .store = d->u8 ? VQ_STORE_U8 : VQ_STORE_S8, .lo = -128, .hi = 127, .scalars = 1 } };
	vq_ll first, count, acc[2];
	vq_loop loop;

	vq_task_rows(c, a->task, d->rows, d->row_block, &first, &count);
	vq_loop_begin(c, &loop, first, vq_add_word(c, first, count), vq_cword(c, 1), NULL, 0);
	s.x = vq_offset(c, a->arg[0], vq_mul_const(c, loop.i, d->x_row));
	s.codes = vq_offset(c, a->arg[1], vq_mul_const(c, loop.i, d->n));
	acc[0] = acc[1] = vq_splat_f32(c, 0.0f, 16);
	vq_walk16(c, d->n, chunks, range, &s, acc, 2);
	choose(c, &s, vq_fold16(c, acc[0], false), vq_fold16(c, acc[1], true), vq_offset(c, a->arg[2], vq_mul_const(c, loop.i, 8)));
	vq_walk16(c, d->n, chunks, store_codes, &s, NULL, 0);
	vq_loop_end(c, &loop);
}
