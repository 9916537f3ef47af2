/* SPDX-License-Identifier: MIT */
/*
 * Classifies all test images with six compiled objects: two models, each as float, as naive int8 (min-max observers, nothing
 * folded) and as RepQ int8. Prints accuracy and time per image of each.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hard_float.h"
#include "hard_naive.h"
#include "hard_repq.h"
#include "plain_float.h"
#include "plain_naive.h"
#include "plain_repq.h"

enum { SIDE = 28, PIXELS = SIDE * SIDE, CLASSES = 10 };
#define MEAN 0.2860f /* of the training images, as the model expects (samples/fashion/train.py) */
#define STD 0.3530f

typedef int run_function(const float *image, float *logits, void *workspace, size_t bytes, const vitq_env *env);

/* the data of an .npy file of bytes (version 1: a 10 byte preamble, then a text header); *n: how many bytes */
static unsigned char *read_npy(const char *path, size_t *n)
{
	unsigned char head[10], *data = NULL;
	FILE *f = fopen(path, "rb");

	if (f && fread(head, 1, 10, f) == 10 && !memcmp(head, "\x93NUMPY\x01", 7)) {
		long start = 10 + head[8] + 256 * head[9];

		fseek(f, 0, SEEK_END);
		*n = (size_t)(ftell(f) - start);
		fseek(f, start, SEEK_SET);
		data = malloc(*n);
		if (data && fread(data, 1, *n, f) != *n)
			data = NULL;
	}
	if (f)
		fclose(f);
	if (!data) {
		fprintf(stderr, "classify: cannot read %s\n", path);
		exit(1);
	}
	return data;
}

static void test(const char *name, run_function *run, size_t bytes, const unsigned char *images,
	const unsigned char *labels, size_t n)
{
	void *workspace = aligned_alloc(64, (bytes + 63) / 64 * 64);
	size_t right = 0;
	double ms = 0;

	for (size_t i = 0; i < n; i++) {
		float image[PIXELS], logits[CLASSES];
		struct timespec t0, t1;
		int best = 0, e;

		for (int p = 0; p < PIXELS; p++)
			image[p] = ((float)images[i * PIXELS + (size_t)p] / 255.0f - MEAN) / STD;
		clock_gettime(CLOCK_MONOTONIC, &t0);
		e = run(image, logits, workspace, bytes, NULL);
		clock_gettime(CLOCK_MONOTONIC, &t1);
		if (e) {
			fprintf(stderr, "classify: %s: error %d\n", name, e);
			exit(1);
		}
		ms += (double)(t1.tv_sec - t0.tv_sec) * 1e3 + (double)(t1.tv_nsec - t0.tv_nsec) * 1e-6;
		for (int c = 1; c < CLASSES; c++)
			best = logits[c] > logits[best] ? c : best;
		right += best == labels[i];
	}
	printf("%-24s %6.2f %%  %7.3f ms/image\n", name, 100.0 * (double)right / (double)n, ms / (double)n);
	free(workspace);
}

int main(int argc, char **argv)
{
	const char *folder = argc > 1 ? argv[1] : ".";
	char path[2][4096];
	size_t n, bytes;

	snprintf(path[0], sizeof path[0], "%s/test_images.npy", folder);
	snprintf(path[1], sizeof path[1], "%s/test_labels.npy", folder);
	unsigned char *images = read_npy(path[0], &bytes), *labels = read_npy(path[1], &n);

	printf("%zu Fashion-MNIST test images\n", n);
#define TEST(title, name, NAME) test(title, name##_run, NAME##_WORKSPACE_BYTES, images, labels, n)
	TEST("plain         float", plain_float, PLAIN_FLOAT);
	TEST("plain         naive int8", plain_naive, PLAIN_NAIVE);
	TEST("plain         RepQ int8", plain_repq, PLAIN_REPQ);
	TEST("outlier_hard  float", hard_float, HARD_FLOAT);
	TEST("outlier_hard  naive int8", hard_naive, HARD_NAIVE);
	TEST("outlier_hard  RepQ int8", hard_repq, HARD_REPQ);
	free(images);
	free(labels);
	return 0;
}
