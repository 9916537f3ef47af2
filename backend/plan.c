/* SPDX-License-Identifier: MIT */
/*
 * The planner: nodes in execution order become kernel calls. Movement costs nothing where strides can express it; what must be
 * materialised is copied when first needed.
 */
#include "backend/planner.h"

#include <assert.h>
#include <string.h>

bool vq_planner_refuse(vq_planner *s, vq_node n, const char *what)
{
	vq_diag *d = s->g->diag;

	vq_error(d, vq_where(s->g, n), "cannot be compiled: %s", what);
	for (uint32_t i = 0; i < s->g->node[n.id].n_in; i++)
		vq_note(d, "operand %u is %s", i, vq_type_text(d->arena, vq_type_of(s->g, s->g->node[n.id].in[i])));
	return false;
}

const vq_epilogue *vq_kernel_epilogue(const vq_kernel *k)
{
	switch (k->kind) {
	case VQ_KERNEL_GEMM: return &k->u.gemm.epilogue;
	case VQ_KERNEL_ATTENTION: return &k->u.attention.epilogue;
	case VQ_KERNEL_LAYERNORM: return &k->u.layernorm.epilogue;
	case VQ_KERNEL_SOFTMAX: return &k->u.softmax.epilogue;
	case VQ_KERNEL_ELEMENTWISE: return &k->u.elementwise.epilogue;
	case VQ_KERNEL_REDUCE: return &k->u.reduce.epilogue;
	case VQ_KERNEL_PACK:
	case VQ_KERNEL_GATHER:
	case VQ_KERNEL_ROWQUANT: break;
	}
	return NULL;
}

void vq_planner_share(vq_planner *s, vq_epilogue *e, vq_ref *arg, uint32_t *n_args)
{
	vq_store_scalars scalars = {
		.inv = e->inv,
		.low = (float)(e->lo - e->zero),
		.high = (float)(e->hi - e->zero),
		.zero = e->zero,
	};

	if ((e->store != VQ_STORE_S8 && e->store != VQ_STORE_U8) || (!e->scaled && !e->zero))
		return;
	e->bounded = e->bounded && e->zero <= VQ_FAR_ZERO && e->zero >= -VQ_FAR_ZERO;
	e->scalars = *n_args;
	e->inv = 0;
	e->zero = 0;
	arg[(*n_args)++] = vq_pack_bytes(s->p, &scalars, sizeof scalars);
}

/* finds an equal descriptor or adds it */
static uint32_t kernel_id(vq_planner *s, const vq_kernel *k)
{
	vq_plan *p = s->p;

	for (uint32_t i = 0; i < p->n_kernels; i++)
		if (!memcmp(&p->kernel[i], k, sizeof *k))
			return i;
	p->kernel = vq_arena_grow(p->arena, p->kernel, &p->cap_kernels, p->n_kernels + 1, sizeof *p->kernel);
	memcpy(&p->kernel[p->n_kernels], k, sizeof *k); /* not an assignment: padding bytes are compared */
	return p->n_kernels++;
}

/* keeps buffers alive up to this step */
static void touch(vq_planner *s, const vq_ref *r, uint32_t step)
{
	if (r->kind != VQ_REF_BUFFER)
		return;
	if (s->p->buffer[r->index].last < step)
		s->p->buffer[r->index].last = step;
	if (s->p->buffer[r->index].first > step)
		s->p->buffer[r->index].first = step;
}

vq_step *vq_planner_step(vq_planner *s, const vq_kernel *k, const vq_ref *arg, uint32_t n_args, vq_node node)
{
	vq_plan *p = s->p;
	vq_step *step;

	assert(n_args <= VQ_MAX_ARGS);
	p->step = vq_arena_grow(p->arena, p->step, &p->cap_steps, p->n_steps + 1, sizeof *p->step);
	step = &p->step[p->n_steps];
	*step = (vq_step){ .kernel = kernel_id(s, k), .n_args = n_args, .node = node };
	memcpy(step->arg, arg, n_args * sizeof *arg);
	step->tasks = vq_kernel_tasks(k, p->target);
	step->weight_bytes = p->weight_bytes - s->packed;
	s->packed = p->weight_bytes;
	for (uint32_t i = 0; i < n_args; i++)
		touch(s, &arg[i], p->n_steps);
	p->n_steps++;
	return step;
}

vq_ref vq_planner_buffer(vq_planner *s, uint64_t bytes)
{
	vq_plan *p = s->p;

	p->buffer = vq_arena_grow(p->arena, p->buffer, &p->cap_buffers, p->n_buffers + 1, sizeof *p->buffer);
	p->buffer[p->n_buffers] = (vq_buffer){ .bytes = bytes, .first = UINT32_MAX };
	return (vq_ref){ .kind = VQ_REF_BUFFER, .index = p->n_buffers++ };
}

const float *vq_planner_const_f32(vq_planner *s, vq_value v, int64_t *n)
{
	const vq_graph *g = s->g;
	const vq_type *t = vq_type_of(g, v);
	vq_value c = vq_def_op(g, v) == VQ_OP_DEQUANTIZE ? vq_operand(g, vq_def_of(g, v), 0) : v;
	const vq_type *ct = vq_type_of(g, c);
	const vq_quant *q = vq_quant_of(g, ct);
	int64_t inner = 1, channels;
	float *out;

	*n = vq_type_count(t);
	if (!vq_is_const(g, c) || t->elem != VQ_F32)
		return NULL;
	if (vq_same(c, v))
		return g->value[v.id].data;
	out = VQ_ARRAY(s->a, (size_t)*n, float);
	for (uint32_t i = q->axis < 0 ? ct->rank : (uint32_t)q->axis + 1; i < ct->rank; i++)
		inner *= ct->dim[i];
	channels = q->axis < 0 ? 1 : ct->dim[q->axis];
	for (int64_t i = 0; i < *n; i++) {
		int64_t at = i / inner % channels / (channels / q->n);

		out[i] = (float)((const int8_t *)g->value[c.id].data)[i];
		out[i] = (out[i] - (float)q->zero[at]) * q->scale[at];
	}
	return out;
}

/* A reshape has its operand's elements in their order, whatever shows them; a view strides over them once they lie so. */
static void copy_into_shape(vq_planner *s, vq_value v, vq_home *h)
{
	const vq_type *t = vq_type_of(s->g, v);
	vq_node id = vq_def_of(s->g, v);
	const vq_attr *a = &s->g->node[id.id].attr;
	vq_value x = vq_operand(s->g, id, 0);
	uint32_t bytes = (uint32_t)vq_elem_bytes(t->elem);
	vq_window w;
	vq_ref from;

	if (vq_op_of(s->g, id) != VQ_OP_VIEW) {
		w = vq_planner_window(s, x);
		h->ref = vq_planner_buffer(s, vq_type_bytes(t));
		vq_plan_copy(s, &w, false, h->ref, NULL, id);
		return;
	}
	from = vq_planner_dense(s, x, false, id);
	w = vq_window_of(s->g, v);
	memcpy(w.stride, a->view.stride, sizeof w.stride);
	h->ref = vq_planner_buffer(s, vq_type_bytes(t));
	vq_plan_move(s, vq_ref_at(from, a->view.offset * bytes), &w, bytes, h->ref, NULL, id);
}

vq_home vq_planner_home(vq_planner *s, vq_value v)
{
	const vq_value_info *info = &s->g->value[v.id];
	vq_home *h = &s->home[v.id];
	int64_t n;

	if (h->set)
		return *h;
	h->set = true;
	switch (info->def) {
	case VQ_DEF_INPUT: h->ref = (vq_ref){ .kind = VQ_REF_INPUT, .index = info->index }; break;
	case VQ_DEF_CONST: h->ref = vq_pack_bytes(s->p, info->data, vq_type_bytes(&info->type)); break;
	default:
		if (vq_def_op(s->g, v) == VQ_OP_DEQUANTIZE) {
			const float *data = vq_planner_const_f32(s, v, &n);

			assert(data);
			h->ref = vq_pack_bytes(s->p, data, (uint64_t)n * sizeof *data);
			break;
		}
		/* movement that strides cannot express */
		copy_into_shape(s, v, h);
		break;
	}
	return *h;
}

vq_window vq_planner_window(vq_planner *s, vq_value v)
{
	vq_window w = vq_window_find(s->g, v, NULL, NULL);

	vq_planner_home(s, w.root);
	return w;
}

vq_ref vq_planner_result(vq_planner *s, vq_value v)
{
	const vq_graph *g = s->g;
	vq_home *h = &s->home[v.id];

	assert(!h->set);
	h->set = true;
	h->u8 = s->u8[v.id];
	for (uint32_t i = 0; i < g->n_outputs && s->uses[v.id] == 1; i++)
		if (vq_same(g->output[i].value, v))
			return h->ref = (vq_ref){ .kind = VQ_REF_OUTPUT, .index = i };
	return h->ref = vq_planner_buffer(s, vq_type_bytes(vq_type_of(g, v)));
}

vq_ref vq_planner_dense(vq_planner *s, vq_value v, bool f32, vq_node node)
{
	const vq_type *t = vq_type_of(s->g, v);
	vq_window w = vq_planner_window(s, v);
	vq_home h = vq_planner_home(s, w.root);
	bool convert = f32 && t->elem != VQ_F32;
	vq_ref to;

	if (vq_window_contiguous(&w) && !convert && !h.u8)
		return vq_ref_at(h.ref, w.offset * (int64_t)vq_elem_bytes(t->elem));
	to = vq_planner_buffer(s, (uint64_t)vq_type_count(t) * (convert ? 4 : vq_elem_bytes(t->elem)));
	vq_plan_copy(s, &w, convert, to, NULL, node);
	return to;
}

vq_ref vq_planner_row_scales(vq_planner *s, vq_value rows, const vq_type *x, uint32_t n, vq_node node)
{
	vq_window w = vq_window_of(s->g, rows);
	vq_ref from = vq_planner_dense(s, rows, true, node), to;
	bool repeat = false;
	int64_t count = 1;

	for (uint32_t i = 0; i < n; i++)
		if (w.dim[i] != x->dim[i]) {
			w.dim[i] = x->dim[i];
			w.stride[i] = 0;
			repeat = true;
		}
	if (!repeat)
		return from;
	for (uint32_t i = 0; i < w.rank; i++)
		count *= w.dim[i];
	to = vq_planner_buffer(s, 4 * (uint64_t)count);
	vq_plan_move(s, from, &w, 4, to, NULL, node);
	return to;
}

/* a scale per row, of rows that stand as they are computed */
static void find_row_codes(vq_planner *s)
{
	const vq_graph *g = s->g;

	for (uint32_t i = 1; i < g->n_nodes; i++) {
		const vq_node_info *n = &g->node[i];

		if (n->op == VQ_OP_QUANTIZE_DYNAMIC && !n->attr.dynamic.span && vq_dynamic_groups(&n->attr) == 1 &&
			!n->attr.dynamic.symmetric && s->uses[n->in[0].id] == 1 && !s->watched[n->in[0].id])
			s->row_codes[n->in[0].id].id = i;
	}
}

vq_node vq_planner_row_codes(vq_planner *s, vq_value v, vq_ref *codes, vq_ref *rows, bool *u8)
{
	vq_node n = s->row_codes[v.id];

	if (!n.id)
		return n;
	*codes = vq_planner_result(s, s->g->node[n.id].out);
	*rows = vq_planner_result(s, s->g->node[n.id].out2);
	*u8 = s->u8[s->g->node[n.id].out.id];
	return n;
}

static bool plan_group(vq_planner *s, const vq_group *group)
{
	vq_op op = vq_op_of(s->g, group->node[0]);

	switch (op) {
	case VQ_OP_LINEAR: return vq_plan_linear(s, group);
	case VQ_OP_LINEAR_DYNAMIC: return vq_plan_linear_dynamic(s, group);
	case VQ_OP_QUANTIZE_DYNAMIC: return vq_plan_quantize_dynamic(s, group);
	case VQ_OP_MATMUL: return vq_plan_matmul(s, group);
	case VQ_OP_MATMUL_DYNAMIC: return vq_plan_matmul_dynamic(s, group);
	case VQ_OP_ATTENTION:
	case VQ_OP_ATTENTION_DYNAMIC: return vq_plan_attention(s, group);
	case VQ_OP_LAYERNORM: return vq_plan_layernorm(s, group);
	case VQ_OP_SOFTMAX: return vq_plan_softmax(s, group);
	case VQ_OP_REDUCE_SUM:
	case VQ_OP_REDUCE_MEAN:
	case VQ_OP_REDUCE_MAX:
	case VQ_OP_REDUCE_MIN:
	case VQ_OP_REDUCE_PROD: return vq_plan_reduce(s, group);
	case VQ_OP_GATHER: return vq_plan_gather(s, group);
	case VQ_OP_CONCAT: return vq_plan_concat(s, group);
	case VQ_OP_PAD: return vq_plan_pad(s, group);
	case VQ_OP_QUANTIZE:
	case VQ_OP_DEQUANTIZE: return vq_plan_elementwise(s, group);
	case VQ_OP_CONV:
		return vq_planner_refuse(s, group->node[0],
			"a convolution whose weights are not constant, or with more than 64 groups of several channels or 256 taps");
	default:
		if (vq_ops[op].class_ == VQ_CLASS_ELT)
			return vq_plan_elementwise(s, group);
		return vq_planner_refuse(s, group->node[0], "this operator has no kernel");
	}
}

/* The observer sees v after the last step, as logical row-major data. */
static void watch(vq_planner *s, vq_value v)
{
	vq_plan *p = s->p;
	const vq_type *t = vq_type_of(s->g, v);
	vq_window w = vq_planner_window(s, v);
	vq_home h = vq_planner_home(s, w.root);
	vq_ref at = vq_ref_at(h.ref, w.offset * (int64_t)vq_elem_bytes(t->elem));

	if (h.u8 || !vq_window_contiguous(&w)) {
		at = vq_planner_buffer(s, vq_type_bytes(t));
		vq_plan_copy(s, &w, false, at, NULL, vq_def_of(s->g, v));
	}
	p->watch = vq_arena_grow(p->arena, p->watch, &p->cap_watches, p->n_watches + 1, sizeof *p->watch);
	p->watch[p->n_watches++] = (vq_watch){ .step = p->n_steps ? p->n_steps - 1 : 0, .value = v, .at = at };
	touch(s, &at, p->n_steps ? p->n_steps - 1 : 0);
}

static void init(vq_planner *s, vq_plan *p, const vq_graph *g)
{
	*s = (vq_planner){ .p = p, .g = g, .a = p->arena, .packed = p->weight_bytes };
	s->s8 = vq_tile_s8(p->target->isa, false);
	s->wide = vq_tile_s8(p->target->isa, true);
	s->f32 = vq_tile_f32(p->target->isa);
	s->uses = vq_use_counts(g, s->a);
	s->left = VQ_ARRAY(s->a, g->n_values, uint32_t);
	s->watched = VQ_ARRAY(s->a, g->n_values, bool);
	s->u8 = VQ_ARRAY(s->a, g->n_values, bool);
	s->home = VQ_ARRAY(s->a, g->n_values, vq_home);
	s->group = VQ_ARRAY(s->a, g->n_nodes, vq_group);
	s->row_codes = VQ_ARRAY(s->a, g->n_values, vq_node);
}

/*
 * Codes are stored ^ 0x80 where the dot instruction wants unsigned A and nobody else reads them: then the product reads rows in
 * place, without packing or an exclusive or per load.
 */
static void choose_encodings(vq_planner *s)
{
	const vq_graph *g = s->g;
	uint32_t *fit = VQ_ARRAY(s->a, g->n_values, uint32_t);

	if (s->s8.a != VQ_A_U8)
		return;
	for (uint32_t i = 1; i < g->n_nodes; i++) {
		vq_op op = g->node[i].op;

		if (op == VQ_OP_LINEAR || vq_is_dynamic(op) || op == VQ_OP_MATMUL || op == VQ_OP_ATTENTION)
			fit[vq_window_find(g, g->node[i].in[0], NULL, NULL).root.id]++;
	}
	for (uint32_t v = 1; v < g->n_values; v++)
		s->u8[v] = (g->value[v].type.quant || vq_def_op(g, (vq_value){ v }) == VQ_OP_QUANTIZE_DYNAMIC) &&
			g->value[v].def == VQ_DEF_NODE && fit[v] && fit[v] == s->left[v] &&
			vq_def_op(g, (vq_value){ v }) != VQ_OP_CONCAT &&
			vq_def_op(g, (vq_value){ v }) != VQ_OP_GATHER &&
			vq_ops[vq_def_op(g, (vq_value){ v })].class_ != VQ_CLASS_MOVE;
}

/* how many kernels will read each root; movement nodes read nothing themselves */
static void count_readers(vq_planner *s)
{
	const vq_graph *g = s->g;

	for (uint32_t i = 1; i < g->n_nodes; i++)
		for (uint32_t j = 0; vq_ops[g->node[i].op].class_ != VQ_CLASS_MOVE || g->node[i].op == VQ_OP_CONCAT ||
					g->node[i].op == VQ_OP_GATHER
				? j < g->node[i].n_in
				: false;
			j++)
			s->left[vq_window_find(g, g->node[i].in[j], NULL, NULL).root.id]++;
	for (uint32_t i = 1; i < g->n_nodes;
		i++) /* a movement node that is its own root is a reader of its operand's root */
		if (vq_ops[g->node[i].op].class_ == VQ_CLASS_MOVE &&
			vq_same(vq_window_find(g, g->node[i].out, NULL, NULL).root, g->node[i].out) &&
			g->node[i].op != VQ_OP_CONCAT && g->node[i].op != VQ_OP_GATHER)
			s->left[vq_window_find(g, g->node[i].in[0], NULL, NULL).root.id]++;
	for (uint32_t i = 0; i < g->n_outputs; i++)
		s->left[vq_window_find(g, g->output[i].value, NULL, NULL).root.id]++;
}

static void plan_outputs(vq_planner *s)
{
	for (uint32_t i = 0; i < s->g->n_outputs; i++) {
		vq_value v = s->g->output[i].value;
		vq_window w = vq_planner_window(s, v);
		vq_home h = vq_planner_home(s, w.root);

		if (h.ref.kind == VQ_REF_OUTPUT && h.ref.index == i && vq_same(w.root, v))
			continue;
		vq_plan_copy(s, &w, false, (vq_ref){ .kind = VQ_REF_OUTPUT, .index = i }, NULL, vq_def_of(s->g, v));
	}
}

/* Sizes are checked where a pointer of the target cannot span them; 64 bits span 2^40 elements of anything. */
static bool fits_target(const vq_plan *p)
{
	const vq_graph *g = p->g;
	const uint64_t most = 1u << 31; /* ptrdiff_t */

	if (p->target->elf.bits != 32)
		return true;
	for (uint32_t i = 0; i < g->n_inputs + g->n_outputs; i++) {
		const vq_port *port = i < g->n_inputs ? &g->input[i] : &g->output[i - g->n_inputs];
		const vq_type *t = vq_type_of(g, port->value);

		if (vq_type_bytes(t) >= most)
			return vq_error(g->diag, NULL,
				"%s '%s' has %llu bytes, expected less than 2^31 for a 32-bit target",
				i < g->n_inputs ? "input" : "output", port->name, (unsigned long long)vq_type_bytes(t));
	}
	if (p->buffer_bytes + p->scratch_bytes >= most || p->weight_bytes >= most)
		return vq_error(g->diag, NULL,
			"it needs %llu bytes of workspace and %llu of weights, expected less than 2^31 of each"
			" for a 32-bit target",
			(unsigned long long)(p->buffer_bytes + p->scratch_bytes), (unsigned long long)p->weight_bytes);
	return true;
}

/* Plans p->g into p, which may hold kernels and weights already. */
static bool plan_graph(vq_plan *p, const vq_value *watched, uint32_t n, bool all)
{
	const vq_graph *g = p->g;
	uint32_t errors = g->diag->errors;
	vq_planner s;

	init(&s, p, g);
	for (uint32_t i = 0; i < n; i++)
		s.watched[watched[i].id] = true;
	vq_plan_groups(&s);
	count_readers(&s);
	choose_encodings(&s);
	find_row_codes(&s);
	for (uint32_t i = 0; i < n; i++)
		if (s.g->value[watched[i].id].def != VQ_DEF_NODE)
			watch(&s, watched[i]);
	for (uint32_t i = 1; i < g->n_nodes; i++) {
		vq_value result[2] = { g->node[i].out, g->node[i].out2 };

		if (s.group[i].n && !plan_group(&s, &s.group[i])) {
			/* planning goes on, to find every problem: readers need a place to read from */
			for (uint32_t j = 0; j < 2 && result[j].id; j++)
				if (!s.home[result[j].id].set)
					vq_planner_result(&s, result[j]);
			continue;
		}
		for (uint32_t j = 0; j < 2 && result[j].id; j++)
			if (g->diag->errors == errors &&
				(s.watched[result[j].id] || (all && s.home[result[j].id].set && s.group[i].n)))
				watch(&s, result[j]);
	}
	if (g->diag->errors == errors)
		plan_outputs(&s);
	if (g->diag->errors != errors)
		return false;
	vq_plan_memory(p);
	for (uint32_t i = 0; i < p->n_kernels; i++) {
		uint64_t bytes = (vq_kernel_scratch(&p->kernel[i], p->target) + 63) / 64 * 64;

		p->scratch_bytes = bytes > p->scratch_bytes ? bytes : p->scratch_bytes;
	}
	return fits_target(p);
}

bool vq_plan_make(vq_plan *p, vq_arena *arena, const vq_graph *g, const vq_target *t, bool strict,
	const vq_value *watched, uint32_t n, bool all)
{
	*p = (vq_plan){ .arena = arena, .g = g, .target = t, .strict = strict };
	return plan_graph(p, watched, n, all);
}

bool vq_plan_make_all(
	vq_plan *plan, const vq_graph *const *g, uint32_t n, vq_arena *arena, const vq_target *t, bool strict, bool all)
{
	bool ok = true;
	uint32_t last = 0;

	for (uint32_t i = 0; i < n; i++) {
		vq_plan *p = &plan[i];

		*p = (vq_plan){ .arena = arena, .g = g[i], .target = t, .strict = strict };
		if (!ok)
			continue;
		if (i) { /* goes on where the one before ended */
			p->kernel = p[-1].kernel;
			p->n_kernels = p[-1].n_kernels;
			p->cap_kernels = p[-1].cap_kernels;
			p->weights = p[-1].weights;
			p->weight_bytes = p[-1].weight_bytes;
			p->cap_weights = p[-1].cap_weights;
			p->piece = p[-1].piece;
			p->n_pieces = p[-1].n_pieces;
			p->cap_pieces = p[-1].cap_pieces;
		}
		ok = plan_graph(p, NULL, 0, all);
		last = i;
	}
	for (uint32_t i = 0; i < n; i++) {
		plan[i].kernel = plan[last].kernel;
		plan[i].n_kernels = plan[last].n_kernels;
		plan[i].weights = plan[last].weights;
		plan[i].weight_bytes = plan[last].weight_bytes;
		plan[i].scratch_bytes = plan[last].scratch_bytes;
	}
	return ok;
}
