#!/bin/sh
# SPDX-License-Identifier: MIT
# vitqc built for AArch64 makes the very objects that the one of this machine makes: gets Debian 12's arm64 libraries into a folder (150 MB of
# packages, 900 MB there; the machine's own packages stay as they are, no root needed), cross-builds vitqc with them, runs it in qemu-aarch64 and
# compares (same_objects.sh). Not part of ctest.
#
#   aarch64_host.sh VITQC SOURCE WORK [MIRROR]     VITQC: of this machine; WORK is kept, a second run gets nothing anew
set -eu
vitqc=$1 source=$2 work=$3 mirror=${4:-http://deb.debian.org/debian}
for tool in aarch64-linux-gnu-gcc aarch64-linux-gnu-g++ qemu-aarch64 apt-get dpkg; do
	command -v "$tool" > /dev/null || { echo "aarch64_host.sh: there is no $tool" >&2; exit 1; }
done
mkdir -p "$work"
work=$(cd "$work" && pwd)
root=$work/root

# apt with lists, cache and a list of installed packages of its own: nothing is installed here, so all that is needed is downloaded
if [ ! -e "$root/complete" ]; then
	apt=$work/apt
	mkdir -p "$root" "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/etc/preferences.d" "$apt/etc/apt.conf.d"
	: > "$apt/status"
	printf 'deb [arch=arm64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s bookworm main\n' "$mirror" > "$apt/etc/sources.list"
	get() {
		apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State="$apt" -o Dir::State::status="$apt/status" \
			-o Dir::State::lists="$apt/lists" -o Dir::Cache="$apt/cache" -o Dir::Etc="$apt/etc" -o Dir::Etc::sourcelist="$apt/etc/sources.list" \
			-o Dir::Etc::sourceparts=/dev/null -o Debug::NoLocking=1 "$@" >> "$work/apt.log" 2>&1 || { tail "$work/apt.log"; exit 1; }
	}
	get update
	get install -y --no-install-recommends --download-only libc6-dev libgcc-12-dev llvm-19-dev libprotobuf-c-dev \
		libjson-c-dev libpng-dev libjpeg-dev zlib1g-dev
	for package in "$apt"/cache/archives/*.deb; do dpkg -x "$package" "$root"; done
	rm -rf "$apt"
	touch "$root/complete"
fi

cat > "$work/aarch64.cmake" << END
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_SYSROOT "$root")
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
END
PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_LIBDIR=$root/usr/lib/aarch64-linux-gnu/pkgconfig \
	cmake -S "$source" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF -DVITQC_WERROR=ON \
	-DCMAKE_TOOLCHAIN_FILE="$work/aarch64.cmake" > "$work/configure.log"
cmake --build "$work/build" > "$work/build.log" || { tail "$work/build.log"; exit 1; }
"$source/tests/run/same_objects.sh" "$vitqc" "qemu-aarch64 -L $root $work/build/vitqc" "$source" "$work/objects"
