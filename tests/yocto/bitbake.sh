#!/bin/sh
# SPDX-License-Identifier: MIT
# The Yocto layer through bitbake, with what Debian 12 has in the place of what oe-core would build from downloads: LLVM, the libraries, the cross
# compilers and their C libraries (standins). vitqc-native from the release tarball; then the model: compiled, linked, packaged, package QA, and its
# ptest in QEMU. Not part of ctest: it needs a poky tree and a user that is not root.
#
#   bitbake.sh BUILD SOURCE POKY WORK [MACHINE ...]     MACHINE: default qemuarm64 qemuarm qemuriscv64
# POKY: a checkout of poky (scarthgap to walnascar), or of openembedded-core with bitbake's in it as bitbake (every release)
# apt-get install chrpath cpio diffstat file gawk libdw-dev locales lz4 pseudo qemu-user rpm texinfo zstd; locale en_US.UTF-8
set -eu
build=$1 source=$2 poky=$3 work=$4
shift 4
[ "$(id -u)" != 0 ] || { echo "bitbake.sh: bitbake refuses root" >&2; exit 1; }
mkdir -p "$work/bin" "$work/conf"
work=$(cd "$work" && pwd)
layer=$work/vitqc/samples/yocto/meta-vitqc

# the layer beside the samples that its recipe takes, and the tarball
mkdir -p "$work/vitqc"
rm -rf "$work/vitqc/samples"
cp -r "$source/samples" "$work/vitqc/"
mkdir -p "$layer/recipes-devtools/vitqc/files"
cp "$build"/vitqc-*.tar.gz "$layer/recipes-devtools/vitqc/files/"

# tools under the names that oe-core calls
distro=poky vendor=poky
[ -d "$poky/meta-poky" ] || distro=nodistro vendor=oe
for pair in aarch64-$vendor-linux:aarch64-linux-gnu arm-$vendor-linux-gnueabi:arm-linux-gnueabihf riscv64-$vendor-linux:riscv64-linux-gnu; do
	for tool in gcc cpp ar as ld nm objcopy objdump ranlib readelf strip strings gcc-ar gcc-nm gcc-ranlib; do
		ln -sf "/usr/bin/${pair#*:}-$tool" "$work/bin/${pair%:*}-$tool"
	done
	ln -sf /bin/false "$work/bin/${pair%:*}-g++" # C only
done
ln -sf /usr/lib/rpm/rpmdeps "$work/bin/rpmdeps"
cc -O1 "$poky/meta/recipes-devtools/dwarfsrcfiles/files/dwarfsrcfiles.c" -o "$work/bin/dwarfsrcfiles" -lelf -ldw

cat > "$work/conf/bblayers.conf" <<EOF
POKY_BBLAYERS_CONF_VERSION = "2"
BBPATH = "\${TOPDIR}"
BBFILES ?= ""
BBLAYERS ?= "$poky/meta $([ $distro = nodistro ] || echo "$poky/meta-poky") $source/tests/yocto/standins $layer"
EOF
echo "DISTRO = \"$distro\"" > "$work/conf/local.conf"
cat >> "$work/conf/local.conf" <<'EOF'
CONF_VERSION = "2"
BB_NO_NETWORK = "1"
CONNECTIVITY_CHECK_URIS = ""
BB_SIGNATURE_HANDLER = "OEBasicHash"
BB_HASHSERVE = ""
INHERIT:remove = "create-spdx uninative"
PACKAGE_CLASSES = "package_deb"
# of oe-core only the recipe that the layer appends to
BBMASK = "/meta/recipes-(?!devtools/(llvm|clang)/) /meta-poky/recipes-"
PREFERRED_PROVIDER_llvm-native = "debian-libs-native"
ASSUME_PROVIDED += "cmake-native ninja-native pkgconfig-native pkgconf-native quilt-native patch-replacement-native rpm-native dwarfsrcfiles-native \
    dpkg-native apt-native xz-native libffi-native zstd-native libedit-native libxml2-native \
    virtual/${TARGET_PREFIX}gcc virtual/${TARGET_PREFIX}binutils virtual/cross-cc virtual/cross-binutils gcc-cross-${TARGET_ARCH} binutils-cross-${TARGET_ARCH}"
HOSTTOOLS += "cmake ctest ninja pkg-config rpmdeps dwarfsrcfiles dpkg-deb \
    ${@' '.join('${TARGET_PREFIX}' + t for t in 'gcc g++ cpp ar as ld nm objcopy objdump ranlib readelf strip strings gcc-ar gcc-nm gcc-ranlib'.split())}"
RPMDEPS:forcevariable = "/usr/lib/rpm/rpmdeps --alldeps --define '__font_provides %{nil}'"
EXTRA_OECMAKE:append:pn-vitqc-native = " -DLLVM_DIR=/usr/lib/llvm-19/lib/cmake/llvm"
# of GCC 13
DEBUG_PREFIX_MAP:remove = "-fcanon-prefix-map"
EOF
# poky asks for it itself
[ $distro = poky ] || echo 'DISTRO_FEATURES:append = " ptest"' >> "$work/conf/local.conf"
if grep -q PSEUDO_INCLUDE_PATHS "$poky/meta/conf/bitbake.conf"; then
	# newer than Debian's pseudo, which knows only what it shall leave alone
	echo 'FAKEROOTENV:append = " PSEUDO_IGNORE_PATHS=${TMPDIR}/pkgdata,${WORKDIR}/pkgdata-sysroot,${TMPDIR}/sstate-control,${TMPDIR}/stamps,${TMPDIR}/sysroots-components,${WORKDIR}/recipe-sysroot,${WORKDIR}/deploy-debs,${SSTATE_DIR},${T},${DEPLOY_DIR},${COREBASE}"' >> "$work/conf/local.conf"
fi

export LANG=en_US.UTF-8 PATH="$work/bin:$PATH" BB_ENV_PASSTHROUGH_ADDITIONS=MACHINE
machines=${*:-qemuarm64 qemuarm qemuriscv64}
cd "$poky"
set +u -- "$work" # in sh it takes the caller's arguments
. ./oe-init-build-env > /dev/null
set -u
for MACHINE in $machines; do
	export MACHINE
	bitbake show-class > "$work/$MACHINE.log" 2>&1 || { grep -a -A 5 '^ERROR' "$work/$MACHINE.log"; exit 1; }
	grep -a 'Tasks Summary' "$work/$MACHINE.log"
	case $MACHINE in
	qemuarm64) deb=arm64 run="qemu-aarch64 -L /usr/aarch64-linux-gnu" ;;
	qemuarm) deb=armhf run="qemu-arm -L /usr/arm-linux-gnueabihf" ;;
	qemuriscv64) deb=riscv64 run="qemu-riscv64 -L /usr/riscv64-linux-gnu" ;;
	esac
	root=$work/root-$MACHINE
	rm -rf "$root"
	mkdir -p "$root/bin"
	for p in show-class show-class-ptest; do
		dpkg-deb -x "$(ls "$work"/tmp*/deploy/deb/*/${p}_*_$deb.deb)" "$root"
	done
	printf '#!/bin/sh\nexec %s %s/usr/bin/show_class %s"$1" "$2"\n' "$run" "$root" "$root" > "$root/bin/show_class"
	chmod +x "$root/bin/show_class"
	PATH="$root/bin:$PATH" sh "$root/usr/lib/show-class/ptest/run-ptest" | tee "$root/ptest"
	[ "$(grep -c '^PASS' "$root/ptest")" = 5 ] || { echo "FAIL: the ptest for $MACHINE"; exit 1; }
done
