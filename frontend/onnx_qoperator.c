/* SPDX-License-Identifier: MIT */
/*
 * Importers of operators on codes (QOperator form): dequantize, the operator in floats, quantize, which is the QDQ form of
 * the same.
 */
#include "frontend/onnx_conv.h"
#include "frontend/onnx_matmul.h"
#include "frontend/onnx_names.h"
#include "frontend/onnx_quant.h"

#include <inttypes.h>

bool vq_import_qlinear_matmul(vq_onnx *o)
{
	vq_value a = vq_onnx_dequantized(o, 0, 1, 2, -2), b = vq_onnx_dequantized(o, 3, 4, 5, -1), y;

	y = vq_onnx_build(o, VQ_OP_MATMUL, (vq_value[]){ a, b }, 2, &(vq_attr){ 0 });
	return vq_onnx_out(o, 0, vq_onnx_quantized(o, y, 6, 7, -1, false));
}

bool vq_import_qlinear_binary(vq_onnx *o)
{
	vq_value y = vq_onnx_dequantized(o, 3, 4, 5, 0);

	y = vq_onnx_2(o, o->op->ir, vq_onnx_dequantized(o, 0, 1, 2, 0), y);
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

/* ---- operators that have a float one with the same attributes ---- */

/*
 * What `import` makes of these inputs, with the attributes of the current node: for it, the node is that of the float
 * operator. Its result, VQ_NO_VALUE after an error.
 */
static vq_value in_floats(vq_onnx *o, vq_onnx_importer *import, const vq_value *in, uint32_t n)
{
	const Onnx__NodeProto *node = o->node;
	Onnx__NodeProto inner = *node;
	char **name = VQ_ARRAY(o->arena, n + 1, char *);
	vq_value y = VQ_NO_VALUE;
	uint32_t id;

	for (uint32_t i = 0; i < n; i++) {
		name[i] = (char *)"";
		if (!in[i].id)
			continue;
		name[i] = (char *)vq_arena_printf(o->arena, "input %u of %s in floats", (unsigned)i, o->where);
		id = vq_onnx_name_id(o, name[i]);
		o->name[id].state = VQ_ONNX_VALUE;
		o->name[id].value = in[i];
	}
	name[n] = (char *)vq_arena_printf(o->arena, "%s in floats", o->where);
	id = vq_onnx_name_id(o, name[n]);
	inner.input = name;
	inner.n_input = n;
	inner.output = &name[n];
	inner.n_output = 1;
	o->node = &inner;
	if (import(o))
		y = o->name[id].value;
	o->node = node;
	return y;
}

/* x, its scale and zero point, those of the result */
static bool one_operand(vq_onnx *o, vq_onnx_importer *import)
{
	vq_value x = vq_onnx_dequantized(o, 0, 1, 2, 0);

	if (x.id)
		x = in_floats(o, import, &x, 1);
	return vq_onnx_out(o, 0, vq_onnx_quantized(o, x, 3, 4, 0, false));
}

bool vq_import_qlinear_unary(vq_onnx *o) { return one_operand(o, vq_import_unary); }

bool vq_import_qlinear_leaky_relu(vq_onnx *o) { return one_operand(o, vq_import_leaky_relu); }

/* attribute opset: which definition of Softmax the node was made from */
bool vq_import_qlinear_softmax(vq_onnx *o)
{
	int64_t opset;

	if (!vq_onnx_attr_int(o, "opset", o->model->opset, &opset))
		return false;
	if ((opset < 13) != (o->model->opset < 13))
		return vq_onnx_refuse(o, "attribute 'opset' is %" PRId64 ", but the model's operator set is %" PRId64,
			opset, (int64_t)o->model->opset);
	return one_operand(o, vq_import_softmax);
}

static bool channels_second(vq_onnx *o)
{
	bool last;

	if (!vq_onnx_attr_bool(o, "channels_last", false, &last))
		return false;
	return !last || vq_onnx_refuse(o, "attribute 'channels_last' is 1, expected 0");
}

bool vq_import_qlinear_global_pool(vq_onnx *o) { return channels_second(o) && one_operand(o, vq_import_global_pool); }

bool vq_import_qlinear_average_pool(vq_onnx *o) { return channels_second(o) && one_operand(o, vq_import_average_pool); }

/* scale and zero point of the result, then three inputs per part */
bool vq_import_qlinear_concat(vq_onnx *o)
{
	uint32_t n = vq_onnx_inputs(o) < 2 ? 0 : (vq_onnx_inputs(o) - 2) / 3;
	vq_value *part = VQ_ARRAY(o->arena, n + 1, vq_value);

	if (!n || vq_onnx_inputs(o) != 2 + 3 * n)
		return vq_onnx_refuse(
			o, "it has %u inputs, expected 2 and 3 for each part", (unsigned)vq_onnx_inputs(o));
	for (uint32_t i = 0; i < n; i++) {
		part[i] = vq_onnx_dequantized(o, 2 + 3 * i, 3 + 3 * i, 4 + 3 * i, 0);
		if (!part[i].id)
			return false;
	}
	return vq_onnx_out(o, 0, vq_onnx_quantized(o, in_floats(o, vq_import_concat, part, n), 0, 1, 0, false));
}

/* a (0 to 2), b (3 to 5), an int32 bias (6) at the scale of the products, the result's scale and zero point or none */
bool vq_import_qgemm(vq_onnx *o)
{
	bool trans_b;
	float alpha, scale;
	vq_value in[3] = { VQ_NO_VALUE, VQ_NO_VALUE, VQ_NO_VALUE }, y;

	if (!vq_onnx_attr_bool(o, "transB", false, &trans_b) || !vq_onnx_attr_float(o, "alpha", 1, &alpha) ||
		!vq_onnx_float(o, 1, "scale of a", &scale))
		return false;
	in[0] = vq_onnx_dequantized(o, 0, 1, 2, 0);
	in[1] = vq_onnx_dequantized(o, 3, 4, 5, trans_b ? 0 : 1);
	if (vq_onnx_has(o, 6)) {
		in[2] = vq_onnx_bias(o, 6, 4, (double)scale * (double)alpha);
		if (!in[2].id)
			return false;
	}
	if (!in[0].id || !in[1].id)
		return false;
	y = in_floats(o, vq_import_gemm, in, 3);
	return vq_onnx_out(o, 0, vq_onnx_has(o, 7) ? vq_onnx_quantized(o, y, 7, 8, 0, false) : y);
}

/* input, weight, bias, scales of the first two, mask, their zero points, past; the result is not quantized */
bool vq_import_qattention(vq_onnx *o)
{
	vq_value x = vq_onnx_unquantized(o, 0, 3, 6, 0), w = vq_onnx_dequantized(o, 1, 4, 7, 1);

	if (!x.id || !w.id)
		return false;
	if (vq_onnx_has(o, 8))
		return vq_onnx_refuse(o, "input 8 is a cache of past keys and values, which is not supported");
	return vq_onnx_out(o, 0,
		in_floats(o, vq_import_ms_attention, (vq_value[]){ x, w, vq_onnx_in(o, 2), vq_onnx_in(o, 5) }, 4));
}
