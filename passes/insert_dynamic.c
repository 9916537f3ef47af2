/*
 * insert_dynamic: linear operators with quantized weights become linear_dynamic, their input passes
 * through quantize_dynamic: a scale and a zero point per row, chosen at run time. One
 * quantize_dynamic serves all readers of a value.
 *
 * Needs:   quantized weights (quantize_weights).
 * Changes: linear operators; p->stats is used up. The graph is in integer form after it.
 * Leaves:  all other products in float, and says so in the report.
 * Does nothing unless the scheme is w8a8-dynamic.
 */
#include "ir/build.h"
#include "passes/qdq.h"

#include <math.h>
#include <string.h>

typedef struct inserter {
	vq_pass *p;
	vq_graph *g;
	vq_node *of; /* by value id: its quantize_dynamic */
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

	if (i->op == VQ_OP_LINEAR || i->op == VQ_OP_CONV)
		site.weight_bytes = (int64_t)vq_type_bytes(vq_type_of(g, i->in[1])) / (why ? 1 : 4);
	if (s->p->report)
		vq_report_add(s->p->report, &site);
}

static bool quantize(inserter *s, vq_node n, vq_value *codes, vq_value *rows)
{
	vq_value x = s->g->node[n.id].in[0], c;

	if (!s->of[x.id].id) {
		c = vq_build1(s->g, vq_where(s->g, n), VQ_OP_QUANTIZE_DYNAMIC, x);
		if (!c.id)
			return false;
		s->of[x.id] = vq_def_of(s->g, c);
	}
	*codes = s->g->node[s->of[x.id].id].out;
	*rows = s->g->node[s->of[x.id].id].out2;
	return true;
}

static bool at_linear(inserter *s, vq_node n)
{
	vq_graph *g = s->g;
	vq_node_info old = g->node[n.id];
	vq_value in[4], y;

	if (vq_def_op(g, old.in[1]) != VQ_OP_DEQUANTIZE) {
		report(s, n, "f32",
			vq_is_const(g, old.in[1]) ? "its accumulator could exceed 32 bits"
						  : "its weights are not constant");
		return true;
	}
	report(s, n, "s8 per token", NULL);
	if (!quantize(s, n, &in[0], &in[1]))
		return false;
	in[2] = vq_operand(g, vq_def_of(g, old.in[1]), 0);
	in[3] = vq_operand(g, n, 2);
	y = vq_build(g, vq_where(g, n), VQ_OP_LINEAR_DYNAMIC, in, old.n_in + 1, NULL);
	if (!y.id)
		return false;
	g->node[vq_def_of(g, y).id].name = old.name;
	g->node[vq_def_of(g, y).id].source = old.source;
	g->value[y.id].name = g->value[old.out.id].name;
	vq_replace(g, old.out, y);
	return true;
}

bool vq_pass_insert_dynamic(vq_pass *p)
{
	inserter s = {.p = p, .g = p->g};
	vq_arena scratch = {0};
	uint32_t n_nodes = p->g->n_nodes;
	bool ok = true;

	if (p->set->scheme != VQ_SCHEME_W8A8_DYNAMIC)
		return true;
	/* a linear may read the result of one that was replaced: each gives three new values */
	s.of = VQ_ARRAY(&scratch, p->g->n_values + 3 * (size_t)n_nodes, vq_node);
	if (p->report)
		p->first_site = p->report->n;
	for (uint32_t i = 1; ok && i < n_nodes; i++) {
		vq_node n = {i};

		switch (vq_op_of(p->g, n)) {
		case VQ_OP_LINEAR:
			ok = at_linear(&s, n);
			break;
		case VQ_OP_MATMUL:
		case VQ_OP_ATTENTION:
			report(&s, n, "f32",
				"w8a8-dynamic has no scales for products of two activations; w8a8 has");
			break;
		case VQ_OP_CONV:
			report(&s, n, "f32",
				"a convolution with overlapping windows or groups has no integer "
				"form");
			break;
		default:
			break;
		}
	}
	vq_arena_free(&scratch);
	p->calibrated = true;
	p->stats = NULL;
	p->n_stats = 0;
	vq_graph_sweep(p->g);
	return ok;
}
