# SPDX-License-Identifier: MIT
# -run: numbers small enough to check by hand, through our own .npz reader and writer
cp "$root/tests/cli/small.vir" .
# x = [[1,2,3,4],[5,6,7,8]] as .npy
{
	printf '\223NUMPY\001\000\066\000'
	printf "{'descr': '|u1', 'fortran_order': False, 'shape': (2)}"
	printf '12345678'
} >bad.npy
run 1 small.vir -quant=none -run=bad.npy -o y.npz
says "does not fit input 'x'"
absent y.npz
{
	printf '\223NUMPY\001\000\076\000'
	printf "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }   "
	printf '\000\000\200\077\000\000\000\100\000\000\100\100\000\000\200\100'
	printf '\000\000\240\100\000\000\300\100\000\000\340\100\000\000\000\101'
} >x.npy
run 0 small.vir -quant=none -run=x.npy -o y.npz
quiet
# y = [[1, 2.5, 6], [5, 6.5, 14]] at the end of the entry's data
printf '\000\000\200\077\000\000\040\100\000\000\300\100\000\000\240\100\000\000\320\100\000\000\140\101' | od -An -tx1 | tr -d ' \n' >want
od -An -v -tx1 y.npz | tr -d ' \n' | grep -qF -f want || fail "y.npz does not hold y"
# without -o they are printed
run 0 small.vir -quant=none -run=x.npy
quiet
prints "y f32[2,3]: 1 2.5 6 5 6.5 14; largest 14 at 5"
run 0 small.vir -quant=none -run=x.npy -calib-executor=jit
prints "y f32[2,3]: 1 2.5 6 5 6.5 14; largest 14 at 5"
# one array needs no archive
run 0 small.vir -quant=none -run=x.npy -o y.npy
tail -c 24 y.npy | cmp -s - x.npy && fail "y.npy holds x"
[ "$(tail -c 24 y.npy | od -An -v -tx1 | tr -d ' \n')" = "$(printf '\000\000\200\077\000\000\040\100\000\000\300\100\000\000\240\100\000\000\320\100\000\000\140\101' | od -An -tx1 | tr -d ' \n')" ] ||
	fail "y.npy does not hold y"
run 2 small.vir -quant=none -run=x.npy -o y.o
says "expected -o FILE.npz for the outputs, got 'y.o'"
run 2 small.vir -quant=none -run=x.npy -emit=asm
says "give one of them"
run 1 small.vir -quant=none -run=none.png
says "none.png"
# a model without inputs: the file is not needed
printf 'graph none() {\n  const @c : f32[1] = inline [2.5]\n  return @c as "y"\n}\n' >none.vir
run 0 none.vir -quant=none -run=none.npz -o c.npz
quiet
printf '\000\000\040\100' | od -An -tx1 | tr -d ' \n' >want
od -An -v -tx1 c.npz | tr -d ' \n' | grep -qF -f want || fail "c.npz does not hold y"
