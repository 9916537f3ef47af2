/* SPDX-License-Identifier: MIT */
/*
 * Equal nodes and equal constants become one: common subexpressions, and tensors that exporters
 * store twice.
 */
#include "passes/simplify.h"

#include "passes/match.h"

#include <string.h>

/*
 * Open-addressed table of value ids by hash of what they are. Iterated never, so order does not
 * leak.
 */
typedef struct table {
	uint32_t *slot; /* value id, 0 = free */
	uint32_t mask;  /* slots - 1 */
} table;

static uint64_t mix(uint64_t h, const void *data, size_t bytes)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < bytes; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}

/* Of a large constant the beginning suffices: those of equal hash are compared in full. */
static uint64_t hash_of(const vq_graph *g, vq_value v)
{
	enum { SAMPLE = 256 };
	const vq_value_info *i = &g->value[v.id];
	uint64_t h = mix(0xcbf29ce484222325u, &i->type.elem, sizeof i->type.elem);

	h = mix(h, i->type.dim, sizeof i->type.dim);
	if (i->def == VQ_DEF_CONST) {
		size_t bytes = vq_type_bytes(&i->type);

		return mix(h, i->data, bytes < SAMPLE ? bytes : SAMPLE);
	}
	h = mix(h, &g->node[i->index].op, sizeof g->node[i->index].op);
	h = mix(h, g->node[i->index].in, g->node[i->index].n_in * sizeof(vq_value));
	return mix(h, &g->node[i->index].attr, sizeof(vq_attr));
}

static bool equal(const vq_graph *g, vq_value a, vq_value b)
{
	const vq_value_info *x = &g->value[a.id], *y = &g->value[b.id];
	const vq_node_info *m, *n;

	if (x->def != y->def || !vq_same_type(&x->type, &y->type))
		return false;
	if (x->def == VQ_DEF_CONST)
		return x->data == y->data || !memcmp(x->data, y->data, vq_type_bytes(&x->type));
	m = &g->node[x->index];
	n = &g->node[y->index];
	if (m->out2.id || n->out2.id) /* both results would have to be replaced at once */
		return false;
	return m->op == n->op && m->n_in == n->n_in && !memcmp(m->in, n->in, m->n_in * sizeof *m->in) &&
		!memcmp(&m->attr, &n->attr, sizeof m->attr);
}

/* the first value equal to v, maybe v itself */
static vq_value first_equal(const vq_graph *g, table *t, vq_value v)
{
	uint32_t at = (uint32_t)hash_of(g, v) & t->mask;

	for (; t->slot[at]; at = (at + 1) & t->mask)
		if (equal(g, (vq_value){ t->slot[at] }, v))
			return (vq_value){ t->slot[at] };
	t->slot[at] = v.id;
	return v;
}

bool vq_merge_equal(vq_graph *g)
{
	vq_arena scratch = { 0 };
	vq_value *now = VQ_ARRAY(&scratch, g->n_values, vq_value);
	table t = { .mask = 15 };
	bool changed = false;

	while (t.mask < 2 * g->n_values)
		t.mask = 2 * t.mask + 1;
	t.slot = VQ_ARRAY(&scratch, (size_t)t.mask + 1, uint32_t);
	/*
	 * a graph just swept: operands stand before their users, so that theirs are merged already
	 */
	for (uint32_t i = 1; i < g->n_values; i++) {
		vq_value_info *v = &g->value[i];

		now[i].id = i;
		if (v->def == VQ_DEF_INPUT)
			continue;
		if (v->def == VQ_DEF_NODE)
			for (uint32_t j = 0; j < g->node[v->index].n_in; j++)
				g->node[v->index].in[j] = now[g->node[v->index].in[j].id];
		now[i] = first_equal(g, &t, (vq_value){ i });
		changed |= now[i].id != i;
	}
	for (uint32_t i = 0; i < g->n_outputs; i++)
		g->output[i].value = now[g->output[i].value.id];
	vq_arena_free(&scratch);
	return changed;
}
