/* SPDX-License-Identifier: MIT */
/* Folding a channel transform into the LayerNorm that produces the channels. */
#include "passes/transform.h"

const char *vq_fold_layernorm_refuses(const vq_graph *g, vq_node n)
{
	for (uint32_t i = 1; i <= 2; i++) {
		vq_value v = vq_operand(g, n, i);

		if (!vq_is_const(g, v) || vq_type_of(g, v)->elem != VQ_F32)
			return i == 1 ? "gamma of the LayerNorm is not a constant"
				      : "beta of the LayerNorm is not a constant";
	}
	return NULL;
}

void vq_fold_layernorm(vq_graph *g, vq_node n, const vq_change *change)
{
	vq_value gamma = vq_operand(g, n, 1), beta = vq_operand(g, n, 2);
	const float *from_gamma = g->value[gamma.id].data, *from_beta = g->value[beta.id].data;
	vq_type t = *vq_type_of(g, gamma);
	uint32_t channels = (uint32_t)t.dim[0];
	float *to_gamma = VQ_ARRAY(g->arena, channels, float), *to_beta = VQ_ARRAY(g->arena, channels, float);

	for (uint32_t c = 0; c < channels; c++) {
		to_gamma[c] = (float)((double)from_gamma[c] / change->d[c]);
		to_beta[c] = (float)(((double)from_beta[c] - change->t[c]) / change->d[c]);
	}
	/* new constants: the old ones may have other users */
	gamma = vq_add_const(g, &t, to_gamma, g->value[gamma.id].name);
	beta = vq_add_const(g, &t, to_beta, g->value[beta.id].name);
	g->node[n.id].in[1] = gamma;
	g->node[n.id].in[2] = beta;
}
