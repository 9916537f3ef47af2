/* SPDX-License-Identifier: MIT */
/*
 * The reference evaluator: naive, scalar, and the definition of what every operator of every form computes, bit for
 * bit (docs/arithmetic.md). Kernels are compared with it.
 */
#ifndef VQ_IR_EVAL_H
#define VQ_IR_EVAL_H

#include "ir/exec.h"
#include "ir/ir.h"

/* One operand or result: type and row-major data. */
typedef struct vq_tensor {
	vq_type type;
	void *data;
} vq_tensor;

/*
 * Computes node's op on operands in[0..n_in) into out->data (allocated by the caller, of type out->type; ops of two results
 * write out[1], too). Scratch
 * memory comes from a. Returns NULL or what is wrong at run time ("index 7 at position 3 is outside [0, 5)").
 */
const char *vq_eval_node(const vq_graph *g, const vq_node_info *node, const vq_tensor *in, vq_tensor *out, vq_arena *a);

/* The evaluator as an executor. */
extern const vq_executor vq_evaluator;

#endif
