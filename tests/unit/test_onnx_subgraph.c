/* SPDX-License-Identifier: MIT */
/* Functions of the model and If: scopes of names, attributes that refer to the call's, what is refused. */
#include "onnx_model.h"

/* The nodes made so far become the body of domain "f", function name. */
static Onnx__FunctionProto *function(model *m, const char *name, const char *inputs, const char *outputs)
{
	Onnx__FunctionProto f = ONNX__FUNCTION_PROTO__INIT;
	Onnx__FunctionProto **all = VQ_ARRAY(&m->arena, m->proto.n_functions + 1, Onnx__FunctionProto *);

	f.name = (char *)name;
	f.domain = (char *)"f";
	f.input = names(m, *inputs ? inputs : NULL, &f.n_input);
	f.output = names(m, outputs, &f.n_output);
	f.n_node = m->graph.n_node;
	f.node = VQ_ARRAY(&m->arena, f.n_node, Onnx__NodeProto *);
	memcpy(f.node, m->node, f.n_node * sizeof *f.node);
	m->graph.n_node = 0;
	for (size_t i = 0; i < m->proto.n_functions; i++)
		all[i] = m->proto.functions[i];
	m->proto.functions = all;
	return all[m->proto.n_functions++] = make(m, sizeof f, &f);
}

static model *begin(void)
{
	model *m = model_new(13);

	input(m, "x", DT(FLOAT), "2");
	output(m, "y");
	return m;
}

static Onnx__AttributeProto *refer(model *m, const char *name, const char *to)
{
	Onnx__AttributeProto *a = attribute(m, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);

	a->ref_attr_name = (char *)to;
	return a;
}

/* body: slope * x where x < 0, with the attribute "slope" of the call as LeakyRelu's "alpha" */
static Onnx__FunctionProto *leaky(model *m)
{
	Onnx__FunctionProto *f;

	node(m, "LeakyRelu", "a", "t");
	refer(m, "alpha", "slope");
	node(m, "Identity", "t", "b");
	f = function(m, "Leaky", "a", "b");
	f->attribute = names(m, "slope", &f->n_attribute);
	return f;
}

static void calls_are_written_out(void **state)
{
	float x[] = { -8, 4 };
	model *m = begin();

	(void)state;
	leaky(m);
	node(m, "f.Leaky", "x", "t"); /* names of the body do not meet those of the caller */
	attr_f(m, "slope", 0.5f);
	node(m, "f.Leaky", "t", "y");
	attr_f(m, "slope", 0.25f);
	EXPECT(RUN(m, x), -1, 4);
	assert_string_equal(m->g.node[1].name, "n0/n0");
}

static void attributes_have_defaults(void **state)
{
	float x[] = { -8, 4 };
	model *m = begin();
	Onnx__FunctionProto *f = leaky(m);

	(void)state;
	node(m, "f.Leaky", "x", "y"); /* absent in the call: LeakyRelu's own 0.01 */
	EXPECT(RUN(m, x), -0.08f, 4);
	m = begin();
	f = leaky(m);
	f->n_attribute = 0;
	node(m, "f.Leaky", "x", "y");
	attr_f(m, "slope", 0.5f);
	f->attribute_proto = VQ_ARRAY(&m->arena, 1, Onnx__AttributeProto *);
	f->attribute_proto[0] = m->node[0]->attribute[0];
	f->n_attribute_proto = 1;
	m->node[0]->n_attribute = 0;
	EXPECT(RUN(m, x), -4, 4);
	attr_f(m, "steep", 1);
	must_refuse(m, "attribute 'steep' is not known");
}

static void calls_nest_and_leave_inputs_out(void **state)
{
	float x[] = { -8, 4 };
	model *m = begin();
	Onnx__FunctionProto *f;

	(void)state;
	leaky(m);
	node(m, "f.Leaky", "a", "t");
	refer(m, "slope", "outer");
	node(m, "Clip", "t lo hi", "b");
	f = function(m, "Clipped", "a lo hi", "b");
	f->attribute = names(m, "outer", &f->n_attribute);
	FLOATS(m, "three", "", 3);
	node(m, "f.Clipped", "x - three", "y");
	attr_f(m, "outer", 0.5f);
	EXPECT(RUN(m, x), -4, 3);
}

static void bodies_have_their_own_opset(void **state)
{
	float x[] = { -8, 4 };
	model *m = begin();
	Onnx__FunctionProto *f;
	Onnx__OperatorSetIdProto id = ONNX__OPERATOR_SET_ID_PROTO__INIT, *list = &id;

	(void)state;
	node(m, "Gelu", "a", "b");
	f = function(m, "G", "a", "b");
	node(m, "f.G", "x", "y");
	must_refuse(m, "node 'n0/n0' (Gelu): operator set version is 13, but Gelu exists from version 20 on");
	id.has_version = 1;
	id.version = 20;
	f->opset_import = &list;
	f->n_opset_import = 1;
	m->diag.n = m->diag.errors = 0;
	EXPECT(RUN(m, x), 0, 4 * 0.5f * (1 + erff(4 * sqrtf(0.5f))));
	id.version = 99;
	must_refuse(m, "the function is written in version 99 of the operator set");
}

static void endless_calls_are_refused(void **state)
{
	static const char *const name[] = { "F0", "F1", "F2", "F3", "F4", "F5", "F6", "F7", "F8", "F9", "F10", "F11",
		"F12", "F13", "F14", "F15", "F16", "F17", "F18" };
	model *m = begin();

	(void)state;
	node(m, "f.B", "a", "b");
	function(m, "A", "a", "b");
	node(m, "f.A", "a", "b");
	function(m, "B", "a", "b");
	node(m, "f.A", "x", "y");
	must_refuse(m, "the function calls itself");
	/* every function calls the next one twice */
	m = begin();
	node(m, "Neg", "a", "b");
	function(m, name[0], "a", "b");
	for (int i = 1; i < 19; i++) {
		const char *callee = vq_arena_printf(&m->arena, "f.%s", name[i - 1]);

		node(m, callee, "a", "t");
		node(m, callee, "t", "b");
		function(m, name[i], "a", "b");
	}
	node(m, "f.F18", "x", "y");
	must_refuse(m, "nodes when each call is written out");
	m = begin();
	leaky(m);
	node(m, "f.Leaky", "x x", "y");
	must_refuse(m, "it has 2 inputs, but the function has 1");
	m = begin();
	leaky(m);
	node(m, "f.Leaky", "x", "y z");
	must_refuse(m, "it has 2 outputs, but the function has 1");
}

/* ---- If ---- */

/* the last node made becomes the only one of a branch of the node made then */
static void branch(model *m, const char *which, Onnx__NodeProto *inner, const char *result)
{
	Onnx__GraphProto graph = ONNX__GRAPH_PROTO__INIT;
	Onnx__ValueInfoProto *out = value_info(m, result, DT(FLOAT), "2");
	Onnx__AttributeProto *a = attribute(m, which, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH);

	graph.node = &inner;
	graph.n_node = 1;
	graph.output = &out;
	graph.n_output = 1;
	a->has_g = 1;
	a->g.data = vq_arena_alloc(&m->arena, onnx__graph_proto__get_packed_size(&graph));
	a->g.len = onnx__graph_proto__pack(&graph, a->g.data);
}

static Onnx__NodeProto *loose(model *m, const char *op, const char *inputs, const char *outputs)
{
	Onnx__NodeProto *n = node(m, op, inputs, outputs);

	m->graph.n_node--;
	return n;
}

/* both Ifs call their inner tensor "t", which is also a name outside; the mask of Dropout is used by a branch alone */
static void branches_are_scopes(void **state)
{
	float x[] = { -8, 4 };
	model *m = begin();
	Onnx__NodeProto *neg = loose(m, "Neg", "x", "t"), *where = loose(m, "Where", "mask x t", "u");

	(void)state;
	BYTES(m, "yes", BOOL, "", 1);
	BYTES(m, "no", BOOL, "", 0);
	node(m, "Dropout", "x", "d mask");
	node(m, "If", "yes", "t");
	branch(m, "then_branch", neg, "t");
	branch(m, "else_branch", loose(m, "Abs", "x", "t"), "t");
	node(m, "If", "no", "w");
	branch(m, "then_branch", loose(m, "Abs", "x", "t"), "t");
	branch(m, "else_branch", where, "u");
	node(m, "Add", "t w", "y");
	EXPECT(RUN(m, x), 0, 0);
}

/* a branch inside a function: its nodes see the attributes of the call and the inputs of the function */
static void branches_inside_functions(void **state)
{
	float x[] = { -8, 4 };
	model *m = begin();
	Onnx__NodeProto *inner = node(m, "LeakyRelu", "a", "t");
	Onnx__FunctionProto *f;

	(void)state;
	refer(m, "alpha", "slope");
	m->graph.n_node = 0;
	node(m, "If", "c", "b");
	branch(m, "then_branch", inner, "t");
	f = function(m, "Maybe", "a c", "b");
	f->attribute = names(m, "slope", &f->n_attribute);
	BYTES(m, "yes", BOOL, "", 1);
	node(m, "f.Maybe", "x yes", "y");
	attr_f(m, "slope", 0.5f);
	EXPECT(RUN(m, x), -4, 4);
	m->node[0]->input[1] = (char *)"no";
	BYTES(m, "no", BOOL, "", 0);
	must_refuse(m, "node 'n0/n0' (If): the else branch is missing");
}

static void loops_are_refused(void **state)
{
	model *m = begin();

	(void)state;
	node(m, "Loop", "x", "y");
	must_refuse(m, "node 'n0' (Loop): operator Loop is not supported");
	must_say(m, "export by tracing");
	m = begin();
	input(m, "c", DT(BOOL), "");
	node(m, "If", "c", "y");
	must_refuse(m, "the condition is computed at run time, expected a constant");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_are_written_out),
		cmocka_unit_test(attributes_have_defaults),
		cmocka_unit_test(calls_nest_and_leave_inputs_out),
		cmocka_unit_test(bodies_have_their_own_opset),
		cmocka_unit_test(endless_calls_are_refused),
		cmocka_unit_test(branches_are_scopes),
		cmocka_unit_test(branches_inside_functions),
		cmocka_unit_test(loops_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
