/* SPDX-License-Identifier: MIT */
/* Which values can integers that are computed at run time have? For indices, which nothing can refuse once something is written. */
#ifndef VQ_BACKEND_INDEX_RANGE_H
#define VQ_BACKEND_INDEX_RANGE_H

#include "ir/ir.h"

/* Every element of v lies in [*lo, *hi], whatever the inputs are; false if that cannot be told. */
bool vq_index_range(const vq_graph *g, vq_value v, int64_t *lo, int64_t *hi);

#endif
