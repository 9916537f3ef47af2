/* SPDX-License-Identifier: MIT */
/*
 * .npy arrays. The format: numpy/lib/format.py; a magic, a Python dictionary as text, the elements.
 */
#include "frontend/npy.h"

#include <inttypes.h>
#include <string.h>

static const unsigned char magic[6] = { 0x93, 'N', 'U', 'M', 'P', 'Y' };

/* An element type of the file. */
typedef struct format {
	char kind;     /* 'f', 'i', 'u', 'b' */
	uint32_t size; /* bytes */
	vq_elem elem;  /* what it becomes */
} format;

static const format formats[] = { { 'f', 4, VQ_F32 }, { 'f', 8, VQ_F32 }, { 'f', 2, VQ_F32 }, { 'i', 8, VQ_I64 },
	{ 'i', 4, VQ_I32 }, { 'i', 1, VQ_S8 }, { 'u', 1, VQ_U8 }, { 'b', 1, VQ_BOOL } };

typedef struct header {
	format format;
	bool big;     /* big-endian */
	bool fortran; /* first dimension varies fastest */
	vq_type type;
} header;

/* ---- the dictionary ---- */

typedef struct cursor {
	const char *p, *end;
} cursor;

static void blanks(cursor *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\t' || *c->p == ','))
		c->p++;
}

static bool accept(cursor *c, const char *text)
{
	size_t n = strlen(text);

	if ((size_t)(c->end - c->p) < n || memcmp(c->p, text, n) != 0)
		return false;
	c->p += n;
	return true;
}

/* 'text' in either kind of quotes */
static bool quoted(cursor *c, const char **text, size_t *n)
{
	const char *close;

	if (c->p >= c->end || (*c->p != '\'' && *c->p != '"'))
		return false;
	close = memchr(c->p + 1, *c->p, (size_t)(c->end - c->p - 1));
	if (!close)
		return false;
	*text = c->p + 1;
	*n = (size_t)(close - *text);
	c->p = close + 1;
	return true;
}

static bool parse_descr(cursor *c, header *h, vq_diag *d, const char *where)
{
	const char *text;
	size_t n;

	if (!quoted(c, &text, &n))
		return vq_error(d, where, "structured arrays are not supported, expected one plain element type");
	h->big = n > 0 && *text == '>';
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
		char name[3] = { formats[i].kind, (char)('0' + formats[i].size), 0 };

		if (n == 3 && memcmp(text + 1, name, 2) == 0) {
			h->format = formats[i];
			return true;
		}
	}
	return vq_error(d, where, "element type '%.*s' is not supported, expected f2, f4, f8, i1, i4, i8, u1 or b1",
		(int)n, text);
}

static bool parse_shape(cursor *c, header *h, vq_diag *d, const char *where)
{
	int64_t count = 1;

	if (!accept(c, "("))
		return vq_error(d, where, "damaged header: no shape");
	for (blanks(c); !accept(c, ")"); blanks(c)) {
		int64_t v = 0;

		if (c->p >= c->end || *c->p < '0' || *c->p > '9')
			return vq_error(d, where, "damaged header: shape is not a list of numbers");
		for (; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++) {
			v = v * 10 + (*c->p - '0');
			if (v > INT64_C(1) << 40)
				return vq_error(d, where, "the array is too large");
		}
		accept(c, "L"); /* Python 2 wrote long integers so */
		if (h->type.rank == VQ_MAX_RANK)
			return vq_error(d, where, "the array has more than %d dimensions", VQ_MAX_RANK);
		if (v == 0)
			return vq_error(d, where, "the array is empty: dimension %u is 0", (unsigned)h->type.rank);
		h->type.dim[h->type.rank++] = v;
		if (v > (INT64_C(1) << 40) / count)
			return vq_error(d, where, "the array is too large");
		count *= v;
	}
	return true;
}

static bool parse_header(cursor *c, header *h, vq_diag *d, const char *where)
{
	bool descr = false, order = false, shape = false;

	blanks(c);
	if (!accept(c, "{"))
		return vq_error(d, where, "damaged header: no dictionary");
	for (blanks(c); !accept(c, "}"); blanks(c)) {
		const char *key;
		size_t n;

		if (!quoted(c, &key, &n))
			return vq_error(d, where, "damaged header: no key where one was expected");
		blanks(c);
		if (!accept(c, ":"))
			return vq_error(d, where, "damaged header: no value for '%.*s'", (int)n, key);
		blanks(c);
		if (n == 5 && memcmp(key, "descr", 5) == 0) {
			descr = true;
			if (!parse_descr(c, h, d, where))
				return false;
		} else if (n == 13 && memcmp(key, "fortran_order", 13) == 0) {
			order = true;
			h->fortran = accept(c, "True");
			if (!h->fortran && !accept(c, "False"))
				return vq_error(d, where, "damaged header: fortran_order is neither True nor False");
		} else if (n == 5 && memcmp(key, "shape", 5) == 0) {
			shape = true;
			if (!parse_shape(c, h, d, where))
				return false;
		} else {
			return vq_error(d, where, "damaged header: unknown key '%.*s'", (int)n, key);
		}
	}
	if (!descr || !order || !shape)
		return vq_error(d, where, "damaged header: descr, fortran_order or shape is missing");
	return true;
}

/* ---- elements ---- */

static float half_to_float(uint32_t h)
{
	uint32_t sign = (h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023, bits;
	float f;

	if (exponent == 31) {
		bits = sign | 0x7f800000 | fraction << 13;
	} else if (exponent) {
		bits = sign | (exponent + 112) << 23 | fraction << 13;
	} else { /* zero and denormals: fraction * 2^-24, exact */
		f = (float)fraction * 0x1p-24f;
		return sign ? -f : f;
	}
	memcpy(&f, &bits, sizeof f);
	return f;
}

/* Element i of the source in the host's type, stored as element o of the result. */
static void convert(const header *h, const unsigned char *from, int64_t i, void *to, int64_t o)
{
	uint64_t v = 0;
	double wide;

	from += (uint64_t)i * h->format.size;
	for (uint32_t k = 0; k < h->format.size; k++)
		v |= (uint64_t)from[k] << 8 * (h->big ? h->format.size - 1 - k : k);
	switch (h->format.elem) {
	case VQ_F32:
		if (h->format.size == 2) {
			((float *)to)[o] = half_to_float((uint32_t)v);
		} else if (h->format.size == 8) {
			memcpy(&wide, &v, sizeof wide);
			((float *)to)[o] = (float)wide;
		} else {
			((uint32_t *)to)[o] = (uint32_t)v;
		}
		break;
	case VQ_I64: ((uint64_t *)to)[o] = v; break;
	case VQ_I32: ((uint32_t *)to)[o] = (uint32_t)v; break;
	case VQ_BOOL: ((unsigned char *)to)[o] = v != 0; break;
	default: ((unsigned char *)to)[o] = (unsigned char)v; break;
	}
}

static bool host_is_big(void)
{
	const uint16_t one = 1;
	unsigned char first;

	memcpy(&first, &one, 1);
	return first == 0;
}

static const void *elements(const header *h, vq_arena *arena, const unsigned char *from)
{
	int64_t n = vq_type_count(&h->type), at[VQ_MAX_RANK] = { 0 }, stride[VQ_MAX_RANK], source = 0, step = 1;
	size_t size = vq_elem_bytes(h->type.elem);
	void *to;

	if (!h->fortran && size == h->format.size && h->type.elem != VQ_BOOL &&
		(size == 1 || h->big == host_is_big()) && (uintptr_t)from % 16 == 0)
		return from;
	for (uint32_t k = 0; k < h->type.rank; k++) {
		uint32_t axis = h->fortran ? k : h->type.rank - 1 - k;

		stride[axis] = step;
		step *= h->type.dim[axis];
	}
	to = vq_arena_array(arena, (size_t)n, size);
	for (int64_t o = 0; o < n; o++) {
		convert(h, from, source, to, o);
		for (uint32_t k = h->type.rank; k-- > 0;) {
			source += stride[k];
			if (++at[k] < h->type.dim[k])
				break;
			source -= stride[k] * h->type.dim[k];
			at[k] = 0;
		}
	}
	return to;
}

bool vq_npy_parse(vq_array *array, vq_arena *arena, vq_diag *diag, const char *where, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	header h = { .big = false };
	cursor c;
	size_t length, start;
	uint64_t need;

	if (n < 10 || memcmp(p, magic, sizeof magic) != 0)
		return vq_error(diag, where, "is not a .npy file");
	if (p[6] < 1 || p[6] > 3)
		return vq_error(diag, where, ".npy version %u.%u is not supported, expected 1 to 3", p[6], p[7]);
	start = p[6] == 1 ? 10 : 12;
	if (n < start)
		return vq_error(diag, where, "the file is cut off in its header");
	length = (size_t)p[8] | (size_t)p[9] << 8;
	if (p[6] > 1)
		length |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
	if (length > n - start)
		return vq_error(diag, where, "the file is cut off in its header");
	c = (cursor){ (const char *)p + start, (const char *)p + start + length };
	if (!parse_header(&c, &h, diag, where))
		return false;
	h.type.elem = h.format.elem;
	need = (uint64_t)vq_type_count(&h.type) * h.format.size;
	if (need > n - start - length)
		return vq_error(diag, where, "the file is cut off: %" PRIu64 " bytes of elements expected, got %zu",
			need, n - start - length);
	*array = (vq_array){ .type = h.type, .data = elements(&h, arena, p + start + length) };
	return true;
}

/* ---- writing ---- */

/* The header up to the elements; returns its length, a multiple of 64. */
static size_t make_header(char *text, const vq_type *t)
{
	static const char *const names[VQ_ELEM_COUNT] = {
		[VQ_F32] = "f4", [VQ_I64] = "i8", [VQ_I32] = "i4", [VQ_BOOL] = "b1", [VQ_U8] = "u1", [VQ_S8] = "i1"
	};
	char order = vq_elem_bytes(t->elem) == 1 ? '|' : host_is_big() ? '>' : '<';
	size_t n = 10, padded;

	memcpy(text, magic, sizeof magic);
	text[6] = 1;
	text[7] = 0;
	n += (size_t)sprintf(text + n, "{'descr': '%c%s', 'fortran_order': False, 'shape': (", order, names[t->elem]);
	for (uint32_t i = 0; i < t->rank; i++)
		n += (size_t)sprintf(text + n, "%s%" PRId64, i ? ", " : "", t->dim[i]);
	n += (size_t)sprintf(text + n, "%s), }", t->rank == 1 ? "," : "");
	padded = (n + 1 + 63) / 64 * 64;
	memset(text + n, ' ', padded - n);
	text[padded - 1] = '\n';
	text[8] = (char)((padded - 10) & 0xff);
	text[9] = (char)((padded - 10) >> 8);
	return padded;
}

enum { HEADER_MOST = 512 }; /* 60 bytes of text and 8 dimensions of at most 22 */

const void *vq_npy_bytes(vq_arena *arena, const vq_array *array, size_t *n)
{
	char text[HEADER_MOST];
	size_t start = make_header(text, &array->type), elements = vq_type_bytes(&array->type);
	unsigned char *all = vq_arena_alloc(arena, start + elements);

	memcpy(all, text, start);
	memcpy(all + start, array->data, elements);
	*n = start + elements;
	return all;
}
