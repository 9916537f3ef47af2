/* SPDX-License-Identifier: MIT */
/* The generator of everything here that changes bytes: the same tries everywhere. */
#ifndef VQ_TESTS_CHANCE_H
#define VQ_TESTS_CHANCE_H

#include <stddef.h>
#include <stdint.h>

/* xorshift64*; the state is not 0. */
static inline uint64_t chance_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 2685821657736338717u;
}

/* 0 to n - 1; 0 if n is 0. */
static inline size_t chance_below(uint64_t *state, size_t n) { return n ? (size_t)(chance_next(state) >> 11) % n : 0; }

#endif
