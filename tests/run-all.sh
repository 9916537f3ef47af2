#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what the tests need, builds, and runs all of them: release build with every test, then the unit and command-line tests
# once more under AddressSanitizer and UndefinedBehaviorSanitizer.
#
#   run-all.sh [--quick] [ctest arguments]     --quick: without the sanitizer build
set -eu
cd "$(dirname "$0")/.."
quick=
[ "${1:-}" != --quick ] || { quick=1; shift; }
tests/install.sh test
cmake --preset release -DVITQC_WERROR=ON > build-configure.log 2>&1 || { cat build-configure.log; exit 1; }
rm -f build-configure.log
cmake --build --preset release
ctest --test-dir build --no-tests=error --output-on-failure -j "$(nproc)" "$@"
# another LLVM must compute the same: what runs objects, built with the newest that Debian 12 has (its registers are not checked: tiles are measured on 19)
if [ -z "$quick" ] && [ -d /usr/lib/llvm-22 ]; then
	cmake -S . -B build-llvm22 -G Ninja -DVITQC_WERROR=ON -DLLVM_DIR=/usr/lib/llvm-22/lib/cmake/llvm > /dev/null
	cmake --build build-llvm22
	SAME_BITS_MODELS="plain qdq dynamic heads" ctest --test-dir build-llvm22 --no-tests=error --output-on-failure -j "$(nproc)" -R 'run/(same_bits|object|placement|sizes|accuracy)' "$@"
fi
# another compiler: no warnings, tests included, the very same objects, though it evaluates arguments in another order, and the evaluator's same numbers
# (kernels are built by the same LLVM, so their tests would only be run again)
if [ -z "$quick" ]; then
	cmake -S . -B build-clang -G Ninja -DCMAKE_C_COMPILER=clang-19 -DCMAKE_CXX_COMPILER=clang++-19 -DVITQC_WERROR=ON -DBUILD_TESTING=ON > /dev/null
	cmake --build build-clang
	ctest --test-dir build-clang --no-tests=error --output-on-failure -j "$(nproc)" -R '^(unit|golden)' -E test_backend_
	tests/run/same_objects.sh build/vitqc build-clang/vitqc . build-clang/objects
fi
if [ -z "$quick" ]; then
	cmake --preset asan-ubsan > /dev/null
	cmake --build --preset asan-ubsan
	ctest --test-dir build-asan --no-tests=error --output-on-failure -j "$(nproc)" -L sanitize "$@"
fi
