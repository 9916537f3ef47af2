/* SPDX-License-Identifier: MIT */
/* Diagnostics: errors, warnings and notes are collected; who owns the terminal prints them. */
#ifndef VQ_IR_DIAG_H
#define VQ_IR_DIAG_H

#include "ir/arena.h"

#include <stdbool.h>

typedef enum vq_severity { VQ_ERROR, VQ_WARNING, VQ_NOTE, VQ_HINT } vq_severity;

/* One line. Notes and hints belong to the error or warning before them. */
typedef struct vq_message {
	vq_severity severity;
	const char *where; /* "node 'name' (Op)", "initializer 'w'", "option -quant"; NULL: the file as a whole */
	const char *text;  /* "problem: got X, expected Y"; lower case, no full stop */
} vq_message;

typedef struct vq_diag {
	vq_arena *arena;  /* of the texts */
	const char *file; /* input being read, printed in front; may be NULL */
	vq_message *item;
	uint32_t n, cap;
	uint32_t errors; /* among them */
	uint32_t bugs;   /* errors that are vitqc's own fault: exit code 3 */
} vq_diag;

void vq_diag_init(vq_diag *d, vq_arena *arena, const char *file);

/* where may be NULL. All return false, so that `return vq_error(…);` reads well. */
bool vq_error(vq_diag *d, const char *where, const char *format, ...) VQ_PRINTF(3, 4);
/* What cannot happen unless vitqc itself is wrong (verifier, self-checks): an error that starts with "internal error: ". */
bool vq_bug(vq_diag *d, const char *where, const char *format, ...) VQ_PRINTF(3, 4);
bool vq_warning(vq_diag *d, const char *where, const char *format, ...) VQ_PRINTF(3, 4);
bool vq_note(vq_diag *d, const char *format, ...) VQ_PRINTF(2, 3);
bool vq_hint(vq_diag *d, const char *format, ...) VQ_PRINTF(2, 3);

/*
 * "file: where: text", "  note: text"; newline included; in d's arena. One line: control characters and bytes that are no
 * UTF-8 show as \xNN, what is very long is cut.
 */
const char *vq_message_text(const vq_diag *d, const vq_message *m);

#endif
