/* The shape rules: result type of every operator, or what is wrong with its operands. */
#include "ir/shape.h"

#include "ir/build.h"

#include <stdarg.h>
#include <string.h>

typedef struct rule {
	const vq_graph *g;
	vq_arena *a;          /* of messages */
	vq_op op;
	const vq_type *in;
	uint32_t n_in;
	const vq_attr *attr;
	vq_type *out;         /* elem f32 and rank 0 before the rule */
} rule;

static const char *const sides[] = { "left", "right", "third" };

/* ---- helpers ---- */

const char *vq_shape_text(vq_arena *a, const vq_type *t)
{
	const char *text = t->rank ? "" : "scalar";

	for (uint32_t i = 0; i < t->rank; i++)
		text = vq_arena_printf(a, "%s%s%lld", text, i ? "x" : "", (long long)t->dim[i]);
	return text;
}

static const char *shape_text(const rule *r, uint32_t operand)
{
	return vq_shape_text(r->a, &r->in[operand]);
}

/* what arithmetic sees: codes read as their values */
static vq_elem seen(const vq_type *t)
{
	return t->quant ? VQ_F32 : t->elem;
}

enum { F32 = 1 << VQ_F32, NUMBER = 1 << VQ_F32 | 1 << VQ_I64 | 1 << VQ_I32, BOOL = 1 << VQ_BOOL, ANY = -1 };

static const char *need_elem(const rule *r, uint32_t operand, int allowed, const char *expected)
{
	if (allowed & 1 << seen(&r->in[operand]))
		return NULL;
	return vq_arena_printf(r->a, "operand %u is %s, expected %s", (unsigned)operand + 1,
		vq_type_text(r->a, &r->in[operand]), expected);
}

/* element types each operator computes with */
static const char *check_elem(const rule *r, uint32_t operand)
{
	switch (r->op) {
	case VQ_OP_NOT:
	case VQ_OP_AND:
	case VQ_OP_OR:
		return need_elem(r, operand, BOOL, "bool");
	case VQ_OP_EQUAL:
	case VQ_OP_CAST:
		return NULL;
	case VQ_OP_MOD:
		return need_elem(r, operand, 1 << VQ_I64 | 1 << VQ_I32, "i64 or i32");
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
	case VQ_OP_REDUCE_PROD:
		return need_elem(r, operand, NUMBER, "f32, i64 or i32");
	default:
		return need_elem(r, operand, F32, "f32");
	}
}

static const char *same_elems(const rule *r, uint32_t i, uint32_t j)
{
	if (seen(&r->in[i]) == seen(&r->in[j]))
		return NULL;
	return vq_arena_printf(r->a, "element types differ: %s is %s, %s is %s", sides[i], vq_type_text(r->a, &r->in[i]),
		sides[j], vq_type_text(r->a, &r->in[j]));
}

static void set_shape(const rule *r, const vq_type *from)
{
	r->out->rank = from->rank;
	memcpy(r->out->dim, from->dim, sizeof from->dim);
}

static const char *check_axis(const rule *r)
{
	int32_t axis = r->attr->axis.axis;

	if (axis >= 0 && (uint32_t)axis < r->in[0].rank)
		return NULL;
	return vq_arena_printf(r->a, "axis %d is outside the operand's %u dimensions (%s)", (int)axis,
		(unsigned)r->in[0].rank, shape_text(r, 0));
}

const char *vq_size_problem(vq_arena *a, const vq_type *t, const char *what)
{
	int64_t n = 1;

	if (t->rank > VQ_MAX_RANK)
		return vq_arena_printf(a, "%s has %u dimensions, at most %d are supported", what, (unsigned)t->rank, VQ_MAX_RANK);
	for (uint32_t i = 0; i < t->rank; i++) {
		if (t->dim[i] < 1)
			return vq_arena_printf(a, "dimension %u of %s is %lld, expected at least 1 (empty tensors are not supported)",
				(unsigned)i, what, (long long)t->dim[i]);
		if (t->dim[i] > VQ_MAX_ELEMENTS / n)
			return vq_arena_printf(a, "%s of shape %s has more than 2^40 elements", what, vq_shape_text(a, t));
		n *= t->dim[i];
	}
	return NULL;
}

/* aligns the last dimensions; out may be a */
static const char *broadcast(const rule *r, const vq_type *a, const vq_type *b, vq_type *out)
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

static const char *shape_same(rule *r)
{
	if (r->op == VQ_OP_SOFTMAX) {
		const char *wrong = check_axis(r);

		if (wrong)
			return wrong;
	}
	set_shape(r, &r->in[0]);
	r->out->elem = seen(&r->in[0]);
	return check_elem(r, 0);
}

static const char *shape_cast(rule *r)
{
	if ((uint32_t)r->attr->cast.to >= VQ_ELEM_COUNT)
		return vq_arena_printf(r->a, "the element type to cast to is unknown");
	set_shape(r, &r->in[0]);
	r->out->elem = r->attr->cast.to;
	return NULL;
}

static const char *shape_broadcast(rule *r)
{
	const char *wrong = same_elems(r, 0, 1);

	if (!wrong)
		wrong = check_elem(r, 0);
	if (!wrong)
		wrong = broadcast(r, &r->in[0], &r->in[1], r->out);
	r->out->elem = seen(&r->in[0]);
	return wrong;
}

static const char *shape_compare(rule *r)
{
	const char *wrong = shape_broadcast(r);

	r->out->elem = VQ_BOOL;
	return wrong;
}

static const char *shape_where(rule *r)
{
	const char *wrong = need_elem(r, 0, BOOL, "bool");

	if (!wrong)
		wrong = same_elems(r, 1, 2);
	if (!wrong)
		wrong = broadcast(r, &r->in[1], &r->in[2], r->out);
	if (!wrong)
		wrong = broadcast(r, &r->in[0], r->out, r->out);
	r->out->elem = seen(&r->in[1]);
	return wrong;
}

/* ---- movement ---- */

static const char *set_dims(const rule *r, uint32_t rank, const int64_t *dim)
{
	r->out->rank = rank;
	for (uint32_t i = 0; i < rank && rank <= VQ_MAX_RANK; i++)
		r->out->dim[i] = dim[i];
	return vq_size_problem(r->a, r->out, "the result");
}

static const char *shape_reshape(rule *r)
{
	const char *wrong = set_dims(r, r->attr->shape.rank, r->attr->shape.dim);

	if (!wrong && vq_type_count(r->out) != vq_type_count(&r->in[0]))
		wrong = vq_arena_printf(r->a, "cannot reshape %s (%lld elements) to %s (%lld elements)", shape_text(r, 0),
			(long long)vq_type_count(&r->in[0]), vq_shape_text(r->a, r->out), (long long)vq_type_count(r->out));
	return wrong;
}

static const char *shape_expand(rule *r)
{
	const char *wrong = set_dims(r, r->attr->shape.rank, r->attr->shape.dim);
	vq_type wide;

	if (wrong)
		return wrong;
	if (broadcast(r, &r->in[0], r->out, &wide) || !vq_same_shape(&wide, r->out))
		return vq_arena_printf(r->a, "cannot expand %s to %s", shape_text(r, 0), vq_shape_text(r->a, r->out));
	return NULL;
}

static const char *shape_transpose(rule *r)
{
	const vq_type *in = &r->in[0];
	uint32_t had = 0;

	r->out->rank = in->rank;
	for (uint32_t i = 0; i < in->rank; i++) {
		int64_t p = r->attr->perm.perm[i];

		if (p < 0 || p >= in->rank || had & 1u << p)
			return vq_arena_printf(r->a, "the permutation's entry %u is %lld, expected each of 0..%u once", (unsigned)i,
				(long long)p, (unsigned)in->rank - 1);
		had |= 1u << p;
		r->out->dim[i] = in->dim[p];
	}
	return NULL;
}

static const char *shape_slice(rule *r)
{
	const vq_type *in = &r->in[0];

	r->out->rank = in->rank;
	for (uint32_t i = 0; i < in->rank; i++) {
		int64_t start = r->attr->slice.start[i], step = r->attr->slice.step[i], count = r->attr->slice.count[i];
		int64_t dim = in->dim[i];
		bool inside = start >= 0 && start < dim && step != 0;

		if (count < 1)
			return vq_arena_printf(r->a, "slice of dimension %u takes %lld elements, expected at least 1", (unsigned)i,
				(long long)count);
		if (inside && count > 1) {
			int64_t room = step < 0 ? start : dim - 1 - start;

			inside = step < dim && step > -dim && count - 1 <= room / (step < 0 ? -step : step);
		}
		if (!inside)
			return vq_arena_printf(r->a, "slice start %lld, step %lld, count %lld leaves dimension %u of %s",
				(long long)start, (long long)step, (long long)count, (unsigned)i, shape_text(r, 0));
		r->out->dim[i] = count;
	}
	return NULL;
}

static const char *shape_view(rule *r)
{
	int64_t n = vq_type_count(&r->in[0]), low = r->attr->view.offset, high = low;
	const char *wrong = set_dims(r, r->attr->view.rank, r->attr->view.dim);
	const char *outside = "view of %s (%lld elements) reads outside of it: element %lld";

	if (wrong)
		return wrong;
	if (low < 0 || low >= n)
		return vq_arena_printf(r->a, outside, shape_text(r, 0), (long long)n, (long long)low);
	for (uint32_t i = 0; i < r->out->rank; i++) {
		int64_t s = r->attr->view.stride[i], last = r->out->dim[i] - 1;

		if (last == 0)
			continue;
		if (s >= n || s <= -n || (s < 0 ? -s : s) > (n - 1) / last)
			return vq_arena_printf(r->a, "view of %s (%lld elements) reads outside of it: %lld steps of %lld in dimension %u",
				shape_text(r, 0), (long long)n, (long long)last, (long long)s, (unsigned)i);
		low += s < 0 ? s * last : 0;
		high += s > 0 ? s * last : 0;
	}
	if (low < 0 || high >= n)
		return vq_arena_printf(r->a, outside, shape_text(r, 0), (long long)n, (long long)(low < 0 ? low : high));
	return NULL;
}

static const char *shape_concat(rule *r)
{
	const char *wrong = check_axis(r);
	int64_t sum = 0;

	if (wrong)
		return wrong;
	set_shape(r, &r->in[0]);
	for (uint32_t i = 0; i < r->n_in; i++) {
		vq_type t = r->in[i];

		if (t.elem != r->in[0].elem)
			return vq_arena_printf(r->a, "element types differ: operand 1 is %s, operand %u is %s",
				vq_type_text(r->a, &r->in[0]), (unsigned)i + 1, vq_type_text(r->a, &t));
		if (t.quant != r->in[0].quant)
			return vq_arena_printf(r->a, "operands 1 and %u of concat are quantized differently", (unsigned)i + 1);
		sum += t.rank == r->in[0].rank ? t.dim[r->attr->axis.axis] : 0;
		t.dim[r->attr->axis.axis] = r->in[0].dim[r->attr->axis.axis];
		if (!vq_same_shape(&t, &r->in[0]))
			return vq_arena_printf(r->a, "operands differ outside of axis %d: operand 1 is %s, operand %u is %s",
				(int)r->attr->axis.axis, shape_text(r, 0), (unsigned)i + 1, shape_text(r, i));
	}
	r->out->dim[r->attr->axis.axis] = sum;
	return NULL;
}

static const char *shape_gather(rule *r)
{
	const vq_type *data = &r->in[0], *index = &r->in[1];
	const char *wrong = check_axis(r);
	uint32_t axis, rank = 0;

	if (!wrong)
		wrong = need_elem(r, 1, 1 << VQ_I64 | 1 << VQ_I32, "i64 or i32 indices");
	if (wrong)
		return wrong;
	axis = (uint32_t)r->attr->axis.axis;
	if (data->rank + index->rank - 1 > VQ_MAX_RANK)
		return vq_arena_printf(r->a, "the result of gathering %s by %s has %u dimensions, at most %d are supported",
			shape_text(r, 0), shape_text(r, 1), (unsigned)(data->rank + index->rank - 1), VQ_MAX_RANK);
	for (uint32_t i = 0; i < axis; i++)
		r->out->dim[rank++] = data->dim[i];
	for (uint32_t i = 0; i < index->rank; i++)
		r->out->dim[rank++] = index->dim[i];
	for (uint32_t i = axis + 1; i < data->rank; i++)
		r->out->dim[rank++] = data->dim[i];
	r->out->rank = rank;
	return NULL;
}

static const char *shape_pad(rule *r)
{
	set_shape(r, &r->in[0]);
	for (uint32_t i = 0; i < r->out->rank; i++) {
		int64_t before = r->attr->pad.before[i], after = r->attr->pad.after[i];

		if (before < 0 || after < 0 || before > VQ_MAX_ELEMENTS || after > VQ_MAX_ELEMENTS)
			return vq_arena_printf(r->a, "padding of dimension %u is %lld before and %lld after, expected 0 to 2^40",
				(unsigned)i, (long long)before, (long long)after);
		r->out->dim[i] += before + after;
	}
	return NULL;
}

/* ---- along axes ---- */

static const char *shape_reduce(rule *r)
{
	const vq_type *in = &r->in[0];
	uint32_t axes = r->attr->reduce.axes, rank = 0;

	if (!axes || axes >> in->rank)
		return vq_arena_printf(r->a, "the set of axes 0x%x is empty or outside the operand's %u dimensions (%s)",
			(unsigned)axes, (unsigned)in->rank, shape_text(r, 0));
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
static const char *need_vector(const rule *r, uint32_t i, int64_t n, const char *name)
{
	if (r->in[i].rank == 1 && r->in[i].dim[0] == n)
		return check_elem(r, i);
	return vq_arena_printf(r->a, "%s is %s, expected %lld", name, shape_text(r, i), (long long)n);
}

static const char *shape_layernorm(rule *r)
{
	const char *wrong = check_elem(r, 0);
	int64_t n;

	if (wrong)
		return wrong;
	if (r->in[0].rank < 1)
		return "the operand is a scalar, expected at least 1 dimension";
	if (!(r->attr->norm.epsilon >= 0) || r->attr->norm.epsilon > 1e30f)
		return vq_arena_printf(r->a, "epsilon is %g, expected a finite number that is not negative", (double)r->attr->norm.epsilon);
	n = r->in[0].dim[r->in[0].rank - 1];
	wrong = need_vector(r, 1, n, "gamma");
	if (!wrong)
		wrong = need_vector(r, 2, n, "beta");
	set_shape(r, &r->in[0]);
	return wrong;
}

/* ---- sums of products ---- */

static const char *all_f32(const rule *r)
{
	const char *wrong = NULL;

	for (uint32_t i = 0; i < r->n_in && !wrong; i++)
		wrong = check_elem(r, i);
	return wrong;
}

static const char *shape_linear(rule *r)
{
	const vq_type *x = &r->in[0], *w = &r->in[1];

	if (x->rank < 1)
		return "the left operand is a scalar, expected at least 1 dimension";
	if (w->rank != 2)
		return vq_arena_printf(r->a, "the weights are %s, expected outputs x inputs", shape_text(r, 1));
	if (x->dim[x->rank - 1] != w->dim[1])
		return vq_arena_printf(r->a, "inner dimensions differ: left is %s, weights are %s (outputs x inputs)",
			shape_text(r, 0), shape_text(r, 1));
	set_shape(r, x);
	r->out->dim[x->rank - 1] = w->dim[0];
	if (r->n_in > 2) {
		const char *wrong = need_vector(r, 2, w->dim[0], "the bias");

		if (wrong)
			return wrong;
	}
	return all_f32(r);
}

static const char *shape_matmul(rule *r)
{
	const vq_type *a = &r->in[0], *b = &r->in[1];
	bool ta = r->attr->matmul.trans_a, tb = r->attr->matmul.trans_b;
	vq_type batch_a = *a, batch_b = *b;

	if (a->rank < 2 || b->rank < 2)
		return vq_arena_printf(r->a, "operands have %u and %u dimensions, expected at least 2 (left is %s, right is %s)",
			(unsigned)a->rank, (unsigned)b->rank, shape_text(r, 0), shape_text(r, 1));
	if (a->dim[a->rank - (ta ? 2 : 1)] != b->dim[b->rank - (tb ? 1 : 2)])
		return vq_arena_printf(r->a, "inner dimensions differ: left is %s%s, right is %s%s", shape_text(r, 0),
			ta ? " transposed" : "", shape_text(r, 1), tb ? " transposed" : "");
	batch_a.rank -= 2;
	batch_b.rank -= 2;
	if (broadcast(r, &batch_a, &batch_b, r->out))
		return vq_arena_printf(r->a, "batch dimensions do not broadcast: left is %s, right is %s", shape_text(r, 0),
			shape_text(r, 1));
	r->out->dim[r->out->rank++] = a->dim[a->rank - (ta ? 1 : 2)];
	r->out->dim[r->out->rank++] = b->dim[b->rank - (tb ? 2 : 1)];
	return all_f32(r);
}

static const char *shape_conv(rule *r)
{
	const vq_type *x = &r->in[0], *w = &r->in[1];
	int64_t group = r->attr->conv.group;

	if (x->rank < 3 || x->rank > 5 || w->rank != x->rank)
		return vq_arena_printf(r->a, "operand is %s and weights are %s, expected both with 3 to 5 dimensions", shape_text(r, 0),
			shape_text(r, 1));
	if (group < 1 || x->dim[1] % group || w->dim[0] % group || w->dim[1] != x->dim[1] / group)
		return vq_arena_printf(r->a, "channels differ: operand is %s, weights are %s, %lld groups", shape_text(r, 0),
			shape_text(r, 1), (long long)group);
	set_shape(r, x);
	r->out->dim[1] = w->dim[0];
	for (uint32_t i = 0; i < x->rank - 2; i++) {
		int64_t stride = r->attr->conv.stride[i], dilation = r->attr->conv.dilation[i], k = w->dim[i + 2];
		int64_t before = r->attr->conv.before[i], after = r->attr->conv.after[i];
		int64_t padded = x->dim[i + 2] + before + after;

		if (stride < 1 || dilation < 1 || before < 0 || after < 0)
			return vq_arena_printf(r->a, "stride %lld, dilation %lld or padding %lld, %lld of spatial dimension %u is out of range",
				(long long)stride, (long long)dilation, (long long)before, (long long)after, (unsigned)i);
		if (k - 1 > (padded - 1) / dilation)
			return vq_arena_printf(r->a, "the kernel (%s, dilation %lld) does not fit spatial dimension %u of %s with padding",
				shape_text(r, 1), (long long)dilation, (unsigned)i, shape_text(r, 0));
		r->out->dim[i + 2] = (padded - 1 - (k - 1) * dilation) / stride + 1;
	}
	if (r->n_in > 2) {
		const char *wrong = need_vector(r, 2, w->dim[0], "the bias");

		if (wrong)
			return wrong;
	}
	return all_f32(r);
}

static const char *shape_attention(rule *r)
{
	const vq_type *q = &r->in[0], *k = &r->in[1], *v = &r->in[2];
	int64_t heads = r->attr->attention.heads;
	vq_type scores, wide;

	if (q->rank != 3 || k->rank != 3 || v->rank != 3 || k->dim[0] != q->dim[0] || v->dim[0] != q->dim[0] ||
		k->dim[1] != v->dim[1] || k->dim[2] != q->dim[2])
		return vq_arena_printf(r->a, "q is %s, k is %s, v is %s, expected batch x length x channels, "
			"q and k of equal channels, k and v of equal length", shape_text(r, 0), shape_text(r, 1), shape_text(r, 2));
	if (heads < 1 || q->dim[2] % heads || v->dim[2] % heads)
		return vq_arena_printf(r->a, "%lld heads do not divide the channels of q (%s) and v (%s)", (long long)heads,
			shape_text(r, 0), shape_text(r, 2));
	scores = vq_type_make(VQ_F32, 4, (int64_t[]){ q->dim[0], heads, q->dim[1], k->dim[1] });
	if (r->n_in > 3 && (broadcast(r, &r->in[3], &scores, &wide) || !vq_same_shape(&wide, &scores)))
		return vq_arena_printf(r->a, "the bias is %s, expected a shape that broadcasts to %s", shape_text(r, 3),
			vq_shape_text(r->a, &scores));
	set_shape(r, q);
	r->out->dim[2] = v->dim[2];
	return all_f32(r);
}

/* ---- between f32 and codes ---- */

static const char *shape_quantize(rule *r)
{
	const vq_quant *q;
	uint32_t id = r->attr->quant.id;

	if (r->in[0].quant || r->in[0].elem != VQ_F32)
		return vq_arena_printf(r->a, "operand is %s, expected f32 that is not quantized", vq_type_text(r->a, &r->in[0]));
	if (id == 0 || id >= r->g->n_quants)
		return vq_arena_printf(r->a, "quantization #%u is not in the table of %u", (unsigned)id, (unsigned)r->g->n_quants - 1);
	q = &r->g->quant[id];
	if (q->axis >= 0 && ((uint32_t)q->axis >= r->in[0].rank || r->in[0].dim[q->axis] % q->n))
		return vq_arena_printf(r->a, "%u scales along dimension %d do not divide %s", (unsigned)q->n, (int)q->axis,
			shape_text(r, 0));
	set_shape(r, &r->in[0]);
	r->out->elem = VQ_S8;
	r->out->quant = id;
	return NULL;
}

static const char *shape_dequantize(rule *r)
{
	set_shape(r, &r->in[0]);
	if (r->in[0].quant)
		return NULL;
	return vq_arena_printf(r->a, "operand is %s, which is not quantized", vq_type_text(r->a, &r->in[0]));
}

/* ---- the table ---- */

static const char *(*const rules[VQ_OP_COUNT])(rule *r) = {
#define VQ_OP(id, text, least, most, results, attr, class, rule) [VQ_OP_##id] = shape_##rule,
#include "ir/ops.def"
};

static const char *check_operands(const rule *r)
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
	rule r = { .g = g, .a = g->arena, .op = op, .in = in, .n_in = n_in, .attr = attr ? attr : &none, .out = result };
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

const char *vq_infer(const vq_graph *g, vq_op op, const vq_type *in, uint32_t n_in, const vq_attr *attr, vq_type *result)
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
