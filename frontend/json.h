/* Members of JSON objects, as all reports write them. */
#ifndef VQ_FRONTEND_JSON_H
#define VQ_FRONTEND_JSON_H

#include <json-c/json.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct json_object vq_json;

/* Leaves it out if text is NULL. */
void vq_json_text(vq_json *o, const char *key, const char *text);
void vq_json_count(vq_json *o, const char *key, uint64_t v);
/* As many digits as tell floats apart. Not finite: left out, JSON has no such numbers. */
void vq_json_number(vq_json *o, const char *key, double v);
/* The file's hash as every report has it. */
void vq_json_hash(vq_json *o, const char *key, uint64_t hash);

/* Prints the object and frees it. false on a write error. */
bool vq_json_print(FILE *out, vq_json *root);

#endif
