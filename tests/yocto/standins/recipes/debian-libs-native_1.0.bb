# SPDX-License-Identifier: MIT
SUMMARY = "Debian's libraries as those of the native sysroot"
LICENSE = "MIT"
PROVIDES = "protobuf-c-native json-c-native libpng-native jpeg-native zlib-native llvm-native"

inherit native

INHIBIT_DEFAULT_DEPS = "1"
INHIBIT_SYSROOT_STRIP = "1"

do_install() {
    from=/usr/lib/x86_64-linux-gnu
    install -d ${D}${libdir}/pkgconfig ${D}${includedir}
    cp -r /usr/include/protobuf-c /usr/include/json-c /usr/include/libpng16 ${D}${includedir}/
    cp /usr/include/libpng16/*.h /usr/include/zlib.h /usr/include/zconf.h /usr/include/jpeglib.h /usr/include/jmorecfg.h \
        /usr/include/jerror.h /usr/include/x86_64-linux-gnu/jconfig.h ${D}${includedir}/
    for lib in protobuf-c json-c png16 png jpeg z; do
        cp -P $from/lib$lib.so* ${D}${libdir}/
    done
    # some of them live in /lib where /usr is not merged
    for lib in json-c.so.5 png16.so.16 z.so.1; do
        [ -e ${D}${libdir}/lib$lib ] || cp -L /lib/x86_64-linux-gnu/lib$lib ${D}${libdir}/
    done
    for pc in libprotobuf-c json-c libpng16 libpng libjpeg zlib; do
        sed -e 's,^prefix=.*,prefix=${prefix},' -e 's,^exec_prefix=.*,exec_prefix=${prefix},' -e 's,^libdir=.*,libdir=${libdir},' \
            -e 's,^sharedlibdir=.*,sharedlibdir=${libdir},' -e 's,^includedir=.*,includedir=${includedir},' \
            $from/pkgconfig/$pc.pc > ${D}${libdir}/pkgconfig/$pc.pc
    done
}
