/* SPDX-License-Identifier: MIT */
/* Writes everything a run was asked for. */
#ifndef VQ_FRONTEND_EMIT_H
#define VQ_FRONTEND_EMIT_H

#include "frontend/options.h"

/* What a compilation has come to. */
typedef struct vq_results {
	const vq_options *o;
	vq_arena *arena;
	vq_diag *diag;
	const vq_target *target; /* NULL if nothing is compiled */
	const vq_graph *g;       /* in its final form */
	const vq_variant *more;  /* other sizes of it */
	uint32_t n_more;
	const vq_graph *qdq; /* its QDQ form for -emit=onnx; NULL: g has it */
	const vq_report *report;
	const char *scheme; /* "w8a8" or "none" */
	bool strict;        /* the arithmetic contract holds: not for float objects */
	uint64_t model_hash;
	vq_strings read; /* files that the result depends on */
} vq_results;

/*
 * The C prefix of a run: as given, or made of the output's name. NULL after an error in diag (not
 * an identifier).
 */
const char *vq_prefix_of(const vq_options *o, vq_arena *arena, vq_diag *diag);

/*
 * Compiles and writes to outputs (frontend/output.h), which the caller commits. false after errors
 * in diag.
 */
bool vq_emit(const vq_results *r);

#endif
