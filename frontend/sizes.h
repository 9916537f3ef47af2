/* SPDX-License-Identifier: MIT */
/* Several sizes of one dimension in one object: -dim batch=1,8. */
#ifndef VQ_FRONTEND_SIZES_H
#define VQ_FRONTEND_SIZES_H

#include "frontend/options.h"

/* One of them. */
typedef struct vq_size_choice {
	vq_strings dims;    /* as -dim, with one size each */
	const char *text;   /* "batch=8" */
	const char *suffix; /* "b8", of C names; the first size has none: NULL */
} vq_size_choice;

typedef struct vq_sizes {
	vq_size_choice *item; /* in the arena; at least one */
	uint32_t n;
} vq_sizes;

/* Takes the lists of -dim apart. false after an error in diag: several lists, a size twice. */
bool vq_sizes_parse(vq_sizes *s, vq_arena *arena, vq_diag *diag, const vq_strings *dims);

#endif
