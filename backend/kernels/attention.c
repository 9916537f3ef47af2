/* SPDX-License-Identifier: MIT */
/*
 * Fused attention. A task is a block of queries of one head. A register tile of queries at a time goes all the way:
 * scores with all keys into scratch that stays in L1, softmax, product with V. Full-row maximum first, nothing rescaled.
 *
 * Integer form (docs/ir.md): scores are exact s32; codes 0..255 are written as the product with V wants its A operand,
 * natural for u8 and s16, code - 128 for s8 (V's first accumulators then hold 128 times its column sums).
 * Scales that are known at run time only come as arguments: one per row and head of q, one per head of k and v.
 * Keys beyond M in the last panel and the last vector have scores too; they enter neither maximum nor sum, and their
 * codes meet zeros of V.
 */
#include "backend/kernels/gemm_tile.h"
#include "backend/kernels/kernel.h"
#include "backend/kernels/scratch.h"
#include "ir/contract.h"

#include <math.h>

typedef struct attention {
	const vq_attention *d;
	vq_tile_form qk, av;
	uint32_t chunks;             /* vectors of 16 keys in lockstep */
	uint32_t score_row;          /* s32 or f32 per row of scores */
	int64_t code_row, code_pair; /* bytes between rows of codes, and between row pairs */
	/* in scratch */
	vq_ll packed_q, scores, codes, row_scale;
	/* of the task: pointers to row 0 and the head's operands */
	vq_ll q, k, k_start, v, v_start, o, bias, mask;
	vq_ll c, v_scale;        /* f32 scalars */
	vq_ll half_c;            /* integer form with a bias: scores are halved, so that none overflows (docs/ir.md) */
	vq_ll q_scales, k_scale; /* scales at run time: that of row 0, and k's; c follows from them for every row */
	vq_ll is_last;
	/* of the tile */
	uint32_t rows;
	vq_ll row0; /* word: first row in the block */
	/* of the row, for the softmax walks */
	vq_ll row_scores, row_codes, row_bias, row_mask, greatest, inverse;
} attention;

/* Where things are in scratch; the size is the last member. */
typedef struct layout {
	uint64_t scores, codes, row_scale, bytes;
	uint32_t score_row;
} layout;

static uint32_t round_up(uint32_t n, uint32_t to) { return (n + to - 1) / to * to; }

static uint64_t round_up_64(uint64_t n) { return (n + 63) / 64 * 64; }

static vq_tile_form qk_form(const vq_attention *d, const vq_target *t)
{
	return vq_tile_form_of(t->isa, d->f32, false, d->d, d->q_row, d->q_u8, false);
}

static vq_tile_form av_form(const vq_attention *d, const vq_target *t)
{
	vq_tile_form f = vq_tile_form_of(t->isa, d->f32, false, d->m, 0, false, false);

	f.direct = d->f32; /* codes are in scratch, aligned */
	return f;
}

static layout scratch_layout(const vq_attention *d, const vq_target *t)
{
	vq_tile_form qk = qk_form(d, t), av = av_form(d, t);
	uint32_t mr = qk.t.mr, keys = round_up(d->m, vq_tile_nr(&qk.t));
	layout l = { .score_row = round_up(keys, 16) };

	l.scores = qk.direct ? 0 : vq_packed_a_bytes(&qk, mr);
	l.codes = l.scores + round_up_64((uint64_t)mr * l.score_row * 4);
	l.row_scale = l.codes;
	if (!d->f32) /* probabilities overwrite f32 scores */
		l.row_scale += round_up_64((uint64_t)round_up(mr, 2) * round_up(d->m, 16) * av.a_element);
	l.bytes = l.row_scale + round_up_64((uint64_t)mr * 4);
	return l;
}

uint64_t vq_attention_scratch(const vq_attention *d, const vq_target *t) { return scratch_layout(d, t).bytes; }

/* ---- scores ---- */

static void score_panel(vq_codegen *c, attention *s, vq_ll index, uint32_t columns)
{
	const vq_tile_form *f = &s->qk;
	vq_tile_shape shape = vq_tile_result(f, columns);
	vq_ll key = vq_mul_const(c, index, 4 * (int64_t)vq_tile_nr(&f->t)), to, v[VQ_TILE_MAX];
	vq_tile_job job = { .form = f, .rows = s->rows, .columns = columns };

	job.a = f->direct ? vq_offset(c, s->q, vq_mul_const(c, s->row0, s->d->q_row)) : s->packed_q;
	job.a_row = f->direct ? s->d->q_row : vq_packed_row(f);
	job.a_step = f->direct ? (int64_t)vq_tile_ka(&f->t) * f->a_element : vq_packed_step(f, s->rows);
	job.panel = vq_offset(c, s->k, vq_mul_const(c, index, vq_panel_bytes(f)));
	if (!s->d->f32)
		job.start = vq_offset(c, s->k_start, key);
	vq_tile_emit(c, &job, v);
	to = vq_offset(c, s->scores, key);
	for (uint32_t r = 0; r < s->rows; r++)
		for (uint32_t j = 0; j < shape.n; j++)
			vq_store_to(c, v[r * shape.n + j],
				vq_offset_const(c, to, 4 * ((int64_t)r * s->score_row + (int64_t)j * shape.lanes)), 4);
}

static void scores(vq_codegen *c, attention *s)
{
	uint32_t nr = vq_tile_nr(&s->qk.t), whole = s->d->m / nr;
	vq_loop loop;

	if (whole) {
		vq_loop_begin(c, &loop, vq_cword(c, 0), vq_cword(c, whole), vq_cword(c, 1), NULL, 0);
		score_panel(c, s, loop.i, nr);
		vq_loop_end(c, &loop);
	}
	if (s->d->m % nr)
		score_panel(c, s, vq_cword(c, whole), s->d->m % nr);
}

/* ---- softmax of one row ---- */

static vq_ll dither_table(vq_codegen *c)
{
	LLVMValueRef global = LLVMGetNamedGlobal(c->module, "vq.dither"), value[VQ_DITHER_PERIOD];
	LLVMTypeRef type = LLVMArrayType2(c->f32, VQ_DITHER_PERIOD);

	if (global)
		return global;
	for (uint32_t j = 0; j < VQ_DITHER_PERIOD; j++)
		value[j] = vq_cf32(c, vq_dither(j));
	global = LLVMAddGlobal(c->module, type, "vq.dither");
	LLVMSetInitializer(global, LLVMConstArray2(c->f32, value, VQ_DITHER_PERIOD));
	LLVMSetGlobalConstant(global, 1);
	LLVMSetLinkage(global, LLVMPrivateLinkage);
	LLVMSetUnnamedAddress(global, LLVMGlobalUnnamedAddr);
	LLVMSetAlignment(global, 64);
	return global;
}

static vq_ll key_at(vq_codegen *c, vq_ll j, uint32_t piece)
{
	return vq_add_word(c, j, vq_cword(c, 16 * (int64_t)piece));
}

static vq_ll score_at(vq_codegen *c, const attention *s, vq_ll j)
{
	return vq_offset(c, s->row_scores, vq_mul_const(c, j, 4));
}

static vq_ll load_score(vq_codegen *c, const attention *s, LLVMTypeRef element, vq_ll j)
{
	return vq_load(c, vq_vec(element, 16), score_at(c, s, j), 16); /* rows are multiples of 64 bytes */
}

/* a product with 1 or 0 is exact */
static vq_extra mask_extra(const vq_attention *d)
{
	if (d->mask_only == 0)
		return vq_extra_f32;
	return (vq_extra){ .elem = VQ_S8, .index = VQ_X_FULL, .codes = true, .scale = d->mask_only };
}

static int64_t mask_bytes(const vq_attention *d) { return d->mask_only == 0 ? 4 : 1; }

static vq_ll load_bias(vq_codegen *c, const attention *s, vq_ll j, uint32_t count)
{
	int64_t stride = s->d->bias_stride[3];
	vq_ll v = LLVMConstNull(vq_vec(c->f32, 16)), first = vq_mul_const(c, j, stride);

	if (s->d->mask) {
		vq_extra mask = mask_extra(s->d);

		v = vq_extra_load16(c, &vq_extra_f32, s->row_bias, j, count);
		return vq_fadd(c, v, vq_extra_load16(c, &mask, s->row_mask, j, count));
	}
	if (stride == 1)
		return vq_extra_load16(c, &vq_extra_f32, s->row_bias, j, count);
	if (stride == 0)
		return vq_extra_load(c, &vq_extra_f32, s->row_bias, first, 0, 16);
	for (uint32_t i = 0; i < count; i++) {
		vq_ll at = vq_add_word(c, first, vq_cword(c, i * stride));

		v = LLVMBuildInsertElement(
			c->b, v, vq_extra_load(c, &vq_extra_f32, s->row_bias, at, 1, 1), vq_ci32(c, i), "");
	}
	return v;
}

static void greatest_s32(vq_codegen *c, void *user, vq_ll j, uint32_t pieces, uint32_t count, vq_ll *most)
{
	const attention *s = user;
	vq_ll least = vq_splat(c, vq_ci32(c, INT32_MIN), 16);

	for (uint32_t p = 0; p < pieces; p++) {
		vq_ll v = vq_first_lanes(c, load_score(c, s, c->i32, key_at(c, j, p)), count, least);

		most[p] = LLVMBuildSelect(c->b, LLVMBuildICmp(c->b, LLVMIntSGT, v, most[p], ""), v, most[p], "");
	}
}

/* Scores with their bias, or f32 products with their scale, written back; and their maximum. */
static void finish_scores(vq_codegen *c, void *user, vq_ll j, uint32_t pieces, uint32_t count, vq_ll *most)
{
	const attention *s = user;
	vq_ll least = vq_splat_f32(c, -INFINITY, 16);

	for (uint32_t p = 0; p < pieces; p++) {
		vq_ll at = key_at(c, j, p), v = load_score(c, s, s->d->f32 ? c->f32 : c->i32, at);

		if (!s->d->f32)
			v = LLVMBuildSIToFP(c->b, v, vq_vec(c->f32, 16), "");
		v = vq_fmul(c, v, s->d->f32 ? vq_splat_f32(c, s->d->scale, 16) : vq_splat(c, s->half_c, 16));
		if (s->d->has_bias) {
			vq_ll bias = load_bias(c, s, at, count);

			v = vq_fadd(
				c, v, s->d->f32 ? bias : vq_fmul(c, bias, vq_splat_f32(c, VQ_LOG2E_F32 * 0.5f, 16)));
		}
		vq_store_to(c, v, score_at(c, s, at), 16);
		v = vq_first_lanes(c, v, count, least);
		most[p] = vq_select(c, LLVMRealOGT, v, most[p], v, most[p]);
	}
}

/* Codes as the A operand of the product with V. */
static void store_codes(vq_codegen *c, const attention *s, vq_ll j, vq_ll codes)
{
	const vq_tile *t = &s->av.t;
	vq_ll to = vq_offset(
		c, s->row_codes, vq_mul_const(c, j, s->av.t.shape == VQ_ACC_ROWPAIR ? 8 : s->av.a_element));

	if (t->shape == VQ_ACC_ROWPAIR) {
		/* codes are not negative, so the halves of a 64-bit pair do not borrow: each row fills its own */
		for (uint32_t i = 0; i < 16; i++) {
			vq_ll at = vq_offset_const(c, to, 8 * (int64_t)i);

			vq_store_to(c, vq_shuffle(c, codes, i, 1), at, 4);
		}
	} else if (t->a == VQ_A_S16) {
		vq_store_to(c, LLVMBuildTrunc(c->b, codes, vq_vec(c->i16, 16), ""), to, 16);
	} else {
		/* truncated: an instruction that saturates to signed bytes would not do for 0..255 */
		vq_store_to(c, vq_narrow_codes(c, codes, t->a == VQ_A_S8), to, 16);
	}
}

/*
 * rne(clamp(v, 0, 255)) without the clamp: 255 * 2^y is in [0, 255.002] and dither in [-1/2, 1/2 - 1/256], so v rounds into [0, 255]
 * (-1/2 to even is 0).
 */
static vq_ll round_code(vq_codegen *c, vq_ll v)
{
	vq_ll t = vq_fadd(c, v, vq_splat_f32(c, VQ_MAGIC, 16));

	vq_ll bits = vq_splat(c, vq_ci32(c, VQ_MAGIC_BITS), 16);

	return LLVMBuildSub(c->b, vq_to_bits(c, t), bits, "");
}

static void softmax_codes(vq_codegen *c, void *user, vq_ll j, uint32_t pieces, uint32_t count, vq_ll *sum)
{
	const attention *s = user;
	vq_ll y[VQ_MOST_VECTORS], dither = dither_table(c);

	for (uint32_t p = 0; p < pieces; p++) {
		vq_ll at = key_at(c, j, p), scale;

		if (s->d->has_bias) {
			y[p] = vq_fsub(c, load_score(c, s, c->f32, at), s->greatest);
			y[p] = vq_fadd(c, y[p], y[p]);
			continue;
		}
		y[p] = LLVMBuildSub(c->b, load_score(c, s, c->i32, at), s->greatest, "");
		scale = vq_splat(c, s->c, 16);
		y[p] = vq_fmul(c, LLVMBuildSIToFP(c->b, y[p], vq_vec(c->f32, 16), ""), scale);
	}
	vq_exp2_u8(c, y, pieces);
	for (uint32_t p = 0; p < pieces; p++) {
		vq_ll at = key_at(c, j, p), index = LLVMBuildAnd(c->b, at, vq_cword(c, VQ_DITHER_PERIOD - 1), "");
		vq_ll r = vq_load(c, vq_vec(c->f32, 16), vq_offset(c, dither, vq_mul_const(c, index, 4)), 16), code;

		code = round_code(c, vq_fadd(c, y[p], r));
		code = vq_first_lanes(c, code, count, LLVMConstNull(LLVMTypeOf(code)));
		sum[p] = LLVMBuildAdd(c->b, sum[p], code, "");
		store_codes(c, s, at, code);
	}
}

static void exponentials(vq_codegen *c, void *user, vq_ll j, uint32_t pieces, uint32_t count, vq_ll *sum)
{
	const attention *s = user;
	vq_ll e[VQ_MOST_VECTORS];

	for (uint32_t p = 0; p < pieces; p++)
		e[p] = vq_fsub(c, load_score(c, s, c->f32, key_at(c, j, p)), s->greatest);
	vq_unary(c, VQ_OP_EXP, e, pieces);
	for (uint32_t p = 0; p < pieces; p++) {
		vq_store_to(c, e[p], score_at(c, s, key_at(c, j, p)), 16);
		/* 16 fixed lanes: piece after piece into the same sum */
		sum[0] = vq_fadd(c, sum[0], vq_first_lanes(c, e[p], count, vq_splat_f32(c, 0.0f, 16)));
	}
}

static void normalise(vq_codegen *c, void *user, vq_ll j, uint32_t pieces, uint32_t count, vq_ll *none)
{
	const attention *s = user;

	(void)count;
	(void)none;
	for (uint32_t p = 0; p < pieces; p++) {
		vq_ll at = key_at(c, j, p), v = vq_fmul(c, load_score(c, s, c->f32, at), s->inverse);

		at = score_at(c, s, at);
		vq_store_to(c, c->strict ? vq_flush(c, v) : v, at, 16);
	}
}

/* One vector out of s->chunks by `a > b ? a : b`, then one number, repeated. */
static vq_ll greatest_of(vq_codegen *c, const attention *s, vq_ll *most)
{
	for (uint32_t p = 1; p < s->chunks; p++) {
		vq_ll more = s->d->f32 || s->d->has_bias ? LLVMBuildFCmp(c->b, LLVMRealOGT, most[0], most[p], "")
							 : LLVMBuildICmp(c->b, LLVMIntSGT, most[0], most[p], "");

		most[0] = LLVMBuildSelect(c->b, more, most[0], most[p], "");
	}
	if (s->d->f32 || s->d->has_bias)
		return vq_splat(c, vq_fold16(c, most[0], true), 16);
	LLVMTypeRef over = vq_vec(c->i32, 16);

	return vq_splat(c, vq_intrinsic(c, "llvm.vector.reduce.smax", &over, 1, most, 1), 16);
}

static vq_ll reciprocal(vq_codegen *c, vq_ll total) { return LLVMBuildFDiv(c->b, vq_cf32(c, 1.0f), total, ""); }

static void softmax_integer(vq_codegen *c, attention *s, vq_ll row)
{
	LLVMTypeRef over = vq_vec(c->i32, 16);
	vq_ll carried[4], total;
	uint32_t m = s->d->m;

	if (s->d->has_bias)
		s->half_c = vq_fmul(c, s->c, vq_cf32(c, 0.5f));
	for (uint32_t p = 0; p < s->chunks; p++)
		carried[p] = s->d->has_bias ? vq_splat_f32(c, -INFINITY, 16) : vq_splat(c, vq_ci32(c, INT32_MIN), 16);
	vq_walk16(c, m, s->chunks, s->d->has_bias ? finish_scores : greatest_s32, s, carried, s->chunks);
	s->greatest = greatest_of(c, s, carried);
	for (uint32_t p = 0; p < s->chunks; p++)
		carried[p] = LLVMConstNull(over);
	vq_walk16(c, m, s->chunks, softmax_codes, s, carried, s->chunks);
	for (uint32_t p = 1; p < s->chunks; p++)
		carried[0] = LLVMBuildAdd(c->b, carried[0], carried[p], "");
	total = vq_intrinsic(c, "llvm.vector.reduce.add", &over, 1, carried, 1);
	if (s->d->has_bias) /* a row masked as a whole has no code */
		total = LLVMBuildSelect(
			c->b, LLVMBuildICmp(c->b, LLVMIntSGT, total, vq_ci32(c, 0), ""), total, vq_ci32(c, 1), "");
	total = reciprocal(c, LLVMBuildSIToFP(c->b, total, c->f32, ""));
	vq_store_to(c, total, vq_offset(c, s->row_scale, vq_mul_const(c, row, 4)), 4);
}

static void softmax_f32(vq_codegen *c, attention *s)
{
	vq_ll carried[4], none, total;

	for (uint32_t p = 0; p < s->chunks; p++)
		carried[p] = vq_splat_f32(c, -INFINITY, 16);
	vq_walk16(c, s->d->m, s->chunks, finish_scores, s, carried, s->chunks);
	s->greatest = greatest_of(c, s, carried);
	if (s->d->has_bias) { /* a row masked as a whole: exponentials and sum are 0 */
		none = LLVMBuildFCmp(c->b, LLVMRealOEQ, s->greatest, vq_splat_f32(c, -INFINITY, 16), "");
		s->greatest = LLVMBuildSelect(c->b, none, vq_splat_f32(c, 0.0f, 16), s->greatest, "");
	}
	carried[0] = vq_splat_f32(c, 0.0f, 16);
	vq_walk16(c, s->d->m, s->chunks, exponentials, s, carried, 1);
	total = vq_tree16(c, carried[0]);
	if (s->d->has_bias)
		total = LLVMBuildSelect(c->b, LLVMBuildFCmp(c->b, LLVMRealOGT, total, vq_cf32(c, 0.0f), ""), total,
			vq_cf32(c, 1.0f), "");
	s->inverse = vq_splat(c, reciprocal(c, total), 16);
	vq_walk16(c, s->d->m, s->chunks, normalise, s, NULL, 0);
}

/* as vq_c_score_dynamic */
static vq_ll score_scale(vq_codegen *c, const attention *s, vq_ll row)
{
	vq_ll q = vq_load(c, c->f32, vq_offset(c, s->q_scales, vq_mul_const(c, row, 8 * (int64_t)s->d->heads)), 4);
	vq_ll v = vq_fmul(c, vq_fmul(c, q, s->k_scale), vq_cf32(c, s->d->scale));

	return vq_fmin_const(c, vq_fmax_const(c, v, VQ_TINY), 0x1p100f);
}

static void softmax_rows(vq_codegen *c, attention *s)
{
	vq_loop loop;

	vq_loop_begin(c, &loop, vq_cword(c, 0), vq_cword(c, s->rows), vq_cword(c, 1), NULL, 0);
	s->row_scores = vq_offset(c, s->scores, vq_mul_const(c, loop.i, 4 * (int64_t)s->score_row));
	if (s->d->has_bias) {
		vq_ll row = vq_add_word(c, s->row0, loop.i);

		s->row_bias = vq_offset(c, s->bias, vq_mul_const(c, row, 4 * s->d->bias_stride[2]));
		if (s->d->mask)
			s->row_mask = vq_offset(c, s->mask, vq_mul_const(c, row, (int64_t)s->d->m * mask_bytes(s->d)));
	}
	if (s->d->f32) {
		softmax_f32(c, s);
	} else {
		vq_ll half = LLVMBuildAnd(c->b, loop.i, vq_cword(c, 1), "");

		s->row_codes = vq_offset(c, s->codes, vq_mul_const(c, loop.i, s->code_row));
		if (s->d->scales)
			s->c = score_scale(c, s, vq_add_word(c, s->row0, loop.i));
		if (s->av.t.shape == VQ_ACC_ROWPAIR) /* rows 2 i and 2 i + 1 share a stretch, four bytes apart */
			s->row_codes = vq_offset(c, s->row_codes, vq_mul_const(c, half, 4 - s->code_row));
		softmax_integer(c, s, loop.i);
	}
	vq_loop_end(c, &loop);
}

/* ---- the product with V ---- */

typedef struct value_row {
	const vq_epilogue *e;
	vq_ll to;
} value_row;

static void store_piece(vq_codegen *c, void *user, vq_ll *v, uint32_t n, uint32_t lanes, uint32_t column)
{
	value_row *r = user;

	vq_epilogue_store(c, r->e, v, n, lanes, vq_offset_const(c, r->to, (int64_t)column * vq_store_bytes(r->e)));
}

static void value_panel(vq_codegen *c, attention *s, vq_ll index, uint32_t columns)
{
	const vq_tile_form *f = &s->av;
	const vq_epilogue *e = &s->d->epilogue;
	vq_tile_shape shape = vq_tile_result(f, columns);
	vq_ll column = vq_mul_const(c, index, vq_tile_nr(&f->t)), v[VQ_TILE_MAX];
	vq_tile_job job = { .form = f, .rows = s->rows, .columns = columns };

	job.a = s->d->f32 ? s->scores : s->codes;
	job.a_row = f->t.shape == VQ_ACC_ROWPAIR ? 2 * s->code_row : s->code_row;
	job.a_step = (int64_t)vq_tile_ka(&f->t) * (f->t.shape == VQ_ACC_ROWPAIR ? 8 : f->a_element);
	job.panel = vq_offset(c, s->v, vq_mul_const(c, index, vq_panel_bytes(f)));
	if (!s->d->f32)
		job.start = vq_offset(c, s->v_start, vq_mul_const(c, column, 4));
	vq_tile_emit(c, &job, v);
	for (uint32_t r = 0; r < s->rows; r++) {
		value_row out = { e, vq_offset(c, s->o, vq_mul_const(c, s->row0, s->d->o_row)) };
		vq_ll scale = NULL, v_scale, at;

		if (!s->d->f32)
			scale = vq_load(c, c->f32, vq_offset_const(c, s->row_scale, 4 * (int64_t)r), 4);
		for (uint32_t j = 0; j < shape.n && scale; j++) {
			vq_ll *x = &v[r * shape.n + j];

			*x = LLVMBuildSIToFP(c->b, *x, vq_vec(c->f32, shape.lanes), "");
			v_scale = vq_splat(c, s->v_scale, shape.lanes);
			*x = vq_fmul(c, vq_fmul(c, *x, vq_splat(c, scale, shape.lanes)), v_scale);
		}
		at = vq_mul_const(c, column, vq_store_bytes(e));
		out.to = vq_offset(c, vq_offset_const(c, out.to, r * s->d->o_row), at);
		vq_for_pieces(c, v + r * shape.n, shape, columns, store_piece, &out);
	}
}

static void tile_body(vq_codegen *c, void *user, uint32_t rows, vq_ll row)
{
	attention *s = user;
	uint32_t nr = vq_tile_nr(&s->av.t), whole = s->d->e / nr;
	vq_loop loop;

	s->rows = rows;
	s->row0 = row;
	if (!s->qk.direct) {
		vq_pack_a p = { .form = &s->qk, .u8 = s->d->q_u8, .from_row = s->d->q_row, .to = s->packed_q };

		p.from = vq_offset(c, s->q, vq_mul_const(c, row, s->d->q_row));
		vq_pack_tile(c, &p, rows, vq_cword(c, 0));
	}
	scores(c, s);
	softmax_rows(c, s);
	if (whole) {
		vq_loop_begin(c, &loop, vq_cword(c, 0), vq_cword(c, whole), vq_cword(c, 1), NULL, 0);
		value_panel(c, s, loop.i, nr);
		vq_loop_end(c, &loop);
	}
	if (s->d->e % nr)
		value_panel(c, s, vq_cword(c, whole), s->d->e % nr);
}

/* ---- the task ---- */

static vq_ll part(vq_codegen *c, vq_ll *index, uint32_t n)
{
	vq_ll whole = *index;

	if (n == 1)
		return vq_cword(c, 0);
	*index = LLVMBuildUDiv(c->b, whole, vq_cword(c, n), "");
	return LLVMBuildURem(c->b, whole, vq_cword(c, n), "");
}

static void locate(vq_codegen *c, attention *s, const vq_kernel_args *a, uint32_t blocks, uint32_t block)
{
	const vq_attention *d = s->d;
	uint64_t np = round_up(d->m, vq_tile_nr(&s->qk.t)), ep = round_up(d->e, vq_tile_nr(&s->av.t));
	vq_ll batch = a->task, row_block = part(c, &batch, blocks), matrix = batch, head = part(c, &batch, d->heads),
	      row0, row;

	if (d->batch == 1)
		batch = vq_cword(c, 0);
	if (blocks > 1)
		s->is_last = LLVMBuildICmp(c->b, LLVMIntEQ, row_block, vq_cword(c, blocks - 1), "");
	row0 = vq_mul_const(c, row_block, block);
	s->q = vq_offset(c, a->arg[0], vq_mul_const(c, batch, d->q_batch));
	row = vq_mul_const(c, row0, d->q_row);
	s->q = vq_offset(c, vq_offset(c, s->q, vq_mul_const(c, head, d->q_head)), row);
	s->k = vq_offset(
		c, a->arg[1], vq_mul_const(c, matrix, (int64_t)vq_pack_batch_bytes(&s->qk.t, d->m, d->d, d->f32)));
	s->v = vq_offset(
		c, a->arg[2], vq_mul_const(c, matrix, (int64_t)vq_pack_batch_bytes(&s->av.t, d->e, d->m, d->f32)));
	s->o = vq_offset(c, a->arg[4], vq_mul_const(c, batch, d->o_batch));
	row = vq_mul_const(c, row0, d->o_row);
	s->o = vq_offset(c, vq_offset(c, s->o, vq_mul_const(c, head, d->o_head)), row);
	if (!d->f32) {
		s->k_start = vq_offset_const(c, s->k, (int64_t)(np * s->qk.kp));
		s->v_start = vq_offset_const(c, s->v, (int64_t)(ep * s->av.kp));
	}
	if (d->scales) {
		vq_ll of_head = vq_mul_const(c, matrix, 8), first = vq_add_word(c, vq_mul_const(c, batch, d->n), row0);

		first = vq_add_word(c, vq_mul_const(c, first, d->heads), head);
		s->q_scales = vq_offset(c, a->arg[3], vq_mul_const(c, first, 8));
		s->k_scale = vq_load(c, c->f32, vq_offset(c, a->arg[d->scales], of_head), 4);
		s->v_scale = vq_load(c, c->f32, vq_offset(c, a->arg[d->scales + 1], of_head), 4);
	} else if (!d->f32) {
		vq_ll at = vq_mul_const(c, head, 4);

		s->c = vq_load(c, c->f32, vq_offset(c, a->arg[3], at), 4);
		s->v_scale = vq_load(
			c, c->f32, vq_offset(c, vq_offset_const(c, a->arg[3], 4 * (int64_t)d->heads), at), 4);
	}
	if (d->has_bias) {
		if (d->bias_period && d->bias_period != d->batch)
			batch = LLVMBuildURem(c->b, batch, vq_cword(c, d->bias_period), "");
		if (d->mask) {
			vq_ll first = vq_add_word(c, vq_mul_const(c, batch, d->n), row0);

			s->mask = vq_offset(c, a->arg[d->mask], vq_mul_const(c, first, (int64_t)d->m * mask_bytes(d)));
		}
		s->bias = vq_offset(c, a->arg[5], vq_mul_const(c, batch, 4 * d->bias_stride[0]));
		s->bias = vq_offset(c, s->bias, vq_mul_const(c, head, 4 * d->bias_stride[1]));
		s->bias = vq_offset(c, s->bias, vq_mul_const(c, row0, 4 * d->bias_stride[2]));
	}
}

void vq_build_attention(vq_codegen *c, const vq_attention *d, vq_kernel_args *a)
{
	attention s = { .d = d, .qk = qk_form(d, c->target), .av = av_form(d, c->target) };
	layout l = scratch_layout(d, c->target);
	uint32_t block = d->row_block < d->n ? d->row_block : d->n, blocks = (d->n + block - 1) / block;
	uint32_t last = d->n - (blocks - 1) * block;
	vq_row_split split = vq_split_rows(&s.qk.t, block, last);

	s.chunks = c->lanes / 4 < 4 ? c->lanes / 4 : 4; /* so that they fill four registers */
	s.score_row = l.score_row;
	s.code_row = d->f32 ? 4 * (int64_t)l.score_row : (int64_t)round_up(d->m, 16) * s.av.a_element;
	s.packed_q = a->scratch;
	s.scores = vq_offset_const(c, a->scratch, (int64_t)l.scores);
	s.codes = vq_offset_const(c, a->scratch, (int64_t)l.codes);
	s.row_scale = vq_offset_const(c, a->scratch, (int64_t)l.row_scale);
	locate(c, &s, a, blocks, block);
	vq_for_rows(c, &split, last == block ? NULL : s.is_last, tile_body, &s);
}
