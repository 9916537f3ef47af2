/* SPDX-License-Identifier: MIT */
/* Arrays of NumPy: .npy files of versions 1 to 3, and .npz archives of them. */
#ifndef VQ_FRONTEND_NPY_H
#define VQ_FRONTEND_NPY_H

#include "ir/ir.h"

#include <stdio.h>

typedef struct vq_array {
	const char *name; /* in the archive, without ".npy"; NULL for a file of its own */
	vq_type type;     /* f64 and f16 of the file became f32 */
	const void *data; /* row-major, host byte order */
} vq_array;

/*
 * Reads the array in bytes[n]: f16, f32, f64, u8, i8, i32, i64 or bool, either byte order, C or
 * Fortran order. The data is a view into bytes where it can be, else a copy in the arena. where
 * names the file in errors.
 */
bool vq_npy_parse(vq_array *array, vq_arena *arena, vq_diag *diag, const char *where, const void *bytes, size_t n);

/* Reads the archive in bytes[n], stored or deflated, in the order of its directory. */
bool vq_npz_parse(vq_array **array, uint32_t *n_arrays, vq_arena *arena, vq_diag *diag, const char *where,
	const void *bytes, size_t n);

/* The array as a file of version 1.0, *n bytes, in the arena. */
const void *vq_npy_bytes(vq_arena *arena, const vq_array *array, size_t *n);

/*
 * Writes an archive, stored, without times: the same arrays give the same bytes. false on a write
 * error or beyond 4 GB.
 */
bool vq_npz_write(FILE *f, const vq_array *array, uint32_t n);

#endif
