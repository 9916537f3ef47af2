# SPDX-License-Identifier: MIT
# an object and its header, nothing else; names follow the output
run 0 "$model" $calib -target=aarch64 -o vit.o
quiet
exists vit.o vit.h
only vit.o vit.h
grep -q '^int vit_run(' vit.h || fail "vit.h declares no vit_run"
run 0 "$model" -quant=none -target=x86-64 -prefix=deit -header=api.h -o two.o
grep -q '^int deit_run(' api.h || fail "api.h declares no deit_run"
absent two.h
