#!/bin/sh
# SPDX-License-Identifier: MIT
# kernels.sh STEM: runs STEM.o on STEM.cases (tests/unit/kernel_run.c) in the emulator. Exit 77 without it.
here=$(cd "$(dirname "$0")" && pwd)
command -v bochs > /dev/null || exit 77
printf '.section .rodata\n.globl vq_cases\n.balign 64\nvq_cases:\n.incbin "%s"\n' "$1.cases" > "$1.cases.S"
gcc -c "$1.cases.S" -o "$1.cases.o" || exit 1
gcc -O1 -ffreestanding -fno-pic -mno-red-zone -fno-stack-protector -c "$here/kernels.c" -o "$1.main.o" || exit 1
"$here/run.sh" "$1.bare" "$1.main.o" "$1.o" "$1.cases.o" > "$1.log"
code=$?
cat "$1.log"
[ $code = 0 ] || exit $code
grep -q ' cases, 0 failed' "$1.log"
