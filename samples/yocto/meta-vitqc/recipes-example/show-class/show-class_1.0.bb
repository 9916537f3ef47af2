# SPDX-License-Identifier: MIT
SUMMARY = "A vision transformer that names the class of a Fashion-MNIST image, compiled with vitqc"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

# the sample's model, its calibration images and the program: samples/fashion and samples/link of vitqc
FILESEXTRAPATHS:prepend := "${THISDIR}/../../../../fashion:${THISDIR}/../../../../link:"
# into the default S, which S = "${WORKDIR}" may no longer replace
SRC_URI = "file://vit.onnx;subdir=${BP} file://calib_images.npy;subdir=${BP} file://test_images.npy;subdir=${BP} \
    file://show_class.c;subdir=${BP} file://run-ptest"

inherit vitqc ptest

do_compile() {
    vitqc_compile_model ${S}/vit.onnx ${B}/vit.o -calib=${S}/calib_images.npy -image-mean=0.2860 -image-std=0.3530
    ${CC} ${CPPFLAGS} ${CFLAGS} -I${B} ${S}/show_class.c ${B}/vit.o ${LDFLAGS} -o ${B}/show_class
}

do_install() {
    install -d ${D}${bindir} ${D}${libdir} ${D}${includedir} ${D}${datadir}/show-class
    install -m 0755 ${B}/show_class ${D}${bindir}/
    install -m 0644 ${B}/vit.o ${D}${libdir}/
    install -m 0644 ${B}/vit.h ${D}${includedir}/
    install -m 0644 ${S}/test_images.npy ${D}${datadir}/show-class/
}

RDEPENDS:${PN}-ptest += "${PN}"
