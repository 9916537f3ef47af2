#!/bin/sh
# SPDX-License-Identifier: MIT
# From nothing to classified images: installs what is missing (Debian 12), builds vitqc, compiles the sample's models and runs them.
set -eu
cd "$(dirname "$0")/../.."
tests/install.sh build
cmake --preset release > /dev/null
cmake --build --preset release --target vitqc
samples/fashion/run.sh build/vitqc
