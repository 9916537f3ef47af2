/* SPDX-License-Identifier: MIT */
#include "backend/index_range.h"

#include "ir/arena.h"

#include <math.h>
#include <string.h>

enum { LARGEST_CONSTANT = 1 << 16 }; /* elements that are looked at */

static const double limit = 0x1p30;            /* beyond, nothing is said: sums and products of i32 could wrap */
static const double limit_of_sources = 0x1p24; /* f32 holds every integer up to here */

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

/* What is known of every value: of nodes once they were visited, and of one input what is supposed. */
typedef struct ranges {
	range *of;
	vq_value input; /* or VQ_NO_VALUE */
	range supposed;
} ranges;

/* of a constant, an input, or a value whose node was visited */
static range range_of(const vq_graph *g, const ranges *all, vq_value v)
{
	const vq_value_info *i = &g->value[v.id];
	int64_t n = vq_type_count(&i->type);
	range r = { INFINITY, -INFINITY };

	if (i->type.quant)
		return unknown;
	if (i->def == VQ_DEF_INPUT)
		r = vq_same(v, all->input) ? all->supposed : unknown;
	else if (i->def != VQ_DEF_CONST)
		r = all->of[v.id];
	if (i->type.elem == VQ_BOOL)
		return i->def != VQ_DEF_CONST && known(r) ? r : make(0, 1);
	if (i->def != VQ_DEF_CONST)
		return r;
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

static range of_less(range a, range b) { return !known(a) || !known(b) ? unknown : make(a.hi < b.lo, a.lo < b.hi); }

static range of_cast(vq_elem to, range a)
{
	if (!known(a) || to == VQ_F32)
		return a;
	return to == VQ_BOOL ? make(a.lo > 0 || a.hi < 0, a.lo != 0 || a.hi != 0)
			     : make(trunc(a.lo), trunc(a.hi)); /* toward 0 */
}

static range of_where(const vq_graph *g, const ranges *all, range condition, const vq_node_info *n)
{
	range yes = range_of(g, all, n->in[1]), no = range_of(g, all, n->in[2]);

	return condition.lo > 0 ? yes : condition.hi <= 0 ? no : both(yes, no);
}

static range of_node(const vq_graph *g, const ranges *of, const vq_node_info *n)
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
	case VQ_OP_CAST: return of_cast(vq_type_of(g, n->out)->elem, a);
	case VQ_OP_LESS: return of_less(a, range_of(g, of, n->in[1]));
	case VQ_OP_NOT: return make(1 - a.hi, 1 - a.lo);
	case VQ_OP_PAD: return both(a, make((double)n->attr.pad.value, (double)n->attr.pad.value));
	case VQ_OP_WHERE: return of_where(g, of, a, n);
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

/* of v, if the elements of input lie in [lo, hi] */
static range range_if(const vq_graph *g, vq_value v, vq_value input, double lo, double hi)
{
	vq_arena scratch = { 0 };
	ranges all = { .of = VQ_ARRAY(&scratch, g->n_values, range), .input = input, .supposed = make(lo, hi) };
	range r;

	for (uint32_t i = 0; i < g->n_values; i++)
		all.of[i] = unknown;
	for (uint32_t i = 1; i < g->n_nodes; i++) /* execution order: operands come first */
		if (g->node[i].op)
			all.of[g->node[i].out.id] = of_node(g, &all, &g->node[i]);
	r = range_of(g, &all, v);
	vq_arena_free(&scratch);
	return r;
}

bool vq_index_range(const vq_graph *g, vq_value v, int64_t *lo, int64_t *hi)
{
	range r = range_if(g, v, VQ_NO_VALUE, 1, 0);

	*lo = known(r) ? (int64_t)r.lo : 0;
	*hi = known(r) ? (int64_t)r.hi : 0;
	return known(r);
}

/* ---- indices computed from those that the caller gives ---- */

static bool is_each(vq_op op)
{
	switch (op) {
	case VQ_OP_CAST:
	case VQ_OP_NOT:
	case VQ_OP_LESS:
	case VQ_OP_ADD:
	case VQ_OP_SUB:
	case VQ_OP_MUL:
	case VQ_OP_DIV:
	case VQ_OP_MIN:
	case VQ_OP_MAX:
	case VQ_OP_WHERE: return true;
	default: return false;
	}
}

static bool same_window(const vq_window *a, const vq_window *b)
{
	return vq_same(a->root, b->root) && a->offset == b->offset && a->rank == b->rank &&
		!memcmp(a->dim, b->dim, a->rank * sizeof *a->dim) &&
		!memcmp(a->stride, b->stride, a->rank * sizeof *a->stride);
}

/*
 * Do all elements of v come, each from one, from the same elements of one input? Those go to *found, whose rank is VQ_MAX_RANK + 1
 * before the first. visited: nodes that were seen, by id.
 */
static bool find_source(const vq_graph *g, vq_value v, vq_window *found, bool *visited)
{
	vq_window w = vq_window_find(g, v, NULL, NULL);
	const vq_value_info *root = &g->value[w.root.id];
	const vq_node_info *n;

	if (root->def == VQ_DEF_CONST)
		return true;
	if (root->def == VQ_DEF_INPUT) {
		vq_window_squeeze(&w);
		if (found->rank <= VQ_MAX_RANK)
			return same_window(found, &w);
		*found = w;
		return true;
	}
	n = &g->node[root->index];
	if (!is_each(n->op) || vq_window_count(&w) < vq_type_count(&root->type))
		return false;
	if (visited[root->index])
		return true;
	visited[root->index] = true;
	for (uint32_t i = 0; i < n->n_in; i++)
		if (!find_source(g, n->in[i], found, visited))
			return false;
	return true;
}

typedef struct search {
	const vq_graph *g;
	vq_value index, input;
	double limit;
} search;

static bool inside(const search *s, double lo, double hi)
{
	range r = range_if(s->g, s->index, s->input, lo, hi);

	return known(r) && r.lo >= 0 && r.hi < s->limit;
}

static bool outside(const search *s, double lo, double hi)
{
	range r = range_if(s->g, s->index, s->input, lo, hi);

	return known(r) && (r.hi < 0 || r.lo >= s->limit);
}

/* How far from `from` in the direction of step (1 or -1) the input may go, at most `most` steps; from itself may. */
static double reach(const search *s, double from, double step, double most)
{
	double good = 0, bad = most + 1;

	while (bad - good > 1) {
		double middle = floor((good + bad) / 2), to = from + step * middle;

		if (inside(s, fmin(from, to), fmax(from, to)))
			good = middle;
		else
			bad = middle;
	}
	return from + step * good;
}

bool vq_index_source(const vq_graph *g, vq_value index, int64_t rows, vq_window *w, int64_t *lo, int64_t *hi)
{
	vq_arena scratch = { 0 };
	search s = { g, index, VQ_NO_VALUE, (double)rows };
	double least = 0, most;
	bool one;
	vq_elem elem;

	w->rank = VQ_MAX_RANK + 1;
	one = find_source(g, index, w, VQ_ARRAY(&scratch, g->n_nodes, bool)) && w->rank <= VQ_MAX_RANK;
	vq_arena_free(&scratch);
	if (!one || s.limit > limit_of_sources)
		return false;
	s.input = w->root;
	elem = vq_type_of(g, w->root)->elem;
	if ((elem != VQ_I64 && elem != VQ_I32 && elem != VQ_F32) || !inside(&s, 0, 0))
		return false;
	most = reach(&s, 0, 1, s.limit - 1);
	if (inside(&s, -1, -1))
		least = reach(&s, -1, -1, s.limit - 1);
	*lo = (int64_t)least;
	*hi = (int64_t)most;
	return outside(&s, most + 1, limit_of_sources) && outside(&s, -limit_of_sources, least - 1);
}

/* The inputs that v is computed from, through whatever: their number, and the last one in *input. */
static uint32_t inputs_behind(const vq_graph *g, vq_value v, vq_value *input, bool *visited)
{
	const vq_value_info *i = &g->value[v.id];
	uint32_t count = 0;

	if (visited[v.id] || i->def == VQ_DEF_CONST)
		return 0;
	visited[v.id] = true;
	if (i->def == VQ_DEF_INPUT) {
		*input = v;
		return 1;
	}
	for (uint32_t k = 0; k < g->node[i->index].n_in; k++)
		count += inputs_behind(g, g->node[i->index].in[k], input, visited);
	return count;
}

bool vq_index_mask(const vq_graph *g, vq_value index, int64_t rows, vq_window *w)
{
	vq_arena scratch = { 0 };
	search s = { g, index, VQ_NO_VALUE, (double)rows };
	bool one = inputs_behind(g, index, &s.input, VQ_ARRAY(&scratch, g->n_values, bool)) == 1, counted;
	vq_elem elem = vq_type_of(g, s.input)->elem;

	w->rank = VQ_MAX_RANK + 1;
	counted = !find_source(g, index, w, VQ_ARRAY(&scratch, g->n_nodes, bool));
	vq_arena_free(&scratch);
	if (!one || !counted || (elem != VQ_I64 && elem != VQ_I32) || !inside(&s, 0, 1))
		return false;
	*w = vq_window_of(g, s.input);
	return true;
}
