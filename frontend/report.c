#include "frontend/report.h"

#include "frontend/folder.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <math.h>
#include <string.h>

/* ---- JSON ---- */

typedef struct json_object json;

static void put_text(json *o, const char *key, const char *text)
{
	if (text)
		json_object_object_add(o, key, json_object_new_string(text));
}

static void put_count(json *o, const char *key, uint64_t v)
{
	json_object_object_add(o, key, json_object_new_uint64(v));
}

/* As many digits as tell floats apart. Not finite: left out, JSON has no such numbers. */
static void put_number(json *o, const char *key, double v)
{
	char text[32];

	if (!isfinite(v))
		return;
	snprintf(text, sizeof text, "%.9g", v);
	json_object_object_add(o, key, json_object_new_double_s(v, text));
}

static json *sites_json(const vq_report *r)
{
	json *all = json_object_new_array();

	for (uint32_t i = 0; i < r->n; i++) {
		const vq_site *s = &r->site[i];
		json *o = json_object_new_object();

		put_text(o, "name", s->name);
		put_text(o, "op", s->op);
		put_text(o, "scheme", s->scheme);
		put_text(o, "why", s->why);
		if (s->scale_max > 0) {
			put_number(o, "scale_min", (double)s->scale_min);
			put_number(o, "scale_max", (double)s->scale_max);
			json_object_object_add(o, "zero", json_object_new_int(s->zero));
		}
		put_count(o, "macs", (uint64_t)s->macs);
		put_count(o, "weight_bytes", (uint64_t)s->weight_bytes);
		put_number(o, "sqnr_db", s->sqnr_db);
		json_object_array_add(all, o);
	}
	return all;
}

static json *kernels_json(const vq_object *object)
{
	json *all = json_object_new_array();

	for (uint32_t i = 0; i < object->n_lines; i++) {
		const vq_plan_line *l = &object->line[i];
		json *o = json_object_new_object();

		put_text(o, "kernel", l->kernel);
		put_text(o, "kind", l->kind);
		put_text(o, "node", l->node);
		put_count(o, "macs", (uint64_t)l->macs);
		json_object_object_add(o, "integer", json_object_new_boolean(l->integer));
		put_count(o, "weight_bytes", l->weight_bytes);
		put_count(o, "tasks", l->tasks);
		json_object_array_add(all, o);
	}
	return all;
}

bool vq_report_json(FILE *out, const vq_report_facts *f)
{
	json *root = json_object_new_object();
	char hash[24];
	bool good;

	snprintf(hash, sizeof hash, "%016" PRIx64, f->model_hash);
	put_text(root, "tool", "vitqc " VQ_VERSION);
	put_text(root, "model", vq_path_base(f->model));
	put_text(root, "model_hash", hash);
	put_text(root, "scheme", f->scheme);
	put_text(root, "target", f->target);
	if (f->object) {
		json *o = json_object_new_object();

		put_count(o, "bytes", f->object->elf_bytes);
		put_count(o, "workspace_bytes", f->object->workspace_bytes);
		put_count(o, "worker_bytes", f->object->worker_bytes);
		put_count(o, "weight_bytes", f->object->weight_bytes);
		put_count(o, "macs", f->object->macs);
		put_count(o, "integer_macs", f->object->integer_macs);
		json_object_object_add(root, "object", o);
	}
	json_object_object_add(root, "sites", sites_json(f->sites));
	if (f->object)
		json_object_object_add(root, "kernels", kernels_json(f->object));
	good = fprintf(out, "%s\n",
		       json_object_to_json_string_ext(
			       root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE)) > 0;
	json_object_put(root);
	return good;
}

/* ---- text ---- */

static const char *or_dash(const char *text)
{
	return text ? text : "-";
}

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
	fprintf(out, "\nsites\n  %-*s  %-*s  %-*s  %11s  %6s  %12s  %7s  %s\n", name, "name", op,
		"op", scheme, "scheme", "scale", "zero", "macs", "sqnr dB", "why");
	for (uint32_t i = 0; i < r->n; i++) {
		const vq_site *s = &r->site[i];
		char scale[32] = "-", zero[16] = "-", sqnr[16] = "-";

		if (s->scale_max > 0) {
			snprintf(scale, sizeof scale, "%.6g", (double)s->scale_max);
			snprintf(zero, sizeof zero, "%" PRId32, s->zero);
		}
		if (isfinite(s->sqnr_db))
			snprintf(sqnr, sizeof sqnr, "%.1f", s->sqnr_db);
		fprintf(out, "  %-*s  %-*s  %-*s  %11s  %6s  %12" PRId64 "  %7s  %s\n", name,
			or_dash(s->name), op, or_dash(s->op), scheme, or_dash(s->scheme), scale,
			zero, s->macs, sqnr, or_dash(s->why));
	}
}

bool vq_report_text(FILE *out, const vq_report_facts *f)
{
	const vq_object *o = f->object;

	fprintf(out, "model      %s, hash %016" PRIx64 "\nscheme     %s\n", vq_path_base(f->model),
		f->model_hash, f->scheme);
	if (f->target)
		fprintf(out, "target     %s\n", f->target);
	if (o) {
		double share = o->macs ? 100.0 * (double)o->integer_macs / (double)o->macs : 0.0;

		fprintf(out, "object     %zu bytes, weights %" PRIu64 " bytes\n", o->elf_bytes,
			o->weight_bytes);
		fprintf(out, "workspace  %" PRIu64 " bytes, %" PRIu64 " for each further worker\n",
			o->workspace_bytes, o->worker_bytes);
		fprintf(out, "products   %" PRIu64 " multiply-accumulates, %.2f %% in integers\n",
			o->macs, share);
	}
	if (f->sites->n)
		sites_text(out, f->sites);
	if (o) {
		fprintf(out, "\nkernels\n  %-20s %-12s %14s %-7s %12s %6s  %s\n", "kernel", "kind",
			"macs", "in", "weights", "tasks", "node");
		for (uint32_t i = 0; i < o->n_lines; i++) {
			const vq_plan_line *l = &o->line[i];

			fprintf(out, "  %-20s %-12s %14" PRId64 " %-7s %12" PRIu64 " %6u  %s\n",
				or_dash(l->kernel), or_dash(l->kind), l->macs,
				l->integer ? "integer"
				: l->macs  ? "float"
					   : "-",
				l->weight_bytes, (unsigned)l->tasks, or_dash(l->node));
		}
	}
	return !ferror(out);
}
