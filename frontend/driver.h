/* SPDX-License-Identifier: MIT */
/* A whole run of the compiler, from parsed options to files. */
#ifndef VQ_FRONTEND_DRIVER_H
#define VQ_FRONTEND_DRIVER_H

#include "frontend/options.h"

/* Exit codes. */
enum { VQ_EXIT_OK = 0, VQ_EXIT_INPUT = 1, VQ_EXIT_USAGE = 2, VQ_EXIT_BUG = 3 };

/*
 * Does what o asks for. Messages go to standard error. Returns the exit code; unless it is
 * VQ_EXIT_OK, no output is left.
 */
int vq_drive(const vq_options *o, vq_arena *arena);

/* What -print-… and help modes print. */
int vq_print_mode(const vq_options *o, vq_arena *arena);

#endif
