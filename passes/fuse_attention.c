/* SPDX-License-Identifier: MIT */
#include "passes/pass.h"

#include "passes/match.h"
#include "passes/simplify.h"
#include "passes/view.h"
#include "passes/weights.h"

#include <float.h>
#include <string.h>

enum { MOST_BIASES = 4 };

/*
 * A score replaced by at most this has no weight, and adding it to the score gives the same f32: masks of -inf and of the
 * least f32. A finite one is added as this: the least f32 would become -inf where scores are scaled, and a row that is masked
 * as a whole 0 instead of the mean of all.
 */
static const double masked = -1e30;

/* softmax(Q K^T scale + biases) V as it stands in the graph. */
typedef struct match {
	vq_node scores;   /* the product of Q and K */
	double scale;     /* of the scores, from everywhere between the projections and the softmax */
	vq_value factors; /* constant, broadcasts to the scores with one number per matrix; or none */
	struct {
		vq_value v;                     /* what is added, or, of a mask, the condition that chooses */
		vq_type at;                     /* shape of the scores where it is added */
		double factor;                  /* of the scores behind it */
		double where_true, where_false; /* of a mask: what is added; both 0: not a mask */
	} bias[MOST_BIASES];
	uint32_t n_biases;
	int64_t batch, heads, rows, keys; /* of the scores */
} match;

static bool find_scores(const vq_graph *g, vq_value v, match *m);

/* scores + bias, either way round */
static bool behind_bias(const vq_graph *g, vq_value v, match *m)
{
	const vq_node_info *n = &g->node[vq_def_of(g, v).id];

	for (uint32_t side = 0; side < 2; side++) {
		match t = *m;

		t.bias[t.n_biases].v = n->in[1 - side];
		t.bias[t.n_biases].factor = m->scale;
		t.bias[t.n_biases++].at = *vq_type_of(g, v);
		if (vq_same_shape(vq_type_of(g, n->in[side]), vq_type_of(g, v)) && find_scores(g, n->in[side], &t)) {
			*m = t;
			return true;
		}
	}
	return false;
}

/* where(condition, scores, -inf), either way round: as if -inf or 0 were added */
static bool behind_mask(const vq_graph *g, vq_value v, match *m)
{
	const vq_node_info *n = &g->node[vq_def_of(g, v).id];
	double fill;

	for (uint32_t side = 1; side < 3; side++) {
		match t = *m;

		if (!vq_scalar(g, n->in[3 - side], &fill) || !(fill <= masked) || !(m->scale > 0) ||
			!vq_same_shape(vq_type_of(g, n->in[side]), vq_type_of(g, v)))
			continue;
		fill = fill < -FLT_MAX ? fill : masked / m->scale;
		t.bias[t.n_biases].v = n->in[0];
		t.bias[t.n_biases].factor = m->scale;
		t.bias[t.n_biases].where_true = side == 1 ? 0 : fill;
		t.bias[t.n_biases].where_false = side == 1 ? fill : 0;
		t.bias[t.n_biases++].at = *vq_type_of(g, v);
		if (find_scores(g, n->in[side], &t)) {
			*m = t;
			return true;
		}
	}
	return false;
}

/* Is c a constant with one number per matrix of scores? The temperatures of cosine attention, one per head. */
static bool is_per_matrix(const vq_graph *g, vq_value c)
{
	const vq_type *t = vq_type_of(g, c);

	return vq_is_const(g, c) && t->elem == VQ_F32 && t->rank >= 3 && t->dim[t->rank - 1] == 1 &&
		t->dim[t->rank - 2] == 1;
}

/* Follows the scores from the softmax down to the product; everything on the way is used once. */
static bool find_scores(const vq_graph *g, vq_value v, match *m)
{
	const vq_node_info *n = &g->node[vq_def_of(g, v).id];
	vq_value x;
	double f;

	if (!vq_used_once(g, v))
		return false;
	if (n->op == VQ_OP_MATMUL) {
		m->scores = vq_def_of(g, v);
		return true;
	}
	if (n->op == VQ_OP_RESHAPE)
		return !m->factors.id && find_scores(g, n->in[0], m);
	if (vq_scaled(g, v, &x, &f)) {
		m->scale *= f;
		return find_scores(g, x, m);
	}
	if (n->op == VQ_OP_MUL && !m->factors.id && is_per_matrix(g, n->in[1]) &&
		vq_same_shape(vq_type_of(g, n->in[0]), vq_type_of(g, v))) {
		m->factors = n->in[1];
		return find_scores(g, n->in[0], m);
	}
	if (m->factors.id || m->n_biases == MOST_BIASES) /* what is added would have to be multiplied by the factors */
		return false;
	return n->op == VQ_OP_ADD ? behind_bias(g, v, m) : n->op == VQ_OP_WHERE ? behind_mask(g, v, m) : false;
}

/* number of products that batched operand t makes */
static int64_t batches(const vq_type *t) { return vq_type_count(t) / (t->dim[t->rank - 1] * t->dim[t->rank - 2]); }

/*
 * Batch and heads. With four dimensions or more the last batch dimension is the heads. With three
 * they are one (torch's nn.MultiheadAttention); then the row of channels that q was cut from tells
 * how many heads it had. Any other answer would be as right, but would need a copy.
 */
static bool find_heads(const vq_graph *g, vq_value q, int64_t depth, match *m)
{
	const vq_type *t = vq_type_of(g, q);
	int64_t all = batches(t), channels;

	m->heads = 1;
	if (t->rank >= 4) {
		m->heads = t->dim[t->rank - 3];
	} else if (t->rank == 3) {
		vq_shown s = vq_shown_find(g, q);

		channels = vq_last_dim(g, s.w.root);
		if (channels % depth == 0 && all % (channels / depth) == 0)
			m->heads = channels / depth;
	}
	m->batch = all / m->heads;
	return true;
}

/*
 * An operand of a product, [batch..., length, depth], or with the last two swapped, as [batch,
 * length, heads * depth].
 */
static vq_value flat_operand(vq_graph *g, vq_value v, bool swapped, const match *m, double *scale)
{
	vq_shown s = vq_shown_find(g, v);
	uint32_t r = s.type.rank;
	int64_t perm[VQ_MAX_RANK], length, depth;
	vq_value x;
	double f;

	while (scale && vq_scaled(g, s.w.root, &x, &f) && vq_same_shape(vq_type_of(g, x), vq_type_of(g, s.w.root))) {
		*scale *= f;
		s.w.root = x;
	}
	for (uint32_t i = 0; i < r; i++)
		perm[i] = i;
	if (swapped) {
		perm[r - 1] = r - 2;
		perm[r - 2] = r - 1;
		if (!vq_shown_transpose(&s, perm))
			return VQ_NO_VALUE;
	}
	length = s.type.dim[r - 2];
	depth = s.type.dim[r - 1];
	vq_shown_reshape(&s, 4, (int64_t[]){ m->batch, m->heads, length, depth });
	if (!vq_shown_transpose(&s, (int64_t[]){ 0, 2, 1, 3 }))
		return VQ_NO_VALUE;
	vq_shown_reshape(&s, 3, (int64_t[]){ m->batch, length, m->heads * depth });
	return vq_shown_build(g, NULL, &s);
}

/* What bias i adds to the scores, in the shape it has in the graph. */
static vq_value bias_value(vq_graph *g, const match *m, uint32_t i)
{
	double on = m->bias[i].where_true, off = m->bias[i].where_false, f = m->bias[i].factor;
	vq_value v = m->bias[i].v, in[3];

	if (on != 0 || off != 0) {
		in[0] = v;
		in[1] = vq_const_f32(g, (float)(on * f));
		in[2] = vq_const_f32(g, (float)(off * f));
		return vq_build(g, NULL, VQ_OP_WHERE, in, 3, NULL);
	}
	return f == 1 ? v : vq_build2(g, NULL, VQ_OP_MUL, v, vq_const_f32(g, (float)f));
}

/*
 * A bias as it was added to scores of shape `at`, in a shape that broadcasts to [batch, heads,
 * rows, keys].
 */
static vq_value bias_as(vq_graph *g, vq_value v, const vq_type *at, const match *m)
{
	vq_type t = *vq_type_of(g, v), full;
	uint32_t lead = at->rank - t.rank, last;
	int64_t dim[4], rows, keys, groups = 1;
	vq_attr a = { 0 };

	/* all dimensions of the scores, those it is repeated along as 1 */
	full = vq_type_make(t.elem, at->rank, at->dim);
	for (uint32_t i = 0; i < at->rank; i++)
		full.dim[i] = i < lead ? 1 : t.dim[i - lead];
	rows = full.dim[at->rank - 2];
	keys = full.dim[at->rank - 1];
	if (vq_type_count(&full) == rows * keys)
		return vq_build_reshape(g, NULL, v, 4, (int64_t[]){ 1, 1, rows, keys });
	last = at->rank - 3;
	if (at->dim[last] != m->heads) { /* batch and heads in one dimension */
		if (last != 0 || full.dim[0] != m->batch * m->heads)
			return VQ_NO_VALUE;
		return vq_build_reshape(g, NULL, v, 4, (int64_t[]){ m->batch, m->heads, rows, keys });
	}
	for (uint32_t i = 0; i < last; i++)
		groups *= full.dim[i];
	if (groups > 1 && groups != m->batch) { /* repeated along some of the dimensions that make the batch */
		a.shape.rank = at->rank;
		for (uint32_t i = 0; i < at->rank; i++)
			a.shape.dim[i] = i < last ? at->dim[i] : full.dim[i];
		v = vq_build_reshape(g, NULL, v, at->rank, full.dim);
		v = vq_build(g, NULL, VQ_OP_EXPAND, &v, 1, &a);
		groups = m->batch;
	}
	dim[0] = groups;
	dim[1] = full.dim[last];
	dim[2] = rows;
	dim[3] = keys;
	return vq_build_reshape(g, NULL, v, 4, dim);
}

/*
 * The scale goes into the projection of q where that is a linear operator of its own; else it stays
 * with the attention.
 */
static vq_value fold_scale(vq_graph *g, vq_value q, double *scale)
{
	vq_node l = vq_def_of(g, q);
	int64_t n;
	double *factor;
	vq_value v;

	/* its only use so far is the movement that the new attention will not need */
	if (*scale == 1 || !vq_is_f32_linear(g, l) || vq_uses(g, q) > 1)
		return q;
	n = vq_linear_outputs(g, l);
	factor = VQ_ARRAY(g->arena, (size_t)n, double);
	for (int64_t i = 0; i < n; i++)
		factor[i] = *scale;
	v = vq_linear_scaled(g, l, factor);
	if (!v.id)
		return q;
	*scale = 1;
	return v;
}

/*
 * v = where(p is NaN, 0, p), as scaled_dot_product_attention is exported: rows without any key become 0, which is what
 * attention makes of them.
 */
static vq_value behind_guard(const vq_graph *g, vq_value v)
{
	const vq_node_info *n = &g->node[vq_def_of(g, v).id], *test;
	uint32_t side = 1;
	vq_value p;
	double zero;

	if (n->op != VQ_OP_WHERE || !vq_used_once(g, v))
		return v;
	test = &g->node[vq_def_of(g, n->in[0]).id];
	if (test->op == VQ_OP_NOT && vq_used_once(g, n->in[0])) {
		test = &g->node[vq_def_of(g, test->in[0]).id];
		side = 2;
	}
	p = n->in[side];
	if (test->op != VQ_OP_EQUAL || !vq_same(test->in[0], p) || !vq_same(test->in[1], p) ||
		!vq_used_once(g, test->out) || !vq_scalar(g, n->in[3 - side], &zero) || zero != 0 ||
		!vq_same_shape(vq_type_of(g, p), vq_type_of(g, v)))
		return v;
	return vq_uses(g, p) == 3 ? p : v;
}

/*
 * The softmax over the last axis that is v but for reshapes and a guard against NaN; everything used once but for the
 * guard's own uses.
 */
static vq_node softmax_of(const vq_graph *g, vq_value v)
{
	vq_value p;
	vq_node n;

	while (vq_def_op(g, v) == VQ_OP_RESHAPE && vq_used_once(g, v))
		v = vq_in(g, v, 0);
	p = behind_guard(g, v);
	n = vq_def_of(g, p);
	if (vq_op_of(g, n) != VQ_OP_SOFTMAX || (vq_same(p, v) && !vq_used_once(g, v)) ||
		g->node[n.id].attr.axis.axis + 1 != (int32_t)vq_type_of(g, p)->rank)
		return VQ_NO_NODE;
	return n;
}

/* Has t as many matrices as the scores s, or does the product repeat it (keys and values that heads share)? */
static bool is_operand(const vq_type *t, const vq_type *s)
{
	if (batches(t) == batches(s))
		return true;
	for (uint32_t i = 0; i + 2 < t->rank; i++)
		if (t->rank != s->rank || (t->dim[i] != 1 && t->dim[i] != s->dim[i]))
			return false;
	return t->rank == s->rank;
}

/* v with as many matrices as the scores s */
static vq_value repeated(vq_graph *g, vq_value v, const vq_type *s)
{
	vq_type t = *vq_type_of(g, v);
	vq_attr a = { .shape = { .rank = t.rank } };

	if (batches(&t) == batches(s))
		return v;
	for (uint32_t i = 0; i < t.rank; i++)
		a.shape.dim[i] = i + 2 < t.rank ? s->dim[i] : t.dim[i];
	return vq_build(g, NULL, VQ_OP_EXPAND, &v, 1, &a);
}

static bool find(const vq_graph *g, vq_node n, match *m)
{
	const vq_node_info *values = &g->node[n.id], *scores;
	vq_node softmax;
	const vq_type *q, *k, *s, *v;

	*m = (match){ .scale = 1 };
	if (values->op != VQ_OP_MATMUL || values->attr.matmul.trans_a)
		return false;
	softmax = softmax_of(g, values->in[0]);
	if (!softmax.id || !find_scores(g, vq_operand(g, softmax, 0), m))
		return false;
	scores = &g->node[m->scores.id];
	q = vq_type_of(g, scores->in[0]);
	k = vq_type_of(g, scores->in[1]);
	s = vq_type_of(g, scores->out);
	v = vq_type_of(g, values->in[1]);
	if (q->quant || k->quant || v->quant || s->quant) /* integer products are not those of attention */
		return false;
	m->rows = s->dim[s->rank - 2];
	m->keys = s->dim[s->rank - 1];
	/*
	 * one key and one value matrix per query matrix, or repeated; softmax along the keys, not along
	 * what a reshape made of them
	 */
	if (!is_operand(q, s) || !is_operand(k, s) || !is_operand(v, s))
		return false;
	if (vq_last_dim(g, vq_operand(g, softmax, 0)) != m->keys || vq_last_dim(g, values->in[0]) != m->keys ||
		vq_type_of(g, values->in[0])->dim[vq_type_of(g, values->in[0])->rank - 2] != m->rows)
		return false;
	for (uint32_t i = 0; i < m->n_biases; i++)
		if (m->bias[i].at.rank < 2 || m->bias[i].at.dim[m->bias[i].at.rank - 1] != m->keys ||
			m->bias[i].at.dim[m->bias[i].at.rank - 2] != m->rows)
			return false;
	return find_heads(g, scores->in[0], q->dim[q->rank - (scores->attr.matmul.trans_a ? 2 : 1)], m);
}

static bool fuse(vq_graph *g, vq_node n)
{
	vq_node_info values = g->node[n.id], scores;
	vq_type out = *vq_type_of(g, values.out), s_type;
	vq_value in[4] = { { 0 } }, v;
	vq_shown s;
	match m;

	if (!find(g, n, &m))
		return false;
	scores = g->node[m.scores.id];
	s_type = *vq_type_of(g, scores.out);
	for (uint32_t i = 0; i < 2; i++)
		scores.in[i] = repeated(g, scores.in[i], &s_type);
	values.in[1] = repeated(g, values.in[1], &s_type);
	if (!scores.in[0].id || !scores.in[1].id || !values.in[1].id)
		return false;
	if (m.factors.id) {
		v = vq_build2(g, vq_where(g, m.scores), VQ_OP_MUL, scores.in[0], m.factors);
		if (!v.id || !vq_same_shape(vq_type_of(g, v), vq_type_of(g, scores.in[0])))
			return false;
		scores.in[0] = v;
	}
	in[0] = flat_operand(g, scores.in[0], scores.attr.matmul.trans_a, &m, &m.scale);
	in[1] = flat_operand(g, scores.in[1], !scores.attr.matmul.trans_b, &m, &m.scale);
	in[2] = flat_operand(g, values.in[1], values.attr.matmul.trans_b, &m, NULL);
	if (!in[0].id || !in[1].id || !in[2].id)
		return false;
	for (uint32_t i = m.n_biases; i-- > 0;) {
		vq_value b = bias_value(g, &m, i);

		b = b.id ? bias_as(g, b, &m.bias[i].at, &m) : b;
		if (!b.id)
			return false;
		in[3] = in[3].id ? vq_build2(g, NULL, VQ_OP_ADD, in[3], b) : b;
	}
	in[0] = fold_scale(g, in[0], &m.scale);
	v = vq_build(g, vq_where(g, n), VQ_OP_ATTENTION, in, in[3].id ? 4 : 3,
		&(vq_attr){ .attention = { .heads = (int32_t)m.heads, .scale = (float)m.scale } });
	if (!v.id)
		return false;
	vq_inherit(g, v, n);
	s = vq_shown_of(g, v);
	vq_shown_reshape(&s, 4, (int64_t[]){ m.batch, m.rows, m.heads, out.dim[out.rank - 1] });
	vq_shown_transpose(&s, (int64_t[]){ 0, 2, 1, 3 });
	vq_shown_reshape(&s, out.rank, out.dim);
	return vq_take_over(g, n, vq_shown_build(g, NULL, &s));
}

static void last_two_swapped(uint32_t rank, int64_t *perm)
{
	for (uint32_t i = 0; i < rank; i++)
		perm[i] = i;
	perm[rank - 1] = rank - 2;
	perm[rank - 2] = rank - 1;
}

static vq_value swap_last_two(vq_graph *g, vq_value v)
{
	int64_t perm[VQ_MAX_RANK];

	last_two_swapped(vq_type_of(g, v)->rank, perm);
	return vq_build_transpose(g, NULL, v, perm);
}

/* V^T P^T, as models with channels before positions have it, becomes (P V)^T. */
static bool turn(vq_graph *g, vq_node n)
{
	vq_node_info i = g->node[n.id];
	int64_t perm[VQ_MAX_RANK];
	vq_value p, v, y;
	vq_shown s;

	if (i.op != VQ_OP_MATMUL || softmax_of(g, i.in[0]).id || vq_type_of(g, i.in[0])->rank < 3 ||
		vq_type_of(g, i.in[1])->rank < 3)
		return false;
	s = vq_shown_find(g, i.in[1]);
	last_two_swapped(s.type.rank, perm);
	if (!i.attr.matmul.trans_b && !vq_shown_transpose(&s, perm))
		return false;
	if (!softmax_of(g, s.w.root).id || vq_type_count(vq_type_of(g, s.w.root)) != vq_type_count(&s.type) ||
		s.w.offset || s.w.rank > 1 || (s.w.rank && s.w.stride[0] != 1))
		return false;
	p = vq_shown_build(g, NULL, &s);
	v = i.attr.matmul.trans_a ? i.in[0] : swap_last_two(g, i.in[0]);
	y = p.id && v.id ? vq_build2(g, vq_where(g, n), VQ_OP_MATMUL, p, v) : VQ_NO_VALUE;
	if (!y.id)
		return false;
	vq_inherit(g, y, n);
	return vq_take_over(g, n, swap_last_two(g, y));
}

/*
 * fuse_attention: scores, softmax and values become attention.
 *
 * Needs:   fuse_linear.
 * Changes: matmul(softmax(matmul(q, k^T) scale + biases), v) with heads in a dimension of their own
 *          or in the batch, k moved in any way; also with a mask by where, a guard against NaN, and
 *          transposed as a whole. The scale, on the scores, on q or on k, goes into the projection
 *          of q if that is used by nothing else, scales per head into q.
 *          Where only some rows of the last block are used (the class token), only those are
 *          computed, down to its q.
 * Leaves:  it alone if the scores or the probabilities are used elsewhere, are quantized, or q, k
 *          and v differ in batch.
 * Why:     attention never writes its scores to memory.
 */
bool vq_pass_fuse_attention(vq_pass *p)
{
	vq_graph *g = p->g;
	bool turned = false;

	if (!vq_canonicalize(g))
		return false;
	for (uint32_t i = 1, n = g->n_nodes; i < n; i++)
		if (g->node[i].op)
			turned |= turn(g, (vq_node){ i });
	if (turned && !vq_canonicalize(g))
		return false;
	for (uint32_t i = 1, n = g->n_nodes; i < n; i++)
		if (g->node[i].op)
			fuse(g, (vq_node){ i });
	do {
		if (!vq_canonicalize(g))
			return false;
	} while (vq_raise_selection(g));
	return vq_canonicalize(g);
}
