/* SPDX-License-Identifier: MIT */
/* Modes that look at a model instead of compiling it: -run, -compare, -analyze. */
#ifndef VQ_FRONTEND_LOOK_H
#define VQ_FRONTEND_LOOK_H

#include "frontend/onnx_import.h"
#include "frontend/options.h"
#include "frontend/print_diag.h"

/* What they share. */
typedef struct vq_look {
	const vq_options *o;
	vq_arena *arena;
	vq_diag *diag;
	vq_bar *bar;
	const vq_executor *executor;
	const char *scheme; /* of the graph in its final form: "w8a8", "none" … */
	uint64_t model_hash;
} vq_look;

/* -run: g on the samples of o->run; its outputs go to o->out, or are printed. */
bool vq_look_run(const vq_look *l, const vq_graph *g);

/*
 * -compare: every value of g that has a counterpart, on the samples of o->compare. The counterparts
 * are arrays of that file, by the names of the model's tensors; without such arrays values of
 * reference, the same model in float (NULL: there is none). imported is the graph as it was read:
 * it tells which values still are what the model calls by their names.
 */
bool vq_look_compare(const vq_look *l, const vq_graph *imported, const vq_graph *reference, const vq_graph *g);

/* How often the model has an operator. */
typedef struct vq_op_count {
	const char *domain, *type;
	uint32_t n, refused, behind; /* nodes; of these refused; behind something that was refused */
} vq_op_count;

/* The operators of a model, by name once counted. */
typedef struct vq_op_counts {
	vq_op_count *item; /* in the arena */
	uint32_t n, cap;
} vq_op_counts;

void vq_look_count(vq_op_counts *c, vq_arena *arena, const char *domain, const char *type, vq_import_fate fate);

/*
 * -analyze: what would be compiled for the target under every scheme, or the one that was asked
 * for. g is the graph as it was imported, NULL if that failed: then the operators are all there is
 * to say. false after errors, those of schemes included; what could be found out is printed
 * nevertheless.
 */
bool vq_look_analyze(const vq_look *l, const vq_op_counts *ops, const vq_graph *g, const vq_target *target);

/* Opens -report=FILE for the modes that print their result, standard output without it. */
FILE *vq_look_open(const vq_look *l);

#endif
