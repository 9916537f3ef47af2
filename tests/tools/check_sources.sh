#!/bin/sh
# SPDX-License-Identifier: MIT
# Every source file names its licence, and C has the layout of .clang-format. Formatters differ: that of Debian 12 decides.
#
#   check_sources.sh [--fix]     --fix: lays the files out instead
set -eu
cd "$(dirname "$0")/../.."
git rev-parse --git-dir > /dev/null 2>&1 || { echo "not a git checkout: the list of files is git's" >&2; exit 77; }
formatter=$(command -v clang-format-14 || true)
[ -n "$formatter" ] || { echo "clang-format-14 is not installed" >&2; exit 77; }
c_files=$(git ls-files '*.c' '*.h' | grep -v '_data\.h$')
if [ "${1:-}" = --fix ]; then
	"$formatter" -i $c_files
	exit 0
fi
failed=0
unnamed=$(git ls-files '*.c' '*.h' '*.def' '*.S' '*.proto' '*.sh' '*.py' '*.cmake' '*.bash' '*.bb' '*.bbclass' '*.bbappend' '*.in' \
	'*Makefile' '*CMakeLists.txt' .ci/run | xargs grep -L 'SPDX-License-Identifier: MIT' || true)
[ -z "$unnamed" ] || { printf 'no SPDX-License-Identifier in\n%s\n' "$unnamed"; failed=1; }
"$formatter" --dry-run -Werror $c_files || { echo "not laid out by .clang-format: tests/tools/check_sources.sh --fix"; failed=1; }
exit $failed
