# SPDX-License-Identifier: MIT
# Targets of tests that run objects: sourced by zoo_float.sh and zoo_more.sh.

# sets flags (for vitqc), cc, run; false if this machine cannot run the target
find_target() {
	run=
	case $1 in
	sse2) flags="-target=x86-64" cc=gcc ;;
	avx2) flags="-target=x86-64 -mcpu=x86-64-v3" cc=gcc ;;
	aarch64) flags="-target=aarch64" cc=aarch64-linux-gnu-gcc run="qemu-aarch64 -cpu cortex-a53" ;;
	armv7) flags="-target=armv7" cc=arm-linux-gnueabihf-gcc run="qemu-arm -cpu cortex-a7" ;;
	rv64) flags="-target=riscv64" cc=riscv64-linux-gnu-gcc run="qemu-riscv64 -cpu rv64" ;;
	rvv) flags="-target=riscv64 -mattr=+v" cc=riscv64-linux-gnu-gcc run="qemu-riscv64 -cpu rv64,v=true,vext_spec=v1.0,vlen=128,elen=64" ;;
	esac
	command -v $cc > /dev/null || return 1
	[ -z "$run" ] || command -v ${run%% *} > /dev/null || return 1
	case $1 in
	sse2) [ "$(uname -m)" = x86_64 ] ;;
	avx2) [ "$(uname -m)" = x86_64 ] && grep -qw avx2 /proc/cpuinfo && grep -qw fma /proc/cpuinfo ;;
	esac
}

targets=
for t in sse2 avx2 aarch64 armv7 rv64 rvv; do
	if find_target $t; then targets="$targets $t"; else echo "skip: $t"; fi
done
