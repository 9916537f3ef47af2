/* SPDX-License-Identifier: MIT */
/*
 * Classifies all test images of samples/fashion with one object, whose header is included by the command line, and prints how many
 * are right.
 *
 *   accuracy IMAGES.npy LABELS.npy
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIXELS = 28 * 28, CLASSES = 10, MOST = 10000 };

static unsigned char images[MOST * PIXELS], labels[MOST];
static _Alignas(64) unsigned char workspace[MODEL_WORKSPACE_BYTES];

/* the bytes of an .npy file of version 1; how many */
static size_t read_npy(const char *path, unsigned char *to, size_t most)
{
	unsigned char head[10];
	FILE *f = fopen(path, "rb");
	size_t n = 0;

	if (f && fread(head, 1, 10, f) == 10 && !memcmp(head, "\x93NUMPY\x01", 7) &&
		!fseek(f, 10 + head[8] + 256 * head[9], SEEK_SET))
		n = fread(to, 1, most, f);
	if (f)
		fclose(f);
	return n;
}

int main(int argc, char **argv)
{
	size_t n = argc == 3 ? read_npy(argv[2], labels, MOST) : 0, right = 0;

	if (!n || read_npy(argv[1], images, n * PIXELS) != n * PIXELS) {
		fprintf(stderr, "usage: accuracy IMAGES.npy LABELS.npy\n");
		return 2;
	}
	for (size_t i = 0; i < n; i++) {
		float image[PIXELS], logits[CLASSES];
		int best = 0;

		for (int p = 0; p < PIXELS; p++)
			image[p] = ((float)images[i * PIXELS + (size_t)p] / 255.0f - 0.2860f) / 0.3530f;
		if (model_run(image, logits, workspace, sizeof workspace, NULL))
			return 1;
		for (int c = 1; c < CLASSES; c++)
			best = logits[c] > logits[best] ? c : best;
		right += best == labels[i];
	}
	printf("%zu %zu\n", right, n);
	return 0;
}
