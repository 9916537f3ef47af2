#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Transformer families as exporters write them, through objects in every scheme, against ONNX Runtime.

    families.py VITQC WORK [PATTERN [FOLDER]]      PATTERN: only families whose names match; FOLDER: of other exports of them

families/*.onnx are real exports without their large weights (families_export.py says how they were made); the weights are filled in
here from a seed. Float: within 1e-4 of the largest |value|. w8a8-dynamic and w8a8, calibrated on random inputs: the cosine with
ONNX Runtime's float outputs over a few inputs, and the share of multiply-accumulates in integers, at least what EXPECTED says.
"""
import os
import re
import subprocess
import sys
import zlib

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

import objects

HERE = os.path.dirname(os.path.abspath(__file__))
FLOAT_BOUND = 1e-4
SAMPLES, TESTS = 32, 3

# Least cosine and least share of integer products in percent: of w8a8-dynamic, of w8a8. Weights are random and most nets have one
# block of 32 channels, so that noise does not average out.
DEFAULT = (0.995, 100, 0.995, 100)
EXPECTED = {
    "cait.l17": (0.995, 100, 0.99, 100),
    "clip_vision.d18": (0.995, 100, 0.99, 100),
    "efficientformerv2.l17": (0.98, 100, 0.98, 100),  # scores of 1e5: its softmax takes one key, and which one may depend on a code
    "groupvit.d18": (0.995, 100, 0.97, 100),  # a token goes to one group as a whole, and to which may depend on a code
    "sam.l17": (0.99, 100, 0.99, 100),
    "siglip_vision.l17": (0.99, 100, 0.99, 100),
    "vit_siglip.l17": (0.99, 100, 0.99, 100),
}


def fill(model):
    """Weights that families_export.py took out, from their names; the same on every machine."""
    tensors = list(model.graph.initializer)
    tensors += [a.t for n in model.graph.node if n.op_type == "Constant" for a in n.attribute if a.name == "value"]
    for i, t in enumerate(tensors):
        if not t.doc_string.startswith("random "):
            continue
        mean, deviation = (float(x) for x in t.doc_string.split()[1:])
        noise = np.random.Generator(np.random.PCG64(i)).standard_normal(tuple(t.dims))
        t.CopyFrom(numpy_helper.from_array((mean + deviation * noise).astype(np.float32), t.name))
    return model


def random_inputs(model, rng):
    """Images and signals from a normal distribution, token ids below 60, masks with three positions masked."""
    fed = {}
    for value in model.graph.input:
        t = value.type.tensor_type
        shape = [d.dim_value or 1 for d in t.shape.dim]
        if t.elem_type == onnx.TensorProto.FLOAT:
            fed[value.name] = rng.standard_normal(shape).astype(np.float32)
        elif "mask" in value.name:
            fed[value.name] = np.broadcast_to((np.arange(shape[-1]) < shape[-1] - 3).astype(np.int64), shape).copy()
        else:
            fed[value.name] = rng.integers(3, 60, shape)
    return fed


def cosine(a, b):
    a, b = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def reference(path, tests):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return [session.run(None, fed) for fed in tests]


def outputs(vitqc, path, stem, options, tests):
    model = objects.compile_model(vitqc, path, stem, options)
    return [list(model(fed).values()) for fed in tests], model.info


def least_cosine(got, want):
    return min(cosine(g, w) for gs, ws in zip(got, want) for g, w in zip(gs, ws))


def open_dimensions(model):
    """Options that make one of every symbolic dimension."""
    names = {d.dim_param for i in model.graph.input for d in i.type.tensor_type.shape.dim if d.dim_param}
    return [f"-dim={n}=1" for n in sorted(names)]


def check(vitqc, name, folder, work):
    """(figures, problems) of one family."""
    path, stem = f"{work}/{name}.onnx", f"{work}/{name}"
    model = fill(onnx.load(f"{folder}/{name}.onnx"))
    sizes = open_dimensions(model)
    onnx.save(model, path)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    calibration = [random_inputs(model, rng) for _ in range(SAMPLES)]
    tests = [random_inputs(model, rng) for _ in range(TESTS)]
    np.savez(f"{stem}.npz", **{k: np.concatenate([c[k] for c in calibration]) for k in calibration[0]})
    want = reference(path, tests)
    got, _ = outputs(vitqc, path, f"{stem}.none", ["-quant=none", *sizes], tests)
    error = max(float(np.abs(g - w).max() / np.abs(w).max()) for gs, ws in zip(got, want) for g, w in zip(gs, ws))
    figures, problems = [error], []
    if not error <= FLOAT_BOUND:
        problems.append(f"{name}: float differs by {error:.1e} of the largest value, expected at most {FLOAT_BOUND}")
    expected = EXPECTED.get(name, EXPECTED.get(f"{name.split('.')[0]}.l17", DEFAULT))
    for k, (scheme, more) in enumerate((("w8a8-dynamic", []), ("w8a8", [f"-calib={stem}.npz"]))):
        got, info = outputs(vitqc, path, f"{stem}.{scheme}", [f"-quant={scheme}", *more, *sizes], tests)
        near, share = least_cosine(got, want), 100 * info.integer_macs / info.macs
        figures += [near, share]
        if not near >= expected[2 * k]:
            problems.append(f"{name}: cosine of {scheme} is {near:.4f}, expected at least {expected[2 * k]}")
        if not share >= expected[2 * k + 1] - 1e-9:
            problems.append(f"{name}: {share:.2f} % of {scheme} in integers, expected at least {expected[2 * k + 1]}")
    return figures, problems


def main():
    vitqc, work = sys.argv[1:3]
    pattern = sys.argv[3] if len(sys.argv) > 3 else ""
    folder = sys.argv[4] if len(sys.argv) > 4 else f"{HERE}/families"
    if not objects.can_run():
        print("objects for x86-64 do not run on this machine")
        return 77
    os.makedirs(work, exist_ok=True)
    names = sorted(f[:-5] for f in os.listdir(folder) if f.endswith(".onnx"))
    bad = [f"{n} is in the table, but there is no such file" for n in EXPECTED if n not in names and len(sys.argv) <= 4]
    print("family                 float error   w8a8-dynamic          w8a8")
    for name in (n for n in names if re.search(pattern, n)):
        try:
            f, problems = check(vitqc, name, folder, work)
            print(f"{name:22} {f[0]:11.1e}   {f[1]:.4f} {f[2]:6.2f} %   {f[3]:.4f} {f[4]:6.2f} %", flush=True)
        except (subprocess.CalledProcessError, RuntimeError, TypeError) as e:
            problems = [f"{name}: {e}"]
        bad += problems
    print("\n".join(bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
