/* What the tests of kernels share: the machines, random inputs, comparison of results. */
#ifndef VQ_TESTS_KERNEL_CHECK_H
#define VQ_TESTS_KERNEL_CHECK_H

#include "tests/unit/jit_kernel.h"

/* Runs k on every instruction set of this machine and calls check after each. */
typedef void check_run(void *user, const vq_target *t);
void check_on_each(const vq_kernel *k, void *const *arg, uint32_t n_args, check_run *check, void *user);

/* Compiles k for every target, run-able here or not, and looks at the objects. */
void check_objects(const vq_kernel *k);

uint32_t check_random_u32(void);
int64_t check_random_in(int64_t lo, int64_t hi); /* inclusive */
float check_random_f32(void); /* all magnitudes, NaN, infinities, denormals */
float check_tame_f32(void);   /* in [-4, 4) */
void check_fill(void *data, vq_elem e, int64_t n);

#define PICK(table) (table)[check_random_u32() % (sizeof(table) / sizeof *(table))]

/* The user of check_bytes, which fails the test where got differs and then fills it with the pattern again. */
typedef struct check_expectation {
	const char *what;
	unsigned char *got;
	const unsigned char *want;
	size_t bytes;
	bool f32;                 /* NaN equals NaN: their payload is not promised */
} check_expectation;

enum { CHECK_PATTERN = 0xa5 };

void check_bytes(void *user, const vq_target *t);

#endif
