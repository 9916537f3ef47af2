/* SPDX-License-Identifier: MIT */
/* The report: one line per site, in the order passes come across them. */
#include "passes/pass.h"

void vq_report_add(vq_report *r, const vq_site *s)
{
	r->site = vq_arena_grow(r->arena, r->site, &r->cap, r->n + 1, sizeof *r->site);
	r->site[r->n++] = *s;
}
