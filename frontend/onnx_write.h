/* SPDX-License-Identifier: MIT */
/* Building an ONNX model in memory and writing it: tensors, nodes and attributes. */
#ifndef VQ_FRONTEND_ONNX_WRITE_H
#define VQ_FRONTEND_ONNX_WRITE_H

#include "frontend/onnx.pb-c.h"
#include "ir/ir.h"

#include <stdio.h>

typedef struct vq_onnx_writer {
	vq_arena arena; /* of everything below */
	const vq_graph *g;
	const char *prefix; /* of names made here; no name of the graph starts with it */
	const char **name;  /* tensor of each value of g, by id; NULL: not written yet */
	uint32_t made;      /* names made so far */
	const char *source; /* name of the node of g being written, or NULL: for names of nodes */
	Onnx__NodeProto **node;
	uint32_t n_nodes, cap_nodes;
	Onnx__TensorProto **tensor;
	uint32_t n_tensors, cap_tensors;
} vq_onnx_writer;

void vq_onnx_writer_init(vq_onnx_writer *w, const vq_graph *g);

/* TensorProto.DataType of an element type. */
int32_t vq_onnx_elem_code(vq_elem e);

/*
 * Adds an initializer and returns its name. data is row-major in host order and must live until the
 * model is written.
 */
const char *vq_onnx_put_tensor(vq_onnx_writer *w, vq_elem e, uint32_t rank, const int64_t *dim, const void *data);
const char *vq_onnx_put_scalar(vq_onnx_writer *w, float v);
const char *vq_onnx_put_ints(vq_onnx_writer *w, const int64_t *v, uint32_t n); /* i64[n], copied */

/* Adds op(in…) -> to, or to a new name if to is NULL; returns the name of the result. */
const char *vq_onnx_put_node(vq_onnx_writer *w, const char *op, const char *const *in, uint32_t n_in, const char *to);
static inline const char *vq_onnx_put_node1(vq_onnx_writer *w, const char *op, const char *a, const char *to)
{
	return vq_onnx_put_node(w, op, &a, 1, to);
}
static inline const char *vq_onnx_put_node2(
	vq_onnx_writer *w, const char *op, const char *a, const char *b, const char *to)
{
	return vq_onnx_put_node(w, op, (const char *[]){ a, b }, 2, to);
}

/* Attributes of the node added last. */
void vq_onnx_put_attr_int(vq_onnx_writer *w, const char *name, int64_t v);
void vq_onnx_put_attr_ints(vq_onnx_writer *w, const char *name, const int64_t *v, uint32_t n);
void vq_onnx_put_attr_float(vq_onnx_writer *w, const char *name, float v);

/* Common shapes of nodes. */
const char *vq_onnx_put_reshape(vq_onnx_writer *w, const char *x, uint32_t rank, const int64_t *dim, const char *to);
const char *vq_onnx_put_transpose(vq_onnx_writer *w, const char *x, uint32_t rank, const int64_t *perm, const char *to);

/* Writes the model: opset 17, inputs and outputs of g. false after an error in diag. */
bool vq_onnx_write(vq_onnx_writer *w, vq_diag *diag, FILE *out);

#endif
