/* SPDX-License-Identifier: MIT */
/*
 * Runs kernels of an object made by tests/unit/kernel_run.c on a file of cases and compares results byte for byte.
 * Built by the target's compiler, run natively or in qemu. Every buffer ends at a page that cannot be touched, and
 * starts after bytes that must not change.
 */
#define _DEFAULT_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef void kernel(void **args, int32_t task, int32_t worker);
extern kernel *const vq_test_kernels[];

enum { MOST_ARGS = 16, PAGE = 65536, OUTPUT = 1, ANY_NAN = 2, GUARD = 0xa5 };

static void *get(const unsigned char **at, size_t bytes)
{
	const unsigned char *p = *at;

	*at += bytes;
	return (void *)p;
}

static uint32_t word(const unsigned char **at)
{
	uint32_t v;

	memcpy(&v, get(at, 4), 4);
	return v;
}

typedef struct buffer {
	unsigned char *page, *data;
	size_t mapped, bytes;
} buffer;

static buffer allocate(size_t bytes, int fill)
{
	size_t pages = (bytes + 64 + PAGE - 1) / PAGE * PAGE;
	buffer b = { NULL, NULL, pages + PAGE, bytes };

	b.page = mmap(NULL, b.mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (b.page == MAP_FAILED || mprotect(b.page + pages, PAGE, PROT_NONE)) {
		fprintf(stderr, "no memory\n");
		exit(3);
	}
	b.data = b.page + pages - bytes;
	memset(b.page, GUARD, pages - bytes);
	memset(b.data, fill, bytes);
	return b;
}

static int touched(const buffer *b)
{
	for (const unsigned char *p = b->page; p < b->data; p++)
		if (*p != GUARD)
			return 1;
	return 0;
}

/* The mode in which the CPU treats denormals as zero, if it has one: results must not depend on it. */
static void flush_denormals(void)
{
#if defined(__aarch64__)
	uint64_t r;

	__asm__ volatile("mrs %0, fpcr" : "=r"(r));
	__asm__ volatile("msr fpcr, %0" : : "r"(r | 1u << 24));
#elif defined(__arm__)
	uint32_t r;

	__asm__ volatile("vmrs %0, fpscr" : "=r"(r));
	__asm__ volatile("vmsr fpscr, %0" : : "r"(r | 1u << 24));
#elif defined(__x86_64__)
	uint32_t r;

	__asm__ volatile("stmxcsr %0" : "=m"(r));
	r |= 0x8040;
	__asm__ volatile("ldmxcsr %0" : : "m"(r));
#endif
}

static int is_nan(const unsigned char *p)
{
	uint32_t u;

	memcpy(&u, p, 4);
	return (u & 0x7fffffffu) > 0x7f800000u;
}

static int differs(const unsigned char *got, const unsigned char *want, size_t k, int any_nan)
{
	return got[k] != want[k] && !(any_nan && is_nan(got + (k & ~(size_t)3)) && is_nan(want + (k & ~(size_t)3)));
}

static int run_case(const unsigned char **at)
{
	uint32_t index = word(at), tasks = word(at), scratch_bytes = word(at), n = word(at), name_bytes = word(at);
	const char *name = get(at, name_bytes);
	buffer b[MOST_ARGS + 1];
	const unsigned char *want[MOST_ARGS + 1] = { NULL };
	void *args[MOST_ARGS + 1];
	int any_nan[MOST_ARGS + 1] = { 0 }, bad = 0;

	b[0] = allocate(scratch_bytes, 0x5a);
	for (uint32_t i = 1; i <= n; i++) {
		uint32_t bytes = word(at), flags = word(at);

		b[i] = allocate(bytes, 0x77);
		any_nan[i] = (flags & ANY_NAN) != 0;
		if (flags & OUTPUT)
			want[i] = get(at, bytes);
		else
			memcpy(b[i].data, get(at, bytes), bytes);
	}
	for (uint32_t i = 0; i <= n; i++)
		args[i] = b[i].data;
	for (uint32_t t = 0; t < tasks; t++)
		vq_test_kernels[index](args, (int32_t)t, 0);
	for (uint32_t i = 0; i <= n; i++) {
		if (touched(&b[i])) {
			printf("FAIL %s: argument %d: bytes before it were written\n", name, (int)i - 1);
			bad = 1;
		}
		for (size_t k = 0; want[i] && k < b[i].bytes; k++)
			if (differs(b[i].data, want[i], k, any_nan[i])) {
				printf("FAIL %s: argument %d, byte %u of %u: got %02x, expected %02x\n", name,
					(int)i - 1, (unsigned)k, (unsigned)b[i].bytes, b[i].data[k], want[i][k]);
				bad = 1;
				break;
			}
		munmap(b[i].page, b[i].mapped);
	}
	return bad;
}

int main(int argc, char **argv)
{
	FILE *f = argc > 1 ? fopen(argv[1], "rb") : NULL;
	unsigned char *data;
	const unsigned char *at;
	long size;
	uint32_t n;
	int bad = 0;

	if (!f || fseek(f, 0, SEEK_END) || (size = ftell(f)) < 4 || fseek(f, 0, SEEK_SET))
		return 3;
	data = malloc((size_t)size);
	if (!data || fread(data, 1, (size_t)size, f) != (size_t)size)
		return 3;
	fclose(f);
	if (argc > 2)
		flush_denormals();
	at = data;
	n = word(&at);
	for (uint32_t i = 0; i < n && bad < 20; i++)
		bad += run_case(&at);
	printf("%u cases, %d failed\n", n, bad);
	free(data);
	return bad != 0;
}
