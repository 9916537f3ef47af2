/* SPDX-License-Identifier: MIT */
#include "frontend/json.h"

#include "ir/json_string.h"

#include <inttypes.h>
#include <math.h>

static void new_line(vq_json *o) { fprintf(o->file, "\n%*s", (int)(2 * o->depth), ""); }

/* What stands in front of a value. */
static void begin(vq_json *o, const char *key)
{
	if (o->any)
		fputc(',', o->file);
	if (o->depth)
		new_line(o);
	if (key) {
		vq_put_json_string(o->file, key);
		fputc(':', o->file);
	}
	o->any = true;
}

static void open(vq_json *o, const char *key, char bracket)
{
	begin(o, key);
	fputc(bracket, o->file);
	o->depth++;
	o->any = false;
}

static void end(vq_json *o, char bracket)
{
	o->depth--;
	if (o->any)
		new_line(o);
	fputc(bracket, o->file);
	o->any = true;
}

void vq_json_object(vq_json *o, const char *key) { open(o, key, '{'); }

void vq_json_end_object(vq_json *o) { end(o, '}'); }

void vq_json_list(vq_json *o, const char *key) { open(o, key, '['); }

void vq_json_end_list(vq_json *o) { end(o, ']'); }

void vq_json_text(vq_json *o, const char *key, const char *text)
{
	if (!text)
		return;
	begin(o, key);
	vq_put_json_string(o->file, text);
}

void vq_json_bool(vq_json *o, const char *key, bool v)
{
	begin(o, key);
	fputs(v ? "true" : "false", o->file);
}

void vq_json_count(vq_json *o, const char *key, uint64_t v)
{
	begin(o, key);
	fprintf(o->file, "%" PRIu64, v);
}

void vq_json_int(vq_json *o, const char *key, int64_t v)
{
	begin(o, key);
	fprintf(o->file, "%" PRId64, v);
}

void vq_json_number(vq_json *o, const char *key, double v)
{
	if (!isfinite(v))
		return;
	begin(o, key);
	fprintf(o->file, "%.9g", v);
}

void vq_json_hash(vq_json *o, const char *key, uint64_t hash)
{
	char text[24];

	snprintf(text, sizeof text, "%016" PRIx64, hash);
	vq_json_text(o, key, text);
}

bool vq_json_finish(vq_json *o)
{
	fputc('\n', o->file);
	return !ferror(o->file);
}
