/* SPDX-License-Identifier: MIT */
/* From an ONNX file to a graph in float or QDQ form. */
#ifndef VQ_FRONTEND_ONNX_IMPORT_H
#define VQ_FRONTEND_ONNX_IMPORT_H

#include "ir/ir.h"

/* What became of a node. Behind: nothing is known to be wrong with it, but what it depends on was refused or has no shape. */
typedef enum vq_import_fate { VQ_NODE_IMPORTED, VQ_NODE_REFUSED, VQ_NODE_BEHIND } vq_import_fate;

typedef struct vq_import_options {
	const char *const *dims; /* "batch=1": values of the model's symbolic dimensions */
	uint32_t n_dims;
	const char *const *shapes; /* "input=1x3x224x224": whole shapes of inputs */
	uint32_t n_shapes;
	void (*opened)(void *user,
		const char *path); /* called for files of external data, for dependency files; may be NULL */
	/* called for every node of the model; may be NULL */
	void (*node)(void *user, const char *domain, const char *type, vq_import_fate fate);
	void *user; /* of opened and node */
} vq_import_options;

/*
 * Reads the model at path into g, which the call initialises; weights and names live in arena. Shapes are static,
 * constants folded, dead nodes gone, quantized tensors in QDQ form. options may be NULL. *model_hash (may be NULL) becomes a
 * hash of the file and its external data.
 *
 * Returns false after reporting every problem found, not only the first, to diag.
 */
bool vq_import_onnx(vq_graph *g, vq_arena *arena, vq_diag *diag, const char *path, const vq_import_options *options,
	uint64_t *model_hash);

/* The same on a model in memory; path serves for messages and to find external data. */
bool vq_import_onnx_bytes(vq_graph *g, vq_arena *arena, vq_diag *diag, const char *path, const void *data, size_t bytes,
	const vq_import_options *options, uint64_t *model_hash);

/* Operators the importer knows, for -print-ops: fills *domain ("" or "com.microsoft") and *since; NULL past the end. */
const char *vq_onnx_op_name(uint32_t i, const char **domain, int *since);

#endif
