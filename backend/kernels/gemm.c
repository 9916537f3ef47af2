/* SPDX-License-Identifier: MIT */
/*
 * Products of activations with packed operands, and their epilogue. One task is one block of rows times one range of
 * panels of one batch element; tasks are numbered batch outermost, then columns, rows fastest. Inside a task a panel of
 * B stays in L1 or L2 while all row tiles pass over it.
 *
 * Integer products with codes a, zero za of A and codes b, zero zb of B:
 *   sum (a - za)(b - zb) = sum a b  - za colsum(b)  - zb (rowsum(a) - k za)
 * The first accumulator of a column is -za colsum(b); where the instruction wants a + 128, it is -(za + 128) colsum(b).
 * The last term is one subtraction per row, in imports only; with a zero point per column, a product more. All of it may
 * wrap: the true value is proved to fit. With a zero point per row, za is 0 in the first accumulators, and
 * za (colsum(b) - k zb) is subtracted at the end.
 * With row_codes the results of a block of whole rows stay in scratch as f32 until the last panel is done; then each row is
 * read for its range and quantized (rowquant.c).
 */
#include "backend/kernels/gemm_tile.h"
#include "backend/kernels/kernel.h"
#include "backend/kernels/scratch.h"

#include <string.h>

/* Distance between A's row tile and its prefetch: a tile fetches as many lines as it has chunks. */
enum { LINE = 64 };

typedef struct gemm {
	const vq_gemm *d;
	vq_kernel_args *args;
	vq_tile_form form;
	vq_row_split split;
	uint32_t block; /* rows per task */
	uint32_t np;    /* N rounded up to NR */
	vq_ll is_last;  /* i1: the task's rows are the shorter last block; NULL if there is none */
	vq_ll a, scratch, sums;
	vq_ll b, start, multiplier, addend; /* of the batch element; addend NULL: none */
	vq_ll row_scales;                   /* scale and zero point of the block's first row, NULL if rows have none */
	vq_ll column_sums;                  /* with row_scales */
	vq_ll zeros;                        /* of the columns, with b_zeros */
	vq_ll c;                            /* row 0 of the block, column 0 */
	vq_ll full;                         /* element index of c in the result */
	/* set per panel */
	vq_ll panel, column; /* pointer; first column, a word */
	uint32_t columns;    /* that count */
} gemm;

/* A row of results on its way out. */
typedef struct row {
	gemm *g;
	vq_ll c, full; /* of the panel's first column in this row */
} row;

static int64_t stored_bytes(const vq_epilogue *e) { return vq_store_bytes(e); }

static void store_piece(vq_codegen *c, void *user, vq_ll *v, uint32_t n, uint32_t lanes, uint32_t column)
{
	row *r = user;
	gemm *g = r->g;
	const vq_epilogue *e = &g->d->epilogue;
	vq_ll at = vq_cword(c, column);
	vq_place place = { &g->args->arg[4], vq_add_word(c, r->full, at), vq_add_word(c, g->column, at), lanes };

	vq_epilogue_apply(c, e, &place, v, n);
	vq_epilogue_store(c, e, v, n, lanes, vq_offset_const(c, r->c, column * stored_bytes(e)));
}

/* The row's zero point leaves the sums; returns its scale as lanes. */
static vq_ll take_row_scale(
	vq_codegen *c, gemm *g, vq_ll row_index, vq_ll *x, const vq_ll *column_sum, vq_tile_shape shape)
{
	vq_ll at = vq_offset(c, g->row_scales, vq_mul_const(c, row_index, 8));
	/* an integer in [-128, 127]: exact */
	vq_ll zero = LLVMBuildFPToSI(c->b, vq_load(c, c->f32, vq_offset_const(c, at, 4), 4), c->i32, "");

	zero = vq_splat(c, zero, shape.lanes);
	for (uint32_t j = 0; j < shape.n; j++)
		x[j] = LLVMBuildSub(c->b, x[j], LLVMBuildMul(c->b, zero, column_sum[j], ""), "");
	return vq_splat(c, vq_load(c, c->f32, at, 4), shape.lanes);
}

static vq_ll load_zeros(vq_codegen *c, const gemm *g, vq_ll column, uint32_t lanes)
{
	uint32_t bytes = g->d->b_zeros;
	vq_ll at = vq_offset(c, g->zeros, vq_mul_const(c, column, bytes));

	if (bytes == 4)
		return vq_load(c, vq_vec(c->i32, lanes), at, 4);
	return LLVMBuildSExt(c->b, vq_load(c, vq_vec(c->i8, lanes), at, 1), vq_vec(c->i32, lanes), "");
}

/* Sums to f32: times the multiplier, plus the addend; or plus the bias. */
static void to_f32(vq_codegen *c, gemm *g, uint32_t rows, vq_tile_shape shape, vq_ll *v, vq_ll row_index)
{
	LLVMTypeRef type = vq_vec(c->f32, shape.lanes);
	vq_ll multiplier[VQ_TILE_MAX], addend[VQ_TILE_MAX], column_sum[VQ_TILE_MAX], zeros[VQ_TILE_MAX],
		at = vq_mul_const(c, g->column, 4);

	for (uint32_t j = 0; j < shape.n; j++) {
		int64_t bytes = 4 * (int64_t)j * shape.lanes;

		if (g->addend)
			addend[j] = vq_load(c, type, vq_offset_const(c, vq_offset(c, g->addend, at), bytes), 4);
		if (!g->d->f32)
			multiplier[j] = vq_load(c, type, vq_offset_const(c, vq_offset(c, g->multiplier, at), bytes), 4);
		if (g->row_scales)
			column_sum[j] = vq_load(c, vq_vec(c->i32, shape.lanes),
				vq_offset_const(c, vq_offset(c, g->column_sums, at), bytes), 4);
		if (g->zeros)
			zeros[j] = load_zeros(
				c, g, vq_add_word(c, g->column, vq_cword(c, (int64_t)j * shape.lanes)), shape.lanes);
	}
	for (uint32_t r = 0; r < rows; r++) {
		vq_ll correction = NULL, scale = NULL;

		if (g->sums) {
			vq_ll p = vq_offset(c, g->sums, vq_mul_const(c, row_index, 4));

			correction = vq_load(c, c->i32, vq_offset_const(c, p, 4 * (int64_t)r), 4);
			correction = LLVMBuildSub(
				c->b, correction, vq_ci32(c, (int32_t)(uint32_t)((int64_t)g->d->k * g->d->a_zero)), "");
			correction = vq_splat(
				c, g->zeros ? correction : vq_mul_const(c, correction, g->d->b_zero), shape.lanes);
		}
		if (g->row_scales)
			scale = take_row_scale(
				c, g, vq_add_word(c, row_index, vq_cword(c, r)), &v[r * shape.n], column_sum, shape);
		for (uint32_t j = 0; j < shape.n; j++) {
			vq_ll *x = &v[r * shape.n + j];

			if (correction)
				*x = LLVMBuildSub(c->b, *x,
					g->zeros ? LLVMBuildMul(c->b, correction, zeros[j], "") : correction, "");
			if (!g->d->f32)
				*x = LLVMBuildSIToFP(c->b, *x, type, "");
			if (scale)
				*x = vq_fmul(c, *x, scale);
			if (!g->d->f32)
				*x = vq_fmul(c, *x, multiplier[j]);
			if (g->addend)
				*x = vq_fadd(c, *x, addend[j]);
		}
	}
}

/* Without extra operands the operators do not care which row a vector is of: four vectors in lockstep. */
static bool apply_across_rows(vq_codegen *c, gemm *g, uint32_t count, vq_tile_shape shape, vq_ll *v)
{
	enum { LOCKSTEP = 4 };
	const vq_epilogue *e = &g->d->epilogue;
	vq_place place = { NULL, vq_cword(c, 0), vq_cword(c, 0), shape.lanes };

	if (e->n_extras || !e->n_eops || shape.n >= LOCKSTEP)
		return false;
	for (uint32_t i = 0; i < count; i += LOCKSTEP)
		vq_epilogue_apply(c, e, &place, v + i, count - i < LOCKSTEP ? count - i : LOCKSTEP);
	return true;
}

static void store_applied(vq_codegen *c, void *user, vq_ll *v, uint32_t n, uint32_t lanes, uint32_t column)
{
	row *r = user;
	const vq_epilogue *e = &r->g->d->epilogue;

	vq_epilogue_store(c, e, v, n, lanes, vq_offset_const(c, r->c, column * stored_bytes(e)));
}

static void tile_body(vq_codegen *c, void *user, uint32_t rows, vq_ll row_index)
{
	gemm *g = user;
	const vq_gemm *d = g->d;
	const vq_tile_form *f = &g->form;
	vq_tile_shape shape = vq_tile_result(f, g->columns);
	int64_t element = stored_bytes(&d->epilogue);
	vq_ll v[VQ_TILE_MAX];
	vq_tile_job job = { .form = f, .rows = rows, .columns = g->columns, .panel = g->panel };
	vq_ll to = vq_offset(c, g->c, vq_mul_const(c, row_index, d->c_row));
	vq_ll full = vq_add_word(c, g->full, vq_mul_const(c, row_index, d->c_row / element));
	bool applied;

	job.a_row = f->direct ? d->a_row : vq_packed_row(f);
	job.a_step = f->direct ? (int64_t)vq_tile_ka(&f->t) * f->a_element : vq_packed_step(f, rows);
	job.a = f->direct ? vq_offset(c, g->a, vq_mul_const(c, row_index, d->a_row))
			  : vq_offset(c, g->scratch, vq_mul_const(c, row_index, (int64_t)f->kp * f->a_element));
	if (!d->f32)
		job.start = vq_offset(c, g->start, vq_mul_const(c, g->column, 4));
	/* measured on AVX-512 only, where weights come from L2 or beyond faster than hardware prefetch follows */
	if (c->target->isa == VQ_ISA_AVX512_VNNI && !d->f32 && !d->comp_with_b) {
		vq_ll tile = LLVMBuildUDiv(c->b, row_index, vq_cword(c, rows), "");
		int64_t lines = f->kp / vq_tile_ka(&f->t);

		job.prefetch = vq_mul_const(c, tile, lines * LINE);
		job.prefetch = vq_offset(c, vq_offset_const(c, g->panel, vq_panel_bytes(f)), job.prefetch);
	}
	vq_tile_emit(c, &job, v);
	to_f32(c, g, rows, shape, v, row_index);
	to = vq_offset(c, to, vq_mul_const(c, g->column, element));
	full = vq_add_word(c, full, g->column);
	applied = apply_across_rows(c, g, rows * shape.n, shape, v);
	for (uint32_t r = 0; r < rows; r++) {
		row out = { g, vq_offset_const(c, to, r * d->c_row),
			vq_add_word(c, full, vq_cword(c, r * (d->c_row / element))) };

		vq_for_pieces(c, v + r * shape.n, shape, g->columns, applied ? store_applied : store_piece, &out);
	}
}

static void panel_body(vq_codegen *c, gemm *g, vq_ll index, uint32_t columns)
{
	g->panel = vq_offset(c, g->b, vq_mul_const(c, index, vq_panel_bytes(&g->form)));
	g->column = vq_mul_const(c, index, vq_tile_nr(&g->form.t));
	g->columns = columns;
	vq_for_rows(c, &g->split, g->is_last, tile_body, g);
}

static vq_ll batch_offset(vq_codegen *c, vq_ll p, const int64_t stride[2], vq_ll outer, vq_ll inner)
{
	inner = vq_mul_const(c, inner, stride[1]);
	return vq_offset(c, vq_offset(c, p, vq_mul_const(c, outer, stride[0])), inner);
}

/* x / n and x mod n for a constant n; task numbers are small */
static void split_index(vq_codegen *c, vq_ll x, uint32_t n, vq_ll *quotient, vq_ll *rest)
{
	*quotient = n == 1 ? x : LLVMBuildUDiv(c->b, x, vq_cword(c, n), "");
	*rest = n == 1 ? vq_cword(c, 0) : LLVMBuildURem(c->b, x, vq_cword(c, n), "");
}

/* what argument 2 holds for the batch element */
static void locate_parameters(vq_codegen *c, gemm *g, vq_ll params)
{
	const vq_gemm *d = g->d;

	if (d->f32) {
		g->addend = params;
		return;
	}
	g->start = d->comp_with_b ? vq_offset_const(c, g->b, (int64_t)g->np * g->form.kp) : params;
	g->multiplier = d->comp_with_b ? params : vq_offset_const(c, params, 4 * (int64_t)g->np);
	g->addend = vq_offset_const(c, g->multiplier, 4 * (int64_t)g->np);
	if (d->rows)
		g->column_sums = vq_offset_const(c, g->addend, 4 * (int64_t)g->np);
	if (d->b_zeros)
		g->zeros = vq_offset_const(c, g->addend, (d->rows ? 8 : 4) * (int64_t)g->np);
}

static void locate(vq_codegen *c, gemm *g, vq_ll batch, vq_ll row0)
{
	const vq_gemm *d = g->d;
	const int64_t element = stored_bytes(&d->epilogue);
	const int64_t c_elements[2] = { d->c_batch[0] / element, d->c_batch[1] / element };
	const vq_kernel_args *args = g->args;
	vq_ll outer, inner, first;

	split_index(c, batch, d->batch[1], &outer, &inner);
	if (d->batch[0] == 1)
		outer = vq_cword(c, 0);
	first = vq_mul_const(c, row0, d->a_row);
	g->a = vq_offset(c, batch_offset(c, args->arg[0], d->a_batch, outer, inner), first);
	g->b = batch_offset(c, args->arg[1], d->b_batch, outer, inner);
	if (d->rows) {
		vq_ll at = vq_add_word(c, vq_mul_const(c, batch, d->m), row0);

		g->row_scales = vq_offset(c, args->arg[d->rows], vq_mul_const(c, at, 8));
	}
	if (d->rows && d->comp_with_b) {
		g->start = vq_offset_const(c, g->b, (int64_t)g->np * g->form.kp);
		g->column_sums = vq_offset_const(c, g->start, 4 * (int64_t)g->np);
		g->multiplier = vq_offset_const(c, g->column_sums, 4 * (int64_t)g->np);
	} else {
		locate_parameters(c, g, batch_offset(c, args->arg[2], d->p_batch, outer, inner));
	}
	if (d->row_codes) {
		g->c = vq_offset_const(c, args->scratch, (int64_t)vq_gemm_results_at(d, c->target));
	} else {
		first = vq_mul_const(c, row0, d->c_row);
		g->c = vq_offset(c, batch_offset(c, args->arg[3], d->c_batch, outer, inner), first);
	}
	inner = vq_mul_const(c, inner, c_elements[1]);
	g->full = vq_add_word(c, vq_mul_const(c, outer, c_elements[0]), inner);
	g->full = vq_add_word(c, g->full, vq_mul_const(c, row0, d->c_row / element));
}

static void pack(vq_codegen *c, gemm *g)
{
	const vq_gemm *d = g->d;
	vq_pack_a p = { .form = &g->form, .u8 = d->a_u8, .from = g->a, .from_row = d->a_row, .to = g->args->scratch };

	g->scratch = p.to;
	if (d->b_zero || d->b_zeros)
		p.sums = g->sums = vq_offset_const(c, p.to, (int64_t)vq_packed_a_bytes(&g->form, g->block));
	vq_pack_rows(c, &p, &g->split, g->is_last);
}

/* the block's rows from scratch to codes; from: its first one, counted over all batch elements */
static void quantize_rows(vq_codegen *c, const gemm *g, vq_ll from)
{
	const vq_gemm *d = g->d;
	vq_rowquant q = { .n = d->n, .u8 = d->row_codes_u8 };
	vq_ll rows = vq_cword(c, g->block), at, codes, params;
	uint32_t last = d->m % g->block;
	vq_loop loop;

	if (last)
		rows = LLVMBuildSelect(c->b, g->is_last, vq_cword(c, last), rows, "");
	vq_loop_begin(c, &loop, vq_cword(c, 0), rows, vq_cword(c, 1), NULL, 0);
	at = vq_add_word(c, from, loop.i);
	params = vq_offset(c, g->args->arg[d->row_codes + 1], vq_mul_const(c, at, 8));
	codes = vq_offset(c, g->args->arg[d->row_codes], vq_mul_const(c, at, d->n));
	vq_rowquant_row(c, &q, vq_offset(c, g->c, vq_mul_const(c, loop.i, d->c_row)), codes, params);
	vq_loop_end(c, &loop);
}

static void all_panels(vq_codegen *c, gemm *g, vq_ll column_block, uint32_t column_blocks)
{
	const vq_gemm *d = g->d;
	uint32_t nr = vq_tile_nr(&g->form.t), whole = d->n / nr, rest = d->n % nr;
	vq_ll first = vq_cword(c, 0), last = vq_cword(c, whole), is_last_columns;
	vq_loop loop;

	if (column_blocks > 1) {
		first = vq_mul_const(c, column_block, d->col_block);
		last = vq_min_word(c, vq_add_word(c, first, vq_cword(c, d->col_block)), vq_cword(c, whole));
	}
	if (whole) {
		/* the last range may hold nothing but the partial panel */
		vq_loop_begin_maybe(c, &loop, first, last, vq_cword(c, 1), NULL, 0);
		panel_body(c, g, loop.i, nr);
		vq_loop_end(c, &loop);
	}
	if (!rest)
		return;
	is_last_columns = LLVMBuildICmp(c->b, LLVMIntEQ, column_block, vq_cword(c, column_blocks - 1), "");
	last = LLVMBuildSelect(c->b, is_last_columns, vq_cword(c, whole + 1), vq_cword(c, whole), "");
	if (column_blocks == 1)
		last = vq_cword(c, whole + 1);
	vq_loop_begin_maybe(c, &loop, vq_cword(c, whole), last, vq_cword(c, 1), NULL, 0);
	panel_body(c, g, vq_cword(c, whole), rest);
	vq_loop_end(c, &loop);
}

void vq_build_gemm(vq_codegen *c, const vq_gemm *d, vq_kernel_args *a)
{
	gemm g = { .d = d, .args = a };
	vq_ll task = a->task, batch, column_block, row_block;
	uint32_t nr, row_blocks, column_blocks, last_rows;

	g.form = vq_tile_form_of(c->target->isa, d->f32, d->wide, d->k, d->a_row, d->a_u8, d->b_zero || d->b_zeros);
	nr = vq_tile_nr(&g.form.t);
	g.np = (d->n + nr - 1) / nr * nr;
	g.block = d->row_block < d->m ? d->row_block : d->m;
	row_blocks = (d->m + g.block - 1) / g.block;
	column_blocks = (g.np / nr + d->col_block - 1) / d->col_block;
	last_rows = d->m - (row_blocks - 1) * g.block;
	g.split = vq_split_rows(&g.form.t, g.block, last_rows);

	split_index(c, task, row_blocks, &batch, &row_block);
	split_index(c, batch, column_blocks, &batch, &column_block);
	if (last_rows != g.block)
		g.is_last = LLVMBuildICmp(c->b, LLVMIntEQ, row_block, vq_cword(c, row_blocks - 1), "");
	locate(c, &g, batch, vq_mul_const(c, row_block, g.block));
	if (!g.form.direct)
		pack(c, &g);

	all_panels(c, &g, column_block, column_blocks);
	if (d->row_codes) {
		row_block = vq_mul_const(c, row_block, g.block);
		quantize_rows(c, &g, vq_add_word(c, vq_mul_const(c, batch, d->m), row_block));
	}
}
