#!/bin/sh
# SPDX-License-Identifier: MIT
# Compiles a model and builds the program that times it.
#
#   bench.sh VITQC MODEL.onnx OUT [vitqc flags]      writes OUT (program), OUT.o, OUT.h
# Inputs and outputs are those of a model with one f32 input "input" and one f32 output "logits" (bench/make_vit.py).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
vitqc=$1 model=$2 out=$3
shift 3
"$vitqc" "$model" -o "$out.o" -header="$out.h" -prefix=model "$@"
${CC:-cc} -std=c11 -D_POSIX_C_SOURCE=200809L -O2 -Wall -I"$here" -I"$here/../../runtime" -include "$out.h" -DRUN=model_run -DINFO=model_info -DNAME=MODEL \
	-DINPUT_COUNT=MODEL_INPUT_COUNT -DOUTPUT_COUNT=MODEL_LOGITS_COUNT "$here/bench.c" "$here/../../runtime/vitq_pool.c" "$out.o" -o "$out" -pthread
