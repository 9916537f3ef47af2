/* SPDX-License-Identifier: MIT */
/* Convolutions made by importers of other families. */
#ifndef VQ_FRONTEND_ONNX_CONV_H
#define VQ_FRONTEND_ONNX_CONV_H

#include "frontend/onnx_node.h"

/*
 * A list attribute of a window, n entries in v (room for 2 * VQ_MAX_RANK); standard for each if it is absent. Entries are at
 * least 0, or 1 where that is the standard.
 */
bool vq_onnx_window_list(vq_onnx *o, const char *name, int64_t standard, uint32_t n, int64_t *v);

/* Convolution with the current node's attributes; bias may be VQ_NO_VALUE. */
vq_value vq_onnx_conv(vq_onnx *o, vq_value x, vq_value w, vq_value bias);

#endif
