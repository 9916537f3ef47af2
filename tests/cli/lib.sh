# SPDX-License-Identifier: MIT
# Shared by the cases: each case runs in an empty folder with $vitqc, $root (the source tree) and $model set.
# A case ends with `finish`; expectations that fail are counted and shown.

failures=0

fail() {
	echo "    $1"
	failures=$((failures + 1))
}

# run CODE ARGUMENT…: runs vitqc; its output goes to the files out and err
run() {
	want=$1
	shift
	"$vitqc" "$@" >out 2>err
	got=$?
	[ "$got" -eq "$want" ] || { fail "exit code $got, expected $want: vitqc $*"; cat err; }
}

# says TEXT…: every text stands in err
says() {
	for text in "$@"; do
		grep -qF -e "$text" err || { fail "standard error lacks: $text"; cat err; }
	done
}

prints() {
	for text in "$@"; do
		grep -qF -e "$text" out || fail "standard output lacks: $text"
	done
}

quiet() {
	[ ! -s err ] || { fail "standard error is not empty:"; cat err; }
}

exists() {
	for file in "$@"; do
		[ -s "$file" ] || fail "no file $file"
	done
}

absent() {
	for file in "$@"; do
		[ ! -e "$file" ] || fail "there is a file $file"
	done
}

# only NAME…: these files and out, err are all there is
only() {
	printf '%s\n' err out "$@" | LC_ALL=C sort >"$TMP/want"
	find . ! -name . -prune | sed 's|^\./||' | LC_ALL=C sort >"$TMP/have"
	cmp -s "$TMP/want" "$TMP/have" || { fail "files differ:"; diff "$TMP/want" "$TMP/have"; }
}

same() {
	cmp -s "$1" "$2" || fail "$1 and $2 differ"
}

finish() {
	exit $((failures > 0))
}
