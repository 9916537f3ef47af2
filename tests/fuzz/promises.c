/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/promises.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *broken_promise(const vq_diag *d, bool good)
{
	if (d->bugs)
		return "vitqc blames itself";
	if (good && d->errors)
		return "success, but with errors";
	if (!good && !d->errors)
		return "failure without a message";
	for (uint32_t i = 0; i < d->n; i++) {
		const char *text = vq_message_text(d, &d->item[i]);
		size_t n = strlen(text);

		if (n < 12 || text[n - 1] != '\n')
			return "a message says nothing";
		for (size_t k = 0; k + 1 < n; k++)
			if ((unsigned char)text[k] < ' ' || text[k] == 0x7f)
				return "a message has control characters";
	}
	return NULL;
}

void keep_promises(const vq_diag *d, bool good)
{
	const char *what = broken_promise(d, good);

	if (!what)
		return;
	fprintf(stderr, "broken promise: %s\n", what);
	for (uint32_t i = 0; i < d->n; i++)
		fputs(vq_message_text(d, &d->item[i]), stderr);
	abort();
}
