# SPDX-License-Identifier: MIT
mkdir 'with blank'
cp "$model" 'with blank/m#1.onnx'
run 0 'with blank/m#1.onnx' $calib -o x.o -MD
cat >want <<EOF
x.o: \\
  with\\ blank/m\\#1.onnx \\
  $root/samples/fashion/calib_images.npy
EOF
same want x.d
run 0 "$model" -quant=none -o x.o -MF y.d -MT all.o -MP
cat >want <<EOF
all.o: \\
  $model

$model:
EOF
same want y.d
run 2 "$model" -quant=none -MP -o x.o
says "option -MP: needs -MD or -MF"
# files that changed are seen
printf 'x.o: ; false\n-include x.d\n' >Makefile
if command -v make >/dev/null; then
	run 0 "$model" -quant=none -o x.o -MD
	make -q x.o || fail "make finds a fresh object old"
	cp "$model" m.onnx
	run 0 m.onnx -quant=none -o x.o -MD
	touch -d 2001-01-01 x.o
	if make -q x.o; then
		fail "make finds an old object fresh"
	fi
fi
