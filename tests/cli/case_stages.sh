# SPDX-License-Identifier: MIT
# every stage can be written and read again, and gives the same object in the end
run 0 "$model" $calib -target=armv7 -prefix=p -emit=vir,asm -o whole.vir
run 0 whole.vir -target=armv7 -prefix=p -emit=asm -o again.s
grep -v 'model hash\|\.quad\|\.long\|\.asci\|\.byte' whole.s >a
grep -v 'model hash\|\.quad\|\.long\|\.asci\|\.byte' again.s >b
same a b
for pass in import canonicalize fuse_attention; do
	run 0 "$model" -stop=$pass -o $pass.vir
	exists $pass.vir
	run 0 $pass.vir $calib -target=armv7 -emit=vir -o end.vir
	sed 's/"[^"]*\.bin"//' whole.vir >a
	sed 's/"[^"]*\.bin"//' end.vir >b
	same a b
done
run 0 "$model" -quant=none -emit=vir -o - -dump=before:canonicalize,after:fuse_linear
prints "graph " "return %"
says "# before canonicalize" "# after fuse_linear" "linear"
run 2 "$model" -stop=canonicalize -emit=obj -o x.o
run 0 -print-passes
prints "absorb_qdq"
run 2 "$model" -stop=canonicalise
says "did you mean 'canonicalize'?"
