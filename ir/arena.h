/* SPDX-License-Identifier: MIT */
/* Memory: arenas over one checked malloc. Nothing else in vitqc's own code calls malloc. */
#ifndef VQ_IR_ARENA_H
#define VQ_IR_ARENA_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define VQ_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define VQ_NORETURN __attribute__((noreturn))
#else
#define VQ_PRINTF(fmt, first)
#define VQ_NORETURN
#endif

/*
 * Called when memory runs out (or fault injection says so); must not return. The program sets it once:
 * main prints one message, removes temporary files and exits with 1. Without a handler: abort().
 */
typedef void vq_oom_handler(void *user);
void vq_set_oom_handler(vq_oom_handler *handler, void *user);

/* Fault injection for tests: the n-th allocation from now on (1 = next) fails, once. 0 switches it off. */
void vq_fail_allocation(uint64_t n);

/* Checked heap blocks for what outlives no arena (buffers of run time size). Zeroed. Never return NULL. */
void *vq_alloc(size_t bytes);
void vq_free(void *block); /* NULL is fine */
/* block (of vq_alloc, vq_resize, or NULL) with that many bytes, maybe moved; new ones have any value, alignment is 16. Never NULL. */
void *vq_resize(void *block, size_t bytes);

/* A growing region that is freed as a whole. All-zero is an empty arena. Under AddressSanitizer its pieces stand apart. */
typedef struct vq_arena {
	struct vq_arena_block *block; /* newest block, linked to older ones */
	size_t used;                  /* bytes used in it */
} vq_arena;

/* Zeroed memory aligned to 64 bytes if bytes >= 64, else to 16; bytes may be 0 (a unique pointer). Never NULL. */
void *vq_arena_alloc(vq_arena *a, size_t bytes);
/* count * size, checked for overflow (an overflow counts as running out of memory) */
void *vq_arena_array(vq_arena *a, size_t count, size_t size);
char *vq_arena_printf(vq_arena *a, const char *format, ...) VQ_PRINTF(2, 3);
char *vq_arena_vprintf(vq_arena *a, const char *format, va_list args);
char *vq_arena_strndup(vq_arena *a, const char *text, size_t length);
void vq_arena_free(vq_arena *a);

/*
 * Large pieces that can go before the arena does. vq_arena_mark: what was allocated at p may be released, if it is large enough to
 * stand alone (else nothing happens). vq_arena_release frees all such pieces into which none of kept[n] points and returns their bytes.
 */
void vq_arena_mark(vq_arena *a, const void *p);
size_t vq_arena_release(vq_arena *a, const void *const *kept, size_t n);
/* a block of vq_alloc or vq_resize is freed with the arena; returns it */
void *vq_arena_adopt(vq_arena *a, void *block);

#define VQ_NEW(arena, type) ((type *)vq_arena_alloc((arena), sizeof(type)))
#define VQ_ARRAY(arena, count, type) ((type *)vq_arena_array((arena), (count), sizeof(type)))

/*
 * Growing array in an arena: items points to at least *cap elements of size bytes each, returns items
 * (maybe moved) with room for need elements, new ones zeroed. Nobody may use the old place any more; it goes with the arena.
 */
void *vq_arena_grow(vq_arena *a, void *items, uint32_t *cap, uint32_t need, size_t size);

#endif
