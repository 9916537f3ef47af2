# SPDX-License-Identifier: MIT
SUMMARY = "libgcc of Debian's cross compilers"
LICENSE = "GPL-3.0-with-GCC-exception"
PROVIDES = "virtual/${TARGET_PREFIX}compilerlibs virtual/compilerlibs libgcc"
DEPENDS = "virtual/libc"

DEBIAN_CROSS:aarch64 = "aarch64-linux-gnu"
DEBIAN_CROSS:arm = "arm-linux-gnueabihf"
DEBIAN_CROSS:riscv64 = "riscv64-linux-gnu"

INHIBIT_DEFAULT_DEPS = "1"
INHIBIT_PACKAGE_STRIP = "1"
INHIBIT_SYSROOT_STRIP = "1"

do_install() {
    install -d ${D}${base_libdir}
    cp -L /usr/${DEBIAN_CROSS}/lib/libgcc_s.so.1 ${D}${base_libdir}/
}

PACKAGES = "libgcc"
FILES:libgcc = "${base_libdir}"
INSANE_SKIP:gcc-runtime = "already-stripped"
INSANE_SKIP:libgcc = "already-stripped ldflags"
