/* SPDX-License-Identifier: MIT */
/*
 * Parts of canonicalize. Each goes over g once, returns whether anything changed and leaves dead
 * nodes.
 */
#ifndef VQ_PASSES_SIMPLIFY_H
#define VQ_PASSES_SIMPLIFY_H

#include "ir/ir.h"

/*
 * Local rules: neutral constants, constants second, exact strength reductions, gathers that are
 * slices, constant codes.
 */
bool vq_simplify(vq_graph *g);
/* Equal nodes and equal constants become one. */
bool vq_merge_equal(vq_graph *g);
/*
 * Movement that keeps rows whole goes towards the outputs through operators that work row by row or
 * element by element, so that exporters' flattening cancels and products see what their operands
 * are made of; movement that drops rows goes up through layernorm.
 */
bool vq_sink_movement(vq_graph *g);

/*
 * Where all that is used of a value is a selection of its rows, only those are computed: the
 * selection rises through linear, attention (rows of q) and elementwise operators. Not a part of
 * canonicalize, which must leave decomposed patterns in one piece.
 */
bool vq_raise_selection(vq_graph *g);

/* All of them and vq_merge_movement, to a fixed point, swept. What every pass ends with. */
bool vq_canonicalize(vq_graph *g);

#endif
