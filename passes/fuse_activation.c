/* SPDX-License-Identifier: MIT */
#include "passes/pass.h"

#include "passes/match.h"
#include "passes/simplify.h"

#include <math.h>
#include <string.h>

/*
 * An elementwise expression in x and one function value F: a(x) + b(x) F, with polynomials a and b
 * of degree up to 3. Every way to write an activation (which product first, division or
 * multiplication, x^3 as pow or products) is the same pair.
 */
enum { DEGREE = 3, DEEPEST = 10 };

typedef struct poly {
	double c[DEGREE + 1]; /* coefficients, by power of x */
} poly;
typedef struct expr {
	poly a; /* what stands without F */
	poly b; /* what multiplies F */
} expr;

static bool is_zero(const poly *p)
{
	for (int i = 0; i <= DEGREE; i++)
		if (p->c[i] != 0)
			return false;
	return true;
}

static bool product(const poly *x, const poly *y, poly *out)
{
	poly r = { 0 };

	for (int i = 0; i <= DEGREE; i++)
		for (int j = 0; j <= DEGREE; j++) {
			double t = x->c[i] * y->c[j];

			if (t != 0 && i + j > DEGREE)
				return false;
			if (t != 0)
				r.c[i + j] += t;
		}
	*out = r;
	return true;
}

static void sum(const poly *x, const poly *y, double sign, poly *out)
{
	for (int i = 0; i <= DEGREE; i++)
		out->c[i] = x->c[i] + sign * y->c[i];
}

static bool multiply(const expr *x, const expr *y, expr *out)
{
	poly s, t;

	if (!is_zero(&x->b) && !is_zero(&y->b))
		return false;
	if (!product(&x->a, &y->b, &s) || !product(&x->b, &y->a, &t) || !product(&x->a, &y->a, &out->a))
		return false;
	sum(&s, &t, 1, &out->b);
	return true;
}

static bool is_arithmetic(vq_op op)
{
	return op == VQ_OP_MUL || op == VQ_OP_DIV || op == VQ_OP_ADD || op == VQ_OP_SUB || op == VQ_OP_NEG ||
		op == VQ_OP_POW;
}

/* v in terms of x and f (f may be VQ_NO_VALUE); false if it is made of anything else */
static bool express(const vq_graph *g, vq_value v, vq_value x, vq_value f, int depth, expr *e)
{
	const vq_node_info *n = &g->node[vq_def_of(g, v).id];
	expr l, r;
	double c;

	*e = (expr){ 0 };
	if (vq_same(v, x)) {
		e->a.c[1] = 1;
		return true;
	}
	if (f.id && vq_same(v, f)) {
		e->b.c[0] = 1;
		return true;
	}
	if (vq_scalar(g, v, &c)) {
		e->a.c[0] = c;
		return true;
	}
	if (depth == 0 || !is_arithmetic(n->op) || !express(g, n->in[0], x, f, depth - 1, &l))
		return false;
	if (n->op == VQ_OP_NEG) {
		sum(&e->a, &l.a, -1, &e->a);
		sum(&e->b, &l.b, -1, &e->b);
		return true;
	}
	if (n->op == VQ_OP_POW) {
		expr square;

		return vq_scalar(g, n->in[1], &c) && c == 3 && multiply(&l, &l, &square) && multiply(&square, &l, e);
	}
	if (n->n_in != 2 || !express(g, n->in[1], x, f, depth - 1, &r))
		return false;
	switch (n->op) {
	case VQ_OP_MUL: return multiply(&l, &r, e);
	case VQ_OP_ADD:
	case VQ_OP_SUB:
		sum(&l.a, &r.a, n->op == VQ_OP_ADD ? 1 : -1, &e->a);
		sum(&l.b, &r.b, n->op == VQ_OP_ADD ? 1 : -1, &e->b);
		return true;
	case VQ_OP_DIV:
		if (!vq_scalar(g, n->in[1], &c) || c == 0)
			return false;
		r.a.c[0] = 1 / c;
		return multiply(&l, &r, e);
	default: return false;
	}
}

/* The coefficients, up to 1e-5; those wanted as 0 must be 0. */
static bool is_poly(const poly *p, double c0, double c1, double c3)
{
	const double want[DEGREE + 1] = { c0, c1, 0, c3 };

	for (int i = 0; i <= DEGREE; i++)
		if (want[i] == 0 ? p->c[i] != 0 : !vq_near(p->c[i], want[i]))
			return false;
	return true;
}

/* the erf, tanh or sigmoid that v is made of, looking through arithmetic */
static vq_value function_in(const vq_graph *g, vq_value v, int depth)
{
	const vq_node_info *n = &g->node[vq_def_of(g, v).id];
	vq_value f = VQ_NO_VALUE;

	if (n->op == VQ_OP_ERF || n->op == VQ_OP_TANH || n->op == VQ_OP_SIGMOID)
		return v;
	if (depth == 0 || !is_arithmetic(n->op))
		return VQ_NO_VALUE;
	for (uint32_t i = 0; i < n->n_in && !f.id; i++)
		f = function_in(g, n->in[i], depth - 1);
	return f;
}

static const double root_half = 0.70710678118654752440, root_2_pi = 0.79788456080286535588;

/* Which activation is e, with F the function op of argument t? */
static vq_op recognise(vq_op op, const expr *e, const poly *t)
{
	bool half = is_poly(&e->a, 0, 0.5, 0) && is_poly(&e->b, 0, 0.5, 0);
	bool gated = is_poly(&e->a, 0, 0, 0) && is_poly(&e->b, 0, 1, 0);

	if (op == VQ_OP_ERF && half && is_poly(t, 0, root_half, 0))
		return VQ_OP_GELU;
	if (op == VQ_OP_TANH && half && is_poly(t, 0, root_2_pi, root_2_pi * 0.044715))
		return VQ_OP_GELU_TANH;
	if (op == VQ_OP_SIGMOID && gated && is_poly(t, 0, 1.702, 0))
		return VQ_OP_GELU_QUICK;
	if (op == VQ_OP_SIGMOID && gated && is_poly(t, 0, 1, 0))
		return VQ_OP_SILU;
	return VQ_OP_NONE;
}

/* Tries x = v and everything v is made of; v is part of the function's argument. */
static bool fuse_in(vq_graph *g, vq_node n, vq_value f, vq_value v, int depth)
{
	vq_value argument = vq_in(g, f, 0), out = g->node[n.id].out;
	const vq_node_info *from = &g->node[vq_def_of(g, v).id];
	expr e, t;

	if (vq_is_const(g, v))
		return false;
	if (vq_same_shape(vq_type_of(g, v), vq_type_of(g, out)) && express(g, argument, v, VQ_NO_VALUE, DEEPEST, &t) &&
		express(g, out, v, f, DEEPEST, &e)) {
		vq_op op = recognise(vq_def_op(g, f), &e, &t.a);

		if (op)
			return vq_take_over(g, n, vq_build1(g, vq_where(g, n), op, v));
	}
	for (uint32_t i = 0; depth && is_arithmetic(from->op) && i < g->node[vq_def_of(g, v).id].n_in; i++)
		if (fuse_in(g, n, f, vq_in(g, v, i), depth - 1))
			return true;
	return false;
}

static bool fuse(vq_graph *g, vq_node n)
{
	vq_op op = vq_op_of(g, n);
	vq_value f;

	if (op != VQ_OP_MUL && op != VQ_OP_ADD && op != VQ_OP_DIV)
		return false;
	f = function_in(g, g->node[n.id].out, 5);
	return f.id && vq_used_once(g, f) && fuse_in(g, n, f, vq_in(g, f, 0), 5);
}

/*
 * fuse_activation: decomposed GELU, tanh GELU, quick GELU and SiLU become one operator.
 *
 * Needs:   canonicalize.
 * Changes: x/2 (1 + erf(x/sqrt 2)), x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), x sigmoid(1.702
 *          x), x sigmoid(x), in every association and order, constants within 1e-5.
 * Leaves:  it alone if the function's value is used elsewhere or a constant differs.
 */
bool vq_pass_fuse_activation(vq_pass *p)
{
	vq_graph *g = p->g;

	if (!vq_canonicalize(g))
		return false;
	for (uint32_t i = 1, n = g->n_nodes; i < n; i++)
		if (g->node[i].op)
			fuse(g, (vq_node){ i });
	return vq_canonicalize(g);
}
