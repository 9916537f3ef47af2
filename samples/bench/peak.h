/* SPDX-License-Identifier: MIT */
/*
 * The machine's own dot instructions in a loop that touches no memory: what no product of s8 can exceed. x86 with AVX2; elsewhere
 * there is no loop.
 */
#ifndef PEAK_H
#define PEAK_H

#include <stddef.h>
#include <string.h>

typedef struct peak_loop {
	const char *isa, *instruction;
	double (*run)(void); /* once; returns its multiply-accumulates */
} peak_loop;

#ifdef __x86_64__

enum { PEAK_LOOPS = 100000 };

/* Sixteen independent sums hide the latency. Returns multiply-accumulates. */
static double dot_vnni(void)
{
	long n = PEAK_LOOPS;

#define DOT(i) "vpdpbusd %%zmm31, %%zmm30, %%zmm" #i "\n\t"
	__asm__ volatile("1:\n\t" DOT(0) DOT(1) DOT(2) DOT(3) DOT(4) DOT(5) DOT(6) DOT(7) DOT(8) DOT(9) DOT(10) DOT(11)
				 DOT(12) DOT(13) DOT(14) DOT(15) "dec %0\n\tjnz 1b"
			 : "+r"(n)
			 :
			 : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
			 "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
	return 16.0 * 64 * PEAK_LOOPS;
}

/* The same of AVX-VNNI: 256 bits, and half of the registers. */
static double dot_avx_vnni(void)
{
	long n = PEAK_LOOPS;

#define VEX(i) "%{vex%} vpdpbusd %%ymm15, %%ymm14, %%ymm" #i "\n\t"
	__asm__ volatile("1:\n\t" VEX(0) VEX(1) VEX(2) VEX(3) VEX(4) VEX(5) VEX(6) VEX(7) VEX(8) VEX(9) VEX(10) VEX(11)
				 VEX(12) VEX(13) "dec %0\n\tjnz 1b"
			 : "+r"(n)
			 :
			 : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
			 "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
	return 14.0 * 32 * PEAK_LOOPS;
}

/* What exact sums of s8 products cost without VNNI: products of s16 in pairs, and an addition. */
static double dot_maddwd(void)
{
	long n = PEAK_LOOPS;

#define PAIR(acc, t) "vpmaddwd %%ymm15, %%ymm15, %%ymm" #t "\n\tvpaddd %%ymm" #t ", %%ymm" #acc ", %%ymm" #acc "\n\t"
	__asm__ volatile("1:\n\t" PAIR(0, 10) PAIR(1, 11) PAIR(2, 12) PAIR(3, 13) PAIR(4, 14) PAIR(5, 10) PAIR(6, 11)
				 PAIR(7, 12) PAIR(8, 13) PAIR(9, 14) "dec %0\n\tjnz 1b"
			 : "+r"(n)
			 :
			 : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
			 "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
	return 10.0 * 16 * PEAK_LOOPS;
}

static const peak_loop peak_loops[] = {
	{ "avx512vnni", "vpdpbusd zmm", dot_vnni },
	{ "avxvnni", "vpdpbusd ymm", dot_avx_vnni },
	{ "avx2", "vpmaddwd + vpaddd ymm", dot_maddwd },
};

static int peak_has(const peak_loop *p)
{
	switch (p - peak_loops) {
	case 0: return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw");
	case 1: return __builtin_cpu_supports("avxvnni");
	default: return __builtin_cpu_supports("avx2");
	}
}

#else

static const peak_loop peak_loops[] = { { "", NULL, NULL } };

static int peak_has(const peak_loop *p) { return p->run != NULL; }

#endif

/* The loop of an instruction set, or of the best that this CPU has (isa: NULL); NULL if there is none. */
static const peak_loop *peak_find(const char *isa)
{
	for (size_t i = 0; i < sizeof peak_loops / sizeof *peak_loops; i++)
		if ((!isa || !strcmp(isa, peak_loops[i].isa)) && peak_has(&peak_loops[i]))
			return &peak_loops[i];
	return NULL;
}

#endif
