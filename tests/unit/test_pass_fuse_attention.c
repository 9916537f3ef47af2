/* SPDX-License-Identifier: MIT */
/*
 * fuse_attention: the forms of the exporters (run behind fuse_linear, as in the pipeline), and near
 * misses.
 */
#include "pass_fixture.h"

enum { B = 2, N = 5, H = 3, D = 4, C = H * D };

static bool fuse(vq_pass *p) { return vq_pass_fuse_linear(p) && vq_pass_fuse_attention(p); }

static vq_value project(fixture *f, vq_value x)
{
	return op2(f, VQ_OP_ADD, matmul(f, x, constant(f, DIMS(C, C))), constant(f, DIMS(C)));
}

/* [B, N, C] -> [B, H, N, D] */
static vq_value heads(fixture *f, vq_value v) { return TRANSPOSE(f, reshape(f, v, DIMS(B, N, H, D)), 0, 2, 1, 3); }

static vq_value softmax(fixture *f, vq_value v)
{
	int32_t axis = (int32_t)vq_type_of(&f->g, v)->rank - 1;

	return vq_build(&f->g, NULL, VQ_OP_SOFTMAX, &v, 1, &(vq_attr){ .axis = { axis } });
}

/* [B, H, N, D] -> [B, N, C] */
static vq_value merge(fixture *f, vq_value v) { return reshape(f, TRANSPOSE(f, v, 0, 2, 1, 3), DIMS(B, N, C)); }

static vq_node fused(fixture *f, uint32_t nodes)
{
	vq_node found = { 0 };

	run(f, fuse);
	for (uint32_t i = 1; i < f->g.n_nodes; i++)
		if (f->g.node[i].op == VQ_OP_ATTENTION)
			found.id = i;
	assert_int_not_equal(found.id, 0);
	assert_int_equal(count_op(&f->g, VQ_OP_SOFTMAX), 0);
	assert_int_equal(f->g.n_nodes - 1, nodes);
	same_results(f, 1e-5);
	return found;
}

static void form_of_timm(void **state)
{
	fixture *f = *state;
	vq_value v = matmul(f, input(f, "x", DIMS(B, N, C)), constant(f, DIMS(C, 3 * C))), part[3], s;
	vq_node a;

	v = op2(f, VQ_OP_ADD, constant(f, DIMS(3 * C)), v);
	v = TRANSPOSE(f, reshape(f, v, DIMS(B, N, 3, H, D)), 2, 0, 3, 1, 4);
	for (int i = 0; i < 3; i++)
		part[i] = reshape(f, vq_build_slice(&f->g, NULL, v, 0, i, 1), DIMS(B, H, N, D));
	s = op2(f, VQ_OP_MUL, matmul(f, part[0], TRANSPOSE(f, part[1], 0, 1, 3, 2)), scalar(f, 0.3f));
	output(f, merge(f, matmul(f, softmax(f, s), part[2])));
	a = fused(f, 4);
	assert_int_equal(f->g.node[a.id].attr.attention.heads, H);
	assert_true(f->g.node[a.id].attr.attention.scale == 1);
}

static void form_of_huggingface(void **state)
{
	fixture *f = *state;
	vq_value x = input(f, "x", DIMS(B, N, C)), k = project(f, x), v = project(f, x), q = project(f, x), s;

	k = TRANSPOSE(f, reshape(f, k, DIMS(B, N, H, D)), 0, 2, 3, 1);
	s = op2(f, VQ_OP_DIV, matmul(f, heads(f, q), k), scalar(f, 1.7f));
	output(f, merge(f, matmul(f, softmax(f, s), heads(f, v))));
	fused(f, 4);
}

static void form_with_a_mask(void **state)
{
	fixture *f = *state;
	vq_value x = input(f, "x", DIMS(B, N, C)), m = input(f, "mask", DIMS(B, 1, 1, N)), k = project(f, x), s;
	vq_node a;

	k = TRANSPOSE(f, reshape(f, k, DIMS(B, N, H, D)), 0, 2, 3, 1);
	s = op2(f, VQ_OP_DIV, matmul(f, heads(f, project(f, x)), k), scalar(f, 1.7f));
	s = op2(f, VQ_OP_ADD, m, s);
	output(f, merge(f, matmul(f, softmax(f, s), heads(f, project(f, x)))));
	a = fused(f, 4);
	assert_int_equal(f->g.node[a.id].n_in, 4);
}

/* torch: sequence first, batch and heads in one dimension, q divided */
static void form_of_torch(void **state)
{
	fixture *f = *state;
	vq_value x = TRANSPOSE(f, input(f, "x", DIMS(B, N, C)), 1, 0, 2), v, part[3], s;
	vq_node a;

	v = op2(f, VQ_OP_ADD, matmul(f, x, constant(f, DIMS(C, 3 * C))), constant(f, DIMS(3 * C)));
	for (int i = 0; i < 3; i++) {
		part[i] = vq_build_slice(&f->g, NULL, v, 2, i * C, C);
		if (i == 0)
			part[i] = op2(f, VQ_OP_DIV, part[i], scalar(f, 1.7f));
		part[i] = TRANSPOSE(f, reshape(f, part[i], DIMS(N, B * H, D)), 1, 0, 2);
	}
	s = softmax(f, matmul(f, part[0], TRANSPOSE(f, part[1], 0, 2, 1)));
	v = TRANSPOSE(f, matmul(f, s, part[2]), 1, 0, 2);
	v = matmul(f, reshape(f, v, DIMS(N * B, C)), constant(f, DIMS(C, C)));
	output(f, TRANSPOSE(f, reshape(f, v, DIMS(N, B, C)), 1, 0, 2));
	a = fused(f, 5);
	assert_int_equal(f->g.node[a.id].attr.attention.heads, H);
}

/* Swin: scale on q, a bias per head, a mask per window of the batch between two reshapes */
static void form_of_swin(void **state)
{
	fixture *f = *state;
	vq_value x = input(f, "x", DIMS(4, N, C)), part[3], s;
	vq_node a;

	for (int i = 0; i < 3; i++)
		part[i] = TRANSPOSE(f, reshape(f, project(f, x), DIMS(4, N, H, D)), 0, 2, 1, 3);
	part[0] = op2(f, VQ_OP_MUL, part[0], scalar(f, 0.3f));
	s = matmul(f, part[0], TRANSPOSE(f, part[1], 0, 1, 3, 2));
	s = op2(f, VQ_OP_ADD, s, constant(f, DIMS(1, H, N, N)));
	s = op2(f, VQ_OP_ADD, reshape(f, s, DIMS(2, 2, H, N, N)), constant(f, DIMS(1, 2, 1, N, N)));
	s = softmax(f, reshape(f, s, DIMS(4, H, N, N)));
	output(f, reshape(f, TRANSPOSE(f, matmul(f, s, part[2]), 0, 2, 1, 3), DIMS(4, N, C)));
	a = fused(f, 4);
	assert_int_equal(f->g.node[a.id].n_in, 4);
	assert_true(vq_is_const(&f->g, f->g.node[a.id].in[3]));
}

/* q that is no projection: the scale stays with the attention */
static void a_scale_with_nowhere_to_go_stays(void **state)
{
	fixture *f = *state;
	vq_value x = input(f, "x", DIMS(B, N, C)), q = op1(f, VQ_OP_TANH, x), s;
	vq_node a;

	s = matmul(f, op2(f, VQ_OP_MUL, heads(f, q), scalar(f, 0.5f)), TRANSPOSE(f, heads(f, x), 0, 1, 3, 2));
	output(f, merge(f, matmul(f, softmax(f, op2(f, VQ_OP_MUL, s, scalar(f, 0.25f))), heads(f, x))));
	a = fused(f, 2);
	assert_true(f->g.node[a.id].attr.attention.scale == 0.125f);
}

static void one_head_without_a_batch(void **state)
{
	fixture *f = *state;
	vq_value x = input(f, "x", DIMS(N, C)), s = matmul(f, x, TRANSPOSE(f, x, 1, 0));

	output(f, matmul(f, softmax(f, s), op1(f, VQ_OP_TANH, x)));
	run(f, fuse);
	assert_int_equal(count_op(&f->g, VQ_OP_ATTENTION), 1);
	same_results(f, 1e-5);
}

static void stays(fixture *f, vq_value y)
{
	output(f, y);
	run(f, fuse);
	assert_int_equal(count_op(&f->g, VQ_OP_ATTENTION), 0);
	same_results(f, 1e-5);
}

static void probabilities_used_elsewhere_stay(void **state)
{
	fixture *f = *state;
	vq_value x = input(f, "x", DIMS(B, N, C)), p, y;

	p = softmax(f, matmul(f, heads(f, x), TRANSPOSE(f, heads(f, x), 0, 1, 3, 2)));
	y = matmul(f, p, heads(f, x));
	stays(f, vq_build(&f->g, NULL, VQ_OP_CONCAT, (vq_value[]){ y, p }, 2, &(vq_attr){ .axis = { 3 } }));
}

static void a_softmax_along_the_queries_stays(void **state)
{
	fixture *f = *state;
	vq_value x = input(f, "x", DIMS(B, N, C)), s;

	s = matmul(f, heads(f, x), TRANSPOSE(f, heads(f, x), 0, 1, 3, 2));
	s = vq_build(&f->g, NULL, VQ_OP_SOFTMAX, &s, 1, &(vq_attr){ .axis = { 2 } });
	stays(f, matmul(f, s, heads(f, x)));
}

/* the mask is multiplied as well */
static void a_scale_after_the_mask(void **state)
{
	fixture *f = *state;
	vq_value x = input(f, "x", DIMS(B, N, C)), s;
	vq_node a;

	s = matmul(f, heads(f, x), TRANSPOSE(f, heads(f, x), 0, 1, 3, 2));
	s = op2(f, VQ_OP_ADD, s, input(f, "mask", DIMS(B, 1, 1, N)));
	output(f, merge(f, matmul(f, softmax(f, op2(f, VQ_OP_MUL, s, scalar(f, 0.5f))), heads(f, x))));
	a = fused(f, 2);
	assert_true(f->g.node[a.id].attr.attention.scale == 0.5f);
}

static void quantized_probabilities_stay(void **state)
{
	fixture *f = *state;
	vq_value x = input(f, "x", DIMS(B, N, C)), s;

	s = softmax(f, matmul(f, heads(f, x), TRANSPOSE(f, heads(f, x), 0, 1, 3, 2)));
	s = vq_build_quantize(&f->g, NULL, s, vq_quant_per_tensor(&f->g, 1.0f / 255, -128, -128, 127));
	stays(f, matmul(f, vq_build_dequantize(&f->g, NULL, s), heads(f, x)));
}

/* cosine attention: into q */
static void a_factor_per_head(void **state)
{
	fixture *f = *state;
	vq_value x = input(f, "x", DIMS(B, N, C)), s;

	s = matmul(f, heads(f, x), TRANSPOSE(f, heads(f, x), 0, 1, 3, 2));
	s = op2(f, VQ_OP_MUL, s, constant(f, DIMS(1, H, 1, 1)));
	output(f, merge(f, matmul(f, softmax(f, s), heads(f, x))));
	fused(f, 5);
}

static void a_factor_per_head_after_the_mask_stays(void **state)
{
	fixture *f = *state;
	vq_value x = input(f, "x", DIMS(B, N, C)), s;

	s = matmul(f, heads(f, x), TRANSPOSE(f, heads(f, x), 0, 1, 3, 2));
	s = op2(f, VQ_OP_ADD, s, input(f, "mask", DIMS(B, 1, 1, N)));
	s = op2(f, VQ_OP_MUL, s, constant(f, DIMS(1, H, 1, 1)));
	stays(f, matmul(f, softmax(f, s), heads(f, x)));
}

/* the last block of a classifier, of which the head reads one token */
static vq_value block_and_token(fixture *f, bool all)
{
	vq_value x = input(f, "x", DIMS(B, N, C)), q = project(f, x), k = project(f, x), y, z;

	k = TRANSPOSE(f, reshape(f, k, DIMS(B, N, H, D)), 0, 2, 3, 1);
	y = softmax(f, matmul(f, heads(f, q), k));
	y = op2(f, VQ_OP_ADD, x, project(f, merge(f, matmul(f, y, heads(f, project(f, x))))));
	z = op2(f, VQ_OP_ADD, y, op1(f, VQ_OP_GELU, project(f, y)));
	if (all)
		vq_add_output(&f->g, "all", z);
	return reshape(f, vq_build_slice(&f->g, "test", z, 1, 2, 1), DIMS(B, C));
}

static void only_the_token_that_is_used_is_computed(void **state)
{
	fixture *f = *state;

	output(f, block_and_token(f, false));
	run(f, fuse);
	for (uint32_t i = 1; i < f->g.n_nodes; i++) {
		const vq_node_info *n = &f->g.node[i];
		const vq_type *t = vq_type_of(&f->g, n->out);

		/* k and v, found by their use, are of all tokens */
		if (n->op == VQ_OP_ATTENTION) {
			assert_int_equal(t->dim[1], 1);
			assert_int_equal(vq_type_of(&f->g, n->in[0])->dim[1], 1);
			assert_int_equal(vq_type_of(&f->g, n->in[1])->dim[1], N);
			assert_int_equal(vq_type_of(&f->g, n->in[2])->dim[1], N);
		}
		if (n->op == VQ_OP_ADD || n->op == VQ_OP_GELU)
			assert_int_equal(vq_type_count(t), B * C);
	}
	assert_int_equal(count_op(&f->g, VQ_OP_ATTENTION), 1);
	same_results(f, 1e-5);
}

static void all_tokens_are_computed_if_all_are_used(void **state)
{
	fixture *f = *state;

	output(f, block_and_token(f, true));
	run(f, fuse);
	for (uint32_t i = 1; i < f->g.n_nodes; i++)
		if (f->g.node[i].op == VQ_OP_ATTENTION)
			assert_int_equal(vq_type_of(&f->g, f->g.node[i].out)->dim[1], N);
	same_results(f, 1e-5);
}

/* a bias of its own for each query would have to be cut as well */
static void a_bias_per_query_keeps_all_queries(void **state)
{
	fixture *f = *state;
	vq_value x = input(f, "x", DIMS(B, N, C)), s;

	s = matmul(f, heads(f, project(f, x)), TRANSPOSE(f, heads(f, project(f, x)), 0, 1, 3, 2));
	s = softmax(f, op2(f, VQ_OP_ADD, s, constant(f, DIMS(N, N))));
	s = merge(f, matmul(f, s, heads(f, x)));
	output(f, vq_build_slice(&f->g, "test", s, 1, 2, 1));
	run(f, fuse);
	for (uint32_t i = 1; i < f->g.n_nodes; i++)
		if (f->g.node[i].op == VQ_OP_ATTENTION)
			assert_int_equal(vq_type_of(&f->g, f->g.node[i].out)->dim[1], N);
	same_results(f, 1e-5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(form_of_timm),
		TEST(form_of_huggingface),
		TEST(form_with_a_mask),
		TEST(form_of_torch),
		TEST(form_of_swin),
		TEST(a_scale_with_nowhere_to_go_stays),
		TEST(one_head_without_a_batch),
		TEST(probabilities_used_elsewhere_stay),
		TEST(a_softmax_along_the_queries_stays),
		TEST(a_scale_after_the_mask),
		TEST(quantized_probabilities_stay),
		TEST(a_factor_per_head),
		TEST(a_factor_per_head_after_the_mask_stays),
		TEST(only_the_token_that_is_used_is_computed),
		TEST(all_tokens_are_computed_if_all_are_used),
		TEST(a_bias_per_query_keeps_all_queries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
