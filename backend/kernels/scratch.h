/* SPDX-License-Identifier: MIT */
/* Scratch of the kernels whose layout is their own. */
#ifndef VQ_BACKEND_KERNELS_SCRATCH_H
#define VQ_BACKEND_KERNELS_SCRATCH_H

#include "backend/plan.h"

enum { VQ_LAYERNORM_ROWS = 4 }; /* in lockstep, at most */

/* where a product with row_codes keeps its f32 results: behind packed A */
uint64_t vq_gemm_results_at(const vq_gemm *d, const vq_target *t);
/* bytes of the f32 rows that LayerNorm quantizes next; most: rows in lockstep */
uint64_t vq_layernorm_scratch(const vq_layernorm *d);

uint64_t vq_attention_scratch(const vq_attention *d, const vq_target *t);

#endif
