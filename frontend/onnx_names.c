/* Tensor names of the model and what they stand for. */
#include "frontend/onnx_names.h"

#include "ir/text.h"

#include <string.h>

void vq_onnx_names_init(vq_onnx *o, size_t n)
{
	o->n_buckets = 64;
	while (o->n_buckets < n && o->n_buckets < 1u << 30)
		o->n_buckets *= 2;
	o->bucket = VQ_ARRAY(o->arena, o->n_buckets, uint32_t);
	o->name = vq_arena_grow(o->arena, NULL, &o->cap_names, 1, sizeof *o->name);
	o->n_names = 1;
}

static uint32_t *chain_of(const vq_onnx *o, const char *name)
{
	uint64_t h = vq_hash(name, strlen(name));

	return &o->bucket[(uint32_t)(h ^ h >> 32) & (o->n_buckets - 1)];
}

uint32_t vq_onnx_find(const vq_onnx *o, const char *name)
{
	uint32_t id = *chain_of(o, name);

	while (id && strcmp(o->name[id].name, name))
		id = o->name[id].next;
	return id;
}

uint32_t vq_onnx_name_id(vq_onnx *o, const char *name)
{
	uint32_t id = vq_onnx_find(o, name), *head;

	if (id)
		return id;
	id = o->n_names++;
	o->name = vq_arena_grow(o->arena, o->name, &o->cap_names, o->n_names, sizeof *o->name);
	head = chain_of(o, name);
	o->name[id] = (vq_onnx_name){ .name = name, .next = *head };
	*head = id;
	return id;
}

void vq_onnx_load_stored(vq_onnx *o, uint32_t id)
{
	vq_onnx_name *n = &o->name[id];
	const Onnx__TensorProto *t = n->stored;
	const char *where = vq_arena_printf(o->arena, "initializer '%s'", n->name);
	const void *data;
	vq_type type;

	n->stored = NULL;
	switch (vq_onnx_tensor(o->model, t, where, &type, &data)) {
	case VQ_ONNX_BAD:
		n->state = VQ_ONNX_POISONED;
		return;
	case VQ_ONNX_EMPTY:
		n->state = VQ_ONNX_NOTHING;
		n->empty = type;
		break;
	case VQ_ONNX_DATA:
		n->value = vq_add_const(o->g, &type, data, n->name);
		n->state = VQ_ONNX_VALUE;
		break;
	}
	n->data_type = t->data_type;
}
