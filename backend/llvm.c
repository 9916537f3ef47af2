/* SPDX-License-Identifier: MIT */
/* LLVM itself: initialisation, target machines, and what differs between its versions. */
#include "backend/module.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/ErrorHandling.h>
#include <llvm-c/Target.h>

#include <stdlib.h>
#include <string.h>

static vq_fatal_handler *fatal_handler;

void vq_set_fatal_handler(vq_fatal_handler *handler) { fatal_handler = handler; }

/* reached only through a fault of ours: every operator, CPU and feature that gets here was checked */
static void fatal(const char *reason)
{
	if (fatal_handler)
		fatal_handler(reason);
	abort();
}

static void initialize(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	LLVMInstallFatalErrorHandler(fatal);
	LLVMInitializeX86TargetInfo();
	LLVMInitializeX86Target();
	LLVMInitializeX86TargetMC();
	LLVMInitializeX86AsmPrinter();
	LLVMInitializeX86AsmParser(); /* cpuid is inline assembly */
	LLVMInitializeAArch64TargetInfo();
	LLVMInitializeAArch64Target();
	LLVMInitializeAArch64TargetMC();
	LLVMInitializeAArch64AsmPrinter();
	LLVMInitializeARMTargetInfo();
	LLVMInitializeARMTarget();
	LLVMInitializeARMTargetMC();
	LLVMInitializeARMAsmPrinter();
	LLVMInitializeRISCVTargetInfo();
	LLVMInitializeRISCVTarget();
	LLVMInitializeRISCVTargetMC();
	LLVMInitializeRISCVAsmPrinter();
}

static void module_flag(LLVMContextRef context, LLVMModuleRef module, const char *name, unsigned value)
{
	LLVMAddModuleFlag(module, LLVMModuleFlagBehaviorError, name, strlen(name),
		LLVMValueAsMetadata(LLVMConstInt(LLVMInt32TypeInContext(context), value, 0)));
}

/* The flags make the note .gnu.property, without which the linker takes the protection off the whole program. */
static void protect(LLVMContextRef context, LLVMModuleRef module, const vq_target *t)
{
	if (!t->protect)
		return;
	if (t->arch == VQ_ARCH_X86_64) {
		if (t->protect & VQ_PROTECT_BRANCH)
			module_flag(context, module, "cf-protection-branch", 1);
		if (t->protect & VQ_PROTECT_RETURN)
			module_flag(context, module, "cf-protection-return", 1);
		return;
	}
	module_flag(context, module, "branch-target-enforcement", !!(t->protect & VQ_PROTECT_BRANCH));
	module_flag(context, module, "sign-return-address", !!(t->protect & VQ_PROTECT_RETURN));
	module_flag(context, module, "sign-return-address-all", !!(t->protect & VQ_PROTECT_LEAF));
	module_flag(context, module, "sign-return-address-with-bkey", !!(t->protect & VQ_PROTECT_B_KEY));
}

LLVMTargetMachineRef vq_create_machine(LLVMTargetRef target, const vq_target *t)
{
	LLVMRelocMode reloc = t->pic ? LLVMRelocPIC : LLVMRelocStatic;
#if LLVM_VERSION_MAJOR < 18 /* no way to give the ABI but the module flag, which is set below */
	return LLVMCreateTargetMachine(
		target, t->triple, t->cpu, t->features, LLVMCodeGenLevelDefault, reloc, LLVMCodeModelDefault);
#else
	LLVMTargetMachineOptionsRef options = LLVMCreateTargetMachineOptions();
	LLVMTargetMachineRef machine;

	LLVMTargetMachineOptionsSetCPU(options, t->cpu);
	LLVMTargetMachineOptionsSetFeatures(options, t->features);
	if (t->abi)
		LLVMTargetMachineOptionsSetABI(options, t->abi);
	LLVMTargetMachineOptionsSetCodeGenOptLevel(options, LLVMCodeGenLevelDefault);
	LLVMTargetMachineOptionsSetRelocMode(options, reloc);
	LLVMTargetMachineOptionsSetCodeModel(options, LLVMCodeModelDefault);
	machine = LLVMCreateTargetMachineWithOptions(target, t->triple, options);
	LLVMDisposeTargetMachineOptions(options);
	return machine;
#endif
}

/* where nobody asked for remarks */
static void ignore(LLVMDiagnosticInfoRef info, void *user)
{
	(void)user;
	if (LLVMGetDiagInfoSeverity(info) == LLVMDSError) {
		char *text = LLVMGetDiagInfoDescription(info);

		fatal(text);
	}
}

LLVMTargetMachineRef vq_codegen_open(vq_codegen *c, const vq_target *t, bool strict, vq_diag *diag)
{
	LLVMTargetRef target;
	LLVMTargetMachineRef machine;
	LLVMTargetDataRef layout;
	LLVMContextRef context;
	LLVMModuleRef module;
	char *message = NULL, *text;

	initialize();
	if (LLVMGetTargetFromTriple(t->triple, &target, &message)) {
		vq_error(diag, NULL, "this LLVM (%s) has no backend for %s: %s", vq_llvm_version(), t->triple, message);
		vq_hint(diag,
			"it was built without: Yocto up to walnascar has LLVM_TARGETS of llvm-native for it, Buildroot builds the board's only");
		LLVMDisposeMessage(message);
		return NULL;
	}
	machine = vq_create_machine(target, t);

	context = LLVMContextCreate();
	LLVMContextSetDiagnosticHandler(context, ignore, NULL);
	module = LLVMModuleCreateWithNameInContext(
		"vitqc", context); /* the module's name reaches the object: no path, no model */
	LLVMSetSourceFileName(module, "vitqc", 5);
	LLVMSetTarget(module, t->triple);
	layout = LLVMCreateTargetDataLayout(machine);
	text = LLVMCopyStringRepOfTargetData(layout);
	LLVMSetDataLayout(module, text);
	LLVMDisposeMessage(text);
	LLVMDisposeTargetData(layout);
	if (t->pic)
		module_flag(context, module, "PIC Level", 2);
	if (t->arch == VQ_ARCH_RISCV64)
		module_flag(context, module, "SmallDataLimit",
			0); /* older LLVMs put small constants into a writable section */
	protect(context, module, t);
	if (t->abi)
		LLVMAddModuleFlag(module, LLVMModuleFlagBehaviorError, "target-abi", 10,
			LLVMMDStringInContext2(context, t->abi, strlen(t->abi)));
	vq_codegen_init(c, context, module, t, strict);
	return machine;
}

void vq_codegen_close(vq_codegen *c, LLVMTargetMachineRef machine)
{
	LLVMDisposeBuilder(c->b);
	if (c->module)
		LLVMDisposeModule(c->module);
	LLVMContextDispose(c->context);
	LLVMDisposeTargetMachine(machine);
}
