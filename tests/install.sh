#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what is missing, from Debian 12: `install.sh build` for the compiler and the sample, `install.sh test` for all tests.
# Without root and without sudo it says what is missing and fails.
set -eu
build="build-essential cmake ninja-build pkg-config llvm-19-dev libprotobuf-c-dev protobuf-c-compiler libjson-c-dev libpng-dev libjpeg-dev zlib1g-dev"
cross="gcc-aarch64-linux-gnu gcc-arm-linux-gnueabihf gcc-arm-linux-gnueabi gcc-riscv64-linux-gnu libc6-dev-arm64-cross libc6-dev-armhf-cross libc6-dev-armel-cross libc6-dev-riscv64-cross"
test="clang-format-14 file clang-19 llvm-22-dev libcmocka-dev qemu-user bochs bochsbios bochs-term vgabios lld-19 llvm-19 python3-venv $cross"
case ${1:-} in
build) want=$build ;;
test) want="$build $test" ;;
*) echo "usage: install.sh build|test" >&2; exit 2 ;;
esac
missing=
for p in $want; do
	dpkg-query -W -f='${Status}' "$p" 2> /dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
root=
if [ "$(id -u)" != 0 ]; then
	root=sudo
	command -v sudo > /dev/null || { echo "install.sh: missing packages:$missing" >&2; exit 1; }
fi
if ! apt-cache show llvm-19-dev > /dev/null 2>&1; then
	$root apt-get update
fi
DEBIAN_FRONTEND=noninteractive $root apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=400 $missing
