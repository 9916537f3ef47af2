/* SPDX-License-Identifier: MIT */
/*
 * Reductions. A sum runs in 16 fixed lanes by the element's row-major index among the reduced ones, then the fixed tree. Reduced
 * elements that are contiguous fill the lanes from vectors; otherwise the lanes are in memory and vectors run along the results.
 */
#include "backend/kernels/kernel.h"
#include "ir/contract.h"

#include <assert.h>
#include <math.h>
#include <string.h>

typedef struct axes {
	uint32_t rank;
	int64_t dim[VQ_MAX_RANK], stride[VQ_MAX_RANK];
} axes;

typedef struct state {
	const vq_reduce *d;
	vq_ll x, y; /* whole arrays */
	axes outer, inner;
	int64_t n;    /* reduced elements per result */
	vq_ll memory; /* accumulators */
	vq_ll base;   /* element of x the current result starts at */
} state;

static bool sums(const vq_reduce *d) { return d->op == VQ_OP_REDUCE_SUM || d->op == VQ_OP_REDUCE_MEAN; }

static float initial(vq_op op)
{
	switch (op) {
	case VQ_OP_REDUCE_MAX: return -INFINITY;
	case VQ_OP_REDUCE_MIN: return INFINITY;
	case VQ_OP_REDUCE_PROD: return 1.0f;
	default: return 0.0f;
	}
}

static vq_ll combine(vq_codegen *c, vq_op op, vq_ll acc, vq_ll v)
{
	switch (op) {
	case VQ_OP_REDUCE_MAX: return vq_select(c, LLVMRealOGT, v, acc, v, acc);
	case VQ_OP_REDUCE_MIN: return vq_select(c, LLVMRealOLT, v, acc, v, acc);
	case VQ_OP_REDUCE_PROD: return vq_flush(c, vq_fmul(c, acc, v));
	default: return vq_fadd(c, acc, v);
	}
}

/* drops dimensions of one and merges neighbours; the results are contiguous, so only x's strides count */
static void squeeze(axes *a, uint32_t rank, const int64_t *dim, const int64_t *stride)
{
	a->rank = 0;
	for (uint32_t i = 0; i < rank; i++) {
		if (dim[i] == 1)
			continue;
		if (a->rank && a->stride[a->rank - 1] == dim[i] * stride[i]) {
			a->dim[a->rank - 1] *= dim[i];
			a->stride[a->rank - 1] = stride[i];
			continue;
		}
		a->dim[a->rank] = dim[i];
		a->stride[a->rank++] = stride[i];
	}
}

static void store(vq_codegen *c, const state *s, vq_ll v, vq_ll result)
{
	const vq_reduce *d = s->d;
	vq_ll to = vq_offset(c, s->y, vq_mul_const(c, result, vq_store_bytes(&d->epilogue)));

	if (d->op == VQ_OP_REDUCE_MEAN)
		v = vq_fmul(c, v, vq_splat_f32(c, vq_c_inverse((double)s->n), vq_lanes_of(v)));
	vq_epilogue_store(c, &d->epilogue, &v, 1, vq_lanes_of(v), to);
}

/* ---- contiguous ---- */

static void pieces(vq_codegen *c, void *user, vq_ll j, uint32_t n, uint32_t count, vq_ll *acc)
{
	const state *s = user;
	vq_ll rest = vq_splat_f32(c, initial(s->d->op), 16);

	for (uint32_t p = 0; p < n; p++) {
		vq_ll at = vq_add_word(c, vq_add_word(c, s->base, j), vq_cword(c, 16 * (int64_t)p));
		vq_ll v = vq_extra_load16(c, &s->d->epilogue.extra[0], s->x, at, count);

		acc[0] = combine(c, s->d->op, acc[0], vq_first_lanes(c, v, count, rest));
	}
}

static void contiguous(vq_codegen *c, state *s, vq_ll result)
{
	vq_ll acc = vq_splat_f32(c, initial(s->d->op), 16);

	vq_walk16(c, (uint32_t)s->n, 4, pieces, s, &acc, 1);
	acc = sums(s->d) ? vq_tree16(c, acc) : vq_fold16(c, acc, s->d->op == VQ_OP_REDUCE_MAX);
	store(c, s, acc, result);
}

/* ---- strided ---- */

static vq_ll lane_at(vq_codegen *c, const state *s, vq_ll lane, uint32_t width)
{
	return vq_offset(c, s->memory, vq_mul_const(c, lane, 4 * (int64_t)width));
}

/* loops over the reduced dimensions; linear: row-major index of the element, at: its element of x */
static void accumulate(vq_codegen *c, state *s, uint32_t r, vq_ll linear, vq_ll at, uint32_t width)
{
	vq_loop l;

	if (r == s->inner.rank) {
		LLVMTypeRef t = vq_vec(c->f32, width);
		vq_ll lane = sums(s->d) ? LLVMBuildAnd(c->b, linear, vq_cword(c, 15), "") : vq_cword(c, 0);
		vq_ll p = lane_at(c, s, lane, width);
		vq_ll v = vq_extra_load(c, &s->d->epilogue.extra[0], s->x, at, 1, width);

		vq_store_to(c, combine(c, s->d->op, vq_load(c, t, p, 4), v), p, 4);
		return;
	}
	vq_loop_begin(c, &l, vq_cword(c, 0), vq_cword(c, s->inner.dim[r]), vq_cword(c, 1), NULL, 0);
	linear = vq_add_word(c, vq_mul_const(c, linear, s->inner.dim[r]), l.i);
	at = vq_add_word(c, at, vq_mul_const(c, l.i, s->inner.stride[r]));
	accumulate(c, s, r + 1, linear, at, width);
	vq_loop_end(c, &l);
}

/* `width` neighbouring results */
static void strided(vq_codegen *c, state *s, vq_ll base, vq_ll result, uint32_t width)
{
	uint32_t lanes = sums(s->d) ? 16 : 1;
	LLVMTypeRef t = vq_vec(c->f32, width);
	vq_ll acc[16];

	for (uint32_t i = 0; i < lanes; i++)
		vq_store_to(c, vq_splat_f32(c, initial(s->d->op), width), lane_at(c, s, vq_cword(c, i), width), 4);
	accumulate(c, s, 0, vq_cword(c, 0), base, width);
	for (uint32_t i = 0; i < lanes; i++)
		acc[i] = vq_load(c, t, lane_at(c, s, vq_cword(c, i), width), 4);
	for (uint32_t w = lanes / 2; w; w /= 2)
		for (uint32_t i = 0; i < w; i++)
			acc[i] = vq_fadd(c, acc[i], acc[i + w]);
	store(c, s, acc[0], result);
}

/* results along the last kept dimension, whose elements are neighbours in x */
static void along(vq_codegen *c, state *s, vq_ll base, vq_ll result, int64_t n)
{
	uint32_t width = 4 * c->lanes;
	int64_t whole = n / width * width;
	vq_ll at;
	vq_loop l;

	if (whole) {
		vq_loop_begin(c, &l, vq_cword(c, 0), vq_cword(c, whole), vq_cword(c, width), NULL, 0);
		at = vq_add_word(c, result, l.i);
		strided(c, s, vq_add_word(c, base, l.i), at, width);
		vq_loop_end(c, &l);
	}
	for (uint32_t w = width / 2; w; w /= 2) {
		if (!((n - whole) & w))
			continue;
		at = vq_add_word(c, result, vq_cword(c, whole));
		strided(c, s, vq_add_word(c, base, vq_cword(c, whole)), at, w);
		whole += w;
	}
}

static void results(vq_codegen *c, state *s, uint32_t r, vq_ll base, vq_ll result, bool lanes_from_memory)
{
	bool last = r + 1 == s->outer.rank;
	vq_loop l;

	if (lanes_from_memory && last && s->outer.stride[r] == 1) {
		along(c, s, base, vq_mul_const(c, result, s->outer.dim[r]), s->outer.dim[r]);
		return;
	}
	if (r == s->outer.rank) {
		s->base = base;
		if (lanes_from_memory)
			strided(c, s, base, result, 1);
		else
			contiguous(c, s, result);
		return;
	}
	vq_loop_begin(c, &l, vq_cword(c, 0), vq_cword(c, s->outer.dim[r]), vq_cword(c, 1), NULL, 0);
	result = vq_add_word(c, vq_mul_const(c, result, s->outer.dim[r]), l.i);
	base = vq_add_word(c, base, vq_mul_const(c, l.i, s->outer.stride[r]));
	results(c, s, r + 1, base, result, lanes_from_memory);
	vq_loop_end(c, &l);
}

void vq_build_reduce(vq_codegen *c, const vq_reduce *d, vq_kernel_args *a)
{
	state s = { .d = d, .x = a->arg[1], .y = a->arg[0], .n = 1 };
	bool flat;

	assert(!d->epilogue.n_eops && d->epilogue.n_extras == 1);
	squeeze(&s.outer, d->outer_rank, d->dim, d->stride);
	squeeze(&s.inner, d->inner_rank, d->dim + d->outer_rank, d->stride + d->outer_rank);
	for (uint32_t i = 0; i < s.inner.rank; i++)
		s.n *= s.inner.dim[i];
	flat = d->op != VQ_OP_REDUCE_PROD && (s.n == 1 || (s.inner.rank == 1 && s.inner.stride[0] == 1));
	if (!flat) { /* in the entry block, so that it is part of the frame */
		s.memory = LLVMBuildAlloca(c->b, LLVMArrayType2(c->f32, 16ull * 4 * c->lanes), "");
		LLVMSetAlignment(s.memory, 16);
	}
	results(c, &s, 0, vq_cword(c, 0), vq_cword(c, 0), !flat);
}
