/* SPDX-License-Identifier: MIT */
/* What the tests of kernels share: the machines, random inputs, comparison of results. */
#ifndef VQ_TESTS_KERNEL_CHECK_H
#define VQ_TESTS_KERNEL_CHECK_H

#include "tests/unit/guarded.h"
#include "tests/unit/jit_kernel.h"
#include "tests/unit/kernel_run.h"

/*
 * Runs k on every instruction set of this machine and compares argument `result` with want each time: the result's bytes (f32: NaN
 * equals NaN, their payload is not promised). Argument `result` must hold CHECK_PATTERN. elsewhere: also with denormals flushed, and
 * recorded for the other architectures (some flush always), which check_elsewhere runs; a program whose meaning depends on
 * denormals must not ask for it.
 */
void check_on_each(const vq_kernel *k, const guarded *arg, uint32_t n_args, uint32_t result, const void *want, bool f32,
	bool elsewhere, const char *what);
void check_elsewhere(const char *name); /* of the suite */

/* Compiles k for every target, run-able here or not, and looks at the objects. */
void check_objects(const vq_kernel *k);

uint32_t check_random_u32(void);
int64_t check_random_in(int64_t lo, int64_t hi); /* inclusive */
float check_random_f32(void);                    /* all magnitudes, NaN, infinities, denormals */
float check_tame_f32(void);                      /* in [-4, 4) */
void check_fill(void *data, vq_elem e, int64_t n);

#define PICK(table) (table)[check_random_u32() % (sizeof(table) / sizeof *(table))]

enum { CHECK_PATTERN = KERNEL_UNTOUCHED };

#endif
