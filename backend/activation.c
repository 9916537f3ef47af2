/* SPDX-License-Identifier: MIT */
/*
 * Unary functions of the contract as LLVM IR, the operations of ir/contract.c in the same order. Every step is emitted for all
 * vectors before the next one: four vectors in lockstep hide the latency of the polynomial, which is worth more than FMA.
 */
#include "backend/codegen.h"
#include "ir/contract.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

enum { LOCKSTEP_MAX = 32 };

typedef struct lockstep {
	vq_ll v[LOCKSTEP_MAX];
} lockstep;

static lockstep load(const vq_ll *v, uint32_t n)
{
	lockstep s = { { NULL } };

	assert(n <= LOCKSTEP_MAX);
	memcpy(s.v, v, n * sizeof *v);
	return s;
}

static vq_ll like(vq_codegen *c, vq_ll a, float k) { return vq_splat_f32(c, k, vq_lanes_of(a)); }

/* P(z)^(2^squarings) by Horner's rule from the highest coefficient */
static lockstep poly(vq_codegen *c, const vq_poly *p, const lockstep *z, uint32_t n)
{
	lockstep r = { { NULL } };

	for (uint32_t i = 0; i < n; i++)
		r.v[i] = like(c, z->v[i], p->c[p->n - 1]);
	for (uint32_t k = p->n - 1; k-- > 0;) {
		for (uint32_t i = 0; i < n; i++)
			r.v[i] = vq_fmul(c, r.v[i], z->v[i]);
		for (uint32_t i = 0; i < n; i++)
			r.v[i] = vq_fadd(c, r.v[i], like(c, z->v[i], p->c[k]));
	}
	for (uint32_t k = 0; k < p->squarings; k++)
		for (uint32_t i = 0; i < n; i++)
			r.v[i] = vq_fmul(c, r.v[i], r.v[i]);
	return r;
}

void vq_exp2_u8(vq_codegen *c, vq_ll *y, uint32_t n)
{
	lockstep z = { { NULL } };

	assert(n <= LOCKSTEP_MAX);
	for (uint32_t i = 0; i < n; i++)
		z.v[i] = vq_fmax_const(c, y[i], vq_poly_exp2_u8.limit);
	z = poly(c, &vq_poly_exp2_u8, &z, n);
	memcpy(y, z.v, n * sizeof *y);
}

/* max(x, 0) - z P(z)^(2^k), z = min(|x|, limit) */
static void activation(vq_codegen *c, const vq_poly *p, vq_ll *v, uint32_t n)
{
	lockstep z = { { NULL } }, q;

	for (uint32_t i = 0; i < n; i++)
		z.v[i] = vq_fmin_const(c, vq_fabs(c, v[i]), p->limit);
	q = poly(c, p, &z, n);
	for (uint32_t i = 0; i < n; i++) {
		vq_ll t = vq_fmul(c, z.v[i], q.v[i]);

		v[i] = vq_fsub(c, vq_fmax_const(c, v[i], 0.0f), t);
	}
}

static void erf_(vq_codegen *c, vq_ll *v, uint32_t n)
{
	const vq_poly *p = &vq_poly_erf;
	lockstep z = { { NULL } }, u = z, q;

	for (uint32_t i = 0; i < n; i++) {
		z.v[i] = vq_fmax_const(c, vq_fmin_const(c, v[i], p->limit), -p->limit);
		u.v[i] = vq_fmul(c, z.v[i], z.v[i]);
	}
	q = poly(c, p, &u, n);
	for (uint32_t i = 0; i < n; i++)
		v[i] = vq_fmul(c, z.v[i], q.v[i]);
}

static void exp_(vq_codegen *c, vq_ll *v, uint32_t n)
{
	lockstep y = { { NULL } }, t = y, r = y, q;

	for (uint32_t i = 0; i < n; i++)
		y.v[i] = vq_fmax_const(c, vq_fmin_const(c, v[i], VQ_EXP_MAX), VQ_EXP_MIN);
	for (uint32_t i = 0; i < n; i++) {
		vq_ll a = y.v[i], magic = like(c, a, VQ_MAGIC), k, s;

		t.v[i] = vq_fadd(c, vq_fmul(c, a, like(c, a, VQ_LOG2E_F32)), magic);
		k = LLVMBuildFSub(c->b, t.v[i], magic, "");
		s = vq_fsub(c, a, vq_fmul(c, k, like(c, a, VQ_LN2_HI)));
		r.v[i] = vq_fsub(c, s, vq_fmul(c, k, like(c, a, VQ_LN2_LO)));
	}
	q = poly(c, &vq_poly_exp, &r, n);
	for (uint32_t i = 0; i < n; i++) {
		vq_ll x = v[i], p, e, twentythree = vq_splat(c, vq_ci32(c, 23), vq_lanes_of(x));

		p = vq_fmul(c, vq_fmul(c, r.v[i], r.v[i]), q.v[i]);
		p = vq_fadd(c, vq_fadd(c, p, r.v[i]), like(c, x, 1.0f));
		e = LLVMBuildShl(c->b, vq_to_bits(c, t.v[i]), twentythree, "");
		e = vq_from_bits(c, LLVMBuildAdd(c->b, vq_to_bits(c, p), e, ""));
		e = vq_select(c, LLVMRealOLT, x, like(c, x, VQ_EXP_MIN), like(c, x, 0.0f), e);
		e = vq_select(c, LLVMRealOGT, x, like(c, x, VQ_EXP_MAX), like(c, x, INFINITY), e);
		v[i] = vq_select(c, LLVMRealOEQ, x, x, e, x);
	}
}

static void sigmoid(vq_codegen *c, vq_ll *v, uint32_t n)
{
	lockstep x = load(v, n), e = x;

	for (uint32_t i = 0; i < n; i++)
		e.v[i] = LLVMBuildFNeg(c->b, vq_fabs(c, x.v[i]), "");
	exp_(c, e.v, n);
	for (uint32_t i = 0; i < n; i++) {
		vq_ll one = like(c, x.v[i], 1.0f);
		vq_ll r = LLVMBuildFDiv(c->b, one, vq_fadd(c, one, e.v[i]), "");

		v[i] = vq_select(c, LLVMRealOGT, x.v[i], like(c, x.v[i], 0.0f), r, vq_fmul(c, e.v[i], r));
	}
}

static void tanh_(vq_codegen *c, vq_ll *v, uint32_t n)
{
	const vq_poly *p = &vq_poly_tanh;
	lockstep x = load(v, n), a = x, u = x, e = x, q;

	for (uint32_t i = 0; i < n; i++) {
		a.v[i] = vq_fabs(c, x.v[i]);
		u.v[i] = vq_fmul(c, x.v[i], x.v[i]);
		e.v[i] = LLVMBuildFNeg(c->b, vq_fadd(c, a.v[i], a.v[i]), "");
	}
	q = poly(c, p, &u, n);
	exp_(c, e.v, n);
	for (uint32_t i = 0; i < n; i++) {
		vq_ll one = like(c, x.v[i], 1.0f), zero = like(c, x.v[i], 0.0f);
		vq_ll s = vq_fmul(c, x.v[i], q.v[i]);
		vq_ll under = vq_fadd(c, one, e.v[i]);
		vq_ll l = LLVMBuildFDiv(c->b, vq_fadd(c, e.v[i], e.v[i]), under, "");

		l = vq_fsub(c, one, l);
		l = vq_select(c, LLVMRealOLT, x.v[i], zero, LLVMBuildFNeg(c->b, l, ""), l);
		v[i] = vq_select(c, LLVMRealOLT, a.v[i], like(c, x.v[i], p->limit), s, l);
	}
}

static void log_(vq_codegen *c, vq_ll *v, uint32_t n)
{
	lockstep f = { { NULL } }, r = f, q;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t lanes = vq_lanes_of(v[i]);
		vq_ll twentythree = vq_splat(c, vq_ci32(c, 23), lanes), bits = vq_to_bits(c, v[i]);
		vq_ll d = LLVMBuildSub(c->b, bits, vq_splat(c, vq_ci32(c, VQ_SQRT_HALF_BITS), lanes), "");
		vq_ll k = LLVMBuildAShr(c->b, d, twentythree, "");
		vq_ll m = LLVMBuildSub(c->b, bits, LLVMBuildShl(c->b, k, twentythree, ""), "");

		f.v[i] = LLVMBuildSIToFP(c->b, k, LLVMTypeOf(v[i]), "");
		r.v[i] = vq_fsub(c, vq_from_bits(c, m), like(c, v[i], 1.0f));
	}
	q = poly(c, &vq_poly_log, &r, n);
	for (uint32_t i = 0; i < n; i++) {
		vq_ll x = v[i];
		vq_ll p = vq_fadd(c, vq_fmul(c, vq_fmul(c, r.v[i], r.v[i]), q.v[i]), r.v[i]);
		vq_ll w = vq_fadd(c, vq_fmul(c, f.v[i], like(c, x, VQ_LN2_LO)), p);

		w = vq_fadd(c, w, vq_fmul(c, f.v[i], like(c, x, VQ_LN2_HI)));
		w = vq_select(c, LLVMRealOLT, x, like(c, x, VQ_LEAST_NORMAL), like(c, x, -INFINITY), w);
		w = vq_select(c, LLVMRealOLE, x, like(c, x, -VQ_LEAST_NORMAL), like(c, x, NAN), w);
		w = vq_select(c, LLVMRealOGT, x, like(c, x, FLT_MAX), x, w);
		v[i] = vq_select(c, LLVMRealOEQ, x, x, w, x);
	}
}

static vq_ll rint_(vq_codegen *c, vq_ll x)
{
	vq_ll t = vq_flush(c, x), a = vq_fabs(c, t), big = like(c, x, 0x1p23f), zero = like(c, x, 0.0f);
	vq_ll m = LLVMBuildFSub(c->b, LLVMBuildFAdd(c->b, a, big, ""), big, "");
	vq_ll r = vq_select(c, LLVMRealOLT, t, zero, LLVMBuildFNeg(c->b, m, ""), m);

	return vq_select(c, LLVMRealOLT, a, big, r, t);
}

static vq_ll floor_(vq_codegen *c, vq_ll x)
{
	vq_ll t = vq_flush(c, x), r = rint_(c, t);

	return vq_select(c, LLVMRealOGT, r, t, vq_fsub(c, r, like(c, x, 1.0f)), r);
}

static vq_ll sqrt_(vq_codegen *c, vq_ll x)
{
	LLVMTypeRef t = LLVMTypeOf(x);

	return vq_intrinsic(c, "llvm.sqrt", &t, 1, &x, 1);
}

void vq_unary(vq_codegen *c, vq_op op, vq_ll *v, uint32_t n)
{
	assert(n <= LOCKSTEP_MAX);
	switch (op) {
	case VQ_OP_EXP: exp_(c, v, n); return;
	case VQ_OP_LOG: log_(c, v, n); return;
	case VQ_OP_ERF: erf_(c, v, n); return;
	case VQ_OP_TANH: tanh_(c, v, n); return;
	case VQ_OP_SIGMOID: sigmoid(c, v, n); return;
	case VQ_OP_GELU: activation(c, &vq_poly_gelu, v, n); return;
	case VQ_OP_GELU_TANH: activation(c, &vq_poly_gelu_tanh, v, n); return;
	case VQ_OP_GELU_QUICK: activation(c, &vq_poly_gelu_quick, v, n); return;
	case VQ_OP_SILU: activation(c, &vq_poly_silu, v, n); return;
	default: break;
	}
	for (uint32_t i = 0; i < n; i++) {
		vq_ll zero = like(c, v[i], 0.0f), one = like(c, v[i], 1.0f);

		switch (op) {
		case VQ_OP_NEG: v[i] = LLVMBuildFNeg(c->b, v[i], ""); break;
		case VQ_OP_ABS: v[i] = vq_fabs(c, v[i]); break;
		case VQ_OP_SQRT: v[i] = sqrt_(c, v[i]); break;
		case VQ_OP_RECIP: v[i] = LLVMBuildFDiv(c->b, one, v[i], ""); break;
		case VQ_OP_RELU: v[i] = vq_fmax_const(c, v[i], 0.0f); break;
		case VQ_OP_FLOOR: v[i] = floor_(c, v[i]); break;
		case VQ_OP_ROUND: v[i] = rint_(c, v[i]); break;
		case VQ_OP_NOT: v[i] = vq_select_true(c, v[i], zero, one); break;
		default: assert(0 && "the planner gives only unary f32 operators");
		}
	}
}
