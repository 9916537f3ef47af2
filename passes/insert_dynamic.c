/*
 * insert_dynamic: linear operators with quantized weights become linear_dynamic, their input passes
 * through quantize_dynamic: a scale and a zero point per row, chosen at run time. attention becomes
 * attention_dynamic: symmetric codes of q, k and v with scales per head. One quantize_dynamic serves
 * all readers of a value that agree on how.
 *
 * Needs:   quantized weights (quantize_weights).
 * Changes: linear operators; p->stats is used up. The graph is in integer form after it.
 * Leaves:  all other products in float, and says so in the report.
 * Does nothing unless the scheme is w8a8-dynamic.
 */
#include "ir/build.h"
#include "ir/contract.h"
#include "passes/qdq.h"

#include <math.h>
#include <string.h>

/* One quantize_dynamic and how it was asked for. */
typedef struct edge {
	vq_value value;
	vq_attr attr;
	vq_node node;
} edge;

typedef struct inserter {
	vq_pass *p;
	vq_graph *g;
	vq_arena scratch;
	edge *edge;
	uint32_t n_edges, cap_edges;
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

/* codes and rows of operand `operand` of n */
static bool quantize(inserter *s, vq_node n, uint32_t operand, const vq_attr *attr, vq_value *to)
{
	vq_value x = s->g->node[n.id].in[operand], c;
	edge *e = NULL;

	for (uint32_t i = 0; i < s->n_edges && !e; i++)
		if (vq_same(s->edge[i].value, x) && !memcmp(&s->edge[i].attr, attr, sizeof *attr))
			e = &s->edge[i];
	if (!e) {
		c = vq_build(s->g, vq_where(s->g, n), VQ_OP_QUANTIZE_DYNAMIC, &x, 1, attr);
		if (!c.id)
			return false;
		s->edge = vq_arena_grow(
			&s->scratch, s->edge, &s->cap_edges, s->n_edges + 1, sizeof *s->edge);
		e = &s->edge[s->n_edges++];
		*e = (edge){.value = x, .node = vq_def_of(s->g, c)};
		memcpy(&e->attr, attr, sizeof *attr);
	}
	to[0] = s->g->node[e->node.id].out;
	to[1] = s->g->node[e->node.id].out2;
	return true;
}

/* op takes the place of n */
static bool replace(inserter *s, vq_node n, vq_op op, const vq_value *in, uint32_t n_in)
{
	vq_graph *g = s->g;
	vq_node_info old = g->node[n.id];
	vq_value y = vq_build(g, vq_where(g, n), op, in, n_in, &old.attr);

	if (!y.id)
		return false;
	g->node[vq_def_of(g, y).id].name = old.name;
	g->node[vq_def_of(g, y).id].source = old.source;
	g->value[y.id].name = g->value[old.out.id].name;
	vq_replace(g, old.out, y);
	return true;
}

/* a zeroed attribute: attributes are compared byte for byte */
static vq_attr dynamic_attr(int32_t groups, int32_t span, bool symmetric)
{
	vq_attr a = {0};

	memset(&a, 0, sizeof a);
	a.dynamic.groups = groups;
	a.dynamic.span = span;
	a.dynamic.symmetric = symmetric;
	return a;
}

static bool at_linear(inserter *s, vq_node n)
{
	vq_graph *g = s->g;
	vq_value w = g->node[n.id].in[1], in[4];
	vq_attr attr = dynamic_attr(0, 0, false);

	if (vq_def_op(g, w) != VQ_OP_DEQUANTIZE) {
		report(s, n, "f32",
			vq_is_const(g, w) ? "its accumulator could exceed 32 bits"
					  : "its weights are not constant");
		return true;
	}
	report(s, n, "s8 per token", NULL);
	if (!quantize(s, n, 0, &attr, in))
		return false;
	in[2] = vq_operand(g, vq_def_of(g, w), 0);
	in[3] = vq_operand(g, n, 2);
	return replace(s, n, VQ_OP_LINEAR_DYNAMIC, in, g->node[n.id].n_in + 1);
}

/*
 * q gets a scale per token and head, k and v one per head: a score's scale must be the same for all keys, for its softmax to
 * compare integers.
 */
static bool at_attention(inserter *s, vq_node n)
{
	vq_graph *g = s->g;
	const vq_node_info *i = &g->node[n.id];
	const vq_type *q = vq_type_of(g, i->in[0]), *v = vq_type_of(g, i->in[2]);
	int32_t heads = i->attr.attention.heads;
	vq_attr row = dynamic_attr(heads > 1 ? heads : 0, 0, true), all = dynamic_attr(heads > 1 ? heads : 0, 1, true);
	vq_value in[7];
	uint32_t n_in = i->n_in;

	if (q->dim[2] / heads > INT32_MAX / (128 * 128) || v->dim[1] > INT32_MAX / (255 * 128)) {
		report(s, n, "f32", "its accumulator could exceed 32 bits");
		return true;
	}
	if (!vq_c_score_factor_fits(i->attr.attention.scale)) {
		report(s, n, "f32", "the scale of its scores is outside 2^-30 to 2^30");
		return true;
	}
	for (uint32_t k = 0; k < 3; k++)
		if (vq_is_const(g, i->in[k])) {
			report(s, n, "f32", "q, k or v is a constant");
			return true;
		}
	report(s, n, heads > 1 ? "s8 per head, at run time" : "s8 per tensor, at run time", NULL);
	if (!quantize(s, n, 0, &row, in) || !quantize(s, n, 1, &all, in + 2) || !quantize(s, n, 2, &all, in + 4))
		return false;
	in[6] = vq_operand(g, n, 3);
	return replace(s, n, VQ_OP_ATTENTION_DYNAMIC, in, n_in + 3);
}

bool vq_pass_insert_dynamic(vq_pass *p)
{
	inserter s = {.p = p, .g = p->g};
	uint32_t n_nodes = p->g->n_nodes;
	bool ok = true;

	if (p->set->scheme != VQ_SCHEME_W8A8_DYNAMIC)
		return true;
	if (p->report)
		p->first_site = p->report->n;
	for (uint32_t i = 1; ok && i < n_nodes; i++) {
		vq_node n = {i};

		switch (vq_op_of(p->g, n)) {
		case VQ_OP_LINEAR:
			ok = at_linear(&s, n);
			break;
		case VQ_OP_ATTENTION:
			ok = at_attention(&s, n);
			break;
		case VQ_OP_MATMUL:
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
	vq_arena_free(&s.scratch);
	p->calibrated = true;
	p->stats = NULL;
	p->n_stats = 0;
	vq_graph_sweep(p->g);
	return ok;
}
