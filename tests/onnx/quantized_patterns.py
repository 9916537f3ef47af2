#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Small quantized models as exporters and quantizers write them, against ONNX Runtime; and those that must be refused by name.

    quantized_patterns.py VITQC WORK [PATTERN]      PATTERN: only cases whose names match

Models with constant scales may differ by STEPS steps of the last quantization (codes at ties), those quantized at run time by a
share of the largest result.
"""
import os
import re
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import objects

MS = "com.microsoft"
STEPS, DYNAMIC = 1.01, 0.02
TYPES = {np.dtype(k): v for k, v in (("float32", TensorProto.FLOAT), ("int64", TensorProto.INT64), ("uint8", TensorProto.UINT8))}


class Graph:
    """Nodes as they are appended; inputs that are arrays become initializers, results are names."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.initializers, self.inputs, self.feed = [], [], [], {}
        self.step = None  # of the result's last quantization
        self.dynamic = self.calibrated = False
        self.share, self.constants = 0, 1 << 30  # least share of integer products, most bytes of constants in the object

    def input(self, array):
        name = f"in{len(self.inputs)}"
        self.inputs.append(helper.make_tensor_value_info(name, TYPES[array.dtype], array.shape))
        self.feed[name] = array
        return name

    def f32(self, *shape, scale=1.0):
        return (self.rng.standard_normal(shape) * scale).astype(np.float32)

    def op(self, kind, *inputs, domain="", outputs=1, **attributes):
        names = []
        for i in inputs:
            if isinstance(i, (np.ndarray, np.generic)):
                names.append(f"c{len(self.initializers)}")
                self.initializers.append(numpy_helper.from_array(np.asarray(i), names[-1]))
            else:
                names.append(i or "")
        out = [f"v{len(self.nodes)}_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(kind, names, out, f"n{len(self.nodes)}", domain=domain, **attributes))
        return out[0] if outputs == 1 else out

    def q(self, x, scale, zero):
        self.step = scale
        return self.op("QuantizeLinear", x, np.float32(scale), zero)

    def qdq(self, x, scale, zero):
        return self.op("DequantizeLinear", self.q(x, scale, zero), np.float32(scale), zero)

    def model(self, y, opset):
        graph = helper.make_graph(self.nodes, "g", self.inputs, [helper.make_tensor_value_info(y, TensorProto.FLOAT, None)],
                                  self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid(MS, 1)])
        model.ir_version = 9
        return model


def codes(g, dtype, *shape):
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    return g.rng.integers(low, high + 1, shape).astype(dtype)


def scales(g, n):
    return g.rng.uniform(0.002, 0.01, n).astype(np.float32)


def qat_weights(g):
    """torch QAT: weights are rounded by the model itself, per row, then transposed; a residual sum of two dequantized values."""
    x = g.qdq(g.input(g.f32(2, 5, 16)), 0.03, np.int8(0))
    s, z = scales(g, 16), np.zeros(16, np.int8)
    w = g.op("QuantizeLinear", g.f32(16, 16, scale=0.3), s, z, axis=0)
    w = g.op("Transpose", g.op("DequantizeLinear", w, s, z, axis=0), perm=[1, 0])
    y = g.qdq(g.op("Add", g.op("MatMul", x, w), g.f32(16)), 0.05, np.int8(3))
    return g.qdq(g.op("Add", x, g.qdq(g.op("Relu", y), 0.04, np.int8(-128))), 0.06, np.int8(-9))


def nncf_asymmetric(g):
    """NNCF: u8 weights with a scale and a zero point per row."""
    x = g.qdq(g.input(g.f32(3, 24)), 0.025, np.uint8(120))
    w = g.op("DequantizeLinear", codes(g, np.uint8, 20, 24), scales(g, 20), codes(g, np.uint8, 20), axis=0)
    y = g.op("MatMul", x, g.op("Transpose", w, perm=[1, 0]))
    return g.qdq(g.op("Add", y, g.f32(20)), 0.2, np.uint8(128))


def gemm_with_int32_bias(g):
    """ORT static: Gemm with transposed int8 weights, -128 among them, an int32 bias, zero points shared through Identity."""
    zero = g.op("Identity", np.uint8(128))
    x = g.input(g.f32(4, 32))
    x = g.op("DequantizeLinear", g.op("QuantizeLinear", x, np.array([0.02], np.float32), zero), np.array([0.02], np.float32), zero)
    s, w = scales(g, 8), codes(g, np.int8, 8, 32)
    w[:, 0] = -128
    w = g.op("DequantizeLinear", w, s, np.zeros(8, np.int8), axis=0)
    b = g.op("DequantizeLinear", g.rng.integers(-3000, 3000, 8).astype(np.int32), s * np.float32(0.02), np.zeros(8, np.int32),
             axis=0)
    return g.qdq(g.op("Gemm", x, w, b, transB=1), 0.1, np.uint8(100))


def residual_and_layernorm(g):
    x = g.qdq(g.input(g.f32(2, 6, 16)), 0.0317, np.uint8(130))
    w = g.op("DequantizeLinear", codes(g, np.int8, 16, 16), np.array([0.004], np.float32), np.array([0], np.int8))
    y = g.qdq(g.op("MatMul", x, w), 0.0523, np.uint8(128))
    y = g.qdq(g.op("Add", x, y), 0.0611, np.uint8(125))
    y = g.op("LayerNormalization", y, g.f32(16), g.f32(16), axis=-1, epsilon=1e-5)
    return g.qdq(y, 0.0313, np.uint8(127))


def embedding_tables(g):
    """Codes looked up and then dequantized, and dequantized and then looked up."""
    ids = g.input(g.rng.integers(0, 50, (2, 7)).astype(np.int64))
    a = g.op("DequantizeLinear", g.op("Gather", codes(g, np.uint8, 50, 12), ids), np.float32(0.01), np.uint8(70))
    b = g.op("Gather", g.op("DequantizeLinear", codes(g, np.int8, 50, 12), np.float32(0.02), np.int8(5)), ids)
    return g.op("Add", a, b)


def signed_by_unsigned(g):
    """s8 activations by u8 weights, and a product of two activations of both kinds."""
    x = g.qdq(g.input(g.f32(2, 8, 64)), 0.02, np.int8(-20))
    w = g.op("DequantizeLinear", codes(g, np.uint8, 64, 8), np.float32(0.003), np.uint8(90))
    y = g.qdq(g.op("MatMul", x, w), 0.1, np.uint8(128))
    z = g.qdq(g.op("MatMul", g.op("Transpose", x, perm=[0, 2, 1]), y), 0.3, np.int8(3))
    return z


def per_column(g):
    """ORT per channel of MatMul: axis 1, at operator set 13 and with a negative axis."""
    x = g.qdq(g.input(g.f32(2, 3, 40)), 0.03, np.uint8(127))
    w = g.op("DequantizeLinear", codes(g, np.int8, 40, 24), scales(g, 24), np.zeros(24, np.int8), axis=-1)
    return g.qdq(g.op("MatMul", x, w), 0.1, np.uint8(128))


def weights_alone(g, calibrated=False):
    """Weight compression: u8 with a zero point per column, activations float: a float model, which w8a8 calibrates."""
    g.dynamic, g.calibrated, g.share = True, calibrated, 1
    w = g.op("DequantizeLinear", codes(g, np.uint8, 48, 16), scales(g, 16), codes(g, np.uint8, 16), axis=1)
    return g.op("Add", g.op("MatMul", g.input(g.f32(2, 9, 48)), w), g.f32(16))


def spelt_out(g):
    """The same by Cast and Mul: a table of embeddings with a scale per row, weights with one per column. Both stay codes."""
    g.dynamic, g.share, g.constants = True, 1, 4500  # 3,200 codes of 8 bits, 66 scales
    table = g.op("Mul", g.op("Cast", codes(g, np.int8, 50, 48), to=TensorProto.FLOAT), scales(g, 50).reshape(50, 1))
    w = g.op("Mul", scales(g, 16), g.op("Cast", codes(g, np.int8, 48, 16), to=TensorProto.FLOAT))
    return g.op("MatMul", g.op("Gather", table, g.input(g.rng.integers(0, 50, (2, 7)).astype(np.int64))), w)


def dynamic_matmul(g, dtype=np.int8, channels=True):
    g.dynamic = True
    x = g.input(g.f32(2, 5, 32))
    q, s, z = g.op("DynamicQuantizeLinear", x, outputs=3)
    w = codes(g, dtype, 32, 24) // 2 if dtype == np.int8 else codes(g, dtype, 32, 24)
    y = g.op("Cast", g.op("MatMulInteger", q, w, z, codes(g, dtype, 24) // 8 if channels else np.array(3, dtype)), to=1)
    ws = scales(g, 24) if channels else np.array([0.004], np.float32)
    return g.op("Add", g.op("Mul", y, g.op("Mul", s, ws)), g.f32(24))


def dynamic_conv(g):
    g.dynamic = True
    q, s, z = g.op("DynamicQuantizeLinear", g.input(g.f32(1, 3, 16, 16)), outputs=3)
    y = g.op("ConvInteger", q, codes(g, np.uint8, 8, 3, 4, 4), z, np.uint8(128), strides=[4, 4], kernel_shape=[4, 4])
    y = g.op("Mul", g.op("Cast", y, to=1), g.op("Mul", s, np.float32(0.01)))
    return g.op("Add", y, g.f32(1, 8, 1, 1))


def on_codes(kind, shape, more=(), **attributes):
    """An operator of ONNX Runtime with one operand of codes."""
    def make(g):
        x = g.q(g.input(g.f32(*shape)), 0.03, np.uint8(120))
        s = np.float32(1 / 255 if "Softmax" in kind or "Sigmoid" in kind else 0.02)
        z = np.uint8(0 if "Softmax" in kind or "Sigmoid" in kind else 100)
        y = g.op(kind, x, np.float32(0.03), np.uint8(120), s, z, domain=MS, **attributes)
        g.step = float(s)
        return g.op("DequantizeLinear", y, s, z)
    return make


def qgemm(g, quantized=True):
    x = g.q(g.input(g.f32(4, 32)), 0.03, np.uint8(120))
    s = scales(g, 8)
    rest = [np.float32(0.1), np.uint8(100)] if quantized else []
    y = g.op("QGemm", x, np.float32(0.03), np.uint8(120), codes(g, np.int8, 8, 32) // 2, s, np.zeros(8, np.int8),
             g.rng.integers(-3000, 3000, 8).astype(np.int32), *rest, domain=MS, transB=1)
    g.step = 0.1 if quantized else 1e-4
    return g.op("DequantizeLinear", y, *rest) if quantized else y


def qconcat(g):
    a, b = g.q(g.input(g.f32(2, 4)), 0.03, np.uint8(120)), g.q(g.input(g.f32(2, 6)), 0.02, np.uint8(128))
    y = g.op("QLinearConcat", np.float32(0.04), np.uint8(110), a, np.float32(0.03), np.uint8(120), b, np.float32(0.02),
             np.uint8(128), domain=MS, axis=1)
    g.step = 0.04
    return g.op("DequantizeLinear", y, np.float32(0.04), np.uint8(110))


def qattention(g, at_run_time=False):
    g.dynamic = True
    x = g.input(g.f32(2, 6, 16))
    if at_run_time:
        q, s, z = g.op("DynamicQuantizeLinear", x, outputs=3)
    else:
        q, s, z = g.q(x, 0.03, np.uint8(120)), np.float32(0.03), np.uint8(120)
    return g.op("QAttention", q, codes(g, np.int8, 16, 48) // 2, g.f32(48), s, np.float32(0.004), "", z, np.int8(0), domain=MS,
                num_heads=4)


CASES = {f.__name__: f for f in (qat_weights, nncf_asymmetric, gemm_with_int32_bias, residual_and_layernorm, embedding_tables,
                                 signed_by_unsigned, per_column, weights_alone, spelt_out, dynamic_conv, qgemm, qconcat, qattention)}
CASES |= {
    "weights_alone_calibrated": lambda g: weights_alone(g, True),
    "dynamic_s8_per_channel": dynamic_matmul,
    "dynamic_u8_per_channel": lambda g: dynamic_matmul(g, np.uint8),
    "dynamic_u8_per_tensor": lambda g: dynamic_matmul(g, np.uint8, False),
    "qgemm_to_floats": lambda g: qgemm(g, False),
    "qattention_at_run_time": lambda g: qattention(g, True),
    "softmax": on_codes("QLinearSoftmax", (2, 3, 10), axis=-1, opset=18),
    "sigmoid": on_codes("QLinearSigmoid", (2, 10)),
    "leaky_relu": on_codes("QLinearLeakyRelu", (2, 10), alpha=0.1),
    "global_average_pool": on_codes("QLinearGlobalAveragePool", (2, 3, 5, 5), channels_last=0),
    "average_pool": on_codes("QLinearAveragePool", (1, 3, 8, 8), kernel_shape=[2, 2], strides=[2, 2]),
}


def int4(g):
    w = helper.make_tensor("w", TensorProto.INT4, (16, 8), np.zeros(64, np.uint8).tobytes(), raw=True)
    g.initializers.append(w)
    return g.op("MatMul", g.input(g.f32(2, 16)), g.op("DequantizeLinear", "w", scales(g, 8), axis=1))


def blocks(g):
    w = g.op("DequantizeLinear", codes(g, np.int8, 32, 8), scales(g, 16).reshape(2, 8), axis=0, block_size=16)
    return g.op("MatMul", g.input(g.f32(2, 32)), w)


def activations_of_16_bits(g):
    zero = np.int16(0)
    q = g.op("QuantizeLinear", g.input(g.f32(2, 32)), np.float32(0.01), zero)
    return g.op("DequantizeLinear", q, np.float32(0.01), zero)


REFUSED = {"int4": (int4, "int4"), "int16": (activations_of_16_bits, "hint: codes have 8 bits here"), "blocks": (blocks, "scales per block are not supported")}


def run(vitqc, name, work):
    g = Graph(len(name))
    y = CASES[name](g)
    path = f"{work}/{name}.onnx"
    onnx.save(g.model(y, 18), path)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    want = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, g.feed)[0]
    options = ["-verify"]
    if g.calibrated:
        np.savez(f"{work}/{name}.npz", **g.feed)
        options += ["-quant=w8a8", f"-calib={work}/{name}.npz"]
    try:
        ours = objects.compile_model(vitqc, path, f"{work}/{name}", options)
    except subprocess.CalledProcessError:
        return f"{name}: refused"
    got = list(ours(g.feed).values())[0]
    apart, bound = np.abs(got - want).max(), DYNAMIC * np.abs(want).max() if g.dynamic or not g.step else STEPS * g.step
    share = ours.info.integer_macs / ours.info.macs if ours.info.macs else 1
    print(f"{name:28} {apart:9.3g} of {bound:8.3g}   {100 * share:5.1f} % of products in integers")
    if share < g.share or ours.info.weight_bytes > g.constants:
        return f"{name}: {100 * share:.1f} % in integers and {ours.info.weight_bytes} bytes of constants, expected {100 * g.share} % and {g.constants}"
    return None if apart <= bound else f"{name}: {apart:.3g} apart, at most {bound:.3g} expected"


def refuse(vitqc, name, work):
    make, text = REFUSED[name]
    g = Graph(1)
    model = g.model(make(g), 21)
    model.ir_version = 10
    onnx.save(model, f"{work}/{name}.onnx")
    r = subprocess.run([vitqc, f"{work}/{name}.onnx", "-q", "-o", f"{work}/{name}.o"], capture_output=True, text=True)
    if r.returncode != 1 or text not in r.stderr or os.path.exists(f"{work}/{name}.o"):
        return f"{name}: exit code {r.returncode}, expected 1 and '{text}' in\n{r.stderr}"
    return None


def main():
    vitqc, work = sys.argv[1:3]
    pattern = sys.argv[3] if len(sys.argv) > 3 else ""
    if not objects.can_run():
        return 77
    os.makedirs(work, exist_ok=True)
    problems = [run(vitqc, n, work) for n in CASES if re.search(pattern, n)]
    problems += [refuse(vitqc, n, work) for n in REFUSED if re.search(pattern, n)]
    problems = [p for p in problems if p]
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
