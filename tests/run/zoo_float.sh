#!/bin/sh
# SPDX-License-Identifier: MIT
# Float models compute what PyTorch computed: -quant=none objects of real exports, on every target, against reference outputs:
# max |error| <= 1e-4 max |reference|. Nor does a k loop of these objects have a stack operand (spills.sh).
#
#   zoo_float.sh VITQC NPZ_TOOL WORK fashion     the sample's models, 16 images (one in emulators)
#   zoo_float.sh VITQC NPZ_TOOL WORK zoo         the ViT family of the zoo, if that stands beside the repository, else exit code 77
#   zoo_float.sh VITQC NPZ_TOOL WORK trained     its trained models, as the sample's
#   zoo_float.sh VITQC NPZ_TOOL WORK variants    the zoo's exports of one model end in the same .vir and the same constants
# ZOO_FULL=1: the 224x224 model on every target too, and 16 images everywhere
set -eu
vitqc=$1 tool=$2 work=$3 part=$4
here=$(cd "$(dirname "$0")" && pwd)
fashion=$here/../../samples/fashion
zoo=$here/../../../shared/zoo
bound=1e-4
failed=0 compared=0

fail() { echo "FAIL: $*"; failed=$((failed + 1)); }

[ "$part" = fashion ] || [ -d "$zoo/models" ] || { echo "no zoo at $zoo"; exit 77; }
rm -rf "$work" && mkdir -p "$work" && cd "$work"

# dimensions MODEL: what a dynamic export leaves open
dimensions() {
	case $1 in
	vit_fm*_dyn) echo -dim=batch=1 ;;
	*_dyn*) echo -dim=batch=2 ;;
	esac
}

. "$here/targets.sh"

# on_target MODEL.onnx TARGET INPUT REFERENCE ARRAY: prints the relative error, or why there is none
on_target() {
	find_target $2
	rm -f out.raw
	"$vitqc" "$1" $(dimensions "$(basename "$1" .onnx)") -quant=none $flags -prefix=model -o model.o > log 2>&1 &&
		$cc -std=c11 -O1 -Wall -Wextra -Werror -static -DINPUTS=1 -DOUTPUTS=1 -include ./model.h "$here/model_io.c" model.o -o model >> log 2>&1 &&
		$run ./model "$3" out.raw >> log 2>&1 || { sed 's/^/  /' log; return 1; }
	if sh "$here/spills.sh" model.o > log; then :; elif [ $? = 1 ]; then
		cat log
		return 1
	fi
	"$tool" compare "$4" "$5" out.raw $bound
}

# model MODEL.onnx INPUTS ARRAY ROWS REFERENCE ARRAY [MEAN STD]: one line of the table; emulators get one row of ROWS
model() {
	onnx=$1 name=$(basename "$1" .onnx)
	"$tool" get "$2" "$3" "$4" native.raw ${7:-} ${8:-}
	cp native.raw emulated.raw
	[ "$4" = 0 ] || [ "${ZOO_FULL:-}" = 1 ] || "$tool" get "$2" "$3" 1 emulated.raw ${7:-} ${8:-}
	line=$(printf '%-26s' "$name")
	for t in $targets; do
		case $name,$t,${ZOO_FULL:-} in
		vit_tiny_patch16*,sse2,* | vit_tiny_patch16*,avx2,* | vit_tiny_patch16*,aarch64,* | *,*,1) ;;
		vit_tiny_patch16*) line="$line $(printf '%10s' -)"; continue ;;
		esac
		in=emulated.raw
		case $t in sse2 | avx2) in=native.raw ;; esac
		if error=$(on_target "$onnx" $t $in "$5" "$6"); then
			compared=$((compared + 1))
		else
			fail "$name, $t: max abs error / max |reference|: $error, bound $bound"
		fi
		line="$line $(printf '%10.10s' "$error")"
	done
	echo "$line"
}

header() {
	printf '%-26s' "max|error| / max|ref|"
	[ -z "$targets" ] || printf ' %10s' $targets
	echo
}

# same_vir MODEL...: the exports, in folders of their own, so that the sidecar has one name; the graph's name is the exporter's
same_vir() {
	first=
	for m in "$@"; do
		onnx=$zoo/models/$m.onnx
		[ -e "$onnx" ] || onnx=$zoo/fm/$m.onnx
		mkdir -p "$m"
		"$vitqc" "$onnx" $(dimensions "$m") -quant=none -emit=vir -o "$m/model.vir"
		sed 's/^graph [^(]*(/graph g(/' "$m/model.vir" > "$m/graph"
		if [ -z "$first" ]; then
			first=$m
		elif ! diff "$first/graph" "$m/graph" > log; then
			fail "$first and $m end in different graphs:"
			head -40 log
		elif ! cmp "$first/model.vir.bin" "$m/model.vir.bin"; then
			fail "$first and $m end in different constants"
		else
			compared=$((compared + 1))
		fi
	done
	echo "$*: $(grep -c '^  %' "$first/graph") operators, $(wc -c < "$first/model.vir.bin") bytes of constants"
}

case $part in
fashion)
	header
	for m in vit vit_outlier_hard; do # the outlier model is the same function
		model "$fashion/$m.onnx" "$fashion/test_images.npy" - 16 "$here/fashion_logits.npy" - 0.2860 0.3530
	done ;;
zoo)
	header
	for onnx in "$zoo"/models/*.onnx; do
		m=$(basename "$onnx" .onnx)
		case $m in
		vit_* | deit* | hfvit* | tv_vit* | torchenc*) model "$onnx" "${onnx%.onnx}.io.npz" input 0 "${onnx%.onnx}.io.npz" output ;;
		esac
	done ;;
trained)
	header
	for onnx in "$zoo"/fm/*.onnx; do
		case $onnx in
		*_qat_* | *_qdq_*) continue ;;
		esac
		model "$onnx" "$zoo/data/fmnist_test_f32_256.npy" - 16 "$zoo/fm/vit_fm_logits_256.npy" -
	done ;;
variants)
	same_vir vit_s2_op11 vit_s2_op13 vit_s2_op14 vit_s2_op17 vit_s2_op17_nofold vit_s2_op17_dyn vit_s2_op13_dyn_nofold
	same_vir deit_dist_s2_op13 deit_dist_s2_op17
	same_vir hfvit_s2_op13 hfvit_s2_op17 hfvit_s2_op17_dyn
	same_vir tv_vit_s2_op13 tv_vit_s2_op17 tv_vit_s2_op17_nofold tv_vit_s2_op17_dyn
	same_vir torchenc_s2_op13 torchenc_s2_op17
	same_vir vit_fm_op13 vit_fm_op17 vit_fm_op13_dyn vit_fm_op17_dyn ;;
esac
echo "$compared comparisons passed, $failed failed"
[ "$failed" = 0 ] && [ "$compared" -gt 0 ]
