/* SPDX-License-Identifier: MIT */
/* Where the bytes of a file stop being the message they should be: protobuf-c only says that they do. */
#ifndef VQ_FRONTEND_ONNX_WIRE_H
#define VQ_FRONTEND_ONNX_WIRE_H

#include "ir/arena.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

typedef struct vq_wire_fault {
	size_t at;           /* offset of the field that is wrong */
	const char *field;   /* "graph.initializer[3].raw_data"; "" for the message itself */
	const char *problem; /* "is 5000 bytes long, 300 are left" */
} vq_wire_fault;

/* false: nothing is wrong with the bytes as such. Texts are in the arena. */
bool vq_wire_find_fault(vq_wire_fault *fault, vq_arena *arena, const ProtobufCMessageDescriptor *message,
	const void *data, size_t bytes);

#endif
