#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the commands of a page of docs: every ```sh block, in order, in one shell, with $HOME in the work folder. A command that ends in
# "# TEXT" must print TEXT.
#
#   doc_commands.sh PAGE SOURCE WORK
set -eu
page=$1 source=$2 work=$3
rm -rf "$work"
mkdir -p "$work/home"
{
	echo 'set -e'
	awk '/^```sh$/ { on = 1; next } /^```$/ { on = 0 }
		on && / # [^#]*$/ && !/^#/ {
			split($0, part, / +# /)
			printf "expected=\"%s\"\nprinted=$(%s)\necho \"$printed\"\n[ \"$printed\" = \"$expected\" ] || { echo \"expected: $expected\" >&2; exit 1; }\n", part[2], part[1]
			next
		}
		on' "$source/docs/$page.md"
} > "$work/commands.sh"
grep -q 'expected=' "$work/commands.sh" || { echo "docs/$page.md shows no result to check"; exit 1; }
cd "$source"
HOME=$work/home sh -x "$work/commands.sh"
