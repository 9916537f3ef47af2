#!/bin/sh
# SPDX-License-Identifier: MIT
# Looks for stack operands inside the k loops of an object's kernels: usage spills.sh OBJECT [verbose]
# A k loop is an innermost loop with a dot, or one of f32 multiplies and additions alone, that stores nothing. Exit 1 if a register is spilled there,
# 77 without llvm-objdump. With a second argument every k loop is printed: instructions, dots, stack operands.
for d in llvm-objdump-19 llvm-objdump; do
	command -v $d >/dev/null 2>&1 && objdump=$d && break
done
[ -n "$objdump" ] || exit 77
$objdump -d --no-show-raw-insn "$1" | awk -v verbose="$2" -v file="$1" '
function hex(s,   i, v) {
	v = 0
	for (i = 1; i <= length(s); i++)
		v = v * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1
	return v
}
/^[0-9a-f]+ <\.L.*>:$/ { next } # labels of RISC-V relocations
/^[0-9a-f]+ <.*>:$/ { sub(/^[0-9a-f]+ </, ""); sub(/>:$/, ""); name = $0; n = 0; latest = -1; next }
/^ *[0-9a-f]+:/ {
	split($0, part, ":")
	gsub(/ /, "", part[1])
	at[n] = hex(part[1])
	text = $0
	sub(/^ *[0-9a-f]+:[ \t]*/, "", text)
	sub(/^\{vex\}[ \t]*/, "", text) # AVX-VNNI
	line[n] = text
	n++
	if (!match(text, /0x[0-9a-f]+ </) || text !~ /^(j|b|cb|tb)/)
		next
	to = hex(substr(text, RSTART + 2, RLENGTH - 4))
	if (to > at[n - 1])
		next
	if (latest < to)
		loop(to)
	if (latest < to)
		latest = to
}
function loop(to,   i, dots, mul, add, other, stack, op) {
	dots = mul = add = other = stack = 0
	for (i = n - 1; i >= 0 && at[i] >= to; i--) {
		op = line[i]
		sub(/[ \t].*/, "", op)
		if (op ~ /^(vpdpbusd|v?pmaddwd|sdot|smmla|sadalp|vpadal|vwmacc|mul$|mulw$)/)
			dots++
		else if (op ~ /^(v?mulps|v?mulss|fmul|vmul.f32|vfmul|vfmadd|fmadd|fmla|vfmacc|vmla.f32|vfma)/)
			mul++
		else if (op ~ /^(v?addps|v?addss|fadd|vadd.f32|vfadd)/)
			add++
		else if (op ~ /^(v?cvt|v?(min|max|sub|div|cmp[a-z]*)[ps]s|fsub|fc|fm|vc|vf|vsub|vmin|vmax|fdiv|scvtf)/)
			other++
		# RISC-V spills whole vector registers, through a pointer
		if (line[i] ~ /\(%[re]sp|\[sp|\(sp\)/ || op ~ /^v[ls][1248]r/)
			stack++
		else if (op ~ /^(st[rp]|stur|vst|vse[0-9]|vsse|s[bwdh]$|fs[wd]$)/ || line[i] ~ /^v?mov.*,[^,]*\([^)]*\)$/)
			return
	}
	if (dots ? mul || add : !mul || other)
		return
	loops++
	bad += stack
	if (verbose || stack)
		printf "%s: %s: loop at %x: %d instructions, %d dots, %d mul, %d add, %d stack operands\n", file, name, to, n - i - 1, dots, mul, add, stack
}
END {
	if (!loops && verbose)
		print file ": no k loops"
	exit bad ? 1 : 0
}'
