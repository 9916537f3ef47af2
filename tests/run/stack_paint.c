/* SPDX-License-Identifier: MIT */
/* How deep the stack gets in one run, against ONE_STACK_BYTES: the run happens on a painted stack of our own. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "one.h"

enum { STACK = 1 << 18, PAINT = 0xa5 };

static float image[ONE_IMAGE_COUNT], logits[ONE_LOGITS_COUNT];
static _Alignas(64) unsigned char workspace[ONE_WORKSPACE_BYTES], stack[STACK];
static ucontext_t back, there;
static int (*volatile function)(const float *, float *, void *, size_t, const vitq_env *);
static int code;

/* touches no stack but what a call itself does */
static int nothing(const float *in, float *out, void *space, size_t bytes, const vitq_env *env)
{
	(void)in, (void)out, (void)space, (void)bytes, (void)env;
	return 0;
}

static void call(void) { code = function(image, logits, workspace, sizeof workspace, NULL); }

/* the lowest byte of the stack that a call of f changes, counted from the top */
static size_t depth(int (*f)(const float *, float *, void *, size_t, const vitq_env *))
{
	size_t low = 0;

	memset(stack, PAINT, sizeof stack);
	function = f;
	getcontext(&there);
	there.uc_stack.ss_sp = stack;
	there.uc_stack.ss_size = sizeof stack;
	there.uc_link = &back;
	makecontext(&there, call, 0);
	swapcontext(&back, &there);
	while (low < sizeof stack && stack[low] == PAINT)
		low++;
	return sizeof stack - low;
}

int main(void)
{
	size_t used, empty = depth(nothing);

	for (int i = 0; i < ONE_IMAGE_COUNT; i++)
		image[i] = (float)(i % 31) * 0.0625f - 1.0f;
	used = depth(one_run) - empty;
	printf("stack: %zu of %u bytes\n", used, ONE_STACK_BYTES);
	if (code) {
		printf("one_run returned %d\n", code);
		return 1;
	}
	if (used < 64) {
		printf("the painted stack was not used\n");
		return 1;
	}
	return used > ONE_STACK_BYTES;
}
