/* SPDX-License-Identifier: MIT */
/* Rows of A: how a block is cut into tiles, how a tile is packed, how a row of results is cut into pieces. */
#include "backend/kernels/gemm_tile.h"

#include <assert.h>
#include <string.h>

/* ---- splitting ---- */

static void count_height(vq_row_split *s, uint32_t height, uint32_t count, bool last)
{
	uint32_t i = 0;

	if (!height || !count)
		return;
	while (i < s->n && s->height[i] > height)
		i++;
	if (i == s->n || s->height[i] != height) {
		assert(s->n < sizeof s->height / sizeof *s->height);
		for (uint32_t j = s->n++; j > i; j--) {
			s->height[j] = s->height[j - 1];
			s->block_count[j] = s->block_count[j - 1];
			s->last_count[j] = s->last_count[j - 1];
		}
		s->height[i] = height;
		s->block_count[i] = s->last_count[i] = 0;
	}
	if (last)
		s->last_count[i] += count;
	else
		s->block_count[i] += count;
}

static void balance(vq_row_split *s, const vq_tile *t, uint32_t rows, bool last)
{
	uint32_t tiles = (rows + t->mr - 1) / t->mr;

	if (vq_tile_pairs_rows(t)) {
		/* pairs must not straddle tiles: only the last may have an odd height */
		count_height(s, t->mr, rows / t->mr, last);
		count_height(s, rows % t->mr, 1, last);
		return;
	}
	count_height(s, rows / tiles + 1, rows % tiles, last);
	count_height(s, rows / tiles, tiles - rows % tiles, last);
}

/* last = x tiles of the first height and y of the second, if there is such a pair */
static bool reuse(vq_row_split *s, uint32_t last)
{
	uint32_t second = s->n > 1 ? s->height[1] : 0;

	for (uint32_t y = 0; second * y <= last && y <= s->height[0]; y++) {
		if ((last - second * y) % s->height[0])
			continue;
		s->last_count[0] = (last - second * y) / s->height[0];
		if (s->n > 1)
			s->last_count[1] = y;
		return true;
	}
	return false;
}

vq_row_split vq_split_rows(const vq_tile *t, uint32_t block, uint32_t last)
{
	vq_row_split s = { 0 };

	balance(&s, t, block, false);
	if (last == block)
		memcpy(s.last_count, s.block_count, sizeof s.last_count);
	else if (vq_tile_pairs_rows(t) || !reuse(&s, last))
		balance(&s, t, last, true);
	return s;
}

void vq_for_rows(vq_codegen *c, const vq_row_split *s, vq_ll is_last, vq_rows_body *body, void *user)
{
	vq_ll row = vq_cword(c, 0);

	for (uint32_t i = 0; i < s->n; i++) {
		vq_ll step = vq_cword(c, s->height[i]), end;
		vq_loop loop;
		uint32_t block = s->block_count[i], last = is_last ? s->last_count[i] : block;

		if (!block && !last)
			continue;
		end = vq_cword(c, (int64_t)block * s->height[i]);
		if (block != last)
			end = LLVMBuildSelect(c->b, is_last, vq_cword(c, (int64_t)last * s->height[i]), end, "");
		end = vq_add_word(c, row, end);
		if (block && last)
			vq_loop_begin(c, &loop, row, end, step, NULL, 0);
		else
			vq_loop_begin_maybe(c, &loop, row, end, step, NULL, 0);
		body(c, user, s->height[i], loop.i);
		vq_loop_end(c, &loop);
		row = end;
	}
}

/* ---- packing ---- */

/* n codes of one row from p, as the dot takes them, sign-extended to 32 bit for the row sum if wanted */
static vq_ll load_codes(vq_codegen *c, const vq_pack_a *p, vq_ll from, uint32_t n)
{
	vq_ll v = vq_load(c, vq_vec(c->i8, n), from, 1);

	if (p->u8)
		v = LLVMBuildXor(c->b, v, vq_splat(c, LLVMConstInt(c->i8, 0x80, 0), n), "");
	return v;
}

static vq_ll encode(vq_codegen *c, const vq_pack_a *p, vq_ll codes, uint32_t n)
{
	if (p->form->t.a == VQ_A_U8)
		return LLVMBuildXor(c->b, codes, vq_splat(c, LLVMConstInt(c->i8, 0x80, 0), n), "");
	if (p->form->t.a == VQ_A_S16)
		return LLVMBuildSExt(c->b, codes, vq_vec(c->i16, n), "");
	return codes;
}

/* codes of two rows side by side: low + (high << 32), in 64 bit */
static void pack_pair(vq_codegen *c, const vq_pack_a *p, vq_ll from, bool two, vq_ll to)
{
	vq_ll low = LLVMBuildSExt(c->b, load_codes(c, p, from, 1), c->i64, ""), high;

	if (two) {
		high = LLVMBuildSExt(c->b, load_codes(c, p, vq_offset_const(c, from, p->from_row), 1), c->i64, "");
		low = LLVMBuildAdd(c->b, low, LLVMBuildShl(c->b, high, LLVMConstInt(c->i64, 32, 0), ""), "");
	}
	vq_store_to(c, low, to, 8);
}

static void pack_pairs(vq_codegen *c, const vq_pack_a *p, uint32_t rows, vq_ll from, vq_ll to)
{
	const vq_tile_form *f = p->form;
	vq_loop loop;

	vq_loop_begin(c, &loop, vq_cword(c, 0), vq_cword(c, f->k), vq_cword(c, 1), NULL, 0);
	for (uint32_t r = 0; r < rows; r += 2) {
		vq_ll at = vq_mul_const(c, loop.i, 8);

		at = vq_offset(c, vq_offset_const(c, to, r / 2 * vq_packed_row(f)), at);
		pack_pair(c, p, vq_offset(c, vq_offset_const(c, from, r * p->from_row), loop.i), r + 1 < rows, at);
	}
	vq_loop_end(c, &loop);
	for (uint32_t r = 0; r < rows; r += 2)
		for (uint32_t k = f->k; k < f->kp; k++)
			vq_store_to(c, LLVMConstInt(c->i64, 0, 0),
				vq_offset_const(c, to, r / 2 * vq_packed_row(f) + 8 * (int64_t)k), 8);
}

/* The row's codes that fill no whole unit, then zeros, in powers of two. B is zero there too: any value would do. */
static void pack_rest(vq_codegen *c, const vq_pack_a *p, uint32_t unit, vq_ll from, vq_ll to)
{
	const vq_tile_form *f = p->form;
	uint32_t left = f->k % unit, at = 0;
	vq_ll place;

	for (uint32_t n = unit / 2; n; n /= 2) {
		if (!(left & n))
			continue;
		place = vq_offset_const(c, to, (int64_t)at * f->a_element);
		vq_store_to(c, encode(c, p, load_codes(c, p, vq_offset_const(c, from, at), n), n), place, f->a_element);
		at += n;
	}
	for (uint32_t n = 1; at < unit; n *= 2) {
		if (at & n) {
			LLVMTypeRef e = f->t.a == VQ_A_S16 ? c->i16 : c->i8;

			vq_store_to(c, LLVMConstNull(vq_vec(e, n)), vq_offset_const(c, to, (int64_t)at * f->a_element),
				f->a_element);
			at += n;
		}
	}
}

/* Codes copied at once: a chunk of a micro-panel, or a vector where rows lie in one piece. */
static uint32_t pack_unit(const vq_tile_form *f)
{
	uint32_t unit = vq_tile_ka(&f->t);
	bool apart = vq_packed_step(f, 1) != vq_packed_step(f, 3); /* of more than a pair */

	while (!apart && unit < 16 && f->kp % (2 * unit) == 0)
		unit *= 2;
	return unit;
}

static void pack_row(vq_codegen *c, const vq_pack_a *p, uint32_t rows, vq_ll from, vq_ll to)
{
	const vq_tile_form *f = p->form;
	uint32_t unit = pack_unit(f), whole = f->k / unit * unit;
	int64_t step = vq_packed_step(f, rows) * (unit / vq_tile_ka(&f->t));
	vq_loop loop;

	if (whole) {
		vq_loop_begin(c, &loop, vq_cword(c, 0), vq_cword(c, whole), vq_cword(c, unit), &to, 1);
		vq_store_to(c, encode(c, p, load_codes(c, p, vq_offset(c, from, loop.i), unit), unit), loop.phi[0],
			f->a_element);
		loop.next[0] = vq_offset_const(c, loop.phi[0], step);
		vq_loop_end(c, &loop);
		to = loop.phi[0];
	}
	if (f->k % unit)
		pack_rest(c, p, unit, vq_offset_const(c, from, whole), to);
}

/* Imports with a zero point of B only: plain scalar code. */
static void sum_row(vq_codegen *c, const vq_pack_a *p, vq_ll from, vq_ll to)
{
	vq_ll zero = vq_ci32(c, 0);
	vq_loop loop;

	vq_loop_begin(c, &loop, vq_cword(c, 0), vq_cword(c, p->form->k), vq_cword(c, 1), &zero, 1);
	loop.next[0] = LLVMBuildAdd(c->b, loop.phi[0],
		LLVMBuildSExt(c->b, load_codes(c, p, vq_offset(c, from, loop.i), 1), c->i32, ""), "");
	vq_loop_end(c, &loop);
	vq_store_to(c, loop.phi[0], to, 4);
}

void vq_pack_tile(vq_codegen *c, const vq_pack_a *p, uint32_t rows, vq_ll row)
{
	const vq_tile_form *f = p->form;
	vq_ll from = vq_offset(c, p->from, vq_mul_const(c, row, p->from_row));
	vq_ll to = vq_offset(c, p->to, vq_mul_const(c, row, (int64_t)f->kp * f->a_element));
	vq_loop loop;

	if (f->t.shape == VQ_ACC_ROWPAIR)
		pack_pairs(c, p, rows, from, to);
	if (f->t.shape == VQ_ACC_ROWPAIR && !p->sums)
		return;
	vq_loop_begin(c, &loop, vq_cword(c, 0), vq_cword(c, rows), vq_cword(c, 1), NULL, 0);
	from = vq_offset(c, from, vq_mul_const(c, loop.i, p->from_row));
	if (f->t.shape != VQ_ACC_ROWPAIR)
		pack_row(c, p, rows, from, vq_offset(c, to, vq_mul_const(c, loop.i, vq_packed_row(f))));
	if (p->sums)
		sum_row(c, p, from, vq_offset(c, p->sums, vq_mul_const(c, vq_add_word(c, row, loop.i), 4)));
	vq_loop_end(c, &loop);
}

static void pack_body(vq_codegen *c, void *user, uint32_t rows, vq_ll row) { vq_pack_tile(c, user, rows, row); }

void vq_pack_rows(vq_codegen *c, const vq_pack_a *p, const vq_row_split *s, vq_ll is_last)
{
	vq_pack_a copy = *p;

	vq_for_rows(c, s, is_last, pack_body, &copy);
}

/* ---- pieces of a row of results ---- */

void vq_for_pieces(vq_codegen *c, vq_ll *v, vq_tile_shape shape, uint32_t columns, vq_piece_body *body, void *user)
{
	uint32_t whole = columns / shape.lanes, left = columns % shape.lanes, at = 0;

	if (whole)
		body(c, user, v, whole, shape.lanes, 0);
	for (uint32_t lanes = shape.lanes / 2; lanes; lanes /= 2) {
		if (left & lanes) {
			vq_ll part = vq_shuffle(c, v[whole], at, lanes);

			body(c, user, &part, 1, lanes, whole * shape.lanes + at);
			at += lanes;
		}
	}
}
