# SPDX-License-Identifier: MIT
# the object is written before the report fails: it must not stay
mkdir report.txt
run 1 "$model" -quant=none -o x.o -report=report.txt
says "cannot write 'report.txt': it is a folder"
rmdir report.txt
only
# what was there before stays when a run fails
echo precious >x.o
run 1 "$model" -quant=none -o x.o -report=absent/report.txt
[ "$(cat x.o)" = precious ] || fail "x.o was changed"
only x.o
# the model is no output
cp "$model" m.onnx
run 1 m.onnx -quant=none -o m.onnx
says "would overwrite the model"
same m.onnx "$model"
run 1 m.onnx -quant=none -o x.o -header=x.o
says "two outputs have the same name, 'x.o'"
