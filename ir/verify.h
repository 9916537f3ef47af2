/* SPDX-License-Identifier: MIT */
/* Checks shared by the verifier and the parser of the text form. */
#ifndef VQ_IR_VERIFY_H
#define VQ_IR_VERIFY_H

#include "ir/ir.h"

/* What is wrong with a quantization entry by itself; NULL if nothing. Text in a. */
const char *vq_quant_problem(vq_arena *a, const vq_quant *q);

/* What is wrong with a value of this type in g: size, element type, entry; NULL if nothing. Text in g's arena. */
const char *vq_type_problem(const vq_graph *g, const vq_type *t);

/*
 * Whether an op whose inferred result is inferred may have the result actual: the same, or an f32 result that is
 * quantized after being computed. NULL, or the problem in g's arena.
 */
const char *vq_result_problem(const vq_graph *g, vq_op op, const vq_type *inferred, const vq_type *actual);

#endif
