/* SPDX-License-Identifier: MIT */
/* "did you mean …": the known word nearest to a misspelt one. */
#ifndef VQ_IR_NEAREST_H
#define VQ_IR_NEAREST_H

#include <stddef.h>
#include <stdint.h>

typedef struct vq_nearest {
	const char *word;  /* misspelt; need not end in NUL */
	size_t length;     /* of word */
	const char *best;  /* nearest candidate so far; NULL if none is near enough to be meant */
	uint32_t distance; /* edits between word and best */
} vq_nearest;

void vq_nearest_start(vq_nearest *n, const char *word, size_t length);
void vq_nearest_offer(vq_nearest *n, const char *candidate);

#endif
