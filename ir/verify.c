/* SPDX-License-Identifier: MIT */
/* The verifier: every invariant of docs/ir.md, checked after each pass. A violation is our own fault. */
#include "ir/verify.h"

#include "ir/build.h"
#include "ir/shape.h"
#include "ir/text.h"

#include <string.h>

const char *vq_quant_problem(vq_arena *a, const vq_quant *q)
{
	const float most = 0x1p100f, least = 0x1p-100f;
	const int32_t zero_limit = (1 << 22) - 256;

	if (q->encoding != VQ_UNIFORM || q->bits != 8)
		return vq_arena_printf(
			a, "encoding %d with %u bits, expected uniform with 8", (int)q->encoding, (unsigned)q->bits);
	if (q->lo > q->hi || q->lo < -128 || q->hi > 127)
		return vq_arena_printf(a, "code range %d:%d, expected inside -128:127", (int)q->lo, (int)q->hi);
	if (q->axis < -1 || q->axis >= VQ_MAX_RANK || q->n < 1 || (q->axis < 0 && q->n != 1))
		return vq_arena_printf(a, "%u scales along dimension %d", (unsigned)q->n, (int)q->axis);
	for (uint32_t i = 0; i < q->n; i++) {
		/* written so that NaN fails */
		if (!(q->scale[i] >= least && q->scale[i] <= most))
			return vq_arena_printf(
				a, "scale %u is %g, expected 2^-100 to 2^100", (unsigned)i, (double)q->scale[i]);
		if (q->zero[i] > zero_limit || q->zero[i] < -zero_limit)
			return vq_arena_printf(a, "zero point %u is %d, expected -%d to %d", (unsigned)i,
				(int)q->zero[i], (int)zero_limit, (int)zero_limit);
	}
	return NULL;
}

const char *vq_type_problem(const vq_graph *g, const vq_type *t)
{
	const char *wrong = vq_size_problem(g->arena, t, "the value");
	const vq_quant *q;

	if (wrong)
		return wrong;
	if ((uint32_t)t->elem >= VQ_ELEM_COUNT)
		return "the element type is unknown";
	if (!t->quant)
		return NULL;
	if (t->quant >= g->n_quants || t->elem != VQ_S8)
		return vq_arena_printf(g->arena, "%s has quantization #%u of %u, expected s8 and an entry of the table",
			vq_type_text(g->arena, t), (unsigned)t->quant, (unsigned)g->n_quants - 1);
	q = &g->quant[t->quant];
	if (q->axis >= 0 && ((uint32_t)q->axis >= t->rank || t->dim[q->axis] % q->n))
		return vq_arena_printf(g->arena, "%u scales along dimension %d do not divide %s", (unsigned)q->n,
			(int)q->axis, vq_type_text(g->arena, t));
	return NULL;
}

const char *vq_result_problem(const vq_graph *g, vq_op op, const vq_type *inferred, const vq_type *actual)
{
	if (vq_same_type(inferred, actual))
		return NULL;
	if (vq_same_shape(inferred, actual) && inferred->elem == VQ_F32 && actual->quant && op != VQ_OP_DEQUANTIZE)
		return NULL;
	if (vq_same_shape(inferred, actual) && inferred->elem == actual->elem)
		return vq_arena_printf(g->arena, "the result's quantization is #%u, expected #%u",
			(unsigned)actual->quant, (unsigned)inferred->quant);
	return vq_arena_printf(g->arena, "the result is %s, expected %s", vq_type_text(g->arena, actual),
		vq_type_text(g->arena, inferred));
}

/* ---- the graph ---- */

typedef struct verifier {
	const vq_graph *g;
	const char *after;
	bool ok;
} verifier;

static void violated(verifier *v, const char *where, const char *text)
{
	v->ok = vq_error(v->g->diag, where, "internal error after %s: %s", v->after, text);
}

/* a message about value or entry number id */
static void violated_at(verifier *v, const char *what, uint32_t id, const char *text)
{
	violated(v, NULL, vq_arena_printf(v->g->arena, "%s %u: %s", what, (unsigned)id, text));
}

static void check_value(verifier *v, uint32_t id)
{
	const vq_graph *g = v->g;
	const vq_value_info *i = &g->value[id];
	const char *wrong = vq_type_problem(g, &i->type);

	if (wrong)
		violated_at(v, "value", id, wrong);
	switch (i->def) {
	case VQ_DEF_INPUT:
		if (i->index >= g->n_inputs || g->input[i->index].value.id != id)
			violated_at(v, "value", id, "says it is an input that is another value");
		break;
	case VQ_DEF_CONST:
		if (!i->data)
			violated_at(v, "value", id, "a constant without data");
		break;
	case VQ_DEF_NODE:
		/* a deleted node's value may linger until the next sweep; uses of it are found at the user */
		if (i->index == 0 || i->index >= g->n_nodes ||
			(g->node[i->index].out.id != id && g->node[i->index].out2.id != id))
			violated_at(v, "value", id, "says it is the result of a node that gives another value");
		break;
	default: violated_at(v, "value", id, "is defined by nothing");
	}
}

static const char *use_problem(const vq_graph *g, vq_value used, uint32_t before_node)
{
	const vq_value_info *i;

	if (used.id == 0 || used.id >= g->n_values)
		return vq_arena_printf(g->arena, "uses value %u of %u", (unsigned)used.id, (unsigned)g->n_values - 1);
	i = &g->value[used.id];
	if (i->def == VQ_DEF_NODE && (i->index >= before_node || !g->node[i->index].op))
		return vq_arena_printf(g->arena, "uses value %u before it is computed", (unsigned)used.id);
	return NULL;
}

/* the results are values that say so */
static bool defines_its_results(const vq_graph *g, uint32_t id)
{
	const vq_value v[2] = { g->node[id].out, g->node[id].out2 };
	uint32_t results = vq_ops[g->node[id].op].results;

	for (uint32_t i = 0; i < results; i++)
		if (v[i].id == 0 || v[i].id >= g->n_values || g->value[v[i].id].def != VQ_DEF_NODE ||
			g->value[v[i].id].index != id)
			return false;
	return results > 1 || !v[1].id;
}

/* what the types of the operands and the first result do not say */
static const char *pair_problem(const vq_graph *g, const vq_node_info *n)
{
	const char *wrong = vq_dynamic_problem(g, n->op, n->in, &n->attr);
	vq_type second;

	if (wrong || !n->out2.id)
		return wrong;
	second = vq_second_type(vq_type_of(g, n->out), &n->attr);
	if (vq_same_type(&second, vq_type_of(g, n->out2)))
		return NULL;
	return vq_arena_printf(g->arena, "the second result is %s, expected %s",
		vq_type_text(g->arena, vq_type_of(g, n->out2)), vq_type_text(g->arena, &second));
}

static void check_node(verifier *v, uint32_t id)
{
	const vq_graph *g = v->g;
	const vq_node_info *n = &g->node[id];
	vq_type in[64], inferred;
	const char *wrong = NULL;

	if (n->op == VQ_OP_NONE)
		return;
	if (n->op < 0 || n->op >= VQ_OP_COUNT) {
		violated_at(v, "node", id, "unknown operator");
		return;
	}
	if (!defines_its_results(g, id)) {
		violated_at(v, "node", id, "its result is not a value that it defines");
		return;
	}
	if (n->n_in > sizeof in / sizeof *in)
		wrong = "too many operands";
	for (uint32_t i = 0; i < n->n_in && !wrong; i++) {
		wrong = use_problem(g, n->in[i], id);
		if (!wrong)
			in[i] = *vq_type_of(g, n->in[i]);
	}
	if (!wrong)
		wrong = vq_infer(g, n->op, in, n->n_in, &n->attr, &inferred);
	if (!wrong)
		wrong = vq_result_problem(g, n->op, &inferred, vq_type_of(g, n->out));
	if (!wrong)
		wrong = pair_problem(g, n);
	if (wrong)
		violated(v, vq_where(g, (vq_node){ id }), wrong);
}

/* the names of inputs, and those of outputs, must tell them apart */
static void check_ports(verifier *v, const char *what, const vq_port *port, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const char *wrong = use_problem(v->g, port[i].value, v->g->n_nodes);

		if (wrong)
			violated_at(v, what, i, wrong);
		if (!port[i].name)
			violated_at(v, what, i, "has no name");
		for (uint32_t j = 0; j < i && port[i].name; j++)
			if (port[j].name && !strcmp(port[i].name, port[j].name))
				violated_at(v, what, i,
					vq_arena_printf(v->g->arena, "its name '%s' is taken", port[i].name));
	}
}

bool vq_verify(const vq_graph *g, const char *after)
{
	verifier v = { .g = g, .after = after, .ok = true };

	for (uint32_t i = 1; i < g->n_quants; i++) {
		const char *wrong = vq_quant_problem(g->arena, &g->quant[i]);

		if (wrong)
			violated_at(&v, "quantization entry", i, wrong);
	}
	for (uint32_t i = 1; i < g->n_values; i++)
		check_value(&v, i);
	for (uint32_t i = 1; i < g->n_nodes; i++)
		check_node(&v, i);
	check_ports(&v, "input", g->input, g->n_inputs);
	check_ports(&v, "output", g->output, g->n_outputs);
	for (uint32_t i = 0; i < g->n_inputs; i++)
		if (g->input[i].value.id && g->input[i].value.id < g->n_values &&
			g->value[g->input[i].value.id].def != VQ_DEF_INPUT)
			violated_at(&v, "input", i, "is not an input value");
	if (!g->n_outputs)
		violated(&v, NULL, "the graph has no output");
	return v.ok;
}
