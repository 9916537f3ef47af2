/* Importer of Attention (operator set 23): written out as products and softmax, which the fuse passes recognise. */
#include "frontend/onnx_node.h"

#include <inttypes.h>
#include <math.h>

/* of a masked score: finite, even if two masks add up, so that a row without any key stays a number */
#define MASKED (-1e30f)

/* x [B,S,heads*D] as [B,heads,S,D]; a tensor of rank 4 has that form already */
static vq_value split_heads(vq_onnx *o, uint32_t in, const char *attribute, int64_t *heads)
{
	vq_value x = vq_onnx_in(o, in);
	vq_type t = *vq_type_of(o->g, x);

	if (!vq_onnx_attr_int(o, attribute, 0, heads))
		return VQ_NO_VALUE;
	if (t.rank == 4) {
		*heads = t.dim[1];
		return x;
	}
	if (t.rank != 3 || *heads < 1 || t.dim[2] % *heads) {
		vq_onnx_refuse(o, "input %u is %s and '%s' is %" PRId64 ", expected rank 4, or rank 3 and heads that divide it",
			(unsigned)in, vq_type_text(o->arena, &t), attribute, *heads);
		return VQ_NO_VALUE;
	}
	x = vq_onnx_reshape(o, x, 4, (int64_t[]){ t.dim[0], t.dim[1], *heads, t.dim[2] / *heads });
	return vq_onnx_transpose(o, x, (int64_t[]){ 0, 2, 1, 3 });
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

/* queries [S] see keys [T] up to their own position: an additive constant [S,T] */
static vq_value causal_bias(vq_onnx *o, int64_t queries, int64_t keys)
{
	vq_type t = vq_type_make(VQ_F32, 2, (int64_t[]){ queries, keys });
	float *v;

	if (queries > (64 << 20) / keys) {
		vq_onnx_refuse(o, "the causal mask of %" PRId64 "x%" PRId64 " is too large", queries, keys);
		return VQ_NO_VALUE;
	}
	v = VQ_ARRAY(o->arena, (size_t)(queries * keys), float);
	for (int64_t q = 0; q < queries; q++)
		for (int64_t k = q + 1; k < keys; k++)
			v[q * keys + k] = MASKED;
	return vq_add_const(o->g, &t, v, NULL);
}

/* the mask of input 3 as an additive one */
static vq_value mask_bias(vq_onnx *o)
{
	vq_value mask = vq_onnx_in(o, 3);

	if (vq_onnx_in_type(o, 3)->elem != VQ_BOOL)
		return mask;
	return vq_onnx_3(o, VQ_OP_WHERE, mask, vq_onnx_scalar(o, 0), vq_onnx_scalar(o, MASKED));
}

static vq_value scores_of(vq_onnx *o, vq_value q, vq_value k, bool causal)
{
	vq_type tq = *vq_type_of(o->g, q), tk = *vq_type_of(o->g, k);
	float scale;
	vq_value s;

	if (!vq_onnx_attr_float(o, "scale", 1 / sqrtf((float)tq.dim[3]), &scale))
		return VQ_NO_VALUE;
	s = vq_onnx_build(o, VQ_OP_MATMUL, (vq_value[]){ q, vq_onnx_transpose(o, k, (int64_t[]){ 0, 1, 3, 2 }) }, 2,
		&(vq_attr){ 0 });
	s = vq_onnx_2(o, VQ_OP_MUL, s, vq_onnx_scalar(o, scale));
	if (vq_onnx_has(o, 3))
		s = vq_onnx_2(o, VQ_OP_ADD, s, mask_bias(o));
	return causal ? vq_onnx_2(o, VQ_OP_ADD, s, causal_bias(o, tq.dim[2], tk.dim[2])) : s;
}

bool vq_import_attention(vq_onnx *o)
{
	int64_t heads, kv_heads, v_heads;
	vq_value q = split_heads(o, 0, "q_num_heads", &heads), k = split_heads(o, 1, "kv_num_heads", &kv_heads);
	vq_value v = split_heads(o, 2, "kv_num_heads", &v_heads), y;
	bool causal;
	float softcap;
	vq_type t;

	if (vq_onnx_has(o, 4) || vq_onnx_has(o, 5) || vq_onnx_has(o, 6)) {
		vq_onnx_refuse(o, "past keys and values (inputs 4 to 6) are not supported");
		vq_hint(o->diag, "export the model without a key-value cache: use_cache=False");
		return false;
	}
	vq_onnx_attr_ignore(o, "softmax_precision");     /* float32 is what we compute in */
	vq_onnx_attr_ignore(o, "qk_matmul_output_mode"); /* of an output that is refused if used */
	if (!q.id || !k.id || !v.id || !vq_onnx_attr_bool(o, "is_causal", false, &causal) ||
		!vq_onnx_attr_float(o, "softcap", 0, &softcap))
		return false;
	if (softcap != 0)
		return vq_onnx_refuse(o, "attribute 'softcap' is %g, expected 0", (double)softcap);
	if (kv_heads != v_heads || heads % kv_heads)
		return vq_onnx_refuse(o, "there are %" PRId64 " heads of queries, %" PRId64 " of keys and %" PRId64 " of values",
			heads, kv_heads, v_heads);
	y = scores_of(o, q, repeat_heads(o, k, heads / kv_heads), causal);
	y = vq_onnx_softmax(o, y, 3);
	y = vq_onnx_build(o, VQ_OP_MATMUL, (vq_value[]){ y, repeat_heads(o, v, heads / kv_heads) }, 2, &(vq_attr){ 0 });
	if (y.id && vq_onnx_in_type(o, 0)->rank == 3) {
		y = vq_onnx_transpose(o, y, (int64_t[]){ 0, 2, 1, 3 });
		t = *vq_type_of(o->g, y);
		y = vq_onnx_reshape(o, y, 3, (int64_t[]){ t.dim[0], t.dim[1], t.dim[2] * t.dim[3] });
	}
	return vq_onnx_out(o, 0, y);
}
