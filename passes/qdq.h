/* SPDX-License-Identifier: MIT */
/* What the passes around quantize and dequantize share. */
#ifndef VQ_PASSES_QDQ_H
#define VQ_PASSES_QDQ_H

#include "passes/pass.h"

/* Entry of t if it is quantized per tensor, else NULL. */
static inline const vq_quant *vq_per_tensor(const vq_graph *g, const vq_type *t)
{
	const vq_quant *q = vq_quant_of(g, t);

	return q && q->axis < 0 ? q : NULL;
}

/* Largest |code - zero| of an entry, over its channels. */
int64_t vq_code_reach(const vq_quant *q);

/*
 * Why a linear with these entries and constant weight codes cannot be an integer product ("the
 * accumulator could reach …"), NULL if it can. w: codes [rows, channels]. In a.
 */
const char *vq_linear_bound(
	vq_arena *a, const vq_quant *x, const vq_quant *w, const int8_t *codes, int64_t rows, int64_t channels);

/* Multiplications of a linear, matmul, conv or attention. */
int64_t vq_product_macs(const vq_graph *g, vq_node n);

#endif
