/* SPDX-License-Identifier: MIT */
#include "tests/unit/jit_kernel.h"

#include "backend/elf.h"
#include "backend/module.h"
#include "backend/target_table.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/ExecutionEngine.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct jit_kernel {
	LLVMContextRef context;
	LLVMExecutionEngineRef engine;
	uint32_t tasks;
	void (*call)(void *const *args, int32_t task, int32_t worker);
};

static vq_arena targets; /* as long as the program runs: targets are compared and kept by the tests */

static void initialize(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	LLVMInitializeAllTargetInfos();
	LLVMInitializeAllTargets();
	LLVMInitializeAllTargetMCs();
	LLVMInitializeAllAsmPrinters();
	LLVMInitializeAllAsmParsers();
	LLVMLinkInMCJIT();
}

const vq_target *jit_target(const char *name, const char *cpu, const char *features)
{
	vq_target_request request = { .target = name, .cpu = cpu, .attr = features };
	vq_diag diag;

	initialize();
	vq_diag_init(&diag, &targets, NULL);
	return vq_target_resolve(&targets, &diag, &request);
}

const vq_target *jit_host(void) { return jit_target("native", NULL, NULL); }

bool jit_runs(const vq_target *t)
{
	const vq_target *host = jit_host();
	const char *features;

	if (!host || !t || host->arch != t->arch)
		return false;
	if (t->isa == VQ_ISA_AVX_VNNI) /* the others add up; this one some CPUs with AVX-512 lack */
		return vq_host_cpu(&targets, &features) && strstr(features, "+avxvnni");
	return t->isa <= host->isa && t->min_vlen <= host->min_vlen;
}

/* module with one function in c->module */
static void build_module(
	vq_codegen *c, const vq_kernel *k, const vq_target *t, bool strict, LLVMContextRef context, const char *symbol)
{
	LLVMModuleRef m = LLVMModuleCreateWithNameInContext("kernel", context);
	vq_kernel_args a;
	char *error = NULL;

	vq_codegen_init(c, context, m, t, strict);
	LLVMTypeRef param[3] = { c->ptr, c->i32, c->i32 };

	LLVMSetTarget(m, t->triple);
	c->function = LLVMAddFunction(m, symbol, LLVMFunctionType(c->void_, param, 3, 0));
	vq_function_attributes(c, c->function);
	LLVMPositionBuilderAtEnd(c->b, LLVMAppendBasicBlockInContext(context, c->function, "entry"));
	for (int i = 0; i <= VQ_MAX_ARGS; i++) {
		int64_t at = (int64_t)i * (t->elf.bits / 8);
		vq_ll p = vq_load(c, c->ptr, vq_offset_const(c, LLVMGetParam(c->function, 0), at), t->elf.bits / 8);

		if (i == VQ_MAX_ARGS)
			a.scratch = p;
		else
			a.arg[i] = p;
	}
	a.task = LLVMGetParam(c->function, 1);
	if (c->word != c->i32)
		a.task = LLVMBuildZExt(c->b, a.task, c->word, "");
	vq_build_kernel(c, k, &a);
	LLVMBuildRetVoid(c->b);
	LLVMDisposeBuilder(c->b);
	if (c->unknown_intrinsic)
		fail_msg("LLVM has no intrinsic %s", c->unknown_intrinsic);
	if (LLVMVerifyModule(m, LLVMReturnStatusAction, &error)) {
		LLVMDumpModule(m);
		fail_msg("invalid module: %s", error);
	}
	LLVMDisposeMessage(error);
}

static LLVMTargetMachineRef machine(const vq_target *t)
{
	LLVMTargetRef target;
	char *error = NULL;

	initialize();
	if (LLVMGetTargetFromTriple(t->triple, &target, &error))
		fail_msg("%s: %s", t->triple, error);
	return vq_create_machine(target, t);
}

static void set_layout(LLVMModuleRef m, LLVMTargetMachineRef tm)
{
	LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(tm);

	LLVMSetModuleDataLayout(m, layout);
	LLVMDisposeTargetData(layout);
}

jit_kernel *jit_compile(const vq_kernel *k, const vq_target *t, bool strict)
{
	struct LLVMMCJITCompilerOptions options;
	jit_kernel *j = vq_alloc(sizeof *j);
	char *error = NULL;
	uint64_t address;
	vq_codegen c;

	assert_true(jit_runs(t));
	j->context = LLVMContextCreate();
	j->tasks = vq_kernel_tasks(k, t);
	build_module(&c, k, t, strict, j->context, "t_kernel");
	LLVMTargetMachineRef tm = machine(t);
	set_layout(c.module, tm);
	LLVMDisposeTargetMachine(tm);
	LLVMInitializeMCJITCompilerOptions(&options, sizeof options);
	options.OptLevel = 3;
	if (LLVMCreateMCJITCompilerForModule(&j->engine, c.module, &options, sizeof options, &error))
		fail_msg("%s", error);
	address = LLVMGetFunctionAddress(j->engine, "t_kernel");
	assert_int_not_equal(address, 0);
	memcpy(&j->call, &(uintptr_t){ (uintptr_t)address }, sizeof j->call);
	return j;
}

void jit_run(const jit_kernel *j, void *const *arg, uint32_t n_args, void *scratch)
{
	void *all[VQ_MAX_ARGS + 1] = { NULL };

	memcpy(all, arg, n_args * sizeof *arg);
	all[VQ_MAX_ARGS] = scratch;
	for (uint32_t i = 0; i < j->tasks; i++)
		j->call(all, (int32_t)i, 0);
}

void jit_dispose(jit_kernel *j)
{
	LLVMDisposeExecutionEngine(j->engine); /* and the module */
	LLVMContextDispose(j->context);
	vq_free(j);
}

static LLVMMemoryBufferRef object(const vq_kernel *k, const vq_target *t, bool strict)
{
	LLVMContextRef context = LLVMContextCreate();
	LLVMTargetMachineRef tm = machine(t);
	LLVMMemoryBufferRef buffer;
	char *error = NULL;
	vq_codegen c;

	build_module(&c, k, t, strict, context, "t_kernel");
	set_layout(c.module, tm);
	if (t->abi)
		LLVMAddModuleFlag(c.module, LLVMModuleFlagBehaviorError, "target-abi", 10,
			LLVMMDStringInContext2(context, t->abi, strlen(t->abi)));
	if (LLVMTargetMachineEmitToMemoryBuffer(tm, c.module, LLVMObjectFile, &error, &buffer))
		fail_msg("%s", error);
	LLVMDisposeModule(c.module);
	LLVMDisposeTargetMachine(tm);
	LLVMContextDispose(context);
	return buffer;
}

void jit_check_object(const vq_kernel *k, const vq_target *t, bool strict)
{
	LLVMMemoryBufferRef b = object(k, t, strict);
	vq_arena arena = { 0 };
	vq_diag diag;

	vq_diag_init(&diag, &arena, t->name);
	if (!vq_elf_check(t, "t", LLVMGetBufferStart(b), LLVMGetBufferSize(b), &diag)) {
		for (uint32_t i = 0; i < diag.n; i++)
			print_message("%s", vq_message_text(&diag, &diag.item[i]));
		fail_msg("%s (%s): object refused", t->name, t->features);
	}
	LLVMDisposeMemoryBuffer(b);
	vq_arena_free(&arena);
}
