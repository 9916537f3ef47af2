/* SPDX-License-Identifier: MIT */
/* The inputs and what the evaluator made of them, for same_bits_program.c. */
	.section .rodata
	.balign 64
	.globl same_bits_inputs
same_bits_inputs:
	.incbin "inputs.bin"
	.balign 64
	.globl same_bits_expected
same_bits_expected:
	.incbin "expected.bin"
	.section .note.GNU-stack, "", %progbits
