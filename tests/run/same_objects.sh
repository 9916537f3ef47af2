#!/bin/sh
# SPDX-License-Identifier: MIT
# Two builds of vitqc, by other compilers or for other machines, make the same objects, headers and statistics: every target, every scheme,
# calibrated by the evaluator and by the JIT.
#
#   same_objects.sh VITQC OTHER SOURCE WORK     OTHER may be several words: an emulator and its program
#   SAME_OBJECTS_MODEL=MODEL.onnx SAME_OBJECTS_OPTIONS="-calib=…"    another model than the small one of sizes.sh
set -eu
vitqc=$(realpath "$1") other=$2 source=$(realpath "$3") work=$4
[ ! -x "$other" ] || other=$(realpath "$other")
model=${SAME_OBJECTS_MODEL:-$source/tests/run/sizes.onnx}
calib=${SAME_OBJECTS_OPTIONS:--dim=batch=1,8 -calib=$source/tests/fuzz/corpus/samples.npy}
rm -rf "$work"
mkdir -p "$work"
work=$(realpath "$work")
same=0 different=0
# compare WHAT TARGET-FLAGS OPTIONS…
compare() {
	what=$1 flags=$2
	shift 2
	for side in here there; do
		mkdir -p "$work/$side"
		program=$vitqc
		[ $side = here ] || program=$other
		(cd "$work/$side" && rm -f m.* && $program "$model" -q $flags "$@" -prefix=m -o m.o) || { echo "FAIL: $what, $side"; different=$((different + 1)); return; }
	done
	if diff -r "$work/here" "$work/there"; then
		same=$((same + 1))
		echo "$what: $(cksum < "$work/here/m.o" | tr ' ' ',')"
	else
		different=$((different + 1))
		echo "FAIL: $what: they differ"
	fi
}

while read -r name flags; do
	compare "$name w8a8 evaluator" "$flags" $calib -calib-executor=evaluator -calib-stats=m.json
	compare "$name w8a8 jit" "$flags" $calib -calib-executor=jit -calib-stats=m.json
	for quant in w8a8-dynamic none; do
		compare "$name $quant" "$flags" -quant=$quant $(printf '%s\n' $calib | grep -e '^-dim' || :)
	done
done << END
sse2 -target=x86-64
nehalem -target=x86-64 -mcpu=nehalem
avx2 -target=x86-64 -mcpu=x86-64-v3
avx-vnni -target=x86-64 -mcpu=alderlake
avx512-vnni -target=x86-64 -mcpu=cascadelake
aarch64 -target=aarch64
dotprod -target=aarch64 -mattr=+dotprod
i8mm -target=aarch64 -mattr=+dotprod,+i8mm
armv7 -target=armv7
softfp -target=armv7 -mfloat-abi=softfp
rv64 -target=riscv64
rvv128 -target=riscv64 -mattr=+v
rvv256 -target=riscv64 -mattr=+v,+zvl256b
protected -target=aarch64 -mbranch-protection=standard
END
echo "$same the same, $different not"
[ "$different" = 0 ]
