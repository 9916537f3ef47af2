# SPDX-License-Identifier: MIT
# prefixes from awkward names are C identifiers
for name in 2fast.o a-b.c.o vitq.o _x.o 'ä.o'; do
	run 0 "$root/tests/cli/small.vir" -quant=none -target=x86-64 -o "$name"
	exists "$name"
done
grep -q 'int m_2fast_run(' 2fast.h || fail "2fast: $(grep _run 2fast.h)"
grep -q 'int a_b_c_run(' a-b.c.h || fail "a-b.c"
grep -q 'int m_vitq_run(' vitq.h || fail "vitq"
grep -q 'int m_x_run(' _x.h || fail "_x"
if command -v cc >/dev/null; then
	for header in *.h; do
		cc -std=c99 -Wall -Werror -fsyntax-only -x c "$header" || fail "$header does not compile"
	done
fi
run 0 "$root/tests/cli/small.vir" -quant=none -target=x86-64
exists small.o small.h
run 0 "$root/tests/cli/small.vir" -quant=none -target=x86-64 -o /dev/null -header=h.h
[ -c /dev/null ] || fail "/dev/null is no device any more"
run 0 "$root/tests/cli/small.vir" -quant=none -target=aarch64 -emit=asm -o -
prints "small_run:"
