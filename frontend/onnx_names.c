/* SPDX-License-Identifier: MIT */
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

static uint32_t *chain_of(const vq_onnx *o, const char *name, uint32_t scope)
{
	uint64_t h = vq_hash(name, strlen(name)) + scope * 0x9e3779b97f4a7c15u;

	return &o->bucket[(uint32_t)(h ^ h >> 32) & (o->n_buckets - 1)];
}

static uint32_t scope_id(const vq_onnx_scope *s) { return s ? s->id : 0; }

static uint32_t find_in(const vq_onnx *o, const char *name, uint32_t scope)
{
	uint32_t id = *chain_of(o, name, scope);

	while (id && (o->name[id].scope != scope || strcmp(o->name[id].local, name)))
		id = o->name[id].next;
	return id;
}

uint32_t vq_onnx_find(const vq_onnx *o, const char *name)
{
	const vq_onnx_scope *s = o->scope;

	for (;; s = s->outer) {
		uint32_t id = find_in(o, name, scope_id(s));

		if (id || !s || s->call)
			return id;
	}
}

/* functions of the model add names that the file does not show */
static void more_buckets(vq_onnx *o, uint32_t n)
{
	o->n_buckets *= 2;
	o->bucket = VQ_ARRAY(o->arena, o->n_buckets, uint32_t);
	for (uint32_t id = 1; id < n; id++) {
		uint32_t *head = chain_of(o, o->name[id].local, o->name[id].scope);

		o->name[id].next = *head;
		*head = id;
	}
}

static uint32_t add(vq_onnx *o, const char *name)
{
	uint32_t id = o->n_names++, scope = scope_id(o->scope), *head;

	if (id > o->n_buckets && o->n_buckets < 1u << 30)
		more_buckets(o, id);
	o->name = vq_arena_grow(o->arena, o->name, &o->cap_names, o->n_names, sizeof *o->name);
	head = chain_of(o, name, scope);
	o->name[id] = (vq_onnx_name){ .name = vq_onnx_display(o, name), .local = name, .scope = scope, .next = *head };
	*head = id;
	return id;
}

uint32_t vq_onnx_name_id(vq_onnx *o, const char *name)
{
	uint32_t id = vq_onnx_find(o, name);

	return id ? id : add(o, name);
}

uint32_t vq_onnx_local_id(vq_onnx *o, const char *name)
{
	uint32_t id = find_in(o, name, scope_id(o->scope));

	return id ? id : add(o, name);
}

void vq_onnx_use(vq_onnx *o, const char *name)
{
	uint32_t id = name && *name ? vq_onnx_name_id(o, name) : 0; /* may move the array */

	if (id)
		o->name[id].uses++;
}

/* names are as long as the file says, but a function may be called very often */
const char *vq_onnx_display(vq_onnx *o, const char *name)
{
	return o->scope && *o->scope->prefix ? vq_arena_printf(o->arena, "%s%.200s", o->scope->prefix, name) : name;
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
	case VQ_ONNX_BAD: n->state = VQ_ONNX_POISONED; return;
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
