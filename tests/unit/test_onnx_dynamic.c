/* SPDX-License-Identifier: MIT */
/* Quantization at run time in ONNX: exact where a result is used by itself, linear_dynamic where it forms a product. */
#include "onnx_model.h"

static const float ramp[] = { 0, 1, 2, 3, 4, 5, 6, 7 };

static uint32_t count(const model *m, vq_op op)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i < m->g.n_nodes; i++)
		n += m->g.node[i].op == op;
	return n;
}

static void three_results(void **state)
{
	static const float x[] = { 0, 2, -3, -2.5f, 1.34f, 0.5f }, zeros[6] = { 0 };
	static const uint8_t want[] = { 153, 255, 0, 26, 221, 179 };
	model *m = model_new(11);
	const float *scale;

	(void)state;
	input(m, "x", DT(FLOAT), "2,3");
	node(m, "DynamicQuantizeLinear", "x", "q s z");
	output(m, "q");
	output(m, "z");
	output(m, "s");
	assert_memory_equal(RUN(m, x), want, sizeof want);
	m->output[0] = m->output[2];
	m->graph.n_output = 1;
	scale = RUN(m, x);
	assert_true(fabsf(*scale - 5 / 255.0f) < 1e-8f);
	assert_true(*(const float *)RUN(m, zeros) == 1);
}

static void integers_alone(void **state)
{
	static const uint8_t a[] = { 11, 7, 3, 10, 6, 2, 9, 5, 1, 8, 4, 0 }, b[] = { 1, 4, 2, 5, 3, 6 }, za = 12,
			     zb = 0;
	static const int32_t want[] = { -38, -83, -44, -98, -50, -113, -56, -128 };
	model *m = model_new(11);

	(void)state;
	input(m, "a", DT(UINT8), "4,3");
	input(m, "b", DT(UINT8), "3,2");
	input(m, "za", DT(UINT8), "");
	input(m, "zb", DT(UINT8), "1");
	node(m, "MatMulInteger", "a b za zb", "y");
	output(m, "y");
	assert_memory_equal(RUN(m, a, b, &za, &zb), want, sizeof want);
}

/* a sum beyond 2^24, which no float holds: parts of it are added as integers; zero points per row and per column */
static void long_sums(void **state)
{
	enum { K = 1000 };
	uint8_t a[2 * K], w[2 * K];
	int32_t want[4] = { 0 };
	model *m = model_new(11);

	(void)state;
	for (int i = 0; i < 2 * K; i++) {
		a[i] = (uint8_t)(255 - i % 3);
		w[i] = (uint8_t)(255 - i % 2);
	}
	for (int i = 0; i < 4; i++)
		for (int k = 0; k < K; k++)
			want[i] += (a[i / 2 * K + k] - (i / 2 ? 3 : 0)) * (w[2 * k + i % 2] - (i % 2 ? 1 : 0));
	assert_true(want[0] > 1 << 24);
	input(m, "a", DT(UINT8), "2,1000");
	initializer(m, "w", DT(UINT8), "1000,2", w, sizeof w);
	BYTES(m, "za", UINT8, "2", 0, 3);
	BYTES(m, "zw", UINT8, "2", 0, 1);
	node(m, "MatMulInteger", "a w za zw", "y");
	output(m, "y");
	assert_memory_equal(RUN(m, a), want, sizeof want);
}

/* as quantize_dynamic writes it; flip: operands of the multiplications the other way round */
static model *product(bool flip, const char *weights_type, uint8_t zero)
{
	model *m = model_new(11);

	input(m, "x", DT(FLOAT), "1,2");
	initializer(m, "w", strcmp(weights_type, "uint8") ? DT(INT8) : DT(UINT8), "2,2",
		(uint8_t[]){ 1, 2, 0xff, 0x80 }, 4);
	initializer(m, "zw", strcmp(weights_type, "uint8") ? DT(INT8) : DT(UINT8), "2", (uint8_t[]){ zero, zero }, 2);
	FLOATS(m, "sw", "2", 0.5f, 2);
	FLOATS(m, "b", "2", 100, 200);
	node(m, "DynamicQuantizeLinear", "x", "q s z");
	node(m, "MatMulInteger", "q w z zw", "i");
	node(m, "Cast", "i", "f");
	attr_i(m, "to", DT(FLOAT));
	node(m, "Mul", flip ? "sw s" : "s sw", "ss");
	node(m, "Mul", flip ? "ss f" : "f ss", "p");
	node(m, "Add", "p b", "y");
	output(m, "y");
	return m;
}

static void becomes_linear_dynamic(void **state)
{
	const vq_quant *q;
	vq_node n;

	(void)state;
	for (int flip = 0; flip < 2; flip++) {
		model *m = product(flip, "int8", 1);

		/* x = 0 1: the second row, -1 and -128, less 1 */
		EXPECT(RUN(m, ramp), 100 - 1, 200 - 258);
		assert_true(count(m, VQ_OP_LINEAR_DYNAMIC) == 1 && count(m, VQ_OP_QUANTIZE_DYNAMIC) == 1);
		assert_true(count(m, VQ_OP_MATMUL) == 0 && count(m, VQ_OP_ROUND) == 0);
		n = vq_def_of(&m->g, vq_operand(&m->g, vq_def_of(&m->g, m->g.output[0].value), 0));
		q = vq_quant_of(&m->g, vq_type_of(&m->g, vq_operand(&m->g, n, 2)));
		assert_true(q->n == 2 && q->axis == 0 && q->zero[1] == 1);
	}
	EXPECT(RUN(product(false, "uint8", 3), ramp), 100 + 126, 200 + 250);
}

/* one scale for all rows, as the model says; products of one x share its codes; all rows of a vector and no rows */
static void one_scale(void **state)
{
	static const float x[] = { 0, 1, 0, 100 };
	model *m = product(false, "int8", 0);

	(void)state;
	m->input[0] = value_info(m, "x", DT(FLOAT), "2,2");
	node(m, "MatMulInteger", "q w z", "i2");
	node(m, "Cast", "i2", "f2");
	attr_i(m, "to", DT(FLOAT));
	node(m, "Mul", "f2 s", "p2");
	output(m, "p2");
	/* 1 is 2.55 of 255 codes, so 3 of them: 3 * 100 / 255 */
	EXPECT(RUN(m, x), 100 - 300 / 255.0f / 2, 200 - 300 / 255.0f * 256, 100 - 50, 200 - 25600);
	assert_true(count(m, VQ_OP_LINEAR_DYNAMIC) == 2 && count(m, VQ_OP_QUANTIZE_DYNAMIC) == 1);
	m = product(false, "int8", 0);
	m->input[0] = value_info(m, "x", DT(FLOAT), "2");
	EXPECT(RUN(m, ramp), 100 - 0.5f, 200 - 256);
}

/* the scale of another quantization, and codes that are read twice: as ONNX says, rounded */
static void other_uses_stay_exact(void **state)
{
	static const float x[] = { 0, 1, 254.4f, 255 };
	model *m = model_new(11);

	(void)state;
	input(m, "x", DT(FLOAT), "1,4");
	BYTES(m, "w", INT8, "4,1", 1, 1, 1, 0);
	node(m, "DynamicQuantizeLinear", "x", "q s z");
	node(m, "Neg", "x", "n");
	node(m, "DynamicQuantizeLinear", "n", "q2 s2 z2");
	node(m, "MatMulInteger", "q w z", "i");
	node(m, "Cast", "i", "f");
	attr_i(m, "to", DT(FLOAT));
	node(m, "Mul", "f s2", "y");
	output(m, "y");
	EXPECT(RUN(m, x), 0 + 1 + 254);
	m->graph.n_node--;
	node(m, "Mul", "f s", "y");
	EXPECT(RUN(m, x), 0 + 1 + 254);
}

static void convolution(void **state)
{
	model *m = model_new(11);

	(void)state;
	input(m, "x", DT(FLOAT), "1,1,2,2");
	BYTES(m, "w", INT8, "2,1,1,1", 3, 0xfe);
	FLOATS(m, "sw", "", 0.5f);
	node(m, "DynamicQuantizeLinear", "x", "q s z");
	node(m, "ConvInteger", "q w z", "i");
	ATTR_INTS(m, "pads", 0, 0, 0, 1);
	node(m, "Cast", "i", "f");
	attr_i(m, "to", DT(FLOAT));
	node(m, "Mul", "s sw", "ss");
	node(m, "Mul", "f ss", "y");
	output(m, "y");
	EXPECT(RUN(m, ramp), 0, 1.5f, 0, 3, 4.5f, 0, 0, -1, 0, -2, -3, 0);
	expect_shape(m, "f32[1,2,2,3]");
	assert_int_equal(count(m, VQ_OP_CONV), 1);
	assert_int_equal(count(m, VQ_OP_ROUND), 0);
	m->graph.n_node = 2;
	m->output[0]->name = (char *)"i";
	assert_int_equal(((const int32_t *)RUN(m, ramp))[5], 0);
	assert_int_equal(((const int32_t *)RUN(m, ramp))[4], 255 * 3);
}

static void fused_by_onnxruntime(void **state)
{
	model *m = model_new(11);

	(void)state;
	input(m, "x", DT(FLOAT), "1,2");
	BYTES(m, "w", INT8, "2,2", 1, 2, 0xff, 0x80);
	FLOATS(m, "sw", "2", 0.5f, 2);
	FLOATS(m, "b", "2", 100, 200);
	BYTES(m, "zw", INT8, "2", 1, 1);
	node(m, "com.microsoft.DynamicQuantizeMatMul", "x w sw zw b", "y");
	output(m, "y");
	EXPECT(RUN(m, ramp), 100 - 1, 200 - 258);
	m->graph.n_node = 0;
	node(m, "DynamicQuantizeLinear", "x", "q s z");
	node(m, "com.microsoft.MatMulIntegerToFloat", "q w s sw z zw b", "y");
	EXPECT(RUN(m, ramp), 100 - 1, 200 - 258);
	assert_true(count(m, VQ_OP_LINEAR_DYNAMIC) == 1 &&
		vq_operand(&m->g, vq_def_of(&m->g, m->g.output[0].value), 3).id != 0);
	m->graph.n_node = 1;
	FLOATS(m, "s1", "", 0.25f);
	BYTES(m, "z1", UINT8, "", 2);
	node(m, "com.microsoft.MatMulIntegerToFloat", "q w s1 sw z1 zw", "y");
	/* codes 0 and 255 of scale 1/255, taken for codes of scale 1/4 with zero 2 */
	EXPECT(RUN(m, ramp), -2 * 0.25f * 0 + 253 * 0.25f * -2 * 0.5f, -2 * 0.25f * 2 + 253 * 0.25f * -129 * 2);
}

static void refusals(void **state)
{
	model *m = one(11, "2", "DynamicQuantizeLinear", "x");

	(void)state;
	m->input[0] = value_info(m, "x", DT(INT32), "2");
	must_refuse(m, "input is i32[2], expected floats");
	m = model_new(11);
	input(m, "a", DT(FLOAT), "2,2");
	BYTES(m, "w", INT8, "2,2", 1, 2, 3, 4);
	node(m, "MatMulInteger", "a w", "y");
	output(m, "y");
	must_refuse(m, "input 0 is f32[2,2], expected uint8 or int8");
	m = model_new(11);
	input(m, "a", DT(UINT8), "2,2");
	BYTES(m, "w", INT8, "2,2", 1, 2, 3, 4);
	BYTES(m, "zw", UINT8, "", 1);
	node(m, "MatMulInteger", "a w - zw", "y");
	output(m, "y");
	must_refuse(m, "weights are s8, but their zero point is u8");
	m->initializer[1] = tensor(m, "zw", DT(INT8), "3", "\1\1\1", 3);
	must_refuse(m, "there are 3 zero points, but dimension 1 is 2");
	m = product(false, "int8", 0);
	m->initializer[2] = tensor(m, "sw", DT(FLOAT), "2", (float[]){ 0, 1 }, 8);
	must_refuse(m, "scale 0 is 0, expected a positive number");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_results),
		cmocka_unit_test(integers_alone),
		cmocka_unit_test(long_sums),
		cmocka_unit_test(becomes_linear_dynamic),
		cmocka_unit_test(one_scale),
		cmocka_unit_test(other_uses_stay_exact),
		cmocka_unit_test(convolution),
		cmocka_unit_test(fused_by_onnxruntime),
		cmocka_unit_test(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
