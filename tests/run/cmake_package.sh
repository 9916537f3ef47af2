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

# What the C compiler compiles for is what the object is for. In a folder with a space in its name, by a vitqc that was installed into other
# folders than the usual and then moved.
small="$work/a b"
mkdir -p "$small"
cp "$source/tests/cli/small.vir" "$small/small model.vir"
cat > "$small/CMakeLists.txt" << 'END'
cmake_minimum_required(VERSION 3.20)
project(small C)
if(ADD)
	add_compile_options(${ADD})
endif()
find_package(vitqc REQUIRED)
vitqc_add_model(TARGET small MODEL "small model.vir" QUANT none)
END
prefix="$work/moved to/here/usr"
cmake -S "$source" -B "$work/odd-prefix" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF -DCMAKE_INSTALL_PREFIX="$work/odd" -DCMAKE_INSTALL_BINDIR=tools/bin \
	-DCMAKE_INSTALL_DATADIR=usr/share -DCMAKE_INSTALL_INCLUDEDIR=usr/include > "$work/odd-prefix.log"
cmake --install "$work/odd-prefix" --component dev > "$work/odd-prefix.log"
mkdir -p "$work/moved to" "$work/odd/tools/bin"
cp "$build/vitqc" "$work/odd/tools/bin" # the same program, not built again
mv "$work/odd" "$work/moved"
check "pkg-config: a moved prefix" env PKG_CONFIG_PATH="$work/moved/usr/share/pkgconfig" sh -ec '
	test -x "$(pkg-config --variable=vitqc vitqc)"; test -f "$(pkg-config --variable=includedir vitqc)/vitq.h"; test -f "$(pkg-config --variable=pool_source vitqc)"'
mv "$work/moved" "${prefix%/usr}"

# small_object NAME GENERATOR [CMAKE OPTION ...]: its object is "$small/NAME/small.vitqc/small.o"
small_object()
{
	small_build=$small/$1 generator=$2
	shift 2
	rm -rf "$small_build"
	cmake -S "$small" -B "$small_build" -G "$generator" -DCMAKE_PREFIX_PATH="$prefix" "$@" && cmake --build "$small_build"
}
# shows NAME TEXT [READELF OPTION]
shows()
{
	llvm-readelf-19 ${3:--n} "$small/$1/small.vitqc/small.o" > "$work/readelf"
	has "$work/readelf" "$2"
}

without_tool=$(echo "$PATH" | sed "s,$work/usr/bin:,,")
for generator in Ninja "Unix Makefiles"; do
	check "$generator: spaces, a moved prefix" env PATH="$without_tool" sh -ec 'cmake -S "$1" -B "$1/build $2" -G "$2" -DCMAKE_PREFIX_PATH="$3"; cmake --build "$1/build $2"; cp "$1/small model.vir" "$1/same"
		mv "$1/same" "$1/small model.vir"; cmake --build "$1/build $2" | grep "Compiling model small"; ! cmake --build "$1/build $2" | grep "Compiling model small"' sh "$small" "$generator" "$prefix"
done
cross_options="-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY"
if command -v aarch64-linux-gnu-gcc > /dev/null; then
	a64="$cross_options -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc"
	check "branch protection of CMAKE_C_FLAGS" small_object bti Ninja $a64 -DCMAKE_C_FLAGS=-mbranch-protection=standard
	check "and its note" shows bti "BTI, PAC"
	check "of add_compile_options" small_object pac Ninja $a64 -DADD=-mbranch-protection=pac-ret+leaf+b-key
	check "and what it was" grep -q -- "-mbranch-protection=pac-ret+leaf+b-key" "$small/pac/build.ninja"
	check "none where the compiler has none" small_object plain Ninja $a64
	check "and no note" not shows plain "BTI"
	check "dot product of -march" small_object dot Ninja $a64 -DCMAKE_C_FLAGS_RELEASE=-march=armv8.2-a+dotprod -DCMAKE_BUILD_TYPE=Release
	check "and its option" grep -q -- "-mattr=+dotprod" "$small/dot/build.ninja"
	check "matrix products of -march" small_object i8mm Ninja $a64 -DCMAKE_C_FLAGS=-march=armv8.6-a
	check "and their option" grep -q -- "-mattr=+dotprod,+i8mm" "$small/i8mm/build.ninja"
	check "big.LITTLE" small_object little Ninja $a64 -DCMAKE_C_FLAGS=-mcpu=cortex-a72.cortex-a53
	check "and the LITTLE one" grep -q -- "-mcpu=cortex-a53" "$small/little/build.ninja"
	check "a toolchain file without processor" small_object nameless Ninja $cross_options -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc
	check "asks the compiler" shows nameless AArch64 -h
	# a sysroot whose vitqc is for the other machine
	mkdir -p "$work/sysroot/usr/bin"
	cp -r "$work/usr/share" "$work/usr/include" "$work/sysroot/usr"
	printf 'int main(void) { return 0; }' > "$work/other.c"
	aarch64-linux-gnu-gcc "$work/other.c" -o "$work/sysroot/usr/bin/vitqc"
	kept=$prefix prefix=$work/sysroot/usr
	check "the sysroot's program is not taken" small_object sysroot Ninja $a64
	prefix=$kept
fi
if command -v arm-linux-gnueabi-gcc > /dev/null; then
	arm="$cross_options -DCMAKE_SYSTEM_PROCESSOR=arm"
	# as an SDK's environment has it: options in CC
	check "hard float of options in CC" env CC="arm-linux-gnueabi-gcc -march=armv7-a -mfpu=neon -mfloat-abi=hard" sh -ec 'cmake -S "$1" -B "$1/sdk" -G Ninja -DCMAKE_PREFIX_PATH="$2" $3; cmake --build "$1/sdk"' \
		sh "$small" "$prefix" "$arm"
	check "and its attribute" shows sdk "ABI_VFP_args" -A
	small_object armv5 Ninja $arm -DCMAKE_C_COMPILER=arm-linux-gnueabi-gcc > "$work/armv5.log" 2>&1 || :
	check "ARMv5 is refused" has "$work/armv5.log" "compiles for ARMv5; the kernels need ARMv7 and NEON"
fi
if command -v riscv64-linux-gnu-gcc > /dev/null; then
	check "vectors of -march" small_object rvv Ninja $cross_options -DCMAKE_SYSTEM_PROCESSOR=riscv64 -DCMAKE_C_COMPILER=riscv64-linux-gnu-gcc -DCMAKE_C_FLAGS=-march=rv64gcv_zvl256b
	check "and their option" grep -q -- "-mattr=+v,+zvl256b" "$small/rvv/build.ninja"
	for flags in "-march=rv64imafd -mabi=lp64d" "-march=rv64imac -mabi=lp64"; do
		small_object less Ninja $cross_options -DCMAKE_SYSTEM_PROCESSOR=riscv64 -DCMAKE_C_COMPILER=riscv64-linux-gnu-gcc -DCMAKE_C_FLAGS="$flags" > "$work/less.log" 2>&1 || :
		check "$flags is refused" has "$work/less.log" "does not compile for rv64gc and lp64d"
	done
fi
check "-fcf-protection" small_object cet Ninja -DCMAKE_C_FLAGS=-fcf-protection=full
check "and its note" shows cet "IBT, SHSTK"

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
