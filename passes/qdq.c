/* SPDX-License-Identifier: MIT */
/* Bounds and sizes of products. */
#include "passes/qdq.h"

#include <stdlib.h>

int64_t vq_code_reach(const vq_quant *q)
{
	int64_t reach = 0;

	for (uint32_t i = 0; i < q->n; i++) {
		int64_t down = llabs((int64_t)q->lo - q->zero[i]), up = llabs((int64_t)q->hi - q->zero[i]);

		reach = down > reach ? down : reach;
		reach = up > reach ? up : reach;
	}
	return reach;
}

const char *vq_linear_bound(
	vq_arena *a, const vq_quant *x, const vq_quant *w, const int8_t *codes, int64_t rows, int64_t channels)
{
	int64_t reach = vq_code_reach(x), largest = 0;

	for (int64_t r = 0; r < rows; r++) {
		int64_t zero = w->zero[w->n == 1 ? 0 : r * w->n / rows], sum = 0;

		for (int64_t c = 0; c < channels; c++)
			sum += llabs(codes[r * channels + c] - zero);
		largest = sum > largest ? sum : largest;
	}
	/*
	 * 2^22 + 2^8 codes from the zero point at most on either side: no overflow in int64 below
	 * 2^18 channels
	 */
	if (largest <= INT32_MAX / (reach ? reach : 1))
		return NULL;
	return vq_arena_printf(a, "its accumulator could reach %lld * %lld, more than 32 bits hold", (long long)largest,
		(long long)reach);
}

int64_t vq_product_macs(const vq_graph *g, vq_node n)
{
	const vq_type *a = vq_type_of(g, vq_operand(g, n, 0)), *b = vq_type_of(g, vq_operand(g, n, 1));
	const vq_type *v = vq_type_of(g, vq_operand(g, n, 2));
	int64_t results = vq_type_count(vq_type_of(g, g->node[n.id].out));
	bool swapped;

	switch (vq_op_of(g, n)) {
	case VQ_OP_LINEAR:
	case VQ_OP_CONV: return results * (vq_type_count(b) / b->dim[0]);
	case VQ_OP_LINEAR_DYNAMIC: return results * vq_type_of(g, vq_operand(g, n, 2))->dim[1];
	case VQ_OP_MATMUL_DYNAMIC: return results * a->dim[a->rank - 1];
	case VQ_OP_MATMUL:
		swapped = g->node[n.id].attr.matmul.trans_a && a->rank > 1;
		return results * a->dim[a->rank - 1 - swapped];
	case VQ_OP_ATTENTION:
		return vq_type_count(a) / a->dim[a->rank - 1] * v->dim[v->rank - 2] *
			(a->dim[a->rank - 1] + v->dim[v->rank - 1]);
	default: return 0;
	}
}
