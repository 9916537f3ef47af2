/* SPDX-License-Identifier: MIT */
/*
 * What docs/object-abi.md promises a caller, tried on the sample's model: result codes before any write, the workspace exactly as large as stated
 * (guard pages on either side), re-entrancy from 8 threads, and two objects of one model side by side.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "one.h"
#include "two.h"

#ifndef RUNS
#define RUNS 1000 /* between guard pages; fewer where an emulator makes each one slow */
#endif
#ifndef THREAD_RUNS
#define THREAD_RUNS 25
#endif
enum { PIXELS = ONE_IMAGE_COUNT, CLASSES = ONE_LOGITS_COUNT, THREADS = 8 };

static int failures;
static float image[PIXELS], want[CLASSES];

#define CHECK(condition) check((condition) != 0, #condition, __LINE__)

static void check(int ok, const char *text, int line)
{
	if (!ok) {
		printf("object_abi.c:%d: failed: %s\n", line, text);
		failures++;
	}
}

/* bytes between two inaccessible pages, the end (at_end) or the beginning exactly at one of them */
static unsigned char *guarded(size_t bytes, int at_end)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), inner = (bytes + page - 1) / page * page;
	unsigned char *p = mmap(NULL, inner + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p, page, PROT_NONE) || mprotect(p + page + inner, page, PROT_NONE))
		exit(2);
	return p + page + (at_end ? inner - bytes : 0);
}

static void fill_image(unsigned seed)
{
	for (int i = 0; i < PIXELS; i++) {
		seed = seed * 1103515245u + 12345u;
		image[i] = (float)(seed >> 16 & 0x7fff) / 8192.0f - 1.0f;
	}
}

static void codes(void *workspace)
{
	static unsigned char before[ONE_WORKSPACE_BYTES];
	float out[CLASSES], pattern[CLASSES];
	vitq_env env = { .size = sizeof env, .workers = 1 };

	memset(out, 0x5a, sizeof out);
	memset(pattern, 0x5a, sizeof pattern);
	memset(workspace, 0xa5, ONE_WORKSPACE_BYTES);
	memset(before, 0xa5, sizeof before);
	CHECK(one_run(NULL, out, workspace, ONE_WORKSPACE_BYTES, NULL) == VITQ_E_NULL);
	CHECK(one_run(image, NULL, workspace, ONE_WORKSPACE_BYTES, NULL) == VITQ_E_NULL);
	CHECK(one_run(image, out, NULL, ONE_WORKSPACE_BYTES, NULL) == VITQ_E_NULL);
	CHECK(one_run(image, out, (char *)workspace + 8, ONE_WORKSPACE_BYTES, NULL) == VITQ_E_ALIGN);
	CHECK(one_run((const float *)(const void *)((const char *)image + 2), out, workspace, ONE_WORKSPACE_BYTES,
		      NULL) == VITQ_E_ALIGN);
	CHECK(one_run(image, (float *)(void *)((char *)out + 1), workspace, ONE_WORKSPACE_BYTES, NULL) == VITQ_E_ALIGN);
	CHECK(one_run(image, out, workspace, ONE_WORKSPACE_BYTES - 1, NULL) == VITQ_E_WORKSPACE);
	CHECK(one_run(image, out, workspace, 0, NULL) == VITQ_E_WORKSPACE);
	env.workers = 3;
	CHECK(ONE_WORKSPACE_BYTES_FOR(1) == ONE_WORKSPACE_BYTES);
	if (ONE_WORKSPACE_BYTES_FOR(3) > ONE_WORKSPACE_BYTES_FOR(1))
		CHECK(one_run(image, out, workspace, ONE_WORKSPACE_BYTES_FOR(3) - 1, &env) == VITQ_E_WORKSPACE);
	env.workers = VITQ_MAX_WORKERS + 1;
	CHECK(one_run(image, out, workspace, SIZE_MAX, &env) == VITQ_E_ENV);
	env.workers = 1;
	env.size = sizeof env - 1;
	CHECK(one_run(image, out, workspace, ONE_WORKSPACE_BYTES, &env) == VITQ_E_ENV);
	CHECK(!memcmp(out, pattern, sizeof out));
	CHECK(!memcmp(workspace, before, sizeof before));
	env = (vitq_env){ .size = sizeof env }; /* zeroed: the defaults */
	CHECK(one_run(image, out, workspace, ONE_WORKSPACE_BYTES, &env) == VITQ_OK);
	CHECK(!memcmp(out, want, sizeof out));
}

static void guards(void)
{
	for (int at_end = 0; at_end < 2; at_end++) {
		unsigned char *workspace = guarded(ONE_WORKSPACE_BYTES, at_end);
		float *in = (float *)(void *)guarded(sizeof image, at_end),
		      *out = (float *)(void *)guarded(sizeof want, at_end);

		memcpy(in, image, sizeof image);
		for (int i = 0; i < RUNS / 2; i++) {
			memset(workspace, i, ONE_WORKSPACE_BYTES); /* its contents before must not matter */
			if (one_run(in, out, workspace, ONE_WORKSPACE_BYTES, NULL) || memcmp(out, want, sizeof want)) {
				CHECK(!"a run between guard pages gives the same result");
				break;
			}
		}
	}
}

static void *thread_main(void *arg)
{
	void *workspace = aligned_alloc(64, ONE_WORKSPACE_BYTES);
	long *bad = arg;

	for (int i = 0; i < THREAD_RUNS; i++) {
		float out[CLASSES];

		if (!workspace || one_run(image, out, workspace, ONE_WORKSPACE_BYTES, NULL) ||
			memcmp(out, want, sizeof out))
			++*bad;
	}
	free(workspace);
	return NULL;
}

static void threads(void)
{
	pthread_t t[THREADS];
	long bad[THREADS] = { 0 };

	for (int i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&t[i], NULL, thread_main, &bad[i]));
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		CHECK(bad[i] == 0);
	}
}

int main(void)
{
	void *workspace = aligned_alloc(64, ONE_WORKSPACE_BYTES);
	float other[CLASSES];
	const char *base = (const char *)&one_info;

	fill_image(1);
	CHECK(one_run(image, want, workspace, ONE_WORKSPACE_BYTES, NULL) == VITQ_OK);
	CHECK(two_run(image, other, workspace, TWO_WORKSPACE_BYTES, NULL) == VITQ_OK);
	CHECK(!memcmp(want, other, sizeof want));
	CHECK(one_info.abi == 1 && one_info.n_inputs == 1 && one_info.n_outputs == 1);
	CHECK(one_info.workspace_bytes == ONE_WORKSPACE_BYTES);
	CHECK(one_info.model_hash == two_info.model_hash);
	const vitq_tensor_info *t = (const vitq_tensor_info *)(const void *)(base + one_info.tensors);
	CHECK(!strcmp(base + t[0].name, "image") && t[0].rank == 4 && t[0].dim[2] == 28);
	CHECK(!strcmp(base + t[1].name, "logits") && t[1].rank == 2 && t[1].dim[1] == CLASSES);
	codes(workspace);
	guards();
	threads();
	free(workspace);
	printf("%s\n", failures ? "FAILED" : "object abi: codes, guard pages, threads, facts as documented");
	return failures != 0;
}
