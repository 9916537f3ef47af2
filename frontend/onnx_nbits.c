/* SPDX-License-Identifier: MIT */
/*
 * MatMulNBits of com.microsoft: weights of 2, 4 or 8 bits with a scale per block of K, as ONNX Runtime's tools write language models
 * and embedders ("model_q4.onnx"). The weights become the floats that they stand for, exactly; -quant decides how the product is
 * computed, as of any float model.
 */
#include "frontend/onnx_matmul.h"

#include <inttypes.h>

/* Weights of a node. */
typedef struct nbits {
	int64_t k, n, block, bits;
	int64_t blocks;       /* of a column */
	const uint8_t *codes; /* [n][blocks][block * bits / 8], the first code in the lowest bits */
	const float *scale;   /* [n][blocks] */
	const uint8_t *zero;  /* [n][(blocks * bits + 7) / 8], packed likewise; NULL: see below */
	const float *zerof;   /* [n][blocks]; NULL too: the middle of the codes */
} nbits;

static uint32_t code_at(const uint8_t *row, int64_t i, int64_t bits)
{
	return (uint32_t)row[i * bits / 8] >> i * bits % 8 & ((1u << bits) - 1);
}

/* Constant input i of count elements; NULL after an error. */
static const void *constant(vq_onnx *o, uint32_t i, const char *what, vq_elem elem, int64_t count)
{
	const vq_type *t = vq_onnx_in_type(o, i);
	const void *data = vq_onnx_data_of(o, vq_onnx_in(o, i), elem);

	if (data && vq_type_count(t) == count)
		return data;
	vq_onnx_refuse(o, "input %u (%s) is %s%s, expected a constant of %" PRId64 " elements of %s", (unsigned)i, what,
		vq_is_const(o->g, vq_onnx_in(o, i)) ? "" : "no constant, ", vq_type_text(o->arena, t), count,
		vq_elem_name(elem));
	return NULL;
}

static bool read_zeros(vq_onnx *o, nbits *w)
{
	if (!vq_onnx_has(o, 3))
		return true;
	if (vq_onnx_in_type(o, 3)->elem == VQ_F32)
		w->zerof = constant(o, 3, "zero points", VQ_F32, w->n * w->blocks);
	else
		w->zero = constant(o, 3, "zero points", VQ_U8, w->n * ((w->blocks * w->bits + 7) / 8));
	return w->zero || w->zerof;
}

static bool read_weights(vq_onnx *o, nbits *w)
{
	enum { MOST = 1 << 24 };

	vq_onnx_attr_ignore(o, "accuracy_level"); /* of how ONNX Runtime computes */
	if (!vq_onnx_attr_int(o, "K", 0, &w->k) || !vq_onnx_attr_int(o, "N", 0, &w->n) ||
		!vq_onnx_attr_int(o, "block_size", 0, &w->block) || !vq_onnx_attr_int(o, "bits", 4, &w->bits))
		return false;
	if (w->bits != 2 && w->bits != 4 && w->bits != 8)
		return vq_onnx_refuse(o, "attribute 'bits' is %" PRId64 ", expected 2, 4 or 8", w->bits);
	if (w->k < 1 || w->n < 1 || w->k > MOST || w->n > MOST)
		return vq_onnx_refuse(o, "attributes 'K' and 'N' are %" PRId64 " and %" PRId64 ", expected 1 to %d",
			w->k, w->n, (int)MOST);
	if (w->block < 16 || w->block > MOST || (w->block & (w->block - 1)))
		return vq_onnx_refuse(
			o, "attribute 'block_size' is %" PRId64 ", expected a power of two from 16 on", w->block);
	if (vq_onnx_has(o, 4)) {
		vq_onnx_refuse(o, "input 4 (g_idx) is given; weights in the order of groups are not supported");
		vq_hint(o->diag,
			"quantize without reordering (GPTQ's desc_act, act_order), or give vitqc the float model");
		return false;
	}
	w->blocks = (w->k + w->block - 1) / w->block;
	w->codes = constant(o, 1, "weights", VQ_U8, w->n * w->blocks * (w->block * w->bits / 8));
	w->scale = w->codes ? constant(o, 2, "scales", VQ_F32, w->n * w->blocks) : NULL;
	return w->scale && read_zeros(o, w);
}

bool vq_import_matmul_nbits(vq_onnx *o)
{
	nbits w = { .zero = NULL };
	vq_value y;
	vq_type t;
	float *v;

	if (!read_weights(o, &w))
		return false;
	t = vq_type_make(VQ_F32, 2, (const int64_t[]){ w.k, w.n });
	v = VQ_ARRAY(o->arena, (size_t)(w.k * w.n), float);
	for (int64_t n = 0; n < w.n; n++) {
		const uint8_t *row = w.codes + n * w.blocks * (w.block * w.bits / 8);
		const uint8_t *zeros = w.zero ? w.zero + n * ((w.blocks * w.bits + 7) / 8) : NULL;

		for (int64_t k = 0; k < w.k; k++) {
			int64_t b = k / w.block, at = n * w.blocks + b;
			float zero = zeros ? (float)code_at(zeros, b, w.bits)
				: w.zerof  ? w.zerof[at]
					   : (float)(1u << (w.bits - 1));

			v[k * w.n + n] = ((float)code_at(row, k, w.bits) - zero) * w.scale[at];
		}
	}
	y = vq_onnx_matmul(o, vq_onnx_in(o, 0), vq_add_const(o->g, &t, v, vq_onnx_input_name(o, 1)->name));
	if (vq_onnx_has(o, 5))
		y = vq_onnx_2(o, VQ_OP_ADD, y, vq_onnx_in(o, 5));
	return vq_onnx_out(o, 0, y);
}
