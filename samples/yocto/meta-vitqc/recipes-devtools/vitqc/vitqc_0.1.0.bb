# SPDX-License-Identifier: MIT
SUMMARY = "Compiler of transformers from ONNX to int8 object files"
DESCRIPTION = "Compiles a vision transformer to one relocatable object: integer kernels, weights inside, no runtime and no undefined symbol."
SECTION = "devel"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://LICENSE;md5=7df478d423f8d6a957aa5dd63704700c"

# The release tarball (`cmake --build build --target dist`) holds the generated protobuf-c sources: no protoc-c is needed. Put it beside this
# recipe's files, on a mirror or in DL_DIR, and VITQC_SRC_URI to where yours stands.
VITQC_SRC_URI ?= "file://vitqc-${PV}.tar.gz"
SRC_URI = "${VITQC_SRC_URI}"

# without the tarball this recipe is left out and says what it lacks, instead of stopping all parsing; it is tried again when the file is there
python () {
    name = d.getVar('VITQC_SRC_URI').split(';')[0]
    if name.startswith('file://'):
        name = name[len('file://'):]
        path, tried = bb.utils.which(d.getVar('FILESPATH'), name, history=True)
        for file in tried:
            bb.parse.mark_dependency(d, file)
        if not path:
            raise bb.parse.SkipRecipe("no %s beside the recipe: make it in vitqc's source with `cmake --build build --target dist`, or set VITQC_SRC_URI" % name)
}

DEPENDS = "llvm protobuf-c json-c libpng jpeg zlib"

inherit cmake pkgconfig

EXTRA_OECMAKE = "-DBUILD_TESTING=OFF"

# the compiler apart from what a user's build takes
PACKAGE_BEFORE_PN = "${PN}-compiler"
FILES:${PN}-compiler = "${bindir}/vitqc ${datadir}/bash-completion"
FILES:${PN}-dev += "${datadir}/cmake ${datadir}/pkgconfig ${datadir}/vitqc"
RDEPENDS:${PN}-dev += "${PN}-compiler"
ALLOW_EMPTY:${PN} = "1"

BBCLASSEXTEND = "native nativesdk"
