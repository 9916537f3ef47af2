/* SPDX-License-Identifier: MIT */
/* Which values can integers that are computed at run time have? For indices, which nothing can refuse once something is written. */
#ifndef VQ_BACKEND_INDEX_RANGE_H
#define VQ_BACKEND_INDEX_RANGE_H

#include "ir/window.h"

/* Every element of v lies in [*lo, *hi], whatever the inputs are; false if that cannot be told. */
bool vq_index_range(const vq_graph *g, vq_value v, int64_t *lo, int64_t *hi);

/*
 * Is every element of index computed from one element of one input (negative ones moved by the size of the table, offsets added)? Then *w
 * shows these elements, and index lies in [0, rows) where they lie in [*lo, *hi], and nowhere else. false: no, or it cannot be told.
 */
bool vq_index_source(const vq_graph *g, vq_value index, int64_t rows, vq_window *w, int64_t *lo, int64_t *hi);

/*
 * Is index computed from one input of integers alone, several elements for one, and in [0, rows) if these are 0 or 1 (positions counted
 * from a mask)? Then *w is that input.
 */
bool vq_index_mask(const vq_graph *g, vq_value index, int64_t rows, vq_window *w);

#endif
