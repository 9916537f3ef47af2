#!/bin/sh
# SPDX-License-Identifier: MIT
# The installed product as a user's build sees it: samples/link by CMake (Ninja and Make) and by plain make, for this machine
# and cross-compiled; the program's answers; what is built again when, and what the package says when something is wrong.
#
#   cmake_package.sh BUILD SOURCE WORK
set -eu
build=$1 source=$2 work=$3
unset VITQC_EXECUTABLE VITQC VITQC_TARGET VITQC_CPU || :
rm -rf "$work"
mkdir -p "$work"
cmake --install "$build" --prefix "$work/usr" > "$work/install.log"
PATH=$work/usr/bin:$PATH
PKG_CONFIG_PATH=$work/usr/share/pkgconfig
export PATH PKG_CONFIG_PATH
cp -r "$source/samples/link" "$source/samples/fashion" "$work"
images=$work/fashion/test_images.npy
checks=0 failed=0

check()
{
	checks=$((checks + 1))
	what=$1
	shift
	"$@" > "$work/check.log" 2>&1 || {
		failed=$((failed + 1))
		echo "FAILED: $what"
		sed 's/^/    /' "$work/check.log"
	}
}

# right_classes PROGRAM [QEMU ...]: of the first five test images
right_classes()
{
	program=$1
	shift
	for n in 0 1 2 3 4; do "$@" "$program" "$images" $n; done | sed "s/.*: //" | paste -sd, - > "$work/classes"
	echo "sandal,sneaker,coat,pullover,ankle boot" | diff - "$work/classes"
}

# configure NAME GENERATOR [CMAKE OPTION ...]
configure()
{
	folder=$work/$1 generator=$2
	shift 2
	cmake -S "$work/link" -B "$folder" -G "$generator" -DCMAKE_PREFIX_PATH="$work/usr" -DFASHION="$work/fashion" "$@"
}

# has FILE TEXT
has()
{
	tr '\n' ' ' < "$1" | tr -s ' ' | grep -q -- "$2" || { cat "$1"; return 1; }
}

not()
{
	! "$@"
}

toolchain()
{
	printf 'set(CMAKE_SYSTEM_NAME Linux)\nset(CMAKE_SYSTEM_PROCESSOR %s)\nset(CMAKE_C_COMPILER %s-gcc)\nset(CMAKE_C_FLAGS_INIT "%s")\n' "$2" "$3" "$4" > "$work/$1.cmake"
	# as Yocto and Debian set it up: libraries and packages of the target only, programs of this machine
	printf 'set(CMAKE_FIND_ROOT_PATH %s)\nset(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)\n' "$work/usr" >> "$work/$1.cmake"
}

toolchain aarch64 aarch64 aarch64-linux-gnu "-mcpu=cortex-a76+crypto"
toolchain armhf armv7l arm-linux-gnueabihf "-mfpu=neon -mcpu=cortex-a15"
toolchain armel arm arm-linux-gnueabi "-march=armv7-a -mfpu=neon -mfloat-abi=softfp"
toolchain riscv64 riscv64 riscv64-linux-gnu ""

check "native, Ninja: configure" configure native Ninja
check "native, Ninja: build" cmake --build "$work/native"
check "native: classes" right_classes "$work/native/show_class"

cross()
{
	name=$1 generator=$2 dir=$1-$3
	shift 3
	if ! command -v "$1" > /dev/null || ! command -v "$(sed -n 's/^set(CMAKE_C_COMPILER \(.*\))/\1/p' "$work/$name.cmake")" > /dev/null; then
		echo "skipped: $dir: no $1 or no cross compiler"
		return
	fi
	check "$dir: configure" configure "$dir" "$generator" -DCMAKE_TOOLCHAIN_FILE="$work/$name.cmake" -DCMAKE_EXE_LINKER_FLAGS=-static
	check "$dir: build" cmake --build "$work/$dir"
	check "$dir: classes" right_classes "$work/$dir/show_class" "$@"
}
cross aarch64 Ninja ninja qemu-aarch64 -cpu cortex-a76
cross aarch64 "Unix Makefiles" make qemu-aarch64 -cpu cortex-a76
cross armhf Ninja ninja qemu-arm
cross armhf "Unix Makefiles" make qemu-arm
cross armel Ninja ninja qemu-arm
cross riscv64 Ninja ninja qemu-riscv64
cross riscv64 "Unix Makefiles" make qemu-riscv64

# what is built again when
again()
{
	object=$1/vit.vitqc/vit.o
	cmake --build "$1" > "$work/again.log"
	before=$(stat -c %y "$object" "$1/show_class")
	cmake --build "$1" > "$work/again.log"
	[ "$before" = "$(stat -c %y "$object" "$1/show_class")" ] || { echo "built again for nothing"; cat "$work/again.log"; return 1; }
	for file in fashion/calib_images.npy fashion/vit.onnx usr/bin/vitqc; do
		before=$(stat -c %y "$object")
		sleep 0.05
		touch "$work/$file"
		cmake --build "$1" > "$work/again.log"
		[ "$before" != "$(stat -c %y "$object")" ] || { echo "not built again after $file"; cat "$work/again.log"; return 1; }
	done
}
check "Ninja: what is built again" again "$work/native"
check "Make: configure" configure native-make "Unix Makefiles"
check "Make: what is built again" again "$work/native-make"

# weights in a file: an output of the same rule
weights_file()
{
	mkdir -p "$work/apart"
	cat > "$work/apart/CMakeLists.txt" << END
cmake_minimum_required(VERSION 3.20)
project(apart C)
find_package(vitqc REQUIRED)
vitqc_add_model(TARGET vit MODEL $work/fashion/vit.onnx WEIGHTS vit.weights)
END
	cmake -S "$work/apart" -B "$work/apart/$1" -G "$2" -DCMAKE_PREFIX_PATH="$work/usr"
	cmake --build "$work/apart/$1"
	grep -q "define VIT_WEIGHTS_BYTES $(wc -c < "$work/apart/$1/vit.weights")u" "$work/apart/$1/vit.vitqc/vit.h"
	rm "$work/apart/$1/vit.weights"
	cmake --build "$work/apart/$1"
	test -s "$work/apart/$1/vit.weights"
}
check "Ninja: weights in a file" weights_file ninja Ninja
check "Make: weights in a file" weights_file make "Unix Makefiles"

# plain make and pkg-config
plain_make()
{
	make -C "$work/link" > "$work/make.log"
	right_classes "$work/link/show_class"
	before=$(stat -c %y "$work/link/vit.o" "$work/link/show_class")
	make -C "$work/link" > "$work/make.log"
	[ "$before" = "$(stat -c %y "$work/link/vit.o" "$work/link/show_class")" ]
	sleep 0.05
	touch "$work/fashion/calib_images.npy"
	make -C "$work/link" > "$work/make.log"
	[ "$before" != "$(stat -c %y "$work/link/vit.o" "$work/link/show_class")" ]
}
check "plain make" plain_make
check "pkg-config: header" test -f "$(pkg-config --variable=includedir vitqc)/vitq.h"
check "pkg-config: pool" test -f "$(pkg-config --variable=pool_source vitqc)"

# what it says when something is wrong
configure bad1 Ninja -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=ppc64 > "$work/bad1.log" 2>&1 || :
check "unknown processor is named" has "$work/bad1.log" "no target for CMAKE_SYSTEM_PROCESSOR 'ppc64'"
configure bad2 Ninja -DVITQC_EXECUTABLE=/bin/false > "$work/bad2.log" 2>&1 || :
check "a vitqc that does not run is named" has "$work/bad2.log" "/bin/false does not run on this machine"
if command -v aarch64-linux-gnu-gcc > /dev/null; then
	toolchain odd aarch64 aarch64-linux-gnu "-mcpu=cortex-a53+nosuchthing"
	sed -i 's/cortex-a53+nosuchthing/thunderxt88/' "$work/odd.cmake"
	configure odd Ninja -DCMAKE_TOOLCHAIN_FILE="$work/odd.cmake" > "$work/odd.log" 2>&1 || :
	check "a CPU that only gcc knows gives a warning" has "$work/odd.log" "does not know the CPU 'thunderxt88'"
	check "and the baseline" cmake --build "$work/odd"
fi
echo "$checks checks, $failed failed"
[ $failed = 0 ]
