/* SPDX-License-Identifier: MIT */
/* Shared by the parts of the .vir parser (parse.c, parse_data.c). */
#ifndef VQ_IR_PARSE_H
#define VQ_IR_PARSE_H

#include "ir/ir.h"
#include "ir/lex.h"

#include <stdio.h>

/* A name and what it stands for: a value id, or an entry of the quantization table. */
typedef struct vq_symbol {
	const char *name; /* NULL: free */
	char space;       /* '%' names, '1' numbered results, '@' constants, '#' entries */
	uint32_t id;
} vq_symbol;

typedef struct vq_parser {
	vq_graph *g;
	vq_arena scratch; /* tokens, symbols, lists */
	vq_lexer lexer;
	vq_token token;    /* the current one */
	bool failed;       /* one error is reported, the first */
	vq_symbol *symbol; /* open addressing; cap is a power of 2 */
	uint32_t n_symbols, cap_symbols;
	const char *folder;       /* of sidecar files */
	const char *sidecar_name; /* of the open one */
	FILE *sidecar;
	uint64_t sidecar_bytes;
} vq_parser;

/* Reports at the token t; false. Only the first error counts, the rest follow from it. */
bool vq_parse_error(vq_parser *p, const vq_token *t, const char *format, ...) VQ_PRINTF(3, 4);

void vq_next(vq_parser *p);
bool vq_at_word(const vq_parser *p, const char *word);
/* Skip it if it is there. */
bool vq_accept(vq_parser *p, char mark);
bool vq_accept_word(vq_parser *p, const char *word);
/* Skip it or report. */
bool vq_expect(vq_parser *p, char mark);

/* A decimal integer in [least, most]. what names it in messages. */
bool vq_parse_int(vq_parser *p, const char *what, int64_t least, int64_t most, int64_t *v);
bool vq_parse_f32(vq_parser *p, float *v);
bool vq_parse_type(vq_parser *p, vq_type *t);

/* false after reporting that the name, which stands at t, is taken */
bool vq_add_symbol(vq_parser *p, const vq_token *t, char space, const char *name, uint32_t id);

/* "const @w : f32[3] = ..." and "quant #1 = ...", after the first word */
bool vq_parse_constant(vq_parser *p);
bool vq_parse_entry(vq_parser *p);

#endif
