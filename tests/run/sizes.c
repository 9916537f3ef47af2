/* SPDX-License-Identifier: MIT */
/*
 * An object of two sizes, prefix two, -dim batch=1,8: one run of eight images gives the bytes of eight runs of one, in one
 * object over one copy of the weights. -DEXACT=0 (float objects) allows rounding.
 */
#include "two.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static float image[8 * TWO_IMAGE_COUNT], one[8 * TWO_LOGITS_COUNT], all[8 * TWO_LOGITS_COUNT];
static _Alignas(64) unsigned char workspace[TWO_WORKSPACE_BYTES_B8 > TWO_WORKSPACE_BYTES ? TWO_WORKSPACE_BYTES_B8
											 : TWO_WORKSPACE_BYTES];

static const vitq_tensor_info *input_of(const vitq_info *i) { return (const void *)((const char *)i + i->tensors); }

#define CHECK(what)                                                     \
	if (!(what)) {                                                  \
		fprintf(stderr, "sizes: round %d: %s\n", round, #what); \
		return 1;                                               \
	}

int main(void)
{
	unsigned seed = 1;

	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 8 * TWO_IMAGE_COUNT; i++) {
			seed = seed * 1664525u + 1013904223u;
			image[i] = (float)(seed >> 16 & 1023) / 256.0f - 2.0f;
		}
		memset(workspace, round, sizeof workspace);
		CHECK(two_run_b8(image, all, workspace, TWO_WORKSPACE_BYTES_B8, 0) == VITQ_OK);
		for (int i = 0; i < 8; i++)
			CHECK(two_run(image + i * TWO_IMAGE_COUNT, one + i * TWO_LOGITS_COUNT, workspace,
				      TWO_WORKSPACE_BYTES, 0) == VITQ_OK);
		for (int i = 0; i < 8 * TWO_LOGITS_COUNT; i++)
			CHECK(EXACT ? memcmp(&one[i], &all[i], sizeof one[i]) == 0
				    : fabsf(one[i] - all[i]) <= 1e-5f * (1 + fabsf(one[i])));
		CHECK(memcmp(all, all + TWO_LOGITS_COUNT, sizeof all / 8) != 0);
	}
	int round = -1;
	CHECK(TWO_IMAGE_COUNT_B8 == 8 * TWO_IMAGE_COUNT && TWO_LOGITS_COUNT_B8 == 8 * TWO_LOGITS_COUNT);
	CHECK(two_run_b8(image, all, workspace, TWO_WORKSPACE_BYTES_B8 - 1, 0) == VITQ_E_WORKSPACE);
	CHECK(two_run_b8(image, all, workspace, TWO_WORKSPACE_BYTES, 0) == VITQ_E_WORKSPACE);
	CHECK(two_run_b8(0, all, workspace, sizeof workspace, 0) == VITQ_E_NULL);
	CHECK(two_info.workspace_bytes == TWO_WORKSPACE_BYTES && two_info_b8.workspace_bytes == TWO_WORKSPACE_BYTES_B8);
	CHECK(TWO_WORKSPACE_BYTES_FOR_B8(3) == two_info_b8.workspace_bytes + 2 * two_info_b8.worker_bytes);
	CHECK(input_of(&two_info)->dim[0] == 1 && input_of(&two_info_b8)->dim[0] == 8);
	CHECK(two_info_b8.macs == 8 * two_info.macs && two_info_b8.weight_bytes == two_info.weight_bytes);
	return 0;
}
