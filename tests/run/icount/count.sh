#!/bin/sh
# SPDX-License-Identifier: MIT
# Joins what the plugin counted with the disassembly of the program: which kernels' multiply-accumulates were executed, and how.
#
#   count.sh OBJDUMP PROGRAM COUNTS DOT        DOT: the dot instruction of the target, or several, as in smull/smlal
# Prints "GROUP dots macs multiplications" for the groups linear (kernels of products by weights), attention, float (f32 products) and other:
# dot instructions executed, multiply-accumulates they did, and f32 multiplications; and "idle KERNEL 0 0" for a kernel of a product that
# was executed without any dot instruction.
set -eu
objdump=$1
shift
"$objdump" -d --no-show-raw-insn "$1" | awk -v counts="$2" -v "dot=/$3/" '
BEGIN { while ((getline line < counts) > 0) { split(line, part, " "); count[part[1]] = part[2] } }
# MACs of one execution; 0: not the dot instruction of the target
function macs(op,   name) {
	name = op
	sub(/2$/, "", name) # AArch64: the upper half
	if (!index(dot, "/" name "/"))
		return 0
	if (op ~ /^v?pmaddwd$/) # pairs of 16 bits
		return width() / 16
	if (op == "vpdpbusd")
		return width() / 8
	if (op ~ /^sm(ull|lal)2?$/ && $0 ~ /\.8h,/)
		return 8
	if (op == "sdot")
		return $0 ~ /\.4s,/ ? 16 : 8
	if (op == "smmla") # 2 x 8 by 8 x 2
		return 32
	if (op ~ /^vm(ull|lal)\.s8$/)
		return 8
	if (op ~ /^vwmacc\.v[vx]$/)
		return vl
	if (op == "mul") # two rows in the halves of 64 bits: a MAC for each
		return 2
	return 0
}
function number(s,   i, v) {
	if (s !~ /^0x/)
		return s + 0
	sub(/,$/, "", s)
	for (i = 3; i <= length(s); i++)
		v = v * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1
	return v
}
function width() { return $0 ~ /%zmm/ ? 512 : $0 ~ /%ymm/ ? 256 : 128 }
# f32 multiplications of one execution
function products(op) {
	if (op ~ /^v?mulps$/ || op ~ /^vfn?m(add|sub)[0-9]+ps$/)
		return width() / 32
	if (op ~ /^v?mulss$/ || op ~ /^fn?m(ul|add|sub)\.s$/)
		return 1
	if (op ~ /^f(mul|mla|mls|madd|msub|nmul)$/)
		return $0 ~ /\.4s/ ? 4 : $0 ~ /\.2s/ ? 2 : 1
	if (op ~ /^v(mul|mla|mls|fma|fms)\.f32$/)
		return $0 ~ /\tq/ ? 4 : $0 ~ /\td/ ? 2 : 1
	if (op ~ /^vf(mul|macc|madd|msub|nmsac|nmsub)\./)
		return vl
	return 0
}
/^[0-9a-f]+ <\.L/ { next } # labels of RISC-V relocations
/^[0-9a-f]+ <.*>:$/ {
	name = $2
	group = name ~ /^<(gemm|attention)_f32_/ ? "float" : name ~ /^<gemm_/ ? "linear" : name ~ /^<attention_/ ? "attention" : \
		name ~ /^<(pack|layernorm|softmax|elementwise|reduce|gather|rowquant)_/ ? "other" : ""
	vl = 0
	split("", constant)
	next
}
!group || !/^ *[0-9a-f]+:/ { next }
{
	address = $1
	sub(/:$/, "", address)
	op = $2
	# the vector length: a constant, in the instruction or in a register; unknown lengths count as 0
	if (op == "vsetivli")
		vl = number($4)
	else if (op == "vsetvli" && $4 != "zero,")
		vl = constant[$4]
	else if (op == "vsetvli" && $3 != "zero,")
		vl = 0
	if (op == "li")
		constant[$3] = number($4)
	else if ($3 in constant && $3 != "zero,")
		delete constant[$3]
	n = count[address]
	if (m = macs(op)) {
		dots[group] += n
		done[group] += n * m
		seen[name] += n
	}
	f32[group] += n * products(op)
	kernels[name] += n
}
END {
	for (k in kernels)
		if (kernels[k] && !seen[k] && k ~ /^<(gemm|attention)_/)
			printf "idle %s 0 0\n", k
	for (g in f32)
		printf "%s %.0f %.0f %.0f\n", g, dots[g], done[g], f32[g]
}' | sort
