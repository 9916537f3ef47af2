/* SPDX-License-Identifier: MIT */
/* Every family of operators with its opset differences. */
#include "onnx_model.h"

static const float ramp[24] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23 };

/* ---- elementwise ---- */

static void unary(const char *op, int64_t opset, float x, float want)
{
	EXPECT(RUN(one(opset, "1", op, "x"), &x), want);
}

static void elementwise_unary(void **state)
{
	(void)state;
	unary("Neg", 13, 2, -2);
	unary("Abs", 13, -2, 2);
	unary("Sqrt", 13, 9, 3);
	unary("Reciprocal", 13, 4, 0.25f);
	unary("Exp", 13, 1, expf(1));
	unary("Log", 13, 3, logf(3));
	unary("Erf", 13, 0.5f, erff(0.5f));
	unary("Tanh", 13, 0.5f, tanhf(0.5f));
	unary("Sigmoid", 13, 1, 1 / (1 + expf(-1)));
	unary("Relu", 13, -1, 0);
	unary("Floor", 13, -1.5f, -2);
	unary("Ceil", 13, 1.2f, 2);
	unary("Round", 22, 2.5f, 2);
	unary("Sign", 13, -3, -1);
	unary("Softplus", 13, 100, 100);
	unary("Softsign", 13, 1, 0.5f);
	unary("HardSwish", 14, 1, 1 * (1 / 6.0f + 0.5f));
	unary("Mish", 18, 1, tanhf(logf(1 + expf(1))));
	unary("Elu", 13, -1, expf(-1) - 1);
	unary("LeakyRelu", 13, -1, -0.01f);
	unary("Gelu", 20, 1, 0.5f * (1 + erff(sqrtf(0.5f))));
	unary("com.microsoft.QuickGelu", 13, 1, 1 / (1 + expf(-1.702f)));
	unary("com.microsoft.Gelu", 13, 1, 0.5f * (1 + erff(sqrtf(0.5f))));
	must_refuse(one(17, "1", "Gelu", "x"), "operator set version is 17, but Gelu exists from version 20 on");
}

static void gelu_approximations(void **state)
{
	float x = 1;
	model *m = one(20, "1", "Gelu", "x");

	(void)state;
	attr_s(m, "approximate", "tanh");
	EXPECT(RUN(m, &x), 0.5f * (1 + tanhf(0.7978845608f * 1.044715f)));
	m = one(20, "1", "Gelu", "x");
	attr_s(m, "approximate", "fast");
	must_refuse(m, "'approximate' is 'fast', expected 'none' or 'tanh'");
}

static void binary(const char *op, float a, float b, float want)
{
	model *m = one(13, "1", op, "x b");

	FLOATS(m, "b", "", b);
	EXPECT(RUN(m, &a), want);
}

static void comparison(const char *op, float a, float b, bool want)
{
	model *m = one(13, "1", op, "x b");
	const uint8_t *y;

	FLOATS(m, "b", "", b);
	y = RUN(m, &a);
	assert_int_equal(*y, want);
}

static void elementwise_binary(void **state)
{
	(void)state;
	binary("Add", 2, 3, 5);
	binary("Sub", 2, 3, -1);
	binary("Mul", 2, 3, 6);
	binary("Div", 2, 4, 0.5f);
	binary("Pow", 3, 2, 9);
	binary("Min", 2, 3, 2);
	binary("Max", 2, 3, 3);
	comparison("Less", 1, 2, true);
	comparison("Greater", 1, 2, false);
	comparison("Equal", 2, 2, true);
	comparison("LessOrEqual", 2, 2, true);
	comparison("LessOrEqual", 2, NAN, false);
	comparison("GreaterOrEqual", 1, 2, false);
}

static void variadic_and_clip(void **state)
{
	float x[] = { -5, 0.5f, 5 };
	model *m = one(13, "3", "Max", "x a b");

	(void)state;
	FLOATS(m, "a", "", 0);
	FLOATS(m, "b", "3", 1, 0, 9);
	EXPECT(RUN(m, x), 1, 0.5f, 9);
	m = one(13, "3", "Clip", "x lo hi");
	FLOATS(m, "lo", "", -1);
	FLOATS(m, "hi", "", 1);
	EXPECT(RUN(m, x), -1, 0.5f, 1);
	m = one(13, "3", "Clip", "x - hi");
	FLOATS(m, "hi", "", 1);
	EXPECT(RUN(m, x), -5, 0.5f, 1);
}

static void casts_and_where(void **state)
{
	float x[] = { -1.7f, 2.7f };
	model *m = one(13, "2", "Cast", "x");
	const int64_t *y;

	(void)state;
	attr_i(m, "to", DT(INT64));
	y = RUN(m, x);
	assert_true(y[0] == -1 && y[1] == 2);
	m = one(13, "2", "Where", "c x z");
	BYTES(m, "c", BOOL, "2", 1, 0);
	FLOATS(m, "z", "", 9);
	EXPECT(RUN(m, x), -1.7f, 9);
	m = one(13, "2", "Cast", "x");
	attr_i(m, "to", DT(STRING));
	must_refuse(m, "cast to string is not supported");
}

static void dropout(void **state)
{
	float x[] = { 1, 2 };
	model *m = one(13, "2", "Dropout", "x ratio training");

	(void)state;
	FLOATS(m, "ratio", "", 0);
	BYTES(m, "training", BOOL, "", 1);
	EXPECT(RUN(m, x), 1, 2);
	assert_int_equal(m->g.n_nodes, 1);
	m = one(13, "2", "Dropout", "x ratio training");
	FLOATS(m, "ratio", "", 0.5f);
	BYTES(m, "training", BOOL, "", 1);
	must_refuse(m, "training mode");
}

/* ---- reductions: axes as attribute, then as input ---- */

static void reductions(void **state)
{
	model *m = one(13, "2,3", "ReduceMean", "x");

	(void)state;
	ATTR_INTS(m, "axes", -1);
	EXPECT(RUN(m, ramp), 1, 4);
	expect_shape(m, "f32[2,1]");
	m = one(18, "2,3", "ReduceMean", "x axes");
	INTS(m, "axes", "1", 0);
	attr_i(m, "keepdims", 0);
	EXPECT(RUN(m, ramp), 1.5f, 2.5f, 3.5f);
	expect_shape(m, "f32[3]");
	m = one(13, "2,3", "ReduceSum", "x axes");
	INTS(m, "axes", "1", 1);
	EXPECT(RUN(m, ramp), 3, 12);
	m = one(11, "2,3", "ReduceSum", "x");
	attr_i(m, "keepdims", 0);
	EXPECT(RUN(m, ramp), 15);
	expect_shape(m, "f32[]");
	m = one(13, "2,3", "ReduceSum", "x axes");
	initializer(m, "axes", DT(INT64), "0", "", 0);
	attr_i(m, "noop_with_empty_axes", 1);
	EXPECT(RUN(m, ramp), 0, 1, 2, 3, 4, 5);
	m = one(13, "2,3", "ReduceL2", "x");
	ATTR_INTS(m, "axes", 1);
	EXPECT(RUN(m, ramp), sqrtf(5), sqrtf(50));
	m = one(13, "2,3", "ReduceLogSumExp", "x");
	ATTR_INTS(m, "axes", 0);
	EXPECT(RUN(m, ramp), 3 + log1pf(expf(-3)), 4 + log1pf(expf(-3)), 5 + log1pf(expf(-3)));
	m = one(13, "1,2,2,3", "GlobalAveragePool", "x");
	EXPECT(RUN(m, ramp), 2.5f, 8.5f);
	expect_shape(m, "f32[1,2,1,1]");
	m = one(13, "2,3", "ReduceMean", "x");
	ATTR_INTS(m, "axes", 5);
	must_refuse(m, "axis is 5, expected -2 to 1");
	must_say(m, "node 'n0' (ReduceMean)");
}

/* ---- products ---- */

static void matmul(void **state)
{
	model *m = one(13, "2,3", "MatMul", "x w");

	(void)state;
	FLOATS(m, "w", "3,2", 1, 0, 0, 1, 1, 1);
	EXPECT(RUN(m, ramp), 2, 3, 8, 9);
	/* vectors on either side and on both */
	m = one(13, "3", "MatMul", "x w");
	FLOATS(m, "w", "3,2", 1, 0, 0, 1, 1, 1);
	EXPECT(RUN(m, ramp), 2, 3);
	expect_shape(m, "f32[2]");
	m = one(13, "2,3", "MatMul", "x w");
	FLOATS(m, "w", "3", 1, 0, 1);
	EXPECT(RUN(m, ramp), 2, 8);
	expect_shape(m, "f32[2]");
	m = one(13, "3", "MatMul", "x w");
	FLOATS(m, "w", "3", 1, 0, 1);
	EXPECT(RUN(m, ramp), 2);
	expect_shape(m, "f32[]");
	m = one(13, "2,3", "MatMul", "x w");
	FLOATS(m, "w", "2,2", 1, 2, 3, 4);
	must_refuse(m, "inner dimensions differ");
}

static void gemm(void **state)
{
	model *m = one(13, "2,3", "Gemm", "x w c");

	(void)state;
	FLOATS(m, "w", "2,3", 1, 0, 0, 0, 1, 0);
	FLOATS(m, "c", "2", 10, 20);
	attr_i(m, "transB", 1);
	attr_f(m, "alpha", 2);
	attr_f(m, "beta", 0.5f);
	EXPECT(RUN(m, ramp), 5, 12, 11, 18);
	m = one(11, "3,2", "Gemm", "x w");
	FLOATS(m, "w", "3,1", 1, 1, 1);
	attr_i(m, "transA", 1);
	EXPECT(RUN(m, ramp), 6, 9);
}

static void einsum(void **state)
{
	model *m = model_new(13);

	(void)state;
	input(m, "q", DT(FLOAT), "1,2,2,3");
	input(m, "k", DT(FLOAT), "1,2,1,3");
	node(m, "Einsum", "q k", "y");
	attr_s(m, "equation", "bhid,bhjd->bhij");
	output(m, "y");
	EXPECT(RUN(m, ramp, ramp), 5, 14, 86, 122);
	expect_shape(m, "f32[1,2,2,1]");
	m = one(13, "2,3", "Einsum", "x w");
	FLOATS(m, "w", "2", 1, 10);
	attr_s(m, "equation", "ij, i -> j");
	EXPECT(RUN(m, ramp), 30, 41, 52);
	m = one(13, "2,3", "Einsum", "x");
	attr_s(m, "equation", "...j->j...");
	EXPECT(RUN(m, ramp), 0, 3, 1, 4, 2, 5);
	m = one(13, "2,2", "Einsum", "x");
	attr_s(m, "equation", "ii->i");
	must_refuse(m, "label 'i' stands twice");
}

static void convolution(void **state)
{
	model *m = one(13, "1,1,3,3", "Conv", "x w b");

	(void)state;
	FLOATS(m, "w", "1,1,2,2", 1, 1, 1, 1);
	FLOATS(m, "b", "1", 100);
	EXPECT(RUN(m, ramp), 108, 112, 120, 124);
	m = one(13, "1,1,3,3", "Conv", "x w");
	FLOATS(m, "w", "1,1,2,2", 1, 1, 1, 1);
	ATTR_INTS(m, "strides", 2, 2);
	attr_s(m, "auto_pad", "SAME_UPPER");
	EXPECT(RUN(m, ramp), 8, 7, 13, 8);
	m = one(13, "1,1,3,3", "MaxPool", "x");
	ATTR_INTS(m, "kernel_shape", 2, 2);
	ATTR_INTS(m, "pads", 1, 1, 0, 0);
	EXPECT(RUN(m, ramp), 0, 1, 2, 3, 4, 5, 6, 7, 8);
	m = one(13, "1,1,3,3", "AveragePool", "x");
	ATTR_INTS(m, "kernel_shape", 2, 2);
	ATTR_INTS(m, "pads", 1, 1, 0, 0);
	EXPECT(RUN(m, ramp), 0, 0.5f, 1.5f, 1.5f, 2, 3, 4.5f, 5, 6);
	m = one(13, "1,1,3,3", "Conv", "x w");
	FLOATS(m, "w", "1,1,2,2", 1, 1, 1, 1);
	ATTR_INTS(m, "kernel_shape", 3, 3);
	must_refuse(m, "'kernel_shape' is 3 in dimension 0, but the weights have 2");
}

/* ---- movement ---- */

static void reshapes(void **state)
{
	model *m = one(13, "2,3,4", "Reshape", "x s");

	(void)state;
	INTS(m, "s", "2", 0, -1);
	EXPECT(RUN(m, ramp), 0, 1);
	expect_shape(m, "f32[2,12]");
	m = one(13, "2,3,4", "Reshape", "x s");
	INTS(m, "s", "2", 5, -1);
	must_refuse(m, "24 elements are no multiple of 5");
	m = one(13, "2,3,4", "Flatten", "x");
	attr_i(m, "axis", -1);
	RUN(m, ramp);
	expect_shape(m, "f32[6,4]");
	m = one(11, "2,3", "Unsqueeze", "x");
	ATTR_INTS(m, "axes", 0, 3);
	RUN(m, ramp);
	expect_shape(m, "f32[1,2,3,1]");
	m = one(13, "1,2,1,3", "Squeeze", "x a");
	INTS(m, "a", "1", -2);
	RUN(m, ramp);
	expect_shape(m, "f32[1,2,3]");
	m = one(11, "1,2,1,3", "Squeeze", "x");
	RUN(m, ramp);
	expect_shape(m, "f32[2,3]");
	m = one(13, "1,3", "Expand", "x s");
	INTS(m, "s", "3", 2, 1, 1);
	EXPECT(RUN(m, ramp), 0, 1, 2, 0, 1, 2);
	expect_shape(m, "f32[2,1,3]");
	m = one(13, "1,3", "Tile", "x r");
	INTS(m, "r", "2", 2, 2);
	EXPECT(RUN(m, ramp), 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2);
	m = one(13, "2,3", "Transpose", "x");
	EXPECT(RUN(m, ramp), 0, 3, 1, 4, 2, 5);
}

static void slices(void **state)
{
	model *m = one(13, "2,4", "Slice", "x s e a t");

	(void)state;
	INTS(m, "s", "1", -1);
	INTS(m, "e", "1", INT64_MIN + 1);
	INTS(m, "a", "1", 1);
	INTS(m, "t", "1", -2);
	EXPECT(RUN(m, ramp), 3, 1, 7, 5);
	m = one(13, "2,4", "Slice", "x s e a");
	INTS(m, "s", "1", 1);
	INTS(m, "e", "1", INT64_MAX);
	INTS(m, "a", "1", -1);
	EXPECT(RUN(m, ramp), 1, 2, 3, 5, 6, 7);
	m = one(11, "2,4", "Split", "x");
	m->node[0]->output = names(m, "y z", &m->node[0]->n_output);
	ATTR_INTS(m, "split", 1, 3);
	attr_i(m, "axis", 1);
	EXPECT(RUN(m, ramp), 0, 4);
	m = one(13, "2,4", "Split", "x s");
	m->node[0]->output = names(m, "z y", &m->node[0]->n_output);
	INTS(m, "s", "2", 1, 3);
	attr_i(m, "axis", -1);
	EXPECT(RUN(m, ramp), 1, 2, 3, 5, 6, 7);
	m = one(18, "2,5", "Split", "x");
	m->node[0]->output = names(m, "z y", &m->node[0]->n_output);
	attr_i(m, "num_outputs", 2);
	attr_i(m, "axis", 1);
	EXPECT(RUN(m, ramp), 3, 4, 8, 9);
	m = one(13, "2,5", "Split", "x");
	m->node[0]->output = names(m, "z y", &m->node[0]->n_output);
	attr_i(m, "axis", 1);
	must_refuse(m, "dimension 1 is 5, which 2 outputs do not divide");
}

static void gathers_and_joins(void **state)
{
	model *m = one(13, "2,3", "Gather", "x i");

	(void)state;
	INTS(m, "i", "", -1);
	attr_i(m, "axis", 1);
	EXPECT(RUN(m, ramp), 2, 5);
	expect_shape(m, "f32[2]");
	m = one(13, "2,3", "Gather", "x i");
	INTS(m, "i", "1", 2);
	must_refuse(m, "index 2 at position 0 is outside of -2 to 1");
	m = one(13, "1,2", "Concat", "x c x");
	FLOATS(m, "c", "1,1", 9);
	attr_i(m, "axis", -1);
	EXPECT(RUN(m, ramp), 0, 1, 9, 0, 1);
}

static void pads(void **state)
{
	model *m = one(13, "1,3", "Pad", "x p v");

	(void)state;
	INTS(m, "p", "4", 0, 1, 0, -1);
	FLOATS(m, "v", "", 7);
	EXPECT(RUN(m, ramp), 7, 0, 1);
	m = one(13, "1,3", "Pad", "x p");
	INTS(m, "p", "4", 0, 2, 0, 1);
	attr_s(m, "mode", "reflect");
	EXPECT(RUN(m, ramp), 2, 1, 0, 1, 2, 1);
	m = one(18, "1,3", "Pad", "x p - a");
	INTS(m, "p", "2", 0, 0);
	INTS(m, "a", "1", 1);
	EXPECT(RUN(m, ramp), 0, 1, 2);
	assert_int_equal(m->g.n_nodes, 1);
}

/* ---- shape arithmetic: nothing of it is left in the graph ---- */

static void shapes_fold(void **state)
{
	model *m = model_new(15);

	(void)state;
	input(m, "x", DT(FLOAT), "2,3,4");
	INTS(m, "zero", "1", 0);
	INTS(m, "minus", "1", -1);
	INTS(m, "nowhere", "1", 0);
	node(m, "Shape", "x", "s");
	node(m, "Slice", "s zero two", "head");
	INTS(m, "two", "1", 2);
	node(m, "Slice", "s zero nowhere", "empty");
	node(m, "Mul", "minus empty", "still"); /* torch.zeros(0) * 2 and the like */
	node(m, "Neg", "still", "none");
	node(m, "Concat", "none head minus", "target");
	attr_i(m, "axis", 0);
	node(m, "Reshape", "x target", "t");
	node(m, "Shape", "t", "tail");
	attr_i(m, "start", -1);
	node(m, "Cast", "tail", "f");
	attr_i(m, "to", DT(FLOAT));
	node(m, "Add", "t f", "y");
	output(m, "y");
	EXPECT(RUN(m, ramp), 4, 5, 6, 7);
	assert_int_equal(m->g.n_nodes, 2);
	assert_int_equal(m->g.node[1].op, VQ_OP_ADD);
}

static void nothing_broadcasts(void **state)
{
	model *m = model_new(15);

	(void)state;
	input(m, "x", DT(FLOAT), "3");
	INTS(m, "size", "1", 0);
	node(m, "ConstantOfShape", "size", "nothing");
	node(m, "Add", "x nothing", "y");
	output(m, "y");
	must_refuse(m, "dimensions 3 and 0 do not broadcast");
}

static void generators(void **state)
{
	model *m = model_new(14);
	const int64_t *v;

	(void)state;
	INTS(m, "a", "", 5);
	INTS(m, "b", "", 0);
	INTS(m, "c", "", -2);
	node(m, "Range", "a b c", "y");
	output(m, "y");
	must_import(m);
	v = m->g.value[m->g.output[0].value.id].data;
	assert_true(v[0] == 5 && v[1] == 3 && v[2] == 1);
	expect_shape(m, "i64[3]");
	m = one(14, "3,3", "Trilu", "x");
	attr_i(m, "upper", 0);
	EXPECT(RUN(m, ramp), 0, 0, 0, 3, 4, 0, 6, 7, 8);
	m = model_new(13);
	INTS(m, "s", "1", 1LL << 60);
	node(m, "ConstantOfShape", "s", "y");
	output(m, "y");
	must_refuse(m, "more than 2^40 elements");
	m = model_new(13);
	INTS(m, "a", "", 0);
	INTS(m, "b", "", INT64_MAX);
	INTS(m, "c", "", 1);
	node(m, "Range", "a b c", "y");
	output(m, "y");
	must_refuse(m, "endless or too long");
	m = model_new(13);
	FLOATS(m, "d", "4", 1, 2, 3, 4);
	INTS(m, "i", "2,1", 3, 0);
	FLOATS(m, "u", "2", 30, 10);
	node(m, "ScatterND", "d i u", "y");
	output(m, "y");
	must_import(m);
	EXPECT(m->g.value[m->g.output[0].value.id].data, 10, 2, 3, 30);
}

/* an If whose condition is constant is the branch taken */
static void constant_if(void **state)
{
	Onnx__NodeProto *inner[1];
	Onnx__ValueInfoProto *out[1];
	Onnx__GraphProto branch = ONNX__GRAPH_PROTO__INIT;
	Onnx__AttributeProto *a;
	model *m = model_new(13);
	uint8_t packed[256];

	(void)state;
	input(m, "x", DT(FLOAT), "2");
	inner[0] = node(m, "Neg", "x", "inner");
	m->graph.n_node = 0;
	out[0] = value_info(m, "inner", DT(FLOAT), "2");
	branch.node = inner;
	branch.n_node = 1;
	branch.output = out;
	branch.n_output = 1;
	assert_true(onnx__graph_proto__get_packed_size(&branch) <= sizeof packed);
	BYTES(m, "c", BOOL, "", 1);
	node(m, "If", "c", "y");
	a = attribute(m, "then_branch", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH);
	a->has_g = 1;
	a->g.data = packed;
	a->g.len = onnx__graph_proto__pack(&branch, packed);
	output(m, "y");
	EXPECT(RUN(m, ramp), 0, -1);
}

/* ---- normalisation ---- */

static void layernorm(void **state)
{
	static const float x[] = { 1, 3, 5, 5 };
	model *m = one(17, "2,2", "LayerNormalization", "x g b");

	(void)state;
	FLOATS(m, "g", "2", 2, 2);
	FLOATS(m, "b", "2", 1, 0);
	attr_f(m, "epsilon", 0);
	/* the second row is constant: with epsilon 0 its variance is 0, so give it one */
	m->node[0]->attribute[0]->f = 1e-5f;
	EXPECT(RUN(m, x), 1 - 2 / sqrtf(1.00001f), 2 / sqrtf(1.00001f), 1, 0);
	m = one(17, "2,2", "LayerNormalization", "x g");
	FLOATS(m, "g", "2,2", 1, 1, 1, 1);
	attr_i(m, "axis", 0);
	EXPECT(RUN(m, x), -1.5075542f, -0.3015108f, 0.9045325f, 0.9045325f);
	expect_shape(m, "f32[2,2]");
}

static void softmax_versions(void **state)
{
	static const float x[] = { 0, 0, 0, 0, 0, 0, 0, 0 };
	model *m = one(13, "2,2,2", "Softmax", "x");

	(void)state;
	EXPECT(RUN(m, x), 0.5f, 0.5f);
	m = one(11, "2,2,2", "Softmax", "x");
	EXPECT(RUN(m, x), 0.25f, 0.25f, 0.25f, 0.25f);
	expect_shape(m, "f32[2,2,2]");
	m = one(13, "2,2,2", "LogSoftmax", "x");
	attr_i(m, "axis", 0);
	EXPECT(RUN(m, x), -logf(2), -logf(2));
}

static void batch_norm(void **state)
{
	model *m = one(13, "1,2,2", "BatchNormalization", "x s b m v");

	(void)state;
	FLOATS(m, "s", "2", 1, 2);
	FLOATS(m, "b", "2", 0, 1);
	FLOATS(m, "m", "2", 0, 1);
	FLOATS(m, "v", "2", 1, 4);
	attr_f(m, "epsilon", 0);
	EXPECT(RUN(m, ramp), 0, 1, 2, 3);
}

static void attention(void **state)
{
	static const float same[] = { 1, 1, 1, 1, 1, 1, 1, 1 };
	model *m = model_new(23);

	(void)state;
	/* equal scores: each query takes the mean of the values it sees */
	input(m, "q", DT(FLOAT), "1,2,4");
	input(m, "v", DT(FLOAT), "1,2,4");
	node(m, "Attention", "q q v", "y");
	attr_i(m, "q_num_heads", 2);
	attr_i(m, "kv_num_heads", 2);
	attr_i(m, "is_causal", 1);
	output(m, "y");
	EXPECT(RUN(m, same, ramp), 0, 1, 2, 3, 2, 3, 4, 5);
	expect_shape(m, "f32[1,2,4]");
	m = model_new(23);
	input(m, "q", DT(FLOAT), "1,2,2,2");
	input(m, "v", DT(FLOAT), "1,1,2,2");
	BYTES(m, "mask", BOOL, "2,2", 1, 1, 0, 1);
	node(m, "Attention", "q v v mask", "y");
	attr_f(m, "scale", 0);
	output(m, "y");
	EXPECT(RUN(m, same, ramp), 1, 2, 2, 3, 1, 2, 2, 3);
	m = model_new(23);
	input(m, "q", DT(FLOAT), "1,2,2,2");
	node(m, "Attention", "q q q - q", "y");
	output(m, "y");
	must_refuse(m, "past keys come without past values");
	m = model_new(23);
	input(m, "q", DT(FLOAT), "1,2,2,2");
	input(m, "v", DT(FLOAT), "1,2,3,2");
	node(m, "Attention", "q q v", "y");
	output(m, "y");
	must_refuse(m, "do not fit: f32[1,2,2,2], f32[1,2,2,2] and f32[1,2,3,2]");
}

/* ---- quantization ---- */

static void activations_in_qdq_form(void **state)
{
	static const float x[] = { -1, 0, 0.26f, 100 };
	model *m = model_new(13);
	const vq_quant *q;

	(void)state;
	input(m, "x", DT(FLOAT), "2,2");
	FLOATS(m, "s", "", 0.5f);
	BYTES(m, "z", UINT8, "", 128);
	node(m, "QuantizeLinear", "x s z", "q");
	node(m, "Transpose", "q", "t");
	node(m, "DequantizeLinear", "t s z", "y");
	output(m, "y");
	EXPECT(RUN(m, x), -1, 0.5f, 0, 63.5f);
	assert_int_equal(m->g.n_quants, 2);
	q = &m->g.quant[1];
	assert_true(q->axis == -1 && q->n == 1 && *q->scale == 0.5f && *q->zero == 0 && q->lo == -128 && q->hi == 127);
	assert_int_equal(m->g.node[1].op, VQ_OP_QUANTIZE);
	assert_int_equal(m->g.node[2].op, VQ_OP_TRANSPOSE);
	assert_int_equal(m->g.node[3].op, VQ_OP_DEQUANTIZE);
}

/* per channel weights, stored as codes and as floats that the model rounds itself */
static void weights_become_codes(void **state)
{
	model *m = one(13, "1,2", "MatMul", "x wd");
	const int8_t *code;
	vq_value w;

	(void)state;
	BYTES(m, "w", INT8, "2,2", 1, 2, 0xff, 0x80);
	FLOATS(m, "s", "2", 0.5f, 2);
	m->graph.n_node = 0;
	node(m, "DequantizeLinear", "w s", "wd");
	attr_i(m, "axis", -1);
	node(m, "MatMul", "x wd", "y");
	/* x = 0 1: the second row */
	EXPECT(RUN(m, ramp), -0.5f, -256);
	assert_int_equal(m->g.quant[1].axis, 1);
	m = model_new(13);
	FLOATS(m, "w", "2,2", 0.25f, 3, -100, 5);
	FLOATS(m, "s", "2", 0.5f, 2);
	BYTES(m, "z", INT8, "2", 0, 0);
	node(m, "QuantizeLinear", "w s z", "q");
	attr_i(m, "axis", 1);
	node(m, "DequantizeLinear", "q s z", "y");
	attr_i(m, "axis", 1);
	output(m, "y");
	must_import(m);
	assert_int_equal(m->g.n_nodes, 2);
	w = m->g.node[1].in[0];
	assert_true(vq_is_const(&m->g, w));
	code = m->g.value[w.id].data;
	/* 0.5 and 1.5 and 2.5 round to even; -200 saturates */
	assert_true(code[0] == 0 && code[1] == 2 && code[2] == -128 && code[3] == 2);
}

static void unsigned_weights_and_biases(void **state)
{
	model *m = model_new(13);
	const int8_t *code;

	(void)state;
	BYTES(m, "w", UINT8, "3", 0, 128, 255);
	FLOATS(m, "s", "1", 1);
	BYTES(m, "z", UINT8, "1", 10);
	node(m, "DequantizeLinear", "w s z", "y");
	output(m, "y");
	EXPECT(run_on(m, (const void *const[]){ NULL }), -10, 118, 245);
	code = m->g.value[m->g.node[1].in[0].id].data;
	assert_true(code[0] == -128 && code[1] == 0 && code[2] == 127 && m->g.quant[1].zero[0] == -118);
	m = model_new(13);
	initializer(m, "b", DT(INT32), "2", (int32_t[]){ 16777217, -3 }, 8);
	FLOATS(m, "s", "2", 0.1f, 0.5f);
	node(m, "DequantizeLinear", "b s", "y");
	attr_i(m, "axis", 0);
	output(m, "y");
	must_import(m);
	assert_int_equal(m->g.n_nodes, 1);
	assert_true(((const float *)m->g.value[m->g.output[0].value.id].data)[0] == (float)(16777217.0 * 0.1f));
}

static model *quantized_x(int64_t opset)
{
	model *m = model_new(opset);

	input(m, "x", DT(FLOAT), "2,2");
	FLOATS(m, "s", "", 0.5f);
	BYTES(m, "z", INT8, "", 0);
	node(m, "QuantizeLinear", "x s z", "q");
	output(m, "y");
	return m;
}

static void quantization_refusals(void **state)
{
	model *m = quantized_x(13);

	(void)state;
	node(m, "Relu", "q", "y");
	must_refuse(m, "input 0 'q' is quantized; only DequantizeLinear");
	m = quantized_x(13);
	m->output[0]->name = (char *)"q";
	must_refuse(m, "output 'q': it is quantized");
	m = quantized_x(13);
	FLOATS(m, "s2", "", 0.25f);
	node(m, "DequantizeLinear", "q s2 z", "y");
	must_refuse(m, "not those that the tensor was quantized with");
	m = quantized_x(21);
	attr_i(m, "block_size", 2);
	must_refuse(m, "scales per block are not supported");
	m = quantized_x(13);
	m->initializer[0]->raw_data.data = make(m, 4, &(float){ 0 });
	must_refuse(m, "scale 0 is 0, expected a positive number");
	m = quantized_x(13);
	m->initializer[0]->raw_data.data = make(m, 4, &(float){ 1e36f });
	node(m, "DequantizeLinear", "q s z", "y");
	EXPECT(RUN(m, ((const float[]){ -3e38f, 0, 1, 3e38f })), -0x1p107f, 0, 0, 127 * 0x1p100f);
	assert_true(has_message(m, "as of a mask"));
	m = quantized_x(21);
	m->initializer[1] = tensor(m, "z", DT(UINT16), "", "\0\0", 2);
	must_refuse(m, "the zero point is uint16");
	m = model_new(21);
	initializer(m, "w", DT(INT16), "1", "\1\0", 2);
	FLOATS(m, "s", "", 1);
	node(m, "DequantizeLinear", "w s", "y");
	output(m, "y");
	must_refuse(m, "input 0 is int16, expected uint8, int8 or int32");
	m = one(13, "2", "com.microsoft.MatMulBnb4", "x");
	must_refuse(m, "give vitqc the float model");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elementwise_unary),
		cmocka_unit_test(gelu_approximations),
		cmocka_unit_test(elementwise_binary),
		cmocka_unit_test(variadic_and_clip),
		cmocka_unit_test(casts_and_where),
		cmocka_unit_test(dropout),
		cmocka_unit_test(reductions),
		cmocka_unit_test(matmul),
		cmocka_unit_test(gemm),
		cmocka_unit_test(einsum),
		cmocka_unit_test(convolution),
		cmocka_unit_test(reshapes),
		cmocka_unit_test(slices),
		cmocka_unit_test(gathers_and_joins),
		cmocka_unit_test(pads),
		cmocka_unit_test(shapes_fold),
		cmocka_unit_test(nothing_broadcasts),
		cmocka_unit_test(generators),
		cmocka_unit_test(constant_if),
		cmocka_unit_test(layernorm),
		cmocka_unit_test(softmax_versions),
		cmocka_unit_test(batch_norm),
		cmocka_unit_test(attention),
		cmocka_unit_test(activations_in_qdq_form),
		cmocka_unit_test(weights_become_codes),
		cmocka_unit_test(unsigned_weights_and_biases),
		cmocka_unit_test(quantization_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
