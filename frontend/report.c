/* SPDX-License-Identifier: MIT */
#include "frontend/report.h"

#include "frontend/folder.h"
#include "frontend/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

const char *vq_float_reason(const vq_report *sites, const char *node)
{
	for (uint32_t i = 0; node && i < sites->n; i++)
		if (sites->site[i].name && sites->site[i].why && strcmp(sites->site[i].name, node) == 0)
			return sites->site[i].why;
	return "its operands are not quantized";
}

/* ---- JSON ---- */

static void sites_json(vq_json *o, const vq_report *r)
{
	vq_json_list(o, "sites");
	for (uint32_t i = 0; i < r->n; i++) {
		const vq_site *s = &r->site[i];

		vq_json_object(o, NULL);
		vq_json_text(o, "name", s->name);
		vq_json_text(o, "op", s->op);
		vq_json_text(o, "scheme", s->scheme);
		vq_json_text(o, "why", s->why);
		if (s->scale_max > 0) {
			vq_json_number(o, "scale_min", (double)s->scale_min);
			vq_json_number(o, "scale_max", (double)s->scale_max);
			vq_json_int(o, "zero", s->zero);
		}
		vq_json_count(o, "macs", (uint64_t)s->macs);
		vq_json_count(o, "weight_bytes", (uint64_t)s->weight_bytes);
		vq_json_number(o, "sqnr_db", s->sqnr_db);
		vq_json_end_object(o);
	}
	vq_json_end_list(o);
}

static void kernels_json(vq_json *o, const vq_object *object)
{
	vq_json_list(o, "kernels");
	for (uint32_t i = 0; i < object->n_lines; i++) {
		const vq_plan_line *l = &object->line[i];

		vq_json_object(o, NULL);
		vq_json_text(o, "kernel", l->kernel);
		vq_json_text(o, "kind", l->kind);
		vq_json_text(o, "node", l->node);
		vq_json_text(o, "size", l->suffix);
		vq_json_count(o, "macs", (uint64_t)l->macs);
		vq_json_bool(o, "integer", l->integer);
		vq_json_count(o, "weight_bytes", l->weight_bytes);
		vq_json_count(o, "tasks", l->tasks);
		vq_json_end_object(o);
	}
	vq_json_end_list(o);
}

/* The run functions: one per size. */
static void runs_json(vq_json *o, const vq_report_facts *f)
{
	vq_json_list(o, "runs");
	for (uint32_t i = 0; i < f->object->n_entries; i++) {
		const vq_entry_facts *e = &f->object->entry[i];
		char name[256];

		snprintf(name, sizeof name, "%s_run%s%s", f->prefix, e->suffix ? "_" : "", e->suffix ? e->suffix : "");
		vq_json_object(o, NULL);
		vq_json_text(o, "name", name);
		vq_json_count(o, "workspace_bytes", e->workspace_bytes);
		vq_json_count(o, "worker_bytes", e->worker_bytes);
		vq_json_count(o, "macs", e->macs);
		vq_json_end_object(o);
	}
	vq_json_end_list(o);
}

bool vq_report_json(FILE *out, const vq_report_facts *f)
{
	vq_json o = { .file = out };

	vq_json_object(&o, NULL);
	vq_json_text(&o, "tool", "vitqc " VQ_VERSION);
	vq_json_text(&o, "model", vq_path_base(f->model));
	vq_json_hash(&o, "model_hash", f->model_hash);
	vq_json_text(&o, "scheme", f->scheme);
	vq_json_text(&o, "target", f->target);
	if (f->object) {
		vq_json_object(&o, "object");
		vq_json_count(&o, "bytes", f->object->elf_bytes);
		vq_json_count(&o, "workspace_bytes", f->object->workspace_bytes);
		vq_json_count(&o, "worker_bytes", f->object->worker_bytes);
		vq_json_count(&o, "weight_bytes", f->object->weight_bytes);
		vq_json_count(&o, "macs", f->object->macs);
		vq_json_count(&o, "integer_macs", f->object->integer_macs);
		if (f->weights_file) {
			vq_json_text(&o, "weights_file", vq_path_base(f->weights_file));
			vq_json_count(&o, "weights_file_bytes", f->object->weights_file_bytes);
		}
		vq_json_end_object(&o);
		runs_json(&o, f);
	}
	sites_json(&o, f->sites);
	if (f->object)
		kernels_json(&o, f->object);
	vq_json_end_object(&o);
	return vq_json_finish(&o);
}

/* ---- text ---- */

static const char *or_dash(const char *text) { return text ? text : "-"; }

static int widest(int least, const char *text)
{
	int n = text ? (int)strlen(text) : 0;

	return n > least ? n : least;
}

static void sites_text(FILE *out, const vq_report *r)
{
	int name = 4, op = 2, scheme = 6;

	for (uint32_t i = 0; i < r->n; i++) {
		name = widest(name, r->site[i].name);
		op = widest(op, r->site[i].op);
		scheme = widest(scheme, r->site[i].scheme);
	}
	fprintf(out, "\nsites\n  %-*s  %-*s  %-*s  %11s  %6s  %12s  %7s  %s\n", name, "name", op, "op", scheme,
		"scheme", "scale", "zero", "macs", "sqnr dB", "why");
	for (uint32_t i = 0; i < r->n; i++) {
		const vq_site *s = &r->site[i];
		char scale[32] = "-", zero[16] = "-", sqnr[16] = "-";

		if (s->scale_max > 0) {
			snprintf(scale, sizeof scale, "%.6g", (double)s->scale_max);
			snprintf(zero, sizeof zero, "%" PRId32, s->zero);
		}
		if (isfinite(s->sqnr_db))
			snprintf(sqnr, sizeof sqnr, "%.1f", s->sqnr_db);
		fprintf(out, "  %-*s  %-*s  %-*s  %11s  %6s  %12" PRId64 "  %7s  %s\n", name, or_dash(s->name), op,
			or_dash(s->op), scheme, or_dash(s->scheme), scale, zero, s->macs, sqnr, or_dash(s->why));
	}
}

bool vq_report_text(FILE *out, const vq_report_facts *f)
{
	const vq_object *o = f->object;

	fprintf(out, "model      %s, hash %016" PRIx64 "\nscheme     %s\n", vq_path_base(f->model), f->model_hash,
		f->scheme);
	if (f->target)
		fprintf(out, "target     %s\n", f->target);
	if (o) {
		double share = o->macs ? 100.0 * (double)o->integer_macs / (double)o->macs : 0.0;

		fprintf(out, "object     %zu bytes, weights %" PRIu64 " bytes\n", o->elf_bytes, o->weight_bytes);
		if (f->weights_file)
			fprintf(out, "weights    not in the object: in %s, %zu bytes\n", vq_path_base(f->weights_file),
				o->weights_file_bytes);
		fprintf(out, "workspace  %" PRIu64 " bytes, %" PRIu64 " for each further worker\n", o->workspace_bytes,
			o->worker_bytes);
		for (uint32_t i = 1; i < o->n_entries; i++)
			fprintf(out,
				"%s_run_%s  %" PRIu64 " bytes of workspace, %" PRIu64
				" for each further worker, %" PRIu64 " multiply-accumulates\n",
				f->prefix, o->entry[i].suffix, o->entry[i].workspace_bytes, o->entry[i].worker_bytes,
				o->entry[i].macs);
		fprintf(out, "products   %" PRIu64 " multiply-accumulates, %.2f %% in integers\n", o->macs, share);
	}
	if (f->sites->n)
		sites_text(out, f->sites);
	if (o) {
		fprintf(out, "\nkernels\n  %-20s %-12s %14s %-7s %12s %6s  %s\n", "kernel", "kind", "macs", "in",
			"weights", "tasks", "node");
		for (uint32_t i = 0; i < o->n_lines; i++) {
			const vq_plan_line *l = &o->line[i];

			if (l->suffix && (i == 0 || o->line[i - 1].suffix != l->suffix))
				fprintf(out, "%s_run_%s\n", f->prefix, l->suffix);
			fprintf(out, "  %-20s %-12s %14" PRId64 " %-7s %12" PRIu64 " %6u  %s\n", or_dash(l->kernel),
				or_dash(l->kind), l->macs,
				l->integer        ? "integer"
					: l->macs ? "float"
						  : "-",
				l->weight_bytes, (unsigned)l->tasks, or_dash(l->node));
		}
	}
	return !ferror(out);
}
