/* SPDX-License-Identifier: MIT */
/* How deep an object's stack can get: the frames of its own call chain, as LLVM laid them out. */
#ifndef VQ_BACKEND_STACK_H
#define VQ_BACKEND_STACK_H

#include "backend/codegen.h"

/* Bytes of the frames of each level: <prefix>_run calls body, body calls step, step (or the caller's workers) calls kernels. */
typedef struct vq_stack {
	vq_diag *diag;
	const char *run;     /* name of the run function */
	uint64_t per_vscale; /* RISC-V V: spilled vectors of a kernel, bytes per 64 bits of a vector register */
	uint64_t level[4];   /* the largest frame of each level: run, body, step, kernels */
} vq_stack;

/*
 * Has LLVM report every frame of c's module from now on; call it before functions are added, and keep *s until the object is
 * emitted. Errors that LLVM reports meanwhile become diagnostics.
 */
void vq_stack_watch(vq_stack *s, vq_codegen *c, const char *run, vq_diag *diag);

/* With RISC-V V: for vector registers of up to 1024 bits. Bytes that one call of run, or one task of a worker, needs at most, return addresses and alignment included; 0: this LLVM does not tell. */
uint64_t vq_stack_bytes(const vq_stack *s, const vq_target *t);

#endif
