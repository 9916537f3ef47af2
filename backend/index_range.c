/* SPDX-License-Identifier: MIT */
#include "backend/index_range.h"

#include "ir/arena.h"

#include <math.h>

enum { LARGEST_CONSTANT = 1 << 16 }; /* elements that are looked at */

static const double limit = 0x1p30; /* beyond, nothing is said: sums and products of i32 could wrap */

/* All values in a run of elements; none is known where lo > hi. */
typedef struct range {
	double lo, hi;
} range;

static const range unknown = { 1, 0 };

static bool known(range r) { return r.lo <= r.hi; }

static range make(double lo, double hi)
{
	return lo >= -limit && hi <= limit && lo <= hi ? (range){ lo, hi } : unknown;
}

static range both(range a, range b)
{
	return known(a) && known(b) ? make(fmin(a.lo, b.lo), fmax(a.hi, b.hi)) : unknown;
}

static double element(const vq_graph *g, vq_value v, int64_t i)
{
	const void *data = g->value[v.id].data;

	switch (g->value[v.id].type.elem) {
	case VQ_F32: return (double)((const float *)data)[i];
	case VQ_I64: return (double)((const int64_t *)data)[i];
	case VQ_I32: return (double)((const int32_t *)data)[i];
	case VQ_BOOL: return ((const uint8_t *)data)[i];
	default: return NAN;
	}
}

/* of a constant, or of a value whose node was visited */
static range range_of(const vq_graph *g, const range *of, vq_value v)
{
	const vq_value_info *i = &g->value[v.id];
	int64_t n = vq_type_count(&i->type);
	range r = { INFINITY, -INFINITY };

	if (i->type.quant)
		return unknown;
	if (i->type.elem == VQ_BOOL)
		return make(0, 1);
	if (i->def != VQ_DEF_CONST)
		return i->def == VQ_DEF_INPUT ? unknown : of[v.id];
	if (n > LARGEST_CONSTANT)
		return unknown;
	for (int64_t k = 0; k < n; k++) {
		double x = element(g, v, k);

		if (!(fabs(x) <= limit))
			return unknown;
		r.lo = fmin(r.lo, x);
		r.hi = fmax(r.hi, x);
	}
	return r;
}

static range product(range a, range b)
{
	double p[4] = { a.lo * b.lo, a.lo * b.hi, a.hi * b.lo, a.hi * b.hi };

	return make(fmin(fmin(p[0], p[1]), fmin(p[2], p[3])), fmax(fmax(p[0], p[1]), fmax(p[2], p[3])));
}

static range of_binary(vq_op op, range a, range b)
{
	if (op == VQ_OP_MOD && known(b) && b.lo >= 1) /* whatever a is */
		return make(0, known(a) && a.lo >= 0 ? fmin(a.hi, b.hi - 1) : b.hi - 1);
	if (!known(a) || !known(b))
		return unknown;
	switch (op) {
	case VQ_OP_MOD: return unknown;
	case VQ_OP_ADD: return make(a.lo + b.lo, a.hi + b.hi);
	case VQ_OP_SUB: return make(a.lo - b.hi, a.hi - b.lo);
	case VQ_OP_MUL: return product(a, b);
	case VQ_OP_MIN: return make(fmin(a.lo, b.lo), fmin(a.hi, b.hi));
	case VQ_OP_DIV: /* by what is positive, toward 0 */
		return b.lo < 1 ? unknown
				: make(trunc(a.lo < 0 ? a.lo / b.lo : a.lo / b.hi),
					  trunc(a.hi < 0 ? a.hi / b.hi : a.hi / b.lo));
	default: return make(fmax(a.lo, b.lo), fmax(a.hi, b.hi));
	}
}

static range of_node(const vq_graph *g, const range *of, const vq_node_info *n)
{
	bool integers = vq_type_of(g, n->out)->elem == VQ_I64 || vq_type_of(g, n->out)->elem == VQ_I32;
	range a = n->n_in ? range_of(g, of, n->in[0]) : unknown, r;

	switch (n->op) {
	case VQ_OP_RESHAPE:
	case VQ_OP_EXPAND:
	case VQ_OP_TRANSPOSE:
	case VQ_OP_SLICE:
	case VQ_OP_VIEW:
	case VQ_OP_REDUCE_MIN:
	case VQ_OP_REDUCE_MAX:
	case VQ_OP_GATHER: return a;
	case VQ_OP_CAST: /* toward 0 */ return integers && known(a) ? make(trunc(a.lo), trunc(a.hi)) : a;
	case VQ_OP_PAD: return both(a, make((double)n->attr.pad.value, (double)n->attr.pad.value));
	case VQ_OP_WHERE: return both(range_of(g, of, n->in[1]), range_of(g, of, n->in[2]));
	case VQ_OP_CONCAT:
		r = a;
		for (uint32_t i = 1; i < n->n_in; i++)
			r = both(r, range_of(g, of, n->in[i]));
		return r;
	case VQ_OP_ADD:
	case VQ_OP_SUB:
	case VQ_OP_MUL:
	case VQ_OP_DIV:
	case VQ_OP_MOD:
	case VQ_OP_MIN:
	case VQ_OP_MAX: return integers ? of_binary(n->op, a, range_of(g, of, n->in[1])) : unknown;
	default: return unknown;
	}
}

bool vq_index_range(const vq_graph *g, vq_value v, int64_t *lo, int64_t *hi)
{
	vq_arena scratch = { 0 };
	range *of = VQ_ARRAY(&scratch, g->n_values, range), r;

	for (uint32_t i = 0; i < g->n_values; i++)
		of[i] = unknown;
	for (uint32_t i = 1; i < g->n_nodes; i++) /* execution order: operands come first */
		if (g->node[i].op)
			of[g->node[i].out.id] = of_node(g, of, &g->node[i]);
	r = range_of(g, of, v);
	vq_arena_free(&scratch);
	*lo = known(r) ? (int64_t)r.lo : 0;
	*hi = known(r) ? (int64_t)r.hi : 0;
	return known(r);
}
