/* SPDX-License-Identifier: MIT */
/* The graph: adding, finding, replacing and sweeping values and nodes. */
#include "ir/ir.h"

#include "ir/attrs.h"
#include "ir/contract.h"

#include <assert.h>
#include <string.h>

void vq_graph_init(vq_graph *g, vq_arena *arena, vq_diag *diag, const char *name)
{
	*g = (vq_graph){ .arena = arena, .diag = diag, .name = name, .n_values = 1, .n_nodes = 1, .n_quants = 1 };
	g->value = vq_arena_grow(arena, NULL, &g->cap_values, 1, sizeof *g->value);
	g->node = vq_arena_grow(arena, NULL, &g->cap_nodes, 1, sizeof *g->node);
	g->quant = vq_arena_grow(arena, NULL, &g->cap_quants, 1, sizeof *g->quant);
}

static void *copy_of(vq_arena *a, const void *from, size_t n, size_t size)
{
	void *to = vq_arena_array(a, n, size);

	if (n)
		memcpy(to, from, n * size);
	return to;
}

void vq_graph_copy(vq_graph *to, const vq_graph *from, vq_arena *arena, vq_diag *diag)
{
	*to = *from;
	to->arena = arena;
	to->diag = diag;
	to->value = copy_of(arena, from->value, from->n_values, sizeof *from->value);
	to->node = copy_of(arena, from->node, from->n_nodes, sizeof *from->node);
	to->quant = copy_of(arena, from->quant, from->n_quants, sizeof *from->quant);
	to->input = copy_of(arena, from->input, from->n_inputs, sizeof *from->input);
	to->output = copy_of(arena, from->output, from->n_outputs, sizeof *from->output);
	to->cap_values = to->n_values;
	to->cap_nodes = to->n_nodes;
	to->cap_quants = to->n_quants;
	to->cap_inputs = to->n_inputs;
	to->cap_outputs = to->n_outputs;
	for (uint32_t i = 1; i < to->n_nodes; i++)
		to->node[i].in = copy_of(arena, from->node[i].in, from->node[i].n_in, sizeof(vq_value));
}

vq_node vq_def_of(const vq_graph *g, vq_value v)
{
	const vq_value_info *i = &g->value[v.id];

	return (vq_node){ i->def == VQ_DEF_NODE ? i->index : 0 };
}

vq_op vq_def_op(const vq_graph *g, vq_value v) { return g->node[vq_def_of(g, v).id].op; }

vq_value vq_operand(const vq_graph *g, vq_node n, uint32_t i)
{
	const vq_node_info *node = &g->node[n.id];

	return i < node->n_in ? node->in[i] : VQ_NO_VALUE;
}

static vq_value add_value(vq_graph *g, const vq_type *t, vq_def def, uint32_t index)
{
	g->value = vq_arena_grow(g->arena, g->value, &g->cap_values, g->n_values + 1, sizeof *g->value);
	g->value[g->n_values] = (vq_value_info){ .type = *t, .def = def, .index = index };
	return (vq_value){ g->n_values++ };
}

static void add_port(vq_graph *g, vq_port **port, uint32_t *n, uint32_t *cap, const char *name, vq_value v)
{
	*port = vq_arena_grow(g->arena, *port, cap, *n + 1, sizeof **port);
	(*port)[(*n)++] = (vq_port){ name, v };
}

vq_value vq_add_input(vq_graph *g, const char *name, const vq_type *t)
{
	vq_value v = add_value(g, t, VQ_DEF_INPUT, g->n_inputs);

	g->value[v.id].name = name;
	add_port(g, &g->input, &g->n_inputs, &g->cap_inputs, name, v);
	return v;
}

void vq_add_output(vq_graph *g, const char *name, vq_value v)
{
	add_port(g, &g->output, &g->n_outputs, &g->cap_outputs, name, v);
}

enum { LARGE = 64 * 1024 }; /* bytes of data that are worth releasing (vq_graph_release) */

vq_value vq_add_const(vq_graph *g, const vq_type *t, const void *data, const char *name)
{
	vq_value v = add_value(g, t, VQ_DEF_CONST, 0);

	g->value[v.id].data = data;
	g->value[v.id].name = name;
	if (vq_type_bytes(t) >= LARGE)
		vq_arena_mark(g->arena, data);
	return v;
}

vq_value vq_add_const_copy(vq_graph *g, const vq_type *t, const void *data, const char *name)
{
	return vq_add_const(g, t, copy_of(g->arena, data, vq_type_bytes(t), 1), name);
}

vq_value vq_const_f32(vq_graph *g, float v)
{
	vq_type t = vq_type_make(VQ_F32, 0, NULL);

	return vq_add_const_copy(g, &t, &v, NULL);
}

vq_value vq_const_i64s(vq_graph *g, const int64_t *v, uint32_t n)
{
	vq_type t = vq_type_make(VQ_I64, 1, &(int64_t){ n });

	return vq_add_const_copy(g, &t, v, NULL);
}

vq_value vq_add_node(
	vq_graph *g, vq_op op, const vq_value *in, uint32_t n_in, const vq_attr *attr, const vq_type *result)
{
	uint32_t id = g->n_nodes;
	vq_value out = add_value(g, result, VQ_DEF_NODE, id);

	g->node = vq_arena_grow(g->arena, g->node, &g->cap_nodes, id + 1, sizeof *g->node);
	g->node[id] = (vq_node_info){
		.op = op,
		.n_in = n_in,
		.in = copy_of(g->arena, in, n_in, sizeof *in),
		.out = out,
	};
	/* set here, so that equal attributes compare equal whoever made them */
	g->node[id].attr = vq_attr_normal(vq_ops[op].attr, attr, n_in ? g->value[in[0].id].type.rank : 0, result->rank);
	g->n_nodes++;
	if (vq_ops[op].results > 1) {
		vq_type second = vq_second_type(result, &g->node[id].attr);
		vq_value v = add_value(g, &second, VQ_DEF_NODE, id);

		g->node[id].out2 = v;
	}
	return out;
}

uint32_t vq_dynamic_groups(const vq_attr *attr)
{
	return attr->dynamic.groups > 1 ? (uint32_t)attr->dynamic.groups : 1;
}

vq_type vq_second_type(const vq_type *t, const vq_attr *attr)
{
	vq_type r = vq_type_make(VQ_F32, t->rank, t->dim);
	uint32_t span = (uint32_t)attr->dynamic.span;

	for (uint32_t i = 0; i < span && i + 1 < r.rank; i++)
		r.dim[r.rank - 2 - i] = 1;
	r.dim[r.rank - 1] = 2 * (int64_t)vq_dynamic_groups(attr);
	return r;
}

bool vq_same_dynamic(const vq_graph *g, vq_value codes, vq_value rows)
{
	vq_node n = vq_def_of(g, codes);

	return n.id && g->node[n.id].op == VQ_OP_QUANTIZE_DYNAMIC && vq_same(g->node[n.id].out, codes) &&
		vq_same(g->node[n.id].out2, rows);
}

bool vq_is_dynamic(vq_op op) { return vq_dynamic_pairs(op) > 0; }

uint32_t vq_dynamic_pairs(vq_op op)
{
	switch (op) {
	case VQ_OP_LINEAR_DYNAMIC: return 1;
	case VQ_OP_MATMUL_DYNAMIC: return 2;
	case VQ_OP_ATTENTION_DYNAMIC: return 3;
	default: return 0;
	}
}

/* Constants must be what quantize_dynamic could have given. */
static const char *constant_pair_problem(const vq_graph *g, vq_value codes, vq_value rows, bool symmetric)
{
	const int8_t *code = g->value[codes.id].data;
	const float *row = g->value[rows.id].data;
	int64_t n_codes = vq_type_count(vq_type_of(g, codes)), n_rows = vq_type_count(vq_type_of(g, rows)) / 2;

	for (int64_t i = 0; i < n_rows; i++) {
		float scale = row[2 * i], zero = row[2 * i + 1];

		/* written so that NaN fails */
		if (!(scale >= VQ_LEAST_ROW_SCALE && scale <= 0x1p94f))
			return vq_arena_printf(g->arena, "scale %lld of constant codes is %g, expected 2^-60 to 2^94",
				(long long)i, (double)scale);
		if (!(zero >= -128.0f && zero <= 127.0f) || zero != (float)(int32_t)zero || (symmetric && zero != 0.0f))
			return vq_arena_printf(g->arena, "zero point %lld of constant codes is %g, expected %s",
				(long long)i, (double)zero, symmetric ? "0" : "an integer in -128:127");
	}
	for (int64_t i = 0; symmetric && i < n_codes; i++)
		if (code[i] == -128)
			return "constant codes that are to be symmetric contain -128";
	return NULL;
}

const char *vq_dynamic_problem(const vq_graph *g, vq_op op, const vq_value *in, const vq_attr *attr)
{
	for (uint32_t i = 0; i < vq_dynamic_pairs(op); i++) {
		vq_value codes = in[2 * i], rows = in[2 * i + 1];
		const vq_attr *from = &g->node[vq_def_of(g, codes).id].attr;
		bool symmetric = op == VQ_OP_ATTENTION_DYNAMIC || (op == VQ_OP_MATMUL_DYNAMIC && i > 0);
		const char *wrong = NULL;

		if (vq_is_const(g, codes) && vq_is_const(g, rows)) {
			wrong = constant_pair_problem(g, codes, rows, symmetric);
			if (wrong)
				return wrong;
			continue;
		}
		if (!vq_same_dynamic(g, codes, rows))
			return "codes and rows are neither the results of one quantize_dynamic nor constants";
		if (op == VQ_OP_ATTENTION_DYNAMIC &&
			(!from->dynamic.symmetric || vq_dynamic_groups(from) != (uint32_t)attr->attention.heads))
			return "codes are not symmetric with a scale per head";
		if (symmetric && !from->dynamic.symmetric)
			return "codes of the right operand are not symmetric";
	}
	return NULL;
}

void vq_replace(vq_graph *g, vq_value old, vq_value new_)
{
	for (uint32_t i = 1; i < g->n_nodes; i++)
		for (uint32_t j = 0; j < g->node[i].n_in; j++)
			if (vq_same(g->node[i].in[j], old))
				g->node[i].in[j] = new_;
	for (uint32_t i = 0; i < g->n_outputs; i++)
		if (vq_same(g->output[i].value, old))
			g->output[i].value = new_;
}

uint32_t *vq_use_counts(const vq_graph *g, vq_arena *a)
{
	uint32_t *count = VQ_ARRAY(a, g->n_values, uint32_t);

	for (uint32_t i = 1; i < g->n_nodes; i++)
		for (uint32_t j = 0; g->node[i].op && j < g->node[i].n_in; j++)
			count[g->node[i].in[j].id]++;
	for (uint32_t i = 0; i < g->n_outputs; i++)
		count[g->output[i].value.id]++;
	return count;
}

/* ---- sweep ---- */

typedef struct sweep {
	const vq_graph *old;
	vq_graph new_;
	uint32_t *value; /* old id -> new id, 0 = not yet */
	uint32_t *quant; /* likewise */
	uint32_t *stack; /* of old node ids */
	uint32_t *next;  /* next operand to visit, by old node id */
} sweep;

static vq_type moved_type(sweep *s, const vq_type *t)
{
	vq_type r = *t;

	if (t->quant && !s->quant[t->quant])
		s->quant[t->quant] = vq_quant_add(&s->new_, &s->old->quant[t->quant]);
	r.quant = s->quant[t->quant];
	return r;
}

static void move_value(sweep *s, vq_value v)
{
	const vq_value_info *from = &s->old->value[v.id];
	vq_type t = moved_type(s, &from->type);

	assert(from->def != VQ_DEF_NODE);
	s->value[v.id] = vq_add_const(&s->new_, &t, from->data, from->name).id;
}

static void move_node(sweep *s, uint32_t id)
{
	const vq_node_info *from = &s->old->node[id];
	vq_value *in = VQ_ARRAY(s->new_.arena, from->n_in, vq_value);
	vq_type t = moved_type(s, &s->old->value[from->out.id].type);
	vq_attr attr = from->attr;
	vq_value out;

	for (uint32_t i = 0; i < from->n_in; i++)
		in[i].id = s->value[from->in[i].id];
	if (vq_ops[from->op].attr == VQ_ATTR_QUANT)
		attr.quant.id = t.quant;
	out = vq_add_node(&s->new_, from->op, in, from->n_in, &attr, &t);
	s->new_.value[out.id].name = s->old->value[from->out.id].name;
	s->new_.node[s->new_.n_nodes - 1].name = from->name;
	s->new_.node[s->new_.n_nodes - 1].source = from->source;
	s->value[from->out.id] = out.id;
	if (from->out2.id) {
		vq_value second = s->new_.node[s->new_.n_nodes - 1].out2;

		s->new_.value[second.id].name = s->old->value[from->out2.id].name;
		s->value[from->out2.id] = second.id;
	}
}

/* depth first, operands in order, without recursion: graphs are thousands of nodes deep */
static void visit(sweep *s, vq_value root)
{
	uint32_t depth = 0;

	if (s->value[root.id])
		return;
	if (s->old->value[root.id].def != VQ_DEF_NODE) {
		move_value(s, root);
		return;
	}
	s->stack[depth++] = s->old->value[root.id].index;
	while (depth) {
		uint32_t id = s->stack[depth - 1];
		const vq_node_info *n = &s->old->node[id];

		if (s->next[id] == n->n_in) {
			if (!s->value[n->out.id])
				move_node(s, id);
			depth--;
			continue;
		}
		vq_value v = n->in[s->next[id]++];
		if (s->value[v.id])
			continue;
		if (s->old->value[v.id].def == VQ_DEF_NODE)
			s->stack[depth++] = s->old->value[v.id].index;
		else
			move_value(s, v);
	}
}

void vq_graph_release(const vq_graph *const *g, uint32_t n)
{
	vq_arena scratch = { 0 };
	const void **kept;
	size_t all = 0, at = 0;

	for (uint32_t k = 0; k < n; k++)
		all += g[k]->n_values;
	kept = VQ_ARRAY(&scratch, all, const void *);
	for (uint32_t k = 0; k < n; k++)
		for (uint32_t i = 1; i < g[k]->n_values; i++)
			if (g[k]->value[i].data)
				kept[at++] = g[k]->value[i].data;
	vq_arena_release(g[0]->arena, kept, at);
	vq_arena_free(&scratch);
}

void vq_graph_sweep(vq_graph *g)
{
	vq_arena scratch = { 0 };
	sweep s = {
		.old = g,
		.value = VQ_ARRAY(&scratch, g->n_values, uint32_t),
		.quant = VQ_ARRAY(&scratch, g->n_quants, uint32_t),
		.stack = VQ_ARRAY(&scratch, g->n_nodes + 1, uint32_t),
		.next = VQ_ARRAY(&scratch, g->n_nodes, uint32_t),
	};

	vq_graph_init(&s.new_, g->arena, g->diag, g->name);
	for (uint32_t i = 0; i < g->n_inputs; i++) {
		vq_type t = moved_type(&s, vq_type_of(g, g->input[i].value));

		s.value[g->input[i].value.id] = vq_add_input(&s.new_, g->input[i].name, &t).id;
	}
	for (uint32_t i = 0; i < g->n_outputs; i++) {
		visit(&s, g->output[i].value);
		vq_add_output(&s.new_, g->output[i].name, (vq_value){ s.value[g->output[i].value.id] });
	}
	*g = s.new_;
	vq_arena_free(&scratch);
}

const char *vq_where(const vq_graph *g, vq_node n)
{
	const vq_node_info *i = &g->node[n.id];

	if (i->name && *i->name)
		return vq_arena_printf(
			g->diag->arena, "node '%s' (%s)", i->name, i->source ? i->source : vq_ops[i->op].text);
	return vq_arena_printf(g->diag->arena, "%%%u (%s)", (unsigned)n.id, vq_ops[i->op].text);
}
