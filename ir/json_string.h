/* SPDX-License-Identifier: MIT */
/* Strings of JSON, for every room that writes some. */
#ifndef VQ_IR_JSON_STRING_H
#define VQ_IR_JSON_STRING_H

#include <stdio.h>

/* s (UTF-8, NUL-terminated) in quotes, with the escapes of RFC 8259. */
void vq_put_json_string(FILE *f, const char *s);

#endif
