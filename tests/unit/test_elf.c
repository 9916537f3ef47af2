/* SPDX-License-Identifier: MIT */
/*
 * The self-check of objects, on objects of real compilers: the host's cc and the cross compilers that are installed.
 * Each is first accepted as it is, then seen to be refused for one fault at a time.
 */
#include "backend/elf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static vq_arena arena;
static vq_diag diag;
static char folder[] = "/tmp/vq_elf_XXXXXX";

typedef struct object {
	unsigned char *p; /* bytes, exactly n allocated, so that the sanitizer sees reads past the end */
	size_t n;
} object;

static const vq_target *target(const char *name, vq_float_abi float_abi)
{
	vq_target_request r = { .target = name, .float_abi = float_abi };

	return vq_target_resolve(&arena, &diag, &r);
}

/* Compiles C text; n = 0 if the compiler is not there. */
static object compile(const char *cc, const char *options, const char *text)
{
	object o = { NULL, 0 };
	char path[256], command[1024];
	FILE *f;
	long n;

	snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", cc);
	if (system(command) != 0)
		return o;
	snprintf(path, sizeof path, "%s/x.c", folder);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	snprintf(command, sizeof command,
		"cd %s && %s -O2 -fPIC -fvisibility=hidden -ffreestanding -fno-asynchronous-unwind-tables "
		"-fno-unwind-tables -fno-stack-protector %s -c x.c -o x.o",
		folder, cc, options);
	assert_int_equal(system(command), 0);
	snprintf(path, sizeof path, "%s/x.o", folder);
	f = fopen(path, "rb");
	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	n = ftell(f);
	rewind(f);
	o.p = test_malloc((size_t)n);
	o.n = fread(o.p, 1, (size_t)n, f);
	assert_int_equal(o.n, n);
	fclose(f);
	return o;
}

static const char plain[] = "static const float w[4] = { 1, 2, 3, 4 };\n"
			    "__attribute__((visibility(\"default\"))) float vit_run(int i) { return w[i & 3]; }\n";

static const struct {
	const char *target, *cc, *options;
	vq_float_abi float_abi;
} compilers[] = {
	{ "x86-64", "x86_64-linux-gnu-gcc", "", VQ_FLOAT_ABI_DEFAULT },
	{ "aarch64", "aarch64-linux-gnu-gcc", "", VQ_FLOAT_ABI_DEFAULT },
	{ "armv7", "arm-linux-gnueabihf-gcc", "", VQ_FLOAT_ABI_HARD },
	{ "armv7", "arm-linux-gnueabi-gcc", "-march=armv7-a -mfpu=neon -mfloat-abi=softfp", VQ_FLOAT_ABI_SOFTFP },
	{ "riscv64", "riscv64-linux-gnu-gcc", "", VQ_FLOAT_ABI_DEFAULT },
};

enum { N_COMPILERS = sizeof compilers / sizeof *compilers };

static bool said(const char *text)
{
	for (uint32_t i = 0; i < diag.n; i++)
		if (strstr(diag.item[i].text, text))
			return true;
	return false;
}

static bool check(const vq_target *t, const object *o)
{
	vq_diag_init(&diag, &arena, NULL);
	return vq_elf_check(t, "vit", o->p, o->n, &diag);
}

static void good_objects(void **state)
{
	uint32_t seen = 0;

	(void)state;
	for (uint32_t i = 0; i < N_COMPILERS; i++) {
		object o = compile(compilers[i].cc, compilers[i].options, plain);

		if (!o.n)
			continue;
		seen++;
		if (!check(target(compilers[i].target, compilers[i].float_abi), &o))
			fail_msg("%s: %s", compilers[i].cc, diag.item[0].text);
		test_free(o.p);
	}
	if (!seen)
		skip();
}

static void faults(void **state)
{
	static const struct {
		const char *text, *options, *says;
	} row[] = {
		{ "extern float expf(float); __attribute__((visibility(\"default\"))) float vit_run(float x) { return expf(x); }",
			"", "undefined symbol 'expf'" },
		{ "int vit_count = 3; int vit_run(void) { return vit_count++; }", "", "writable section .data" },
		{ "static int n; int vit_run(void) { return n++; }", "", "writable section .bss" },
		{ "_Thread_local int vit_n = 4; int vit_run(void) { return vit_n; }", "",
			"thread-local section .tdata" },
		{ "static const char a[] = \"abc\"; const char *const vit_names[2] = { a, a + 1 };", "",
			"writable section .data.rel.ro" },
		{ "int helper(void) { return 1; } int vit_run(void) { return 2; }", "",
			"global symbol 'helper' does not start with 'vit_'" },
		{ "int vitality(void) { return 1; }", "", "global symbol 'vitality'" },
		{ "int vit_run(void) { return 2; }", "-fasynchronous-unwind-tables", "section .eh_frame" },
		{ "static const char a[] = \"abc\"; const char *const vit_names[2] = { a, a + 1 };", "-fno-pic",
			"text relocation" },
		{ "int vit_common; ", "-fcommon", "common (writable) symbol 'vit_common'" },
	};
	uint32_t seen = 0;

	(void)state;
	for (uint32_t i = 0; i < N_COMPILERS; i++) {
		for (size_t k = 0; k < sizeof row / sizeof *row; k++) {
			char options[256];
			object o;

			/* Arm has its own unwind tables */
			if (strcmp(compilers[i].target, "armv7") == 0 && strstr(row[k].options, "unwind"))
				continue;
			snprintf(options, sizeof options, "%s %s", compilers[i].options, row[k].options);
			o = compile(compilers[i].cc, options, row[k].text);
			if (!o.n)
				continue;
			seen++;
			assert_false(check(target(compilers[i].target, compilers[i].float_abi), &o));
			assert_int_equal(diag.bugs, diag.errors);
			if (!said(row[k].says))
				fail_msg(
					"%s: expected '%s', got '%s'", compilers[i].cc, row[k].says, diag.item[0].text);
			test_free(o.p);
		}
	}
	if (!seen)
		skip();
}

static void wrong_targets(void **state)
{
	object o = compile("arm-linux-gnueabihf-gcc", "", plain);

	(void)state;
	if (o.n) {
		assert_false(check(target("armv7", VQ_FLOAT_ABI_SOFTFP), &o));
		assert_true(said("Tag_ABI_VFP_args is 1, expected 0 (softfp float ABI)"));
		assert_false(check(target("aarch64", VQ_FLOAT_ABI_DEFAULT), &o));
		assert_true(said("ELF class"));
		test_free(o.p);
	}
	o = compile("arm-linux-gnueabi-gcc", "-march=armv7-a -mfpu=neon -mfloat-abi=softfp", plain);
	if (o.n) {
		assert_false(check(target("armv7", VQ_FLOAT_ABI_HARD), &o));
		assert_true(said("Tag_ABI_VFP_args is 0, expected 1 (hard float ABI)"));
		test_free(o.p);
	}
	o = compile("riscv64-linux-gnu-gcc", "-march=rv64imac -mabi=lp64", "int vit_run(void) { return 1; }");
	if (o.n) {
		assert_false(check(target("riscv64", VQ_FLOAT_ABI_DEFAULT), &o));
		assert_true(said("ELF flags"));
		assert_false(check(target("x86-64", VQ_FLOAT_ABI_DEFAULT), &o));
		assert_true(said("ELF machine 243, expected 62"));
		test_free(o.p);
	}
}

/* Every truncation and every single changed byte of the headers: an answer, and no read past the end. */
static void damaged_objects(void **state)
{
	object o = compile("arm-linux-gnueabihf-gcc", "", plain);
	const vq_target *t = target("armv7", VQ_FLOAT_ABI_HARD);
	object cut;

	(void)state;
	if (!o.n) {
		o = compile("cc", "", plain);
		t = target("x86-64", VQ_FLOAT_ABI_DEFAULT);
	}
	if (!o.n)
		skip();
	for (size_t n = 0; n < o.n; n++) {
		cut = (object){ test_malloc(n + !n), n };
		memcpy(cut.p, o.p, n);
		assert_false(check(t, &cut)); /* the section table stands last */
		test_free(cut.p);
	}
	for (size_t i = 0; i < o.n; i++) {
		for (uint32_t v = 0; v < 3; v++) {
			unsigned char old = o.p[i];

			o.p[i] = (unsigned char)(v == 0 ? 0xff : v == 1 ? 0 : old ^ 0x80);
			check(t, &o);
			o.p[i] = old;
		}
	}
	test_free(o.p);
}

/* a section without bytes becomes the read-only section of its weights */
static void placed_weights(void **state)
{
	(void)state;
	for (int i = 0; i < N_COMPILERS; i++) {
		const vq_target *t = target(compilers[i].target, compilers[i].float_abi);
		object o = compile(compilers[i].cc, compilers[i].options,
			"static char w[4000] __attribute__((section(\".bss.mine\")));\n"
			"__attribute__((visibility(\"default\"))) char *vit_run(int i) { return w + i; }\n");
		unsigned char *p;

		if (!o.n)
			continue;
		diag.n = diag.errors = diag.bugs = 0;
		assert_false(vq_elf_check(t, "vit", o.p, o.n, &diag));
		assert_true(said("writable section .bss.mine of 4000 bytes"));
		diag.n = diag.errors = diag.bugs = 0;
		p = test_malloc(o.n);
		memcpy(p, o.p, o.n);
		assert_true(vq_elf_place(t, p, o.n, ".mine", 4096, &diag));
		assert_true(vq_elf_check(t, "vit", p, o.n, &diag));
		assert_false(vq_elf_place(t, p, o.n, ".mine", 4096, &diag)); /* it is placed */
		assert_true(said("there is no section .bss.mine"));
		test_free(p);
		test_free(o.p);
	}
}

static int clean(void **state)
{
	char command[256];

	(void)state;
	vq_arena_free(&arena);
	snprintf(command, sizeof command, "rm -r %s", folder);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_objects),
		cmocka_unit_test(faults),
		cmocka_unit_test(wrong_targets),
		cmocka_unit_test(placed_weights),
		cmocka_unit_test(damaged_objects),
	};

	vq_diag_init(&diag, &arena, NULL);
	if (!mkdtemp(folder))
		return 1;
	return cmocka_run_group_tests(tests, NULL, clean);
}
