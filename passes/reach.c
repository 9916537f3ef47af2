/* SPDX-License-Identifier: MIT */
/*
 * Which values hold the channels of a producer, and whether everything that reads them can be
 * rewritten.
 *
 * A value holds the channels in turn if element i of it (row-major) belongs to channel i mod C. The
 * result of LayerNorm does, and so does whatever movement makes of it without breaking rows up:
 * windows, shifts, a row taken out, several positions merged into one dimension.
 */
#include "passes/transform.h"

/* Strides of the row-major tensor t, in elements. */
static void row_major(const vq_type *t, int64_t *stride)
{
	int64_t step = 1;

	for (uint32_t i = t->rank; i-- > 0; step *= t->dim[i])
		stride[i] = step;
}

/*
 * Result element (i0, i1, …) lies at offset + sum of stride * i in the operand and at sum of w * i
 * in the result: both must be the same channel.
 */
static bool strides_keep(const vq_type *result, int64_t offset, const int64_t *stride, int64_t channels)
{
	int64_t w[VQ_MAX_RANK];

	row_major(result, w);
	if (offset % channels)
		return false;
	for (uint32_t i = 0; i < result->rank; i++)
		if (result->dim[i] > 1 && (stride[i] - w[i]) % channels)
			return false;
	return true;
}

static bool slice_keeps(const vq_node_info *n, const vq_type *from, const vq_type *to, int64_t channels)
{
	int64_t stride[VQ_MAX_RANK], offset = 0;

	row_major(from, stride);
	for (uint32_t i = 0; i < from->rank; i++) {
		offset += n->attr.slice.start[i] * stride[i];
		stride[i] *= n->attr.slice.step[i];
	}
	return strides_keep(to, offset, stride, channels);
}

static bool transpose_keeps(const vq_node_info *n, const vq_type *from, const vq_type *to, int64_t channels)
{
	int64_t stride[VQ_MAX_RANK], moved[VQ_MAX_RANK];

	row_major(from, stride);
	for (uint32_t i = 0; i < to->rank; i++)
		moved[i] = stride[n->attr.perm.perm[i]];
	return strides_keep(to, 0, moved, channels);
}

/* Elements after the axis. */
static int64_t inner(const vq_type *t, int32_t axis)
{
	int64_t n = 1;

	for (uint32_t i = (uint32_t)axis + 1; i < t->rank; i++)
		n *= t->dim[i];
	return n;
}

static bool concat_keeps(const vq_graph *g, const vq_node_info *n, int64_t channels)
{
	for (uint32_t i = 0; i < n->n_in; i++) {
		const vq_type *t = vq_type_of(g, n->in[i]);

		if (t->dim[n->attr.axis.axis] * inner(t, n->attr.axis.axis) % channels)
			return false;
	}
	return true;
}

/* Does the result hold the channels in turn if operand 0 (of concat: all operands) does? */
static bool keeps_channels(const vq_graph *g, const vq_node_info *n, int64_t channels)
{
	const vq_type *from = vq_type_of(g, n->in[0]), *to = vq_type_of(g, n->out);

	if (from->rank == 0)
		return false;
	switch (n->op) {
	case VQ_OP_RESHAPE: return true;
	case VQ_OP_EXPAND: /* repeats whole rows */
		return to->rank && to->dim[to->rank - 1] == channels && from->dim[from->rank - 1] == channels;
	case VQ_OP_TRANSPOSE: return transpose_keeps(n, from, to, channels);
	case VQ_OP_SLICE: return slice_keeps(n, from, to, channels);
	case VQ_OP_VIEW: return strides_keep(to, n->attr.view.offset, n->attr.view.stride, channels);
	case VQ_OP_GATHER: return inner(from, n->attr.axis.axis) % channels == 0;
	case VQ_OP_CONCAT: return concat_keeps(g, n, channels);
	case VQ_OP_REDUCE_MEAN: /* the mean of (x - t) / d is (mean of x - t) / d */
		return from->dim[from->rank - 1] == channels && !(n->attr.reduce.axes >> (from->rank - 1) & 1);
	default: return false;
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

static const char *refusal(const vq_graph *g, vq_node id, const bool *in_reach, int64_t channels)
{
	const vq_node_info *n = &g->node[id.id];

	if (n->op != VQ_OP_LINEAR || !in_reach[n->in[0].id] || in_reach[n->in[1].id] ||
		(n->n_in > 2 && in_reach[n->in[2].id]))
		return vq_arena_printf(g->arena, "its result is also read by %s", vq_where(g, id));
	if (vq_type_of(g, n->in[1])->dim[1] != channels)
		return vq_arena_printf(g->arena, "%s reads several positions as one row", vq_where(g, id));
	if (!vq_is_const(g, n->in[1]) || vq_type_of(g, n->in[1])->elem != VQ_F32)
		return vq_arena_printf(g->arena, "%s reads it and has no constant float weights", vq_where(g, id));
	if (n->n_in > 2 && !vq_is_const(g, n->in[2]))
		return vq_arena_printf(g->arena, "%s reads it and its bias is no constant", vq_where(g, id));
	return NULL;
}

static void add_reader(const vq_graph *g, vq_node id, const bool *in_reach, vq_reach *r)
{
	const vq_node_info *n = &g->node[id.id];
	const char *why = refusal(g, id, in_reach, r->channels);

	if (!why)
		r->consumer[r->n_consumers++] = (vq_consumer){ id, g->value[n->in[1].id].data,
			(uint32_t)vq_type_of(g, n->in[1])->dim[0] };
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
			r->refused = vq_arena_printf(
				g->arena, "its result is the graph's output '%s'", g->output[i].name);
}
