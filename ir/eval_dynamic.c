/* SPDX-License-Identifier: MIT */
/*
 * Scales chosen at run time, one per row: quantize_dynamic makes codes and the row's scale and zero point, linear_dynamic
 * multiplies them by weights, matmul_dynamic by codes made likewise.
 */
#include "ir/contract.h"
#include "ir/eval_ops.h"

/* A part of the tensor with one scale: rows of n elements, `step` elements apart. */
static void quantize_part(
	const float *x, int64_t rows, int64_t n, int64_t step, bool symmetric, int8_t *code, float *row)
{
	float lo = 0.0f, hi = 0.0f;
	vq_row_scale s;

	for (int64_t r = 0; r < rows; r++)
		for (int64_t i = 0; i < n; i++) {
			lo = vq_c_min(x[r * step + i], lo);
			hi = vq_c_max(x[r * step + i], hi);
		}
	s = symmetric ? vq_c_row_scale_symmetric(lo, hi) : vq_c_row_scale(lo, hi);
	for (int64_t r = 0; r < rows; r++)
		for (int64_t i = 0; i < n; i++)
			code[r * step + i] = (int8_t)vq_c_quantize(
				x[r * step + i] * s.inv, symmetric ? -127 : -128, 127, s.zero);
	row[0] = s.scale;
	row[1] = (float)s.zero;
}

const char *vq_eval_quantize_dynamic(vq_eval *e)
{
	const vq_type *t = &e->in[0].type;
	const vq_attr *attr = &e->node->attr;
	int64_t n = t->dim[t->rank - 1], groups = vq_dynamic_groups(attr), rows = 1, parts;
	const float *x = e->in[0].data;
	int8_t *code = e->out[0].data;
	float *row = e->out[1].data;

	for (uint32_t i = 0; i < (uint32_t)attr->dynamic.span; i++)
		rows *= t->dim[t->rank - 2 - i];
	parts = vq_type_count(t) / (n * rows);
	for (int64_t p = 0; p < parts; p++)
		for (int64_t g = 0; g < groups; g++) {
			int64_t at = p * rows * n + g * (n / groups);

			quantize_part(x + at, rows, n / groups, n, attr->dynamic.symmetric, code + at,
				row + 2 * (p * groups + g));
		}
	return NULL;
}

/* the exact sum of one row times one row of weights; false if it does not fit 32 bits */
static bool exact_sum(const int8_t *x, int32_t zero, const int8_t *w, int32_t w_zero, int64_t k, int32_t *sum)
{
	int64_t acc = 0;

	for (int64_t i = 0; i < k; i++)
		acc += (int64_t)(x[i] - zero) * (w[i] - w_zero);
	*sum = (int32_t)acc;
	return acc >= INT32_MIN && acc <= INT32_MAX;
}

/* which pair of `rows`, some of whose dimensions may be 1, belongs to row r of x */
static int64_t row_of(const vq_type *x, const vq_type *rows, int64_t r)
{
	int64_t at = 0, step = 1;

	for (uint32_t i = x->rank - 1; i-- > 0;) {
		if (rows->dim[i] > 1) {
			at += r % x->dim[i] * step;
			step *= x->dim[i];
		}
		r /= x->dim[i];
	}
	return at;
}

const char *vq_eval_linear_dynamic(vq_eval *e)
{
	const vq_type *t = &e->in[0].type;
	const vq_quant *q = vq_eval_in_quant(e, 2);
	int64_t k = t->dim[t->rank - 1], n = e->in[2].type.dim[0], rows = vq_type_count(t) / k;
	const int8_t *x = e->in[0].data, *w = e->in[2].data;
	const float *pairs = e->in[1].data, *bias = e->node->n_in > 3 ? vq_eval_f32(e, 3) : NULL;
	float *y = vq_eval_result(e);

	for (int64_t r = 0; r < rows; r++) {
		const float *row = pairs + 2 * row_of(t, &e->in[1].type, r);

		for (int64_t c = 0; c < n; c++) {
			int64_t entry = c / (n / q->n);
			float scale = q->scale[entry], v;
			int32_t sum;

			if (!exact_sum(x + r * k, (int32_t)row[1], w + c * k, q->zero[entry], k, &sum))
				return vq_arena_printf(e->a,
					"accumulator overflow: the sum at position %lld does not fit 32 bits",
					(long long)(r * n + c));
			v = (float)sum * row[0];
			v = v * scale;
			y[r * n + c] = v + (bias ? vq_c_flush(bias[c]) : 0.0f);
		}
	}
	if (e->out->type.elem == VQ_F32)
		return NULL;
	return vq_eval_finish(e, y);
}

/* matrix number `at` of b with its columns one after the other: [N][K] */
static const int8_t *columns_of(vq_eval *e, int64_t at, int64_t n, int64_t k, int8_t *scratch)
{
	const int8_t *b = (const int8_t *)e->in[2].data + at * n * k;

	if (e->node->attr.matmul.trans_b)
		return b;
	for (int64_t c = 0; c < n; c++)
		for (int64_t i = 0; i < k; i++)
			scratch[c * k + i] = b[i * n + c];
	return scratch;
}

/* scale and zero point of every row (or one for all, *step 0) of the matrix that `batch` of the result uses */
static const float *pairs_of(vq_eval *e, uint32_t operand, int64_t batch, int64_t *step)
{
	const vq_type *t = &e->in[operand].type;
	int64_t each = t->dim[t->rank - 2];

	*step = each > 1 ? 2 : 0;
	return (const float *)e->in[operand].data + 2 * each * vq_eval_matrix(&e->out->type, t, batch);
}

const char *vq_eval_matmul_dynamic(vq_eval *e)
{
	const vq_type *t = &e->in[0].type, *o = &e->out->type;
	int64_t m = o->dim[o->rank - 2], n = o->dim[o->rank - 1], k = t->dim[t->rank - 1];
	int64_t batches = vq_type_count(o) / (m * n), row_step, column_step;
	int8_t *scratch = VQ_ARRAY(e->a, (size_t)(n * k), int8_t);
	float *y = vq_eval_result(e);

	for (int64_t i = 0; i < batches; i++) {
		const int8_t *a = (const int8_t *)e->in[0].data + vq_eval_matrix(o, t, i) * m * k;
		const int8_t *b = columns_of(e, vq_eval_matrix(o, &e->in[2].type, i), n, k, scratch);
		const float *rows = pairs_of(e, 1, i, &row_step), *columns = pairs_of(e, 3, i, &column_step);

		for (int64_t r = 0; r < m; r++)
			for (int64_t c = 0; c < n; c++) {
				const float *row = rows + r * row_step;
				int64_t at = (i * m + r) * n + c;
				int32_t sum;
				float v;

				if (!exact_sum(a + r * k, (int32_t)row[1], b + c * k, 0, k, &sum))
					return vq_arena_printf(e->a,
						"accumulator overflow: the sum at position %lld does not fit 32 bits",
						(long long)at);
				v = (float)sum * row[0];
				y[at] = v * columns[c * column_step];
			}
	}
	if (e->out->type.elem == VQ_F32)
		return NULL;
	return vq_eval_finish(e, y);
}
