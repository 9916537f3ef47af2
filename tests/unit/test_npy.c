/* SPDX-License-Identifier: MIT */
/* Arrays of NumPy: archives made by NumPy itself, headers made by hand, damage, and our own writer read back. */
#include "frontend/npy.h"
#include "tests/unit/npz_data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static vq_arena arena;
static vq_diag diag;

static bool said(const char *text)
{
	for (uint32_t i = 0; i < diag.n; i++)
		if (strstr(diag.item[i].text, text))
			return true;
	return false;
}

/* A .npy of the version, dictionary and elements. */
static unsigned char *make(uint32_t version, const char *dictionary, const void *data, size_t n, size_t *bytes)
{
	size_t length = strlen(dictionary), start = version == 1 ? 10 : 12;
	unsigned char *p = vq_arena_alloc(&arena, start + length + n);

	memcpy(p, "\x93NUMPY", 6);
	p[6] = (unsigned char)version;
	p[8] = (unsigned char)length;
	p[9] = (unsigned char)(length >> 8);
	memcpy(p + start, dictionary, length);
	memcpy(p + start + length, data, n);
	*bytes = start + length + n;
	return p;
}

static bool parse(vq_array *a, uint32_t version, const char *dictionary, const void *data, size_t n)
{
	size_t bytes;
	const unsigned char *p = make(version, dictionary, data, n, &bytes);

	vq_diag_init(&diag, &arena, NULL);
	return vq_npy_parse(a, &arena, &diag, "file 'x.npy'", p, bytes);
}

static void element_types(void **state)
{
	static const unsigned char f8[] = { 0, 0, 0, 0, 0, 0, 0xf8, 0x3f }, big_f4[] = { 0x3f, 0xc0, 0, 0 };
	static const unsigned char halves[] = { 0, 0x3e, 1, 0, 0xff, 0xfb, 0, 0xfc, 0, 0x80 };
	static const unsigned char big_i8[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe };
	vq_array a;

	(void)state;
	assert_true(parse(&a, 1, "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", f8, sizeof f8));
	assert_int_equal(a.type.elem, VQ_F32);
	assert_true(*(const float *)a.data == 1.5f);
	assert_true(parse(&a, 2, "{'descr': '>f4', 'fortran_order': False, 'shape': (), }", big_f4, sizeof big_f4));
	assert_int_equal(a.type.rank, 0);
	assert_true(*(const float *)a.data == 1.5f);
	assert_true(parse(&a, 3, "{'shape': (5,), 'fortran_order': False, 'descr': '<f2'}", halves, sizeof halves));
	const float *h = a.data;
	assert_true(h[0] == 1.5f && h[1] == 0x1p-24f && h[2] == -65504.0f && h[3] < -3e38f && h[4] == 0);
	assert_true(parse(&a, 1, "{'descr': '>i8', 'fortran_order': False, 'shape': (1, 1)}", big_i8, sizeof big_i8));
	assert_int_equal(a.type.elem, VQ_I64);
	assert_true(*(const int64_t *)a.data == -2);
	assert_true(parse(&a, 1, "{'descr': '|b1', 'fortran_order': False, 'shape': (3,)}", "\0\1\2", 3));
	assert_memory_equal(a.data, "\0\1\1", 3);
	assert_true(parse(&a, 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (3,)}", "\0\1\377", 3));
	assert_int_equal(a.type.elem, VQ_U8);
	assert_memory_equal(a.data, "\0\1\377", 3);
}

static void fortran_order(void **state)
{
	static const int32_t column_major[6] = { 0, 3, 1, 4, 2, 5 };
	vq_array a;

	(void)state;
	assert_true(parse(&a, 1, "{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3), }", column_major,
		sizeof column_major));
	for (int32_t i = 0; i < 6; i++)
		assert_int_equal(((const int32_t *)a.data)[i], i);
}

static void bad_headers(void **state)
{
	static const struct {
		const char *dictionary, *says;
	} row[] = {
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }",
			"cut off: 8 bytes of elements expected, got 4" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (0,), }", "is empty: dimension 0 is 0" },
		{ "{'descr': '<f4', 'fortran_order': False, }", "is missing" },
		{ "{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", "'<c8' is not supported" },
		{ "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "structured arrays" },
		{ "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,), }", "neither True nor False" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }",
			"more than 8 dimensions" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999,), }", "too large" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (1048576,1048576,1048576), }", "too large" },
		{ "{'descr': '<f4', 'fortran_order': False, 'shape': (1", "shape is not a list" },
		{ "{'descr': '<f4', 'order': False}", "unknown key 'order'" },
		{ "{'descr", "no key" },
		{ "(1, 2)", "no dictionary" },
	};
	vq_array a;

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		assert_false(parse(&a, 1, row[i].dictionary, "\0\0\0", 4));
		if (!said(row[i].says))
			fail_msg("'%s': expected '%s', got '%s'", row[i].dictionary, row[i].says, diag.item[0].text);
	}
	assert_false(parse(&a, 4, "{}", "", 0));
	assert_true(said("version 4.0"));
	vq_diag_init(&diag, &arena, NULL);
	assert_false(vq_npy_parse(&a, &arena, &diag, "x", "PK\3\4 and more", 12));
	assert_true(said("is not a .npy file"));
}

static bool parse_npz(const void *bytes, size_t n, vq_array **a, uint32_t *count)
{
	vq_diag_init(&diag, &arena, NULL);
	return vq_npz_parse(a, count, &arena, &diag, "file 'x.npz'", bytes, n);
}

static void archives_of_numpy(void **state)
{
	vq_array *a = NULL;
	uint32_t n = 0;

	(void)state;
	assert_true(parse_npz(compressed_npz, sizeof compressed_npz, &a, &n));
	assert_int_equal(n, 2);
	assert_string_equal(a[0].name, "ids");
	assert_int_equal(a[0].type.elem, VQ_I64);
	assert_int_equal(a[0].type.dim[1], 3);
	assert_int_equal(((const int64_t *)a[0].data)[5], 5);
	assert_string_equal(a[1].name, "x");
	assert_true(((const float *)a[1].data)[1] == -0.5f);
	assert_true(parse_npz(stored_npz, sizeof stored_npz, &a, &n));
	for (int i = 0; i < 6; i++)
		assert_true(((const float *)a[0].data)[i] == (float)i);
}

/* Whatever is cut off or changed: an answer, and no read outside (the copies are exactly as long as they say). */
static void damaged_archives(void **state)
{
	static const struct {
		const unsigned char *p;
		size_t n;
	} file[] = { { compressed_npz, sizeof compressed_npz }, { stored_npz, sizeof stored_npz } };

	(void)state;
	for (size_t f = 0; f < 2; f++) {
		vq_array *a;
		uint32_t n;

		for (size_t cut = 0; cut < file[f].n; cut++) {
			unsigned char *copy = test_malloc(cut + !cut);

			memcpy(copy, file[f].p, cut);
			assert_false(parse_npz(copy, cut, &a, &n));
			test_free(copy);
		}
		for (size_t i = 0; i < file[f].n; i++) {
			for (uint32_t v = 0; v < 3; v++) {
				unsigned char *copy = test_malloc(file[f].n);

				memcpy(copy, file[f].p, file[f].n);
				copy[i] = (unsigned char)(v == 0 ? 0xff : v == 1 ? 0 : copy[i] ^ 1);
				parse_npz(copy, file[f].n, &a, &n);
				test_free(copy);
			}
		}
	}
}

static void written_archives(void **state)
{
	static const float x[3] = { 1, -2, 0.5f };
	static const int64_t ids[4] = { 1, 2, 3, 4 };
	vq_array in[2] = { { .name = "logits", .type = { .elem = VQ_F32, .rank = 1, .dim = { 3 } }, .data = x },
		{ .name = "ids", .type = { .elem = VQ_I64, .rank = 2, .dim = { 2, 2 } }, .data = ids } };
	unsigned char bytes[2][2048];
	vq_array *out = NULL;
	uint32_t count = 0;
	size_t n[2];

	(void)state;
	for (int k = 0; k < 2; k++) {
		FILE *f = tmpfile();

		assert_non_null(f);
		assert_true(vq_npz_write(f, in, 2));
		rewind(f);
		n[k] = fread(bytes[k], 1, sizeof bytes[k], f);
		fclose(f);
	}
	assert_int_equal(n[0], n[1]);
	assert_memory_equal(bytes[0], bytes[1], n[0]);
	assert_true(parse_npz(bytes[0], n[0], &out, &count));
	assert_int_equal(count, 2);
	assert_string_equal(out[0].name, "logits");
	assert_memory_equal(out[0].data, x, sizeof x);
	assert_true(vq_same_type(&out[1].type, &in[1].type));
	assert_memory_equal(out[1].data, ids, sizeof ids);
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
		cmocka_unit_test(element_types),
		cmocka_unit_test(fortran_order),
		cmocka_unit_test(bad_headers),
		cmocka_unit_test(archives_of_numpy),
		cmocka_unit_test(damaged_archives),
		cmocka_unit_test(written_archives),
	};

	return cmocka_run_group_tests(tests, NULL, clean);
}
