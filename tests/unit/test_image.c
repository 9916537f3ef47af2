/* SPDX-License-Identifier: MIT */
/* Decoding and resizing, bit for bit what Pillow gives. */
#include "frontend/image.h"
#include "tests/unit/image_data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static vq_arena arena;
static vq_diag diag;

static vq_image decode(const void *bytes, size_t n, uint32_t channels)
{
	vq_image image = { .width = 0 };

	vq_diag_init(&diag, &arena, NULL);
	assert_true(vq_image_decode(&image, &arena, &diag, "image", bytes, n, channels));
	assert_int_equal(image.channels, channels);
	return image;
}

static void png(void **state)
{
	vq_image image = decode(rgb_png, sizeof rgb_png, 3);

	(void)state;
	assert_int_equal(image.width, 7);
	assert_int_equal(image.height, 5);
	assert_memory_equal(image.pixel, picture, sizeof picture);
	image = decode(rgba_png, sizeof rgba_png, 3); /* alpha is dropped, not blended */
	assert_memory_equal(image.pixel, picture, sizeof picture);
	image = decode(palette_png, sizeof palette_png, 3);
	assert_memory_equal(image.pixel, palette_rgb, sizeof palette_rgb);
	image = decode(rgb_png, sizeof rgb_png, 1);
	assert_memory_equal(image.pixel, luma, sizeof luma);
}

/* The inverse transform of libjpeg is the same everywhere; other libraries may differ by one. */
static void jpeg(void **state)
{
	vq_image image = decode(smooth_jpeg, sizeof smooth_jpeg, 3);

	(void)state;
	assert_int_equal(image.width, 16);
	for (size_t i = 0; i < sizeof smooth_rgb; i++)
		assert_true(abs(image.pixel[i] - smooth_rgb[i]) <= 1);
	image = decode(grey_jpeg, sizeof grey_jpeg, 1);
	for (size_t i = 0; i < sizeof grey_pixels; i++)
		assert_true(abs(image.pixel[i] - grey_pixels[i]) <= 1);
	image = decode(grey_jpeg, sizeof grey_jpeg, 3);
	assert_int_equal(image.pixel[30], image.pixel[32]);
}

static void damaged(void **state)
{
	static const struct {
		const unsigned char *p;
		size_t n;
	} file[] = { { rgb_png, sizeof rgb_png }, { palette_png, sizeof palette_png },
		{ smooth_jpeg, sizeof smooth_jpeg }, { grey_jpeg, sizeof grey_jpeg } };
	vq_image image;

	(void)state;
	for (size_t f = 0; f < sizeof file / sizeof *file; f++) {
		for (size_t cut = 1; cut + 12 < file[f].n; cut++) { /* the end of the last chunk may be missing */
			unsigned char *copy = test_malloc(cut);

			memcpy(copy, file[f].p, cut);
			vq_diag_init(&diag, &arena, NULL);
			if (vq_image_decode(&image, &arena, &diag, "image", copy, cut, 3))
				fail_msg("file %zu cut to %zu of %zu bytes was taken", f, cut, file[f].n);
			assert_int_equal(diag.errors, 1);
			test_free(copy);
		}
		for (size_t i = 0; i < file[f].n; i++) {
			unsigned char *copy = test_malloc(file[f].n);

			memcpy(copy, file[f].p, file[f].n);
			copy[i] ^= 0x41;
			vq_diag_init(&diag, &arena, NULL);
			vq_image_decode(&image, &arena, &diag, "image", copy, file[f].n, 1);
			test_free(copy);
		}
	}
	vq_diag_init(&diag, &arena, NULL);
	assert_false(vq_image_decode(&image, &arena, &diag, "image", "GIF89a..", 8, 3));
	assert_non_null(strstr(diag.item[0].text, "neither a PNG nor a JPEG"));
}

static void resize(void **state)
{
	static const struct {
		uint32_t w, h;
		vq_filter filter;
		const unsigned char *want;
	} row[] = {
		{ 3, 2, VQ_FILTER_BILINEAR, shrunk_bilinear },
		{ 3, 2, VQ_FILTER_BICUBIC, shrunk_bicubic },
		{ 10, 9, VQ_FILTER_BILINEAR, grown_bilinear },
		{ 10, 9, VQ_FILTER_BICUBIC, grown_bicubic },
	};
	unsigned char copy[sizeof picture];
	vq_image image = { .width = 7, .height = 5, .channels = 3, .pixel = copy };

	(void)state;
	memcpy(copy, picture, sizeof copy);
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		vq_image r = vq_image_resize(&arena, &image, row[i].w, row[i].h, row[i].filter);

		assert_int_equal(r.width, row[i].w);
		assert_memory_equal(r.pixel, row[i].want, (size_t)row[i].w * row[i].h * 3);
	}
}

static void crop(void **state)
{
	unsigned char copy[sizeof picture];
	vq_image image = { .width = 7, .height = 5, .channels = 3, .pixel = copy }, r;

	(void)state;
	memcpy(copy, picture, sizeof copy);
	r = vq_image_crop(&arena, &image, 3, 4); /* from column 2 and row 0.5, which rounds to even: 0 */
	assert_memory_equal(r.pixel, picture + 2 * 3, 9);
	assert_memory_equal(r.pixel + 9, picture + (7 + 2) * 3, 9);
}

static int clean(void **state)
{
	(void)state;
	vq_arena_free(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(png),
		cmocka_unit_test(jpeg),
		cmocka_unit_test(damaged),
		cmocka_unit_test(resize),
		cmocka_unit_test(crop),
	};

	return cmocka_run_group_tests(tests, NULL, clean);
}
