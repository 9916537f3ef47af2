/* SPDX-License-Identifier: MIT */
/*
 * What differs between LLVM 16 and 22, in one place: functions of the C API that the older ones lack, in terms of what they have.
 * Code elsewhere is written for LLVM 19. Instead of llvm-c/Core.h and llvm-c/TargetMachine.h.
 */
#ifndef VQ_BACKEND_LLVM_VERSIONS_H
#define VQ_BACKEND_LLVM_VERSIONS_H

#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>
#include <llvm/Config/llvm-config.h>

#include <stddef.h>

#if LLVM_VERSION_MAJOR < 17
static inline LLVMTypeRef LLVMArrayType2(LLVMTypeRef element, uint64_t count)
{
	return LLVMArrayType(element, (unsigned)count);
}

static inline LLVMValueRef LLVMConstArray2(LLVMTypeRef element, LLVMValueRef *values, uint64_t count)
{
	return LLVMConstArray(element, values, (unsigned)count);
}
#endif

#if LLVM_VERSION_MAJOR < 18
/* without it nothing may contract: plain float objects do without fused multiply-add */
enum { LLVMFastMathAllowContract = 1 << 5 };

static inline void LLVMSetFastMathFlags(LLVMValueRef instruction, unsigned flags) { (void)instruction, (void)flags; }
#endif

#if LLVM_VERSION_MAJOR < 19
/* the length is an unsigned: weights of 4 GiB and more are refused by vq_module_build */
static inline LLVMValueRef LLVMConstStringInContext2(
	LLVMContextRef context, const char *text, size_t length, LLVMBool no_nul)
{
	return LLVMConstStringInContext(context, text, (unsigned)length, no_nul);
}
#endif

#endif
