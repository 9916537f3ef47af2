# SPDX-License-Identifier: MIT
# The compiler, for the building machine. The release tarball (`cmake --build build --target dist` in vitqc's source) stands beside this file.
VITQC_VERSION = 0.1.0
VITQC_SITE = $(BR2_EXTERNAL_VITQC_PATH)/package/vitqc
VITQC_SITE_METHOD = file
VITQC_SOURCE = vitqc-$(VITQC_VERSION).tar.gz
VITQC_LICENSE = MIT
VITQC_LICENSE_FILES = LICENSE
HOST_VITQC_DEPENDENCIES = host-pkgconf host-llvm host-protobuf-c host-json-c host-libpng host-libjpeg host-zlib
HOST_VITQC_CONF_OPTS = -DBUILD_TESTING=OFF

$(eval $(host-cmake-package))
