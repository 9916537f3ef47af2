/* SPDX-License-Identifier: MIT */
/*
 * Graphs inside the graph: functions of the model, whose calls become the nodes of their bodies, and If, whose condition is
 * constant after export. Each call and each branch is a scope of names of its own.
 */
#include "frontend/onnx_names.h"

#include <inttypes.h>
#include <string.h>

enum {
	BRANCHES = 8,          /* an If inside an If … */
	CALLS = 64,            /* a call inside a call …, and branches */
	CALLED_NODES = 1 << 17 /* of all calls: a few lines can call each other twice and twice again */
};

/* the innermost call, NULL outside of functions */
static const vq_onnx_scope *current_call(const vq_onnx *o)
{
	const vq_onnx_scope *s = o->scope;

	while (s && !s->call)
		s = s->outer;
	return s;
}

static vq_onnx_scope *open_scope(vq_onnx *o)
{
	vq_onnx_scope *s = vq_arena_alloc(o->arena, sizeof *s);

	*s = (vq_onnx_scope){ .outer = o->scope, .id = ++o->n_scopes, .prefix = o->scope ? o->scope->prefix : "" };
	o->depth++;
	return s;
}

static void close_scope(vq_onnx *o)
{
	o->scope = o->scope->outer;
	o->depth--;
}

/* ---- functions ---- */

static bool same(const char *a, const char *b) { return !strcmp(a ? a : "", b ? b : ""); }

const Onnx__FunctionProto *vq_onnx_function_of(const vq_onnx *o, const Onnx__NodeProto *n)
{
	const Onnx__ModelProto *p = o->model->proto;

	for (size_t i = 0; i < p->n_functions; i++) {
		const Onnx__FunctionProto *f = p->functions[i];

		if (same(f->name, n->op_type) && same(vq_onnx_domain(f->domain), vq_onnx_domain(n->domain)) &&
			same(f->overload, n->overload))
			return f;
	}
	return NULL;
}

static const Onnx__AttributeProto *named(Onnx__AttributeProto *const *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (same(list[i]->name, name))
			return list[i];
	return NULL;
}

const Onnx__NodeProto *vq_onnx_localize(vq_onnx *o, const Onnx__NodeProto *n)
{
	const vq_onnx_scope *call = current_call(o);
	Onnx__NodeProto *copy;

	if (!call)
		return n;
	copy = vq_arena_alloc(o->arena, sizeof *copy);
	*copy = *n;
	copy->input = VQ_ARRAY(o->arena, n->n_input, char *);
	for (size_t i = 0; i < n->n_input; i++) {
		uint32_t id = vq_onnx_find(o, n->input[i]);

		copy->input[i] = id && o->name[id].state == VQ_ONNX_ABSENT ? (char *)"" : n->input[i];
	}
	copy->attribute = VQ_ARRAY(o->arena, n->n_attribute, Onnx__AttributeProto *);
	copy->n_attribute = 0;
	for (size_t i = 0; i < n->n_attribute; i++) {
		const char *refers = n->attribute[i]->ref_attr_name;
		const Onnx__AttributeProto *a;
		Onnx__AttributeProto *value;

		if (!refers || !*refers) {
			copy->attribute[copy->n_attribute++] = n->attribute[i];
			continue;
		}
		a = named(call->call->attribute, call->call->n_attribute, refers);
		if (!a)
			a = named(call->function->attribute_proto, call->function->n_attribute_proto, refers);
		if (!a)
			continue; /* absent in the call is absent here */
		value = vq_arena_alloc(o->arena, sizeof *value);
		*value = *a;
		value->name = n->attribute[i]->name;
		copy->attribute[copy->n_attribute++] = value;
	}
	return copy;
}

static bool check_call(vq_onnx *o, const Onnx__FunctionProto *f)
{
	uint32_t n = vq_onnx_inputs(o);

	for (const vq_onnx_scope *s = o->scope; s; s = s->outer)
		if (s->function == f)
			return vq_onnx_refuse(o, "the function calls itself, which never ends");
	if (o->depth == CALLS)
		return vq_onnx_refuse(o, "functions call each other more than %d deep", CALLS);
	if (f->n_node > CALLED_NODES - o->called)
		return vq_onnx_refuse(o,
			"the functions of the model are more than %d nodes when each call is written out",
			CALLED_NODES);
	o->called += (uint32_t)f->n_node;
	while (n && !vq_onnx_has(o, n - 1))
		n--;
	if (n > f->n_input)
		return vq_onnx_refuse(o, "it has %u inputs, but the function has %zu", (unsigned)n, f->n_input);
	if (o->node->n_output > f->n_output)
		return vq_onnx_refuse(
			o, "it has %zu outputs, but the function has %zu", o->node->n_output, f->n_output);
	for (size_t i = 0; i < f->n_attribute; i++)
		vq_onnx_attr_ignore(o, f->attribute[i]);
	for (size_t i = 0; i < f->n_attribute_proto; i++)
		if (f->attribute_proto[i]->name)
			vq_onnx_attr_ignore(o, f->attribute_proto[i]->name);
	return true;
}

/* the version of the default operator set that the function's body is written in */
static bool opset_of(vq_onnx *o, const Onnx__FunctionProto *f, int64_t *version)
{
	*version = o->model->opset;
	for (size_t i = 0; i < f->n_opset_import; i++)
		if (!*vq_onnx_domain(f->opset_import[i]->domain))
			*version = f->opset_import[i]->version;
	if (*version >= VQ_ONNX_OPSET_LEAST && *version <= VQ_ONNX_OPSET_MOST)
		return true;
	return vq_onnx_refuse(o,
		"the function is written in version %" PRId64 " of the operator set, expected %d to %d", *version,
		VQ_ONNX_OPSET_LEAST, VQ_ONNX_OPSET_MOST);
}

/* the function's input i is what the call gives */
static void bind(vq_onnx *o, const Onnx__FunctionProto *f, uint32_t i, const vq_onnx_scope *scope)
{
	const vq_onnx_name *given = vq_onnx_input_name(o, i);
	vq_onnx_name from = given ? *given : (vq_onnx_name){ .state = VQ_ONNX_ABSENT };
	const vq_onnx_scope *outer = o->scope;
	vq_onnx_name *to;
	uint32_t id;

	o->scope = scope;
	id = vq_onnx_local_id(o, f->input[i]); /* may move the array */
	o->scope = outer;
	to = &o->name[id];
	to->state = from.state;
	to->value = from.value;
	to->empty = from.empty;
	to->data_type = from.data_type;
	to->node = from.node ? from.node : o->where;
}

bool vq_onnx_call(vq_onnx *o)
{
	const Onnx__FunctionProto *f = vq_onnx_function_of(o, o->node);
	int64_t opset = o->model->opset, inner;
	uint32_t errors = o->diag->errors, *id, n = (uint32_t)o->node->n_output;
	const char *name = o->node->name && *o->node->name ? o->node->name : n ? o->node->output[0] : "";
	vq_onnx_scope *scope;

	if (!check_call(o, f) || !opset_of(o, f, &inner))
		return false;
	id = VQ_ARRAY(o->arena, n, uint32_t);
	scope = open_scope(o);
	scope->call = o->node;
	scope->function = f;
	scope->prefix = vq_arena_printf(o->arena, "%.200s%.64s/", scope->prefix, name);
	for (uint32_t i = 0; i < f->n_input; i++)
		bind(o, f, i, scope);
	for (uint32_t i = 0; i < n; i++)
		id[i] = vq_onnx_wants(o, i); /* in our scope, before the body's */
	o->scope = scope;
	o->model->opset = inner;
	for (uint32_t i = 0; i < n; i++) {
		bool wanted = id[i] != 0;

		id[i] = vq_onnx_local_id(o, f->output[i]);
		o->name[id[i]].uses += wanted;
	}
	vq_onnx_add_nodes(o, f->node, f->n_node);
	o->model->opset = opset;
	close_scope(o);
	if (o->diag->errors != errors)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (vq_onnx_wants(o, i) && !vq_onnx_out_id(o, i, id[i]))
			return false;
	return true;
}

/* ---- If ---- */

/* Imports a subgraph whose nodes see the outer names; ids of its outputs. */
static bool inline_graph(vq_onnx *o, const Onnx__GraphProto *graph, uint32_t *id)
{
	uint32_t errors = o->diag->errors, branches = 0;

	for (const vq_onnx_scope *s = o->scope; s && !s->call; s = s->outer)
		branches++;
	if (branches == BRANCHES || o->depth == CALLS)
		return vq_onnx_refuse(o, "subgraphs are nested more than %d deep", BRANCHES);
	o->scope = open_scope(o);
	vq_onnx_define_initializers(o, graph);
	for (size_t i = 0; i < graph->n_output; i++)
		vq_onnx_use(o, graph->output[i]->name);
	vq_onnx_add_nodes(o, graph->node, graph->n_node);
	for (size_t i = 0; i < graph->n_output; i++)
		id[i] = graph->output[i]->name ? vq_onnx_find(o, graph->output[i]->name) : 0;
	close_scope(o);
	return o->diag->errors == errors;
}

/* Exporters leave an If behind where a shape decides; the condition is then constant and one branch is the model. */
bool vq_import_if(vq_onnx *o)
{
	const uint8_t *condition = vq_onnx_data_of(o, vq_onnx_in(o, 0), VQ_BOOL);
	const Onnx__AttributeProto *yes = vq_onnx_attr(o, "then_branch"), *no = vq_onnx_attr(o, "else_branch"), *taken;
	Onnx__GraphProto *graph;
	uint32_t *id;

	if (!condition) {
		vq_onnx_refuse(o, "the condition is computed at run time, expected a constant");
		vq_hint(o->diag, "control flow is not supported: export by tracing, with fixed shapes");
		return false;
	}
	taken = *condition ? yes : no;
	if (!taken || !taken->has_g)
		return vq_onnx_refuse(o, "the %s branch is missing", *condition ? "then" : "else");
	graph = vq_onnx_unpack_graph(o->model, &taken->g);
	if (!graph)
		return vq_onnx_refuse(o, "the %s branch cannot be decoded", *condition ? "then" : "else");
	if (graph->n_output != o->node->n_output)
		return vq_onnx_refuse(
			o, "the branch has %zu outputs, expected %zu", graph->n_output, o->node->n_output);
	id = VQ_ARRAY(o->arena, graph->n_output, uint32_t);
	if (!inline_graph(o, graph, id))
		return false;
	for (uint32_t i = 0; i < graph->n_output; i++)
		if (!vq_onnx_out_id(o, i, id[i]))
			return false;
	return true;
}
