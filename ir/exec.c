/* SPDX-License-Identifier: MIT */
/* The evaluator as an executor: nodes in order, values freed after their last use, blocks used again. */
#include "ir/eval.h"

#include <string.h>

/* A heap block that values take turns in. */
typedef struct block {
	void *data;
	size_t bytes;
	bool busy;
} block;

struct vq_exec {
	const vq_graph *g;
	vq_arena arena; /* of everything below but the blocks */
	uint32_t *uses; /* of each value by nodes, by value id */
	bool *observed; /* by value id */
	block *block;   /* grows */
	uint32_t n_blocks, cap_blocks;
};

/* One run: where values are. By value id. */
typedef struct run {
	vq_exec *e;
	void **data;
	uint32_t *block; /* index + 1 of the value's block, 0: none */
	uint32_t *left;  /* uses to come */
	void *const *out;
	vq_observe *observe;
	void *user;
} run;

/* Every node's operands must be defined before it. */
static bool in_order(const vq_graph *g, vq_arena *a)
{
	bool *known = VQ_ARRAY(a, g->n_values, bool);

	for (uint32_t i = 1; i < g->n_values; i++)
		known[i] = g->value[i].def == VQ_DEF_CONST || g->value[i].def == VQ_DEF_INPUT;
	for (uint32_t i = 1; i < g->n_nodes; i++) {
		const vq_node_info *n = &g->node[i];

		for (uint32_t k = 0; n->op && k < n->n_in; k++)
			if (!known[n->in[k].id])
				return vq_error(g->diag, vq_where(g, (vq_node){ i }),
					"operand %u is not computed before it is used", k);
		if (n->op)
			known[n->out.id] = known[n->out2.id] = true; /* [0] is no value */
	}
	for (uint32_t i = 0; i < g->n_outputs; i++)
		if (!known[g->output[i].value.id])
			return vq_error(g->diag, NULL, "output '%s' is not computed", g->output[i].name);
	return true;
}

static void dispose(vq_exec *e)
{
	vq_arena arena;

	if (!e)
		return;
	for (uint32_t i = 0; i < e->n_blocks; i++)
		vq_free(e->block[i].data);
	arena = e->arena;
	vq_arena_free(&arena);
}

static vq_exec *prepare(const vq_executor *x, const vq_graph *g, const vq_value *observed, uint32_t n)
{
	vq_arena arena = { 0 };
	vq_exec *e = VQ_NEW(&arena, vq_exec);

	(void)x;
	e->g = g;
	if (!in_order(g, &arena)) {
		vq_arena_free(&arena);
		return NULL;
	}
	e->uses = VQ_ARRAY(&arena, g->n_values, uint32_t);
	e->observed = VQ_ARRAY(&arena, g->n_values, bool);
	for (uint32_t i = 1; i < g->n_nodes; i++)
		for (uint32_t k = 0; g->node[i].op && k < g->node[i].n_in; k++)
			e->uses[g->node[i].in[k].id]++;
	for (uint32_t i = 0; i < n; i++)
		e->observed[observed[i].id] = true;
	e->arena = arena;
	return e;
}

/* The smallest free block that is large enough; a new one if there is none or it wastes more than it holds. */
static uint32_t take_block(vq_exec *e, size_t bytes)
{
	uint32_t best = UINT32_MAX;

	for (uint32_t i = 0; i < e->n_blocks; i++) {
		const block *b = &e->block[i];

		if (!b->busy && b->bytes >= bytes && b->bytes / 2 <= bytes &&
			(best == UINT32_MAX || b->bytes < e->block[best].bytes))
			best = i;
	}
	if (best == UINT32_MAX) {
		best = e->n_blocks;
		e->block = vq_arena_grow(&e->arena, e->block, &e->cap_blocks, best + 1, sizeof *e->block);
		e->block[best] = (block){ .data = vq_alloc(bytes), .bytes = bytes };
		e->n_blocks++;
	}
	e->block[best].busy = true;
	return best;
}

static void *take(run *r, vq_value v)
{
	uint32_t b = take_block(r->e, vq_type_bytes(vq_type_of(r->e->g, v)));

	r->block[v.id] = b + 1;
	r->data[v.id] = r->e->block[b].data;
	return r->data[v.id];
}

static void give_back(run *r, vq_value v)
{
	if (r->block[v.id])
		r->e->block[r->block[v.id] - 1].busy = false;
	r->block[v.id] = 0;
}

/* v is computed: it is shown, copied to the outputs that it is, and freed if no node uses it */
static void computed(run *r, vq_value v)
{
	const vq_graph *g = r->e->g;

	if (r->observe && r->e->observed[v.id])
		r->observe(r->user, v, r->data[v.id]);
	for (uint32_t i = 0; i < g->n_outputs; i++)
		if (vq_same(g->output[i].value, v))
			memcpy(r->out[i], r->data[v.id], vq_type_bytes(vq_type_of(g, v)));
	if (!r->left[v.id])
		give_back(r, v);
}

static bool run_node(run *r, uint32_t id)
{
	const vq_graph *g = r->e->g;
	const vq_node_info *n = &g->node[id];
	vq_arena scratch = { 0 };
	vq_tensor *in = VQ_ARRAY(&scratch, n->n_in, vq_tensor),
		  out[2] = { { .type = *vq_type_of(g, n->out) }, { .type = *vq_type_of(g, n->out2) } };
	const char *wrong;

	for (uint32_t k = 0; k < n->n_in; k++)
		in[k] = (vq_tensor){ *vq_type_of(g, n->in[k]), r->data[n->in[k].id] };
	out[0].data = take(r, n->out);
	out[1].data = n->out2.id ? take(r, n->out2) : NULL;
	wrong = vq_eval_node(g, n, in, out, &scratch);
	if (wrong)
		vq_error(g->diag, vq_where(g, (vq_node){ id }), "%s", wrong);
	vq_arena_free(&scratch);
	if (wrong)
		return false;
	computed(r, n->out);
	if (n->out2.id)
		computed(r, n->out2);
	for (uint32_t k = 0; k < n->n_in; k++)
		if (!--r->left[n->in[k].id])
			give_back(r, n->in[k]);
	return true;
}

/* Inputs and constants are read where they are: nothing writes to the data of an operand. */
static void bind(run *r, vq_value v, const void *data)
{
	memcpy(&r->data[v.id], &data, sizeof data);
	computed(r, v);
}

static bool run_graph(vq_exec *e, const void *const *in, void *const *out, vq_observe *observe, void *user)
{
	const vq_graph *g = e->g;
	vq_arena scratch = { 0 };
	run r = { .e = e, .out = out, .observe = observe, .user = user };
	bool ok = true;

	r.data = VQ_ARRAY(&scratch, g->n_values, void *);
	r.block = VQ_ARRAY(&scratch, g->n_values, uint32_t);
	r.left = VQ_ARRAY(&scratch, g->n_values, uint32_t);
	memcpy(r.left, e->uses, g->n_values * sizeof *r.left);
	for (uint32_t i = 0; i < e->n_blocks; i++)
		e->block[i].busy = false;
	for (uint32_t i = 0; i < g->n_inputs; i++)
		bind(&r, g->input[i].value, in[i]);
	for (uint32_t i = 1; i < g->n_values; i++)
		if (g->value[i].def == VQ_DEF_CONST)
			bind(&r, (vq_value){ i }, g->value[i].data);
	for (uint32_t i = 1; i < g->n_nodes && ok; i++)
		if (g->node[i].op)
			ok = run_node(&r, i);
	vq_arena_free(&scratch);
	return ok;
}

const vq_executor vq_evaluator = {
	.name = "evaluator", .workers = 1, .prepare = prepare, .run = run_graph, .dispose = dispose
};
