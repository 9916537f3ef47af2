/* SPDX-License-Identifier: MIT */
/* Rewriting the constants of linear operators. Each element is rounded once, from double. */
#ifndef VQ_PASSES_WEIGHTS_H
#define VQ_PASSES_WEIGHTS_H

#include "ir/ir.h"

/* Is n a linear operator whose weights and bias are f32 constants? */
bool vq_is_f32_linear(const vq_graph *g, vq_node n);
/* Number of the bias operand of linear or linear_dynamic, behind that of the weights. */
uint32_t vq_linear_bias(vq_op op);
/* Outputs of linear operator n. */
int64_t vq_linear_outputs(const vq_graph *g, vq_node n);

/*
 * A linear operator beside n whose result is that of n times factor[o], for output channel o; n is
 * f32 linear.
 */
vq_value vq_linear_scaled(vq_graph *g, vq_node n, const double *factor);
/*
 * … whose result is that of n plus term[o]; weights of any kind, the bias, if any, is a constant.
 */
vq_value vq_linear_biased(vq_graph *g, vq_node n, const double *term);

#endif
