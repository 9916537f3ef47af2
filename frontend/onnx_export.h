/* SPDX-License-Identifier: MIT */
/* Writing a graph in float or QDQ form as ONNX (-emit=onnx). */
#ifndef VQ_FRONTEND_ONNX_EXPORT_H
#define VQ_FRONTEND_ONNX_EXPORT_H

#include "ir/ir.h"

#include <stdio.h>

/*
 * Opset 17, QuantizeLinear and DequantizeLinear on int8, per tensor or per axis; what ONNX has no
 * operator for is decomposed (GELU, attention, strided views). Softmax probabilities of attention
 * on codes are uint8 with scale 1/255, which is what other tools expect; the object's are finer
 * (docs/ir.md). ONNX saturates at -128 where a symmetric entry of ours stops at -127: that differs
 * for values outside the calibrated range only. Integer form is refused. false after an error in
 * diag.
 */
bool vq_export_onnx(const vq_graph *qdq, vq_diag *diag, FILE *out);

#endif
