# SPDX-License-Identifier: MIT
SUMMARY = "Debian's pseudo"
LICENSE = "LGPL-2.1-only"
PROVIDES = "virtual/fakeroot"

INHIBIT_DEFAULT_DEPS = "1"
INHIBIT_SYSROOT_STRIP = "1"

do_install() {
    install -d ${D}${bindir} ${D}${prefix}/lib/pseudo/lib
    cp /usr/bin/pseudo ${D}${bindir}/
    cp -L /usr/lib/x86_64-linux-gnu/pseudo/libpseudo.so ${D}${prefix}/lib/pseudo/lib/
}

BBCLASSEXTEND = "native"
