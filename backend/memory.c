/* SPDX-License-Identifier: MIT */
/*
 * Memory planning: offsets for buffers with known lifetimes.
 *
 * Largest first, each at the lowest offset that is free during its lifetime (the greedy-by-size rule of Pisarchyk and Lee,
 * "Efficient Memory Management for Deep Neural Net Inference", 2020). The peak is what the object asks for: exact, no slack.
 */
#include "backend/plan.h"

#include <stdlib.h>

enum { ALIGN = 64 }; /* a cache line; also the widest vector */

static bool together(const vq_buffer *a, const vq_buffer *b) { return a->first <= b->last && b->first <= a->last; }

/* insertion sort of placed ids by offset keeps the scan below simple; graphs have hundreds of buffers */
static void place(vq_plan *p, uint32_t *placed, uint32_t n, uint32_t id)
{
	vq_buffer *b = &p->buffer[id];
	uint64_t at = 0;
	uint32_t i;

	for (i = 0; i < n; i++) {
		const vq_buffer *o = &p->buffer[placed[i]];

		if (!together(b, o))
			continue;
		if (at + b->bytes <= o->offset)
			break;
		if (o->offset + o->bytes > at)
			at = (o->offset + o->bytes + ALIGN - 1) / ALIGN * ALIGN;
	}
	b->offset = at;
	for (i = n; i > 0 && p->buffer[placed[i - 1]].offset > at; i--)
		placed[i] = placed[i - 1];
	placed[i] = id;
}

void vq_plan_memory(vq_plan *p)
{
	uint32_t *order = VQ_ARRAY(p->arena, p->n_buffers, uint32_t);
	uint32_t *placed = VQ_ARRAY(p->arena, p->n_buffers + 1, uint32_t);
	uint64_t peak = 0;

	for (uint32_t i = 0; i < p->n_buffers; i++) {
		uint32_t j = i;

		for (; j > 0 && p->buffer[order[j - 1]].bytes < p->buffer[i].bytes; j--)
			order[j] = order[j - 1];
		order[j] = i;
	}
	for (uint32_t i = 0; i < p->n_buffers; i++) {
		const vq_buffer *b = &p->buffer[order[i]];

		place(p, placed, i, order[i]);
		if (b->offset + b->bytes > peak)
			peak = b->offset + b->bytes;
	}
	p->buffer_bytes = (peak + ALIGN - 1) / ALIGN * ALIGN;
}
