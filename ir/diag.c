/* SPDX-License-Identifier: MIT */
#include "ir/diag.h"

#include <stdio.h>
#include <string.h>

void vq_diag_init(vq_diag *d, vq_arena *arena, const char *file) { *d = (vq_diag){ .arena = arena, .file = file }; }

static void add(vq_diag *d, vq_severity severity, const char *where, const char *format, va_list args)
{
	d->item = vq_arena_grow(d->arena, d->item, &d->cap, d->n + 1, sizeof *d->item);
	d->item[d->n++] = (vq_message){
		.severity = severity,
		.where = where ? vq_arena_printf(d->arena, "%s", where) : NULL,
		.text = vq_arena_vprintf(d->arena, format, args),
	};
	d->errors += severity == VQ_ERROR;
}

bool vq_error(vq_diag *d, const char *where, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(d, VQ_ERROR, where, format, args);
	va_end(args);
	return false;
}

bool vq_bug(vq_diag *d, const char *where, const char *format, ...)
{
	va_list args;
	const char *text;

	va_start(args, format);
	text = vq_arena_vprintf(d->arena, format, args);
	va_end(args);
	d->bugs++;
	return vq_error(d, where, "internal error: %s", text);
}

bool vq_warning(vq_diag *d, const char *where, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(d, VQ_WARNING, where, format, args);
	va_end(args);
	return false;
}

bool vq_note(vq_diag *d, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(d, VQ_NOTE, NULL, format, args);
	va_end(args);
	return false;
}

bool vq_hint(vq_diag *d, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(d, VQ_HINT, NULL, format, args);
	va_end(args);
	return false;
}

/* ---- text for people ---- */

enum { LONGEST = 2000 }; /* bytes of a text; names in a file can be as long as the file */

/* Length of the valid UTF-8 sequence of a printable character at s, 0 if there is none. */
static size_t printable(const unsigned char *s, size_t left)
{
	static const uint32_t least[] = { 0, 0, 0xa0, 0x800, 0x10000 }; /* U+0080 to U+009F are controls too */
	size_t n = *s < 0x80 ? 1 : *s >= 0xf0 && *s < 0xf8 ? 4 : *s >= 0xe0 ? 3 : *s >= 0xc0 ? 2 : 0;
	uint32_t c;

	if (n == 1)
		return *s >= ' ' && *s != 0x7f;
	if (!n || n > left || *s >= 0xf8)
		return 0;
	c = *s & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	return c >= least[n] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff) ? n : 0;
}

/*
 * Names come from files that may hold anything: what would move the cursor or change colours on a terminal, or is no
 * text at all, is shown as \xNN.
 */
static const char *shown(vq_arena *a, const char *text)
{
	size_t n = strlen(text), kept = n > LONGEST ? LONGEST : n, at = 0;
	char *s = vq_arena_alloc(a, 4 * kept + 4);

	for (size_t i = 0; i < kept;) {
		const unsigned char *p = (const unsigned char *)text + i;
		size_t length = printable(p, n - i);

		if (length)
			memcpy(s + at, p, length);
		else
			snprintf(s + at, 5, "\\x%02x", (unsigned)*p);
		at += length ? length : 4;
		i += length ? length : 1;
	}
	if (kept < n)
		memcpy(s + at, "...", 4);
	return s;
}

const char *vq_message_text(const vq_diag *d, const vq_message *m)
{
	const char *file = d->file ? shown(d->arena, d->file) : "vitqc", *text = shown(d->arena, m->text);
	const char *where = m->where ? shown(d->arena, m->where) : "", *colon = m->where ? ": " : "";

	switch (m->severity) {
	case VQ_NOTE: return vq_arena_printf(d->arena, "  note: %s\n", text);
	case VQ_HINT: return vq_arena_printf(d->arena, "  hint: %s\n", text);
	case VQ_WARNING: return vq_arena_printf(d->arena, "%s: warning: %s%s%s\n", file, where, colon, text);
	case VQ_ERROR: break;
	}
	return vq_arena_printf(d->arena, "%s: %s%s%s\n", file, where, colon, text);
}
