/* SPDX-License-Identifier: MIT */
#include "tests/unit/kernel_run.h"

#include "backend/module.h"

#include <llvm-c/Analysis.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

const kernel_machine kernel_machines[] = {
	{ "sse2", "x86-64", NULL, NULL, "cc", "", NULL, false },
	{ "avx2", "x86-64", "x86-64-v3", NULL, "cc", "", "avx2", false },
	{ "avx_vnni_by_avx2", "x86-64", "alderlake", NULL, "cc", "", "avx2", true },
	{ "avx_vnni", "x86-64", "alderlake", NULL, "cc", "", "avx_vnni", false },
	{ "vnni_by_avx2", "x86-64", "x86-64-v4", "+avx512vnni", "cc", "", "avx2", true },
	{ "vnni", "x86-64", "x86-64-v4", "+avx512vnni", "cc", "", "avx512_vnni", false },
	{ "neon64", "aarch64", "cortex-a53", NULL, "aarch64-linux-gnu-gcc",
		"qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu cortex-a53", NULL, false },
	{ "dotprod", "aarch64", "cortex-a76", NULL, "aarch64-linux-gnu-gcc",
		"qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu cortex-a76", NULL, false },
	{ "i8mm", "aarch64", NULL, "+dotprod,+i8mm", "aarch64-linux-gnu-gcc",
		"qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu max", NULL, false },
	{ "neon32", "armv7", NULL, NULL, "arm-linux-gnueabihf-gcc",
		"qemu-arm -L /usr/arm-linux-gnueabihf -cpu cortex-a7", NULL, false },
	{ "rv64", "riscv64", NULL, NULL, "riscv64-linux-gnu-gcc",
		"qemu-riscv64 -L /usr/riscv64-linux-gnu -cpu rv64,v=false", NULL, false },
	{ "rvv128", "riscv64", NULL, "+v", "riscv64-linux-gnu-gcc",
		"qemu-riscv64 -L /usr/riscv64-linux-gnu -cpu rv64,v=true,vext_spec=v1.0,vlen=128,elen=64", NULL,
		false },
	{ "rvv256", "riscv64", NULL, "+v,+zvl256b", "riscv64-linux-gnu-gcc",
		"qemu-riscv64 -L /usr/riscv64-linux-gnu -cpu rv64,v=true,vext_spec=v1.0,vlen=256,elen=64", NULL,
		false },
};
const unsigned n_kernel_machines = sizeof kernel_machines / sizeof *kernel_machines;

struct kernel_suite {
	const kernel_machine *machine;
	const char *name;
	vq_arena arena;
	vq_diag diag;
	vq_target target; /* a copy: emulation takes features from it */
	vq_codegen c;
	LLVMTargetMachineRef tm;
	vq_kernel *kernel;
	uint32_t n_kernels, cap_kernels;
	LLVMValueRef *function;
	uint32_t cap_functions;
	unsigned char *cases;
	size_t bytes, cap;
	uint32_t n_cases;
	bool products; /* some kernel has a k loop */
};

/* ---- cases ---- */

static void put(kernel_suite *s, const void *data, size_t n)
{
	if (s->bytes + n > s->cap) {
		s->cap = 2 * (s->bytes + n);
		unsigned char *grown = vq_arena_alloc(&s->arena, s->cap);

		if (s->bytes)
			memcpy(grown, s->cases, s->bytes);
		s->cases = grown;
	}
	if (n)
		memcpy(s->cases + s->bytes, data, n);
	s->bytes += n;
}

static void put_word(kernel_suite *s, uint64_t v)
{
	uint32_t w = (uint32_t)v;

	put(s, &w, sizeof w);
}

kernel_suite *kernel_suite_open(const kernel_machine *m, const char *name)
{
	kernel_suite *s = calloc(1, sizeof *s);
	vq_target_request request = { .target = m->target, .cpu = m->cpu, .attr = m->attr };
	const vq_target *t;

	if (!s)
		abort();
	s->machine = m;
	s->name = name;
	vq_diag_init(&s->diag, &s->arena, "test");
	t = vq_target_resolve(&s->arena, &s->diag, &request);
	if (!t) {
		fprintf(stderr, "%s: the target does not resolve\n", m->name);
		abort();
	}
	s->target = *t;
	if (m->emulate) {
		request = (vq_target_request){ .target = "x86-64", .cpu = "x86-64-v3" };
		s->target.features = vq_target_resolve(&s->arena, &s->diag, &request)->features;
	}
	s->tm = vq_codegen_open(&s->c, &s->target, true, &s->diag);
	if (!s->tm)
		abort();
	return s;
}

const vq_target *kernel_suite_target(const kernel_suite *s) { return &s->target; }

static LLVMValueRef build_kernel(kernel_suite *s, const vq_kernel *k, uint32_t index)
{
	vq_codegen *c = &s->c;
	LLVMTypeRef param[3] = { c->ptr, c->i32, c->i32 };
	vq_kernel_args a = { 0 };
	char name[32];
	uint32_t word = LLVMGetIntTypeWidth(c->word) / 8;

	snprintf(name, sizeof name, "kernel_%u", index);
	c->function = LLVMAddFunction(c->module, name, LLVMFunctionType(c->void_, param, 3, 0));
	vq_function_attributes(c, c->function);
	LLVMPositionBuilderAtEnd(c->b, LLVMAppendBasicBlockInContext(c->context, c->function, "entry"));
	for (uint32_t i = 0; i <= VQ_MAX_ARGS; i++) {
		vq_ll p = vq_load(c, c->ptr, vq_offset_const(c, LLVMGetParam(c->function, 0), (int64_t)i * word), word);

		*(i ? &a.arg[i - 1] : &a.scratch) = p;
	}
	a.task = LLVMGetParam(c->function, 1);
	if (c->word != c->i32)
		a.task = LLVMBuildZExt(c->b, a.task, c->word, "");
	vq_build_kernel(c, k, &a);
	s->products |= k->kind == VQ_KERNEL_GEMM || k->kind == VQ_KERNEL_ATTENTION;
	LLVMBuildRetVoid(c->b);
	return c->function;
}

void kernel_suite_add(kernel_suite *s, const char *name, const vq_kernel *k, const kernel_data *arg, uint32_t n)
{
	uint32_t i = 0;

	while (i < s->n_kernels && memcmp(&s->kernel[i], k, sizeof *k) != 0)
		i++;
	if (i == s->n_kernels) {
		s->kernel = vq_arena_grow(&s->arena, s->kernel, &s->cap_kernels, i + 1, sizeof *s->kernel);
		s->function = vq_arena_grow(&s->arena, s->function, &s->cap_functions, i + 1, sizeof *s->function);
		s->kernel[i] = *k;
		s->function[i] = build_kernel(s, k, i);
		s->n_kernels++;
	}
	put_word(s, i);
	put_word(s, vq_kernel_tasks(k, &s->target));
	put_word(s, vq_kernel_scratch(k, &s->target));
	put_word(s, n);
	put_word(s, strlen(name) + 1);
	put(s, name, strlen(name) + 1);
	for (uint32_t j = 0; j < n; j++) {
		put_word(s, arg[j].bytes);
		put_word(s, arg[j].result);
		put(s, arg[j].data, arg[j].bytes);
	}
	s->n_cases++;
}

/* ---- the object ---- */

/* ---- AVX-512 and AVX-VNNI in plain IR, in place of the intrinsics ---- */

typedef LLVMValueRef plain_body(vq_codegen *c, LLVMValueRef f);

static LLVMValueRef plain_vpdpbusd(vq_codegen *c, LLVMValueRef f)
{
	LLVMValueRef acc = LLVMGetParam(f, 0), product;
	uint32_t lanes = vq_lanes_of(acc);
	LLVMTypeRef wide = vq_vec(c->i32, 4 * lanes), bytes = vq_vec(c->i8, 4 * lanes);
	LLVMValueRef a = LLVMBuildZExt(c->b, LLVMBuildBitCast(c->b, LLVMGetParam(f, 1), bytes, ""), wide, "");
	LLVMValueRef b = LLVMBuildSExt(c->b, LLVMBuildBitCast(c->b, LLVMGetParam(f, 2), bytes, ""), wide, "");

	product = LLVMBuildMul(c->b, a, b, "");
	for (uint32_t i = 0; i < 4; i++) {
		LLVMValueRef mask[16];

		for (uint32_t j = 0; j < lanes; j++)
			mask[j] = vq_ci32(c, 4 * (int64_t)j + i);
		acc = LLVMBuildAdd(c->b, acc,
			LLVMBuildShuffleVector(c->b, product, LLVMGetPoison(wide), LLVMConstVector(mask, lanes), ""),
			"");
	}
	return acc;
}

static LLVMValueRef plain_cvtps2dq(vq_codegen *c, LLVMValueRef f)
{
	LLVMValueRef v = LLVMGetParam(f, 0);
	LLVMTypeRef t = LLVMTypeOf(v);

	v = vq_intrinsic(c, "llvm.rint", &t, 1, &v, 1);
	return LLVMBuildFPToSI(c->b, v, vq_vec(c->i32, 16), "");
}

/* both operands into [low, high], narrowed, and interleaved by 128 bit of the operands */
static LLVMValueRef plain_pack(vq_codegen *c, LLVMValueRef f, int64_t low, int64_t high, LLVMTypeRef to)
{
	LLVMValueRef half[2], mask[64];
	uint32_t n = vq_lanes_of(LLVMGetParam(f, 0)), per = n / 4;

	for (uint32_t i = 0; i < 2; i++) {
		LLVMValueRef v = LLVMGetParam(f, i);
		LLVMTypeRef e = LLVMGetElementType(LLVMTypeOf(v));
		LLVMValueRef least = vq_splat(c, LLVMConstInt(e, (unsigned long long)low, 1), n);
		LLVMValueRef most = vq_splat(c, LLVMConstInt(e, (unsigned long long)high, 1), n);

		v = LLVMBuildSelect(c->b, LLVMBuildICmp(c->b, LLVMIntSLT, v, least, ""), least, v, "");
		v = LLVMBuildSelect(c->b, LLVMBuildICmp(c->b, LLVMIntSGT, v, most, ""), most, v, "");
		half[i] = LLVMBuildTrunc(c->b, v, vq_vec(to, n), "");
	}
	for (uint32_t i = 0; i < 2 * n; i++)
		mask[i] = vq_ci32(c, (int64_t)(i / per % 2 * n + i / (2 * per) * per + i % per));
	return LLVMBuildShuffleVector(c->b, half[0], half[1], LLVMConstVector(mask, 2 * n), "");
}

static LLVMValueRef plain_packssdw(vq_codegen *c, LLVMValueRef f)
{
	return plain_pack(c, f, INT16_MIN, INT16_MAX, c->i16);
}
static LLVMValueRef plain_packsswb(vq_codegen *c, LLVMValueRef f)
{
	return plain_pack(c, f, INT8_MIN, INT8_MAX, c->i8);
}
static LLVMValueRef plain_packuswb(vq_codegen *c, LLVMValueRef f) { return plain_pack(c, f, 0, UINT8_MAX, c->i8); }

static void emulate(kernel_suite *s)
{
	static const struct {
		const char *name;
		plain_body *body;
	} plain[] = {
		{ "llvm.x86.avx512.vpdpbusd.256", plain_vpdpbusd },
		{ "llvm.x86.avx512.vpdpbusd.512", plain_vpdpbusd },
		{ "llvm.x86.avx512.mask.cvtps2dq.512", plain_cvtps2dq },
		{ "llvm.x86.avx512.packssdw.512", plain_packssdw },
		{ "llvm.x86.avx512.packsswb.512", plain_packsswb },
		{ "llvm.x86.avx512.packuswb.512", plain_packuswb },
	};
	vq_codegen *c = &s->c;

	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
		LLVMValueRef f = LLVMGetNamedFunction(c->module, plain[i].name), g;

		if (!f)
			continue;
		g = LLVMAddFunction(c->module, "plain", LLVMGlobalGetValueType(f));
		LLVMSetLinkage(g, LLVMInternalLinkage);
		c->function = g;
		vq_function_attributes(c, g);
		LLVMPositionBuilderAtEnd(c->b, LLVMAppendBasicBlockInContext(c->context, g, "entry"));
		LLVMBuildRet(c->b, plain[i].body(c, g));
		LLVMReplaceAllUsesWith(f, g);
		LLVMDeleteFunction(f);
	}
}

static bool write_object(kernel_suite *s, const char *stem)
{
	vq_codegen *c = &s->c;
	LLVMValueRef table;
	LLVMTypeRef type = LLVMArrayType2(c->ptr, s->n_kernels);
	char path[256], *message = NULL;
	FILE *f;
	bool good;

	if (s->machine->emulate)
		emulate(s);
	table = LLVMAddGlobal(c->module, type, "vq_test_kernels");
	LLVMSetInitializer(table, LLVMConstArray2(c->ptr, s->function, s->n_kernels));
	LLVMSetGlobalConstant(table, 1);
	if (LLVMVerifyModule(c->module, LLVMReturnStatusAction, &message)) {
		fprintf(stderr, "%s: %s\n", stem, message);
		return false;
	}
	LLVMDisposeMessage(message);
	if (c->unknown_intrinsic) {
		fprintf(stderr, "%s: unknown intrinsic %s\n", stem, c->unknown_intrinsic);
		return false;
	}
	snprintf(path, sizeof path, "%s.o", stem);
	if (LLVMTargetMachineEmitToFile(s->tm, c->module, path, LLVMObjectFile, &message)) {
		fprintf(stderr, "%s: %s\n", stem, message);
		return false;
	}
	snprintf(path, sizeof path, "%s.cases", stem);
	f = fopen(path, "wb");
	good = f && fwrite(&s->n_cases, 4, 1, f) == 1 && fwrite(s->cases, 1, s->bytes, f) == s->bytes;
	if (f && fclose(f))
		good = false;
	return good;
}

static int shell(const char *format, const char *a, const char *b, const char *d)
{
	char command[2048];
	int status;

	snprintf(command, sizeof command, format, a, b, d);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static bool can_run(const kernel_machine *m)
{
	if (shell("command -v %s >/dev/null 2>&1%s%s", m->compiler, "", ""))
		return false;
	if (*m->runner)
		return !shell("set -- %s; command -v $1 >/dev/null 2>&1%s%s", m->runner, "", "");
	if (shell("test \"$(uname -m)\" = x86_64%s%s%s", "", "", ""))
		return false;
	/* what the CPU says of itself */
	return !m->flag || !shell("grep -qw %s /proc/cpuinfo%s%s", m->flag, "", "");
}

bool kernel_suite_lacks_word_stores(const kernel_suite *s)
{
	return !strcmp(s->machine->name, "vnni") && !can_run(s->machine);
}

bool kernel_suite_run(kernel_suite *s, bool *skipped)
{
	char stem[200];
	bool good;

	*skipped = false;
	mkdir(TEST_BUILD "/kernels", 0777);
	snprintf(stem, sizeof stem, TEST_BUILD "/kernels/%s_%s", s->name, s->machine->name);
	good = write_object(s, stem);
	if (good && s->products && !s->machine->emulate) {
		int r = shell("sh " TEST_ROOT "/tests/run/spills.sh %s.o%s%s", stem, "", "");

		good = r == 0 || r == 77;
	}
	if (good && !can_run(s->machine)) {
		/* AVX-512 has an emulator, slower than qemu-user but for it */
		int r = strcmp(s->machine->name, "vnni")
			? 77
			: shell("sh " TEST_ROOT "/tests/run/bare/kernels.sh %s%s%s", stem, "", "");

		*skipped = r == 77;
		good = r == 0 || r == 77;
	} else if (good)
		good = !shell("%s -O1 -std=gnu11 -o %s.exe " TEST_ROOT "/tests/run/kernel_driver.c %s.o",
			       s->machine->compiler, stem, stem) &&
			!shell("%s %s.exe %s.cases", s->machine->runner, stem, stem) &&
			!shell("%s %s.exe %s.cases flush", s->machine->runner, stem, stem);
	vq_codegen_close(&s->c, s->tm);
	vq_arena_free(&s->arena);
	free(s);
	return good;
}

static bool wanted(const kernel_machine *m)
{
	const char *list = getenv("KERNEL_MACHINES"), *at = list ? strstr(list, m->name) : NULL;
	size_t n = strlen(m->name);

	for (; at; at = strstr(at + 1, m->name))
		if ((at == list || at[-1] == ' ') && (!at[n] || at[n] == ' '))
			return true;
	return !list;
}

bool kernel_suite_each(const char *name, void (*cases)(kernel_suite *s))
{
	uint32_t ran = 0;

	for (unsigned i = 0; i < n_kernel_machines; i++) {
		kernel_suite *s;
		bool skipped;

		if (!wanted(&kernel_machines[i]))
			continue;
		s = kernel_suite_open(&kernel_machines[i], name);
		test_seed(i + 1);
		cases(s);
		if (!kernel_suite_run(s, &skipped)) {
			printf("%s on %s: failed\n", name, kernel_machines[i].name);
			return false;
		}
		printf("%s: %s\n", kernel_machines[i].name, skipped ? "built only" : "ran");
		ran += !skipped;
	}
	return ran > 0;
}

/* ---- data ---- */

static uint32_t state = 1;

void test_seed(uint32_t seed) { state = seed * 2654435761u + 1; }

uint32_t test_random(void)
{
	state = state * 1664525u + 1013904223u;
	return state >> 8;
}

int8_t test_code(int lo, int hi) { return (int8_t)(lo + (int)(test_random() % (uint32_t)(hi - lo + 1))); }

float test_f32(float size) { return ((float)(int32_t)(test_random() & 0xffff) - 32767.5f) * (size / 32768.0f); }
