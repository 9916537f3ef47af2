/* SPDX-License-Identifier: MIT */
/* Planning of movement that strides cannot express: copies, gather, concat, pad. */
#include "backend/index_range.h"
#include "backend/planner.h"
#include "ir/contract.h"

#include <string.h>

/* a loop over the window's elements, written with these strides; NULL: densely. Padding too is zero: kernels are compared bytewise. */
static vq_elementwise *one_operand(vq_kernel *kernel, const vq_window *w, const int64_t *to_stride)
{
	vq_elementwise *d = &kernel->u.elementwise;
	vq_extra *x = &d->epilogue.extra[0];

	memset(kernel, 0, sizeof *kernel);
	kernel->kind = VQ_KERNEL_ELEMENTWISE;
	d->rank = w->rank;
	memcpy(d->dim, w->dim, sizeof d->dim);
	if (to_stride)
		memcpy(d->out_stride, to_stride, sizeof d->out_stride);
	else
		vq_planner_row_major(d->out_stride, w->dim, w->rank);
	d->epilogue.n_extras = 1;
	x->index = VQ_X_STRIDED;
	x->scale = 1.0f;
	memcpy(x->stride, w->stride, sizeof x->stride);
	return d;
}

void vq_plan_move(vq_planner *s, vq_ref from, const vq_window *w, uint32_t bytes, vq_ref to, const int64_t *to_stride,
	vq_node node)
{
	vq_kernel kernel;
	vq_elementwise *d = one_operand(&kernel, w, to_stride);
	vq_ref arg[2] = { to, from };

	d->epilogue.store = VQ_STORE_RAW;
	d->raw_bytes = bytes;
	vq_planner_loop(s, &kernel, arg, 2, node);
}

void vq_plan_copy(vq_planner *s, const vq_window *w, bool f32, vq_ref to, const int64_t *to_stride, vq_node node)
{
	const vq_type *t = vq_type_of(s->g, w->root);
	vq_home h = vq_planner_home(s, w->root);
	const vq_quant *q = vq_quant_of(s->g, t);
	vq_kernel kernel;
	vq_elementwise *d = one_operand(&kernel, w, to_stride);
	vq_extra *x = &d->epilogue.extra[0];
	vq_ref arg[2] = { to, vq_ref_at(h.ref, w->offset * (int64_t)vq_elem_bytes(t->elem)) };

	if (f32 && q && q->n != 1) {
		vq_planner_refuse(s, node, "an operand with several scales is needed in f32");
		return;
	}
	if (!f32 && !h.u8) {
		vq_plan_move(s, arg[1], w, (uint32_t)vq_elem_bytes(t->elem), to, to_stride, node);
		return;
	}
	x->elem = t->elem;
	if (f32) {
		x->codes = q != NULL;
		x->stored_u8 = h.u8;
		x->scale = q ? q->scale[0] : 1.0f;
		x->zero = q ? q->zero[0] : 0;
		d->epilogue.store = VQ_STORE_F32;
	} else { /* back to the logical code */
		x->codes = x->stored_u8 = true;
		d->epilogue.store = VQ_STORE_S8;
		d->epilogue.lo = -128;
		d->epilogue.hi = 127;
		d->epilogue.bounded = true;
	}
	vq_planner_loop(s, &kernel, arg, 2, node);
}

/*
 * Constant indices are checked now, an input's by the run function, also those that are computed from an input element by element (Keras
 * moves negative ones) or counted from a mask of 0 and 1; nothing else can be before something is written, so what is computed otherwise must be in range whatever the
 * inputs are (positions counted from a mask, ArgMax).
 */
static bool check_indices(vq_planner *s, vq_node node)
{
	const vq_graph *g = s->g;
	vq_plan *p = s->p;
	const vq_node_info *n = &g->node[node.id];
	const vq_value_info *index = &g->value[n->in[1].id];
	vq_window w = vq_window_find(g, n->in[1], NULL, NULL);
	int64_t limit = vq_type_of(g, n->in[0])->dim[n->attr.axis.axis], lo = 0, hi = limit - 1, to, from;

	for (int64_t i = 0, count = vq_type_count(&index->type); index->def == VQ_DEF_CONST && i < count; i++) {
		int64_t k = index->type.elem == VQ_I64 ? ((const int64_t *)index->data)[i]
						       : ((const int32_t *)index->data)[i];

		if (k < 0 || k >= limit)
			return vq_planner_refuse(s, node,
				vq_arena_printf(s->a, "index %lld at position %lld is outside [0, %lld)", (long long)k,
					(long long)i, (long long)limit));
	}
	if (index->def == VQ_DEF_CONST)
		return true;
	if (g->value[w.root.id].def != VQ_DEF_INPUT) {
		bool told = vq_index_range(g, n->in[1], &from, &to);

		if (told && from >= 0 && to < limit)
			return true;
		if (vq_index_source(g, n->in[1], limit, &w, &lo, &hi)) {
			; /* checked as its source */
		} else if (vq_index_mask(g, n->in[1], limit, &w)) {
			lo = 0;
			hi = 1;
			vq_warning(g->diag, vq_where(g, node),
				"its indices are counted from input '%s', which must hold 0 and 1: the object refuses to run on others",
				g->value[w.root.id].name);
		} else {
			vq_planner_refuse(s, node,
				told ? vq_arena_printf(s->a,
					       "its indices are computed at run time and may be %lld to %lld, outside [0, %lld)",
					       (long long)from, (long long)to, (long long)limit)
				     : "its indices are computed at run time from what may be anything, expected constants or elements of an input of the model");
			return vq_hint(g->diag,
				"make the indices an input of the model, or limit them in the model: Clip, Mod");
		}
	}
	vq_window_squeeze(&w);
	for (uint32_t i = 0; i < p->n_checks; i++) {
		const vq_window *old = &p->check[i].window;

		if (p->check[i].least == lo && p->check[i].limit == hi + 1 && vq_same(old->root, w.root) &&
			old->offset == w.offset && old->rank == w.rank && !memcmp(old->dim, w.dim, sizeof w.dim) &&
			!memcmp(old->stride, w.stride, sizeof w.stride))
			return true;
	}
	p->check = vq_arena_grow(p->arena, p->check, &p->cap_checks, p->n_checks + 1, sizeof *p->check);
	p->check[p->n_checks++] = (vq_index_check){ .window = w, .least = lo, .limit = hi + 1, .node = node };
	return true;
}

bool vq_plan_gather(vq_planner *s, const vq_group *group)
{
	const vq_graph *g = s->g;
	vq_node node = group->node[0];
	const vq_node_info *n = &g->node[node.id];
	const vq_type *t = vq_type_of(g, n->in[0]), *it = vq_type_of(g, n->in[1]);
	vq_kernel kernel;
	vq_gather *d = &kernel.u.gather;
	vq_ref arg[3];
	uint32_t axis = (uint32_t)n->attr.axis.axis;

	memset(&kernel, 0, sizeof kernel);
	kernel.kind = VQ_KERNEL_GATHER;
	if (!check_indices(s, node))
		return false;
	d->outer = 1;
	d->inner_bytes = vq_elem_bytes(t->elem);
	for (uint32_t i = 0; i < axis; i++)
		d->outer *= (uint32_t)t->dim[i];
	for (uint32_t i = axis + 1; i < t->rank; i++)
		d->inner_bytes *= (uint64_t)t->dim[i];
	d->axis = (uint32_t)t->dim[axis];
	d->n = (uint32_t)vq_type_count(it);
	d->index = it->elem;
	for (uint32_t i = 0; i < 2; i++) {
		s->left[vq_window_find(g, n->in[i], NULL, NULL).root.id]--;
		arg[i] = vq_planner_dense(s, n->in[i], false, node);
	}
	arg[2] = vq_planner_result(s, n->out);
	vq_planner_step(s, &kernel, arg, 3, node);
	return true;
}

bool vq_plan_concat(vq_planner *s, const vq_group *group)
{
	const vq_graph *g = s->g;
	vq_node node = group->node[0];
	const vq_node_info *n = &g->node[node.id];
	const vq_type *t = vq_type_of(g, n->out);
	int64_t stride[VQ_MAX_RANK], at = 0;
	vq_ref to = vq_planner_result(s, n->out);

	vq_planner_row_major(stride, t->dim, t->rank);
	for (uint32_t i = t->rank; i < VQ_MAX_RANK; i++)
		stride[i] = 0;
	for (uint32_t i = 0; i < n->n_in; i++) {
		vq_window w = vq_planner_window(s, n->in[i]);
		vq_ref part = vq_ref_at(to, at * stride[n->attr.axis.axis] * (int64_t)vq_elem_bytes(t->elem));

		s->left[w.root.id]--;
		vq_plan_copy(s, &w, false, part, stride, node);
		at += w.dim[n->attr.axis.axis];
	}
	return true;
}

/* the value that pad adds, as an element of t; false if it has none */
static bool pad_element(const vq_type *t, const vq_quant *q, float value, void *element)
{
	int64_t whole = value >= -0x1p62f && value <= 0x1p62f ? (int64_t)value : 0;

	if (q) {
		int8_t code = (int8_t)vq_c_quantize(
			value * vq_c_inverse((double)q->scale[0]), q->lo, q->hi, q->zero[0]);

		memcpy(element, &code, 1);
		return q->n == 1;
	}
	if (t->elem == VQ_F32) {
		memcpy(element, &value, sizeof value);
		return true;
	}
	whole = t->elem == VQ_BOOL ? whole != 0 : whole;
	for (size_t i = 0; i < vq_elem_bytes(t->elem); i++)
		((unsigned char *)element)[i] = (unsigned char)((uint64_t)whole >> 8 * i);
	return value >= -0x1p62f && value <= 0x1p62f;
}

/* The whole result is filled, then the operand copied into it. */
bool vq_plan_pad(vq_planner *s, const vq_group *group)
{
	const vq_graph *g = s->g;
	vq_node node = group->node[0];
	const vq_node_info *n = &g->node[node.id];
	const vq_type *t = vq_type_of(g, n->out), *x = vq_type_of(g, n->in[0]);
	vq_window w = vq_planner_window(s, n->in[0]), all = vq_window_of(g, n->out), one = all;
	uint32_t bytes = (uint32_t)vq_elem_bytes(t->elem);
	int64_t at = 0;
	uint64_t element = 0;
	vq_ref to;

	s->left[w.root.id]--;
	if (x->elem != t->elem || x->quant != t->quant)
		return vq_planner_refuse(s, node, "it is quantized and padded at once");
	if (!pad_element(t, vq_quant_of(g, t), n->attr.pad.value, &element))
		return vq_planner_refuse(
			s, node, "the added value is none of the type's, or the scales lie along an axis");
	memset(one.stride, 0, sizeof one.stride);
	to = vq_planner_result(s, n->out);
	vq_plan_move(s, vq_pack_bytes(s->p, &element, bytes), &one, bytes, to, NULL, node);
	for (uint32_t i = 0; i < t->rank; i++)
		at += n->attr.pad.before[i] * all.stride[i];
	vq_plan_copy(s, &w, false, vq_ref_at(to, at * bytes), all.stride, node);
	return true;
}
