# SPDX-License-Identifier: MIT
run 2
says "no model"
run 2 "$model" -nonsense
says "unknown option '-nonsense'"
run 2 "$model" -taget=aarch64
says "did you mean '-target'?"
run 2 "$model" -quant=w4a8 -o x.o
says "option -quant: 'w4a8' is not built yet"
run 2 "$model" -quant=none -target=aarch46 -o x.o
says "unknown target 'aarch46'" "did you mean 'aarch64'?"
run 2 "$model" -quant=none -target=thumbv7em-none-eabi -o x.o
says "not supported by this version"
run 2 "$model" -quant=none -mcpu=cortex-a53 -target=x86-64 -o x.o
says "unknown CPU 'cortex-a53' of x86-64"
run 2 "$model" -quant=none -prefix=2fast -o x.o
says "option -prefix" "'m_2fast' could be used"
run 1 absent.onnx -quant=none -o x.o
says "absent.onnx: cannot open"
run 1 "$model" -quant=w8a8 -o x.o
says "w8a8 needs samples to calibrate with" "-calib=" "-quant=w8a8-dynamic" "-quant=none"
run 1 "$model" -calib=absent.npy -o x.o
says "file 'absent.npy': cannot be opened"
run 1 "$model" -quant=none -o absent/x.o
says "cannot write 'absent/x.o': there is no folder 'absent'"
only
