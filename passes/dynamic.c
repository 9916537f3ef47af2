/* SPDX-License-Identifier: MIT */
/* Scales per row, chosen at run time. */
#include "passes/dynamic.h"

#include "ir/build.h"
#include "ir/contract.h"
#include "ir/eval.h"

#include <string.h>

/* codes and rows of a constant, made now */
static bool quantize_constant(vq_dynamic *s, vq_node n, vq_value x, const vq_attr *attr, vq_value *to)
{
	vq_graph *g = s->g;
	vq_type t = *vq_type_of(g, x), codes = t, rows;
	vq_node_info node = { .op = VQ_OP_QUANTIZE_DYNAMIC, .n_in = 1, .in = &x, .attr = *attr };
	vq_tensor in = { .type = t, .data = (void *)g->value[x.id].data }, out[2];
	const char *wrong;

	codes.elem = VQ_S8;
	rows = vq_second_type(&codes, attr);
	out[0] = (vq_tensor){ .type = codes, .data = vq_arena_alloc(g->arena, vq_type_bytes(&codes)) };
	out[1] = (vq_tensor){ .type = rows, .data = vq_arena_alloc(g->arena, vq_type_bytes(&rows)) };
	wrong = vq_eval_node(g, &node, &in, out, &s->scratch);
	if (wrong)
		return vq_error(g->diag, vq_where(g, n), "%s", wrong);
	to[0] = vq_add_const(g, &codes, out[0].data, g->value[x.id].name);
	to[1] = vq_add_const(g, &rows, out[1].data, NULL);
	return true;
}

/* codes and rows of x, for node n */
static bool quantize(vq_dynamic *s, vq_node n, vq_value x, const vq_attr *attr, vq_value *to)
{
	vq_dynamic_edge *e = NULL;
	bool made;

	for (uint32_t i = 0; i < s->n_edges && !e; i++)
		if (vq_same(s->edge[i].value, x) && !memcmp(&s->edge[i].attr, attr, sizeof *attr))
			e = &s->edge[i];
	if (!e) {
		vq_value pair[2];

		if (vq_is_const(s->g, x)) {
			made = quantize_constant(s, n, x, attr, pair);
		} else {
			pair[0] = vq_build(s->g, vq_where(s->g, n), VQ_OP_QUANTIZE_DYNAMIC, &x, 1, attr);
			made = pair[0].id != 0;
			pair[1] = made ? s->g->node[vq_def_of(s->g, pair[0]).id].out2 : VQ_NO_VALUE;
		}
		if (!made)
			return false;
		s->edge = vq_arena_grow(&s->scratch, s->edge, &s->cap_edges, s->n_edges + 1, sizeof *s->edge);
		e = &s->edge[s->n_edges++];
		*e = (vq_dynamic_edge){ .value = x, .codes = pair[0], .rows = pair[1] };
		memcpy(&e->attr, attr, sizeof *attr);
	}
	to[0] = e->codes;
	to[1] = e->rows;
	return true;
}

/* op takes the place of n */
static bool replace(vq_dynamic *s, vq_node n, vq_op op, const vq_value *in, uint32_t n_in, const vq_attr *attr)
{
	vq_graph *g = s->g;
	vq_node_info old = g->node[n.id];
	vq_value y = vq_build(g, vq_where(g, n), op, in, n_in, attr);

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
	vq_attr a = { 0 };

	memset(&a, 0, sizeof a);
	a.dynamic.groups = groups;
	a.dynamic.span = span;
	a.dynamic.symmetric = symmetric;
	return a;
}

bool vq_dynamic_linear(vq_dynamic *s, vq_node n)
{
	vq_graph *g = s->g;
	vq_value in[4];
	vq_attr attr = dynamic_attr(0, 0, false);

	if (!quantize(s, n, vq_operand(g, n, 0), &attr, in))
		return false;
	in[2] = vq_operand(g, vq_def_of(g, vq_operand(g, n, 1)), 0);
	in[3] = vq_operand(g, n, 2);
	return replace(s, n, VQ_OP_LINEAR_DYNAMIC, in, g->node[n.id].n_in + 1, NULL);
}

const char *vq_dynamic_attention_refuses(const vq_graph *g, vq_node n)
{
	const vq_node_info *i = &g->node[n.id];
	const vq_type *q = vq_type_of(g, i->in[0]), *v = vq_type_of(g, i->in[2]);

	if (q->dim[2] / i->attr.attention.heads > INT32_MAX / (128 * 128) || v->dim[1] > INT32_MAX / (255 * 128))
		return "its accumulator could exceed 32 bits";
	if (!vq_c_score_factor_fits(i->attr.attention.scale))
		return "the scale of its scores is outside 2^-30 to 2^30";
	return NULL;
}

bool vq_dynamic_attention(vq_dynamic *s, vq_node n)
{
	const vq_node_info *i = &s->g->node[n.id];
	int32_t heads = i->attr.attention.heads > 1 ? i->attr.attention.heads : 0;
	vq_attr row = dynamic_attr(heads, 0, true), all = dynamic_attr(heads, 1, true);
	uint32_t n_in = i->n_in;
	vq_attr attr = i->attr;
	vq_value in[7];

	if (!quantize(s, n, vq_operand(s->g, n, 0), &row, in) ||
		!quantize(s, n, vq_operand(s->g, n, 1), &all, in + 2) ||
		!quantize(s, n, vq_operand(s->g, n, 2), &all, in + 4))
		return false;
	in[6] = vq_operand(s->g, n, 3);
	return replace(s, n, VQ_OP_ATTENTION_DYNAMIC, in, n_in + 3, &attr);
}

const char *vq_dynamic_matmul_refuses(const vq_graph *g, vq_node n)
{
	const vq_node_info *i = &g->node[n.id];
	const vq_type *a = vq_type_of(g, i->in[0]), *b = vq_type_of(g, i->in[1]);

	if (a->elem != VQ_F32 || b->elem != VQ_F32)
		return "an operand holds codes of the model and the other one none";
	if (a->dim[a->rank - (i->attr.matmul.trans_a ? 2 : 1)] > INT32_MAX / (255 * 127))
		return "its accumulator could exceed 32 bits";
	return NULL;
}

/* x with its last two dimensions exchanged: computed now if it is a constant, else by movement */
static vq_value exchanged(vq_graph *g, vq_node n, vq_value x)
{
	uint32_t rank = vq_type_of(g, x)->rank;
	int64_t perm[VQ_MAX_RANK];

	for (uint32_t i = 0; i < rank; i++)
		perm[i] = i;
	perm[rank - 2] = rank - 1;
	perm[rank - 1] = rank - 2;
	return vq_build_transpose(g, vq_where(g, n), x, perm);
}

bool vq_dynamic_matmul(vq_dynamic *s, vq_node n)
{
	vq_graph *g = s->g;
	vq_attr attr = g->node[n.id].attr, row = dynamic_attr(0, 0, false), column = dynamic_attr(0, 0, true);
	vq_value a = vq_operand(g, n, 0), b = vq_operand(g, n, 1), in[4];

	if (attr.matmul.trans_a)
		a = exchanged(g, n, a);
	attr.matmul.trans_a = false;
	if (!attr.matmul.trans_b && vq_is_const(g, b)) {
		b = exchanged(g, n, b);
		attr.matmul.trans_b = true;
	}
	if (!attr.matmul.trans_b)
		column.dynamic.span = 1;
	if (!a.id || !b.id || !quantize(s, n, a, &row, in) || !quantize(s, n, b, &column, in + 2))
		return false;
	return replace(s, n, VQ_OP_MATMUL_DYNAMIC, in, 4, &attr);
}
