# SPDX-License-Identifier: MIT
# Up to walnascar llvm-native is built for AMDGPU and the build host only; vitqc-native makes objects for these four. Later
# releases build all targets and have another variable, which this does not touch.
LLVM_TARGETS:append:class-native = ";AArch64;ARM;RISCV;X86"
LLVM_TARGETS:append:class-nativesdk = ";AArch64;ARM;RISCV;X86"
