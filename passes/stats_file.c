/* SPDX-License-Identifier: MIT */
/*
 * The file of -calib-stats: JSON with every float as a hex string, so that reading gives back the
 * bits and equal statistics give equal bytes.
 *
 * { "vitqc_calibration": 3, "values": [
 *   { "name": …, "op": …, "shape": […], "rows": …, "row_square": …, "row_inverse": …, "lo": […], "hi": […], "sum": […],
 *     "square": […], "histogram": [ [bin, count], … ] }, … ] }
 *
 * One entry per observed value, in execution order; the histogram only if one was taken.
 */
#include "passes/observe.h"
#include "passes/stats.h"
#include "ir/json_string.h"

#include <errno.h>
#include <json-c/json.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_VERSION = 3 };

static const char *name_of(const vq_graph *g, vq_value v)
{
	vq_node n = vq_def_of(g, v);
	const char *name = n.id ? g->node[n.id].name : g->value[v.id].name;

	return name ? name : "";
}

static const char *op_of(const vq_graph *g, vq_value v)
{
	vq_node n = vq_def_of(g, v);

	return n.id ? vq_ops[g->node[n.id].op].text : "input";
}

/* ---- writing ---- */

static void put_floats(FILE *f, const char *key, const float *v, uint32_t n)
{
	fprintf(f, ",\n\"%s\":[", key);
	for (uint32_t i = 0; i < n; i++)
		fprintf(f, "%s\"%a\"", i ? "," : "", (double)v[i]);
	fputc(']', f);
}

static void put_doubles(FILE *f, const char *key, const double *v, uint32_t n)
{
	fprintf(f, ",\n\"%s\":[", key);
	for (uint32_t i = 0; i < n; i++)
		fprintf(f, "%s\"%a\"", i ? "," : "", v[i]);
	fputc(']', f);
}

static void put_histogram(FILE *f, const struct vq_histogram *h)
{
	const char *comma = "";

	fputs(",\n\"histogram\":[", f);
	for (uint32_t i = 0; i < VQ_HISTOGRAM_BINS; i++)
		if (h->count[i]) {
			fprintf(f, "%s[%u,%llu]", comma, i, (unsigned long long)h->count[i]);
			comma = ",";
		}
	fputc(']', f);
}

static void put_value(FILE *f, const vq_graph *g, const vq_stats *s)
{
	const vq_type *t = vq_type_of(g, s->value);

	fputs("{\"name\":", f);
	vq_put_json_string(f, name_of(g, s->value));
	fprintf(f, ",\"op\":\"%s\",\"shape\":[", op_of(g, s->value));
	for (uint32_t d = 0; d < t->rank; d++)
		fprintf(f, "%s%lld", d ? "," : "", (long long)t->dim[d]);
	fprintf(f, "],\"rows\":%llu,\"row_square\":\"%a\",\"row_inverse\":\"%a\"", (unsigned long long)s->rows,
		s->row_square, s->row_inverse);
	put_floats(f, "lo", s->lo, s->channels);
	put_floats(f, "hi", s->hi, s->channels);
	put_doubles(f, "sum", s->sum, s->channels);
	put_doubles(f, "square", s->square, s->channels);
	if (s->histogram)
		put_histogram(f, s->histogram);
	fputc('}', f);
}

bool vq_stats_write(const vq_pass *p, const vq_value *site, uint32_t n, const char *path)
{
	vq_diag *diag = p->g->diag;
	const char *temporary = vq_arena_printf(p->g->arena, "%s.tmp", path);
	FILE *f = fopen(temporary, "w");
	bool ok;

	if (!f)
		return vq_error(diag, NULL, "cannot write '%s': %s", temporary, strerror(errno));
	fprintf(f, "{\"vitqc_calibration\":%d,\"values\":[\n", FILE_VERSION);
	for (uint32_t i = 0; i < n; i++) {
		put_value(f, p->g, vq_stats_find(p, site[i]));
		fputs(i + 1 < n ? ",\n" : "\n", f);
	}
	fputs("]}\n", f);
	ok = !ferror(f);
	ok = !fclose(f) && ok && !rename(temporary, path);
	if (!ok) {
		vq_error(diag, NULL, "cannot write '%s': %s", path, strerror(errno));
		remove(temporary);
	}
	return ok;
}

/* ---- reading ---- */

typedef struct reader {
	vq_pass *p;
	const char *path;
} reader;

static bool bad(reader *r, const char *what)
{
	vq_error(r->p->g->diag, NULL, "calibration statistics '%s': %s", r->path, what);
	return vq_hint(r->p->g->diag,
		"make them again: vitqc with -calib= and -calib-stats=, with "
		"the same model and shapes");
}

static bool get_number(struct json_object *o, double *v)
{
	const char *text;
	char *end;

	if (!json_object_is_type(o, json_type_string))
		return false;
	text = json_object_get_string(o);
	*v = strtod(text, &end);
	return end != text && !*end && isfinite(*v);
}

/* the n numbers of a list; as_float and as_double: the one that is not NULL is filled */
static bool get_list(struct json_object *o, const char *key, uint32_t n, float *as_float, double *as_double)
{
	struct json_object *list;
	double v;

	if (!json_object_object_get_ex(o, key, &list) || !json_object_is_type(list, json_type_array) ||
		json_object_array_length(list) != n)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		if (!get_number(json_object_array_get_idx(list, i), &v))
			return false;
		if (as_float) {
			if (fabs(v) > 0x1.fffffep127)
				return false;
			as_float[i] = (float)v;
		} else {
			as_double[i] = v;
		}
	}
	return true;
}

static bool get_histogram(struct json_object *o, struct vq_histogram *h)
{
	struct json_object *list;

	if (!json_object_object_get_ex(o, "histogram", &list) || !json_object_is_type(list, json_type_array))
		return false;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *pair = json_object_array_get_idx(list, i);
		int64_t bin, count;

		if (!json_object_is_type(pair, json_type_array) || json_object_array_length(pair) != 2)
			return false;
		bin = json_object_get_int64(json_object_array_get_idx(pair, 0));
		count = json_object_get_int64(json_object_array_get_idx(pair, 1));
		if (bin < 0 || bin >= VQ_HISTOGRAM_BINS || count < 0)
			return false;
		h->count[bin] = (uint64_t)count;
	}
	return true;
}

static bool same_value(struct json_object *o, const vq_graph *g, vq_value v)
{
	const vq_type *t = vq_type_of(g, v);
	struct json_object *name, *op, *shape;

	if (!json_object_object_get_ex(o, "name", &name) || !json_object_object_get_ex(o, "op", &op) ||
		!json_object_object_get_ex(o, "shape", &shape) || !json_object_is_type(shape, json_type_array) ||
		json_object_array_length(shape) != t->rank || !json_object_is_type(name, json_type_string) ||
		!json_object_is_type(op, json_type_string) || strcmp(json_object_get_string(op), op_of(g, v)) ||
		strcmp(json_object_get_string(name), name_of(g, v)))
		return false;
	for (uint32_t d = 0; d < t->rank; d++)
		if (json_object_get_int64(json_object_array_get_idx(shape, d)) != t->dim[d])
			return false;
	return true;
}

static bool read_value(reader *r, struct json_object *o, vq_value v)
{
	const vq_graph *g = r->p->g;
	vq_stats *s = vq_stats_find(r->p, v);
	struct json_object *rows, *square, *inverse;

	if (!json_object_is_type(o, json_type_object) || !same_value(o, g, v))
		return bad(r,
			vq_arena_printf(g->arena,
				"was made for another graph: it has no entry for '%s' (%s) "
				"of type %s in its place",
				name_of(g, v), op_of(g, v), vq_type_text(g->arena, vq_type_of(g, v))));
	if (!json_object_object_get_ex(o, "rows", &rows) || json_object_get_int64(rows) <= 0 ||
		!json_object_object_get_ex(o, "row_square", &square) || !get_number(square, &s->row_square) ||
		s->row_square < 0 || !json_object_object_get_ex(o, "row_inverse", &inverse) ||
		!get_number(inverse, &s->row_inverse) || s->row_inverse < 0 ||
		!get_list(o, "lo", s->channels, s->lo, NULL) || !get_list(o, "hi", s->channels, s->hi, NULL) ||
		!get_list(o, "sum", s->channels, NULL, s->sum) || !get_list(o, "square", s->channels, NULL, s->square))
		return bad(r, vq_arena_printf(g->arena, "the entry of '%s' is damaged", name_of(g, v)));
	s->rows = (uint64_t)json_object_get_int64(rows);
	for (uint32_t c = 0; c < s->channels; c++)
		if (s->lo[c] > s->hi[c] || s->square[c] < 0)
			return bad(r,
				vq_arena_printf(g->arena,
					"the entry of '%s' is damaged: channel %u has an "
					"empty range",
					name_of(g, v), c));
	if (s->histogram && !get_histogram(o, s->histogram))
		return bad(r,
			vq_arena_printf(
				g->arena, "has no histogram of '%s', which this observer needs", name_of(g, v)));
	return true;
}

bool vq_stats_read(vq_pass *p, const vq_value *site, uint32_t n, const char *path)
{
	reader r = { p, path };
	struct json_object *root, *version, *values;
	FILE *f = fopen(path, "r"); /* json-c's own message does not tell a missing file from a damaged one */
	bool ok;

	if (!f)
		return vq_error(p->g->diag, NULL, "cannot read calibration statistics '%s': %s", path, strerror(errno));
	fclose(f);
	root = json_object_from_file(path);
	if (!root)
		return bad(&r, "is not JSON");
	if (!json_object_object_get_ex(root, "vitqc_calibration", &version) ||
		json_object_get_int(version) != FILE_VERSION)
		ok = bad(&r, "is not a calibration file of this version of vitqc");
	else if (!json_object_object_get_ex(root, "values", &values) || !json_object_is_type(values, json_type_array) ||
		json_object_array_length(values) != n)
		ok = bad(&r, vq_arena_printf(p->g->arena, "was made for another graph: expected %u values", n));
	else {
		ok = true;
		for (uint32_t i = 0; ok && i < n; i++)
			ok = read_value(&r, json_object_array_get_idx(values, i), site[i]);
	}
	json_object_put(root);
	return ok;
}
