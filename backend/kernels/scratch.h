/* Scratch of the kernels whose layout is their own. */
#ifndef VQ_BACKEND_KERNELS_SCRATCH_H
#define VQ_BACKEND_KERNELS_SCRATCH_H

#include "backend/plan.h"

uint64_t vq_attention_scratch(const vq_attention *d, const vq_target *t);

#endif
