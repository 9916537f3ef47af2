/*
 * How near the s8 products come to the machine's own dot instructions, in one process and interleaved: in every round each product and
 * the peak loop take turns, and the medians are compared. gemm.sh makes the products' objects and gemm_table.h.
 *
 * The clock is the thread's CPU time, so that other processes on the machine cost caches and frequency but no waiting.
 */
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* defines gemm_table[]: name, rows, k, n, products, run, workspace bytes */
typedef struct gemm_entry {
	const char *name;
	int m, k, n, products;
	int (*run)(const float *in, int8_t *out, void *workspace, size_t bytes);
	size_t workspace;
} gemm_entry;
#include "gemm_table.h"

enum { ENTRIES = sizeof gemm_table / sizeof *gemm_table, MOST_ROUNDS = 1001, PEAK_LOOPS = 100000 };

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Sixteen independent sums hide the latency. Returns multiply-accumulates. */
static double dot_vnni(void)
{
	long n = PEAK_LOOPS;

#define DOT(i) "vpdpbusd %%zmm31, %%zmm30, %%zmm" #i "\n\t"
	__asm__ volatile("1:\n\t" DOT(0) DOT(1) DOT(2) DOT(3) DOT(4) DOT(5) DOT(6) DOT(7) DOT(8) DOT(9) DOT(10) DOT(11)
		DOT(12) DOT(13) DOT(14) DOT(15) "dec %0\n\tjnz 1b"
		: "+r"(n) : : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
		"xmm12", "xmm13", "xmm14", "xmm15");
	return 16.0 * 64 * PEAK_LOOPS;
}

/* What exact sums of s8 products cost without VNNI: products of s16 in pairs, and an addition. */
static double dot_maddwd(void)
{
	long n = PEAK_LOOPS;

#define PAIR(acc, t) "vpmaddwd %%ymm15, %%ymm15, %%ymm" #t "\n\tvpaddd %%ymm" #t ", %%ymm" #acc ", %%ymm" #acc "\n\t"
	__asm__ volatile("1:\n\t" PAIR(0, 10) PAIR(1, 11) PAIR(2, 12) PAIR(3, 13) PAIR(4, 14) PAIR(5, 10) PAIR(6, 11) PAIR(7, 12)
		PAIR(8, 13) PAIR(9, 14) "dec %0\n\tjnz 1b"
		: "+r"(n) : : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
		"xmm12", "xmm13", "xmm14", "xmm15");
	return 10.0 * 16 * PEAK_LOOPS;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof *v, compare);
	return v[n / 2];
}

int main(int argc, char **argv)
{
	static double rate[ENTRIES + 1][MOST_ROUNDS];
	int rounds = argc > 1 ? atoi(argv[1]) : 51;
	int vnni = __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw");
	size_t in_count = 0, out_bytes = 0, workspace_bytes = 0;
	float *in;
	int8_t *out;
	void *workspace;
	double peak;

	if (rounds < 1 || rounds > MOST_ROUNDS)
		rounds = MOST_ROUNDS;
	for (int i = 0; i < ENTRIES; i++) {
		const gemm_entry *e = &gemm_table[i];
		size_t x = (size_t)e->m * (size_t)e->k, y = (size_t)e->m * (size_t)e->n * (size_t)e->products;

		in_count = x > in_count ? x : in_count;
		out_bytes = y > out_bytes ? y : out_bytes;
		workspace_bytes = e->workspace > workspace_bytes ? e->workspace : workspace_bytes;
	}
	in = malloc(in_count * sizeof *in);
	out = malloc(out_bytes);
	workspace = aligned_alloc(64, (workspace_bytes + 63) / 64 * 64);
	if (!in || !out || !workspace)
		return 1;
	for (size_t i = 0; i < in_count; i++)
		in[i] = (float)(int)(i * 2654435761u >> 24 & 255) / 32.0f - 4.0f;
	memset(out, 0, out_bytes);
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < ENTRIES; i++) {
			const gemm_entry *e = &gemm_table[i];
			double t;

			if (e->run(in, out, workspace, workspace_bytes)) /* untimed: caches and page tables */
				return 1;
			t = now();
			e->run(in, out, workspace, workspace_bytes);
			t = now() - t;
			rate[i][round] = (double)e->m * e->k * e->n * e->products / t;
		}
		double t = now(), work = vnni ? dot_vnni() : dot_maddwd();

		rate[ENTRIES][round] = work / (now() - t);
	}
	peak = median(rate[ENTRIES], rounds);
	printf("peak %-22s %7.1f GMAC/s\n", vnni ? "vpdpbusd zmm" : "vpmaddwd + vpaddd ymm", peak * 1e-9);
	for (int i = 0; i < ENTRIES; i++) {
		const gemm_entry *e = &gemm_table[i];
		double r = median(rate[i], rounds);

		printf("%-5s %4d x %4d x %4d    %7.1f GMAC/s  %5.1f %% of peak  %8.1f us each\n", e->name, e->m, e->k, e->n, r * 1e-9, 100 * r / peak,
			(double)e->m * e->k * e->n / r * 1e6);
	}
	free(in);
	free(out);
	free(workspace);
	return 0;
}
