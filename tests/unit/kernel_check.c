/* What the tests of kernels share. */
#include "tests/unit/kernel_check.h"

#include "ir/contract.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void build_kernel(vq_codegen *c, const vq_kernel *k, vq_kernel_args *a)
{
	switch (k->kind) {
	case VQ_KERNEL_LAYERNORM: vq_build_layernorm(c, &k->u.layernorm, a); break;
	case VQ_KERNEL_SOFTMAX: vq_build_softmax(c, &k->u.softmax, a); break;
	case VQ_KERNEL_REDUCE: vq_build_reduce(c, &k->u.reduce, a); break;
	case VQ_KERNEL_GATHER: vq_build_gather(c, &k->u.gather, a); break;
	default: vq_build_elementwise(c, &k->u.elementwise, a); break;
	}
}

/* ---- machines ---- */

typedef struct machine { const char *name, *cpu, *features; } machine;

static const machine machines[] = {
	{ "x86-64", NULL, NULL }, { "x86-64", "haswell", NULL }, { "x86-64", "cascadelake", NULL },
	{ "aarch64", NULL, NULL }, { "aarch64", "cortex-a76", NULL }, { "armv7", NULL, NULL }, { "riscv64", NULL, NULL },
	{ "riscv64", NULL, "+v" },
};
enum { MACHINES = sizeof machines / sizeof *machines };

static const vq_target *target_of(uint32_t i)
{
	const vq_target *t = jit_target(machines[i].name, machines[i].cpu, machines[i].features);

	assert_non_null(t);
	return t;
}

void check_on_each(const vq_kernel *k, void *const *arg, uint32_t n_args, check_run *check, void *user)
{
	for (uint32_t i = 0; i < MACHINES; i++) {
		const vq_target *t = target_of(i);

		if (!jit_runs(t))
			continue;
		jit_kernel *j = jit_compile(k, t, true, build_kernel);

		jit_run(j, arg, n_args, NULL);
		jit_dispose(j);
		check(user, t);
	}
}

/* ---- random inputs ---- */

static uint64_t seed = 1;

uint32_t check_random_u32(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) ^ (uint32_t)(seed >> 13);
}

int64_t check_random_in(int64_t lo, int64_t hi)
{
	return lo + (int64_t)(check_random_u32() % (uint32_t)(hi - lo + 1));
}

float check_random_f32(void)
{
	static const float special[] = { 0.0f, -0.0f, 1.0f, -1.0f, 0.5f, 0x1p-126f, 0x1p-149f, -0x1p-130f, 0x1p-100f, 0x1.8p-101f,
		FLT_MAX, -FLT_MAX, INFINITY, -INFINITY, NAN, 0x1p22f, 0x1p23f, 2147483520.0f, -2147483648.0f, 88.7f, -87.3f, 127.5f };
	uint32_t kind = check_random_u32() % 16;

	if (kind == 0)
		return special[check_random_u32() % (sizeof special / sizeof *special)];
	if (kind == 1) { /* any pattern but a signalling NaN: those are not results of arithmetic */
		float v = vq_c_float(check_random_u32() ^ check_random_u32() << 16);

		return v == v ? v : NAN;
	}
	return ((float)(int32_t)check_random_u32() * 0x1p-31f) * (kind < 8 ? 4.0f : kind < 12 ? 40.0f : 300.0f);
}

float check_tame_f32(void)
{
	return (float)(int32_t)check_random_u32() * 0x1p-29f;
}

void check_fill(void *data, vq_elem e, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		if (e == VQ_F32)
			((float *)data)[i] = check_random_f32();
		else if (e == VQ_I64)
			((int64_t *)data)[i] = (int64_t)((uint64_t)check_random_u32() << (check_random_u32() % 33)) * (check_random_u32() & 1 ? 1 : -1);
		else if (e == VQ_I32)
			((int32_t *)data)[i] = (int32_t)(check_random_u32() + check_random_u32());
		else
			((uint8_t *)data)[i] = (uint8_t)(e == VQ_BOOL ? check_random_u32() & 1 : check_random_u32());
	}
}

/* ---- comparison ---- */

void check_bytes(void *user, const vq_target *t)
{
	const check_expectation *x = user;

	for (size_t i = 0; i < x->bytes; i += x->f32 ? 4 : 1) {
		float a, b;

		if (!x->f32) {
			if (x->got[i] != x->want[i])
				fail_msg("%s, %s: byte %zu is %02x, expected %02x", x->what, t->features, i, x->got[i], x->want[i]);
			continue;
		}
		memcpy(&a, x->got + i, 4);
		memcpy(&b, x->want + i, 4);
		if (memcmp(&a, &b, 4) && (a == a || b == b))
			fail_msg("%s, %s: element %zu is %a, expected %a", x->what, t->features, i / 4, (double)a, (double)b);
	}
	memset(x->got, CHECK_PATTERN, x->bytes);
}


void check_objects(const vq_kernel *k)
{
	for (uint32_t i = 0; i < MACHINES; i++)
		jit_check_object(k, target_of(i), true, build_kernel);
}
