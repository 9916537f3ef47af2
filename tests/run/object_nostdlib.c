/* SPDX-License-Identifier: MIT */
/* A whole program without libc: _start runs the model on a constant image and exits with the class. x86-64, AArch64, ARM and RISC-V Linux. */
#include "one.h"

static float image[ONE_IMAGE_COUNT], logits[ONE_LOGITS_COUNT];
static _Alignas(64) unsigned char workspace[ONE_WORKSPACE_BYTES];

static void leave(long code)
{
#if defined(__x86_64__)
	__asm__ volatile("syscall" : : "a"(60L), "D"(code));
#elif defined(__aarch64__)
	register long x0 __asm__("x0") = code, x8 __asm__("x8") = 93;
	__asm__ volatile("svc 0" : : "r"(x0), "r"(x8));
#elif defined(__arm__)
	register long r0 __asm__("r0") = code, r7 __asm__("r7") = 1;
	__asm__ volatile("svc 0" : : "r"(r0), "r"(r7));
#elif defined(__riscv)
	register long a0 __asm__("a0") = code, a7 __asm__("a7") = 93;
	__asm__ volatile("ecall" : : "r"(a0), "r"(a7));
#endif
	for (;;)
		;
}

__attribute__((used, noreturn)) void start(void)
{
	int best = 0;

	for (int i = 0; i < ONE_IMAGE_COUNT; i++)
		image[i] = (float)(i % 29) * 0.0625f - 0.75f;
	if (one_run(image, logits, workspace, sizeof workspace, 0))
		leave(99);
	for (int i = 1; i < ONE_LOGITS_COUNT; i++)
		best = logits[i] > logits[best] ? i : best;
	leave(best);
	for (;;)
		;
}

#if defined(__x86_64__) /* the kernel enters with rsp 16-byte aligned, a function expects it after a call */
__asm__(".globl _start\n_start:\n\tcall start\n");
#elif defined(__riscv) /* what the linker relaxed is relative to gp */
__asm__(".globl _start\n_start:\n\t.option push\n\t.option norelax\n\tla gp, __global_pointer$\n\t.option pop\n\tj start\n");
#else
__attribute__((used, noreturn)) void _start(void) { start(); }
#endif
