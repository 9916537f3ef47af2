/* SPDX-License-Identifier: MIT */
/*
 * How passes run a graph without knowing what runs it: the evaluator (ir/eval.c) or the JIT (backend/jit.c). main.c
 * chooses. Both give the same bits for the contract's arithmetic.
 */
#ifndef VQ_IR_EXEC_H
#define VQ_IR_EXEC_H

#include "ir/ir.h"

typedef struct vq_exec vq_exec; /* a prepared graph */

/* Called for each observed value when it is computed; data is row-major, of the value's type, valid during the call. */
typedef void vq_observe(void *user, vq_value v, const void *data);

typedef struct vq_executor {
	const char *name; /* "evaluator", "jit" */
	uint32_t workers; /* threads that one run may use; results do not depend on it */
	/* x: this executor. g must stay as it is until dispose. observed[n]: ids of values to show to the observer. NULL after an error in g->diag. */
	vq_exec *(*prepare)(const struct vq_executor *x, const vq_graph *g, const vq_value *observed, uint32_t n);
	/* in, out: one pointer per graph input and output. false after an error in the graph's diag. observe may be NULL. */
	bool (*run)(vq_exec *e, const void *const *in, void *const *out, vq_observe *observe, void *user);
	void (*dispose)(vq_exec *e);
} vq_executor;

#endif
