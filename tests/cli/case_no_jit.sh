# SPDX-License-Identifier: MIT
# where there is no JIT the evaluator runs the samples, which is said; the object is the same
without=$(dirname "$vitqc")/tests/vitqc_without_jit
[ -x "$without" ] || exit 77
tiny="$root/tests/fuzz/corpus/tiny_vit.onnx -calib=$root/tests/fuzz/corpus/samples.npy"
run 0 $tiny -target=x86-64 -prefix=p -o a.o
quiet
vitqc=$without
run 0 $tiny -target=x86-64 -prefix=p -o b.o
says "warning: the evaluator runs the samples: this LLVM has no backend for the host" "note: the results are the same"
same a.o b.o
run 0 $tiny -target=x86-64 -prefix=p -o c.o -calib-executor=evaluator
quiet
run 1 $tiny -target=x86-64 -calib-executor=jit -o d.o
says "there is no jit: this LLVM has no backend for the host"
absent d.o
