#!/bin/sh
# SPDX-License-Identifier: MIT
# Tests of the command: run.sh VITQC [CASE …]
# Every case_*.sh beside this file is sourced in an empty folder of its own; see lib.sh. Exit 77 of a case: skipped.
set -u
vitqc=${1:?usage: run.sh VITQC [CASE ...]}
shift
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
case $vitqc in
*/*) vitqc=$(cd "$(dirname "$vitqc")" && pwd)/$(basename "$vitqc") ;;
esac
model=$root/samples/fashion/vit.onnx
calib="-calib=$root/samples/fashion/calib_images.npy -calib-count=8 -image-mean=0.2860 -image-std=0.3530"
[ $# -gt 0 ] || set -- "$here"/case_*.sh
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

passed=0
failed=0
skipped=0
for case in "$@"; do
	case $case in */*) ;; *) case=$here/$case ;; esac
	name=$(basename "$case" .sh)
	mkdir "$work/$name" "$work/$name.tmp"
	(
		cd "$work/$name" || exit 1
		TMP=$work/$name.tmp
		. "$here/lib.sh"
		. "$case"
		finish
	) >"$work/$name.log" 2>&1
	case $? in
	0) passed=$((passed + 1)) ;;
	77) skipped=$((skipped + 1)); echo "[SKIP] $name" ;;
	*) failed=$((failed + 1)); echo "[FAIL] $name"; cat "$work/$name.log" ;;
	esac
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] || exit 1
[ "$passed" -gt 0 ] || exit 77
