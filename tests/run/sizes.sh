#!/bin/sh
# SPDX-License-Identifier: MIT
# Two batch sizes in one object: the same bytes at both, one copy of the weights.
#
#   sizes.sh VITQC SOURCE WORK
set -eu
vitqc=$1 source=$2 work=$3
rm -rf "$work" && mkdir -p "$work" && cd "$work"
. "$source/tests/run/targets.sh"
failed=0 passed=0
fail() { echo "FAIL: $*"; failed=$((failed + 1)); }
weights() { sed -n 's/^object .* weights \([0-9]*\) bytes/\1/p' "$1"; }

for t in $targets; do
	find_target "$t"
	for scheme in w8a8 w8a8-dynamic none; do
		calib=
		[ $scheme != w8a8 ] || calib=-calib=$source/tests/fuzz/corpus/samples.npy
		exact=1
		[ $scheme != none ] || exact=0
		"$vitqc" "$source/tests/run/sizes.onnx" $flags -quant=$scheme $calib -dim batch=1 -q -o one.o -report=one.txt
		"$vitqc" "$source/tests/run/sizes.onnx" $flags -quant=$scheme $calib -dim batch=1,8 -q -o two.o -report=two.txt
		globals=$(llvm-nm-19 -g two.o | awk '{ print $3 }' | sort | tr '\n' ' ')
		[ "$globals" = "two_info two_info_b8 two_run two_run_b8 " ] || fail "$t $scheme: global symbols: $globals"
		[ -z "$(llvm-nm-19 -u two.o)" ] || fail "$t $scheme: undefined symbols"
		# scalars and tables of a size's own kernels, never a matrix
		[ $(($(weights two.txt) - $(weights one.txt))) -lt 1024 ] || fail "$t $scheme: weights $(weights one.txt), of two sizes $(weights two.txt)"
		$cc -std=c11 -O1 -Wall -Wextra -Werror -DEXACT=$exact -I. "$source/tests/run/sizes.c" two.o -static -lm -o run
		if $run ./run; then passed=$((passed + 1)); else fail "$t $scheme"; fi
	done
done
echo "$passed passed, $failed failed"
[ "$passed" -gt 0 ] || exit 77
[ "$failed" = 0 ]
