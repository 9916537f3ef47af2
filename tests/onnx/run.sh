#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs a test in Python with the packages of requirements.txt: run.sh BUILD TEST.py ARGUMENT…
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=$("$here/venv.sh" "$1") || exit $?
test=$2
shift 2
exec "$python" "$here/$test" "$@"
