/* SPDX-License-Identifier: MIT */
/*
 * From f32 or i32 lanes to bytes. LLVM does not know that codes are in range and would mask and shuffle; where the instruction
 * set has saturating narrowing it is used, and where a value is proved to fit in 32 bit it also does the clamp.
 */
#include "backend/codegen.h"

#include <assert.h>

enum { MOST_PACKS = 64 };

/* lanes [index * width, …) of the vectors one after the other; width divides their lane count */
static vq_ll piece(vq_codegen *c, const vq_ll *v, uint32_t index, uint32_t width)
{
	uint32_t per = vq_lanes_of(v[0]) / width;

	return vq_shuffle(c, v[index / per], index % per * width, width);
}

static vq_ll pack_pair(vq_codegen *c, const char *name, vq_ll a, vq_ll b)
{
	vq_ll arg[2] = { a, b };

	return vq_intrinsic(c, name, NULL, 0, arg, 2);
}

/* x86 packs of registers wider than 128 bit work on each 128 bit: brings the bytes of two levels of them back into order */
static vq_ll restore_order(vq_codegen *c, vq_ll v)
{
	uint32_t n = vq_lanes_of(v) / 4, parts = n / 4;
	LLVMValueRef mask[16];
	LLVMTypeRef bytes = LLVMTypeOf(v);

	if (parts == 1)
		return v;
	for (uint32_t i = 0; i < n; i++) /* register i / parts, its part i % parts */
		mask[i] = vq_ci32(c, (int64_t)(i % parts) * 4 + i / parts);
	v = LLVMBuildBitCast(c->b, v, LLVMVectorType(c->i32, n), "");
	v = LLVMBuildShuffleVector(c->b, v, LLVMGetPoison(LLVMTypeOf(v)), LLVMConstVector(mask, n), "");
	return LLVMBuildBitCast(c->b, v, bytes, "");
}

/* s32 to s16 with saturation, both operands' lanes interleaved by 128 bit; width: lanes of an operand */
static vq_ll pack_words(vq_codegen *c, uint32_t width, vq_ll a, vq_ll b)
{
	return pack_pair(c,
		width == 16          ? "llvm.x86.avx512.packssdw.512"
			: width == 8 ? "llvm.x86.avx2.packssdw"
				     : "llvm.x86.sse2.packssdw.128",
		a, b);
}

/* s16 to s8 or u8, in order of the four registers that pack_words took */
static vq_ll pack_bytes(vq_codegen *c, uint32_t width, bool u8, vq_ll a, vq_ll b)
{
	static const char *const name[2][3] = {
		{ "llvm.x86.sse2.packsswb.128", "llvm.x86.avx2.packsswb", "llvm.x86.avx512.packsswb.512" },
		{ "llvm.x86.sse2.packuswb.128", "llvm.x86.avx2.packuswb", "llvm.x86.avx512.packuswb.512" },
	};

	return restore_order(c, pack_pair(c, name[u8][width / 8], a, b));
}

/* Four registers of i32 codes to one of bytes. */
static vq_ll pack_x86(vq_codegen *c, const vq_ll *v, uint32_t first, uint32_t width)
{
	vq_ll p[4];

	for (uint32_t i = 0; i < 4; i++)
		p[i] = piece(c, v, first + i, width);
	p[2] = pack_words(c, width, p[2], p[3]);
	return pack_bytes(c, width, false, pack_words(c, width, p[0], p[1]), p[2]);
}

/* lanes of the registers that packing takes four at a time; 0: none for this target or this many lanes */
static uint32_t packing_width(vq_isa isa, uint32_t lanes, uint32_t all)
{
	if (isa == VQ_ISA_AVX512_VNNI)
		return all % 64 == 0 && lanes % 16 == 0 ? 16 : 0;
	if ((isa == VQ_ISA_AVX2 || isa == VQ_ISA_AVX_VNNI) && all % 32 == 0 && lanes % 8 == 0)
		return 8;
	if (isa == VQ_ISA_AVX2 || isa == VQ_ISA_AVX_VNNI || isa == VQ_ISA_SSE2)
		return all % 16 == 0 && lanes % 4 == 0 ? 4 : 0;
	return 0;
}

uint32_t vq_join(vq_codegen *c, vq_ll *v, uint32_t n)
{
	if (n & (n - 1))
		return n;
	for (; n > 1; n /= 2)
		for (uint32_t i = 0; i < n / 2; i++)
			v[i] = vq_concat(c, v[2 * i], v[2 * i + 1]);
	return 1;
}

uint32_t vq_narrow_vectors(vq_codegen *c, vq_ll *codes, uint32_t n, bool u8)
{
	vq_isa isa = c->target->isa;
	uint32_t lanes = vq_lanes_of(codes[0]), all = n * lanes, width = packing_width(isa, lanes, all);

	if (!width) {
		if (isa != VQ_ISA_AVX512_VNNI) /* there vpmovdb narrows a single register */
			n = vq_join(c, codes, n);
		for (uint32_t i = 0; i < n; i++)
			codes[i] = vq_narrow_codes(c, codes[i], u8);
		return n;
	}
	vq_ll bytes[MOST_PACKS];

	assert(all / (4 * width) <= MOST_PACKS);
	for (uint32_t i = 0; i < all / (4 * width); i++) {
		bytes[i] = pack_x86(c, codes, 4 * i, width);
		if (u8)
			bytes[i] = LLVMBuildXor(
				c->b, bytes[i], vq_splat(c, LLVMConstInt(c->i8, 0x80, 0), 4 * width), "");
	}
	n = all / (4 * width);
	for (uint32_t i = 0; i < n; i++)
		codes[i] = bytes[i];
	return n;
}

/* ---- values proved to fit in 32 bit: convert, then saturate ---- */

static vq_ll convert(vq_codegen *c, vq_ll v)
{
	LLVMTypeRef types[2] = { vq_vec(c->i32, vq_lanes_of(v)), LLVMTypeOf(v) };

	if (c->target->arch == VQ_ARCH_AARCH64)
		return vq_intrinsic(c, "llvm.aarch64.neon.fcvtns", types, 2, &v, 1);
	if (vq_lanes_of(v) == 16) {
		/* nothing masked, rounding as the mode says */
		vq_ll arg[4] = { v, LLVMConstNull(types[0]), LLVMConstInt(c->i16, 0xffff, 0), vq_ci32(c, 4) };

		return vq_intrinsic(c, "llvm.x86.avx512.mask.cvtps2dq.512", NULL, 0, arg, 4);
	}
	return vq_intrinsic(
		c, vq_lanes_of(v) == 8 ? "llvm.x86.avx.cvt.ps2dq.256" : "llvm.x86.sse2.cvtps2dq", NULL, 0, &v, 1);
}

/* whether codes are shifted to 0..255 together with the zero point, and saturate there */
static bool packs_unsigned(const vq_codegen *c, const vq_epilogue *e)
{
	return c->target->arch == VQ_ARCH_X86_64 && e->store == VQ_STORE_U8;
}

/* + zero, saturated to 16 bit */
static vq_ll shift(vq_codegen *c, vq_ll v, const vq_epilogue *e)
{
	uint32_t lanes = vq_lanes_of(v);
	LLVMTypeRef t = LLVMTypeOf(v);
	int32_t unsign = packs_unsigned(c, e) ? 128 : 0;
	vq_ll zero = LLVMConstInt(c->i16, (unsigned long long)(int64_t)(e->zero + unsign), 1), arg[2] = { v, NULL };

	if (e->scalars)
		zero = LLVMBuildTrunc(c->b, LLVMBuildAdd(c->b, c->store_zero, vq_ci32(c, unsign), ""), c->i16, "");
	else if (!e->zero && !unsign)
		return v;
	arg[1] = vq_splat(c, zero, lanes);
	return vq_intrinsic(c, "llvm.sadd.sat", &t, 1, arg, 2);
}

static vq_ll clamp_side(vq_codegen *c, vq_ll v, LLVMIntPredicate keep, int32_t k)
{
	LLVMTypeRef t = LLVMTypeOf(v);
	vq_ll bound = vq_splat(
		c, LLVMConstInt(LLVMGetElementType(t), (unsigned long long)(int64_t)k, 1), vq_lanes_of(v));

	return LLVMBuildSelect(c->b, LLVMBuildICmp(c->b, keep, v, bound, ""), v, bound, "");
}

/* Into [lo, hi] as far as the narrowing to bytes does not do it: words before it (SSE2 compares no signed bytes), or bytes after it. */
static vq_ll clamp(vq_codegen *c, vq_ll v, const vq_epilogue *e)
{
	bool u8 = packs_unsigned(c, e);

	if (e->lo > -128)
		v = clamp_side(c, v, u8 ? LLVMIntUGT : LLVMIntSGT, u8 ? e->lo + 128 : e->lo);
	if (e->hi < 127)
		v = clamp_side(c, v, u8 ? LLVMIntULT : LLVMIntSLT, u8 ? e->hi + 128 : e->hi);
	return v;
}

static vq_ll narrow_neon(vq_codegen *c, vq_ll v, LLVMTypeRef e)
{
	LLVMTypeRef t = vq_vec(e, vq_lanes_of(v));

	return vq_intrinsic(c, "llvm.aarch64.neon.sqxtn", &t, 1, &v, 1);
}

/* four registers of f32 to one of bytes */
static vq_ll saturate(vq_codegen *c, const vq_ll *v, uint32_t first, uint32_t width, const vq_epilogue *e)
{
	bool words = c->target->isa == VQ_ISA_SSE2 && e->store == VQ_STORE_S8;
	vq_ll p[4];

	for (uint32_t i = 0; i < 4; i++)
		p[i] = convert(c, piece(c, v, first + i, width));
	for (uint32_t i = 0; i < 2; i++) {
		vq_ll a = p[2 * i], b = p[2 * i + 1];

		if (c->target->arch == VQ_ARCH_AARCH64) {
			b = narrow_neon(c, b, c->i16);
			p[i] = vq_concat(c, narrow_neon(c, a, c->i16), b);
		} else {
			p[i] = pack_words(c, width, a, b);
		}
		p[i] = shift(c, p[i], e);
		if (words)
			p[i] = clamp(c, p[i], e);
	}
	if (c->target->arch == VQ_ARCH_AARCH64) {
		p[1] = narrow_neon(c, p[1], c->i8);
		p[0] = vq_concat(c, narrow_neon(c, p[0], c->i8), p[1]);
	} else {
		p[0] = pack_bytes(c, width, packs_unsigned(c, e), p[0], p[1]);
	}
	return words ? p[0] : clamp(c, p[0], e);
}

/* registers of f32 the saturating way takes, 0: there is none for this target or these constants */
static uint32_t saturating_width(const vq_codegen *c, uint32_t lanes, uint32_t all, int32_t zero)
{
	vq_isa isa = c->target->isa;

	if (zero > VQ_FAR_ZERO || zero < -VQ_FAR_ZERO)
		return 0;
	if (c->target->arch == VQ_ARCH_AARCH64)
		return all % 16 == 0 && lanes % 4 == 0 ? 4 : 0;
	return packing_width(isa, lanes, all);
}

uint32_t vq_quantize_vectors(vq_codegen *c, vq_ll *v, uint32_t n, const vq_epilogue *e)
{
	uint32_t lanes = vq_lanes_of(v[0]), all = n * lanes,
		 width = e->bounded ? saturating_width(c, lanes, all, e->zero) : 0;
	vq_ll bytes[MOST_PACKS];

	if (!width) {
		for (uint32_t i = 0; i < n; i++)
			v[i] = e->scalars ? vq_quantize_shared(c, v[i], e->bounded)
					  : vq_quantize(c, v[i], e->lo, e->hi, e->zero, e->bounded);
		return vq_narrow_vectors(c, v, n, e->store == VQ_STORE_U8);
	}
	n = all / (4 * width);
	assert(n <= MOST_PACKS);
	for (uint32_t i = 0; i < n; i++) {
		bytes[i] = saturate(c, v, 4 * i, width, e);
		if (e->store == VQ_STORE_U8 && !packs_unsigned(c, e))
			bytes[i] = LLVMBuildXor(
				c->b, bytes[i], vq_splat(c, LLVMConstInt(c->i8, 0x80, 0), 4 * width), "");
	}
	for (uint32_t i = 0; i < n; i++)
		v[i] = bytes[i];
	return n;
}
