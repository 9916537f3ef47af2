/* SPDX-License-Identifier: MIT */
/* malloc of the whole program, libraries included, that fails when it is told to. For glibc, not together with AddressSanitizer. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "tests/fuzz/fail_malloc.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

static uint64_t left; /* allocations until one fails; 0: none will */
static bool *reached; /* it has failed; shared with the processes that are forked */

bool fail_malloc_reached(void) { return reached && *reached; }

void fail_malloc(uint64_t n)
{
	if (!reached)
		reached = mmap(NULL, sizeof *reached, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*reached = false;
	left = n;
}

static bool fails(void)
{
	if (left == 0 || --left > 0)
		return false;
	*reached = true;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t n) { return fails() ? NULL : __libc_malloc(n); }

void *calloc(size_t n, size_t size) { return fails() ? NULL : __libc_calloc(n, size); }

void *realloc(void *p, size_t n) { return fails() ? NULL : __libc_realloc(p, n); }
