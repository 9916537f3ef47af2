/* SPDX-License-Identifier: MIT */
/* First bytes of the program at 1 MiB: a stack, zeroed .bss, main, power off. */
	.section .start, "ax"
	.globl _start
_start:
	leaq stack_top(%rip), %rsp
	leaq bss_start(%rip), %rdi
	leaq bss_end(%rip), %rcx
	subq %rdi, %rcx
	xorl %eax, %eax
	rep stosb
	call main
	leaq goodbye(%rip), %rsi
	movw $0x8900, %dx       /* the emulator's shutdown port */
	movl $8, %ecx
	rep outsb
1:	hlt
	jmp 1b
goodbye:
	.ascii "Shutdown"
