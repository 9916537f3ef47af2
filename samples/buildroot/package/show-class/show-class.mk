# SPDX-License-Identifier: MIT
# A program with a model in it: samples/link and samples/fashion of vitqc. Yours has its own source; the rest is the same.
SHOW_CLASS_VERSION = 1.0
SHOW_CLASS_SITE = $(BR2_EXTERNAL_VITQC_PATH)/..
SHOW_CLASS_SITE_METHOD = local
SHOW_CLASS_SUBDIR = link
SHOW_CLASS_LICENSE = MIT
SHOW_CLASS_DEPENDENCIES = host-vitqc
# find_package(vitqc) looks into staging only, unless it is told
SHOW_CLASS_CONF_OPTS = -Dvitqc_DIR=$(HOST_DIR)/share/cmake/vitqc

$(eval $(cmake-package))
