/*
 * Importers of operators on codes (QOperator form): dequantize, the operator in floats, quantize, which is the QDQ form of
 * the same.
 */
#include "frontend/onnx_conv.h"
#include "frontend/onnx_quant.h"

bool vq_import_qlinear_matmul(vq_onnx *o)
{
	vq_value a = vq_onnx_dequantized(o, 0, 1, 2, -2), b = vq_onnx_dequantized(o, 3, 4, 5, -1), y;

	y = vq_onnx_build(o, VQ_OP_MATMUL, (vq_value[]){ a, b }, 2, &(vq_attr){ 0 });
	return vq_onnx_out(o, 0, vq_onnx_quantized(o, y, 6, 7, -1, false));
}

bool vq_import_qlinear_binary(vq_onnx *o)
{
	vq_value y = vq_onnx_2(o, o->op->ir, vq_onnx_dequantized(o, 0, 1, 2, 0), vq_onnx_dequantized(o, 3, 4, 5, 0));

	return vq_onnx_out(o, 0, vq_onnx_quantized(o, y, 6, 7, 0, false));
}

/* its int32 bias has the scale of the products and no parameters of its own */
bool vq_import_qlinear_conv(vq_onnx *o)
{
	vq_value x = vq_onnx_dequantized(o, 0, 1, 2, 1), w = vq_onnx_dequantized(o, 3, 4, 5, 0), bias = VQ_NO_VALUE;
	float scale;

	if (!x.id || !w.id || !vq_onnx_float(o, 1, "scale of x", &scale))
		return false;
	if (vq_onnx_has(o, 8)) {
		bias = vq_onnx_bias(o, 8, 4, (double)scale);
		if (!bias.id)
			return false;
	}
	return vq_onnx_out(o, 0, vq_onnx_quantized(o, vq_onnx_conv(o, x, w, bias), 6, 7, 1, false));
}
