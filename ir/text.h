/* SPDX-License-Identifier: MIT */
/* The .vir text form: printer and parser (docs/ir.md has the grammar). */
#ifndef VQ_IR_TEXT_H
#define VQ_IR_TEXT_H

#include "ir/ir.h"

#include <stdio.h>

/*
 * Prints g. Constants of at most 16 elements stand inline, larger ones in the sidecar file (path named in the text by
 * its last component) at an offset with a hash; with sidecar NULL only shape and hash are printed, which suffices to
 * compare two graphs but not to parse back. Floats in hex. Constants are numbered in order of first use: @0, @1 …
 * Returns false on a write error (reported to g->diag).
 */
bool vq_print_graph(const vq_graph *g, FILE *text, FILE *sidecar, const char *sidecar_name);

/*
 * Parses text (length bytes) into g (initialised by the call). Sidecar files are looked for in folder. Errors name line and column
 * in diag. Returns false after an error. The result is verified.
 */
bool vq_parse_graph(vq_graph *g, vq_arena *arena, vq_diag *diag, const char *text, size_t length, const char *folder);

/* Structural check of every invariant in docs/ir.md; false after reporting each violation as an internal error to g->diag. */
bool vq_verify(const vq_graph *g, const char *after);

/* FNV-1a, 64 bit: the hash of constants in .vir and of models in <prefix>_info */
uint64_t vq_hash(const void *data, size_t bytes);

#endif
