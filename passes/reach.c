/* Which values hold the channels of a producer, and whether everything that reads them can be rewritten. */
#include "passes/transform.h"

/* Does every element of the view keep its channel? Then offset and outer strides are multiples of the number of channels. */
static bool view_keeps_channels(const vq_attr *a, int64_t channels)
{
	uint32_t last = a->view.rank - 1;

	if (a->view.rank == 0 || a->view.dim[last] != channels || (channels > 1 && a->view.stride[last] != 1) ||
		a->view.offset % channels)
		return false;
	for (uint32_t i = 0; i < last; i++)
		if (a->view.dim[i] > 1 && a->view.stride[i] % channels)
			return false;
	return true;
}

/* Is the node's result indexed by the same channels in its last axis as operand 0? Linear in each channel, too. */
static bool keeps_channels(const vq_graph *g, const vq_node_info *n, int64_t channels)
{
	const vq_type *from = vq_type_of(g, n->in[0]), *to = vq_type_of(g, n->out);
	uint32_t last = from->rank - 1;

	if (to->rank == 0 || to->dim[to->rank - 1] != channels)
		return false;
	switch (n->op) {
	case VQ_OP_RESHAPE:
		return true;
	case VQ_OP_EXPAND:
		return true;
	case VQ_OP_TRANSPOSE:
		return n->attr.perm.perm[last] == last;
	case VQ_OP_SLICE:
		return n->attr.slice.start[last] == 0 && n->attr.slice.step[last] == 1;
	case VQ_OP_VIEW:
		return view_keeps_channels(&n->attr, channels);
	case VQ_OP_GATHER:
		return (uint32_t)n->attr.axis.axis < last;
	case VQ_OP_REDUCE_MEAN:
		return !(n->attr.reduce.axes >> last & 1);
	case VQ_OP_CONCAT:
		return (uint32_t)n->attr.axis.axis < last;
	default:
		return false;
	}
}

static bool takes_part(const vq_graph *g, const vq_node_info *n, const bool *in_reach, int64_t channels)
{
	if (!n->n_in || !in_reach[n->in[0].id] || !keeps_channels(g, n, channels))
		return false;
	for (uint32_t j = 1; n->op == VQ_OP_CONCAT && j < n->n_in; j++)
		if (!in_reach[n->in[j].id])
			return false;
	return true;
}

static const char *refusal(const vq_graph *g, vq_node id, const bool *in_reach)
{
	const vq_node_info *n = &g->node[id.id];

	if (n->op != VQ_OP_LINEAR || !in_reach[n->in[0].id] || in_reach[n->in[1].id] || (n->n_in > 2 && in_reach[n->in[2].id]))
		return vq_arena_printf(g->arena, "its result is also read by %s", vq_where(g, id));
	if (!vq_is_const(g, n->in[1]) || vq_type_of(g, n->in[1])->elem != VQ_F32)
		return vq_arena_printf(g->arena, "%s reads it and has no constant float weights", vq_where(g, id));
	if (n->n_in > 2 && !vq_is_const(g, n->in[2]))
		return vq_arena_printf(g->arena, "%s reads it and its bias is no constant", vq_where(g, id));
	return NULL;
}

static void add_reader(const vq_graph *g, vq_node id, const bool *in_reach, vq_reach *r)
{
	const vq_node_info *n = &g->node[id.id];
	const char *why = refusal(g, id, in_reach);

	if (!why)
		r->consumer[r->n_consumers++] =
			(vq_consumer){ id, g->value[n->in[1].id].data, (uint32_t)vq_type_of(g, n->in[1])->dim[0] };
	else if (!r->refused)
		r->refused = why;
}

void vq_reach_find(const vq_graph *g, vq_value root, vq_arena *a, vq_reach *r)
{
	const vq_type *t = vq_type_of(g, root);
	bool *in_reach = VQ_ARRAY(a, g->n_values, bool);

	*r = (vq_reach){
		.root = root,
		.channels = (uint32_t)t->dim[t->rank - 1],
		.value = VQ_ARRAY(a, g->n_values, vq_value),
		.consumer = VQ_ARRAY(a, g->n_nodes, vq_consumer),
	};
	in_reach[root.id] = true;
	r->value[r->n_values++] = root;
	for (uint32_t i = 1; i < g->n_nodes; i++) { /* execution order: operands come first */
		const vq_node_info *n = &g->node[i];
		bool reads = false;

		for (uint32_t j = 0; j < n->n_in; j++)
			reads |= in_reach[n->in[j].id];
		if (!reads)
			continue;
		if (takes_part(g, n, in_reach, r->channels)) {
			in_reach[n->out.id] = true;
			r->value[r->n_values++] = n->out;
		} else {
			add_reader(g, (vq_node){ i }, in_reach, r);
		}
	}
	for (uint32_t i = 0; i < g->n_outputs; i++)
		if (in_reach[g->output[i].value.id])
			r->refused = vq_arena_printf(g->arena, "its result is the graph's output '%s'", g->output[i].name);
}
