# SPDX-License-Identifier: MIT
# -analyze: what it says without samples and code is what compiling with both ends in
run 0 "$model" -analyze
quiet
only
prints "input      image f32[1,1,28,28]" "output     logits f32[1,10]" "264 nodes of 22 operators" \
	"products   31.1 M multiply-accumulates: 38 linear 28.7 M, 6 attention 2.41 M" "for x86_64-unknown-linux-gnu"
grep -q '^  MatMul  *36$' out || fail "MatMul is not counted"
grep -q '^  w8a8  *100\.00 %' out || fail "w8a8 is not all integer"

# value COLUMN SCHEME: of the table
value() {
	awk -v c="$1" -v s="$2" '$1 == s && $3 == "%" { print $c }' out
}

for target in x86-64 "aarch64 -mattr=+dotprod" "riscv64 -mattr=+v"; do
	run 0 "$model" -analyze -target=$target
	mv out table
	for quant in none w8a8-dynamic w8a8; do
		samples=
		[ $quant != w8a8 ] || samples=$calib
		run 0 "$model" -target=$target -quant=$quant $samples -o x.o -report=r.txt -q
		mv table out
		set -- $(sed -n 's/^object  *\([0-9]*\) bytes, weights \([0-9]*\) bytes$/\1 \2/p; s/^workspace  *\([0-9]*\) bytes, \([0-9]*\) .*/\1 \2/p' r.txt)
		# exactly, but under w8a8, where samples decide which inputs have a scale per token
		for pair in "$(value 4 $quant) $2" "$(value 6 $quant) $3" "$(value 7 $quant) $4"; do
			off=$((${pair% *} - ${pair#* }))
			[ $off -ge 0 ] || off=$((-off))
			[ $off -eq 0 ] || { [ $quant = w8a8 ] && [ $((off * 50)) -lt ${pair#* } ]; } ||
				fail "$target $quant: weights, workspace or bytes per worker: -analyze said and compiling ended in $pair"
		done
		about=$(value 5 $quant)
		[ $((about * 100)) -gt $(($1 * 95)) ] && [ $((about * 100)) -lt $(($1 * 105)) ] ||
			fail "$target $quant: an object of $1 bytes, -analyze said about $about"
		mv out table
	done
done
rm -f table x.o x.h r.txt

run 0 "$model" -analyze -quant=w8a8 -Werror=float-fallback -report=a.json
only a.json
if command -v python3 >/dev/null; then
	python3 - <<'EOP' || fail "a.json is not what it should be"
import json
a = json.load(open("a.json"))
assert [s["scheme"] for s in a["schemes"]] == ["w8a8"], a["schemes"]
assert a["schemes"][0]["integer_macs"] == a["schemes"][0]["macs"] == sum(p["macs"] for p in a["products"].values()), a
assert {o["op"]: o["nodes"] for o in a["operators"]}["Erf"] == 6
EOP
fi
# 255 * 127 * 70000 does not fit 32 bits, 127 * 127 * 70000 does
printf 'graph g(x: f32[1,70000], w: f32[70000,1]) {\n  %%1 = matmul %%x, %%w : f32[1,1]\n  return %%1 as "y"\n}\n' >two.vir
run 1 two.vir -analyze -quant=w8a8-dynamic -Werror=float-fallback
says "its product stays in float (-Werror=float-fallback): "
prints "w8a8-dynamic leaves 1 product in float" "    70.0 k  "
run 1 two.vir -quant=w8a8-dynamic -Werror=float-fallback -o x.o
says "its product stays in float (-Werror=float-fallback): "
absent x.o
run 0 two.vir -analyze -quant=w8a8 -Werror=float-fallback
rm two.vir

# models with scales of their own, and text
run 0 "$root/tests/fuzz/corpus/tiny_qdq.onnx" -analyze
prints "  its own"
run 0 "$root/tests/cli/small.vir" -analyze
prints "  linear" "parameters 15, 60 bytes"

# what cannot be imported is listed, and what can be said is said
run 1 "$root/tests/fuzz/refused/unknown_type.onnx" -analyze
says "type 99"
prints "1 node of 1 operator, 1 of them refused"
run 1 "$root/tests/run/sizes.onnx" -analyze
says "has no size"
prints " not looked at: an error stands before them"
run 1 absent.onnx -analyze
says "absent.onnx"
run 2 "$model" -analyze -o x.o
says "-analyze writes no output"
run 2 "$model" $calib -analyze
says "-analyze needs no samples"
run 2 "$model" -analyze -Werror=float-fallback
says "say which must be in integers"
run 2 "$model" -analyze -compare=x.npy
says "option -analyze: contradicts -compare"
