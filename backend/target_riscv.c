/* SPDX-License-Identifier: MIT */
/*
 * RISC-V, 64 bit: rv64gc and V 1.0 with vector registers of at least 128 or 256 bits. An object for
 * 256 bits computes garbage on 128, without a trap: it carries a check (min_vlen). CPU features as
 * LLVM 19 has them; CPUs without double-precision floating point are not listed.
 */
#include "backend/target_table.h"
#include "runtime/vitq.h"

enum {
	GC = 1 << 0,
	V = 1 << 1,
	L256 = 1 << 2,
	L512 = 1 << 3,
};

static const vq_feature_row features[] = {
	{ "m", GC, GC, VQ_FEATURE_USED },
	{ "a", GC, GC, VQ_FEATURE_USED },
	{ "f", GC, GC, VQ_FEATURE_USED },
	{ "d", GC, GC, VQ_FEATURE_USED },
	{ "c", GC, GC, VQ_FEATURE_USED },
	{ "v", V, V, VQ_FEATURE_USED },
	{ "zvl128b", V, V, VQ_FEATURE_USED },
	{ "zvl256b", L256, L256 | V, VQ_FEATURE_USED },
	{ "zvl512b", L512, L512 | L256 | V, VQ_FEATURE_UNUSED },
	{ "zvl1024b", L512, L512 | L256 | V, VQ_FEATURE_UNUSED },
	{ "zicsr", 0, 0, VQ_FEATURE_MOOT },
	{ "zifencei", 0, 0, VQ_FEATURE_MOOT },
	{ "zicbop", 0, 0, VQ_FEATURE_MOOT },
	{ "zba", 0, 0, VQ_FEATURE_MOOT },
	{ "zbb", 0, 0, VQ_FEATURE_MOOT },
	{ "zbc", 0, 0, VQ_FEATURE_MOOT },
	{ "zbs", 0, 0, VQ_FEATURE_MOOT },
	{ "zfh", 0, 0, VQ_FEATURE_MOOT },
	{ "zvfh", 0, V, VQ_FEATURE_MOOT },
	{ NULL, 0, 0, VQ_FEATURE_MOOT },
};

static const vq_cpu_row cpus[] = {
	{ "generic-rv64", 0 },
	{ "generic", 0 },
	{ "sifive-p450", 0 },
	{ "sifive-p670", V },
	{ "sifive-s54", 0 },
	{ "sifive-s76", 0 },
	{ "sifive-u54", 0 },
	{ "sifive-u74", 0 },
	{ "sifive-x280", V | L256 | L512 },
	{ "spacemit-x60", V | L256 },
	{ "veyron-v1", 0 },
	{ "xiangshan-nanhu", 0 },
	{ NULL, 0 },
};

static const vq_isa_row isas[] = {
	{ VQ_ISA_RVV256, GC | V | L256, "+m,+a,+f,+d,+c,+v,+zvl256b", "RVV 1.0, VLEN >= 256", 32, VITQ_HWCAP_RVV, 256 },
	{ VQ_ISA_RVV128, GC | V, "+m,+a,+f,+d,+c,+v,+zvl128b", "RVV 1.0, VLEN >= 128", 16, VITQ_HWCAP_RVV, 128 },
	{ VQ_ISA_RV64, GC, "+m,+a,+f,+d,+c", "no vectors", 8, 0, 0 },
};

static const char *const aliases[] = { "rv64", NULL };
static const char *const abis[] = { "lp64d", NULL };

const vq_arch_table vq_arch_riscv64 = {
	.arch = VQ_ARCH_RISCV64,
	.name = "riscv64",
	.alias = aliases,
	.triple = "riscv64-unknown-linux-gnu",
	.llvm_cpu = "generic-rv64",
	.abi = "lp64d",
	.abi_names = abis,
	.base = GC,
	.feature = features,
	.cpu = cpus,
	.isa = isas,
	.n_isas = sizeof isas / sizeof *isas,
	/* double-float ABI */
	.elf = { .machine = 243, .bits = 64, .flags_mask = 0x6u, .flags = 0x4u },
};
