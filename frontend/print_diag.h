/* SPDX-License-Identifier: MIT */
/* Diagnostics and progress on the terminal. */
#ifndef VQ_FRONTEND_PRINT_DIAG_H
#define VQ_FRONTEND_PRINT_DIAG_H

#include "ir/diag.h"

#include <stdio.h>

/*
 * Prints all messages, in colour if out is a terminal and NO_COLOR is not set; quiet: errors only.
 */
void vq_print_diag(FILE *out, const vq_diag *d, bool quiet);

/* Errors of `from`, with their notes and hints, go to `to`, but those it has already; note says where they are from. */
void vq_diag_take(vq_diag *to, const vq_diag *from, const char *note);

/*
 * The progress callback of vq_settings: a bar on a terminal for steps that take over a second. user
 * is a vq_bar.
 */
typedef struct vq_bar {
	const char *step; /* being shown or waited for */
	double start;     /* seconds, when it began */
	bool on;          /* standard error is a terminal */
	bool shown;       /* the bar stands there */
} vq_bar;

vq_bar vq_bar_make(bool wanted);
void vq_bar_progress(void *user, const char *step, uint32_t done, uint32_t total);
/* Removes the bar, so that other lines can be printed. */
void vq_bar_clear(vq_bar *b);

#endif
