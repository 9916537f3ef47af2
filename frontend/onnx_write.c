/* SPDX-License-Identifier: MIT */
#include "frontend/onnx_write.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

enum { OPSET = 17, IR_VERSION = 8 }; /* ONNX 1.12: LayerNormalization */

static bool is_taken(const vq_graph *g, const char *prefix)
{
	size_t n = strlen(prefix);

	for (uint32_t i = 0; i < g->n_inputs; i++)
		if (!strncmp(g->input[i].name, prefix, n))
			return true;
	for (uint32_t i = 0; i < g->n_outputs; i++)
		if (!strncmp(g->output[i].name, prefix, n))
			return true;
	return false;
}

void vq_onnx_writer_init(vq_onnx_writer *w, const vq_graph *g)
{
	*w = (vq_onnx_writer){ .g = g, .prefix = "t" };
	while (is_taken(g, w->prefix))
		w->prefix = vq_arena_printf(&w->arena, "%s_", w->prefix);
	w->name = VQ_ARRAY(&w->arena, g->n_values, const char *);
}

int32_t vq_onnx_elem_code(vq_elem e)
{
	static const int32_t to[] = {
		[VQ_F32] = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT,
		[VQ_I64] = ONNX__TENSOR_PROTO__DATA_TYPE__INT64,
		[VQ_I32] = ONNX__TENSOR_PROTO__DATA_TYPE__INT32,
		[VQ_BOOL] = ONNX__TENSOR_PROTO__DATA_TYPE__BOOL,
		[VQ_U8] = ONNX__TENSOR_PROTO__DATA_TYPE__UINT8,
		[VQ_S8] = ONNX__TENSOR_PROTO__DATA_TYPE__INT8,
	};

	_Static_assert(sizeof to / sizeof *to == VQ_ELEM_COUNT, "one ONNX type per element type");
	return to[e];
}

/* protobuf-c's structures are not const, though packing changes nothing */
static char *text(const char *s) { return (char *)(uintptr_t)s; }

static const char *new_name(vq_onnx_writer *w) { return vq_arena_printf(&w->arena, "%s%u", w->prefix, w->made++); }

/* raw_data is little-endian whatever the host */
static uint8_t *little_endian(vq_onnx_writer *w, const void *data, size_t bytes, size_t element)
{
	const uint16_t probe = 1;
	uint8_t first, *to;
	const uint8_t *from = data;

	memcpy(&first, &probe, 1);
	if (first || element == 1)
		return (uint8_t *)(uintptr_t)data;
	to = vq_arena_alloc(&w->arena, bytes);
	for (size_t i = 0; i < bytes; i++)
		to[i] = from[i - i % element + (element - 1 - i % element)];
	return to;
}

const char *vq_onnx_put_tensor(vq_onnx_writer *w, vq_elem e, uint32_t rank, const int64_t *dim, const void *data)
{
	Onnx__TensorProto *t = VQ_NEW(&w->arena, Onnx__TensorProto);
	size_t bytes = vq_elem_bytes(e);

	onnx__tensor_proto__init(t);
	t->dims = VQ_ARRAY(&w->arena, rank, int64_t);
	t->n_dims = rank;
	for (uint32_t i = 0; i < rank; i++) {
		t->dims[i] = dim[i];
		bytes *= (size_t)dim[i];
	}
	t->has_data_type = 1;
	t->data_type = vq_onnx_elem_code(e);
	t->name = text(new_name(w));
	t->has_raw_data = 1;
	t->raw_data.len = bytes;
	t->raw_data.data = little_endian(w, data, bytes, vq_elem_bytes(e));
	w->tensor = vq_arena_grow(&w->arena, w->tensor, &w->cap_tensors, w->n_tensors + 1, sizeof *w->tensor);
	w->tensor[w->n_tensors++] = t;
	return t->name;
}

const char *vq_onnx_put_scalar(vq_onnx_writer *w, float v)
{
	float *data = VQ_NEW(&w->arena, float);

	*data = v;
	return vq_onnx_put_tensor(w, VQ_F32, 0, NULL, data);
}

const char *vq_onnx_put_ints(vq_onnx_writer *w, const int64_t *v, uint32_t n)
{
	int64_t *data = VQ_ARRAY(&w->arena, n, int64_t), dim = n;

	if (n)
		memcpy(data, v, n * sizeof *v);
	return vq_onnx_put_tensor(w, VQ_I64, 1, &dim, data);
}

const char *vq_onnx_put_node(vq_onnx_writer *w, const char *op, const char *const *in, uint32_t n_in, const char *to)
{
	Onnx__NodeProto *n = VQ_NEW(&w->arena, Onnx__NodeProto);

	onnx__node_proto__init(n);
	n->n_input = n_in;
	n->input = VQ_ARRAY(&w->arena, n_in, char *);
	for (uint32_t i = 0; i < n_in; i++)
		n->input[i] = text(in[i]);
	n->n_output = 1;
	n->output = VQ_NEW(&w->arena, char *);
	n->output[0] = text(to ? to : new_name(w));
	n->op_type = text(op);
	/* unique, and it still says where in the source model it came from */
	n->name = w->source ? vq_arena_printf(&w->arena, "%s/%s_%u", w->source, op, w->n_nodes)
			    : vq_arena_printf(&w->arena, "%s_%u", op, w->n_nodes);
	w->node = vq_arena_grow(&w->arena, w->node, &w->cap_nodes, w->n_nodes + 1, sizeof *w->node);
	w->node[w->n_nodes++] = n;
	return n->output[0];
}

static Onnx__AttributeProto *add_attr(vq_onnx_writer *w, const char *name, Onnx__AttributeProto__AttributeType type)
{
	Onnx__NodeProto *n = w->node[w->n_nodes - 1];
	Onnx__AttributeProto **all = VQ_ARRAY(&w->arena, n->n_attribute + 1, Onnx__AttributeProto *);
	Onnx__AttributeProto *a = VQ_NEW(&w->arena, Onnx__AttributeProto);

	onnx__attribute_proto__init(a);
	a->name = text(name);
	a->has_type = 1;
	a->type = type;
	for (size_t i = 0; i < n->n_attribute; i++)
		all[i] = n->attribute[i];
	all[n->n_attribute++] = a;
	n->attribute = all;
	return a;
}

void vq_onnx_put_attr_int(vq_onnx_writer *w, const char *name, int64_t v)
{
	Onnx__AttributeProto *a = add_attr(w, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);

	a->has_i = 1;
	a->i = v;
}

void vq_onnx_put_attr_float(vq_onnx_writer *w, const char *name, float v)
{
	Onnx__AttributeProto *a = add_attr(w, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);

	a->has_f = 1;
	a->f = v;
}

void vq_onnx_put_attr_ints(vq_onnx_writer *w, const char *name, const int64_t *v, uint32_t n)
{
	Onnx__AttributeProto *a = add_attr(w, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);

	a->ints = VQ_ARRAY(&w->arena, n, int64_t);
	a->n_ints = n;
	for (uint32_t i = 0; i < n; i++)
		a->ints[i] = v[i];
}

const char *vq_onnx_put_reshape(vq_onnx_writer *w, const char *x, uint32_t rank, const int64_t *dim, const char *to)
{
	return vq_onnx_put_node2(w, "Reshape", x, vq_onnx_put_ints(w, dim, rank), to);
}

const char *vq_onnx_put_transpose(vq_onnx_writer *w, const char *x, uint32_t rank, const int64_t *perm, const char *to)
{
	x = vq_onnx_put_node1(w, "Transpose", x, to);
	vq_onnx_put_attr_ints(w, "perm", perm, rank);
	return x;
}

/* ---- the model ---- */

static Onnx__ValueInfoProto *port(vq_onnx_writer *w, const vq_port *p)
{
	const vq_type *t = vq_type_of(w->g, p->value);
	Onnx__ValueInfoProto *v = VQ_NEW(&w->arena, Onnx__ValueInfoProto);
	Onnx__TypeProto *type = VQ_NEW(&w->arena, Onnx__TypeProto);
	Onnx__TypeProto__Tensor *tensor = VQ_NEW(&w->arena, Onnx__TypeProto__Tensor);
	Onnx__TensorShapeProto *shape = VQ_NEW(&w->arena, Onnx__TensorShapeProto);

	onnx__value_info_proto__init(v);
	onnx__type_proto__init(type);
	onnx__type_proto__tensor__init(tensor);
	onnx__tensor_shape_proto__init(shape);
	shape->n_dim = t->rank;
	shape->dim = VQ_ARRAY(&w->arena, t->rank, Onnx__TensorShapeProto__Dimension *);
	for (uint32_t i = 0; i < t->rank; i++) {
		shape->dim[i] = VQ_NEW(&w->arena, Onnx__TensorShapeProto__Dimension);
		onnx__tensor_shape_proto__dimension__init(shape->dim[i]);
		shape->dim[i]->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
		shape->dim[i]->dim_value = t->dim[i];
	}
	tensor->has_elem_type = 1;
	tensor->elem_type = vq_onnx_elem_code(t->elem);
	tensor->shape = shape;
	type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
	type->tensor_type = tensor;
	v->name = text(p->name);
	v->type = type;
	return v;
}

/* protobuf-c packs straight into the file */
typedef struct file_buffer {
	ProtobufCBuffer base;
	FILE *out;
} file_buffer;

static void append(ProtobufCBuffer *b, size_t n, const uint8_t *data)
{
	if (n)
		fwrite(data, 1, n, ((file_buffer *)(void *)b)->out);
}

static void fill_graph(vq_onnx_writer *w, Onnx__GraphProto *to)
{
	const vq_graph *g = w->g;

	onnx__graph_proto__init(to);
	to->name = text(g->name ? g->name : "graph");
	to->n_node = w->n_nodes;
	to->node = w->node;
	to->n_initializer = w->n_tensors;
	to->initializer = w->tensor;
	to->n_input = g->n_inputs;
	to->input = VQ_ARRAY(&w->arena, g->n_inputs, Onnx__ValueInfoProto *);
	for (uint32_t i = 0; i < g->n_inputs; i++)
		to->input[i] = port(w, &g->input[i]);
	to->n_output = g->n_outputs;
	to->output = VQ_ARRAY(&w->arena, g->n_outputs, Onnx__ValueInfoProto *);
	for (uint32_t i = 0; i < g->n_outputs; i++)
		to->output[i] = port(w, &g->output[i]);
}

bool vq_onnx_write(vq_onnx_writer *w, vq_diag *diag, FILE *out)
{
	Onnx__GraphProto graph;
	Onnx__OperatorSetIdProto opset, *opsets[] = { &opset };
	Onnx__ModelProto model;
	file_buffer buffer = { { append }, out };
	size_t bytes;

	fill_graph(w, &graph);
	onnx__operator_set_id_proto__init(&opset);
	opset.domain = text("");
	opset.has_version = 1;
	opset.version = OPSET;
	onnx__model_proto__init(&model);
	model.has_ir_version = 1;
	model.ir_version = IR_VERSION;
	model.producer_name = text("vitqc");
	model.producer_version = text(VQ_VERSION);
	model.graph = &graph;
	model.n_opset_import = 1;
	model.opset_import = opsets;
	bytes = onnx__model_proto__get_packed_size(&model);
	if (bytes > INT_MAX)
		return vq_error(diag, "option -emit=onnx", "the model has %zu bytes, protobuf allows 2 GiB", bytes);
	onnx__model_proto__pack_to_buffer(&model, &buffer.base);
	if (fflush(out) || ferror(out))
		return vq_error(diag, "option -emit=onnx", "cannot write the model: %s", strerror(errno));
	return true;
}
