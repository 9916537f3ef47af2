#!/bin/sh
# SPDX-License-Identifier: MIT
# The release tarball: the same bytes twice, and a build of it without network, protoc-c and tests; its vitqc makes the objects that ours makes.
# Debian packages: the same bytes twice.
#
#   release.sh BUILD SOURCE WORK
set -eu
build=$1 source=$2 work=$3
git -C "$source" rev-parse HEAD > /dev/null 2>&1 || { echo "skip: not a git checkout"; exit 77; }
rm -rf "$work"
mkdir -p "$work"
version=$(sed -n 's/^project(vitqc VERSION \([0-9.]*\).*/\1/p' "$source/CMakeLists.txt")
grep -q "^VITQC_VERSION = $version\$" "$source/samples/buildroot/package/vitqc/vitqc.mk" || { echo "Buildroot's package is of another version"; exit 1; }
"$source/runtime/dist.sh" "$source" "$build" "$version" > /dev/null
cp "$build/vitqc-$version.tar.gz" "$work/first.tar.gz"
sleep 1
"$source/runtime/dist.sh" "$source" "$build" "$version" > /dev/null
cmp "$build/vitqc-$version.tar.gz" "$work/first.tar.gz"
tar -xf "$work/first.tar.gz" -C "$work"
# a network namespace without interfaces, where the machine lets us have one
offline="unshare -rn"
$offline true 2> /dev/null || { offline=; echo "note: no network namespace, built with the network there"; }
[ -z "$offline" ] || ! $offline sh -c 'cat /proc/net/dev' | grep -qE '^ *(eth|en|wl)' || { echo "the namespace has interfaces"; exit 1; }
mkdir "$work/bin"
printf '#!/bin/sh\necho "protoc-c was called" >&2\nexit 1\n' > "$work/bin/protoc-c"
chmod +x "$work/bin/protoc-c"
PATH=$work/bin:$PATH $offline sh -ec "
	cmake -S '$work/vitqc-$version' -B '$work/build' -G Ninja -DBUILD_TESTING=OFF -DVITQC_WERROR=ON > '$work/configure.log'
	cmake --build '$work/build' > '$work/build.log'"
# packages: the same bytes twice with a given time, a licence in each
if command -v dpkg-deb > /dev/null && command -v cpack > /dev/null; then
	for n in 1 2; do
		SOURCE_DATE_EPOCH=1700000000 cpack --config "$build/CPackConfig.cmake" -B "$work/packages$n" > "$work/cpack.log"
		sleep 1
	done
	for package in vitqc_${version}_$(dpkg --print-architecture).deb vitqc-dev_${version}_all.deb; do
		cmp "$work/packages1/$package" "$work/packages2/$package"
		dpkg-deb -c "$work/packages1/$package" | grep -q "/usr/share/doc/${package%%_*}/copyright"
	done
fi
fashion=$source/samples/fashion
for v in "$build/vitqc" "$work/build/vitqc"; do
	"$v" -q "$fashion/vit.onnx" -target=aarch64 -calib="$fashion/calib_images.npy" -calib-count=4 -image-mean=0.2860 -image-std=0.3530 -prefix=vit -o "$work/one.o"
	mv "$work/one.o" "$work/$(basename "$(dirname "$v")").object"
	ls "$work"/*.object > /dev/null
	cksum < "$work/$(basename "$(dirname "$v")").object" >> "$work/sums"
done
[ "$(sort -u "$work/sums" | wc -l)" = 1 ] || { echo "the objects differ"; exit 1; }
echo "the tarball builds${offline:+ without network} and makes the same object"
