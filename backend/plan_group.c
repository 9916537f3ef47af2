/* SPDX-License-Identifier: MIT */
/* Grouping: which elementwise nodes run inside the kernel that makes their operand, and the program they become. */
#include "backend/planner.h"
#include "ir/contract.h"

#include <math.h>
#include <string.h>

/* ---- groups ---- */

/* products that apply elementwise operators to their results */
static bool dot(vq_op op)
{
	return op == VQ_OP_LINEAR || op == VQ_OP_LINEAR_DYNAMIC || op == VQ_OP_MATMUL || op == VQ_OP_MATMUL_DYNAMIC;
}

static bool heads_chain(vq_op op)
{
	return dot(op) || op == VQ_OP_QUANTIZE || op == VQ_OP_DEQUANTIZE || vq_ops[op].class_ == VQ_CLASS_ELT;
}

/* May operand v be an extra of a product? The result's shape without gaps, a vector over its last dimension, or one element. */
static bool extra_is_dense(vq_planner *s, vq_value v, const vq_type *result)
{
	const vq_type *t = vq_type_of(s->g, v);
	int64_t n = vq_type_count(t);
	vq_window w;

	if (n == 1)
		return true;
	if (n != vq_type_count(result) && (t->dim[t->rank - 1] != n || result->dim[result->rank - 1] != n))
		return false;
	w = vq_window_find(s->g, v, NULL, NULL);
	return vq_window_contiguous(&w);
}

/* can node i run in the kernel of the group that ends in node j, whose result is operand `through` of i? */
static bool joins(vq_planner *s, uint32_t i, uint32_t j, uint32_t through)
{
	const vq_graph *g = s->g;
	const vq_node_info *n = &g->node[i];
	const vq_type *from = vq_type_of(g, g->node[j].out), *to = vq_type_of(g, n->out);
	const vq_group *group = &s->group[j];
	uint32_t extras = 0;

	if (!group->n || !heads_chain(vq_op_of(g, group->node[0])) || s->uses[g->node[j].out.id] != 1 ||
		s->watched[g->node[j].out.id])
		return false;
	if ((vq_ops[n->op].class_ != VQ_CLASS_ELT && n->op != VQ_OP_QUANTIZE) || from->elem != VQ_F32 ||
		!vq_same_shape(from, to))
		return false;
	if (to->elem != VQ_F32 && !to->quant)
		return false; /* comparisons: their bytes are stored by elementwise kernels only */
	if (n->op == VQ_OP_CAST || n->op == VQ_OP_WHERE || n->op == VQ_OP_POW)
		return false;
	if (n->op == VQ_OP_QUANTIZE && dot(vq_op_of(g, group->node[0])) && g->quant[to->quant].axis >= 0 &&
		g->quant[to->quant].axis + 1 != (int32_t)to->rank)
		return false; /* products know columns only */
	for (uint32_t k = 0; k < n->n_in; k++) {
		if (k == through)
			continue;
		extras++;
		if (vq_same(n->in[k], n->in[through]))
			return false; /* x * x: the value is needed twice */
		if (dot(vq_op_of(g, group->node[0])) && !extra_is_dense(s, n->in[k], to))
			return false;
	}
	for (uint32_t m = 0; m < group->n; m++)
		extras += g->node[group->node[m].id].n_in;
	/* every member may need a flush of its own */
	return extras <= VQ_MAX_EXTRAS && 2 * (group->n + 1) + 1 <= VQ_MAX_EOPS;
}

void vq_plan_groups(vq_planner *s)
{
	const vq_graph *g = s->g;

	for (uint32_t i = 1; i < g->n_nodes; i++) {
		const vq_node_info *n = &g->node[i];
		uint32_t best = 0, through = 0;
		vq_group *to = &s->group[i];

		if (vq_ops[n->op].class_ == VQ_CLASS_MOVE && n->op != VQ_OP_CONCAT && n->op != VQ_OP_GATHER &&
			n->op != VQ_OP_PAD)
			continue;
		if (n->op == VQ_OP_DEQUANTIZE && vq_is_const(g, n->in[0]))
			continue; /* folded when used */
		for (uint32_t k = 0; k < n->n_in; k++) {
			uint32_t j = vq_def_of(g, n->in[k]).id;
			bool product = j && dot(vq_op_of(g, s->group[j].n ? s->group[j].node[0] : VQ_NO_NODE));
			bool best_product = best && dot(vq_op_of(g, s->group[best].node[0]));

			if (j && joins(s, i, j, k) &&
				(!best || product > best_product || (product == best_product && j > best))) {
				best = j;
				through = k;
			}
		}
		to->n = best ? s->group[best].n + 1 : 1;
		to->node = VQ_ARRAY(s->a, to->n, vq_node);
		to->through = VQ_ARRAY(s->a, to->n, uint32_t);
		if (best) {
			memcpy(to->node, s->group[best].node, s->group[best].n * sizeof *to->node);
			memcpy(to->through, s->group[best].through, s->group[best].n * sizeof *to->through);
			s->group[best].n = 0;
		}
		to->node[to->n - 1].id = i;
		to->through[to->n - 1] = through;
	}
}

/* ---- the program ---- */

typedef struct program {
	vq_planner *s;
	vq_epilogue *e;
	vq_ref *arg;
	uint32_t *n_args;
	bool dense;
	const vq_type *result;
} program;

/* strides over the result's dimensions of a window that broadcasts to them */
static void broadcast(vq_extra *x, const vq_window *w, const vq_type *result)
{
	uint32_t lead = result->rank - w->rank;

	for (uint32_t i = 0; i < w->rank; i++)
		x->stride[lead + i] = w->dim[i] == 1 ? 0 : w->stride[i];
}

/* adds operand v as an extra; its number, or -1 after an error */
static int add_extra(program *p, vq_value v, vq_node user)
{
	const vq_graph *g = p->s->g;
	const vq_type *t = vq_type_of(g, v);
	const vq_quant *q = vq_quant_of(g, t);
	vq_epilogue *e = p->e;
	vq_extra *x = &e->extra[e->n_extras];
	vq_window w = vq_planner_window(p->s, v);
	vq_home h = vq_planner_home(p->s, w.root);

	if (e->n_extras == VQ_MAX_EXTRAS) {
		vq_planner_refuse(p->s, user, "too many operands in one group");
		return -1;
	}
	if (q && q->n != 1 && vq_op_of(g, user) != VQ_OP_DEQUANTIZE) {
		vq_planner_refuse(p->s, user, "an operand with scales along an axis is read by an f32 operator");
		return -1;
	}
	x->elem = t->elem;
	x->codes = q != NULL;
	x->stored_u8 = h.u8;
	x->scale = q && q->n == 1 ? q->scale[0] : 1.0f; /* scales along an axis: see add_channels */
	x->zero = q ? q->zero[0] : 0;
	x->sanitize = false;
	if (!p->dense) {
		x->index = VQ_X_STRIDED;
		broadcast(x, &w, p->result);
	} else {
		x->index = vq_window_count(&w) == 1                       ? VQ_X_SCALAR
			: vq_window_count(&w) == vq_type_count(p->result) ? VQ_X_FULL
									  : VQ_X_COLUMN;
	}
	p->arg[(*p->n_args)++] = vq_ref_at(h.ref, w.offset * (int64_t)vq_elem_bytes(t->elem));
	p->s->left[w.root.id]--;
	return (int)e->n_extras++;
}

/* one element known now */
static bool immediate(program *p, vq_value v, float *imm)
{
	int64_t n;
	const float *data = vq_type_count(vq_type_of(p->s->g, v)) == 1 ? vq_planner_const_f32(p->s, v, &n) : NULL;

	if (data)
		*imm = data[0];
	return data != NULL;
}

/* powers that the kernels compute (docs/arithmetic.md) */
static bool plain_exponent(const vq_eop *o)
{
	static const float exponent[] = { 0.0f, 1.0f, 2.0f, 3.0f, 0.5f, -1.0f, -0.5f };

	if (o->extra != -2 || o->swapped)
		return false;
	for (size_t i = 0; i < sizeof exponent / sizeof *exponent; i++)
		if (o->imm == exponent[i])
			return true;
	return false;
}

static bool add_eop(program *p, vq_node id, uint32_t through, bool head, bool last)
{
	const vq_graph *g = p->s->g;
	const vq_node_info *n = &g->node[id.id];
	vq_eop o = { .op = (uint8_t)n->op, .extra = -1 };
	bool flush = p->s->p->strict && !last && vq_ops[n->op].class_ == VQ_CLASS_ELT;
	int x;

	if (n->op == VQ_OP_QUANTIZE || n->op == VQ_OP_DEQUANTIZE || (n->op == VQ_OP_CAST && head))
		return true; /* the store or the load does it */
	if (n->op == VQ_OP_WHERE) {
		/* the head's operand 0 is the condition */
		if ((x = add_extra(p, n->in[1], id)) < 0)
			return false;
		o.extra = (int8_t)x;
		if ((x = add_extra(p, n->in[2], id)) < 0)
			return false;
		o.third = (uint8_t)(x + 1);
	} else if (n->n_in == 2) {
		vq_value other = n->in[1 - through];

		o.swapped = through == 1;
		if (immediate(p, other, &o.imm)) {
			o.extra = -2;
		} else if (vq_same(other, n->in[through])) {
			o.extra = 0; /* x op x at the head: extra 0 is x itself */
		} else {
			if ((x = add_extra(p, other, id)) < 0)
				return false;
			o.extra = (int8_t)x;
		}
	}
	if (n->op == VQ_OP_POW && !plain_exponent(&o))
		return vq_planner_refuse(p->s, id, "an exponent other than the constants 0, 1, 2, 3, 0.5, -1 and -0.5");
	o.flush = flush;
	p->e->eop[p->e->n_eops++] = o;
	return true;
}

/* Scales along an axis: a factor per index of it, from the weights. inverse: for a result, which is then only rounded. */
static bool add_channels(program *p, vq_node id, const vq_quant *q, bool inverse)
{
	const vq_type *t = p->result;
	int64_t n = t->dim[q->axis];
	float *factor = VQ_ARRAY(p->s->a, (size_t)n, float);
	vq_epilogue *e = p->e;
	vq_extra *x = &e->extra[e->n_extras];

	for (uint32_t i = 1; i < q->n; i++)
		if (q->zero[i] != q->zero[0])
			return vq_planner_refuse(
				p->s, id, "its zero points differ along an axis, expected one zero point");
	if (e->n_extras == VQ_MAX_EXTRAS)
		return vq_planner_refuse(p->s, id, "too many operands in one group");
	for (int64_t i = 0; i < n; i++) {
		float scale = q->scale[i / (n / q->n)];

		factor[i] = inverse ? vq_c_inverse((double)scale) : scale;
	}
	*x = (vq_extra){ .elem = VQ_F32, .index = p->dense ? VQ_X_COLUMN : VQ_X_STRIDED, .scale = 1.0f };
	if (!p->dense)
		x->stride[q->axis] = 1;
	e->eop[e->n_eops++] = (vq_eop){ .op = VQ_OP_MUL, .extra = (int8_t)e->n_extras++ };
	p->arg[(*p->n_args)++] = vq_pack_bytes(p->s->p, factor, (uint64_t)n * sizeof *factor);
	return true;
}

/* how the group's value is stored */
static void set_store(vq_planner *s, const vq_group *group, uint32_t first, vq_epilogue *e)
{
	vq_node tail = group->node[group->n - 1];
	vq_value v = s->g->node[tail.id].out;
	const vq_type *t = vq_type_of(s->g, v);
	const vq_quant *q = vq_quant_of(s->g, t);
	vq_op op = vq_op_of(s->g, tail);
	bool scaled = e->scaled || group->n > first || first == 0;

	e->scaled = q && scaled;
	if (q) {
		e->store = s->u8[v.id] ? VQ_STORE_U8 : VQ_STORE_S8;
		e->lo = q->lo;
		e->hi = q->hi;
		e->zero = q->zero[0];
		e->inv = scaled ? (float)(1.0 / (double)q->scale[0]) : 1.0f;
		return;
	}
	if (t->elem != VQ_F32) {
		e->store = t->elem == VQ_BOOL ? VQ_STORE_BOOL : VQ_STORE_I32;
		return;
	}
	e->store = VQ_STORE_F32;
	e->flush = s->p->strict && op != VQ_OP_DEQUANTIZE && !vq_integer_product(s->g, tail);
}

bool vq_plan_epilogue(
	vq_planner *s, const vq_group *group, uint32_t first, bool dense, vq_epilogue *e, vq_ref *arg, uint32_t *n_args)
{
	const vq_graph *g = s->g;
	vq_node tail = group->node[group->n - 1];
	program p = {
		.s = s,
		.e = e,
		.arg = arg,
		.n_args = n_args,
		.dense = dense,
		.result = vq_type_of(g, g->node[tail.id].out),
	};

	const vq_quant *from = vq_quant_of(g, vq_type_of(g, vq_operand(g, group->node[0], 0))), *to;

	if (first == 1 && group->n > 1 && s->p->strict && !vq_integer_product(g, group->node[0]))
		e->eop[e->n_eops++] = (vq_eop){
			.op = VQ_OP_NONE, .extra = -1, .flush = 1
		}; /* an f32 product is an f32 value of the graph */
	if (first == 0) {
		vq_value x = vq_operand(g, group->node[0], 0);
		bool second = g->node[group->node[0].id].n_in == 2 && vq_is_const(g, x) &&
			vq_type_count(vq_type_of(g, x)) == 1;

		if (add_extra(&p, vq_operand(g, group->node[0], second), group->node[0]) < 0)
			return false;
		if (vq_op_of(g, group->node[0]) == VQ_OP_DEQUANTIZE && from->n != 1 &&
			!add_channels(&p, group->node[0], from, false))
			return false;
		if (!add_eop(&p, group->node[0], second, true, group->n == 1))
			return false;
		first = 1;
		set_store(s, group, 0, e);
	} else {
		set_store(s, group, first, e);
	}
	for (uint32_t i = first; i < group->n; i++)
		if (!add_eop(&p, group->node[i], group->through[i], false, i + 1 == group->n))
			return false;
	to = vq_quant_of(g, p.result);
	if (!to || to->n == 1 || !e->scaled)
		return true; /* not scaled: the product's multipliers did it */
	if (dense && to->axis + 1 != (int32_t)p.result->rank)
		return vq_planner_refuse(
			s, tail, "the result of a product has scales along another axis than its last");
	e->scaled = false;
	e->inv = 1.0f;
	return add_channels(&p, tail, to, true);
}

bool vq_plan_operands(vq_planner *s, vq_node node, vq_epilogue *e, vq_ref *arg, uint32_t *n_args)
{
	const vq_node_info *n = &s->g->node[node.id];
	program p = { .s = s, .e = e, .arg = arg, .n_args = n_args, .result = vq_type_of(s->g, n->out) };

	for (uint32_t i = 0; i < n->n_in; i++)
		if (add_extra(&p, n->in[i], node) < 0)
			return false;
	return true;
}
