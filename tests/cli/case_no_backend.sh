# SPDX-License-Identifier: MIT
# an LLVM without this machine's backend, as Buildroot builds it for a board: objects for others, calibrated by the evaluator, are the same; what it cannot
# make is refused with a hint
case $(uname -m) in x86_64) ;; *) exit 77 ;; esac
command -v cc >/dev/null && ldd "$vitqc" | grep -q libLLVM && ! ldd "$vitqc" | grep -q libasan || exit 77
for what in TargetInfo Target TargetMC AsmPrinter AsmParser; do echo "void LLVMInitializeX86$what(void) { }"; done >without.c
cc -shared -fPIC without.c -o without.so
run 0 "$model" $calib -target=aarch64 -prefix=m -o with.o
LD_PRELOAD=$PWD/without.so
export LD_PRELOAD
run 0 "$model" $calib -target=aarch64 -prefix=m -o without.o
says "warning: the evaluator runs the samples: this LLVM has no backend for the host" "note: the results are the same"
same with.o without.o
run 0 "$model" $calib -target=aarch64 -prefix=m -calib-executor=evaluator -o without.o
quiet
run 1 "$model" $calib -target=x86-64 -o m.o
says "has no backend for x86_64-unknown-linux-gnu" "LLVM_TARGETS of llvm-native"
absent m.o
run 1 "$model" $calib -target=aarch64 -calib-executor=jit -o m.o
says "there is no jit"
unset LD_PRELOAD
