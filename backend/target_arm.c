/* SPDX-License-Identifier: MIT */
/*
 * Armv7-A (and 32-bit Armv8-A) with NEON. use-misched: LLVM's default scheduler for these cores
 * hoists loads until they spill, 6 to 17 of them in a product's loop. Features of CPUs as LLVM 19
 * has them.
 */
#include "backend/target_table.h"
#include "runtime/vitq.h"

enum {
	NEON = 1 << 0,
	VFP4 = 1 << 1, /* fused multiply-add */
	DOT = 1 << 2,
};

static const vq_feature_row features[] = {
	{ "neon", NEON, NEON, VQ_FEATURE_USED },
	{ "vfp3", NEON, NEON, VQ_FEATURE_USED },
	{ "vfp4", VFP4, VFP4, VQ_FEATURE_USED },
	{ "use-misched", 0, 0, VQ_FEATURE_MOOT }, /* always on */
	{ "dotprod", DOT, DOT, VQ_FEATURE_UNUSED },
	{ "i8mm", DOT, DOT, VQ_FEATURE_UNUSED },
	{ "fp16", 0, 0, VQ_FEATURE_MOOT },
	{ "fullfp16", 0, 0, VQ_FEATURE_MOOT },
	{ "fp-armv8", VFP4, VFP4, VQ_FEATURE_USED },
	{ "hwdiv", 0, 0, VQ_FEATURE_MOOT },
	{ "hwdiv-arm", 0, 0, VQ_FEATURE_MOOT },
	{ "thumb2", 0, 0, VQ_FEATURE_MOOT },
	{ "aes", 0, 0, VQ_FEATURE_MOOT },
	{ "crc", 0, 0, VQ_FEATURE_MOOT },
	{ "crypto", 0, 0, VQ_FEATURE_MOOT },
	{ "sha2", 0, 0, VQ_FEATURE_MOOT },
	{ NULL, 0, 0, VQ_FEATURE_MOOT },
};

static const vq_cpu_row cpus[] = {
	{ "generic", 0 },
	{ "cortex-a5", VFP4 },
	{ "cortex-a7", VFP4 },
	{ "cortex-a8", 0 },
	{ "cortex-a9", 0 },
	{ "cortex-a12", VFP4 },
	{ "cortex-a15", VFP4 },
	{ "cortex-a17", VFP4 },
	{ "cortex-a32", VFP4 },
	{ "cortex-a35", VFP4 },
	{ "cortex-a53", VFP4 },
	{ "cortex-a55", VFP4 | DOT },
	{ "cortex-a57", VFP4 },
	{ "cortex-a72", VFP4 },
	{ "cortex-a73", VFP4 },
	{ "cortex-a75", VFP4 | DOT },
	{ "cortex-a76", VFP4 | DOT },
	{ "cortex-a76ae", VFP4 | DOT },
	{ "cortex-a77", VFP4 | DOT },
	{ "cortex-a78", VFP4 | DOT },
	{ "cortex-a78ae", VFP4 | DOT },
	{ "cortex-a78c", VFP4 | DOT },
	{ "cortex-a710", VFP4 | DOT },
	{ "exynos-m3", VFP4 },
	{ "exynos-m4", VFP4 | DOT },
	{ "exynos-m5", VFP4 | DOT },
	{ "krait", VFP4 },
	{ "kryo", VFP4 },
	{ "neoverse-n1", VFP4 | DOT },
	{ "neoverse-n2", VFP4 | DOT },
	{ "neoverse-v1", VFP4 | DOT },
	{ "swift", VFP4 },
	{ NULL, 0 },
};

static const vq_isa_row isas[] = {
	{ VQ_ISA_NEON32, NEON | VFP4, "+neon,+use-misched,+vfp4", "NEON with fused multiply-add", 16, VITQ_HWCAP_NEON,
		0 },
	{ VQ_ISA_NEON32, NEON, "+neon,+use-misched", "NEON", 16, VITQ_HWCAP_NEON, 0 },
};

static const char *const aliases[] = { "arm", "armhf", "armv7a", "armv7-a", "armv7l", "armv7hl", "armv7ve", "armv8l",
	"armv7hf", NULL };
static const char *const abis[] = { "aapcs", "aapcs-linux", "aapcs-vfp", NULL };

const vq_arch_table vq_arch_arm = {
	.arch = VQ_ARCH_ARM,
	.name = "armv7",
	.alias = aliases,
	.triple = "armv7-unknown-linux-gnueabihf",
	.triple_softfp = "armv7-unknown-linux-gnueabi",
	.llvm_cpu = "generic",
	.abi_names = abis,
	.base = NEON,
	.feature = features,
	.cpu = cpus,
	.isa = isas,
	.n_isas = sizeof isas / sizeof *isas,
	/* EABI version 5 */
	.elf = { .machine = 40, .bits = 32, .flags_mask = 0xff000000u, .flags = 0x05000000u },
};
