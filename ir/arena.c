/* SPDX-License-Identifier: MIT */
#include "ir/arena.h"

#include "ir/sanitizer.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ALIGN_LARGE = 64,
	ALIGN_SMALL = 16,
#ifdef VQ_WITH_ASAN
	BLOCK_BYTES = 32 * 1024, /* what its allocator keeps at hand; larger ones it maps and unmaps every time */
	REDZONE = ALIGN_SMALL,   /* bytes between two pieces that nobody may touch */
#else
	BLOCK_BYTES = 256 * 1024, /* a ViT-S graph without its weights fits in two */
	REDZONE = 0,
#endif
};

struct vq_arena_block {
	struct vq_arena_block *older;
	size_t bytes;  /* of data */
	void *adopted; /* a heap block of its own, NULL: none */
	bool may_go;   /* marked: holds one piece, which may be released */
	alignas(ALIGN_LARGE) unsigned char data[];
};

static vq_oom_handler *oom_handler;
static void *oom_user;
static uint64_t fail_in; /* allocations until the injected failure, 0 = off */

void vq_set_oom_handler(vq_oom_handler *handler, void *user)
{
	oom_handler = handler;
	oom_user = user;
}

void vq_fail_allocation(uint64_t n) { fail_in = n; }

static VQ_NORETURN void out_of_memory(void)
{
	if (oom_handler)
		oom_handler(oom_user);
	abort();
}

static void *checked(size_t align, size_t bytes)
{
	void *p = NULL;

	if (fail_in && --fail_in == 0)
		out_of_memory();
	bytes = bytes ? bytes : 1;
	if (bytes > SIZE_MAX - align)
		out_of_memory();
	p = aligned_alloc(align, (bytes + align - 1) / align * align);
	if (!p)
		out_of_memory();
	VQ_POISON((char *)p + bytes, (bytes + align - 1) / align * align - bytes);
	return p;
}

void *vq_alloc(size_t bytes)
{
	void *p = checked(ALIGN_LARGE, bytes);

	memset(p, 0, bytes);
	return p;
}

void vq_free(void *block) { free(block); }

void *vq_resize(void *block, size_t bytes)
{
	void *p;

	if (fail_in && --fail_in == 0)
		out_of_memory();
	p = realloc(block, bytes ? bytes : 1);
	if (!p)
		out_of_memory();
	return p;
}

void *vq_arena_alloc(vq_arena *a, size_t bytes)
{
	size_t align = bytes >= ALIGN_LARGE ? ALIGN_LARGE : ALIGN_SMALL;
	size_t at = (a->used + REDZONE + align - 1) / align * align;

	if (!a->block || at > a->block->bytes || bytes > a->block->bytes - at) {
		size_t want = bytes > BLOCK_BYTES / 4 ? bytes : BLOCK_BYTES;
		struct vq_arena_block *b;

		if (want > SIZE_MAX - sizeof *b)
			out_of_memory();
		b = checked(ALIGN_LARGE, sizeof *b + want);
		*b = (struct vq_arena_block){ .bytes = want };
		VQ_POISON(b->data, want);
		/* a large request gets a block of its own behind the current one, which stays open */
		if (a->block && want == bytes) {
			b->older = a->block->older;
			a->block->older = b;
			VQ_UNPOISON(b->data, bytes);
			memset(b->data, 0, bytes);
			return b->data;
		}
		b->older = a->block;
		a->block = b;
		at = 0;
	}
	a->used = at + bytes;
	VQ_UNPOISON(a->block->data + at, bytes);
	memset(a->block->data + at, 0, bytes);
	return a->block->data + at;
}

void *vq_arena_array(vq_arena *a, size_t count, size_t size)
{
	if (size && count > SIZE_MAX / size)
		out_of_memory();
	return vq_arena_alloc(a, count * size);
}

char *vq_arena_vprintf(vq_arena *a, const char *format, va_list args)
{
	va_list again;
	int n;
	char *text;

	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	text = vq_arena_alloc(a, (size_t)(n < 0 ? 0 : n) + 1);
	if (n > 0)
		vsnprintf(text, (size_t)n + 1, format, again);
	va_end(again);
	return text;
}

char *vq_arena_printf(vq_arena *a, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = vq_arena_vprintf(a, format, args);
	va_end(args);
	return text;
}

char *vq_arena_strndup(vq_arena *a, const char *text, size_t length)
{
	char *copy = vq_arena_alloc(a, length + 1);

	memcpy(copy, text, length);
	return copy;
}

void *vq_arena_adopt(vq_arena *a, void *block)
{
	struct vq_arena_block *b = checked(ALIGN_LARGE, sizeof *b);

	*b = (struct vq_arena_block){ .adopted = block };
	if (a->block) { /* behind the current one, which stays open */
		b->older = a->block->older;
		a->block->older = b;
	} else {
		a->block = b;
	}
	return block;
}

void vq_arena_mark(vq_arena *a, const void *p)
{
	struct vq_arena_block *b = a->block;

	while (b && p != b->data)
		b = b->older;
	if (b && b->bytes > BLOCK_BYTES / 4 && b->bytes != BLOCK_BYTES) /* one that was made for a large piece */
		b->may_go = true;
}

size_t vq_arena_release(vq_arena *a, const void *const *kept, size_t n)
{
	struct vq_arena_block **link = &a->block;
	size_t released = 0;

	while (*link) {
		struct vq_arena_block *b = *link;
		uintptr_t from = (uintptr_t)b->data;
		size_t i = 0;

		while (b->may_go && i < n && ((uintptr_t)kept[i] < from || (uintptr_t)kept[i] - from >= b->bytes))
			i++;
		if (b == a->block || !b->may_go || i < n) {
			link = &b->older;
			continue;
		}
		released += b->bytes;
		*link = b->older;
		free(b);
	}
	return released;
}

void vq_arena_free(vq_arena *a)
{
	while (a->block) {
		struct vq_arena_block *older = a->block->older;

		free(a->block->adopted);
		free(a->block);
		a->block = older;
	}
	a->used = 0;
}

void *vq_arena_grow(vq_arena *a, void *items, uint32_t *cap, uint32_t need, size_t size)
{
	uint32_t n = *cap ? *cap : 8;
	void *grown;

	if (need <= *cap)
		return items;
	while (n < need)
		n = n > UINT32_MAX / 2 ? UINT32_MAX : n * 2;
	grown = vq_arena_array(a, n, size);
	if (*cap) {
		memcpy(grown, items, (size_t)*cap * size);
		VQ_POISON(items, (size_t)*cap * size); /* a pointer that was kept over an append is caught */
	}
	*cap = n;
	return grown;
}
