/* SPDX-License-Identifier: MIT */
/* Target names, CPUs and features as users of GCC, LLVM and Yocto write them. */
#include "backend/target.h"
#include "runtime/vitq.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
	vq_arena arena; /* of everything */
	vq_diag diag;   /* of the last resolution */
} fixture;

static int set_up(void **state)
{
	static fixture f;

	f = (fixture){ .arena = { .block = NULL } };
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	vq_arena_free(&((fixture *)*state)->arena);
	return 0;
}

static const vq_target *resolve(fixture *f, const char *target, const char *cpu, const char *attr)
{
	vq_target_request r = { .target = target, .cpu = cpu, .attr = attr };

	vq_diag_init(&f->diag, &f->arena, NULL);
	return vq_target_resolve(&f->arena, &f->diag, &r);
}

static bool said(const vq_diag *d, const char *text)
{
	for (uint32_t i = 0; i < d->n; i++)
		if (strstr(d->item[i].text, text))
			return true;
	return false;
}

static void names_and_triples(void **state)
{
	static const char x86[] = "x86_64-unknown-linux-gnu", a64[] = "aarch64-unknown-linux-gnu",
			  hard[] = "armv7-unknown-linux-gnueabihf", soft[] = "armv7-unknown-linux-gnueabi",
			  rv[] = "riscv64-unknown-linux-gnu";
	static const struct {
		const char *in, *triple;
		vq_isa isa;
	} row[] = {
		{ "x86-64", x86, VQ_ISA_SSE2 },
		{ "x86_64", x86, VQ_ISA_SSE2 },
		{ "amd64", x86, VQ_ISA_SSE2 },
		{ "x86_64-linux-gnu", x86, VQ_ISA_SSE2 },
		{ "x86_64-poky-linux", x86, VQ_ISA_SSE2 },
		{ "x86-64-poky-linux", x86, VQ_ISA_SSE2 },
		{ "x86_64-poky-linux-musl", x86, VQ_ISA_SSE2 },
		{ "aarch64", a64, VQ_ISA_NEON64 },
		{ "arm64", a64, VQ_ISA_NEON64 },
		{ "aarch64-poky-linux", a64, VQ_ISA_NEON64 },
		{ "aarch64-unknown-linux-gnu", a64, VQ_ISA_NEON64 },
		{ "armv7", hard, VQ_ISA_NEON32 },
		{ "armv7-a", hard, VQ_ISA_NEON32 },
		{ "arm-linux-gnueabihf", hard, VQ_ISA_NEON32 },
		{ "arm-poky-linux-gnueabi", soft, VQ_ISA_NEON32 },
		{ "armv7l-unknown-linux-musleabihf", hard, VQ_ISA_NEON32 },
		{ "riscv64", rv, VQ_ISA_RV64 },
		{ "rv64gc", rv, VQ_ISA_RV64 },
		{ "rv64gcv", rv, VQ_ISA_RVV128 },
		{ "riscv64gc-unknown-linux-gnu", rv, VQ_ISA_RV64 },
		{ "riscv64-poky-linux", rv, VQ_ISA_RV64 },
		{ "rv64imafdcv_zicsr_zvl256b", rv, VQ_ISA_RVV256 },
		{ "rv64gc_zba_zbb", rv, VQ_ISA_RV64 },
	};

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		const vq_target *t = resolve(*state, row[i].in, NULL, NULL);

		if (!t)
			fail_msg("'%s' was refused: %s", row[i].in, ((fixture *)*state)->diag.item[0].text);
		assert_string_equal(t->triple, row[i].triple);
		assert_int_equal(t->isa, row[i].isa);
		assert_int_equal(((fixture *)*state)->diag.n, 0);
	}
}

static void refused_by_name(void **state)
{
	static const struct {
		const char *in, *says;
	} row[] = {
		{ "thumbv7em-none-eabihf", "Thumb-only (Cortex-M) targets are not supported" },
		{ "arm-none-eabi", "bare-metal" },
		{ "aarch64-none-elf", "bare-metal" },
		{ "riscv64-unknown-elf", "bare-metal" },
		{ "aarch64_be", "big-endian" },
		{ "armv6", "before Armv7-A" },
		{ "riscv32", "32-bit RISC-V" },
		{ "i686-linux-gnu", "32-bit x86" },
		{ "aarch64-apple-darwin", "only Linux" },
		{ "x86_64-linux-gnux32", "unknown environment 'gnux32'" },
		{ "aarch64-linux-gnueabihf", "Arm environment" },
		{ "aarch64-poky", "names no system" },
		{ "rv64imac", "double-precision" },
		{ "rv64gcq", "extension 'q'" },
		{ "aarch46", "did you mean 'aarch64'?" },
		{ "cortexa7t2hf-neon-poky-linux-gnueabi", "unknown target" },
		{ "x86-64-v3", "-target=x86-64 -mcpu=x86-64-v3" },
		{ "cortex-a53", "-target=aarch64 -mcpu=cortex-a53" },
		{ "", "unknown target" },
	};

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		fixture *f = *state;

		assert_null(resolve(f, row[i].in, NULL, NULL));
		assert_int_equal(f->diag.errors, 1);
		if (!said(&f->diag, row[i].says))
			fail_msg("'%s': expected '%s', got '%s'", row[i].in, row[i].says, f->diag.item[0].text);
	}
}

static void cpus_choose_instruction_sets(void **state)
{
	static const struct {
		const char *target, *cpu, *attr;
		vq_isa isa;
	} row[] = {
		{ "x86-64", "x86-64-v2", NULL, VQ_ISA_SSE2 },
		{ "x86-64", "x86-64-v3", NULL, VQ_ISA_AVX2 },
		{ "x86-64", "haswell", NULL, VQ_ISA_AVX2 },
		{ "x86-64", "haswell", "-avx2", VQ_ISA_SSE2 },
		{ "x86-64", "haswell", "-fma", VQ_ISA_SSE2 },
		{ "x86-64", "haswell", "-sse4.1", VQ_ISA_SSE2 },
		{ "x86-64", NULL, "+avx2", VQ_ISA_AVX2 },
		{ "x86-64", "skylake-avx512", NULL, VQ_ISA_AVX2 },
		{ "x86-64", "alderlake", NULL, VQ_ISA_AVX_VNNI },
		{ "x86-64", "gracemont", NULL, VQ_ISA_AVX_VNNI },
		{ "x86-64", "alderlake", "-avxvnni", VQ_ISA_AVX2 },
		{ "x86-64", "haswell", "+avxvnni", VQ_ISA_AVX_VNNI },
		{ "x86-64", "sapphirerapids", NULL, VQ_ISA_AVX512_VNNI },
		{ "x86-64", "sapphirerapids", "-avx512vnni", VQ_ISA_AVX_VNNI },
		{ "x86-64", "x86-64-v4", "+avx512vnni", VQ_ISA_AVX512_VNNI },
		{ "x86-64", "cascadelake", NULL, VQ_ISA_AVX512_VNNI },
		{ "x86-64", "cascadelake", "-avx512vl", VQ_ISA_AVX2 },
		{ "x86-64", "znver5", NULL, VQ_ISA_AVX512_VNNI },
		{ "x86-64", NULL, "+avx512vnni", VQ_ISA_AVX2 },
		{ "x86-64", NULL, "+avx512vnni,+avx512bw,+avx512vl,+avx512dq", VQ_ISA_AVX512_VNNI },
		{ "aarch64", "cortex-a53", NULL, VQ_ISA_NEON64 },
		{ "aarch64", "cortex-a55", NULL, VQ_ISA_DOTPROD },
		{ "aarch64", "cortex-a57+crc", NULL, VQ_ISA_NEON64 },
		{ "aarch64", "cortex-a76+nodotprod", NULL, VQ_ISA_NEON64 },
		{ "aarch64", "cortex-a57+dotprod", NULL, VQ_ISA_DOTPROD },
		{ "aarch64", "cortex-a76.cortex-a53", NULL, VQ_ISA_NEON64 },
		{ "aarch64", NULL, "+dotprod", VQ_ISA_DOTPROD },
		{ "aarch64", NULL, "+dotprod,+i8mm", VQ_ISA_I8MM },
		{ "aarch64", NULL, "+i8mm", VQ_ISA_NEON64 },
		{ "aarch64", "cortex-a510", NULL, VQ_ISA_I8MM },
		{ "aarch64", "neoverse-n2", "-i8mm", VQ_ISA_DOTPROD },
		{ "aarch64", "apple-a14", NULL, VQ_ISA_DOTPROD },
		{ "armv7", "cortex-a9", NULL, VQ_ISA_NEON32 },
		{ "riscv64", NULL, "+v", VQ_ISA_RVV128 },
		{ "riscv64", NULL, "+v,+zvl256b", VQ_ISA_RVV256 },
		{ "riscv64", NULL, "+zvl256b", VQ_ISA_RVV256 },
		{ "riscv64", "spacemit-x60", NULL, VQ_ISA_RVV256 },
		{ "riscv64", "sifive-x280", "-zvl256b", VQ_ISA_RVV128 },
		{ "riscv64", "sifive-x280", "-v", VQ_ISA_RV64 },
		{ "riscv64", "sifive-u74", NULL, VQ_ISA_RV64 },
	};

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		const vq_target *t = resolve(*state, row[i].target, row[i].cpu, row[i].attr);

		assert_non_null(t);
		if (t->isa != row[i].isa)
			fail_msg("row %zu: got %d, expected %d", i, (int)t->isa, (int)row[i].isa);
	}
}

static void half_an_instruction_set_is_said(void **state)
{
	fixture *f = *state;

	assert_non_null(resolve(f, "x86-64", NULL, "+avx512vnni"));
	assert_int_equal(f->diag.n, 1);
	assert_true(said(&f->diag, "no kernels use avx512vnni without avx512bw, avx512vl, avx512dq"));
	assert_non_null(resolve(f, "x86-64", NULL, "+fma"));
	assert_true(said(&f->diag, "no kernels use fma without avx2"));
	assert_non_null(resolve(f, "x86-64", "cascadelake", "+sse2,+avx2,+fma"));
	assert_int_equal(f->diag.n, 0);
	assert_non_null(resolve(f, "x86-64", NULL, "+avx512vnni,-avx512vnni"));
	assert_int_equal(f->diag.n, 0);
	assert_non_null(resolve(f, "aarch64", NULL, "+neon,+dotprod"));
	assert_int_equal(f->diag.n, 0);
	assert_non_null(resolve(f, "armv7", NULL, "+neon,+vfp4"));
	assert_int_equal(f->diag.n, 0);
	assert_non_null(resolve(f, "riscv64", NULL, "+v,+zvl256b"));
	assert_int_equal(f->diag.n, 0);
}

static void facts_of_targets(void **state)
{
	const vq_target *t = resolve(*state, "armv7", "cortex-a7", NULL);

	assert_string_equal(t->cpu, "generic");
	assert_string_equal(t->model, "cortex-a7");
	assert_non_null(strstr(t->features, "+neon,+use-misched"));
	assert_int_equal(t->elf.machine, 40);
	assert_int_equal(t->elf.bits, 32);
	assert_int_equal(t->need, VITQ_HWCAP_NEON);
	assert_false(t->softfp);

	t = resolve(*state, "riscv64", NULL, "+zvl256b");
	assert_string_equal(t->abi, "lp64d");
	assert_int_equal(t->min_vlen, 256);
	assert_int_equal(t->vector_bytes, 32);
	assert_int_equal(t->elf.flags, 4);

	t = resolve(*state, "aarch64", "neoverse-n1", NULL);
	assert_int_equal(t->need, VITQ_HWCAP_DOTPROD);
	assert_true(t->pic);
}

static void misspelt_cpus_and_features(void **state)
{
	fixture *f = *state;

	assert_null(resolve(f, "aarch64", "cortex-a35x", NULL));
	assert_true(said(&f->diag, "unknown CPU 'cortex-a35x' of aarch64"));
	assert_true(said(&f->diag, "did you mean 'cortex-a35'?"));
	assert_null(resolve(f, "x86-64", "cortex-a76", NULL));
	assert_true(said(&f->diag, "it is a CPU of another target: -target=aarch64"));
	assert_null(resolve(f, "x86-64", NULL, "+avx3,+sse9,avx2"));
	assert_int_equal(f->diag.errors, 3);
	assert_true(said(&f->diag, "did you mean 'avx'?"));
	assert_true(said(&f->diag, "expected +feature or -feature, got 'avx2'"));
	assert_null(resolve(f, "x86-64", NULL, "-sse2"));
	assert_true(said(&f->diag, "x86-64 cannot do without sse2"));
	assert_null(resolve(f, "aarch64", NULL, "-neon"));
	assert_non_null(resolve(f, "aarch64", NULL, "+i8mm"));
	assert_true(said(&f->diag, "no kernels use i8mm"));
	assert_int_equal(f->diag.errors, 0);
}

static const vq_target *with_abi(fixture *f, const char *target, vq_float_abi float_abi, const char *abi)
{
	vq_target_request r = { .target = target, .float_abi = float_abi, .abi = abi };

	vq_diag_init(&f->diag, &f->arena, NULL);
	return vq_target_resolve(&f->arena, &f->diag, &r);
}

static void abis(void **state)
{
	const vq_target *t = with_abi(*state, "arm-poky-linux-gnueabi", VQ_FLOAT_ABI_HARD, NULL);

	assert_string_equal(t->triple, "armv7-unknown-linux-gnueabihf");
	t = with_abi(*state, "armv7", VQ_FLOAT_ABI_SOFTFP, "aapcs");
	assert_string_equal(t->triple, "armv7-unknown-linux-gnueabi");
	assert_true(t->softfp);
	assert_null(with_abi(*state, "arm-linux-gnueabihf", VQ_FLOAT_ABI_SOFTFP, NULL));
	assert_null(with_abi(*state, "aarch64", VQ_FLOAT_ABI_HARD, NULL));
	assert_non_null(with_abi(*state, "riscv64", VQ_FLOAT_ABI_DEFAULT, "lp64d"));
	assert_null(with_abi(*state, "riscv64", VQ_FLOAT_ABI_DEFAULT, "lp64"));
	assert_true(said(&((fixture *)*state)->diag, "ABI 'lp64' is not supported on riscv64: expected lp64d"));
}

static void this_machine(void **state)
{
	const vq_target *t = resolve(*state, "native", NULL, NULL);
	const vq_target *plain = resolve(*state, NULL, NULL, NULL);

	if (!plain)
		skip(); /* a machine vitqc has no target for */
	assert_non_null(t);
	assert_string_equal(t->name, plain->name);
	assert_string_equal(t->triple, plain->triple);
#if defined(__x86_64__)
	__builtin_cpu_init();
	assert_int_equal(t->isa != VQ_ISA_SSE2, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
	assert_int_equal(plain->isa, VQ_ISA_SSE2);
	assert_null(resolve(*state, "aarch64", "native", NULL));
#endif
}

static void listings(void **state)
{
	FILE *f = tmpfile();
	static char text[16384];
	size_t n;

	assert_non_null(f);
	vq_print_targets(f);
	vq_print_cpus(f, resolve(*state, "x86-64", NULL, NULL));
	rewind(f);
	n = fread(text, 1, sizeof text - 1, f);
	text[n] = 0;
	assert_non_null(strstr(text, "armv7-unknown-linux-gnueabi with -mfloat-abi=softfp"));
	assert_non_null(strstr(text, "kernels for SSE2; AVX2; AVX-VNNI; AVX-512 VNNI\n"));
	assert_non_null(strstr(text, "x86-64             SSE2 (default)"));
	assert_non_null(strstr(text, "cascadelake        AVX-512 VNNI"));
	fclose(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(names_and_triples, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refused_by_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(cpus_choose_instruction_sets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(half_an_instruction_set_is_said, set_up, tear_down),
		cmocka_unit_test_setup_teardown(facts_of_targets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(misspelt_cpus_and_features, set_up, tear_down),
		cmocka_unit_test_setup_teardown(abis, set_up, tear_down),
		cmocka_unit_test_setup_teardown(this_machine, set_up, tear_down),
		cmocka_unit_test_setup_teardown(listings, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
