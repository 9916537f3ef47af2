#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes BUILD/venv with the packages of requirements.txt, once, and prints its interpreter. Exit code 77: they cannot be fetched.
#
#   venv.sh BUILD
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv=$1/venv
(
	flock 9
	if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
		rm -rf "$venv"
		if ! { python3 -m venv "$venv" && "$venv/bin/pip" install -q --disable-pip-version-check -r "$here/requirements.txt"; } > "$1/venv.log" 2>&1; then
			echo "venv.sh: no packages to compare with: $(tail -n 1 "$1/venv.log")" >&2
			rm -rf "$venv"
			exit 77
		fi
		cp "$here/requirements.txt" "$venv/requirements.txt"
	fi
) 9> "$1/venv.lock"
echo "$venv/bin/python"
