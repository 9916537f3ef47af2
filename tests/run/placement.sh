#!/bin/sh
# SPDX-License-Identifier: MIT
# Where an object's parts go and what protects them: stack depth against the header, branch protection, the section of the weights.
#
#   placement.sh VITQC SOURCE WORK
set -eu
vitqc=$1 source=$2 work=$3
fashion=$source/samples/fashion
rm -rf "$work" && mkdir -p "$work" && cd "$work"
failed=0 passed=0

expect() { # what, command...: passes if the command succeeds
	what=$1
	shift
	if "$@" > log 2>&1; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "FAIL: $what" && cat log; fi
}

refused() { # what the message must hold, flags...
	text=$1
	shift
	if "$vitqc" "$fashion/vit.onnx" -quant=none "$@" -o refused.o 2> log; then
		failed=$((failed + 1)) && echo "FAIL: accepted: $*"
	elif grep -q -- "$text" log && [ ! -e refused.o ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1)) && echo "FAIL: $*" && cat log
	fi
}

object() { "$vitqc" -q "$fashion/vit.onnx" -o one.o "$@"; }
note() { llvm-readelf-19 -n one.o | grep -q "$1"; }
bare() { aarch64-linux-gnu-gcc -O1 -std=c11 -ffreestanding -nostdlib -static -fno-stack-protector -I. "$@"; }

# the stack of every kind of kernel: w8a8-dynamic has integer and float ones
depth() { # CC RUN flags...
	cc=$1 run=$2
	shift 2
	command -v "${cc%% *}" > /dev/null || { echo "skip: no $cc"; return 0; }
	for quant in none w8a8-dynamic "w8a8 -calib=$fashion/calib_images.npy -calib-count=2 -image-mean=0.2860 -image-std=0.3530"; do
		object "$@" -quant=$quant
		case $* in
		*+v*) # LLVM before 19 does not tell what vectors take: no figure rather than a wrong one
			if "$vitqc" --version | grep -q 'LLVM 1[678]\.'; then
				expect "$*, $quant: no figure" sh -c '! grep STACK_BYTES one.h'
				continue
			fi ;;
		esac
		expect "$*, $quant: links" $cc -O1 -std=gnu11 -I. "$source/tests/run/stack_paint.c" one.o -static -o paint
		expect "$*, $quant: stack" $run ./paint
		sed "s/^/$* ${quant%% *}: /" log
	done
}
depth gcc "" -target=x86-64
if grep -q avx2 /proc/cpuinfo 2> /dev/null; then
	depth gcc "" -target=x86-64 -mcpu=x86-64-v3
fi
depth aarch64-linux-gnu-gcc "qemu-aarch64 -cpu cortex-a53" -target=aarch64
depth aarch64-linux-gnu-gcc "qemu-aarch64 -cpu cortex-a76" -target=aarch64 -mattr=+dotprod
depth arm-linux-gnueabihf-gcc "qemu-arm -cpu cortex-a7" -target=armv7
depth riscv64-linux-gnu-gcc "qemu-riscv64 -cpu rv64" -target=riscv64
depth riscv64-linux-gnu-gcc "qemu-riscv64 -cpu rv64,v=true,vext_spec=v1.0,vlen=128,elen=64" -target=riscv64 -mattr=+v
depth riscv64-linux-gnu-gcc "qemu-riscv64 -cpu rv64,v=true,vext_spec=v1.0,vlen=1024,elen=64" -target=riscv64 -mattr=+v

# branch protection: the note, links that insist on it, a CPU that checks; an object without it as the control
object -quant=w8a8-dynamic -target=aarch64 -mbranch-protection=standard
expect "AArch64: note" note "BTI, PAC"
expect "AArch64: PAC instructions" sh -c 'llvm-objdump-19 -d one.o | grep -q paciasp'
if command -v aarch64-linux-gnu-gcc > /dev/null; then
	expect "AArch64: shared library, -z text -z force-bti without a warning" sh -c '
		aarch64-linux-gnu-gcc -shared -nostdlib -mbranch-protection=standard one.o -Wl,-z,text,-z,force-bti,--fatal-warnings -o one.so'
	expect "AArch64: the library has the note" sh -c 'llvm-readelf-19 -n one.so | grep -q BTI'
	expect "AArch64: its stack is not executable" sh -c 'llvm-readelf-19 -lW one.so | grep GNU_STACK | grep -qv E'
	expect "AArch64: program" bare -mbranch-protection=standard "$source/tests/run/branch_target.c" one.o -o bti
	expect "AArch64: runs with BTI" qemu-aarch64 -cpu max ./bti
	object -quant=w8a8-dynamic -target=aarch64
	expect "AArch64: program forced to BTI, unprotected object" bare -mbranch-protection=standard "$source/tests/run/branch_target.c" one.o -Wl,-z,force-bti -o nobti
	expect "AArch64: it is stopped" sh -c '! qemu-aarch64 -cpu max ./nobti'
fi
object -quant=none -target=aarch64 -mbranch-protection=bti
expect "AArch64, bti: note" sh -c 'llvm-readelf-19 -n one.o | grep -q "feature: BTI$"'
object -quant=none -target=aarch64 -mbranch-protection=pac-ret+leaf+b-key
expect "AArch64, b-key: instructions" sh -c 'llvm-objdump-19 -d one.o | grep -q pacibsp'
object -quant=none -target=x86-64 -fcf-protection=full
expect "x86-64: note" note "IBT, SHSTK"
expect "x86-64: landing pads" sh -c 'llvm-objdump-19 -d one.o | grep -q endbr64'
expect "x86-64: links with -z ibt" gcc -shared -nostdlib -fcf-protection one.o -Wl,-z,ibt,-z,shstk,-z,text,--fatal-warnings -o one.so
refused "it is for x86-64, the target is aarch64" -target=aarch64 -fcf-protection=full
refused "it is for aarch64, the target is riscv64" -target=riscv64 -mbranch-protection=standard
refused "'foo' in 'bti+foo'" -target=aarch64 -mbranch-protection=bti+foo
refused "unknown kind 'some'" -target=x86-64 -fcf-protection=some

# the weights in a section of their own
object -quant=none -target=aarch64 -weights-section=.rodata.weights
expect "weights: section" sh -c 'llvm-readelf-19 -SW one.o | grep -qE "\.rodata\.weights +PROGBITS.* A "'
refused "is not read-only data" -weights-section=.data.weights
refused "is no section name" -weights-section=weights
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
