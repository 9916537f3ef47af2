/* SPDX-License-Identifier: MIT */
/*
 * -compare: layer by layer against stored values or against the same model in float.
 *
 * Values are found by the names of the model's tensors, which passes keep. A pass may also change
 * what a name stands for: RepQ moves scales from a LayerNorm's result into the weights behind it,
 * the scale of attention goes into q. The float graph has the same changes, so comparing with it is
 * right for all. Stored values are those of the model as it is: there the float graph is run beside
 * the graph as it was imported, and names whose values differ are left out.
 */
#include "frontend/look.h"

#include "frontend/compare_report.h"
#include "frontend/file.h"
#include "frontend/folder.h"
#include "frontend/npy.h"
#include "frontend/output.h"
#include "frontend/samples.h"
#include "ir/eval.h"
#include "passes/measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Below this many dB a name no longer stands for the model's tensor: rounding stays above 80. */
static const double same_meaning = 50;

/* One of the graphs that are run. */
typedef struct side {
	const vq_graph *g; /* NULL: not run */
	const vq_executor *x;
	vq_exec *e;
	vq_value *seen; /* what it is asked to show */
	uint32_t n_seen;
	uint32_t *row; /* by value id: number of the row + 1 */
	void **out;    /* per graph output */
} side;

typedef struct comparison {
	const vq_look *l;
	vq_compare_row *row;
	uint32_t n;
	side imported, reference, result;
	vq_array *stored; /* arrays of the file */
	uint32_t n_stored;
	vq_file file; /* they are views of; mapped */
	vq_samples samples;
	uint32_t sample; /* being run */
} comparison;

FILE *vq_look_open(const vq_look *l) { return vq_output_open(l->arena, l->diag, l->o->report ? l->o->report : "-"); }

/* ---- what is compared ---- */

static bool comparable(const vq_graph *g, vq_value v)
{
	const vq_type *t = vq_type_of(g, v);

	return t->elem == VQ_F32 || t->quant;
}

/* Is v a value of that name and shape that may be compared? */
static bool fits(const vq_graph *g, vq_value v, const char *name, const vq_type *t)
{
	const char *n = g->value[v.id].name;

	return n && strcmp(n, name) == 0 && comparable(g, v) && vq_same_shape(vq_type_of(g, v), t);
}

static bool moves(const vq_graph *g, uint32_t node) { return vq_ops[g->node[node].op].class_ == VQ_CLASS_MOVE; }

/*
 * The value of that name and shape which a node computes; of several (parts of a merged projection
 * keep its name) number `which`. Movement only if nothing else fits.
 */
static vq_value find(const vq_graph *g, const char *name, const vq_type *t, uint32_t which)
{
	vq_value moved = VQ_NO_VALUE;

	for (uint32_t i = 1; i < g->n_nodes; i++) {
		if (!g->node[i].op || !fits(g, g->node[i].out, name, t))
			continue;
		if (moves(g, i))
			moved = g->node[i].out;
		else if (which-- == 0)
			return g->node[i].out;
	}
	return moved;
}

/* How many nodes before this one compute a value of its name and shape. */
static uint32_t number_of(const vq_graph *g, uint32_t node)
{
	vq_value v = g->node[node].out;
	uint32_t n = 0;

	for (uint32_t i = 1; i < node; i++)
		n += g->node[i].op && !moves(g, i) && fits(g, g->node[i].out, g->value[v.id].name, vq_type_of(g, v));
	return n;
}

static const vq_array *find_stored(const comparison *c, const char *name)
{
	for (uint32_t i = 0; i < c->n_stored; i++)
		if (strcmp(c->stored[i].name, name) == 0)
			return &c->stored[i];
	return NULL;
}

static bool is_input(const vq_graph *g, const char *name)
{
	for (uint32_t i = 0; i < g->n_inputs; i++)
		if (strcmp(g->input[i].name, name) == 0)
			return true;
	return false;
}

/* Arrays of the file that are no inputs are what values should be. */
static bool open_stored(comparison *c, const vq_graph *g)
{
	const vq_look *l = c->l;
	const char *where = vq_arena_printf(l->arena, "file '%s'", l->o->compare);
	vq_array *all;
	uint32_t n;

	if (!vq_path_ends(l->o->compare, ".npz"))
		return true;
	if (!vq_file_open(&c->file, l->diag, where, l->o->compare) ||
		!vq_npz_parse(&all, &n, l->arena, l->diag, where, c->file.data, c->file.bytes))
		return false;
	if (n == 1 && g->n_inputs == 1) /* the input, whatever its name */
		return true;
	c->stored = VQ_ARRAY(l->arena, n, vq_array);
	for (uint32_t i = 0; i < n; i++)
		if (!is_input(g, all[i].name))
			c->stored[c->n_stored++] = all[i];
	return true;
}

static void observe_value(side *s, vq_value v, uint32_t row)
{
	if (s->row[v.id])
		return;
	s->row[v.id] = row + 1;
	s->seen[s->n_seen++] = v;
}

static side side_of(const vq_look *l, const vq_graph *g)
{
	side s = { .g = g, .x = l->executor };

	if (!g)
		return s;
	s.seen = VQ_ARRAY(l->arena, g->n_values, vq_value);
	s.row = VQ_ARRAY(l->arena, g->n_values, uint32_t);
	s.out = VQ_ARRAY(l->arena, g->n_outputs, void *);
	for (uint32_t i = 0; i < g->n_outputs; i++)
		s.out[i] = vq_arena_alloc(l->arena, vq_type_bytes(vq_type_of(g, g->output[i].value)));
	return s;
}

/* Fills a row and its places; false if v has no counterpart. */
static bool make_row(comparison *c, const char *name, vq_value v, uint32_t which, bool output)
{
	const vq_graph *g = c->result.g;
	const vq_type *t = vq_type_of(g, v);
	vq_node n = vq_def_of(g, v);
	vq_compare_row *r = &c->row[c->n];
	vq_value reference = VQ_NO_VALUE, imported = VQ_NO_VALUE;
	vq_type one = *t;

	*r = (vq_compare_row){ .name = name, .type = t, .output = output };
	if (which)
		r->name = vq_arena_printf(c->l->arena, "%s#%u", name, (unsigned)which + 1);
	r->node = n.id ? g->node[n.id].name : NULL;
	r->op = !n.id ? NULL : g->node[n.id].source ? g->node[n.id].source : vq_ops[vq_op_of(g, n)].text;
	if (c->n_stored) {
		const vq_array *a = find_stored(c, name);

		one.elem = VQ_F32;
		one.quant = 0;
		if (!a || a->type.elem != VQ_F32 || vq_samples_in(&one, &a->type) < (int64_t)c->samples.n)
			return false;
		r->stored = a->data;
	}
	if (!output) {
		reference = find(c->reference.g, name, t, which);
		imported = c->n_stored ? find(c->imported.g, name, t, which) : VQ_NO_VALUE;
		if (!reference.id || (c->n_stored && !imported.id))
			return false;
		observe_value(&c->result, v, c->n);
		observe_value(&c->reference, reference, c->n);
		if (imported.id)
			observe_value(&c->imported, imported, c->n);
	}
	r->want = vq_arena_array(c->l->arena, (size_t)vq_type_count(t), sizeof *r->want);
	if (c->n_stored)
		r->reference = vq_arena_array(c->l->arena, (size_t)vq_type_count(t), sizeof *r->reference);
	c->n++;
	return true;
}

static void collect(comparison *c)
{
	const vq_graph *g = c->result.g;
	bool *done = VQ_ARRAY(c->l->arena, g->n_values, bool);

	c->row = VQ_ARRAY(c->l->arena, g->n_outputs + g->n_nodes, vq_compare_row);
	for (uint32_t i = 0; i < g->n_outputs; i++) {
		done[g->output[i].value.id] = true;
		if (comparable(g, g->output[i].value) && make_row(c, g->output[i].name, g->output[i].value, 0, true))
			c->row[c->n - 1].port = i;
	}
	for (uint32_t i = 1; i < g->n_nodes; i++) {
		vq_value v = g->node[i].out;
		const char *name = g->value[v.id].name;
		uint32_t which;

		if (!g->node[i].op || !name || done[v.id] || !comparable(g, v) || (moves(g, i) && !c->n_stored))
			continue;
		which = number_of(g, i);
		if (vq_same(find(g, name, vq_type_of(g, v), which), v))
			make_row(c, name, v, which, false);
	}
}

/* ---- running ---- */

static void put_numbers(const vq_graph *g, vq_value v, const void *data, float *to)
{
	const vq_type *t = vq_type_of(g, v);
	const vq_quant *q = vq_quant_of(g, t);

	for (int64_t i = 0; i < vq_type_count(t); i++)
		to[i] = (float)vq_element(q, t, data, i);
}

static void saw_reference(comparison *c, vq_compare_row *r, vq_value v, const void *data)
{
	const vq_graph *g = c->reference.g;

	if (!r->stored) {
		put_numbers(g, v, data, r->want);
		return;
	}
	put_numbers(g, v, data, r->reference);
	vq_distance_add(
		&r->in_float, NULL, &(vq_type){ .rank = 1, .dim = { vq_type_count(r->type) } }, r->reference, r->want);
}

static void saw_imported(comparison *c, vq_compare_row *r, vq_value v, const void *data)
{
	const vq_type *t = vq_type_of(c->imported.g, v);

	vq_distance_add(&r->meaning, vq_quant_of(c->imported.g, t), t, data, r->reference);
}

static void saw_result(comparison *c, vq_compare_row *r, vq_value v, const void *data)
{
	const vq_graph *g = c->result.g;
	const vq_type *t = vq_type_of(g, v);

	vq_distance_add(&r->distance, vq_quant_of(g, t), t, data, r->want);
}

static void on_reference(void *user, vq_value v, const void *data)
{
	comparison *c = user;

	saw_reference(c, &c->row[c->reference.row[v.id] - 1], v, data);
}

static void on_imported(void *user, vq_value v, const void *data)
{
	comparison *c = user;

	saw_imported(c, &c->row[c->imported.row[v.id] - 1], v, data);
}

static void on_result(void *user, vq_value v, const void *data)
{
	comparison *c = user;

	saw_result(c, &c->row[c->result.row[v.id] - 1], v, data);
}

/* In how many rows along the last axis the largest element is the same one. */
static void count_largest(comparison *c, vq_compare_row *r, const void *data)
{
	const vq_graph *g = c->result.g;
	const vq_type *t = r->type;
	int64_t n = t->rank ? t->dim[t->rank - 1] : 1, rows = vq_type_count(t) / n;

	for (int64_t i = 0; i < rows; i++) {
		int64_t a = 0, b = 0;

		for (int64_t k = 1; k < n; k++) {
			if (r->want[i * n + k] > r->want[i * n + a])
				a = k;
			if (vq_element(vq_quant_of(g, t), t, data, i * n + k) >
				vq_element(vq_quant_of(g, t), t, data, i * n + b))
				b = k;
		}
		r->same_largest += a == b;
	}
	r->rows += (uint64_t)rows;
}

static bool run_side(comparison *c, side *s, void *const *in, vq_observe *observe)
{
	return !s->e || s->x->run(s->e, (const void *const *)in, s->out, observe, c);
}

static bool run_sample(comparison *c, void *const *in)
{
	if (!c->samples.get(c->samples.self, c->sample, in))
		return false;
	for (uint32_t i = 0; i < c->n; i++)
		if (c->row[i].stored)
			memcpy(c->row[i].want,
				c->row[i].stored + (size_t)c->sample * (size_t)vq_type_count(c->row[i].type),
				(size_t)vq_type_count(c->row[i].type) * sizeof *c->row[i].want);
	if (!run_side(c, &c->reference, in, on_reference))
		return false;
	for (uint32_t i = 0; i < c->n; i++)
		if (c->row[i].output)
			saw_reference(c, &c->row[i], c->reference.g->output[c->row[i].port].value,
				c->reference.out[c->row[i].port]);
	if (!run_side(c, &c->result, in, on_result))
		return false;
	for (uint32_t i = 0; i < c->n; i++) {
		vq_compare_row *r = &c->row[i];

		if (!r->output)
			continue;
		saw_result(c, r, c->result.g->output[r->port].value, c->result.out[r->port]);
		count_largest(c, r, c->result.out[r->port]);
	}
	return run_side(c, &c->imported, in, on_imported);
}

/* The executor asked for; without one, the evaluator takes what the jit cannot compile. */
static bool prepare(comparison *c, side *s)
{
	const vq_look *l = c->l;

	if (!s->g)
		return true;
	s->e = s->x->prepare(s->x, s->g, s->seen, s->n_seen);
	if (!s->e && l->o->executor == VQ_EXECUTOR_AUTO && s->x != &vq_evaluator && s->g->diag != l->diag &&
		!s->g->diag->bugs) {
		s->x = &vq_evaluator;
		s->e = s->x->prepare(s->x, s->g, s->seen, s->n_seen);
	}
	return s->e ||
		(s->g->diag != l->diag &&
			vq_error(l->diag, NULL, "the model in float cannot be run: %s",
				s->g->diag->n ? vq_message_text(s->g->diag, s->g->diag->item) : ""));
}

static bool run(comparison *c)
{
	side *each[] = { &c->imported, &c->reference, &c->result };
	const vq_graph *g = c->result.g;
	void **in = VQ_ARRAY(c->l->arena, g->n_inputs, void *);
	bool good = true;

	for (uint32_t i = 0; i < g->n_inputs; i++)
		in[i] = vq_arena_alloc(c->l->arena, vq_type_bytes(vq_type_of(g, g->input[i].value)));
	for (int i = 0; i < 3 && good; i++)
		good = prepare(c, each[i]);
	for (c->sample = 0; c->sample < c->samples.n && good; c->sample++) {
		vq_bar_progress(c->l->bar, "compare", c->sample, c->samples.n);
		good = run_sample(c, in);
	}
	vq_bar_clear(c->l->bar);
	for (int i = 0; i < 3; i++)
		if (each[i]->e)
			each[i]->x->dispose(each[i]->e);
	return good;
}

/* ---- the result ---- */

/* Worst first; what is equal stays in execution order. */
static int by_error(const void *a, const void *b)
{
	const vq_compare_row *x = a, *y = b;
	double p = vq_distance_sqnr(&x->distance), q = vq_distance_sqnr(&y->distance);

	if (isnan(p) != isnan(q))
		return isnan(p) ? -1 : 1;
	if (p < q || p > q)
		return p < q ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static void drop_changed(comparison *c, uint32_t *changed)
{
	uint32_t n = 0;

	*changed = 0;
	for (uint32_t i = 0; i < c->n; i++) {
		if (c->imported.g && !c->row[i].output && !(vq_distance_sqnr(&c->row[i].meaning) >= same_meaning)) {
			++*changed;
			continue;
		}
		c->row[n++] = c->row[i];
	}
	c->n = n;
}

static uint32_t not_found(const comparison *c)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n_stored; i++) {
		bool used = false;

		for (uint32_t k = 0; k < c->n; k++)
			used |= strcmp(c->row[k].name, c->stored[i].name) == 0;
		n += !used;
	}
	return n;
}

static bool report(comparison *c)
{
	const vq_look *l = c->l;
	FILE *f = vq_look_open(l);
	vq_compare_facts facts = { .model = l->o->model,
		.model_hash = l->model_hash,
		.scheme = l->scheme,
		.with = c->n_stored ? "stored values" : "float",
		.file = l->o->compare,
		.samples = c->samples.n,
		.in_float = c->n_stored && c->reference.g != c->result.g };
	bool json = l->o->report && vq_path_ends(l->o->report, ".json");

	if (!f)
		return false;
	facts.without = not_found(c);
	drop_changed(c, &facts.changed);
	facts.without -= facts.changed;
	for (uint32_t i = 0; i < c->n; i++)
		c->row[i].order = i;
	qsort(c->row, c->n, sizeof *c->row, by_error);
	facts.row = c->row;
	facts.n = c->n;
	return (json ? vq_compare_json(f, &facts) : vq_compare_text(f, l->arena, &facts)) ||
		vq_error(l->diag, NULL, "cannot write '%s'", l->o->report ? l->o->report : "-");
}

bool vq_look_compare(const vq_look *l, const vq_graph *imported, const vq_graph *reference, const vq_graph *g)
{
	comparison c = { .l = l };
	vq_strings files = { .item = NULL };
	bool good;

	if (!vq_samples_open(&c.samples, l->arena, l->diag, g, l->o->compare, l->o->count, &l->o->image, &files))
		return false;
	good = open_stored(&c, g);
	if (good && !c.n_stored && !reference) {
		good = vq_error(
			l->diag, "option -compare", "the model stays in float: there is nothing to compare it with");
		vq_hint(l->diag,
			"quantize it, or give a .npz with the inputs and arrays named "
			"as the model's tensors");
	}
	if (good) {
		c.result = side_of(l, g);
		c.reference = side_of(l, reference ? reference : g);
		c.imported = side_of(l, c.n_stored ? imported : NULL);
		collect(&c);
		if (c.n == 0)
			good = vq_error(l->diag, "option -compare",
				"nothing can be compared: no value of the compiled graph has a "
				"name and shape of an array in '%s'",
				l->o->compare);
	}
	good = good && run(&c) && report(&c);
	vq_samples_close(&c.samples);
	if (c.file.data)
		vq_file_close(&c.file);
	return good;
}
