/* SPDX-License-Identifier: MIT */
/* Target of libFuzzer: calibration files in memory; what the bytes begin with says which reader they are for. */
#include "tests/fuzz/promises.h"

#include "frontend/image.h"
#include "frontend/npy.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	vq_arena a = { 0 };
	vq_diag d;
	vq_array one, *all;
	vq_image image;
	uint32_t n;
	bool good;

	vq_diag_init(&d, &a, "samples");
	if (size > 2 && !memcmp(data, "\x93N", 2))
		good = vq_npy_parse(&one, &a, &d, "samples.npy", data, size);
	else if (size > 2 && (!memcmp(data, "\x89P", 2) || !memcmp(data, "\xff\xd8", 2)))
		good = vq_image_decode(&image, &a, &d, "image", data, size, size % 2 ? 3 : 1);
	else
		good = vq_npz_parse(&all, &n, &a, &d, "samples.npz", data, size);
	keep_promises(&d, good);
	vq_arena_free(&a);
	return 0;
}
