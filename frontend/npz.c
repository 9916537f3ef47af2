/* SPDX-License-Identifier: MIT */
/*
 * .npz: a ZIP archive of .npy files. APPNOTE.TXT of PKWARE, as far as numpy.savez and
 * savez_compressed use it, with ZIP64.
 */
#include "frontend/npy.h"

#include <string.h>
#include <zlib.h>

enum {
	END_MAGIC = 0x06054b50,
	END_BYTES = 22,
	ENTRY_MAGIC = 0x02014b50,
	ENTRY_BYTES = 46,
	LOCAL_MAGIC = 0x04034b50,
	LOCAL_BYTES = 30,
	LOCATOR_MAGIC = 0x07064b50,
	LOCATOR_BYTES = 20,
	END64_MAGIC = 0x06064b50,
	END64_BYTES = 56,
	STORED = 0,
	DEFLATED = 8,
};

typedef struct zip {
	const unsigned char *p; /* the archive */
	size_t n;               /* its bytes */
	vq_arena *arena;
	vq_diag *diag;
	const char *where;
} zip;

typedef struct entry {
	uint32_t flags, method, crc;
	uint64_t packed, bytes, local; /* sizes, and offset of the local header */
	const char *name;
} entry;

static uint64_t get(const unsigned char *p, uint32_t n)
{
	uint64_t v = 0;

	for (uint32_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << 8 * i;
	return v;
}

static bool damaged(const zip *z, const char *what) { return vq_error(z->diag, z->where, "damaged archive: %s", what); }

/* Offset and number of entries of the central directory. */
static bool find_directory(const zip *z, uint64_t *at, uint64_t *count)
{
	size_t least = z->n > END_BYTES + 65535 ? z->n - END_BYTES - 65535 : 0, i;
	const unsigned char *e;

	if (z->n < END_BYTES || get(z->p, 2) != 0x4b50)
		return vq_error(z->diag, z->where, "is not a .npz file");
	for (i = z->n - END_BYTES; get(z->p + i, 4) != END_MAGIC; i--)
		if (i == least)
			return damaged(z, "no directory");
	e = z->p + i;
	*count = get(e + 10, 2);
	*at = get(e + 16, 4);
	if (*at == 0xffffffff || *count == 0xffff) {
		uint64_t end64;

		if (i < LOCATOR_BYTES || get(e - LOCATOR_BYTES, 4) != LOCATOR_MAGIC)
			return damaged(z, "no ZIP64 directory");
		end64 = get(e - LOCATOR_BYTES + 8, 8);
		if (end64 > z->n || z->n - end64 < END64_BYTES || get(z->p + end64, 4) != END64_MAGIC)
			return damaged(z, "no ZIP64 directory");
		*count = get(z->p + end64 + 32, 8);
		*at = get(z->p + end64 + 48, 8);
	}
	if (*count > z->n / ENTRY_BYTES)
		return damaged(z, "more entries than bytes");
	return true;
}

/* Sizes too large for 32 bits stand in extra field 1, only those, in this order. */
static void read_zip64(entry *e, const unsigned char *extra, uint64_t n)
{
	while (n >= 4) {
		uint64_t id = get(extra, 2), bytes = get(extra + 2, 2);
		uint64_t *wide[3] = { &e->bytes, &e->packed, &e->local };

		extra += 4;
		n -= 4;
		if (bytes > n)
			return;
		for (uint32_t k = 0, at = 0; id == 1 && k < 3; k++) {
			if (*wide[k] != 0xffffffff || at + 8 > bytes)
				continue;
			*wide[k] = get(extra + at, 8);
			at += 8;
		}
		extra += bytes;
		n -= bytes;
	}
}

static bool read_entry(const zip *z, uint64_t *at, entry *e)
{
	const unsigned char *p = z->p + *at;
	uint64_t name, extra, comment;

	if (*at > z->n || z->n - *at < ENTRY_BYTES || get(p, 4) != ENTRY_MAGIC)
		return damaged(z, "the directory is cut off");
	name = get(p + 28, 2);
	extra = get(p + 30, 2);
	comment = get(p + 32, 2);
	if (name + extra + comment > z->n - *at - ENTRY_BYTES)
		return damaged(z, "the directory is cut off");
	*e = (entry){ .flags = (uint32_t)get(p + 8, 2),
		.method = (uint32_t)get(p + 10, 2),
		.crc = (uint32_t)get(p + 16, 4),
		.packed = get(p + 20, 4),
		.bytes = get(p + 24, 4),
		.local = get(p + 42, 4),
		.name = vq_arena_strndup(z->arena, (const char *)p + ENTRY_BYTES, (size_t)name) };
	read_zip64(e, p + ENTRY_BYTES + name, extra);
	*at += ENTRY_BYTES + name + extra + comment;
	return true;
}

static const void *inflated(const zip *z, const entry *e, const unsigned char *from)
{
	unsigned char *to;
	z_stream s = { .next_in = (Bytef *)(uintptr_t)from };
	uint64_t in = e->packed, out = e->bytes;
	int r = Z_OK;

	if (e->bytes / 1100 > e->packed) { /* deflate cannot shrink by more than 1032 */
		damaged(z, "an entry claims to be larger than it can be");
		return NULL;
	}
	to = vq_arena_alloc(z->arena, (size_t)e->bytes);
	s.next_out = to;
	if (inflateInit2(&s, -MAX_WBITS) != Z_OK) {
		vq_error(z->diag, z->where, "out of memory in zlib");
		return NULL;
	}
	while (r == Z_OK) { /* zlib counts in 32 bits */
		if (s.avail_in == 0) {
			s.avail_in = (uInt)(in > 1u << 30 ? 1u << 30 : in);
			in -= s.avail_in;
		}
		if (s.avail_out == 0) {
			s.avail_out = (uInt)(out > 1u << 30 ? 1u << 30 : out);
			out -= s.avail_out;
		}
		r = inflate(&s, Z_NO_FLUSH);
		if (r == Z_OK && ((s.avail_in == 0 && in == 0) || (s.avail_out == 0 && out == 0)))
			r = Z_BUF_ERROR;
	}
	out += s.avail_out;
	inflateEnd(&s);
	if (r != Z_STREAM_END || out != 0) {
		damaged(z, "an entry cannot be inflated");
		return NULL;
	}
	return to;
}

static uint32_t checksum(const unsigned char *p, uint64_t n)
{
	uLong crc = crc32(0, NULL, 0);

	while (n) {
		uInt part = (uInt)(n > 1u << 30 ? 1u << 30 : n);

		crc = crc32(crc, p, part);
		p += part;
		n -= part;
	}
	return (uint32_t)crc;
}

static bool read_array(const zip *z, const entry *e, vq_array *array)
{
	const unsigned char *local = z->p + e->local, *from;
	const void *data;
	uint64_t skip;
	size_t n = strlen(e->name);

	if (n < 5 || strcmp(e->name + n - 4, ".npy") != 0)
		return vq_error(z->diag, z->where, "entry '%s' is not an array (.npy)", e->name);
	if (e->flags & 1)
		return vq_error(z->diag, z->where, "entry '%s' is encrypted", e->name);
	if (e->method != STORED && e->method != DEFLATED)
		return vq_error(z->diag, z->where, "entry '%s' has compression method %u, expected stored or deflated",
			e->name, (unsigned)e->method);
	if (e->local > z->n || z->n - e->local < LOCAL_BYTES || get(local, 4) != LOCAL_MAGIC)
		return damaged(z, "an entry lies outside the file");
	skip = LOCAL_BYTES + get(local + 26, 2) + get(local + 28, 2);
	if (skip > z->n - e->local || e->packed > z->n - e->local - skip ||
		(e->method == STORED && e->packed != e->bytes))
		return damaged(z, "an entry lies outside the file");
	from = local + skip;
	data = e->method == STORED ? from : inflated(z, e, from);
	if (!data)
		return false;
	if (checksum(data, e->bytes) != e->crc)
		return damaged(z, "an entry's checksum is wrong");
	if (!vq_npy_parse(array, z->arena, z->diag,
		    vq_arena_printf(z->arena, "%s, array '%.*s'", z->where, (int)n - 4, e->name), data,
		    (size_t)e->bytes))
		return false;
	array->name = vq_arena_strndup(z->arena, e->name, n - 4);
	return true;
}

bool vq_npz_parse(vq_array **array, uint32_t *n_arrays, vq_arena *arena, vq_diag *diag, const char *where,
	const void *bytes, size_t n)
{
	zip z = { .p = bytes, .n = n, .arena = arena, .diag = diag, .where = where };
	uint64_t at = 0, count = 0;

	if (!find_directory(&z, &at, &count))
		return false;
	if (count == 0)
		return vq_error(diag, where, "the archive has no arrays");
	*array = VQ_ARRAY(arena, count, vq_array);
	*n_arrays = (uint32_t)count;
	for (uint64_t i = 0; i < count; i++) {
		entry e = { .flags = 0 };

		if (!read_entry(&z, &at, &e) || !read_array(&z, &e, *array + i))
			return false;
	}
	return true;
}

/* ---- writing ---- */

static void put(unsigned char **p, uint64_t v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		*(*p)++ = (unsigned char)(v >> 8 * i);
}

enum { DATE = 0x21 }; /* 1980-01-01, the earliest there is: archives carry no time */

/* The fields local header and directory entry share, from "version needed" on. */
static void put_common(unsigned char **p, uint32_t crc, uint64_t bytes, size_t name)
{
	put(p, 20, 2);
	put(p, 0, 2);
	put(p, STORED, 2);
	put(p, 0, 2);
	put(p, DATE, 2);
	put(p, crc, 4);
	put(p, bytes, 4);
	put(p, bytes, 4);
	put(p, name, 2);
	put(p, 0, 2);
}

static bool write_all(FILE *f, const void *p, size_t n) { return fwrite(p, 1, n, f) == n; }

bool vq_npz_write(FILE *f, const vq_array *array, uint32_t n)
{
	vq_arena arena = { .block = NULL };
	uint64_t *local = VQ_ARRAY(&arena, n, uint64_t), *bytes = VQ_ARRAY(&arena, n, uint64_t), at = 0, directory;
	uint32_t *crc = VQ_ARRAY(&arena, n, uint32_t);
	unsigned char head[ENTRY_BYTES], *p;
	bool good = true;

	for (uint32_t i = 0; i < n && good; i++) {
		const char *name = vq_arena_printf(&arena, "%s.npy", array[i].name);
		size_t length = 0;
		const void *data = vq_npy_bytes(&arena, &array[i], &length);

		bytes[i] = length;
		local[i] = at;
		crc[i] = checksum(data, length);
		p = head;
		put(&p, LOCAL_MAGIC, 4);
		put_common(&p, crc[i], length, strlen(name));
		good = at + length < 0xf0000000u && write_all(f, head, LOCAL_BYTES) &&
			write_all(f, name, strlen(name)) && write_all(f, data, length);
		at += LOCAL_BYTES + strlen(name) + length;
	}
	directory = at;
	for (uint32_t i = 0; i < n && good; i++) {
		const char *name = vq_arena_printf(&arena, "%s.npy", array[i].name);

		p = head;
		put(&p, ENTRY_MAGIC, 4);
		put(&p, 20, 2);
		put_common(&p, crc[i], bytes[i], strlen(name));
		put(&p, 0, 2); /* comment */
		put(&p, 0, 2); /* disk */
		put(&p, 0, 2);
		put(&p, 0, 4);
		put(&p, local[i], 4);
		good = write_all(f, head, ENTRY_BYTES) && write_all(f, name, strlen(name));
		at += ENTRY_BYTES + strlen(name);
	}
	p = head;
	put(&p, END_MAGIC, 4);
	put(&p, 0, 4);
	put(&p, n, 2);
	put(&p, n, 2);
	put(&p, at - directory, 4);
	put(&p, directory, 4);
	put(&p, 0, 2);
	good = good && n < 0xffff && write_all(f, head, END_BYTES);
	vq_arena_free(&arena);
	return good;
}
