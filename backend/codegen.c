/* SPDX-License-Identifier: MIT */
/* Small helpers over LLVM-C: constants, vectors, memory with explicit alignment, intrinsics, counted loops. */
#include "backend/codegen.h"

#include <assert.h>
#include <string.h>

static void string_attribute(vq_codegen *c, LLVMValueRef f, const char *name, const char *value)
{
	LLVMAttributeRef a = LLVMCreateStringAttribute(
		c->context, name, (unsigned)strlen(name), value, (unsigned)strlen(value));

	LLVMAddAttributeAtIndex(f, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, a);
}

void vq_codegen_init(vq_codegen *c, LLVMContextRef context, LLVMModuleRef module, const vq_target *t, bool strict)
{
	memset(c, 0, sizeof *c);
	c->context = context;
	c->module = module;
	c->b = LLVMCreateBuilderInContext(context);
	c->target = t;
	c->strict = strict;
	c->void_ = LLVMVoidTypeInContext(context);
	c->i1 = LLVMInt1TypeInContext(context);
	c->i8 = LLVMInt8TypeInContext(context);
	c->i16 = LLVMInt16TypeInContext(context);
	c->i32 = LLVMInt32TypeInContext(context);
	c->i64 = LLVMInt64TypeInContext(context);
	c->f32 = LLVMFloatTypeInContext(context);
	c->ptr = LLVMPointerTypeInContext(context, 0);
	c->word = t->elf.bits == 64 ? c->i64 : c->i32;
	c->lanes = t->vector_bytes >= 16 ? t->vector_bytes / 4 : 4;
}

void vq_function_attributes(vq_codegen *c, LLVMValueRef f)
{
	unsigned kind = LLVMGetEnumAttributeKindForName("nounwind", 8);

	/* without nounwind ARM objects refer to __aeabi_unwind_cpp_pr0 */
	LLVMAddAttributeAtIndex(
		f, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(c->context, kind, 0));
	/* the string, not the enum attribute, keeps loops from becoming calls of memcpy */
	string_attribute(c, f, "no-builtins", "");
	string_attribute(c, f, "target-cpu", c->target->cpu);
	string_attribute(c, f, "target-features", c->target->features);
	if (c->report_frames)
		string_attribute(c, f, "warn-stack-size", "0");
	if (c->target->arch == VQ_ARCH_AARCH64 && c->target->protect & VQ_PROTECT_BRANCH)
		string_attribute(c, f, "branch-target-enforcement", "true");
	if (c->target->arch == VQ_ARCH_AARCH64 && c->target->protect & VQ_PROTECT_RETURN) {
		string_attribute(
			c, f, "sign-return-address", c->target->protect & VQ_PROTECT_LEAF ? "all" : "non-leaf");
		string_attribute(
			c, f, "sign-return-address-key", c->target->protect & VQ_PROTECT_B_KEY ? "b_key" : "a_key");
	}
}

/* ---- values ---- */

vq_ll vq_ci32(vq_codegen *c, int64_t v) { return LLVMConstInt(c->i32, (unsigned long long)v, 1); }

vq_ll vq_cword(vq_codegen *c, int64_t v) { return LLVMConstInt(c->word, (unsigned long long)v, 1); }

vq_ll vq_cf32(vq_codegen *c, float v)
{
	uint32_t bits;

	memcpy(&bits, &v, sizeof bits);
	return LLVMConstBitCast(LLVMConstInt(c->i32, bits, 0), c->f32);
}

LLVMTypeRef vq_vec(LLVMTypeRef e, uint32_t lanes) { return lanes == 1 ? e : LLVMVectorType(e, lanes); }

uint32_t vq_lanes_of(vq_ll v)
{
	LLVMTypeRef t = LLVMTypeOf(v);

	return LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMGetVectorSize(t) : 1;
}

enum { MAX_LANES = 256 };

vq_ll vq_splat(vq_codegen *c, vq_ll scalar, uint32_t lanes)
{
	LLVMValueRef same[MAX_LANES];
	LLVMTypeRef t = vq_vec(LLVMTypeOf(scalar), lanes);

	if (lanes == 1)
		return scalar;
	if (LLVMIsConstant(scalar) && !LLVMIsAGlobalValue(scalar)) {
		assert(lanes <= MAX_LANES);
		for (uint32_t i = 0; i < lanes; i++)
			same[i] = scalar;
		return LLVMConstVector(same, lanes);
	}
	vq_ll one = LLVMBuildInsertElement(c->b, LLVMGetPoison(t), scalar, vq_ci32(c, 0), "");

	return LLVMBuildShuffleVector(c->b, one, LLVMGetPoison(t), LLVMConstNull(vq_vec(c->i32, lanes)), "");
}

vq_ll vq_splat_f32(vq_codegen *c, float v, uint32_t lanes) { return vq_splat(c, vq_cf32(c, v), lanes); }

vq_ll vq_shuffle(vq_codegen *c, vq_ll v, uint32_t first, uint32_t count)
{
	LLVMValueRef mask[MAX_LANES];
	uint32_t lanes = vq_lanes_of(v);

	if (lanes == count)
		return v;
	if (count == 1)
		return LLVMBuildExtractElement(c->b, v, vq_ci32(c, first), "");
	assert(count <= MAX_LANES);
	for (uint32_t i = 0; i < count; i++)
		mask[i] = vq_ci32(c, (int64_t)first + i);
	return LLVMBuildShuffleVector(c->b, v, LLVMGetPoison(LLVMTypeOf(v)), LLVMConstVector(mask, count), "");
}

vq_ll vq_concat(vq_codegen *c, vq_ll a, vq_ll b)
{
	LLVMValueRef mask[MAX_LANES];
	uint32_t lanes = vq_lanes_of(a);

	if (lanes == 1) {
		vq_ll v = LLVMGetPoison(LLVMVectorType(LLVMTypeOf(a), 2));

		v = LLVMBuildInsertElement(c->b, v, a, vq_ci32(c, 0), "");
		return LLVMBuildInsertElement(c->b, v, b, vq_ci32(c, 1), "");
	}
	assert(2 * lanes <= MAX_LANES);
	for (uint32_t i = 0; i < 2 * lanes; i++)
		mask[i] = vq_ci32(c, i);
	return LLVMBuildShuffleVector(c->b, a, b, LLVMConstVector(mask, 2 * lanes), "");
}

/* ---- memory ---- */

vq_ll vq_offset(vq_codegen *c, vq_ll p, vq_ll bytes)
{
	if (LLVMIsAConstantInt(bytes) && LLVMConstIntGetSExtValue(bytes) == 0)
		return p;
	return LLVMBuildInBoundsGEP2(c->b, c->i8, p, &bytes, 1, "");
}

vq_ll vq_offset_const(vq_codegen *c, vq_ll p, int64_t bytes) { return vq_offset(c, p, vq_cword(c, bytes)); }

vq_ll vq_load(vq_codegen *c, LLVMTypeRef t, vq_ll p, uint32_t align)
{
	vq_ll v = LLVMBuildLoad2(c->b, t, p, "");

	LLVMSetAlignment(v, align);
	return v;
}

void vq_store_to(vq_codegen *c, vq_ll v, vq_ll p, uint32_t align)
{
	LLVMSetAlignment(LLVMBuildStore(c->b, v, p), align);
}

vq_ll vq_mul_const(vq_codegen *c, vq_ll a, int64_t k)
{
	if (k == 0)
		return LLVMConstNull(LLVMTypeOf(a));
	if (k == 1)
		return a;
	return LLVMBuildMul(c->b, a, LLVMConstInt(LLVMTypeOf(a), (unsigned long long)k, 1), "");
}

vq_ll vq_add_word(vq_codegen *c, vq_ll a, vq_ll b)
{
	if (LLVMIsAConstantInt(a) && LLVMConstIntGetSExtValue(a) == 0)
		return b;
	if (LLVMIsAConstantInt(b) && LLVMConstIntGetSExtValue(b) == 0)
		return a;
	return LLVMBuildAdd(c->b, a, b, "");
}

vq_ll vq_min_word(vq_codegen *c, vq_ll a, vq_ll b)
{
	return LLVMBuildSelect(c->b, LLVMBuildICmp(c->b, LLVMIntULT, a, b, ""), a, b, "");
}

/* ---- intrinsics ---- */

vq_ll vq_intrinsic(
	vq_codegen *c, const char *name, LLVMTypeRef *overload, uint32_t n_overload, vq_ll *arg, uint32_t n_arg)
{
	enum { MOST = 8 };
	unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
	LLVMTypeRef type, param[MOST];
	LLVMValueRef cast[MOST], f;

	if (!id || n_arg > MOST) {
		/* The kernel is unusable from here on; vq_module_build reports the name and drops it. */
		if (!c->unknown_intrinsic)
			c->unknown_intrinsic = name;
		return LLVMGetPoison(n_overload ? overload[0] : LLVMTypeOf(arg[0]));
	}
	type = LLVMIntrinsicGetType(c->context, id, overload, n_overload);
	f = LLVMGetIntrinsicDeclaration(c->module, id, overload, n_overload);
	assert(LLVMCountParamTypes(type) == n_arg);
	LLVMGetParamTypes(type, param);
	for (uint32_t i = 0; i < n_arg; i++)
		cast[i] = LLVMTypeOf(arg[i]) == param[i] ? arg[i] : LLVMBuildBitCast(c->b, arg[i], param[i], "");
	return LLVMBuildCall2(c->b, type, f, cast, n_arg, "");
}

/* ---- loops ---- */

static LLVMBasicBlockRef new_block(vq_codegen *c) { return LLVMAppendBasicBlockInContext(c->context, c->function, ""); }

static void begin(vq_codegen *c, vq_loop *l, vq_ll from, vq_ll to, vq_ll step, const vq_ll *carried, uint32_t n,
	bool may_be_empty)
{
	vq_ll some;

	assert(n <= sizeof l->phi / sizeof *l->phi);
	memset(l, 0, sizeof *l);
	l->before = LLVMGetInsertBlock(c->b);
	l->body = new_block(c);
	l->to = to;
	l->step = step;
	l->n_carried = n;
	some = may_be_empty ? LLVMBuildICmp(c->b, LLVMIntULT, from, to, "") : NULL;
	if (some && !LLVMIsAConstantInt(some)) {
		l->after = new_block(c);
		LLVMBuildCondBr(c->b, some, l->body, l->after);
	} else {
		assert(!some || LLVMConstIntGetZExtValue(some)); /* a loop known to be empty is not built */
		LLVMBuildBr(c->b, l->body);
	}
	LLVMPositionBuilderAtEnd(c->b, l->body);
	l->i = LLVMBuildPhi(c->b, LLVMTypeOf(from), "");
	LLVMAddIncoming(l->i, &from, &l->before, 1);
	for (uint32_t k = 0; k < n; k++) {
		vq_ll first = carried[k];

		l->phi[k] = LLVMBuildPhi(c->b, LLVMTypeOf(first), "");
		LLVMAddIncoming(l->phi[k], &first, &l->before, 1);
		l->next[k] = l->phi[k];
		l->initial[k] = first;
	}
}

void vq_loop_begin(vq_codegen *c, vq_loop *l, vq_ll from, vq_ll to, vq_ll step, const vq_ll *carried, uint32_t n)
{
	begin(c, l, from, to, step, carried, n, false);
}

void vq_loop_begin_maybe(vq_codegen *c, vq_loop *l, vq_ll from, vq_ll to, vq_ll step, const vq_ll *carried, uint32_t n)
{
	begin(c, l, from, to, step, carried, n, true);
}

void vq_loop_end(vq_codegen *c, vq_loop *l)
{
	LLVMBasicBlockRef last = LLVMGetInsertBlock(c->b);
	vq_ll next = LLVMBuildAdd(c->b, l->i, l->step, "");
	vq_ll more = LLVMBuildICmp(c->b, LLVMIntULT, next, l->to, "");
	bool guarded = l->after != NULL;

	if (guarded)
		LLVMMoveBasicBlockAfter(l->after, last);
	else
		l->after = new_block(c);
	LLVMBuildCondBr(c->b, more, l->body, l->after);
	LLVMAddIncoming(l->i, &next, &last, 1);
	LLVMPositionBuilderAtEnd(c->b, l->after);
	for (uint32_t k = 0; k < l->n_carried; k++) {
		LLVMAddIncoming(l->phi[k], &l->next[k], &last, 1);
		l->phi[k] = l->next[k];
		if (guarded) {
			vq_ll final = LLVMBuildPhi(c->b, LLVMTypeOf(l->next[k]), "");

			LLVMAddIncoming(final, &l->next[k], &last, 1);
			LLVMAddIncoming(final, &l->initial[k], &l->before, 1);
			l->phi[k] = final;
		}
	}
}
