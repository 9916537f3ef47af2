/* SPDX-License-Identifier: MIT */
/* Compiles one kernel with LLVM, to run it on this machine or to look at its object for another. */
#ifndef VQ_TESTS_JIT_KERNEL_H
#define VQ_TESTS_JIT_KERNEL_H

#include "backend/codegen.h"

typedef struct jit_kernel jit_kernel;

/* A target by short name, CPU (NULL: the default) and features (NULL: none); NULL if it does not resolve. */
const vq_target *jit_target(const char *name, const char *cpu, const char *features);
/* The target of the machine the test runs on, with all its features; NULL if vitqc has none for it. */
const vq_target *jit_host(void);
/* can code for t run here? */
bool jit_runs(const vq_target *t);

/* Machine code in memory; fails the test on an LLVM error. t must satisfy jit_runs. */
jit_kernel *jit_compile(const vq_kernel *k, const vq_target *t, bool strict);
/* All tasks, one after the other. arg as in plan.h; scratch: vq_kernel_scratch bytes or NULL. */
void jit_run(const jit_kernel *j, void *const *arg, uint32_t n_args, void *scratch);
void jit_dispose(jit_kernel *j);

/* Compiles k for t into an object and lets vq_elf_check look for undefined symbols, sections and relocations that must not be there. */
void jit_check_object(const vq_kernel *k, const vq_target *t, bool strict);

#endif
