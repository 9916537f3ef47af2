/* SPDX-License-Identifier: MIT */
/* What the rest of vitqc sees of the backend: targets, compilation to files, the JIT. Only files of backend/ include llvm-c. */
#ifndef VQ_BACKEND_BACKEND_H
#define VQ_BACKEND_BACKEND_H

#include "ir/exec.h"
#include "ir/ir.h"

#include <stdio.h>

typedef enum vq_float_abi { VQ_FLOAT_ABI_DEFAULT, VQ_FLOAT_ABI_HARD, VQ_FLOAT_ABI_SOFTFP } vq_float_abi;

/* As given on the command line; NULL = not given. */
typedef struct vq_target_request {
	const char *target; /* short name, triple or "native" */
	const char *cpu;    /* -mcpu */
	const char *attr;   /* -mattr "+dotprod,-neon" */
	const char *abi;    /* -mabi (RISC-V) */
	vq_float_abi float_abi;
	const char *branch_protection; /* -mbranch-protection (AArch64) */
	const char *cf_protection;     /* -fcf-protection (x86-64) */
} vq_target_request;

typedef struct vq_target vq_target; /* resolved: backend/target.h */

/* NULL after errors (unknown names come with the nearest valid ones) in diag. Lives in arena. */
const vq_target *vq_target_resolve(vq_arena *arena, vq_diag *diag, const vq_target_request *request);
void vq_print_targets(FILE *out);
void vq_print_cpus(FILE *out, const vq_target *t); /* -mcpu=help */
const char *vq_target_triple(const vq_target *t);

/* The same model at another size of one dimension: another entry into the same object, over the same weights. */
typedef struct vq_variant {
	const vq_graph *g;
	const char *suffix; /* "b8": <prefix>_run_b8, <prefix>_info_b8 */
} vq_variant;

typedef struct vq_emit_options {
	const vq_target *target;
	const char *prefix; /* a C identifier */
	const char *scheme; /* for <prefix>_info: "w8a8", "none" */
	const char *tool;   /* "vitqc 0.1.0" */
	uint64_t model_hash;
	const char *weights_section; /* section of the weights, NULL: .rodata (vq_section_check) */
	bool weights_file;           /* the weights are no part of the object: <prefix>_run takes their address */
	const vq_variant *more;
	uint32_t n_more; /* sizes beside the first */
	bool instrument; /* observer calls */
	bool strict;     /* contract arithmetic; false only for -quant=none: FMA and any order */
} vq_emit_options;

/* Lines of the plan for the report and for tests: one per kernel call. */
typedef struct vq_plan_line {
	const char *kernel; /* symbol of the local function, "gemm_s8_3" */
	const char *kind;   /* "gemm", "attention", "layernorm" … */
	const char *node;   /* source node name or NULL */
	int64_t macs;
	bool integer;
	uint64_t weight_bytes; /* packed for it, and not before for another */
	uint32_t tasks;
	const char *suffix; /* of the variant whose run it is in; NULL: the first size */
} vq_plan_line;

/* What one run function of an object needs. */
typedef struct vq_entry_facts {
	const char *suffix; /* NULL: the first size */
	uint64_t workspace_bytes, worker_bytes, macs;
} vq_entry_facts;

/* A compiled model in memory. */
typedef struct vq_object {
	vq_arena *arena;
	const void *elf;
	size_t elf_bytes;         /* relocatable object, self-checked */
	const char *header;       /* text of the generated header, NUL-terminated */
	const void *weights_file; /* with that option: a vitq_weights and the weights */
	size_t weights_file_bytes;
	uint64_t workspace_bytes, worker_bytes, weight_bytes, macs, integer_macs;
	uint64_t stack_bytes;  /* of one call, the caller's parallel_for apart */
	const char *peak_node; /* at which most of the workspace is in use; NULL: none with a name */
	vq_plan_line *line;
	uint32_t n_lines; /* of all sizes; the numbers above are those of the first, weights apart */
	vq_entry_facts *entry;
	uint32_t n_entries;
} vq_object;

typedef enum vq_artifact { VQ_ARTIFACT_OBJECT, VQ_ARTIFACT_ASM, VQ_ARTIFACT_LLVM, VQ_ARTIFACT_PLAN } vq_artifact;

/*
 * Compiles g (float or integer form, verified). OBJECT fills o->elf and o->header; ASM and LLVM give their text as o->elf bytes.
 * PLAN makes no code: everything but elf, header and the file of weights is exact, elf_bytes an estimate.
 * false after errors in g->diag. Deterministic.
 */
bool vq_compile(const vq_graph *g, const vq_emit_options *options, vq_artifact what, vq_object *o);

/*
 * The JIT as an executor with one worker (a copy may be given more), for the host's own CPU (all its vector features, contract arithmetic). NULL if LLVM was built without a backend for the host;
 * reason, if not NULL, then says so.
 */
const vq_executor *vq_jit(const char **reason);

/* May the weights stand in a section of this name? It must be one that linkers treat as read-only data. An error in diag if not. */
bool vq_section_check(vq_diag *diag, const char *name);

const char *vq_llvm_version(void);

/*
 * Called when LLVM reports a fatal error, which it offers no other way out of; must not return. main prints "internal error", removes temporary
 * files and exits with 3. Without a handler: abort().
 */
typedef void vq_fatal_handler(const char *reason);
void vq_set_fatal_handler(vq_fatal_handler *handler);

#endif
