/* SPDX-License-Identifier: MIT */
/* Elementwise operators with NumPy broadcasting: f32 by the functions of the contract, integers exactly, modulo 2^bits. */
#include "ir/contract.h"
#include "ir/eval_ops.h"

#include <math.h>
#include <string.h>

/* ---- broadcasting ---- */

enum { OPERANDS = 3 };

/* Rows of the result: offsets of the operands' first element and the operands' steps (0 or 1) along the row. */
typedef struct walk {
	int64_t row, rows;                     /* length and number of rows of the result */
	int64_t step[OPERANDS];                /* along a row, elements */
	int64_t stride[OPERANDS][VQ_MAX_RANK]; /* per result dimension, 0 where the operand repeats */
	int64_t offset[OPERANDS];              /* of the current row */
	int64_t at[VQ_MAX_RANK];               /* coordinates of the current row */
} walk;

static void walk_begin(walk *w, const vq_eval *e)
{
	const vq_type *t = &e->out->type;

	*w = (walk){ .row = t->rank ? t->dim[t->rank - 1] : 1 };
	w->rows = vq_type_count(t) / w->row;
	for (uint32_t i = 0; i < e->node->n_in; i++) {
		const vq_type *x = &e->in[i].type;
		int64_t stride[VQ_MAX_RANK] = { 0 };

		vq_eval_strides(x, stride);
		for (uint32_t d = 0; d < x->rank; d++)
			if (x->dim[d] > 1)
				w->stride[i][d + t->rank - x->rank] = stride[d];
		w->step[i] = t->rank ? w->stride[i][t->rank - 1] : 0;
	}
}

static void walk_next(walk *w, const vq_eval *e)
{
	const vq_type *t = &e->out->type;

	for (uint32_t d = t->rank > 0 ? t->rank - 1 : 0; d-- > 0;) {
		bool wraps = ++w->at[d] == t->dim[d];

		for (uint32_t i = 0; i < e->node->n_in; i++)
			w->offset[i] += wraps ? -w->stride[i][d] * (t->dim[d] - 1) : w->stride[i][d];
		if (!wraps)
			return;
		w->at[d] = 0;
	}
}

/* ---- f32 ---- */

typedef float unary_f32(float);

static float neg_f32(float x) { return -x; }

static float sqrt_f32(float x) { return sqrtf(x); }

static float recip_f32(float x) { return 1.0f / x; }

static float relu_f32(float x) { return vq_c_max(x, 0.0f); }

static unary_f32 *const unary[VQ_OP_COUNT] = {
	[VQ_OP_NEG] = neg_f32,
	[VQ_OP_ABS] = vq_c_abs,
	[VQ_OP_SQRT] = sqrt_f32,
	[VQ_OP_RECIP] = recip_f32,
	[VQ_OP_EXP] = vq_c_exp,
	[VQ_OP_LOG] = vq_c_log,
	[VQ_OP_ERF] = vq_c_erf,
	[VQ_OP_TANH] = vq_c_tanh,
	[VQ_OP_SIGMOID] = vq_c_sigmoid,
	[VQ_OP_RELU] = relu_f32,
	[VQ_OP_GELU] = vq_c_gelu,
	[VQ_OP_GELU_TANH] = vq_c_gelu_tanh,
	[VQ_OP_GELU_QUICK] = vq_c_gelu_quick,
	[VQ_OP_SILU] = vq_c_silu,
	[VQ_OP_FLOOR] = vq_c_floor,
	[VQ_OP_ROUND] = vq_c_rint,
};

static const char *unary_float(vq_eval *e)
{
	int64_t n = vq_type_count(&e->out->type);
	const float *x = vq_eval_f32(e, 0);
	float *y = vq_eval_result(e);

	for (int64_t i = 0; i < n; i++)
		y[i] = unary[e->node->op](x[i]);
	return vq_eval_finish(e, y);
}

/* y[i] = a[i * sa] op b[i * sb]; NaN: min and max give b */
static void binary_row(vq_op op, float *y, const float *a, int64_t sa, const float *b, int64_t sb, int64_t n)
{
	switch (op) {
	case VQ_OP_ADD:
		for (int64_t i = 0; i < n; i++)
			y[i] = a[i * sa] + b[i * sb];
		break;
	case VQ_OP_SUB:
		for (int64_t i = 0; i < n; i++)
			y[i] = a[i * sa] - b[i * sb];
		break;
	case VQ_OP_MUL:
		for (int64_t i = 0; i < n; i++)
			y[i] = a[i * sa] * b[i * sb];
		break;
	case VQ_OP_DIV:
		for (int64_t i = 0; i < n; i++)
			y[i] = a[i * sa] / b[i * sb];
		break;
	case VQ_OP_MIN:
		for (int64_t i = 0; i < n; i++)
			y[i] = vq_c_min(a[i * sa], b[i * sb]);
		break;
	case VQ_OP_MAX:
		for (int64_t i = 0; i < n; i++)
			y[i] = vq_c_max(a[i * sa], b[i * sb]);
		break;
	default: /* VQ_OP_POW */
		for (int64_t i = 0; i < n; i++)
			y[i] = vq_c_pow(a[i * sa], b[i * sb]);
		break;
	}
}

static const char *binary_float(vq_eval *e)
{
	const float *a = vq_eval_f32(e, 0), *b = vq_eval_f32(e, 1);
	float *y = vq_eval_result(e);
	walk w;

	walk_begin(&w, e);
	for (int64_t r = 0; r < w.rows; r++, walk_next(&w, e))
		binary_row(e->node->op, y + r * w.row, a + w.offset[0], w.step[0], b + w.offset[1], w.step[1], w.row);
	return vq_eval_finish(e, y);
}

/* operands are flushed first: a denormal must not decide */
static const char *compare_float(vq_eval *e)
{
	const float *a = vq_eval_f32(e, 0), *b = vq_eval_f32(e, 1);
	uint8_t *y = e->out->data;
	walk w;

	walk_begin(&w, e);
	for (int64_t r = 0; r < w.rows; r++, walk_next(&w, e))
		for (int64_t i = 0; i < w.row; i++) {
			float u = vq_c_flush(a[w.offset[0] + i * w.step[0]]),
			      v = vq_c_flush(b[w.offset[1] + i * w.step[1]]);

			*y++ = e->node->op == VQ_OP_EQUAL ? u == v : u < v;
		}
	return NULL;
}

static const char *where_float(vq_eval *e)
{
	const uint8_t *c = e->in[0].data;
	const float *a = vq_eval_f32(e, 1), *b = vq_eval_f32(e, 2);
	float *y = vq_eval_result(e);
	walk w;

	walk_begin(&w, e);
	for (int64_t r = 0, k = 0; r < w.rows; r++, walk_next(&w, e))
		for (int64_t i = 0; i < w.row; i++)
			y[k++] = c[w.offset[0] + i * w.step[0]] ? a[w.offset[1] + i * w.step[1]]
								: b[w.offset[2] + i * w.step[2]];
	return vq_eval_finish(e, y);
}

/* ---- integers and bool: computed in 64 bits, stored modulo 2^bits ---- */

static int64_t wrap(uint64_t bits)
{
	int64_t v;

	memcpy(&v, &bits, sizeof v);
	return v;
}

/* x^y modulo 2^64 for y >= 0; a negative y truncates 1 / x^-y toward 0, and of 0 it is 0 as every division by 0 */
static int64_t power(int64_t x, int64_t y)
{
	uint64_t p = 1, b = (uint64_t)x;

	if (y < 0)
		return x == 1 ? 1 : x == -1 ? (y & 1 ? -1 : 1) : 0;
	for (uint64_t n = (uint64_t)y; n; n >>= 1) {
		p = n & 1 ? p * b : p;
		b *= b;
	}
	return wrap(p);
}

static int64_t remainder_of(int64_t a, int64_t b)
{
	int64_t r = b == -1 ? 0 : b ? a % b : a;

	return r && (r < 0) != (b < 0) ? r + b : r;
}

/* a / 0 is 0, and a modulo 0 is a, which ONNX leaves open and machines do in different ways */
static int64_t integer_op(vq_op op, int64_t a, int64_t b)
{
	switch (op) {
	case VQ_OP_ADD: return wrap((uint64_t)a + (uint64_t)b);
	case VQ_OP_SUB: return wrap((uint64_t)a - (uint64_t)b);
	case VQ_OP_MUL: return wrap((uint64_t)a * (uint64_t)b);
	case VQ_OP_DIV: return b == -1 ? wrap(0 - (uint64_t)a) : b ? a / b : 0;
	case VQ_OP_MOD: return remainder_of(a, b);
	case VQ_OP_POW: return power(a, b);
	case VQ_OP_MIN: return a < b ? a : b;
	case VQ_OP_MAX: return a > b ? a : b;
	case VQ_OP_EQUAL: return a == b;
	case VQ_OP_LESS: return a < b;
	case VQ_OP_AND: return a && b;
	case VQ_OP_OR: return a || b;
	case VQ_OP_NEG: return wrap(0 - (uint64_t)a);
	case VQ_OP_ABS: return a < 0 ? wrap(0 - (uint64_t)a) : a;
	case VQ_OP_RELU: return a > 0 ? a : 0;
	default: /* VQ_OP_NOT */ return !a;
	}
}

static bool has_integer_form(vq_op op, vq_elem t)
{
	switch (op) {
	case VQ_OP_ADD:
	case VQ_OP_SUB:
	case VQ_OP_MUL:
	case VQ_OP_DIV:
	case VQ_OP_MOD:
	case VQ_OP_POW:
	case VQ_OP_MIN:
	case VQ_OP_MAX:
	case VQ_OP_NEG:
	case VQ_OP_ABS:
	case VQ_OP_RELU: return t != VQ_BOOL;
	case VQ_OP_EQUAL:
	case VQ_OP_LESS: return true;
	case VQ_OP_AND:
	case VQ_OP_OR:
	case VQ_OP_NOT: return t == VQ_BOOL;
	default: return false;
	}
}

static const char *integers(vq_eval *e)
{
	vq_elem t = e->in[0].type.elem, to = e->out->type.elem;
	int64_t k = 0;
	walk w;

	for (uint32_t i = 0; i < e->node->n_in; i++)
		if (vq_eval_is_float(e, i) || !has_integer_form(e->node->op, e->in[i].type.elem))
			return vq_eval_refuse(e, e->in[i].type.elem);
	if (to == VQ_F32 || e->out->type.quant)
		return vq_eval_refuse(e, to);
	walk_begin(&w, e);
	for (int64_t r = 0; r < w.rows; r++, walk_next(&w, e))
		for (int64_t i = 0; i < w.row; i++, k++) {
			int64_t a = vq_eval_load_int(t, e->in[0].data, w.offset[0] + i * w.step[0]), b = 0;

			if (e->node->n_in > 1)
				b = vq_eval_load_int(e->in[1].type.elem, e->in[1].data, w.offset[1] + i * w.step[1]);
			vq_eval_store_int(to, e->out->data, k, integer_op(e->node->op, a, b));
		}
	return NULL;
}

static const char *where_integer(vq_eval *e)
{
	const uint8_t *c = e->in[0].data;
	vq_elem t = e->out->type.elem;
	int64_t k = 0;
	walk w;

	for (uint32_t i = 1; i <= 2; i++)
		if (vq_eval_is_float(e, i))
			return vq_arena_printf(e->a, "where mixes elements of type %s and %s",
				vq_elem_name(e->in[1].type.elem), vq_elem_name(e->in[2].type.elem));
	walk_begin(&w, e);
	for (int64_t r = 0; r < w.rows; r++, walk_next(&w, e))
		for (int64_t i = 0; i < w.row; i++) {
			uint32_t from = c[w.offset[0] + i * w.step[0]] ? 1 : 2;
			const vq_tensor *x = &e->in[from];

			vq_eval_store_int(t, e->out->data, k++,
				vq_eval_load_int(x->type.elem, x->data, w.offset[from] + i * w.step[from]));
		}
	return NULL;
}

/* ---- cast ---- */

/* Toward 0; out of range: the nearest end; NaN: 0 */
static int64_t truncated(float x, vq_elem to)
{
	int64_t lo = to == VQ_U8 ? 0 : to == VQ_S8 ? INT8_MIN : to == VQ_I32 ? INT32_MIN : INT64_MIN;
	int64_t hi = to == VQ_U8 ? UINT8_MAX : to == VQ_S8 ? INT8_MAX : to == VQ_I32 ? INT32_MAX : INT64_MAX;

	if (!(x == x))
		return 0;
	if (x <= (float)lo)
		return lo;
	if (x >= (float)hi) /* (float)hi may be hi + 1, which is out of range as well */
		return hi;
	return (int64_t)x;
}

static const char *cast(vq_eval *e)
{
	vq_elem to = e->out->type.elem;
	int64_t n = vq_type_count(&e->out->type);
	bool from_float = vq_eval_is_float(e, 0);
	const float *x = from_float ? vq_eval_f32(e, 0) : NULL;
	float *y;

	if (to != VQ_F32 && !e->out->type.quant) {
		for (int64_t i = 0; i < n; i++) {
			int64_t v;

			if (!from_float)
				v = vq_eval_load_int(e->in[0].type.elem, e->in[0].data, i);
			else if (to == VQ_BOOL)
				v = vq_c_flush(x[i]) != 0.0f;
			else
				v = truncated(x[i], to);
			vq_eval_store_int(to, e->out->data, i, v);
		}
		return NULL;
	}
	y = vq_eval_result(e);
	for (int64_t i = 0; i < n; i++)
		y[i] = from_float ? x[i] : (float)vq_eval_load_int(e->in[0].type.elem, e->in[0].data, i);
	return vq_eval_finish(e, y);
}

const char *vq_eval_elementwise(vq_eval *e)
{
	bool f = vq_eval_is_float(e, 0);

	switch (e->node->op) {
	case VQ_OP_CAST: return cast(e);
	case VQ_OP_WHERE:
		if (e->in[0].type.elem != VQ_BOOL)
			return vq_eval_refuse(e, e->in[0].type.elem);
		return vq_eval_is_float(e, 1) && vq_eval_is_float(e, 2) ? where_float(e) : where_integer(e);
	case VQ_OP_EQUAL:
	case VQ_OP_LESS: return f && vq_eval_is_float(e, 1) ? compare_float(e) : integers(e);
	case VQ_OP_ADD:
	case VQ_OP_SUB:
	case VQ_OP_MUL:
	case VQ_OP_DIV:
	case VQ_OP_POW:
	case VQ_OP_MIN:
	case VQ_OP_MAX: return f && vq_eval_is_float(e, 1) ? binary_float(e) : integers(e);
	default: return f && unary[e->node->op] ? unary_float(e) : integers(e);
	}
}
