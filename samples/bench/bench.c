/*
 * Times one compiled model: `bench N` runs it N times and prints N lines, each one latency in milliseconds.
 *
 * Compile with -include MODEL.h -DRUN=model_run -DNAME=MODEL and link MODEL.o (bench.sh does). PEERS_INPUT: file of raw f32, the input;
 * PEERS_OUTPUT: file for the raw output of the last run; PEERS_THREADS: workers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

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
	for (long i = 0; i < n; i++) {
		struct timespec t0, t1;
		int e;

		clock_gettime(CLOCK_MONOTONIC, &t0);
		e = RUN(in, out, workspace, bytes, &env);
		clock_gettime(CLOCK_MONOTONIC, &t1);
		if (e) {
			fprintf(stderr, "bench: error %d\n", e);
			return 1;
		}
		printf("%.4f\n", (double)(t1.tv_sec - t0.tv_sec) * 1e3 + (double)(t1.tv_nsec - t0.tv_nsec) * 1e-6);
		fflush(stdout);
	}
	if (getenv("PEERS_OUTPUT") && !file(getenv("PEERS_OUTPUT"), "wb", out, out_bytes))
		return 1;
	vitq_pool_destroy(pool);
	free(workspace);
	free(in);
	free(out);
	return 0;
}
