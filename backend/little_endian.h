/* SPDX-License-Identifier: MIT */
/* Numbers in files: every target is little endian, the machine that compiles may not be. */
#ifndef VQ_BACKEND_LITTLE_ENDIAN_H
#define VQ_BACKEND_LITTLE_ENDIAN_H

#include <stdint.h>

static inline void vq_put(unsigned char *p, uint64_t v, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		p[i] = (unsigned char)(v >> 8 * i);
}

#endif
