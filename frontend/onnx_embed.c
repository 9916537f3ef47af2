/* SPDX-License-Identifier: MIT */
/* Importer of ONNX Runtime's EmbedLayerNormalization: the rows of words, positions and segments, added and normalised. */
#include "frontend/onnx_node.h"

#include <inttypes.h>

/* rows [B, S, D] or [1, S, D] of a table at ids [B, S] */
static vq_value rows_of(vq_onnx *o, vq_value table, vq_value ids)
{
	return vq_onnx_build(o, VQ_OP_GATHER, (vq_value[]){ table, ids }, 2, &(vq_attr){ .axis = { .axis = 0 } });
}

/* positions 0 to S - 1 where there are no ids of them */
static vq_value positions(vq_onnx *o, int64_t length)
{
	vq_value table = vq_onnx_in(o, 3);
	vq_type t = *vq_type_of(o->g, table);

	if (vq_onnx_has(o, 8))
		return rows_of(o, table, vq_onnx_in(o, 8));
	if (t.rank != 2 || t.dim[0] < length) {
		vq_onnx_refuse(o, "the table of positions is %s, expected at least %" PRId64 " rows",
			vq_type_text(o->arena, &t), length);
		return VQ_NO_VALUE;
	}
	return vq_onnx_slice(o, table, 0, 0, 1, length);
}

/* output 1: how many tokens of each sequence the mask shows; without a mask ONNX Runtime gives zeros */
static bool lengths(vq_onnx *o, const vq_type *ids)
{
	vq_value mask = vq_onnx_in(o, 7), n;

	if (!vq_onnx_wants(o, 1))
		return true;
	if (!mask.id)
		return vq_onnx_out(o, 1, vq_onnx_cast(o, vq_onnx_filled(o, 0, ids->dim[0]), VQ_I32));
	n = vq_onnx_2(o, VQ_OP_EQUAL, mask, vq_onnx_number(o, mask, 1));
	n = vq_onnx_reduce(o, VQ_OP_REDUCE_SUM, vq_onnx_cast(o, n, VQ_F32), 1u << 1, false);
	return vq_onnx_out(o, 1, vq_onnx_cast(o, n, VQ_I32));
}

bool vq_import_embed_layernorm(vq_onnx *o)
{
	static const uint32_t needed[] = { 2, 3, 5, 6 };
	vq_type ids = *vq_onnx_in_type(o, 0);
	vq_value sum;
	float epsilon;

	vq_onnx_attr_ignore(o, "mask_index_type"); /* of output 1, an int32 in either case */
	if (!vq_onnx_attr_float(o, "epsilon", 1e-12f, &epsilon))
		return false;
	for (uint32_t i = 0; i < 4; i++)
		if (!vq_onnx_has(o, needed[i]))
			return vq_onnx_refuse(o, "input %u is missing", (unsigned)needed[i]);
	if (ids.rank != 2 || vq_onnx_has(o, 1) != vq_onnx_has(o, 4))
		return vq_onnx_refuse(o, "ids are %s, expected [batch, length], and segments need both ids and a table",
			vq_type_text(o->arena, &ids));
	sum = positions(o, ids.dim[1]);
	sum = vq_onnx_2(o, VQ_OP_ADD, rows_of(o, vq_onnx_in(o, 2), vq_onnx_in(o, 0)), sum);
	if (vq_onnx_has(o, 1))
		sum = vq_onnx_2(o, VQ_OP_ADD, sum, rows_of(o, vq_onnx_in(o, 4), vq_onnx_in(o, 1)));
	return vq_onnx_out(o, 0, vq_onnx_layernorm(o, sum, vq_onnx_in(o, 5), vq_onnx_in(o, 6), epsilon)) &&
		(!vq_onnx_wants(o, 2) || vq_onnx_out(o, 2, sum)) && lengths(o, &ids);
}
