/*
 * Scales chosen at run time, one per row: quantize_dynamic makes codes and the row's scale and zero point, linear_dynamic
 * multiplies them by weights.
 */
#include "ir/contract.h"
#include "ir/eval_ops.h"

const char *vq_eval_quantize_dynamic(vq_eval *e)
{
	const vq_type *t = &e->in[0].type;
	int64_t n = t->dim[t->rank - 1], rows = vq_type_count(t) / n;
	const float *x = e->in[0].data;
	int8_t *code = e->out[0].data;
	float *row = e->out[1].data;

	for (int64_t r = 0; r < rows; r++, x += n, code += n, row += 2) {
		float lo = 0.0f, hi = 0.0f;
		vq_row_scale s;

		for (int64_t i = 0; i < n; i++) {
			lo = vq_c_min(x[i], lo);
			hi = vq_c_max(x[i], hi);
		}
		s = vq_c_row_scale(lo, hi);
		for (int64_t i = 0; i < n; i++)
			code[i] = (int8_t)vq_c_quantize(x[i] * s.inv, -128, 127, s.zero);
		row[0] = s.scale;
		row[1] = (float)s.zero;
	}
	return NULL;
}

/* the exact sum of one row times one row of weights; false if it does not fit 32 bits */
static bool exact_sum(const int8_t *x, int32_t zero, const int8_t *w, int64_t k, int32_t *sum)
{
	int64_t acc = 0;

	for (int64_t i = 0; i < k; i++)
		acc += (x[i] - zero) * w[i];
	*sum = (int32_t)acc;
	return acc >= INT32_MIN && acc <= INT32_MAX;
}

const char *vq_eval_linear_dynamic(vq_eval *e)
{
	const vq_type *t = &e->in[0].type;
	const vq_quant *q = vq_eval_in_quant(e, 2);
	int64_t k = t->dim[t->rank - 1], n = e->in[2].type.dim[0], rows = vq_type_count(t) / k;
	const int8_t *x = e->in[0].data, *w = e->in[2].data;
	const float *row = e->in[1].data, *bias = e->node->n_in > 3 ? vq_eval_f32(e, 3) : NULL;
	float *y = vq_eval_result(e);

	for (int64_t r = 0; r < rows; r++)
		for (int64_t c = 0; c < n; c++) {
			float scale = q->scale[c / (n / q->n)], v;
			int32_t sum;

			if (!exact_sum(x + r * k, (int32_t)row[2 * r + 1], w + c * k, k, &sum))
				return vq_arena_printf(e->a,
					"accumulator overflow: the sum at position %lld does not fit 32 bits",
					(long long)(r * n + c));
			v = (float)sum * row[2 * r];
			v = v * scale;
			y[r * n + c] = v + (bias ? vq_c_flush(bias[c]) : 0.0f);
		}
	if (e->out->type.elem == VQ_F32)
		return NULL;
	return vq_eval_finish(e, y);
}
