/* SPDX-License-Identifier: MIT */
/*
 * Reductions, softmax and layernorm. Every f32 sum runs in 16 lanes and a fixed tree, whatever the vector width of a
 * target: lane l adds elements l, l + 16, … from +0, then the tree of vq_c_tree16.
 */
#include "ir/contract.h"
#include "ir/eval_ops.h"

#include <math.h>
#include <string.h>

enum { LANES = 16 };

/* Largest element, NaN ignored: exact in any order. */
static float largest(const float *x, int64_t n, int64_t step)
{
	float m = -INFINITY;

	for (int64_t i = 0; i < n; i++)
		m = x[i * step] > m ? x[i * step] : m;
	return m;
}

/* ---- along axes ---- */

/* Elements in reach of one result: offsets of its first element and, within the reduced dimensions, of each other. */
typedef struct reach {
	int64_t kept[VQ_MAX_RANK], kept_stride[VQ_MAX_RANK];
	int64_t reduced[VQ_MAX_RANK], reduced_stride[VQ_MAX_RANK];
	uint32_t n_kept, n_reduced;
	int64_t results, each; /* results, and elements reduced to one */
} reach;

static void reach_of(reach *r, const vq_type *x, uint32_t axes)
{
	int64_t stride[VQ_MAX_RANK] = { 0 };

	*r = (reach){ .results = 1, .each = 1 };
	vq_eval_strides(x, stride);
	for (uint32_t d = 0; d < x->rank; d++) {
		if (axes >> d & 1) {
			r->reduced[r->n_reduced] = x->dim[d];
			r->reduced_stride[r->n_reduced++] = stride[d];
			r->each *= x->dim[d];
		} else {
			r->kept[r->n_kept] = x->dim[d];
			r->kept_stride[r->n_kept++] = stride[d];
			r->results *= x->dim[d];
		}
	}
}

/* offset of element i of a row-major walk over dimensions dim[n] */
static int64_t offset_of(int64_t i, const int64_t *dim, const int64_t *stride, uint32_t n)
{
	int64_t offset = 0;

	for (uint32_t d = n; d-- > 0;) {
		offset += i % dim[d] * stride[d];
		i /= dim[d];
	}
	return offset;
}

/* one result from the elements x[offset[0..n)] */
static float reduce_float(vq_op op, const float *x, const int64_t *offset, int64_t n)
{
	float s[LANES] = { 0 }, v = op == VQ_OP_REDUCE_MAX ? -INFINITY : op == VQ_OP_REDUCE_MIN ? INFINITY : 1.0f;

	for (int64_t i = 0; i < n; i++) {
		float u = x[offset[i]];

		if (op == VQ_OP_REDUCE_MAX)
			v = u > v ? u : v;
		else if (op == VQ_OP_REDUCE_MIN)
			v = u < v ? u : v;
		else if (op == VQ_OP_REDUCE_PROD)
			v = vq_c_flush(v * u);
		else
			s[i % LANES] = s[i % LANES] + u;
	}
	if (op == VQ_OP_REDUCE_SUM)
		return vq_c_tree16(s);
	if (op == VQ_OP_REDUCE_MEAN)
		return vq_c_tree16(s) * vq_c_inverse((double)n);
	return v;
}

/* modulo 2^64; the mean of integers truncates toward 0 */
static int64_t reduce_integer(vq_op op, const vq_tensor *x, int64_t first, const int64_t *offset, int64_t n)
{
	int64_t least = 0, most = 0, v;
	uint64_t sum = 0, product = 1;

	for (int64_t i = 0; i < n; i++) {
		int64_t u = vq_eval_load_int(x->type.elem, x->data, first + offset[i]);

		least = i == 0 || u < least ? u : least;
		most = i == 0 || u > most ? u : most;
		sum += (uint64_t)u;
		product *= (uint64_t)u;
	}
	if (op == VQ_OP_REDUCE_MAX || op == VQ_OP_REDUCE_MIN)
		return op == VQ_OP_REDUCE_MAX ? most : least;
	memcpy(&v, op == VQ_OP_REDUCE_PROD ? &product : &sum, sizeof v);
	return op == VQ_OP_REDUCE_MEAN ? v / n : v;
}

const char *vq_eval_reduce(vq_eval *e)
{
	bool is_float = vq_eval_is_float(e, 0);
	const float *x = is_float ? vq_eval_f32(e, 0) : NULL;
	int64_t *offset;
	float *y;
	reach r;

	if (!is_float && (e->in[0].type.elem == VQ_BOOL || e->out->type.elem == VQ_F32 || e->out->type.quant))
		return vq_eval_refuse(e, e->in[0].type.elem);
	if (is_float && e->out->type.elem != VQ_F32 && !e->out->type.quant)
		return vq_eval_refuse(e, e->out->type.elem);
	reach_of(&r, &e->in[0].type, e->node->attr.reduce.axes);
	offset = VQ_ARRAY(e->a, (size_t)r.each, int64_t);
	for (int64_t i = 0; i < r.each; i++)
		offset[i] = offset_of(i, r.reduced, r.reduced_stride, r.n_reduced);
	y = is_float ? vq_eval_result(e) : NULL;
	for (int64_t i = 0; i < r.results; i++) {
		int64_t first = offset_of(i, r.kept, r.kept_stride, r.n_kept);

		if (is_float)
			y[i] = reduce_float(e->node->op, x + first, offset, r.each);
		else
			vq_eval_store_int(e->out->type.elem, e->out->data, i,
				reduce_integer(e->node->op, &e->in[0], first, offset, r.each));
	}
	return is_float ? vq_eval_finish(e, y) : NULL;
}

/* ---- softmax ---- */

void vq_eval_softmax_row(const float *x, float *y, int64_t n, int64_t step, bool masked)
{
	float m = largest(x, n, step), s[LANES] = { 0 }, total, inverse;

	m = masked && m == -INFINITY ? 0.0f : m;
	for (int64_t i = 0; i < n; i++) {
		y[i * step] = vq_c_exp(x[i * step] - m);
		s[i % LANES] = s[i % LANES] + y[i * step];
	}
	total = vq_c_tree16(s);
	inverse = 1.0f / (masked && !(total > 0.0f) ? 1.0f : total);
	for (int64_t i = 0; i < n; i++)
		y[i * step] = y[i * step] * inverse;
}

static const char *softmax(vq_eval *e)
{
	const vq_type *t = &e->in[0].type;
	int64_t n = t->dim[e->node->attr.axis.axis], inner, rows = vq_type_count(t) / n, stride[VQ_MAX_RANK] = { 0 };
	const float *x = vq_eval_f32(e, 0);
	float *y = vq_eval_result(e);

	vq_eval_strides(t, stride);
	inner = stride[e->node->attr.axis.axis];
	for (int64_t r = 0; r < rows; r++) {
		int64_t first = r / inner * inner * n + r % inner;

		vq_eval_softmax_row(x + first, y + first, n, inner, false);
	}
	return vq_eval_finish(e, y);
}

/* ---- layernorm ---- */

/* v = ((x - mean) * r) * g + b */
static void layernorm_row(const float *x, float *v, int64_t n, const float *g, const float *b, float eps)
{
	float s[LANES] = { 0 }, inverse_n = vq_c_inverse((double)n), mean, var, r;

	for (int64_t i = 0; i < n; i++)
		s[i % LANES] = s[i % LANES] + x[i];
	mean = vq_c_flush(vq_c_tree16(s) * inverse_n);
	memset(s, 0, sizeof s);
	for (int64_t i = 0; i < n; i++) {
		float d = x[i] - mean;
		float q = d * d;

		s[i % LANES] = s[i % LANES] + (q < VQ_TINY ? 0.0f : q);
	}
	var = vq_c_tree16(s) * inverse_n;
	r = 1.0f / sqrtf(var + eps);
	for (int64_t i = 0; i < n; i++) {
		float d = x[i] - mean;
		float t = d * r;
		float u = t * g[i];

		v[i] = u + b[i];
	}
}

static const char *layernorm(vq_eval *e)
{
	const vq_type *t = &e->in[0].type;
	const vq_quant *q = vq_eval_out_quant(e);
	int64_t n = t->dim[t->rank - 1], rows = vq_type_count(t) / n;
	const float *x = vq_eval_f32(e, 0), *gamma = vq_eval_f32(e, 1), *beta = vq_eval_f32(e, 2);
	float *v = vq_eval_result(e), *g, *b;

	if (q && q->axis >= 0 && (uint32_t)q->axis + 1 != t->rank)
		return vq_arena_printf(
			e->a, "scales of the result lie along axis %d, expected none or the last axis", q->axis);
	g = VQ_ARRAY(e->a, (size_t)n, float);
	b = VQ_ARRAY(e->a, (size_t)n, float);
	for (int64_t i = 0; i < n; i++) {
		float so = q ? q->scale[vq_eval_entry(q, &e->out->type, i)] : 1.0f;

		g[i] = vq_c_merge_scale(gamma[i], 1.0f, so);
		b[i] = vq_c_merge_scale(beta[i], 1.0f, so);
	}
	for (int64_t r = 0; r < rows; r++)
		layernorm_row(x + r * n, v + r * n, n, g, b, e->node->attr.norm.epsilon);
	if (!q)
		return vq_eval_finish(e, v);
	vq_eval_quantize(e, v);
	return NULL;
}

const char *vq_eval_norm(vq_eval *e)
{
	for (uint32_t i = 0; i < e->node->n_in; i++)
		if (!vq_eval_is_float(e, i))
			return vq_eval_refuse(e, e->in[i].type.elem);
	if (e->out->type.elem != VQ_F32 && !e->out->type.quant)
		return vq_eval_refuse(e, e->out->type.elem);
	return e->node->op == VQ_OP_SOFTMAX ? softmax(e) : layernorm(e);
}
