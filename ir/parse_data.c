/* SPDX-License-Identifier: MIT */
/* The data of .vir text: numbers, quantization entries, constants and their sidecar files. */
#include "ir/parse.h"

#include "ir/text.h"
#include "ir/verify.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Longer lists in a text are not constants but mistakes; data belongs into the sidecar. */
enum { MOST_INLINE = 1 << 16, MOST_SCALES = 1 << 20 };

/* ---- numbers ---- */

bool vq_parse_int(vq_parser *p, const char *what, int64_t least, int64_t most, int64_t *v)
{
	vq_token t = p->token;
	long long n;
	char *end;

	if (t.kind != VQ_TOKEN_NUMBER)
		return vq_parse_error(p, &t, "expected %s, got '%s'", what, t.text);
	errno = 0;
	n = strtoll(t.text, &end, 10);
	if (*end || errno || n < least || n > most)
		return vq_parse_error(p, &t, "%s is %s, expected an integer from %lld to %lld", what, t.text,
			(long long)least, (long long)most);
	*v = n;
	vq_next(p);
	return true;
}

static bool parse_hash(vq_parser *p, uint64_t *v)
{
	vq_token t = p->token;
	unsigned long long n = 0;
	char *end = NULL;

	errno = 0;
	if (t.kind == VQ_TOKEN_NUMBER && t.length > 2 && t.text[0] == '0' && t.text[1] == 'x')
		n = strtoull(t.text + 2, &end, 16);
	if (!end || *end || errno)
		return vq_parse_error(p, &t, "expected a hexadecimal number such as 0x1f, got '%s'", t.text);
	*v = n;
	vq_next(p);
	return true;
}

bool vq_parse_f32(vq_parser *p, float *v)
{
	vq_token t = p->token;
	const char *digits = t.text + (*t.text == '-' || *t.text == '+');
	char *end;

	if (vq_accept_word(p, "nan")) {
		uint64_t bits = 0;
		uint32_t narrow;

		if (!vq_expect(p, ':') || !parse_hash(p, &bits))
			return false;
		narrow = (uint32_t)bits;
		memcpy(v, &narrow, sizeof narrow);
		if (bits > UINT32_MAX || *v == *v)
			return vq_parse_error(p, &t, "these bits are no nan");
		return true;
	}
	if (t.kind == VQ_TOKEN_NUMBER ? (digits[0] < '0' || digits[0] > '9') && strcmp(digits, "inf")
				      : !vq_at_word(p, "inf"))
		return vq_parse_error(p, &t, "expected a number, got '%s'", t.text);
	errno = 0;
	/* the program never sets a locale, so the decimal point is a point */
	*v = strtof(t.text, &end);
	if (*end || (errno && (*v > 1 || *v < -1)))
		return vq_parse_error(p, &t, "'%s' is no f32 number", t.text);
	vq_next(p);
	return true;
}

/* ---- quantization entries ---- */

/* "[a, b, c]" of numbers; returns how many, 0 after an error */
static uint32_t parse_numbers(vq_parser *p, bool real, void **items, uint32_t most)
{
	uint32_t n = 0, cap = 0;
	int64_t v;

	*items = NULL;
	if (!vq_expect(p, '['))
		return 0;
	do {
		if (n == most) {
			vq_parse_error(p, &p->token, "more than %u numbers", (unsigned)most);
			return 0;
		}
		*items = vq_arena_grow(&p->scratch, *items, &cap, n + 1, 4);
		if (real) {
			if (!vq_parse_f32(p, (float *)*items + n))
				return 0;
		} else {
			if (!vq_parse_int(p, "the zero point", INT32_MIN, INT32_MAX, &v))
				return 0;
			((int32_t *)*items)[n] = (int32_t)v;
		}
		n++;
	} while (vq_accept(p, ','));
	return vq_expect(p, ']') ? n : 0;
}

bool vq_parse_entry(vq_parser *p)
{
	vq_token name = p->token;
	vq_quant q = { .bits = 8 };
	int64_t axis, lo, hi;
	void *scale, *zero;
	uint32_t zeros;
	const char *wrong;

	if (name.kind != VQ_TOKEN_ENTRY)
		return vq_parse_error(p, &name, "expected the entry's number, such as #1, got '%s'", name.text);
	vq_next(p);
	if (!vq_expect(p, '='))
		return false;
	if (!vq_accept_word(p, "axis"))
		return vq_parse_error(p, &p->token, "expected 'axis', got '%s'", p->token.text);
	if (!vq_parse_int(p, "the axis", 0, VQ_MAX_RANK - 1, &axis))
		return false;
	q.n = parse_numbers(p, true, &scale, MOST_SCALES);
	zeros = q.n ? parse_numbers(p, false, &zero, MOST_SCALES) : 0;
	if (!zeros)
		return false;
	if (zeros != q.n)
		return vq_parse_error(p, &name, "entry #%s has %u scales and %u zero points", name.text, (unsigned)q.n,
			(unsigned)zeros);
	if (!vq_parse_int(p, "the lowest code", -128, 127, &lo) || !vq_expect(p, ':') ||
		!vq_parse_int(p, "the highest code", -128, 127, &hi))
		return false;
	q.axis = (int32_t)axis;
	q.lo = (int32_t)lo;
	q.hi = (int32_t)hi;
	q.scale = scale;
	q.zero = zero;
	wrong = vq_quant_problem(&p->scratch, &q);
	if (wrong)
		return vq_parse_error(p, &name, "entry #%s: %s", name.text, wrong);
	return vq_add_symbol(p, &name, '#', name.text, vq_quant_add(p->g, &q));
}

/* ---- constants ---- */

static bool parse_element(vq_parser *p, vq_elem e, void *to)
{
	static const struct {
		int64_t least, most;
	} range[] = {
		[VQ_I64] = { INT64_MIN, INT64_MAX },
		[VQ_I32] = { INT32_MIN, INT32_MAX },
		[VQ_BOOL] = { 0, 1 },
		[VQ_U8] = { 0, 255 },
		[VQ_S8] = { -128, 127 },
	};
	int64_t v;

	if (e == VQ_F32)
		return vq_parse_f32(p, to);
	if (!vq_parse_int(p, "the element", range[e].least, range[e].most, &v))
		return false;
	if (e == VQ_I64)
		*(int64_t *)to = v;
	else if (e == VQ_I32)
		*(int32_t *)to = (int32_t)v;
	else if (e == VQ_S8)
		*(int8_t *)to = (int8_t)v;
	else
		*(uint8_t *)to = (uint8_t)v;
	return true;
}

static const void *parse_inline(vq_parser *p, const vq_type *t)
{
	int64_t n = vq_type_count(t);
	char *data;

	if (n > MOST_INLINE) {
		vq_parse_error(p, &p->token, "%lld elements inline, expected at most %d", (long long)n, MOST_INLINE);
		return NULL;
	}
	if (!vq_expect(p, '['))
		return NULL;
	data = vq_arena_alloc(p->g->arena, vq_type_bytes(t));
	for (int64_t i = 0; i < n; i++)
		if ((i && !vq_expect(p, ',')) || !parse_element(p, t->elem, data + (size_t)i * vq_elem_bytes(t->elem)))
			return NULL;
	return vq_expect(p, ']') ? data : NULL;
}

/* opens the sidecar called name, next to the text */
static bool open_sidecar(vq_parser *p, const vq_token *name)
{
	off_t end;

	if (p->sidecar && !strcmp(p->sidecar_name, name->text))
		return true;
	if (p->sidecar)
		fclose(p->sidecar);
	p->sidecar = NULL;
	if (strpbrk(name->text, "/\\") || !*name->text)
		return vq_parse_error(p, name, "'%s' is no file in the folder of this text", name->text);
	p->sidecar_name = name->text;
	p->sidecar = fopen(vq_arena_printf(&p->scratch, "%s/%s", p->folder, name->text), "rb");
	if (!p->sidecar)
		return vq_parse_error(p, name, "cannot open '%s' in '%s': %s", name->text, p->folder, strerror(errno));
	if (fseeko(p->sidecar, 0, SEEK_END) || (end = ftello(p->sidecar)) < 0)
		return vq_parse_error(p, name, "cannot find the size of '%s': %s", name->text, strerror(errno));
	p->sidecar_bytes = (uint64_t)end;
	return true;
}

/* the file is little endian */
static void to_host_order(unsigned char *data, size_t bytes, size_t size)
{
	const uint16_t one = 1;
	unsigned char first;

	memcpy(&first, &one, 1);
	for (size_t at = 0; first != 1 && size > 1 && at < bytes; at += size)
		for (size_t i = 0; i < size / 2; i++) {
			unsigned char c = data[at + i];

			data[at + i] = data[at + size - 1 - i];
			data[at + size - 1 - i] = c;
		}
}

static const void *parse_file(vq_parser *p, const vq_type *t)
{
	vq_token name = p->token;
	size_t bytes = vq_type_bytes(t);
	int64_t offset;
	uint64_t hash;
	unsigned char *data;

	if (name.kind != VQ_TOKEN_STRING) {
		vq_parse_error(p, &name, "expected the file's name in quotes, got '%s'", name.text);
		return NULL;
	}
	vq_next(p);
	if (!vq_parse_int(p, "the offset", 0, INT64_MAX, &offset))
		return NULL;
	if (!vq_accept_word(p, "hash")) {
		vq_parse_error(p, &p->token, "expected 'hash', got '%s'", p->token.text);
		return NULL;
	}
	if (!parse_hash(p, &hash) || !open_sidecar(p, &name))
		return NULL;
	if ((uint64_t)offset > p->sidecar_bytes || bytes > p->sidecar_bytes - (uint64_t)offset) {
		vq_parse_error(p, &name, "'%s' has %llu bytes, the constant takes %zu at %lld", name.text,
			(unsigned long long)p->sidecar_bytes, bytes, (long long)offset);
		return NULL;
	}
	data = vq_arena_alloc(p->g->arena, bytes);
	if (fseeko(p->sidecar, (off_t)offset, SEEK_SET) || fread(data, 1, bytes, p->sidecar) != bytes) {
		vq_parse_error(p, &name, "cannot read '%s'", name.text);
		return NULL;
	}
	if (vq_hash(data, bytes) != hash) {
		vq_parse_error(p, &name,
			"the %zu bytes at %lld of '%s' are not those the text was written with: "
			"the hash differs",
			bytes, (long long)offset, name.text);
		return NULL;
	}
	for (size_t i = 0; t->elem == VQ_BOOL && i < bytes; i++)
		if (data[i] > 1) {
			vq_parse_error(p, &name, "element %zu of a bool constant is %u, expected 0 or 1", i,
				(unsigned)data[i]);
			return NULL;
		}
	to_host_order(data, bytes, vq_elem_bytes(t->elem));
	return data;
}

bool vq_parse_constant(vq_parser *p)
{
	vq_token name = p->token;
	const void *data;
	vq_type t;
	bool numbered;

	if (name.kind != VQ_TOKEN_CONSTANT)
		return vq_parse_error(p, &name, "expected the constant's name, such as @0, got '%s'", name.text);
	vq_next(p);
	if (!vq_expect(p, ':') || !vq_parse_type(p, &t) || !vq_expect(p, '='))
		return false;
	if (vq_accept_word(p, "inline")) {
		data = parse_inline(p, &t);
	} else if (vq_accept_word(p, "file")) {
		data = parse_file(p, &t);
	} else if (vq_at_word(p, "hash")) {
		return vq_parse_error(p, &name,
			"the data of constant @%s is not in this text, which was printed without a "
			"sidecar file",
			name.text);
	} else {
		return vq_parse_error(p, &p->token, "expected 'inline' or 'file', got '%s'", p->token.text);
	}
	if (!data)
		return false;
	numbered = *name.text >= '0' && *name.text <= '9';
	return vq_add_symbol(p, &name, '@', name.text,
		vq_add_const(p->g, &t, data, numbered ? NULL : vq_arena_strndup(p->g->arena, name.text, name.length))
			.id);
}
