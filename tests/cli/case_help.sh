# SPDX-License-Identifier: MIT
run 0 --help
prints "usage: vitqc" "-target" "-calib" "Exit status"
run 0 -h
run 0 --version
prints "vitqc " "LLVM " "protobuf-c "
run 0 -print-targets
prints "x86-64" "aarch64" "armv7" "riscv64"
run 0 -target=riscv64 -mcpu=help
prints "spacemit-x60"
run 0 -target=aarch64 -mattr=help
prints "dotprod" "cortex-a76"
run 2 -target=aarch64 -mcpu=cortex-a9000 -mattr=help
says "unknown CPU 'cortex-a9000'"
run 2 "$model" -count=2 -o x.o
says "option -count: needs -run or -compare"
run 0 -print-ops
prints "LayerNormalization"
quiet
if [ -e /dev/full ]; then
	"$vitqc" --help >/dev/full 2>err
	[ $? -eq 1 ] || fail "a full disk goes unseen"
fi
# the manual page has every option that --help has
"$vitqc" --help | sed -n 's/^  -\([A-Za-z-]*\).*/\1/p' | while read -r option; do
	sed 's/\\-/-/g; s/\\f.//g' "$root/docs/vitqc.1" | grep -q "^\.B[RI]* *-$option\b\|^-$option\b" || echo "$option"
done >"$TMP/missing"
[ ! -s "$TMP/missing" ] || fail "docs/vitqc.1 lacks: $(tr '\n' ' ' <"$TMP/missing")"
