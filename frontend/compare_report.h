/* SPDX-License-Identifier: MIT */
/* What -compare found, as text or JSON. */
#ifndef VQ_FRONTEND_COMPARE_REPORT_H
#define VQ_FRONTEND_COMPARE_REPORT_H

#include "ir/ir.h"
#include "passes/measure.h"

#include <stdio.h>

/* One value. */
typedef struct vq_compare_row {
	const char *name;      /* of the tensor in the model */
	const char *node, *op; /* of the model that computes it; NULL: none */
	const vq_type *type;   /* in the graph that was compiled */
	bool output;           /* of the graph, number port */
	uint32_t port;
	uint32_t order;       /* in execution */
	const float *stored;  /* what it should be, sample after sample; NULL: what the float graph gives */
	float *want;          /* the same for the sample being run */
	float *reference;     /* the float graph's value, with stored values */
	vq_distance distance; /* of the compiled graph from what it should be */
	vq_distance in_float; /* of the float graph from stored values */
	vq_distance meaning;  /* of the imported graph from the float graph */
	uint64_t rows,
		same_largest; /* of an output: rows along its last axis, and those with the same largest element */
} vq_compare_row;

typedef struct vq_compare_facts {
	const char *model; /* path */
	uint64_t model_hash;
	const char *scheme;
	const char *with; /* "float", "stored values" */
	const char *file; /* of the samples */
	uint32_t samples;
	bool in_float;             /* rows have in_float */
	uint32_t changed;          /* values left out because their meaning changed */
	uint32_t without;          /* stored arrays that no value of the graph corresponds to */
	const vq_compare_row *row; /* worst first */
	uint32_t n;
} vq_compare_facts;

/* false on a write error */
bool vq_compare_text(FILE *out, vq_arena *arena, const vq_compare_facts *f);
bool vq_compare_json(FILE *out, const vq_compare_facts *f);

#endif
