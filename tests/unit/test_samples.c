/* SPDX-License-Identifier: MIT */
/* Calibration samples: folders, lists, batches and archives, and what is said when they do not fit. */
#include "frontend/npy.h"
#include "frontend/samples.h"
#include "tests/unit/image_data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static vq_arena arena;
static vq_diag diag;
static vq_graph g;
static vq_samples samples;
static vq_strings files;
static vq_image_options image;
static char folder[] = "/tmp/vq_samples_XXXXXX";

static const char *in_folder(const char *name) { return vq_arena_printf(&arena, "%s/%s", folder, name); }

static void write_file(const char *name, const void *bytes, size_t n)
{
	FILE *f = fopen(in_folder(name), "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

static void write_npy(const char *name, vq_type t, const void *data)
{
	vq_array a = { .type = t, .data = data };
	size_t n;
	const void *bytes = vq_npy_bytes(&arena, &a, &n);

	write_file(name, bytes, n);
}

static int start(void **state)
{
	(void)state;
	vq_diag_init(&diag, &arena, NULL);
	vq_graph_init(&g, &arena, &diag, "m");
	image = (vq_image_options){ .scale = 1.0f };
	files = (vq_strings){ .item = NULL };
	return 0;
}

static void input(const char *name, vq_elem elem, uint32_t rank, const int64_t *dim)
{
	vq_type t = vq_type_make(elem, rank, dim);

	vq_add_input(&g, name, &t);
}

static bool open_samples(const char *name, uint32_t most)
{
	return vq_samples_open(&samples, &arena, &diag, &g, in_folder(name), most, &image, &files);
}

static bool said(const char *text)
{
	for (uint32_t i = 0; i < diag.n; i++)
		if (strstr(diag.item[i].text, text))
			return true;
	return false;
}

static void expect_refused(const char *name, const char *says)
{
	assert_false(open_samples(name, 0));
	if (!said(says))
		fail_msg("%s: expected '%s', got '%s'", name, says, diag.item[0].text);
	vq_samples_close(&samples);
}

static void folder_of_images(void **state)
{
	float in[3 * 5 * 7], mean[3] = { 10, 20, 30 }, std[1] = { 2 };
	void *to[1] = { in };

	(void)state;
	mkdir(in_folder("images"), 0777);
	mkdir(in_folder("images/sub"), 0777);
	write_file("images/b.png", rgb_png, sizeof rgb_png);
	write_file("images/a.jpg", smooth_jpeg, sizeof smooth_jpeg);
	write_file("images/sub/c.PNG", rgba_png, sizeof rgba_png);
	write_file("images/notes.txt", "no image", 8);
	input("x", VQ_F32, 4, (const int64_t[]){ 1, 3, 5, 7 });
	image.mean = (vq_numbers){ mean, 3, 3 };
	image.std = (vq_numbers){ std, 1, 1 };
	assert_true(open_samples("images", 0));
	assert_int_equal(samples.n, 3);
	assert_int_equal(files.n, 3);
	assert_non_null(strstr(files.item[0], "a.jpg"));
	assert_non_null(strstr(files.item[2], "sub/c.PNG"));
	for (uint32_t s = 1; s < 3; s++) {
		assert_true(samples.get(samples.self, s, to));
		for (size_t i = 0; i < 35; i++)
			for (size_t c = 0; c < 3; c++)
				assert_true(in[c * 35 + i] == ((float)picture[i * 3 + c] - mean[c]) / 2);
	}
	assert_true(samples.get(samples.self, 0, to)); /* 16x16, resized and cropped */
	assert_int_equal(diag.n, 0);
	vq_samples_close(&samples);

	assert_true(open_samples("images", 2));
	assert_int_equal(samples.n, 2);
	vq_samples_close(&samples);
}

static void layouts_and_orders(void **state)
{
	unsigned char in[5 * 7 * 3];
	void *to[1] = { in };

	(void)state;
	write_file("list.txt", "images/b.png\r\n\nimages/b.png", 27);
	input("x", VQ_U8, 4, (const int64_t[]){ 2, 5, 7, 3 });
	unsigned char both[2][5 * 7 * 3];
	to[0] = both;
	image.order = VQ_ORDER_BGR;
	assert_true(open_samples("list.txt", 0));
	assert_int_equal(samples.n, 1); /* a batch of two */
	assert_true(samples.get(samples.self, 0, to));
	for (size_t i = 0; i < 35; i++)
		assert_int_equal(both[1][i * 3], picture[i * 3 + 2]);
	assert_int_equal(diag.n, 0); /* bytes are not normalised: no warning */
	vq_samples_close(&samples);
}

static void resize_and_crop_options(void **state)
{
	float in[3 * 2 * 2];
	void *to[1] = { in };

	(void)state;
	input("x", VQ_F32, 4, (const int64_t[]){ 1, 3, 2, 2 });
	image.resize = (vq_size){ 3, 2 };
	write_file("one.txt", "images/b.png", 12);
	assert_true(open_samples("one.txt", 0));
	assert_true(said("not normalised further"));
	assert_true(samples.get(samples.self, 0, to));
	assert_true(in[0] == (float)shrunk_bilinear[0]); /* left = round(0.5) = 0 */
	assert_true(in[1] == (float)shrunk_bilinear[3]);
	vq_samples_close(&samples);
	image.resize = (vq_size){ 1, 2 };
	assert_true(open_samples("one.txt", 0));
	assert_false(samples.get(samples.self, 0, to));
	assert_true(said("resized to 1x2 it is smaller than the crop, 2x2"));
	vq_samples_close(&samples);
}

static void batches(void **state)
{
	float data[24], in[6];
	void *to[1] = { in };

	(void)state;
	for (int i = 0; i < 24; i++)
		data[i] = (float)i;
	write_npy("f.npy", vq_type_make(VQ_F32, 3, (const int64_t[]){ 4, 2, 3 }), data);
	write_npy("deep.npy", vq_type_make(VQ_F32, 4, (const int64_t[]){ 4, 1, 2, 3 }), data);
	write_npy("single.npy", vq_type_make(VQ_F32, 3, (const int64_t[]){ 1, 2, 3 }), data);
	write_npy("other.npy", vq_type_make(VQ_F32, 3, (const int64_t[]){ 4, 3, 2 }), data);
	write_npy("ints.npy", vq_type_make(VQ_I32, 3, (const int64_t[]){ 4, 2, 3 }), data);
	input("x", VQ_F32, 3, (const int64_t[]){ 1, 2, 3 });
	assert_true(open_samples("f.npy", 3));
	assert_int_equal(samples.n, 3);
	assert_true(samples.get(samples.self, 2, to));
	assert_true(in[5] == 17);
	vq_samples_close(&samples);
	assert_true(open_samples("deep.npy", 0));
	assert_int_equal(samples.n, 4);
	vq_samples_close(&samples);
	assert_true(open_samples("single.npy", 0));
	assert_int_equal(samples.n, 1);
	vq_samples_close(&samples);
	expect_refused("other.npy", "got 4x3x2 of f32, expected f32[1,2,3]");
	expect_refused("ints.npy", "got i32, expected f32");
	expect_refused("absent.npy", "cannot be opened");
}

static void batch_of_bytes(void **state)
{
	unsigned char both[2][5 * 7 * 3];
	float in[3 * 5 * 7];
	void *to[1] = { in };

	(void)state;
	memcpy(both[0], picture, sizeof picture);
	memcpy(both[1], picture, sizeof picture);
	both[1][4] = 77; /* row 0, column 1, green */
	write_npy("bytes.npy", vq_type_make(VQ_U8, 4, (const int64_t[]){ 2, 5, 7, 3 }), both);
	input("x", VQ_F32, 4, (const int64_t[]){ 1, 3, 5, 7 });
	image.scale = 0.5f;
	assert_true(open_samples("bytes.npy", 0));
	assert_int_equal(samples.n, 2);
	assert_true(samples.get(samples.self, 1, to));
	assert_true(in[35 + 1] == 38.5f);
	vq_samples_close(&samples);
	float mean[2] = { 1, 2 };
	image.mean = (vq_numbers){ mean, 2, 2 };
	expect_refused("bytes.npy", "got 2 numbers, expected one or 3");
}

static void archive_for_two_inputs(void **state)
{
	static const int32_t ids[2][4] = { { 1, 2, 3, 4 }, { 5, 6, 7, 8 } };
	static const int64_t mask[3][4] = { { 1, 1, 1, 0 }, { 1, 1, 0, 0 }, { 1, 0, 0, 0 } };
	vq_array a[2] = { { .name = "mask", .type = { .elem = VQ_I64, .rank = 2, .dim = { 2, 4 } }, .data = mask },
		{ .name = "ids", .type = { .elem = VQ_I32, .rank = 2, .dim = { 2, 4 } }, .data = ids } };
	int64_t to_ids[4], to_mask[4];
	void *to[2] = { to_ids, to_mask };
	FILE *f = fopen(in_folder("two.npz"), "wb");

	(void)state;
	assert_true(vq_npz_write(f, a, 2));
	fclose(f);
	input("ids", VQ_I64, 2, (const int64_t[]){ 1, 4 });
	input("mask", VQ_I64, 2, (const int64_t[]){ 1, 4 });
	assert_true(open_samples("two.npz", 0));
	assert_int_equal(samples.n, 2);
	assert_true(samples.get(samples.self, 1, to));
	assert_int_equal(to_ids[3], 8); /* widened */
	assert_int_equal(to_mask[1], 1);
	vq_samples_close(&samples);

	a[0].type.dim[0] = 3;
	f = fopen(in_folder("uneven.npz"), "wb");
	assert_true(vq_npz_write(f, a, 2));
	fclose(f);
	expect_refused("uneven.npz", "got 3 samples of input 'mask' and 2 of 'ids'");
	f = fopen(in_folder("half.npz"), "wb");
	assert_true(vq_npz_write(f, a, 1));
	fclose(f);
	expect_refused("half.npz", "there is no array for input 'ids' (i64[1,4])");
	expect_refused("f.npy", "the model has 2 inputs");
	expect_refused("images", "the model has 2 inputs");
}

static void refusals(void **state)
{
	(void)state;
	mkdir(in_folder("empty"), 0777);
	write_file("nothing.txt", "\n\n", 2);
	write_file("missing.txt", "nowhere.png\n", 12);
	write_file("binary", "\0\1\2\3", 4);
	input("x", VQ_F32, 2, (const int64_t[]){ 1, 5 });
	expect_refused("empty", "there are no samples in it");
	expect_refused("nothing.txt", "there are no samples in it");
	expect_refused("binary", "is not a list of paths");
	assert_true(open_samples("images", 0));
	void *to[1] = { NULL };
	assert_false(samples.get(samples.self, 0, to));
	assert_true(said("input 'x' cannot take an image: its type is f32[1,5]"));
	vq_samples_close(&samples);
	assert_true(open_samples("missing.txt", 0));
	assert_false(samples.get(samples.self, 0, to));
	assert_true(said("cannot be opened"));
	vq_samples_close(&samples);
}

static int clean(void **state)
{
	char command[256];

	(void)state;
	vq_arena_free(&arena);
	snprintf(command, sizeof command, "rm -r %s", folder);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* later ones use files of earlier ones */
		cmocka_unit_test_setup(folder_of_images, start),
		cmocka_unit_test_setup(layouts_and_orders, start),
		cmocka_unit_test_setup(resize_and_crop_options, start),
		cmocka_unit_test_setup(batches, start),
		cmocka_unit_test_setup(batch_of_bytes, start),
		cmocka_unit_test_setup(archive_for_two_inputs, start),
		cmocka_unit_test_setup(refusals, start),
	};

	if (!mkdtemp(folder))
		return 1;
	return cmocka_run_group_tests(tests, NULL, clean);
}
