/* SPDX-License-Identifier: MIT */
#include "ir/lex.h"

#include <ctype.h>
#include <string.h>

void vq_lex_init(vq_lexer *l, vq_arena *arena, const char *text, size_t length)
{
	*l = (vq_lexer){ .arena = arena, .text = text, .length = length, .line = 1 };
}

/* character i places ahead, 0 past the end */
static unsigned char peek(const vq_lexer *l, size_t i)
{
	return i < l->length - l->at ? (unsigned char)l->text[l->at + i] : 0;
}

/* isalnum() depends on the locale */
static bool in_word(unsigned char c) { return c && c < 0x80 && (isalnum(c) || c == '_' || c == '.'); }

static bool is_digit(unsigned char c) { return c >= '0' && c <= '9'; }

static void skip_space(vq_lexer *l)
{
	for (; l->at < l->length; l->at++) {
		unsigned char c = peek(l, 0);

		/* # before a digit names a quantization entry */
		if (c == '#' && !is_digit(peek(l, 1)))
			while (l->at < l->length && peek(l, 0) != '\n')
				l->at++;
		c = peek(l, 0);
		if (c == '\n') {
			l->line++;
			l->line_start = l->at + 1;
		} else if (c != ' ' && c != '\t' && c != '\r') {
			return;
		}
	}
}

static vq_token wrong(vq_token t, const char *text)
{
	t.kind = VQ_TOKEN_WRONG;
	t.text = text;
	t.length = strlen(text);
	return t;
}

static vq_token finish(vq_lexer *l, vq_token t, size_t length)
{
	t.text = vq_arena_strndup(l->arena, l->text + l->at, length);
	t.length = length;
	l->at += length;
	return t;
}

static int hex_digit(unsigned char c)
{
	return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static vq_token lex_string(vq_lexer *l, vq_token t)
{
	size_t end = l->at + 1, n = 0;
	char *text;

	while (end < l->length && l->text[end] != '"' && l->text[end] != '\n')
		end += l->text[end] == '\\' ? 2 : 1;
	if (end >= l->length || l->text[end] != '"')
		return wrong(t, "the string is not closed on its line");
	text = vq_arena_alloc(l->arena, end - l->at);
	for (l->at++; l->at < end;) {
		unsigned char c = peek(l, 0);

		if (c == 0)
			return wrong(t, "a string contains a zero byte");
		l->at++;
		if (c == '\\') {
			c = peek(l, 0);
			l->at++;
			if (c == 'x') {
				int high = hex_digit(peek(l, 0)), low = high < 0 ? -1 : hex_digit(peek(l, 1));

				if (low < 0 || high * 16 + low == 0)
					return wrong(t, "\\x needs two hexadecimal digits, not 00");
				c = (unsigned char)(high * 16 + low);
				l->at += 2;
			} else if (c != '"' && c != '\\') {
				return wrong(t, "unknown escape, expected \\\", \\\\ or \\xNN");
			}
		}
		text[n++] = (char)c;
	}
	l->at++;
	t.text = text;
	t.length = n;
	return t;
}

static size_t word_length(const vq_lexer *l)
{
	size_t n = 0;

	while (in_word(peek(l, n)))
		n++;
	return n;
}

static vq_token lex_number(vq_lexer *l, vq_token t)
{
	size_t n = peek(l, 0) == '-' || peek(l, 0) == '+';
	bool hex = peek(l, n) == '0' && (peek(l, n + 1) | 32) == 'x';

	for (;; n++) {
		unsigned char c = peek(l, n), before = n ? peek(l, n - 1) | 32 : 0;

		if (!in_word(c) && !((c == '-' || c == '+') && before == (hex ? 'p' : 'e')))
			break;
	}
	t.kind = VQ_TOKEN_NUMBER;
	return finish(l, t, n);
}

static vq_token lex_named(vq_lexer *l, vq_token t, vq_token_kind kind)
{
	t.kind = kind;
	l->at++;
	if (peek(l, 0) == '"' && kind == VQ_TOKEN_VALUE) {
		t.quoted = true;
		return lex_string(l, t);
	}
	if (!word_length(l))
		return wrong(t, "expected a name or a number here");
	return finish(l, t, word_length(l));
}

vq_token vq_lex(vq_lexer *l)
{
	vq_token t = { .kind = VQ_TOKEN_END, .text = "end of file", .length = 11 };
	unsigned char c;

	skip_space(l);
	t.line = l->line;
	t.column = (uint32_t)(l->at - l->line_start) + 1;
	if (l->at == l->length)
		return t;
	c = peek(l, 0);
	if (c == '"') {
		t.kind = VQ_TOKEN_STRING;
		return lex_string(l, t);
	}
	if (c == '%')
		return lex_named(l, t, VQ_TOKEN_VALUE);
	if (c == '@')
		return lex_named(l, t, VQ_TOKEN_CONSTANT);
	if (c == '#')
		return lex_named(l, t, VQ_TOKEN_ENTRY);
	if (is_digit(c) || c == '-' || c == '+')
		return lex_number(l, t);
	if (in_word(c)) {
		t.kind = VQ_TOKEN_WORD;
		return finish(l, t, word_length(l));
	}
	if (c && strchr("(){}[]<>,:=", c)) {
		t.kind = VQ_TOKEN_MARK;
		return finish(l, t, 1);
	}
	return wrong(t, vq_arena_printf(l->arena, "unexpected character 0x%02x", c));
}
