/* Compiles one kernel with LLVM, to run it on this machine or to look at its object for another. */
#ifndef VQ_TESTS_JIT_KERNEL_H
#define VQ_TESTS_JIT_KERNEL_H

#include "backend/codegen.h"

/* Calls the builder of k's kind with the builder positioned in the entry block. */
typedef void jit_build(vq_codegen *c, const vq_kernel *k, vq_kernel_args *a);

typedef struct jit_kernel jit_kernel;

/* A target by short name, CPU (NULL: the default) and features (NULL: none); NULL if it does not resolve. */
const vq_target *jit_target(const char *name, const char *cpu, const char *features);
/* The target of the machine the test runs on, with all its features; NULL if vitqc has none for it. */
const vq_target *jit_host(void);
/* can code for t run here? */
bool jit_runs(const vq_target *t);

/* Machine code in memory; fails the test on an LLVM error. t must satisfy jit_runs. */
jit_kernel *jit_compile(const vq_kernel *k, const vq_target *t, bool strict, jit_build *build);
/* All tasks, one after the other. arg as in plan.h; scratch: vq_kernel_scratch bytes or NULL. */
void jit_run(const jit_kernel *j, void *const *arg, uint32_t n_args, void *scratch);
void jit_dispose(jit_kernel *j);

/* Compiles k for t into an object and lets vq_elf_check look for undefined symbols, sections and relocations that must not be there. */
void jit_check_object(const vq_kernel *k, const vq_target *t, bool strict, jit_build *build);
/* The object; the function is `symbol`. Free with LLVMDisposeMemoryBuffer. */
LLVMMemoryBufferRef jit_object(const vq_kernel *k, const vq_target *t, bool strict, jit_build *build, const char *symbol);
/* Assembly text of k for t; free with LLVMDisposeMemoryBuffer. */
LLVMMemoryBufferRef jit_assembly(const vq_kernel *k, const vq_target *t, bool strict, jit_build *build);

#endif
