#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/fuzz/corpus/tiny_vit.onnx: a whole vision transformer of a few KB, for tests that compile it thousands of
times. One block, width 8, two heads, four patches and a class token; GELU and the split into heads are spelled out as
exporters do. Needs numpy and onnx. Usage: make_tiny_vit.py FILE [dynamic]
With a second argument the batch has no size (tests/run/sizes.onnx)."""

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

DIM, HEADS, PATCH, SIZE, HIDDEN, CLASSES = 8, 2, 4, 8, 16, 3
TOKENS = (SIZE // PATCH) ** 2 + 1

dynamic = len(sys.argv) > 2
BATCH = "batch" if dynamic else 1

random = np.random.default_rng(7)
initializers, nodes = [], []


def weight(name, *shape):
    initializers.append(numpy_helper.from_array(random.normal(0, 0.3, shape).astype(np.float32), name))
    return name


def constant(name, value, dtype=np.int64):
    initializers.append(numpy_helper.from_array(np.array(value, dtype), name))
    return name


def node(op, inputs, output, **attributes):
    nodes.append(helper.make_node(op, inputs, [output], name=output + "_n", **attributes))
    return output


def linear(x, name, n_in, n_out):
    y = node("MatMul", [x, weight(name + ".w", n_in, n_out)], name + "_mm")
    return node("Add", [y, weight(name + ".b", n_out)], name)


def norm(x, name):
    return node("LayerNormalization", [x, weight(name + ".g", DIM), weight(name + ".s", DIM)], name, axis=-1)


def heads(x, name, perm):
    y = node("Reshape", [x, constant(name + ".shape", [0, -1, HEADS, DIM // HEADS])], name + "_split")
    return node("Transpose", [y], name, perm=perm)


x = node("Conv", ["image", weight("patch.w", DIM, 1, PATCH, PATCH), weight("patch.b", DIM)], "patch",
         kernel_shape=[PATCH, PATCH], strides=[PATCH, PATCH])
x = node("Reshape", [x, constant("flat", [0 if dynamic else 1, DIM, -1])], "rows")
x = node("Transpose", [x], "tokens", perm=[0, 2, 1])
cls = weight("cls", 1, 1, DIM)
if dynamic:
    b = node("Gather", [node("Shape", ["image"], "shape"), constant("zeroth", [0])], "batch_size", axis=0)
    b = node("Concat", [b, constant("one_token", [1, DIM])], "cls_shape", axis=0)
    cls = node("Expand", [cls, b], "cls_all")
x = node("Concat", [cls, x], "with_cls", axis=1)
x = node("Add", [x, weight("pos", 1, TOKENS, DIM)], "embedded")

y = norm(x, "norm1")
q = heads(linear(y, "q", DIM, DIM), "q_heads", [0, 2, 1, 3])
k = heads(linear(y, "k", DIM, DIM), "k_heads", [0, 2, 3, 1])
v = heads(linear(y, "v", DIM, DIM), "v_heads", [0, 2, 1, 3])
s = node("MatMul", [q, k], "scores")
s = node("Mul", [s, constant("scale", (DIM // HEADS) ** -0.5, np.float32)], "scaled")
s = node("Softmax", [s], "attention", axis=-1)
y = node("Transpose", [node("MatMul", [s, v], "mixed")], "mixed_t", perm=[0, 2, 1, 3])
y = node("Reshape", [y, constant("joined.shape", [0 if dynamic else 1, TOKENS, DIM])], "joined")
x = node("Add", [x, linear(y, "proj", DIM, DIM)], "residual1")

y = linear(norm(x, "norm2"), "fc1", DIM, HIDDEN)
e = node("Erf", [node("Div", [y, constant("root2", 2 ** 0.5, np.float32)], "over")], "erf")
e = node("Add", [e, constant("one", 1, np.float32)], "plus")
y = node("Mul", [node("Mul", [y, e], "times"), constant("half", 0.5, np.float32)], "gelu")
x = node("Add", [x, linear(y, "fc2", HIDDEN, DIM)], "residual2")

x = node("Gather", [norm(x, "norm3"), constant("first", 0)], "class", axis=1)
node("Gemm", [x, weight("head.w", DIM, CLASSES), weight("head.b", CLASSES)], "logits")

graph = helper.make_graph(
    nodes, "tiny_vit",
    [helper.make_tensor_value_info("image", TensorProto.FLOAT, [BATCH, 1, SIZE, SIZE])],
    [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [BATCH, CLASSES])], initializers)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, sys.argv[1])
