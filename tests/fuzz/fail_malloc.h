/* SPDX-License-Identifier: MIT */
#ifndef VQ_TESTS_FAIL_MALLOC_H
#define VQ_TESTS_FAIL_MALLOC_H

#include <stdbool.h>
#include <stdint.h>

/* The n-th allocation from now on (1 = next) fails, once. 0 switches it off. */
void fail_malloc(uint64_t n);
/* Has one failed since fail_malloc, here or in a process that was forked after it? */
bool fail_malloc_reached(void);

#endif
