/* SPDX-License-Identifier: MIT */
/*
 * Runs kernels of any target on cases with known results. All kernels of a suite become one object, which is linked with
 * tests/run/kernel_driver.c by the target's C compiler and run natively or in qemu.
 */
#ifndef VQ_TESTS_KERNEL_RUN_H
#define VQ_TESTS_KERNEL_RUN_H

#include "backend/codegen.h"

#include <stdbool.h>

/* One way to run a target's code. */
typedef struct kernel_machine {
	const char *name; /* of the suite's files, too */
	const char *target, *cpu, *attr;
	const char *compiler; /* NULL: compiled and scanned only */
	const char *runner;   /* before the program's name; "" natively */
	const char *flag;     /* of /proc/cpuinfo, that a native program needs; NULL: none */
	bool emulate; /* this target's kernels on AVX2, their instructions spelt out: for machines that have no more */
} kernel_machine;

extern const kernel_machine kernel_machines[];
extern const unsigned n_kernel_machines;

typedef struct kernel_suite kernel_suite;

/* strict: contract arithmetic */
kernel_suite *kernel_suite_open(const kernel_machine *m, const char *name);
const vq_target *kernel_suite_target(const kernel_suite *s);

/*
 * Bochs 2.7 takes the displacement of EVEX vpextrw to memory as bytes, not words (LLVM and binutils agree on words): results of
 * two bytes land elsewhere. True where cases with such stores, 2 or 3 columns beyond a multiple of 4, must be left out.
 */
bool kernel_suite_lacks_word_stores(const kernel_suite *s);

/* Data of one argument; a result has the bytes expected. */
typedef struct kernel_data {
	const void *data;
	size_t bytes;
	unsigned
		result; /* 0: an operand; 1: these bytes are expected; KERNEL_ANY_NAN: f32 ones, NaN equals NaN, payloads are not promised */
} kernel_data;
/* elements of a result that must stay as they are hold KERNEL_UNTOUCHED */
enum { KERNEL_ANY_NAN = 3, KERNEL_UNTOUCHED = 0x77 };
void kernel_suite_add(kernel_suite *s, const char *name, const vq_kernel *k, const kernel_data *arg, uint32_t n);

/*
 * Builds, links and runs. true if all is well; false if anything differs. *skipped: this machine lacks the tools or the
 * CPU, the object was only built. Closes the suite. k loops of products are scanned for stack operands in any case. Where the
 * CPU can flush denormals everything runs in both modes.
 */
bool kernel_suite_run(kernel_suite *s, bool *skipped);

/*
 * A suite of these cases on every machine, or on those whose names KERNEL_MACHINES in the environment holds, with spaces between. Prints how
 * each went; false at the first that differs, or if nothing could be run.
 */
bool kernel_suite_each(const char *name, void (*cases)(kernel_suite *s));

/* ---- data ---- */
uint32_t test_random(void); /* the same sequence in every run; test_seed starts it */
void test_seed(uint32_t seed);
int8_t test_code(int lo, int hi);
float test_f32(float size); /* in (-size, size) */

#endif
