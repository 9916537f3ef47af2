#!/bin/sh
# SPDX-License-Identifier: MIT
# The object depends on nothing but its input: the same model, calibrated by the JIT on this CPU, by the JIT on CPUs with fewer
# and other vector instructions (in an emulator) and by the evaluator, in other folders, gives the same bytes for every target.
#
#   deterministic.sh VITQC SOURCE WORK
#   DETERMINISTIC_FULL=1    every target on every emulated CPU (minutes more), else one each
set -eu
vitqc=$1 source=$2 work=$3
fashion=$source/samples/fashion
rm -rf "$work"
mkdir -p "$work"
status=0

# row NAME TARGET RUNNER EXECUTOR: WORK/NAME/TARGET/vit.o and its statistics, against those of the first row
row() {
	folder=$work/$1/$2
	mkdir -p "$folder"
	(
		cd "$folder"
		$3 "$vitqc" "$fashion/vit_outlier_hard.onnx" -q -target="$2" -calib="$fashion/calib_images.npy" -calib-count=2 \
			-image-mean=0.2860 -image-std=0.3530 -calib-executor="$4" -calib-stats=vit.json -o vit.o
	) || { echo "FAIL: $1, $2: vitqc failed"; status=1; return; }
	first=$work/jit/$2
	for file in vit.o vit.h vit.json; do
		if ! cmp "$first/$file" "$folder/$file"; then
			echo "FAIL: $1, $2: $file differs"
			status=1
		fi
	done
	echo "$1, $2: $(cksum < "$folder/vit.o" | tr ' ' ',') bytes"
}

echo "randomize_va_space: $(cat /proc/sys/kernel/randomize_va_space 2> /dev/null || echo unknown)"
for target in x86-64 aarch64; do
	row jit $target "" jit
	row again $target "" jit
	row "a_folder_with a longer name" $target "" jit
	row evaluator $target "" evaluator
done
cmp -s "$work/jit/x86-64/vit.o" "$work/jit/aarch64/vit.o" && { echo "FAIL: two targets, one object"; status=1; }
if ! command -v qemu-x86_64 > /dev/null || [ "$(uname -m)" != x86_64 ]; then
	echo "emulated CPUs: skipped, there is no qemu-x86_64 or this is another machine"
	exit $status
fi
row nehalem x86-64 "qemu-x86_64 -cpu Nehalem" jit
row max aarch64 "qemu-x86_64 -cpu max" jit
if [ "${DETERMINISTIC_FULL:-0}" != 0 ]; then
	row nehalem aarch64 "qemu-x86_64 -cpu Nehalem" jit
	row max x86-64 "qemu-x86_64 -cpu max" jit
	row max_evaluator x86-64 "qemu-x86_64 -cpu max" evaluator
fi
exit $status
