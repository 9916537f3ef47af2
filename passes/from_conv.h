/* SPDX-License-Identifier: MIT */
/* Convolutions become operators that have kernels: part of fuse_linear. */
#ifndef VQ_PASSES_FROM_CONV_H
#define VQ_PASSES_FROM_CONV_H

#include "passes/pass.h"

/*
 * conv by constant weights -> linear on a view of its windows, one per group; with one channel per
 * group a product and a sum per tap. False, and nothing changed, if n is none of these.
 */
bool vq_from_conv(vq_pass *p, vq_node n);

#endif
