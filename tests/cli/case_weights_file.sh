# SPDX-License-Identifier: MIT
# -emit-weights: the weights in a file of their own
run 0 "$model" $calib -target=aarch64 -prefix=x -emit-weights=x.weights -o x.o -report=x.json -MD
only x.o x.h x.weights x.json x.d
grep -q '^#define X_WEIGHTS_BYTES '"$(wc -c <x.weights)u" x.h || fail "X_WEIGHTS_BYTES: $(grep WEIGHTS_BYTES x.h), file of $(wc -c <x.weights) bytes"
grep -q 'const void \*weights, size_t weights_bytes, void \*workspace' x.h || fail "x_run takes no weights: $(grep x_run x.h)"
[ "$(head -c 8 x.weights)" = VITQWGTS ] || fail "the file begins with $(head -c 8 x.weights)"
grep -q '"weights_file": *"x.weights"' x.json || fail "the report does not name the file"
[ "$(head -n 1 x.d)" = 'x.o x.weights: \' ] || fail "dependencies of $(head -n 1 x.d)"
run 0 "$model" $calib -target=aarch64 -prefix=x -o whole.o
[ $(($(wc -c <x.o) + $(wc -c <x.weights) - $(wc -c <whole.o))) -lt 1024 ] || fail "$(wc -c <x.o) + $(wc -c <x.weights) bytes, together $(wc -c <whole.o)"
# the same again elsewhere; its hash is what it says
mkdir elsewhere
(cd elsewhere && "$vitqc" -q "$model" $calib -target=aarch64 -prefix=x -emit-weights=y.bin -o y.o) || fail "elsewhere"
same x.o elsewhere/y.o
same x.weights elsewhere/y.bin
if command -v python3 >/dev/null; then
	python3 - x.weights x.h <<'END' || fail "the header of the file of weights"
import struct, sys
data = open(sys.argv[1], "rb").read()
magic, version, at, size, said, model = struct.unpack_from("<8sIIQQQ", data)
assert (magic, version, at, size) == (b"VITQWGTS", 1, 64, len(data) - 64) and data[40:64] == bytes(24)
h = 0xcbf29ce484222325
for b in data[at:]:
    h = (h ^ b) * 0x100000001b3 % 2**64
assert h == said and "0x%016x" % h in open(sys.argv[2]).read(), hex(h)
END
fi
# texts refer to it too; it is written once
run 0 "$model" $calib -target=aarch64 -emit=obj,asm,llvm -prefix=x -emit-weights=z.weights -o z.o
same x.o z.o
same x.weights z.weights
exists z.s z.ll
run 0 "$model" $calib -target=aarch64 -emit=llvm -prefix=x -emit-weights=t.weights -o t.ll
same t.ll z.ll
same x.weights t.weights
# what is not written is not written in part
rm -rf ./*
mkdir w
run 1 "$model" -quant=none -emit-weights=w -o x.o
says "cannot write 'w': it is a folder"
run 1 "$model" -quant=none -emit-weights=absent/w -o x.o
says "cannot write 'absent/w'"
run 1 "$model" -quant=none -emit-weights=w.bin -o absent/x.o
run 1 "$model" -quant=none -emit-weights=x.o -o x.o
says "two outputs have the same name, 'x.o'"
run 1 "$model" -quant=none -emit-weights=w.bin -o x.o -report=absent/x.txt
rmdir w
only
run 1 "$model" -quant=none -emit-weights="$model" -o x.o
says "would overwrite the model"
# what it does not go with
run 2 "$model" -quant=none -emit-weights=w -weights-section=.rodata.w -o x.o
says "option -emit-weights: contradicts -weights-section"
run 2 "$model" -quant=none -emit-weights=w -emit=vir -o x.vir
says "option -emit-weights: there is no object"
run 2 "$model" -analyze -emit-weights=w
says "option -emit-weights: there is no object"
run 2 "$model" -quant=none -emit-weights=- -o x.o
says "expected the name of a file, got '-'"
only
