/* SPDX-License-Identifier: MIT */
/* Scratch of one worker, by the same forms the builders use. */
#include "backend/kernels/gemm_tile.h"
#include "backend/kernels/scratch.h"

uint64_t vq_gemm_results_at(const vq_gemm *d, const vq_target *t)
{
	vq_tile_form f = vq_tile_form_of(t->isa, d->f32, d->wide, d->k, d->a_row, d->a_u8, d->b_zero || d->b_zeros);
	uint32_t rows = d->row_block < d->m ? d->row_block : d->m;

	if (f.direct)
		return 0;
	return (vq_packed_a_bytes(&f, rows) + (d->b_zero || d->b_zeros ? (uint64_t)rows * 4 : 0) + 63) / 64 * 64;
}

static uint64_t gemm_scratch(const vq_gemm *d, const vq_target *t)
{
	uint32_t rows = d->row_block < d->m ? d->row_block : d->m;

	return vq_gemm_results_at(d, t) + (d->row_codes ? (4 * (uint64_t)rows * d->n + 63) / 64 * 64 : 0);
}

uint64_t vq_layernorm_scratch(const vq_layernorm *d)
{
	return d->row_codes ? (VQ_LAYERNORM_ROWS * 4 * (uint64_t)d->n + 63) / 64 * 64 : 0;
}

uint64_t vq_kernel_scratch(const vq_kernel *k, const vq_target *t)
{
	switch (k->kind) {
	case VQ_KERNEL_GEMM: return gemm_scratch(&k->u.gemm, t);
	case VQ_KERNEL_ATTENTION: return vq_attention_scratch(&k->u.attention, t);
	case VQ_KERNEL_LAYERNORM: return vq_layernorm_scratch(&k->u.layernorm);
	default: /* the others work in registers and in their results */ return 0;
	}
}
