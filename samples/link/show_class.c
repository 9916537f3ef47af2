/* SPDX-License-Identifier: MIT */
/* Prints the class of one image of an .npy file of 28x28 bytes each: show_class IMAGES.npy [N]. One model, linked in. */
#include <stdio.h>
#include <stdlib.h>

#include "vit.h"

static const char *const classes[VIT_LOGITS_COUNT] = { "T-shirt", "trouser", "pullover", "dress", "coat", "sandal",
	"shirt", "sneaker", "bag", "ankle boot" };

static float image[VIT_IMAGE_COUNT], logits[VIT_LOGITS_COUNT];
static _Alignas(VIT_WORKSPACE_ALIGN) unsigned char workspace[VIT_WORKSPACE_BYTES];

/* pixels of image `number`, normalised as in training; false if there is no such image */
static int read_image(const char *path, long number)
{
	unsigned char head[10], pixels[VIT_IMAGE_COUNT];
	FILE *f = fopen(path, "rb");
	int good = f &&
		fread(head, 1, sizeof head, f) ==
			sizeof head && /* .npy version 1: the length of a text header, then data */
		!fseek(f, 10 + head[8] + 256L * head[9] + number * (long)sizeof pixels, SEEK_SET) &&
		fread(pixels, 1, sizeof pixels, f) == sizeof pixels;

	if (f)
		fclose(f);
	for (size_t i = 0; good && i < sizeof pixels; i++)
		image[i] = ((float)pixels[i] / 255.0f - 0.2860f) / 0.3530f;
	return good;
}

int main(int argc, char **argv)
{
	long number = argc > 2 ? atol(argv[2]) : 0;
	int best = 0, error;

	if (argc < 2 || number < 0 || !read_image(argv[1], number)) {
		fprintf(stderr, "usage: show_class IMAGES.npy [N]\n");
		return 2;
	}
	error = vit_run(image, logits, workspace, sizeof workspace, NULL);
	if (error) {
		fprintf(stderr, "show_class: vit_run returned %d\n", error);
		return 1;
	}
	for (int c = 1; c < VIT_LOGITS_COUNT; c++)
		best = logits[c] > logits[best] ? c : best;
	printf("image %ld: %s\n", number, classes[best]);
	return 0;
}
