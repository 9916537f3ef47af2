/* SPDX-License-Identifier: MIT */
/*
 * Whole pipeline on the sample models, run by the evaluator: a ViT trained on Fashion-MNIST and the
 * same function with outlier channels in every LayerNorm. VITQC_TEST_IMAGES=2000 takes all test
 * images instead of a few (slow).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "frontend/onnx_import.h"
#include "ir/eval.h"
#include "passes/pass.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGE = 28 * 28, CLASSES = 10, MOST = 2000, CALIBRATION = 32 };

static uint8_t images[MOST * IMAGE], labels[MOST], calibration[CALIBRATION * IMAGE];
static float reference[MOST * CLASSES];
static uint32_t n_images = 60;

/* The first n bytes of the data of a .npy file of version 1. */
static bool read_npy(const char *name, uint8_t *to, size_t n)
{
	char path[512];
	uint8_t head[10];
	FILE *f;
	bool ok;

	snprintf(path, sizeof path, "%s/samples/fashion/%s", TEST_ROOT, name);
	f = fopen(path, "rb");
	if (!f)
		return false;
	ok = fread(head, 1, sizeof head, f) == sizeof head && !fseek(f, 10 + head[8] + head[9] * 256, SEEK_SET) &&
		fread(to, 1, n, f) == n;
	fclose(f);
	return ok;
}

static void normalize(const uint8_t *from, float *to)
{
	for (int i = 0; i < IMAGE; i++)
		to[i] = ((float)from[i] / 255 - 0.2860f) / 0.3530f;
}

static bool sample(void *self, uint32_t i, void *const *in)
{
	(void)self;
	normalize(calibration + (size_t)i * IMAGE, in[0]);
	return true;
}

typedef struct figures {
	double right;               /* share of images */
	double mean_cos, least_cos; /* of the logits with those of the float model */
	double least_sqnr;          /* over the products */
} figures;

static double cosine(const float *a, const float *b)
{
	double ab = 0, aa = 0, bb = 0;

	for (int i = 0; i < CLASSES; i++) {
		ab += (double)a[i] * (double)b[i];
		aa += (double)a[i] * (double)a[i];
		bb += (double)b[i] * (double)b[i];
	}
	return ab / sqrt(aa * bb);
}

static figures classify(const vq_graph *g, bool is_reference)
{
	vq_exec *e = vq_evaluator.prepare(&vq_evaluator, g, NULL, 0);
	figures f = { .least_cos = 1 };

	assert_non_null(e);
	for (uint32_t i = 0; i < n_images; i++) {
		float x[IMAGE], y[CLASSES], *want = reference + i * CLASSES;
		const void *in[] = { x };
		void *out[] = { y };
		double c;
		int best = 0;

		normalize(images + (size_t)i * IMAGE, x);
		assert_true(vq_evaluator.run(e, in, out, NULL, NULL));
		if (is_reference)
			memcpy(want, y, sizeof y);
		for (int k = 1; k < CLASSES; k++)
			if (y[k] > y[best])
				best = k;
		c = cosine(y, want);
		f.right += (double)(best == labels[i]) / n_images;
		f.mean_cos += c / n_images;
		f.least_cos = c < f.least_cos ? c : f.least_cos;
	}
	vq_evaluator.dispose(e);
	return f;
}

static figures compile(const char *model, vq_scheme scheme, vq_fold fold)
{
	vq_arena arena = { 0 };
	vq_diag diag;
	vq_graph g;
	vq_report report = { .arena = &arena };
	vq_samples samples = { NULL, CALIBRATION, sample };
	vq_settings set = { .scheme = scheme,
		.fold = fold,
		.granularity = fold == VQ_FOLD_NONE ? VQ_GRANULARITY_TENSOR : VQ_GRANULARITY_AUTO,
		.weight_mse = true,
		.samples = &samples,
		.executor = &vq_evaluator,
		.verify = true,
		.measure = true };
	vq_pass p = { .g = &g, .set = &set, .report = &report };
	char path[512];
	figures f;

	vq_diag_init(&diag, &arena, model);
	snprintf(path, sizeof path, "%s/samples/fashion/%s", TEST_ROOT, model);
	if (!vq_import_onnx(&g, &arena, &diag, path, NULL, NULL) || !vq_pipeline(&p, NULL, NULL))
		fail_msg("%s", vq_message_text(&diag, &diag.item[0]));
	f = classify(&g, scheme == VQ_SCHEME_NONE);
	f.least_sqnr = (double)INFINITY;
	for (uint32_t i = 0; i < report.n; i++)
		f.least_sqnr = fmin(f.least_sqnr, report.site[i].sqnr_db); /* NaN where there is no product */
	print_message("%s %s: top-1 %.2f, cosine %.5f at least %.5f, SQNR at least %.1f dB\n", model,
		scheme == VQ_SCHEME_NONE                   ? "float"
			: scheme == VQ_SCHEME_W8A8_DYNAMIC ? "w8a8-dynamic"
			: fold == VQ_FOLD_NONE             ? "w8a8 without fold"
							   : "w8a8",
		100 * f.right, f.mean_cos, f.least_cos, f.least_sqnr);
	vq_arena_free(&arena);
	return f;
}

/*
 * Top-1 alone cannot tell good from fair at this size, so cosines and SQNR are bounded, too.
 *
 */
static void w8a8_keeps_the_model(void **state)
{
	figures full = compile("vit.onnx", VQ_SCHEME_NONE, VQ_FOLD_NONE), f;

	(void)state;
	f = compile("vit.onnx", VQ_SCHEME_W8A8, VQ_FOLD_REPQ);
	assert_true(f.right >= full.right - (n_images < MOST ? 0.02 : 0.003));
	assert_true(f.mean_cos >= 0.9995 && f.least_cos >= 0.99 && f.least_sqnr >= 28);
}

static void outliers_are_folded_away(void **state)
{
	figures full = compile("vit_outlier_hard.onnx", VQ_SCHEME_NONE, VQ_FOLD_NONE), f;

	(void)state;
	f = compile("vit_outlier_hard.onnx", VQ_SCHEME_W8A8, VQ_FOLD_REPQ);
	assert_true(f.right >= full.right - (n_images < MOST ? 0.02 : 0.003));
	assert_true(f.mean_cos >= 0.9995 && f.least_cos >= 0.99 && f.least_sqnr >= 28);
	f = compile("vit_outlier_hard.onnx", VQ_SCHEME_W8A8, VQ_FOLD_NONE);
	assert_true(f.right <= 0.4 && f.least_sqnr < 5);
}

/* Nothing but weights is known before run time; nothing is measured against samples. */
static void scales_per_row_keep_the_model(void **state)
{
	static const char *const model[] = { "vit.onnx", "vit_outlier_hard.onnx" };

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		figures full = compile(model[i], VQ_SCHEME_NONE, VQ_FOLD_NONE), f;

		f = compile(model[i], VQ_SCHEME_W8A8_DYNAMIC, VQ_FOLD_REPQ);
		assert_true(f.right >= full.right - (n_images < MOST ? 0.02 : 0.003));
		assert_true(f.mean_cos >= 0.9998 && f.least_cos >= 0.995);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scales_per_row_keep_the_model),
		cmocka_unit_test(w8a8_keeps_the_model),
		cmocka_unit_test(outliers_are_folded_away),
	};
	const char *count = getenv("VITQC_TEST_IMAGES");

	if (count && atoi(count) > 0 && atoi(count) <= MOST)
		n_images = (uint32_t)atoi(count);
	if (!read_npy("test_images.npy", images, (size_t)n_images * IMAGE) ||
		!read_npy("test_labels.npy", labels, n_images) ||
		!read_npy("calib_images.npy", calibration, sizeof calibration)) {
		printf("samples/fashion is not there\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
