/* SPDX-License-Identifier: MIT */
/* The elementwise program of plan.h as LLVM IR: operands, operators in lockstep, stores. */
#include "backend/kernels/kernel.h"

#include <assert.h>

LLVMTypeRef vq_elem_type(vq_codegen *c, vq_elem e)
{
	switch (e) {
	case VQ_F32: return c->f32;
	case VQ_I64: return c->i64;
	case VQ_I32: return c->i32;
	default: return c->i8;
	}
}

static vq_ll element(vq_codegen *c, vq_ll p, vq_ll offset, uint32_t bytes)
{
	return vq_offset(c, p, vq_mul_const(c, offset, bytes));
}

vq_ll vq_load_lanes(vq_codegen *c, LLVMTypeRef e, uint32_t bytes, vq_ll p, vq_ll offset, int64_t stride, uint32_t lanes)
{
	vq_ll first = element(c, p, offset, bytes), v;

	if (lanes == 1 || stride == 1)
		return vq_load(c, vq_vec(e, lanes), first, bytes);
	if (stride == 0)
		return vq_splat(c, vq_load(c, e, first, bytes), lanes);
	v = LLVMGetPoison(vq_vec(e, lanes));
	for (uint32_t i = 0; i < lanes; i++) {
		vq_ll at = vq_offset_const(c, first, (int64_t)i * stride * bytes);

		v = LLVMBuildInsertElement(c->b, v, vq_load(c, e, at, bytes), vq_ci32(c, i), "");
	}
	return v;
}

void vq_store_lanes(vq_codegen *c, vq_ll v, uint32_t bytes, vq_ll p, vq_ll offset, int64_t stride)
{
	vq_ll first = element(c, p, offset, bytes);
	uint32_t lanes = vq_lanes_of(v);

	if (lanes == 1 || stride == 1) {
		vq_store_to(c, v, first, bytes);
		return;
	}
	for (uint32_t i = 0; i < lanes; i++) {
		vq_ll to = vq_offset_const(c, first, (int64_t)i * stride * bytes);

		vq_store_to(c, vq_shuffle(c, v, i, 1), to, bytes);
	}
}

/*
 * i64 to f32 with one rounding where there is no instruction (32 bit): bits below the 53 that a double keeps become one sticky
 * bit, then high and low half add up exactly in double.
 */
static vq_ll i64_to_f32_by_halves(vq_codegen *c, vq_ll v)
{
	LLVMTypeRef f64 = LLVMDoubleTypeInContext(c->context);
	vq_ll low = LLVMBuildAnd(c->b, v, LLVMConstInt(c->i64, 0x7ff, 0), "");
	vq_ll sticky = LLVMBuildAnd(
		c->b, LLVMBuildAdd(c->b, low, LLVMConstInt(c->i64, 0x7ff, 0), ""), LLVMConstInt(c->i64, 0x800, 0), "");
	vq_ll cut = LLVMBuildAnd(c->b, LLVMBuildOr(c->b, v, sticky, ""), LLVMConstInt(c->i64, ~0x7ffull, 0), "");
	vq_ll far = LLVMBuildAdd(c->b, v, LLVMConstInt(c->i64, 1ull << 53, 0), "");
	vq_ll fits = LLVMBuildICmp(c->b, LLVMIntULE, far, LLVMConstInt(c->i64, 1ull << 54, 0), "");
	vq_ll y = LLVMBuildSelect(c->b, fits, v, cut, "");
	vq_ll high = LLVMBuildTrunc(c->b, LLVMBuildLShr(c->b, y, LLVMConstInt(c->i64, 32, 0), ""), c->i32, "");

	high = LLVMBuildFMul(c->b, LLVMBuildSIToFP(c->b, high, f64, ""), LLVMConstReal(f64, 0x1p32), "");
	low = LLVMBuildUIToFP(c->b, LLVMBuildTrunc(c->b, y, c->i32, ""), f64, "");
	return LLVMBuildFPTrunc(c->b, LLVMBuildFAdd(c->b, high, low, ""), c->f32, "");
}

static vq_ll i64_to_f32(vq_codegen *c, vq_ll v)
{
	uint32_t lanes = vq_lanes_of(v);
	vq_ll r = LLVMGetPoison(vq_vec(c->f32, lanes));

	if (c->word == c->i64)
		return LLVMBuildSIToFP(c->b, v, vq_vec(c->f32, lanes), "");
	if (lanes == 1)
		return i64_to_f32_by_halves(c, v);
	for (uint32_t i = 0; i < lanes; i++)
		r = LLVMBuildInsertElement(c->b, r, i64_to_f32_by_halves(c, vq_shuffle(c, v, i, 1)), vq_ci32(c, i), "");
	return r;
}

static vq_ll to_f32(vq_codegen *c, const vq_extra *x, vq_ll v)
{
	uint32_t lanes = vq_lanes_of(v);
	LLVMTypeRef i32 = vq_vec(c->i32, lanes), f32 = vq_vec(c->f32, lanes);

	switch (x->elem) {
	case VQ_F32: return x->sanitize ? vq_sanitize(c, v) : v;
	case VQ_S8:
		if (x->stored_u8)
			v = LLVMBuildXor(c->b, v, vq_splat(c, LLVMConstInt(c->i8, 0x80, 0), lanes), "");
		v = LLVMBuildSExt(c->b, v, i32, "");
		if (x->codes && x->zero)
			v = LLVMBuildSub(c->b, v, vq_splat(c, vq_ci32(c, x->zero), lanes), "");
		v = LLVMBuildSIToFP(c->b, v, f32, "");
		return x->codes ? vq_fmul(c, v, vq_splat_f32(c, x->scale, lanes)) : v;
	case VQ_I64: return i64_to_f32(c, v);
	case VQ_I32: return LLVMBuildSIToFP(c->b, v, f32, "");
	default: /* bytes and truth values */ return LLVMBuildSIToFP(c->b, LLVMBuildZExt(c->b, v, i32, ""), f32, "");
	}
}

vq_ll vq_extra_load(vq_codegen *c, const vq_extra *x, vq_ll p, vq_ll offset, int64_t stride, uint32_t lanes)
{
	LLVMTypeRef e = vq_elem_type(c, x->elem);
	uint32_t bytes = (uint32_t)vq_elem_bytes(x->elem);

	if (stride == 0) /* converted before it is repeated */
		return vq_splat(c, to_f32(c, x, vq_load_lanes(c, e, bytes, p, offset, 1, 1)), lanes);
	return to_f32(c, x, vq_load_lanes(c, e, bytes, p, offset, stride, lanes));
}

/* the exponents with an exact form, as vq_c_pow; the planner accepts no other */
static vq_ll pow_const(vq_codegen *c, vq_ll x, float y)
{
	if (y == 0.0f)
		return vq_splat_f32(c, 1.0f, vq_lanes_of(x));
	if (y == 2.0f || y == 3.0f) {
		vq_ll square = vq_fmul(c, x, x);

		return y == 2.0f ? square : vq_fmul(c, square, x);
	}
	if (y == 0.5f || y == -0.5f)
		vq_unary(c, VQ_OP_SQRT, &x, 1);
	if (y == -1.0f || y == -0.5f)
		vq_unary(c, VQ_OP_RECIP, &x, 1);
	assert(y == 1.0f || y == 0.5f || y == -1.0f || y == -0.5f);
	return x;
}

static void step(vq_codegen *c, const vq_eop *o, vq_extra_get *get, void *user, vq_ll *v, uint32_t n)
{
	vq_op op = (vq_op)o->op;

	if (op == VQ_OP_NONE) /* only its flush is wanted */
		return;
	if (o->extra == -1) {
		vq_unary(c, op, v, n);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		vq_ll x = o->extra >= 0 ? get(c, user, (uint32_t)o->extra, i)
					: vq_splat_f32(c, o->imm, vq_lanes_of(v[i]));

		if (op == VQ_OP_WHERE) {
			vq_ll other = get(c, user, o->third - 1u, i);

			v[i] = o->swapped ? vq_select_true(c, x, v[i], other) : vq_select_true(c, v[i], x, other);
		} else if (op == VQ_OP_POW && !o->swapped && o->extra == -2) {
			v[i] = pow_const(c, v[i], o->imm);
		} else {
			v[i] = o->swapped ? vq_binary(c, op, x, v[i]) : vq_binary(c, op, v[i], x);
		}
	}
}

void vq_epilogue_run(vq_codegen *c, const vq_epilogue *e, vq_extra_get *get, void *user, vq_ll *v, uint32_t n)
{
	for (uint32_t k = 0; k < e->n_eops; k++) {
		step(c, &e->eop[k], get, user, v, n);
		if (!e->eop[k].flush)
			continue;
		for (uint32_t i = 0; i < n; i++)
			v[i] = vq_flush(c, v[i]);
	}
}

typedef struct at_place {
	const vq_epilogue *e;
	const vq_place *at;
} at_place;

static vq_ll get_at_place(vq_codegen *c, void *user, uint32_t k, uint32_t i)
{
	const at_place *p = user;
	const vq_extra *x = &p->e->extra[k];
	vq_ll base = x->index == VQ_X_COLUMN ? p->at->column : p->at->full;
	vq_ll offset;

	if (x->index == VQ_X_SCALAR)
		return vq_extra_load(c, x, p->at->extra_ptr[k], vq_cword(c, 0), 0, p->at->lanes);
	assert(x->index != VQ_X_STRIDED);
	offset = vq_add_word(c, base, vq_cword(c, (int64_t)i * p->at->lanes));
	return vq_extra_load(c, x, p->at->extra_ptr[k], offset, 1, p->at->lanes);
}

void vq_epilogue_apply(vq_codegen *c, const vq_epilogue *e, const vq_place *at, vq_ll *v, uint32_t n)
{
	at_place p = { e, at };

	vq_epilogue_run(c, e, get_at_place, &p, v, n);
}

uint32_t vq_store_bytes(const vq_epilogue *e) { return e->store == VQ_STORE_F32 || e->store == VQ_STORE_I32 ? 4 : 1; }

uint32_t vq_epilogue_convert(vq_codegen *c, const vq_epilogue *e, vq_ll *v, uint32_t n)
{
	uint32_t lanes = vq_lanes_of(v[0]);

	switch (e->store) {
	case VQ_STORE_F32:
		for (uint32_t i = 0; i < n && e->flush; i++)
			v[i] = vq_flush(c, v[i]);
		return n;
	case VQ_STORE_S8:
	case VQ_STORE_U8:
		for (uint32_t i = 0; i < n && e->scaled; i++)
			v[i] = vq_fmul(c, v[i], vq_splat(c, e->scalars ? c->store_inv : vq_cf32(c, e->inv), lanes));
		return vq_quantize_vectors(c, v, n, e);
	case VQ_STORE_BOOL:
		for (uint32_t i = 0; i < n; i++) {
			vq_ll zero = LLVMConstNull(LLVMTypeOf(v[i]));

			v[i] = LLVMBuildFCmp(c->b, LLVMRealUNE, vq_flush(c, v[i]), zero, "");
			v[i] = LLVMBuildZExt(c->b, v[i], vq_vec(c->i8, lanes), "");
		}
		return vq_join(c, v, n);
	case VQ_STORE_I32:
		for (uint32_t i = 0; i < n; i++)
			v[i] = vq_to_i32(c, v[i]);
		return n;
	default: return n;
	}
}

static uint32_t scalar_bytes(vq_codegen *c, vq_ll v)
{
	LLVMTypeRef t = LLVMTypeOf(v);

	if (LLVMGetTypeKind(t) == LLVMVectorTypeKind)
		t = LLVMGetElementType(t);
	return t == c->f32 ? 4 : LLVMGetIntTypeWidth(t) / 8;
}

void vq_epilogue_store(vq_codegen *c, const vq_epilogue *e, vq_ll *v, uint32_t n, uint32_t lanes, vq_ll to)
{
	int64_t at = 0;

	assert(vq_lanes_of(v[0]) == lanes);
	(void)lanes;
	n = vq_epilogue_convert(c, e, v, n);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t bytes = scalar_bytes(c, v[i]);

		vq_store_to(c, v[i], vq_offset_const(c, to, at), bytes);
		at += (int64_t)bytes * vq_lanes_of(v[i]);
	}
}
