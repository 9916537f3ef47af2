/* Windows of convolutions and pools. */
#ifndef VQ_FRONTEND_ONNX_CONV_H
#define VQ_FRONTEND_ONNX_CONV_H

#include "frontend/onnx_node.h"

typedef struct vq_onnx_window {
	uint32_t n;                             /* spatial dimensions, entries used below */
	int64_t kernel[VQ_MAX_RANK];
	int64_t stride[2 * VQ_MAX_RANK];  /* as long as an attribute may be */
	int64_t dilation[2 * VQ_MAX_RANK];
	int64_t before[VQ_MAX_RANK];            /* padding */
	int64_t after[VQ_MAX_RANK];
} vq_onnx_window;

/*
 * Attributes kernel_shape, strides, dilations, pads and auto_pad of the current node for an input of type x. kernel: the
 * size given by weights, or NULL.
 */
bool vq_onnx_read_window(vq_onnx *o, const vq_type *x, const int64_t *kernel, vq_onnx_window *w);

/* Convolution with the current node's attributes; bias may be VQ_NO_VALUE. */
vq_value vq_onnx_conv(vq_onnx *o, vq_value x, vq_value w, vq_value bias);

#endif
