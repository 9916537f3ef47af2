/* SPDX-License-Identifier: MIT */
/* A resolved target: data for LLVM, for the ELF self-check and for the choice of kernels. Only backend/ includes this. */
#ifndef VQ_BACKEND_TARGET_H
#define VQ_BACKEND_TARGET_H

#include "backend/backend.h"
#include "backend/protect.h"

typedef enum vq_arch { VQ_ARCH_X86_64, VQ_ARCH_AARCH64, VQ_ARCH_ARM, VQ_ARCH_RISCV64 } vq_arch;

/* Instruction sets the kernel builders distinguish; the widest usable one is chosen from cpu and features. */
typedef enum vq_isa {
	VQ_ISA_SSE2,
	VQ_ISA_AVX2,
	VQ_ISA_AVX_VNNI,
	VQ_ISA_AVX512_VNNI,
	VQ_ISA_NEON64,
	VQ_ISA_DOTPROD,
	VQ_ISA_I8MM,
	VQ_ISA_NEON32,
	VQ_ISA_RV64,
	VQ_ISA_RVV128,
	VQ_ISA_RVV256,
	VQ_ISA_COUNT
} vq_isa;

typedef struct vq_elf_facts {
	uint16_t machine;           /* EM_… */
	uint8_t bits;               /* 32 or 64 */
	uint32_t flags_mask, flags; /* of e_flags that must hold: RISC-V float ABI, ARM EABI version */
} vq_elf_facts;

struct vq_target {
	vq_arch arch;
	vq_isa isa;
	const char *name;   /* short name: "aarch64" */
	const char *triple; /* canonical, for LLVM */
	const char
		*cpu; /* for LLVM: generic per architecture, so that every -mcpu of one isa gets the same tested code */
	const char
		*model; /* the CPU asked for ("cortex-a53"), for reports and the info block; only its features count */
	const char *features; /* "+neon,+dotprod"; goes to the target machine and on every function */
	const char *abi;      /* for SetABI and the target-abi flag, NULL if none (RISC-V: "lp64d") */
	bool softfp;          /* ARM: arguments in core registers */
	bool pic;
	uint32_t vector_bytes; /* of the widest vector register used */
	vq_elf_facts elf;
	uint32_t need;     /* VITQ_HWCAP_… this object needs, checked against env->hwcap where stated */
	uint32_t protect;  /* VQ_PROTECT_… bits */
	uint32_t min_vlen; /* RVV: bits of the vector registers the object assumes; guarded at run time */
};

/* Register tile of a product, measured (docs/kernels.md): how the GEMM builder works on an instruction set. */
typedef enum vq_acc_shape {
	VQ_ACC_N,       /* accumulator lanes are columns, A broadcast: sdot by lane, vpdpbusd, pmaddwd, vwmacc */
	VQ_ACC_K,       /* lanes are partial sums of K, added up at the end: NEON without dotprod */
	VQ_ACC_ROWPAIR, /* two rows in an i64: rv64 without V */
	VQ_ACC_2X2,     /* two rows by two columns: smmla */
} vq_acc_shape;

typedef enum vq_a_code {
	VQ_A_S8, /* codes as they are */
	VQ_A_U8, /* code ^ 0x80: the instruction wants unsigned A; 128 * column sum is taken off in the initial accumulator */
	VQ_A_S16, /* widened to 16 bit while packing: pmaddwd */
} vq_a_code;

typedef struct vq_tile {
	vq_acc_shape shape;
	vq_a_code a;
	bool pack_a;    /* A goes through micro-panels [M/MR][K/KA][MR][KA] in worker scratch, KA = kr * ku */
	uint32_t mr;    /* rows at most */
	uint32_t nrv;   /* B vectors per panel */
	uint32_t lanes; /* i32 (or f32) lanes of one accumulator */
	uint32_t kr;    /* k steps inside one dot */
	uint32_t ku;    /* dots per A load, unroll of the k loop */
	bool pairs_s16; /* the dot adds two s8*s8 products in 16 bit: -128 * -128 twice must not meet, see wide */
} vq_tile;

/* Tile for s8 products; wide: operands may both hold -128 (imported weights). f32 tile for float products. */
vq_tile vq_tile_s8(vq_isa isa, bool wide);
vq_tile vq_tile_f32(vq_isa isa);
/* columns of one vector of B */
static inline uint32_t vq_tile_columns(const vq_tile *t)
{
	return t->shape == VQ_ACC_N ? t->lanes : t->shape == VQ_ACC_2X2 ? 2 : 1;
}
static inline uint32_t vq_tile_nr(const vq_tile *t) { return t->nrv * vq_tile_columns(t); }
/* accumulators are shared by two rows, which therefore lie in one tile */
static inline bool vq_tile_pairs_rows(const vq_tile *t) { return t->shape == VQ_ACC_ROWPAIR || t->shape == VQ_ACC_2X2; }
static inline uint32_t vq_tile_ka(const vq_tile *t) { return t->kr * t->ku; }

#endif
