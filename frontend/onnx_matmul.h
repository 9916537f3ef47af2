/* SPDX-License-Identifier: MIT */
/* Products made by importers of other families. */
#ifndef VQ_FRONTEND_ONNX_MATMUL_H
#define VQ_FRONTEND_ONNX_MATMUL_H

#include "frontend/onnx_node.h"

/* a times b as MatMul defines it: a vector is a row on the left, a column on the right. */
vq_value vq_onnx_matmul(vq_onnx *o, vq_value a, vq_value b);

/* Gemm with the current node's attributes and inputs 0 to 2. */
vq_value vq_onnx_gemm(vq_onnx *o);

#endif
