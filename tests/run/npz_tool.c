/* SPDX-License-Identifier: MIT */
/*
 * Arrays of .npy and .npz files as raw bytes, for tests that run where nothing reads them:
 *
 *   npz_tool get FILE ARRAY ROWS OUT [MEAN STD]   writes the first ROWS rows (0: all) of the array; with MEAN and STD
 *                                                 bytes become (b / 255 - MEAN) / STD in f32
 *   npz_tool compare FILE ARRAY GOT BOUND         prints max |got - want| / max |want| over the f32 of GOT, which are the
 *                                                 array's first; exit 1 if that is above BOUND or not a number
 *
 * ARRAY: its name in a .npz, - in a .npy.
 */
#include "frontend/file.h"
#include "frontend/npy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool load(vq_array *array, vq_arena *arena, vq_diag *diag, const char *path, const char *name)
{
	vq_file file;
	vq_array *list;
	uint32_t n;

	if (!vq_file_open(&file, diag, path, path)) /* mapped until the end: arrays are views */
		return false;
	if (!strcmp(name, "-"))
		return vq_npy_parse(array, arena, diag, path, file.data, file.bytes);
	if (!vq_npz_parse(&list, &n, arena, diag, path, file.data, file.bytes))
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(list[i].name, name)) {
			*array = list[i];
			return true;
		}
	return vq_error(diag, path, "no array '%s' in it", name);
}

/* as torchvision's ToTensor and Normalize: every step rounded to f32 */
static float *normalized(vq_arena *arena, const unsigned char *b, int64_t n, float mean, float std)
{
	float *y = VQ_ARRAY(arena, (size_t)n, float);

	for (int64_t i = 0; i < n; i++) {
		float x = (float)b[i] / 255.0f;

		x = x - mean;
		y[i] = x / std;
	}
	return y;
}

static bool get(vq_arena *arena, vq_diag *diag, int argc, char **argv)
{
	vq_array array;
	const void *data;
	size_t bytes;
	int64_t rows = atoi(argv[4]), count;
	FILE *out;

	if (!load(&array, arena, diag, argv[2], argv[3]))
		return false;
	if (rows && (array.type.rank == 0 || rows > array.type.dim[0]))
		return vq_error(diag, argv[2], "fewer rows than %s", argv[4]);
	if (rows)
		array.type.dim[0] = rows;
	count = vq_type_count(&array.type);
	bytes = vq_type_bytes(&array.type);
	data = array.data;
	if (argc == 8) {
		if (array.type.elem != VQ_U8)
			return vq_error(diag, argv[2], "only bytes are normalised");
		data = normalized(arena, data, count, strtof(argv[6], NULL), strtof(argv[7], NULL));
		bytes = (size_t)count * sizeof(float);
	}
	out = fopen(argv[5], "wb");
	if (!out || fwrite(data, 1, bytes, out) != bytes || fclose(out))
		return vq_error(diag, argv[5], "cannot be written");
	return true;
}

static bool compare(vq_arena *arena, vq_diag *diag, char **argv)
{
	vq_array array;
	vq_file got;
	double most = 0, error = 0;
	size_t n;

	if (!load(&array, arena, diag, argv[2], argv[3]) || !vq_file_open(&got, diag, argv[4], argv[4]))
		return false;
	n = got.bytes / sizeof(float);
	if (array.type.elem != VQ_F32 || n == 0 || got.bytes % sizeof(float) || got.bytes > vq_type_bytes(&array.type))
		return vq_error(diag, argv[4],
			"got %zu bytes, expected as many f32 as the reference has, or its first "
			"rows",
			got.bytes);
	for (size_t i = 0; i < n; i++) {
		float is, want = ((const float *)array.data)[i];
		double off;

		memcpy(&is, got.data + i * sizeof is, sizeof is);
		off = fabs((double)is - (double)want);
		if (off > error || isnan(off)) /* a NaN stays */
			error = off;
		most = fmax(most, fabs((double)want));
	}
	vq_file_close(&got);
	printf("%.3e\n", error / most);
	return error / most <= strtod(argv[5], NULL);
}

int main(int argc, char **argv)
{
	vq_arena arena = { 0 };
	vq_diag diag;
	bool ok;

	vq_diag_init(&diag, &arena, NULL);
	if ((argc == 6 || argc == 8) && !strcmp(argv[1], "get"))
		ok = get(&arena, &diag, argc, argv);
	else if (argc == 6 && !strcmp(argv[1], "compare"))
		ok = compare(&arena, &diag, argv);
	else
		ok = vq_error(&diag, NULL,
			"usage: npz_tool get FILE ARRAY ROWS OUT [MEAN STD] | compare FILE ARRAY "
			"GOT BOUND");
	for (uint32_t i = 0; i < diag.n; i++)
		fputs(vq_message_text(&diag, &diag.item[i]), stderr);
	vq_arena_free(&arena);
	return !ok;
}
