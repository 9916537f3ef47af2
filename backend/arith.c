/* SPDX-License-Identifier: MIT */
/*
 * The contract's f32 arithmetic as LLVM IR (docs/arithmetic.md): every statement is one rounding. Only operators that every
 * target does inline; minimum and maximum are compare and select with the constant on the right, which is one instruction.
 */
#include "backend/codegen.h"
#include "ir/contract.h"

#include <assert.h>

/* Plain objects may contract a * b + c; contract arithmetic carries no flag at all. */
static vq_ll may_contract(vq_codegen *c, vq_ll v)
{
	if (!c->strict && LLVMIsAInstruction(v))
		LLVMSetFastMathFlags(v, LLVMFastMathAllowContract);
	return v;
}

vq_ll vq_fadd(vq_codegen *c, vq_ll a, vq_ll b) { return may_contract(c, LLVMBuildFAdd(c->b, a, b, "")); }
vq_ll vq_fsub(vq_codegen *c, vq_ll a, vq_ll b) { return may_contract(c, LLVMBuildFSub(c->b, a, b, "")); }
vq_ll vq_fmul(vq_codegen *c, vq_ll a, vq_ll b) { return may_contract(c, LLVMBuildFMul(c->b, a, b, "")); }

static vq_ll like(vq_codegen *c, vq_ll a, float k) { return vq_splat_f32(c, k, vq_lanes_of(a)); }

vq_ll vq_to_bits(vq_codegen *c, vq_ll a) { return LLVMBuildBitCast(c->b, a, vq_vec(c->i32, vq_lanes_of(a)), ""); }

vq_ll vq_from_bits(vq_codegen *c, vq_ll a) { return LLVMBuildBitCast(c->b, a, vq_vec(c->f32, vq_lanes_of(a)), ""); }

vq_ll vq_select(vq_codegen *c, LLVMRealPredicate p, vq_ll a, vq_ll b, vq_ll yes, vq_ll no)
{
	return LLVMBuildSelect(c->b, LLVMBuildFCmp(c->b, p, a, b, ""), yes, no, "");
}

vq_ll vq_fmin_const(vq_codegen *c, vq_ll a, float k)
{
	vq_ll constant = like(c, a, k);

	return vq_select(c, LLVMRealOLT, a, constant, a, constant);
}

vq_ll vq_fmax_const(vq_codegen *c, vq_ll a, float k)
{
	vq_ll constant = like(c, a, k);

	return vq_select(c, LLVMRealOGT, a, constant, a, constant);
}

vq_ll vq_fabs(vq_codegen *c, vq_ll a)
{
	vq_ll mask = vq_splat(c, vq_ci32(c, 0x7fffffff), vq_lanes_of(a));

	return vq_from_bits(c, LLVMBuildAnd(c->b, vq_to_bits(c, a), mask, ""));
}

vq_ll vq_flush(vq_codegen *c, vq_ll a)
{
	return vq_select(c, LLVMRealOLT, vq_fabs(c, a), like(c, a, VQ_TINY), like(c, a, 0.0f), a);
}

vq_ll vq_sanitize(vq_codegen *c, vq_ll a) { return vq_select(c, LLVMRealOEQ, a, a, a, like(c, a, 0.0f)); }

/* v in [-2^22, 2^22] to the nearest integer, ties to even, plus zero (a scalar): both constants in one subtraction */
static vq_ll round_magic(vq_codegen *c, vq_ll v, vq_ll zero)
{
	vq_ll t = LLVMBuildFAdd(c->b, v, like(c, v, VQ_MAGIC), "");
	vq_ll bias = LLVMBuildSub(c->b, vq_ci32(c, VQ_MAGIC_BITS), zero, "");

	bias = vq_splat(c, bias, vq_lanes_of(v));
	return LLVMBuildSub(c->b, vq_to_bits(c, t), bias, "");
}

vq_ll vq_quantize(vq_codegen *c, vq_ll v, int32_t lo, int32_t hi, int32_t zero, bool bounded)
{
	if (!bounded)
		v = vq_sanitize(c, v);
	v = vq_fmax_const(c, v, (float)(lo - zero));
	v = vq_fmin_const(c, v, (float)(hi - zero));
	return round_magic(c, v, vq_ci32(c, zero));
}

vq_ll vq_quantize_shared(vq_codegen *c, vq_ll v, bool bounded)
{
	uint32_t lanes = vq_lanes_of(v);
	vq_ll low = vq_splat(c, c->store_low, lanes), high = vq_splat(c, c->store_high, lanes);

	if (!bounded)
		v = vq_sanitize(c, v);
	v = vq_select(c, LLVMRealOGT, v, low, v, low);
	v = vq_select(c, LLVMRealOLT, v, high, v, high);
	return round_magic(c, v, c->store_zero);
}

vq_ll vq_narrow_codes(vq_codegen *c, vq_ll codes, bool u8)
{
	uint32_t lanes = vq_lanes_of(codes);
	vq_ll bytes = LLVMBuildTrunc(c->b, codes, vq_vec(c->i8, lanes), "");

	if (!u8)
		return bytes;
	return LLVMBuildXor(c->b, bytes, vq_splat(c, LLVMConstInt(c->i8, 0x80, 0), lanes), "");
}

static vq_ll truth(vq_codegen *c, LLVMRealPredicate p, vq_ll a, vq_ll b)
{
	return vq_select(c, p, a, b, like(c, a, 1.0f), like(c, a, 0.0f));
}

static vq_ll is_true(vq_codegen *c, vq_ll a) { return LLVMBuildFCmp(c->b, LLVMRealUNE, a, like(c, a, 0.0f), ""); }

vq_ll vq_select_true(vq_codegen *c, vq_ll condition, vq_ll yes, vq_ll no)
{
	return LLVMBuildSelect(c->b, is_true(c, condition), yes, no, "");
}

vq_ll vq_binary(vq_codegen *c, vq_op op, vq_ll a, vq_ll b)
{
	vq_ll zero = like(c, a, 0.0f), one = like(c, a, 1.0f);

	switch (op) {
	case VQ_OP_ADD: return vq_fadd(c, a, b);
	case VQ_OP_SUB: return vq_fsub(c, a, b);
	case VQ_OP_MUL: return vq_fmul(c, a, b);
	case VQ_OP_DIV: return LLVMBuildFDiv(c->b, a, b, "");
	case VQ_OP_MIN: return vq_select(c, LLVMRealOLT, a, b, a, b);
	case VQ_OP_MAX: return vq_select(c, LLVMRealOGT, a, b, a, b);
	/* a denormal must not decide: some targets compare it as 0 */
	case VQ_OP_EQUAL: b = vq_flush(c, b); return truth(c, LLVMRealOEQ, vq_flush(c, a), b);
	case VQ_OP_LESS: b = vq_flush(c, b); return truth(c, LLVMRealOLT, vq_flush(c, a), b);
	case VQ_OP_AND: b = vq_select_true(c, b, one, zero); return LLVMBuildSelect(c->b, is_true(c, a), b, zero, "");
	case VQ_OP_OR: b = vq_select_true(c, b, one, zero); return LLVMBuildSelect(c->b, is_true(c, a), one, b, "");
	default: break;
	}
	assert(0 && "the planner gives only binary f32 operators");
	return LLVMGetPoison(LLVMTypeOf(a));
}

/* Toward 0; out of range: the nearest end; NaN: 0. The greatest f32 below 2^31 is 2^31 - 128. */
vq_ll vq_to_i32(vq_codegen *c, vq_ll a)
{
	uint32_t lanes = vq_lanes_of(a);
	vq_ll v = vq_fmax_const(c, vq_sanitize(c, a), -0x1p31f);

	v = LLVMBuildFPToSI(c->b, vq_fmin_const(c, v, 0x1p31f - 128.0f), vq_vec(c->i32, lanes), "");
	return vq_select(c, LLVMRealOGE, a, like(c, a, 0x1p31f), vq_splat(c, vq_ci32(c, INT32_MAX), lanes), v);
}
