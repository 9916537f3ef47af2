#!/bin/sh
# SPDX-License-Identifier: MIT
# "Same bits": outputs and observed values of int8 models are the same, byte for byte, in the
# evaluator and in the objects for every target, with any number of workers, order of tasks and
# treatment of denormals. Prints a table: model, target, configurations, checksum.
#
#   same_bits.sh VITQC REFERENCE WORK
# VITQC: the compiler; REFERENCE: the program made of same_bits_reference.c; WORK: a folder of this
# test's own, emptied first
# SAME_BITS_FULL=1: every configuration on every input, everywhere, and more inputs
# SAME_BITS_JOBS: programs at a time, default 2
# SAME_BITS_ZOO=1: instead every export of the zoo, in both schemes or in its own, in few configurations
# SAME_BITS_MODELS, SAME_BITS_TARGETS: only these, by their names in the table; a model of the zoo is FILE/SCHEME
# Exit code 0, 1, or 77 if nothing could be compared.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
fashion=$root/samples/fashion
zoo=$root/../shared/zoo
every_target="sse2 nehalem avx2 avx-vnni avx512-vnni aarch64 dotprod i8mm armv7 softfp
	rv64 rvv128 rvv128@256 rvv256"
every_model="plain outlier outlier_hard qdq dynamic heads swin_s_op17/w8a8 bert_gelu_op17/w8a8-dynamic"

# ---- one model ----

# sets onnx; of the zoo also data
find_model() {
	data=
	case $1 in
	*/*)
		onnx=
		for folder in models fm bert_tiny; do
			[ ! -f "$zoo/$folder/${1%/*}.onnx" ] || onnx=$zoo/$folder/${1%/*}.onnx
		done
		[ -n "$onnx" ] || { onnx=$zoo/${1%/*}.onnx; return; }
		data=${onnx%.onnx}.io.npz
		[ -f "$data" ] || data=$(dirname "$onnx")/io.npz
		[ -f "$data" ] || data=$fashion/test_images.npy ;;
	plain | dynamic) onnx=$fashion/vit.onnx ;;
	heads) onnx=$here/talking_heads.vir ;;
	outlier) onnx=$zoo/fm/vit_fm_outlier_op17.onnx ;;
	outlier_hard) onnx=$fashion/vit_outlier_hard.onnx ;;
	qdq) onnx=$zoo/fm/vit_fm_qdq_op17.onnx ;;
	*) echo "no model '$1'" >&2; exit 1 ;;
	esac
}

# dimensions FILE: what a dynamic export leaves open
dimensions() {
	case $1 in
	vit_fm_qat_op13) ;;
	vit_fm*_dyn | vit_fm_q*) echo -dim=batch=1 ;;
	bert*_dyn*) echo -dim=batch=2 -dim=seq=32 ;;
	*_dyn*) echo -dim=batch=2 ;;
	esac
}

# every model of the zoo, FILE/SCHEME
zoo_models() {
	for onnx in "$zoo"/models/*.onnx "$zoo"/bert_tiny/*.onnx "$zoo"/fm/*.onnx; do
		name=$(basename "$onnx" .onnx)
		case $name in
		*_qdq_* | *_qat_*) echo "$name/own" ;;
		*) echo "$name/w8a8 $name/w8a8-dynamic" ;;
		esac
	done
}

# The graph without the exporter's name for it, and all that goes with it: equal where one model was exported twice
same_as() {
	sed 's/^graph [^(]*(/graph g(/' "$work/$1/model.vir" > "$work/$1/graph"
	for other in $models; do
		if cmp -s "$work/$1/graph" "$work/$other/graph" && cmp -s "$work/$1/model.vir.bin" "$work/$other/model.vir.bin" &&
			cmp -s "$work/$1/expected.bin" "$work/$other/expected.bin" && cmp -s "$work/$1/inputs.bin" "$work/$other/inputs.bin"; then
			echo "$other"
			return
		fi
	done
}

prepare_model() {
	folder=$work/$1 samples=$fashion/test_images.npy
	mkdir -p "$folder"
	case $1 in
	*/*) samples=$data ;;
	esac
	case $1 in
	vit_fm*/w8a8)
		set -- "-calib=$fashion/calib_images.npy" -image-mean=0.2860 -image-std=0.3530 $(dimensions "${1%/*}") ;;
	*/w8a8) set -- "-calib=$data" $(dimensions "${1%/*}") ;;
	*/w8a8-dynamic) set -- -quant=w8a8-dynamic $(dimensions "${1%/*}") ;;
	*/own) set -- $(dimensions "${1%/*}") ;;
	qdq) set -- -dim=batch=1 ;;
	dynamic | heads) set -- -quant=w8a8-dynamic ;;
	*) set -- "-calib=$fashion/calib_images.npy" -image-mean=0.2860 -image-std=0.3530 ;;
	esac
	"$vitqc" "$onnx" "$@" -emit=vir -o "$folder/model.vir"
	# the objects of this test are those of the command, though they are made of its .vir
	"$vitqc" "$onnx" "$@" -target=x86-64 -prefix=plain -o "$folder/command.o"
	"$reference" compile "$folder/model.vir" "$onnx" "$folder/same" plain 0 x86-64
	cmp "$folder/command.o" "$folder/same.o"
	cmp "$folder/command.h" "$folder/same.h"
	"$reference" expect "$folder/model.vir" "$samples" 0.2860 0.3530 "$real" "$folder"
}

# ---- one target ----

on_cpu() { [ "$(uname -m)" = x86_64 ] && grep -qw "$1" /proc/cpuinfo; }

# x86 HOW MCPU EMULATOR: without an emulator as a program of this machine
x86() {
	target="x86-64 -mcpu=$2" cc=gcc
	if [ -z "$3" ]; then
		how="$1, native" inputs=$native_inputs threads=-DTHREADS static=
	else
		how="$1, ${3##* }" runner=$3
	fi
}

riscv() {
	target="riscv64$1" how=$2 cc=riscv64-linux-gnu-gcc runner="qemu-riscv64 -cpu rv64,$3"
}

# sets target and text (for the reference), cc, runner, how (words), inputs, threads, static, missing
find_target() {
	cc= runner= inputs=5 threads= static=-static text=
	vlen="v=true,vext_spec=v1.0,elen=64,vlen"
	case $1 in
	sse2) x86 SSE2 x86-64 "" ;;
	nehalem) x86 SSE2 x86-64 "qemu-x86_64 -cpu Nehalem" ;;
	avx2)
		emulator=
		on_cpu avx2 || emulator="qemu-x86_64 -cpu Haswell"
		x86 AVX2 x86-64-v3 "$emulator" ;;
	avx-vnni) x86 AVX-VNNI alderlake "" ;; # no emulator that Debian 12 has
	avx512-vnni)
		emulator=
		on_cpu avx512_vnni || emulator=bochs
		x86 AVX512-VNNI "x86-64-v4 -mattr=+avx512vnni" "$emulator" ;;
	aarch64)
		target=aarch64 how="NEON, cortex-a53"
		cc=aarch64-linux-gnu-gcc runner="qemu-aarch64 -cpu cortex-a53" ;;
	dotprod)
		target="aarch64 -mattr=+dotprod" how="dotprod, cortex-a76"
		cc=aarch64-linux-gnu-gcc runner="qemu-aarch64 -cpu cortex-a76" ;;
	i8mm)
		target="aarch64 -mattr=+dotprod,+i8mm" how="i8mm, max"
		cc=aarch64-linux-gnu-gcc runner="qemu-aarch64 -cpu max" ;;
	armv7)
		target=armv7 how="NEON, hard-float"
		cc=arm-linux-gnueabihf-gcc runner="qemu-arm -cpu cortex-a7" ;;
	softfp)
		target="armv7 -mcpu=cortex-a7 -mfloat-abi=softfp" how="NEON for A7, softfp"
		cc="arm-linux-gnueabi-gcc -march=armv7-a -mfpu=neon -mfloat-abi=softfp"
		runner="qemu-arm -cpu cortex-a7" ;;
	rv64) riscv "" scalar v=false ;;
	rvv128) riscv " -mattr=+v" "V, VLEN 128" "$vlen=128" ;;
	rvv128@256) riscv " -mattr=+v" "V, VLEN 256" "$vlen=256" ;;
	rvv256) riscv " -mattr=+v,+zvl256b" "V for 256, VLEN 256" "$vlen=256" ;;
	*) echo "no target '$1'" >&2; exit 1 ;;
	esac
	[ "$runner" != bochs ] || text=-S
	missing=
	for tool in ${cc%% *} ${runner%% *}; do
		command -v "$tool" > /dev/null || missing=$tool
	done
	case $target in
	x86*alderlake) on_cpu avx_vnni || missing="CPU with AVX-VNNI" ;;
	x86*) [ "$(uname -m)" = x86_64 ] || missing="x86-64 host" ;;
	esac
}

# few MODEL: of the zoo, few configurations; one input where an emulator takes long
few() {
	configs=$every
	case $1 in
	*/*) configs=-DFEW inputs=2 ;;
	esac
	case $1 in
	vit_tiny_patch16*) inputs=1 ;;
	esac
}

build_and_run() { # in the folder of the pair, with inputs.bin, expected.bin and the objects
	warn="-Wall -Wextra -Wpedantic -Wshadow -Wconversion"
	options="-std=c11 -D_POSIX_C_SOURCE=200809L -O2 $warn -DINPUTS=$inputs $configs $threads -I."
	if [ "$runner" = bochs ]; then
		# Bochs 2.7 does not scale the 8-bit displacement of vpextrw's EVEX form: use long ones
		for object in seen plain; do
			sed 's/^\([[:space:]]*\)vpextrw\([[:space:]]\)/\1{disp32} vpextrw\2/' $object.s > long.s &&
				gcc -c long.s -o $object.o || return 1
		done
		gcc $options -DBARE -ffreestanding -fno-pie -fno-stack-protector -mno-red-zone \
			-fno-tree-loop-distribute-patterns -c "$here/same_bits_program.c" -o program.o &&
			gcc -c "$here/same_bits_data.S" -o data.o || return 1
		BOCHS_SECONDS=${BOCHS_SECONDS:-1200} "$here/bare/run.sh" bare program.o data.o seen.o plain.o
		return
	fi
	set -- "$here/same_bits_program.c" "$here/same_bits_data.S" seen.o plain.o
	[ -z "$threads" ] || set -- "$@" "$root/runtime/vitq_pool.c" -lpthread
	$cc $options $static -I"$root/runtime" "$@" -o program && $runner ./program
}

# Leaves WORK/MODEL/TARGET/log and row: "ok configurations 20 ...", "FAIL ..." or "skipped: ..."
one() {
	find_model "$1"
	find_target "$2"
	few "$1"
	pair=$work/$1/$2
	mkdir -p "$pair"
	cd "$pair"
	if [ -n "$missing" ]; then
		echo "skipped: no $missing" > row
		return
	fi
	echo "FAIL, see $pair/log" > row
	{
		ln -sf ../inputs.bin ../expected.bin ../ports.h . &&
		"$reference" compile ../model.vir "$onnx" seen seen 1 $target $text &&
		"$reference" compile ../model.vir "$onnx" plain plain 0 $target $text &&
		build_and_run
	} > log 2>&1 || return 0
	grep '^ok' log > row || echo "FAIL, see $pair/log" > row
}

# ---- a test of this test: a wrong hash in the table must fail ----

# refuse MODEL TARGET VALUE|OUTPUT: by the log of a run that passed
refuse() {
	find_target "$2"
	every= threads=
	few "$1"
	copy=$work/$1/wrong-$3
	mkdir -p "$copy"
	cp "$work/$1/$2"/seen.* "$work/$1/$2"/plain.* "$work/$1/inputs.bin" "$work/$1/expected.bin" "$work/$1/ports.h" "$copy"
	cd "$copy"
	at=$(sed -n 's/^probe //p' "../$2/log")
	case $3 in
	value) at=${at% *} ;;
	output) at=${at#* } ;;
	esac
	byte=$(od -An -tu1 -j "$at" -N 1 expected.bin)
	printf "\\$(printf %03o $((byte ^ 1)))" |
		dd of=expected.bin bs=1 seek="$at" conv=notrunc 2> /dev/null
	if cmp -s expected.bin ../expected.bin; then
		echo "same_bits: the table was not changed" >&2
		return 1
	fi
	code=0
	build_and_run > log 2>&1 || code=1
	# Bochs has no exit code
	if { [ $code = 0 ] && [ "$runner" != bochs ]; } || ! grep -q "^MISMATCH .*: $3 " log ||
		! grep -q '^FAIL configurations' log; then
		echo "same_bits: a wrong hash of a $3 in the table was not noticed: $copy/log" >&2
		return 1
	fi
	echo "a wrong hash of one $3 is noticed: $(grep -m 1 MISMATCH log)"
}

# ---- the whole ----

real=22 every= native_inputs=25
[ "${SAME_BITS_FULL:-0}" = 0 ] || real=97 every=-DEVERY native_inputs=100
if [ "${1:-}" = one ]; then
	vitqc=$2 reference=$3 work=$4
	one "$5" "$6"
	exit
fi
[ $# = 3 ] || { echo "usage: same_bits.sh VITQC REFERENCE WORK" >&2; exit 1; }
vitqc=$1 reference=$2 work=$3
rm -rf "$work"
mkdir -p "$work"
models= twins=
[ "${SAME_BITS_ZOO:-0}" = 0 ] || every_model=$(zoo_models)
for model in ${SAME_BITS_MODELS:-$every_model}; do
	find_model "$model"
	if [ ! -f "$onnx" ]; then
		echo "$model: skipped, there is no ${onnx#"$root"/}"
		continue
	fi
	prepare_model "$model"
	same=$(same_as "$model")
	if [ -n "$same" ]; then
		twins="$twins $same=$model"
		rm -rf "${work:?}/$model"
	else
		models="$models $model"
	fi
done
targets=${SAME_BITS_TARGETS:-$every_target}
for target in $targets; do
	for model in $models; do
		echo "$model $target"
	done
done | xargs -P "${SAME_BITS_JOBS:-2}" -n 2 \
	sh "$here/same_bits.sh" one "$vitqc" "$reference" "$work"

status=0 done=0
layout='%-13s %-12s %-22s %8s %5s %6s %9s  %s\n'
printf "$layout" model target "" configs. runs values compared checksum
for model in $models; do
	checksum= agree=0 tried=0 compared=0
	for name in $targets; do
		find_target "$name"
		row=$(cat "$work/$model/$name/row")
		case $row in
		ok*) ;;
		skipped*) printf '%-13s %-12s %-22s %s\n' "$model" "$name" "$how" "$row"; continue ;;
		*)
			printf '%-13s %-12s %-22s %s\n' "$model" "$name" "$how" "$row"
			grep -m 3 -v '^start' "$work/$model/$name/log" || true
			status=1 tried=$((tried + 1))
			continue ;;
		esac
		# ok configurations C runs R values V compared N mismatches M checksum X evaluator Y
		set -- $row
		if [ -z "$checksum" ]; then
			checksum=${15} values=$7
			printf "$layout" "$model" evaluator "" "" "" "$7" "" "$checksum"
		fi
		printf "$layout" "$model" "$name" "$how" "$3" "$5" "$7" "$9" "${13}"
		done=$((done + 1)) tried=$((tried + 1))
		if [ "${13}" != "$checksum" ] || [ "${15}" != "$checksum" ]; then
			echo "FAIL: the checksum differs"
			status=1
		else
			agree=$((agree + 1)) compared=$((compared + $9))
		fi
		if [ "$7" -le 20 ]; then
			echo "FAIL: only $7 values were shown"
			status=1
		fi
		wrong=${wrong:-$model $name}
	done
	names=${model%/*}
	for twin in $twins; do
		[ "${twin%%=*}" != "$model" ] || { twin=${twin#*=} && names="$names, ${twin%/*}"; }
	done
	[ -z "$checksum" ] || summary="${summary:-}| $names | \`${model#*/}\` | $agree of $tried | $values | $compared |
"
done
if [ "${SAME_BITS_ZOO:-0}" != 0 ]; then
	printf '%s\n' "| model | scheme | targets that agree | values | compared |" "|---|---|---|---|---|" "${summary:-}"
fi
[ $done != 0 ] || [ $status != 0 ] || exit 77
if [ -n "${wrong:-}" ]; then
	(refuse $wrong value) || status=1
	(refuse $wrong output) || status=1
fi
exit $status
