/* SPDX-License-Identifier: MIT */
#include "frontend/onnx_import.h"

#include "frontend/onnx_names.h"

#include <inttypes.h>
#include <string.h>

enum { DEPTH_LIMIT = 8 }; /* of subgraphs whose uses of outer names are counted */

static const vq_onnx_op ops[] = {
#define VQ_ONNX(type, domain, since, until, least, most, importer, ir, flags) \
	{ type, domain, since, until, least, most, vq_import_##importer, ir, flags },
#include "frontend/onnx_ops.def"
};

enum { N_OPS = sizeof ops / sizeof *ops };

const char *vq_onnx_op_name(uint32_t i, const char **domain, int *since)
{
	if (i >= N_OPS)
		return NULL;
	*domain = ops[i].domain;
	*since = ops[i].since;
	return ops[i].type;
}

/* ---- refusals ---- */

#define RECURRENT \
	"recurrent layers are out of scope: cut the model around this layer, compile the parts, and run the layer in your program"

/* operators people meet, and what to do about them */
static const struct {
	const char *type, *hint;
} advice[] = {
	{ "MatMulBnb4", "give vitqc the float model; it quantizes weights and activations itself" },
	{ "GatherBlockQuantized", "give vitqc the model without quantized embeddings, or the float model" },
	{ "GroupQueryAttention", "export without ONNX Runtime's transformer optimizer, and without a key-value cache" },
	{ "DecoderMaskedMultiHeadAttention",
		"export without ONNX Runtime's transformer optimizer, and without a key-value cache" },
	{ "PackedAttention", "export without removing padding (ONNX Runtime's convert_to_packing_mode)" },
	{ "PackedMultiHeadAttention", "export without removing padding (ONNX Runtime's convert_to_packing_mode)" },
	{ "TopK", "end the model at the scores and sort in your program" },
	{ "NonMaxSuppression", "end the model at boxes and scores; suppress in your program" },
	{ "Loop", "control flow is not supported: export by tracing (torch.onnx.export), with fixed shapes" },
	{ "Scan", "control flow is not supported: export by tracing (torch.onnx.export), with fixed shapes" },
	{ "LSTM", RECURRENT },
	{ "GRU", RECURRENT },
	{ "RNN", RECURRENT },
	{ "DynamicQuantizeLSTM", RECURRENT },
	{ "Upsample", "export with opset_version=11 or later, which writes Resize" },
	{ "RandomNormal", "export the model in evaluation mode" },
	{ "RandomNormalLike", "export the model in evaluation mode" },
	{ "RandomUniformLike", "export the model in evaluation mode" },
};

const char *vq_onnx_domain(const char *domain) { return domain && strcmp(domain, "ai.onnx") ? domain : ""; }

static const char *domain_of(const Onnx__NodeProto *n) { return vq_onnx_domain(n->domain); }

static const char *type_of(const Onnx__NodeProto *n) { return n->op_type ? n->op_type : ""; }

static void hint_unsupported(vq_onnx *o)
{
	const char *type = type_of(o->node), *domain = domain_of(o->node);

	for (size_t i = 0; i < sizeof advice / sizeof *advice; i++)
		if (!strcmp(advice[i].type, type)) {
			vq_hint(o->diag, "%s", advice[i].hint);
			return;
		}
	if (!strcmp(domain, "com.microsoft.nchwc"))
		vq_hint(o->diag,
			"ONNX Runtime writes this layout for one kind of CPU at the level ORT_ENABLE_ALL: optimise the model "
			"with ORT_ENABLE_EXTENDED");
	else if (*domain)
		vq_hint(o->diag, "export the model with standard ONNX operators only");
	else
		vq_hint(o->diag,
			"vitqc -print-ops lists what is supported; rewrite this part of the model or run it outside");
}

/*
 * Is an operator of this name refused already? One message says it for all nodes, and how many they are: a model of many layers would
 * say it hundreds of times.
 */
static bool said_unsupported(vq_onnx *o)
{
	const char *type = type_of(o->node), *domain = domain_of(o->node);

	for (uint32_t i = 0; i < o->n_unsupported; i++)
		if (!strcmp(type_of(o->unsupported[i]), type) && !strcmp(domain_of(o->unsupported[i]), domain))
			return true;
	o->unsupported = vq_arena_grow(
		o->arena, o->unsupported, &o->cap_unsupported, o->n_unsupported + 1, sizeof *o->unsupported);
	o->unsupported[o->n_unsupported++] = o->node;
	return false;
}

static void note_others(vq_onnx *o)
{
	const Onnx__GraphProto *graph = o->model->proto->graph;
	const char *type = type_of(o->node), *domain = domain_of(o->node);
	uint32_t n = 0;

	for (size_t i = 0; i < graph->n_node; i++)
		n += !strcmp(type_of(graph->node[i]), type) && !strcmp(domain_of(graph->node[i]), domain);
	if (n > 1)
		vq_note(o->diag, "%u nodes of the model are %s", (unsigned)n, type);
}

/* "inputs: f32[1,4] 'x', 'w' (refused above)" */
static void note_inputs(vq_onnx *o)
{
	const char *text = "";

	for (uint32_t i = 0; i < vq_onnx_inputs(o) && i < 8; i++) {
		const vq_onnx_name *n = vq_onnx_input_name(o, i);
		const char *shape = "none";

		if (n && n->state == VQ_ONNX_VALUE)
			shape = vq_type_text(o->arena, vq_type_of(o->g, n->value));
		else if (n)
			shape = n->state == VQ_ONNX_NOTHING ? "no elements" : "unknown";
		text = vq_arena_printf(o->arena, "%s%s%s", text, i ? ", " : "", shape);
	}
	vq_note(o->diag, "inputs: %s; operator set %" PRId64, *text ? text : "none", o->model->opset);
}

/* ---- one node ---- */

static const vq_onnx_op *row_of_function(vq_onnx *o)
{
	vq_onnx_op *row = vq_arena_alloc(o->arena, sizeof *row);

	*row = (vq_onnx_op){
		.type = type_of(o->node),
		.domain = domain_of(o->node),
		.most = -1,
		.import = vq_onnx_call,
		.flags = VQ_ONNX_CODES | VQ_ONNX_EMPTIES,
	};
	return row;
}

/* The row for the node, NULL after an error in diag. */
static const vq_onnx_op *find_op(vq_onnx *o)
{
	const char *type = type_of(o->node), *domain = domain_of(o->node);
	int64_t opset = o->model->opset;
	const vq_onnx_op *near = NULL;

	/* what the model itself defines is what it means, even where we know an operator of that name */
	if (vq_onnx_function_of(o, o->node))
		return row_of_function(o);
	for (size_t i = 0; i < N_OPS; i++) {
		if (strcmp(ops[i].type, type) || strcmp(ops[i].domain, domain))
			continue;
		near = &ops[i];
		if (*domain || (opset >= near->since && (!near->until || opset <= near->until)))
			return near;
	}
	if (said_unsupported(o))
		return NULL;
	if (near) {
		vq_onnx_refuse(o, "operator set version is %" PRId64 ", but %s exists from version %d on", opset, type,
			near->since);
		vq_hint(o->diag, "export with opset_version=%d or later", near->since);
		return NULL;
	}
	if (*domain)
		vq_onnx_refuse(o, "operator %s of domain '%s' is not supported", type, domain);
	else
		vq_onnx_refuse(o, "operator %s is not supported", *type ? type : "without a name");
	note_inputs(o);
	note_others(o);
	hint_unsupported(o);
	return NULL;
}

/* true if every input can be used; *silent: a refused input, nothing more to say */
static bool check_inputs(vq_onnx *o, bool *silent)
{
	bool ok = true;

	*silent = false;
	for (uint32_t i = 0; i < vq_onnx_inputs(o); i++) {
		const char *name = o->node->input[i];
		uint32_t id = *name ? vq_onnx_find(o, name) : 0;

		if (!*name)
			continue;
		if (!id || (o->name[id].state == VQ_ONNX_LATER && !o->name[id].node)) {
			ok = vq_onnx_refuse(o, "input %u '%s' is not defined anywhere in the model", (unsigned)i, name);
			continue;
		}
		if (o->name[id].state == VQ_ONNX_STORED)
			vq_onnx_load_stored(o, id);
		if (o->name[id].state == VQ_ONNX_LATER) {
			ok = vq_onnx_refuse(o,
				"input %u '%s' is computed from this node's results: the graph has a cycle",
				(unsigned)i, name);
			vq_note(o->diag, "'%s' comes from %s", name, o->name[id].node);
		} else if (o->name[id].state == VQ_ONNX_POISONED) {
			*silent = true;
		}
	}
	return ok;
}

/* what the row of the operator asks of its inputs */
static bool check_row(vq_onnx *o)
{
	uint32_t n = vq_onnx_inputs(o);

	while (n && !vq_onnx_has(o, n - 1))
		n--;
	if (o->op->most >= 0 && n > (uint32_t)o->op->most)
		return vq_onnx_refuse(o, "it has %u inputs, expected at most %d", (unsigned)n, o->op->most);
	for (uint32_t i = 0; i < (uint32_t)o->op->least; i++)
		if (!vq_onnx_has(o, i))
			return vq_onnx_refuse(
				o, "input %u is missing, expected at least %d", (unsigned)i, o->op->least);
	for (uint32_t i = 0; i < n; i++) {
		if (vq_onnx_empty(o, i) && !(o->op->flags & (VQ_ONNX_EMPTIES | VQ_ONNX_EACH)))
			return vq_onnx_refuse(o, "input %u '%s' has no elements", (unsigned)i, o->node->input[i]);
		if (vq_onnx_in(o, i).id && vq_onnx_in_type(o, i)->quant && !(o->op->flags & VQ_ONNX_CODES)) {
			vq_onnx_refuse(o,
				"input %u '%s' is quantized; only DequantizeLinear and operators that move elements take it",
				(unsigned)i, o->node->input[i]);
			vq_hint(o->diag,
				"quantize with quant_format=QDQ, which puts DequantizeLinear before every operator");
			return false;
		}
	}
	return true;
}

static bool any_empty(vq_onnx *o)
{
	for (uint32_t i = 0; i < vq_onnx_inputs(o); i++)
		if (vq_onnx_empty(o, i))
			return true;
	return false;
}

/* The result of VQ_ONNX_EACH without elements: the inputs' shapes, broadcast. */
static bool out_no_elements(vq_onnx *o)
{
	vq_type result = { 0 }, t;

	for (uint32_t i = 0; i < vq_onnx_inputs(o); i++) {
		t = vq_onnx_empty(o, i) ? vq_onnx_input_name(o, i)->empty : *vq_onnx_in_type(o, i);
		if (!i)
			result.elem = t.elem;
		for (; result.rank < t.rank; result.rank++) {
			memmove(result.dim + 1, result.dim, result.rank * sizeof *result.dim);
			result.dim[0] = 1;
		}
		for (uint32_t k = 0; k < t.rank; k++) {
			int64_t *to = &result.dim[result.rank - t.rank + k];

			if (*to != 1 && t.dim[k] != 1 && *to != t.dim[k])
				return vq_onnx_refuse(o,
					"an input has no elements, and dimensions %" PRId64 " and %" PRId64
					" do not broadcast",
					*to, t.dim[k]);
			*to = *to == 1 ? t.dim[k] : *to;
		}
	}
	return vq_onnx_out_empty(o, 0, &result);
}

static const char *where_of(vq_onnx *o, const Onnx__NodeProto *n)
{
	const char *name = n->name && *n->name ? n->name : n->n_output ? n->output[0] : "";
	const char *domain = domain_of(n);

	return vq_arena_printf(
		o->arena, "node '%s' (%s%s%s)", vq_onnx_display(o, name), domain, *domain ? "." : "", type_of(n));
}

static void poison(vq_onnx *o)
{
	for (size_t i = 0; i < o->node->n_output; i++) {
		uint32_t id = *o->node->output[i] ? vq_onnx_find(o, o->node->output[i]) : 0;

		if (id &&
			(o->name[id].state == VQ_ONNX_LATER || o->name[id].state == VQ_ONNX_VALUE ||
				o->name[id].state == VQ_ONNX_NOTHING))
			o->name[id].state = VQ_ONNX_POISONED;
	}
}

static bool check_outputs(vq_onnx *o)
{
	for (uint32_t i = 0; i < o->node->n_output; i++)
		if (vq_onnx_wants(o, i) && o->name[vq_onnx_find(o, o->node->output[i])].state == VQ_ONNX_LATER)
			return vq_onnx_refuse(o, "output %u '%s' is not supported", (unsigned)i, o->node->output[i]);
	return true;
}

/* messages about IR nodes name the node of the file that they come from */
static void name_nodes(vq_onnx *o)
{
	const char *name = o->node->name;

	if (!name || !*name)
		name = o->node->n_output ? o->node->output[0] : NULL;
	if (name && o->first_node < o->g->n_nodes)
		name = vq_onnx_display(o, name);
	for (uint32_t i = o->first_node; i < o->g->n_nodes; i++)
		if (!o->g->node[i].name) {
			o->g->node[i].name = name;
			o->g->node[i].source = o->op->type;
		}
}

static void import_node(vq_onnx *o, const Onnx__NodeProto *node)
{
	vq_onnx outer = *o;
	uint32_t errors = o->diag->errors;
	bool silent, ok;

	node = vq_onnx_localize(o, node);
	o->node = node;
	o->where = where_of(o, node);
	o->first_node = o->g->n_nodes;
	o->attr_seen = VQ_ARRAY(o->arena, node->n_attribute, bool);
	ok = check_inputs(o, &silent);
	o->op = find_op(o);
	ok = ok && o->op && !silent;
	if (ok) {
		ok = check_row(o) &&
			(o->op->flags & VQ_ONNX_EACH && any_empty(o) ? out_no_elements(o) : o->op->import(o)) &&
			check_outputs(o) && vq_onnx_attr_check(o);
		if (!ok && errors == o->diag->errors)
			vq_onnx_refuse(o, "it cannot be imported");
		if (!ok && o->op->import != vq_onnx_call)
			note_inputs(o);
		name_nodes(o);
	}
	if (!ok)
		poison(o);
	if (o->model->node)
		o->model->node(o->model->user, domain_of(node), type_of(node),
			ok                                                     ? VQ_NODE_IMPORTED
				: silent && o->op && errors == o->diag->errors ? VQ_NODE_BEHIND
									       : VQ_NODE_REFUSED);
	o->node = outer.node;
	o->where = outer.where;
	o->first_node = outer.first_node;
	o->attr_seen = outer.attr_seen;
	o->op = outer.op;
}

/* ---- the graph ---- */

/* Gives name its definer; false after an error if it has one already. */
static bool define(vq_onnx *o, const char *name, const char *by)
{
	uint32_t id = vq_onnx_local_id(o, name);

	if (o->name[id].node) {
		vq_error(o->diag, by, "the tensor name '%s' is used twice: also by %s", name, o->name[id].node);
		return false;
	}
	o->name[id].node = by;
	return true;
}

void vq_onnx_define_initializers(vq_onnx *o, const Onnx__GraphProto *graph)
{
	for (size_t i = 0; i < graph->n_initializer; i++) {
		const Onnx__TensorProto *t = graph->initializer[i];
		const char *where = vq_arena_printf(o->arena, "initializer '%s'", t->name ? t->name : "");
		uint32_t id;

		if (!t->name || !*t->name) {
			vq_error(o->diag, vq_arena_printf(o->arena, "initializer %zu", i), "it has no name");
		} else if (define(o, t->name, where)) {
			id = vq_onnx_find(o, t->name);
			o->name[id].state = VQ_ONNX_STORED;
			o->name[id].stored = t;
		}
	}
	if (graph->n_sparse_initializer)
		vq_error(o->diag, NULL, "the model has %zu sparse initializers, which are not supported",
			graph->n_sparse_initializer);
}

static void define_outputs(vq_onnx *o, Onnx__NodeProto *const *node, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *where = where_of(o, node[i]);

		for (size_t k = 0; k < node[i]->n_output; k++)
			if (*node[i]->output[k])
				define(o, node[i]->output[k], where);
	}
}

/* subgraphs use outer names, too: a name of theirs that is also one of ours counts, which costs nothing */
static void count_uses(vq_onnx *o, Onnx__NodeProto *const *node, size_t n, uint32_t depth)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < node[i]->n_input; k++)
			vq_onnx_use(o, node[i]->input[k]);
		for (size_t k = 0; k < node[i]->n_attribute && depth < DEPTH_LIMIT; k++) {
			const Onnx__AttributeProto *a = node[i]->attribute[k];
			const Onnx__GraphProto *graph = a->has_g && a->g.len ? vq_onnx_unpack_graph(o->model, &a->g)
									     : NULL;

			if (!graph)
				continue;
			count_uses(o, graph->node, graph->n_node, depth + 1);
			for (size_t j = 0; j < graph->n_output; j++)
				vq_onnx_use(o, graph->output[j]->name);
		}
	}
}

void vq_onnx_add_nodes(vq_onnx *o, Onnx__NodeProto *const *node, size_t n)
{
	define_outputs(o, node, n);
	count_uses(o, node, n, 0);
	node = vq_onnx_sorted(o, node, n);
	for (size_t i = 0; i < n; i++)
		import_node(o, node[i]);
}

/* a declared shape that contradicts the inferred one is worth a warning: ours was computed, theirs is often stale */
static void compare_declared(vq_onnx *o, const char *where, const Onnx__ValueInfoProto *v, const vq_type *t)
{
	const Onnx__TypeProto__Tensor *declared;
	vq_elem elem;

	if (!v->type || v->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !v->type->tensor_type)
		return;
	declared = v->type->tensor_type;
	if (vq_onnx_elem(declared->elem_type, &elem) && elem != t->elem)
		vq_warning(o->diag, where, "it is declared as %s, but computed as %s",
			vq_onnx_type_name(o->arena, declared->elem_type), vq_elem_name(t->elem));
	if (!declared->shape)
		return;
	if (declared->shape->n_dim != t->rank) {
		vq_warning(o->diag, where, "it is declared with %zu dimensions, but computed as %s",
			declared->shape->n_dim, vq_type_text(o->arena, t));
		return;
	}
	for (uint32_t i = 0; i < t->rank; i++) {
		const Onnx__TensorShapeProto__Dimension *d = declared->shape->dim[i];

		if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && d->dim_value > 0 &&
			d->dim_value != t->dim[i])
			vq_warning(o->diag, where, "dimension %u is declared as %" PRId64 ", but computed as %" PRId64,
				(unsigned)i, d->dim_value, t->dim[i]);
	}
}

static void add_output(vq_onnx *o, const Onnx__ValueInfoProto *v)
{
	const char *name = v->name ? v->name : "", *where = vq_arena_printf(o->arena, "output '%s'", name);
	uint32_t id = vq_onnx_find(o, name);

	for (uint32_t i = 0; i < o->g->n_outputs; i++)
		if (!strcmp(o->g->output[i].name, name)) {
			vq_error(o->diag, where, "it is listed twice");
			return;
		}
	if (!*name || !id || !o->name[id].node) {
		vq_error(o->diag, where, "no node computes it");
		return;
	}
	if (o->name[id].state == VQ_ONNX_STORED)
		vq_onnx_load_stored(o, id);
	if (o->name[id].state == VQ_ONNX_NOTHING) {
		vq_error(o->diag, where, "it has no elements");
	} else if (o->name[id].state == VQ_ONNX_VALUE) {
		const vq_type *t = vq_type_of(o->g, o->name[id].value);

		if (t->quant) {
			vq_error(o->diag, where, "it is quantized, expected a tensor of floats or integers");
			vq_hint(o->diag, "drop the last QuantizeLinear: the output is then float32");
			return;
		}
		compare_declared(o, where, v, t);
		vq_add_output(o->g, name, o->name[id].value);
	}
}

static bool import_model(vq_onnx *o, const vq_import_options *options)
{
	const Onnx__GraphProto *graph = o->model->proto->graph;
	size_t names = graph->n_initializer + graph->n_input;
	uint32_t errors = o->diag->errors;

	for (size_t i = 0; i < graph->n_node; i++)
		names += graph->node[i]->n_output;
	vq_onnx_names_init(o, names);
	vq_onnx_define_initializers(o, graph);
	vq_onnx_add_inputs(o, graph, options);
	for (size_t i = 0; i < graph->n_output; i++)
		vq_onnx_use(o, graph->output[i]->name);
	vq_onnx_add_nodes(o, graph->node, graph->n_node);
	for (size_t i = 0; i < graph->n_output; i++)
		add_output(o, graph->output[i]);
	if (!graph->n_output)
		vq_error(o->diag, NULL, "the graph has no outputs");
	return o->diag->errors == errors;
}

static bool import(vq_graph *g, vq_onnx_model *m, const vq_import_options *options, uint64_t *model_hash)
{
	const char *name = m->proto->graph->name;
	vq_onnx o = { .g = g, .arena = m->arena, .diag = m->diag, .model = m };

	if (name && *name)
		g->name = name;
	if (options) {
		m->opened = options->opened;
		m->node = options->node;
		m->user = options->user;
	}
	if (!import_model(&o, options))
		return false;
	vq_graph_sweep(g);
	if (model_hash)
		*model_hash = m->hash;
	return true;
}

bool vq_import_onnx(vq_graph *g, vq_arena *arena, vq_diag *diag, const char *path, const vq_import_options *options,
	uint64_t *model_hash)
{
	vq_onnx_model m;

	vq_graph_init(g, arena, diag, "model");
	return vq_onnx_load(&m, arena, diag, path) && import(g, &m, options, model_hash);
}

bool vq_import_onnx_bytes(vq_graph *g, vq_arena *arena, vq_diag *diag, const char *path, const void *data, size_t bytes,
	const vq_import_options *options, uint64_t *model_hash)
{
	vq_onnx_model m;

	vq_graph_init(g, arena, diag, "model");
	return vq_onnx_load_bytes(&m, arena, diag, path, data, bytes) && import(g, &m, options, model_hash);
}
