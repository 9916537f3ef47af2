/* SPDX-License-Identifier: MIT */
#include "ir/text.h"

/* FNV-1a, 64 bit: http://www.isthe.com/chongo/tech/comp/fnv/ (offset basis and prime) */
uint64_t vq_hash(const void *data, size_t bytes)
{
	const unsigned char *p = data;
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < bytes; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}
