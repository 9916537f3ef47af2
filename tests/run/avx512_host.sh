#!/bin/sh
# SPDX-License-Identifier: MIT
# Calibration by the JIT on a CPU with AVX-512 VNNI gives the object that the evaluator gives, and the JIT on a Nehalem. Bochs is that CPU: it boots
# Debian's kernel with vitqc in the initial file system. Not part of ctest: it needs the network and two minutes of processor time.
#
#   avx512_host.sh VITQC SOURCE WORK [MIRROR]
#   AVX512_FULL=1    the sample too, calibrated with two images (minutes more)
# apt-get install busybox-static cpio isolinux qemu-user syslinux-common xorriso
set -eu
vitqc=$(realpath "$1") source=$2 work=$3 mirror=${4:-http://deb.debian.org/debian}
mkdir -p "$work/files" "$work/iso"
work=$(cd "$work" && pwd)

# what is compiled, there and here
cp "$source/tests/fuzz/corpus/tiny_vit.onnx" "$source/tests/fuzz/corpus/samples.npy" "$work/files"
cat > "$work/files/compile" <<'EOF'
$RUN $VITQC tiny_vit.onnx -q -target=x86-64 -calib=samples.npy -calib-executor=$EXECUTOR -calib-stats=tiny.json -o tiny.o || echo failed
sha256sum tiny.o tiny.json
EOF
if [ "${AVX512_FULL:-0}" != 0 ]; then
	cp "$source/samples/fashion/vit_outlier_hard.onnx" "$source/samples/fashion/calib_images.npy" "$work/files"
	cat >> "$work/files/compile" <<'EOF'
$RUN $VITQC vit_outlier_hard.onnx -q -target=x86-64 -calib=calib_images.npy -calib-count=2 -image-mean=0.2860 -image-std=0.3530 \
	-calib-executor=$EXECUTOR -calib-stats=vit.json -o vit.o || echo failed
sha256sum vit.o vit.json
EOF
fi

# here NAME EXECUTOR RUNNER
here() {
	rm -rf "$work/$1"
	cp -r "$work/files" "$work/$1"
	(cd "$work/$1" && VITQC=$vitqc EXECUTOR=$2 RUN=$3 sh compile > sums)
}
here evaluator evaluator ""
here nehalem jit "qemu-x86_64 -cpu Nehalem"

# unpack RELEASE PACKAGE...: with all they need, in WORK/RELEASE; nothing is installed
unpack() {
	root=$work/$1
	[ ! -e "$root/done" ] || return 0
	rm -rf "$root"
	mkdir -p "$root/apt/lists/partial" "$root/apt/archives/partial"
	echo "deb $mirror $1 main" > "$root/apt/sources.list"
	: > "$root/apt/status"
	cat > "$root/apt/conf" <<EOF
Dir::Etc::sourcelist "$root/apt/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$root/apt/lists";
Dir::State::status "$root/apt/status";
Dir::Cache "$root/apt";
Dir::Cache::archives "$root/apt/archives";
APT::Sandbox::User "root";
EOF
	shift
	APT_CONFIG=$root/apt/conf apt-get -q update > "$root/apt/log" 2>&1
	APT_CONFIG=$root/apt/conf apt-get -q -y -d --no-install-recommends install "$@" >> "$root/apt/log" 2>&1
	for deb in "$root"/apt/archives/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --keep-directory-symlink
	done
	touch "$root/done"
}
# Linux does not boot in Bochs 2.7 of Debian 12
unpack trixie bochs bochs-term bochsbios vgabios
unpack bookworm linux-image-cloud-amd64

# the guest: busybox, vitqc and its libraries, in memory
guest=$work/guest
rm -rf "$guest"
mkdir -p "$guest/bin" "$guest/proc" "$guest/tmp"
cp "$(command -v busybox)" "$guest/bin/busybox"
for tool in sh mount grep sha256sum poweroff; do
	ln -s busybox "$guest/bin/$tool"
done
cp "$vitqc" "$guest/bin/vitqc"
ldd "$vitqc" | grep -o '/[^ ]*' | while read -r library; do
	mkdir -p "$guest$(dirname "$library")"
	cp -L "$library" "$guest$library"
done
cp "$work"/files/* "$guest/tmp"
cat > "$guest/init" <<'EOF'
#!/bin/sh
mount -t proc proc /proc
cd /tmp
echo "@ $(grep -m1 -o avx512_vnni /proc/cpuinfo)"
VITQC=/bin/vitqc EXECUTOR=jit RUN= sh compile 2>&1 | while read -r line; do echo "@ $line"; done
echo "@ end"
poweroff -f
EOF
chmod +x "$guest/init"
(cd "$guest" && find . | cpio -o -H newc --quiet) > "$work/iso/initrd"
cp "$work"/bookworm/boot/vmlinuz-* "$work/iso/vmlinuz"
cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$work/iso"
# A clock of 40 MHz, as many as Bochs' instructions a second (ips): the kernel waits by the clock. No tests of its own. What clearcpuid, the no...
# options and acpi=off take away (APERF and MPERF, fast strings, XSAVE's later forms, PCID, system management mode ...) Bochs 3.0 lacks or has wrong.
cat > "$work/iso/isolinux.cfg" <<'EOF'
default linux
label linux
kernel vmlinuz
append initrd=initrd console=ttyS0,115200 panic=-1 mitigations=off nokaslr tsc=reliable tsc_early_khz=40000 nohpet acpi=off cryptomgr.notests lsm= init_on_alloc=0 clearcpuid=112,124,297,320,321,323,580 nopcid noinvpcid nofsgsbase nopku nosmap nosmep no5lvl nogbpages
EOF
xorriso -as mkisofs -quiet -o "$work/disk.iso" -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table "$work/iso" 2> "$work/xorriso.log"
trixie=$work/trixie
lib=$trixie/usr/lib/x86_64-linux-gnu
cat > "$work/bochsrc" <<EOF
megs: 1536
cpu: model=tigerlake, count=1, ips=40000000, reset_on_triple_fault=0
romimage: file=$trixie/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=$trixie/usr/share/bochs/VGABIOS-lgpl-latest
ata0-master: type=cdrom, path=$work/disk.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$work/serial
display_library: rfb, options="timeout=0"
sound: driver=dummy
log: $work/bochs.log
clock: sync=none
panic: action=fatal
EOF
rm -f "$work/serial"
touch "$work/serial"
LTDL_LIBRARY_PATH=$lib/bochs/plugins BXSHARE=$trixie/usr/share/bochs timeout "${BOCHS_SECONDS:-7200}" \
	"$lib/ld-linux-x86-64.so.2" --library-path "$lib:$lib/pulseaudio" "$trixie/usr/bin/bochs-bin" -q -f "$work/bochsrc" > "$work/output" 2>&1 < /dev/null &
bochs=$!
trap 'kill $bochs 2> /dev/null || true' EXIT
# a machine without ACPI halts when it is done, and goes on using its processor
while ! grep -q '^@ end' "$work/serial" && kill -0 $bochs 2> /dev/null; do
	sleep 2
done
tr -d '\r' < "$work/serial" | sed -n 's/^@ //p' > "$work/said"
grep -q '^end' "$work/said" || { echo "FAIL: the machine did not finish, see $work/serial and $work/bochs.log"; exit 1; }
grep -q '^avx512_vnni' "$work/said" || { echo "FAIL: the machine has no AVX-512 VNNI"; exit 1; }
grep '^[0-9a-f]\{64\} ' "$work/said" > "$work/avx512_vnni.sums" || true
status=0
for there in "$work/evaluator/sums" "$work/nehalem/sums"; do
	cmp "$there" "$work/avx512_vnni.sums" || { echo "FAIL: calibrated with AVX-512, $there says otherwise"; status=1; }
done
cat "$work/avx512_vnni.sums"
[ $status != 0 ] || echo "the same on AVX-512 VNNI, on a Nehalem and by the evaluator"
exit $status
