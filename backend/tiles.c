/* SPDX-License-Identifier: MIT */
/*
 * Register tiles of the products, per instruction set. One table row is all the planner and the packer know of an
 * instruction set's products; kernels/gemm_tile.c holds the few lines that emit its dot. docs/kernels.md says how each
 * row was chosen.
 */
#include "backend/target.h"

#include <assert.h>

static_assert(VQ_ISA_COUNT == 11, "a new instruction set needs its rows here and in kernels/gemm_tile.c");

/* clang-format off */
/* Sums of four (or one) products in 32 bit are exact for any codes; only NEON without dotprod adds pairs in 16 bit. */
static const vq_tile s8_tiles[VQ_ISA_COUNT] = {
	[VQ_ISA_SSE2] = { .shape = VQ_ACC_N, .a = VQ_A_S16, .pack_a = true, .mr = 4, .nrv = 2, .lanes = 4, .kr = 2, .ku = 1 },
	[VQ_ISA_AVX2] = { .shape = VQ_ACC_N, .a = VQ_A_S16, .pack_a = true, .mr = 6, .nrv = 2, .lanes = 8, .kr = 2, .ku = 1 },
	[VQ_ISA_AVX_VNNI] = { .shape = VQ_ACC_N, .a = VQ_A_U8, .mr = 6, .nrv = 2, .lanes = 8, .kr = 4, .ku = 4 },
	[VQ_ISA_AVX512_VNNI] = { .shape = VQ_ACC_N, .a = VQ_A_U8, .mr = 6, .nrv = 4, .lanes = 16, .kr = 4, .ku = 4 },
	[VQ_ISA_NEON64] = { .shape = VQ_ACC_K, .a = VQ_A_S8, .pack_a = true, .mr = 4, .nrv = 4, .lanes = 4, .kr = 16, .ku = 1,
		.pairs_s16 = true },
	[VQ_ISA_DOTPROD] = { .shape = VQ_ACC_N, .a = VQ_A_S8, .pack_a = true, .mr = 6, .nrv = 4, .lanes = 4, .kr = 4, .ku = 4 },
	[VQ_ISA_I8MM] = { .shape = VQ_ACC_2X2, .a = VQ_A_S8, .pack_a = true, .mr = 8, .nrv = 6, .lanes = 4, .kr = 8, .ku = 1 },
	[VQ_ISA_NEON32] = { .shape = VQ_ACC_K, .a = VQ_A_S8, .pack_a = true, .mr = 2, .nrv = 4, .lanes = 4, .kr = 16, .ku = 1,
		.pairs_s16 = true },
	/* A is widened to pairs of rows in 64 bit while packing; ku = 2 keeps what follows the panels aligned */
	[VQ_ISA_RV64] = { .shape = VQ_ACC_ROWPAIR, .a = VQ_A_S16, .pack_a = true, .mr = 4, .nrv = 6, .lanes = 1, .kr = 1, .ku = 2 },
	[VQ_ISA_RVV128] = { .shape = VQ_ACC_N, .a = VQ_A_S8, .pack_a = true, .mr = 6, .nrv = 1, .lanes = 16, .kr = 1, .ku = 4 },
	[VQ_ISA_RVV256] = { .shape = VQ_ACC_N, .a = VQ_A_S8, .pack_a = true, .mr = 6, .nrv = 1, .lanes = 32, .kr = 1, .ku = 4 },
};
/* clang-format on */

/* kr = ku = 1 everywhere: K needs no padding and A is read where it is. */
static const vq_tile f32_tiles[VQ_ISA_COUNT] = {
	[VQ_ISA_SSE2] = { .shape = VQ_ACC_N, .mr = 4, .nrv = 2, .lanes = 4, .kr = 1, .ku = 1 },
	[VQ_ISA_AVX2] = { .shape = VQ_ACC_N, .mr = 6, .nrv = 2, .lanes = 8, .kr = 1, .ku = 1 },
	[VQ_ISA_AVX_VNNI] = { .shape = VQ_ACC_N, .mr = 6, .nrv = 2, .lanes = 8, .kr = 1, .ku = 1 },
	[VQ_ISA_AVX512_VNNI] = { .shape = VQ_ACC_N, .mr = 6, .nrv = 4, .lanes = 16, .kr = 1, .ku = 1 },
	[VQ_ISA_NEON64] = { .shape = VQ_ACC_N, .mr = 4, .nrv = 4, .lanes = 4, .kr = 1, .ku = 1 },
	[VQ_ISA_DOTPROD] = { .shape = VQ_ACC_N, .mr = 4, .nrv = 4, .lanes = 4, .kr = 1, .ku = 1 },
	[VQ_ISA_I8MM] = { .shape = VQ_ACC_N, .mr = 4, .nrv = 4, .lanes = 4, .kr = 1, .ku = 1 },
	[VQ_ISA_NEON32] = { .shape = VQ_ACC_N, .mr = 4, .nrv = 2, .lanes = 4, .kr = 1, .ku = 1 },
	[VQ_ISA_RV64] = { .shape = VQ_ACC_N, .mr = 4, .nrv = 4, .lanes = 1, .kr = 1, .ku = 1 },
	[VQ_ISA_RVV128] = { .shape = VQ_ACC_N, .mr = 5, .nrv = 1, .lanes = 16, .kr = 1, .ku = 1 },
	[VQ_ISA_RVV256] = { .shape = VQ_ACC_N, .mr = 5, .nrv = 1, .lanes = 32, .kr = 1, .ku = 1 },
};

vq_tile vq_tile_s8(vq_isa isa, bool wide)
{
	vq_tile t = s8_tiles[isa];

	/* the same registers, one widening addition more per pair: the layout does not depend on it */
	if (wide)
		t.pairs_s16 = false;
	return t;
}

vq_tile vq_tile_f32(vq_isa isa) { return f32_tiles[isa]; }
