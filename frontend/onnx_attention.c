/* SPDX-License-Identifier: MIT */
/* Importer of Attention (operator set 23): written out as products and softmax, which the fuse passes recognise. */
#include "frontend/onnx_attention.h"

#include <inttypes.h>
#include <math.h>

/* ---- what all forms share ---- */

vq_value vq_onnx_split_heads(vq_onnx *o, vq_value x, int64_t heads)
{
	vq_type t;

	if (!x.id)
		return x;
	t = *vq_type_of(o->g, x);
	if (t.rank != 3 || heads < 1 || t.dim[2] % heads) {
		vq_onnx_refuse(o,
			"%s cannot be split into %" PRId64
			" heads, expected rank 3 and heads that divide the last dimension",
			vq_type_text(o->arena, &t), heads);
		return VQ_NO_VALUE;
	}
	x = vq_onnx_reshape(o, x, 4, (int64_t[]){ t.dim[0], t.dim[1], heads, t.dim[2] / heads });
	return vq_onnx_transpose(o, x, (int64_t[]){ 0, 2, 1, 3 });
}

vq_value vq_onnx_join_heads(vq_onnx *o, vq_value x)
{
	vq_type t;

	x = vq_onnx_transpose(o, x, (int64_t[]){ 0, 2, 1, 3 });
	if (!x.id)
		return x;
	t = *vq_type_of(o->g, x);
	return vq_onnx_reshape(o, x, 3, (int64_t[]){ t.dim[0], t.dim[1], t.dim[2] * t.dim[3] });
}

/* every head of keys or values serves a group of heads of queries */
static vq_value repeat_heads(vq_onnx *o, vq_value x, int64_t times)
{
	vq_type t;

	if (!x.id || times == 1)
		return x;
	t = *vq_type_of(o->g, x);
	x = vq_onnx_reshape(o, x, 5, (int64_t[]){ t.dim[0], t.dim[1], 1, t.dim[2], t.dim[3] });
	x = vq_onnx_expand(o, x, 5, (int64_t[]){ t.dim[0], t.dim[1], times, t.dim[2], t.dim[3] });
	return vq_onnx_reshape(o, x, 4, (int64_t[]){ t.dim[0], t.dim[1] * times, t.dim[2], t.dim[3] });
}

vq_value vq_onnx_causal_bias(vq_onnx *o, int64_t queries, int64_t keys, int64_t offset)
{
	vq_type t = vq_type_make(VQ_F32, 2, (int64_t[]){ queries, keys });
	float *v;

	if (queries > (64 << 20) / keys) {
		vq_onnx_refuse(o, "the causal mask of %" PRId64 "x%" PRId64 " is too large", queries, keys);
		return VQ_NO_VALUE;
	}
	v = VQ_ARRAY(o->arena, (size_t)(queries * keys), float);
	for (int64_t q = 0; q < queries; q++)
		for (int64_t k = 0; k < keys; k++)
			v[q * keys + k] = k <= q + offset ? 0 : -INFINITY;
	return vq_add_const(o->g, &t, v, NULL);
}

vq_value vq_onnx_mask_bias(vq_onnx *o, vq_value keep, float value)
{
	vq_value bias = vq_onnx_scalar(o, value);

	return vq_onnx_3(o, VQ_OP_WHERE, keep, vq_onnx_scalar(o, 0), bias);
}

vq_value vq_onnx_add_bias(vq_onnx *o, vq_value a, vq_value b)
{
	return a.id && b.id ? vq_onnx_2(o, VQ_OP_ADD, a, b) : a.id ? a : b;
}

vq_value vq_onnx_shorter_than(vq_onnx *o, vq_value lengths, int64_t keys)
{
	int64_t batch;
	vq_value at;

	if (!lengths.id)
		return lengths;
	batch = vq_type_count(vq_type_of(o->g, lengths));
	at = vq_onnx_cast(o, vq_onnx_places(o, keys), vq_type_of(o->g, lengths)->elem);
	lengths = vq_onnx_reshape(o, lengths, 4, (int64_t[]){ batch, 1, 1, 1 });
	return vq_onnx_2(o, VQ_OP_LESS, at, lengths);
}

/* Zeros in the rows of y [B, heads, S, E] whose biases are all -inf; nothing to do if no row can be. */
static vq_value zero_empty_rows(vq_onnx *o, vq_value y, vq_value bias)
{
	uint32_t rank = bias.id ? vq_type_of(o->g, bias)->rank : 0;
	vq_value empty;
	const uint8_t *known;
	bool any = false;

	if (!rank || !y.id)
		return y;
	empty = vq_onnx_reduce(o, VQ_OP_REDUCE_MAX, bias, 1u << (rank - 1), true);
	empty = vq_onnx_2(o, VQ_OP_EQUAL, empty, vq_onnx_scalar(o, -INFINITY));
	known = vq_onnx_data_of(o, empty, VQ_BOOL);
	for (int64_t i = 0; known && i < vq_type_count(vq_type_of(o->g, empty)); i++)
		any |= known[i];
	return known && !any ? y : vq_onnx_3(o, VQ_OP_WHERE, empty, vq_onnx_scalar(o, 0), y);
}

vq_value vq_onnx_attend(vq_onnx *o, vq_onnx_attention *a)
{
	vq_type q, k, v;
	vq_value keys, y;

	if (!a->q.id || !a->k.id || !a->v.id)
		return VQ_NO_VALUE;
	q = *vq_type_of(o->g, a->q);
	k = *vq_type_of(o->g, a->k);
	v = *vq_type_of(o->g, a->v);
	if (q.rank != 4 || k.rank != 4 || v.rank != 4 || k.dim[1] != v.dim[1] || q.dim[1] % k.dim[1] ||
		q.dim[3] != k.dim[3] || k.dim[2] != v.dim[2] || q.dim[0] != k.dim[0] || k.dim[0] != v.dim[0]) {
		vq_onnx_refuse(o, "queries, keys and values of [batch, heads, length, depth] do not fit: %s, %s and %s",
			vq_type_text(o->arena, &q), vq_type_text(o->arena, &k), vq_type_text(o->arena, &v));
		return VQ_NO_VALUE;
	}
	keys = vq_onnx_transpose(o, repeat_heads(o, a->k, q.dim[1] / k.dim[1]), (int64_t[]){ 0, 1, 3, 2 });
	y = vq_onnx_build(o, VQ_OP_MATMUL, (vq_value[]){ a->q, keys }, 2, &(vq_attr){ 0 });
	y = vq_onnx_2(o, VQ_OP_MUL, y, vq_onnx_scalar(o, a->scale));
	if (a->softcap != 0) {
		y = vq_onnx_1(o, VQ_OP_TANH, vq_onnx_2(o, VQ_OP_MUL, y, vq_onnx_scalar(o, 1 / a->softcap)));
		y = vq_onnx_2(o, VQ_OP_MUL, y, vq_onnx_scalar(o, a->softcap));
	}
	a->scores = y;
	a->biased = y = vq_onnx_add_bias(o, y, a->bias);
	if (!y.id)
		return y;
	a->weights = vq_onnx_softmax(o, y, 3);
	y = vq_onnx_build(o, VQ_OP_MATMUL, (vq_value[]){ a->weights, repeat_heads(o, a->v, q.dim[1] / k.dim[1]) }, 2,
		&(vq_attr){ 0 });
	if (!a->empty_rows)
		return y;
	if (a->bias.id && vq_onnx_wants(o, 3))
		a->weights = zero_empty_rows(o, a->weights, a->bias);
	return zero_empty_rows(o, y, a->bias);
}

/* ---- Attention of the default domain ---- */

/* input `in` with heads in a dimension of their own; a tensor of rank 4 has that form already */
static vq_value heads_of(vq_onnx *o, uint32_t in, const char *attribute)
{
	int64_t heads;

	if (!vq_onnx_attr_int(o, attribute, 0, &heads))
		return VQ_NO_VALUE;
	return vq_onnx_in_type(o, in)->rank == 4 ? vq_onnx_in(o, in) : vq_onnx_split_heads(o, vq_onnx_in(o, in), heads);
}

/* keys or values behind those of an earlier call; output `out` is all of them */
static vq_value with_past(vq_onnx *o, vq_value x, uint32_t in, uint32_t out)
{
	if (vq_onnx_has(o, in))
		x = vq_onnx_build(
			o, VQ_OP_CONCAT, (vq_value[]){ vq_onnx_in(o, in), x }, 2, &(vq_attr){ .axis = { .axis = 2 } });
	if (x.id && vq_onnx_wants(o, out) && !vq_onnx_out(o, out, x))
		return VQ_NO_VALUE;
	return x;
}

/* input 3 as an additive one; keys it does not reach are masked */
static vq_value mask_of(vq_onnx *o, int64_t keys)
{
	vq_value mask = vq_onnx_in(o, 3);
	vq_type t;
	vq_attr pad = { 0 };

	if (!mask.id)
		return mask;
	t = *vq_type_of(o->g, mask);
	if (!t.rank || t.dim[t.rank - 1] > keys || t.rank > 4) {
		vq_onnx_refuse(o, "the mask is %s, expected one to 4 dimensions, the last at most %" PRId64,
			vq_type_text(o->arena, &t), keys);
		return VQ_NO_VALUE;
	}
	if (t.elem == VQ_BOOL)
		mask = vq_onnx_mask_bias(o, mask, -INFINITY);
	pad.pad.after[t.rank - 1] = keys - t.dim[t.rank - 1];
	pad.pad.value = -INFINITY;
	return pad.pad.after[t.rank - 1] && t.dim[t.rank - 1] > 1 ? vq_onnx_build(o, VQ_OP_PAD, &mask, 1, &pad) : mask;
}

/* the sum of all masks; *ok false after an error */
static vq_value bias_of(vq_onnx *o, int64_t queries, int64_t keys, bool *ok)
{
	vq_value bias = VQ_NO_VALUE, lengths = vq_onnx_in(o, 6);
	int64_t past = vq_onnx_has(o, 4) ? vq_onnx_in_type(o, 4)->dim[2] : 0;
	bool causal;

	*ok = vq_onnx_attr_bool(o, "is_causal", false, &causal);
	if (!*ok)
		return bias;
	if (vq_onnx_has(o, 3)) {
		bias = mask_of(o, keys);
		*ok = bias.id != 0;
	}
	if (*ok && lengths.id) {
		vq_value keep = vq_onnx_shorter_than(o, lengths, keys);

		bias = vq_onnx_add_bias(o, bias, vq_onnx_mask_bias(o, keep, -INFINITY));
		*ok = bias.id &&
			(!causal || vq_onnx_refuse(o, "is_causal together with nonpad_kv_seqlen is not supported"));
	}
	if (*ok && causal) {
		bias = vq_onnx_add_bias(o, bias, vq_onnx_causal_bias(o, queries, keys, past));
		*ok = bias.id != 0;
	}
	return bias;
}

/* output 3, the scores at the stage that qk_matmul_output_mode says */
static bool scores_output(vq_onnx *o, const vq_onnx_attention *a)
{
	int64_t mode;

	if (!vq_onnx_attr_int(o, "qk_matmul_output_mode", 0, &mode))
		return false;
	if (!vq_onnx_wants(o, 3))
		return true;
	if (mode < 0 || mode > 3)
		return vq_onnx_refuse(o, "attribute 'qk_matmul_output_mode' is %" PRId64 ", expected 0 to 3", mode);
	return vq_onnx_out(o, 3, mode == 3 ? a->weights : mode == 2 ? a->biased : a->scores);
}

bool vq_import_attention(vq_onnx *o)
{
	vq_onnx_attention a = { .empty_rows = true };
	bool ok, joined = vq_onnx_in_type(o, 0)->rank == 3;
	vq_value y;

	vq_onnx_attr_ignore(o, "softmax_precision"); /* float32 is what we compute in */
	if (vq_onnx_has(o, 4) != vq_onnx_has(o, 5))
		return vq_onnx_refuse(o, "past keys come without past values, or the other way round");
	a.q = heads_of(o, 0, "q_num_heads");
	a.k = with_past(o, heads_of(o, 1, "kv_num_heads"), 4, 1);
	a.v = with_past(o, heads_of(o, 2, "kv_num_heads"), 5, 2);
	if (!a.q.id || !a.k.id || !a.v.id || !vq_onnx_attr_float(o, "softcap", 0, &a.softcap) ||
		!vq_onnx_attr_float(o, "scale", 1 / sqrtf((float)vq_type_of(o->g, a.q)->dim[3]), &a.scale))
		return false;
	a.bias = bias_of(o, vq_type_of(o->g, a.q)->dim[2], vq_type_of(o->g, a.k)->dim[2], &ok);
	if (!ok)
		return false;
	y = vq_onnx_attend(o, &a);
	return scores_output(o, &a) && vq_onnx_out(o, 0, joined ? vq_onnx_join_heads(o, y) : y);
}
