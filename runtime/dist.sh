#!/bin/sh
# SPDX-License-Identifier: MIT
# The release tarball vitqc-VERSION.tar.gz: what git has, and the protobuf-c sources made from onnx.proto, so that building it needs neither
# protoc-c nor network nor Python. The same bytes from the same commit.
#
#   dist.sh SOURCE BUILD VERSION     SOURCE_DATE_EPOCH: time of the files, default the commit's
set -eu
source=$1 build=$2 version=$3
name=vitqc-$version
epoch=${SOURCE_DATE_EPOCH:-$(git -C "$source" log -1 --format=%ct)}
rm -rf "$build/dist"
mkdir -p "$build/dist/$name"
git -C "$source" archive HEAD | tar -x -C "$build/dist/$name"
cp "$build/frontend/onnx.pb-c.c" "$build/frontend/onnx.pb-c.h" "$build/dist/$name/frontend/"
tar -C "$build/dist" --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner --mode=go=rX,u+rw,a-s --format=ustar -cf - "$name" |
	gzip -9n > "$build/$name.tar.gz"
rm -rf "$build/dist"
echo "$build/$name.tar.gz"
