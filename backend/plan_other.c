/* SPDX-License-Identifier: MIT */
/* Planning of what computes and is not a product: elementwise groups, norms, reductions. */
#include "backend/planner.h"
#include "ir/contract.h"

#include <string.h>

enum {
	ELEMENTS_PER_TASK = 1 << 14, /* a task should outlast the cost of handing it to a worker */
	ROWS_PER_TASK = 32,
	LONG_ROW = 1 << 14, /* elements; work enough for one task */
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

void vq_planner_row_major(int64_t *stride, const int64_t *dim, uint32_t rank)
{
	int64_t step = 1;

	for (uint32_t i = rank; i-- > 0; step *= dim[i])
		stride[i] = step;
}

void vq_planner_loop(vq_planner *s, vq_kernel *kernel, const vq_ref *arg, uint32_t n_args, vq_node node)
{
	squeeze(&kernel->u.elementwise);
	split_elementwise(&kernel->u.elementwise);
	vq_planner_step(s, kernel, arg, n_args, node);
}

/*
 * One operator on one tensor and single elements may walk any shape of as many elements: then a reshape that strides cannot express needs
 * no copy, the operator reads through it (patches: quantize of the reordered image).
 */
static bool reads_through_reshape(const vq_planner *s, const vq_group *group)
{
	const vq_graph *g = s->g;
	const vq_node_info *n = &g->node[group->node[0].id];
	vq_value x = n->in[0];
	const vq_type *t = vq_type_of(g, n->out), *xt = vq_type_of(g, x);

	return group->n == 1 && n->n_in == 1 && vq_same_shape(xt, t) && vq_def_op(g, x) == VQ_OP_RESHAPE &&
		!s->home[x.id].set && (!t->quant || vq_quant_of(g, t)->n == 1) &&
		(!xt->quant || vq_quant_of(g, xt)->n == 1) && vq_same(vq_window_find(g, x, NULL, NULL).root, x);
}

static void read_through_reshape(vq_planner *s, vq_value x, vq_elementwise *d, vq_ref *arg)
{
	vq_value from = x;
	vq_window w;
	vq_home h;

	while (vq_def_op(s->g, from) == VQ_OP_RESHAPE)
		from = vq_operand(s->g, vq_def_of(s->g, from), 0);
	w = vq_planner_window(s, from);
	h = vq_planner_home(s, w.root);
	d->rank = w.rank;
	memcpy(d->dim, w.dim, sizeof d->dim);
	vq_planner_row_major(d->out_stride, w.dim, w.rank);
	memcpy(d->epilogue.extra[0].stride, w.stride, sizeof w.stride);
	d->epilogue.extra[0].stored_u8 = h.u8;
	*arg = vq_ref_at(h.ref, w.offset * (int64_t)vq_elem_bytes(vq_type_of(s->g, from)->elem));
}

static bool has_integer_form(vq_op op)
{
	/* clang-format off */
	switch (op) {
	case VQ_OP_NEG: case VQ_OP_ABS: case VQ_OP_RELU: case VQ_OP_NOT: case VQ_OP_CAST:
	case VQ_OP_ADD: case VQ_OP_SUB: case VQ_OP_MUL: case VQ_OP_DIV: case VQ_OP_MOD: case VQ_OP_POW: case VQ_OP_MIN: case VQ_OP_MAX:
	case VQ_OP_EQUAL: case VQ_OP_LESS: case VQ_OP_AND: case VQ_OP_OR: case VQ_OP_WHERE:
		return true;
	default:
		return false;
	}
	/* clang-format on */
}

/* masks and positions: one operator per kernel */
static bool plan_integer(vq_planner *s, vq_node node)
{
	const vq_graph *g = s->g;
	const vq_node_info *n = &g->node[node.id];
	const vq_type *t = vq_type_of(g, n->out);
	vq_kernel kernel;
	vq_elementwise *d = &kernel.u.elementwise;
	vq_ref arg[VQ_MAX_ARGS];
	uint32_t n_args = 1;

	memset(&kernel, 0, sizeof kernel);
	kernel.kind = VQ_KERNEL_ELEMENTWISE;
	if (!has_integer_form(n->op))
		return vq_planner_refuse(
			s, node, "this operator on integers is computed only where its operands are constants");
	d->integer = n->op;
	d->to = t->elem;
	d->epilogue.store = VQ_STORE_RAW;
	d->raw_bytes = (uint32_t)vq_elem_bytes(t->elem);
	d->rank = t->rank;
	memcpy(d->dim, t->dim, sizeof d->dim);
	vq_planner_row_major(d->out_stride, t->dim, t->rank);
	if (!vq_plan_operands(s, node, &d->epilogue, arg, &n_args))
		return false;
	arg[0] = vq_planner_result(s, n->out);
	vq_planner_loop(s, &kernel, arg, n_args, node);
	return true;
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
	if (t->elem != VQ_F32 && !t->quant &&
		(xt->elem == VQ_F32 || xt->quant ? t->elem != VQ_BOOL && t->elem != VQ_I32 : true))
		return plan_integer(s, tail);
	if (reads_through_reshape(s, group)) {
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
		vq_planner_row_major(d->out_stride, t->dim, t->rank);
	}
	vq_planner_share(s, &d->epilogue, arg, &n_args);
	arg[0] = vq_planner_result(s, out);
	vq_planner_loop(s, &kernel, arg, n_args, tail);
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

static uint32_t row_block(uint32_t rows) { return rows < ROWS_PER_TASK ? rows : ROWS_PER_TASK; }

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
	if (vq_planner_row_codes(s, n->out, &arg[3], &arg[4], &d->row_codes_u8).id) {
		d->row_codes = true;
		n_args = 5;
	} else {
		arg[3] = vq_planner_result(s, n->out);
	}
	vq_planner_step(s, &kernel, arg, n_args, node);
	return true;
}

bool vq_plan_quantize_dynamic(vq_planner *s, const vq_group *group)
{
	const vq_graph *g = s->g;
	vq_node node = group->node[0];
	const vq_node_info *n = &g->node[node.id];
	const vq_type *t = vq_type_of(g, n->in[0]);
	vq_kernel kernel;
	vq_rowquant *d = &kernel.u.rowquant;
	vq_ref arg[3];

	if (s->home[n->out.id].set) /* the kernel of its operand did it */
		return true;
	memset(&kernel, 0, sizeof kernel);
	kernel.kind = VQ_KERNEL_ROWQUANT;
	d->groups = vq_dynamic_groups(&n->attr);
	d->n = (uint32_t)t->dim[t->rank - 1] / d->groups;
	d->tall = 1;
	for (uint32_t i = 0; i < (uint32_t)n->attr.dynamic.span; i++)
		d->tall *= (uint32_t)t->dim[t->rank - 2 - i];
	d->rows = (uint32_t)(vq_type_count(t) / ((int64_t)d->n * d->tall));
	if (d->tall == 1)
		d->groups = 1; /* groups of a row stand one after the other, as rows do */
	if (d->groups == 1) {
		d->n *= d->tall; /* and so do rows that share a scale */
		d->tall = 1;
	}
	d->x_row = (int64_t)d->n * 4;
	d->symmetric = n->attr.dynamic.symmetric;
	d->u8 = s->u8[n->out.id];
	d->row_block = d->tall > 1 || d->n > LONG_ROW ? 1 : row_block(d->rows);
	s->left[vq_window_find(g, n->in[0], NULL, NULL).root.id]--;
	arg[0] = vq_planner_dense(s, n->in[0], true, node);
	arg[1] = vq_planner_result(s, n->out);
	arg[2] = vq_planner_result(s, n->out2);
	vq_planner_step(s, &kernel, arg, 3, node);
	return true;
}

/* the window with this dimension behind the others */
static vq_window axis_last(vq_window w, uint32_t axis)
{
	vq_window r = w;

	for (uint32_t i = axis; i + 1 < w.rank; i++) {
		r.dim[i] = w.dim[i + 1];
		r.stride[i] = w.stride[i + 1];
	}
	r.dim[w.rank - 1] = w.dim[axis];
	r.stride[w.rank - 1] = w.stride[axis];
	return r;
}

bool vq_plan_softmax(vq_planner *s, const vq_group *group)
{
	const vq_graph *g = s->g;
	vq_node node = group->node[0];
	const vq_node_info *n = &g->node[node.id];
	const vq_type *t = vq_type_of(g, n->in[0]);
	uint32_t axis = (uint32_t)n->attr.axis.axis;
	bool last = axis + 1 == t->rank;
	vq_kernel kernel;
	vq_softmax *d = &kernel.u.softmax;
	vq_window w;
	vq_ref arg[3], to;
	uint32_t n_args = 2;

	memset(&kernel, 0, sizeof kernel);
	kernel.kind = VQ_KERNEL_SOFTMAX;
	d->n = (uint32_t)t->dim[axis];
	d->rows = (uint32_t)(vq_type_count(t) / d->n);
	s->left[vq_window_find(g, n->in[0], NULL, NULL).root.id]--;
	if (last) {
		arg[0] = vq_planner_dense(s, n->in[0], true, node);
	} else { /* rows are made by a copy, and the result copied back */
		arg[0] = vq_planner_buffer(s, (uint64_t)vq_type_count(t) * 4);
		w = axis_last(vq_planner_window(s, n->in[0]), axis);
		vq_plan_copy(s, &w, t->elem != VQ_F32, arg[0], NULL, node);
	}
	norm_store(s, n->out, &d->epilogue, true);
	vq_planner_share(s, &d->epilogue, arg, &n_args);
	d->row_block = row_block(d->rows);
	to = vq_planner_result(s, n->out);
	arg[1] = last ? to : vq_planner_buffer(s, vq_type_bytes(vq_type_of(g, n->out)));
	vq_planner_step(s, &kernel, arg, n_args, node);
	if (!last) {
		vq_window rows, result = axis_last(vq_window_of(g, n->out), axis);

		rows = result;
		vq_planner_row_major(rows.stride, rows.dim, rows.rank);
		vq_plan_move(s, arg[1], &rows, (uint32_t)vq_elem_bytes(vq_type_of(g, n->out)->elem), to, result.stride,
			node);
	}
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
