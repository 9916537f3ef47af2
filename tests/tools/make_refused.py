#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/fuzz/refused/*.onnx: models that are wrong in one way each, and list.txt with the name of each and texts that
the messages must have. Needs numpy and onnx. Usage: make_refused.py FOLDER"""

import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

F, I64 = TensorProto.FLOAT, TensorProto.INT64
folder = sys.argv[1]
os.makedirs(folder, exist_ok=True)
expected = []


def tensor(name, values, dtype=np.float32):
    return numpy_helper.from_array(np.array(values, dtype), name)


def info(name, shape, kind=F):
    return helper.make_tensor_value_info(name, kind, shape)


def model(nodes, initializers=(), inputs=None, outputs=("y",), opsets=None):
    graph = helper.make_graph(
        list(nodes), "g", [info("x", [2, 4])] if inputs is None else inputs,
        [helper.make_empty_tensor_value_info(o) for o in outputs], list(initializers))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)] if opsets is None else opsets, ir_version=8)


def refused(name, m, *texts):
    with open(os.path.join(folder, name + ".onnx"), "wb") as f:
        f.write(m if isinstance(m, bytes) else m.SerializeToString())
    expected.append("|".join((name,) + texts))


def op(kind, inputs="x", outputs="y", name="n", **attributes):
    return helper.make_node(kind, inputs.split(), outputs.split(), name=name, **attributes)


def raw(name, kind, dims, data):
    t = TensorProto(name=name, data_type=kind, raw_data=data)
    t.dims.extend(dims)
    return t


def external(name, dims, **place):
    t = TensorProto(name=name, data_type=F, data_location=TensorProto.EXTERNAL)
    t.dims.extend(dims)
    for key, value in place.items():
        t.external_data.add(key=key, value=str(value))
    return t


# tensors
add = op("Add", "x w")
refused("raw_size", model([add], [raw("w", F, [4], b"123")]), "initializer 'w'", "raw data has 3 bytes, expected 16")
refused("no_type", model([add], [raw("w", 0, [4], b"1" * 16)]), "initializer 'w'", "elements are type 0")
refused("unknown_type", model([add], [raw("w", 99, [4], b"1" * 16)]), "initializer 'w'", "elements are type 99")
refused("string_type", model([add], [helper.make_tensor("w", TensorProto.STRING, [1], [b"a"])]), "initializer 'w'", "string")
refused("negative_dim", model([add], [raw("w", F, [-4], b"1" * 16)]), "initializer 'w'", "dimension 0 is -4")
refused("huge_dim", model([add], [raw("w", F, [2**62], b"1" * 16)]), "initializer 'w'", "too many elements")
refused("dims_overflow", model([add], [raw("w", F, [2**33, 2**33], b"1" * 16)]), "initializer 'w'", "too many elements")
refused("no_elements", model([add], [raw("w", F, [0], b"")]), "node 'n' (Add)", "has no elements")
refused("rank_9", model([add], [raw("w", F, [1] * 9, b"1" * 4)]), "initializer 'w'", "rank is 9, expected at most 8")
refused("mixed_types", model([add], [tensor("w", [1], np.int64)]), "node 'n' (Add)")
refused("shapes_differ", model([add], [tensor("w", [1, 2, 3])]), "node 'n' (Add)")
refused("external_missing", model([add], [external("w", [4], location="absent.bin")]), "initializer 'w'", "absent.bin")
refused("external_outside", model([add], [external("w", [4], location="../w.bin")]), "initializer 'w'", "does not stay in")
refused("external_absolute", model([add], [external("w", [4], location="/etc/passwd")]), "initializer 'w'", "does not stay in")
refused("external_beyond", model([add], [external("w", [4], location="list.txt", offset=2**40)]), "initializer 'w'", "at offset")
refused("external_negative", model([add], [external("w", [4], location="list.txt", offset=-1)]), "initializer 'w'", "offset is '-1'")
refused("external_wraps", model([add], [external("w", [4], location="list.txt", offset=2**64 - 8)]), "initializer 'w'")
refused("external_nowhere", model([add], [external("w", [4])]), "initializer 'w'", "no file is named")
patches = [info("x", [1, 1, 8, 8])]
for bad in "nan", "inf":
    refused(bad + "_weight", model([op("Reshape", "x s", "r", "r"), op("MatMul", "r w")], [tensor("s", [16, 4], np.int64),
            tensor("w", [[1, float(bad)]] * 4)], patches), "node 'n' (MatMul)", "element ", " is " + bad)

# the graph
refused("cycle", model([op("Add", "x b", "a", "first"), op("Relu", "a", "b", "second"), op("Relu", "b")]),
        "node 'second' (Relu)", "input 0 'a' is computed from this node's results: the graph has a cycle",
        "'a' comes from node 'first' (Add)")
refused("self_cycle", model([op("Add", "x y")]), "node 'n' (Add)", "cycle")
refused("undefined", model([op("Add", "x nowhere")]), "node 'n' (Add)", "input 1 'nowhere' is not defined")
refused("defined_twice", model([op("Relu", name="one"), op("Neg", name="two")]), "'y' is used twice", "'one' (Relu)")
refused("output_undefined", model([op("Relu")], outputs=("z",)), "output 'z'", "no node computes it")
refused("no_outputs", model([op("Relu")], outputs=()), "no outputs")
refused("no_nodes", model([], outputs=("y",)), "output 'y'")
refused("input_rank_9", model([op("Relu")], inputs=[info("x", [1] * 9)]), "input 'x'", "9 dimensions")
refused("input_huge", model([op("Relu")], inputs=[info("x", [2**62, 4])]), "input 'x'", "2^31")
refused("input_negative", model([op("Relu")], inputs=[info("x", [-3, 4])]), "input 'x'", "dimension 0 is -3")
refused("input_zero", model([op("Relu")], inputs=[info("x", [0, 4])]), "input 'x'", "dimension 0 is 0")
refused("input_symbol", model([op("Relu")], inputs=[info("x", ["batch", 4])]), "input 'x'", "-dim batch=1")
refused("input_string", model([op("Relu")], inputs=[info("x", [1], TensorProto.STRING)]), "input 'x'", "string")
refused("control_name", model([op("Add", "x \x1b[31mred\x07", name="\x1b[2Jn\n")]), r"\x1b[2Jn\x0a", r"\x1b[31mred\x07")
refused("long_name", model([op("Nonsense", name="n" * 9000)]), "nnnn...")

# versions and domains
refused("opset_missing", model([op("Relu")], opsets=[]), "opset_import")
refused("opset_old", model([op("Relu")], opsets=[helper.make_opsetid("", 3)]), "operator set version is 3")
refused("opset_future", model([op("Relu")], opsets=[helper.make_opsetid("", 9999)]), "operator set version is 9999")
refused("opset_negative", model([op("Relu")], opsets=[helper.make_opsetid("", -1)]), "operator set version is -1")
refused("op_unknown", model([op("Nonsense")]), "node 'n' (Nonsense)", "operator Nonsense is not supported", "hint:")
refused("domain_unknown", model([op("Relu", domain="my.domain")],
        opsets=[helper.make_opsetid("", 17), helper.make_opsetid("my.domain", 1)]), "node 'n' (my.domain.Relu)", "'my.domain'")
leaf = helper.make_graph([op("Relu")], "b", [], [helper.make_empty_tensor_value_info("y")])
for _ in range(20):
    nested = helper.make_node("If", ["c"], ["y"], name="n", then_branch=leaf)
    leaf = helper.make_graph([nested], "b", [], [helper.make_empty_tensor_value_info("y")])
refused("nested", model([nested], [tensor("c", True, np.bool_)]), "node 'n' (If)", "nested")

# attributes and operands
refused("attribute_type", model([op("Softmax", axis="last")]), "node 'n' (Softmax)", "'axis'")
refused("attribute_unknown", model([op("Relu", nonsense=1)]), "node 'n' (Relu)", "'nonsense'")
refused("attribute_missing", model([op("Cast")]), "node 'n' (Cast)", "'to' is missing")
refused("input_missing", model([op("MatMul", "x")]), "node 'n' (MatMul)", "input 1 is missing")
refused("inputs_many", model([op("Relu", "x x")]), "node 'n' (Relu)", "it has 2 inputs")
refused("softmax_axis", model([op("Softmax", axis=7)]), "node 'n' (Softmax)", "7")
refused("softmax_axis_least", model([op("Softmax", axis=-2**63)]), "node 'n' (Softmax)", "-9223372036854775808")
refused("perm", model([op("Transpose", perm=[0, 0])]), "node 'n' (Transpose)", "perm")
refused("perm_long", model([op("Transpose", perm=[0, 1, 2])]), "node 'n' (Transpose)", "perm")
refused("reshape_two", model([op("Reshape", "x s")], [tensor("s", [-1, -1], np.int64)]), "node 'n' (Reshape)", "-1")
refused("reshape_count", model([op("Reshape", "x s")], [tensor("s", [3, 3], np.int64)]), "node 'n' (Reshape)")
refused("reshape_huge", model([op("Reshape", "x s")], [tensor("s", [2**62, 4, -1], np.int64)]), "node 'n' (Reshape)")
refused("reshape_least", model([op("Reshape", "x s")], [tensor("s", [-2**63], np.int64)]), "node 'n' (Reshape)")
refused("reshape_rank", model([op("Reshape", "x s")], [tensor("s", [8] + [1] * 9, np.int64)]), "node 'n' (Reshape)")
refused("expand_huge", model([op("Expand", "x s")], [tensor("s", [2**40, 2, 4], np.int64)]), "node 'n' (Expand)")
refused("fill_huge", model([op("ConstantOfShape", "s")], [tensor("s", [2**41], np.int64)]), "node 'n' (ConstantOfShape)")
refused("fill_sum", model([op("ConstantOfShape", "s", "b"), op("Add", "x b")], [tensor("s", [2**39, 2, 4], np.int64)]), "node 'n' ")
refused("range_huge", model([op("Range", "a b c")], [tensor("a", 0, np.int64), tensor("b", 2**62, np.int64),
        tensor("c", 1, np.int64)]), "node 'n' (Range)")
refused("range_step", model([op("Range", "a b c")], [tensor("a", 0, np.int64), tensor("b", 9, np.int64),
        tensor("c", 0, np.int64)]), "node 'n' (Range)", "0")
refused("tile_huge", model([op("Tile", "x s")], [tensor("s", [2**40, 2**40], np.int64)]), "node 'n' (Tile)")
refused("pad_huge", model([op("Pad", "x s")], [tensor("s", [2**62, 0, 2**62, 0], np.int64)]), "node 'n' (Pad)")
refused("pad_all", model([op("Pad", "x s")], [tensor("s", [-9, 0, 0, 0], np.int64)]), "node 'n' (Pad)")
refused("slice_step", model([op("Slice", "x a b c d")], [tensor("a", [0], np.int64), tensor("b", [9], np.int64),
        tensor("c", [0], np.int64), tensor("d", [0], np.int64)]), "node 'n' (Slice)", "0")
refused("slice_axis", model([op("Slice", "x a b c")], [tensor("a", [0], np.int64), tensor("b", [9], np.int64),
        tensor("c", [5], np.int64)]), "node 'n' (Slice)", "5")
refused("gather_index", model([op("Gather", "x i")], [tensor("i", [2**40], np.int64)]), "node 'n' (Gather)", "1099511627776")
refused("split_sum", model([op("Split", "x s", "y z")], [tensor("s", [9, 9], np.int64)]), "node 'n' (Split)")
refused("concat_axis", model([op("Concat", "x x", axis=5)]), "node 'n' (Concat)", "5")
refused("matmul_inner", model([op("MatMul", "x w")], [tensor("w", np.ones((3, 3)))]), "node 'n' (MatMul)", "3")
image = [info("x", [1, 2, 8, 8])]
kernel = [tensor("w", np.ones((4, 2, 3, 3)))]
for name, attributes in {
        "stride_0": {"strides": [0, 0]}, "stride_least": {"strides": [-2**63, 1]}, "stride_huge": {"strides": [2**62, 2**62]},
        "dilation_huge": {"dilations": [2**62, 2**62]}, "pad_huge": {"pads": [2**62, 2**62, 2**62, 2**62]},
        "pad_negative": {"pads": [-9, -9, -9, -9]}, "group_0": {"group": 0}, "group_5": {"group": 5}, "kernel": {"kernel_shape": [5, 5]},
        "pads_short": {"pads": [1]}, "auto_pad": {"auto_pad": "NONSENSE"}}.items():
    if name != "stride_huge": # one output pixel: it is right
        refused("conv_" + name, model([op("Conv", "x w", **attributes)], kernel, image), "node 'n' (Conv)")
refused("layernorm_axis", model([op("LayerNormalization", "x w", axis=9)], [tensor("w", [1] * 4)]), "node 'n' (LayerNormalization)")
refused("scale_zero", model([op("QuantizeLinear", "x s", "q", "a"), op("DequantizeLinear", "q s")], [tensor("s", 0)]), "node 'a' (QuantizeLinear)")
refused("int_leaky_relu", model([op("LeakyRelu", name="a", alpha=0.01)], inputs=[info("x", [2, 4], I64)]),
        "node 'a' (LeakyRelu): elements of i64 cannot be computed with 0.01, expected f32")
refused("scale_nan", model([op("QuantizeLinear", "x s", "q", "a"), op("DequantizeLinear", "q s")], [tensor("s", np.nan)]), "node 'a' (QuantizeLinear)")

# a shape that depends on the values of an input
refused("shape_of_data", model([op("Reshape", "x s")], inputs=[info("x", [2, 4]), info("s", [2], I64)]), "node 'n' (Reshape)",
        "must be a constant, but 's' is computed at run time", "hint: shapes are fixed when the model is compiled")

# no models
refused("empty_message", b"\x3a\x00", "opset_import")
refused("no_graph", model([op("Relu")]).SerializeToString()[:4],
        "byte 2: not an ONNX model: the protobuf cannot be decoded: graph is 46 bytes long, 0 are left")
refused("field_beyond", b"\x3a\xff\xff\xff\xff\x0f",
        "byte 0: not an ONNX model: the protobuf cannot be decoded: graph is 4294967295 bytes long, 0 are left")
refused("text", b"Hello, this is no model at all.\n", "byte 2: not an ONNX model")

with open(os.path.join(folder, "list.txt"), "w") as f:
    f.write("\n".join(expected) + "\n")
