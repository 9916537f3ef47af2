#!/bin/sh
# SPDX-License-Identifier: MIT
# Golden tests: run.sh VITQC [FILE.vir ...]
#
# A file has comment lines, then
#   # >>> run: -passes=canonicalize     arguments of vitqc
#   # >>> in                            the graph it is given
#   # >>> want                          the graph it must write
# With `# >>> want error` instead the run must fail, and every line below, without its "# ", must occur in its messages.
# UPDATE=1 rewrites the want part of files that differ; review the diff as code.
set -u
export MALLOC_PERTURB_=85 # what nobody has set is not 0 by chance

usage="usage: run.sh VITQC [FILE.vir ...]"
vitqc=${1:?$usage}
shift
here=$(cd "$(dirname "$0")" && pwd)
case $vitqc in
*/*) vitqc=$(cd "$(dirname "$vitqc")" && pwd)/$(basename "$vitqc") ;;
esac
[ $# -gt 0 ] || set -- "$here"/*.vir
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM

# section FILE NAME: the lines between "# >>> NAME" and the next "# >>>"
section() {
	awk -v name="# >>> $2" '/^# >>>/ { on = $0 == name; next } on' "$1"
}

passed=0
failed=0
for file in "$@"; do
	name=$(basename "$file")
	arguments=$(sed -n 's/^# >>> run: *//p' "$file")
	rm -f "$dir"/*
	section "$file" in >"$dir/in.vir"
	if [ ! -s "$dir/in.vir" ] || [ -z "$arguments" ]; then
		echo "[FAIL] $name: no '# >>> run:' or '# >>> in' section"
		failed=$((failed + 1))
		continue
	fi
	# word splitting of the arguments is wanted
	# shellcheck disable=SC2086
	(cd "$dir" && "$vitqc" in.vir $arguments -emit=vir -o out.vir) 2>"$dir/messages"
	code=$?
	if grep -q '^# >>> want error$' "$file"; then
		section "$file" "want error" | sed 's/^# *//' >"$dir/lines"
		missing=
		while IFS= read -r line; do
			grep -qF -e "$line" "$dir/messages" || missing="$missing
	missing: $line"
		done <"$dir/lines"
		if [ "$code" -eq 1 ] && [ -s "$dir/lines" ] && [ -z "$missing" ] && [ ! -e "$dir/out.vir" ]; then
			passed=$((passed + 1))
		else
			echo "[FAIL] $name: exit code $code$missing"
			cat "$dir/messages"
			failed=$((failed + 1))
		fi
		continue
	fi
	section "$file" want >"$dir/want.vir"
	if [ "$code" -ne 0 ]; then
		echo "[FAIL] $name: exit code $code"
		cat "$dir/messages"
		failed=$((failed + 1))
	elif cmp -s "$dir/want.vir" "$dir/out.vir"; then
		passed=$((passed + 1))
	elif [ "${UPDATE:-}" = 1 ]; then
		echo "[NEW]  $name"
		{ sed '/^# >>> want$/q' "$file"; cat "$dir/out.vir"; } >"$dir/new" && cp "$dir/new" "$file"
		passed=$((passed + 1))
	else
		echo "[FAIL] $name"
		diff -u "$dir/want.vir" "$dir/out.vir"
		failed=$((failed + 1))
	fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
