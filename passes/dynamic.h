/* SPDX-License-Identifier: MIT */
/* Scales per row, chosen at run time: quantize_dynamic and the products that read its results. */
#ifndef VQ_PASSES_DYNAMIC_H
#define VQ_PASSES_DYNAMIC_H

#include "passes/pass.h"

/* One quantize_dynamic and how it was asked for; of a constant its results are constants. */
typedef struct vq_dynamic_edge {
	vq_value value;
	vq_attr attr;
	vq_value codes, rows;
} vq_dynamic_edge;

/* What has been made so far: one quantize_dynamic serves all readers of a value that agree on how. Zeroed to begin with. */
typedef struct vq_dynamic {
	vq_graph *g;
	vq_arena scratch; /* vq_arena_free when done */
	vq_dynamic_edge *edge;
	uint32_t n_edges, cap_edges;
} vq_dynamic;

/* A linear with quantized weights (dequantize of a constant) becomes linear_dynamic with a scale and zero point per row. */
bool vq_dynamic_linear(vq_dynamic *d, vq_node n);

/*
 * An attention becomes attention_dynamic. q gets a scale per token and head, k and v one per head: a score's scale must be the
 * same for all keys, for its softmax to compare integers.
 */
bool vq_dynamic_attention(vq_dynamic *d, vq_node n);
/* Why it cannot; NULL if it can. */
const char *vq_dynamic_attention_refuses(const vq_graph *g, vq_node n);

/*
 * A matmul becomes matmul_dynamic: a scale and zero point per row of its left operand; of the right one a symmetric scale per column
 * where columns are its rows, else (they are summed over) one per matrix. What is constant becomes constants.
 */
bool vq_dynamic_matmul(vq_dynamic *d, vq_node n);
/* Why it cannot; NULL if it can. */
const char *vq_dynamic_matmul_refuses(const vq_graph *g, vq_node n);

#endif
