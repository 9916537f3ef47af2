/* SPDX-License-Identifier: MIT */
/*
 * Elementwise kernels, run on this machine with every instruction set it has and compared byte for byte with the contract's
 * scalar functions. Operands end at an unreadable page: a kernel must not read past them.
 */
#include "ir/contract.h"
#include "tests/unit/guarded.h"
#include "tests/unit/kernel_check.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- the elementwise program, scalar ---- */

static float load_scalar(const vq_extra *x, const void *data, int64_t i)
{
	float v;

	switch (x->elem) {
	case VQ_F32: v = ((const float *)data)[i]; return x->sanitize && !(v == v) ? 0.0f : v;
	case VQ_S8: {
		int32_t code = ((const int8_t *)data)[i];

		if (x->stored_u8)
			code = (int8_t)(code ^ 0x80);
		return x->codes ? (float)(code - x->zero) * x->scale : (float)code;
	}
	case VQ_I64: return (float)((const int64_t *)data)[i];
	case VQ_I32: return (float)((const int32_t *)data)[i];
	default: return (float)((const uint8_t *)data)[i];
	}
}

static float unary_scalar(vq_op op, float x)
{
	switch (op) {
	case VQ_OP_NEG: return -x;
	case VQ_OP_ABS: return vq_c_abs(x);
	case VQ_OP_SQRT: return sqrtf(x);
	case VQ_OP_RECIP: return 1.0f / x;
	case VQ_OP_EXP: return vq_c_exp(x);
	case VQ_OP_LOG: return vq_c_log(x);
	case VQ_OP_ERF: return vq_c_erf(x);
	case VQ_OP_TANH: return vq_c_tanh(x);
	case VQ_OP_SIGMOID: return vq_c_sigmoid(x);
	case VQ_OP_RELU: return vq_c_max(x, 0.0f);
	case VQ_OP_GELU: return vq_c_gelu(x);
	case VQ_OP_GELU_TANH: return vq_c_gelu_tanh(x);
	case VQ_OP_GELU_QUICK: return vq_c_gelu_quick(x);
	case VQ_OP_SILU: return vq_c_silu(x);
	case VQ_OP_FLOOR: return vq_c_floor(x);
	case VQ_OP_ROUND: return vq_c_rint(x);
	case VQ_OP_NOT: return x == 0.0f ? 1.0f : 0.0f;
	default: return x; /* VQ_OP_NONE */
	}
}

static float binary_scalar(vq_op op, float a, float b)
{
	switch (op) {
	case VQ_OP_ADD: return a + b;
	case VQ_OP_SUB: return a - b;
	case VQ_OP_MUL: return a * b;
	case VQ_OP_DIV: return a / b;
	case VQ_OP_POW: return vq_c_pow(a, b);
	case VQ_OP_MIN: return vq_c_min(a, b);
	case VQ_OP_MAX: return vq_c_max(a, b);
	case VQ_OP_EQUAL: return vq_c_flush(a) == vq_c_flush(b);
	case VQ_OP_LESS: return vq_c_flush(a) < vq_c_flush(b);
	case VQ_OP_AND: return a != 0.0f && b != 0.0f;
	default: return a != 0.0f || b != 0.0f;
	}
}

/* x: values of the extras at this element */
static float program_scalar(const vq_epilogue *e, float v, const float *x)
{
	for (uint32_t k = 0; k < e->n_eops; k++) {
		const vq_eop *o = &e->eop[k];
		float other = o->extra >= 0 ? x[o->extra] : o->imm;

		if (o->extra == -1)
			v = unary_scalar((vq_op)o->op, v);
		else if (o->op == VQ_OP_WHERE)
			v = (o->swapped ? other : v) != 0.0f ? (o->swapped ? v : other) : x[o->third - 1];
		else
			v = o->swapped ? binary_scalar((vq_op)o->op, other, v) : binary_scalar((vq_op)o->op, v, other);
		if (o->flush)
			v = vq_c_flush(v);
	}
	return v;
}

static int32_t to_i32_scalar(float v)
{
	if (!(v == v))
		return 0;
	return v <= -0x1p31f ? INT32_MIN : v >= 0x1p31f ? INT32_MAX : (int32_t)v;
}

static void store_scalar(const vq_epilogue *e, float v, void *data, int64_t i)
{
	if (e->store == VQ_STORE_F32) {
		((float *)data)[i] = e->flush ? vq_c_flush(v) : v;
	} else if (e->store == VQ_STORE_I32) {
		((int32_t *)data)[i] = to_i32_scalar(v);
	} else if (e->store == VQ_STORE_BOOL) {
		((uint8_t *)data)[i] = vq_c_flush(v) != 0.0f;
	} else {
		int32_t code = vq_c_quantize(e->scaled ? v * e->inv : v, e->lo, e->hi, e->zero);

		((uint8_t *)data)[i] = (uint8_t)(code ^ (e->store == VQ_STORE_U8 ? 0x80 : 0));
	}
}

static uint32_t stored_bytes(const vq_epilogue *e)
{
	return e->store == VQ_STORE_F32 || e->store == VQ_STORE_I32 ? 4 : 1;
}

/* ---- elementwise ---- */

static const vq_op unary_ops[] = { VQ_OP_NEG, VQ_OP_ABS, VQ_OP_SQRT, VQ_OP_RECIP, VQ_OP_EXP, VQ_OP_LOG, VQ_OP_ERF,
	VQ_OP_TANH, VQ_OP_SIGMOID, VQ_OP_RELU, VQ_OP_GELU, VQ_OP_GELU_TANH, VQ_OP_GELU_QUICK, VQ_OP_SILU, VQ_OP_FLOOR,
	VQ_OP_ROUND, VQ_OP_NOT };
static const vq_op binary_ops[] = { VQ_OP_ADD, VQ_OP_SUB, VQ_OP_MUL, VQ_OP_DIV, VQ_OP_MIN, VQ_OP_MAX, VQ_OP_EQUAL,
	VQ_OP_LESS, VQ_OP_AND, VQ_OP_OR };
static const float exponents[] = { 0.0f, 1.0f, 2.0f, 3.0f, 0.5f, -1.0f, -0.5f };
/* elements of operand k an iteration touches: lowest is 0 because strides are not negative */
static int64_t extent(const vq_elementwise *d, const int64_t *stride)
{
	int64_t last = 0;

	for (uint32_t r = 0; r < d->rank; r++)
		last += (d->dim[r] - 1) * stride[r];
	return last + 1;
}

static void reference_elementwise(const vq_elementwise *d, const guarded *arg, unsigned char *want)
{
	int64_t n = 1;

	for (uint32_t r = 0; r < d->rank; r++)
		n *= d->dim[r];
	for (int64_t i = 0; i < n; i++) {
		int64_t at[VQ_MAX_EXTRAS] = { 0 }, to = 0, rest = i;
		float x[VQ_MAX_EXTRAS] = { 0 };

		for (uint32_t r = d->rank; r-- > 0; rest /= d->dim[r]) {
			int64_t c = rest % d->dim[r];

			to += c * d->out_stride[r];
			for (uint32_t k = 0; k < d->epilogue.n_extras; k++)
				at[k] += c * d->epilogue.extra[k].stride[r];
		}
		if (d->epilogue.store == VQ_STORE_RAW) {
			memcpy(want + to * d->raw_bytes, (char *)arg[1].data + at[0] * d->raw_bytes, d->raw_bytes);
			continue;
		}
		for (uint32_t k = 0; k < d->epilogue.n_extras; k++)
			x[k] = load_scalar(&d->epilogue.extra[k], arg[1 + k].data, at[k]);
		store_scalar(&d->epilogue, program_scalar(&d->epilogue, x[0], x), want, to);
	}
}

/* flushed: no operand is denormal and every operator flushes its result, as values of a graph do */
static void run_elementwise(const vq_kernel *k, bool flushed, const char *what)
{
	const vq_elementwise *d = &k->u.elementwise;
	const vq_epilogue *e = &d->epilogue;
	bool raw = e->store == VQ_STORE_RAW;
	size_t out_bytes = (size_t)extent(d, d->out_stride) * (raw ? d->raw_bytes : stored_bytes(e));
	unsigned char *want = vq_alloc(out_bytes);
	guarded arg[1 + VQ_MAX_EXTRAS] = { guarded_alloc(out_bytes) };

	memset(arg[0].data, CHECK_PATTERN, out_bytes);
	memset(want, CHECK_PATTERN, out_bytes);
	for (uint32_t i = 0; i < e->n_extras; i++) {
		int64_t n = extent(d, e->extra[i].stride);

		arg[1 + i] = guarded_alloc((size_t)n * (raw ? d->raw_bytes : vq_elem_bytes(e->extra[i].elem)));
		check_fill(arg[1 + i].data, raw ? VQ_U8 : e->extra[i].elem, raw ? n * d->raw_bytes : n);
		for (int64_t j = 0; flushed && !raw && e->extra[i].elem == VQ_F32 && j < n; j++)
			((float *)arg[1 + i].data)[j] = vq_c_flush(((float *)arg[1 + i].data)[j]);
	}
	reference_elementwise(d, arg, want);
	check_on_each(k, arg, 1 + e->n_extras, 0, want, e->store == VQ_STORE_F32, flushed, what);
	for (uint32_t i = 0; i <= e->n_extras; i++)
		guarded_free(&arg[i]);
	vq_free(want);
}

static void row_major(const int64_t *dim, uint32_t rank, int64_t *stride)
{
	int64_t s = 1;

	for (uint32_t r = rank; r-- > 0; s *= dim[r])
		stride[r] = s;
}

static void unary_functions(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < sizeof unary_ops / sizeof *unary_ops; i++) {
		vq_kernel k;
		vq_elementwise *d = &k.u.elementwise;

		memset(&k, 0, sizeof k);
		k.kind = VQ_KERNEL_ELEMENTWISE;
		d->rank = 1;
		d->dim[0] = 20011;
		d->tasks = 3;
		d->out_stride[0] = d->epilogue.extra[0].stride[0] = 1;
		d->epilogue.n_extras = d->epilogue.n_eops = 1;
		d->epilogue.extra[0].index = VQ_X_STRIDED;
		d->epilogue.eop[0] = (vq_eop){ .op = (uint8_t)unary_ops[i], .extra = -1 };
		d->epilogue.flush = true;
		run_elementwise(&k, false, vq_ops[unary_ops[i]].text);
		d->dim[0] = 2011;
		run_elementwise(&k, true, vq_ops[unary_ops[i]].text);
		check_objects(&k);
	}
}

static void random_store(vq_epilogue *e)
{
	static const vq_store stores[] = { VQ_STORE_F32, VQ_STORE_S8, VQ_STORE_U8, VQ_STORE_I32, VQ_STORE_BOOL,
		VQ_STORE_F32 };

	e->store = PICK(stores);
	e->flush = true; /* so that -0 and +0, which max may give in either order, are one */
	e->scaled = check_random_u32() & 1;
	e->inv = 7.25f;
	e->lo = check_random_u32() & 1 ? -127 : -128;
	e->hi = 127;
	e->zero = (int32_t)check_random_in(-200, 200);
}

static void random_program(vq_epilogue *e, bool flushed)
{
	static const vq_elem elems[] = { VQ_F32, VQ_F32, VQ_F32, VQ_S8, VQ_S8, VQ_U8, VQ_I32, VQ_I64, VQ_BOOL };

	e->n_extras = (uint32_t)check_random_in(1, 4);
	e->n_eops = (uint32_t)check_random_in(0, 4);
	for (uint32_t i = 0; i < e->n_extras; i++) {
		vq_extra *x = &e->extra[i];

		x->index = VQ_X_STRIDED;
		x->elem = PICK(elems);
		x->sanitize = x->elem == VQ_F32 && (check_random_u32() & 1);
		x->codes = x->elem == VQ_S8 && (check_random_u32() & 1);
		x->stored_u8 = x->codes && (check_random_u32() & 1);
		x->scale = 0.0375f;
		x->zero = (int32_t)check_random_in(-150, 150);
	}
	for (uint32_t i = 0; i < e->n_eops; i++) {
		vq_eop *o = &e->eop[i];
		uint32_t kind = check_random_u32() % 8;

		o->flush = flushed || (check_random_u32() & 1);
		o->extra = -1;
		o->op = (uint8_t)PICK(unary_ops);
		if (kind < 3)
			continue;
		o->extra = (int8_t)check_random_in(0, e->n_extras - 1);
		o->swapped = check_random_u32() & 1;
		o->op = (uint8_t)PICK(binary_ops);
		if (kind == 3) {
			o->op = VQ_OP_WHERE;
			o->third = (uint8_t)check_random_in(1, e->n_extras);
		} else if (kind == 4) {
			o->op = VQ_OP_POW;
			o->extra = -2;
			o->swapped = 0;
			o->imm = PICK(exponents);
		} else if (kind == 5) {
			o->extra = -2;
			o->imm = check_tame_f32();
		}
	}
	random_store(e);
}

/* strides of a permuted, partly repeated operand; the result may be permuted and have gaps, never repeated */
static void random_strides(const vq_elementwise *d, int64_t *stride, bool result)
{
	uint32_t order[VQ_MAX_RANK];
	int64_t s = check_random_u32() % 8 == 0 ? 2 : 1;

	for (uint32_t r = 0; r < d->rank; r++)
		order[r] = r;
	if (check_random_u32() % 4 == 0)
		for (uint32_t r = d->rank; r-- > 1;) {
			uint32_t other = check_random_u32() % (r + 1), keep = order[r];

			order[r] = order[other];
			order[other] = keep;
		}
	for (uint32_t r = d->rank; r-- > 0;) {
		uint32_t at = order[r];
		bool repeats = !result && check_random_u32() % 5 == 0;

		stride[at] = repeats ? 0 : s;
		if (!repeats)
			s = s * d->dim[at] + (check_random_u32() % 10 == 0 ? 3 : 0);
	}
}

static void random_space(vq_elementwise *d)
{
	d->rank = (uint32_t)check_random_in(1, 4);
	for (uint32_t r = 0; r < d->rank; r++)
		d->dim[r] = check_random_in(1, d->rank == 1 ? 300 : r + 1 == d->rank ? 80 : 6);
	d->tasks = (uint32_t)check_random_in(1, 5);
	random_strides(d, d->out_stride, true);
	for (uint32_t k = 0; k < d->epilogue.n_extras; k++)
		random_strides(d, d->epilogue.extra[k].stride, false);
}

static void random_elementwise(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 120; i++) {
		vq_kernel k;
		char what[40];

		memset(&k, 0, sizeof k);
		k.kind = VQ_KERNEL_ELEMENTWISE;
		random_program(&k.u.elementwise.epilogue, i % 2);
		random_space(&k.u.elementwise);
		snprintf(what, sizeof what, "random program %u", i);
		run_elementwise(&k, i % 2, what);
		if (i % 8 == 0)
			check_objects(&k);
	}
}

static void every_tail(void **state)
{
	(void)state;
	for (int64_t n = 1; n <= 40; n++) {
		vq_kernel k;
		vq_elementwise *d = &k.u.elementwise;
		char what[40];

		memset(&k, 0, sizeof k);
		k.kind = VQ_KERNEL_ELEMENTWISE;
		d->rank = 2;
		d->dim[0] = 3;
		d->dim[1] = n;
		d->tasks = 2;
		d->out_stride[0] = n + 1; /* gaps: the rows do not merge */
		d->out_stride[1] = 1;
		d->epilogue.n_extras = 2;
		row_major(d->dim, 2, d->epilogue.extra[0].stride);
		d->epilogue.extra[1].stride[1] = 1;
		d->epilogue.n_eops = 1;
		d->epilogue.eop[0] = (vq_eop){ .op = VQ_OP_ADD, .extra = 1 };
		random_store(&d->epilogue);
		d->epilogue.store = n % 2 ? VQ_STORE_S8 : VQ_STORE_F32;
		snprintf(what, sizeof what, "tail of %d", (int)n);
		run_elementwise(&k, true, what);
	}
}

/* 32 bit integers times 0.97: bounded, far beyond the codes on both sides */
static void bounded_stores(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 40; i++) {
		vq_kernel k;
		vq_elementwise *d = &k.u.elementwise;
		char what[40];

		memset(&k, 0, sizeof k);
		k.kind = VQ_KERNEL_ELEMENTWISE;
		d->rank = 1;
		d->dim[0] = 1 + (int64_t)i * 13;
		d->tasks = 1;
		d->out_stride[0] = d->epilogue.extra[0].stride[0] = 1;
		d->epilogue.n_extras = d->epilogue.n_eops = 1;
		d->epilogue.extra[0] = (vq_extra){
			.elem = i % 2 ? VQ_I32 : VQ_S8, .index = VQ_X_STRIDED, .stride = { 1 }
		};
		d->epilogue.eop[0] = (vq_eop){ .op = VQ_OP_MUL, .extra = -2, .imm = i % 2 ? 0.97f : 1.5f };
		random_store(&d->epilogue);
		d->epilogue.store = check_random_u32() & 1 ? VQ_STORE_S8 : VQ_STORE_U8;
		d->epilogue.scaled = false;
		d->epilogue.bounded = true;
		d->epilogue.hi = i % 5 ? 127 : 90;
		d->epilogue.zero = i % 3 ? (int32_t)check_random_in(-200, 200)
			: i % 4          ? 0
					 : (int32_t)check_random_in(-40000, 40000);
		snprintf(what, sizeof what, "bounded store %u", i);
		run_elementwise(&k, true, what);
		if (i % 8 == 0)
			check_objects(&k);
	}
}

static void copies(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 60; i++) {
		vq_kernel k;
		vq_elementwise *d = &k.u.elementwise;
		char what[40];

		memset(&k, 0, sizeof k);
		k.kind = VQ_KERNEL_ELEMENTWISE;
		d->epilogue.store = VQ_STORE_RAW;
		d->epilogue.n_extras = 1;
		d->raw_bytes = 1u << check_random_u32() % 4;
		random_space(d);
		snprintf(what, sizeof what, "copy %u", i);
		run_elementwise(&k, i % 4 == 0, what);
		if (i % 8 == 0)
			check_objects(&k);
	}
}

static void elsewhere(void **state)
{
	(void)state;
	check_elsewhere("elementwise");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unary_functions),
		cmocka_unit_test(random_elementwise),
		cmocka_unit_test(every_tail),
		cmocka_unit_test(bounded_stores),
		cmocka_unit_test(copies),
		cmocka_unit_test(elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
