/* SPDX-License-Identifier: MIT */
/*
 * The parts of the exporter: one function per family of operators. Each writes node n and returns
 * the name of its result, `to` if that is not NULL.
 */
#ifndef VQ_FRONTEND_ONNX_EXPORT_NODE_H
#define VQ_FRONTEND_ONNX_EXPORT_NODE_H

#include "frontend/onnx_write.h"

/* Tensor that holds v; constants become initializers when first used. */
const char *vq_export_value(vq_onnx_writer *w, vq_value v);

const char *vq_export_move(vq_onnx_writer *w, const vq_node_info *n, const char *to);  /* onnx_export_move.c */
const char *vq_export_dot(vq_onnx_writer *w, const vq_node_info *n, const char *to);   /* onnx_export_dot.c */
const char *vq_export_quant(vq_onnx_writer *w, const vq_node_info *n, const char *to); /* onnx_export_quant.c */

/*
 * DequantizeLinear of a tensor of codes with scales and zero points of q, along axis (-1: per
 * tensor) of its dimensions.
 */
const char *vq_export_dequantize(vq_onnx_writer *w, const char *codes, const vq_quant *q, const int64_t *dim,
	uint32_t rank, int32_t axis, const char *to);

#endif
