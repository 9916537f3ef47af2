/* SPDX-License-Identifier: MIT */
/* Model files, tensors of every type, external data; malformed files are refused, never believed. */
#include "frontend/onnx_load.h"

#include "onnx_model.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Imports a model whose only output is initializer "w"; returns its data. */
static const void *constant(model *m)
{
	output(m, "w");
	must_import(m);
	assert_true(vq_is_const(&m->g, m->g.output[0].value));
	return m->g.value[m->g.output[0].value.id].data;
}

static void raw_floats_are_a_view(void **state)
{
	model *m = model_new(17);
	const float *v;

	(void)state;
	initializer(m, "w", DT(FLOAT), "2,2", (float[]){ 1, -2, 3.5f, 0 }, 16);
	v = constant(m);
	expect_shape(m, "f32[2,2]");
	EXPECT(v, 1, -2, 3.5f, 0);
}

static void half_bfloat_and_double(void **state)
{
	/* 1, -2, smallest subnormal, largest, infinity */
	static const uint16_t half[] = { 0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00 };
	static const uint16_t bfloat[] = { 0x3f80, 0xc000, 0x4049 };
	static const double wide[] = { 1.0 / 3, 1e300 };
	const float *v;
	model *m;

	(void)state;
	m = model_new(17);
	initializer(m, "w", DT(FLOAT16), "5", half, sizeof half);
	v = constant(m);
	assert_true(v[0] == 1 && v[1] == -2 && v[2] == 0x1p-24f && v[3] == 65504 && isinf(v[4]));
	m = model_new(17);
	initializer(m, "w", DT(BFLOAT16), "3", bfloat, sizeof bfloat);
	EXPECT(constant(m), 1, -2, 3.140625f);
	m = model_new(17);
	initializer(m, "w", DT(DOUBLE), "2", wide, sizeof wide);
	v = constant(m);
	assert_true(v[0] == (float)(1.0 / 3) && isinf(v[1]));
}

static void typed_fields(void **state)
{
	model *m = model_new(17);
	Onnx__TensorProto *t = initializer(m, "w", DT(FLOAT), "3", NULL, 0);
	const int8_t *bytes;

	(void)state;
	t->float_data = (float[]){ 1, 2, 3 };
	t->n_float_data = 3;
	EXPECT(constant(m), 1, 2, 3);
	m = model_new(17);
	t = initializer(m, "w", DT(INT8), "2", NULL, 0);
	t->int32_data = (int32_t[]){ -128, 127 };
	t->n_int32_data = 2;
	bytes = constant(m);
	assert_int_equal(bytes[0], -128);
	assert_int_equal(bytes[1], 127);
	m = model_new(17);
	t = initializer(m, "w", DT(FLOAT16), "2", NULL, 0);
	t->int32_data = (int32_t[]){ 0x3c00, 0xbc00 };
	t->n_int32_data = 2;
	EXPECT(constant(m), 1, -1);
	m = model_new(17);
	t = initializer(m, "w", DT(DOUBLE), "1", NULL, 0);
	t->double_data = (double[]){ 0.5 };
	t->n_double_data = 1;
	EXPECT(constant(m), 0.5f);
}

static void integers_are_widened(void **state)
{
	static const uint16_t small[] = { 0xffff, 1 };
	static const uint32_t wide[] = { 0xffffffff, 1 };
	const int32_t *v;
	const int64_t *w;
	model *m = model_new(17);

	(void)state;
	initializer(m, "w", DT(INT16), "2", small, sizeof small);
	v = constant(m);
	assert_true(v[0] == -1 && v[1] == 1);
	m = model_new(17);
	initializer(m, "w", DT(UINT16), "2", small, sizeof small);
	v = constant(m);
	assert_true(v[0] == 65535 && v[1] == 1);
	m = model_new(17);
	initializer(m, "w", DT(UINT32), "2", wide, sizeof wide);
	w = constant(m);
	assert_true(w[0] == 4294967295 && w[1] == 1);
	m = model_new(17);
	initializer(m, "w", DT(UINT64), "1", &(uint64_t){ UINT64_MAX }, 8);
	output(m, "w");
	must_refuse(m, "does not fit");
}

/* one initializer "w" with this shape and no or little data */
static model *bad_tensor(int32_t type, const char *shape, size_t bytes)
{
	model *m = model_new(17);

	initializer(m, "w", type, shape, "0123456789abcdef", bytes);
	output(m, "w");
	return m;
}

static void absurd_tensors_are_refused(void **state)
{
	(void)state;
	must_refuse(
		bad_tensor(DT(FLOAT), "36028797018963968", 16), "raw data has 16 bytes, expected 144115188075855872");
	must_refuse(bad_tensor(DT(FLOAT), "1152921504606846976,8", 16), "too many elements");
	must_refuse(bad_tensor(DT(FLOAT), "4294967296,4294967296,16", 16), "too many elements");
	must_refuse(bad_tensor(DT(FLOAT), "-4", 16), "dimension 0 is -4");
	must_refuse(bad_tensor(DT(FLOAT), "5", 16), "raw data has 16 bytes, expected 20 for 5 elements of float32");
	must_refuse(bad_tensor(DT(FLOAT), "1,1,1,1,1,1,1,1,4", 16), "rank is 9, expected at most 8");
	must_refuse(bad_tensor(DT(STRING), "1", 0), "elements are string");
	must_refuse(bad_tensor(DT(INT4), "4", 2), "elements are int4");
	must_refuse(bad_tensor(99, "4", 2), "elements are type 99");
}

static bool load_text(vq_arena *arena, vq_diag *diag, const char *text, size_t n)
{
	vq_onnx_model m;

	vq_diag_init(diag, arena, "x.onnx");
	return vq_onnx_load_bytes(&m, arena, diag, "x.onnx", text, n);
}

static void other_files_are_named(void **state)
{
	vq_arena arena = { 0 };
	vq_diag d;

	(void)state;
	assert_false(load_text(&arena, &d, "", 0));
	assert_non_null(strstr(d.item[0].text, "the file is empty"));
	assert_false(load_text(&arena, &d, "version https://git-lfs", 23));
	assert_int_equal(d.errors, 1);
	assert_non_null(strstr(d.item[1].text, "Git LFS"));
	assert_false(load_text(&arena, &d, "PK\003\004zipzip", 10));
	assert_non_null(strstr(d.item[1].text, "zip archive"));
	assert_false(load_text(&arena, &d, "\377\377\377\377", 4));
	assert_non_null(strstr(d.item[1].text, "4 bytes"));
	vq_arena_free(&arena);
}

static void versions_are_checked(void **state)
{
	model *m;

	(void)state;
	m = bad_tensor(DT(FLOAT), "4", 16);
	m->opset[0]->version = 10;
	must_refuse(m, "operator set version is 10, expected 11 to 24");
	m = bad_tensor(DT(FLOAT), "4", 16);
	m->opset[0]->version = 99;
	must_refuse(m, "operator set version is 99");
	m = bad_tensor(DT(FLOAT), "4", 16);
	m->proto.n_opset_import = 0;
	must_refuse(m, "no version of the default operator set");
	m = bad_tensor(DT(FLOAT), "4", 16);
	m->proto.ir_version = 2;
	must_refuse(m, "IR version is 2");
}

/* every prefix and every flipped byte of a small model: an answer or an error, and no more memory than the file allows */
static void damaged_files(void **state)
{
	model *m = model_new(17);
	size_t n;
	uint8_t *bytes;

	(void)state;
	input(m, "x", DT(FLOAT), "2,3");
	FLOATS(m, "w", "3,2", 1, 2, 3, 4, 5, 6);
	node(m, "MatMul", "x w", "t");
	node(m, "Softmax", "t", "y");
	attr_i(m, "axis", -1);
	output(m, "y");
	n = onnx__model_proto__get_packed_size(&m->proto);
	bytes = malloc(n);
	onnx__model_proto__pack(&m->proto, bytes);
	for (size_t i = 0; i < 9 * n; i++) {
		vq_arena arena = { 0 };
		vq_diag diag;
		vq_graph g;
		size_t length = i < n ? i : n;
		bool ok;

		vq_diag_init(&diag, &arena, "x");
		if (i >= n)
			bytes[(i - n) / 8] ^= (uint8_t)(1u << (i - n) % 8);
		ok = vq_import_onnx_bytes(&g, &arena, &diag, "x", bytes, length, NULL, NULL);
		assert_true(ok ? !diag.errors && vq_verify(&g, "import") : diag.errors > 0);
		if (i >= n)
			bytes[(i - n) / 8] ^= (uint8_t)(1u << (i - n) % 8);
		vq_arena_free(&arena);
	}
	free(bytes);
}

/* ---- external data ---- */

static char folder[] = "/tmp/vitqc_test_onnx_XXXXXX";

static const char *in_folder(model *m, const char *name) { return vq_arena_printf(&m->arena, "%s/%s", folder, name); }

static void write_bytes(const char *path, const void *data, size_t n)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

/* a model in the folder whose initializer w[4] stands at this place */
static model *external(const char *location, const char *offset, const char *length)
{
	model *m = model_new(17);
	Onnx__TensorProto *t = initializer(m, "w", DT(FLOAT), "4", NULL, 0);
	const char *pair[][2] = { { "location", location }, { "offset", offset }, { "length", length } };

	t->has_data_location = 1;
	t->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
	t->external_data = VQ_ARRAY(&m->arena, 3, Onnx__StringStringEntryProto *);
	for (int i = 0; i < 3; i++) {
		Onnx__StringStringEntryProto e = ONNX__STRING_STRING_ENTRY_PROTO__INIT;

		if (!pair[i][1])
			continue;
		e.key = (char *)(uintptr_t)pair[i][0];
		e.value = (char *)(uintptr_t)pair[i][1];
		t->external_data[t->n_external_data++] = make(m, sizeof e, &e);
	}
	output(m, "w");
	return m;
}

static bool import_file(model *m, uint64_t *hash)
{
	size_t n = onnx__model_proto__get_packed_size(&m->proto);
	uint8_t *bytes = vq_arena_alloc(&m->arena, n);
	const char *path = in_folder(m, "m.onnx");

	onnx__model_proto__pack(&m->proto, bytes);
	write_bytes(path, bytes, n);
	return vq_import_onnx(&m->g, &m->arena, &m->diag, path, NULL, hash);
}

static void refuse_external(const char *location, const char *offset, const char *length, const char *part)
{
	model *m = external(location, offset, length);

	assert_false(import_file(m, NULL));
	must_say(m, part);
	must_say(m, "initializer 'w'");
}

static void external_data_is_read(void **state)
{
	float v[] = { 9, 1, 2, 3, 4 };
	uint64_t first, second;
	model *m = external("w.bin", "4", "16");

	(void)state;
	write_bytes(in_folder(m, "w.bin"), v, sizeof v);
	assert_true(import_file(m, &first));
	EXPECT(m->g.value[m->g.output[0].value.id].data, 1, 2, 3, 4);
	/* the hash covers the data */
	v[2] = 7;
	m = external("w.bin", "4", NULL);
	write_bytes(in_folder(m, "w.bin"), v, sizeof v);
	assert_true(import_file(m, &second));
	assert_true(first != second);
	EXPECT(m->g.value[m->g.output[0].value.id].data, 1, 7, 3, 4);
}

static void external_data_stays_in_the_folder(void **state)
{
	float v[5] = { 0 };
	model *m = model_new(17);

	(void)state;
	write_bytes(in_folder(m, "w.bin"), v, sizeof v);
	assert_true(symlink("/etc/hostname", in_folder(m, "out")) == 0 || errno == EEXIST);
	assert_true(symlink("w.bin", in_folder(m, "inside")) == 0 || errno == EEXIST);
	assert_true(mkdir(in_folder(m, "folder"), 0700) == 0 || errno == EEXIST);
	refuse_external("/etc/hostname", NULL, NULL, "does not stay in the model's folder");
	refuse_external("../w.bin", NULL, NULL, "does not stay in the model's folder");
	refuse_external("folder/../../w.bin", NULL, NULL, "does not stay in the model's folder");
	refuse_external("folder/..", NULL, NULL, "does not stay in the model's folder");
	refuse_external("out", NULL, NULL, "is a link to a file outside the model's folder");
	refuse_external("none.bin", NULL, NULL, "cannot open");
	refuse_external("folder", NULL, NULL, "is not a regular file");
	refuse_external("", NULL, NULL, "no file is named");
	assert_true(import_file(external("inside", "0", "16"), NULL));
}

static void external_ranges_are_checked(void **state)
{
	float v[5] = { 0 };
	model *m = model_new(17);

	(void)state;
	write_bytes(in_folder(m, "w.bin"), v, sizeof v);
	refuse_external("w.bin", "8", "16", "16 bytes at offset 8, but 'w.bin' has 20 bytes");
	refuse_external("w.bin", "0", "12", "length is 12 bytes, expected 16");
	refuse_external("w.bin", "-4", "16", "offset is '-4', expected a number of bytes");
	refuse_external("w.bin", "18446744073709551600", "16", "but 'w.bin' has 20 bytes");
	refuse_external("w.bin", "99999999999999999999999", "16", "expected a number of bytes");
}

static void missing_files(void **state)
{
	model *m = model_new(17);

	(void)state;
	assert_false(vq_import_onnx(&m->g, &m->arena, &m->diag, in_folder(m, "nothing.onnx"), NULL, NULL));
	must_say(m, "cannot open: No such file");
	assert_false(vq_import_onnx(&m->g, &m->arena, &m->diag, folder, NULL, NULL));
	must_say(m, "this is a folder");
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
	static const char *const names[] = { "m.onnx", "w.bin", "out", "inside" };
	model *m = model_new(17);

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unlink(in_folder(m, names[i]));
	rmdir(in_folder(m, "folder"));
	rmdir(folder);
	vq_arena_free(&m->arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(raw_floats_are_a_view),
		cmocka_unit_test(half_bfloat_and_double),
		cmocka_unit_test(typed_fields),
		cmocka_unit_test(integers_are_widened),
		cmocka_unit_test(absurd_tensors_are_refused),
		cmocka_unit_test(other_files_are_named),
		cmocka_unit_test(versions_are_checked),
		cmocka_unit_test(damaged_files),
		cmocka_unit_test(external_data_is_read),
		cmocka_unit_test(external_data_stays_in_the_folder),
		cmocka_unit_test(external_ranges_are_checked),
		cmocka_unit_test(missing_files),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
