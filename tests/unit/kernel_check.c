/* SPDX-License-Identifier: MIT */
/* What the tests of kernels share. */
#include "tests/unit/kernel_check.h"

#include "ir/contract.h"
#include "tests/unit/kernel_run.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include <cmocka.h>

/* ---- machines ---- */

typedef struct machine {
	const char *name, *cpu, *features;
} machine;

static const machine machines[] = {
	{ "x86-64", NULL, NULL },
	{ "x86-64", "haswell", NULL },
	{ "x86-64", "alderlake", NULL },
	{ "x86-64", "cascadelake", NULL },
	{ "aarch64", NULL, NULL },
	{ "aarch64", "cortex-a76", NULL },
	{ "aarch64", "neoverse-n2", NULL },
	{ "armv7", NULL, NULL },
	{ "riscv64", NULL, NULL },
	{ "riscv64", NULL, "+v" },
};
enum { MACHINES = sizeof machines / sizeof *machines };

static const vq_target *target_of(uint32_t i)
{
	const vq_target *t = jit_target(machines[i].name, machines[i].cpu, machines[i].features);

	assert_non_null(t);
	return t;
}

/* ---- random inputs ---- */

static uint64_t seed = 1;

uint32_t check_random_u32(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) ^ (uint32_t)(seed >> 13);
}

int64_t check_random_in(int64_t lo, int64_t hi) { return lo + (int64_t)(check_random_u32() % (uint32_t)(hi - lo + 1)); }

float check_random_f32(void)
{
	static const float special[] = { 0.0f, -0.0f, 1.0f, -1.0f, 0.5f, 0x1p-126f, 0x1p-149f, -0x1p-130f, 0x1p-100f,
		0x1.8p-101f, FLT_MAX, -FLT_MAX, INFINITY, -INFINITY, NAN, 0x1p22f, 0x1p23f, 2147483520.0f,
		-2147483648.0f, 88.7f, -87.3f, 127.5f };
	uint32_t kind = check_random_u32() % 16;

	if (kind == 0)
		return special[check_random_u32() % (sizeof special / sizeof *special)];
	if (kind == 1) { /* any pattern but a signalling NaN: those are not results of arithmetic */
		float v = vq_c_float(check_random_u32() ^ check_random_u32() << 16);

		return v == v ? v : NAN;
	}
	return ((float)(int32_t)check_random_u32() * 0x1p-31f) * (kind < 8 ? 4.0f : kind < 12 ? 40.0f : 300.0f);
}

float check_tame_f32(void) { return (float)(int32_t)check_random_u32() * 0x1p-29f; }

void check_fill(void *data, vq_elem e, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		if (e == VQ_F32)
			((float *)data)[i] = check_random_f32();
		else if (e == VQ_I64)
			((int64_t *)data)[i] = (int64_t)((uint64_t)check_random_u32() << (check_random_u32() % 33)) *
				(check_random_u32() & 1 ? 1 : -1);
		else if (e == VQ_I32)
			((int32_t *)data)[i] = (int32_t)(check_random_u32() + check_random_u32());
		else
			((uint8_t *)data)[i] = (uint8_t)(e == VQ_BOOL ? check_random_u32() & 1 : check_random_u32());
	}
}

/* ---- comparison ---- */

static void compare(const guarded *result, const unsigned char *want, bool f32, const char *what, const vq_target *t,
	const char *mode)
{
	const unsigned char *got = result->data;

	for (size_t i = 0; i < result->bytes; i += f32 ? 4 : 1) {
		float a, b;

		if (!f32) {
			if (got[i] != want[i])
				fail_msg("%s, %s%s: byte %zu is %02x, expected %02x", what, t->features, mode, i,
					got[i], want[i]);
			continue;
		}
		memcpy(&a, got + i, 4);
		memcpy(&b, want + i, 4);
		if (memcmp(&a, &b, 4) && (a == a || b == b))
			fail_msg("%s, %s%s: element %zu is %a, expected %a", what, t->features, mode, i / 4, (double)a,
				(double)b);
	}
	memset(result->data, CHECK_PATTERN, result->bytes);
}

/* flush-to-zero and denormals-are-zero of x86, where the test runs on one */
static unsigned set_flushing(unsigned on)
{
#if defined(__x86_64__)
	unsigned before = _mm_getcsr() >> 15 & 1;

	_mm_setcsr((_mm_getcsr() & ~0x8040u) | (on ? 0x8040u : 0));
	return before;
#else
	return on;
#endif
}

/* ---- the other architectures ---- */

enum { MOST_CASES = 1024 };

typedef struct recorded {
	vq_kernel k;
	uint32_t n_args;
	kernel_data arg[VQ_MAX_ARGS];
	const char *what;
} recorded;

static vq_arena memory;
static recorded *cases;
static uint32_t n_cases;

static const void *keep(const void *data, size_t bytes) { return memcpy(vq_arena_alloc(&memory, bytes), data, bytes); }

static void record(const vq_kernel *k, const guarded *arg, uint32_t n_args, uint32_t result, const void *want, bool f32,
	const char *what)
{
	if (!cases)
		cases = VQ_ARRAY(&memory, MOST_CASES, recorded);
	assert_true(n_cases < MOST_CASES);
	recorded *r = &cases[n_cases++];

	r->k = *k;
	r->n_args = n_args;
	r->what = keep(what, strlen(what) + 1);
	for (uint32_t i = 0; i < n_args; i++)
		r->arg[i] = (kernel_data){ keep(i == result ? want : arg[i].data, arg[i].bytes), arg[i].bytes,
			i != result   ? 0u
				: f32 ? KERNEL_ANY_NAN
				      : 1u };
}

void check_elsewhere(const char *name)
{
	for (unsigned m = 0; m < n_kernel_machines; m++) {
		kernel_suite *s;
		bool skipped;

		if (!*kernel_machines[m].runner || !kernel_machines[m].compiler)
			continue; /* native ones ran here */
		s = kernel_suite_open(&kernel_machines[m], name);
		for (uint32_t i = 0; i < n_cases; i++)
			kernel_suite_add(s, cases[i].what, &cases[i].k, cases[i].arg, cases[i].n_args);
		if (!kernel_suite_run(s, &skipped))
			fail_msg("%s on %s: results differ", name, kernel_machines[m].name);
		if (skipped)
			print_message("%s: no compiler or emulator here, only built\n", kernel_machines[m].name);
	}
	vq_arena_free(&memory);
	cases = NULL;
	n_cases = 0;
}

/* ---- this machine ---- */

void check_on_each(const vq_kernel *k, const guarded *arg, uint32_t n_args, uint32_t result, const void *want, bool f32,
	bool elsewhere, const char *what)
{
	void *pointer[VQ_MAX_ARGS];

	for (uint32_t i = 0; i < n_args; i++)
		pointer[i] = arg[i].data;
	for (uint32_t i = 0; i < MACHINES; i++) {
		const vq_target *t = target_of(i);

		if (!jit_runs(t))
			continue;
		jit_kernel *j = jit_compile(k, t, true);

		jit_run(j, pointer, n_args, NULL);
		compare(&arg[result], want, f32, what, t, "");
		if (elsewhere) {
			unsigned before = set_flushing(1);

			jit_run(j, pointer, n_args, NULL);
			set_flushing(before);
			compare(&arg[result], want, f32, what, t, ", flushing denormals");
		}
		jit_dispose(j);
	}
	if (elsewhere)
		record(k, arg, n_args, result, want, f32, what);
}

void check_objects(const vq_kernel *k)
{
	for (uint32_t i = 0; i < MACHINES; i++)
		jit_check_object(k, target_of(i), true);
}
