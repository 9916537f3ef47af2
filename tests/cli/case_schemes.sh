# SPDX-License-Identifier: MIT
# which scheme a model gets when nothing is asked for, and what is said about it
note="vitqc: note: int8 with scales found at run time (-quant=w8a8-dynamic); -calib=SAMPLES gives w8a8, -quant=none float"

# nothing given: scales at run time, said on one line
run 0 "$model" -target=x86-64 -o x.o
says "$note"
[ "$(wc -l <err)" -eq 1 ] || fail "more than one line: $(cat err)"
mv x.o default.o
run 0 "$model" -target=x86-64 -quant=w8a8-dynamic -o x.o
quiet
same x.o default.o
run 0 "$model" -target=x86-64 -q -o x.o
quiet
same x.o default.o

# samples: w8a8
run 0 "$model" $calib -target=x86-64 -o x.o
quiet
mv x.o default.o
run 0 "$model" $calib -target=x86-64 -quant=w8a8 -o x.o
same x.o default.o

# scales of the model's own are kept
run 0 "$model" $calib -emit=onnx -o qdq.onnx
run 0 qdq.onnx -target=x86-64 -report=own.txt -o x.o
quiet
grep -q '^scheme     w8a8$' own.txt || fail "own.txt: $(grep '^scheme' own.txt)"

# no products, nothing to say; ONNX wants samples
printf 'graph f(x: f32[2]) {\n  %%1 = neg %%x : f32[2]\n  return %%1 as "y"\n}\n' >neg.vir
run 0 neg.vir -target=x86-64 -o x.o
quiet
run 1 "$model" -emit=onnx -o y.onnx
says "w8a8 needs samples" "-quant=w8a8-dynamic"
absent y.onnx
