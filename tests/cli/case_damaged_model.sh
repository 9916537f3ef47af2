# SPDX-License-Identifier: MIT
# any cut of a model: exit code 1, a message with its name, no output
for n in 0 1 10 1000 100000 500000; do
	head -c $n "$model" >cut.onnx
	run 1 cut.onnx -quant=none -o x.o
	says "cut.onnx: "
	absent x.o x.h
done
printf 'graph g(x: f32[2]) {\n  %%y = nonsense %%x : f32[2]\n  return %%y\n}\n' >bad.vir
run 1 bad.vir -quant=none -o x.o
says "bad.vir: " "nonsense"
absent x.o
