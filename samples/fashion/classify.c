/* SPDX-License-Identifier: MIT */
/* Classifies all test images with six objects: two models, each as float, naive int8 (min-max, nothing folded) and RepQ int8. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "hard_float.h"
#include "hard_naive.h"
#include "hard_repq.h"
#include "plain_float.h"
#include "plain_naive.h"
#include "plain_repq.h"

enum { IMAGES = 2000, PIXELS = PLAIN_FLOAT_IMAGE_COUNT, CLASSES = PLAIN_FLOAT_LOGITS_COUNT, NPY_HEADER = 128 };
#define MEAN 0.2860f /* of the training images, as the model expects (samples/fashion/train.py) */
#define STD 0.3530f

static unsigned char images[IMAGES][PIXELS], labels[IMAGES];

/* bytes of an .npy file of numpy's usual header */
static void read_npy(const char *folder, const char *name, void *data, size_t bytes)
{
	char path[4096];
	FILE *f = snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path ? fopen(path, "rb") : NULL;

	if (!f || fseek(f, NPY_HEADER, SEEK_SET) || fread(data, 1, bytes, f) != bytes || fgetc(f) != EOF) {
		fprintf(stderr, "classify: %s: not %zu bytes in an .npy file\n", path, bytes);
		exit(1);
	}
	fclose(f);
}

typedef int run_function(const float *image, float *logits, void *workspace, size_t bytes, const vitq_env *env);

static void test(const char *name, run_function *run, size_t bytes)
{
	void *workspace = aligned_alloc(64, (bytes + 63) / 64 * 64);
	clock_t spent = 0;
	int right = 0;

	for (int i = 0; i < IMAGES; i++) {
		float image[PIXELS], logits[CLASSES];
		int best = 0, error;
		clock_t start;

		for (int p = 0; p < PIXELS; p++)
			image[p] = ((float)images[i][p] / 255.0f - MEAN) / STD;
		start = clock();
		error = run(image, logits, workspace, bytes, NULL);
		spent += clock() - start;
		if (error) {
			fprintf(stderr, "classify: %s: error %d\n", name, error);
			exit(1);
		}
		for (int c = 1; c < CLASSES; c++)
			best = logits[c] > logits[best] ? c : best;
		right += best == labels[i];
	}
	printf("%-24s %6.2f %%  %7.3f ms/image\n", name, 100.0 * right / IMAGES,
		1e3 * (double)spent / CLOCKS_PER_SEC / IMAGES);
	free(workspace);
}

int main(int argc, char **argv)
{
	const char *folder = argc > 1 ? argv[1] : ".";

	read_npy(folder, "test_images.npy", images, sizeof images);
	read_npy(folder, "test_labels.npy", labels, sizeof labels);
	printf("%d Fashion-MNIST test images\n", IMAGES);
	test("plain         float", plain_float_run, PLAIN_FLOAT_WORKSPACE_BYTES);
	test("plain         naive int8", plain_naive_run, PLAIN_NAIVE_WORKSPACE_BYTES);
	test("plain         RepQ int8", plain_repq_run, PLAIN_REPQ_WORKSPACE_BYTES);
	test("outlier_hard  float", hard_float_run, HARD_FLOAT_WORKSPACE_BYTES);
	test("outlier_hard  naive int8", hard_naive_run, HARD_NAIVE_WORKSPACE_BYTES);
	test("outlier_hard  RepQ int8", hard_repq_run, HARD_REPQ_WORKSPACE_BYTES);
	return 0;
}
