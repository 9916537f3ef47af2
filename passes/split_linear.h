/* SPDX-License-Identifier: MIT */
/* Merged projections (Q, K and V in one product) become one linear operator each. */
#ifndef VQ_PASSES_SPLIT_LINEAR_H
#define VQ_PASSES_SPLIT_LINEAR_H

#include "ir/ir.h"

/*
 * If every use of linear operator n, maybe behind one per-tensor quantize and dequantize, is a view
 * of part of its output channels, gives each part a linear operator of its own. Channels nobody
 * looks at go. Did it?
 */
bool vq_split_linear(vq_graph *g, vq_node n);

#endif
