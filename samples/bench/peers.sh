#!/bin/sh
# SPDX-License-Identifier: MIT
# A compiled model beside other engines, interleaved: bench.sh makes the program, PEERS is the script that measures (peers.py).
#
#   peers.sh VITQC PEERS MODEL.onnx CALIBRATION [arguments of peers.py]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
vitqc=$1 peers=$2 model=$3 calibration=$4
shift 4
work=${WORK:-peers-work}
mkdir -p "$work"
[ -f "$peers" ] || { echo "peers.sh: $peers: no such file" >&2; exit 1; }
sh "$here/bench.sh" "$vitqc" "$model" "$work/ours" -calib="$calibration" -mcpu=native
exec "${PYTHON:-python3}" "$peers" "$model" --peers ort-f32 --work "$work" --ours "vitqc=$work/ours" --ours-ships "vitqc=$work/ours.o" "$@"
