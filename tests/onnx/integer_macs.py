# SPDX-License-Identifier: MIT
"""Multiply-accumulates in integer dot instructions, counted in QEMU while the object runs, against the sizes in the ONNX graph.

    integer_macs.py VITQC PLUGIN WORK [MODEL...]      PLUGIN: icount.so of tests/run/icount

Swin, BERT and DeiT-distilled of the zoo (if it is there) and a MobileViT-like network made here, each in w8a8 and w8a8-dynamic, for AVX2 and,
with a cross compiler, AArch64 with dotprod: dot instructions must do at least 95 % of the MACs of all MatMul, Gemm and Conv nodes, depthwise
convolutions, which stay in f32, included. MACs are counted from the file with onnx's shape inference, never by vitqc.
Exit code 77 without QEMU or its plugins.
"""
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
RUN = os.path.join(HERE, "..", "run")
ZOO = os.path.join(HERE, "..", "..", "..", "shared", "zoo", "models")
LEAST = 0.95
MOST = 1.35  # padding of small matrices to tiles
TARGETS = {
    "avx2": (["-target=x86-64", "-mcpu=x86-64-v3"], "gcc", ["qemu-x86_64", "-cpu", "max"], "vpmaddwd"),
    "dotprod": (["-target=aarch64", "-mattr=+dotprod"], "aarch64-linux-gnu-gcc", ["qemu-aarch64", "-cpu", "cortex-a76"], "sdot"),
}


class Network:
    """An ONNX graph under construction; weights from a fixed seed."""

    def __init__(self):
        self.nodes, self.weights, self.random = [], [], np.random.default_rng(7)

    def weight(self, *shape, value=None):
        if value is None:
            value = self.random.standard_normal(shape) / np.sqrt(max(1, np.prod(shape[1:])))
        name = f"w{len(self.weights)}"
        dtype = np.int64 if getattr(value, "dtype", None) == np.int64 else np.float32
        self.weights.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def node(self, op, *inputs, **attributes):
        out = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [out], name=f"{op}_{len(self.nodes)}", **attributes))
        return out

    def reshape(self, x, *shape):
        return self.node("Reshape", x, self.weight(value=np.array(shape, np.int64)))

    def conv(self, x, channels, out, size, stride=1, group=1, silu=True):
        x = self.node("Conv", x, self.weight(out, channels // group, size, size), strides=[stride, stride], group=group,
                      pads=[size // 2] * 4, kernel_shape=[size, size])
        one = self.random.uniform(0.5, 1.5, out)
        x = self.node("BatchNormalization", x, self.weight(value=one), self.weight(out), self.weight(out), self.weight(value=one))
        return self.node("Mul", x, self.node("Sigmoid", x)) if silu else x

    def linear(self, x, channels, out):
        return self.node("Add", self.node("MatMul", x, self.weight(value=self.random.standard_normal((channels, out)) / np.sqrt(channels))),
                         self.weight(out))

    def norm(self, x, dim):
        return self.node("LayerNormalization", x, self.weight(value=self.random.uniform(0.5, 2, dim)), self.weight(dim), axis=-1)

    def inverted_residual(self, x, channels, out, stride):
        y = self.conv(x, channels, 2 * channels, 1)
        y = self.conv(y, 2 * channels, 2 * channels, 3, stride, group=2 * channels)
        y = self.conv(y, 2 * channels, out, 1, silu=False)
        return self.node("Add", x, y) if stride == 1 and channels == out else y

    def encoder(self, x, batch, tokens, dim, heads):
        def split(y):
            return self.node("Transpose", self.reshape(y, batch, tokens, heads, dim // heads), perm=[0, 2, 1, 3])
        y = self.norm(x, dim)
        q, k, v = (split(self.linear(y, dim, dim)) for _ in range(3))
        scores = self.node("MatMul", q, self.node("Transpose", k, perm=[0, 1, 3, 2]))
        scores = self.node("Mul", scores, self.weight(value=np.float32((dim // heads) ** -0.5)))
        y = self.node("MatMul", self.node("Softmax", scores, axis=-1), v)
        y = self.reshape(self.node("Transpose", y, perm=[0, 2, 1, 3]), batch, tokens, dim)
        x = self.node("Add", x, self.linear(y, dim, dim))
        y = self.linear(self.norm(x, dim), dim, 2 * dim)
        y = self.node("Mul", y, self.node("Sigmoid", y))
        return self.node("Add", x, self.linear(y, 2 * dim, dim))

    def mobilevit_block(self, x, channels, size, dim):
        """Local 3x3 and 1x1 convolutions, attention between pixels of equal place in 2x2 patches, fusion with the input."""
        y = self.conv(x, channels, channels, 3)
        y = self.conv(y, channels, dim, 1)
        half = size // 2
        y = self.node("Transpose", self.reshape(y, dim * half, 2, half, 2), perm=[0, 2, 1, 3])
        y = self.node("Transpose", self.reshape(y, 1, dim, half * half, 4), perm=[0, 3, 2, 1])
        y = self.reshape(y, 4, half * half, dim)
        for _ in range(2):
            y = self.encoder(y, 4, half * half, dim, 4)
        y = self.norm(y, dim)
        y = self.node("Transpose", self.reshape(y, 1, 4, half * half, dim), perm=[0, 3, 2, 1])
        y = self.node("Transpose", self.reshape(y, dim * half, half, 2, 2), perm=[0, 2, 1, 3])
        y = self.conv(self.reshape(y, 1, dim, size, size), dim, channels, 1)
        return self.conv(self.node("Concat", x, y, axis=1), 2 * channels, channels, 3)


def mobilevit():
    n = Network()
    x = n.conv("image", 3, 16, 3, 2)
    x = n.inverted_residual(x, 16, 32, 1)
    x = n.inverted_residual(x, 32, 48, 2)
    x = n.mobilevit_block(x, 48, 16, 64)
    x = n.conv(n.inverted_residual(x, 48, 64, 2), 64, 160, 1)
    x = n.node("GlobalAveragePool", x)
    x = n.node("Gemm", n.node("Flatten", x), n.weight(10, 160), n.weight(10), transB=1)
    graph = helper.make_graph(n.nodes, "mobilevit", [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 64, 64])],
                              [helper.make_tensor_value_info(x, TensorProto.FLOAT, [1, 10])], n.weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def node_macs(model):
    """(node, MACs, is it depthwise) of every product of the graph"""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    shape = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in [*graph.value_info, *graph.input, *graph.output]}
    shape.update((t.name, list(t.dims)) for t in graph.initializer)
    for node in graph.node:
        if node.op_type in ("MatMul", "Gemm", "Conv"):
            out, a, w = (shape[name] for name in (node.output[0], node.input[0], node.input[1]))
            trans = any(x.name == "transA" and x.i for x in node.attribute)
            each = np.prod(w[1:]) if node.op_type == "Conv" else a[-2 if trans else -1]
            yield node, int(np.prod(out) * each), node.op_type == "Conv" and w[1] == 1 and a[1] > 1


def zoo(name):
    return lambda: onnx.load(os.path.join(ZOO, name + ".onnx"))


def needed(name, node, macs):
    """The pooler of BERT reads the first of 32 tokens, so behind k and v of the last layer only that one is computed."""
    last = ("/query_1/MatMul", "/MatMul_2", "/MatMul_3", "/out_1/MatMul", "/fc1_1/MatMul", "/fc2_1/MatMul")
    return macs // 32 if name == "bert" and node.name in last else macs


MODELS = {"mobilevit": mobilevit, "swin": zoo("swin_s_op17"), "bert": zoo("bert_gelu_op17"), "deit_distilled": zoo("deit_dist_s2_op17")}


def samples(model):
    """input name -> arrays; ids for integer inputs"""
    random = np.random.default_rng(3)
    fed = {}
    for v in model.graph.input:
        if v.name in {t.name for t in model.graph.initializer}:
            continue
        dims = [d.dim_value for d in v.type.tensor_type.shape.dim]
        if v.type.tensor_type.elem_type == TensorProto.FLOAT:
            fed[v.name] = random.standard_normal([4, *dims], np.float32)
        else:
            fed[v.name] = random.integers(0, 2, [4, *dims]).astype(np.int64)
    return fed


def measure(vitqc, plugin, path, fed, options, target, work):
    flags, cc, qemu, dot = TARGETS[target]
    subprocess.run([vitqc, path, "-q", *flags, *options, "-prefix=model", "-o", f"{work}/model.o"], check=True)
    outputs = len(onnx.load(path).graph.output)
    header = open(f"{work}/model.h").read()
    subprocess.run([cc, "-std=c11", "-O1", "-static", f"-DINPUTS={len(fed)}", f"-DOUTPUTS={outputs}", "-include", f"{work}/model.h",
                    f"{RUN}/model_io.c", f"{work}/model.o", "-o", f"{work}/program"], check=True)
    names = re.findall(r'\("(.*)" in the model\)', header)[:len(fed)]
    files = []
    for i, name in enumerate(names):
        files.append(f"{work}/in{i}")
        fed[name][0].tofile(files[-1])
    files += [f"{work}/out{i}" for i in range(outputs)]
    subprocess.run([qemu[0], "-plugin", f"{plugin},out={work}/counts", *qemu[1:], f"{work}/program", *files], check=True)
    table = subprocess.run(["sh", f"{RUN}/icount/count.sh", shutil.which("llvm-objdump-19") or "llvm-objdump", f"{work}/program",
                            f"{work}/counts", dot], check=True, stdout=subprocess.PIPE, text=True).stdout
    rows = {line.split()[0]: [int(n) for n in line.split()[1:]] for line in table.splitlines() if not line.startswith("idle")}
    return sum(rows.get(g, [0, 0, 0])[1] for g in ("linear", "attention")), rows.get("float", [0, 0, 0])[2]


def main():
    vitqc, plugin, work, *wanted = sys.argv[1:]
    targets = [t for t, (_, cc, qemu, _) in TARGETS.items() if shutil.which(cc) and shutil.which(qemu[0])]
    if not targets or subprocess.run([*TARGETS[targets[0]][2], "-plugin", "help", "/bin/true"], stdout=subprocess.DEVNULL,
                                     stderr=subprocess.PIPE, text=True).stderr.find("unknown option") >= 0:
        print("skip: no QEMU with plugins")
        return 77
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    failed = False
    print(f"{'model':15s} {'scheme':13s} {'target':8s} {'in dots':>10s} {'of the net':>10s}  share  depthwise  f32 products")
    for name in wanted or MODELS:
        try:
            model = MODELS[name]()
        except FileNotFoundError as e:
            print(f"skip: {name}: {e}")
            continue
        path = f"{work}/{name}.onnx"
        onnx.save(model, path)
        products = list(node_macs(model))
        macs = sum(needed(name, node, n) for node, n, _ in products)
        depthwise = sum(n for _, n, alone in products if alone)
        fed = samples(model)
        np.savez(f"{work}/{name}.npz", **fed)
        for scheme, options in ("w8a8", [f"-calib={work}/{name}.npz"]), ("w8a8-dynamic", ["-quant=w8a8-dynamic"]):
            for target in targets:
                done, floats = measure(vitqc, plugin, path, fed, options, target, work)
                print(f"{name:15s} {scheme:13s} {target:8s} {done:10d} {macs:10d} {100 * done / macs:6.1f} {100 * depthwise / macs:8.1f} %"
                      f" {100 * floats / macs:8.1f} %", flush=True)
                if not LEAST * macs <= done <= MOST * macs:
                    print(f"FAIL: {name}, {scheme}, {target}: dot instructions do {done} of {macs} MACs")
                    failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
