#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Models that ONNX Runtime quantized, in every style it has, against ONNX Runtime itself.

    quantized.py VITQC ZOO WORK [ONLY]      ONLY: part of the titles of the rows to run

A ViT, a Swin and a BERT of ZOO (77 if it is not there) go through quantize_static and quantize_dynamic. The object must agree on
256 inputs, in the largest output or with a cosine of at least 0.995, and hold the weights as int8: at most 1.1 times the bytes
of 8-bit initializers, and 300 KB for code and small tables. Most multiply-accumulates are in integers, all of them where the model has
activations as codes.
"""
import os
import sys

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

import objects

MODELS = ("vit_s2_op17", "swin_s_op17", "bert_gelu_op17")
INPUTS, CALIBRATION = 256, 16
SMALL = 300e3
LEAST_COSINE, AGREE = 0.995, 0.99  # of one output; share of outputs with it or the same top-1
S8, U8 = QuantType.QInt8, QuantType.QUInt8

# title: function from (source, target, samples)
STYLES = {}


def static(title, fmt, activations, per_channel, weights=S8):
    def make(source, target, samples):
        class Reader(CalibrationDataReader):
            def __init__(self):
                self.left = iter(samples)

            def get_next(self):
                return next(self.left, None)
        quantize_static(source, target, Reader(), quant_format=fmt, activation_type=activations, weight_type=weights,
                        per_channel=per_channel)
    STYLES[title] = make


def dynamic(title, weights, per_channel):
    def make(source, target, samples):
        quantize_dynamic(source, target, weight_type=weights, per_channel=per_channel)
    STYLES[title] = make


for per_channel in (False, True):
    granularity = "per channel" if per_channel else "per tensor"
    static(f"QDQ u8 s8 {granularity}", QuantFormat.QDQ, U8, per_channel)
    static(f"QDQ s8 s8 {granularity}", QuantFormat.QDQ, S8, per_channel)
    dynamic(f"dynamic s8 {granularity}", S8, per_channel)
static("QDQ u8 u8 per channel", QuantFormat.QDQ, U8, True, U8)
static("operators u8 s8 per tensor", QuantFormat.QOperator, U8, False, S8)
static("operators u8 u8 per tensor", QuantFormat.QOperator, U8, False, U8)
dynamic("dynamic u8 per tensor", U8, False)
dynamic("dynamic u8 per channel", U8, True)


def batches(model, count):
    """COUNT inputs in batches as large as the model's."""
    rng = np.random.default_rng(7)
    inputs = onnx.load(model).graph.input
    shapes = [[d.dim_value for d in i.type.tensor_type.shape.dim] for i in inputs]
    result = []
    for _ in range(-(-count // shapes[0][0])):
        feed = {}
        for i, shape in zip(inputs, shapes):
            if i.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
                feed[i.name] = rng.standard_normal(shape).astype(np.float32)
            elif "mask" in i.name:
                lengths = rng.integers(shape[1] // 2, shape[1] + 1, (shape[0], 1))
                feed[i.name] = (np.arange(shape[1]) < lengths).astype(np.int64)
            else:
                feed[i.name] = rng.integers(0, 2 if "type" in i.name else 100, shape).astype(np.int64)
        result.append(feed)
    return result


def constant_bytes(model, *types):
    graph = onnx.load(model).graph
    constants = [*graph.initializer, *(n.attribute[0].t for n in graph.node if n.op_type == "Constant")]
    return sum(onnx.numpy_helper.to_array(t).nbytes for t in constants if t.data_type in types)


def session(model, title):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    levels = onnxruntime.GraphOptimizationLevel
    if title.startswith("QDQ"):
        options.graph_optimization_level = levels.ORT_DISABLE_ALL  # as the model stands: QDQ in floats
    else:
        # On CPUs without VNNI its sums of two products of u8 and s8 saturate at 16 bits, and the results are others than the standard's:
        # of 128 outputs of the ViT, per channel, 124 agree with onnx's reference implementation. This option makes the products exact
        # (the same 128: all agree, with a cosine of at least 0.9998). It is looked at from the level EXTENDED on.
        options.graph_optimization_level = levels.ORT_ENABLE_EXTENDED
        options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def cosine(a, b):
    return np.sum(a * b, -1) / np.maximum(np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1), 1e-30)


def row(vitqc, source, title, stem, feeds, samples):
    model = f"{stem}.onnx"
    STYLES[title](source, model, samples)
    ours = objects.compile_model(vitqc, model, stem, [])
    theirs = session(model, title)
    same, close, worst = 0, 0, 1.0
    for feed in feeds:
        a, b = theirs.run(None, feed)[0].astype(np.float64), list(ours(feed).values())[0].astype(np.float64)
        top, c = a.argmax(-1) == b.argmax(-1), cosine(a, b)
        same += int(top.sum())
        close += int((top | (c >= LEAST_COSINE)).sum())
        worst = min(worst, float(c.min()))
    count = len(feeds) * a.shape[0]
    size, weights = os.path.getsize(f"{stem}.o"), constant_bytes(model, onnx.TensorProto.INT8, onnx.TensorProto.UINT8)
    most = 1.1 * weights + SMALL
    integer = ours.info.integer_macs / ours.info.macs
    good = close >= AGREE * count and size <= most and integer >= (0.85 if "dynamic" in title else 1)
    print(f"{title:28} {100 * same / count:7.2f}% {worst:9.5f} {100 * close / count:8.2f}% {size:9} {weights:9} {100 * integer:7.1f}%"
          f"{'' if good else '   FAIL'}", flush=True)
    return good


def main():
    vitqc, zoo, work = sys.argv[1:4]
    only = sys.argv[4] if len(sys.argv) > 4 else ""
    if not objects.can_run() or not all(os.path.exists(f"{zoo}/models/{m}.onnx") for m in MODELS):
        print(f"no {zoo}/models, or no machine for x86-64 objects: skipped")
        return 77
    os.makedirs(work, exist_ok=True)
    good = True
    for name in MODELS:
        source = f"{zoo}/models/{name}.onnx"
        feeds, samples = batches(source, INPUTS), batches(source, CALIBRATION)
        print(f"{name:28} {'same top-1':>8} {'least cos':>9} {'agree':>9} {'object':>9} {'8-bit':>9} {'integer':>8}")
        for title in STYLES:
            if only in f"{name} {title}":
                good &= row(vitqc, source, title, f"{work}/{name}_{title.replace(' ', '_')}", feeds, samples)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
