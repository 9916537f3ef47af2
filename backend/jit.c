/* SPDX-License-Identifier: MIT */
/*
 * The executor that compiles: a graph becomes host code in memory (LLVM's ORC) with the contract's arithmetic, so calibration sees the
 * evaluator's bits at the host's speed.
 */
#include "backend/module.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>

#include "runtime/vitq_pool.h"

#include <string.h>

typedef void body_function(const void *const *in, void *const *out, void *workspace, const vitq_env *env);

struct vq_exec {
	vq_arena arena;
	vq_diag *diag;
	const vq_graph *g;
	vq_plan plan;  /* says which indices to check */
	void *weights; /* the block that holds the plan's */
	LLVMOrcLLJITRef jit;
	body_function *body;
	vitq_pool *pool; /* NULL: one worker, the calling thread */
	uint32_t workers;
	void *workspace;
};

static bool report(vq_diag *d, const char *what, LLVMErrorRef e)
{
	char *message;

	if (!e)
		return true;
	message = LLVMGetErrorMessage(e);
	vq_bug(d, NULL, "%s: %s", what, message);
	LLVMDisposeErrorMessage(message);
	return false;
}

/* c's module as an object, linked into this process */
static bool load(vq_exec *e, vq_codegen *c, LLVMTargetMachineRef machine)
{
	LLVMOrcLLJITBuilderRef builder = LLVMOrcCreateLLJITBuilder();
	LLVMMemoryBufferRef buffer;
	LLVMOrcJITTargetAddress address;
	char *message = NULL;

	/* the same code path as for files: emit, then let the JIT link the object */
	if (LLVMTargetMachineEmitToMemoryBuffer(machine, c->module, LLVMObjectFile, &message, &buffer)) {
		vq_bug(e->diag, NULL, "LLVM could not write the object: %s", message);
		LLVMDisposeMessage(message);
		LLVMOrcDisposeLLJITBuilder(builder);
		return false;
	}
	if (!report(e->diag, "no JIT", LLVMOrcCreateLLJIT(&e->jit, builder))) {
		LLVMDisposeMemoryBuffer(buffer);
		return false;
	}
	if (!report(e->diag, "the JIT refused the object",
		    LLVMOrcLLJITAddObjectFile(e->jit, LLVMOrcLLJITGetMainJITDylib(e->jit), buffer)))
		return false;
	if (!report(e->diag, "the JIT lost the code", LLVMOrcLLJITLookup(e->jit, &address, "body")))
		return false;
	e->body = (body_function *)(uintptr_t)address;
	return true;
}

static void jit_dispose(vq_exec *e)
{
	vq_arena all = e->arena;
	LLVMErrorRef error = e->jit ? LLVMOrcDisposeLLJIT(e->jit) : NULL;

	if (error)
		LLVMConsumeError(error);
	vitq_pool_destroy(e->pool);
	vq_free(e->workspace);
	vq_free(e->weights);
	vq_arena_free(&all); /* e lives in it */
}

/* The code reads the plan's weights where they are: on cache lines, as in an object. */
static void align_weights(vq_exec *e)
{
	enum { LINE = 64 };
	unsigned char *block = vq_resize(e->plan.weights, e->plan.weight_bytes + LINE);
	unsigned char *first = block + (LINE - (uintptr_t)block % LINE) % LINE;

	memmove(first, block, e->plan.weight_bytes);
	e->weights = block;
	e->plan.weights = first;
}

/*
 * As many workers as pay: waking them costs some 10 us a step, so that small models are faster with one. Without threads to be had
 * there is one as well; results are the same.
 */
static void hire(vq_exec *e, uint32_t most)
{
	enum { WORKER_MACS = 1 << 26 };
	int64_t macs = 0;

	for (uint32_t i = 0; i < e->plan.n_steps; i++)
		macs += e->plan.step[i].macs;
	e->workers = 1;
	while (e->workers < most && e->workers < VITQ_MAX_WORKERS && macs / WORKER_MACS > e->workers)
		e->workers++;
	if (e->workers > 1)
		e->pool = vitq_pool_create(e->workers);
	if (!e->pool)
		e->workers = 1;
}

static vq_exec *jit_prepare(const vq_executor *x, const vq_graph *g, const vq_value *observed, uint32_t n)
{
	vq_arena arena = { 0 };
	vq_target_request request = { .target = "native" };
	const vq_target *target = vq_target_resolve(&arena, g->diag, &request);
	vq_emit_options options = { .prefix = "jit", .target = target, .strict = true };
	vq_exec *e = VQ_NEW(&arena, vq_exec);
	vq_codegen c = { 0 };
	LLVMTargetMachineRef machine = NULL;
	char *message = NULL;
	bool ok = false;

	e->diag = g->diag;
	e->g = g;
	if (target && vq_plan_make(&e->plan, &arena, g, target, true, observed, n, false))
		machine = vq_codegen_open(&c, target, true, g->diag);
	align_weights(e);
	if (machine) {
		c.plan = &e->plan;
		c.jit = true;
		ok = vq_module_build(&c, &e->plan, &options, g->diag);
		if (ok && (LLVMVerifyModule(c.module, LLVMReturnStatusAction, &message) || c.unknown_intrinsic))
			ok = vq_bug(g->diag, NULL, "the generated module is not valid: %s",
				c.unknown_intrinsic ? c.unknown_intrinsic : message);
		LLVMDisposeMessage(message);
		ok = ok && load(e, &c, machine);
		vq_codegen_close(&c, machine);
	}
	e->arena = arena;
	if (!ok) {
		jit_dispose(e);
		return NULL;
	}
	hire(e, x->workers);
	e->workspace = vq_alloc(e->plan.buffer_bytes + e->workers * e->plan.scratch_bytes);
	return e;
}

typedef struct observation {
	vq_observe *observe;
	void *user;
} observation;

static void observed(void *user, uint32_t value, const char *name, uint32_t elem, uint32_t rank, const int64_t *dim,
	const void *data)
{
	const observation *o = user;

	(void)name;
	(void)elem;
	(void)rank;
	(void)dim;
	o->observe(o->user, (vq_value){ value }, data);
}

/* as <prefix>_run does, which the JIT has not */
static bool indices_fit(const vq_exec *e, const void *const *in)
{
	for (uint32_t i = 0; i < e->plan.n_checks; i++) {
		const vq_index_check *k = &e->plan.check[i];
		const vq_value_info *input = &e->g->value[k->window.root.id];
		int64_t count = vq_window_count(&k->window);

		for (int64_t j = 0; j < count; j++) {
			int64_t at = k->window.offset, rest = j;
			double index;

			for (uint32_t r = k->window.rank; r-- > 0; rest /= k->window.dim[r])
				at += rest % k->window.dim[r] * k->window.stride[r];
			index = input->type.elem == VQ_I64   ? (double)((const int64_t *)in[input->index])[at]
				: input->type.elem == VQ_F32 ? (double)((const float *)in[input->index])[at]
							     : ((const int32_t *)in[input->index])[at];
			if (!(index >= (double)k->least && index < (double)k->limit))
				return vq_error(e->diag, vq_where(e->g, k->node),
					"index %.17g at position %lld is outside [%lld, %lld)", index, (long long)j,
					(long long)k->least, (long long)k->limit);
		}
	}
	return true;
}

static bool jit_run(vq_exec *e, const void *const *in, void *const *out, vq_observe *observe, void *user)
{
	observation o = { observe, user };
	vitq_env env = { .size = sizeof env, .workers = 1 };

	if (!indices_fit(e, in))
		return false;
	if (e->pool)
		vitq_pool_env(e->pool, &env);
	env.observe = observe ? observed : NULL;
	env.observe_user = &o;
	e->body(in, out, e->workspace, &env);
	return true;
}

static const vq_executor executor = {
	.name = "jit", .workers = 1, .prepare = jit_prepare, .run = jit_run, .dispose = jit_dispose
};

const vq_executor *vq_jit(const char **reason)
{
	vq_arena arena = { 0 };
	vq_diag diag;
	vq_target_request request = { .target = "native" };
	const vq_target *t;
	bool ok;

	vq_diag_init(&diag, &arena, NULL);
	t = vq_target_resolve(&arena, &diag, &request);
	ok = t != NULL;
	if (ok) {
		vq_codegen c = { 0 };
		LLVMTargetMachineRef machine = vq_codegen_open(&c, t, true, &diag);

		ok = machine != NULL;
		if (ok)
			vq_codegen_close(&c, machine);
	}
	vq_arena_free(&arena);
	if (!ok && reason)
		*reason = "this LLVM has no backend for the host, or the host's CPU is none that vitqc knows";
	return ok ? &executor : NULL;
}
