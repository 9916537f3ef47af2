/* SPDX-License-Identifier: MIT */
/* The steps of an import: names, inputs, the walk over the nodes. */
#ifndef VQ_FRONTEND_ONNX_NAMES_H
#define VQ_FRONTEND_ONNX_NAMES_H

#include "frontend/onnx_import.h"
#include "frontend/onnx_node.h"

/* Room for n names, none defined. */
void vq_onnx_names_init(vq_onnx *o, size_t n);
/* The id of name, seen from the current scope; 0 if unknown. */
uint32_t vq_onnx_find(const vq_onnx *o, const char *name);
/* The id of name, seen from the current scope; added to it if unknown. */
uint32_t vq_onnx_name_id(vq_onnx *o, const char *name);
/* The id of name in the very scope, added if it has none of its own. */
uint32_t vq_onnx_local_id(vq_onnx *o, const char *name);
/* Something uses name; NULL and "" are nothing. */
void vq_onnx_use(vq_onnx *o, const char *name);
/* How messages call something of this name in the current scope. */
const char *vq_onnx_display(vq_onnx *o, const char *name);

/* Turns a stored tensor into a value. where is for messages. */
void vq_onnx_load_stored(vq_onnx *o, uint32_t id);

/* "" for the default domain, however it is written */
const char *vq_onnx_domain(const char *domain);
/* Nodes of the current scope, their outputs defined, every one behind those that it reads; node itself if it is so already. */
Onnx__NodeProto *const *vq_onnx_sorted(vq_onnx *o, Onnx__NodeProto *const *node, size_t n);
/* Imports nodes of the current scope. Errors go to diag. */
void vq_onnx_add_nodes(vq_onnx *o, Onnx__NodeProto *const *node, size_t n);
/* Registers a graph's constants in the current scope. */
void vq_onnx_define_initializers(vq_onnx *o, const Onnx__GraphProto *graph);

/* ---- functions of the model (onnx_subgraph.c) ---- */

/* The function that node n calls, NULL if none. */
const Onnx__FunctionProto *vq_onnx_function_of(const vq_onnx *o, const Onnx__NodeProto *n);
/* n as it is in the current call: attributes that refer to those of the call replaced, inputs that it leaves out absent. */
const Onnx__NodeProto *vq_onnx_localize(vq_onnx *o, const Onnx__NodeProto *n);
/* Imports the current node, a call. */
bool vq_onnx_call(vq_onnx *o);

/* Adds the graph's inputs with static shapes (onnx_inputs.c). Errors go to diag. */
void vq_onnx_add_inputs(vq_onnx *o, const Onnx__GraphProto *graph, const vq_import_options *options);

#endif
