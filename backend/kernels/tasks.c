/* SPDX-License-Identifier: MIT */
/* How many tasks a kernel's work splits into: the planner and the builders agree here. Batch outermost, then column blocks, then row blocks. */
#include "backend/plan.h"

static uint32_t blocks(uint64_t n, uint64_t block) { return (uint32_t)((n + block - 1) / block); }

static uint32_t gemm_tasks(const vq_gemm *d, const vq_target *t)
{
	vq_tile tile = d->f32 ? vq_tile_f32(t->isa) : vq_tile_s8(t->isa, d->wide);
	uint32_t panels = blocks(d->n, vq_tile_nr(&tile));

	return d->batch[0] * d->batch[1] * blocks(d->m, d->row_block) * blocks(panels, d->col_block);
}

uint32_t vq_kernel_tasks(const vq_kernel *k, const vq_target *t)
{
	switch (k->kind) {
	case VQ_KERNEL_GEMM: return gemm_tasks(&k->u.gemm, t);
	case VQ_KERNEL_ATTENTION:
		return k->u.attention.batch * k->u.attention.heads * blocks(k->u.attention.n, k->u.attention.row_block);
	case VQ_KERNEL_PACK: return k->u.pack.batch[0] * k->u.pack.batch[1];
	case VQ_KERNEL_LAYERNORM: return blocks(k->u.layernorm.rows, k->u.layernorm.row_block);
	case VQ_KERNEL_ROWQUANT: return blocks(k->u.rowquant.rows, k->u.rowquant.row_block);
	case VQ_KERNEL_SOFTMAX: return blocks(k->u.softmax.rows, k->u.softmax.row_block);
	case VQ_KERNEL_ELEMENTWISE: return k->u.elementwise.tasks ? k->u.elementwise.tasks : 1;
	default: /* reductions and gathers are small */ return 1;
	}
}
