/* SPDX-License-Identifier: MIT */
/*
 * insert_dynamic: linear operators with quantized weights become linear_dynamic, their input passes
 * through quantize_dynamic: a scale and a zero point per row, chosen at run time. attention becomes
 * attention_dynamic: symmetric codes of q, k and v with scales per head. matmul becomes
 * matmul_dynamic. One quantize_dynamic serves all readers of a value that agree on how.
 *
 * Needs:   quantized weights (quantize_weights).
 * Changes: linear operators; p->stats is used up. The graph is in integer form after it.
 * Leaves:  all other products in float, and says so in the report.
 * Does nothing unless the scheme is w8a8-dynamic or the model is quantized at run time itself; of such
 * a model only linear operators whose weights are codes change.
 */
#include "ir/contract.h"
#include "passes/dynamic.h"
#include "passes/qdq.h"

#include <math.h>

typedef struct inserter {
	vq_pass *p;
	vq_graph *g;
	vq_dynamic made;
} inserter;

static void report(const inserter *s, vq_node n, const char *scheme, const char *why)
{
	const vq_graph *g = s->g;
	const vq_node_info *i = &g->node[n.id];
	vq_site site = {
		.name = i->name,
		.op = i->source ? i->source : vq_ops[i->op].text,
		.scheme = scheme,
		.why = why,
		.macs = vq_product_macs(g, n),
		.sqnr_db = (double)NAN,
	};

	if (i->op == VQ_OP_LINEAR_DYNAMIC)
		site.weight_bytes = (int64_t)vq_type_bytes(vq_type_of(g, i->in[2]));
	if (i->op == VQ_OP_LINEAR || i->op == VQ_OP_CONV)
		site.weight_bytes = (int64_t)vq_type_bytes(vq_type_of(g, i->in[1])) / (why ? 1 : 4);
	if (s->p->report)
		vq_report_add(s->p->report, &site);
}

/* Why weights that the model holds as codes have no integer product, NULL if they have. */
static const char *codes_refuse(const vq_graph *g, vq_value w)
{
	const vq_type *t = vq_type_of(g, w);
	const vq_quant *q = vq_quant_of(g, t);
	const vq_quant any = { .bits = 8, .lo = -128, .hi = 127, .axis = -1, .n = 1, .zero = &(int32_t){ -128 } };

	if (!vq_is_const(g, w))
		return "its weights are not constant";
	if (q->axis > 0)
		return "its weights have scales along the summed axis";
	for (uint32_t i = 0; i < q->n; i++)
		if (!(q->scale[i] >= VQ_LEAST_ROW_SCALE))
			return "a scale of its weights is below 2^-60";
	return vq_linear_bound(g->arena, &any, q, g->value[w.id].data, t->dim[0], t->dim[1]);
}

static bool at_linear(inserter *s, vq_node n)
{
	vq_value w = s->g->node[n.id].in[1];
	const char *why;

	if (vq_def_op(s->g, w) != VQ_OP_DEQUANTIZE) {
		report(s, n, "f32",
			vq_is_const(s->g, w) ? "its accumulator could exceed 32 bits" : "its weights are not constant");
		return true;
	}
	why = codes_refuse(s->g, vq_operand(s->g, vq_def_of(s->g, w), 0));
	report(s, n, why ? "f32" : "s8 per token", why);
	return why || vq_dynamic_linear(&s->made, n);
}

static bool at_attention(inserter *s, vq_node n)
{
	const char *why = vq_dynamic_attention_refuses(s->g, n);

	report(s, n,
		why                                                 ? "f32"
			: s->g->node[n.id].attr.attention.heads > 1 ? "s8 per head, at run time"
								    : "s8 per tensor, at run time",
		why);
	return why || vq_dynamic_attention(&s->made, n);
}

static bool at_matmul(inserter *s, vq_node n)
{
	const char *why = vq_dynamic_matmul_refuses(s->g, n);

	report(s, n, why ? "f32" : "s8 per row, at run time", why);
	return why || vq_dynamic_matmul(&s->made, n);
}

/* In a model that is quantized at run time: what it has as codes and not as linear_dynamic yet, the rest stays as it is. */
static bool at_own(inserter *s, vq_node n)
{
	const vq_graph *g = s->g;

	if (vq_op_of(g, n) == VQ_OP_LINEAR_DYNAMIC)
		report(s, n, "s8 per tensor, at run time", NULL);
	else if (vq_op_of(g, n) == VQ_OP_LINEAR && vq_def_op(g, g->node[n.id].in[1]) == VQ_OP_DEQUANTIZE &&
		vq_def_op(g, g->node[n.id].in[0]) != VQ_OP_DEQUANTIZE)
		return at_linear(s, n);
	return true;
}

bool vq_pass_insert_dynamic(vq_pass *p)
{
	inserter s = { .p = p, .g = p->g, .made.g = p->g };
	uint32_t n_nodes = p->g->n_nodes;
	bool own = vq_has_row_scales(p->g), ok = true;

	if (p->set->scheme != VQ_SCHEME_W8A8_DYNAMIC && !own)
		return true;
	if (p->report && !own)
		p->first_site = p->report->n;
	for (uint32_t i = 1; ok && i < n_nodes; i++) {
		vq_node n = { i };

		if (own) {
			ok = at_own(&s, n);
			continue;
		}
		switch (vq_op_of(p->g, n)) {
		case VQ_OP_LINEAR: ok = at_linear(&s, n); break;
		case VQ_OP_ATTENTION: ok = at_attention(&s, n); break;
		case VQ_OP_MATMUL: ok = at_matmul(&s, n); break;
		case VQ_OP_CONV:
			report(&s, n, "f32",
				"a convolution with overlapping windows or groups has no integer "
				"form");
			break;
		default: break;
		}
	}
	vq_arena_free(&s.made.scratch);
	p->calibrated |= !own;
	p->stats = NULL;
	p->n_stats = 0;
	vq_graph_sweep(p->g);
	return ok;
}
