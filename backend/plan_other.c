/* Planning of what is not a product: elementwise groups, norms, reductions, copies, gather, concat. */
#include "backend/planner.h"
#include "ir/contract.h"

#include <string.h>

enum {
	ELEMENTS_PER_TASK = 1 << 14, /* a task should outlast the cost of handing it to a worker */
	ROWS_PER_TASK = 32,
};

/* ---- elementwise ---- */

/* Drops dimensions of size 1 and merges those that every array steps through as one. */
static void squeeze(vq_elementwise *d)
{
	uint32_t n = 0;
	vq_epilogue *e = &d->epilogue;

	for (uint32_t i = 0; i < d->rank; i++) {
		bool merge = n > 0;

		if (d->dim[i] == 1)
			continue;
		for (uint32_t x = 0; merge && x < e->n_extras; x++)
			merge = e->extra[x].stride[n - 1] == e->extra[x].stride[i] * d->dim[i];
		merge = merge && d->out_stride[n - 1] == d->out_stride[i] * d->dim[i];
		if (merge)
			n--;
		d->dim[n] = merge ? d->dim[n] * d->dim[i] : d->dim[i];
		d->out_stride[n] = d->out_stride[i];
		for (uint32_t x = 0; x < e->n_extras; x++)
			e->extra[x].stride[n] = e->extra[x].stride[i];
		n++;
	}
	for (uint32_t i = n; i < d->rank; i++) {
		d->dim[i] = d->out_stride[i] = 0;
		for (uint32_t x = 0; x < e->n_extras; x++)
			e->extra[x].stride[i] = 0;
	}
	d->rank = n;
	if (!n) {
		d->rank = 1;
		d->dim[0] = 1;
		d->out_stride[0] = 1;
	}
}

static void split_elementwise(vq_elementwise *d)
{
	int64_t n = 1, tasks;

	for (uint32_t i = 0; i < d->rank; i++)
		n *= d->dim[i];
	tasks = (n + ELEMENTS_PER_TASK - 1) / ELEMENTS_PER_TASK;
	d->tasks = (uint32_t)(tasks > d->dim[0] ? d->dim[0] : tasks > 64 ? 64 : tasks);
}

static void row_major(int64_t *stride, const int64_t *dim, uint32_t rank)
{
	int64_t step = 1;

	for (uint32_t i = rank; i-- > 0; step *= dim[i])
		stride[i] = step;
}

void vq_plan_copy(vq_planner *s, const vq_window *w, bool f32, vq_ref to, const int64_t *to_stride, vq_node node)
{
	const vq_type *t = vq_type_of(s->g, w->root);
	vq_home h = vq_planner_home(s, w->root);
	const vq_quant *q = vq_quant_of(s->g, t);
	vq_kernel kernel;
	vq_elementwise *d = &kernel.u.elementwise;
	vq_extra *x = &d->epilogue.extra[0];
	vq_ref arg[2] = { to, vq_ref_at(h.ref, w->offset * (int64_t)vq_elem_bytes(t->elem)) };

	memset(&kernel, 0, sizeof kernel);
	kernel.kind = VQ_KERNEL_ELEMENTWISE;
	d->rank = w->rank;
	memcpy(d->dim, w->dim, sizeof d->dim);
	if (to_stride)
		memcpy(d->out_stride, to_stride, sizeof d->out_stride);
	else
		row_major(d->out_stride, w->dim, w->rank);
	d->epilogue.n_extras = 1;
	x->index = VQ_X_STRIDED;
	x->elem = t->elem;
	x->scale = 1.0f;
	memcpy(x->stride, w->stride, sizeof x->stride);
	if (f32 && q && q->n != 1)
		vq_planner_refuse(s, node, "an operand with several scales is needed in f32");
	if (f32) {
		x->codes = q != NULL;
		x->stored_u8 = h.u8;
		x->scale = q ? q->scale[0] : 1.0f;
		x->zero = q ? q->zero[0] : 0;
		d->epilogue.store = VQ_STORE_F32;
	} else if (h.u8) { /* back to the logical code */
		x->codes = x->stored_u8 = true;
		d->epilogue.store = VQ_STORE_S8;
		d->epilogue.lo = -128;
		d->epilogue.hi = 127;
		d->epilogue.bounded = true;
	} else {
		d->epilogue.store = VQ_STORE_RAW;
		d->raw_bytes = (uint32_t)vq_elem_bytes(t->elem);
	}
	squeeze(d);
	split_elementwise(d);
	vq_planner_step(s, &kernel, arg, 2, node);
}

/*
 * A chain on one tensor and single elements may walk any shape of as many elements: then a reshape that strides cannot express needs no
 * copy, the chain reads through it (patches: quantize of the reordered image).
 */
static void read_through_reshape(vq_planner *s, vq_value x, vq_elementwise *d, vq_ref *arg)
{
	vq_value from = x;
	vq_window w;
	vq_home h;

	while (vq_def_op(s->g, from) == VQ_OP_RESHAPE)
		from = vq_operand(s->g, vq_def_of(s->g, from), 0);
	if (vq_same(from, x) || d->epilogue.n_extras != 1)
		return;
	w = vq_window_find(s->g, x, NULL, NULL);
	if (!vq_same(w.root, x) || s->home[x.id].set)
		return;
	w = vq_planner_window(s, from);
	h = vq_planner_home(s, w.root);
	d->rank = w.rank;
	memcpy(d->dim, w.dim, sizeof d->dim);
	row_major(d->out_stride, w.dim, w.rank);
	memcpy(d->epilogue.extra[0].stride, w.stride, sizeof w.stride);
	d->epilogue.extra[0].stored_u8 = h.u8;
	*arg = vq_ref_at(h.ref, w.offset * (int64_t)vq_elem_bytes(vq_type_of(s->g, from)->elem));
}

bool vq_plan_elementwise(vq_planner *s, const vq_group *group)
{
	const vq_graph *g = s->g;
	vq_node head = group->node[0], tail = group->node[group->n - 1];
	vq_value out = g->node[tail.id].out, x = vq_operand(g, head, 0);
	const vq_type *t = vq_type_of(g, out), *xt = vq_type_of(g, x);
	vq_kernel kernel;
	vq_elementwise *d = &kernel.u.elementwise;
	vq_ref arg[VQ_MAX_ARGS];
	uint32_t n_args = 1;

	memset(&kernel, 0, sizeof kernel);
	kernel.kind = VQ_KERNEL_ELEMENTWISE;
	if (t->elem != VQ_F32 && !t->quant)
		return vq_planner_refuse(s, tail, "arithmetic on integers or booleans at run time");
	if (t->quant && g->quant[t->quant].n != 1)
		return vq_planner_refuse(s, tail, "the result has a scale per channel");
	if (vq_same_shape(xt, t) && g->node[head.id].n_in == 1 && vq_same(vq_window_find(g, x, NULL, NULL).root, x) && !s->home[x.id].set &&
		vq_def_op(g, x) == VQ_OP_RESHAPE && group->n == 1) {
		/* planned below without ever giving the reshaped value a home */
		vq_epilogue *e = &d->epilogue;
		vq_home saved = s->home[x.id];

		s->home[x.id] = (vq_home){ .set = true };
		if (!vq_plan_epilogue(s, group, 0, false, e, arg, &n_args))
			return false;
		s->home[x.id] = saved;
		read_through_reshape(s, x, d, &arg[1]);
	} else {
		if (!vq_plan_epilogue(s, group, 0, false, &d->epilogue, arg, &n_args))
			return false;
		d->rank = t->rank;
		memcpy(d->dim, t->dim, sizeof d->dim);
		row_major(d->out_stride, t->dim, t->rank);
	}
	squeeze(d);
	split_elementwise(d);
	vq_planner_share(s, &d->epilogue, arg, &n_args);
	arg[0] = vq_planner_result(s, out);
	vq_planner_step(s, &kernel, arg, n_args, tail);
	return true;
}

/* ---- norms ---- */

static void norm_store(vq_planner *s, vq_value v, vq_epilogue *e, bool scaled)
{
	const vq_quant *q = vq_quant_of(s->g, vq_type_of(s->g, v));

	e->store = !q ? VQ_STORE_F32 : s->u8[v.id] ? VQ_STORE_U8 : VQ_STORE_S8;
	e->flush = s->p->strict && !q;
	if (q) {
		e->lo = q->lo;
		e->hi = q->hi;
		e->zero = q->zero[0];
		e->scaled = scaled;
		e->inv = scaled ? (float)(1.0 / (double)q->scale[0]) : 1.0f;
	}
}

static uint32_t row_block(uint32_t rows)
{
	return rows < ROWS_PER_TASK ? rows : ROWS_PER_TASK;
}

bool vq_plan_layernorm(vq_planner *s, const vq_group *group)
{
	const vq_graph *g = s->g;
	vq_node node = group->node[0];
	const vq_node_info *n = &g->node[node.id];
	const vq_type *t = vq_type_of(g, n->in[0]), *ot = vq_type_of(g, n->out);
	const vq_quant *q = vq_quant_of(g, ot);
	vq_kernel kernel;
	vq_layernorm *d = &kernel.u.layernorm;
	vq_ref arg[5];
	uint32_t n_args = 4;
	vq_window w = vq_planner_window(s, n->in[0]), r = w;
	vq_home h = vq_planner_home(s, w.root);

	memset(&kernel, 0, sizeof kernel);
	kernel.kind = VQ_KERNEL_LAYERNORM;
	d->n = (uint32_t)t->dim[t->rank - 1];
	d->rows = (uint32_t)(vq_type_count(t) / d->n);
	d->epsilon = n->attr.norm.epsilon;
	d->x_row = (int64_t)d->n * 4;
	s->left[w.root.id]--;
	if (q && q->n != 1)
		return vq_planner_refuse(s, node, "the result has a scale per channel");
	r.rank--;
	vq_window_squeeze(&r);
	if (t->elem == VQ_F32 && r.rank <= 1 && (w.stride[w.rank - 1] == 1 || d->n == 1)) {
		arg[0] = vq_ref_at(h.ref, w.offset * 4);
		d->x_row = r.rank ? r.stride[0] * 4 : d->x_row;
	} else {
		arg[0] = vq_planner_dense(s, n->in[0], true, node);
	}
	for (uint32_t i = 1; i < 3; i++) {
		int64_t count;
		const float *from = vq_planner_const_f32(s, n->in[i], &count);
		float *to = VQ_ARRAY(s->a, d->n, float);

		if (!from && q)
			return vq_planner_refuse(s, node, "gamma or beta is not constant");
		if (!from) {
			arg[i] = vq_planner_dense(s, n->in[i], true, node);
			continue;
		}
		for (uint32_t c = 0; c < d->n; c++)
			to[c] = vq_c_merge_bias(from[c], q ? q->scale[0] : 1.0f);
		arg[i] = vq_pack_bytes(s->p, to, d->n * sizeof *to);
	}
	norm_store(s, n->out, &d->epilogue, false);
	vq_planner_share(s, &d->epilogue, arg, &n_args);
	d->row_block = row_block(d->rows);
	arg[3] = vq_planner_result(s, n->out);
	vq_planner_step(s, &kernel, arg, n_args, node);
	return true;
}

bool vq_plan_softmax(vq_planner *s, const vq_group *group)
{
	const vq_graph *g = s->g;
	vq_node node = group->node[0];
	const vq_node_info *n = &g->node[node.id];
	const vq_type *t = vq_type_of(g, n->in[0]);
	vq_kernel kernel;
	vq_softmax *d = &kernel.u.softmax;
	vq_ref arg[3];
	uint32_t n_args = 2;

	memset(&kernel, 0, sizeof kernel);
	kernel.kind = VQ_KERNEL_SOFTMAX;
	if (!t->rank || n->attr.axis.axis != (int32_t)t->rank - 1)
		return vq_planner_refuse(s, node, "softmax over an axis that is not the last");
	d->n = (uint32_t)t->dim[t->rank - 1];
	d->rows = (uint32_t)(vq_type_count(t) / d->n);
	s->left[vq_window_find(g, n->in[0], NULL, NULL).root.id]--;
	arg[0] = vq_planner_dense(s, n->in[0], true, node);
	norm_store(s, n->out, &d->epilogue, true);
	vq_planner_share(s, &d->epilogue, arg, &n_args);
	d->row_block = row_block(d->rows);
	arg[1] = vq_planner_result(s, n->out);
	vq_planner_step(s, &kernel, arg, n_args, node);
	return true;
}

bool vq_plan_reduce(vq_planner *s, const vq_group *group)
{
	const vq_graph *g = s->g;
	vq_node node = group->node[0];
	const vq_node_info *n = &g->node[node.id];
	const vq_type *t = vq_type_of(g, n->in[0]);
	const vq_quant *q = vq_quant_of(g, t);
	vq_window w = vq_planner_window(s, n->in[0]);
	vq_home h = vq_planner_home(s, w.root);
	vq_kernel kernel;
	vq_reduce *d = &kernel.u.reduce;
	vq_extra *x = &d->epilogue.extra[0];
	vq_ref arg[3];
	uint32_t n_args = 2;

	memset(&kernel, 0, sizeof kernel);
	kernel.kind = VQ_KERNEL_REDUCE;
	s->left[w.root.id]--;
	if ((t->elem != VQ_F32 && !q) || (q && q->n != 1))
		return vq_planner_refuse(s, node, "only f32 is reduced at run time");
	d->op = n->op;
	for (int inner = 0; inner < 2; inner++)
		for (uint32_t i = 0; i < t->rank; i++)
			if ((n->attr.reduce.axes >> i & 1) == (uint32_t)inner) {
				uint32_t at = d->outer_rank + d->inner_rank;

				d->dim[at] = w.dim[i];
				d->stride[at] = w.stride[i];
				d->outer_rank += !inner;
				d->inner_rank += (uint32_t)inner;
			}
	norm_store(s, n->out, &d->epilogue, true);
	d->epilogue.n_extras = 1;
	x->elem = t->elem;
	x->index = VQ_X_STRIDED;
	x->codes = q != NULL;
	x->stored_u8 = h.u8;
	x->scale = q ? q->scale[0] : 1.0f;
	x->zero = q ? q->zero[0] : 0;
	arg[1] = vq_ref_at(h.ref, w.offset * (int64_t)vq_elem_bytes(t->elem));
	vq_planner_share(s, &d->epilogue, arg, &n_args);
	arg[0] = vq_planner_result(s, n->out);
	vq_planner_step(s, &kernel, arg, n_args, node);
	return true;
}

/* ---- movement that computes addresses or joins tensors ---- */

/* Constant indices are checked now, an input's by the run function; nothing else can be before something is written. */
static bool check_indices(vq_planner *s, vq_node node)
{
	const vq_graph *g = s->g;
	vq_plan *p = s->p;
	const vq_node_info *n = &g->node[node.id];
	const vq_value_info *index = &g->value[n->in[1].id];
	vq_window w = vq_window_find(g, n->in[1], NULL, NULL);
	int64_t limit = vq_type_of(g, n->in[0])->dim[n->attr.axis.axis];

	for (int64_t i = 0, count = vq_type_count(&index->type); index->def == VQ_DEF_CONST && i < count; i++) {
		int64_t k = index->type.elem == VQ_I64 ? ((const int64_t *)index->data)[i] : ((const int32_t *)index->data)[i];

		if (k < 0 || k >= limit)
			return vq_planner_refuse(s, node, vq_arena_printf(s->a, "index %lld at position %lld is outside [0, %lld)",
				(long long)k, (long long)i, (long long)limit));
	}
	if (index->def == VQ_DEF_CONST)
		return true;
	if (g->value[w.root.id].def != VQ_DEF_INPUT)
		return vq_planner_refuse(s, node, "its indices are computed at run time, expected constants or elements of an input of the model");
	vq_window_squeeze(&w);
	for (uint32_t i = 0; i < p->n_checks; i++) {
		const vq_window *old = &p->check[i].window;

		if (p->check[i].limit == limit && vq_same(old->root, w.root) && old->offset == w.offset && old->rank == w.rank &&
			!memcmp(old->dim, w.dim, sizeof w.dim) && !memcmp(old->stride, w.stride, sizeof w.stride))
			return true;
	}
	p->check = vq_arena_grow(p->arena, p->check, &p->cap_checks, p->n_checks + 1, sizeof *p->check);
	p->check[p->n_checks++] = (vq_index_check){ .window = w, .limit = limit, .node = node };
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

	row_major(stride, t->dim, t->rank);
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
