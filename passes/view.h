/* SPDX-License-Identifier: MIT */
/*
 * Chains of movement. Whatever reshape, transpose, slice, view and expand do one after the other to
 * a tensor is seen as one strided window of it, read row by row and given a shape: more than a
 * window alone can say (two dimensions that do not step as one may be one dimension of the shape),
 * and closed under reshape and transpose.
 */
#ifndef VQ_PASSES_VIEW_H
#define VQ_PASSES_VIEW_H

#include "ir/window.h"

typedef struct vq_shown {
	vq_window w;  /* squeezed: no dimension of 1, neighbours that step as one are one */
	vq_type type; /* of what is shown; the shape cuts the elements in row-major order */
} vq_shown;

/* All of v. */
vq_shown vq_shown_of(const vq_graph *g, vq_value v);
/* v, seen through as many movement operators as possible. */
vq_shown vq_shown_find(const vq_graph *g, vq_value v);

/* Steps of what is shown; false if they cannot be expressed (s unchanged). perm as of transpose. */
bool vq_shown_transpose(vq_shown *s, const int64_t *perm);
void vq_shown_reshape(vq_shown *s, uint32_t rank, const int64_t *dim); /* of as many elements */

/*
 * The shortest operators that give s: its root; one reshape of it; one view; a view and a reshape.
 * Constants move at once, also behind dequantize. where as in vq_build.
 */
vq_value vq_shown_build(vq_graph *g, const char *where, const vq_shown *s);

/*
 * Brings every movement operator of g into its shortest form. Did anything change? Leaves dead
 * nodes.
 */
bool vq_merge_movement(vq_graph *g);

/*
 * Does node n move elements of one operand by strides and nothing else (its result is not quantized
 * anew)?
 */
bool vq_is_movement(const vq_graph *g, vq_node n);

#endif
