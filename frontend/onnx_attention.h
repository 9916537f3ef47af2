/* SPDX-License-Identifier: MIT */
/* What the importers of attention share. */
#ifndef VQ_FRONTEND_ONNX_ATTENTION_H
#define VQ_FRONTEND_ONNX_ATTENTION_H

#include "frontend/onnx_node.h"

/* softmax(softcap(Q K^T scale) + bias) V, written out. */
typedef struct vq_onnx_attention {
	vq_value q;    /* [B, heads, S, D] */
	vq_value k, v; /* [B, kv heads, T, D] and [B, kv heads, T, E]; kv heads divide heads */
	float scale;
	float softcap;   /* 0: none */
	vq_value bias;   /* additive, broadcasts to [B, heads, S, T]; VQ_NO_VALUE: none */
	bool empty_rows; /* a query that sees no key (all of its biases are -inf) gives 0 */
	/* results of vq_onnx_attend */
	vq_value scores;  /* after softcap */
	vq_value biased;  /* with the bias */
	vq_value weights; /* of the keys */
} vq_onnx_attention;

/* [B, heads, S, E], VQ_NO_VALUE after an error. */
vq_value vq_onnx_attend(vq_onnx *o, vq_onnx_attention *a);

/* x [B, S, heads * D] as [B, heads, S, D]; refuses heads that do not divide */
vq_value vq_onnx_split_heads(vq_onnx *o, vq_value x, int64_t heads);
/* x [B, heads, S, E] as [B, S, heads * E] */
vq_value vq_onnx_join_heads(vq_onnx *o, vq_value x);

/* Query i of [S] sees keys [T] up to position i + offset: an additive constant [S, T]. */
vq_value vq_onnx_causal_bias(vq_onnx *o, int64_t queries, int64_t keys, int64_t offset);
/* 0 where keep (bool) is true, else value */
vq_value vq_onnx_mask_bias(vq_onnx *o, vq_value keep, float value);
/* a + b; VQ_NO_VALUE is nothing to add */
vq_value vq_onnx_add_bias(vq_onnx *o, vq_value a, vq_value b);
/* bool [B, 1, 1, T]: position < length; lengths are integers [B] */
vq_value vq_onnx_shorter_than(vq_onnx *o, vq_value lengths, int64_t keys);

#endif
