/* SPDX-License-Identifier: MIT */
/* What LLVM knows about the machine vitqc runs on, and about itself. */
#include "backend/llvm_versions.h"
#include "backend/target_table.h"

#include <stdio.h>
#include <string.h>

const char *vq_host_arch(void)
{
#if defined(__x86_64__)
	return "x86-64";
#elif defined(__aarch64__) && !defined(__AARCH64EB__)
	return "aarch64";
#elif defined(__arm__) && !defined(__ARMEB__)
	return "armv7";
#elif defined(__riscv) && __riscv_xlen == 64
	return "riscv64";
#else
	return NULL;
#endif
}

const char *vq_host_cpu(vq_arena *arena, const char **features)
{
	char *cpu = LLVMGetHostCPUName();
	char *all = LLVMGetHostCPUFeatures();
	const char *name = vq_arena_strndup(arena, cpu, strlen(cpu));

	*features = vq_arena_strndup(arena, all, strlen(all));
	LLVMDisposeMessage(cpu);
	LLVMDisposeMessage(all);
	return name;
}

const char *vq_llvm_version(void)
{
	static char text[32];
	unsigned major, minor, patch;

	LLVMGetVersion(&major, &minor, &patch);
	snprintf(text, sizeof text, "%u.%u.%u", major, minor, patch);
	return text;
}
