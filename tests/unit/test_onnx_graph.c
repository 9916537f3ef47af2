/* SPDX-License-Identifier: MIT */
/* Inputs, options, names and refusals of imported graphs. */
#include "onnx_model.h"

/* ---- inputs and options ---- */

static void symbolic_dimensions(void **state)
{
	model *m = one(13, "batch,3", "Relu", "x");

	(void)state;
	must_refuse(m, "input 'x': dimension 0 ('batch') has no size");
	must_say(m, "-dim batch=1");
	assert_int_equal(m->diag.errors, 1);
	m = one(13, "batch,3", "Relu", "x");
	assert_true(import_with(m, &(vq_import_options){ .dims = (const char *[]){ "batch=4" }, .n_dims = 1 }));
	expect_shape(m, "f32[4,3]");
	/* -shape of one input gives the others their dimensions */
	m = one(13, "batch,3", "Add", "x z");
	input(m, "z", DT(FLOAT), "batch,1");
	assert_true(import_with(m, &(vq_import_options){ .shapes = (const char *[]){ "x=2x3" }, .n_shapes = 1 }));
	expect_shape(m, "f32[2,3]");
	m = one(13, "?,3", "Relu", "x");
	must_refuse(m, "dimension 0 has neither size nor name");
	m = one(13, "=?,=?", "Relu", "x"); /* as a name it is none */
	assert_true(import_with(m, &(vq_import_options){ .shapes = (const char *[]){ "x=2x3" }, .n_shapes = 1 }));
	expect_shape(m, "f32[2,3]");
	m = one(13, "?,3,?,?", "Relu", "x");
	must_refuse(m, "dimension 3 has neither size nor name");
	must_say(m, "give the whole shape, with numbers for letters: -shape x=1x3xAxB");
	m = one(13, NULL, "Relu", "x");
	must_refuse(m, "the model gives it no shape");
	m = one(13, "-1,3", "Relu", "x");
	must_refuse(m, "dimension 0 is -1, expected at least 1");
}

static void refuse_options(const char *dim, const char *shape, const char *part)
{
	model *m = one(13, "batch,3", "Relu", "x");
	vq_import_options o = { .dims = &dim, .n_dims = dim != NULL, .shapes = &shape, .n_shapes = shape != NULL };

	assert_false(import_with(m, &o));
	must_say(m, part);
}

static void options_are_checked(void **state)
{
	(void)state;
	refuse_options("batch", NULL, "expected NAME=VALUE");
	refuse_options("batch=0", NULL, "expected NAME=VALUE");
	refuse_options("batch=99999999999999999999", NULL, "expected NAME=VALUE");
	refuse_options("bath=1", NULL, "no input has a dimension of this name");
	refuse_options("bath=1", NULL, "the model has 'batch' of 'x'");
	refuse_options(NULL, "x=1x", "expected INPUT=1x3x224x224");
	refuse_options(NULL, "x=1x4", "the model fixes it at 3");
	refuse_options(NULL, "x=1x3x3", "-shape gives 3 dimensions, the model has 2");
	refuse_options(NULL, "z=1x3", "the model has no input of this name");
	refuse_options("batch=2", "x=1x3", "which is 2 elsewhere");
}

static void inputs_and_outputs(void **state)
{
	model *m = one(13, "2", "Add", "x w");

	(void)state;
	/* old IR versions list initializers among the inputs */
	input(m, "w", DT(FLOAT), "2");
	FLOATS(m, "w", "2", 1, 2);
	input(m, "unused", DT(INT64), "1");
	output(m, "x");
	output(m, "w");
	must_import(m);
	assert_int_equal(m->g.n_inputs, 2);
	assert_string_equal(m->g.input[1].name, "unused");
	assert_int_equal(m->g.n_outputs, 3);
	assert_string_equal(m->g.node[1].name, "n0");
	assert_string_equal(m->g.node[1].source, "Add");
	assert_string_equal(m->g.value[m->g.output[0].value.id].name, "y");
	/* a declared shape that is wrong is worth a warning */
	m = one(13, "2", "Relu", "x");
	m->output[0] = value_info(m, "y", DT(FLOAT), "3");
	must_import(m);
	must_say(m, "warning: output 'y': dimension 0 is declared as 3, but computed as 2");
}

/* ---- refusals ---- */

static void all_problems_are_reported(void **state)
{
	model *m = model_new(13);

	(void)state;
	input(m, "x", DT(FLOAT), "2,3");
	node(m, "TopK", "x", "a");
	node(m, "Relu", "a", "b"); /* silent: its input was refused */
	node(m, "Scan", "b", "c");
	node(m, "org.acme.Swish", "x", "d");
	node(m, "MatMul", "x x", "e");
	node(m, "com.microsoft.nchwc.Conv", "x", "f");
	node(m, "Add", "c d", "y");
	output(m, "y");
	must_refuse(m, "node 'n0' (TopK): operator TopK is not supported");
	must_say(m, "inputs: f32[2,3]; operator set 13");
	must_say(m, "sort in your program");
	must_say(m, "node 'n2' (Scan)");
	must_say(m, "operator Swish of domain 'org.acme' is not supported");
	must_say(m, "optimise the model with ORT_ENABLE_EXTENDED");
	must_say(m, "node 'n4' (MatMul): inner dimensions differ");
	assert_int_equal(m->diag.errors, 5);
}

/* Converters append nodes at the end that others read: a float16 model with float32 inputs. */
static void nodes_in_any_order(void **state)
{
	static const float x[] = { 1, -2 }, want[] = { 0.5f, 1 };
	model *m = model_new(13);

	(void)state;
	input(m, "x", DT(FLOAT), "2");
	FLOATS(m, "half", "1", 0.5f);
	node(m, "Abs", "c", "y");
	node(m, "Mul", "b half", "c");
	node(m, "Neg", "a", "b");
	node(m, "Neg", "x", "a");
	output(m, "y");
	must_import(m);
	expect_floats(run_on(m, (const void *const[]){ x }), want, 2);
}

/* a model of many layers says once what it has many times */
static void one_message_per_operator(void **state)
{
	model *m = one(13, "2", "TopK", "x");

	(void)state;
	node(m, "TopK", "x", "a");
	node(m, "LSTM", "x", "b");
	node(m, "TopK", "b", "c");
	must_refuse(m, "node 'n0' (TopK): operator TopK is not supported");
	must_say(m, "3 nodes of the model are TopK");
	must_say(m, "node 'n2' (LSTM): operator LSTM is not supported");
	must_say(m, "recurrent layers are out of scope");
	assert_int_equal(m->diag.errors, 2);
}

static void broken_graphs(void **state)
{
	model *m = one(13, "2", "Relu", "z");

	(void)state;
	must_refuse(m, "input 0 'z' is not defined anywhere in the model");
	m = model_new(13);
	input(m, "x", DT(FLOAT), "2");
	node(m, "Add", "x b", "a");
	node(m, "Relu", "a", "b");
	output(m, "b");
	must_refuse(m, "node 'n1' (Relu): input 0 'a' is computed from this node's results: the graph has a cycle");
	must_say(m, "'a' comes from node 'n0' (Add)");
	m = one(13, "2", "Relu", "x");
	node(m, "Neg", "x", "y");
	must_refuse(m, "the tensor name 'y' is used twice");
	m = one(13, "2", "Relu", "x");
	output(m, "w");
	must_refuse(m, "output 'w': no node computes it");
	m = one(13, "2", "Relu", "x");
	m->graph.n_output = 0;
	must_refuse(m, "the graph has no outputs");
	m = one(13, "2", "Add", "x");
	must_refuse(m, "input 1 is missing, expected at least 2");
	m = one(13, "2", "Relu", "x x");
	must_refuse(m, "it has 2 inputs, expected at most 1");
	m = one(13, "2", "Reshape", "x s");
	input(m, "s", DT(INT64), "1");
	must_refuse(m, "input 1 (shape) must be a constant, but 's' is computed at run time");
	m = one(13, "2", "Softmax", "x");
	attr_f(m, "axis", 1);
	must_refuse(m, "attribute 'axis' is of type float, expected int");
	m = one(13, "2", "Relu", "x");
	attr_i(m, "colour", 1);
	must_refuse(m, "node 'n0' (Relu): attribute 'colour' is not known");
}

/* the list of operators names each one once per range of versions */
static void table_is_sound(void **state)
{
	const char *name, *domain, *other;
	int since, first;

	(void)state;
	for (uint32_t i = 0; (name = vq_onnx_op_name(i, &domain, &since)); i++) {
		assert_true(since >= 1 && since <= 24);
		for (uint32_t k = 0; k < i; k++) {
			const char *same = vq_onnx_op_name(k, &other, &first);

			assert_false(!strcmp(same, name) && !strcmp(other, domain) && first == since);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(symbolic_dimensions),
		cmocka_unit_test(options_are_checked),
		cmocka_unit_test(inputs_and_outputs),
		cmocka_unit_test(all_problems_are_reported),
		cmocka_unit_test(nodes_in_any_order),
		cmocka_unit_test(one_message_per_operator),
		cmocka_unit_test(broken_graphs),
		cmocka_unit_test(table_is_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
