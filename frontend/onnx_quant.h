/* SPDX-License-Identifier: MIT */
/* Codes, scales and zero points of the current node, for importers of other families. */
#ifndef VQ_FRONTEND_ONNX_QUANT_H
#define VQ_FRONTEND_ONNX_QUANT_H

#include "frontend/onnx_node.h"

/* no input: for parameters that a node does not have */
#define VQ_ONNX_NO_INPUT UINT32_MAX

/*
 * Input `in` as floats by the constant scales and zero points of inputs scale_in and zero_in, several of them along
 * axis. VQ_NO_VALUE after an error.
 */
vq_value vq_onnx_dequantized(vq_onnx *o, uint32_t in, uint32_t scale_in, uint32_t zero_in, int64_t axis);
/* The same; codes that are scale and zero point of one DynamicQuantizeLinear are what it quantized (onnx_dynamic.c). */
vq_value vq_onnx_unquantized(vq_onnx *o, uint32_t in, uint32_t scale_in, uint32_t zero_in, int64_t axis);
/* x as codes by such inputs; without a zero point they are uint8 with 0, or int8 if is_signed. */
vq_value vq_onnx_quantized(vq_onnx *o, vq_value x, uint32_t scale_in, uint32_t zero_in, int64_t axis, bool is_signed);
/* Constant input `in`, an int32 bias, as floats by the scales of scale_in times a factor. */
vq_value vq_onnx_bias(vq_onnx *o, uint32_t in, uint32_t scale_in, double factor);

/*
 * Integer weights of an operator that has no scales of its own (MatMulInteger): constant input `in` as codes of the IR
 * with the constant zero points of zero_in, n of them (1 or as many as there are columns or rows at axis). The scales
 * come later.
 */
typedef struct vq_onnx_weights {
	vq_value codes; /* s8 constant without an entry */
	int32_t *zero;  /* shifted like the codes */
	uint32_t n;     /* zero points */
	uint32_t axis;  /* of scales and zero points, where there are several */
} vq_onnx_weights;

bool vq_onnx_read_weights(vq_onnx *o, uint32_t in, uint32_t zero_in, int64_t axis, vq_onnx_weights *w);
/* The weights as floats with n scales (1 or the size of the axis). */
vq_value vq_onnx_weights_scaled(vq_onnx *o, const vq_onnx_weights *w, const float *scale, uint32_t n);

/* Constant uint8 or int8 codes, not yet weights, as floats with n scales (1 or the size of axis). */
vq_value vq_onnx_codes_scaled(vq_onnx *o, vq_value codes, uint32_t axis, const float *scale, uint32_t n);

#endif
