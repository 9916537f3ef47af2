/* The steps of an import: names, inputs, the walk over the nodes. */
#ifndef VQ_FRONTEND_ONNX_NAMES_H
#define VQ_FRONTEND_ONNX_NAMES_H

#include "frontend/onnx_import.h"
#include "frontend/onnx_node.h"

/* Room for n names, none defined. */
void vq_onnx_names_init(vq_onnx *o, size_t n);
/* The id of name, 0 if unknown. */
uint32_t vq_onnx_find(const vq_onnx *o, const char *name);
/* The id of name, added if unknown. */
uint32_t vq_onnx_name_id(vq_onnx *o, const char *name);

/* Turns a stored tensor into a value. where is for messages. */
void vq_onnx_load_stored(vq_onnx *o, uint32_t id);

/* Adds the graph's inputs with static shapes (onnx_inputs.c). Errors go to diag. */
void vq_onnx_add_inputs(vq_onnx *o, const Onnx__GraphProto *graph, const vq_import_options *options);

#endif
