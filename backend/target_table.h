/* SPDX-License-Identifier: MIT */
/*
 * Data of one architecture for vq_target_resolve: names, CPUs, features and the instruction sets
 * they add up to.
 */
#ifndef VQ_BACKEND_TARGET_TABLE_H
#define VQ_BACKEND_TARGET_TABLE_H

#include "backend/target.h"

/* What a feature is to vitqc. */
typedef enum vq_feature_use {
	VQ_FEATURE_USED,   /* kernels use it */
	VQ_FEATURE_UNUSED, /* could speed up products, but there are no kernels: a warning */
	VQ_FEATURE_MOOT,   /* makes no difference to a model: accepted in silence */
} vq_feature_use;

typedef struct vq_feature_row {
	const char *name; /* LLVM's spelling */
	uint32_t bit;     /* this feature in a set; 0 for what makes no difference */
	uint32_t implies; /* features that come with it, closed under implication */
	vq_feature_use use;
} vq_feature_row;

typedef struct vq_cpu_row {
	const char *name;  /* as LLVM 19 spells it */
	uint32_t features; /* beyond the architecture's base, closed under implication */
} vq_cpu_row;

/* An instruction set and what it takes. */
typedef struct vq_isa_row {
	vq_isa isa;
	uint32_t needs;       /* features */
	const char *features; /* for LLVM: exactly what the object's CPU check covers */
	const char *label;    /* for listings */
	uint32_t vector_bytes;
	uint32_t hwcap;    /* VITQ_HWCAP_… */
	uint32_t min_vlen; /* bits */
} vq_isa_row;

typedef struct vq_arch_table {
	vq_arch arch;
	const char *name;              /* short name */
	const char *const *alias;      /* other spellings in -target and triples; ends with NULL */
	const char *triple;            /* canonical */
	const char *triple_softfp;     /* NULL if there is no such thing */
	const char *llvm_cpu;          /* what code is tuned for */
	const char *abi;               /* for LLVM; NULL: by triple */
	const char *const *abi_names;  /* values of -mabi that mean the one ABI supported; ends with NULL */
	uint32_t base;                 /* features that every object may use; they cannot be taken away */
	const vq_feature_row *feature; /* ends with a NULL name */
	const vq_cpu_row *cpu;         /* ends with a NULL name; the first is the default */
	const vq_isa_row *isa;         /* best first; the last needs only base */
	uint32_t n_isas;
	vq_elf_facts elf;
} vq_arch_table;

extern const vq_arch_table vq_arch_x86_64, vq_arch_aarch64, vq_arch_arm, vq_arch_riscv64;

/* ---- backend/host.c ---- */

/* Short name of the architecture vitqc itself runs on; NULL if it is none of ours. */
const char *vq_host_arch(void);
/* LLVM's name of the host's CPU and its features ("+avx2,-sse4a,…"), in the arena. */
const char *vq_host_cpu(vq_arena *arena, const char **features);

#endif
