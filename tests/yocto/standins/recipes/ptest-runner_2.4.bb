# SPDX-License-Identifier: MIT
SUMMARY = "Nothing: bitbake.sh starts run-ptest itself"
LICENSE = "MIT"

INHIBIT_DEFAULT_DEPS = "1"
ALLOW_EMPTY:${PN} = "1"
