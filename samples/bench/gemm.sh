#!/bin/sh
# SPDX-License-Identifier: MIT
# The s8 products of DeiT-S as compiled objects against the peak of the machine's dot instruction.
#
#   gemm.sh VITQC [DIRECTORY [ROUNDS]]     keeps objects and the program in DIRECTORY (default gemm-work)
#   MCPU, PEAK                             the CPU to compile for (default native), and the instruction set whose peak counts:
#                                          avx512vnni, avxvnni or avx2 (default the best of this machine)
#
# Each object quantizes one activation and multiplies it by several weights of the same shape, so that the quantization weighs little;
# results are s8. 384 x 1152 (q, k and v) is three products of 384 x 384, as the compiler splits it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
vitqc=$1 work=${2:-gemm-work} rounds=${3:-51} cc="${CC:-cc} -std=c11 -D_POSIX_C_SOURCE=200809L -O2 -Wall"
mkdir -p "$work"
$cc "$here/gemm_vir.c" -o "$work/gemm_vir"

# shape NAME K N PRODUCTS SPLIT: SPLIT products are one row of the table
shape() {
	"$work/gemm_vir" "$work/$1" 197 "$2" "$3" "$4"
	"$vitqc" "$work/$1.vir" -o "$work/$1.o" -header="$work/$1.h" -prefix="gemm_$1" -mcpu="${MCPU:-native}"
	outs= p=0
	while [ "$p" -lt "$4" ]; do
		outs="$outs out + $((p * 197 * $3)),"
		p=$((p + 1))
	done
	cat >>"$work/gemm_table.h" <<EOF
#include "$1.h"
static int run_$1(const float *in, int8_t *out, void *workspace, size_t bytes)
{
	return gemm_$1_run(in,$outs workspace, bytes, NULL);
}
EOF
	rows="${rows:-}
	{ \"$1\", 197, $2, $(($3 * $5)), $(($4 / $5)), run_$1, GEMM_$(echo "$1" | tr a-z A-Z)_WORKSPACE_BYTES },"
}

: >"$work/gemm_table.h"
shape qkv 384 384 12 3
shape proj 384 384 8 1
shape fc1 384 1536 4 1
shape fc2 1536 384 4 1
printf 'static const gemm_entry gemm_table[] = {%s\n};\n' "$rows" >>"$work/gemm_table.h"
$cc -I"$work" "$here/gemm_peak.c" "$work"/qkv.o "$work"/proj.o "$work"/fc1.o "$work"/fc2.o -o "$work/gemm_peak"
"$work/gemm_peak" "$rounds" ${PEAK:-}
