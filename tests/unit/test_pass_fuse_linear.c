/* SPDX-License-Identifier: MIT */
/* fuse_linear: products by constants, biases, factors, patch embedding, merged projections. */
#include "pass_fixture.h"

static vq_value slice_last(fixture *f, vq_value v, int64_t start, int64_t count)
{
	return vq_build_slice(&f->g, "test", v, (int32_t)vq_type_of(&f->g, v)->rank - 1, start, count);
}

static void matmul_and_bias(void **state)
{
	fixture *f = *state;
	vq_value x = input(f, "x", DIMS(2, 3, 8));

	output(f, op2(f, VQ_OP_ADD, constant(f, DIMS(5)), matmul(f, x, constant(f, DIMS(8, 5)))));
	run(f, vq_pass_fuse_linear);
	assert_int_equal(f->g.n_nodes, 2);
	assert_int_equal(f->g.node[1].op, VQ_OP_LINEAR);
	assert_int_equal(f->g.node[1].n_in, 3);
	assert_int_equal(vq_type_of(&f->g, f->g.node[1].in[1])->dim[0], 5);
	same_results(f, 0);
}

static void matmul_by_a_batch_of_one(void **state)
{
	fixture *f = *state;

	output(f, matmul(f, input(f, "x", DIMS(3, 8)), constant(f, DIMS(1, 8, 5))));
	run(f, vq_pass_fuse_linear);
	assert_int_equal(count_op(&f->g, VQ_OP_LINEAR), 1);
	assert_int_equal(count_op(&f->g, VQ_OP_RESHAPE), 1);
	same_results(f, 0);
}

static void matmul_by_several_matrices_stays(void **state)
{
	fixture *f = *state;

	output(f, matmul(f, input(f, "x", DIMS(2, 3, 8)), constant(f, DIMS(2, 8, 5))));
	run(f, vq_pass_fuse_linear);
	assert_int_equal(count_op(&f->g, VQ_OP_MATMUL), 1);
	same_results(f, 0);
}

static void factors_go_into_weights(void **state)
{
	fixture *f = *state;
	vq_value v = matmul(f, input(f, "x", DIMS(2, 3, 8)), constant(f, DIMS(8, 5)));

	v = op2(f, VQ_OP_ADD, v, constant(f, DIMS(5)));
	v = op2(f, VQ_OP_MUL, constant(f, DIMS(1, 1, 5)), v);
	v = op2(f, VQ_OP_DIV, v, scalar(f, 3));
	output(f, op2(f, VQ_OP_SUB, v, constant(f, DIMS(5))));
	run(f, vq_pass_fuse_linear);
	assert_int_equal(f->g.n_nodes, 2);
	same_results(f, 1e-6);
}

static void a_term_per_token_is_no_bias(void **state)
{
	fixture *f = *state;
	vq_value v = matmul(f, input(f, "x", DIMS(1, 5, 8)), constant(f, DIMS(8, 5)));

	output(f, op2(f, VQ_OP_ADD, v, constant(f, DIMS(5, 5))));
	run(f, vq_pass_fuse_linear);
	assert_int_equal(count_op(&f->g, VQ_OP_ADD), 1);
	same_results(f, 0);
}

static void a_result_used_elsewhere_keeps_its_value(void **state)
{
	fixture *f = *state;
	vq_value v = matmul(f, input(f, "x", DIMS(2, 3, 8)), constant(f, DIMS(8, 5)));

	output(f, op2(f, VQ_OP_MUL, op2(f, VQ_OP_MUL, v, scalar(f, 3)), op1(f, VQ_OP_TANH, v)));
	run(f, vq_pass_fuse_linear);
	assert_int_equal(count_op(&f->g, VQ_OP_LINEAR), 1);
	assert_int_equal(count_op(&f->g, VQ_OP_MUL), 2);
	same_results(f, 0);
}

static vq_value conv(fixture *f, vq_value x, int64_t out, int32_t k, int32_t stride)
{
	vq_attr a = { .conv = { .stride = { stride, stride }, .dilation = { 1, 1 }, .group = 1 } };
	int64_t c = vq_type_of(&f->g, x)->dim[1];

	return vq_build(&f->g, "test", VQ_OP_CONV,
		(vq_value[]){ x, constant(f, DIMS(out, c, k, k)), constant(f, DIMS(out)) }, 3, &a);
}

static void patches_are_a_view(void **state)
{
	fixture *f = *state;
	vq_value v = conv(f, input(f, "x", DIMS(2, 3, 8, 13)), 5, 4, 4);

	v = reshape(f, v, DIMS(2, 5, 6));
	output(f, op2(f, VQ_OP_ADD, TRANSPOSE(f, v, 0, 2, 1), constant(f, DIMS(1, 6, 5))));
	run(f, vq_pass_fuse_linear);
	assert_int_equal(count_op(&f->g, VQ_OP_CONV), 0);
	assert_int_equal(f->g.n_nodes, 5); /* view, reshape, linear, add */
	same_results(f, 1e-6);
}

/* conv of `in` channels in groups, everything else different in every dimension */
static vq_value conv_like(fixture *f, uint32_t spatial, int64_t in, int64_t out, int32_t group)
{
	vq_attr a = { .conv = { .stride = { 2, 1, 3 },
			      .dilation = { 1, 2, 1 },
			      .before = { 1, 0, 2 },
			      .after = { 0, 3, 1 },
			      .group = group } };
	int64_t x[] = { 2, in, 7, 8, 6 }, w[] = { out, in / group, 3, 2, 3 };
	vq_type t = vq_type_make(VQ_F32, 2 + spatial, x);

	for (uint32_t k = spatial; k < 3; k++)
		a.conv.stride[k] = a.conv.dilation[k] = a.conv.before[k] = a.conv.after[k] = 0;
	return vq_build(&f->g, "test", VQ_OP_CONV,
		(vq_value[]){ vq_add_input(&f->g, "x", &t), constant(f, 2 + spatial, w), constant(f, DIMS(out)) }, 3,
		&a);
}

static void becomes_one_linear(fixture *f, uint32_t spatial)
{
	output(f, conv_like(f, spatial, 3, 5, 1));
	run(f, vq_pass_fuse_linear);
	assert_int_equal(count_op(&f->g, VQ_OP_CONV), 0);
	assert_int_equal(count_op(&f->g, VQ_OP_LINEAR), 1);
	same_results(f, 1e-6);
}

static void conv_of_a_sequence(void **state) { becomes_one_linear(*state, 1); }

static void conv_of_an_image(void **state) { becomes_one_linear(*state, 2); }

static void conv_of_a_volume(void **state) { becomes_one_linear(*state, 3); }

static void groups_are_linear_each(void **state)
{
	fixture *f = *state;

	output(f, conv_like(f, 2, 6, 9, 3));
	run(f, vq_pass_fuse_linear);
	assert_int_equal(count_op(&f->g, VQ_OP_CONV), 0);
	assert_int_equal(count_op(&f->g, VQ_OP_LINEAR), 3);
	same_results(f, 1e-6);
}

static void single_channels_are_a_sum_of_taps(void **state)
{
	fixture *f = *state;

	output(f, conv_like(f, 2, 7, 7, 7));
	run(f, vq_pass_fuse_linear);
	assert_int_equal(count_op(&f->g, VQ_OP_CONV), 0);
	assert_int_equal(count_op(&f->g, VQ_OP_MUL), 6);
	assert_int_equal(count_op(&f->g, VQ_OP_ADD), 6);
	same_results(f, 1e-6);
}

static vq_value depthwise(fixture *f, int64_t kernel)
{
	vq_attr a = { .conv = { .stride = { 1, 1 }, .dilation = { 1, 1 }, .group = 65 } };
	vq_value in[2] = { input(f, "x", DIMS(1, 65, 18, 18)), constant(f, DIMS(65, 1, kernel, kernel)) };

	return vq_build(&f->g, "test", VQ_OP_CONV, in, 2, &a);
}

/* EdgeNeXt's */
static void many_taps(void **state)
{
	fixture *f = *state;

	output(f, depthwise(f, 9));
	run(f, vq_pass_fuse_linear);
	assert_int_equal(count_op(&f->g, VQ_OP_CONV), 0);
	assert_int_equal(count_op(&f->g, VQ_OP_MUL), 81);
	same_results(f, 1e-6);
}

static void too_many_taps(void **state)
{
	fixture *f = *state;

	output(f, depthwise(f, 17));
	run(f, vq_pass_fuse_linear);
	assert_int_equal(count_op(&f->g, VQ_OP_CONV), 1);
}

static void a_conv_by_a_value_stays(void **state)
{
	fixture *f = *state;
	vq_attr a = { .conv = { .stride = { 1, 1 }, .dilation = { 1, 1 }, .group = 1 } };
	vq_value in[2] = { input(f, "x", DIMS(1, 3, 8, 8)), input(f, "w", DIMS(2, 3, 3, 3)) };

	output(f, vq_build(&f->g, "test", VQ_OP_CONV, in, 2, &a));
	run(f, vq_pass_fuse_linear);
	assert_int_equal(count_op(&f->g, VQ_OP_CONV), 1);
	same_results(f, 0);
}

/* timm: [B, N, 3, h, d] taken apart along the 3 */
static void merged_projection_of_timm(void **state)
{
	fixture *f = *state;
	vq_value v = matmul(f, input(f, "x", DIMS(2, 5, 12)), constant(f, DIMS(12, 36))), part[3];

	v = op2(f, VQ_OP_ADD, constant(f, DIMS(36)), v);
	v = reshape(f, v, DIMS(2, 5, 3, 3, 4));
	v = TRANSPOSE(f, v, 2, 0, 3, 1, 4);
	for (int i = 0; i < 3; i++)
		part[i] = op1(f, VQ_OP_TANH, reshape(f, vq_build_slice(&f->g, NULL, v, 0, i, 1), DIMS(2, 3, 5, 4)));
	output(f, op2(f, VQ_OP_ADD, op2(f, VQ_OP_ADD, part[0], part[1]), part[2]));
	run(f, vq_pass_fuse_linear);
	assert_int_equal(count_op(&f->g, VQ_OP_LINEAR), 3);
	assert_int_equal(count_op(&f->g, VQ_OP_VIEW), 1); /* the three move alike: the movement sinks below the sum */
	same_results(f, 0);
}

/* torch: sequence first, chunk along the last axis, one part divided by a constant */
static void merged_projection_of_torch(void **state)
{
	fixture *f = *state;
	vq_value v = TRANSPOSE(f, input(f, "x", DIMS(2, 5, 12)), 1, 0, 2), q, k;

	v = op2(f, VQ_OP_ADD, matmul(f, v, constant(f, DIMS(12, 24))), constant(f, DIMS(24)));
	q = op2(f, VQ_OP_DIV, slice_last(f, v, 0, 12), scalar(f, 3));
	k = slice_last(f, v, 12, 12);
	q = TRANSPOSE(f, reshape(f, q, DIMS(5, 6, 4)), 1, 0, 2);
	k = TRANSPOSE(f, reshape(f, k, DIMS(5, 6, 4)), 1, 2, 0);
	output(f, matmul(f, q, k));
	run(f, vq_pass_fuse_linear);
	assert_int_equal(count_op(&f->g, VQ_OP_LINEAR), 2);
	assert_int_equal(count_op(&f->g, VQ_OP_DIV), 0);
	/*
	 * two linear, the product, and a view and a reshape each: batch and heads do not step as
	 * one
	 */
	assert_int_equal(f->g.n_nodes, 8);
	same_results(f, 1e-6);
}

static void channels_nobody_reads_go(void **state)
{
	fixture *f = *state;

	output(f,
		op1(f, VQ_OP_TANH,
			slice_last(f, matmul(f, input(f, "x", DIMS(2, 5, 12)), constant(f, DIMS(12, 24))), 4, 6)));
	run(f, vq_pass_fuse_linear);
	assert_int_equal(count_op(&f->g, VQ_OP_LINEAR), 1);
	assert_int_equal(vq_type_of(&f->g, f->g.node[1].out)->dim[2], 6);
	assert_int_equal(f->g.n_nodes, 3);
	same_results(f, 0);
}

static void a_projection_also_used_whole_stays(void **state)
{
	fixture *f = *state;
	vq_value v = matmul(f, input(f, "x", DIMS(2, 5, 12)), constant(f, DIMS(12, 24))), s;

	s = op2(f, VQ_OP_ADD, slice_last(f, v, 0, 12), slice_last(f, v, 12, 12));
	output(f,
		vq_build(&f->g, NULL, VQ_OP_CONCAT, (vq_value[]){ op1(f, VQ_OP_TANH, v), s }, 2,
			&(vq_attr){ .axis = { 2 } }));
	run(f, vq_pass_fuse_linear);
	assert_int_equal(count_op(&f->g, VQ_OP_LINEAR), 1);
	same_results(f, 0);
}

static uint32_t per_channel(fixture *f, int32_t axis, uint32_t n)
{
	float *scale = VQ_ARRAY(&f->arena, n, float);
	int32_t *zero = VQ_ARRAY(&f->arena, n, int32_t);

	for (uint32_t i = 0; i < n; i++)
		scale[i] = 0.005f + 0.0001f * (float)i;
	return vq_quant_add(&f->g,
		&(vq_quant){ .bits = 8, .lo = -128, .hi = 127, .axis = axis, .n = n, .scale = scale, .zero = zero });
}

/*
 * torch's QAT export: weights [out, in] quantized along axis 0, then transposed; qkv quantized
 * once, then taken apart
 */
static void quantized_projection_is_split(void **state)
{
	fixture *f = *state;
	vq_value w, v, a, b;

	w = vq_build_quantize(&f->g, NULL, constant(f, DIMS(24, 12)), per_channel(f, 0, 24));
	w = TRANSPOSE(f, vq_build_dequantize(&f->g, NULL, w), 1, 0);
	v = op2(f, VQ_OP_ADD, matmul(f, input(f, "x", DIMS(2, 5, 12)), w), constant(f, DIMS(24)));
	v = vq_build_quantize(&f->g, NULL, v, vq_quant_per_tensor(&f->g, 0.05f, 3, -128, 127));
	v = vq_build_dequantize(&f->g, NULL, v);
	a = slice_last(f, v, 0, 12);
	b = slice_last(f, v, 12, 12);
	output(f, op2(f, VQ_OP_MUL, op1(f, VQ_OP_TANH, a), op1(f, VQ_OP_ABS, b)));
	run(f, vq_pass_fuse_linear);
	assert_int_equal(count_op(&f->g, VQ_OP_LINEAR), 2);
	assert_int_equal(count_op(&f->g, VQ_OP_QUANTIZE), 2);
	assert_int_equal(count_op(&f->g, VQ_OP_VIEW), 0);
	for (uint32_t i = 1; i < f->g.n_nodes; i++)
		if (f->g.node[i].op == VQ_OP_LINEAR) {
			vq_value codes = vq_operand(&f->g, vq_def_of(&f->g, f->g.node[i].in[1]), 0);

			assert_true(vq_is_const(&f->g, codes));
			assert_int_equal(vq_quant_of(&f->g, vq_type_of(&f->g, codes))->axis, 0);
			assert_int_equal(vq_quant_of(&f->g, vq_type_of(&f->g, codes))->n, 12);
		}
	same_results(f, 0);
}

/* ORT's static quantization: weight codes [in, out] with scales along axis 1 */
static void codes_of_matmul_weights_turn(void **state)
{
	fixture *f = *state;
	vq_type t = vq_type_make(VQ_S8, 2, (int64_t[]){ 12, 6 });
	int8_t codes[72];
	vq_value w;

	for (int i = 0; i < 72; i++)
		codes[i] = (int8_t)(noise(f) % 255 - 127);
	t.quant = per_channel(f, 1, 6);
	w = vq_build_dequantize(&f->g, NULL, vq_add_const_copy(&f->g, &t, codes, NULL));
	output(f, matmul(f, input(f, "x", DIMS(5, 12)), w));
	run(f, vq_pass_fuse_linear);
	assert_int_equal(f->g.n_nodes, 3);
	assert_int_equal(vq_quant_of(&f->g, vq_type_of(&f->g, f->g.node[1].in[0]))->axis, 0);
	same_results(f, 0);
}

static void factors_of_codes_stay(void **state)
{
	fixture *f = *state;
	vq_value w = vq_build_quantize(&f->g, NULL, constant(f, DIMS(12, 6)), per_channel(f, 1, 6));

	w = vq_build_dequantize(&f->g, NULL, w);
	output(f, op2(f, VQ_OP_MUL, matmul(f, input(f, "x", DIMS(5, 12)), w), constant(f, DIMS(6))));
	run(f, vq_pass_fuse_linear);
	assert_int_equal(count_op(&f->g, VQ_OP_MUL), 1);
	same_results(f, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(matmul_and_bias),
		TEST(matmul_by_a_batch_of_one),
		TEST(matmul_by_several_matrices_stays),
		TEST(factors_go_into_weights),
		TEST(a_term_per_token_is_no_bias),
		TEST(a_result_used_elsewhere_keeps_its_value),
		TEST(patches_are_a_view),
		TEST(conv_of_a_sequence),
		TEST(conv_of_an_image),
		TEST(conv_of_a_volume),
		TEST(groups_are_linear_each),
		TEST(single_channels_are_a_sum_of_taps),
		TEST(many_taps),
		TEST(too_many_taps),
		TEST(a_conv_by_a_value_stays),
		TEST(merged_projection_of_timm),
		TEST(merged_projection_of_torch),
		TEST(channels_nobody_reads_go),
		TEST(a_projection_also_used_whole_stays),
		TEST(quantized_projection_is_split),
		TEST(codes_of_matmul_weights_turn),
		TEST(factors_of_codes_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
