/* SPDX-License-Identifier: MIT */
/*
 * absorb_qdq: moves quantization parameters into types; the graph is in integer form after it
 * (docs/ir.md).
 *
 * Needs:   QDQ form, cancel_qdq done.
 * Changes: - a product whose data operands are all dequantize(codes) reads the codes, if its
 *            accumulator cannot overflow 32 bits;
 *          - elementwise, reducing and normalising operators read per-tensor codes instead of their
 *            dequantize;
 *          - quantize(y) with y read by nothing else disappears into the operator that computes y.
 * Leaves:  products without integer form in float, with the reason in the report. A value wanted
 *          both in float and as codes keeps its quantize.
 */
#include "passes/measure.h"
#include "passes/qdq.h"

#include <math.h>

typedef struct absorber {
	vq_pass *p;
	vq_graph *g;
} absorber;

/* The codes behind operand i of n, VQ_NO_VALUE if it is no dequantize. */
static vq_value codes_of(const vq_graph *g, vq_node n, uint32_t i)
{
	vq_value v = vq_operand(g, n, i);

	return v.id && vq_def_op(g, v) == VQ_OP_DEQUANTIZE ? vq_operand(g, vq_def_of(g, v), 0) : VQ_NO_VALUE;
}

/*
 * Models with their own scales have one line per product; for ours insert_qdq wrote it, and only
 * what it did not foresee is added.
 */
static void report(const absorber *s, vq_node n, const vq_value *codes, const char *why)
{
	const vq_graph *g = s->g;
	const vq_node_info *i = &g->node[n.id];
	vq_site site = {
		.name = i->name,
		.op = i->source ? i->source : vq_ops[i->op].text,
		.scheme = why ? "f32" : "s8, scales of the model",
		.why = why,
		.macs = vq_product_macs(g, n),
		.sqnr_db = (double)NAN,
	};

	if (!s->p->report || (s->p->calibrated && (!why || !codes)))
		return;
	if (!why) {
		const vq_quant *q = vq_quant_of(g, vq_type_of(g, codes[0]));

		site.scale_min = site.scale_max = q->scale[0];
		site.zero = q->zero[0];
		for (uint32_t k = 1; k < q->n; k++) {
			site.scale_min = q->scale[k] < site.scale_min ? q->scale[k] : site.scale_min;
			site.scale_max = q->scale[k] > site.scale_max ? q->scale[k] : site.scale_max;
		}
	}
	if (vq_is_const(g, i->in[1]))
		site.weight_bytes = (int64_t)vq_type_bytes(vq_type_of(g, i->in[1]));
	else if (codes && vq_is_const(g, codes[1]))
		site.weight_bytes = (int64_t)vq_type_bytes(vq_type_of(g, codes[1]));
	vq_report_add(s->p->report, &site);
}

/* ---- operands of products ---- */

static const char *linear_refuses(const vq_graph *g, const vq_value *codes)
{
	const vq_type *x = vq_type_of(g, codes[0]), *w = vq_type_of(g, codes[1]);
	const vq_quant *qw = vq_quant_of(g, w);

	if (!vq_per_tensor(g, x))
		return "its input has several scales, and they lie along the summed axis or the "
		       "rows";
	if (!vq_is_const(g, codes[1]))
		return "its weights are not constant";
	if (qw->axis > 0)
		return "its weights have scales along the summed axis";
	return vq_linear_bound(g->arena, vq_quant_of(g, x), qw, g->value[codes[1].id].data, w->dim[0], w->dim[1]);
}

/* One scale, or one per matrix (per head) and the same zero point for all. */
static bool per_matrix(const vq_graph *g, const vq_type *t)
{
	const vq_quant *q = vq_quant_of(g, t);

	for (uint32_t i = 1; i < q->n; i++)
		if (q->zero[i] != q->zero[0])
			return false;
	return q->axis < (int32_t)t->rank - 2 || q->n == 1;
}

static const char *matmul_refuses(const vq_graph *g, vq_node n, const vq_value *codes)
{
	const vq_type *a = vq_type_of(g, codes[0]), *b = vq_type_of(g, codes[1]);
	bool swapped = g->node[n.id].attr.matmul.trans_a && a->rank > 1;
	int64_t k = a->dim[a->rank - 1 - swapped], reach;

	if (!per_matrix(g, a) || !per_matrix(g, b))
		return "an operand of a product of two tensors has several scales in one matrix";
	reach = vq_code_reach(vq_quant_of(g, a)) * vq_code_reach(vq_quant_of(g, b));
	return k > INT32_MAX / (reach ? reach : 1) ? "its accumulator could exceed 32 bits" : NULL;
}

/* Scales per tensor or per head along the last axis, all zero points 0. */
static bool per_head(const vq_graph *g, const vq_type *t, uint32_t heads)
{
	const vq_quant *q = vq_quant_of(g, t);

	for (uint32_t i = 0; i < q->n; i++)
		if (q->zero[i])
			return false;
	return q->axis < 0 || (q->axis == (int32_t)t->rank - 1 && q->n == heads);
}

static const char *attention_refuses(const vq_graph *g, vq_node n, const vq_value *codes)
{
	uint32_t heads = (uint32_t)g->node[n.id].attr.attention.heads;
	const vq_type *q = vq_type_of(g, codes[0]), *v = vq_type_of(g, codes[2]);
	int64_t depth = q->dim[q->rank - 1] / heads, keys = v->dim[v->rank - 2];
	int64_t scores, values;

	for (uint32_t i = 0; i < 3; i++)
		if (!per_head(g, vq_type_of(g, codes[i]), heads))
			return "q, k or v is not symmetric with a scale per tensor or per head";
	scores = vq_code_reach(vq_quant_of(g, q)) * vq_code_reach(vq_quant_of(g, vq_type_of(g, codes[1])));
	values = 255 * vq_code_reach(vq_quant_of(g, v));
	if (depth > INT32_MAX / (scores ? scores : 1) || keys > INT32_MAX / (values ? values : 1))
		return "its accumulator could exceed 32 bits";
	return NULL;
}

static void at_product(absorber *s, vq_node n)
{
	vq_graph *g = s->g;
	vq_op op = vq_op_of(g, n);
	uint32_t n_data = op == VQ_OP_ATTENTION ? 3 : 2, found = 0;
	vq_value codes[3];
	const char *why = NULL;

	if (vq_type_of(g, vq_operand(g, n, 0))->quant)
		return; /* done before */
	for (uint32_t i = 0; i < n_data; i++) {
		codes[i] = codes_of(g, n, i);
		found += codes[i].id != 0;
	}
	if (!found) {
		report(s, n, NULL, "its operands are not quantized in the model");
		return;
	}
	if (found < n_data)
		why = "only some of its operands are quantized";
	else if (op == VQ_OP_LINEAR)
		why = linear_refuses(g, codes);
	else if (op == VQ_OP_MATMUL)
		why = matmul_refuses(g, n, codes);
	else if (op == VQ_OP_ATTENTION)
		why = attention_refuses(g, n, codes);
	else
		why = "its weights are not constant, or it has too many groups";
	report(s, n, codes, why);
	for (uint32_t i = 0; !why && i < n_data; i++)
		g->node[n.id].in[i] = codes[i];
}

/* ---- operands of the others ---- */

static void at_float_operator(vq_graph *g, vq_node n)
{
	bool norm = vq_ops[vq_op_of(g, n)].class_ == VQ_CLASS_NORM;

	/* gamma and beta of layernorm stay float: they are merged with the result's scale */
	for (uint32_t i = 0; i < (norm ? 1 : g->node[n.id].n_in); i++) {
		vq_value codes = codes_of(g, n, i);

		if (codes.id && vq_per_tensor(g, vq_type_of(g, codes)))
			g->node[n.id].in[i] = codes;
	}
}

/* ---- results ---- */

/* Can the operator have a result with this entry? */
static bool takes_result(const vq_graph *g, vq_node n, const vq_type *result)
{
	const vq_quant *q = vq_quant_of(g, result);
	vq_op op = vq_op_of(g, n);

	switch (vq_ops[op].class_) {
	case VQ_CLASS_MOVE:
	case VQ_CLASS_QUANT: return false;
	case VQ_CLASS_DOT:
		if (op != VQ_OP_LINEAR && op != VQ_OP_LINEAR_DYNAMIC && op != VQ_OP_MATMUL_DYNAMIC)
			return q->axis < 0;
		for (uint32_t i = 1; i < q->n; i++)
			if (q->zero[i] != q->zero[0])
				return false;
		return q->axis < 0 || q->axis == (int32_t)result->rank - 1;
	default: return q->axis < 0;
	}
}

static void absorb_results(vq_graph *g)
{
	vq_arena scratch = { 0 };
	uint32_t *uses;

	vq_graph_sweep(g); /* what only dead dequantize nodes read must not count */
	uses = vq_use_counts(g, &scratch);
	for (uint32_t i = 1; i < g->n_nodes; i++) {
		vq_value y;
		vq_node from;

		if (g->node[i].op != VQ_OP_QUANTIZE)
			continue;
		y = g->node[i].in[0];
		from = vq_def_of(g, y);
		if (!from.id || uses[y.id] != 1 || !takes_result(g, from, vq_type_of(g, g->node[i].out)))
			continue;
		g->value[y.id].type = *vq_type_of(g, g->node[i].out);
		vq_replace(g, g->node[i].out, y);
		g->node[i].op = VQ_OP_NONE;
		g->node[i].n_in = 0;
	}
	vq_arena_free(&scratch);
	vq_graph_sweep(g);
}

bool vq_pass_absorb_qdq(vq_pass *p)
{
	absorber s = { p, p->g };

	for (uint32_t i = 1; i < p->g->n_nodes; i++) {
		vq_node n = { i };

		if (!vq_op_of(p->g, n))
			continue;
		switch (vq_ops[vq_op_of(p->g, n)].class_) {
		case VQ_CLASS_DOT:
			if (!vq_is_dynamic(vq_op_of(p->g, n))) /* it is one already */
				at_product(&s, n);
			break;
		case VQ_CLASS_ELT:
		case VQ_CLASS_NORM:
		case VQ_CLASS_REDUCE: at_float_operator(p->g, n); break;
		default: break;
		}
	}
	absorb_results(p->g);
	return vq_measure(p);
}
