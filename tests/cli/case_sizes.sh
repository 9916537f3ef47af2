# SPDX-License-Identifier: MIT
# -dim batch=1,8: several sizes of one dimension
sizes=$root/tests/run/sizes.onnx
samples=$root/tests/fuzz/corpus/samples.npy
run 0 "$sizes" -dim batch=1,2,8 -calib="$samples" -target=x86-64 -o x.o -report=r.json
quiet
grep -q 'int x_run_b2(const float \*image' x.h || fail "x.h does not declare x_run_b2"
grep -q '^#define X_WORKSPACE_BYTES_B8 ' x.h || fail "x.h has no X_WORKSPACE_BYTES_B8"
grep -q '^#define X_WORKSPACE_BYTES_FOR_B8(workers) ' x.h || fail "x.h has no X_WORKSPACE_BYTES_FOR_B8"
cc -std=c99 -Wall -Wextra -Werror -pedantic -x c -fsyntax-only x.h || fail "x.h does not compile"
if command -v python3 >/dev/null; then
	python3 - <<'EOP' || fail "r.json is not what it should be"
import json
r = json.load(open("r.json"))
assert [e["name"] for e in r["runs"]] == ["x_run", "x_run_b2", "x_run_b8"], r["runs"]
assert [e["macs"] for e in r["runs"]] == [r["object"]["macs"] * n for n in (1, 2, 8)]
assert sum(k["macs"] for k in r["kernels"] if k.get("size") == "b8") == r["runs"][2]["macs"]
EOP
fi
run 0 "$sizes" -dim batch=1,8 -calib="$samples" -target=x86-64 -o y.o
run 0 "$sizes" -dim batch=1,8 -calib="$samples" -target=x86-64 -prefix=y -o z.o
same y.o z.o
run 0 "$sizes" -dim batch=1,8 -emit=asm -quant=none -target=aarch64 -o y.s
grep -q '^y_run_b8:' y.s || fail "no y_run_b8 in y.s"
# -run takes the size that the samples fit, -compare too
run 0 "$sizes" -dim batch=4,3 -calib="$samples" -run="$samples"
prints "logits f32[3,3]:"
run 0 "$sizes" -dim batch=1,3 -quant=none -run="$samples"
prints "sample 2  logits f32[1,3]:"
run 0 "$sizes" -dim batch=5,3 -quant=w8a8-dynamic -compare="$samples"
prints "output     logits f32[3,3]: sqnr"
run 1 "$sizes" -dim batch=5,7 -quant=none -run="$samples"
says "does not fit input 'image'"
run 0 "$sizes" -dim batch=2,8 -analyze
prints "input      image f32[2,1,8,8]"

run 2 "$sizes" -dim batch=1,1 -o x.o
says "option -dim batch=1,1: batch=1 is given twice"
run 2 "$sizes" -dim batch=1,x -o x.o
says "expected whole numbers of at least 1 with commas between, got 'x'"
run 2 "$sizes" -dim batch=1, -o x.o
says "expected whole numbers of at least 1 with commas between, got ''"
run 2 "$sizes" -dim batch=0,1 -o x.o
says "got '0'"
run 2 "$sizes" -dim batch=1,2 -dim seq=1,2 -o x.o
says "only one dimension can have several sizes, 'batch=1,2' has them already"
run 2 "$sizes" -dim batch=1,2 -emit=vir -o x.vir
says "a graph has one size"
run 2 "$sizes" -dim batch=1,2 -stop=calibrate -o x.vir
says "a graph has one size"
run 1 "$sizes" -dim bach=1,2 -o x.o
says "no input has a dimension of this name"
run 1 "$model" -dim batch=1,8 -o x.o
says "all dimensions of the inputs have sizes in this model"
absent x.vir
