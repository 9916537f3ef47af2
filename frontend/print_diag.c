/* SPDX-License-Identifier: MIT */
#include "frontend/print_diag.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *colour(vq_severity s)
{
	switch (s) {
	case VQ_ERROR: return "\033[1;31m";
	case VQ_WARNING: return "\033[1;35m";
	case VQ_NOTE:
	case VQ_HINT: break;
	}
	return "\033[36m";
}

void vq_print_diag(FILE *out, const vq_diag *d, bool quiet)
{
	const char *no_colour = getenv("NO_COLOR");
	bool colours = isatty(fileno(out)) && !(no_colour && *no_colour), silent = false;

	for (uint32_t i = 0; i < d->n; i++) {
		const vq_message *m = &d->item[i];
		const char *text = vq_message_text(d, m);
		size_t n = strlen(text);

		if (m->severity == VQ_ERROR || m->severity == VQ_WARNING)
			silent = quiet && m->severity == VQ_WARNING; /* and the notes after it */
		if (silent)
			continue;
		if (colours)
			fprintf(out, "%s%.*s\033[0m\n", colour(m->severity), (int)(n - 1), text);
		else
			fputs(text, out);
	}
	if (d->bugs)
		fputs("  note: this is a bug in vitqc, not in the model; please report it with the "
		      "command and the model\n",
			out);
}

static bool has_error(const vq_diag *d, const vq_message *m)
{
	for (uint32_t i = 0; i < d->n; i++) {
		const vq_message *k = &d->item[i];

		if (k->severity == VQ_ERROR && strcmp(k->text, m->text) == 0 && !k->where == !m->where &&
			(!m->where || strcmp(k->where, m->where) == 0))
			return true;
	}
	return false;
}

void vq_diag_take(vq_diag *to, const vq_diag *from, const char *note)
{
	for (uint32_t i = 0; i < from->n; i++) {
		const vq_message *m = &from->item[i];

		if (m->severity != VQ_ERROR || has_error(to, m))
			continue;
		vq_error(to, m->where ? vq_arena_printf(to->arena, "%s", m->where) : NULL, "%s", m->text);
		vq_note(to, "%s", note);
		for (uint32_t k = i + 1; k < from->n && from->item[k].severity > VQ_WARNING; k++)
			(from->item[k].severity == VQ_NOTE ? vq_note : vq_hint)(to, "%s", from->item[k].text);
	}
	to->bugs += from->bugs;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

vq_bar vq_bar_make(bool wanted) { return (vq_bar){ .on = wanted && isatty(2) }; }

enum { BAR = 40, WAIT = 1 /* seconds */ };

void vq_bar_progress(void *user, const char *step, uint32_t done, uint32_t total)
{
	vq_bar *b = user;
	uint32_t filled = total ? (uint32_t)((uint64_t)done * BAR / total) : 0;

	if (!b->on)
		return;
	if (!b->step || strcmp(b->step, step) != 0) {
		vq_bar_clear(b);
		b->step = step;
		b->start = now();
	}
	if (now() - b->start < (double)WAIT)
		return;
	b->shown = true;
	fprintf(stderr, "\r%s [%.*s%*s] %u/%u", step, (int)filled,
		"========================================", (int)(BAR - filled), "", (unsigned)done, (unsigned)total);
	fflush(stderr);
	if (done >= total)
		vq_bar_clear(b);
}

void vq_bar_clear(vq_bar *b)
{
	if (b->shown)
		fprintf(stderr, "\r\033[K");
	b->shown = false;
	b->step = NULL;
}
