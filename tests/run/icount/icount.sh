#!/bin/sh
# SPDX-License-Identifier: MIT
# "Integer for real": how many multiply-accumulates of the quantized sample model are executed by the dot instruction of the target,
# counted in QEMU, instruction by instruction, and by the disassembly of the program; never by what vitqc says of itself.
#
#   icount.sh VITQC NPZ_TOOL PLUGIN WORK       PLUGIN: icount.so, built of icount.c
#
# The counts are held against the sizes of the network, written down below. For every target:
#   - dot instructions of the products' kernels do at least 95 % of the MACs of the linear layers, those of the attention kernels at
#     least 95 % of QK^T and .V; and not so many more that padding could not explain it
#   - f32 multiplications of these kernels (epilogues, GELU, softmax) are less than a third of their MACs: neither QK^T nor .V runs in f32
#   - no k loop has a stack operand (spills.sh), none is in f32
#   - the output is the same, byte for byte
# AVX-512 and AVX-VNNI, which QEMU 7 does not emulate: every kernel that the plan names has the instruction, in all of its k loops.
# Exit code 77 without QEMU, its plugins, cross compilers or llvm-objdump.
set -eu
vitqc=$1 tool=$2 plugin=$3 work=$4
here=$(cd "$(dirname "$0")" && pwd)
fashion=$here/../../../samples/fashion
objdump=$(command -v llvm-objdump-19 || command -v llvm-objdump) || { echo "skip: no llvm-objdump"; exit 77; }
failed=0 counted=0

fail() { echo "FAIL: $*"; failed=$((failed + 1)); }

rm -rf "$work" && mkdir -p "$work" && cd "$work"

# samples/fashion/model.py: 28x28 images in 7x7 patches of 4x4, a class token, 6 blocks of width 96 and hidden width 384, 10 classes
patches=49 patch=16 dim=96 hidden=384 blocks=6 classes=10
tokens=$((patches + 1)) whole=$((blocks - 1))
# The head reads the class token alone, so the last block needs one row of everything but k and v.
linear=$((patches * patch * dim +
	whole * tokens * (3 * dim * dim + dim * dim + 2 * dim * hidden) +
	2 * tokens * dim * dim + dim * dim + dim * dim + 2 * dim * hidden + dim * classes))
attention=$((whole * 2 * tokens * tokens * dim + 2 * tokens * dim)) # all heads: their widths add up to dim

# Padding, in percent: the 10 classes to a tile's columns, and of the rows what the last tile repeats; 50 keys to 64 at most, in both
# products of attention.
most_linear=105 most_attention=130

# sets flags, cc, run (QEMU), and dot: the instruction in the table
find_target() {
	case $1 in
	sse2) flags="-target=x86-64" cc=gcc run="qemu-x86_64 -cpu Nehalem" dot=pmaddwd ;;
	avx2) flags="-target=x86-64 -mcpu=x86-64-v3" cc=gcc run="qemu-x86_64 -cpu max" dot=vpmaddwd ;;
	aarch64) flags="-target=aarch64" cc=aarch64-linux-gnu-gcc run="qemu-aarch64 -cpu cortex-a53" dot=smull/smlal ;;
	dotprod) flags="-target=aarch64 -mattr=+dotprod" cc=aarch64-linux-gnu-gcc run="qemu-aarch64 -cpu cortex-a76" dot=sdot ;;
	i8mm) flags="-target=aarch64 -mattr=+dotprod,+i8mm" cc=aarch64-linux-gnu-gcc run="qemu-aarch64 -cpu max" dot=smmla ;;
	armv7) flags="-target=armv7" cc=arm-linux-gnueabihf-gcc run="qemu-arm -cpu cortex-a7" dot=vmull.s8/vmlal.s8 ;;
	rv64) flags="-target=riscv64" cc=riscv64-linux-gnu-gcc run="qemu-riscv64 -cpu rv64" dot="mul" ;;
	rvv) flags="-target=riscv64 -mattr=+v" cc=riscv64-linux-gnu-gcc run="qemu-riscv64 -cpu rv64,v=true,vext_spec=v1.0,vlen=128,elen=64" dot=vwmacc.vx ;;
	rvv256) flags="-target=riscv64 -mattr=+v,+zvl256b" cc=riscv64-linux-gnu-gcc run="qemu-riscv64 -cpu rv64,v=true,vext_spec=v1.0,vlen=256,elen=64" dot=vwmacc.vx ;;
	avx_vnni) flags="-target=x86-64 -mcpu=alderlake" cc=gcc run= dot=vpdpbusd ;;
	avx512) flags="-target=x86-64 -mcpu=cascadelake" cc=gcc run= dot=vpdpbusd ;;
	esac
}

compile() { # NAME: writes NAME.o, NAME.h, NAME.json
	"$vitqc" "$fashion/vit.onnx" -calib-stats=calib.json $flags -prefix=model -report="$1.json" -o "$1.o" > /dev/null
	sh "$here/../spills.sh" "$1.o" verbose > "$1.loops" || { fail "$1: stack operands in k loops"; grep -v " 0 stack" "$1.loops" || true; }
	! grep -E '(gemm|attention)_.* 0 dots' "$1.loops" || fail "$1: k loops in f32"
}

# count NAME: NAME.counts and the disassembly of the program: "GROUP dots macs multiplications" for linear and attention
count() { sh "$here/count.sh" "$objdump" "$1" "$1.counts" "$dot"; }

# row NAME GROUP ANALYTIC MOST: a line of the table, from NAME.table
row() {
	set -- "$1" "$2" "$3" "$4" $(awk -v g="$2" '$1 == g { print $2, $3, $4 }' "$1.table")
	if [ $# -ne 7 ]; then
		fail "$1: no $dot in kernels of $2"
		return
	fi
	awk -v "name=$1" -v "group=$2" -v "dot=$dot" -v dots="$5" -v macs="$6" -v f32="$7" -v analytic="$3" 'BEGIN {
		printf "%-8s %-9s %-18s %10d %11d %11d %6.1f %% %6.1f %%\n", name, group, dot, dots, macs, analytic, 100 * macs / analytic, 100 * f32 / analytic }'
	[ $((100 * $6)) -ge $((95 * $3)) ] || fail "$1: $dot does $6 of $3 MACs of $2"
	[ $((100 * $6)) -le $(($4 * $3)) ] || fail "$1: $dot does $6 MACs for the $3 of $2: more than padding explains"
	[ $((3 * $7)) -le "$3" ] || fail "$1: $7 f32 multiplications in kernels of $2, which have $3 MACs"
	counted=$((counted + 1))
}

"$vitqc" "$fashion/vit.onnx" -calib="$fashion/calib_images.npy" -calib-count=16 -image-mean=0.2860 -image-std=0.3530 \
	-calib-stats=calib.json -emit=vir -o calib.vir > /dev/null
"$tool" get "$fashion/test_images.npy" - 1 image.raw 0.2860 0.3530
echo "target   kernels   instruction          executed  their MACs    analytic  share    f32 mul."
for t in sse2 avx2 aarch64 dotprod i8mm armv7 rv64 rvv rvv256; do
	find_target $t
	command -v $cc > /dev/null && command -v ${run%% *} > /dev/null || { echo "skip: $t"; continue; }
	compile $t
	$cc -std=c11 -O1 -Wall -Wextra -Werror -static -DINPUTS=1 -DOUTPUTS=1 -include "./$t.h" "$here/../model_io.c" $t.o -o $t
	if ! ${run%% *} -plugin "$plugin,out=$t.counts" ${run#* } ./$t image.raw $t.raw > log 2>&1 || ! [ -s $t.counts ]; then
		if grep -qi 'plugin' log; then echo "skip: $t: $(head -1 log)"; else fail "$t:"; cat log; fi
		continue
	fi
	[ -e output.raw ] || cp $t.raw output.raw
	cmp output.raw $t.raw || fail "$t: another output"
	count $t > $t.table
	! grep '^idle' $t.table || fail "$t: kernels without $dot"
	row $t linear "$linear" $most_linear
	row $t attention "$attention" $most_attention
done

# What the plan names has to be in the object, with its dot instruction: the disassembly alone.
for t in sse2 avx2 avx_vnni avx512; do
	find_target $t
	[ -e $t.o ] || compile $t
	planned=$(tr -d ' ,"' < $t.json | awk -F: '$1 == "kernel" { k = $2 } $1 == "macs" && $2 > 0 && k { print k }' | sort -u)
	[ -n "$planned" ] || fail "$t: no kernels in the report"
	"$objdump" -d --no-show-raw-insn $t.o | awk -v dot=$dot '
		/^[0-9a-f]+ <.*>:$/ { name = substr($2, 2, length($2) - 3) }
		$2 == "{vex}" { $2 = $3 }
		$2 == dot { n[name]++ }
		END { for (k in n) print k, n[k] }' | sort > $t.dots
	for k in $planned; do
		grep -q "^$k " $t.dots || fail "$t: kernel $k of the plan has no $dot"
	done
	echo "$t: $(echo "$planned" | wc -l) planned kernels, $(awk '{ s += $2 } END { print s }' $t.dots) $dot, $(wc -l < $t.loops) k loops without stack operands"
done
[ "$failed" = 0 ] || exit 1
[ "$counted" -gt 0 ] || exit 77
