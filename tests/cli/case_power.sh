# SPDX-License-Identifier: MIT
# powers: an object computes the few exponents that docs/arithmetic.md lists, -run all of them
power() {
	printf 'graph power(x: f32[2]) {\n  const @e : %s\n  %%y = pow %%x, @e : f32[2]\n  return %%y as "y"\n}\n' "$1" >power.vir
}
for e in 0 1 2 3 0.5 -1 -0.5; do
	power "f32[] = inline [$e]"
	run 0 power.vir -quant=none -target=x86-64 -o power.o
	quiet
done
for e in 'f32[] = inline [1.5]' 'f32[2] = inline [2, 3]'; do
	rm -f power.o power.h
	power "$e"
	run 1 power.vir -quant=none -target=x86-64 -o power.o
	says "cannot be compiled: an exponent other than the constants 0, 1, 2, 3, 0.5, -1 and -0.5"
	absent power.o
done
