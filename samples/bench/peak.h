/* SPDX-License-Identifier: MIT */
/*
 * The machine's own dot instructions in a loop that touches no memory: what no product of s8 can exceed. x86 with AVX2; elsewhere
 * nothing is run and the name is NULL.
 */
#ifndef PEAK_H
#define PEAK_H

#include <stddef.h>

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

static int peak_vnni(void) { return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw"); }

static const char *peak_name(void)
{
	return peak_vnni() ? "vpdpbusd zmm" : __builtin_cpu_supports("avx2") ? "vpmaddwd + vpaddd ymm" : NULL;
}

/* one run of the loop; returns its multiply-accumulates */
static double peak_dots(void) { return peak_vnni() ? dot_vnni() : dot_maddwd(); }

#else

static const char *peak_name(void) { return NULL; }

static double peak_dots(void) { return 0; }

#endif
#endif
