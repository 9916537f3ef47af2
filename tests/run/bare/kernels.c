/* SPDX-License-Identifier: MIT */
/* The cases of tests/run/kernel_driver.c in the emulator: no C library, no guard pages, buffers from 64 MiB on. */
#include <stddef.h>
#include <stdint.h>

typedef void kernel(void **args, int32_t task, int32_t worker);
extern kernel *const vq_test_kernels[];
extern const unsigned char vq_cases[];

enum { MOST_ARGS = 16, OUTPUT = 1, GUARD = 0xa5, GUARD_BYTES = 256 };

static unsigned char *const memory = (unsigned char *)0x4000000;

/* what compilers call on their own */
void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((volatile unsigned char *)to)[i] = ((const unsigned char *)from)[i];
	return to;
}

void *memset(void *to, int v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((volatile unsigned char *)to)[i] = (unsigned char)v;
	return to;
}

static void put(char c) { __asm__ volatile("outb %0, $0xe9" : : "a"(c)); }

static void text(const char *s)
{
	while (*s)
		put(*s++);
}

static void number(uint32_t v)
{
	if (v >= 10)
		number(v / 10);
	put((char)('0' + v % 10));
}

static uint32_t word(const unsigned char **at)
{
	uint32_t v;

	memcpy(&v, *at, 4);
	*at += 4;
	return v;
}

static unsigned char *allocate(size_t *used, size_t bytes, int fill)
{
	unsigned char *p = memory + *used + GUARD_BYTES;

	memset(memory + *used, GUARD, GUARD_BYTES);
	memset(p, fill, bytes);
	*used += (GUARD_BYTES + bytes + 63) / 64 * 64;
	memset(p + bytes, GUARD, (size_t)(memory + *used - p) - bytes + GUARD_BYTES);
	return p;
}

static void report(size_t i, int got, int want)
{
	text("@byte ");
	number((uint32_t)i);
	text(": got ");
	number((uint32_t)got);
	text(", expected ");
	number((uint32_t)want);
	text("\n");
}

static int differs(const unsigned char *got, const unsigned char *want, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (got[i] != want[i]) {
			report(i, got[i], want[i]);
			return 1;
		}
	for (size_t i = 1; i <= 64; i++)
		if (got[-(ptrdiff_t)i] != GUARD || got[n + i - 1] != GUARD)
			return 1;
	return 0;
}

static int run_case(const unsigned char **at)
{
	uint32_t index = word(at), tasks = word(at), scratch_bytes = word(at), n = word(at), name_bytes = word(at);
	const char *name = (const char *)*at;
	const unsigned char *want[MOST_ARGS + 1] = { NULL };
	void *args[MOST_ARGS + 1];
	size_t used = 0, size[MOST_ARGS + 1];
	int bad = 0;

	*at += name_bytes;
	args[0] = allocate(&used, scratch_bytes, 0x5a);
	for (uint32_t i = 1; i <= n; i++) {
		uint32_t flags;

		size[i] = word(at);
		flags = word(at);
		args[i] = allocate(&used, size[i], 0x77);
		if (flags & OUTPUT)
			want[i] = *at;
		else
			memcpy(args[i], *at, size[i]);
		*at += size[i];
	}
	for (uint32_t t = 0; t < tasks; t++)
		vq_test_kernels[index](args, (int32_t)t, 0);
	for (uint32_t i = 1; i <= n; i++)
		bad |= want[i] && differs(args[i], want[i], size[i]);
	if (bad) {
		text("@FAIL ");
		text(name);
		text("\n");
	}
	return bad;
}

int main(void)
{
	const unsigned char *at = vq_cases;
	uint32_t n = word(&at), bad = 0;

	for (uint32_t i = 0; i < n; i++)
		bad += (uint32_t)run_case(&at);
	text("@");
	number(n);
	text(" cases, ");
	number(bad);
	text(" failed\n");
	return 0;
}
