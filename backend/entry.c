/* SPDX-License-Identifier: MIT */
/* <prefix>_run: every check before any write, then the body. <prefix>_info: pointer-free facts. */
#include "backend/little_endian.h"
#include "backend/module.h"

#include "runtime/vitq.h"

#include <string.h>

/* ---- <prefix>_run ---- */

typedef struct entry {
	vq_codegen *c;
	const vq_plan *p;
	vq_ll f, result; /* the function; its result so far */
	LLVMBasicBlockRef done;
	vq_ll value[64]; /* incoming values of the phi in done */
	LLVMBasicBlockRef from[64];
	uint32_t n;
} entry;

/* returns code unless ok holds; building goes on where it does */
static void require(entry *e, vq_ll ok, int code)
{
	vq_codegen *c = e->c;
	LLVMBasicBlockRef next = LLVMAppendBasicBlockInContext(c->context, e->f, "ok");

	e->value[e->n] = vq_ci32(c, code);
	e->from[e->n++] = LLVMGetInsertBlock(c->b);
	LLVMBuildCondBr(c->b, ok, next, e->done);
	LLVMPositionBuilderAtEnd(c->b, next);
}

static vq_ll aligned(vq_codegen *c, vq_ll p, int64_t align)
{
	vq_ll low = LLVMBuildAnd(c->b, LLVMBuildPtrToInt(c->b, p, c->word, ""), vq_cword(c, align - 1), "");

	return LLVMBuildICmp(c->b, LLVMIntEQ, low, vq_cword(c, 0), "");
}

static vq_ll and_all(vq_codegen *c, vq_ll a, vq_ll b) { return a ? LLVMBuildAnd(c->b, a, b, "") : b; }

/* a field of env, or `otherwise` if env is NULL */
static vq_ll env_field(entry *e, vq_ll env, LLVMTypeRef t, int64_t at, vq_ll otherwise)
{
	vq_codegen *c = e->c;
	LLVMBasicBlockRef before = LLVMGetInsertBlock(c->b);
	LLVMBasicBlockRef have = LLVMAppendBasicBlockInContext(c->context, e->f, "field");
	LLVMBasicBlockRef next = LLVMAppendBasicBlockInContext(c->context, e->f, "got");
	vq_ll phi, in[2];
	LLVMBasicBlockRef from[2] = { before, have };

	LLVMBuildCondBr(c->b, LLVMBuildIsNull(c->b, env, ""), next, have);
	LLVMPositionBuilderAtEnd(c->b, have);
	in[0] = otherwise;
	in[1] = vq_load(c, t, vq_offset_const(c, env, at), LLVMGetIntTypeWidth(t) / 8);
	LLVMBuildBr(c->b, next);
	LLVMPositionBuilderAtEnd(c->b, next);
	phi = LLVMBuildPhi(c->b, t, "");
	LLVMAddIncoming(phi, in, from, 2);
	return phi;
}

/* one cpuid leaf: eax, ebx, ecx, edx; a subleaf that the CPU does not have is all zeros */
static void cpuid(vq_codegen *c, int64_t leaf, int64_t subleaf, vq_ll out[4])
{
	LLVMTypeRef word4[] = { c->i32, c->i32, c->i32, c->i32 }, in[] = { c->i32, c->i32 };
	LLVMTypeRef type = LLVMFunctionType(LLVMStructTypeInContext(c->context, word4, 4, 0), in, 2, 0);
	char text[] = "cpuid", constraint[] = "={ax},={bx},={cx},={dx},{ax},{cx},~{dirflag},~{fpsr},~{flags}";
	vq_ll arg[] = { vq_ci32(c, leaf), vq_ci32(c, subleaf) };
	vq_ll f = LLVMGetInlineAsm(
		type, text, sizeof text - 1, constraint, sizeof constraint - 1, 1, 0, LLVMInlineAsmDialectATT, 0);
	vq_ll r = LLVMBuildCall2(c->b, type, f, arg, 2, "");

	for (unsigned i = 0; i < 4; i++)
		out[i] = LLVMBuildExtractValue(c->b, r, i, "");
}

static vq_ll xcr0(vq_codegen *c)
{
	LLVMTypeRef pair[] = { c->i32, c->i32 };
	LLVMTypeRef type = LLVMFunctionType(LLVMStructTypeInContext(c->context, pair, 2, 0), &c->i32, 1, 0);
	char text[] = "xgetbv", constraint[] = "={ax},={dx},{cx},~{dirflag},~{fpsr},~{flags}";
	vq_ll arg = vq_ci32(c, 0);
	vq_ll f = LLVMGetInlineAsm(
		type, text, sizeof text - 1, constraint, sizeof constraint - 1, 1, 0, LLVMInlineAsmDialectATT, 0);

	return LLVMBuildExtractValue(c->b, LLVMBuildCall2(c->b, type, f, &arg, 1, ""), 0, "");
}

static vq_ll has_bits(vq_codegen *c, vq_ll v, uint32_t mask)
{
	return LLVMBuildICmp(c->b, LLVMIntEQ, LLVMBuildAnd(c->b, v, vq_ci32(c, mask), ""), vq_ci32(c, mask), "");
}

/*
 * Bits of Intel SDM vol. 2 "CPUID" that the code LLVM makes for x86-64-v3, AVX-VNNI and AVX512-VNNI may use; xgetbv only once OSXSAVE is known.
 */
static void check_x86(entry *e)
{
	enum {
		LEAF1_ECX = 1u << 12 | 1u << 22 | 1u << 27 | 1u << 28 | 1u << 29, /* FMA MOVBE OSXSAVE AVX F16C */
		LEAF7_EBX_AVX2 = 1u << 3 | 1u << 5 | 1u << 8,                     /* BMI1 AVX2 BMI2 */
		LEAF7_EBX_512 = 1u << 16 | 1u << 17 | 1u << 30,                   /* F DQ BW; VL is bit 31 */
		LEAF7_ECX_VNNI = 1u << 11,
		LEAF7_1_EAX_AVX_VNNI = 1u << 4,
		XCR0_YMM = 6,
		XCR0_ZMM = 0xe6,
	};
	vq_codegen *c = e->c;
	bool wide = c->target->isa == VQ_ISA_AVX512_VNNI;
	vq_ll r[4], top[4];

	cpuid(c, 0, 0, top);
	require(e, LLVMBuildICmp(c->b, LLVMIntUGE, top[0], vq_ci32(c, 7), ""), VITQ_E_CPU);
	cpuid(c, 1, 0, r);
	require(e, has_bits(c, r[2], LEAF1_ECX), VITQ_E_CPU);
	require(e, has_bits(c, xcr0(c), wide ? XCR0_ZMM : XCR0_YMM), VITQ_E_CPU);
	cpuid(c, 7, 0, r);
	require(e, has_bits(c, r[1], wide ? LEAF7_EBX_AVX2 | LEAF7_EBX_512 | 1u << 31 : LEAF7_EBX_AVX2), VITQ_E_CPU);
	if (wide)
		require(e, has_bits(c, r[2], LEAF7_ECX_VNNI), VITQ_E_CPU);
	if (c->target->isa == VQ_ISA_AVX_VNNI) {
		cpuid(c, 7, 1, r);
		require(e, has_bits(c, r[0], LEAF7_1_EAX_AVX_VNNI), VITQ_E_CPU);
	}
	cpuid(c, 0x80000001, 0, r);
	require(e, has_bits(c, r[2], 1u << 5), VITQ_E_CPU); /* LZCNT */
}

static void check_cpu(entry *e, vq_ll hwcap)
{
	vq_codegen *c = e->c;
	const vq_target *t = c->target;

	if (t->arch == VQ_ARCH_X86_64 && t->isa != VQ_ISA_SSE2)
		check_x86(e);
	if (t->need) {
		vq_ll unstated = LLVMBuildICmp(c->b, LLVMIntEQ, hwcap, vq_ci32(c, 0), "");

		require(e, LLVMBuildOr(c->b, unstated, has_bits(c, hwcap, t->need), ""), VITQ_E_CPU);
	}
	if (t->min_vlen) { /* an object for longer vectors would compute garbage silently */
		vq_ll vscale = vq_intrinsic(c, "llvm.vscale", &c->i64, 1, NULL, 0);
		vq_ll least = LLVMConstInt(c->i64, t->min_vlen / 64, 0);

		require(e, LLVMBuildICmp(c->b, LLVMIntUGE, vscale, least, ""), VITQ_E_CPU);
	}
}

static vq_ll int_fits(vq_codegen *c, const vq_index_check *k, vq_ll index)
{
	LLVMTypeRef t = LLVMTypeOf(index);
	vq_ll room = LLVMConstInt(t, (uint64_t)(k->limit - k->least), 0);

	if (k->least)
		index = LLVMBuildSub(c->b, index, LLVMConstInt(t, (uint64_t)k->least, 1), "");
	return LLVMBuildICmp(c->b, LLVMIntULT, index, room, "");
}

/* NaN does not */
static vq_ll float_fits(vq_codegen *c, const vq_index_check *k, vq_ll index)
{
	vq_ll from = LLVMBuildFCmp(c->b, LLVMRealOGE, index, LLVMConstReal(c->f32, (double)k->least), "");

	return LLVMBuildAnd(
		c->b, from, LLVMBuildFCmp(c->b, LLVMRealOLT, index, LLVMConstReal(c->f32, (double)k->limit), ""), "");
}

/* ok and whether all indices of the check, from dimension r of its window on, lie in range */
static vq_ll in_range(entry *e, const vq_index_check *k, vq_ll data, uint32_t r, vq_ll offset, vq_ll ok)
{
	vq_codegen *c = e->c;
	vq_elem elem = vq_type_of(e->p->g, k->window.root)->elem;
	LLVMTypeRef t = elem == VQ_I64 ? c->i64 : elem == VQ_F32 ? c->f32 : c->i32;
	int64_t bytes = (int64_t)vq_elem_bytes(elem);
	vq_loop l;

	if (r == k->window.rank) {
		vq_ll index = vq_load(c, t, vq_offset(c, data, vq_mul_const(c, offset, bytes)), (uint32_t)bytes);

		return and_all(c, ok, elem == VQ_F32 ? float_fits(c, k, index) : int_fits(c, k, index));
	}
	vq_loop_begin(c, &l, vq_cword(c, 0), vq_cword(c, k->window.dim[r]), vq_cword(c, 1), &ok, 1);
	offset = vq_add_word(c, offset, vq_mul_const(c, l.i, k->window.stride[r]));
	l.next[0] = in_range(e, k, data, r + 1, offset, l.phi[0]);
	vq_loop_end(c, &l);
	return l.phi[0];
}

static void check_indices(entry *e)
{
	vq_codegen *c = e->c;
	vq_ll ok = LLVMConstInt(c->i1, 1, 0);

	for (uint32_t i = 0; i < e->p->n_checks; i++) {
		const vq_index_check *k = &e->p->check[i];
		vq_ll data = LLVMGetParam(e->f, e->p->g->value[k->window.root.id].index);

		ok = in_range(e, k, data, 0, vq_cword(c, k->window.offset), ok);
	}
	if (e->p->n_checks)
		require(e, ok, VITQ_E_INDEX);
}

/* the caller's file of weights is the one that belongs to this object */
static void check_weights(entry *e, vq_ll weights, vq_ll bytes)
{
	vq_codegen *c = e->c;
	uint64_t word[VQ_WEIGHTS_WORDS];
	vq_ll ok = LLVMBuildIsNotNull(c->b, weights, "");

	ok = and_all(c, ok, aligned(c, weights, 64));
	ok = and_all(c, ok,
		LLVMBuildICmp(c->b, LLVMIntUGE, bytes,
			vq_cword(c, (int64_t)(sizeof(vitq_weights) + e->p->weight_bytes)), ""));
	require(e, ok, VITQ_E_WEIGHTS); /* before any of it is read */
	vq_weights_words(e->p, c->weights_hash, 0, word);
	ok = NULL;
	for (uint32_t i = 0; i < VQ_WEIGHTS_CHECKED; i++)
		ok = and_all(c, ok,
			LLVMBuildICmp(c->b, LLVMIntEQ, vq_load(c, c->i64, vq_offset_const(c, weights, 8 * i), 8),
				LLVMConstInt(c->i64, word[i], 0), ""));
	require(e, ok, VITQ_E_WEIGHTS);
}

static void build_run(vq_codegen *c, const vq_plan *p, const char *name, vq_ll body, LLVMTypeRef body_type)
{
	const vq_graph *g = p->g;
	uint32_t n = g->n_inputs + g->n_outputs, last = n + (c->weights_given ? 4 : 2); /* env's number */
	int64_t w = LLVMGetIntTypeWidth(c->word) / 8;
	LLVMTypeRef *param = VQ_ARRAY(p->arena, last + 1, LLVMTypeRef);
	entry e = { .c = c, .p = p };
	vq_ll block[2], workspace, bytes, env, workers, hwcap, ok = NULL, arg[5], need;

	for (uint32_t i = 0; i <= last; i++) /* sizes follow what they are of */
		param[i] = i == last - 1 || (c->weights_given && i == n + 1) ? c->word : c->ptr;
	e.f = LLVMAddFunction(c->module, name, LLVMFunctionType(c->i32, param, last + 1, 0));
	vq_function_attributes(c, e.f);
	if (c->target->arch == VQ_ARCH_X86_64) { /* must run on any x86-64 to say that this one will not do */
		static const char key[] = "target-cpu", features[] = "target-features", cpu[] = "x86-64";

		LLVMRemoveStringAttributeAtIndex(
			e.f, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, key, sizeof key - 1);
		LLVMRemoveStringAttributeAtIndex(
			e.f, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, features, sizeof features - 1);
		LLVMAddTargetDependentFunctionAttr(e.f, key, cpu);
	}
	c->function = e.f;
	LLVMPositionBuilderAtEnd(c->b, LLVMAppendBasicBlockInContext(c->context, e.f, "entry"));
	e.done = LLVMAppendBasicBlockInContext(c->context, e.f, "done");
	for (int k = 0; k < 2; k++)
		block[k] = LLVMBuildAlloca(
			c->b, LLVMArrayType2(c->ptr, k ? g->n_outputs : g->n_inputs), k ? "outputs" : "inputs");
	workspace = LLVMGetParam(e.f, last - 2);
	bytes = LLVMGetParam(e.f, last - 1);
	env = LLVMGetParam(e.f, last);

	ok = LLVMBuildIsNotNull(c->b, workspace, "");
	for (uint32_t i = 0; i < n; i++)
		ok = and_all(c, ok, LLVMBuildIsNotNull(c->b, LLVMGetParam(e.f, i), ""));
	require(&e, ok, VITQ_E_NULL);
	ok = aligned(c, workspace, 64);
	for (uint32_t i = 0; i < n; i++) {
		vq_value v = i < g->n_inputs ? g->input[i].value : g->output[i - g->n_inputs].value;

		ok = and_all(c, ok, aligned(c, LLVMGetParam(e.f, i), (int64_t)vq_elem_bytes(vq_type_of(g, v)->elem)));
	}
	require(&e, ok, VITQ_E_ALIGN);
	ok = LLVMBuildICmp(c->b, LLVMIntUGE, env_field(&e, env, c->word, 0, vq_cword(c, w == 8 ? 48 : 28)),
		vq_cword(c, w == 8 ? 48 : 28), "");
	require(&e, ok, VITQ_E_ENV); /* before any other field is read */
	workers = env_field(&e, env, c->i32, w, vq_ci32(c, 1));
	hwcap = env_field(&e, env, c->i32, w + 4, vq_ci32(c, 0));
	require(&e, LLVMBuildICmp(c->b, LLVMIntULE, workers, vq_ci32(c, VITQ_MAX_WORKERS), ""), VITQ_E_ENV);
	workers = LLVMBuildSelect(
		c->b, LLVMBuildICmp(c->b, LLVMIntEQ, workers, vq_ci32(c, 0), ""), vq_ci32(c, 1), workers, "");
	if (w == 8)
		workers = LLVMBuildZExt(c->b, workers, c->word, "");
	need = LLVMBuildAdd(c->b, LLVMBuildMul(c->b, workers, vq_cword(c, (int64_t)p->scratch_bytes), ""),
		vq_cword(c, (int64_t)p->buffer_bytes), "");
	require(&e, LLVMBuildICmp(c->b, LLVMIntUGE, bytes, need, ""), VITQ_E_WORKSPACE);
	if (c->weights_given)
		check_weights(&e, LLVMGetParam(e.f, n), LLVMGetParam(e.f, n + 1));
	check_cpu(&e, hwcap);
	check_indices(&e);

	for (uint32_t i = 0; i < n; i++)
		vq_store_to(c, LLVMGetParam(e.f, i),
			i < g->n_inputs ? vq_offset_const(c, block[0], i * w)
					: vq_offset_const(c, block[1], (i - g->n_inputs) * w),
			(uint32_t)w);
	arg[0] = block[0];
	arg[1] = block[1];
	arg[2] = workspace;
	arg[3] = env;
	if (c->weights_given)
		arg[4] = vq_offset_const(c, LLVMGetParam(e.f, n), sizeof(vitq_weights));
	LLVMBuildCall2(c->b, body_type, body, arg, c->weights_given ? 5 : 4, "");
	e.value[e.n] = vq_ci32(c, VITQ_OK);
	e.from[e.n++] = LLVMGetInsertBlock(c->b);
	LLVMBuildBr(c->b, e.done);
	LLVMPositionBuilderAtEnd(c->b, e.done);
	vq_ll phi = LLVMBuildPhi(c->b, c->i32, "");
	LLVMAddIncoming(phi, e.value, e.from, e.n);
	LLVMBuildRet(c->b, phi);
}

/* ---- <prefix>_info ---- */

typedef struct blob {
	unsigned char *data;
	uint32_t n;
} blob;

static void put(blob *b, uint32_t at, uint64_t v, uint32_t bytes) { vq_put(b->data + at, v, bytes); }

static uint32_t put_text(blob *b, const char *text)
{
	uint32_t at = b->n, n = (uint32_t)strlen(text) + 1;

	memcpy(b->data + at, text, n);
	b->n += n;
	return at;
}

static void build_info(vq_codegen *c, const vq_plan *p, const vq_emit_options *o, const char *name)
{
	const vq_graph *g = p->g;
	uint32_t n = g->n_inputs + g->n_outputs, tensors = sizeof(vitq_info);
	const char *target = vq_arena_printf(
		p->arena, "%s %s %s", p->target->triple, p->target->cpu, p->target->features);
	size_t room = tensors + n * sizeof(vitq_tensor_info) + strlen(target) + strlen(o->tool) + strlen(o->scheme) +
		16;
	int64_t macs = 0, integer = 0;
	blob b = { .n = tensors + n * (uint32_t)sizeof(vitq_tensor_info) };
	vq_ll text, global;

	for (uint32_t i = 0; i < n; i++)
		room += strlen(i < g->n_inputs ? g->input[i].name : g->output[i - g->n_inputs].name) + 1;
	b.data = VQ_ARRAY(p->arena, room, unsigned char);
	for (uint32_t i = 0; i < p->n_steps; i++) {
		macs += p->step[i].macs;
		integer += p->step[i].integer ? p->step[i].macs : 0;
	}
	for (uint32_t i = 0; i < n; i++) {
		const vq_port *port = i < g->n_inputs ? &g->input[i] : &g->output[i - g->n_inputs];
		const vq_type *t = vq_type_of(g, port->value);
		uint32_t at = tensors + i * (uint32_t)sizeof(vitq_tensor_info);

		put(&b, at, put_text(&b, port->name), 4);
		put(&b, at + 4, t->elem, 4);
		put(&b, at + 8, t->rank, 4);
		for (uint32_t k = 0; k < VQ_MAX_RANK; k++)
			put(&b, at + 16 + 8 * k, (uint64_t)t->dim[k], 8);
	}
	put(&b, offsetof(vitq_info, abi), 1, 4);
	put(&b, offsetof(vitq_info, n_inputs), g->n_inputs, 4);
	put(&b, offsetof(vitq_info, n_outputs), g->n_outputs, 4);
	put(&b, offsetof(vitq_info, tensors), tensors, 4);
	put(&b, offsetof(vitq_info, tool), put_text(&b, o->tool), 4);
	put(&b, offsetof(vitq_info, target), put_text(&b, target), 4);
	put(&b, offsetof(vitq_info, scheme), put_text(&b, o->scheme), 4);
	put(&b, offsetof(vitq_info, model_hash), o->model_hash, 8);
	put(&b, offsetof(vitq_info, workspace_bytes), p->buffer_bytes + p->scratch_bytes, 8);
	put(&b, offsetof(vitq_info, worker_bytes), p->scratch_bytes, 8);
	put(&b, offsetof(vitq_info, weight_bytes), p->weight_bytes, 8);
	put(&b, offsetof(vitq_info, macs), (uint64_t)macs, 8);
	put(&b, offsetof(vitq_info, integer_macs), (uint64_t)integer, 8);
	put(&b, offsetof(vitq_info, weights_hash), c->weights_hash, 8);
	put(&b, offsetof(vitq_info, bytes), b.n, 4);
	text = LLVMConstStringInContext2(c->context, (const char *)b.data, b.n, 1);
	global = LLVMAddGlobal(c->module, LLVMTypeOf(text), name);
	LLVMSetInitializer(global, text);
	LLVMSetGlobalConstant(global, 1);
	LLVMSetAlignment(global, 8);
}

void vq_build_entry(vq_codegen *c, const vq_plan *p, const vq_emit_options *o, const char *suffix, vq_ll body,
	LLVMTypeRef body_type)
{
	const char *end = suffix ? vq_arena_printf(p->arena, "_%s", suffix) : "";

	build_run(c, p, vq_arena_printf(p->arena, "%s_run%s", o->prefix, end), body, body_type);
	build_info(c, p, o, vq_arena_printf(p->arena, "%s_info%s", o->prefix, end));
}
