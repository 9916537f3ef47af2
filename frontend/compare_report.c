/* SPDX-License-Identifier: MIT */
#include "frontend/compare_report.h"

#include "frontend/folder.h"
#include "frontend/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- text ---- */

static const char *sqnr_text(vq_arena *a, const vq_distance *d)
{
	double v = vq_distance_sqnr(d);

	return d->noise == 0 ? "equal" : vq_arena_printf(a, "%.1f", v);
}

static int widest(int least, const char *text)
{
	int n = text ? (int)strlen(text) : 0;

	return n > least ? n : least;
}

static void output_text(FILE *out, vq_arena *a, const vq_compare_row *r, bool in_float)
{
	fprintf(out, "output     %s %s: sqnr %s%s, cosine %.6f, max error %.4g of %.4g", r->name,
		vq_type_text(a, r->type), sqnr_text(a, &r->distance), r->distance.noise == 0 ? "" : " dB",
		vq_distance_cosine(&r->distance), r->distance.worst, r->distance.peak);
	if (r->type->rank && r->type->dim[r->type->rank - 1] > 1)
		fprintf(out, ", same largest in %" PRIu64 " of %" PRIu64 " rows", r->same_largest, r->rows);
	if (in_float)
		fprintf(out, "; in float sqnr %s%s", sqnr_text(a, &r->in_float), r->in_float.noise == 0 ? "" : " dB");
	fputc('\n', out);
}

bool vq_compare_text(FILE *out, vq_arena *a, const vq_compare_facts *f)
{
	int type = 4, name = 5;
	uint32_t values = 0;

	for (uint32_t i = 0; i < f->n; i++) {
		values += !f->row[i].output;
		type = widest(type, vq_type_text(a, f->row[i].type));
		name = widest(name, f->row[i].name);
	}
	fprintf(out, "model      %s, hash %016" PRIx64 "\ncompared   %s with %s, %u sample%s of %s\n",
		vq_path_base(f->model), f->model_hash, f->scheme, f->with, (unsigned)f->samples,
		f->samples == 1 ? "" : "s", vq_path_base(f->file));
	for (uint32_t i = 0; i < f->n; i++)
		if (f->row[i].output)
			output_text(out, a, &f->row[i], f->in_float);
	if (f->changed)
		fprintf(out,
			"left out   %u values that folding has rescaled: they are no longer the "
			"model's tensors\n",
			(unsigned)f->changed);
	if (f->without)
		fprintf(out, "left out   %u %s of the file that %s no value of the compiled graph\n",
			(unsigned)f->without, f->without == 1 ? "array" : "arrays", f->without == 1 ? "is" : "are");
	if (values)
		fprintf(out, "\n%u values, worst first\n  %7s  %8s  %10s  %10s%s  %-*s  %-*s  %s\n", (unsigned)values,
			"sqnr dB", "cosine", "max error", "of max", f->in_float ? "  in float" : "", type, "type", name,
			"value", "node");
	for (uint32_t i = 0; i < f->n; i++) {
		const vq_compare_row *r = &f->row[i];

		if (r->output)
			continue;
		fprintf(out, "  %7s  %8.6f  %10.4g  %10.4g", sqnr_text(a, &r->distance),
			vq_distance_cosine(&r->distance), r->distance.worst, r->distance.peak);
		if (f->in_float)
			fprintf(out, "  %8s", sqnr_text(a, &r->in_float));
		fprintf(out, "  %-*s  %-*s  %s (%s)\n", type, vq_type_text(a, r->type), name, r->name,
			r->node ? r->node : "-", r->op ? r->op : "-");
	}
	return !ferror(out);
}

/* ---- JSON ---- */

static void rows_json(vq_json *o, vq_arena *a, const char *key, const vq_compare_facts *f, bool outputs)
{
	vq_json_list(o, key);
	for (uint32_t i = 0; i < f->n; i++) {
		const vq_compare_row *r = &f->row[i];

		if (r->output != outputs)
			continue;
		vq_json_object(o, NULL);
		vq_json_text(o, "name", r->name);
		vq_json_text(o, "node", r->node);
		vq_json_text(o, "op", r->op);
		vq_json_text(o, "type", vq_type_text(a, r->type));
		vq_json_number(o, "sqnr_db", vq_distance_sqnr(&r->distance));
		vq_json_number(o, "cosine", vq_distance_cosine(&r->distance));
		vq_json_number(o, "max_error", r->distance.worst);
		vq_json_number(o, "max", r->distance.peak);
		if (f->in_float)
			vq_json_number(o, "float_sqnr_db", vq_distance_sqnr(&r->in_float));
		if (r->output) {
			vq_json_count(o, "rows", r->rows);
			vq_json_count(o, "same_largest", r->same_largest);
		}
		vq_json_end_object(o);
	}
	vq_json_end_list(o);
}

bool vq_compare_json(FILE *out, const vq_compare_facts *f)
{
	vq_json o = { .file = out };
	vq_arena scratch = { .block = NULL };

	vq_json_object(&o, NULL);
	vq_json_text(&o, "tool", "vitqc " VQ_VERSION);
	vq_json_text(&o, "model", vq_path_base(f->model));
	vq_json_hash(&o, "model_hash", f->model_hash);
	vq_json_text(&o, "scheme", f->scheme);
	vq_json_text(&o, "with", f->with);
	vq_json_count(&o, "samples", f->samples);
	vq_json_count(&o, "rescaled", f->changed);
	vq_json_count(&o, "not_found", f->without);
	rows_json(&o, &scratch, "outputs", f, true);
	rows_json(&o, &scratch, "values", f, false);
	vq_json_end_object(&o);
	vq_arena_free(&scratch);
	return vq_json_finish(&o);
}
