/* SPDX-License-Identifier: MIT */
/*
 * Output files that appear all together or not at all: each is written under a temporary name in
 * its own folder and renamed when everything has succeeded. Signals and fatal errors remove the
 * temporary files.
 */
#ifndef VQ_FRONTEND_OUTPUT_H
#define VQ_FRONTEND_OUTPUT_H

#include "ir/diag.h"

#include <stdio.h>

/* Can a file at path be made? Said before the work, which may take minutes. false after an error in diag. */
bool vq_output_check(vq_arena *arena, vq_diag *diag, const char *path);

/*
 * Opens the output `path` for writing. "-" and what exists and is no regular file (a device, a
 * pipe) get their contents at the end. NULL after an error in diag, also if the path was opened
 * before.
 */
FILE *vq_output_open(vq_arena *arena, vq_diag *diag, const char *path);

/*
 * The same for code that opens its file itself: the name to write to. NULL after an error in diag.
 */
const char *vq_output_name(vq_arena *arena, vq_diag *diag, const char *path);

/* Takes the output opened last back: nothing is written to its path. */
void vq_output_drop_last(void);

/* Finishes and renames all. false after an error in diag; then none is left. */
bool vq_outputs_commit(vq_diag *diag);

/* Removes what has been written so far. Safe in a signal handler: closes nothing. */
void vq_outputs_abandon(void);

/*
 * From now on SIGINT, SIGTERM and SIGHUP abandon the outputs and end the program, faults say so and
 * exit with 3.
 */
void vq_outputs_catch_signals(void);

#endif
