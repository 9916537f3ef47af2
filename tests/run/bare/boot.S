/* SPDX-License-Identifier: MIT */
/*
 * A boot sector for emulators: loads the program that follows it on the disk to 1 MiB, switches to 64-bit mode with
 * SSE, AVX and AVX-512 state enabled, and calls it. SECTORS (a symbol given to ld) is the program's length in sectors of 512 bytes.
 */
	.code16
	.globl _boot
_boot:
	cli
	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movw $0x7c00, %sp
	movb %dl, drive
	inb $0x92, %al          /* A20 */
	orb $2, %al
	outb %al, $0x92

	/* fs with a 4 GiB limit in real mode ("unreal mode"), to copy above 1 MiB between BIOS calls */
	lgdtl gdt_pointer
	movl %cr0, %eax
	orb $1, %al
	movl %eax, %cr0
	movw $0x10, %bx
	movw %bx, %fs
	andb $0xfe, %al
	movl %eax, %cr0
	xorw %ax, %ax
	movw %ax, %fs

	movl $SECTORS, %ebp     /* left */
	movl $0x100000, %edi    /* to */
read:
	movw $packet, %si
	movb $0x42, %ah         /* extended read, 64 sectors to 0x10000 */
	movb drive, %dl
	int $0x13
	jc fail
	movl $0x10000, %esi
	movl $(64 * 512 / 4), %ecx
copy:
	movl %fs:(%esi), %eax
	movl %eax, %fs:(%edi)
	addl $4, %esi
	addl $4, %edi
	decl %ecx
	jnz copy
	addl $64, packet_sector
	subl $64, %ebp
	ja read

	/* page tables at 0x1000: 1 GiB in pages of 2 MiB, one to one */
	xorl %eax, %eax
	movl $0x1000, %edi
	movl $(0x3000 / 4), %ecx
clear:
	movl %eax, %fs:(%edi)
	addl $4, %edi
	decl %ecx
	jnz clear
	movl $0x2003, %fs:0x1000
	movl $0x3003, %fs:0x2000
	movl $0x3000, %edi
	movl $0x83, %eax
page:
	movl %eax, %fs:(%edi)
	addl $8, %edi
	addl $0x200000, %eax
	cmpl $0x4000, %edi
	jb page
	movl $0x1000, %eax
	movl %eax, %cr3
	movl $0x40620, %eax     /* PAE, OSFXSR, OSXMMEXCPT, OSXSAVE */
	movl %eax, %cr4
	movl $0xc0000080, %ecx  /* EFER.LME */
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl %cr0, %eax
	andl $0xfffffff3, %eax  /* no EM, no TS */
	orl $0x80000003, %eax   /* PG, MP, PE */
	movl %eax, %cr0
	ljmpl $0x18, $long_mode
fail:
	hlt
	jmp fail

	.code64
long_mode:
	movw $0x10, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	xorl %ecx, %ecx         /* XCR0: x87, SSE, AVX, opmask, ZMM */
	xorl %edx, %edx
	movl $0xe7, %eax
	xsetbv
	movq $0x7c00, %rsp
	movl $0x100000, %eax
	jmp *%rax

	.balign 8
gdt:
	.quad 0
	.quad 0x00cf9a000000ffff
	.quad 0x00cf92000000ffff
	.quad 0x00af9a000000ffff
gdt_pointer:
	.word 31
	.long gdt
packet:
	.byte 16, 0
	.word 64, 0, 0x1000     /* sectors, offset, segment */
packet_sector:
	.quad 1
drive:
	.byte 0
	.org 510
	.word 0xaa55
