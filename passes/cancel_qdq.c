/* SPDX-License-Identifier: MIT */
/*
 * cancel_qdq: brings quantize next to what computes its operand and dequantize next to what reads
 * it, and cancels pairs that meet.
 *
 * Needs:   QDQ form.
 * Changes: - equal quantize (or dequantize) of one value become one;
 *          - quantize of a constant becomes a constant of codes;
 *          - dequantize moves down through movement: transpose(dequantize x) ->
 *            dequantize(transpose x);
 *          - quantize(dequantize x) with the entry of x becomes x;
 *          - quantize moves up through movement, if the whole of what is moved is wanted in that
 *            entry, per tensor or with scales along the last axis that the movement keeps together.
 * Leaves:  every value that remains with the same bits: movement commutes with both.
 */
#include "ir/build.h"
#include "ir/eval.h"
#include "passes/qdq.h"

#include <string.h>

static bool is_op(const vq_graph *g, uint32_t node, vq_op op) { return g->node[node].op == op; }

/*
 * How many leading operands of a movement operator are moved; 0 if the node does not move codes
 * faithfully.
 */
static uint32_t moved_operands(const vq_node_info *n)
{
	switch (n->op) {
	case VQ_OP_RESHAPE:
	case VQ_OP_EXPAND:
	case VQ_OP_TRANSPOSE:
	case VQ_OP_SLICE:
	case VQ_OP_VIEW:
	case VQ_OP_GATHER:
	case VQ_OP_PAD: return 1;
	case VQ_OP_CONCAT: return n->n_in;
	default: return 0;
	}
}

static void delete_node(vq_graph *g, vq_node n)
{
	g->node[n.id].op = VQ_OP_NONE;
	g->node[n.id].n_in = 0;
}

/* ---- equal nodes, constants, pairs ---- */

static bool share(vq_graph *g)
{
	bool changed = false;

	for (uint32_t i = 1; i < g->n_nodes; i++) {
		const vq_node_info *n = &g->node[i];

		if (n->op != VQ_OP_QUANTIZE && n->op != VQ_OP_DEQUANTIZE)
			continue;
		for (uint32_t j = i + 1; j < g->n_nodes; j++) {
			vq_node_info *m = &g->node[j];

			if (m->op != n->op || !vq_same(m->in[0], n->in[0]) ||
				!vq_same_type(vq_type_of(g, m->out), vq_type_of(g, n->out)))
				continue;
			vq_replace(g, m->out, n->out);
			delete_node(g, (vq_node){ j });
			changed = true;
		}
	}
	return changed;
}

/* 1: changed, 0: not, -1: after an error */
static int fold_constants(vq_graph *g)
{
	int changed = 0;

	for (uint32_t i = 1; i < g->n_nodes; i++) {
		const vq_node_info *n = &g->node[i];
		vq_arena scratch = { 0 };
		vq_tensor in, out;
		const char *wrong;

		if (n->op != VQ_OP_QUANTIZE || !vq_is_const(g, n->in[0]))
			continue;
		in.type = *vq_type_of(g, n->in[0]);
		in.data = vq_arena_alloc(&scratch, vq_type_bytes(&in.type));
		memcpy(in.data, g->value[n->in[0].id].data, vq_type_bytes(&in.type));
		out.type = *vq_type_of(g, n->out);
		out.data = vq_arena_alloc(g->arena, vq_type_bytes(&out.type));
		wrong = vq_eval_node(g, n, &in, &out, &scratch);
		vq_arena_free(&scratch);
		if (wrong) {
			vq_error(g->diag, vq_where(g, (vq_node){ i }), "%s", wrong);
			return -1;
		}
		vq_replace(g, n->out, vq_add_const(g, &out.type, out.data, g->value[n->in[0].id].name));
		delete_node(g, (vq_node){ i });
		changed = 1;
	}
	return changed;
}

static bool cancel(vq_graph *g)
{
	bool changed = false;

	for (uint32_t i = 1; i < g->n_nodes; i++) {
		vq_value x;

		if (!is_op(g, i, VQ_OP_QUANTIZE) || vq_def_op(g, g->node[i].in[0]) != VQ_OP_DEQUANTIZE)
			continue;
		x = vq_operand(g, vq_def_of(g, g->node[i].in[0]), 0);
		if (!vq_same_type(vq_type_of(g, x), vq_type_of(g, g->node[i].out)))
			continue;
		vq_replace(g, g->node[i].out, x);
		delete_node(g, (vq_node){ i });
		changed = true;
	}
	return changed;
}

/* ---- moving ---- */

/*
 * The movement of node n on other operands; VQ_NO_VALUE if their scales do not survive it. Operands
 * in[0..n_in) are copied.
 */
static vq_value move_alike(vq_graph *g, vq_node n, const vq_value *in)
{
	vq_node_info like = g->node[n.id];
	vq_arena scratch = { 0 };
	vq_type *type = VQ_ARRAY(&scratch, like.n_in, vq_type), result;
	const char *wrong;
	vq_value out = VQ_NO_VALUE;

	for (uint32_t i = 0; i < like.n_in; i++)
		type[i] = *vq_type_of(g, in[i]);
	wrong = vq_infer_add(g, like.op, type, like.n_in, &like.attr, &result);
	vq_arena_free(&scratch);
	if (wrong)
		return VQ_NO_VALUE;
	out = vq_build(g, vq_where(g, n), like.op, in, like.n_in, &like.attr);
	if (vq_def_of(g, out).id == g->n_nodes - 1) {
		g->node[g->n_nodes - 1].name = like.name;
		g->node[g->n_nodes - 1].source = like.source;
	}
	return out;
}

/* Is what the node adds, if anything, a value of these codes? Zero, if the zero point is a code. */
static bool adds_codes(const vq_graph *g, const vq_node_info *n, vq_value codes)
{
	const vq_quant *q = vq_per_tensor(g, vq_type_of(g, codes));

	return n->op != VQ_OP_PAD || (q && n->attr.pad.value == 0 && q->lo <= q->zero[0] && q->zero[0] <= q->hi);
}

static bool dequantize_down(vq_graph *g)
{
	uint32_t n_nodes = g->n_nodes;
	bool changed = false;

	for (uint32_t i = 1; i < n_nodes; i++) {
		uint32_t moved = moved_operands(&g->node[i]), entry = 0;
		vq_arena scratch = { 0 };
		vq_value *in = VQ_ARRAY(&scratch, g->node[i].n_in + 1, vq_value), y;
		bool fits = moved > 0;

		for (uint32_t j = 0; j < g->node[i].n_in; j++) {
			in[j] = g->node[i].in[j];
			if (j >= moved || !fits)
				continue;
			fits = vq_def_op(g, in[j]) == VQ_OP_DEQUANTIZE;
			if (fits) {
				in[j] = vq_operand(g, vq_def_of(g, in[j]), 0);
				fits = (j == 0 || vq_type_of(g, in[j])->quant == entry) &&
					adds_codes(g, &g->node[i], in[j]);
				entry = vq_type_of(g, in[j])->quant;
			}
		}
		y = fits ? move_alike(g, (vq_node){ i }, in) : VQ_NO_VALUE;
		if (y.id)
			y = vq_build_dequantize(g, vq_where(g, (vq_node){ i }), y);
		if (y.id) {
			vq_replace(g, g->node[i].out, y);
			delete_node(g, (vq_node){ i });
			changed = true;
		}
		vq_arena_free(&scratch);
	}
	return changed;
}

static bool is_output(const vq_graph *g, vq_value v)
{
	for (uint32_t i = 0; i < g->n_outputs; i++)
		if (vq_same(g->output[i].value, v))
			return true;
	return false;
}

/* The entry that every use of v quantizes to, 0 if there is another use or none. */
static uint32_t wanted_entry(const vq_graph *g, vq_value v)
{
	uint32_t entry = 0;

	if (is_output(g, v))
		return 0;
	for (uint32_t i = 1; i < g->n_nodes; i++)
		for (uint32_t j = 0; j < g->node[i].n_in; j++) {
			uint32_t to = vq_type_of(g, g->node[i].out)->quant;

			if (!vq_same(g->node[i].in[j], v))
				continue;
			if (!is_op(g, i, VQ_OP_QUANTIZE) || (entry && entry != to))
				return 0;
			entry = to;
		}
	return entry;
}

/*
 * The entry that operand j of movement n must have for a result in `entry`, 0 if there is none.
 * Scales along an axis are looked for along the operand's last one, where heads and channels are.
 */
static uint32_t operand_entry(vq_graph *g, vq_node n, uint32_t j, uint32_t entry)
{
	vq_type from = *vq_type_of(g, vq_operand(g, n, j)), to;
	vq_quant q;

	if (!entry || g->quant[entry].axis < 0)
		return entry;
	if (g->node[n.id].n_in != 1 || !from.rank)
		return 0;
	q = g->quant[entry];
	q.axis = (int32_t)from.rank - 1;
	if (from.dim[q.axis] % q.n)
		return 0;
	from.elem = VQ_S8;
	from.quant = vq_quant_add(g, &q);
	if (vq_infer_add(g, vq_op_of(g, n), &from, 1, &g->node[n.id].attr, &to) || to.quant != entry)
		return 0;
	return from.quant;
}

/*
 * May y, an operand of movement wanted in that entry, be quantized as a whole? Yes if nobody wants
 * anything else of it.
 */
static bool may_quantize(vq_graph *g, vq_value y, uint32_t entry)
{
	if (vq_type_of(g, y)->elem != VQ_F32 || !entry)
		return false;
	if (vq_is_const(g, y))
		return true;
	if (vq_def_op(g, y) == VQ_OP_DEQUANTIZE)
		return vq_type_of(g, vq_operand(g, vq_def_of(g, y), 0))->quant == entry;
	if (is_output(g, y))
		return false;
	for (uint32_t i = 1; i < g->n_nodes; i++)
		for (uint32_t j = 0; j < g->node[i].n_in; j++) {
			if (!vq_same(g->node[i].in[j], y))
				continue;
			if (is_op(g, i, VQ_OP_QUANTIZE) ? vq_type_of(g, g->node[i].out)->quant != entry
							: j >= moved_operands(&g->node[i]) ||
						operand_entry(g, (vq_node){ i }, j, wanted_entry(g, g->node[i].out)) !=
							entry)
				return false;
		}
	return true;
}

static vq_value quantize_like(vq_graph *g, const char *where, vq_value y, uint32_t entry)
{
	for (uint32_t i = 1; i < g->n_nodes; i++)
		if (is_op(g, i, VQ_OP_QUANTIZE) && vq_same(g->node[i].in[0], y) &&
			vq_type_of(g, g->node[i].out)->quant == entry)
			return g->node[i].out;
	return vq_build_quantize(g, where, y, entry);
}

/* quantize(move(y)) -> move(quantize(y)) */
static bool sink_one(vq_graph *g, vq_node n)
{
	uint32_t moved = moved_operands(&g->node[n.id]), n_in = g->node[n.id].n_in;
	uint32_t entry = moved ? wanted_entry(g, g->node[n.id].out) : 0;
	vq_arena scratch = { 0 };
	vq_value *in, out, old = g->node[n.id].out;

	for (uint32_t j = 0; entry && j < moved; j++)
		if (!may_quantize(g, g->node[n.id].in[j], operand_entry(g, n, j, entry)))
			entry = 0;
	if (!entry)
		return false;
	in = VQ_ARRAY(&scratch, n_in, vq_value);
	for (uint32_t j = 0; j < n_in; j++)
		in[j] = j < moved ? quantize_like(g, vq_where(g, n), g->node[n.id].in[j], operand_entry(g, n, j, entry))
				  : g->node[n.id].in[j];
	out = move_alike(g, n, in);
	vq_arena_free(&scratch);
	if (!out.id)
		return false;
	for (uint32_t i = 1; i < g->n_nodes; i++)
		if (is_op(g, i, VQ_OP_QUANTIZE) && vq_same(g->node[i].in[0], old)) {
			vq_replace(g, g->node[i].out, out);
			delete_node(g, (vq_node){ i });
		}
	delete_node(g, n);
	return true;
}

static bool quantize_up(vq_graph *g)
{
	bool changed = false;

	for (uint32_t i = g->n_nodes; i-- > 1;)
		changed |= sink_one(g, (vq_node){ i });
	return changed;
}

bool vq_pass_cancel_qdq(vq_pass *p)
{
	vq_graph *g = p->g;
	bool changed = true;

	vq_graph_sweep(g);
	while (changed) {
		int folded = fold_constants(g);

		if (folded < 0)
			return false;
		changed = folded > 0;
		changed |= share(g);
		changed |= dequantize_down(g);
		changed |= cancel(g);
		changed |= quantize_up(g);
		vq_graph_sweep(g);
	}
	return true;
}
