/* SPDX-License-Identifier: MIT */
/*
 * Changes of ONNX models that leave them messages of protobuf, so that what is read in comes far: nodes are dropped,
 * doubled and exchanged, operators, names, attributes, dimensions, types and numbers replaced by others of the model or by such
 * that break arithmetic. Now and then bytes are changed after all.
 */
#include "tests/fuzz/chance.h"
#include "tests/fuzz/promises.h"

#include "frontend/onnx.pb-c.h"
#include "frontend/onnx_import.h"

#include <stdlib.h>
#include <string.h>

enum {
	POOL = 32 << 20, /* bytes for one model; protobuf-c gives up beyond */
	MOST_NAMES = 512,
	MOST_TENSOR = 4096, /* bytes of a tensor that is made larger */
};

static uint64_t state;

static uint64_t next(void) { return chance_next(&state); }

static size_t below(size_t n) { return chance_below(&state, n); }

/* ---- memory: taken and never given back until the next change ---- */

static unsigned char pool[POOL];
static size_t used;

static void *take(void *user, size_t n)
{
	void *p = pool + used;

	(void)user;
	n = (n + 15) & ~(size_t)15;
	if (n > POOL - used)
		return NULL;
	used += n;
	return p;
}

static void give_back(void *user, void *p)
{
	(void)user;
	(void)p;
}

static ProtobufCAllocator allocator = { .alloc = take, .free = give_back };

/* ---- lists: every repeated field is a count and a pointer ---- */

/* Drops, doubles or exchanges elements of size bytes. */
static void change_list(size_t *n, void **list, size_t size)
{
	unsigned char *from = *list, *to;
	size_t i = below(*n), k = below(*n), kind = below(4);
	unsigned char swap[16];

	if (*n == 0 || size > sizeof swap)
		return;
	if (kind == 0) {
		memmove(from + i * size, from + (i + 1) * size, (*n - i - 1) * size);
		--*n;
	} else if (kind == 1 && *n < 256) {
		to = take(NULL, (*n + 1) * size);
		if (!to)
			return;
		memcpy(to, from, i * size);
		memcpy(to + i * size, from + k * size, size);
		memcpy(to + (i + 1) * size, from + i * size, (*n - i) * size);
		*list = to;
		++*n;
	} else {
		memcpy(swap, from + i * size, size);
		memcpy(from + i * size, from + k * size, size);
		memcpy(from + k * size, swap, size);
	}
}

#define CHANGE_LIST(message, field) \
	change_list(&(message)->n_##field, (void **)&(message)->field, sizeof *(message)->field)

/* An element of its own at i, so that a change does not reach its doubles. */
static void *own(ProtobufCMessage **element, size_t size)
{
	void *copy = take(NULL, size);

	if (copy) {
		memcpy(copy, *element, size);
		*element = copy;
	}
	return *element;
}

#define OWN(message, field, i) own((ProtobufCMessage **)&(message)->field[i], sizeof *(message)->field[i])

/* ---- numbers and names ---- */

static int64_t number(int64_t old)
{
	static const int64_t odd[] = { 0, 1, -1, 2, -2, 3, 4, 5, 7, 8, 9, 16, 64, 127, 128, 255, 256, 65535, 65536,
		INT32_MAX, INT32_MIN, (int64_t)INT32_MAX + 1, (int64_t)1 << 40, (int64_t)1 << 62, INT64_MAX,
		INT64_MIN };

	switch (below(4)) {
	case 0: return (int64_t)((uint64_t)old + 1);
	case 1: return (int64_t)((uint64_t)old - 1);
	case 2: return (int64_t)below(9) - 1;
	default: return odd[below(sizeof odd / sizeof *odd)];
	}
}

static float real(float old)
{
	static const float odd[] = { 0, -0.0f, 1, -1, 0.5f, 1e-40f, 1e-30f, 1e30f, 3.4e38f, -3.4e38f };
	uint32_t bits = (uint32_t)next();

	if (below(4) == 0)
		return old * 2;
	if (below(4) == 0) {
		memcpy(&old, &bits, sizeof old); /* also infinities and NaN */
		return old;
	}
	return odd[below(sizeof odd / sizeof *odd)];
}

static char *names[MOST_NAMES];
static size_t n_names;

static void add_name(char *name)
{
	if (name && n_names < MOST_NAMES)
		names[n_names++] = name;
}

static void collect(const Onnx__GraphProto *g)
{
	n_names = 0;
	add_name((char *)(uintptr_t) "");
	for (size_t i = 0; i < g->n_input; i++)
		add_name(g->input[i]->name);
	for (size_t i = 0; i < g->n_initializer; i++)
		add_name(g->initializer[i]->name);
	for (size_t i = 0; i < g->n_node; i++)
		for (size_t k = 0; k < g->node[i]->n_output; k++)
			add_name(g->node[i]->output[k]);
}

static char *some_name(void) { return names[below(n_names)]; }

static char *some_operator(char **domain)
{
	static uint32_t n_ops;
	const char *in, *name;
	int since;

	while (!n_ops || vq_onnx_op_name(n_ops, &in, &since))
		n_ops++;
	name = vq_onnx_op_name((uint32_t)below(n_ops), &in, &since);
	*domain = (char *)(uintptr_t)in;
	return (char *)(uintptr_t)name;
}

/* ---- parts of a model ---- */

static void change_bytes(ProtobufCBinaryData *b)
{
	uint8_t *copy = take(NULL, MOST_TENSOR);

	if (!copy || b->len > MOST_TENSOR)
		return;
	if (b->len)
		memcpy(copy, b->data, b->len);
	b->data = copy;
	if (below(4) == 0 && b->len >= 8) { /* an odd number */
		int64_t v = number(0);

		memcpy(copy + below(b->len / 8) * 8, &v, sizeof v);
	} else if (below(3) == 0) {
		float v = real(1);

		if (b->len >= 4)
			memcpy(copy + below(b->len / 4) * 4, &v, sizeof v);
	} else {
		b->len = LLVMFuzzerMutate(copy, b->len, MOST_TENSOR);
	}
}

static void change_tensor(Onnx__TensorProto *t)
{
	size_t i;

	switch (below(9)) {
	case 0: CHANGE_LIST(t, dims); break;
	case 1:
	case 2:
		if (t->n_dims) {
			i = below(t->n_dims);
			t->dims[i] = number(t->dims[i]);
		}
		break;
	case 3:
		t->has_data_type = true;
		t->data_type = (int32_t)below(26);
		break;
	case 4: t->name = some_name(); break;
	case 5:
		if (t->n_int64_data)
			t->int64_data[below(t->n_int64_data)] = number(0);
		else if (t->n_float_data)
			t->float_data[below(t->n_float_data)] = real(1);
		else
			CHANGE_LIST(t, int32_data);
		break;
	case 6: /* its elements elsewhere */
		t->has_data_location = below(2) != 0;
		t->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
		break;
	default:
		if (t->has_raw_data)
			change_bytes(&t->raw_data);
	}
}

static void change_type(Onnx__TypeProto *type)
{
	Onnx__TypeProto__Tensor *t;
	Onnx__TensorShapeProto *s;

	if (type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
		return;
	t = type->tensor_type;
	s = t->shape;
	if (below(4) == 0) {
		t->has_elem_type = true;
		t->elem_type = (int32_t)below(26);
	} else if (!s || below(16) == 0) {
		t->shape = NULL;
	} else if (below(2) || !s->n_dim) {
		CHANGE_LIST(s, dim);
	} else {
		Onnx__TensorShapeProto__Dimension *d = OWN(s, dim, below(s->n_dim));

		d->value_case = below(8) ? ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE
					 : ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE__NOT_SET;
		d->dim_value = number(d->value_case ? d->dim_value : 1);
	}
}

static void change_graph(Onnx__GraphProto *g, unsigned depth);

/* A graph inside an attribute. */
static void change_packed(ProtobufCBinaryData *b, unsigned depth)
{
	Onnx__GraphProto *g = depth < 2 ? onnx__graph_proto__unpack(&allocator, b->len, b->data) : NULL;
	uint8_t *packed;
	size_t n;

	if (!g)
		return;
	change_graph(g, depth + 1);
	n = onnx__graph_proto__get_packed_size(g);
	packed = take(NULL, n);
	if (!packed)
		return;
	b->len = onnx__graph_proto__pack(g, packed);
	b->data = packed;
}

static void change_attribute(Onnx__AttributeProto *a, unsigned depth)
{
	static const char *const known[] = { "axis", "axes", "perm", "keepdims", "to", "alpha", "beta", "epsilon",
		"pads", "strides", "dilations", "group", "kernel_shape", "auto_pad", "mode", "equation", "num_outputs",
		"blocksize", "scale", "split", "transA", "transB", "value", "allowzero", "then_branch", "block_size",
		"num_groups", "ceil_mode", "is_causal", "batch_dims", "largest", "exclusive", "start", "end",
		"q_num_heads", "kv_num_heads" };

	if (below(12) == 0) {
		a->name = (char *)(uintptr_t)known[below(sizeof known / sizeof *known)];
	} else if (below(16) == 0) {
		a->has_type = true;
		a->type = (Onnx__AttributeProto__AttributeType)below(15);
	} else if (a->has_i) {
		a->i = number(a->i);
	} else if (a->has_f) {
		a->f = real(a->f);
	} else if (a->n_ints && below(2)) {
		size_t i = below(a->n_ints);

		a->ints[i] = number(a->ints[i]);
	} else if (a->n_ints) {
		CHANGE_LIST(a, ints);
	} else if (a->n_floats) {
		a->floats[below(a->n_floats)] = real(1);
	} else if (a->t) {
		change_tensor(a->t);
	} else if (a->has_g) {
		change_packed(&a->g, depth);
	} else if (a->has_s) {
		change_bytes(&a->s);
	}
}

/* An attribute of another node too. */
static void borrow(Onnx__NodeProto *to, const Onnx__NodeProto *from)
{
	Onnx__AttributeProto **list = take(NULL, (to->n_attribute + 1) * sizeof *list);

	if (!list || !from->n_attribute)
		return;
	for (size_t i = 0; i < to->n_attribute; i++)
		list[i] = to->attribute[i];
	list[to->n_attribute++] = from->attribute[below(from->n_attribute)];
	to->attribute = list;
}

static void change_node(Onnx__GraphProto *g, unsigned depth)
{
	Onnx__NodeProto *n = OWN(g, node, below(g->n_node));

	switch (below(12)) {
	case 0:
	case 1: n->op_type = some_operator(&n->domain); break;
	case 2:
	case 3:
	case 4:
		if (n->n_input)
			n->input[below(n->n_input)] = some_name();
		break;
	case 5: CHANGE_LIST(n, input); break;
	case 6:
		if (n->n_output)
			n->output[below(n->n_output)] = some_name();
		CHANGE_LIST(n, output);
		break;
	case 7: CHANGE_LIST(n, attribute); break;
	case 8: borrow(n, g->node[below(g->n_node)]); break;
	default:
		if (n->n_attribute)
			change_attribute(OWN(n, attribute, below(n->n_attribute)), depth);
	}
}

static void change_graph(Onnx__GraphProto *g, unsigned depth)
{
	Onnx__ValueInfoProto *v;

	collect(g);
	switch (below(12)) {
	case 0: CHANGE_LIST(g, node); break;
	case 1: CHANGE_LIST(g, initializer); break;
	case 2:
		if (below(2))
			CHANGE_LIST(g, input);
		else
			CHANGE_LIST(g, output);
		break;
	case 3:
		if (g->n_output) {
			v = OWN(g, output, below(g->n_output));
			v->name = some_name();
		}
		break;
	case 4:
		v = g->n_input ? g->input[below(g->n_input)] : NULL;
		if (v && v->type)
			change_type(v->type);
		break;
	case 5:
	case 6:
	case 7:
		if (g->n_initializer)
			change_tensor(OWN(g, initializer, below(g->n_initializer)));
		break;
	default:
		if (g->n_node)
			change_node(g, depth);
	}
}

/* The nodes of a graph as a function, or other changes of one. */
static void change_functions(Onnx__ModelProto *m)
{
	Onnx__FunctionProto *f;

	if (!m->n_functions)
		return;
	f = OWN(m, functions, below(m->n_functions));
	switch (below(5)) {
	case 0: CHANGE_LIST(f, node); break;
	case 1: CHANGE_LIST(f, input); break;
	case 2: CHANGE_LIST(f, output); break;
	case 3: CHANGE_LIST(m, functions); break;
	default:
		if (f->n_node && m->graph && m->graph->n_node) /* calls itself, perhaps */
			f->node[below(f->n_node)] = m->graph->node[below(m->graph->n_node)];
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
	Onnx__ModelProto *m;
	size_t n;

	state = ((uint64_t)seed + 1) * 0x9e3779b97f4a7c15u;
	used = 0;
	m = below(24) ? onnx__model_proto__unpack(&allocator, size, data) : NULL;
	if (!m || !m->graph)
		return LLVMFuzzerMutate(data, size, most);
	for (size_t times = 1 + below(3); times; times--) {
		if (below(32) == 0 && m->n_opset_import)
			m->opset_import[below(m->n_opset_import)]->version = (int64_t)below(26);
		else if (below(8) == 0 && m->n_functions)
			change_functions(m);
		else
			change_graph(m->graph, 0);
	}
	n = onnx__model_proto__get_packed_size(m);
	if (n > most)
		return size;
	return onnx__model_proto__pack(m, data);
}
