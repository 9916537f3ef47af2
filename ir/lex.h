/* SPDX-License-Identifier: MIT */
/* Tokens of the .vir text form. */
#ifndef VQ_IR_LEX_H
#define VQ_IR_LEX_H

#include "ir/arena.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum vq_token_kind {
	VQ_TOKEN_END,
	VQ_TOKEN_WORD,     /* linear, f32, trans_b */
	VQ_TOKEN_NUMBER,   /* 12, -3, 0x1.8p-4, 1.5e-3, -inf */
	VQ_TOKEN_STRING,   /* "logits", decoded */
	VQ_TOKEN_VALUE,    /* %x %12 %"a name", without the sign */
	VQ_TOKEN_CONSTANT, /* @0 @weights */
	VQ_TOKEN_ENTRY,    /* #1 */
	VQ_TOKEN_MARK,     /* one of ( ) { } [ ] < > , : = */
	VQ_TOKEN_WRONG,    /* text says what is wrong */
} vq_token_kind;

typedef struct vq_token {
	vq_token_kind kind;
	const char *text; /* zero-terminated, in the lexer's arena */
	size_t length;
	bool quoted;           /* a value named in quotes: %"1" is not %1 */
	uint32_t line, column; /* of its first character, from 1 */
} vq_token;

typedef struct vq_lexer {
	vq_arena *arena;
	const char *text;
	size_t length, at; /* at: next character */
	size_t line_start; /* of the current line */
	uint32_t line;
} vq_lexer;

void vq_lex_init(vq_lexer *l, vq_arena *arena, const char *text, size_t length);
vq_token vq_lex(vq_lexer *l);

#endif
