#include "frontend/json.h"

#include <inttypes.h>
#include <math.h>

void vq_json_text(vq_json *o, const char *key, const char *text)
{
	if (text)
		json_object_object_add(o, key, json_object_new_string(text));
}

void vq_json_count(vq_json *o, const char *key, uint64_t v)
{
	json_object_object_add(o, key, json_object_new_uint64(v));
}

void vq_json_number(vq_json *o, const char *key, double v)
{
	char text[32];

	if (!isfinite(v))
		return;
	snprintf(text, sizeof text, "%.9g", v);
	json_object_object_add(o, key, json_object_new_double_s(v, text));
}

void vq_json_hash(vq_json *o, const char *key, uint64_t hash)
{
	char text[24];

	snprintf(text, sizeof text, "%016" PRIx64, hash);
	vq_json_text(o, key, text);
}

bool vq_json_print(FILE *out, vq_json *root)
{
	bool good = fprintf(out, "%s\n",
			    json_object_to_json_string_ext(root,
				    JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE)) > 0;

	json_object_put(root);
	return good;
}
