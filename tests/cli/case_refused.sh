# SPDX-License-Identifier: MIT
# models that are wrong in one way each: exit code 1, a message that names the place, no file
while IFS='|' read -r name texts; do
	for quant in -quant=none "-calib=$root/tests/fuzz/corpus/samples.npy"; do
		case $name$quant in *_weight-quant=none) continue ;; esac # only quantizing minds
		run 1 "$root/tests/fuzz/refused/$name.onnx" "$quant" -target=x86-64 -o x.o
		says "refused/$name.onnx: "
		old=$IFS
		IFS='|'
		for text in $texts; do
			says "$text"
		done
		IFS=$old
		only
	done
done <"$root/tests/fuzz/refused/list.txt"

# what a 32-bit pointer cannot span
printf 'graph g(x: f32[1]) {\n  %%1 = view %%x offset=0 stride=[0] : f32[2147483648]\n  %%2 = neg %%1 : f32[2147483648]\n  return %%2 as "y"\n}\n' >big.vir
run 1 big.vir -quant=none -target=armv7 -o x.o
says "big.vir: output 'y' has 8589934592 bytes, expected less than 2^31 for a 32-bit target"
only big.vir
