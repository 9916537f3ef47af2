/* SPDX-License-Identifier: MIT */
/*
 * Windows: what movement operators show of a tensor, as an offset and a stride per dimension. A window never computes; chains of
 * reshape, transpose, slice, view and expand compose to one window as long as strides can express them.
 */
#ifndef VQ_IR_WINDOW_H
#define VQ_IR_WINDOW_H

#include "ir/ir.h"

typedef struct vq_window {
	vq_value root;  /* row-major tensor it looks at */
	int64_t offset; /* of element 0 in the root, in elements */
	uint32_t rank;
	int64_t dim[VQ_MAX_RANK];
	int64_t stride[VQ_MAX_RANK]; /* in elements; 0 repeats, negative reverses */
} vq_window;

/* All of v. */
vq_window vq_window_of(const vq_graph *g, vq_value v);
/* The window v is, looking through as many movement nodes as possible; stop(user, value) ends the search at a value. stop may be NULL. */
vq_window vq_window_find(const vq_graph *g, vq_value v, bool (*stop)(void *user, vq_value v), void *user);
/* Gives w another shape of as many elements. false if strides cannot express it (w unchanged). */
bool vq_window_reshape(vq_window *w, uint32_t rank, const int64_t *dim);
/* Row-major without gaps, whatever the offset? */
bool vq_window_contiguous(const vq_window *w);
int64_t vq_window_count(const vq_window *w);
/* Drops dimensions of size 1 and merges neighbours that step as one; the order of elements stays. */
void vq_window_squeeze(vq_window *w);

#endif
