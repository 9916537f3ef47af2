/* SPDX-License-Identifier: MIT */
/* The shape rules: result type of every operator, or what is wrong with its operands. */
#include "ir/contract.h"
#include "ir/shape.h"

#include "ir/build.h"

#include <stdarg.h>
#include <string.h>

static const char *const sides[] = { "left", "right", "third" };

/* ---- helpers ---- */

const char *vq_shape_text(vq_arena *a, const vq_type *t)
{
	const char *text = t->rank ? "" : "scalar";

	for (uint32_t i = 0; i < t->rank; i++)
		text = vq_arena_printf(a, "%s%s%lld", text, i ? "x" : "", (long long)t->dim[i]);
	return text;
}

const char *vq_rule_shape_text(const vq_rule *r, uint32_t operand) { return vq_shape_text(r->a, &r->in[operand]); }

/* what arithmetic sees: codes read as their values */
static vq_elem seen(const vq_type *t) { return t->quant ? VQ_F32 : t->elem; }

enum { F32 = 1 << VQ_F32, NUMBER = 1 << VQ_F32 | 1 << VQ_I64 | 1 << VQ_I32, BOOL = 1 << VQ_BOOL, ANY = -1 };

const char *vq_rule_need_elem(const vq_rule *r, uint32_t operand, int allowed, const char *expected)
{
	if (allowed & 1 << seen(&r->in[operand]))
		return NULL;
	return vq_arena_printf(r->a, "operand %u is %s, expected %s", (unsigned)operand + 1,
		vq_type_text(r->a, &r->in[operand]), expected);
}

/* element types each operator computes with */
static const char *check_elem(const vq_rule *r, uint32_t operand)
{
	switch (r->op) {
	case VQ_OP_NOT:
	case VQ_OP_AND:
	case VQ_OP_OR: return vq_rule_need_elem(r, operand, BOOL, "bool");
	case VQ_OP_EQUAL:
	case VQ_OP_CAST: return NULL;
	case VQ_OP_MOD: return vq_rule_need_elem(r, operand, 1 << VQ_I64 | 1 << VQ_I32, "i64 or i32");
	case VQ_OP_NEG:
	case VQ_OP_ABS:
	case VQ_OP_RELU:
	case VQ_OP_ADD:
	case VQ_OP_SUB:
	case VQ_OP_MUL:
	case VQ_OP_DIV:
	case VQ_OP_POW:
	case VQ_OP_MIN:
	case VQ_OP_MAX:
	case VQ_OP_LESS:
	case VQ_OP_REDUCE_SUM:
	case VQ_OP_REDUCE_MAX:
	case VQ_OP_REDUCE_MIN:
	case VQ_OP_REDUCE_PROD: return vq_rule_need_elem(r, operand, NUMBER, "f32, i64 or i32");
	default: return vq_rule_need_elem(r, operand, F32, "f32");
	}
}

static const char *same_elems(const vq_rule *r, uint32_t i, uint32_t j)
{
	if (seen(&r->in[i]) == seen(&r->in[j]))
		return NULL;
	return vq_arena_printf(r->a, "element types differ: %s is %s, %s is %s", sides[i],
		vq_type_text(r->a, &r->in[i]), sides[j], vq_type_text(r->a, &r->in[j]));
}

void vq_rule_set_shape(const vq_rule *r, const vq_type *from)
{
	r->out->rank = from->rank;
	memcpy(r->out->dim, from->dim, sizeof from->dim);
}

const char *vq_rule_check_axis(const vq_rule *r)
{
	int32_t axis = r->attr->axis.axis;

	if (axis >= 0 && (uint32_t)axis < r->in[0].rank)
		return NULL;
	return vq_arena_printf(r->a, "axis %d is outside the operand's %u dimensions (%s)", (int)axis,
		(unsigned)r->in[0].rank, vq_rule_shape_text(r, 0));
}

const char *vq_size_problem(vq_arena *a, const vq_type *t, const char *what)
{
	int64_t n = 1;

	if (t->rank > VQ_MAX_RANK)
		return vq_arena_printf(
			a, "%s has %u dimensions, at most %d are supported", what, (unsigned)t->rank, VQ_MAX_RANK);
	for (uint32_t i = 0; i < t->rank; i++) {
		if (t->dim[i] < 1)
			return vq_arena_printf(a,
				"dimension %u of %s is %lld, expected at least 1 (empty tensors "
				"are not supported)",
				(unsigned)i, what, (long long)t->dim[i]);
		if (t->dim[i] > VQ_MAX_ELEMENTS / n)
			return vq_arena_printf(
				a, "%s of shape %s has more than 2^40 elements", what, vq_shape_text(a, t));
		n *= t->dim[i];
	}
	return NULL;
}

/* aligns the last dimensions; out may be a */
const char *vq_rule_broadcast(const vq_rule *r, const vq_type *a, const vq_type *b, vq_type *out)
{
	vq_type t = { .elem = VQ_F32, .rank = a->rank > b->rank ? a->rank : b->rank };

	for (uint32_t i = 0; i < t.rank; i++) {
		int64_t da = i < t.rank - a->rank ? 1 : a->dim[i - (t.rank - a->rank)];
		int64_t db = i < t.rank - b->rank ? 1 : b->dim[i - (t.rank - b->rank)];

		if (da != db && da != 1 && db != 1)
			return vq_arena_printf(r->a, "shapes do not broadcast: left is %s, right is %s",
				vq_shape_text(r->a, a), vq_shape_text(r->a, b));
		t.dim[i] = da == 1 ? db : da;
	}
	*out = t;
	return NULL;
}

/* ---- elementwise ---- */

const char *vq_shape_same(vq_rule *r)
{
	if (r->op == VQ_OP_SOFTMAX) {
		const char *wrong = vq_rule_check_axis(r);

		if (wrong)
			return wrong;
	}
	vq_rule_set_shape(r, &r->in[0]);
	r->out->elem = seen(&r->in[0]);
	return check_elem(r, 0);
}

const char *vq_shape_cast(vq_rule *r)
{
	if ((uint32_t)r->attr->cast.to >= VQ_ELEM_COUNT)
		return vq_arena_printf(r->a, "the element type to cast to is unknown");
	vq_rule_set_shape(r, &r->in[0]);
	r->out->elem = r->attr->cast.to;
	return NULL;
}

const char *vq_shape_broadcast(vq_rule *r)
{
	const char *wrong = same_elems(r, 0, 1);

	if (!wrong)
		wrong = check_elem(r, 0);
	if (!wrong)
		wrong = vq_rule_broadcast(r, &r->in[0], &r->in[1], r->out);
	r->out->elem = seen(&r->in[0]);
	return wrong;
}

const char *vq_shape_compare(vq_rule *r)
{
	const char *wrong = vq_shape_broadcast(r);

	r->out->elem = VQ_BOOL;
	return wrong;
}

const char *vq_shape_where(vq_rule *r)
{
	const char *wrong = vq_rule_need_elem(r, 0, BOOL, "bool");

	if (!wrong)
		wrong = same_elems(r, 1, 2);
	if (!wrong)
		wrong = vq_rule_broadcast(r, &r->in[1], &r->in[2], r->out);
	if (!wrong)
		wrong = vq_rule_broadcast(r, &r->in[0], r->out, r->out);
	r->out->elem = seen(&r->in[1]);
	return wrong;
}

/* ---- along axes ---- */

const char *vq_shape_reduce(vq_rule *r)
{
	const vq_type *in = &r->in[0];
	uint32_t axes = r->attr->reduce.axes, rank = 0;

	if (!axes || axes >> in->rank)
		return vq_arena_printf(r->a,
			"the set of axes 0x%x is empty or outside the operand's %u dimensions (%s)", (unsigned)axes,
			(unsigned)in->rank, vq_rule_shape_text(r, 0));
	for (uint32_t i = 0; i < in->rank; i++)
		if (!(axes & 1u << i))
			r->out->dim[rank++] = in->dim[i];
		else if (r->attr->reduce.keepdims)
			r->out->dim[rank++] = 1;
	r->out->rank = rank;
	r->out->elem = seen(in);
	return check_elem(r, 0);
}

/* operand i is a vector of n elements, called name */
static const char *need_vector(const vq_rule *r, uint32_t i, int64_t n, const char *name)
{
	if (r->in[i].rank == 1 && r->in[i].dim[0] == n)
		return check_elem(r, i);
	return vq_arena_printf(r->a, "%s is %s, expected %lld", name, vq_rule_shape_text(r, i), (long long)n);
}

const char *vq_shape_layernorm(vq_rule *r)
{
	const char *wrong = check_elem(r, 0);
	int64_t n;

	if (wrong)
		return wrong;
	if (r->in[0].rank < 1)
		return "the operand is a scalar, expected at least 1 dimension";
	if (!(r->attr->norm.epsilon >= 0) || r->attr->norm.epsilon > 1e30f)
		return vq_arena_printf(r->a, "epsilon is %g, expected a finite number that is not negative",
			(double)r->attr->norm.epsilon);
	n = r->in[0].dim[r->in[0].rank - 1];
	wrong = need_vector(r, 1, n, "gamma");
	if (!wrong)
		wrong = need_vector(r, 2, n, "beta");
	vq_rule_set_shape(r, &r->in[0]);
	return wrong;
}

/* ---- sums of products ---- */

static const char *all_f32(const vq_rule *r)
{
	const char *wrong = NULL;

	for (uint32_t i = 0; i < r->n_in && !wrong; i++)
		wrong = check_elem(r, i);
	return wrong;
}

const char *vq_shape_linear(vq_rule *r)
{
	const vq_type *x = &r->in[0], *w = &r->in[1];

	if (x->rank < 1)
		return "the left operand is a scalar, expected at least 1 dimension";
	if (w->rank != 2)
		return vq_arena_printf(r->a, "the weights are %s, expected outputs x inputs", vq_rule_shape_text(r, 1));
	if (x->dim[x->rank - 1] != w->dim[1])
		return vq_arena_printf(r->a, "inner dimensions differ: left is %s, weights are %s (outputs x inputs)",
			vq_rule_shape_text(r, 0), vq_rule_shape_text(r, 1));
	vq_rule_set_shape(r, x);
	r->out->dim[x->rank - 1] = w->dim[0];
	if (r->n_in > 2) {
		const char *wrong = need_vector(r, 2, w->dim[0], "the bias");

		if (wrong)
			return wrong;
	}
	return all_f32(r);
}

/* the product of a and b, whatever they hold; sets the result's shape */
static const char *matmul(vq_rule *r, const vq_type *a, const vq_type *b)
{
	bool ta = r->attr->matmul.trans_a, tb = r->attr->matmul.trans_b;
	vq_type batch_a = *a, batch_b = *b;

	if (a->rank < 2 || b->rank < 2)
		return vq_arena_printf(r->a,
			"operands have %u and %u dimensions, expected at least 2 (left is %s, "
			"right is %s)",
			(unsigned)a->rank, (unsigned)b->rank, vq_shape_text(r->a, a), vq_shape_text(r->a, b));
	if (a->dim[a->rank - (ta ? 2 : 1)] != b->dim[b->rank - (tb ? 1 : 2)])
		return vq_arena_printf(r->a, "inner dimensions differ: left is %s%s, right is %s%s",
			vq_shape_text(r->a, a), ta ? " transposed" : "", vq_shape_text(r->a, b),
			tb ? " transposed" : "");
	batch_a.rank -= 2;
	batch_b.rank -= 2;
	if (vq_rule_broadcast(r, &batch_a, &batch_b, r->out))
		return vq_arena_printf(r->a, "batch dimensions do not broadcast: left is %s, right is %s",
			vq_shape_text(r->a, a), vq_shape_text(r->a, b));
	r->out->dim[r->out->rank++] = a->dim[a->rank - (ta ? 1 : 2)];
	r->out->dim[r->out->rank++] = b->dim[b->rank - (tb ? 2 : 1)];
	return NULL;
}

const char *vq_shape_matmul(vq_rule *r)
{
	const char *wrong = matmul(r, &r->in[0], &r->in[1]);

	return wrong ? wrong : all_f32(r);
}

const char *vq_shape_conv(vq_rule *r)
{
	const vq_type *x = &r->in[0], *w = &r->in[1];
	int64_t group = r->attr->conv.group;

	if (x->rank < 3 || x->rank > 5 || w->rank != x->rank)
		return vq_arena_printf(r->a, "operand is %s and weights are %s, expected both with 3 to 5 dimensions",
			vq_rule_shape_text(r, 0), vq_rule_shape_text(r, 1));
	if (group < 1 || x->dim[1] % group || w->dim[0] % group || w->dim[1] != x->dim[1] / group)
		return vq_arena_printf(r->a, "channels differ: operand is %s, weights are %s, %lld groups",
			vq_rule_shape_text(r, 0), vq_rule_shape_text(r, 1), (long long)group);
	vq_rule_set_shape(r, x);
	r->out->dim[1] = w->dim[0];
	for (uint32_t i = 0; i < x->rank - 2; i++) {
		int64_t stride = r->attr->conv.stride[i], dilation = r->attr->conv.dilation[i], k = w->dim[i + 2];
		int64_t before = r->attr->conv.before[i], after = r->attr->conv.after[i];
		int64_t padded = x->dim[i + 2] + before + after;

		if (stride < 1 || dilation < 1 || before < 0 || after < 0)
			return vq_arena_printf(r->a,
				"stride %lld, dilation %lld or padding %lld, %lld of spatial "
				"dimension %u is out of range",
				(long long)stride, (long long)dilation, (long long)before, (long long)after,
				(unsigned)i);
		if (k - 1 > (padded - 1) / dilation)
			return vq_arena_printf(r->a,
				"the kernel (%s, dilation %lld) does not fit spatial dimension %u "
				"of %s with padding",
				vq_rule_shape_text(r, 1), (long long)dilation, (unsigned)i, vq_rule_shape_text(r, 0));
		r->out->dim[i + 2] = (padded - 1 - (k - 1) * dilation) / stride + 1;
	}
	if (r->n_in > 2) {
		const char *wrong = need_vector(r, 2, w->dim[0], "the bias");

		if (wrong)
			return wrong;
	}
	return all_f32(r);
}

/* q, k, v and, as operand `bias`, maybe a bias */
static const char *attention(vq_rule *r, const vq_type *q, const vq_type *k, const vq_type *v, uint32_t bias)
{
	int64_t heads = r->attr->attention.heads;
	vq_type scores, wide;

	if (q->rank != 3 || k->rank != 3 || v->rank != 3 || k->dim[0] != q->dim[0] || v->dim[0] != q->dim[0] ||
		k->dim[1] != v->dim[1] || k->dim[2] != q->dim[2])
		return vq_arena_printf(r->a,
			"q is %s, k is %s, v is %s, expected batch x length x channels, "
			"q and k of equal channels, k and v of equal length",
			vq_shape_text(r->a, q), vq_shape_text(r->a, k), vq_shape_text(r->a, v));
	if (heads < 1 || q->dim[2] % heads || v->dim[2] % heads)
		return vq_arena_printf(r->a, "%lld heads do not divide the channels of q (%s) and v (%s)",
			(long long)heads, vq_shape_text(r->a, q), vq_shape_text(r->a, v));
	scores = vq_type_make(VQ_F32, 4, (int64_t[]){ q->dim[0], heads, q->dim[1], k->dim[1] });
	if (r->n_in > bias && (vq_rule_broadcast(r, &r->in[bias], &scores, &wide) || !vq_same_shape(&wide, &scores)))
		return vq_arena_printf(r->a, "the bias is %s, expected a shape that broadcasts to %s",
			vq_rule_shape_text(r, bias), vq_shape_text(r->a, &scores));
	vq_rule_set_shape(r, q);
	r->out->dim[2] = v->dim[2];
	return NULL;
}

const char *vq_shape_attention(vq_rule *r)
{
	const char *wrong = attention(r, &r->in[0], &r->in[1], &r->in[2], 3);

	return wrong ? wrong : all_f32(r);
}

/* ---- between f32 and codes ---- */

const char *vq_shape_quantize(vq_rule *r)
{
	const vq_quant *q;
	uint32_t id = r->attr->quant.id;

	if (r->in[0].quant || r->in[0].elem != VQ_F32)
		return vq_arena_printf(
			r->a, "operand is %s, expected f32 that is not quantized", vq_type_text(r->a, &r->in[0]));
	if (id == 0 || id >= r->g->n_quants)
		return vq_arena_printf(
			r->a, "quantization #%u is not in the table of %u", (unsigned)id, (unsigned)r->g->n_quants - 1);
	q = &r->g->quant[id];
	if (q->axis >= 0 && ((uint32_t)q->axis >= r->in[0].rank || r->in[0].dim[q->axis] % q->n))
		return vq_arena_printf(r->a, "%u scales along dimension %d do not divide %s", (unsigned)q->n,
			(int)q->axis, vq_rule_shape_text(r, 0));
	vq_rule_set_shape(r, &r->in[0]);
	r->out->elem = VQ_S8;
	r->out->quant = id;
	return NULL;
}

const char *vq_shape_dequantize(vq_rule *r)
{
	vq_rule_set_shape(r, &r->in[0]);
	if (r->in[0].quant)
		return NULL;
	return vq_arena_printf(r->a, "operand is %s, which is not quantized", vq_type_text(r->a, &r->in[0]));
}

const char *vq_shape_quantize_dynamic(vq_rule *r)
{
	const vq_type *x = &r->in[0];
	int32_t groups = r->attr->dynamic.groups, span = r->attr->dynamic.span;

	if (x->quant || x->elem != VQ_F32)
		return vq_arena_printf(
			r->a, "operand is %s, expected f32 that is not quantized", vq_type_text(r->a, x));
	if (x->rank < 1)
		return "the operand is a scalar, expected at least 1 dimension";
	if (span < 0 || (uint32_t)span >= x->rank || groups < 0 || (groups && x->dim[x->rank - 1] % groups))
		return vq_arena_printf(r->a, "%d groups of a row and scales over %d dimensions before it do not fit %s",
			(int)groups, (int)span, vq_rule_shape_text(r, 0));
	vq_rule_set_shape(r, x);
	r->out->elem = VQ_S8;
	return NULL;
}

/* operands `at` and `at + 1` are codes and rows: as quantize_dynamic gives them with `groups`, over any number of dimensions */
static const char *need_rows(vq_rule *r, uint32_t at, int64_t groups, const char *what)
{
	const vq_type *x = &r->in[at], *rows = &r->in[at + 1];
	bool fits = rows->elem == VQ_F32 && !rows->quant && rows->rank == x->rank;

	if (x->elem != VQ_S8 || x->quant || x->rank < 1)
		return vq_arena_printf(r->a, "%s is %s, expected rows of plain s8", what, vq_type_text(r->a, x));
	for (uint32_t i = 0; fits && i + 1 < x->rank; i++)
		fits = rows->dim[i] == x->dim[i] || rows->dim[i] == 1;
	if (!fits || rows->dim[rows->rank - 1] != 2 * groups)
		return vq_arena_printf(r->a, "the rows of %s are %s, expected f32, %lld numbers for each row of %s",
			what, vq_type_text(r->a, rows), (long long)(2 * groups), vq_rule_shape_text(r, at));
	return NULL;
}

const char *vq_shape_linear_dynamic(vq_rule *r)
{
	const vq_type *x = &r->in[0], *w = &r->in[2];
	const vq_quant *q = vq_quant_of(r->g, w);
	const char *wrong = need_rows(r, 0, 1, "the left operand");

	if (wrong)
		return wrong;
	if (w->rank != 2 || !q || x->dim[x->rank - 1] != w->dim[1] || q->axis > 0)
		return vq_arena_printf(r->a,
			"the weights are %s, expected codes of outputs x %lld, with scales per "
			"tensor or along dimension 0",
			vq_type_text(r->a, w), (long long)x->dim[x->rank - 1]);
	for (uint32_t i = 0; i < q->n; i++)
		if (!(q->scale[i] >= VQ_LEAST_ROW_SCALE))
			return vq_arena_printf(r->a, "scale %u of the weights is %g, expected at least 2^-60",
				(unsigned)i, (double)q->scale[i]);
	vq_rule_set_shape(r, x);
	r->out->dim[x->rank - 1] = w->dim[0];
	return r->n_in > 3 ? need_vector(r, 3, w->dim[0], "the bias") : NULL;
}

const char *vq_shape_matmul_dynamic(vq_rule *r)
{
	const char *wrong = matmul(r, &r->in[0], &r->in[2]);

	if (!wrong && r->attr->matmul.trans_a)
		wrong = "the left operand is transposed, and scales belong to rows as they stand";
	if (!wrong)
		wrong = need_rows(r, 0, 1, "the left operand");
	if (!wrong)
		wrong = need_rows(r, 2, 1, "the right operand");
	if (!wrong && !r->attr->matmul.trans_b && r->in[3].dim[r->in[3].rank - 2] != 1)
		wrong = vq_arena_printf(r->a,
			"the rows of the right operand are %s, expected one scale per matrix: it is summed over the rows of %s",
			vq_rule_shape_text(r, 3), vq_rule_shape_text(r, 2));
	r->out->elem = VQ_F32;
	return wrong;
}

const char *vq_shape_attention_dynamic(vq_rule *r)
{
	static const char *const name[] = { "q", "k", "v" };
	const char *wrong = attention(r, &r->in[0], &r->in[2], &r->in[4], 6);
	float scale = r->attr->attention.scale;

	for (uint32_t i = 0; i < 3 && !wrong; i++) {
		wrong = need_rows(r, 2 * i, r->attr->attention.heads, name[i]);
		if (!wrong && i > 0 && r->in[2 * i + 1].dim[1] != 1)
			wrong = vq_arena_printf(r->a, "%s has scales per key, expected per head", name[i]);
	}
	if (!wrong && !vq_c_score_factor_fits(scale))
		wrong = vq_arena_printf(r->a, "the scale is %g, expected 2^-30 to 2^30", (double)scale);
	if (!wrong && r->n_in > 6)
		wrong = check_elem(r, 6);
	r->out->elem = VQ_F32;
	return wrong;
}

/* ---- the table ---- */

static const char *(*const rules[VQ_OP_COUNT])(vq_rule *r) = {
#define VQ_OP(id, text, least, most, results, attr, class, rule) [VQ_OP_##id] = vq_shape_##rule,
#include "ir/ops.def"
};

static const char *check_operands(const vq_rule *r)
{
	const vq_op_info *info = &vq_ops[r->op];

	if (r->n_in < info->least || r->n_in > info->most)
		return vq_arena_printf(r->a, "%s has %u operands, expected %u to %u", info->text, (unsigned)r->n_in,
			(unsigned)info->least, (unsigned)info->most);
	for (uint32_t i = 0; i < r->n_in; i++) {
		const vq_type *t = &r->in[i];
		const char *wrong = vq_size_problem(r->a, t, "");

		/* named only now: this runs for every node after every pass */
		if (wrong)
			wrong = vq_size_problem(r->a, t, vq_arena_printf(r->a, "operand %u", (unsigned)i + 1));
		if (!wrong && (uint32_t)t->elem >= VQ_ELEM_COUNT)
			wrong = vq_arena_printf(r->a, "operand %u has an unknown element type", (unsigned)i + 1);
		if (!wrong && t->quant && (t->elem != VQ_S8 || t->quant >= r->g->n_quants))
			wrong = vq_arena_printf(r->a, "operand %u is %s with quantization #%u of %u", (unsigned)i + 1,
				vq_type_text(r->a, t), (unsigned)t->quant, (unsigned)r->g->n_quants - 1);
		if (wrong)
			return wrong;
	}
	return NULL;
}

/* entry is set if the result needs an entry that may not be in the table yet; result->quant is 0 then */
static const char *infer(const vq_graph *g, vq_op op, const vq_type *in, uint32_t n_in, const vq_attr *attr,
	vq_type *result, vq_quant *entry)
{
	static const vq_attr none = { 0 };
	vq_rule r = {
		.g = g, .a = g->arena, .op = op, .in = in, .n_in = n_in, .attr = attr ? attr : &none, .out = result
	};
	const char *wrong;

	*result = (vq_type){ .elem = VQ_F32 };
	entry->n = 0;
	if (op <= VQ_OP_NONE || op >= VQ_OP_COUNT)
		return "unknown operator";
	wrong = check_operands(&r);
	if (!wrong)
		wrong = rules[op](&r);
	if (!wrong)
		wrong = vq_size_problem(r.a, result, "the result");
	if (wrong || vq_ops[op].class_ != VQ_CLASS_MOVE)
		return wrong;
	result->elem = in[0].elem;
	if (in[0].quant && g->quant[in[0].quant].axis >= 0)
		return vq_moved_quant(g->arena, op, &in[0], r.attr, result, &g->quant[in[0].quant], entry);
	result->quant = in[0].quant;
	return NULL;
}

const char *vq_infer(
	const vq_graph *g, vq_op op, const vq_type *in, uint32_t n_in, const vq_attr *attr, vq_type *result)
{
	vq_quant entry;
	const char *wrong = infer(g, op, in, n_in, attr, result, &entry);

	if (wrong || !entry.n)
		return wrong;
	result->quant = vq_quant_find(g, &entry);
	return result->quant ? NULL : "the result's scales are not in the quantization table";
}

const char *vq_infer_add(vq_graph *g, vq_op op, const vq_type *in, uint32_t n_in, const vq_attr *attr, vq_type *result)
{
	vq_quant entry;
	const char *wrong = infer(g, op, in, n_in, attr, result, &entry);

	if (!wrong && entry.n)
		result->quant = vq_quant_add(g, &entry);
	return wrong;
}
