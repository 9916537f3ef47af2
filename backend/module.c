/* SPDX-License-Identifier: MIT */
/* The module: kernel functions, the run function with its checks, weights and facts. */
#include "backend/codegen.h"

#include "backend/elf.h"
#include "backend/module.h"

#include <stdio.h>
#include <string.h>

typedef struct module {
	vq_codegen *c;
	const vq_plan *p; /* of the first size; those of o->more follow, with the same kernels and weights */
	const vq_emit_options *o;
	vq_arena *a;
	LLVMTypeRef task_type; /* void(ptr, i32, i32) */
	LLVMTypeRef pair_type; /* what step() takes: env, tasks, kernel, args */
	vq_ll *kernel;         /* by kernel number */
	vq_ll weights, step, body;
} module;

static vq_ll add_function(module *m, const char *name, LLVMTypeRef type)
{
	vq_codegen *c = m->c;
	vq_ll f = LLVMAddFunction(c->module, name, type);

	LLVMSetLinkage(f, LLVMInternalLinkage);
	vq_function_attributes(c, f);
	LLVMPositionBuilderAtEnd(c->b, LLVMAppendBasicBlockInContext(c->context, f, "entry"));
	c->function = f;
	return f;
}

static vq_ll load_pointer(vq_codegen *c, vq_ll from, int64_t bytes)
{
	return vq_load(c, c->ptr, vq_offset_const(c, from, bytes), LLVMGetIntTypeWidth(c->word) / 8);
}

static int64_t word_bytes(const vq_codegen *c) { return LLVMGetIntTypeWidth(c->word) / 8; }

static vq_ll to_word(vq_codegen *c, vq_ll v)
{
	return LLVMTypeOf(v) == c->word ? v : LLVMBuildZExt(c->b, v, c->word, "");
}

/* ---- kernels ---- */

/* clang-format off */
static const char *const kinds[] = {
	[VQ_KERNEL_GEMM] = "gemm", [VQ_KERNEL_ATTENTION] = "attention", [VQ_KERNEL_PACK] = "pack",
	[VQ_KERNEL_LAYERNORM] = "layernorm", [VQ_KERNEL_SOFTMAX] = "softmax", [VQ_KERNEL_ELEMENTWISE] = "elementwise",
	[VQ_KERNEL_REDUCE] = "reduce", [VQ_KERNEL_GATHER] = "gather", [VQ_KERNEL_ROWQUANT] = "rowquant",
};
/* clang-format on */

const char *vq_kernel_kind_name(const vq_kernel *k) { return kinds[k->kind]; }

const char *vq_kernel_symbol(vq_arena *a, const vq_plan *p, uint32_t kernel)
{
	const vq_kernel *k = &p->kernel[kernel];
	bool f32 = (k->kind == VQ_KERNEL_GEMM && k->u.gemm.f32) ||
		(k->kind == VQ_KERNEL_ATTENTION && k->u.attention.f32) || (k->kind == VQ_KERNEL_PACK && k->u.pack.f32);
	bool product = k->kind == VQ_KERNEL_GEMM || k->kind == VQ_KERNEL_ATTENTION || k->kind == VQ_KERNEL_PACK;

	return vq_arena_printf(a, "%s%s_%u", kinds[k->kind], !product ? "" : f32 ? "_f32" : "_s8", kernel);
}

/* the numbers a shared kernel's store needs, once per task */
static void load_scalars(vq_codegen *c, const vq_epilogue *e, const vq_kernel_args *a)
{
	c->store_inv = c->store_low = c->store_high = c->store_zero = NULL;
	if (!e || !e->scalars)
		return;
	c->store_inv = vq_load(c, c->f32, a->arg[e->scalars], 4);
	c->store_low = vq_load(c, c->f32, vq_offset_const(c, a->arg[e->scalars], offsetof(vq_store_scalars, low)), 4);
	c->store_high = vq_load(c, c->f32, vq_offset_const(c, a->arg[e->scalars], offsetof(vq_store_scalars, high)), 4);
	c->store_zero = vq_load(c, c->i32, vq_offset_const(c, a->arg[e->scalars], offsetof(vq_store_scalars, zero)), 4);
}

void vq_build_kernel(vq_codegen *c, const vq_kernel *k, vq_kernel_args *a)
{
	switch (k->kind) {
	case VQ_KERNEL_GEMM: vq_build_gemm(c, &k->u.gemm, a); break;
	case VQ_KERNEL_ATTENTION: vq_build_attention(c, &k->u.attention, a); break;
	case VQ_KERNEL_PACK: vq_build_pack(c, &k->u.pack, a); break;
	case VQ_KERNEL_LAYERNORM: vq_build_layernorm(c, &k->u.layernorm, a); break;
	case VQ_KERNEL_SOFTMAX: vq_build_softmax(c, &k->u.softmax, a); break;
	case VQ_KERNEL_ELEMENTWISE: vq_build_elementwise(c, &k->u.elementwise, a); break;
	case VQ_KERNEL_REDUCE: vq_build_reduce(c, &k->u.reduce, a); break;
	case VQ_KERNEL_GATHER: vq_build_gather(c, &k->u.gather, a); break;
	case VQ_KERNEL_ROWQUANT: vq_build_rowquant(c, &k->u.rowquant, a); break;
	}
}

/*
 * void kernel(ptr args, i32 task, i32 worker): args[0] is the scratch of worker 0, the step's arguments follow.
 */
static void build_kernel(module *m, uint32_t i)
{
	vq_codegen *c = m->c;
	const vq_kernel *k = &m->p->kernel[i];
	vq_kernel_args a;
	uint32_t n_args = 0;
	vq_ll block;

	m->kernel[i] = add_function(m, vq_kernel_symbol(m->a, m->p, i), m->task_type);
	memset(&a, 0, sizeof a);
	for (uint32_t v = 0; v <= m->o->n_more; v++)
		for (uint32_t s = 0; s < m->p[v].n_steps; s++)
			if (m->p[v].step[s].kernel == i && m->p[v].step[s].n_args > n_args)
				n_args = m->p[v].step[s].n_args;
	block = LLVMGetParam(m->kernel[i], 0);
	for (uint32_t j = 0; j < n_args; j++)
		a.arg[j] = load_pointer(c, block, (j + 1) * word_bytes(c));
	a.task = to_word(c, LLVMGetParam(m->kernel[i], 1));
	load_scalars(c, vq_kernel_epilogue(k), &a);
	if (vq_kernel_scratch(k, m->p->target)) {
		vq_ll worker = to_word(c, LLVMGetParam(m->kernel[i], 2));
		vq_ll offset = LLVMBuildMul(c->b, worker, vq_cword(c, (int64_t)m->p->scratch_bytes), "");

		a.scratch = vq_offset(c, load_pointer(c, block, 0), offset);
	}
	vq_build_kernel(c, k, &a);
	LLVMBuildRetVoid(c->b);
}

/* ---- step(env, tasks, kernel, args): one kernel over its tasks, by the caller's workers or here ---- */

static void build_step(module *m)
{
	vq_codegen *c = m->c;
	LLVMTypeRef param[] = { c->ptr, c->i32, c->ptr, c->ptr };
	LLVMTypeRef call[] = { c->ptr, c->i32, c->ptr, c->ptr };
	int64_t w = word_bytes(c);
	vq_ll f, env, parallel, arg[4];
	LLVMBasicBlockRef with_env, with_pool, alone;
	vq_loop loop;

	m->pair_type = LLVMFunctionType(c->void_, param, 4, 0);
	f = m->step = add_function(m, "step", m->pair_type);
	with_env = LLVMAppendBasicBlockInContext(c->context, f, "env");
	with_pool = LLVMAppendBasicBlockInContext(c->context, f, "pool");
	alone = LLVMAppendBasicBlockInContext(c->context, f, "alone");
	env = LLVMGetParam(f, 0);
	LLVMBuildCondBr(c->b, LLVMBuildIsNull(c->b, env, ""), alone, with_env);

	LLVMPositionBuilderAtEnd(c->b, with_env);
	parallel = load_pointer(c, env, w == 8 ? 16 : 12);
	vq_ll workers = vq_load(c, c->i32, vq_offset_const(c, env, w), 4);
	vq_ll several = LLVMBuildICmp(c->b, LLVMIntUGT, workers, vq_ci32(c, 1), "");
	vq_ll pool = LLVMBuildAnd(c->b, LLVMBuildIsNotNull(c->b, parallel, ""), several, "");
	LLVMBuildCondBr(c->b, pool, with_pool, alone);

	LLVMPositionBuilderAtEnd(c->b, with_pool);
	arg[0] = load_pointer(c, env, w == 8 ? 24 : 16);
	for (unsigned i = 1; i < 4; i++)
		arg[i] = LLVMGetParam(f, i);
	LLVMBuildCall2(c->b, LLVMFunctionType(c->void_, call, 4, 0), parallel, arg, 4, "");
	LLVMBuildRetVoid(c->b);

	LLVMPositionBuilderAtEnd(c->b, alone);
	vq_loop_begin(c, &loop, vq_cword(c, 0), to_word(c, LLVMGetParam(f, 1)), vq_cword(c, 1), NULL, 0);
	arg[0] = LLVMGetParam(f, 3);
	arg[1] = LLVMTypeOf(loop.i) == c->i32 ? loop.i : LLVMBuildTrunc(c->b, loop.i, c->i32, "");
	arg[2] = vq_ci32(c, 0);
	LLVMBuildCall2(c->b, m->task_type, LLVMGetParam(f, 2), arg, 3, "");
	vq_loop_end(c, &loop);
	LLVMBuildRetVoid(c->b);
}

/* ---- body(inputs, outputs, workspace, env, weights if the caller gives them): the steps, all checks done ---- */

typedef struct body {
	const vq_plan *p;
	vq_ll in, out, workspace, env; /* parameters */
	vq_ll weights;
	vq_ll args; /* the argument block on the stack */
	vq_ll scratch;
} body;

static vq_ll pointer(module *m, const body *f, const vq_ref *r)
{
	vq_codegen *c = m->c;

	switch (r->kind) {
	case VQ_REF_INPUT:
		return vq_offset_const(c, load_pointer(c, f->in, r->index * word_bytes(c)), (int64_t)r->offset);
	case VQ_REF_OUTPUT:
		return vq_offset_const(c, load_pointer(c, f->out, r->index * word_bytes(c)), (int64_t)r->offset);
	case VQ_REF_WEIGHT: return vq_offset_const(c, f->weights, (int64_t)r->offset);
	case VQ_REF_BUFFER:
		return vq_offset_const(c, f->workspace, (int64_t)(f->p->buffer[r->index].offset + r->offset));
	case VQ_REF_NONE: break;
	}
	return LLVMConstNull(c->ptr);
}

static vq_ll constant(module *m, const char *name, const void *data, size_t bytes, unsigned align)
{
	vq_codegen *c = m->c;
	vq_ll v = LLVMConstStringInContext2(c->context, data, bytes, 1);
	vq_ll g = LLVMAddGlobal(c->module, LLVMTypeOf(v), name);

	LLVMSetInitializer(g, v);
	LLVMSetGlobalConstant(g, 1);
	LLVMSetLinkage(g, LLVMInternalLinkage);
	LLVMSetAlignment(g, align);
	return g;
}

static vq_ll weights(module *m)
{
	vq_codegen *c = m->c;
	const vq_plan *p = m->p;
	LLVMTypeRef room = LLVMArrayType2(c->i8, p->weight_bytes ? p->weight_bytes : 1);
	vq_ll g;

	if (c->weights_given)
		return NULL;
	if (c->jit)
		return LLVMConstIntToPtr(LLVMConstInt(c->word, (uintptr_t)p->weights, 0), c->ptr);
	if (!c->weights_apart) {
		g = constant(m, "weights", p->weight_bytes ? (const char *)p->weights : "",
			p->weight_bytes ? p->weight_bytes : 1, 64);
		if (m->o->weights_section)
			LLVMSetSection(g, m->o->weights_section);
		return g;
	}
	g = LLVMAddGlobal(c->module, room, "weights");
	LLVMSetInitializer(g, LLVMConstNull(room));
	LLVMSetGlobalConstant(g, 1);
	LLVMSetLinkage(g, LLVMInternalLinkage);
	LLVMSetAlignment(g, 64);
	LLVMSetSection(g, vq_elf_room(m->a, m->o->weights_section));
	return g;
}

/* env->observe(user, value, name, elem, rank, dim, data) if it is set */
static void build_watch(module *m, const body *f, const vq_watch *watch)
{
	vq_codegen *c = m->c;
	const vq_value_info *v = &f->p->g->value[watch->value.id];
	int64_t w = word_bytes(c);
	LLVMTypeRef param[] = { c->ptr, c->i32, c->ptr, c->i32, c->i32, c->ptr, c->ptr };
	const char *name = v->name ? v->name : vq_arena_printf(m->a, "%%%u", watch->value.id);
	LLVMBasicBlockRef has_env = LLVMAppendBasicBlockInContext(c->context, c->function, "watch");
	LLVMBasicBlockRef call = LLVMAppendBasicBlockInContext(c->context, c->function, "observe");
	LLVMBasicBlockRef next = LLVMAppendBasicBlockInContext(c->context, c->function, "next");
	vq_ll observe, arg[7];

	LLVMBuildCondBr(c->b, LLVMBuildIsNull(c->b, f->env, ""), next, has_env);
	LLVMPositionBuilderAtEnd(c->b, has_env);
	observe = load_pointer(c, f->env, w == 8 ? 32 : 20);
	LLVMBuildCondBr(c->b, LLVMBuildIsNull(c->b, observe, ""), next, call);
	LLVMPositionBuilderAtEnd(c->b, call);
	arg[0] = load_pointer(c, f->env, w == 8 ? 40 : 24);
	arg[1] = vq_ci32(c, watch->value.id);
	arg[2] = constant(m, "name", name, strlen(name) + 1, 1);
	arg[3] = vq_ci32(c, v->type.elem);
	arg[4] = vq_ci32(c, v->type.rank);
	arg[5] = constant(m, "dim", v->type.dim, sizeof v->type.dim, 8);
	arg[6] = pointer(m, f, &watch->at);
	LLVMBuildCall2(c->b, LLVMFunctionType(c->void_, param, 7, 0), observe, arg, 7, "");
	LLVMBuildBr(c->b, next);
	LLVMPositionBuilderAtEnd(c->b, next);
}

static void build_body(module *m, const vq_plan *p, const char *name)
{
	vq_codegen *c = m->c;
	LLVMTypeRef param[] = { c->ptr, c->ptr, c->ptr, c->ptr, c->ptr };
	body f = { .p = p };

	m->body = add_function(m, name, LLVMFunctionType(c->void_, param, c->weights_given ? 5 : 4, 0));
	f.in = LLVMGetParam(m->body, 0);
	f.out = LLVMGetParam(m->body, 1);
	f.workspace = LLVMGetParam(m->body, 2);
	f.env = LLVMGetParam(m->body, 3);
	f.weights = c->weights_given ? LLVMGetParam(m->body, 4) : m->weights;
	f.args = LLVMBuildAlloca(c->b, LLVMArrayType2(c->ptr, VQ_MAX_ARGS + 1), "args");
	f.scratch = vq_offset_const(c, f.workspace, (int64_t)p->buffer_bytes);
	vq_store_to(c, f.scratch, f.args, (uint32_t)word_bytes(c));
	for (uint32_t i = 0, watch = 0; i <= p->n_steps; i++) {
		/* values known before any step (inputs) are watched "after step 0" too when nothing precedes them */
		for (; watch < p->n_watches && (i == p->n_steps || p->watch[watch].step < i); watch++)
			build_watch(m, &f, &p->watch[watch]);
		if (i == p->n_steps)
			break;
		const vq_step *s = &p->step[i];
		vq_ll arg[4] = { f.env, vq_ci32(c, s->tasks), m->kernel[s->kernel], f.args };

		for (uint32_t j = 0; j < s->n_args; j++) {
			vq_ll to = vq_offset_const(c, f.args, (j + 1) * word_bytes(c));

			vq_store_to(c, pointer(m, &f, &s->arg[j]), to, (uint32_t)word_bytes(c));
		}
		LLVMBuildCall2(c->b, m->pair_type, m->step, arg, 4, "");
	}
	LLVMBuildRetVoid(c->b);
}

bool vq_module_build(vq_codegen *c, const vq_plan *p, const vq_emit_options *o, vq_diag *diag)
{
	LLVMTypeRef param[] = { c->ptr, c->i32, c->i32 };
	module m = { .c = c, .p = p, .o = o, .a = p->arena };

	if (LLVM_VERSION_MAJOR < 19 && p->weight_bytes >> 32)
		return vq_error(diag, NULL,
			"weights of %llu bytes, with LLVM %s at most 4 GiB: build vitqc with LLVM 19 or later",
			(unsigned long long)p->weight_bytes, vq_llvm_version());
	for (uint32_t i = 0; i <= o->n_more; i++)
		if ((p[i].buffer_bytes + p[i].scratch_bytes * 64) >> (word_bytes(c) == 4 ? 31 : 62) ||
			p[i].weight_bytes >> (word_bytes(c) == 4 ? 31 : 62))
			return vq_error(diag, NULL,
				"the model does not fit the address space of %s: weights %llu bytes, workspace %llu bytes",
				p[i].target->name, (unsigned long long)p[i].weight_bytes,
				(unsigned long long)p[i].buffer_bytes);
	m.task_type = LLVMFunctionType(c->void_, param, 3, 0);
	m.kernel = VQ_ARRAY(p->arena, p->n_kernels, vq_ll);
	m.weights = weights(&m);
	for (uint32_t i = 0; i < p->n_kernels; i++)
		build_kernel(&m, i);
	build_step(&m);
	for (uint32_t i = 0; i <= o->n_more; i++) {
		const char *suffix = i ? o->more[i - 1].suffix : NULL;

		build_body(&m, &p[i], suffix ? vq_arena_printf(p->arena, "body_%s", suffix) : "body");
		if (c->jit)
			LLVMSetLinkage(m.body, LLVMExternalLinkage);
		else
			vq_build_entry(c, &p[i], o, suffix, m.body, LLVMGlobalGetValueType(m.body));
	}
	return true;
}
