/* SPDX-License-Identifier: MIT */
#include "ir/nearest.h"

#include <string.h>

enum { LONGEST = 63 }; /* words of options, CPUs and operators are shorter */

/*
 * Edits (insert, delete, replace, swap of neighbours) between a and b, both at most LONGEST long.
 */
static uint32_t edits(const char *a, size_t na, const char *b, size_t nb)
{
	uint32_t row[3][LONGEST + 1]; /* of the distance table: two back, last, current */
	uint32_t *back = row[0], *last = row[1], *now = row[2];

	for (uint32_t j = 0; j <= nb; j++)
		last[j] = j;
	for (uint32_t i = 1; i <= na; i++) {
		uint32_t *spare = back;

		now[0] = i;
		for (uint32_t j = 1; j <= nb; j++) {
			uint32_t d = last[j - 1] + (a[i - 1] != b[j - 1]);

			d = last[j] + 1 < d ? last[j] + 1 : d;
			d = now[j - 1] + 1 < d ? now[j - 1] + 1 : d;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && back[j - 2] + 1 < d)
				d = back[j - 2] + 1;
			now[j] = d;
		}
		back = last;
		last = now;
		now = spare;
	}
	return last[nb];
}

void vq_nearest_start(vq_nearest *n, const char *word, size_t length)
{
	/* a third of the letters wrong is a typo, more is another word */
	*n = (vq_nearest){
		.word = word, .length = length, .distance = (uint32_t)(length > LONGEST ? 0 : 2 + length / 3)
	};
}

void vq_nearest_offer(vq_nearest *n, const char *candidate)
{
	size_t length = strlen(candidate);
	uint32_t d;

	if (n->length > LONGEST || length > LONGEST)
		return;
	d = edits(n->word, n->length, candidate, length);
	if (d < n->distance) {
		n->distance = d;
		n->best = candidate;
	}
}
