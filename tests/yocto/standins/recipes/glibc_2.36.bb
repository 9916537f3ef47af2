# SPDX-License-Identifier: MIT
SUMMARY = "The C library of Debian's cross compilers"
LICENSE = "LGPL-2.1-only"
PROVIDES = "virtual/libc virtual/libintl virtual/libiconv"

DEBIAN_CROSS:aarch64 = "aarch64-linux-gnu"
DEBIAN_CROSS:arm = "arm-linux-gnueabihf"
DEBIAN_CROSS:riscv64 = "riscv64-linux-gnu"

INHIBIT_DEFAULT_DEPS = "1"
INHIBIT_PACKAGE_STRIP = "1"
INHIBIT_SYSROOT_STRIP = "1"

do_install() {
    from=/usr/${DEBIAN_CROSS}
    install -d ${D}${base_libdir} ${D}${libdir} ${D}${includedir}
    cp -L $from/lib/ld-linux-* $from/lib/libc.so.6 $from/lib/libm.so.6 $from/lib/libpthread.so.0 $from/lib/libdl.so.2 ${D}${base_libdir}/
    [ ! -e $from/lib/libmvec.so.1 ] || cp -L $from/lib/libmvec.so.1 ${D}${base_libdir}/
    cp $from/lib/*crt*.o $from/lib/libc_nonshared.a $from/lib/libm.a $from/lib/libpthread.a ${D}${libdir}/
    sed "s,$from/lib/libc_nonshared,${libdir}/libc_nonshared,; s,$from/lib/,${base_libdir}/,g" $from/lib/libc.so > ${D}${libdir}/libc.so
    ln -s ../../lib/libm.so.6 ${D}${libdir}/libm.so
    cp -r $from/include/* ${D}${includedir}/
    rm -rf ${D}${includedir}/c++
}

FILES:${PN} = "${base_libdir}/*.so.* ${base_libdir}/ld-*"
# libdir and base_libdir may be one folder
FILES:${PN}-dev = "${libdir}/*.o ${libdir}/*.a ${libdir}/libc.so ${libdir}/libm.so ${includedir}"
INSANE_SKIP:${PN} = "already-stripped ldflags"
INSANE_SKIP:${PN}-dev = "staticdev dev-elf"
