# SPDX-License-Identifier: MIT
# statistics written by one run serve another; jit and evaluator see the same numbers
run 0 "$model" $calib -target=x86-64 -calib-stats=a.json -calib-executor=jit -prefix=p -o a.o
run 0 "$model" $calib -target=x86-64 -calib-stats=b.json -calib-executor=evaluator -prefix=p -o b.o
run 0 "$model" -calib-stats=a.json -target=x86-64 -prefix=p -o c.o
same a.json b.json
same a.o b.o
same a.o c.o
run 0 "$model" "-calib=$root/samples/fashion/calib_images.npy" -calib-count=2 -target=x86-64 -o d.o
says "not normalised further" "-image-mean="
run 0 "$model" "-calib=$root/samples/fashion/calib_images.npy" -calib-count=2 -target=x86-64 -o d.o -q
quiet
run 1 "$model" "-calib=$root/samples/fashion" -o d.o
says "expected f32[1,1,28,28]"
run 2 "$model" -quant=none "-calib=$root/samples/fashion/calib_images.npy" -o d.o
says "needs no calibration"
for observer in percentile:99.9 mse; do
	run 0 "$model" $calib -calib-observer=$observer -target=x86-64 -o e.o
done
run 0 "$model" $calib -fold=none -weight-clip=max -verify -target=x86-64 -o e.o
# a NaN in the samples: what it does to the model, and that it was in the input
cp "$root/tests/fuzz/corpus/samples.npy" nan.npy
printf '\000\000\300\177' | dd of=nan.npy bs=1 seek=128 conv=notrunc 2>/dev/null
run 1 "$root/tests/fuzz/corpus/tiny_vit.onnx" -calib=nan.npy -o nan.o
says "NaN or infinite in calibration sample 0" "note: input 'image' of that sample has values that are NaN" "hint: check the calibration files"
absent nan.o
