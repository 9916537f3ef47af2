/* SPDX-License-Identifier: MIT */
/* fuse_layernorm: every form of the decomposition, and what must not be taken for one. */
#include "pass_fixture.h"

/* which way it is written */
typedef struct form {
	bool power;    /* pow(d, 2) instead of mul(d, d) */
	bool recip;    /* times 1/sqrt instead of division */
	bool commuted; /* operands of commutative operators the other way round */
	bool affine;   /* gamma and beta */
	bool leading;  /* gamma and beta of shape [1, 1, C] */
} form;

static vq_value either(fixture *f, const form *w, vq_op op, vq_value a, vq_value b)
{
	return w->commuted ? op2(f, op, b, a) : op2(f, op, a, b);
}

static vq_value layernorm(fixture *f, vq_value x, const form *w, vq_value eps)
{
	int64_t c = vq_type_of(&f->g, x)->dim[vq_type_of(&f->g, x)->rank - 1];
	vq_value d = op2(f, VQ_OP_SUB, x, mean_last(f, x)), s, v;

	v = w->power ? op2(f, VQ_OP_POW, d, scalar(f, 2)) : op2(f, VQ_OP_MUL, d, d);
	s = op1(f, VQ_OP_SQRT, either(f, w, VQ_OP_ADD, mean_last(f, v), eps));
	v = w->recip ? either(f, w, VQ_OP_MUL, d, op1(f, VQ_OP_RECIP, s)) : op2(f, VQ_OP_DIV, d, s);
	if (!w->affine)
		return v;
	v = either(f, w, VQ_OP_MUL, v, w->leading ? constant(f, DIMS(1, 1, c)) : constant(f, DIMS(c)));
	return either(f, w, VQ_OP_ADD, v, w->leading ? constant(f, DIMS(1, 1, c)) : constant(f, DIMS(c)));
}

static void every_form_is_one_node(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 32; bits++) {
		form w = { bits & 1, bits & 2, bits & 4, bits & 8, bits & 16 };
		fixture one = { .seed = bits };
		fixture *f = &one;

		vq_diag_init(&f->diag, &f->arena, "test");
		vq_graph_init(&f->g, &f->arena, &f->diag, "test");
		output(f, layernorm(f, input(f, "x", DIMS(2, 3, 20)), &w, scalar(f, 1e-6f)));
		run(f, vq_pass_fuse_layernorm);
		assert_int_equal(f->g.n_nodes, 2);
		assert_int_equal(f->g.node[1].op, VQ_OP_LAYERNORM);
		assert_true(f->g.node[1].attr.norm.epsilon == 1e-6f);
		same_results(f, 1e-5);
		vq_arena_free(&f->arena);
	}
}

static void gamma_and_beta_keep_their_bits(void **state)
{
	fixture *f = *state;
	form w = { .affine = true };
	const vq_node_info *n;

	output(f, layernorm(f, input(f, "x", DIMS(2, 3, 20)), &w, scalar(f, 1e-5f)));
	run(f, vq_pass_fuse_layernorm);
	n = &f->g.node[1];
	for (uint32_t i = 1; i < f->before.n_nodes; i++) {
		const vq_node_info *b = &f->before.node[i];

		if (b->op == VQ_OP_MUL && vq_is_const(&f->before, b->in[1]))
			assert_memory_equal(f->g.value[n->in[1].id].data, f->before.value[b->in[1].id].data, 80);
	}
	assert_memory_equal(
		f->g.value[n->in[2].id].data, f->before.value[f->before.node[f->before.n_nodes - 1].in[1].id].data, 80);
}

static void left_alone(fixture *f)
{
	run(f, vq_pass_fuse_layernorm);
	assert_int_equal(count_op(&f->g, VQ_OP_LAYERNORM), 0);
	same_results(f, 0);
}

static void a_centred_value_used_elsewhere_stays(void **state)
{
	fixture *f = *state;
	vq_value x = input(f, "x", DIMS(2, 3, 20)), d, v;

	d = op2(f, VQ_OP_SUB, x, mean_last(f, x));
	v = op1(f, VQ_OP_SQRT, op2(f, VQ_OP_ADD, mean_last(f, op2(f, VQ_OP_MUL, d, d)), scalar(f, 1e-5f)));
	output(f, op2(f, VQ_OP_ADD, op2(f, VQ_OP_DIV, d, v), d));
	left_alone(f);
}

static void a_variance_over_another_axis_stays(void **state)
{
	fixture *f = *state;
	vq_value x = input(f, "x", DIMS(2, 20, 20)), d, v;

	d = op2(f, VQ_OP_SUB, x, mean_last(f, x));
	v = op2(f, VQ_OP_MUL, d, d);
	v = vq_build(&f->g, NULL, VQ_OP_REDUCE_MEAN, &v, 1, &(vq_attr){ .reduce = { .axes = 2, .keepdims = true } });
	v = op1(f, VQ_OP_SQRT, op2(f, VQ_OP_ADD, v, scalar(f, 1e-5f)));
	output(f, op2(f, VQ_OP_DIV, d, v));
	left_alone(f);
}

static void an_epsilon_per_channel_stays(void **state)
{
	fixture *f = *state;
	vq_value x = input(f, "x", DIMS(2, 3, 20)), d, v;

	d = op2(f, VQ_OP_SUB, x, mean_last(f, x));
	v = mean_last(f, op2(f, VQ_OP_MUL, d, d));
	v = op1(f, VQ_OP_SQRT, op1(f, VQ_OP_ABS, op2(f, VQ_OP_ADD, v, constant(f, DIMS(20)))));
	output(f, op2(f, VQ_OP_DIV, d, v));
	left_alone(f);
}

static void the_mean_of_something_else_stays(void **state)
{
	fixture *f = *state;
	vq_value x = input(f, "x", DIMS(2, 3, 20)), d, v;

	d = op2(f, VQ_OP_SUB, x, mean_last(f, op1(f, VQ_OP_TANH, x)));
	v = op1(f, VQ_OP_SQRT, op2(f, VQ_OP_ADD, mean_last(f, op2(f, VQ_OP_MUL, d, d)), scalar(f, 1e-5f)));
	output(f, op2(f, VQ_OP_DIV, d, v));
	left_alone(f);
}

static void a_factor_per_token_is_no_gamma(void **state)
{
	fixture *f = *state;
	form w = { 0 };
	vq_value v = layernorm(f, input(f, "x", DIMS(2, 20, 20)), &w, scalar(f, 1e-5f));

	output(f, op2(f, VQ_OP_MUL, v, constant(f, DIMS(20, 1))));
	run(f, vq_pass_fuse_layernorm);
	assert_int_equal(count_op(&f->g, VQ_OP_LAYERNORM), 1);
	assert_int_equal(count_op(&f->g, VQ_OP_MUL), 1);
	same_results(f, 1e-5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(every_form_is_one_node),
		TEST(gamma_and_beta_keep_their_bits),
		TEST(a_centred_value_used_elsewhere_stays),
		TEST(a_variance_over_another_axis_stays),
		TEST(an_epsilon_per_channel_stays),
		TEST(the_mean_of_something_else_stays),
		TEST(a_factor_per_token_is_no_gamma),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
