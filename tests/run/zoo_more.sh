#!/bin/sh
# SPDX-License-Identifier: MIT
# Swin (shifted windows, relative bias) and BERT (token ids, integer masks) of the zoo on every target: float objects compute what
# PyTorch computed, max |error| <= 1e-4 max |reference|; w8a8 objects what the evaluator computes, byte for byte, and near PyTorch.
# Token ids out of range are refused before anything is written.
#
#   zoo_more.sh VITQC NPZ_TOOL WORK          exit code 77 without the zoo
# ZOO_FULL=1: every export of a model on every target, not one
set -eu
vitqc=$1 tool=$2 work=$3
here=$(cd "$(dirname "$0")" && pwd)
zoo=$here/../../../shared/zoo
bound=1e-4   # of f32: sums in another order than PyTorch's
near=0.2     # of w8a8: more than twice what was measured; a wrong table or scale is above 0.5
failed=0 compared=0

fail() { echo "FAIL: $*"; failed=$((failed + 1)); }

[ -d "$zoo/models" ] || { echo "no zoo at $zoo"; exit 77; }
rm -rf "$work" && mkdir -p "$work" && cd "$work"
. "$here/targets.sh"

# ports in|out: names in the model, in order, by the header
ports() {
	total=$(grep -c '" in the model)' model.h)
	ins=$(grep '^int model_run(' model.h | tr ',' '\n' | grep -c 'const .*\*[A-Za-z0-9_]*$') # all that is const but env
	sed -n 's/.*("\(.*\)" in the model).*/\1/p' model.h |
		if [ "$1" = in ]; then head -n $ins; else tail -n $((total - ins)); fi
}

# compile MODEL.onnx TARGET ARGUMENT...: ./model of model.o, model.h
compile() {
	find_target "$2"
	onnx=$1
	shift 2
	"$vitqc" "$onnx" "$@" $flags -prefix=model -o model.o > log 2>&1 &&
		$cc -std=c11 -O1 -Wall -Wextra -Werror -static -DINPUTS="$(ports in | wc -l)" -DOUTPUTS="$(ports out | wc -l)" \
			-include ./model.h "$here/model_io.c" model.o -o model >> log 2>&1 || { sed 's/^/  /' log; return 1; }
}

# run_object DATA.npz: every input from it, outputs to out.NAME
run_object() {
	files=
	for name in $(ports in); do
		"$tool" get "$1" "$name" 0 "in.$name"
		files="$files in.$name"
	done
	for name in $(ports out); do files="$files out.$name"; done
	$run ./model $files >> log 2>&1 || { sed 's/^/  /' log; return 1; }
}

# model MODEL.onnx DATA.npz TARGETS: one line of the table
model() {
	name=$(basename "$1" .onnx)
	line=$(printf '%-26s' "$name")
	case $name in
	bert*_dyn*) set -- "$1" "$2" "$3" -dim=batch=2 -dim=seq=32 ;;
	*_dyn*) set -- "$1" "$2" "$3" -dim=batch=2 ;;
	esac
	onnx=$1 data=$2 wanted=$3
	shift 3
	"$vitqc" "$onnx" "$@" -calib="$data" -run="$data" -o want.npz -q
	for t in $wanted; do
		case " $targets " in *" $t "*) ;; *) continue ;; esac
		if compile "$onnx" $t "$@" -quant=none && run_object "$data"; then
			for o in $(ports out); do
				error=$("$tool" compare "$data" "$o" "out.$o" $bound) && compared=$((compared + 1)) ||
					fail "$name, $t, -quant=none: max abs error / max |reference|: $error, bound $bound"
			done
		else
			fail "$name, $t, -quant=none" && error=-
		fi
		quantized=-
		if compile "$onnx" $t "$@" -calib="$data" && run_object "$data"; then
			for o in $(ports out); do
				"$tool" get want.npz "$o" 0 "want.$o"
				cmp "want.$o" "out.$o" && compared=$((compared + 1)) || fail "$name, $t: differs from the evaluator"
				quantized=$("$tool" compare "$data" "$o" "out.$o" $near) ||
					fail "$name, $t: w8a8 is $quantized from PyTorch's, bound $near"
			done
		else
			fail "$name, $t"
		fi
		line="$line $(printf '%10.10s' "$error")"
	done
	echo "$line  w8a8: $quantized"
}

# indices MODEL.onnx DATA.npz INPUT: one id that is none
indices() {
	for t in $targets; do
		compile "$1" $t -quant=none && run_object "$2" || { fail "token ids, $t"; continue; }
		printf '\377\377\377\377\377\377\377\377' | dd of="in.$3" bs=8 seek=3 conv=notrunc 2> /dev/null # -1
		files=
		for n in $(ports in); do files="$files in.$n"; done
		for n in $(ports out); do files="$files out.$n"; done
		code=0
		$run ./model $files > log 2>&1 || code=$?
		if [ $code = 2 ] && grep -q 'code 4$' log; then
			compared=$((compared + 1))
		else
			fail "token id -1 on $t: exit code $code, expected model_run's 4"
		fi
	done
}

printf '%-26s' "max|error| / max|ref|"
[ -z "$targets" ] || printf ' %10s' $targets
echo
for onnx in "$zoo"/models/swin*.onnx "$zoo"/models/bert*.onnx "$zoo"/bert_tiny/*.onnx; do
	data=${onnx%.onnx}.io.npz on="sse2 avx2"
	[ -f "$data" ] || data=$(dirname "$onnx")/io.npz
	case $(basename "$onnx" .onnx) in swin_s_op17 | bert_gelu_op13 | bert_tiny*) on=$targets ;; esac
	[ "${ZOO_FULL:-}" != 1 ] || on=$targets
	model "$onnx" "$data" "$on"
done
indices "$zoo/models/bert_gelu_op13.onnx" "$zoo/models/bert_gelu_op13.io.npz" input_ids
echo "$compared comparisons, $failed failed"
[ $failed = 0 ] && [ $compared -gt 0 ]
