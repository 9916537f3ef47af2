/* SPDX-License-Identifier: MIT */
/*
 * insert_qdq: quantize and dequantize on every activation edge into a product: per tensor
 * (asymmetric) into linear, or per token at run time (linear_dynamic) where that is much better; symmetric per head into
 * attention. A product of two activations gets scales per row at run time (matmul_dynamic), or, with -act-granularity=tensor, one
 * symmetric scale per operand. Constants get theirs from their elements.
 *
 * Needs:   p->stats; quantized weights (quantize_weights).
 * Changes: operands of linear, matmul and attention; the graph is in QDQ form after it. One
 *          quantize serves all readers of a value that agree on the entry.
 * Leaves:  what has no integer form in float, and says why in the report. p->stats is used up.
 */
#include "ir/build.h"
#include "passes/dynamic.h"
#include "passes/observe.h"
#include "passes/qdq.h"
#include "passes/stats.h"

#include <math.h>

/* One dequantize(quantize(value)) with its entry. */
typedef struct edge {
	vq_value value, dequantized;
	uint32_t entry;
} edge;

typedef struct inserter {
	vq_pass *p;
	vq_graph *g;
	vq_dynamic made; /* for products with scales per row, */
	bool *per_token; /* by node id: which are rewritten last, for a result that is replaced has no statistics */
	vq_arena scratch;
	edge *edge;
	uint32_t n_edges, cap_edges;
} inserter;

static bool wrap(inserter *s, vq_node n, uint32_t operand, uint32_t entry)
{
	vq_value x = s->g->node[n.id].in[operand], y = VQ_NO_VALUE;
	const char *where;

	for (uint32_t i = 0; i < s->n_edges; i++)
		if (vq_same(s->edge[i].value, x) && s->edge[i].entry == entry)
			y = s->edge[i].dequantized;
	if (!y.id) {
		where = vq_where(s->g, n);
		y = vq_build_quantize(s->g, where, x, entry);
		if (y.id)
			y = vq_build_dequantize(s->g, where, y);
		if (!y.id)
			return false;
		s->edge = vq_arena_grow(&s->scratch, s->edge, &s->cap_edges, s->n_edges + 1, sizeof *s->edge);
		s->edge[s->n_edges++] = (edge){ x, y, entry };
	}
	s->g->node[n.id].in[operand] = y;
	return true;
}

static uint32_t tensor_entry(inserter *s, const vq_stats *stats)
{
	float scale = stats->scale;
	int32_t zero = stats->zero;

	if (scale == 0)
		vq_entry_asymmetric(vq_stats_range(stats, s->p->set), &scale, &zero);
	return vq_quant_per_tensor(s->g, scale, zero, -128, 127);
}

static uint32_t symmetric_scales(inserter *s, int32_t axis, uint32_t n, const float *scale)
{
	return vq_quant_add(s->g,
		&(vq_quant){
			.bits = 8,
			.lo = -127,
			.hi = 127,
			.axis = axis,
			.n = n,
			.scale = scale,
			.zero = VQ_ARRAY(&s->scratch, n, int32_t),
		});
}

/*
 * Symmetric, along the last axis in `groups` groups; min-max whatever the observer: heads are small
 * and clipping them costs attention its peaks.
 */
static uint32_t symmetric_entry(inserter *s, const vq_stats *stats, uint32_t groups)
{
	const vq_type *t = vq_type_of(s->g, stats->value);
	float *scale = VQ_ARRAY(&s->scratch, groups, float);
	uint32_t each = stats->channels / groups;

	for (uint32_t i = 0; i < groups; i++)
		scale[i] = vq_entry_symmetric(vq_stats_peak(stats, i * each, each));
	return symmetric_scales(s, groups > 1 ? (int32_t)t->rank - 1 : -1, groups, scale);
}

/* Symmetric scales of a constant in `groups` groups along an axis, from its elements; axis -1: one. */
static uint32_t constant_entry(inserter *s, vq_value v, int32_t axis, uint32_t groups)
{
	const vq_type *t = vq_type_of(s->g, v);
	const float *data = s->g->value[v.id].data;
	double *peak = VQ_ARRAY(&s->scratch, groups, double);
	float *scale = VQ_ARRAY(&s->scratch, groups, float);
	int64_t inner = 1, channels = axis < 0 ? 1 : t->dim[axis];

	for (uint32_t i = axis < 0 ? t->rank : (uint32_t)axis + 1; i < t->rank; i++)
		inner *= t->dim[i];
	for (int64_t i = 0; i < vq_type_count(t); i++) {
		double *most = &peak[axis < 0 ? 0 : i / inner % channels / (channels / groups)];

		*most = fmax(*most, fabs((double)data[i]));
	}
	for (uint32_t i = 0; i < groups; i++)
		scale[i] = vq_entry_symmetric(peak[i]);
	return symmetric_scales(s, axis, groups, scale);
}

/* Is v an f32 constant? What its scales are its elements say. */
static bool f32_constant(const vq_graph *g, vq_value v)
{
	return vq_is_const(g, v) && vq_type_of(g, v)->elem == VQ_F32;
}

/* Entry of operand v of a product: along its last axis in groups (heads), or, of a constant matrix, along the largest axis in front. */
static uint32_t operand_entry(inserter *s, vq_value v, uint32_t groups, bool matrix)
{
	const vq_type *t = vq_type_of(s->g, v);
	int32_t axis = groups > 1 ? (int32_t)t->rank - 1 : -1;

	if (!f32_constant(s->g, v))
		return symmetric_entry(s, vq_stats_find(s->p, v), groups);
	for (uint32_t i = 0; matrix && i + 2 < t->rank; i++)
		if (t->dim[i] > 1 && (axis < 0 || t->dim[i] > t->dim[axis]))
			axis = (int32_t)i;
	return constant_entry(s, v, axis, matrix && axis >= 0 ? (uint32_t)t->dim[axis] : groups);
}

/* ---- the report ---- */

static vq_site site_of(const vq_graph *g, vq_node n)
{
	const vq_node_info *i = &g->node[n.id];

	return (vq_site){
		.name = i->name,
		.op = i->source ? i->source : vq_ops[i->op].text,
		.macs = vq_product_macs(g, n),
		.sqnr_db = (double)NAN,
	};
}

static void add_scales(const vq_graph *g, vq_site *site, uint32_t entry)
{
	const vq_quant *q = &g->quant[entry];

	for (uint32_t i = 0; i < q->n; i++) {
		site->scale_min = site->scale_min == 0 || q->scale[i] < site->scale_min ? q->scale[i] : site->scale_min;
		site->scale_max = q->scale[i] > site->scale_max ? q->scale[i] : site->scale_max;
	}
	site->zero = q->zero[0];
}

static void put_site(const inserter *s, const vq_site *site)
{
	if (s->p->report)
		vq_report_add(s->p->report, site);
}

static bool stays_float(const inserter *s, vq_site *site, const char *why)
{
	site->scheme = "f32";
	site->why = why;
	put_site(s, site);
	return true;
}

/* ---- the products ---- */

/*
 * Scales per row where they make at least four times less noise, which is one bit, and there is noise: 31.5 dB below the signal in
 * the mean of the rows; codes of their own would leave about 40. Behind a LayerNorm that the channel transform has changed it was
 * the transform that chose, by the error of the outputs.
 */
static bool per_token(const inserter *s, const vq_stats *stats)
{
	const double enough = 4, noise = 7e-4;

	return s->p->set->granularity == VQ_GRANULARITY_TOKEN ||
		(s->p->set->granularity == VQ_GRANULARITY_AUTO &&
			(stats->row_better > 0 ||
				(stats->scale == 0 && vq_stats_row_gain(stats) >= enough &&
					vq_stats_row_noise(stats) >= noise)));
}

static bool at_linear(inserter *s, vq_node n)
{
	vq_graph *g = s->g;
	vq_site site = site_of(g, n);
	vq_value x = vq_operand(g, n, 0), w = vq_operand(g, n, 1);
	const vq_stats *stats = vq_stats_find(s->p, x);
	uint32_t entry;

	site.weight_bytes = (int64_t)vq_type_bytes(vq_type_of(g, w));
	if (vq_is_const(g, w))
		return stays_float(
			s, &site, stats ? "its accumulator could exceed 32 bits" : "its input was not calibrated");
	if (vq_def_op(g, w) != VQ_OP_DEQUANTIZE)
		return stays_float(s, &site, "its weights are not constant");
	if (!stats)
		return vq_def_op(g, x) == VQ_OP_DEQUANTIZE || stays_float(s, &site, "its input was not calibrated");
	site.weight_bytes /= 4;
	if (per_token(s, stats)) {
		double better = stats->scale == 0 ? vq_stats_row_gain(stats) : stats->row_better;

		site.scheme = better > 0 ? vq_arena_printf(g->arena, "s8 per token, %.0f dB better", 10 * log10(better))
					 : "s8 per token";
		put_site(s, &site);
		s->per_token[n.id] = true;
		return true;
	}
	entry = tensor_entry(s, stats);
	site.scheme = "s8 per tensor";
	add_scales(g, &site, entry);
	put_site(s, &site);
	return wrap(s, n, 0, entry);
}

/* Was v calibrated, or is it known? */
static bool has_range(const inserter *s, vq_value v) { return f32_constant(s->g, v) || vq_stats_find(s->p, v); }

/*
 * Scales per row, found at run time: one for a whole tensor would have to suit heads that differ, and there is no channel
 * transform to make them alike.
 */
static bool matmul_per_row(inserter *s, vq_node n, vq_site *site)
{
	site->scheme = "s8 per row";
	put_site(s, site);
	s->per_token[n.id] = true;
	return true;
}

static bool at_matmul(inserter *s, vq_node n)
{
	vq_graph *g = s->g;
	vq_site site = site_of(g, n);
	const vq_type *a = vq_type_of(g, vq_operand(g, n, 0));
	int64_t k = a->dim[a->rank - 1 - (g->node[n.id].attr.matmul.trans_a && a->rank > 1)];
	uint32_t entry[2];

	if (s->p->set->granularity != VQ_GRANULARITY_TENSOR && !vq_dynamic_matmul_refuses(g, n))
		return matmul_per_row(s, n, &site);
	if (!has_range(s, vq_operand(g, n, 0)) || !has_range(s, vq_operand(g, n, 1)))
		return stays_float(s, &site, "one of its operands was not calibrated or is no float tensor");
	if (k > INT32_MAX / (127 * 127))
		return stays_float(s, &site, "its accumulator could exceed 32 bits");
	site.scheme = "s8 per tensor, symmetric";
	for (uint32_t i = 0; i < 2; i++) {
		entry[i] = operand_entry(s, vq_operand(g, n, i), 1, true);
		add_scales(g, &site, entry[i]);
	}
	put_site(s, &site);
	return wrap(s, n, 0, entry[0]) && wrap(s, n, 1, entry[1]);
}

static bool at_attention(inserter *s, vq_node n)
{
	vq_graph *g = s->g;
	vq_site site = site_of(g, n);
	uint32_t heads = (uint32_t)g->node[n.id].attr.attention.heads;
	const vq_type *v = vq_type_of(g, vq_operand(g, n, 2));
	int64_t keys = v->dim[v->rank - 2];
	uint32_t entry[3];

	for (uint32_t i = 0; i < 3; i++)
		if (!has_range(s, vq_operand(g, n, i)))
			return stays_float(s, &site, "q, k or v was not calibrated");
	if (keys > INT32_MAX / (255 * 127))
		return stays_float(s, &site, "it has so many keys that its accumulator could exceed 32 bits");
	site.scheme = heads > 1 ? "s8 per head, symmetric" : "s8 per tensor, symmetric";
	for (uint32_t i = 0; i < 3; i++) {
		entry[i] = operand_entry(s, vq_operand(g, n, i), heads, false);
		add_scales(g, &site, entry[i]);
	}
	put_site(s, &site);
	return wrap(s, n, 0, entry[0]) && wrap(s, n, 1, entry[1]) && wrap(s, n, 2, entry[2]);
}

bool vq_pass_insert_qdq(vq_pass *p)
{
	inserter s = { .p = p, .g = p->g, .made.g = p->g };
	uint32_t n_nodes = p->g->n_nodes;
	bool ok = true;

	s.per_token = VQ_ARRAY(&s.scratch, n_nodes, bool);
	if (p->n_stats && p->report)
		p->first_site = p->report->n;
	for (uint32_t i = 1; ok && p->n_stats && i < n_nodes; i++) {
		vq_node n = { i };
		vq_site site;

		switch (vq_op_of(p->g, n)) {
		case VQ_OP_LINEAR: ok = at_linear(&s, n); break;
		case VQ_OP_MATMUL: ok = at_matmul(&s, n); break;
		case VQ_OP_ATTENTION: ok = at_attention(&s, n); break;
		case VQ_OP_CONV:
			site = site_of(p->g, n);
			site.weight_bytes = (int64_t)vq_type_bytes(vq_type_of(p->g, vq_operand(p->g, n, 1)));
			stays_float(&s, &site, "its weights are not constant, or it has too many groups");
			break;
		default: break;
		}
	}
	for (uint32_t i = 1; ok && i < n_nodes; i++)
		if (s.per_token[i])
			ok = vq_op_of(p->g, (vq_node){ i }) == VQ_OP_LINEAR
				? vq_dynamic_linear(&s.made, (vq_node){ i })
				: vq_dynamic_matmul(&s.made, (vq_node){ i });
	vq_arena_free(&s.scratch);
	vq_arena_free(&s.made.scratch);
	p->calibrated |= p->n_stats > 0;
	p->stats = NULL;
	p->n_stats = 0;
	vq_graph_sweep(p->g);
	return ok;
}
