/* SPDX-License-Identifier: MIT */
/*
 * JSON as all reports write it, straight to a file: a tree in memory could lose a member when memory runs out and the
 * report would not show it.
 */
#ifndef VQ_FRONTEND_JSON_H
#define VQ_FRONTEND_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct vq_json {
	FILE *file;
	unsigned depth; /* of open objects and lists */
	bool any;       /* the innermost one has a member already */
} vq_json;

/* key NULL: an element of a list, or the whole */
void vq_json_object(vq_json *o, const char *key);
void vq_json_end_object(vq_json *o);
void vq_json_list(vq_json *o, const char *key);
void vq_json_end_list(vq_json *o);

/* Leaves it out if text is NULL. */
void vq_json_text(vq_json *o, const char *key, const char *text);
void vq_json_bool(vq_json *o, const char *key, bool v);
void vq_json_count(vq_json *o, const char *key, uint64_t v);
void vq_json_int(vq_json *o, const char *key, int64_t v);
/* As many digits as tell floats apart. Not finite: left out, JSON has no such numbers. */
void vq_json_number(vq_json *o, const char *key, double v);
/* The file's hash as every report has it. */
void vq_json_hash(vq_json *o, const char *key, uint64_t hash);

/* The last line. false on a write error. */
bool vq_json_finish(vq_json *o);

#endif
