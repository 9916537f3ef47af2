/* SPDX-License-Identifier: MIT */
#include "frontend/analysis.h"

#include "frontend/folder.h"
#include "frontend/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static double share(const vq_object *o) { return o->macs ? 100.0 * (double)o->integer_macs / (double)o->macs : 0; }

/* ---- text ---- */

/* "4.61 G" */
static const char *short_count(vq_arena *a, uint64_t n)
{
	static const char units[] = " kMGTPE";
	double v = (double)n;
	int u = 0;

	for (; v >= 999.5; u++)
		v /= 1000;
	if (!u)
		return vq_arena_printf(a, "%" PRIu64, n);
	return vq_arena_printf(a, v < 9.995 ? "%.2f %c" : v < 99.95 ? "%.1f %c" : "%.0f %c", v, units[u]);
}

static void ports_text(FILE *out, vq_arena *a, const vq_graph *g)
{
	for (uint32_t i = 0; i < g->n_inputs + g->n_outputs; i++) {
		bool in = i < g->n_inputs;
		const vq_port *p = in ? &g->input[i] : &g->output[i - g->n_inputs];

		fprintf(out, "%-10s %s %s\n", in ? "input" : "output", p->name,
			vq_type_text(a, vq_type_of(g, p->value)));
	}
}

static void ops_text(FILE *out, const vq_op_counts *ops)
{
	uint32_t nodes = 0, refused = 0, behind = 0;
	int width = 8;

	for (uint32_t i = 0; i < ops->n; i++) {
		int n = (int)(strlen(ops->item[i].domain) + strlen(ops->item[i].type)) + 1;

		nodes += ops->item[i].n;
		refused += ops->item[i].refused;
		behind += ops->item[i].behind;
		width = n > width ? n : width;
	}
	fprintf(out, "\n%u node%s of %u operator%s", (unsigned)nodes, nodes == 1 ? "" : "s", (unsigned)ops->n,
		ops->n == 1 ? "" : "s");
	if (refused)
		fprintf(out, ", %u of them refused", (unsigned)refused);
	if (behind)
		fprintf(out, ", %u not looked at: an error stands before them", (unsigned)behind);
	fputc('\n', out);
	for (uint32_t i = 0; i < ops->n; i++) {
		const vq_op_count *o = &ops->item[i];
		int n = fprintf(out, "  %s%s%s", o->domain, *o->domain ? "." : "", o->type);

		fprintf(out, "%*s%6u", width + 2 - n, "", (unsigned)o->n);
		if (o->refused)
			fprintf(out, "  %u refused", (unsigned)o->refused);
		if (o->behind)
			fprintf(out, "  %u not looked at", (unsigned)o->behind);
		fputc('\n', out);
	}
}

static void products_text(FILE *out, vq_arena *a, const vq_analysis *f)
{
	const char *comma = "";
	uint64_t macs = 0;

	for (uint32_t i = 0; i < VQ_PRODUCT_KINDS; i++)
		macs += f->product[i].macs;
	fprintf(out, "products   %s multiply-accumulates", short_count(a, macs));
	for (uint32_t i = 0; i < VQ_PRODUCT_KINDS; i++) {
		const vq_product_count *p = &f->product[i];

		if (!p->n)
			continue;
		fprintf(out, "%s %u %s %s", *comma ? comma : ":", (unsigned)p->n, p->op, short_count(a, p->macs));
		comma = ",";
	}
	fputc('\n', out);
}

static void scheme_text(FILE *out, const vq_scheme_facts *s)
{
	const vq_object *o = &s->object;

	if (!s->good) {
		fprintf(out, "  %-13s does not compile: see the errors\n", s->scheme);
		return;
	}
	fprintf(out, "  %-13s %8.2f %%  %12" PRIu64 "  %12zu  %12" PRIu64 "  %10" PRIu64 "  %7u  %5u  %s\n", s->scheme,
		share(o), o->weight_bytes, o->elf_bytes, o->workspace_bytes, o->worker_bytes, (unsigned)s->kernels,
		(unsigned)o->n_lines, o->peak_node ? o->peak_node : "-");
}

static void float_text(FILE *out, vq_arena *a, const vq_scheme_facts *s)
{
	fprintf(out, "\n%s leaves %u product%s in float\n", s->scheme, (unsigned)s->n_float,
		s->n_float == 1 ? "" : "s");
	for (uint32_t i = 0; i < s->object.n_lines; i++) {
		const vq_plan_line *l = &s->object.line[i];

		if (s->why[i])
			fprintf(out, "  %8s  %s: %s\n", short_count(a, (uint64_t)l->macs),
				l->node ? l->node : l->kernel, s->why[i]);
	}
}

bool vq_analysis_text(FILE *out, vq_arena *a, const vq_analysis *f)
{
	fprintf(out, "model      %s", vq_path_base(f->model));
	if (f->g)
		fprintf(out, ", hash %016" PRIx64, f->model_hash);
	fputc('\n', out);
	if (f->g) {
		ports_text(out, a, f->g);
		fprintf(out, "parameters %s, %" PRIu64 " bytes\n", short_count(a, f->parameters), f->parameter_bytes);
		products_text(out, a, f);
	}
	ops_text(out, f->ops);
	if (!f->n_schemes)
		return !ferror(out);
	fprintf(out, "\nfor %s\n  %-13s %10s  %12s  %12s  %12s  %10s  %7s  %5s  %s\n", f->target, "scheme", "integer",
		"weights", "object about", "workspace", "per worker", "kernels", "calls", "workspace peaks at");
	for (uint32_t i = 0; i < f->n_schemes; i++)
		scheme_text(out, &f->scheme[i]);
	for (uint32_t i = 0; i < f->n_schemes; i++)
		if (f->scheme[i].good && f->scheme[i].n_float && strcmp(f->scheme[i].scheme, "none") != 0)
			float_text(out, a, &f->scheme[i]);
	return !ferror(out);
}

/* ---- JSON ---- */

static void ports_json(vq_json *o, const char *key, vq_arena *a, const vq_graph *g, const vq_port *port, uint32_t n)
{
	vq_json_list(o, key);
	for (uint32_t i = 0; i < n; i++) {
		vq_json_object(o, NULL);
		vq_json_text(o, "name", port[i].name);
		vq_json_text(o, "type", vq_type_text(a, vq_type_of(g, port[i].value)));
		vq_json_end_object(o);
	}
	vq_json_end_list(o);
}

static void ops_json(vq_json *o, const vq_op_counts *ops)
{
	vq_json_list(o, "operators");
	for (uint32_t i = 0; i < ops->n; i++) {
		vq_json_object(o, NULL);
		vq_json_text(o, "domain", ops->item[i].domain);
		vq_json_text(o, "op", ops->item[i].type);
		vq_json_count(o, "nodes", ops->item[i].n);
		vq_json_count(o, "refused", ops->item[i].refused);
		vq_json_count(o, "not_looked_at", ops->item[i].behind);
		vq_json_end_object(o);
	}
	vq_json_end_list(o);
}

static void scheme_json(vq_json *o, const vq_scheme_facts *s)
{
	vq_json_object(o, NULL);
	vq_json_text(o, "scheme", s->scheme);
	vq_json_bool(o, "compiles", s->good);
	if (s->good) {
		vq_json_count(o, "macs", s->object.macs);
		vq_json_count(o, "integer_macs", s->object.integer_macs);
		vq_json_count(o, "weight_bytes", s->object.weight_bytes);
		vq_json_count(o, "object_bytes_estimate", s->object.elf_bytes);
		vq_json_count(o, "workspace_bytes", s->object.workspace_bytes);
		vq_json_count(o, "worker_bytes", s->object.worker_bytes);
		vq_json_text(o, "workspace_peak", s->object.peak_node);
		vq_json_count(o, "kernels", s->kernels);
		vq_json_count(o, "calls", s->object.n_lines);
	}
	vq_json_list(o, "in_float");
	for (uint32_t i = 0; i < s->object.n_lines; i++) {
		const vq_plan_line *l = &s->object.line[i];

		if (!s->why[i])
			continue;
		vq_json_object(o, NULL);
		vq_json_text(o, "node", l->node);
		vq_json_count(o, "macs", (uint64_t)l->macs);
		vq_json_text(o, "why", s->why[i]);
		vq_json_end_object(o);
	}
	vq_json_end_list(o);
	vq_json_end_object(o);
}

bool vq_analysis_json(FILE *out, vq_arena *a, const vq_analysis *f)
{
	vq_json o = { .file = out };

	vq_json_object(&o, NULL);
	vq_json_text(&o, "tool", "vitqc " VQ_VERSION);
	vq_json_text(&o, "model", vq_path_base(f->model));
	vq_json_text(&o, "target", f->target);
	if (f->g) {
		vq_json_hash(&o, "model_hash", f->model_hash);
		ports_json(&o, "inputs", a, f->g, f->g->input, f->g->n_inputs);
		ports_json(&o, "outputs", a, f->g, f->g->output, f->g->n_outputs);
		vq_json_count(&o, "parameters", f->parameters);
		vq_json_count(&o, "parameter_bytes", f->parameter_bytes);
	}
	ops_json(&o, f->ops);
	vq_json_object(&o, "products");
	for (uint32_t i = 0; i < VQ_PRODUCT_KINDS; i++)
		if (f->product[i].n) {
			vq_json_object(&o, f->product[i].op);
			vq_json_count(&o, "nodes", f->product[i].n);
			vq_json_count(&o, "macs", f->product[i].macs);
			vq_json_end_object(&o);
		}
	vq_json_end_object(&o);
	vq_json_list(&o, "schemes");
	for (uint32_t i = 0; i < f->n_schemes; i++)
		scheme_json(&o, &f->scheme[i]);
	vq_json_end_list(&o);
	vq_json_end_object(&o);
	return vq_json_finish(&o);
}
