/* SPDX-License-Identifier: MIT */
/* Small ONNX models built in memory, for the tests of the importer. */
#ifndef VQ_TESTS_ONNX_MODEL_H
#define VQ_TESTS_ONNX_MODEL_H

#include "frontend/onnx.pb-c.h"
#include "frontend/onnx_import.h"
#include "ir/eval.h"
#include "ir/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

enum { MAX_ITEMS = 64 };

typedef struct model {
	vq_arena arena;
	vq_diag diag;
	vq_graph g;
	Onnx__ModelProto proto;
	Onnx__GraphProto graph;
	Onnx__NodeProto *node[MAX_ITEMS];
	Onnx__TensorProto *initializer[MAX_ITEMS];
	Onnx__ValueInfoProto *input[MAX_ITEMS], *output[MAX_ITEMS];
	Onnx__OperatorSetIdProto *opset[2];
} model;

#define DT(name) ONNX__TENSOR_PROTO__DATA_TYPE__##name

static inline void *make(model *m, size_t size, const void *init)
{
	return memcpy(vq_arena_alloc(&m->arena, size), init, size);
}

#define MAKE(m, type, INIT) make((m), sizeof(type), &(type)INIT)

static inline model *model_new(int64_t opset)
{
	static model m;
	Onnx__OperatorSetIdProto first = ONNX__OPERATOR_SET_ID_PROTO__INIT;

	vq_arena_free(&m.arena);
	memset(&m, 0, sizeof m);
	vq_diag_init(&m.diag, &m.arena, "m.onnx");
	onnx__model_proto__init(&m.proto);
	onnx__graph_proto__init(&m.graph);
	m.proto.has_ir_version = 1;
	m.proto.ir_version = 8;
	m.proto.graph = &m.graph;
	m.graph.name = (char *)"test";
	m.graph.node = m.node;
	m.graph.initializer = m.initializer;
	m.graph.input = m.input;
	m.graph.output = m.output;
	m.opset[0] = make(&m, sizeof first, &first);
	m.opset[0]->domain = (char *)"";
	m.opset[0]->has_version = 1;
	m.opset[0]->version = opset;
	m.proto.opset_import = m.opset;
	m.proto.n_opset_import = 1;
	return &m;
}

/* shape: "2,3", "batch,3", "" for a scalar, NULL for none */
static inline Onnx__ValueInfoProto *value_info(model *m, const char *name, int32_t type, const char *shape)
{
	Onnx__ValueInfoProto v = ONNX__VALUE_INFO_PROTO__INIT;
	Onnx__TypeProto t = ONNX__TYPE_PROTO__INIT;
	Onnx__TypeProto__Tensor tt = ONNX__TYPE_PROTO__TENSOR__INIT;
	Onnx__TensorShapeProto s = ONNX__TENSOR_SHAPE_PROTO__INIT;
	Onnx__TensorShapeProto__Dimension d = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__INIT;

	s.dim = VQ_ARRAY(&m->arena, 16, Onnx__TensorShapeProto__Dimension *);
	while (shape && *shape) {
		size_t n = strcspn(shape, ",");
		Onnx__TensorShapeProto__Dimension *dim = make(m, sizeof d, &d);
		const char *text = vq_arena_strndup(&m->arena, shape, n);
		long long number;
		char rest;

		if (sscanf(text, "%lld%c", &number, &rest) == 1) {
			dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
			dim->dim_value = number;
		} else if (strcmp(text, "?")) {
			dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
			dim->dim_param = (char *)text + (*text == '='); /* "=?": a name */
		}
		s.dim[s.n_dim++] = dim;
		shape += n + (shape[n] == ',');
	}
	tt.has_elem_type = 1;
	tt.elem_type = type;
	tt.shape = shape ? make(m, sizeof s, &s) : NULL;
	t.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
	t.tensor_type = make(m, sizeof tt, &tt);
	v.name = (char *)name;
	v.type = make(m, sizeof t, &t);
	return make(m, sizeof v, &v);
}

static inline void input(model *m, const char *name, int32_t type, const char *shape)
{
	m->input[m->graph.n_input++] = value_info(m, name, type, shape);
}

static inline void output(model *m, const char *name)
{
	m->output[m->graph.n_output++] = value_info(m, name, DT(FLOAT), NULL);
	m->output[m->graph.n_output - 1]->type = NULL;
}

static inline Onnx__TensorProto *tensor(
	model *m, const char *name, int32_t type, const char *shape, const void *raw, size_t bytes)
{
	Onnx__TensorProto t = ONNX__TENSOR_PROTO__INIT;

	t.dims = VQ_ARRAY(&m->arena, 16, int64_t);
	while (shape && *shape) {
		size_t n = strcspn(shape, ",");
		long long number = 0;

		sscanf(shape, "%lld", &number);
		t.dims[t.n_dims++] = number;
		shape += n + (shape[n] == ',');
	}
	t.name = (char *)name;
	t.has_data_type = 1;
	t.data_type = type;
	if (raw) {
		t.has_raw_data = 1;
		t.raw_data.data = bytes ? make(m, bytes, raw) : NULL;
		t.raw_data.len = bytes;
	}
	return make(m, sizeof t, &t);
}

static inline Onnx__TensorProto *initializer(
	model *m, const char *name, int32_t type, const char *shape, const void *raw, size_t bytes)
{
	return m->initializer[m->graph.n_initializer++] = tensor(m, name, type, shape, raw, bytes);
}

#define FLOATS(m, name, shape, ...) \
	initializer((m), (name), DT(FLOAT), (shape), (float[]){ __VA_ARGS__ }, sizeof(float[]){ __VA_ARGS__ })
#define INTS(m, name, shape, ...) \
	initializer((m), (name), DT(INT64), (shape), (int64_t[]){ __VA_ARGS__ }, sizeof(int64_t[]){ __VA_ARGS__ })
#define BYTES(m, name, type, shape, ...) \
	initializer((m), (name), DT(type), (shape), (uint8_t[]){ __VA_ARGS__ }, sizeof(uint8_t[]){ __VA_ARGS__ })

static inline char **names(model *m, const char *list, size_t *n)
{
	char **v = VQ_ARRAY(&m->arena, MAX_ITEMS * 2, char *);

	for (*n = 0; list;) {
		size_t length = strcspn(list, " ");

		v[(*n)++] = strncmp(list, "-", length) || length != 1 ? vq_arena_strndup(&m->arena, list, length)
								      : (char *)"";
		list = list[length] ? list + length + 1 : NULL;
	}
	return v;
}

/* inputs and outputs: names with spaces between, "-" for an absent one; op may be "domain.Op" */
static inline Onnx__NodeProto *node(model *m, const char *op, const char *inputs, const char *outputs)
{
	Onnx__NodeProto n = ONNX__NODE_PROTO__INIT;
	const char *dot = strrchr(op, '.');

	n.op_type = (char *)(dot ? dot + 1 : op);
	n.domain = dot ? vq_arena_strndup(&m->arena, op, (size_t)(dot - op)) : NULL;
	n.name = vq_arena_printf(&m->arena, "n%zu", m->graph.n_node);
	n.input = names(m, *inputs ? inputs : NULL, &n.n_input);
	n.output = names(m, outputs, &n.n_output);
	n.attribute = VQ_ARRAY(&m->arena, 16, Onnx__AttributeProto *);
	return m->node[m->graph.n_node++] = make(m, sizeof n, &n);
}

static inline Onnx__AttributeProto *attribute(model *m, const char *name, int type)
{
	Onnx__NodeProto *n = m->node[m->graph.n_node - 1];
	Onnx__AttributeProto a = ONNX__ATTRIBUTE_PROTO__INIT;

	a.name = (char *)name;
	a.has_type = 1;
	a.type = (Onnx__AttributeProto__AttributeType)type;
	return n->attribute[n->n_attribute++] = make(m, sizeof a, &a);
}

static inline void attr_i(model *m, const char *name, int64_t v)
{
	Onnx__AttributeProto *a = attribute(m, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);

	a->has_i = 1;
	a->i = v;
}

static inline void attr_f(model *m, const char *name, float v)
{
	Onnx__AttributeProto *a = attribute(m, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);

	a->has_f = 1;
	a->f = v;
}

static inline void attr_s(model *m, const char *name, const char *v)
{
	Onnx__AttributeProto *a = attribute(m, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);

	a->has_s = 1;
	a->s.data = (uint8_t *)(uintptr_t)v;
	a->s.len = strlen(v);
}

static inline void attr_list(model *m, const char *name, const int64_t *v, size_t n)
{
	Onnx__AttributeProto *a = attribute(m, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);

	a->ints = make(m, n * sizeof *v, v);
	a->n_ints = n;
}

#define ATTR_INTS(m, name, ...) \
	attr_list((m), (name), (int64_t[]){ __VA_ARGS__ }, sizeof(int64_t[]){ __VA_ARGS__ } / sizeof(int64_t))

static inline bool import_with(model *m, const vq_import_options *options)
{
	size_t n = onnx__model_proto__get_packed_size(&m->proto);
	uint8_t *bytes = vq_arena_alloc(&m->arena, n);

	onnx__model_proto__pack(&m->proto, bytes);
	return vq_import_onnx_bytes(&m->g, &m->arena, &m->diag, "m.onnx", bytes, n, options, NULL);
}

static inline void print_messages(const model *m)
{
	for (uint32_t i = 0; i < m->diag.n; i++)
		print_message("%s", vq_message_text(&m->diag, &m->diag.item[i]));
}

/* Imports; the graph must be right, and the verifier content. */
static inline void must_import(model *m)
{
	bool ok = import_with(m, NULL) && vq_verify(&m->g, "import");

	if (!ok)
		print_messages(m);
	assert_true(ok);
}

static inline bool has_message(const model *m, const char *part)
{
	for (uint32_t i = 0; i < m->diag.n; i++)
		if (strstr(vq_message_text(&m->diag, &m->diag.item[i]), part))
			return true;
	return false;
}

static inline void must_say(const model *m, const char *part)
{
	if (!has_message(m, part)) {
		print_message("no message has: %s\n", part);
		print_messages(m);
	}
	assert_true(has_message(m, part));
}

/* Imports a model that must be refused with this text in a message. */
static inline void must_refuse(model *m, const char *part)
{
	assert_false(import_with(m, NULL));
	assert_int_not_equal(m->diag.errors, 0);
	must_say(m, part);
}

/* Imports and runs on the inputs' data in order; returns the first output's data. */
static inline const void *run_on(model *m, const void *const *in)
{
	const void *const *data = in;
	void *out[8];
	vq_exec *e;

	must_import(m);
	for (uint32_t i = 0; i < m->g.n_outputs; i++)
		out[i] = vq_arena_alloc(&m->arena, vq_type_bytes(vq_type_of(&m->g, m->g.output[i].value)));
	e = vq_evaluator.prepare(&vq_evaluator, &m->g, NULL, 0);
	assert_non_null(e);
	assert_true(vq_evaluator.run(e, data, out, NULL, NULL));
	vq_evaluator.dispose(e);
	return out[0];
}

#define RUN(m, ...) run_on((m), (const void *const[]){ __VA_ARGS__ })

static inline void expect_shape(const model *m, const char *shape)
{
	assert_string_equal(vq_type_text((vq_arena *)&m->arena, vq_type_of(&m->g, m->g.output[0].value)), shape);
}

/* polynomials differ from libm by a few ulp: 1e-5 relative is far from any wrong formula */
static inline void expect_floats(const void *got, const float *want, size_t n)
{
	const float *v = got;

	for (size_t i = 0; i < n; i++)
		if (!(fabsf(v[i] - want[i]) <= 1e-5f * (1 + fabsf(want[i])))) {
			print_message("element %zu is %.9g, expected %.9g\n", i, (double)v[i], (double)want[i]);
			fail();
		}
}

#define EXPECT(got, ...) expect_floats((got), (float[]){ __VA_ARGS__ }, sizeof(float[]){ __VA_ARGS__ } / sizeof(float))

/* a model y = op(x, ...) with x of this shape */
static inline model *one(int64_t opset, const char *shape, const char *op, const char *inputs)
{
	model *m = model_new(opset);

	input(m, "x", DT(FLOAT), shape);
	node(m, op, inputs, "y");
	output(m, "y");
	return m;
}

#endif
