/* SPDX-License-Identifier: MIT */
/* What -analyze found, as text or JSON. */
#ifndef VQ_FRONTEND_ANALYSIS_H
#define VQ_FRONTEND_ANALYSIS_H

#include "frontend/look.h"

/* Products of one kind. */
typedef struct vq_product_count {
	const char *op; /* "linear" */
	uint32_t n;
	uint64_t macs;
} vq_product_count;

/* The model under one scheme. */
typedef struct vq_scheme_facts {
	const char *scheme; /* "w8a8", "none" */
	bool good;          /* it compiles; else only scheme is set */
	vq_object object;   /* planned, not compiled */
	const char **why;   /* per line of the plan: why its product stays in float; NULL: it does not */
	uint32_t kernels;   /* different ones */
	uint32_t n_float;   /* products in float */
} vq_scheme_facts;

enum { VQ_PRODUCT_KINDS = 4 };

typedef struct vq_analysis {
	const char *model; /* path */
	uint64_t model_hash;
	const char *target; /* triple, CPU and features */
	const vq_op_counts *ops;
	const vq_graph *g; /* as imported; NULL: it was not, only ops is known */
	uint64_t parameters, parameter_bytes;
	vq_product_count product[VQ_PRODUCT_KINDS];
	const vq_scheme_facts *scheme;
	uint32_t n_schemes;
} vq_analysis;

/* false on a write error */
bool vq_analysis_text(FILE *out, vq_arena *arena, const vq_analysis *f);
bool vq_analysis_json(FILE *out, vq_arena *arena, const vq_analysis *f);

#endif
