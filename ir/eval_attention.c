/* SPDX-License-Identifier: MIT */
/*
 * attention: q [B,N,H*D], k [B,M,H*D], v [B,M,H*E] and maybe an additive bias to [B,N,H*E]. With quantized q, k and v
 * an integer operator: scores and weighted sums are exact integers, the softmax gives codes of 255 * 2^y with a fixed
 * dither, and their sum is divided out at the end (docs/ir.md). attention_dynamic differs in where scales come from: its
 * codes bring them along.
 */
#include "ir/contract.h"
#include "ir/eval_ops.h"

#include <math.h>
#include <string.h>

typedef struct shape {
	int64_t batch, heads, n, m, d, e; /* queries, keys, dimensions of a head of q and k, of v */
} shape;

static shape shape_of(const vq_eval *ev)
{
	uint32_t step = ev->node->op == VQ_OP_ATTENTION_DYNAMIC ? 2 : 1; /* codes and rows */
	const vq_type *q = &ev->in[0].type, *k = &ev->in[step].type, *v = &ev->in[2 * step].type;
	int64_t heads = ev->node->attr.attention.heads;

	return (shape){ q->dim[0], heads, q->dim[1], k->dim[1], q->dim[2] / heads, v->dim[2] / heads };
}

/* Row [M] of the bias for one batch, head and query; step is 0 where it repeats along the keys. */
typedef struct bias_row {
	const float *at;
	int64_t step;
} bias_row;

/* The bias broadcasts to [B,H,N,M]. */
static bias_row bias_of(const vq_eval *ev, const float *bias, int64_t b, int64_t h, int64_t n)
{
	const vq_type *t = &ev->in[ev->node->op == VQ_OP_ATTENTION_DYNAMIC ? 6 : 3].type;
	int64_t at[4] = { b, h, n, 0 }, offset = 0, stride = 1;
	bias_row r = { NULL, 0 };

	for (uint32_t d = t->rank; d-- > 0;) {
		if (t->dim[d] > 1)
			offset += at[4 - t->rank + d] * stride;
		stride *= t->dim[d];
	}
	r.at = bias + offset;
	r.step = t->rank && t->dim[t->rank - 1] > 1;
	return r;
}

/* ---- f32 ---- */

static void attend_f32(
	const vq_eval *ev, const shape *s, const float *const in[4], int64_t b, int64_t h, float *p, float *y)
{
	float scale = ev->node->attr.attention.scale;
	const float *k = in[1] + b * s->m * s->heads * s->d + h * s->d,
		    *v = in[2] + b * s->m * s->heads * s->e + h * s->e;

	for (int64_t n = 0; n < s->n; n++) {
		const float *q = in[0] + (b * s->n + n) * s->heads * s->d + h * s->d;
		float *o = y + (b * s->n + n) * s->heads * s->e + h * s->e;
		bias_row bias = { NULL, 0 };

		if (in[3])
			bias = bias_of(ev, in[3], b, h, n);
		for (int64_t j = 0; j < s->m; j++) {
			float acc = 0.0f;

			for (int64_t d = 0; d < s->d; d++)
				acc = acc + q[d] * k[j * s->heads * s->d + d];
			p[j] = acc * scale;
			if (in[3])
				p[j] = p[j] + bias.at[j * bias.step];
		}
		vq_eval_softmax_row(p, p, s->m, 1, in[3] != NULL);
		for (int64_t i = 0; i < s->e; i++)
			o[i] = 0.0f;
		for (int64_t j = 0; j < s->m; j++) {
			float u = vq_c_flush(p[j]);

			for (int64_t i = 0; i < s->e; i++)
				o[i] = o[i] + u * v[j * s->heads * s->e + i];
		}
	}
}

static const char *attention_f32(vq_eval *ev)
{
	const float *in[4] = { NULL };
	shape s = shape_of(ev);
	float *p = VQ_ARRAY(ev->a, (size_t)s.m, float), *y = vq_eval_result(ev);

	for (uint32_t i = 0; i < ev->node->n_in; i++)
		in[i] = vq_eval_f32(ev, i);
	for (int64_t b = 0; b < s.batch; b++)
		for (int64_t h = 0; h < s.heads; h++)
			attend_f32(ev, &s, in, b, h, p, y);
	return vq_eval_finish(ev, y);
}

/* ---- integers ---- */

/* entry of q for head h; *ok turns false where a head would span two entries */
static uint32_t head_entry(const vq_quant *q, const vq_type *t, int64_t heads, int64_t h, bool *ok)
{
	int64_t n = q->n;

	if (q->axis >= 0 && ((uint32_t)q->axis + 1 != t->rank || heads % n))
		*ok = false;
	if (q->axis < 0 || !*ok)
		return 0;
	return (uint32_t)(h / (heads / n));
}

static const char *too_long(vq_eval *ev, const shape *s)
{
	if (s->d <= INT32_MAX / (128 * 128) && s->m <= INT32_MAX / (255 * 128))
		return NULL;
	return vq_arena_printf(
		ev->a, "sums of %lld dimensions and %lld keys do not fit 32 bits", (long long)s->d, (long long)s->m);
}

static const char *check_codes(vq_eval *ev, const shape *s)
{
	static const char *const name[] = { "q", "k", "v" };

	for (uint32_t i = 0; i < 3; i++) {
		const vq_quant *q = vq_eval_in_quant(ev, i);
		bool ok = true;

		head_entry(q, &ev->in[i].type, s->heads, 0, &ok);
		if (!ok)
			return vq_arena_printf(ev->a,
				"%s has %u scales along axis %d, expected one, or one per head or "
				"group of heads",
				name[i], q->n, q->axis);
		for (uint32_t c = 0; c < q->n; c++)
			if (q->zero[c])
				return vq_arena_printf(ev->a, "%s has zero point %d, expected 0", name[i], q->zero[c]);
	}
	return too_long(ev, s);
}

/* Scores of one query, y[j] <= 0 in base 2, from the exact sums acc[j] */
static void scores(const int32_t *acc, int64_t m, float score, const bias_row *bias, float *y)
{
	if (!bias->at) {
		int32_t most = acc[0];

		for (int64_t j = 1; j < m; j++)
			most = acc[j] > most ? acc[j] : most;
		for (int64_t j = 0; j < m; j++)
			y[j] = (float)(acc[j] - most) * score;
		return;
	}
	float most = -INFINITY;

	/* halves: exporters mask by adding the least f32, which times log2(e) would be -inf */
	for (int64_t j = 0; j < m; j++) {
		float t = (float)acc[j] * (score * 0.5f), u = bias->at[j * bias->step] * (VQ_LOG2E_F32 * 0.5f);

		y[j] = t + u;
		most = y[j] > most ? y[j] : most;
	}
	for (int64_t j = 0; j < m; j++)
		y[j] = (y[j] - most) * 2.0f;
}

/* Factors of one head's result columns; results whose entries divide a head have several. */
static const char *result_factors(vq_eval *ev, const shape *s, int64_t h, float sv, float *factor, int32_t *zero)
{
	const vq_quant *qo = vq_eval_out_quant(ev);

	for (int64_t i = 0; i < s->e; i++) {
		uint32_t entry = qo ? vq_eval_entry(qo, &ev->out->type, h * s->e + i) : 0;
		float size;

		factor[i] = vq_c_merge_scale(sv, 1.0f, qo ? qo->scale[entry] : 1.0f);
		zero[i] = qo ? qo->zero[entry] : 0;
		size = vq_c_abs(factor[i]);
		if (!(size >= VQ_TINY && size <= 0x1p100f))
			return vq_arena_printf(ev->a, "merged scale %a is outside [2^-100, 2^100]", (double)factor[i]);
	}
	return NULL;
}

/* What the arithmetic of one head needs beside codes. */
typedef struct head {
	const int8_t *code[3]; /* q, k, v of the whole operand */
	float score;           /* of the scores, or... */
	const float *q_rows;   /* attention_dynamic: scales of this batch element's q, one pair per row and head */
	int64_t q_step;        /* floats between rows of q_rows, 0 if they share one */
	float sk;              /* attention_dynamic */
	float *factor;         /* [E], of the result */
	int32_t *zero;         /* [E] */
	/* scratch */
	int32_t *acc; /* [M] */
	float *y;     /* [M] */
	int32_t *sum; /* [E] */
} head;

static void attend_row(vq_eval *ev, const shape *s, const float *bias, int64_t b, int64_t h, int64_t n, const head *w)
{
	const vq_quant *qo = vq_eval_out_quant(ev);
	const int8_t *q = w->code[0] + (b * s->n + n) * s->heads * s->d + h * s->d;
	int64_t out = (b * s->n + n) * s->heads * s->e + h * s->e;
	bool dynamic = w->q_rows != NULL;
	bias_row row = { NULL, 0 };
	int32_t total = 0;
	float score = w->score, inverse;

	if (bias)
		row = bias_of(ev, bias, b, h, n);
	if (dynamic)
		score = vq_c_score_dynamic(
			w->q_rows[n * w->q_step + 2 * h], w->sk, vq_c_score_factor(ev->node->attr.attention.scale));
	for (int64_t j = 0; j < s->m; j++) {
		const int8_t *k = w->code[1] + (b * s->m + j) * s->heads * s->d + h * s->d;

		w->acc[j] = 0;
		for (int64_t d = 0; d < s->d; d++)
			w->acc[j] += q[d] * k[d];
	}
	scores(w->acc, s->m, score, &row, w->y);
	memset(w->sum, 0, (size_t)s->e * sizeof *w->sum);
	for (int64_t j = 0; j < s->m; j++) {
		const int8_t *v = w->code[2] + (b * s->m + j) * s->heads * s->e + h * s->e;
		int32_t c = vq_c_softmax_code(w->y[j], vq_dither((uint32_t)j));

		total += c;
		for (int64_t i = 0; c && i < s->e; i++)
			w->sum[i] += c * v[i];
	}
	inverse = 1.0f / (float)(total > 0 ? total : 1);
	for (int64_t i = 0; i < s->e; i++) {
		float u = (float)w->sum[i] * inverse;
		float r = u * w->factor[i];

		if (qo && dynamic)
			r = r * vq_c_inverse((double)qo->scale[vq_eval_entry(qo, &ev->out->type, h * s->e + i)]);
		if (qo)
			((int8_t *)ev->out->data)[out + i] = (int8_t)vq_c_quantize(r, qo->lo, qo->hi, w->zero[i]);
		else
			((float *)ev->out->data)[out + i] = r;
	}
}

static head new_head(vq_eval *ev, const shape *s)
{
	return (head){
		.acc = VQ_ARRAY(ev->a, (size_t)s->m, int32_t),
		.y = VQ_ARRAY(ev->a, (size_t)s->m, float),
		.sum = VQ_ARRAY(ev->a, (size_t)s->e, int32_t),
		.factor = VQ_ARRAY(ev->a, (size_t)s->e, float),
		.zero = VQ_ARRAY(ev->a, (size_t)s->e, int32_t),
	};
}

/* Factors of head h when scales are in the types. */
static const char *static_scales(vq_eval *ev, const shape *s, int64_t h, head *w)
{
	float scale[3];
	bool ok = true;

	for (uint32_t i = 0; i < 3; i++) {
		const vq_quant *q = vq_eval_in_quant(ev, i);

		w->code[i] = ev->in[i].data;
		scale[i] = q->scale[head_entry(q, &ev->in[i].type, s->heads, h, &ok)];
	}
	w->score = vq_c_score_scale(ev->node->attr.attention.scale, scale[0], scale[1]);
	if (!(w->score >= VQ_TINY && w->score <= 0x1p100f))
		return vq_arena_printf(ev->a, "scale of the scores %a is outside [2^-100, 2^100]", (double)w->score);
	return result_factors(ev, s, h, scale[2], w->factor, w->zero);
}

static const char *check_result(vq_eval *ev)
{
	const vq_quant *qo = vq_eval_out_quant(ev);

	if (!qo || qo->axis < 0 || (uint32_t)qo->axis + 1 == ev->out->type.rank)
		return NULL;
	return vq_arena_printf(
		ev->a, "scales of the result lie along axis %d, expected none or the last axis", qo->axis);
}

static const char *attention_codes(vq_eval *ev)
{
	shape s = shape_of(ev);
	const char *wrong = check_codes(ev, &s);
	const float *bias = ev->node->n_in > 3 ? vq_eval_f32(ev, 3) : NULL;
	head w = new_head(ev, &s);

	if (!wrong)
		wrong = check_result(ev);
	for (int64_t h = 0; h < s.heads && !wrong; h++) {
		wrong = static_scales(ev, &s, h, &w);
		for (int64_t b = 0; b < s.batch && !wrong; b++)
			for (int64_t n = 0; n < s.n; n++)
				attend_row(ev, &s, bias, b, h, n, &w);
	}
	return wrong;
}

/* rows of batch element b: one pair of floats per head, and the floats from row to row */
static const float *rows_of(const vq_eval *ev, uint32_t operand, int64_t b, int64_t heads, int64_t *step)
{
	const vq_type *t = &ev->in[operand].type;

	*step = t->dim[1] == 1 ? 0 : 2 * heads;
	return (const float *)ev->in[operand].data + (t->dim[0] == 1 ? 0 : b * t->dim[1] * 2 * heads);
}

const char *vq_eval_attention_dynamic(vq_eval *ev)
{
	shape s = shape_of(ev);
	const vq_quant *qo = vq_eval_out_quant(ev);
	const float *bias = ev->node->n_in > 6 ? vq_eval_f32(ev, 6) : NULL;
	head w = new_head(ev, &s);
	const char *wrong = check_result(ev);
	int64_t step;

	if (!wrong)
		wrong = too_long(ev, &s);
	for (uint32_t i = 0; i < 3; i++)
		w.code[i] = ev->in[2 * i].data;
	for (int64_t b = 0; b < s.batch && !wrong; b++)
		for (int64_t h = 0; h < s.heads; h++) {
			float sv = rows_of(ev, 5, b, s.heads, &step)[2 * h];

			w.sk = rows_of(ev, 3, b, s.heads, &step)[2 * h];
			w.q_rows = rows_of(ev, 1, b, s.heads, &w.q_step);
			for (int64_t i = 0; i < s.e; i++) {
				w.factor[i] = sv;
				w.zero[i] = qo ? qo->zero[vq_eval_entry(qo, &ev->out->type, h * s.e + i)] : 0;
			}
			for (int64_t n = 0; n < s.n; n++)
				attend_row(ev, &s, bias, b, h, n, &w);
		}
	return wrong;
}

const char *vq_eval_attention(vq_eval *ev)
{
	for (uint32_t i = 0; i < ev->node->n_in; i++)
		if (!vq_eval_is_float(ev, i))
			return vq_eval_refuse(ev, ev->in[i].type.elem);
	if (ev->out->type.elem != VQ_F32 && !ev->out->type.quant)
		return vq_eval_refuse(ev, ev->out->type.elem);
	if (ev->in[0].type.quant && ev->in[1].type.quant && ev->in[2].type.quant)
		return attention_codes(ev);
	return attention_f32(ev);
}
