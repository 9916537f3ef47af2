/* SPDX-License-Identifier: MIT */
/*
 * The report of a compilation: what was decided at each site, what each kernel costs, what the
 * object needs.
 */
#ifndef VQ_FRONTEND_REPORT_H
#define VQ_FRONTEND_REPORT_H

#include "backend/backend.h"
#include "passes/pass.h"

#include <stdio.h>

typedef struct vq_report_facts {
	const char *model; /* path */
	uint64_t model_hash;
	const char *scheme;       /* "w8a8", "none" */
	const char *target;       /* triple, NULL if nothing was compiled */
	const char *prefix;       /* of C names, NULL if nothing was compiled */
	const char *weights_file; /* -emit-weights, NULL: not given */
	const vq_report *sites;
	const vq_object *object; /* NULL if nothing was compiled */
} vq_report_facts;

/* Why the product of this node of the model stays in float; never NULL. */
const char *vq_float_reason(const vq_report *sites, const char *node);

/* false on a write error. The same facts give the same bytes. */
bool vq_report_json(FILE *out, const vq_report_facts *f);
bool vq_report_text(FILE *out, const vq_report_facts *f);

#endif
