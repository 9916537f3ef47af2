/* SPDX-License-Identifier: MIT */
#include "frontend/onnx_wire.h"

#include <stdint.h>
#include <string.h>

enum { VARINT = 0, BITS64 = 1, BYTES = 2, BITS32 = 5 }; /* kinds of fields on the wire; others are not used by ONNX */
enum { MOST_FIELDS = 64 };                              /* of one message that are counted */

typedef struct walker {
	vq_arena *arena;
	const unsigned char *data;
	vq_wire_fault *fault;
} walker;

static bool found(walker *w, size_t at, const char *field, const char *problem)
{
	*w->fault = (vq_wire_fault){ at, field, problem };
	return true;
}

/* The number at *at, which moves behind it; false if it does not end before `to`. */
static bool number(const walker *w, size_t *at, size_t to, uint64_t *v)
{
	*v = 0;
	for (unsigned shift = 0; *at < to && shift < 70; shift += 7) {
		unsigned char byte = w->data[(*at)++];

		*v |= shift < 64 ? (uint64_t)(byte & 0x7f) << shift : 0;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

static unsigned kind_of(const ProtobufCFieldDescriptor *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_FLOAT: return BITS32;
	case PROTOBUF_C_TYPE_DOUBLE: return BITS64;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE: return BYTES;
	default: return VARINT;
	}
}

static const char *path_of(const walker *w, const char *path, const ProtobufCFieldDescriptor *f, uint32_t nth)
{
	const char *dot = *path ? "." : "";

	if (!f)
		return path;
	if (f->label == PROTOBUF_C_LABEL_REPEATED && kind_of(f) == BYTES)
		return vq_arena_printf(w->arena, "%s%s%s[%u]", path, dot, f->name, (unsigned)nth);
	return vq_arena_printf(w->arena, "%s%s%s", path, dot, f->name);
}

static bool walk(walker *w, const ProtobufCMessageDescriptor *d, size_t from, size_t to, const char *path)
{
	uint32_t count[MOST_FIELDS] = { 0 };
	size_t at = from;

	while (at < to) {
		const ProtobufCFieldDescriptor *f;
		size_t start = at, n = 0;
		uint32_t nth = 0;
		uint64_t tag, v;
		unsigned kind;

		if (!number(w, &at, to, &tag))
			return found(w, start, path, "ends within a field");
		kind = (unsigned)(tag & 7);
		if (tag >> 3 == 0 || tag >> 32 || (kind != VARINT && kind != BITS64 && kind != BYTES && kind != BITS32))
			return found(w, start, path,
				vq_arena_printf(w->arena, "has a field that begins with %02x", w->data[start]));
		f = protobuf_c_message_descriptor_get_field(d, (unsigned)(tag >> 3));
		if (f && f - d->fields < MOST_FIELDS)
			nth = count[f - d->fields]++;
		if (f && kind != kind_of(f) && !(kind == BYTES && f->label == PROTOBUF_C_LABEL_REPEATED))
			return found(w, start, path_of(w, path, f, nth), "is of another kind than the format says");
		if (kind == BITS64 || kind == BITS32)
			n = kind == BITS64 ? 8 : 4;
		else if (!number(w, &at, to, &v))
			return found(w, start, path_of(w, path, f, nth), "ends within a number");
		else if (kind == BYTES && v > to - at)
			return found(w, start, path_of(w, path, f, nth),
				vq_arena_printf(
					w->arena, "is %llu bytes long, %zu are left", (unsigned long long)v, to - at));
		else if (kind == BYTES)
			n = (size_t)v;
		if (n > to - at)
			return found(w, start, path_of(w, path, f, nth), "ends within a number");
		if (kind == BYTES && f && f->type == PROTOBUF_C_TYPE_MESSAGE &&
			walk(w, f->descriptor, at, at + n, path_of(w, path, f, nth)))
			return true;
		at += n;
	}
	return false;
}

bool vq_wire_find_fault(vq_wire_fault *fault, vq_arena *arena, const ProtobufCMessageDescriptor *message,
	const void *data, size_t bytes)
{
	walker w = { arena, data, fault };

	return walk(&w, message, 0, bytes, "");
}
