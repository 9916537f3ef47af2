#!/bin/sh
# SPDX-License-Identifier: MIT
# Objects whose weights are in a file (-emit-weights): mapped, or assembled into the program, they compute what the object with its weights
# inside computes, at two sizes; a file that is not the object's own is refused before anything is written.
#
#   weights_file.sh VITQC SOURCE WORK
set -eu
vitqc=$1 source=$2 work=$3
rm -rf "$work" && mkdir -p "$work" && cd "$work"
. "$source/tests/run/targets.sh"
failed=0 passed=0
fail() { echo "FAIL: $*"; failed=$((failed + 1)); }

for t in $targets; do
	find_target "$t"
	for scheme in w8a8 w8a8-dynamic none; do
		calib=
		[ $scheme != w8a8 ] || calib=-calib=$source/tests/fuzz/corpus/samples.npy
		options="$source/tests/run/sizes.onnx $flags -quant=$scheme $calib -dim batch=1,8 -q"
		"$vitqc" $options -o whole.o
		"$vitqc" $options -emit-weights=apart.weights -o apart.o
		[ "$(llvm-nm-19 -g apart.o | awk '{ print $3 }' | sort | tr '\n' ' ')" = "apart_info apart_info_b8 apart_run apart_run_b8 " ] ||
			fail "$t $scheme: global symbols"
		[ -z "$(llvm-nm-19 -u apart.o)" ] || fail "$t $scheme: undefined symbols"
		printf '.section .rodata.apart, "a"\n.balign 64\n.globl apart_weights\napart_weights: .incbin "apart.weights"\n.section .note.GNU-stack, "", %%progbits\n' > apart.s
		build="$cc -std=c11 -O1 -Wall -Wextra -Werror -I. $source/tests/run/weights_file.c whole.o apart.o -static"
		$build -o mapped
		$build -DINSIDE apart.s -o inside
		if $run ./mapped apart.weights && $run ./inside; then passed=$((passed + 1)); else fail "$t $scheme"; fi
	done
done
echo "$passed passed, $failed failed"
[ "$passed" -gt 0 ] || exit 77
[ "$failed" = 0 ]
