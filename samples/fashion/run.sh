#!/bin/sh
# SPDX-License-Identifier: MIT
# Compiles the two models three times each (float, naive int8, RepQ int8) and classifies the test images.
#
#   run.sh VITQC [OUT]      VITQC: the compiler; OUT: folder for objects and program, default build/fashion beside it
#   QUANT                   w8a8 (default) or w8a8-dynamic, which sees no calibration images; naive: -fold=none, and one scale per tensor
#   CC, VITQC_FLAGS, RUN    the C compiler, more flags (-target=...), and what runs the program (qemu-aarch64 ...)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
vitqc=${1:?usage: run.sh VITQC [OUT]}
out=${2:-$(dirname "$vitqc")/fashion}
flags=${VITQC_FLAGS:--target=native}
mkdir -p "$out"
for model in plain:vit hard:vit_outlier_hard; do
	name=${model%%:*} onnx=$here/${model#*:}.onnx
	quant="-quant=${QUANT:-w8a8}"
	naive=-fold=none
	[ "$quant" != -quant=w8a8 ] || naive="$naive -act-granularity=tensor"
	[ "$quant" != -quant=w8a8 ] || quant="$quant -calib=$here/calib_images.npy -image-mean=0.2860 -image-std=0.3530"
	"$vitqc" "$onnx" $flags -quant=none -o "$out/${name}_float.o"
	"$vitqc" "$onnx" $flags $quant $naive -o "$out/${name}_naive.o"
	"$vitqc" "$onnx" $flags $quant -o "$out/${name}_repq.o"
done
${CC:-cc} -std=c11 -O2 -Wall -I"$out" "$here/classify.c" "$out"/plain_*.o "$out"/hard_*.o -o "$out/classify"
${RUN:-} "$out/classify" "$here"
