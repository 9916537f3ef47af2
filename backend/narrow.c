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

/* 256-bit packs work on each half: brings the bytes of two levels of them back into order */
static vq_ll restore_order(vq_codegen *c, vq_ll v)
{
	static const uint8_t order[8] = { 0, 4, 1, 5, 2, 6, 3, 7 };
	LLVMValueRef mask[8];

	for (uint32_t i = 0; i < 8; i++)
		mask[i] = vq_ci32(c, order[i]);
	v = LLVMBuildBitCast(c->b, v, LLVMVectorType(c->i32, 8), "");
	v = LLVMBuildShuffleVector(c->b, v, LLVMGetPoison(LLVMTypeOf(v)), LLVMConstVector(mask, 8), "");
	return LLVMBuildBitCast(c->b, v, LLVMVectorType(c->i8, 32), "");
}

/* Four registers of i32 codes to one of bytes. */
static vq_ll pack_x86(vq_codegen *c, const vq_ll *v, uint32_t first, uint32_t width)
{
	vq_ll p[4];

	for (uint32_t i = 0; i < 4; i++)
		p[i] = piece(c, v, first + i, width);
	if (width == 4) {
		p[0] = pack_pair(c, "llvm.x86.sse2.packssdw.128", p[0], p[1]);
		p[1] = pack_pair(c, "llvm.x86.sse2.packssdw.128", p[2], p[3]);
		return pack_pair(c, "llvm.x86.sse2.packsswb.128", p[0], p[1]);
	}
	p[0] = pack_pair(c, "llvm.x86.avx2.packssdw", p[0], p[1]);
	p[1] = pack_pair(c, "llvm.x86.avx2.packssdw", p[2], p[3]);
	return restore_order(c, pack_pair(c, "llvm.x86.avx2.packsswb", p[0], p[1]));
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
	uint32_t lanes = vq_lanes_of(codes[0]), all = n * lanes, width = 0;
	vq_isa isa = c->target->isa;

	/* known to be in range, but LLVM does not see it and would mask and shuffle */
	if (isa == VQ_ISA_AVX2 && all % 32 == 0 && lanes % 8 == 0)
		width = 8;
	else if ((isa == VQ_ISA_AVX2 || isa == VQ_ISA_SSE2) && all % 16 == 0 && lanes % 4 == 0)
		width = 4;
	if (!width) {
		if (isa != VQ_ISA_AVX512_VNNI) /* there vpmovdb narrows each register in one step */
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
			bytes[i] = LLVMBuildXor(c->b, bytes[i], vq_splat(c, LLVMConstInt(c->i8, 0x80, 0), 4 * width), "");
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
	return vq_intrinsic(c, vq_lanes_of(v) == 8 ? "llvm.x86.avx.cvt.ps2dq.256" : "llvm.x86.sse2.cvtps2dq", NULL, 0, &v, 1);
}

/* + zero, then into [lo, hi] as far as the narrowing to bytes does not do it, on 16 bit lanes */
static vq_ll shift_and_clamp(vq_codegen *c, vq_ll v, const vq_epilogue *e)
{
	uint32_t lanes = vq_lanes_of(v);
	LLVMTypeRef t = LLVMTypeOf(v);
	vq_ll zero = e->scalars ? LLVMBuildTrunc(c->b, c->store_zero, c->i16, "")
		: LLVMConstInt(c->i16, (unsigned long long)(int64_t)e->zero, 1);
	vq_ll arg[2] = { v, vq_splat(c, zero, lanes) };
	vq_ll least = vq_splat(c, LLVMConstInt(c->i16, (unsigned long long)(int64_t)e->lo, 1), lanes);
	vq_ll most = vq_splat(c, LLVMConstInt(c->i16, (unsigned long long)(int64_t)e->hi, 1), lanes);

	if (e->zero || e->scalars)
		v = vq_intrinsic(c, "llvm.sadd.sat", &t, 1, arg, 2);
	if (e->lo > -128)
		v = LLVMBuildSelect(c->b, LLVMBuildICmp(c->b, LLVMIntSGT, v, least, ""), v, least, "");
	if (e->hi < 127)
		v = LLVMBuildSelect(c->b, LLVMBuildICmp(c->b, LLVMIntSLT, v, most, ""), v, most, "");
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
	vq_ll p[4];

	for (uint32_t i = 0; i < 4; i++)
		p[i] = convert(c, piece(c, v, first + i, width));
	for (uint32_t i = 0; i < 2; i++) {
		vq_ll a = p[2 * i], b = p[2 * i + 1];

		if (c->target->arch == VQ_ARCH_AARCH64)
			p[i] = vq_concat(c, narrow_neon(c, a, c->i16), narrow_neon(c, b, c->i16));
		else
			p[i] = pack_pair(c, width == 8 ? "llvm.x86.avx2.packssdw" : "llvm.x86.sse2.packssdw.128", a, b);
		p[i] = shift_and_clamp(c, p[i], e);
	}
	if (c->target->arch == VQ_ARCH_AARCH64)
		return vq_concat(c, narrow_neon(c, p[0], c->i8), narrow_neon(c, p[1], c->i8));
	if (width == 4)
		return pack_pair(c, "llvm.x86.sse2.packsswb.128", p[0], p[1]);
	return restore_order(c, pack_pair(c, "llvm.x86.avx2.packsswb", p[0], p[1]));
}

/* registers of f32 the saturating way takes, 0: there is none for this target or these constants */
static uint32_t saturating_width(const vq_codegen *c, uint32_t lanes, uint32_t all, int32_t zero)
{
	vq_isa isa = c->target->isa;

	if (zero > VQ_FAR_ZERO || zero < -VQ_FAR_ZERO)
		return 0;
	if (isa == VQ_ISA_AVX2 && all % 32 == 0 && lanes % 8 == 0)
		return 8;
	if (isa != VQ_ISA_AVX2 && isa != VQ_ISA_SSE2 && isa != VQ_ISA_NEON64 && isa != VQ_ISA_DOTPROD)
		return 0;
	return all % 16 == 0 && lanes % 4 == 0 ? 4 : 0;
}

uint32_t vq_quantize_vectors(vq_codegen *c, vq_ll *v, uint32_t n, const vq_epilogue *e)
{
	uint32_t lanes = vq_lanes_of(v[0]), all = n * lanes, width = e->bounded ? saturating_width(c, lanes, all, e->zero) : 0;
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
		if (e->store == VQ_STORE_U8)
			bytes[i] = LLVMBuildXor(c->b, bytes[i], vq_splat(c, LLVMConstInt(c->i8, 0x80, 0), 4 * width), "");
	}
	for (uint32_t i = 0; i < n; i++)
		v[i] = bytes[i];
	return n;
}
