#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Operators of com.microsoft against ONNX Runtime, whose operators they are: small models on random inputs, float.

    contrib.py VITQC WORK [PATTERN]      PATTERN: only cases whose names match

ONNX Runtime adds in another order: at most 1e-5 of the largest result apart.
"""
import os
import re
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

BOUND = 1e-5
TYPES = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32, "int64": TensorProto.INT64, "bool": TensorProto.BOOL, "uint8": TensorProto.UINT8}
B, S, D, H = 2, 6, 16, 4  # batch, length, width, heads


def f(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def ids(rng, most, *shape):
    return rng.integers(0, most, shape).astype(np.int32)


def attention(rng, mask=None, columns=3 * D, **attributes):
    return "Attention", [f(rng, B, S, D), f(rng, D, columns) / 4, f(rng, columns), mask], {"num_heads": H, **attributes}


def multi_head(rng, *rest, keys=S, **attributes):
    return "MultiHeadAttention", [f(rng, B, S, D), f(rng, B, keys, D), f(rng, B, keys, 2 * D), *rest], \
        {"num_heads": H, **attributes}


def packed(rng, parts):
    """Keys and values, and queries too with three parts, in one tensor, and the same apart: ONNX Runtime has no such form on CPUs."""
    x, both = f(rng, B, S, D), f(rng, B, S, H, parts, 4)
    apart = [np.ascontiguousarray(both[:, :, :, i]).reshape(B, S, D) for i in range(parts)]
    ours = [both] if parts == 3 else [x, both]
    return "MultiHeadAttention", ours, {"num_heads": H}, 1, apart if parts == 3 else [x, *apart]


def nbits(rng, k, bits, block, zeros=None, bias=False):
    """Random codes; ONNX Runtime multiplies the floats that they stand for."""
    n, blocks = 10, -(-k // block)
    codes, scales = rng.integers(0, 256, (n, blocks, block * bits // 8), np.uint8), np.abs(f(rng, n, blocks)) + np.float32(0.1)
    zero = {None: None, "codes": rng.integers(0, 256, (n, -(-blocks * bits // 8)), np.uint8), "floats": f(rng, n, blocks)}[zeros]
    return "MatMulNBits", [f(rng, B, S, k), codes, scales, zero, None, f(rng, n) if bias else None], \
        {"K": k, "N": n, "bits": bits, "block_size": block}


def embed(rng, mask=None, segments=True, **more):
    word, position, segment = f(rng, 20, D), f(rng, 10, D), f(rng, 2, D)
    return "EmbedLayerNormalization", [ids(rng, 20, B, S), ids(rng, 2, B, S) if segments else None, word, position,
                                       segment if segments else None, f(rng, D), f(rng, D), mask,
                                       more.get("positions")], {"epsilon": 1e-5}


def cases(rng):
    """{name: (operator, inputs, attributes, number of outputs, inputs for ONNX Runtime)}, the last two optional."""
    shown = np.array([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]], np.int32)
    lengths = np.array([4, 6], np.int32)
    seen = rng.integers(0, 2, (B, S, S)).astype(np.int32) | np.eye(S, dtype=np.int32)
    rope = [f(rng, 12, 2), f(rng, 12, 2)]
    x = f(rng, B, S, D)
    made = {
        "attention": attention(rng),
        "attention_lengths": attention(rng, lengths),
        "attention_ends_and_starts": attention(rng, np.array([4, 6, 1, 0], np.int32)),
        "attention_mask": attention(rng, shown),
        "attention_mask_3d": attention(rng, seen),
        "attention_unidirectional": attention(rng, unidirectional=1),
        "attention_widths": attention(rng, None, D + D + 2 * D, qkv_hidden_sizes=[D, D, 2 * D], scale=0.3),
        "attention_bias": ("Attention", [x, f(rng, D, 3 * D), f(rng, 3 * D), shown, None, f(rng, 1, H, S, S)], {"num_heads": H}),
        "multi_head": multi_head(rng),
        "multi_head_cross": multi_head(rng, f(rng, 4 * D), keys=9),
        "multi_head_padding": multi_head(rng, None, shown, mask_filter_value=-1e4),
        "multi_head_bias": multi_head(rng, None, None, f(rng, B, H, S, S), scale=0.2),
        "multi_head_packed": packed(rng, 3),
        "multi_head_packed_kv": packed(rng, 2),
        "multi_head_4d": ("MultiHeadAttention", [x, f(rng, B, H, 7, 4), f(rng, B, H, 7, 4)], {"num_heads": H}),
        "rotary": ("RotaryEmbedding", [x, np.array([[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]], np.int64), *rope], {}),
        "rotary_offset": ("RotaryEmbedding", [x, np.array([3], np.int64), *rope], {}),
        "rotary_4d_interleaved": ("RotaryEmbedding", [f(rng, B, H, S, 4), np.array([0], np.int64), *rope], {"interleaved": 1}),
        "rotary_part": ("RotaryEmbedding", [f(rng, B, S, 24), np.array([0], np.int64), *rope],
                        {"num_heads": 3, "rotary_embedding_dim": 4}),
        "embed": (*embed(rng), 3),
        "embed_mask": (*embed(rng, shown), 2),
        "embed_no_segments": (*embed(rng, None, False), 2),
        "embed_positions": (*embed(rng, None, True, positions=ids(rng, 10, B, S)), 2),
        "skip_layernorm": ("SkipLayerNormalization", [x, f(rng, B, S, D), f(rng, D), f(rng, D), f(rng, D)], {"epsilon": 1e-5}, 4),
        "skip_rms": ("SkipSimplifiedLayerNormalization", [x, f(rng, B, S, D), f(rng, D), f(rng, D)], {"epsilon": 1e-5}, 4),
        "skip_broadcast": ("SkipLayerNormalization", [x, f(rng, S, D), f(rng, D), f(rng, D)], {}),
        "rms": ("SimplifiedLayerNormalization", [x, f(rng, D)], {"epsilon": 1e-5}),
        "gelu": ("Gelu", [x], {}),
        "fast_gelu": ("FastGelu", [x, f(rng, D)], {}),
        "bias_gelu": ("BiasGelu", [x, f(rng, D)], {}),
        "quick_gelu": ("QuickGelu", [x], {"alpha": 1.5}),
        "nbits": nbits(rng, 64, 4, 32),
        "nbits_zeros": nbits(rng, 80, 4, 16, "codes", True),
        "nbits_8": nbits(rng, 64, 8, 32, "codes"),
        "nbits_float_zeros": nbits(rng, 64, 4, 32, "floats"),
        "fused_matmul": ("FusedMatMul", [f(rng, B, D, S), f(rng, B, S, D)], {"transA": 1, "transB": 1, "alpha": 0.5}),
        "fused_matmul_batch": ("FusedMatMul", [f(rng, S, B, H, D), f(rng, B, H, D, 5)], {"transBatchA": 1}),
        "fused_matmul_batches": ("FusedMatMul", [f(rng, D, B, S), f(rng, 5, B, D)], {"transA": 1, "transB": 1, "transBatchA": 1, "transBatchB": 1}),
    }
    image, kernel = f(rng, B, 4, 9, 7), f(rng, 8, 2, 3, 3)
    for activation, params in (("Relu", []), ("Tanh", []), ("Sigmoid", []), ("LeakyRelu", [0.2]), ("Clip", [-0.5, 1.5]), ("HardSigmoid", [0.3, 0.4])):
        made[f"fused_conv_{activation}"] = ("FusedConv", [image, kernel, f(rng, 8)],
                                            {"activation": activation, **({"activation_params": params} if params else {}), "group": 2, "strides": [2, 1],
                                             "pads": [1, 0, 1, 2]})
    made["fused_conv_sum"] = ("FusedConv", [image, f(rng, 8, 4, 3, 3), f(rng, 8), f(rng, B, 8, 7, 5)], {"activation": "Relu"})
    for activation, params in (("Relu", {}), ("Elu", {"alpha": 0.7}), ("HardSigmoid", {"alpha": 0.3, "beta": 0.4}), ("LeakyRelu", {"alpha": 0.2}),
                               ("Selu", {"alpha": 1.5, "gamma": 1.2}), ("Softplus", {}), ("Softsign", {}), ("ThresholdedRelu", {"alpha": 0.6})):
        made[f"fused_gemm_{activation}"] = ("FusedGemm", [f(rng, S, D), f(rng, 10, D), f(rng, 10)],
                                            {"activation": activation, "alpha": 0.5, "transB": 1, **{f"activation_{k}": v for k, v in params.items()}})
    return {n: (*c, *(1, None)[len(c) - 3:]) for n, c in made.items()}


# what exporters feed at run time; weights are constants
RUN_TIME = {"Attention": (0, 3, 5), "MultiHeadAttention": (0, 1, 2, 4, 5), "RotaryEmbedding": (0, 1), "FusedMatMul": (0, 1),
            "EmbedLayerNormalization": (0, 1, 7, 8), "SkipLayerNormalization": (0, 1), "SkipSimplifiedLayerNormalization": (0, 1)}


def write(path, op, inputs, attributes, outputs):
    fed, constants = {}, []
    for k, a in enumerate(inputs):
        if a is not None and k in RUN_TIME.get(op, (0,)):
            fed[f"x{k}"] = a
        elif a is not None:
            constants.append(numpy_helper.from_array(a, f"x{k}"))
    domain = "" if op.startswith("Simplified") else "com.microsoft"
    names = ["" if a is None else f"x{k}" for k, a in enumerate(inputs)]
    out = ["y0", "y1", "y2", "y3"][:outputs] if outputs != 4 else ["y0", "", "", "y3"]
    node = helper.make_node(op, names, out, name="it", domain=domain, **attributes)
    infos = [helper.make_tensor_value_info(n, TYPES[a.dtype.name], a.shape) for n, a in fed.items()]
    shown = [helper.make_tensor_value_info(n, TensorProto.INT32 if n == "y1" else TensorProto.FLOAT, None) for n in out if n]
    graph = helper.make_graph([node], "g", infos, shown, constants)
    onnx.save(helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 16),
                                                                    helper.make_opsetid("com.microsoft", 1)]), path)
    return fed


def main():
    vitqc, work = sys.argv[1:3]
    pattern = sys.argv[3] if len(sys.argv) > 3 else ""
    os.makedirs(work, exist_ok=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    worst, failed = (0, ""), 0
    made = cases(np.random.default_rng(7))
    for name, (op, inputs, attributes, outputs, apart) in made.items():
        if not re.search(pattern, name):
            continue
        stem = f"{work}/{name}"
        fed = write(f"{stem}.ort.onnx", op, apart or inputs, attributes, outputs)
        theirs = onnxruntime.InferenceSession(f"{stem}.ort.onnx", options, providers=["CPUExecutionProvider"]).run(None, fed)
        fed = write(f"{stem}.onnx", op, inputs, attributes, outputs)
        np.savez(f"{stem}.npz", **fed)
        done = subprocess.run([vitqc, f"{stem}.onnx", "-q", "-quant=none", f"-run={stem}.npz", "-o", f"{stem}.out.npz"],
                              stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            print(f"{name}: {done.stderr.strip()}")
            failed += 1
            continue
        with np.load(f"{stem}.out.npz") as ours:
            off = max(float(np.max(np.abs(ours[k].astype(np.float64) - t))) / max(1e-9, float(np.max(np.abs(t))))
                      if ours[k].shape == t.shape else np.inf for k, t in zip(ours.files, theirs))
        worst = max(worst, (off, name))
        if not off <= BOUND:
            print(f"{name}: {off:.3g} of the largest result apart")
            failed += 1
    print(f"{len(made)} cases, {failed} fail, worst {worst[0]:.2g} of the largest result ({worst[1]})")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
