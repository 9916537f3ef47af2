/* SPDX-License-Identifier: MIT */
/*
 * How near the s8 products come to the machine's own dot instructions, in one process and interleaved: in every round each product and
 * the peak loop take turns, and the medians are compared. gemm.sh makes the products' objects and gemm_table.h.
 *
 *   gemm_peak [ROUNDS [ISA]]      ISA: avx512vnni, avxvnni or avx2; default the best of this CPU
 *
 * The clock is the thread's CPU time, so that other processes on the machine cost caches and frequency but no waiting.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "peak.h"

/* defines gemm_table[]: name, rows, k, n, products, run, workspace bytes */
typedef struct gemm_entry {
	const char *name;
	int m, k, n, products;
	int (*run)(const float *in, int8_t *out, void *workspace, size_t bytes);
	size_t workspace;
} gemm_entry;
#include "gemm_table.h"

enum { ENTRIES = sizeof gemm_table / sizeof *gemm_table, MOST_ROUNDS = 1001 };

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
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
	size_t in_count = 0, out_bytes = 0, workspace_bytes = 0;
	float *in;
	int8_t *out;
	void *workspace;
	const peak_loop *dots = peak_find(argc > 2 ? argv[2] : NULL);
	double peak;

	if (!dots) {
		fprintf(stderr, "gemm_peak: no loop of dot instructions for this CPU\n");
		return 1;
	}
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
		double t = now(), work = dots->run();

		rate[ENTRIES][round] = work / (now() - t);
	}
	peak = median(rate[ENTRIES], rounds);
	printf("peak %-22s %7.1f GMAC/s\n", dots->instruction, peak * 1e-9);
	for (int i = 0; i < ENTRIES; i++) {
		const gemm_entry *e = &gemm_table[i];
		double r = median(rate[i], rounds);

		printf("%-5s %4d x %4d x %4d    %7.1f GMAC/s  %5.1f %% of peak  %8.1f us each\n", e->name, e->m, e->k,
			e->n, r * 1e-9, 100 * r / peak, (double)e->m * e->k * e->n / r * 1e6);
	}
	free(in);
	free(out);
	free(workspace);
	return 0;
}
