/* SPDX-License-Identifier: MIT */
/*
 * Division, powers and truncation of 64-bit integers, as ir/eval_elementwise.c defines them. No operand traps, and none is left to
 * a library, which 32-bit ARM would ask for: it divides and converts bit by bit.
 */
#include "backend/kernels/kernel.h"

static vq_ll c64(vq_codegen *c, int64_t v) { return LLVMConstInt(c->i64, (unsigned long long)v, 1); }

static vq_ll is(vq_codegen *c, LLVMIntPredicate p, vq_ll a, int64_t b)
{
	return LLVMBuildICmp(c->b, p, a, c64(c, b), "");
}

static vq_ll negated_if(vq_codegen *c, vq_ll condition, vq_ll v)
{
	return LLVMBuildSelect(c->b, condition, LLVMBuildNeg(c->b, v, ""), v, "");
}

/* |a| / |b| by shift and subtraction: the remainder stays below |b| <= 2^63, so that its double fits */
static vq_ll divide_by_bits(vq_codegen *c, vq_ll a, vq_ll b)
{
	vq_ll divisor = negated_if(c, is(c, LLVMIntSLT, b, 0), b), rest, quotient, more;
	vq_ll carried[2] = { negated_if(c, is(c, LLVMIntSLT, a, 0), a), c64(c, 0) };
	vq_loop l;

	vq_loop_begin(c, &l, vq_cword(c, 0), vq_cword(c, 64), vq_cword(c, 1), carried, 2);
	quotient = l.phi[0];
	rest = LLVMBuildLShr(c->b, quotient, c64(c, 63), "");
	rest = LLVMBuildOr(c->b, LLVMBuildShl(c->b, l.phi[1], c64(c, 1), ""), rest, "");
	more = LLVMBuildICmp(c->b, LLVMIntUGE, rest, divisor, "");
	l.next[1] = LLVMBuildSelect(c->b, more, LLVMBuildSub(c->b, rest, divisor, ""), rest, "");
	more = LLVMBuildZExt(c->b, more, c->i64, "");
	l.next[0] = LLVMBuildOr(c->b, LLVMBuildShl(c->b, quotient, c64(c, 1), ""), more, "");
	vq_loop_end(c, &l);
	return negated_if(c, is(c, LLVMIntSLT, LLVMBuildXor(c->b, a, b, ""), 0), l.phi[0]);
}

/* toward 0; by 0: 0 */
static vq_ll divide(vq_codegen *c, vq_ll a, vq_ll b)
{
	vq_ll none = is(c, LLVMIntEQ, b, 0), minus = is(c, LLVMIntEQ, b, -1), q;

	if (c->word != c->i64) {
		q = divide_by_bits(c, a, b);
	} else {
		/* two operands trap on x86: 0, and -1 where the quotient does not fit */
		q = LLVMBuildSelect(c->b, LLVMBuildOr(c->b, none, minus, ""), c64(c, 1), b, "");
		q = negated_if(c, minus, LLVMBuildSDiv(c->b, a, q, ""));
	}
	return LLVMBuildSelect(c->b, none, c64(c, 0), q, "");
}

/* with the sign of the divisor; by 0: the dividend */
static vq_ll remainder_of(vq_codegen *c, vq_ll a, vq_ll b)
{
	vq_ll r = LLVMBuildSub(c->b, a, LLVMBuildMul(c->b, divide(c, a, b), b, ""), "");
	vq_ll other = is(c, LLVMIntSLT, LLVMBuildXor(c->b, r, b, ""), 0);

	other = LLVMBuildAnd(c->b, other, is(c, LLVMIntNE, r, 0), "");
	return LLVMBuildSelect(c->b, other, LLVMBuildAdd(c->b, r, b, ""), r, "");
}

/* modulo 2^64; a negative exponent truncates the fraction, of 0 too */
static vq_ll power(vq_codegen *c, vq_ll x, vq_ll y)
{
	vq_ll carried[3] = { c64(c, 1), x, y }, odd = LLVMBuildTrunc(c->b, y, LLVMInt1TypeInContext(c->context), ""),
	      few;
	vq_loop l;

	vq_loop_begin(c, &l, vq_cword(c, 0), vq_cword(c, 63), vq_cword(c, 1), carried, 3);
	l.next[0] = LLVMBuildMul(c->b, l.phi[0], l.phi[1], "");
	l.next[0] = LLVMBuildSelect(
		c->b, LLVMBuildTrunc(c->b, l.phi[2], LLVMInt1TypeInContext(c->context), ""), l.next[0], l.phi[0], "");
	l.next[1] = LLVMBuildMul(c->b, l.phi[1], l.phi[1], "");
	l.next[2] = LLVMBuildLShr(c->b, l.phi[2], c64(c, 1), "");
	vq_loop_end(c, &l);
	few = LLVMBuildZExt(c->b, is(c, LLVMIntEQ, x, 1), c->i64, "");
	odd = negated_if(c, odd, c64(c, 1));
	few = LLVMBuildSelect(c->b, is(c, LLVMIntEQ, x, -1), odd, few, "");
	return LLVMBuildSelect(c->b, is(c, LLVMIntSLT, y, 0), few, l.phi[0], "");
}

vq_ll vq_integer_binary(vq_codegen *c, vq_op op, vq_ll a, vq_ll b)
{
	return op == VQ_OP_DIV ? divide(c, a, b) : op == VQ_OP_MOD ? remainder_of(c, a, b) : power(c, a, b);
}

static vq_ll at_most(vq_codegen *c, LLVMIntPredicate p, vq_ll v, int64_t end)
{
	return LLVMBuildSelect(c->b, is(c, p, v, end), c64(c, end), v, "");
}

vq_ll vq_truncate_f32(vq_codegen *c, vq_ll x, vq_elem to)
{
	vq_ll bits = LLVMBuildZExt(c->b, LLVMBuildBitCast(c->b, x, c->i32, ""), c->i64, "");
	vq_ll negative = is(c, LLVMIntUGT, bits, INT32_MAX), size = LLVMBuildAnd(c->b, bits, c64(c, INT32_MAX), "");
	vq_ll up = LLVMBuildSub(c->b, LLVMBuildLShr(c->b, size, c64(c, 23), ""), c64(c, 127 + 23), "");
	vq_ll v = LLVMBuildOr(c->b, LLVMBuildAnd(c->b, size, c64(c, 0x7fffff), ""), c64(c, 0x800000), "");
	int64_t lo = to == VQ_U8 ? 0 : to == VQ_S8 ? INT8_MIN : to == VQ_I32 ? INT32_MIN : INT64_MIN;
	int64_t hi = to == VQ_U8 ? UINT8_MAX : to == VQ_S8 ? INT8_MAX : to == VQ_I32 ? INT32_MAX : INT64_MAX;
	vq_ll left = at_most(c, LLVMIntSLT, at_most(c, LLVMIntSGT, up, 63), 0), far = is(c, LLVMIntSGE, up, 63 - 23);
	vq_ll right = at_most(c, LLVMIntSLT, at_most(c, LLVMIntSGT, LLVMBuildNeg(c->b, up, ""), 63), 0);

	v = LLVMBuildLShr(c->b, LLVMBuildShl(c->b, v, left, ""), right, "");
	v = negated_if(c, negative, v);
	v = LLVMBuildSelect(
		c->b, far, LLVMBuildSelect(c->b, negative, c64(c, INT64_MIN), c64(c, INT64_MAX), ""), v, "");
	v = LLVMBuildSelect(c->b, is(c, LLVMIntUGT, size, 0x7f800000), c64(c, 0), v, ""); /* NaN */
	return at_most(c, LLVMIntSLT, at_most(c, LLVMIntSGT, v, hi), lo);
}
