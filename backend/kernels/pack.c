/* SPDX-License-Identifier: MIT */
/*
 * Packing of an activation as the B operand of a product or of attention: panels [Np/NR][Kp/KR][NR][KR], zero padded,
 * then the first accumulators s32[Np], and for codes with scales at run time column sums s32[Np] and scales f32[Np]. One
 * task per batch element.
 *
 * Two ways to fill a panel. Where columns are contiguous in the source (V), KR rows of 16 columns are interleaved in
 * registers. Otherwise column by column, KR steps of k at a time (K, where they are contiguous).
 */
#include "backend/kernels/gemm_tile.h"

#include <assert.h>

enum { UNIT = 16 }; /* columns interleaved at once */

typedef struct packer {
	const vq_pack *d;
	vq_tile_form form;
	uint32_t nr, np;
	int64_t element; /* bytes */
	LLVMTypeRef type;
	vq_ll from, to, scales; /* of the batch element */
} packer;

static vq_ll zip(vq_codegen *c, vq_ll a, vq_ll b)
{
	uint32_t n = vq_lanes_of(a);
	LLVMValueRef mask[8 * UNIT];

	assert(2 * n <= sizeof mask / sizeof *mask);
	for (uint32_t i = 0; i < n; i++) {
		mask[2 * i] = vq_ci32(c, i);
		mask[2 * i + 1] = vq_ci32(c, (int64_t)n + i);
	}
	return LLVMBuildShuffleVector(c->b, a, b, LLVMConstVector(mask, 2 * n), "");
}

/* rows[kr] of n columns as n groups of kr */
static vq_ll interleave(vq_codegen *c, vq_ll *rows, uint32_t kr)
{
	vq_ll odd;

	switch (kr) {
	case 1: return rows[0];
	case 2: return zip(c, rows[0], rows[1]);
	default: break;
	}
	assert(kr == 4);
	odd = zip(c, rows[1], rows[3]);
	return zip(c, zip(c, rows[0], rows[2]), odd);
}

static void zero_fill(vq_codegen *c, packer *p, vq_ll to, int64_t bytes)
{
	uint32_t unit = 16;
	vq_loop loop;

	while (bytes % unit)
		unit /= 2;
	vq_loop_begin(c, &loop, vq_cword(c, 0), vq_cword(c, bytes), vq_cword(c, unit), NULL, 0);
	vq_store_to(c, LLVMConstNull(vq_vec(c->i8, unit)), vq_offset(c, to, loop.i),
		unit < p->element ? unit : (uint32_t)p->element);
	vq_loop_end(c, &loop);
}

/* `steps` rows from k on, UNIT columns: one interleaved store; k is a word, multiple of KR */
static void pack_unit(vq_codegen *c, packer *p, vq_ll from, vq_ll to, uint32_t steps)
{
	uint32_t kr = p->form.t.kr, n = p->nr < UNIT ? p->nr : UNIT;
	vq_ll rows[4];

	for (uint32_t i = 0; i < kr; i++)
		rows[i] = i < steps
			? vq_load(c, vq_vec(p->type, n), vq_offset_const(c, from, i * p->d->k_stride * p->element),
				  (uint32_t)p->element)
			: LLVMConstNull(vq_vec(p->type, n));
	vq_store_to(c, interleave(c, rows, kr), to, (uint32_t)p->element);
}

static void pack_units(vq_codegen *c, packer *p, vq_ll from, vq_ll to)
{
	uint32_t kr = p->form.t.kr, groups = p->d->k / kr, rest = p->d->k % kr;
	int64_t group_bytes = (int64_t)p->nr * kr * p->element;
	vq_ll unit;
	vq_loop loop;

	if (groups) {
		vq_loop_begin(c, &loop, vq_cword(c, 0), vq_cword(c, groups), vq_cword(c, 1), NULL, 0);
		unit = vq_offset(c, to, vq_mul_const(c, loop.i, group_bytes));
		pack_unit(
			c, p, vq_offset(c, from, vq_mul_const(c, loop.i, kr * p->d->k_stride * p->element)), unit, kr);
		vq_loop_end(c, &loop);
	}
	if (rest) {
		unit = vq_offset_const(c, to, groups * group_bytes);
		pack_unit(
			c, p, vq_offset_const(c, from, (int64_t)groups * kr * p->d->k_stride * p->element), unit, rest);
	}
}

/* `steps` elements of one column */
static void copy_group(vq_codegen *c, packer *p, vq_ll from, vq_ll to, uint32_t steps)
{
	bool together = p->d->k_stride == 1 && steps == p->form.t.kr;
	uint32_t n = together ? steps : 1;

	for (uint32_t i = 0; i < steps; i += n) {
		vq_ll at = vq_offset_const(c, to, i * p->element);
		vq_ll x = vq_offset_const(c, from, i * p->d->k_stride * p->element);

		vq_store_to(c, vq_load(c, vq_vec(p->type, n), x, (uint32_t)p->element), at, (uint32_t)p->element);
	}
}

/* columns first … end - 1 of a panel, from is column 0 */
static void pack_columns(vq_codegen *c, packer *p, uint32_t first, uint32_t end, vq_ll from, vq_ll to)
{
	uint32_t kr = p->form.t.kr, groups = p->d->k / kr, rest = p->d->k % kr;
	int64_t group_bytes = (int64_t)p->nr * kr * p->element, k_bytes = kr * p->d->k_stride * p->element;
	vq_ll at;
	vq_loop column, group;

	vq_loop_begin(c, &column, vq_cword(c, first), vq_cword(c, end), vq_cword(c, 1), NULL, 0);
	from = vq_offset(c, from, vq_mul_const(c, column.i, p->d->n_stride * p->element));
	to = vq_offset(c, to, vq_mul_const(c, column.i, kr * p->element));
	if (groups) {
		vq_loop_begin(c, &group, vq_cword(c, 0), vq_cword(c, groups), vq_cword(c, 1), NULL, 0);
		at = vq_offset(c, to, vq_mul_const(c, group.i, group_bytes));
		copy_group(c, p, vq_offset(c, from, vq_mul_const(c, group.i, k_bytes)), at, kr);
		vq_loop_end(c, &group);
	}
	if (rest) {
		at = vq_offset_const(c, to, groups * group_bytes);
		copy_group(c, p, vq_offset_const(c, from, groups * k_bytes), at, rest);
	}
	vq_loop_end(c, &column);
}

/* first accumulators of a panel: add times the column sums; and these sums, where scales follow */
static void first_accumulators(vq_codegen *c, packer *p, vq_ll panel, vq_ll column)
{
	vq_ll sums[VQ_TILE_MAX], to = vq_offset_const(c, p->to, (int64_t)p->np * p->form.kp);
	vq_tile_shape shape = vq_tile_result(&p->form, p->nr);
	LLVMTypeRef type = vq_vec(c->i32, shape.lanes);
	vq_ll factor = vq_splat(c, vq_ci32(c, p->d->add), shape.lanes);

	to = vq_offset(c, to, vq_mul_const(c, column, 4));
	if (p->d->add || p->d->pairs)
		vq_tile_column_sums(c, &p->form, panel, sums);
	for (uint32_t j = 0; j < shape.n; j++) {
		vq_ll at = vq_offset_const(c, to, 4 * (int64_t)j * shape.lanes);

		vq_store_to(c, p->d->add ? LLVMBuildMul(c->b, sums[j], factor, "") : LLVMConstNull(type), at, 4);
		if (p->d->pairs)
			vq_store_to(c, sums[j], vq_offset_const(c, at, 4 * (int64_t)p->np), 4);
	}
}

/* scales of the panel's columns; those beyond the last are never used */
static void panel_scales(vq_codegen *c, packer *p, vq_ll column, uint32_t columns)
{
	int64_t step = p->d->pairs > 1 ? 8 : 0;
	vq_ll to = vq_offset_const(c, p->to, (int64_t)p->np * (p->form.kp + 8)), scale;
	vq_loop loop;

	vq_loop_begin(c, &loop, column, vq_add_word(c, column, vq_cword(c, columns)), vq_cword(c, 1), NULL, 0);
	scale = vq_load(c, c->f32, vq_offset(c, p->scales, vq_mul_const(c, loop.i, step)), 4);
	vq_store_to(c, scale, vq_offset(c, to, vq_mul_const(c, loop.i, 4)), 4);
	vq_loop_end(c, &loop);
}

static void pack_panel(vq_codegen *c, packer *p, vq_ll index, uint32_t columns)
{
	const vq_tile_form *f = &p->form;
	vq_ll column = vq_mul_const(c, index, p->nr);
	vq_ll to = vq_offset(c, p->to, vq_mul_const(c, index, vq_panel_bytes(f)));
	vq_ll from = vq_offset(c, p->from, vq_mul_const(c, column, p->d->n_stride * p->element));
	uint32_t unit = p->nr < UNIT ? p->nr : UNIT, done = 0;
	int64_t whole = (int64_t)p->d->k / f->t.kr * f->t.kr * p->nr * p->element;

	if (columns < p->nr)
		zero_fill(c, p, to, vq_panel_bytes(f));
	else if (f->kp != p->d->k)
		zero_fill(c, p, vq_offset_const(c, to, whole), vq_panel_bytes(f) - whole);
	if (p->d->n_stride == 1 && f->t.kr <= 4 && f->t.shape == VQ_ACC_N && f->t.lanes > 1)
		for (; done + unit <= columns; done += unit) {
			vq_ll at = vq_offset_const(c, to, done * f->t.kr * p->element);

			pack_units(c, p, vq_offset_const(c, from, done * p->element), at);
		}
	if (done < columns)
		pack_columns(c, p, done, columns, from, to);
	if (!p->d->f32)
		first_accumulators(c, p, to, column);
	if (p->d->pairs)
		panel_scales(c, p, column, columns);
}

void vq_build_pack(vq_codegen *c, const vq_pack *d, vq_kernel_args *a)
{
	packer p = { .d = d, .element = d->f32 ? 4 : 1, .type = d->f32 ? c->f32 : c->i8 };
	vq_ll outer = a->task, inner = vq_cword(c, 0);
	uint32_t whole, rest;
	vq_loop loop;

	p.form = vq_tile_form_of(c->target->isa, d->f32, d->wide, d->k, 0, false, false);
	p.nr = vq_tile_nr(&p.form.t);
	p.np = (d->n + p.nr - 1) / p.nr * p.nr;
	whole = d->n / p.nr;
	rest = d->n % p.nr;
	if (d->batch[1] > 1) {
		outer = LLVMBuildUDiv(c->b, a->task, vq_cword(c, d->batch[1]), "");
		inner = LLVMBuildURem(c->b, a->task, vq_cword(c, d->batch[1]), "");
	}
	p.from = vq_offset(c, a->arg[0], vq_mul_const(c, outer, d->batch_stride[0] * p.element));
	p.from = vq_offset(c, p.from, vq_mul_const(c, inner, d->batch_stride[1] * p.element));
	p.to = vq_offset(c, a->arg[1], vq_mul_const(c, a->task, d->batch_bytes));
	if (d->pairs)
		p.scales = vq_offset(c, a->arg[2], vq_mul_const(c, a->task, 8 * (int64_t)d->pairs));
	if (whole) {
		vq_loop_begin(c, &loop, vq_cword(c, 0), vq_cword(c, whole), vq_cword(c, 1), NULL, 0);
		pack_panel(c, &p, loop.i, p.nr);
		vq_loop_end(c, &loop);
	}
	if (rest)
		pack_panel(c, &p, vq_cword(c, whole), rest);
}
