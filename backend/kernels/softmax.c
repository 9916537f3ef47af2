/* SPDX-License-Identifier: MIT */
/*
 * Softmax over contiguous rows: greatest element, exponentials and their sum in 16 fixed lanes, one division per row. The f32
 * result holds the exponentials between the passes; a quantized one has no room for them, so they are computed twice.
 */
#include "backend/kernels/kernel.h"

#include <assert.h>
#include <math.h>

typedef struct row {
	const vq_softmax *d;
	const vq_kernel_args *a;
	vq_ll start; /* element index of the row in the result */
	vq_ll x, y;
	vq_ll greatest, scale; /* splat to 16 lanes */
	bool keep;             /* exponentials stay in y */
	/* of the pieces being computed, for operands of the programs */
	const vq_epilogue *e;
	uint32_t first_arg;
	vq_ll j;
	uint32_t count;
} row;

static vq_ll get(vq_codegen *c, void *user, uint32_t k, uint32_t i)
{
	const row *s = user;
	const vq_extra *x = &s->e->extra[k];
	vq_ll at = vq_add_word(c, s->j, vq_cword(c, 16 * (int64_t)i));

	if (x->index == VQ_X_SCALAR)
		return vq_extra_load(c, x, s->a->arg[s->first_arg + k], vq_cword(c, 0), 0, 16);
	if (x->index == VQ_X_FULL)
		at = vq_add_word(c, at, s->start);
	return vq_extra_load16(c, x, s->a->arg[s->first_arg + k], at, s->count);
}

static void run(vq_codegen *c, row *s, const vq_epilogue *e, uint32_t first_arg, vq_ll *v, uint32_t n)
{
	s->e = e;
	s->first_arg = first_arg;
	vq_epilogue_run(c, e, get, s, v, n);
}

static void load(vq_codegen *c, row *s, vq_ll from, vq_ll j, uint32_t pieces, uint32_t count, vq_ll *v)
{
	assert(pieces <= VQ_MOST_VECTORS);
	s->j = j;
	s->count = count;
	for (uint32_t p = 0; p < pieces; p++)
		v[p] = vq_extra_load16(c, &vq_extra_f32, from, vq_add_word(c, j, vq_cword(c, 16 * (int64_t)p)), count);
}

static void find_greatest(vq_codegen *c, void *user, vq_ll j, uint32_t pieces, uint32_t count, vq_ll *acc)
{
	row *s = user;
	vq_ll v[VQ_MOST_VECTORS], least = vq_splat_f32(c, -INFINITY, 16);

	load(c, s, s->x, j, pieces, count, v);
	run(c, s, &s->d->prologue, 2, v, pieces);
	for (uint32_t p = 0; p < pieces; p++) {
		v[p] = vq_first_lanes(c, v[p], count, least);
		acc[0] = vq_select(c, LLVMRealOGT, v[p], acc[0], v[p], acc[0]);
	}
}

static void exponentials(vq_codegen *c, row *s, vq_ll j, uint32_t pieces, uint32_t count, vq_ll *v)
{
	load(c, s, s->x, j, pieces, count, v);
	run(c, s, &s->d->prologue, 2, v, pieces);
	for (uint32_t p = 0; p < pieces; p++)
		v[p] = vq_fsub(c, v[p], s->greatest);
	vq_unary(c, VQ_OP_EXP, v, pieces);
}

static vq_ll y_at(vq_codegen *c, const row *s, vq_ll j, uint32_t piece)
{
	vq_ll at = vq_add_word(c, j, vq_cword(c, 16 * (int64_t)piece));

	return vq_offset(c, s->y, vq_mul_const(c, at, vq_store_bytes(&s->d->epilogue)));
}

static void sum(vq_codegen *c, void *user, vq_ll j, uint32_t pieces, uint32_t count, vq_ll *acc)
{
	row *s = user;
	vq_ll v[VQ_MOST_VECTORS], zero = vq_splat_f32(c, 0.0f, 16);

	exponentials(c, s, j, pieces, count, v);
	for (uint32_t p = 0; p < pieces; p++) {
		acc[0] = vq_fadd(c, acc[0], vq_first_lanes(c, v[p], count, zero));
		if (s->keep)
			vq_store_first(c, v[p], y_at(c, s, j, p), count);
	}
}

static void finish(vq_codegen *c, void *user, vq_ll j, uint32_t pieces, uint32_t count, vq_ll *none)
{
	row *s = user;
	vq_ll v[VQ_MOST_VECTORS];

	(void)none;
	if (s->keep)
		load(c, s, s->y, j, pieces, count, v);
	else
		exponentials(c, s, j, pieces, count, v);
	for (uint32_t p = 0; p < pieces; p++)
		v[p] = vq_fmul(c, v[p], s->scale);
	run(c, s, &s->d->epilogue, 2 + s->d->prologue.n_extras, v, pieces);
	for (uint32_t p = 0; p < pieces; p++) {
		vq_epilogue_convert(c, &s->d->epilogue, &v[p], 1);
		vq_store_first(c, v[p], y_at(c, s, j, p), count);
	}
}

void vq_build_softmax(vq_codegen *c, const vq_softmax *d, vq_kernel_args *a)
{
	uint32_t chunks = c->lanes / 4 < 4 ? c->lanes / 4 : 4; /* four registers in lockstep */
	row s = { .d = d, .a = a, .keep = d->epilogue.store == VQ_STORE_F32 && !d->epilogue.n_extras };
	vq_ll first, count, acc;
	vq_loop l;

	vq_task_rows(c, a->task, d->rows, d->row_block, &first, &count);
	vq_loop_begin(c, &l, first, vq_add_word(c, first, count), vq_cword(c, 1), NULL, 0);
	s.start = vq_mul_const(c, l.i, d->n);
	s.x = vq_offset(c, a->arg[0], vq_mul_const(c, s.start, 4));
	s.y = vq_offset(c, a->arg[1], vq_mul_const(c, s.start, vq_store_bytes(&d->epilogue)));
	acc = vq_splat_f32(c, -INFINITY, 16);
	vq_walk16(c, d->n, chunks, find_greatest, &s, &acc, 1);
	s.greatest = vq_splat(c, vq_fold16(c, acc, true), 16);
	acc = vq_splat_f32(c, 0.0f, 16);
	vq_walk16(c, d->n, chunks, sum, &s, &acc, 1);
	s.scale = vq_splat(c, LLVMBuildFDiv(c->b, vq_cf32(c, 1.0f), vq_tree16(c, acc), ""), 16);
	vq_walk16(c, d->n, chunks, finish, &s, NULL, 0);
	vq_loop_end(c, &l);
}
