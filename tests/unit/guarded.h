/* SPDX-License-Identifier: MIT */
/* Memory that ends at an unreadable page, so that one byte too far is a fault and not luck. */
#ifndef VQ_TESTS_GUARDED_H
#define VQ_TESTS_GUARDED_H

#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

typedef struct guarded {
	void *data;
	size_t bytes;
	char *map;
	size_t map_bytes;
} guarded;

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS 0x20
#endif

/* data[bytes] ends exactly where the unreadable page begins */
static inline guarded guarded_alloc(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (bytes + page - 1) / page * page;
	guarded g = { .bytes = bytes, .map_bytes = room + page };

	g.map = mmap(NULL, g.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(g.map != MAP_FAILED);
	assert_int_equal(mprotect(g.map + room, page, PROT_NONE), 0);
	g.data = g.map + room - bytes;
	return g;
}

static inline void guarded_free(guarded *g) { munmap(g->map, g->map_bytes); }

#endif
