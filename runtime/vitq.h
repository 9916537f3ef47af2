/* SPDX-License-Identifier: MIT */
/*
 * The fixed part of every header that vitqc generates: the environment of a run and its result codes. A generated
 * header carries this text, so it stands alone; several of them can be included together.
 */
#ifndef VITQ_H
#define VITQ_H

#include <stddef.h>
#include <stdint.h>

/* Results of <prefix>_run. 0 is success. Nothing is written, neither outputs nor workspace, unless all checks passed. */
#define VITQ_OK 0
#define VITQ_E_NULL 1      /* a required pointer is NULL */
#define VITQ_E_ALIGN 2     /* workspace, or an input or output, is not aligned as stated */
#define VITQ_E_WORKSPACE 3 /* workspace_bytes is less than <PREFIX>_WORKSPACE_BYTES_FOR(workers) */
#define VITQ_E_INDEX 4     /* an index input (token id) is out of range; nothing outside the table is read */
#define VITQ_E_CPU 5       /* this CPU lacks what the object was built for */
#define VITQ_E_ENV 6       /* env->size is not one this object knows, or workers is 0 or too large */
#define VITQ_E_WEIGHTS 7   /* the weights given are NULL, not 64-byte aligned, too short, or not those of this object */

/* At most this many workers per run. */
#define VITQ_MAX_WORKERS 64u

/* Hardware capabilities, for targets where a program cannot ask the CPU itself (vitq_env.hwcap). */
#define VITQ_HWCAP_NEON 1u    /* ARMv7: NEON */
#define VITQ_HWCAP_DOTPROD 2u /* AArch64: FEAT_DotProd */
#define VITQ_HWCAP_RVV 4u     /* RISC-V: V 1.0 */
#define VITQ_HWCAP_I8MM 8u    /* AArch64: FEAT_I8MM */

/* One task: computes part `task` as worker `worker`, touching only its own part of the outputs and its worker's scratch. */
typedef void vitq_task(void *arg, uint32_t task, uint32_t worker);

/* Optional; a zeroed struct with size set means the defaults. */
typedef struct vitq_env {
	size_t size;      /* sizeof(vitq_env): which version the caller was compiled with */
	uint32_t workers; /* concurrent tasks at most, worker numbers are below it; 0 or 1: the calling thread alone */
	uint32_t hwcap;   /* VITQ_HWCAP_... bits, or 0: not stated, the object trusts its caller */
	/*
	 * Runs task(arg, t, w) for every t in [0, tasks), in any order, at most `workers` at a time with distinct w, and
	 * returns when all are done. NULL: the calling thread runs them in order.
	 */
	void (*parallel_for)(void *pool, uint32_t tasks, vitq_task *task, void *arg);
	void *pool; /* first argument of parallel_for */
	/*
	 * Objects built with -instrument call it with every intermediate value in execution order, row-major in the value's logical type
	 * (elem as in the .vir text: 0 f32, 1 i64, 2 i32, 3 bool, 4 u8, 5 s8 codes). May be NULL.
	 */
	void (*observe)(void *user, uint32_t value, const char *name, uint32_t elem, uint32_t rank, const int64_t *dim,
		const void *data);
	void *observe_user;
} vitq_env;

/* Pointer-free facts about a model (<prefix>_info). Offsets count bytes from the start of the struct. */
typedef struct vitq_tensor_info {
	uint32_t name; /* offset of a NUL-terminated string */
	uint32_t elem; /* as in vitq_env.observe */
	uint32_t rank;
	uint32_t reserved;
	int64_t dim[8];
} vitq_tensor_info;

typedef struct vitq_info {
	uint32_t bytes; /* of the whole block */
	uint32_t abi;   /* version of this layout: 1 */
	uint32_t n_inputs, n_outputs;
	uint32_t tensors;         /* offset of n_inputs + n_outputs vitq_tensor_info */
	uint32_t tool;            /* offset of "vitqc 0.1.0" */
	uint32_t target;          /* offset of the triple, cpu and features */
	uint32_t scheme;          /* offset of "w8a8", "none" ... */
	uint64_t model_hash;      /* FNV-1a of the model file */
	uint64_t workspace_bytes; /* for one worker */
	uint64_t worker_bytes;    /* more for each further worker */
	uint64_t weight_bytes;
	uint64_t macs;         /* multiply-accumulates of one run */
	uint64_t integer_macs; /* of these, in integer */
	uint64_t
		weights_hash; /* of the file of weights that <prefix>_run takes (vitq_weights); 0: the weights are in the object */
} vitq_info;

/*
 * The beginning of a file of weights (vitqc -emit-weights=FILE), little endian; the weights follow. Objects whose weights are in such a
 * file are called with its address, 64-byte aligned, and compare the first four lines; whether the weights are whole is for who
 * loads them to find out, by the hash.
 */
#define VITQ_WEIGHTS_MAGIC "VITQWGTS"
#define VITQ_WEIGHTS_VERSION 1u
typedef struct vitq_weights {
	char magic[8];         /* VITQ_WEIGHTS_MAGIC without its NUL */
	uint32_t version;      /* VITQ_WEIGHTS_VERSION */
	uint32_t header_bytes; /* 64: where the weights begin */
	uint64_t bytes;        /* of the weights */
	uint64_t hash;         /* FNV-1a (64 bits) of the weights, 1 if that is 0 */
	uint64_t model_hash;   /* as in vitq_info */
	uint64_t reserved[3];  /* 0 */
} vitq_weights;

#endif
