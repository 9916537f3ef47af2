# SPDX-License-Identifier: MIT
# -compare: every layer against the same model in float, or against stored values; worst first
images=$root/samples/fashion/test_images.npy
run 0 "$model" $calib -calib-count=64 -compare="$images" -count=16 -report=c.txt
quiet
only c.txt
grep -q '^compared   w8a8 with float, 16 samples of test_images.npy$' c.txt || fail "c.txt does not say what was compared"
grep -q '^output     logits f32\[1,10\]: sqnr [34][0-9]\.[0-9] dB, cosine 0\.999[0-9]*, .* same largest in 16 of 16 rows$' c.txt ||
	fail "the output is farther from float than it should be: $(grep '^output' c.txt)"
sed -n '/worst first/,$p' c.txt | sed 1,2d >rows
[ "$(wc -l <rows)" -ge 60 ] || fail "only $(wc -l <rows) values are compared"
sort -s -n -k1,1 rows | cmp -s - rows || fail "the worst is not first"
grep -q 'blocks.2/mlp/fc2/MatMul (MatMul)' rows || fail "nodes of the model are not named"
awk '$1 < 25 { exit 1 }' rows || fail "a layer is worse than 25 dB"
cp c.txt first.txt
run 0 "$model" $calib -calib-count=64 -compare="$images" -count=16 -calib-executor=evaluator -report=c.txt
same c.txt first.txt

# an object that naive quantization broke: the report points at where it starts
run 0 "$root/samples/fashion/vit_outlier_hard.onnx" $calib -fold=none -compare="$images" -count=16
awk '/^output/ { for (i = 1; i < NF; i++) if ($i == "sqnr" && $(i + 1) > 10) exit 1 }' out || fail "naive quantization looks good"

# no samples to calibrate with; JSON
run 0 "$model" -quant=w8a8-dynamic -image-mean=0.2860 -image-std=0.3530 -compare="$images" -count=4 -report=c.json
rm -f rows c.txt first.txt
only c.json
if command -v python3 >/dev/null; then
	python3 - <<'EOP' || fail "c.json is not what it should be"
import json
r = json.load(open("c.json"))
assert r["scheme"] == "w8a8-dynamic" and r["with"] == "float" and r["samples"] == 4, r
assert len(r["outputs"]) == 1 and r["outputs"][0]["same_largest"] == 4, r["outputs"]
s = [v.get("sqnr_db", 1e9) for v in r["values"]]
assert s == sorted(s) and len(s) > 30 and s[0] > 25, s
EOP
	# stored values: x = 1..8 of small.vir, and y as it is, or not
	python3 - <<'EOP'
import struct, zipfile
def npy(shape, *v):
    head = ("{'descr': '<f4', 'fortran_order': False, 'shape': %s, }" % (shape,)).encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head + struct.pack("<%df" % len(v), *v)
for name, last in ("good", 14), ("bad", 12):
    with zipfile.ZipFile(name + ".npz", "w") as z:
        z.writestr("x.npy", npy((2, 4), *range(1, 9)))
        z.writestr("y.npy", npy((2, 3), 1, 2.5, 6, 5, 6.5, last))
        z.writestr("other.npy", npy((1,), 0))
EOP
	run 0 "$root/tests/cli/small.vir" -quant=none -compare=good.npz
	prints "compared   none with stored values, 1 sample of good.npz" \
		"output     y f32[2,3]: sqnr equal, cosine 1.000000, max error 0 of 14, same largest in 2 of 2 rows" \
		"left out   1 array of the file that is no value of the compiled graph"
	run 0 "$root/tests/cli/small.vir" -quant=none -compare=bad.npz
	prints "output     y f32[2,3]: sqnr 18.0 dB, cosine" "max error 2 of 12,"
fi

# refused
run 1 "$model" -quant=none -image-mean=0.2860 -image-std=0.3530 -compare="$images"
says "the model stays in float: there is nothing to compare it with" "hint: quantize it"
run 2 "$model" $calib -compare="$images" -o x.o
says "-compare writes no output" "-report=FILE"
run 2 "$model" $calib -compare="$images" -emit=asm
says "give one of them"
run 2 "$model" $calib -compare="$images" -run="$images"
says "contradicts -run"
run 2 "$model" $calib -compare="$images" -stop=calibrate
says "-compare takes the graph after all passes"
run 1 "$model" $calib -compare=absent.npy
says "absent.npy"
