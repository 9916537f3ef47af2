/* SPDX-License-Identifier: MIT */
/*
 * Elementwise loops and copies. The iteration space is brought into a normal form first (no dimensions of one, the best one
 * innermost, neighbours merged); then nested loops, the innermost on four vectors in lockstep with a tail that reads no
 * element outside the operand.
 */
#include "backend/kernels/kernel.h"

#include <assert.h>
#include <string.h>

enum { OPERANDS = VQ_MAX_EXTRAS + 1 }; /* the result, then the extras */

typedef struct space {
	uint32_t rank, operands;
	int64_t dim[VQ_MAX_RANK];
	int64_t stride[OPERANDS][VQ_MAX_RANK]; /* elements; [0] is the result's */
} space;

typedef struct state {
	const vq_elementwise *d;
	const vq_kernel_args *a;
	space s;
	uint32_t lanes, vectors; /* of one step of the innermost loop */
	/* of the vectors being computed */
	vq_ll offset[OPERANDS]; /* elements, of the innermost loop's first element */
	vq_ll j;                /* index in the innermost dimension of the first vector */
	uint32_t width;         /* lanes of each vector */
} state;

static void copy_dim(space *to, uint32_t t, const space *from, uint32_t f)
{
	to->dim[t] = from->dim[f];
	for (uint32_t k = 0; k < from->operands; k++)
		to->stride[k][t] = from->stride[k][f];
}

/* whether all operands are contiguous or constant along dimension r, the result contiguous */
static bool flat(const space *s, uint32_t r)
{
	for (uint32_t k = 0; k < s->operands; k++)
		if (s->stride[k][r] != 1 && (k == 0 || s->stride[k][r] != 0))
			return false;
	return true;
}

static void put_innermost(space *s, uint32_t r)
{
	space old = *s;

	for (uint32_t i = r; i + 1 < s->rank; i++)
		copy_dim(s, i, &old, i + 1);
	copy_dim(s, s->rank - 1, &old, r);
}

static bool mergeable(const space *s, uint32_t r)
{
	for (uint32_t k = 0; k < s->operands; k++)
		if (s->stride[k][r] != s->dim[r + 1] * s->stride[k][r + 1])
			return false;
	return true;
}

static void normalize(space *s)
{
	space old = *s;

	s->rank = 0;
	for (uint32_t r = 0; r < old.rank; r++)
		if (old.dim[r] != 1)
			copy_dim(s, s->rank++, &old, r);
	if (s->rank == 0) { /* one element: a dimension of one with unit strides */
		s->dim[0] = 1;
		for (uint32_t k = 0; k < s->operands; k++)
			s->stride[k][0] = 1;
		s->rank = 1;
	}
	if (!flat(s, s->rank - 1)) {
		for (uint32_t r = s->rank - 1; r-- > 0;) {
			if (flat(s, r)) {
				put_innermost(s, r);
				break;
			}
		}
	}
	old = *s;
	s->rank = 1;
	for (uint32_t r = 1; r < old.rank; r++) {
		copy_dim(s, s->rank, &old, r);
		if (!mergeable(s, s->rank - 1)) {
			s->rank++;
			continue;
		}
		s->dim[s->rank - 1] *= s->dim[s->rank];
		for (uint32_t k = 0; k < s->operands; k++)
			s->stride[k][s->rank - 1] = s->stride[k][s->rank];
	}
}

/* elements from operand k's start to vector i */
static vq_ll offset_of(vq_codegen *c, const state *s, uint32_t k, uint32_t lane)
{
	int64_t stride = s->s.stride[k][s->s.rank - 1];
	vq_ll at = vq_add_word(c, s->offset[k], vq_mul_const(c, s->j, stride));

	return vq_add_word(c, at, vq_cword(c, lane * stride));
}

static vq_ll get(vq_codegen *c, void *user, uint32_t k, uint32_t i)
{
	const state *s = user;

	return vq_extra_load(c, &s->d->epilogue.extra[k], s->a->arg[1 + k], offset_of(c, s, k + 1, i * s->width),
		s->s.stride[k + 1][s->s.rank - 1], s->width);
}

/* operand k as a 64 bit number; f32, of a cast, is truncated */
static vq_ll integer_operand(vq_codegen *c, state *s, uint32_t k, uint32_t i)
{
	const vq_extra *x = &s->d->epilogue.extra[k];
	vq_elem e = x->elem;
	vq_ll at = offset_of(c, s, k + 1, i), v;

	if (e == VQ_F32 || x->codes)
		return vq_truncate_f32(c, vq_extra_load(c, x, s->a->arg[1 + k], at, 1, 1), s->d->to);
	v = vq_load_lanes(c, vq_elem_type(c, e), (uint32_t)vq_elem_bytes(e), s->a->arg[1 + k], at, 1, 1);

	if (e == VQ_I64)
		return v;
	return e == VQ_BOOL || e == VQ_U8 ? LLVMBuildZExt(c->b, v, c->i64, "") : LLVMBuildSExt(c->b, v, c->i64, "");
}

/* element i of this step by the integer operator, modulo the result's width */
static vq_ll integer_value(vq_codegen *c, state *s, uint32_t i)
{
	const vq_elementwise *d = s->d;
	vq_ll zero = LLVMConstNull(c->i64), x[3], truth = NULL, v = NULL;

	/* clang-format off */
	for (uint32_t k = 0; k < d->epilogue.n_extras; k++)
		x[k] = integer_operand(c, s, k, i);
	switch (d->integer) {
	case VQ_OP_NEG: v = LLVMBuildSub(c->b, zero, x[0], ""); break;
	case VQ_OP_ABS:
		truth = LLVMBuildICmp(c->b, LLVMIntSLT, x[0], zero, "");
		v = LLVMBuildSelect(c->b, truth, LLVMBuildSub(c->b, zero, x[0], ""), x[0], "");
		break;
	case VQ_OP_RELU: v = LLVMBuildSelect(c->b, LLVMBuildICmp(c->b, LLVMIntSGT, x[0], zero, ""), x[0], zero, ""); break;
	case VQ_OP_ADD: v = LLVMBuildAdd(c->b, x[0], x[1], ""); break;
	case VQ_OP_SUB: v = LLVMBuildSub(c->b, x[0], x[1], ""); break;
	case VQ_OP_MUL: v = LLVMBuildMul(c->b, x[0], x[1], ""); break;
	case VQ_OP_DIV:
	case VQ_OP_MOD:
	case VQ_OP_POW: v = vq_integer_binary(c, d->integer, x[0], x[1]); break;
	case VQ_OP_MIN: v = LLVMBuildSelect(c->b, LLVMBuildICmp(c->b, LLVMIntSLT, x[0], x[1], ""), x[0], x[1], ""); break;
	case VQ_OP_MAX: v = LLVMBuildSelect(c->b, LLVMBuildICmp(c->b, LLVMIntSGT, x[0], x[1], ""), x[0], x[1], ""); break;
	case VQ_OP_WHERE: v = LLVMBuildSelect(c->b, LLVMBuildICmp(c->b, LLVMIntNE, x[0], zero, ""), x[1], x[2], ""); break;
	case VQ_OP_CAST: v = d->to == VQ_BOOL ? NULL : x[0]; truth = LLVMBuildICmp(c->b, LLVMIntNE, x[0], zero, ""); break;
	case VQ_OP_EQUAL: truth = LLVMBuildICmp(c->b, LLVMIntEQ, x[0], x[1], ""); break;
	case VQ_OP_LESS: truth = LLVMBuildICmp(c->b, LLVMIntSLT, x[0], x[1], ""); break;
	case VQ_OP_NOT: truth = LLVMBuildICmp(c->b, LLVMIntEQ, x[0], zero, ""); break;
	case VQ_OP_AND:
	case VQ_OP_OR:
		x[0] = LLVMBuildICmp(c->b, LLVMIntNE, x[0], zero, "");
		x[1] = LLVMBuildICmp(c->b, LLVMIntNE, x[1], zero, "");
		truth = d->integer == VQ_OP_AND ? LLVMBuildAnd(c->b, x[0], x[1], "") : LLVMBuildOr(c->b, x[0], x[1], "");
		break;
	default: assert(0 && "the planner accepts no other"); break;
	}
	if (!v)
		return LLVMBuildZExt(c->b, truth, vq_elem_type(c, d->to), "");
	return d->to == VQ_I64 ? v : LLVMBuildTrunc(c->b, v, vq_elem_type(c, d->to), "");
	/* clang-format on */
}

/* n vectors of `width` lanes at index j of the innermost dimension */
static void body(vq_codegen *c, state *s, vq_ll j, uint32_t n, uint32_t width)
{
	const vq_elementwise *d = s->d;
	bool raw = d->epilogue.store == VQ_STORE_RAW;
	uint32_t last = s->s.rank - 1, lane = 0;
	uint32_t bytes = raw ? d->raw_bytes : vq_store_bytes(&d->epilogue);
	vq_ll v[VQ_MOST_VECTORS];

	s->j = j;
	s->width = width;
	for (uint32_t i = 0; i < n; i++) {
		if (d->integer)
			v[i] = integer_value(c, s, i);
		else if (raw)
			v[i] = vq_load_lanes(c, LLVMIntTypeInContext(c->context, 8 * bytes), bytes, s->a->arg[1],
				offset_of(c, s, 1, i * width), s->s.stride[1][last], width);
		else
			v[i] = get(c, s, 0, i);
	}
	if (!raw) {
		vq_epilogue_run(c, &d->epilogue, get, s, v, n);
		n = vq_epilogue_convert(c, &d->epilogue, v, n);
	}
	for (uint32_t i = 0; i < n; i++) {
		vq_store_lanes(c, v[i], bytes, s->a->arg[0], offset_of(c, s, 0, lane), s->s.stride[0][last]);
		lane += vq_lanes_of(v[i]);
	}
}

/* elements [from, from + count), fewer than a whole step */
static void tail(vq_codegen *c, state *s, int64_t from, uint32_t count)
{
	uint32_t whole = count / s->lanes;

	if (whole)
		body(c, s, vq_cword(c, from), whole, s->lanes);
	from += (int64_t)whole * s->lanes;
	for (uint32_t w = s->lanes / 2; w; w /= 2) {
		if (!(count & w))
			continue;
		body(c, s, vq_cword(c, from), 1, w);
		from += w;
	}
}

static void innermost(vq_codegen *c, state *s)
{
	int64_t n = s->s.dim[s->s.rank - 1], step = (int64_t)s->lanes * s->vectors, whole = n / step * step;
	vq_loop l;

	if (whole > step) {
		vq_loop_begin(c, &l, vq_cword(c, 0), vq_cword(c, whole), vq_cword(c, step), NULL, 0);
		body(c, s, l.i, s->vectors, s->lanes);
		vq_loop_end(c, &l);
	} else if (whole) {
		body(c, s, vq_cword(c, 0), s->vectors, s->lanes);
	}
	tail(c, s, whole, (uint32_t)(n - whole));
}

/* The only dimension, split among tasks in multiples of a step; one of them does the tail. */
static void innermost_split(vq_codegen *c, state *s)
{
	int64_t n = s->s.dim[0], step = (int64_t)s->lanes * s->vectors, whole = n / step * step;
	int64_t share = (n + s->d->tasks - 1) / s->d->tasks;
	vq_loop l;

	share = (share + step - 1) / step * step;
	if (whole) {
		vq_ll from = vq_mul_const(c, s->a->task, share);
		vq_ll to = vq_min_word(c, vq_add_word(c, from, vq_cword(c, share)), vq_cword(c, whole));

		vq_loop_begin_maybe(c, &l, from, to, vq_cword(c, step), NULL, 0);
		body(c, s, l.i, s->vectors, s->lanes);
		vq_loop_end(c, &l);
	}
	if (n > whole) {
		LLVMBasicBlockRef yes = LLVMAppendBasicBlockInContext(c->context, c->function, "");
		LLVMBasicBlockRef after = LLVMAppendBasicBlockInContext(c->context, c->function, "");
		vq_ll mine = LLVMBuildICmp(c->b, LLVMIntEQ, s->a->task, vq_cword(c, whole / share), "");

		LLVMBuildCondBr(c->b, mine, yes, after);
		LLVMPositionBuilderAtEnd(c->b, yes);
		tail(c, s, whole, (uint32_t)(n - whole));
		LLVMBuildBr(c->b, after);
		LLVMPositionBuilderAtEnd(c->b, after);
	}
}

static void nest(vq_codegen *c, state *s, uint32_t r)
{
	vq_ll from = vq_cword(c, 0), to = vq_cword(c, s->s.dim[r]), outer[OPERANDS];
	uint32_t tasks = r == 0 ? s->d->tasks : 1;
	vq_loop l;

	if (r + 1 == s->s.rank) {
		innermost(c, s);
		return;
	}
	if (tasks > 1) {
		int64_t each = s->s.dim[0] / tasks, more = s->s.dim[0] % tasks;
		vq_ll got = vq_min_word(c, s->a->task, vq_cword(c, more));
		vq_ll one = LLVMBuildICmp(c->b, LLVMIntULT, s->a->task, vq_cword(c, more), "");

		from = vq_add_word(c, vq_mul_const(c, s->a->task, each), got);
		one = LLVMBuildZExt(c->b, one, c->word, "");
		to = vq_add_word(c, vq_add_word(c, from, vq_cword(c, each)), one);
		vq_loop_begin_maybe(c, &l, from, to, vq_cword(c, 1), NULL, 0);
	} else {
		vq_loop_begin(c, &l, from, to, vq_cword(c, 1), NULL, 0);
	}
	memcpy(outer, s->offset, sizeof outer);
	for (uint32_t k = 0; k < s->s.operands; k++)
		s->offset[k] = vq_add_word(c, s->offset[k], vq_mul_const(c, l.i, s->s.stride[k][r]));
	nest(c, s, r + 1);
	memcpy(s->offset, outer, sizeof outer);
	vq_loop_end(c, &l);
}

void vq_build_elementwise(vq_codegen *c, const vq_elementwise *d, vq_kernel_args *a)
{
	bool raw = d->epilogue.store == VQ_STORE_RAW;
	state s = { .d = d, .a = a };
	uint32_t last;

	assert(d->rank <= VQ_MAX_RANK && d->epilogue.n_extras >= 1 &&
		(!raw || d->integer || d->epilogue.n_extras == 1));
	s.s.rank = d->rank;
	s.s.operands = 1 + d->epilogue.n_extras;
	memcpy(s.s.dim, d->dim, sizeof d->dim);
	memcpy(s.s.stride[0], d->out_stride, sizeof d->out_stride);
	for (uint32_t k = 0; k < d->epilogue.n_extras; k++)
		memcpy(s.s.stride[k + 1], d->epilogue.extra[k].stride, sizeof s.s.stride[0]);
	normalize(&s.s);
	for (uint32_t k = 0; k < s.s.operands; k++)
		s.offset[k] = vq_cword(c, 0);
	last = s.s.rank - 1;
	s.vectors = 4;
	s.lanes = raw ? c->lanes * 4 / d->raw_bytes : c->lanes;
	if (d->integer ||
		!flat(&s.s, last)) { /* lane by lane in memory: copies gain nothing from vectors, arithmetic does */
		s.lanes = raw ? 1 : c->lanes;
		s.vectors = raw ? 4 : 1;
	}
	if (s.s.rank == 1 && d->tasks > 1)
		innermost_split(c, &s);
	else
		nest(c, &s, 0);
}
