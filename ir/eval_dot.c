/* SPDX-License-Identifier: MIT */
/*
 * Sums of products: linear, matmul, conv. f32 sums run sequentially in k, one multiply and one add per term; integer
 * sums are exact. Both are done for PANEL columns side by side, which changes no sum and lets a compiler use vectors.
 */
#include "ir/contract.h"
#include "ir/eval_ops.h"

#include <math.h>
#include <string.h>

enum { PANEL = 32, ROWS = 256 };

/* One product a[M,K] * b[N,K]: strides in elements, so that transposed operands need no copy. */
typedef struct product {
	int64_t m, n, k;
	int64_t a_row, a_k;   /* from one row (one k) of a to the next */
	int64_t b_col, b_k;   /* likewise of b, by result column */
	int64_t y_row, y_col; /* of the result */
} product;

/* Results are raw sums: + bias, scale and quantization follow. */
static void product_f32(vq_arena *arena, const product *p, const float *a, const float *b, float *y)
{
	float *panel = VQ_ARRAY(arena, (size_t)p->k * PANEL, float);

	for (int64_t n = 0; n < p->n; n += PANEL) {
		int64_t columns = p->n - n < PANEL ? p->n - n : PANEL;

		for (int64_t c = 0; c < columns; c++)
			for (int64_t k = 0; k < p->k; k++)
				panel[k * PANEL + c] = b[(n + c) * p->b_col + k * p->b_k];
		for (int64_t m = 0; m < p->m; m++) {
			float acc[PANEL] = { 0 };

			for (int64_t k = 0; k < p->k; k++) {
				float u = a[m * p->a_row + k * p->a_k];

				for (int c = 0; c < PANEL; c++)
					acc[c] = acc[c] + u * panel[k * PANEL + c];
			}
			for (int64_t c = 0; c < columns; c++)
				y[m * p->y_row + (n + c) * p->y_col] = acc[c];
		}
	}
}

/* Codes minus zero point; a is widened already. Doubles hold these sums exactly, and hosts multiply them in vectors. */
static void product_codes(vq_arena *arena, const product *p, const double *a, const int8_t *b, int32_t zb, double *y)
{
	double *panel = VQ_ARRAY(arena, (size_t)p->k * PANEL, double);

	for (int64_t n = 0; n < p->n; n += PANEL) {
		int64_t columns = p->n - n < PANEL ? p->n - n : PANEL;

		for (int64_t c = 0; c < columns; c++)
			for (int64_t k = 0; k < p->k; k++)
				panel[k * PANEL + c] = b[(n + c) * p->b_col + k * p->b_k] - zb;
		for (int64_t m = 0; m < p->m; m++) {
			double acc[PANEL] = { 0 };

			for (int64_t k = 0; k < p->k; k++) {
				double u = a[m * p->a_row + k * p->a_k];

				for (int c = 0; c < PANEL; c++)
					acc[c] = acc[c] + u * panel[k * PANEL + c];
			}
			for (int64_t c = 0; c < columns; c++)
				y[m * p->y_row + (n + c) * p->y_col] = acc[c];
		}
	}
}

static void widen(const int8_t *code, int32_t zero, int64_t n, double *to)
{
	for (int64_t i = 0; i < n; i++)
		to[i] = code[i] - zero;
}

/* |code - zero| <= 2^22, so a product is at most 2^44; below 2^53 every partial sum is an exact double */
static const char *exact_in_double(vq_eval *e, int64_t k)
{
	if (k > 512)
		for (uint32_t i = 0; i < 2; i++) {
			const vq_quant *q = vq_eval_in_quant(e, i);

			for (uint32_t c = 0; c < q->n; c++)
				if (q->zero[c] < -0x8000 || q->zero[c] > 0x8000 || k > 1 << 22)
					return vq_arena_printf(e->a,
						"zero point %d with %lld terms: integer sums could "
						"overflow",
						q->zero[c], (long long)k);
		}
	return NULL;
}

/* The factor and addend of one result column or batch, and its quantization. */
typedef struct merge {
	float m, c;
	int32_t lo, hi, zero;
	bool quantized;
} merge;

/* sx, sw, bias as in docs/ir.md; out_entry: of the result's quantization */
static const char *merge_of(vq_eval *e, merge *r, float sx, float sw, float bias, uint32_t out_entry)
{
	const vq_quant *q = vq_eval_out_quant(e);
	float so = q ? q->scale[out_entry] : 1.0f, size;

	*r = (merge){ .m = vq_c_merge_scale(sx, sw, so), .c = vq_c_merge_bias(bias, so), .quantized = q != NULL };
	if (q) {
		r->lo = q->lo;
		r->hi = q->hi;
		r->zero = q->zero[out_entry];
	}
	size = vq_c_abs(r->m);
	if (!(size >= VQ_TINY && size <= 0x1p100f))
		return vq_arena_printf(e->a, "merged scale %a is outside [2^-100, 2^100]", (double)r->m);
	return NULL;
}

static const char *store_sum(vq_eval *e, const merge *r, double acc, int64_t i)
{
	float v;

	if (acc < INT32_MIN || acc > INT32_MAX)
		return vq_arena_printf(
			e->a, "accumulator overflow: %.0f at position %lld does not fit 32 bits", acc, (long long)i);
	v = (float)acc * r->m; /* acc is an integer below 2^31: one rounding, as from int32 */
	v = v + r->c;
	if (r->quantized)
		((int8_t *)e->out->data)[i] = (int8_t)vq_c_quantize(v, r->lo, r->hi, r->zero);
	else
		((float *)e->out->data)[i] = v;
	return NULL;
}

/* Are the scales of q per tensor or along `axis` with one per channel or group? */
static bool along(const vq_quant *q, uint32_t axis) { return q->axis < 0 || (uint32_t)q->axis == axis; }

static const char *misplaced(vq_eval *e, const char *what, const vq_quant *q)
{
	return vq_arena_printf(e->a, "scales of the %s lie along axis %d, where an integer %s cannot apply them", what,
		q->axis, vq_ops[e->node->op].text);
}

/* ---- linear and conv: weights [N, …], scales per row ---- */

/* Scales of column n: merges for all N columns; the result's channels lie along out_axis. */
static const char *merges_of_columns(vq_eval *e, int64_t n, uint32_t out_axis, merge **merges)
{
	const vq_quant *qx = vq_eval_in_quant(e, 0), *qw = vq_eval_in_quant(e, 1), *qo = vq_eval_out_quant(e);
	const float *bias = NULL;
	const char *wrong = NULL;

	if (qx->axis >= 0)
		return misplaced(e, "left operand", qx);
	if (!along(qw, 0))
		return misplaced(e, "weights", qw);
	if (qo && !along(qo, out_axis))
		return misplaced(e, "result", qo);
	if (e->node->n_in > 2) {
		if (!vq_eval_is_float(e, 2))
			return vq_eval_refuse(e, e->in[2].type.elem);
		bias = vq_eval_f32(e, 2);
	}
	*merges = VQ_ARRAY(e->a, (size_t)n, merge);
	for (int64_t i = 0; i < n && !wrong; i++) {
		float sw = qw->axis < 0 ? qw->scale[0] : qw->scale[i / (n / qw->n)];

		wrong = merge_of(e, &(*merges)[i], qx->scale[0], sw, bias ? bias[i] : 0.0f,
			qo && qo->axis >= 0 ? (uint32_t)(i / (n / qo->n)) : 0);
	}
	return wrong;
}

/* zero point of weight row n */
static int32_t weight_zero(const vq_quant *qw, int64_t n, int64_t rows)
{
	return qw->axis < 0 ? qw->zero[0] : qw->zero[n / (rows / qw->n)];
}

/* Rows of an operand times rows of the weights, a few at a time. */
typedef struct site {
	vq_eval *e;
	bool integer;
	int64_t k;                  /* terms of one sum */
	const merge *merges;        /* integer: one per weight row */
	const float *w, *bias;      /* f32; bias may be NULL */
	float *y;                   /* f32: unflushed results */
	float *rows_f32, *sums_f32; /* [ROWS][k], [ROWS][weight rows] */
	double *rows, *sums;        /* integer: likewise, codes minus zero point */
} site;

/* rows: how many there will be in all; out_axis: where the result's channels lie */
static const char *site_begin(site *s, vq_eval *e, bool integer, int64_t rows, uint32_t out_axis)
{
	int64_t n = e->in[1].type.dim[0], k = vq_type_count(&e->in[1].type) / n;
	size_t room = (size_t)(rows < ROWS ? rows : ROWS);
	merge *merges = NULL;

	*s = (site){ .e = e, .integer = integer, .k = k };
	if (integer) {
		const char *wrong = merges_of_columns(e, n, out_axis, &merges);

		s->merges = merges;
		s->rows = VQ_ARRAY(e->a, (size_t)k * room, double);
		s->sums = VQ_ARRAY(e->a, (size_t)n * room, double);
		return wrong ? wrong : exact_in_double(e, k);
	}
	s->w = vq_eval_f32(e, 1);
	s->bias = e->node->n_in > 2 ? vq_eval_f32(e, 2) : NULL;
	s->y = vq_eval_result(e);
	s->rows_f32 = VQ_ARRAY(e->a, (size_t)k * room, float);
	s->sums_f32 = VQ_ARRAY(e->a, (size_t)n * room, float);
	return NULL;
}

/* n weight rows from `first`, one run of equal zero points after the other: rows of x are widened already */
static void sums_by_zero(const site *s, const product *p, int64_t first)
{
	const vq_tensor *w = &s->e->in[1];
	const vq_quant *q = vq_eval_in_quant(s->e, 1);

	for (int64_t n = 0, end; n < p->n; n = end) {
		int32_t zero = weight_zero(q, first + n, w->type.dim[0]);
		product part = *p;

		for (end = n + 1; end < p->n && weight_zero(q, first + end, w->type.dim[0]) == zero;)
			end++;
		part.n = end - n;
		product_codes(s->e->a, &part, s->rows, (const int8_t *)w->data + (first + n) * s->k, zero, s->sums + n);
	}
}

/* s->rows[0 … rows) times weight rows first … first + n - 1; sum (r, c) is result out + r * row_step + c * column_step */
static const char *multiply(
	site *s, int64_t rows, int64_t first, int64_t n, int64_t out, int64_t row_step, int64_t column_step)
{
	product p = {
		.m = rows, .n = n, .k = s->k, .a_row = s->k, .a_k = 1, .b_col = s->k, .b_k = 1, .y_row = n, .y_col = 1
	};
	const char *wrong = NULL;

	if (s->integer)
		sums_by_zero(s, &p, first);
	else
		product_f32(s->e->a, &p, s->rows_f32, s->w + first * s->k, s->sums_f32);
	for (int64_t r = 0; r < rows && !wrong; r++)
		for (int64_t c = 0; c < n && !wrong; c++) {
			int64_t i = out + r * row_step + c * column_step;

			if (s->integer)
				wrong = store_sum(s->e, &s->merges[first + c], s->sums[r * n + c], i);
			else
				s->y[i] = s->sums_f32[r * n + c] + (s->bias ? s->bias[first + c] : 0.0f);
		}
	return wrong;
}

static const char *linear(vq_eval *e, bool integer)
{
	const vq_type *x = &e->in[0].type;
	int64_t n = e->in[1].type.dim[0], m = vq_type_count(x) / x->dim[x->rank - 1], k;
	const float *f = integer ? NULL : vq_eval_f32(e, 0);
	site s;
	const char *wrong = site_begin(&s, e, integer, m, e->out->type.rank - 1);

	k = s.k;
	for (int64_t r = 0; r < m && !wrong; r += ROWS) {
		int64_t rows = m - r < ROWS ? m - r : ROWS;

		if (integer)
			widen((const int8_t *)e->in[0].data + r * k, vq_eval_in_quant(e, 0)->zero[0], rows * k, s.rows);
		else
			memcpy(s.rows_f32, f + r * k, (size_t)(rows * k) * sizeof *f);
		wrong = multiply(&s, rows, 0, n, r * n, n, 1);
	}
	return wrong || integer ? wrong : vq_eval_finish(e, s.y);
}

/* ---- matmul ---- */

int64_t vq_eval_matrix(const vq_type *y, const vq_type *x, int64_t b)
{
	int64_t index = 0, stride = 1;

	for (uint32_t d = y->rank - 2; d-- > 0;) {
		int64_t at = b % y->dim[d], back = y->rank - d;

		b /= y->dim[d];
		if (x->rank < back)
			continue;
		if (x->dim[x->rank - back] > 1)
			index += at * stride;
		stride *= x->dim[x->rank - back];
	}
	return index;
}

/* per tensor, or along an axis in front of the matrix */
static bool along_batch(const vq_quant *q, const vq_type *t) { return q->axis < (int32_t)t->rank - 2; }

static const char *matmul_merge(vq_eval *e, int64_t at, int64_t a, int64_t b, merge *r, int32_t *za, int32_t *zb)
{
	const vq_quant *qa = vq_eval_in_quant(e, 0), *qb = vq_eval_in_quant(e, 1), *qo = vq_eval_out_quant(e);
	uint32_t ia = vq_eval_entry(qa, &e->in[0].type, a), ib = vq_eval_entry(qb, &e->in[1].type, b);

	*za = qa->zero[ia];
	*zb = qb->zero[ib];
	return merge_of(e, r, qa->scale[ia], qb->scale[ib], 0.0f, qo ? vq_eval_entry(qo, &e->out->type, at) : 0);
}

static const char *matmul(vq_eval *e, bool integer)
{
	const vq_type *a = &e->in[0].type, *b = &e->in[1].type, *o = &e->out->type;
	bool ta = e->node->attr.matmul.trans_a, tb = e->node->attr.matmul.trans_b;
	int64_t m = o->dim[o->rank - 2], n = o->dim[o->rank - 1], k = a->dim[a->rank - (ta ? 2 : 1)];
	product p = { .m = m,
		.n = n,
		.k = k,
		.a_row = ta ? 1 : k,
		.a_k = ta ? m : 1,
		.b_col = tb ? k : 1,
		.b_k = tb ? 1 : n,
		.y_row = n,
		.y_col = 1 };
	int64_t batches = vq_type_count(o) / (m * n);
	const float *fa = integer ? NULL : vq_eval_f32(e, 0), *fb = integer ? NULL : vq_eval_f32(e, 1);
	float *y = integer ? NULL : vq_eval_result(e);
	double *acc = integer ? VQ_ARRAY(e->a, (size_t)(m * n), double) : NULL;
	double *wide = integer ? VQ_ARRAY(e->a, (size_t)(m * k), double) : NULL;
	const char *wrong = integer ? exact_in_double(e, k) : NULL;

	for (uint32_t i = 0; integer && i < 2; i++)
		if (!along_batch(vq_eval_in_quant(e, i), &e->in[i].type))
			return misplaced(e, i ? "right operand" : "left operand", vq_eval_in_quant(e, i));
	if (integer && vq_eval_out_quant(e) && !along_batch(vq_eval_out_quant(e), o))
		return misplaced(e, "result", vq_eval_out_quant(e));
	for (int64_t i = 0; i < batches && !wrong; i++) {
		int64_t at = vq_eval_matrix(o, a, i) * m * k, bt = vq_eval_matrix(o, b, i) * n * k, yt = i * m * n;
		int32_t za, zb;
		merge r;

		if (!integer) {
			product_f32(e->a, &p, fa + at, fb + bt, y + yt);
			continue;
		}
		wrong = matmul_merge(e, yt, at, bt, &r, &za, &zb);
		if (wrong)
			break;
		widen((const int8_t *)e->in[0].data + at, za, m * k, wide);
		product_codes(e->a, &p, wide, (const int8_t *)e->in[1].data + bt, zb, acc);
		for (int64_t j = 0; j < m * n && !wrong; j++)
			wrong = store_sum(e, &r, acc[j], yt + j);
	}
	return wrong || integer ? wrong : vq_eval_finish(e, y);
}

/* ---- conv: rows of its windows, then products with the weights; k runs over channel, then window, row-major ---- */

/* Shapes of one conv, spatial dimensions filled up to three with ones in front. */
typedef struct window {
	int64_t batch, channels, filters, groups, per_group; /* channels and filters per group: channels / groups … */
	int64_t in[3], kernel[3], out[3], stride[3], dilation[3], before[3];
	int64_t positions, k; /* of one image; terms of one sum */
} window;

static void window_of(window *w, const vq_eval *e)
{
	const vq_type *x = &e->in[0].type, *weights = &e->in[1].type, *y = &e->out->type;
	const vq_attr *attr = &e->node->attr;
	uint32_t spatial = x->rank - 2;

	*w = (window){ .batch = x->dim[0],
		.channels = x->dim[1],
		.filters = weights->dim[0],
		.groups = attr->conv.group > 0 ? attr->conv.group : 1,
		.positions = 1,
		.k = weights->dim[1] };
	w->per_group = w->filters / w->groups;
	for (uint32_t i = 0; i < 3; i++) {
		bool real = i + spatial >= 3;
		uint32_t s = real ? i + spatial - 3 : 0;

		w->in[i] = real ? x->dim[2 + s] : 1;
		w->kernel[i] = real ? weights->dim[2 + s] : 1;
		w->out[i] = real ? y->dim[2 + s] : 1;
		w->stride[i] = real ? attr->conv.stride[s] : 1;
		w->dilation[i] = real ? attr->conv.dilation[s] : 1;
		w->before[i] = real ? attr->conv.before[s] : 0;
		w->positions *= w->out[i];
		w->k *= w->kernel[i];
	}
}

/* Offset within one channel of tap `tap` of the window at `position`; -1 in the padding */
static int64_t tap_offset(const window *w, int64_t position, int64_t tap)
{
	int64_t offset = 0, stride = 1;

	for (int i = 2; i >= 0; i--) {
		int64_t at = position % w->out[i] * w->stride[i] + tap % w->kernel[i] * w->dilation[i] - w->before[i];

		if (at < 0 || at >= w->in[i])
			return -1;
		offset += at * stride;
		stride *= w->in[i];
		position /= w->out[i];
		tap /= w->kernel[i];
	}
	return offset;
}

/* Rows [rows][k] of the windows at positions first …: f32, or codes minus zero point. Padding is 0. */
static void fill_windows(
	site *s, const window *w, int64_t image, int64_t group, const float *x, int64_t first, int64_t rows)
{
	int64_t taps = w->kernel[0] * w->kernel[1] * w->kernel[2], plane = w->in[0] * w->in[1] * w->in[2];
	int64_t channels = w->channels / w->groups, base = (image * w->channels + group * channels) * plane;
	const int8_t *code = s->e->in[0].data;
	int32_t zero = s->integer ? vq_eval_in_quant(s->e, 0)->zero[0] : 0;

	for (int64_t r = 0; r < rows; r++)
		for (int64_t t = 0; t < taps; t++) {
			int64_t offset = tap_offset(w, first + r, t);

			for (int64_t c = 0; c < channels; c++) {
				int64_t to = r * w->k + c * taps + t, from = base + c * plane + offset;

				if (s->integer)
					s->rows[to] = offset < 0 ? 0.0 : code[from] - zero;
				else
					s->rows_f32[to] = offset < 0 ? 0.0f : x[from];
			}
		}
}

static const char *conv(vq_eval *e, bool integer)
{
	const float *x = integer ? NULL : vq_eval_f32(e, 0);
	window w;
	site s;
	const char *wrong;

	window_of(&w, e);
	wrong = site_begin(&s, e, integer, w.positions, 1);
	for (int64_t i = 0; i < w.batch * w.groups; i++)
		for (int64_t r = 0; r < w.positions && !wrong; r += ROWS) {
			int64_t image = i / w.groups, group = i % w.groups, first = group * w.per_group;
			int64_t rows = w.positions - r < ROWS ? w.positions - r : ROWS;

			fill_windows(&s, &w, image, group, x, r, rows);
			wrong = multiply(&s, rows, first, w.per_group, (image * w.filters + first) * w.positions + r, 1,
				w.positions);
		}
	return wrong || integer ? wrong : vq_eval_finish(e, s.y);
}

const char *vq_eval_dot(vq_eval *e)
{
	bool integer = e->in[0].type.quant && e->in[1].type.quant;

	for (uint32_t i = 0; i < e->node->n_in; i++)
		if (!vq_eval_is_float(e, i))
			return vq_eval_refuse(e, e->in[i].type.elem);
	if (e->out->type.elem != VQ_F32 && !e->out->type.quant)
		return vq_eval_refuse(e, e->out->type.elem);
	switch (e->node->op) {
	case VQ_OP_LINEAR: return linear(e, integer);
	case VQ_OP_MATMUL: return matmul(e, integer);
	default: return conv(e, integer);
	}
}
