#!/bin/sh
# SPDX-License-Identifier: MIT
# Accuracy of the compiled objects: top-1 of the 2,000 Fashion-MNIST images of samples/fashion in float, w8a8 and w8a8-dynamic, the
# latter without any data. On the plain model a quantized object may lose 0.3 points, on those with outlier channels 0.5.
#
#   accuracy.sh VITQC WORK         WORK: a folder of this test's own, emptied first
# Exit code 0, 1, or 77 where the objects cannot be run.
set -eu
vitqc=$1 work=$2
here=$(cd "$(dirname "$0")" && pwd)
fashion=$here/../../samples/fashion
zoo=$here/../../../shared/zoo/fm
failed=0
[ "$(uname -m)" = x86_64 ] || { echo "skip: objects are for x86-64"; exit 77; }
rm -rf "$work" && mkdir -p "$work" && cd "$work"

# right OPTION...: sets right and all
right() {
	"$vitqc" "$onnx" -q -target=native -prefix=model "$@" -o model.o
	cc -std=c11 -O1 -Wall -Wextra -Werror -include ./model.h "$here/accuracy.c" model.o -o accuracy
	./accuracy "$fashion/test_images.npy" "$fashion/test_labels.npy" >counts
	read -r right all <counts
}

echo "model         scheme        right  of images"
for row in "plain $fashion/vit.onnx 3" "outlier_hard $fashion/vit_outlier_hard.onnx 5" "outlier $zoo/vit_fm_outlier_op17.onnx 5"; do
	set -- $row
	name=$1 onnx=$2 loss=$3 # loss: in tenths of a percent
	[ -e "$onnx" ] || { echo "skip: no $onnx"; continue; }
	for scheme in none w8a8 w8a8-dynamic; do
		case $scheme in
		w8a8) right -calib="$fashion/calib_images.npy" -image-mean=0.2860 -image-std=0.3530 ;;
		*) right -quant=$scheme ;;
		esac
		printf '%-13s %-13s %5d  %d\n' "$name" "$scheme" "$right" "$all"
		[ $scheme != none ] || float=$right
		if [ $((1000 * (float - right))) -gt $((loss * all)) ]; then
			echo "FAIL: $name: $scheme loses $((float - right)) images of $all, float has $float right"
			failed=1
		fi
	done
	[ $((10 * float)) -ge $((9 * all)) ] || { echo "FAIL: $name: the model itself has $float of $all right"; failed=1; }
done
exit $failed
