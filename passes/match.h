/* SPDX-License-Identifier: MIT */
/*
 * What passes that look for patterns share: questions about values, constants and uses, and
 * replacing a node.
 */
#ifndef VQ_PASSES_MATCH_H
#define VQ_PASSES_MATCH_H

#include "ir/build.h"
#include "ir/ir.h"

/*
 * Uses of v by nodes that are not deleted and by outputs. Dead nodes count until the next sweep:
 * never too few.
 */
uint32_t vq_uses(const vq_graph *g, vq_value v);
static inline bool vq_used_once(const vq_graph *g, vq_value v) { return vq_uses(g, v) == 1; }

/* Is v a constant f32 of one element? Its value in *out (may be NULL). */
bool vq_scalar(const vq_graph *g, vq_value v, double *out);
/* Equal up to 1e-5 of want: exporters round constants such as sqrt(1/2) in more than one way. */
bool vq_near(double got, double want);
/*
 * Does constant v broadcast along the last axis of size n alone, i.e. is it one element, or n in
 * its last axis? Elements then are out[0..n) (may be NULL).
 */
bool vq_last_axis(const vq_graph *g, vq_value v, int64_t n, double *out);

/* operand i of the node that defines v */
static inline vq_value vq_in(const vq_graph *g, vq_value v, uint32_t i) { return vq_operand(g, vq_def_of(g, v), i); }
/*
 * If v is op(a, scalar constant), gives a and the constant. Commuted forms are canonical (constant
 * second).
 */
bool vq_by_scalar(const vq_graph *g, vq_value v, vq_op op, vq_value *a, double *c);
/* A constant factor: mul(a, c), or div(a, c) seen as a factor 1/c. */
bool vq_scaled(const vq_graph *g, vq_value v, vq_value *a, double *factor);

/* Size of the last axis, 1 for scalars. */
int64_t vq_last_dim(const vq_graph *g, vq_value v);

/* Weights of a linear operator: an f32 constant, or dequantize of constant codes? */
bool vq_is_weight(const vq_graph *g, vq_value w);

/*
 * A constant f32 of the given shape from doubles, each rounded once; results below 2^-100 become +0
 * (docs/arithmetic.md).
 */
vq_value vq_const_from(vq_graph *g, uint32_t rank, const int64_t *dim, const double *v);

/*
 * The result of node n is now v: uses change over, n is deleted, v's node takes its name. False,
 * and nothing changed, if v is no value (an error was reported) or of another type: in the integer
 * form a result may be quantized, which patterns of float operators are not.
 */
bool vq_take_over(vq_graph *g, vq_node n, vq_value v);
/* Gives the node of v the name of n for messages, if it has none. */
void vq_inherit(vq_graph *g, vq_value v, vq_node n);

#endif
