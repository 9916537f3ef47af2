#!/bin/sh
# SPDX-License-Identifier: MIT
# The Debian packages in a Debian 12 that has nothing else: makes the root with debootstrap, installs the packages and gcc there, compiles the
# sample and links it. Needs root, debootstrap and the network, about two minutes; not part of ctest.
#
#   deb_root.sh BUILD SOURCE ROOT [MIRROR]
set -eu
build=$1 source=$2 root=$3 mirror=${4:-http://deb.debian.org/debian}
[ "$(id -u)" = 0 ] || { echo "deb_root.sh: only root can make a root" >&2; exit 1; }
[ ! -e "$root" ] || { echo "deb_root.sh: $root exists" >&2; exit 1; }
rm -rf "$build/packages"
cpack --config "$build/CPackConfig.cmake" -B "$build/packages" > /dev/null
debootstrap --variant=minbase bookworm "$root" "$mirror" > "$build/deb_root.log"
# LLVM 19 comes with the security updates of Debian 12
printf 'deb %s bookworm main\ndeb %s-security bookworm-security main\n' "$mirror" "$mirror" > "$root/etc/apt/sources.list"
cp "$build"/packages/*.deb "$root/root"
mkdir "$root/root/work"
cp -r "$source/samples/link" "$source/samples/fashion" "$root/root/work"
mount -t proc proc "$root/proc"
trap 'umount "$root/proc"' EXIT
chroot "$root" env DEBIAN_FRONTEND=noninteractive sh -ec '
	apt-get update -q
	apt-get install -y -q --no-install-recommends /root/*.deb gcc libc6-dev' >> "$build/deb_root.log" 2>&1
chroot "$root" sh -ec '
	cd /root/work/link
	vitqc ../fashion/vit.onnx -calib=../fashion/calib_images.npy -image-mean=0.2860 -image-std=0.3530 -o vit.o
	gcc -O2 show_class.c vit.o -o show_class
	[ "$(./show_class ../fashion/test_images.npy 0)" = "image 0: sandal" ]'
echo "the packages install in a clean Debian 12; its vitqc and gcc make a program that is right"
