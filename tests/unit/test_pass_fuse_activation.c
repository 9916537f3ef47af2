/* SPDX-License-Identifier: MIT */
/* fuse_activation: the associations exporters use, and near misses. */
#include "pass_fixture.h"

static vq_value mul(fixture *f, vq_value a, vq_value b) { return op2(f, VQ_OP_MUL, a, b); }
static vq_value add(fixture *f, vq_value a, vq_value b) { return op2(f, VQ_OP_ADD, a, b); }
static vq_value divide(fixture *f, vq_value a, vq_value b) { return op2(f, VQ_OP_DIV, a, b); }
static vq_value k(fixture *f, double v) { return scalar(f, (float)v); }
static vq_value x_of(fixture *f) { return op1(f, VQ_OP_ABS, input(f, "x", DIMS(3, 40))); }

static void becomes(fixture *f, vq_value y, vq_op op)
{
	output(f, y);
	run(f, vq_pass_fuse_activation);
	assert_int_equal(f->g.n_nodes, 3);
	assert_int_equal(f->g.node[2].op, op);
	same_results(f, 1e-5);
}

static void stays(fixture *f, vq_value y)
{
	output(f, y);
	run(f, vq_pass_fuse_activation);
	for (uint32_t i = 1; i < f->g.n_nodes; i++)
		assert_false(f->g.node[i].op >= VQ_OP_GELU && f->g.node[i].op <= VQ_OP_SILU);
	same_results(f, 1e-6);
}

static vq_value one_plus_erf(fixture *f, vq_value x)
{
	return add(f, op1(f, VQ_OP_ERF, divide(f, x, k(f, 1.4142135))), k(f, 1));
}

static void gelu_half_last(void **state)
{
	fixture *f = *state;
	vq_value x = x_of(f);

	becomes(f, mul(f, mul(f, x, one_plus_erf(f, x)), k(f, 0.5)), VQ_OP_GELU);
}

static void gelu_half_first(void **state)
{
	fixture *f = *state;
	vq_value x = x_of(f);

	becomes(f, mul(f, mul(f, x, k(f, 0.5)), one_plus_erf(f, x)), VQ_OP_GELU);
}

static void gelu_half_in_the_middle(void **state)
{
	fixture *f = *state;
	vq_value x = x_of(f), e = op1(f, VQ_OP_ERF, mul(f, k(f, 0.70710677), x));

	becomes(f, mul(f, x, mul(f, k(f, 0.5), add(f, k(f, 1), e))), VQ_OP_GELU);
}

static void gelu_multiplied_out(void **state)
{
	fixture *f = *state;
	vq_value x = x_of(f), e = op1(f, VQ_OP_ERF, mul(f, k(f, 0.70710677), x)), half = mul(f, x, k(f, 0.5));

	becomes(f, add(f, half, mul(f, half, e)), VQ_OP_GELU);
}

static void gelu_of_a_product(void **state)
{
	fixture *f = *state;
	vq_value x = mul(f, x_of(f), k(f, 3));

	output(f, mul(f, mul(f, x, one_plus_erf(f, x)), k(f, 0.5)));
	run(f, vq_pass_fuse_activation);
	assert_int_equal(f->g.n_nodes, 4);
	assert_int_equal(f->g.node[3].op, VQ_OP_GELU);
	same_results(f, 1e-5);
}

static void gelu_with_another_root_stays(void **state)
{
	fixture *f = *state;
	vq_value x = x_of(f), e = op1(f, VQ_OP_ERF, mul(f, k(f, 0.7072), x));

	stays(f, mul(f, mul(f, x, add(f, e, k(f, 1))), k(f, 0.5)));
}

static void gelu_of_two_values_stays(void **state)
{
	fixture *f = *state;
	vq_value x = x_of(f), z = op1(f, VQ_OP_TANH, x);

	stays(f, mul(f, mul(f, z, one_plus_erf(f, x)), k(f, 0.5)));
}

static void gelu_whose_erf_is_used_elsewhere_stays(void **state)
{
	fixture *f = *state;
	vq_value x = x_of(f), e = op1(f, VQ_OP_ERF, divide(f, x, k(f, 1.4142135)));

	stays(f, add(f, op1(f, VQ_OP_TANH, e), mul(f, mul(f, x, add(f, e, k(f, 1))), k(f, 0.5))));
}

static vq_value tanh_argument(fixture *f, vq_value x, vq_value cube)
{
	return mul(f, add(f, x, mul(f, cube, k(f, 0.044715))), k(f, 0.7978846));
}

static void tanh_gelu_of_torch(void **state)
{
	fixture *f = *state;
	vq_value x = x_of(f), t = op1(f, VQ_OP_TANH, tanh_argument(f, x, mul(f, x, mul(f, x, x))));

	becomes(f, mul(f, k(f, 0.5), mul(f, x, add(f, k(f, 1), t))), VQ_OP_GELU_TANH);
}

static void tanh_gelu_with_pow(void **state)
{
	fixture *f = *state;
	vq_value x = x_of(f), t = op1(f, VQ_OP_TANH, tanh_argument(f, x, op2(f, VQ_OP_POW, x, k(f, 3))));

	becomes(f, mul(f, mul(f, x, k(f, 0.5)), add(f, t, k(f, 1))), VQ_OP_GELU_TANH);
}

static void tanh_gelu_factored(void **state)
{
	fixture *f = *state;
	vq_value x = x_of(f), t;

	t = mul(f, mul(f, x, k(f, 0.7978846)), add(f, k(f, 1), mul(f, mul(f, x, k(f, 0.044715)), x)));
	becomes(f, mul(f, mul(f, x, k(f, 0.5)), add(f, op1(f, VQ_OP_TANH, t), k(f, 1))), VQ_OP_GELU_TANH);
}

static void tanh_gelu_with_a_square_stays(void **state)
{
	fixture *f = *state;
	vq_value x = x_of(f), t = op1(f, VQ_OP_TANH, tanh_argument(f, x, mul(f, x, x)));

	stays(f, mul(f, k(f, 0.5), mul(f, x, add(f, k(f, 1), t))));
}

static void quick_gelu(void **state)
{
	fixture *f = *state;
	vq_value x = x_of(f);

	becomes(f, mul(f, x, op1(f, VQ_OP_SIGMOID, mul(f, x, k(f, 1.702)))), VQ_OP_GELU_QUICK);
}

static void silu(void **state)
{
	fixture *f = *state;
	vq_value x = x_of(f);

	becomes(f, mul(f, op1(f, VQ_OP_SIGMOID, x), x), VQ_OP_SILU);
}

static void a_sigmoid_gate_of_another_value_stays(void **state)
{
	fixture *f = *state;
	vq_value x = x_of(f);

	stays(f, mul(f, op1(f, VQ_OP_SIGMOID, x), op1(f, VQ_OP_TANH, x)));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(gelu_half_last),
		TEST(gelu_half_first),
		TEST(gelu_half_in_the_middle),
		TEST(gelu_multiplied_out),
		TEST(gelu_of_a_product),
		TEST(gelu_with_another_root_stays),
		TEST(gelu_of_two_values_stays),
		TEST(gelu_whose_erf_is_used_elsewhere_stays),
		TEST(tanh_gelu_of_torch),
		TEST(tanh_gelu_with_pow),
		TEST(tanh_gelu_factored),
		TEST(tanh_gelu_with_a_square_stays),
		TEST(quick_gelu),
		TEST(silu),
		TEST(a_sigmoid_gate_of_another_value_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
