/* SPDX-License-Identifier: MIT */
/* Movement of whole rows changes places with operators that work on rows. */
#include "passes/simplify.h"

#include "passes/match.h"
#include "passes/view.h"

#include <string.h>

static bool is_unary(vq_op op) { return vq_ops[op].class_ == VQ_CLASS_ELT && vq_ops[op].most == 1 && op != VQ_OP_NONE; }

static bool is_binary(vq_op op)
{
	return vq_ops[op].class_ == VQ_CLASS_ELT && vq_ops[op].least == 2 && vq_ops[op].most == 2;
}

/*
 * Does the movement keep each element exactly once? Then it may go below any elementwise operator.
 */
static bool keeps_all(const vq_graph *g, const vq_node_info *m)
{
	vq_window w = { .rank = m->attr.view.rank };
	int64_t step = 1;

	if (m->op == VQ_OP_RESHAPE)
		return true;
	if (m->op != VQ_OP_VIEW || m->attr.view.offset ||
		vq_type_count(vq_type_of(g, m->out)) != vq_type_count(vq_type_of(g, m->in[0])))
		return false;
	/*
	 * as many elements as the operand has, so all of them if the steps, sorted, are those of a
	 * row-major tensor
	 */
	for (uint32_t i = 0; i < w.rank; i++) {
		w.dim[i] = m->attr.view.dim[i];
		w.stride[i] = m->attr.view.stride[i];
	}
	for (uint32_t found = 0; found < w.rank; found++) {
		uint32_t i = 0;

		while (i < w.rank && (w.dim[i] == 0 || (w.dim[i] > 1 && w.stride[i] != step)))
			i++;
		if (i == w.rank)
			return false;
		step *= w.dim[i];
		w.dim[i] = 0;
	}
	return true;
}

/* Does the movement take whole rows (last axes of equal size)? */
static bool takes_rows(const vq_graph *g, const vq_node_info *m)
{
	const vq_type *from = vq_type_of(g, m->in[0]), *to = vq_type_of(g, m->out);
	int64_t k;

	if (!from->rank || !to->rank)
		return false;
	k = from->dim[from->rank - 1];
	if (to->dim[to->rank - 1] != k)
		return false;
	if (m->op == VQ_OP_RESHAPE)
		return true;
	if (m->op != VQ_OP_VIEW || (k > 1 && m->attr.view.stride[to->rank - 1] != 1) || m->attr.view.offset % k)
		return false;
	for (uint32_t i = 0; i + 1 < to->rank; i++)
		if (to->dim[i] > 1 && m->attr.view.stride[i] % k)
			return false;
	return true;
}

/*
 * The movement of node m applied to rows of another value, whose last axis may have another size.
 */
static vq_value move_rows(vq_graph *g, const vq_node_info *m, vq_value v)
{
	int64_t n = vq_last_dim(g, v), k = vq_last_dim(g, m->in[0]);
	vq_attr a = m->attr;

	if (m->op == VQ_OP_RESHAPE) {
		a.shape.dim[a.shape.rank - 1] = n;
		return vq_build(g, NULL, VQ_OP_RESHAPE, &v, 1, &a);
	}
	a.view.offset = a.view.offset / k * n;
	for (uint32_t i = 0; i + 1 < a.view.rank; i++)
		a.view.stride[i] = a.view.stride[i] / k * n;
	a.view.dim[a.view.rank - 1] = n;
	a.view.stride[a.view.rank - 1] = n > 1;
	return vq_build(g, NULL, VQ_OP_VIEW, &v, 1, &a);
}

/* The movement that defines v, op VQ_OP_NONE if it is anything else. */
static vq_node_info movement_of(const vq_graph *g, vq_value v)
{
	vq_node n = vq_def_of(g, v);
	vq_op op = vq_op_of(g, n);

	if ((op != VQ_OP_RESHAPE && op != VQ_OP_VIEW) || !vq_is_movement(g, n) ||
		vq_type_of(g, v)->quant != vq_type_of(g, vq_in(g, v, 0))->quant)
		return (vq_node_info){ 0 };
	return g->node[n.id];
}

/*
 * op(move(x), …) -> move(op(x, …)) for linear, layernorm and elementwise operators of one operand
 */
static bool sink_one(vq_graph *g, vq_node n)
{
	vq_node_info i = g->node[n.id];
	vq_value in[VQ_MAX_RANK], v;
	vq_node_info m;
	bool rows = i.op == VQ_OP_LINEAR || i.op == VQ_OP_LAYERNORM;

	if (!rows && !is_unary(i.op))
		return false;
	m = movement_of(g, i.in[0]);
	if (!m.op || !keeps_all(g, &m) || (rows && !takes_rows(g, &m)))
		return false;
	memcpy(in, i.in, i.n_in * sizeof *in);
	in[0] = m.in[0];
	v = vq_build(g, NULL, i.op, in, i.n_in, &i.attr);
	if (!v.id)
		return false;
	vq_inherit(g, v, n);
	return vq_take_over(g, n, rows ? move_rows(g, &m, v) : vq_build(g, NULL, m.op, &v, 1, &m.attr));
}

/*
 * The same for two operands that moved alike, or of which one is a constant that moves with the
 * rows or not at all.
 */
static bool sink_two(vq_graph *g, vq_node n)
{
	vq_node_info i = g->node[n.id], m[2];
	vq_value in[2], v;
	const vq_type *out = vq_type_of(g, i.out);

	if (!is_binary(i.op))
		return false;
	for (int j = 0; j < 2; j++) {
		m[j] = movement_of(g, i.in[j]);
		in[j] = m[j].op ? m[j].in[0] : i.in[j];
	}
	if (vq_is_const(g, i.in[1]) && m[0].op && keeps_all(g, &m[0])) {
		int64_t k = vq_last_dim(g, i.in[0]);

		if (!vq_same_shape(vq_type_of(g, i.in[0]), out) || !vq_last_axis(g, i.in[1], k, NULL))
			return false;
		if (vq_type_count(vq_type_of(g, i.in[1])) != 1 && !takes_rows(g, &m[0]))
			return false;
		/*
		 * the constant's leading dimensions, all 1, may be more than the operand has before
		 * the movement
		 */
		in[1] = vq_type_count(vq_type_of(g, i.in[1])) == 1 ? vq_build_reshape(g, NULL, i.in[1], 0, NULL)
								   : vq_build_reshape(g, NULL, i.in[1], 1, &k);
	} else if (!m[0].op || m[1].op != m[0].op || memcmp(&m[0].attr, &m[1].attr, sizeof m[0].attr) ||
		!keeps_all(g, &m[0]) || !vq_same_shape(vq_type_of(g, in[0]), vq_type_of(g, in[1]))) {
		return false;
	}
	v = vq_build(g, NULL, i.op, in, 2, &i.attr);
	if (!v.id)
		return false;
	vq_inherit(g, v, n);
	return vq_take_over(g, n, vq_build(g, NULL, m[0].op, &v, 1, &m[0].attr));
}

/* Rows that movements take from v, all of its users together; -1 if a user is anything else. */
static int64_t rows_taken(const vq_graph *g, vq_value v)
{
	int64_t n = 0;

	for (uint32_t i = 0; i < g->n_outputs; i++)
		if (vq_same(g->output[i].value, v))
			return -1;
	for (uint32_t i = 1; i < g->n_nodes; i++) {
		const vq_node_info *m = &g->node[i];

		if (!m->op || !m->n_in || !vq_same(m->in[0], v)) {
			for (uint32_t j = 1; m->op && j < m->n_in; j++)
				if (vq_same(m->in[j], v))
					return -1;
			continue;
		}
		if (m->op != VQ_OP_VIEW || !takes_rows(g, m))
			return -1;
		n += vq_type_count(vq_type_of(g, m->out)) / vq_last_dim(g, v);
	}
	return n;
}

/*
 * rows of layernorm(x) -> layernorm(rows of x), if that is fewer: the class token before the head
 */
static bool raise_rows(vq_graph *g, vq_node n)
{
	vq_node_info m = movement_of(g, g->node[n.id].out), i;
	vq_value in[3], v;
	int64_t rows;

	if (m.op != VQ_OP_VIEW || !takes_rows(g, &m))
		return false;
	i = g->node[vq_def_of(g, m.in[0]).id];
	if (i.op != VQ_OP_LAYERNORM)
		return false;
	rows = vq_type_count(vq_type_of(g, i.out)) / vq_last_dim(g, i.out);
	v = i.out;
	if (rows_taken(g, v) < 0 || rows_taken(g, v) >= rows)
		return false;
	memcpy(in, i.in, sizeof in);
	in[0] = move_rows(g, &m, i.in[0]);
	v = vq_build(g, NULL, i.op, in, 3, &i.attr);
	if (v.id)
		vq_inherit(g, v, vq_def_of(g, i.out));
	return vq_take_over(g, n, v);
}

bool vq_sink_movement(vq_graph *g)
{
	bool changed = false;

	for (uint32_t i = 1, n = g->n_nodes; i < n; i++) {
		vq_node node = { i };

		if (g->node[i].op)
			changed |= sink_one(g, node) || sink_two(g, node) || raise_rows(g, node);
	}
	return changed;
}

/* ---- selections of rows through whole blocks ---- */

/*
 * The row that view m of v [batch, length, channels] takes from each batch, -1 if it takes anything
 * else.
 */
static int64_t row_of_each_batch(const vq_graph *g, const vq_node_info *m)
{
	const vq_type *t = vq_type_of(g, m->in[0]);
	int64_t batch, row, k, taken = 1;

	if (t->rank != 3)
		return -1;
	batch = t->dim[0];
	k = t->dim[2];
	row = m->attr.view.offset / k;
	for (uint32_t i = 0; i + 1 < m->attr.view.rank; i++) {
		if (m->attr.view.dim[i] > 1 && m->attr.view.stride[i] != t->dim[1] * k)
			return -1;
		taken *= m->attr.view.dim[i];
	}
	return taken == batch && row < t->dim[1] ? row : -1;
}

/* One row of each batch of attention needs one row of q. */
static vq_value raise_above_attention(vq_graph *g, const vq_node_info *m, const vq_node_info *i)
{
	int64_t row = row_of_each_batch(g, m);
	vq_type out = *vq_type_of(g, m->out);
	vq_value in[4], v;

	/* a bias per row would have to be taken apart as well */
	if (row < 0 ||
		(i->n_in > 3 && vq_type_of(g, i->in[3])->rank > 1 &&
			vq_type_of(g, i->in[3])->dim[vq_type_of(g, i->in[3])->rank - 2] != 1))
		return VQ_NO_VALUE;
	memcpy(in, i->in, i->n_in * sizeof *in);
	in[0] = vq_build_slice(g, NULL, in[0], 1, row, 1);
	v = vq_build(g, NULL, i->op, in, i->n_in, &i->attr);
	if (v.id)
		vq_inherit(g, v, vq_def_of(g, i->out));
	return v.id ? vq_build_reshape(g, NULL, v, out.rank, out.dim) : v;
}

static bool raise_one(vq_graph *g, vq_node n)
{
	vq_node_info m = movement_of(g, g->node[n.id].out), i;
	vq_value in[4], v;
	uint32_t moved = 1;

	if (m.op != VQ_OP_VIEW || !takes_rows(g, &m) || !vq_used_once(g, m.in[0]) ||
		vq_type_count(vq_type_of(g, m.out)) >= vq_type_count(vq_type_of(g, m.in[0])))
		return false;
	i = g->node[vq_def_of(g, m.in[0]).id];
	if (i.op == VQ_OP_ATTENTION)
		return vq_take_over(g, n, raise_above_attention(g, &m, &i));
	if (is_binary(i.op))
		moved = 2;
	else if (i.op != VQ_OP_LINEAR && !is_unary(i.op))
		return false;
	memcpy(in, i.in, i.n_in * sizeof *in);
	for (uint32_t k = 0; k < moved; k++) {
		const vq_type *t = vq_type_of(g, in[k]), *out = vq_type_of(g, i.out);

		if (t->rank != out->rank || memcmp(t->dim, out->dim, (t->rank - 1) * sizeof *t->dim) ||
			(i.op != VQ_OP_LINEAR && !vq_same_shape(t, out)) || (t->quant && vq_quant_of(g, t)->axis >= 0))
			return false;
	}
	for (uint32_t k = 0; k < moved; k++)
		in[k] = move_rows(g, &m, in[k]);
	v = vq_build(g, NULL, i.op, in, i.n_in, &i.attr);
	if (v.id)
		vq_inherit(g, v, vq_def_of(g, i.out));
	return vq_take_over(g, n, v);
}

bool vq_raise_selection(vq_graph *g)
{
	bool changed = false;

	for (uint32_t i = 1, n = g->n_nodes; i < n; i++)
		if (g->node[i].op)
			changed |= raise_one(g, (vq_node){ i });
	return changed;
}
