# SPDX-License-Identifier: MIT
# two runs, in two folders, by two names of the model: the same bytes
mkdir a b
cp "$model" b/m.onnx
for target in x86-64 riscv64; do
	run 0 "$model" $calib -target=$target -o a/vit.o -report=a/r.json -emit=obj,asm,llvm,vir
	mv b/m.onnx b/vit.onnx
	(cd b && "$vitqc" vit.onnx $calib -target=$target -o vit.o -report=r.json -emit=obj,asm,llvm,vir) 2>err || fail "second run failed"
	mv b/vit.onnx b/m.onnx
	for file in vit.o vit.h vit.s vit.ll vit.vir vit.vir.bin r.json; do
		same a/$file b/$file
	done
done
if grep -qF -e "$(pwd)" -e "$root" a/vit.o a/vit.h a/vit.ll a/vit.vir a/r.json; then
	fail "an output names a folder"
fi
