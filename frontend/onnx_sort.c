/* SPDX-License-Identifier: MIT */
/*
 * The order of nodes. The standard wants every node behind those that it reads; converters of published models append theirs at the
 * end instead (ONNX Runtime's float16 with keep_io_types), and runtimes sort.
 */
#include "frontend/onnx_names.h"

#include <string.h>

enum { DEPTH = 8 }; /* of graphs in graphs, as many as are imported */

/* Which nodes a node reads; lists of all nodes one after the other. */
typedef struct edges {
	uint32_t *first;      /* of node i: at[first[i]] to at[first[i + 1]] */
	uint32_t *at, n, cap; /* nodes */
} edges;

/* The node of the current scope that makes name, plus 1; 0: none of them does. */
static uint32_t maker_of(const vq_onnx *o, const char *name)
{
	uint32_t id = name && *name ? vq_onnx_find(o, name) : 0;

	return id && o->name[id].scope == (o->scope ? o->scope->id : 0) ? o->name[id].maker : 0;
}

static void add_edge(vq_onnx *o, edges *e, const char *name)
{
	uint32_t maker = maker_of(o, name);

	if (!maker)
		return;
	e->at = vq_arena_grow(o->arena, e->at, &e->cap, e->n + 1, sizeof *e->at);
	e->at[e->n++] = maker - 1;
}

/* Graphs of attributes read outer names, too. A name of their own that is also one of ours counts; it rarely changes an order. */
static void add_edges(vq_onnx *o, edges *e, const Onnx__NodeProto *node, uint32_t depth)
{
	for (size_t i = 0; i < node->n_input; i++)
		add_edge(o, e, node->input[i]);
	for (size_t i = 0; i < node->n_attribute && depth < DEPTH; i++) {
		const Onnx__AttributeProto *a = node->attribute[i];
		const Onnx__GraphProto *graph = a->has_g && a->g.len ? vq_onnx_unpack_graph(o->model, &a->g) : NULL;

		for (size_t k = 0; graph && k < graph->n_node; k++)
			add_edges(o, e, graph->node[k], depth + 1);
		for (size_t k = 0; graph && k < graph->n_output; k++)
			add_edge(o, e, graph->output[k]->name);
	}
}

/* Certainly sorted? What graphs of attributes read is not looked at: where there are some, the answer is no. */
static bool is_sorted(const vq_onnx *o, Onnx__NodeProto *const *node, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < node[i]->n_input; k++)
			if (maker_of(o, node[i]->input[k]) > i)
				return false;
		for (size_t k = 0; k < node[i]->n_attribute; k++)
			if (node[i]->attribute[k]->has_g)
				return false;
	}
	return true;
}

/*
 * Node i behind all that it reads, and those before it in the order of the file. What is in a cycle comes somewhere: the import
 * then finds a name that is read before it is made.
 */
static void place(const edges *e, uint32_t i, uint32_t *stack, uint32_t *next, bool *seen, uint32_t *order, uint32_t *n)
{
	uint32_t depth = 0;

	if (seen[i])
		return;
	seen[i] = true;
	next[i] = e->first[i];
	stack[depth++] = i;
	while (depth) {
		uint32_t top = stack[depth - 1];

		if (next[top] == e->first[top + 1]) {
			order[(*n)++] = top;
			depth--;
		} else {
			uint32_t read = e->at[next[top]++];

			if (seen[read])
				continue;
			seen[read] = true;
			next[read] = e->first[read];
			stack[depth++] = read;
		}
	}
}

Onnx__NodeProto *const *vq_onnx_sorted(vq_onnx *o, Onnx__NodeProto *const *node, size_t n)
{
	edges e = { .first = NULL };
	uint32_t *stack, *next, *order, placed = 0;
	Onnx__NodeProto **sorted;
	bool *seen;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < node[i]->n_output; k++)
			if (*node[i]->output[k])
				o->name[vq_onnx_local_id(o, node[i]->output[k])].maker = (uint32_t)i + 1;
	if (is_sorted(o, node, n))
		return node;
	e.first = VQ_ARRAY(o->arena, n + 1, uint32_t);
	for (size_t i = 0; i < n; i++) {
		e.first[i] = e.n;
		add_edges(o, &e, node[i], 0);
	}
	e.first[n] = e.n;
	stack = VQ_ARRAY(o->arena, n, uint32_t);
	next = VQ_ARRAY(o->arena, n, uint32_t);
	order = VQ_ARRAY(o->arena, n, uint32_t);
	seen = VQ_ARRAY(o->arena, n, bool);
	for (size_t i = 0; i < n; i++)
		place(&e, (uint32_t)i, stack, next, seen, order, &placed);
	sorted = VQ_ARRAY(o->arena, n, Onnx__NodeProto *);
	for (size_t i = 0; i < n; i++)
		sorted[i] = node[order[i]];
	return sorted;
}
