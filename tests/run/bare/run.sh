#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs a freestanding x86-64 program in Bochs, which knows AVX-512 where this machine or qemu-user do not.
#
#   run.sh WORK FILE.o...    links the objects (one of them has main) into WORK, boots them, prints what the program wrote
#                            to port 0xe9. Exit code 77 if Bochs is not installed, 1 if the program did not end in time.
# BOCHS_CPU: a model that Bochs lists (bochs -help cpu); BOCHS_SECONDS: limit of processor time
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$1
shift
command -v bochs > /dev/null || exit 77
mkdir -p "$work"
gcc -c "$here/start.S" -o "$work/start.o"
gcc -c "$here/boot.S" -o "$work/boot.o"
ld -static -nostdlib -z noexecstack --no-warn-rwx-segments -T "$here/bare.ld" "$work/start.o" "$@" -o "$work/bare.elf"
objcopy -O binary "$work/bare.elf" "$work/bare.bin"
sectors=$((($(wc -c < "$work/bare.bin") + 511) / 512))
ld -static -nostdlib -Ttext=0x7c00 --defsym=SECTORS="$sectors" -e _boot --oformat=binary "$work/boot.o" -o "$work/boot.bin"
cat "$work/boot.bin" "$work/bare.bin" > "$work/disk.img"
cylinders=$((sectors / 1008 + 2))
truncate -s $((cylinders * 1008 * 512)) "$work/disk.img"
cat > "$work/bochsrc" <<EOF
megs: 256
cpu: model=${BOCHS_CPU:-corei7_icelake_u}, count=1, ips=400000000, reset_on_triple_fault=0
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0-master: type=disk, path=$work/disk.img, mode=flat, cylinders=$cylinders, heads=16, spt=63
boot: disk
port_e9_hack: enabled=1
display_library: rfb, options="timeout=0"
sound: driver=dummy
log: $work/bochs.log
clock: sync=none
panic: action=fatal
EOF
# a Bochs built with its debugger waits for a command: continue. The limit is processor time: a busy machine is no failure.
(ulimit -t "${BOCHS_SECONDS:-300}"; echo c | timeout 3000 bochs -q -f "$work/bochsrc" > "$work/output" 2>&1) || true
grep -q 'Shutdown port' "$work/bochs.log" || { tail -n 5 "$work/bochs.log" "$work/output" >&2; exit 1; }
# what the program wrote stands between Bochs' own lines
tr -d '\000' < "$work/output" | sed -n 's/^.*<bochs:1> //; /^@/p' | sed 's/^@//'
