/* SPDX-License-Identifier: MIT */
#include "ir/window.h"

#include <string.h>

vq_window vq_window_of(const vq_graph *g, vq_value v)
{
	const vq_type *t = vq_type_of(g, v);
	vq_window w = { .root = v, .rank = t->rank };
	int64_t step = 1;

	for (uint32_t i = t->rank; i-- > 0;) {
		w.dim[i] = t->dim[i];
		w.stride[i] = step;
		step *= t->dim[i];
	}
	return w;
}

int64_t vq_window_count(const vq_window *w)
{
	int64_t n = 1;

	for (uint32_t i = 0; i < w->rank; i++)
		n *= w->dim[i];
	return n;
}

bool vq_window_contiguous(const vq_window *w)
{
	int64_t step = 1;

	for (uint32_t i = w->rank; i-- > 0;) {
		if (w->dim[i] != 1 && w->stride[i] != step)
			return false;
		step *= w->dim[i];
	}
	return true;
}

void vq_window_squeeze(vq_window *w)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->rank; i++) {
		if (w->dim[i] == 1)
			continue;
		if (n && w->stride[n - 1] == w->stride[i] * w->dim[i]) {
			w->dim[n - 1] *= w->dim[i];
			w->stride[n - 1] = w->stride[i];
			continue;
		}
		w->dim[n] = w->dim[i];
		w->stride[n++] = w->stride[i];
	}
	for (uint32_t i = n; i < w->rank; i++)
		w->dim[i] = w->stride[i] = 0;
	w->rank = n;
}

/* Each run of merged dimensions must be cut by whole new dimensions. */
bool vq_window_reshape(vq_window *w, uint32_t rank, const int64_t *dim)
{
	vq_window s = *w, r = { .root = w->root, .offset = w->offset, .rank = rank };
	uint32_t i = rank, run;

	vq_window_squeeze(&s);
	run = s.rank;
	while (run-- > 0) {
		int64_t left = s.dim[run], step = s.stride[run];

		while (left > 1) {
			if (i == 0 || left % dim[i - 1])
				return false;
			i--;
			r.dim[i] = dim[i];
			r.stride[i] = step;
			step *= dim[i];
			left /= dim[i];
		}
	}
	while (i > 0) {
		i--;
		if (dim[i] != 1)
			return false;
		r.dim[i] = 1;
		r.stride[i] = 0;
	}
	*w = r;
	return true;
}

static void expand(vq_window *w, const vq_type *to)
{
	vq_window r = { .root = w->root, .offset = w->offset, .rank = to->rank };
	uint32_t lead = to->rank - w->rank;

	for (uint32_t i = 0; i < to->rank; i++) {
		r.dim[i] = to->dim[i];
		r.stride[i] = i < lead || w->dim[i - lead] != to->dim[i] ? 0 : w->stride[i - lead];
	}
	*w = r;
}

/* element `at` of the row-major tensor that w shows, as an offset in w's root */
static int64_t locate(const vq_window *w, int64_t at)
{
	int64_t offset = w->offset;

	for (uint32_t i = w->rank; i-- > 0;) {
		offset += at % w->dim[i] * w->stride[i];
		at /= w->dim[i];
	}
	return offset;
}

/*
 * A view strides over the row-major numbering of what w shows. Where w is contiguous that is the root's own numbering; otherwise it is a window of the
 * root only if every element lies where the strides say, which is simply checked for all of them (canonical graphs never get here).
 */
static bool view(vq_window *w, const vq_attr *a)
{
	vq_window r = { .root = w->root, .rank = a->view.rank, .offset = locate(w, a->view.offset) };
	vq_window asked = { .rank = a->view.rank, .offset = a->view.offset };

	for (uint32_t i = 0; i < r.rank; i++) {
		r.dim[i] = asked.dim[i] = a->view.dim[i];
		asked.stride[i] = a->view.stride[i];
		r.stride[i] = r.dim[i] > 1 ? locate(w, asked.offset + asked.stride[i]) - r.offset : 0;
	}
	for (int64_t i = 0, n = vq_window_contiguous(w) ? 0 : vq_window_count(&r); i < n; i++)
		if (locate(w, locate(&asked, i)) != locate(&r, i))
			return false;
	*w = r;
	return true;
}

/* The window seen through one movement node (its operand seen through w). false if strides cannot express it (w unchanged). */
static bool through(const vq_graph *g, vq_node id, vq_window *w)
{
	const vq_node_info *n = &g->node[id.id];
	const vq_type *to = vq_type_of(g, n->out);
	vq_window r = *w;

	switch (n->op) {
	case VQ_OP_RESHAPE: return vq_window_reshape(w, to->rank, to->dim);
	case VQ_OP_EXPAND: expand(w, to); return true;
	case VQ_OP_TRANSPOSE:
		for (uint32_t i = 0; i < w->rank; i++) {
			r.dim[i] = w->dim[n->attr.perm.perm[i]];
			r.stride[i] = w->stride[n->attr.perm.perm[i]];
		}
		*w = r;
		return true;
	case VQ_OP_SLICE:
		for (uint32_t i = 0; i < w->rank; i++) {
			w->offset += n->attr.slice.start[i] * w->stride[i];
			w->stride[i] *= n->attr.slice.step[i];
			w->dim[i] = n->attr.slice.count[i];
		}
		return true;
	case VQ_OP_VIEW: return view(w, &n->attr);
	default: return false;
	}
}

vq_window vq_window_find(const vq_graph *g, vq_value v, bool (*stop)(void *user, vq_value v), void *user)
{
	vq_node chain[64];
	uint32_t n = 0;
	vq_window w;

	for (vq_value at = v; n < 64; n++) {
		vq_node d = vq_def_of(g, at);
		vq_op op = vq_op_of(g, d);

		if ((stop && stop(user, at)) ||
			(op != VQ_OP_RESHAPE && op != VQ_OP_EXPAND && op != VQ_OP_TRANSPOSE && op != VQ_OP_SLICE &&
				op != VQ_OP_VIEW))
			break;
		chain[n] = d;
		at = vq_operand(g, d, 0);
	}
	/* from the farthest root that works; a node that strides cannot express becomes the root */
	w = vq_window_of(g, n ? vq_operand(g, chain[n - 1], 0) : v);
	while (n-- > 0)
		if (!through(g, chain[n], &w))
			w = vq_window_of(g, g->node[chain[n].id].out);
	return w;
}
