/* SPDX-License-Identifier: MIT */
/*
 * Times one compiled model: `bench N` runs it N times and prints N lines, each one latency in milliseconds. `bench 0` prints what it
 * is instead: scheme, multiply-accumulates of one run, and the machine's peak: instruction and multiply-accumulates per millisecond.
 *
 * Compile with -include MODEL.h -DRUN=model_run -DINFO=model_info -DNAME=MODEL and link MODEL.o (bench.sh does).
 * PEERS_INPUT: file of raw f32, the input;
 * PEERS_OUTPUT: file for the raw output of the last run; PEERS_THREADS: workers; PEERS_CLOCK=cpu: latencies are CPU time of the process
 * (with one worker the same on an idle machine, and on a busy one no waiting); PEAK: avx512vnni, avxvnni or avx2 (default the best
 * that the CPU has).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "peak.h"
#include "vitq_pool.h"

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)

static int file(const char *path, const char *mode, void *data, size_t bytes)
{
	FILE *f = fopen(path, mode);
	size_t n = f ? (*mode == 'r' ? fread(data, 1, bytes, f) : fwrite(data, 1, bytes, f)) : 0;

	if (f)
		fclose(f);
	if (n != bytes)
		fprintf(stderr, "bench: %s: %zu of %zu bytes\n", path, n, bytes);
	return n == bytes;
}

static double now(void)
{
	static int cpu = -1;
	struct timespec t;

	if (cpu < 0)
		cpu = getenv("PEERS_CLOCK") && !strcmp(getenv("PEERS_CLOCK"), "cpu");
	clock_gettime(cpu ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* the fastest of several short loops: other programs on the machine only make them slower */
static double peak(const peak_loop *dots)
{
	enum { TRIES = 9 };
	double best = 0;

	for (int i = 0; i < TRIES && dots; i++) {
		double start = now(), macs = dots->run(), rate = macs / (now() - start);

		best = rate > best ? rate : best;
	}
	return best;
}

static void describe(const vitq_info *info)
{
	const peak_loop *dots = peak_find(getenv("PEAK"));

	printf("%s\n%llu\n%s\n%.0f\n", (const char *)info + info->scheme, (unsigned long long)info->macs,
		dots ? dots->instruction : "", peak(dots));
}

int main(int argc, char **argv)
{
	long n = argc > 1 ? strtol(argv[1], NULL, 10) : 10;
	uint32_t workers = getenv("PEERS_THREADS") ? (uint32_t)strtoul(getenv("PEERS_THREADS"), NULL, 10) : 1;
	size_t in_bytes = sizeof(float) * INPUT_COUNT, out_bytes = sizeof(float) * OUTPUT_COUNT;
	size_t bytes = PASTE(NAME, _WORKSPACE_BYTES_FOR)(workers);
	void *workspace = aligned_alloc(64, (bytes + 63) / 64 * 64);
	float *in = calloc(1, in_bytes), *out = calloc(1, out_bytes);
	vitq_pool *pool = vitq_pool_create(workers);
	vitq_env env;

	if (!workspace || !in || !out || !pool)
		return 1;
	vitq_pool_env(pool, &env);
	if (getenv("PEERS_INPUT") && !file(getenv("PEERS_INPUT"), "rb", in, in_bytes))
		return 1;
	if (n == 0)
		describe(&INFO);
	for (long i = 0; i < n; i++) {
		double start = now();
		int e = RUN(in, out, workspace, bytes, &env);
		double took = now() - start;

		if (e) {
			fprintf(stderr, "bench: error %d\n", e);
			return 1;
		}
		printf("%.4f\n", took);
		fflush(stdout);
	}
	if (n && getenv("PEERS_OUTPUT") && !file(getenv("PEERS_OUTPUT"), "wb", out, out_bytes))
		return 1;
	vitq_pool_destroy(pool);
	free(workspace);
	free(in);
	free(out);
	return 0;
}
