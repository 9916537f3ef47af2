/* SPDX-License-Identifier: MIT */
/* Importers of RotaryEmbedding: of operator set 23, and ONNX Runtime's with other inputs. */
#include "frontend/onnx_attention.h"

#include <inttypes.h>

/* How x is turned. */
typedef struct rotary {
	vq_value cos, sin; /* [B or 1, S, turned / 2] */
	int64_t turned;    /* of the depth, from its start */
	bool interleaved;  /* pairs are neighbours, else halves apart */
} rotary;

/* x [B, heads, S, D]: each pair (a, b) of the turned part becomes (a cos - b sin, a sin + b cos) */
static vq_value turn(vq_onnx *o, vq_value x, const rotary *r)
{
	vq_type t = *vq_type_of(o->g, x), tc = *vq_type_of(o->g, r->cos);
	int64_t half = r->turned / 2, step = r->interleaved ? 2 : 1, second = r->interleaved ? 1 : half;
	int64_t beside[4] = { tc.dim[0], 1, tc.dim[1], half };
	vq_value cos = vq_onnx_reshape(o, r->cos, 4, beside), sin = vq_onnx_reshape(o, r->sin, 4, beside);
	vq_value a = vq_onnx_slice(o, x, 3, 0, step, half), b = vq_onnx_slice(o, x, 3, second, step, half), y[2], rest;

	y[0] = vq_onnx_2(o, VQ_OP_MUL, b, sin);
	y[0] = vq_onnx_2(o, VQ_OP_SUB, vq_onnx_2(o, VQ_OP_MUL, a, cos), y[0]);
	y[1] = vq_onnx_2(o, VQ_OP_MUL, b, cos);
	y[1] = vq_onnx_2(o, VQ_OP_ADD, vq_onnx_2(o, VQ_OP_MUL, a, sin), y[1]);
	for (int i = 0; i < 2 && r->interleaved; i++)
		y[i] = vq_onnx_reshape(o, y[i], 5, (int64_t[]){ t.dim[0], t.dim[1], t.dim[2], half, 1 });
	y[0] = vq_onnx_build(o, VQ_OP_CONCAT, y, 2, &(vq_attr){ .axis = { .axis = r->interleaved ? 4 : 3 } });
	y[0] = vq_onnx_reshape(o, y[0], 4, (int64_t[]){ t.dim[0], t.dim[1], t.dim[2], r->turned });
	if (r->turned == t.dim[3])
		return y[0];
	rest = vq_onnx_slice(o, x, 3, r->turned, 1, t.dim[3] - r->turned);
	return vq_onnx_build(o, VQ_OP_CONCAT, (vq_value[]){ y[0], rest }, 2, &(vq_attr){ .axis = { .axis = 3 } });
}

/* x as [B, heads, S, D] */
static vq_value heads_of_input(vq_onnx *o, int64_t heads, int64_t depth)
{
	vq_type t = *vq_onnx_in_type(o, 0);

	if (t.rank == 4)
		return vq_onnx_in(o, 0);
	if (t.rank == 3 && !heads && depth)
		heads = t.dim[2] / depth;
	return vq_onnx_split_heads(o, vq_onnx_in(o, 0), heads);
}

static bool finish(vq_onnx *o, vq_value x, rotary *r)
{
	vq_type t, tc, ts;
	vq_value y;

	if (!x.id || !r->cos.id || !r->sin.id)
		return false;
	t = *vq_type_of(o->g, x);
	tc = *vq_type_of(o->g, r->cos);
	ts = *vq_type_of(o->g, r->sin);
	if (!r->turned)
		r->turned = t.dim[3];
	if (r->turned < 2 || r->turned % 2 || r->turned > t.dim[3])
		return vq_onnx_refuse(
			o, "%" PRId64 " of %" PRId64 " elements cannot be turned in pairs", r->turned, t.dim[3]);
	if (tc.rank != 3 || !vq_same_shape(&tc, &ts) || tc.dim[1] != t.dim[2] || tc.dim[2] != r->turned / 2 ||
		(tc.dim[0] != t.dim[0] && tc.dim[0] != 1))
		return vq_onnx_refuse(o,
			"cosines and sines are %s and %s, expected [%" PRId64 ",%" PRId64 ",%" PRId64 "]",
			vq_type_text(o->arena, &tc), vq_type_text(o->arena, &ts), t.dim[0], t.dim[2], r->turned / 2);
	y = turn(o, x, r);
	return vq_onnx_out(o, 0, vq_onnx_in_type(o, 0)->rank == 3 ? vq_onnx_join_heads(o, y) : y);
}

static vq_value rows_at(vq_onnx *o, vq_value table, vq_value positions)
{
	return vq_onnx_build(o, VQ_OP_GATHER, (vq_value[]){ table, positions }, 2, &(vq_attr){ .axis = { .axis = 0 } });
}

bool vq_import_rotary(vq_onnx *o)
{
	rotary r = { .cos = vq_onnx_in(o, 1), .sin = vq_onnx_in(o, 2) };
	int64_t heads;

	if (!vq_onnx_attr_int(o, "num_heads", 0, &heads) ||
		!vq_onnx_attr_int(o, "rotary_embedding_dim", 0, &r.turned) ||
		!vq_onnx_attr_bool(o, "interleaved", false, &r.interleaved))
		return false;
	if (vq_onnx_has(o, 3)) {
		r.cos = rows_at(o, r.cos, vq_onnx_in(o, 3));
		r.sin = rows_at(o, r.sin, vq_onnx_in(o, 3));
	}
	return finish(o, heads_of_input(o, heads, 0), &r);
}

/* positions [B,S], or [1]: the first one */
bool vq_import_ms_rotary(vq_onnx *o)
{
	rotary r = { .cos = vq_onnx_in(o, 2), .sin = vq_onnx_in(o, 3) };
	vq_value x, at, positions = vq_onnx_in(o, 1);
	int64_t heads, packed, length;

	vq_onnx_attr_ignore(o, "scale"); /* ONNX Runtime does not use it either */
	if (!vq_onnx_attr_int(o, "num_heads", 0, &heads) ||
		!vq_onnx_attr_int(o, "rotary_embedding_dim", 0, &r.turned) ||
		!vq_onnx_attr_bool(o, "interleaved", false, &r.interleaved) ||
		!vq_onnx_attr_int(o, "is_packed_batching", 0, &packed))
		return false;
	if (packed)
		return vq_onnx_refuse(o, "attribute 'is_packed_batching' is %" PRId64 ", expected 0", packed);
	if (vq_type_of(o->g, r.cos)->rank != 2)
		return vq_onnx_refuse(o, "cosines are %s, expected [positions, depth / 2]",
			vq_type_text(o->arena, vq_type_of(o->g, r.cos)));
	x = heads_of_input(o, heads, 2 * vq_type_of(o->g, r.cos)->dim[1]);
	if (!x.id)
		return false;
	length = vq_type_of(o->g, x)->dim[2];
	if (vq_type_count(vq_type_of(o->g, positions)) == 1 && vq_type_of(o->g, positions)->rank <= 1) {
		at = vq_onnx_reshape(o, vq_onnx_places(o, length), 2, (int64_t[]){ 1, length });
		positions = vq_onnx_2(o, VQ_OP_ADD, vq_onnx_cast(o, positions, VQ_I64), at);
	}
	r.cos = rows_at(o, r.cos, positions);
	r.sin = rows_at(o, r.sin, positions);
	return finish(o, x, &r);
}
