/* SPDX-License-Identifier: MIT */
/*
 * Importers of the attention that ONNX Runtime's transformer optimizer writes: one node with the projections' weights
 * (Attention), or behind them (MultiHeadAttention).
 */
#include "frontend/onnx_attention.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* attributes that both have; the scale is the usual one where it is absent or 0 */
static bool read_common(vq_onnx *o, int64_t *heads, float *scale, float *filter, bool *causal)
{
	if (!vq_onnx_attr_int(o, "num_heads", 0, heads) || !vq_onnx_attr_float(o, "scale", 0, scale) ||
		!vq_onnx_attr_float(o, "mask_filter_value", -10000.0f, filter) ||
		!vq_onnx_attr_bool(o, "unidirectional", false, causal))
		return false;
	return *heads > 0 || vq_onnx_refuse(o, "attribute 'num_heads' is %" PRId64 ", expected at least 1", *heads);
}

static bool no_cache(vq_onnx *o, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i <= to; i++)
		if (vq_onnx_has(o, i)) {
			vq_onnx_refuse(
				o, "input %u is a cache of past keys and values, which is not supported", (unsigned)i);
			vq_hint(o->diag, "export the model without a key-value cache: use_cache=False");
			return false;
		}
	return true;
}

/* integers or bool: true where not 0 */
static vq_value truth(vq_onnx *o, vq_value mask)
{
	if (vq_type_of(o->g, mask)->elem == VQ_BOOL)
		return mask;
	return vq_onnx_2(o, VQ_OP_LESS, vq_onnx_number(o, mask, 0), mask);
}

/* position >= start and position < end, both [B] in one list: ends, then starts */
static vq_value between(vq_onnx *o, vq_value list, int64_t batch, int64_t keys)
{
	vq_value ends = vq_onnx_slice(o, list, 0, 0, 1, batch), starts = vq_onnx_slice(o, list, 0, batch, 1, batch);

	starts = vq_onnx_1(o, VQ_OP_NOT, vq_onnx_shorter_than(o, starts, keys));
	return vq_onnx_2(o, VQ_OP_AND, vq_onnx_shorter_than(o, ends, keys), starts);
}

/*
 * The mask of keys in one of its forms as an additive one: lengths [B], ends and starts [2B], or what to see as [B,T], [B,S,T]
 * or [B,1,S,T].
 */
static vq_value key_mask(vq_onnx *o, uint32_t in, int64_t batch, int64_t queries, int64_t keys, float filter)
{
	vq_value mask = vq_onnx_in(o, in);
	vq_type t = *vq_type_of(o->g, mask);
	int64_t n = vq_type_count(&t);

	if (t.rank == 1 && n == batch)
		return vq_onnx_mask_bias(o, vq_onnx_shorter_than(o, mask, keys), filter);
	if (t.rank == 1 && n == 2 * batch)
		return vq_onnx_mask_bias(o, between(o, mask, batch, keys), filter);
	if (t.rank == 2 && t.dim[0] == batch && t.dim[1] == keys)
		return vq_onnx_mask_bias(
			o, truth(o, vq_onnx_reshape(o, mask, 4, (int64_t[]){ batch, 1, 1, keys })), filter);
	if ((t.rank == 3 || t.rank == 4) && n == batch * queries * keys && t.dim[0] == batch)
		return vq_onnx_mask_bias(
			o, truth(o, vq_onnx_reshape(o, mask, 4, (int64_t[]){ batch, 1, queries, keys })), filter);
	vq_onnx_refuse(o,
		"the mask is %s, expected lengths [%" PRId64 "], ends and starts, or [%" PRId64 ",%" PRId64
		"], with [%" PRId64 "] queries between",
		vq_type_text(o->arena, &t), batch, batch, keys, queries);
	return VQ_NO_VALUE;
}

/* masks and biases of a, from inputs mask and bias; false after an error */
static bool add_biases(vq_onnx *o, vq_onnx_attention *a, uint32_t mask, uint32_t bias, float filter, bool causal)
{
	vq_type q, k;

	if (!a->q.id || !a->k.id || !a->v.id)
		return false;
	q = *vq_type_of(o->g, a->q);
	k = *vq_type_of(o->g, a->k);
	if (vq_onnx_has(o, mask)) {
		a->bias = key_mask(o, mask, q.dim[0], q.dim[2], k.dim[2], filter);
		if (!a->bias.id)
			return false;
	}
	if (causal)
		a->bias = vq_onnx_add_bias(o, a->bias, vq_onnx_causal_bias(o, q.dim[2], k.dim[2], 0));
	a->bias = vq_onnx_add_bias(o, a->bias, vq_onnx_in(o, bias));
	if (a->scale == 0)
		a->scale = 1 / sqrtf((float)q.dim[3]);
	return true;
}

/* columns [from, from + n) of the projection x W + b */
static vq_value project(vq_onnx *o, int64_t from, int64_t n)
{
	vq_value w = vq_onnx_slice(o, vq_onnx_in(o, 1), 1, from, 1, n), y;

	y = vq_onnx_build(o, VQ_OP_MATMUL, (vq_value[]){ vq_onnx_in(o, 0), w }, 2, &(vq_attr){ 0 });
	return vq_onnx_has(o, 2) ? vq_onnx_2(o, VQ_OP_ADD, y, vq_onnx_slice(o, vq_onnx_in(o, 2), 0, from, 1, n)) : y;
}

/* widths of q, k and v in the columns of the weights */
static bool read_widths(vq_onnx *o, int64_t *width)
{
	vq_type x = *vq_onnx_in_type(o, 0), w = *vq_onnx_in_type(o, 1);
	uint32_t n;

	if (!vq_onnx_attr_ints(o, "qkv_hidden_sizes", width, 3, &n))
		return false;
	if (x.rank != 3 || w.rank != 2 || w.dim[0] != x.dim[2] || (n && n != 3))
		return vq_onnx_refuse(o,
			"input and weights are %s and %s, expected [batch, length, width] and [width, q + k + v]",
			vq_type_text(o->arena, &x), vq_type_text(o->arena, &w));
	for (uint32_t i = 0; i < 3 && !n; i++)
		width[i] = w.dim[1] / 3;
	if (width[0] < 1 || width[1] < 1 || width[2] < 1 || width[0] > w.dim[1] || width[1] > w.dim[1] ||
		width[2] > w.dim[1] || width[0] + width[1] + width[2] != w.dim[1] ||
		(vq_onnx_has(o, 2) && (vq_onnx_in_type(o, 2)->rank != 1 || vq_onnx_in_type(o, 2)->dim[0] != w.dim[1])))
		return vq_onnx_refuse(o,
			"the %" PRId64 " columns of the weights are not q, k and v of %" PRId64 ", %" PRId64
			" and %" PRId64 ", with a bias for each",
			w.dim[1], width[0], width[1], width[2]);
	return true;
}

bool vq_import_ms_attention(vq_onnx *o)
{
	vq_onnx_attention a = { 0 };
	int64_t heads, width[3], rotary;
	float filter;
	bool causal;

	vq_onnx_attr_ignore(o, "past_present_share_buffer"); /* of a cache */
	vq_onnx_attr_ignore(o, "rotary_embedding_dim");
	if (!read_common(o, &heads, &a.scale, &filter, &causal) || !vq_onnx_attr_int(o, "do_rotary", 0, &rotary) ||
		!no_cache(o, 4, 4) || !no_cache(o, 6, 6) || !read_widths(o, width))
		return false;
	if (rotary)
		return vq_onnx_refuse(o, "attribute 'do_rotary' is %" PRId64 ", expected 0", rotary);
	a.q = vq_onnx_split_heads(o, project(o, 0, width[0]), heads);
	a.k = vq_onnx_split_heads(o, project(o, width[0], width[1]), heads);
	a.v = vq_onnx_split_heads(o, project(o, width[0] + width[1], width[2]), heads);
	return add_biases(o, &a, 3, 5, filter, causal) &&
		vq_onnx_out(o, 0, vq_onnx_join_heads(o, vq_onnx_attend(o, &a)));
}

/* part i of n of x [B, S, heads, n, D], as [B, S, heads * D] */
static vq_value packed_part(vq_onnx *o, vq_value x, int64_t i, int64_t n)
{
	vq_type t = *vq_type_of(o->g, x);

	if (t.rank != 5 || t.dim[3] != n) {
		vq_onnx_refuse(
			o, "%s is not [batch, length, heads, %" PRId64 ", depth]", vq_type_text(o->arena, &t), n);
		return VQ_NO_VALUE;
	}
	x = vq_onnx_slice(o, x, 3, i, 1, 1);
	return vq_onnx_reshape(o, x, 3, (int64_t[]){ t.dim[0], t.dim[1], t.dim[2] * t.dim[4] });
}

/* keys or values that stand with heads in front already ([B, heads, T, D]), else split; bias entries from `from` on are added */
static vq_value side(vq_onnx *o, vq_value x, int64_t heads, int64_t *from)
{
	int64_t width;

	if (!x.id || vq_type_of(o->g, x)->rank == 4)
		return x;
	width = vq_type_of(o->g, x)->rank == 3 ? vq_type_of(o->g, x)->dim[2] : 0;
	if (vq_onnx_has(o, 3)) {
		vq_type t = *vq_onnx_in_type(o, 3);

		if (t.rank != 1 || t.dim[0] < *from + width) {
			vq_onnx_refuse(o, "bias is %s, expected one value per column of q, k and v",
				vq_type_text(o->arena, &t));
			return VQ_NO_VALUE;
		}
		x = vq_onnx_2(o, VQ_OP_ADD, x, vq_onnx_slice(o, vq_onnx_in(o, 3), 0, *from, 1, width));
		*from += width;
	}
	return vq_onnx_split_heads(o, x, heads);
}

bool vq_import_multi_head_attention(vq_onnx *o)
{
	vq_onnx_attention a = { 0 };
	vq_value q = vq_onnx_in(o, 0), k = vq_onnx_in(o, 1), v = vq_onnx_in(o, 2);
	int64_t heads, from = 0;
	float filter;
	bool causal;

	if (!read_common(o, &heads, &a.scale, &filter, &causal) || !no_cache(o, 6, 9))
		return false;
	if (!k.id) { /* all three in one */
		k = packed_part(o, q, 1, 3);
		v = packed_part(o, q, 2, 3);
		q = packed_part(o, q, 0, 3);
	} else if (!v.id) {
		v = packed_part(o, k, 1, 2);
		k = packed_part(o, k, 0, 2);
	}
	a.q = side(o, q, heads, &from);
	a.k = side(o, k, heads, &from);
	a.v = side(o, v, heads, &from);
	return add_biases(o, &a, 4, 5, filter, causal) &&
		vq_onnx_out(o, 0, vq_onnx_join_heads(o, vq_onnx_attend(o, &a)));
}
