/* SPDX-License-Identifier: MIT */
/* What module.c, entry.c and compile.c share. */
#ifndef VQ_BACKEND_MODULE_H
#define VQ_BACKEND_MODULE_H

#include "backend/codegen.h"

/* "gemm": the kind of a kernel, for reports */
const char *vq_kernel_kind_name(const vq_kernel *k);
/* "gemm_s8_3": the kernel's local symbol; in a */
const char *vq_kernel_symbol(vq_arena *a, const vq_plan *p, uint32_t kernel);

/*
 * <prefix>_run, which checks its arguments and calls body(inputs, outputs, workspace, env, weights if they are given), and
 * <prefix>_info; with a suffix (NULL: none) the same of another size. backend/entry.c
 */
void vq_build_entry(vq_codegen *c, const vq_plan *p, const vq_emit_options *o, const char *suffix, LLVMValueRef body,
	LLVMTypeRef body_type);

/* Text of the generated header; in p's arena. weights_hash matters with a file of weights only. backend/header.c */
const char *vq_header_text(const vq_plan *p, const vq_emit_options *o, uint64_t stack_bytes, uint64_t weights_hash);

/* A file of weights: what names it, and the file in the memory that held p's weights. backend/weights_file.c */
enum {
	VQ_WEIGHTS_WORDS = 8,
	VQ_WEIGHTS_CHECKED = 4
}; /* 64-bit words of a vitq_weights; of these the run function compares the first */
uint64_t vq_weights_hash(const vq_plan *p);
void vq_weights_words(const vq_plan *p, uint64_t hash, uint64_t model_hash, uint64_t word[VQ_WEIGHTS_WORDS]);
void vq_weights_file(vq_plan *p, const vq_emit_options *e, uint64_t hash, vq_object *o);

/* For t's triple, CPU, features and ABI as far as LLVM's version lets its C API say them. backend/llvm.c */
LLVMTargetMachineRef vq_create_machine(LLVMTargetRef target, const vq_target *t);
/* A codegen on a fresh context and module for the target; machine is created too. NULL machine after an error in diag. backend/llvm.c */
LLVMTargetMachineRef vq_codegen_open(vq_codegen *c, const vq_target *t, bool strict, vq_diag *diag);
void vq_codegen_close(vq_codegen *c, LLVMTargetMachineRef machine);

#endif
