/* SPDX-License-Identifier: MIT */
/*
 * whole.o has its weights, apart.o the same ones in a file, which this program maps (-DINSIDE: has assembled into itself as apart_weights):
 * the same bytes at both sizes, and nothing is written with weights that are not apart.o's.
 */
#define _POSIX_C_SOURCE 200809L

#include "apart.h"
#include "whole.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static float image[8 * APART_IMAGE_COUNT], want[8 * APART_LOGITS_COUNT], have[8 * APART_LOGITS_COUNT];
static _Alignas(64) unsigned char workspace[APART_WORKSPACE_BYTES + APART_WORKSPACE_BYTES_B8];
static _Alignas(64) unsigned char copy[APART_WEIGHTS_BYTES + 64];

#define CHECK(what)                                           \
	if (!(what)) {                                        \
		fprintf(stderr, "weights_file: %s\n", #what); \
		return 1;                                     \
	}

/* a call of either function that must write nothing */
static int refused(const void *weights, size_t bytes)
{
	for (int b8 = 0; b8 < 2; b8++) {
		memset(have, 0x5a, sizeof have);
		memset(workspace, 0x5a, sizeof workspace);
		if ((b8 ? apart_run_b8(image, have, weights, bytes, workspace, sizeof workspace, 0)
			: apart_run(image, have, weights, bytes, workspace, sizeof workspace, 0)) != VITQ_E_WEIGHTS)
			return 0;
		for (size_t i = 0; i < sizeof have; i++)
			if (((unsigned char *)have)[i] != 0x5a)
				return 0;
		for (size_t i = 0; i < sizeof workspace; i++)
			if (workspace[i] != 0x5a)
				return 0;
	}
	return 1;
}

#ifdef INSIDE
extern const unsigned char apart_weights[];
#endif

int main(int argc, char **argv)
{
	unsigned seed = 1;
	const unsigned char *weights;

#ifdef INSIDE
	(void)argc;
	(void)argv;
	weights = apart_weights;
#else
	CHECK(argc == 2);
	int file = open(argv[1], O_RDONLY);
	CHECK(file >= 0 && lseek(file, 0, SEEK_END) == (off_t)APART_WEIGHTS_BYTES);
	weights = mmap(0, APART_WEIGHTS_BYTES, PROT_READ, MAP_PRIVATE, file, 0);
	CHECK(weights != MAP_FAILED);
#endif
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 8 * APART_IMAGE_COUNT; i++) {
			seed = seed * 1664525u + 1013904223u;
			image[i] = (float)(seed >> 16 & 1023) / 256.0f - 2.0f;
		}
		CHECK(whole_run(image, want, workspace, sizeof workspace, 0) == VITQ_OK);
		CHECK(apart_run(image, have, weights, APART_WEIGHTS_BYTES, workspace, sizeof workspace, 0) == VITQ_OK);
		CHECK(memcmp(want, have, sizeof want / 8) == 0);
		CHECK(whole_run_b8(image, want, workspace, sizeof workspace, 0) == VITQ_OK);
		CHECK(apart_run_b8(image, have, weights, APART_WEIGHTS_BYTES, workspace, sizeof workspace, 0) ==
			VITQ_OK);
		CHECK(memcmp(want, have, sizeof want) == 0);
	}

	const vitq_weights *head = (const void *)weights;
	CHECK(memcmp(head->magic, VITQ_WEIGHTS_MAGIC, sizeof head->magic) == 0 &&
		head->version == VITQ_WEIGHTS_VERSION);
	CHECK(head->header_bytes + head->bytes == APART_WEIGHTS_BYTES && head->hash == APART_WEIGHTS_HASH);
	CHECK(apart_info.weights_hash == head->hash && apart_info_b8.weights_hash == head->hash &&
		whole_info.weights_hash == 0);
	CHECK(apart_info.weight_bytes == head->bytes && apart_info.model_hash == head->model_hash);
	CHECK(apart_info.weight_bytes == whole_info.weight_bytes);

	CHECK(refused(0, APART_WEIGHTS_BYTES));
	CHECK(refused(weights, APART_WEIGHTS_BYTES - 1));
	CHECK(refused(weights, 0));
	memcpy(copy + 4, weights, APART_WEIGHTS_BYTES);
	CHECK(refused(copy + 4, APART_WEIGHTS_BYTES));
	/* every byte of what is compared */
	for (size_t i = 0; i < offsetof(vitq_weights, model_hash); i++) {
		memcpy(copy, weights, APART_WEIGHTS_BYTES);
		copy[i] ^= 1;
		CHECK(refused(copy, APART_WEIGHTS_BYTES));
	}
	/* arguments are checked in order: those before the weights, then those, then nothing of an index */
	CHECK(apart_run(0, have, 0, 0, workspace, sizeof workspace, 0) == VITQ_E_NULL);
	CHECK(apart_run(image, have, 0, 0, workspace + 1, sizeof workspace - 1, 0) == VITQ_E_ALIGN);
	CHECK(apart_run(image, have, 0, 0, workspace, APART_WORKSPACE_BYTES - 1, 0) == VITQ_E_WORKSPACE);
	/* a longer room, as a partition of a flash is */
	memcpy(copy, weights, APART_WEIGHTS_BYTES);
	CHECK(apart_run_b8(image, have, copy, sizeof copy, workspace, sizeof workspace, 0) == VITQ_OK);
	CHECK(memcmp(want, have, sizeof want) == 0);
	return 0;
}
