/* SPDX-License-Identifier: MIT */
/* Adding, replacing, sweeping, copying. */
#include "ir/text.h"
#include "random_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct fixture {
	vq_arena arena;
	vq_diag diag;
	vq_graph g;
	vq_value x;
} fixture;

static int setup(void **state)
{
	fixture *f = vq_alloc(sizeof *f);
	vq_type t = vq_type_make(VQ_F32, 1, (int64_t[]){ 4 });

	vq_diag_init(&f->diag, &f->arena, NULL);
	vq_graph_init(&f->g, &f->arena, &f->diag, "f");
	f->x = vq_add_input(&f->g, "x", &t);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	fixture *f = *state;

	vq_arena_free(&f->arena);
	vq_free(f);
	return 0;
}

static char *print(const vq_graph *g)
{
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	assert_true(vq_print_graph(g, out, NULL, NULL));
	fclose(out);
	return text;
}

static void prints(fixture *f, const char *want)
{
	char *got = print(&f->g);

	assert_string_equal(got, want);
	free(got);
}

static void sweep_drops_what_nothing_needs(void **state)
{
	fixture *f = *state;
	vq_value c = vq_const_f32(&f->g, 2.0f), dead = vq_const_f32(&f->g, 3.0f), a, b;

	vq_quant_per_tensor(&f->g, 1.0f, 0, -128, 127);
	a = vq_build2(&f->g, NULL, VQ_OP_ADD, f->x, c);
	vq_build2(&f->g, NULL, VQ_OP_ADD, a, dead);
	b = vq_build1(&f->g, NULL, VQ_OP_RELU, a);
	vq_add_input(&f->g, "unused", vq_type_of(&f->g, f->x));
	vq_add_output(&f->g, "b", b);
	vq_graph_sweep(&f->g);
	assert_int_equal(f->g.n_nodes, 3);
	assert_int_equal(f->g.n_quants, 1);
	assert_int_equal(f->g.n_inputs, 2);
	prints(f,
		"graph f(x: f32[4], unused: f32[4]) {\n"
		"  const @0 : f32[] = inline [0x1p+1]\n"
		"  %1 = add %x, @0 : f32[4]\n"
		"  %2 = relu %1 : f32[4]\n"
		"  return %2 as \"b\"\n}\n");
}

/* the order of nodes is that of the graph, not of their making */
static void sweep_orders_by_need(void **state)
{
	fixture *f = *state;
	vq_value late, early, sum;

	early = vq_build1(&f->g, NULL, VQ_OP_EXP, f->x);
	late = vq_build1(&f->g, NULL, VQ_OP_TANH, f->x);
	sum = vq_build2(&f->g, NULL, VQ_OP_SUB, late, early);
	vq_add_output(&f->g, "y", sum);
	vq_add_output(&f->g, "x", f->x);
	vq_graph_sweep(&f->g);
	prints(f,
		"graph f(x: f32[4]) {\n"
		"  %1 = tanh %x : f32[4]\n"
		"  %2 = exp %x : f32[4]\n"
		"  %3 = sub %1, %2 : f32[4]\n"
		"  return %3 as \"y\", %x as \"x\"\n}\n");
}

static void replace_changes_every_use(void **state)
{
	fixture *f = *state;
	vq_value a = vq_build1(&f->g, NULL, VQ_OP_EXP, f->x), b = vq_build2(&f->g, NULL, VQ_OP_ADD, a, a);
	uint32_t *uses;

	vq_add_output(&f->g, "a", a);
	vq_add_output(&f->g, "b", b);
	uses = vq_use_counts(&f->g, &f->arena);
	assert_int_equal(uses[a.id], 3);
	assert_int_equal(uses[b.id], 1);
	vq_replace(&f->g, a, f->x);
	vq_graph_sweep(&f->g);
	prints(f,
		"graph f(x: f32[4]) {\n"
		"  %1 = add %x, %x : f32[4]\n"
		"  return %x as \"a\", %1 as \"b\"\n}\n");
}

/* a node made late may become an operand of an early one; sweeping restores the order */
static void sweep_after_replacing_by_a_later_node(void **state)
{
	fixture *f = *state;
	vq_value a = vq_build1(&f->g, NULL, VQ_OP_EXP, f->x), b = vq_build1(&f->g, NULL, VQ_OP_NEG, a);
	vq_value c = vq_build1(&f->g, NULL, VQ_OP_ABS, f->x);

	vq_add_output(&f->g, "b", b);
	vq_replace(&f->g, a, c);
	assert_false(vq_verify(&f->g, "replacing"));
	f->diag.errors = 0;
	vq_graph_sweep(&f->g);
	assert_true(vq_verify(&f->g, "sweeping"));
	assert_int_equal(f->g.n_nodes, 3);
}

static void deep_graphs_need_no_stack(void **state)
{
	fixture *f = *state;
	vq_value v = f->x;

	for (int i = 0; i < 200000; i++)
		v = vq_build1(&f->g, NULL, VQ_OP_NEG, v);
	vq_add_output(&f->g, "y", v);
	vq_graph_sweep(&f->g);
	assert_int_equal(f->g.n_nodes, 200001);
}

static void entries_are_shared(void **state)
{
	fixture *f = *state;
	uint32_t a = vq_quant_per_tensor(&f->g, 0.5f, 3, -128, 127), b = vq_quant_per_tensor(&f->g, 0.5f, 3, -128, 127);
	uint32_t c = vq_quant_per_tensor(&f->g, 0.5f, 3, -127, 127),
		 d = vq_quant_per_tensor(&f->g, 0.25f, 3, -128, 127);

	assert_int_equal(a, b);
	assert_int_not_equal(a, c);
	assert_int_not_equal(a, d);
	assert_int_equal(vq_quant_find(&f->g, &f->g.quant[d]), d);
}

/* a copy prints the same and changing it leaves the original alone; sweeping twice is sweeping once */
static void copies_of_random_graphs(void **state)
{
	random_graph r = { .seed = 3 };

	(void)state;
	for (int round = 0; round < 60; round++) {
		vq_arena arena = { 0 }, other = { 0 };
		vq_diag diag;
		vq_graph g, copy;
		char *before, *after;

		vq_diag_init(&diag, &arena, NULL);
		vq_graph_init(&g, &arena, &diag, "random");
		make_random_graph(&r, &g, 20);
		before = print(&g);
		vq_graph_copy(&copy, &g, &other, &diag);
		after = print(&copy);
		assert_string_equal(before, after);
		free(after);
		copy.node[1].in[0] = copy.input[0].value;
		copy.n_outputs = 1;
		vq_graph_sweep(&copy);
		vq_arena_free(&other);
		vq_graph_sweep(&g);
		after = print(&g);
		assert_string_equal(before, after);
		free(after);
		free(before);
		vq_arena_free(&arena);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(sweep_drops_what_nothing_needs),
		T(sweep_orders_by_need),
		T(replace_changes_every_use),
		T(sweep_after_replacing_by_a_later_node),
		T(deep_graphs_need_no_stack),
		T(entries_are_shared),
		T(copies_of_random_graphs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
