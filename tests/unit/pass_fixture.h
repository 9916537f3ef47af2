/* SPDX-License-Identifier: MIT */
/*
 * What the tests of passes share: building graphs, counting operators, and comparing what a graph
 * computes before and after.
 */
#ifndef VQ_TESTS_PASS_FIXTURE_H
#define VQ_TESTS_PASS_FIXTURE_H

#include "ir/build.h"
#include "ir/eval.h"
#include "ir/text.h"
#include "passes/pass.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

typedef struct fixture {
	vq_arena arena;
	vq_diag diag;
	vq_graph g;
	vq_graph before; /* copy made by run() */
	uint32_t seed;   /* of noise() */
} fixture;

static inline int setup(void **state)
{
	fixture *f = vq_alloc(sizeof *f);

	vq_diag_init(&f->diag, &f->arena, "test");
	vq_graph_init(&f->g, &f->arena, &f->diag, "test");
	f->seed = 1;
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	fixture *f = *state;

	vq_arena_free(&f->arena);
	vq_free(f);
	return 0;
}

static inline uint32_t noise(fixture *f)
{
	f->seed = f->seed * 1664525u + 1013904223u;
	return f->seed >> 8;
}

/* in (-1, 1), never 0 */
static inline float noise_f32(fixture *f) { return ((float)(noise(f) % 20000) - 9999.5f) / 10000; }

/* DIMS(2, 3): rank and dimensions, for shape() and others */
#define DIMS(...) \
	(uint32_t)(sizeof(int64_t[]){ __VA_ARGS__ } / sizeof(int64_t)), (int64_t[]) { __VA_ARGS__ }

static inline vq_value input(fixture *f, const char *name, uint32_t rank, const int64_t *dim)
{
	vq_type t = vq_type_make(VQ_F32, rank, dim);

	return vq_add_input(&f->g, name, &t);
}

/* a constant of noise */
static inline vq_value constant(fixture *f, uint32_t rank, const int64_t *dim)
{
	vq_type t = vq_type_make(VQ_F32, rank, dim);
	int64_t n = vq_type_count(&t);
	float *data = VQ_ARRAY(&f->arena, (size_t)n, float);

	for (int64_t i = 0; i < n; i++)
		data[i] = noise_f32(f);
	return vq_add_const(&f->g, &t, data, NULL);
}

static inline vq_value scalar(fixture *f, float v) { return vq_const_f32(&f->g, v); }

static inline vq_value op1(fixture *f, vq_op op, vq_value a) { return vq_build1(&f->g, "test", op, a); }

static inline vq_value op2(fixture *f, vq_op op, vq_value a, vq_value b) { return vq_build2(&f->g, "test", op, a, b); }

static inline vq_value mean_last(fixture *f, vq_value x)
{
	uint32_t rank = vq_type_of(&f->g, x)->rank;

	return vq_build(&f->g, "test", VQ_OP_REDUCE_MEAN, &x, 1,
		&(vq_attr){ .reduce = { .axes = 1u << (rank - 1), .keepdims = true } });
}

static inline vq_value reshape(fixture *f, vq_value x, uint32_t rank, const int64_t *dim)
{
	return vq_build_reshape(&f->g, "test", x, rank, dim);
}

#define TRANSPOSE(f, x, ...) vq_build_transpose(&(f)->g, "test", x, (int64_t[]){ __VA_ARGS__ })

static inline vq_value matmul(fixture *f, vq_value a, vq_value b)
{
	return vq_build(&f->g, "test", VQ_OP_MATMUL, (vq_value[]){ a, b }, 2, NULL);
}

static inline void output(fixture *f, vq_value v)
{
	assert_int_not_equal(v.id, 0);
	vq_add_output(&f->g, "y", v);
}

static inline uint32_t count_op(const vq_graph *g, vq_op op)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i < g->n_nodes; i++)
		n += g->node[i].op == op;
	return n;
}

/* Runs the pass on the graph as built, keeping a copy in f->before; the result must verify. */
static inline void run(fixture *f, bool (*pass)(vq_pass *p))
{
	static const vq_settings none;
	vq_pass p = { .g = &f->g, .set = &none };

	vq_graph_sweep(&f->g);
	vq_graph_copy(&f->before, &f->g, &f->arena, &f->diag);
	if (!pass(&p) || f->diag.errors)
		fail_msg("%s", f->diag.n ? vq_message_text(&f->diag, &f->diag.item[0]) : "the pass failed");
	assert_true(vq_verify(&f->g, "pass"));
}

/* first output of g on the given inputs */
static inline float *evaluate(fixture *f, const vq_graph *g, const void *const *in)
{
	void **out = VQ_ARRAY(&f->arena, g->n_outputs, void *);
	vq_exec *e = vq_evaluator.prepare(&vq_evaluator, g, NULL, 0);

	assert_non_null(e);
	for (uint32_t i = 0; i < g->n_outputs; i++)
		out[i] = vq_arena_alloc(&f->arena, vq_type_bytes(vq_type_of(g, g->output[i].value)));
	assert_true(vq_evaluator.run(e, in, out, NULL, NULL));
	vq_evaluator.dispose(e);
	return out[0];
}

/*
 * The graph must still compute what it did before run(), within tolerance of the largest result; 0:
 * the same bits.
 */
static inline void same_results(fixture *f, double tolerance)
{
	const void **in = VQ_ARRAY(&f->arena, f->g.n_inputs, const void *);
	const vq_type *t = vq_type_of(&f->g, f->g.output[0].value);
	float *was, *is;
	double most = 0;

	assert_true(vq_same_shape(t, vq_type_of(&f->before, f->before.output[0].value)));
	for (uint32_t i = 0; i < f->g.n_inputs; i++) {
		int64_t n = vq_type_count(vq_type_of(&f->g, f->g.input[i].value));
		float *x = VQ_ARRAY(&f->arena, (size_t)n, float);

		for (int64_t k = 0; k < n; k++)
			x[k] = 2 * noise_f32(f);
		in[i] = x;
	}
	was = evaluate(f, &f->before, in);
	is = evaluate(f, &f->g, in);
	for (int64_t i = 0; i < vq_type_count(t); i++)
		most = fmax(most, fabs((double)was[i]));
	for (int64_t i = 0; i < vq_type_count(t); i++)
		if (fabs((double)was[i] - (double)is[i]) > tolerance * most)
			fail_msg("element %lld: got %.9g, expected %.9g", (long long)i, (double)is[i], (double)was[i]);
}

#endif
