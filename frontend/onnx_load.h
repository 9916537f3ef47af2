/* SPDX-License-Identifier: MIT */
/* Reading of ONNX files: the protobuf itself, and tensors whose bytes stand in files of their own. */
#ifndef VQ_FRONTEND_ONNX_LOAD_H
#define VQ_FRONTEND_ONNX_LOAD_H

#include "frontend/onnx.pb-c.h"
#include "frontend/onnx_import.h"
#include "ir/ir.h"

enum {
	VQ_ONNX_OPSET_LEAST = 11, /* older Slice, Clip, Pad and TopK have other forms */
	VQ_ONNX_OPSET_MOST = 24,
	VQ_ONNX_IR_LEAST = 3,
};

typedef struct vq_onnx_model {
	Onnx__ModelProto *proto; /* in the arena, names and weights too: they live as long as the graph */
	const char *path;        /* as given */
	vq_arena *arena;
	vq_diag *diag;
	int64_t opset;                                /* of the default domain */
	size_t file_bytes;                            /* of the model file */
	uint64_t hash;                                /* of the model file and, as they are read, of external tensors */
	void (*opened)(void *user, const char *path); /* told of files of external data; NULL: nobody */
	/* told of every node; NULL: nobody */
	void (*node)(void *user, const char *domain, const char *type, vq_import_fate fate);
	void *user; /* of opened and node */
} vq_onnx_model;

/* Reads and unpacks path, checks format and operator set versions. false after an error in diag. */
bool vq_onnx_load(vq_onnx_model *m, vq_arena *arena, vq_diag *diag, const char *path);

/* The same on bytes in memory (tests and fuzzing); path serves for messages and to find external tensors. */
bool vq_onnx_load_bytes(
	vq_onnx_model *m, vq_arena *arena, vq_diag *diag, const char *path, const void *data, size_t bytes);

/* The graph inside an attribute (If); NULL if it is malformed. */
Onnx__GraphProto *vq_onnx_unpack_graph(vq_onnx_model *m, const ProtobufCBinaryData *packed);

/*
 * The bytes of a tensor with data_location = EXTERNAL, need of them, in the arena. where is for messages.
 * The file must lie in the model's folder. NULL after an error in diag.
 */
const void *vq_onnx_external(vq_onnx_model *m, const Onnx__TensorProto *t, const char *where, uint64_t need);

/* ---- tensors (onnx_tensor.c) ---- */

/* "float16"; "type 99" for what the format does not know */
const char *vq_onnx_type_name(vq_arena *a, int32_t data_type);

/* The element a tensor of this type has after import; false if it cannot be imported. float16 and float64 become f32. */
bool vq_onnx_elem(int32_t data_type, vq_elem *elem);

typedef enum vq_onnx_data { VQ_ONNX_BAD, VQ_ONNX_EMPTY, VQ_ONNX_DATA } vq_onnx_data;

/*
 * Converts t to a row-major array of type->elem. The data is a view of the unpacked file if type and alignment
 * allow, else new in the arena. VQ_ONNX_EMPTY: the tensor has no elements (type->elem is set). VQ_ONNX_BAD after
 * an error in diag.
 */
vq_onnx_data vq_onnx_tensor(
	vq_onnx_model *m, const Onnx__TensorProto *t, const char *where, vq_type *type, const void **data);

#endif
