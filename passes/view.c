/* SPDX-License-Identifier: MIT */
#include "passes/view.h"

#include "ir/shape.h"
#include "passes/match.h"

#include <string.h>

bool vq_is_movement(const vq_graph *g, vq_node n)
{
	const vq_type *from, *to;

	switch (vq_op_of(g, n)) {
	case VQ_OP_RESHAPE:
	case VQ_OP_EXPAND:
	case VQ_OP_TRANSPOSE:
	case VQ_OP_SLICE:
	case VQ_OP_VIEW:
		from = vq_type_of(g, g->node[n.id].in[0]);
		to = vq_type_of(g, g->node[n.id].out);
		return from->elem == to->elem && (from->quant == 0) == (to->quant == 0);
	default: return false;
	}
}

vq_shown vq_shown_of(const vq_graph *g, vq_value v)
{
	vq_shown s = { vq_window_of(g, v), *vq_type_of(g, v) };

	vq_window_squeeze(&s.w);
	return s;
}

/* ---- dimensions of the shape as runs of pieces of the window ---- */

/* The window cut so finely that every piece belongs to one dimension of the shape. */
typedef struct cut {
	uint32_t n;
	struct piece {
		int64_t dim, stride; /* as of a window */
		uint32_t of;         /* dimension of the shape it belongs to */
	} piece[VQ_MAX_RANK];
} cut;

static bool cut_up(const vq_shown *s, cut *c)
{
	uint32_t run = s->w.rank, n = 0;
	int64_t left = 1, step = 0;
	cut r = { 0 };

	/* from the innermost dimension outwards, pieces in reverse order */
	for (uint32_t i = s->type.rank; i-- > 0;) {
		int64_t need = s->type.dim[i];

		while (need > 1) {
			int64_t part;

			if (left == 1) {
				run--;
				left = s->w.dim[run];
				step = s->w.stride[run];
			}
			if (left % need != 0 && need % left != 0)
				return false;
			part = left < need ? left : need;
			if (n == VQ_MAX_RANK)
				return false;
			r.piece[n++] = (struct piece){ part, step, i };
			step *= part;
			left /= part;
			need /= part;
		}
	}
	c->n = n;
	for (uint32_t i = 0; i < n; i++)
		c->piece[i] = r.piece[n - 1 - i];
	return true;
}

static void put_together(vq_shown *s, const cut *c)
{
	s->w.rank = c->n;
	for (uint32_t i = 0; i < c->n; i++) {
		s->w.dim[i] = c->piece[i].dim;
		s->w.stride[i] = c->piece[i].stride;
	}
	vq_window_squeeze(&s->w);
}

bool vq_shown_transpose(vq_shown *s, const int64_t *perm)
{
	cut c, r = { 0 };
	vq_type from = s->type;

	if (!cut_up(s, &c))
		return false;
	for (uint32_t i = 0; i < from.rank; i++) {
		s->type.dim[i] = from.dim[perm[i]];
		for (uint32_t j = 0; j < c.n; j++)
			if (c.piece[j].of == (uint32_t)perm[i])
				r.piece[r.n++] = c.piece[j];
	}
	put_together(s, &r);
	return true;
}

void vq_shown_reshape(vq_shown *s, uint32_t rank, const int64_t *dim)
{
	vq_type t = vq_type_make(s->type.elem, rank, dim);

	t.quant = s->type.quant;
	s->type = t;
}

/* One dimension: a slice of a run of pieces must be whole blocks of its outermost piece. */
static bool slice_dim(vq_shown *s, cut *c, uint32_t dim, int64_t start, int64_t step, int64_t count)
{
	int64_t block = s->type.dim[dim];
	uint32_t outer = 0;

	if (count == block && step == 1)
		return true;
	if (block == 1)
		return true;
	while (c->piece[outer].of != dim)
		outer++;
	block /= c->piece[outer].dim;
	if (block > 1 && count == 1) {
		/* one element of several pieces: a position in each */
		for (uint32_t i = outer; i < c->n && c->piece[i].of == dim; i++) {
			s->w.offset += start / block * c->piece[i].stride;
			start %= block;
			c->piece[i].dim = 1;
			if (i + 1 < c->n)
				block /= c->piece[i + 1].of == dim ? c->piece[i + 1].dim : 1;
		}
		return true;
	}
	if (block > 1 && (start % block || count % block || step != 1))
		return false;
	s->w.offset += start / block * c->piece[outer].stride;
	c->piece[outer].dim = count / block;
	c->piece[outer].stride *= step;
	return true;
}

static bool slice(vq_shown *s, const vq_attr *a)
{
	vq_shown r = *s;
	cut c;

	if (!cut_up(s, &c))
		return false;
	for (uint32_t i = 0; i < s->type.rank; i++) {
		if (!slice_dim(&r, &c, i, a->slice.start[i], a->slice.step[i], a->slice.count[i]))
			return false;
		r.type.dim[i] = a->slice.count[i];
	}
	put_together(&r, &c);
	*s = r;
	return true;
}

static bool expand(vq_shown *s, const vq_type *to)
{
	uint32_t lead = to->rank - s->type.rank, j = 0;
	cut c, r = { 0 };

	if (!cut_up(s, &c))
		return false;
	for (uint32_t i = 0; i < to->rank; i++) {
		bool repeats = i < lead || s->type.dim[i - lead] != to->dim[i];

		for (; j < c.n && i >= lead && c.piece[j].of == i - lead; j++) {
			if (r.n == VQ_MAX_RANK)
				return false;
			r.piece[r.n++] = c.piece[j];
		}
		if (!repeats || to->dim[i] == 1)
			continue;
		if (r.n == VQ_MAX_RANK)
			return false;
		r.piece[r.n++] = (struct piece){ to->dim[i], 0, i };
	}
	vq_shown_reshape(s, to->rank, to->dim);
	put_together(s, &r);
	return true;
}

/* A view's numbering of s as positions in the window's dimensions. */
typedef struct place {
	int64_t step[VQ_MAX_RANK];  /* row-major step of each dimension of the window */
	int64_t at[VQ_MAX_RANK];    /* position of the first element */
	int64_t reach[VQ_MAX_RANK]; /* farthest position that dimensions of the view add */
} place;

/*
 * One dimension of a view, n elements s apart, in pieces that each walk along one dimension of the
 * window; appended innermost first.
 */
static bool place_dim(const vq_window *w, place *p, int64_t n, int64_t s, cut *r)
{
	while (n > 1) {
		uint32_t i = 0;
		int64_t m, part = n;

		if (r->n == VQ_MAX_RANK || s < 0)
			return false;
		if (s == 0) {
			r->piece[r->n++] = (struct piece){ n, 0, 0 };
			return true;
		}
		while (i < w->rank && p->step[i] > s)
			i++;
		if (i == w->rank || s % p->step[i])
			return false;
		m = s / p->step[i];
		if (p->at[i] + p->reach[i] + m * (n - 1) >= w->dim[i]) {
			/*
			 * goes on in the next dimension outwards, after a whole number of steps in
			 * this one
			 */
			if (i == 0 || w->dim[i] % m || n % (w->dim[i] / m))
				return false;
			part = w->dim[i] / m;
		}
		p->reach[i] += m * (part - 1);
		if (part > 1)
			r->piece[r->n++] = (struct piece){ part, w->stride[i] * m, 0 };
		n /= part;
		s = n > 1 ? p->step[i - 1] : s;
	}
	return true;
}

static bool view(vq_shown *s, const vq_attr *a)
{
	vq_shown r = *s;
	place p = { 0 };
	cut c = { 0 }, back = { 0 };
	int64_t step = 1, at = a->view.offset;

	for (uint32_t i = s->w.rank; i-- > 0;) {
		p.step[i] = step;
		step *= s->w.dim[i];
	}
	for (uint32_t i = 0; i < s->w.rank; i++) {
		p.at[i] = at / p.step[i];
		at %= p.step[i];
		r.w.offset += p.at[i] * s->w.stride[i];
	}
	if (s->w.rank <= 1) { /* any stride will do: the numbering is the root's own but for a factor */
		int64_t factor = s->w.rank ? s->w.stride[0] : 0;

		r.w.rank = a->view.rank;
		for (uint32_t i = 0; i < a->view.rank; i++) {
			r.w.dim[i] = a->view.dim[i];
			r.w.stride[i] = a->view.stride[i] * factor;
		}
		vq_window_squeeze(&r.w);
	} else {
		for (uint32_t i = a->view.rank; i-- > 0;)
			if (!place_dim(&s->w, &p, a->view.dim[i], a->view.stride[i], &c))
				return false;
		for (uint32_t i = 0; i < s->w.rank; i++)
			if (p.at[i] + p.reach[i] >= s->w.dim[i])
				return false;
		back.n = c.n;
		for (uint32_t i = 0; i < c.n; i++)
			back.piece[i] = c.piece[c.n - 1 - i];
		put_together(&r, &back);
	}
	vq_shown_reshape(&r, a->view.rank, a->view.dim);
	*s = r;
	return true;
}

static bool through(const vq_graph *g, const vq_node_info *n, vq_shown *s)
{
	switch (n->op) {
	case VQ_OP_RESHAPE: vq_shown_reshape(s, n->attr.shape.rank, n->attr.shape.dim); return true;
	case VQ_OP_EXPAND: return expand(s, vq_type_of(g, n->out));
	case VQ_OP_TRANSPOSE: return vq_shown_transpose(s, n->attr.perm.perm);
	case VQ_OP_SLICE: return slice(s, &n->attr);
	default: return view(s, &n->attr);
	}
}

/*
 * Is v, the result of movement, in the per-tensor entry of its operand or in none? (Those of
 * constants move in move_constant.)
 */
static bool keeps_entry(const vq_graph *g, vq_value v)
{
	const vq_type *t = vq_type_of(g, v);
	const vq_quant *q = vq_quant_of(g, t);

	return t->quant == vq_type_of(g, vq_in(g, v, 0))->quant && !(q && q->axis >= 0);
}

vq_shown vq_shown_find(const vq_graph *g, vq_value v)
{
	enum { LONGEST = 64 };
	uint32_t chain[LONGEST], n = 0;
	vq_shown s;

	for (vq_value at = v; n < LONGEST && vq_is_movement(g, vq_def_of(g, at)) && keeps_entry(g, at);
		at = vq_in(g, at, 0))
		chain[n++] = vq_def_of(g, at).id;
	s = vq_shown_of(g, n ? g->node[chain[n - 1]].in[0] : v);
	while (n-- > 0)
		if (!through(g, &g->node[chain[n]], &s))
			s = vq_shown_of(g, g->node[chain[n]].out);
	return s;
}

/* ---- back to operators ---- */

static vq_value build_view(vq_graph *g, const char *where, vq_value root, const vq_window *w)
{
	vq_attr a = { .view = { .offset = w->offset, .rank = w->rank } };

	for (uint32_t i = 0; i < w->rank; i++) {
		a.view.dim[i] = w->dim[i];
		a.view.stride[i] = w->dim[i] == 1 ? 0 : w->stride[i];
	}
	return vq_build(g, where, VQ_OP_VIEW, &root, 1, &a);
}

static bool is_whole(const vq_graph *g, const vq_shown *s)
{
	return s->w.offset == 0 && vq_type_count(&s->type) == vq_type_count(vq_type_of(g, s->w.root)) &&
		(s->w.rank == 0 || (s->w.rank == 1 && s->w.stride[0] == 1));
}

vq_value vq_shown_build(vq_graph *g, const char *where, const vq_shown *s)
{
	vq_window w = s->w;
	vq_value root = s->w.root;

	if (is_whole(g, s))
		return vq_build_reshape(g, where, root, s->type.rank, s->type.dim);
	if (vq_window_reshape(&w, s->type.rank, s->type.dim))
		return build_view(g, where, root, &w);
	root = build_view(g, where, root, &s->w);
	return root.id ? vq_build_reshape(g, where, root, s->type.rank, s->type.dim) : root;
}

/* Movement of dequantize(constant): the codes move. n may be any movement operator. */
static bool move_constant(vq_graph *g, vq_node n)
{
	vq_value x = vq_operand(g, n, 0), codes = vq_in(g, x, 0), moved;
	vq_attr a = g->node[n.id].attr;
	vq_type t;

	if (vq_def_op(g, x) != VQ_OP_DEQUANTIZE || !vq_is_const(g, codes) ||
		vq_infer_add(g, vq_op_of(g, n), vq_type_of(g, codes), 1, &a, &t))
		return false;
	moved = vq_build(g, NULL, vq_op_of(g, n), &codes, 1, &a);
	return moved.id && vq_take_over(g, n, vq_build_dequantize(g, NULL, moved));
}

/* Is node n exactly what vq_shown_build would make of s? */
static bool is_shortest(const vq_graph *g, const vq_node_info *n, const vq_shown *s)
{
	vq_window w = s->w;

	if (!vq_same(n->in[0], s->w.root))
		return false;
	if (is_whole(g, s))
		return n->op == VQ_OP_RESHAPE && !vq_same_shape(&s->type, vq_type_of(g, s->w.root));
	if (n->op != VQ_OP_VIEW || n->attr.view.offset != w.offset || !vq_window_reshape(&w, s->type.rank, s->type.dim))
		return false;
	for (uint32_t i = 0; i < w.rank; i++)
		if (n->attr.view.stride[i] != (w.dim[i] == 1 ? 0 : w.stride[i]))
			return false;
	return true;
}

/* A reshape that a window cannot express stays, over a view of its squeezed window. */
static bool is_shortest_pair(const vq_graph *g, const vq_node_info *n, const vq_shown *s)
{
	vq_window w = s->w;
	vq_shown half = { .w = s->w };
	const vq_node_info *inner = &g->node[vq_def_of(g, n->in[0]).id];

	if (n->op != VQ_OP_RESHAPE || inner->op != VQ_OP_VIEW || vq_window_reshape(&w, s->type.rank, s->type.dim))
		return false;
	half.type = vq_type_make(s->type.elem, s->w.rank, s->w.dim);
	return vq_same_shape(&half.type, vq_type_of(g, inner->out)) && is_shortest(g, inner, &half);
}

bool vq_merge_movement(vq_graph *g)
{
	bool changed = false;

	for (uint32_t i = 1, n = g->n_nodes; i < n; i++) {
		vq_node node = { i };
		vq_value out = g->node[i].out, v;
		vq_shown s;

		if (!vq_is_movement(g, node))
			continue;
		if (move_constant(g, node)) {
			changed = true;
			continue;
		}
		s = vq_shown_find(g, out);
		if (vq_same(s.w.root, out) || is_shortest(g, &g->node[i], &s) || is_shortest_pair(g, &g->node[i], &s))
			continue;
		v = vq_shown_build(g, NULL, &s);
		changed |= vq_take_over(g, node, v);
	}
	return changed;
}
