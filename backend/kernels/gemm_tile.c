/* SPDX-License-Identifier: MIT */
/*
 * One register tile. The k loop runs on the B pointer, has no counter, and keeps all accumulators in registers.
 *
 * Two orders of the dots inside a step of k, by what an instruction set can hold beside the accumulators:
 *   hold B  all B vectors of the step, one row of A at a time: x86, where A is a broadcast from memory
 *   hold A  all rows of A, one B vector at a time: the others, where one load of A serves several steps
 * The other order spills on each of them (notes in docs/kernels.md).
 */
#include "backend/kernels/gemm_tile.h"

#include <assert.h>

static uint32_t round_up(uint32_t n, uint32_t to) { return (n + to - 1) / to * to; }

/* ---- what differs between instruction sets ---- */

static bool is_x86(const vq_codegen *c) { return c->target->arch == VQ_ARCH_X86_64; }

static vq_ll sext(vq_codegen *c, vq_ll v, LLVMTypeRef e)
{
	return LLVMBuildSExt(c->b, v, vq_vec(e, vq_lanes_of(v)), "");
}

static vq_ll add(vq_codegen *c, vq_ll a, vq_ll b) { return LLVMBuildAdd(c->b, a, b, ""); }

/* a: dwords of four u8 codes */
static vq_ll dot_vnni(vq_codegen *c, const vq_tile *t, vq_ll acc, vq_ll a, vq_ll b)
{
	vq_ll arg[3] = { acc, a, LLVMBuildBitCast(c->b, b, vq_vec(c->i32, t->lanes), "") };

	return vq_intrinsic(
		c, t->lanes == 8 ? "llvm.x86.avx512.vpdpbusd.256" : "llvm.x86.avx512.vpdpbusd.512", NULL, 0, arg, 3);
}

/* a: dwords of two s16 codes */
static vq_ll dot_pmaddwd(vq_codegen *c, const vq_tile *t, vq_ll acc, vq_ll a, vq_ll b)
{
	vq_ll arg[2] = { a, sext(c, b, c->i16) };

	return add(c, acc,
		vq_intrinsic(c, t->lanes == 8 ? "llvm.x86.avx2.pmadd.wd" : "llvm.x86.sse2.pmadd.wd", NULL, 0, arg, 2));
}

/* a: dwords of four s8 codes, a splat of one lane */
static vq_ll dot_sdot(vq_codegen *c, const vq_tile *t, vq_ll acc, vq_ll a, vq_ll b)
{
	LLVMTypeRef over[2] = { vq_vec(c->i32, t->lanes), vq_vec(c->i8, 16) };
	vq_ll arg[3] = { acc, b, LLVMBuildBitCast(c->b, a, over[1], "") };

	return vq_intrinsic(c, "llvm.aarch64.neon.sdot", over, 2, arg, 3);
}

/* a, b: eight s8 codes of two rows and of two columns */
static vq_ll dot_smmla(vq_codegen *c, const vq_tile *t, vq_ll acc, vq_ll a, vq_ll b)
{
	LLVMTypeRef over[2] = { vq_vec(c->i32, t->lanes), vq_vec(c->i8, 16) };
	vq_ll arg[3] = { acc, a, b };

	return vq_intrinsic(c, "llvm.aarch64.neon.smmla", over, 2, arg, 3);
}

/* acc + pairwise sums of eight s16 */
static vq_ll add_pairs(vq_codegen *c, vq_ll acc, vq_ll v)
{
	LLVMTypeRef over[2] = { vq_vec(c->i32, 4), vq_vec(c->i16, 8) };
	vq_ll arg[2] = { acc, v };

	if (c->target->isa == VQ_ISA_NEON32)
		return vq_intrinsic(c, "llvm.arm.neon.vpadals", over, 2, arg, 2);
	return add(c, acc, vq_intrinsic(c, "llvm.aarch64.neon.saddlp", over, 2, &v, 1));
}

/* 16 steps of k at once; two products meet in 16 bit unless operands may both hold -128 */
static vq_ll dot_neon(vq_codegen *c, const vq_tile *t, vq_ll acc, vq_ll a, vq_ll b)
{
	vq_ll half = sext(c, vq_shuffle(c, b, 0, 8), c->i16), low, high;

	low = LLVMBuildMul(c->b, sext(c, vq_shuffle(c, a, 0, 8), c->i16), half, "");
	half = sext(c, vq_shuffle(c, b, 8, 8), c->i16);
	high = LLVMBuildMul(c->b, sext(c, vq_shuffle(c, a, 8, 8), c->i16), half, "");
	if (t->pairs_s16)
		return add_pairs(c, acc, add(c, low, high));
	return add_pairs(c, add_pairs(c, acc, low), high);
}

/* a: one s8 code; vsext.vf2 and vwmacc.vx */
static vq_ll dot_rvv(vq_codegen *c, const vq_tile *t, vq_ll acc, vq_ll a, vq_ll b)
{
	vq_ll wide_b = sext(c, sext(c, b, c->i16), c->i32);
	vq_ll wide_a = sext(c, vq_splat(c, sext(c, a, c->i16), t->lanes), c->i32);

	return add(c, acc, LLVMBuildMul(c->b, wide_b, wide_a, ""));
}

/* a: codes of two rows, one in each half; the low row's borrow is undone in finish_pairs */
static vq_ll dot_pair(vq_codegen *c, const vq_tile *t, vq_ll acc, vq_ll a, vq_ll b)
{
	(void)t;
	return add(c, acc, LLVMBuildMul(c->b, a, sext(c, b, c->i64), ""));
}

/* Contract arithmetic rounds twice; otherwise the target may fuse. */
static vq_ll dot_f32(vq_codegen *c, const vq_tile *t, vq_ll acc, vq_ll a, vq_ll b)
{
	LLVMTypeRef over = vq_vec(c->f32, t->lanes);
	vq_ll arg[3] = { a, b, acc };

	if (c->strict)
		return vq_fadd(c, acc, vq_fmul(c, a, b));
	return vq_intrinsic(c, "llvm.fmuladd", &over, 1, arg, 3);
}

typedef vq_ll dot_builder(vq_codegen *c, const vq_tile *t, vq_ll acc, vq_ll a, vq_ll b);

/* clang-format off */
static dot_builder *const s8_dot[VQ_ISA_COUNT] = {
	[VQ_ISA_SSE2] = dot_pmaddwd,  [VQ_ISA_AVX2] = dot_pmaddwd, [VQ_ISA_AVX_VNNI] = dot_vnni, [VQ_ISA_AVX512_VNNI] = dot_vnni,
	[VQ_ISA_NEON64] = dot_neon,   [VQ_ISA_DOTPROD] = dot_sdot, [VQ_ISA_I8MM] = dot_smmla,  [VQ_ISA_NEON32] = dot_neon,
	[VQ_ISA_RV64] = dot_pair,     [VQ_ISA_RVV128] = dot_rvv,   [VQ_ISA_RVV256] = dot_rvv,
};
/* clang-format on */

/* What one load of A brings: a vector for the whole chunk (true), or one step's operand. */
static bool loads_chunk(const vq_codegen *c, const vq_tile_form *f)
{
	return !f->f32 && c->target->isa == VQ_ISA_DOTPROD;
}

/* Packed rows lie apart on x86, where any distance is free, and for row pairs, which are few; else in micro-panels. */
static bool micro_panels(const vq_tile_form *f) { return f->t.a == VQ_A_S8; }

/* ---- forms ---- */

vq_tile_form vq_tile_form_of(vq_isa isa, bool f32, bool wide, uint32_t k, int64_t a_row, bool a_u8, bool sums)
{
	vq_tile_form f = {
		.t = f32 ? vq_tile_f32(isa) : vq_tile_s8(isa, wide), .f32 = f32, .k = k, .direct_row = a_row
	};

	f.kp = round_up(k, vq_tile_ka(&f.t));
	f.direct = f32 || (!f.t.pack_a && f.kp == k && a_u8 == (f.t.a == VQ_A_U8) && !sums);
	f.a_element = f32 || f.t.shape == VQ_ACC_ROWPAIR ? 4 : f.t.a == VQ_A_S16 ? 2 : 1;
	return f;
}

uint64_t vq_packed_a_bytes(const vq_tile_form *f, uint32_t rows)
{
	uint64_t even = vq_tile_pairs_rows(&f->t) ? round_up(rows, 2) : rows;

	return (even * f->kp * f->a_element + 63) / 64 * 64;
}

int64_t vq_panel_bytes(const vq_tile_form *f) { return (int64_t)vq_tile_nr(&f->t) * f->kp * (f->f32 ? 4 : 1); }

/* rows of registers: pairs count once */
static uint32_t register_rows(const vq_tile_form *f, uint32_t rows)
{
	return vq_tile_pairs_rows(&f->t) ? (rows + 1) / 2 : rows;
}

static int64_t chunk_bytes(const vq_tile_form *f)
{
	uint32_t element = f->t.shape == VQ_ACC_ROWPAIR && !f->f32 ? 8 : f->a_element;

	return (int64_t)vq_tile_ka(&f->t) * element;
}

int64_t vq_packed_row(const vq_tile_form *f)
{
	return micro_panels(f) ? chunk_bytes(f) : chunk_bytes(f) * (f->kp / vq_tile_ka(&f->t));
}

int64_t vq_packed_step(const vq_tile_form *f, uint32_t rows)
{
	if (!micro_panels(f))
		return chunk_bytes(f);
	return chunk_bytes(f) * (vq_tile_pairs_rows(&f->t) ? round_up(rows, 2) : rows);
}

vq_tile_shape vq_tile_result(const vq_tile_form *f, uint32_t columns)
{
	switch (f->t.shape) {
	case VQ_ACC_K: return (vq_tile_shape){ 1, f->t.nrv };
	case VQ_ACC_ROWPAIR: return (vq_tile_shape){ columns, 1 };
	case VQ_ACC_2X2:
	case VQ_ACC_N: break;
	}
	return (vq_tile_shape){ (columns + f->t.lanes - 1) / f->t.lanes, f->t.lanes };
}

/* ---- the loop ---- */

static LLVMTypeRef accumulator_type(vq_codegen *c, const vq_tile_form *f)
{
	if (f->t.shape == VQ_ACC_ROWPAIR)
		return c->i64;
	return vq_vec(f->f32 ? c->f32 : c->i32, f->t.lanes);
}

static vq_ll load_b(vq_codegen *c, const vq_tile_form *f, vq_ll panel, uint32_t step, uint32_t j)
{
	const vq_tile *t = &f->t;
	uint32_t count = vq_tile_columns(t) * t->kr, element = f->f32 ? 4 : 1;
	uint32_t bytes = count * element;
	vq_ll p = vq_offset_const(c, panel, (int64_t)step * vq_tile_nr(t) * t->kr * element + (int64_t)j * bytes);

	return vq_load(c, vq_vec(f->f32 ? c->f32 : c->i8, count), p, bytes < 16 ? bytes : 16);
}

/* The load of A that serves one step, or the whole chunk if loads_chunk. */
static vq_ll load_a(vq_codegen *c, const vq_tile_form *f, vq_ll p, uint32_t step)
{
	const vq_tile *t = &f->t;
	uint32_t align = f->direct ? 1 : 4;

	if (f->f32)
		return vq_load(c, c->f32, vq_offset_const(c, p, 4 * (int64_t)step), 4);
	if (loads_chunk(c, f))
		return vq_load(c, vq_vec(c->i32, t->ku), p, f->direct ? 1 : 16);
	if (t->shape == VQ_ACC_K)
		return vq_load(c, vq_vec(c->i8, t->kr), p, f->direct ? 1 : 16);
	if (t->shape == VQ_ACC_ROWPAIR)
		return vq_load(c, c->i64, vq_offset_const(c, p, 8 * (int64_t)step), 8);
	if (t->kr == 1)
		return vq_load(c, c->i8, vq_offset_const(c, p, step), 1);
	return vq_load(c, c->i32, vq_offset_const(c, p, 4 * (int64_t)step), align);
}

/* Rows 2 pair and 2 pair + 1 side by side: in micro-panels they are; elsewhere, and where there is no second one, put together. */
static vq_ll load_pair(vq_codegen *c, const vq_tile_job *job, vq_ll a, uint32_t pair)
{
	uint32_t kr = job->form->t.kr;
	vq_ll first = vq_offset_const(c, a, 2 * pair * job->a_row), second = first;
	LLVMTypeRef row = vq_vec(c->i8, kr);

	if (job->a_row == kr)
		return vq_load(c, vq_vec(c->i8, 2 * kr), first, kr);
	if (2 * pair + 1 < job->rows)
		second = vq_offset_const(c, first, job->a_row);
	first = vq_load(c, row, first, kr);
	return vq_concat(c, first, vq_load(c, row, second, kr));
}

/* The dot's operand from what load_a brought. */
static vq_ll operand_a(vq_codegen *c, const vq_tile_form *f, vq_ll loaded, uint32_t step)
{
	const vq_tile *t = &f->t;

	if (f->f32)
		return vq_splat(c, loaded, t->lanes);
	if (loads_chunk(c, f))
		return vq_splat(c, LLVMBuildExtractElement(c->b, loaded, vq_ci32(c, step), ""), t->lanes);
	return t->shape == VQ_ACC_N && t->kr > 1 ? vq_splat(c, loaded, t->lanes) : loaded;
}

/* One chunk: KA steps of k. */
static void build_chunk(
	vq_codegen *c, const vq_tile_job *job, uint32_t rows, uint32_t nv, vq_ll a, vq_ll panel, vq_ll *acc)
{
	const vq_tile_form *f = job->form;
	const vq_tile *t = &f->t;
	dot_builder *dot = f->f32 ? dot_f32 : s8_dot[c->target->isa];
	bool hold_b = is_x86(c);
	vq_ll chunk[16], b[16], op[16];

	for (uint32_t r = 0; r < rows && loads_chunk(c, f); r++)
		chunk[r] = load_a(c, f, vq_offset_const(c, a, r * job->a_row), 0);
	for (uint32_t s = 0; s < t->ku; s++) {
		for (uint32_t j = 0; j < nv && hold_b; j++)
			b[j] = load_b(c, f, panel, s, j);
		for (uint32_t r = 0; r < rows; r++) {
			vq_ll loaded = loads_chunk(c, f) ? chunk[r]
				: t->shape == VQ_ACC_2X2 ? load_pair(c, job, a, r)
							 : load_a(c, f, vq_offset_const(c, a, r * job->a_row), s);

			op[r] = operand_a(c, f, loaded, s);
			for (uint32_t j = 0; j < nv && hold_b; j++)
				acc[r * nv + j] = dot(c, t, acc[r * nv + j], op[r], b[j]);
		}
		for (uint32_t j = 0; j < nv && !hold_b; j++) {
			b[0] = load_b(c, f, panel, s, j);
			for (uint32_t r = 0; r < rows; r++)
				acc[r * nv + j] = dot(c, t, acc[r * nv + j], op[r], b[0]);
		}
	}
}

static vq_ll pointer_phi(vq_codegen *c, vq_ll first, LLVMBasicBlockRef before)
{
	vq_ll phi = LLVMBuildPhi(c->b, c->ptr, "");

	LLVMAddIncoming(phi, &first, &before, 1);
	return phi;
}

/*
 * Tells the register allocator that the loop is the hottest thing there is: it then splits constants of surrounding loops around it
 * instead of spilling an accumulator (seen with 16 vector registers).
 */
static void mark_hot(vq_codegen *c, vq_ll branch)
{
	LLVMMetadataRef weights[3] = { LLVMMDStringInContext2(c->context, "branch_weights", 14),
		LLVMValueAsMetadata(vq_ci32(c, 1000)), LLVMValueAsMetadata(vq_ci32(c, 1)) };
	LLVMMetadataRef node = LLVMMDNodeInContext2(c->context, weights, 3);

	LLVMSetMetadata(branch, LLVMGetMDKindIDInContext(c->context, "prof", 4), LLVMMetadataAsValue(c->context, node));
}

/*
 * x86 addresses base + index * 1, 2, 4 or 8: where B moves that many times as fast as A, one index serves both, and the loop's own
 * work is an addition, a comparison and a branch.
 */
static bool one_index(vq_codegen *c, int64_t a_step, int64_t b_step)
{
	return is_x86(c) && (b_step == a_step || b_step == 2 * a_step || b_step == 4 * a_step || b_step == 8 * a_step);
}

static void build_loop(vq_codegen *c, const vq_tile_job *job, uint32_t rows, uint32_t nv, vq_ll *acc)
{
	enum { LINE = 64 };
	const vq_tile_form *f = job->form;
	int64_t step = vq_panel_bytes(f) / (f->kp / vq_tile_ka(&f->t));
	LLVMBasicBlockRef before = LLVMGetInsertBlock(c->b), body, after;
	vq_ll end = vq_offset_const(c, job->panel, vq_panel_bytes(f)), a = NULL, panel = NULL, next, prefetch = NULL,
	      index = NULL, phi[VQ_TILE_MAX];
	bool indexed = one_index(c, job->a_step, step);

	if (f->kp == vq_tile_ka(&f->t)) {
		build_chunk(c, job, rows, nv, job->a, job->panel, acc);
		return;
	}
	body = LLVMAppendBasicBlockInContext(c->context, c->function, "k");
	after = LLVMAppendBasicBlockInContext(c->context, c->function, "");
	LLVMBuildBr(c->b, body);
	LLVMPositionBuilderAtEnd(c->b, body);
	if (indexed) {
		vq_ll first = vq_cword(c, 0);

		index = LLVMBuildPhi(c->b, c->word, "");
		LLVMAddIncoming(index, &first, &before, 1);
	} else {
		panel = pointer_phi(c, job->panel, before);
		a = pointer_phi(c, job->a, before);
	}
	if (job->prefetch)
		prefetch = pointer_phi(c, job->prefetch, before);
	for (uint32_t i = 0; i < rows * nv; i++) {
		phi[i] = LLVMBuildPhi(c->b, accumulator_type(c, f), "");
		LLVMAddIncoming(phi[i], &acc[i], &before, 1);
		acc[i] = phi[i];
	}
	if (indexed) {
		a = vq_offset(c, job->a, index);
		panel = vq_offset(c, job->panel, vq_mul_const(c, index, step / job->a_step));
	}
	build_chunk(c, job, rows, nv, a, panel, acc);
	if (prefetch) {
		vq_ll arg[4] = { prefetch, vq_ci32(c, 0), vq_ci32(c, 3), vq_ci32(c, 1) };

		vq_intrinsic(c, "llvm.prefetch", &c->ptr, 1, arg, 4);
		next = vq_offset_const(c, prefetch, LINE);
		LLVMAddIncoming(prefetch, &next, &body, 1);
	}
	if (indexed) {
		next = LLVMBuildAdd(c->b, index, vq_cword(c, job->a_step), "");
		LLVMAddIncoming(index, &next, &body, 1);
		end = vq_cword(c, vq_panel_bytes(f) / step * job->a_step);
	} else {
		next = vq_offset_const(c, a, job->a_step);
		LLVMAddIncoming(a, &next, &body, 1);
		next = vq_offset_const(c, panel, step);
		LLVMAddIncoming(panel, &next, &body, 1);
	}
	for (uint32_t i = 0; i < rows * nv; i++)
		LLVMAddIncoming(phi[i], &acc[i], &body, 1);
	mark_hot(c, LLVMBuildCondBr(c->b, LLVMBuildICmp(c->b, LLVMIntNE, next, end, ""), body, after));
	LLVMPositionBuilderAtEnd(c->b, after);
}

/* ---- results ---- */

/* Sums of four accumulators of K partials as one vector. */
static vq_ll reduce_four(vq_codegen *c, vq_ll *acc, uint32_t n)
{
	LLVMTypeRef quad = vq_vec(c->i32, 4), half = vq_vec(c->i32, 2);
	vq_ll s[4], high;

	for (uint32_t i = 0; i < 4; i++)
		s[i] = acc[i < n ? i : 0];
	if (c->target->isa != VQ_ISA_NEON32) {
		vq_ll low = vq_intrinsic(c, "llvm.aarch64.neon.addp", &quad, 1, s, 2);
		vq_ll both[2] = { low, vq_intrinsic(c, "llvm.aarch64.neon.addp", &quad, 1, s + 2, 2) };

		return vq_intrinsic(c, "llvm.aarch64.neon.addp", &quad, 1, both, 2);
	}
	for (uint32_t i = 0; i < 4; i++) {
		high = vq_shuffle(c, s[i], 2, 2);
		s[i] = add(c, vq_shuffle(c, s[i], 0, 2), high);
	}
	high = vq_intrinsic(c, "llvm.arm.neon.vpadd", &half, 1, s + 2, 2);
	return vq_concat(c, vq_intrinsic(c, "llvm.arm.neon.vpadd", &half, 1, s, 2), high);
}

/* Two rows out of one sum: low = s0 mod 2^32, and s0 fits in 32 bit, so the rest is s1 times 2^32. */
static void finish_pairs(vq_codegen *c, const vq_tile_job *job, const vq_ll *acc, uint32_t nv, vq_ll *out)
{
	for (uint32_t r = 0; r < job->rows; r++)
		for (uint32_t j = 0; j < nv; j++) {
			vq_ll both = acc[r / 2 * nv + j], low = LLVMBuildTrunc(c->b, both, c->i32, ""), v = low;

			if (r % 2) {
				both = LLVMBuildSub(c->b, both, sext(c, low, c->i64), "");
				v = LLVMBuildTrunc(
					c->b, LLVMBuildLShr(c->b, both, LLVMConstInt(c->i64, 32, 0), ""), c->i32, "");
			}
			if (job->start)
				v = add(c, v, vq_load(c, c->i32, vq_offset_const(c, job->start, 4 * (int64_t)j), 4));
			out[r * nv + j] = v;
		}
}

static vq_ll pick(vq_codegen *c, vq_ll a, vq_ll b, const uint32_t lane[4])
{
	LLVMValueRef mask[4];

	for (uint32_t i = 0; i < 4; i++)
		mask[i] = vq_ci32(c, lane[i]);
	return LLVMBuildShuffleVector(c->b, a, b, LLVMConstVector(mask, 4), "");
}

/* First accumulators of columns 2 j and 2 j + 1, for both rows. */
static vq_ll start_2x2(vq_codegen *c, const vq_tile_job *job, uint32_t j)
{
	static const uint32_t twice[4] = { 0, 1, 0, 1 };
	vq_ll v = vq_load(c, vq_vec(c->i32, 2), vq_offset_const(c, job->start, 8 * (int64_t)j), 4);

	return pick(c, v, v, twice);
}

/* Rows of four columns out of pairs of [row 0: column 0, 1; row 1: column 0, 1]. */
static void finish_2x2(vq_codegen *c, const vq_tile_job *job, const vq_ll *acc, uint32_t nv, uint32_t n, vq_ll *out)
{
	static const uint32_t half[2][4] = { { 0, 1, 4, 5 }, { 2, 3, 6, 7 } };

	for (uint32_t r = 0; r < job->rows; r++)
		for (uint32_t j = 0; j < n; j++) {
			const vq_ll *pair = acc + r / 2 * nv;

			out[r * n + j] = pick(c, pair[2 * j], pair[2 * j + 1 < nv ? 2 * j + 1 : 2 * j], half[r % 2]);
		}
}

void vq_tile_emit(vq_codegen *c, const vq_tile_job *job, vq_ll *out)
{
	const vq_tile_form *f = job->form;
	const vq_tile *t = &f->t;
	vq_tile_shape shape = vq_tile_result(f, job->columns);
	uint32_t rows = register_rows(f, job->rows), nv = shape.n;
	vq_ll acc[VQ_TILE_MAX], start = NULL;

	if (t->shape == VQ_ACC_K)
		nv = job->columns;
	if (t->shape == VQ_ACC_2X2)
		nv = (job->columns + 1) / 2;
	assert(rows * nv <= VQ_TILE_MAX && job->rows <= t->mr && job->columns <= vq_tile_nr(t));
	for (uint32_t j = 0; j < nv; j++)
		for (uint32_t r = 0; r < rows; r++) {
			if (r == 0)
				start = t->shape == VQ_ACC_2X2 && job->start ? start_2x2(c, job, j)
					: t->shape == VQ_ACC_N && job->start
					? vq_load(c, accumulator_type(c, f),
						  vq_offset_const(c, job->start, 4 * (int64_t)j * t->lanes), 4)
					: LLVMConstNull(accumulator_type(c, f));
			acc[r * nv + j] = start;
		}
	build_loop(c, job, rows, nv, acc);
	switch (t->shape) {
	case VQ_ACC_N:
		for (uint32_t i = 0; i < rows * nv; i++)
			out[i] = acc[i];
		break;
	case VQ_ACC_K:
		if (job->start)
			start = vq_load(c, vq_vec(c->i32, t->nrv), job->start, 4);
		for (uint32_t r = 0; r < rows; r++) {
			out[r] = reduce_four(c, acc + r * nv, nv);
			out[r] = job->start ? add(c, out[r], start) : out[r];
		}
		break;
	case VQ_ACC_ROWPAIR: finish_pairs(c, job, acc, nv, out); break;
	case VQ_ACC_2X2: finish_2x2(c, job, acc, nv, shape.n, out); break;
	}
}

void vq_tile_column_sums(vq_codegen *c, const vq_tile_form *f, vq_ll panel, vq_ll *out)
{
	const vq_tile *t = &f->t;
	uint32_t ka = vq_tile_ka(t);
	LLVMTypeRef element = t->shape == VQ_ACC_ROWPAIR ? c->i64 : t->a == VQ_A_S16 ? c->i16 : c->i8;
	vq_ll ones = vq_splat(c, LLVMConstInt(element, 1, 0), ka);
	LLVMTypeRef type = vq_vec(element, ka);
	LLVMValueRef global = LLVMGetNamedGlobal(c->module, "vq.ones");
	vq_tile_form packed = *f;
	vq_tile_job job = { .form = &packed, .rows = 1, .columns = vq_tile_nr(t), .panel = panel };

	/* a row of A that never moves: step 0 */
	if (!global) {
		global = LLVMAddGlobal(c->module, type, "vq.ones");
		LLVMSetInitializer(global, ones);
		LLVMSetGlobalConstant(global, 1);
		LLVMSetLinkage(global, LLVMPrivateLinkage);
		LLVMSetUnnamedAddress(global, LLVMGlobalUnnamedAddr);
		LLVMSetAlignment(global, 64);
	}
	packed.direct = false;
	job.a = global;
	vq_tile_emit(c, &job, out);
}
