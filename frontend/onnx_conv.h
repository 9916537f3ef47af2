/* Convolutions made by importers of other families. */
#ifndef VQ_FRONTEND_ONNX_CONV_H
#define VQ_FRONTEND_ONNX_CONV_H

#include "frontend/onnx_node.h"

/* Convolution with the current node's attributes; bias may be VQ_NO_VALUE. */
vq_value vq_onnx_conv(vq_onnx *o, vq_value x, vq_value w, vq_value bias);

#endif
