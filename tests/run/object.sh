#!/bin/sh
# SPDX-License-Identifier: MIT
# Objects as a linker and a caller see them: symbols, sections, ways to link, header dialects, result codes, guard pages, threads.
#
#   object.sh VITQC SOURCE WORK
set -eu
vitqc=$1 source=$2 work=$3
fashion=$source/samples/fashion
calib="-calib=$fashion/calib_images.npy -calib-count=4 -image-mean=0.2860 -image-std=0.3530"
rm -rf "$work" && mkdir -p "$work" && cd "$work"
failed=0 passed=0

fail() { echo "FAIL: $*"; failed=$((failed + 1)); }
pass() { passed=$((passed + 1)); }
expect() { # what, command...: passes if the command succeeds
	what=$1
	shift
	if "$@" > log 2>&1; then pass; else fail "$what"; cat log; fi
}

# object OUT PREFIX flags...
object() {
	out=$1 prefix=$2
	shift 2
	"$vitqc" "$fashion/vit.onnx" -o "$out.o" -header="$out.h" -prefix="$prefix" "$@"
}

# only the two symbols are global, none undefined; no writable, unwinding or thread-local section; relocations fit -shared -z text
inspect() {
	o=$1 prefix=$2
	[ -z "$(llvm-nm-19 -u "$o")" ] && pass || fail "$o: undefined symbols: $(llvm-nm-19 -u "$o")"
	globals=$(llvm-nm-19 -g --defined-only "$o" | awk '{ print $3 }' | sort | tr '\n' ' ')
	[ "$globals" = "${prefix}_info ${prefix}_run " ] && pass || fail "$o: global symbols: $globals"
	bad=$(llvm-readelf-19 -SW "$o" | grep -E '\.(data|bss|tdata|tbss|eh_frame|init_array|ctors)|  WA|WAT' || true)
	[ -z "$bad" ] && pass || fail "$o: sections: $bad"
	stack=$(llvm-readelf-19 -SW "$o" | grep 'GNU-stack' | grep -c ' X ' || true)
	[ "$stack" = 0 ] && pass || fail "$o: executable stack"
}

# link CC RUN FLOATABI target flags...: all ways to link and run
link() {
	cc=$1 run=$2
	shift 2
	name=$(echo "$*" | tr -c 'a-zA-Z0-9\n' _)
	object one one "$@" $calib
	object two two "$@" $calib
	object three three "$@" -quant=none
	inspect one.o one
	inspect three.o three
	command -v "${cc%% *}" > /dev/null || { echo "skip: no $cc"; return 0; }
	warn="-Wall -Wextra -pedantic -Werror"
	expect "$name: header as C99" $cc -std=c99 $warn -x c -fsyntax-only one.h
	if command -v "${cc%gcc}g++" > /dev/null; then
		expect "$name: header as C++17" "${cc%gcc}g++" -std=c++17 $warn -x c++ -fsyntax-only one.h
	fi
	few=
	[ -z "$run" ] || few="-DRUNS=6 -DTHREAD_RUNS=1"
	abi="$few $source/tests/run/object_abi.c one.o two.o three.o -I. -pthread -std=c11 -O1 -Wall -Wextra -Werror"
	expect "$name: links as PIE" $cc $abi -fPIE -pie -o pie
	expect "$name: links statically" $cc $abi -static -o static
	expect "$name: links into a shared library without text relocations" $cc -shared -nostdlib one.o three.o -Wl,-z,text -o lib.so
	expect "$name: -nostdlib program links" $cc -std=c11 -O1 -ffreestanding -nostdlib -static -fno-stack-protector -I. \
		"$source/tests/run/object_nostdlib.c" one.o -lgcc -o bare
	[ "$run" != none ] || return 0
	expect "$name: codes, guard pages, threads (static)" $run ./static
	code=0
	$run ./bare > log 2>&1 || code=$?
	[ "$code" -lt 10 ] && pass || { fail "$name: -nostdlib program: exit code $code"; cat log; }
	[ -z "${class:-}" ] || [ "$class" = "$code" ] && pass || fail "$name: -nostdlib program: class $code, elsewhere $class"
	class=$code
}

link gcc "" -target=x86-64
expect "PIE runs" ./pie
if grep -q avx2 /proc/cpuinfo 2> /dev/null; then
	link gcc "" -target=x86-64 -mcpu=x86-64-v3
fi
link gcc none -target=x86-64 -mcpu=cascadelake
link aarch64-linux-gnu-gcc "qemu-aarch64 -cpu cortex-a53" -target=aarch64
link aarch64-linux-gnu-gcc "qemu-aarch64 -cpu cortex-a76" -target=aarch64 -mattr=+dotprod
link arm-linux-gnueabihf-gcc "qemu-arm -cpu cortex-a7" -target=armv7
link arm-linux-gnueabi-gcc "qemu-arm -cpu cortex-a7" -target=armv7 -mfloat-abi=softfp
link riscv64-linux-gnu-gcc "qemu-riscv64" -target=riscv64
link riscv64-linux-gnu-gcc "qemu-riscv64 -cpu rv64,v=true,vext_spec=v1.0,vlen=128,elen=64" -target=riscv64 -mattr=+v

# an object that needs more than the CPU has says so and writes nothing
object one one -target=x86-64 -mcpu=x86-64-v3 $calib
cp one.o haswell.o
if command -v qemu-x86_64 > /dev/null; then
	gcc -std=c11 -O1 -ffreestanding -nostdlib -static -fno-stack-protector -I. "$source/tests/run/object_nostdlib.c" haswell.o -o bare
	code=0
	qemu-x86_64 -cpu Nehalem ./bare > log 2>&1 || code=$?
	[ "$code" = 99 ] && pass || fail "AVX2 object on a Nehalem: exit code $code, expected VITQ_E_CPU (99)"
fi
# RISC-V: made for vectors of 256 bits, run on 128
object one one -target=riscv64 -mattr=+v,+zvl256b $calib
if command -v riscv64-linux-gnu-gcc > /dev/null && command -v qemu-riscv64 > /dev/null; then
	riscv64-linux-gnu-gcc -std=c11 -O1 -ffreestanding -nostdlib -static -I. "$source/tests/run/object_nostdlib.c" one.o -lgcc -o bare
	code=0
	qemu-riscv64 -cpu rv64,v=true,vext_spec=v1.0,vlen=128,elen=64 ./bare > log 2>&1 || code=$?
	[ "$code" = 99 ] && pass || fail "VLEN 256 object on VLEN 128: exit code $code, expected VITQ_E_CPU (99)"
fi

# same input, same bytes: two runs, two folders
object one one -target=aarch64 $calib
mkdir -p elsewhere && cp "$fashion/vit.onnx" "$fashion/calib_images.npy" elsewhere/
(cd elsewhere && "$vitqc" vit.onnx -target=aarch64 -o one.o -prefix=one -calib=calib_images.npy -calib-count=4 -image-mean=0.2860 -image-std=0.3530)
cmp one.o elsewhere/one.o && cmp one.h elsewhere/one.h && pass || fail "two folders, two objects"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
