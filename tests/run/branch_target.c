/* SPDX-License-Identifier: MIT */
/*
 * A whole program without libc for AArch64 with BTI: runs the model with a parallel_for of its own, so that kernels are entered through a pointer
 * from here and from the object, and exits with 0. Where the object has no landing pads, the CPU stops it with SIGILL.
 */
#include "one.h"

static float image[ONE_IMAGE_COUNT], logits[ONE_LOGITS_COUNT];
static _Alignas(64) unsigned char workspace[ONE_WORKSPACE_BYTES_FOR(2)];

static void parallel_for(void *pool, uint32_t tasks, vitq_task *task, void *arg)
{
	(void)pool;
	for (uint32_t t = 0; t < tasks; t++)
		task(arg, t, t % 2);
}

__attribute__((noreturn)) void _start(void)
{
	vitq_env env = { .size = sizeof env, .workers = 2, .parallel_for = parallel_for };
	register long x0 __asm__("x0") = one_run(image, logits, workspace, sizeof workspace, &env);
	register long x8 __asm__("x8") = 93;

	__asm__ volatile("svc 0" : : "r"(x0), "r"(x8));
	for (;;)
		;
}
