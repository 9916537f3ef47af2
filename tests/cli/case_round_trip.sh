# SPDX-License-Identifier: MIT
# the QDQ model that -emit=onnx writes is read back, and all of its products stay in integers
run 0 "$model" $calib -emit=onnx -o qdq.onnx
quiet
run 0 qdq.onnx -target=aarch64 -Werror=float-fallback -o back.o -report=back.txt
exists back.o back.h
grep -q '100.00 % in integers' back.txt || fail "products of the model that was read back are in float: $(grep products back.txt)"
