/* SPDX-License-Identifier: MIT */
/*
 * Local rules of canonicalize. All are exact: the same bits come out, but for the sign of a zero.
 */
#include "passes/simplify.h"

#include "ir/eval.h"
#include "passes/match.h"

#include <math.h>
#include <string.h>

/* Is every element of constant v equal to want? */
static bool all_equal(const vq_graph *g, vq_value v, double want)
{
	const vq_type *t = vq_type_of(g, v);
	int64_t n = vq_type_count(t);

	if (!vq_is_const(g, v) || t->elem != VQ_F32)
		return false;
	for (int64_t i = 0; i < n; i++)
		if ((double)((const float *)g->value[v.id].data)[i] != want)
			return false;
	return true;
}

/* not min and max: of a NaN they give the second operand */
static bool commutes(vq_op op)
{
	switch (op) {
	case VQ_OP_ADD:
	case VQ_OP_MUL:
	case VQ_OP_EQUAL:
	case VQ_OP_AND:
	case VQ_OP_OR: return true;
	default: return false;
	}
}

static bool constant_second(vq_graph *g, vq_node n)
{
	vq_value *in = g->node[n.id].in, t = in[0];

	if (!commutes(vq_op_of(g, n)) || !vq_is_const(g, in[0]) || vq_is_const(g, in[1]))
		return false;
	in[0] = in[1];
	in[1] = t;
	return true;
}

/* x*1, x/1, x+0, x-0, neg neg x, cast of a cast's own type; the result must have the shape of x */
static bool neutral(vq_graph *g, vq_node n)
{
	const vq_node_info *i = &g->node[n.id];
	vq_value x = i->in[0], c = i->n_in > 1 ? i->in[1] : VQ_NO_VALUE;
	bool nothing = false;

	switch (i->op) {
	case VQ_OP_MUL:
	case VQ_OP_DIV:
	case VQ_OP_POW: nothing = all_equal(g, c, 1); break;
	case VQ_OP_ADD:
	case VQ_OP_SUB: nothing = all_equal(g, c, 0); break;
	case VQ_OP_CONCAT: nothing = i->n_in == 1; break;
	case VQ_OP_CAST: nothing = vq_type_of(g, x)->elem == i->attr.cast.to && !vq_type_of(g, x)->quant; break;
	case VQ_OP_PAD: nothing = vq_same_shape(vq_type_of(g, x), vq_type_of(g, i->out)); break;
	case VQ_OP_NEG:
		if (vq_def_op(g, x) != VQ_OP_NEG || vq_type_of(g, x)->quant)
			return false;
		x = vq_in(g, x, 0);
		nothing = true;
		break;
	default: return false;
	}
	return nothing && vq_same_type(vq_type_of(g, x), vq_type_of(g, i->out)) && vq_take_over(g, n, x);
}

/* division by powers of two: multiplication by the exact reciprocal */
static bool divide_exactly(vq_graph *g, vq_node n)
{
	vq_value x = vq_operand(g, n, 0), c = vq_operand(g, n, 1);
	const vq_type *t;
	double *reciprocal;
	int64_t count;

	if (vq_op_of(g, n) != VQ_OP_DIV || !vq_is_const(g, c) || vq_type_of(g, c)->elem != VQ_F32)
		return false;
	t = vq_type_of(g, c);
	count = vq_type_count(t);
	reciprocal = VQ_ARRAY(g->arena, (size_t)count, double);
	for (int64_t i = 0; i < count; i++) {
		double d = (double)((const float *)g->value[c.id].data)[i];
		int exponent;

		if (fabs(frexp(d, &exponent)) != 0.5 || exponent < -99 || exponent > 99)
			return false;
		reciprocal[i] = 1 / d;
	}
	c = vq_const_from(g, t->rank, t->dim, reciprocal);
	return vq_take_over(g, n, vq_build2(g, NULL, VQ_OP_MUL, x, c));
}

/* powers that are cheaper and rounded better as something else; 1/x */
static bool powers(vq_graph *g, vq_node n)
{
	vq_value x = vq_operand(g, n, 0), c = vq_operand(g, n, 1);
	const vq_type *out = vq_type_of(g, g->node[n.id].out);
	double e;

	if (vq_op_of(g, n) == VQ_OP_DIV && vq_scalar(g, x, &e) && e == 1 && vq_same_type(vq_type_of(g, c), out))
		return vq_take_over(g, n, vq_build1(g, NULL, VQ_OP_RECIP, c));
	if (vq_op_of(g, n) != VQ_OP_POW || !vq_scalar(g, c, &e) || !vq_same_type(vq_type_of(g, x), out))
		return false;
	if (e == 2)
		return vq_take_over(g, n, vq_build2(g, NULL, VQ_OP_MUL, x, x));
	if (e == 0.5)
		return vq_take_over(g, n, vq_build1(g, NULL, VQ_OP_SQRT, x));
	if (e == -0.5)
		return vq_take_over(g, n, vq_build1(g, NULL, VQ_OP_RECIP, vq_build1(g, NULL, VQ_OP_SQRT, x)));
	if (e == -1)
		return vq_take_over(g, n, vq_build1(g, NULL, VQ_OP_RECIP, x));
	return false;
}

static int64_t index_at(const vq_graph *g, vq_value v, int64_t i)
{
	const void *data = g->value[v.id].data;

	return vq_type_of(g, v)->elem == VQ_I64 ? ((const int64_t *)data)[i] : ((const int32_t *)data)[i];
}

/* gather by constant indices that step evenly: slice, and a reshape for the shape of the indices */
static bool gather_is_slice(vq_graph *g, vq_node n)
{
	vq_value x = vq_operand(g, n, 0), index = vq_operand(g, n, 1), v;
	vq_attr a = { 0 };
	vq_type t, out;
	int64_t count, start, step;
	int32_t axis;

	if (vq_op_of(g, n) != VQ_OP_GATHER || !vq_is_const(g, index) || vq_quant_of(g, vq_type_of(g, x)) != NULL)
		return false;
	axis = g->node[n.id].attr.axis.axis;
	t = *vq_type_of(g, x);
	out = *vq_type_of(g, g->node[n.id].out);
	count = vq_type_count(vq_type_of(g, index));
	for (uint32_t i = 0; i < t.rank; i++) {
		a.slice.step[i] = 1;
		a.slice.count[i] = t.dim[i];
	}
	for (int64_t i = 0; i < count; i++) /* first of all, so that differences cannot overflow */
		if (index_at(g, index, i) < -t.dim[axis] || index_at(g, index, i) >= t.dim[axis])
			return false;
	start = index_at(g, index, 0);
	step = count > 1 ? index_at(g, index, 1) - start : 1;
	if (step == 0)
		return false;
	for (int64_t i = 0; i < count; i++)
		if (index_at(g, index, i) != start + i * step || (index_at(g, index, i) < 0) != (start < 0))
			return false;
	a.slice.start[axis] = start < 0 ? start + t.dim[axis] : start;
	a.slice.step[axis] = step;
	a.slice.count[axis] = count;
	v = vq_build(g, NULL, VQ_OP_SLICE, &x, 1, &a);
	return v.id && vq_take_over(g, n, vq_build_reshape(g, NULL, v, out.rank, out.dim));
}

/*
 * Casts between index types in front of gather go: in range they change nothing, and out of it the
 * index is refused as it was given.
 */
static bool gather_reads_through_cast(vq_graph *g, vq_node n)
{
	vq_value index = vq_operand(g, n, 1), from;
	vq_elem elem;

	if (vq_op_of(g, n) != VQ_OP_GATHER || vq_def_op(g, index) != VQ_OP_CAST)
		return false;
	from = vq_in(g, index, 0);
	elem = vq_type_of(g, from)->elem;
	if (elem != VQ_I64 && elem != VQ_I32)
		return false;
	g->node[n.id].in[1] = from;
	return true;
}

/* codes of one zero point and a scale per place of axis; NULL: they are not that */
static const vq_quant *scaled_along(const vq_graph *g, vq_value codes, int32_t axis)
{
	const vq_quant *q = vq_is_const(g, codes) ? vq_quant_of(g, vq_type_of(g, codes)) : NULL;

	if (!q || q->axis != axis || q->n < 2)
		return NULL;
	for (uint32_t i = 1; i < q->n; i++)
		if (q->zero[i] != q->zero[0])
			return NULL;
	return q;
}

/*
 * Looking up rows of codes that have a scale each: codes and scales are looked up apart, so that a table of embeddings stays codes.
 * Codes times 1 are exact, and the product with the scale is rounded as it was.
 */
static bool gather_scaled_rows(vq_graph *g, vq_node n)
{
	vq_value x = vq_operand(g, n, 0), index = vq_operand(g, n, 1), codes, rows, scales;
	vq_quant unit = { .axis = -1, .n = 1, .scale = &(float){ 1 } };
	vq_attr a = g->node[n.id].attr;
	const vq_quant *q;
	vq_type t, ts;

	if (vq_op_of(g, n) != VQ_OP_GATHER || vq_def_op(g, x) != VQ_OP_DEQUANTIZE || vq_is_const(g, index))
		return false;
	codes = vq_in(g, x, 0);
	q = scaled_along(g, codes, a.axis.axis);
	if (!q)
		return false;
	t = *vq_type_of(g, codes);
	ts = vq_type_make(VQ_F32, t.rank, t.dim);
	for (uint32_t i = 0; i < ts.rank; i++)
		ts.dim[i] = (int32_t)i == a.axis.axis ? ts.dim[i] : 1;
	scales = vq_add_const_copy(g, &ts, q->scale, NULL);
	unit.bits = q->bits;
	unit.lo = q->lo;
	unit.hi = q->hi;
	unit.zero = &(int32_t){ q->zero[0] };
	t.quant = vq_quant_add(g, &unit);
	rows = vq_build_dequantize(g, NULL, vq_add_const(g, &t, g->value[codes.id].data, g->value[codes.id].name));
	rows = vq_build(g, NULL, VQ_OP_GATHER, (vq_value[]){ rows, index }, 2, &a);
	scales = vq_build(g, NULL, VQ_OP_GATHER, (vq_value[]){ scales, index }, 2, &a);
	return rows.id && scales.id &&
		vq_take_over(g, n, vq_build(g, NULL, VQ_OP_MUL, (vq_value[]){ rows, scales }, 2, NULL));
}

/*
 * quantize(constant) is constant codes; the step to f32 behind it stays, so no information is lost
 */
static bool constant_codes(vq_graph *g, vq_node n)
{
	vq_value x = vq_operand(g, n, 0), out = g->node[n.id].out;
	vq_arena scratch = { 0 };
	vq_tensor in, result;
	const char *wrong;

	if (vq_op_of(g, n) != VQ_OP_QUANTIZE || !vq_is_const(g, x))
		return false;
	in = (vq_tensor){ *vq_type_of(g, x), (void *)g->value[x.id].data };
	result.type = *vq_type_of(g, out);
	result.data = vq_arena_alloc(g->arena, vq_type_bytes(&result.type));
	wrong = vq_eval_node(g, &g->node[n.id], &in, &result, &scratch);
	vq_arena_free(&scratch);
	return !wrong && vq_take_over(g, n, vq_add_const(g, &result.type, result.data, g->value[x.id].name));
}

/* a node over constants alone is a constant; the builder folds what may be folded */
static bool constant_result(vq_graph *g, vq_node n)
{
	const vq_node_info *i = &g->node[n.id];
	vq_attr a = i->attr;
	vq_type t = *vq_type_of(g, i->out);
	vq_value v;

	if (i->op == VQ_OP_QUANTIZE || i->op == VQ_OP_DEQUANTIZE || i->out2.id)
		return false;
	for (uint32_t j = 0; j < i->n_in; j++)
		if (!vq_is_const(g, i->in[j]))
			return false;
	/* beyond the builder's limit, or quantized after being computed: left alone */
	if (vq_type_count(&t) > VQ_FOLD_LIMIT || (t.quant && vq_ops[i->op].class_ != VQ_CLASS_MOVE))
		return false;
	v = vq_build(g, vq_where(g, n), i->op, i->in, i->n_in, &a);
	return v.id && vq_take_over(g, n, v);
}

/* concat of a concat along the same axis that does not quantize on the way */
static bool flat_concat(vq_graph *g, vq_node n)
{
	const vq_node_info *i = &g->node[n.id];
	vq_value in[64];
	vq_attr a = i->attr;
	uint32_t count = 0;
	bool nested = false;

	if (i->op != VQ_OP_CONCAT)
		return false;
	for (uint32_t j = 0; j < i->n_in; j++) {
		const vq_node_info *from = &g->node[vq_def_of(g, i->in[j]).id];
		bool open = from->op == VQ_OP_CONCAT && from->attr.axis.axis == a.axis.axis &&
			vq_type_of(g, from->in[0])->quant == vq_type_of(g, from->out)->quant &&
			vq_used_once(g, i->in[j]);

		if (count + (open ? from->n_in : 1) > 64)
			return false;
		for (uint32_t k = 0; open && k < from->n_in; k++)
			in[count++] = from->in[k];
		if (!open)
			in[count++] = i->in[j];
		nested |= open;
	}
	return nested && vq_take_over(g, n, vq_build(g, NULL, VQ_OP_CONCAT, in, count, &a));
}

bool vq_simplify(vq_graph *g)
{
	bool changed = false;

	for (uint32_t i = 1, n = g->n_nodes; i < n; i++) {
		vq_node node = { i };

		if (!g->node[i].op)
			continue;
		if (constant_result(g, node)) {
			changed = true;
			continue;
		}
		changed |= constant_second(g, node);
		changed |= neutral(g, node) || divide_exactly(g, node) || powers(g, node) || gather_is_slice(g, node) ||
			gather_reads_through_cast(g, node) || gather_scaled_rows(g, node) || constant_codes(g, node) ||
			flat_concat(g, node);
	}
	return changed;
}
