#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The zoo beside the repository: how far float and quantized objects are from PyTorch's outputs, one line of a table per model.

    zoo.py VITQC SOURCE WORK [PART]      PART: part of the names of the models to try; exit code 77 without the zoo
ZOO_FULL=1: every export; otherwise one of each model

Float: max |error| <= 1e-4 max |reference|. Quantized: the cosine with the reference, at least 0.99 for every row of outputs.
Exports have one stored input, which w8a8 is calibrated on as well; models that were trained on Fashion-MNIST are calibrated on
64 images and compared on 256 others, where at least 99 % have the same largest logit.
"""
import glob
import os
import sys

import numpy as np

import objects

FLOAT_BOUND, LEAST_COSINE, LEAST_SAME = 1e-4, 0.99, 0.99
ONE_OF_EACH = ["vit_s2_op17", "deit_dist_s2_op17", "deit3_s2_op17", "hfvit_s2_op17", "tv_vit_s2_op17", "torchenc_s2_op17",
               "swin_s_op17", "bert_gelu_op17", "bert_tiny_sst2_enc_op17", "vit_fm_outlier_hard_op17"]


def dimensions(name):
    if "_dyn" not in name:
        return []
    if name.startswith("vit_fm"):
        return ["-dim", "batch=1"]
    return ["-dim", "batch=2", *(["-dim", "seq=32"] if name.startswith("bert") else [])]


def load(path):
    with np.load(path) as data:
        return {k: data[k] for k in data.files}


def models(zoo):
    """(path, calibration, [inputs], [reference]) of each."""
    for path in sorted(glob.glob(f"{zoo}/models/*.onnx")) + sorted(glob.glob(f"{zoo}/bert_tiny/*.onnx")):
        data = path.replace(".onnx", ".io.npz")
        data = data if os.path.exists(data) else f"{os.path.dirname(path)}/io.npz"
        yield path, data, [load(data)], [load(data)]
    images = np.load(f"{zoo}/data/fmnist_test_f32_256.npy")
    images = images.reshape(len(images), 1, 1, *images.shape[-2:])
    logits = np.load(f"{zoo}/fm/vit_fm_logits_256.npy").reshape(len(images), 1, -1)
    for path in sorted(glob.glob(f"{zoo}/fm/*.onnx")):
        if "_qat_" not in path and "_qdq_" not in path:
            yield path, f"{zoo}/data/fmnist_calib_f32_64.npy", list(images), list(logits)


def outputs(model, fed):
    if isinstance(fed, dict):
        return model({k: fed[k] for k in model.names[:model.info.n_inputs]})
    return model({model.names[0]: fed})


def runs(model, data):
    """What is stored may be several inputs, one behind the other."""
    if not isinstance(data, dict):
        return [data]
    each, stored = model.types[0][1][0], len(data[model.names[0]]) if model.names[0] in data else 0
    return [{k: v[i:i + each] for k, v in data.items()} for i in range(0, stored, each)] if stored > each else [data]


def agreement(model, inputs, want):
    """(largest relative error, least cosine of a row, share of rows with the same largest element)"""
    error, cosine, same = 0.0, 1.0, []
    pairs = [pair for fed, reference in zip(inputs, want) for pair in zip(runs(model, fed), runs(model, reference))]
    for fed, reference in pairs:
        for name, got in outputs(model, fed).items():
            w = reference[name] if isinstance(reference, dict) else reference
            g, w = (x.reshape(-1, x.shape[-1]).astype(np.float64) for x in (got, w))
            error = max(error, np.abs(g - w).max() / np.abs(w).max())
            cosine = min(cosine, ((g * w).sum(1) / np.linalg.norm(g, axis=1) / np.linalg.norm(w, axis=1)).min())
            same.append((g.argmax(1) == w.argmax(1)).mean())
    return error, cosine, float(np.mean(same))


def main():
    vitqc, source, work = sys.argv[1:4]
    part = sys.argv[4] if len(sys.argv) > 4 else ""
    zoo = f"{source}/../shared/zoo"
    if not objects.can_run() or not os.path.isdir(f"{zoo}/models"):
        print(f"zoo.py: no zoo at {zoo}, or objects for this machine are not tried here")
        return 77
    os.makedirs(work, exist_ok=True)
    good = True
    print("| model | float: error | `w8a8-dynamic`: cosine | same top-1 | `w8a8`: cosine | same top-1 |\n|---|---|---|---|---|---|")
    for path, calibration, inputs, want in models(zoo):
        name = os.path.basename(path)[:-len(".onnx")]
        if part not in name or not (part or os.environ.get("ZOO_FULL") == "1" or name in ONE_OF_EACH):
            continue
        line = f"| {name} |"
        for scheme, options in (("none", []), ("w8a8-dynamic", []), ("w8a8", [f"-calib={calibration}"])):
            model = objects.compile_model(vitqc, path, f"{work}/{name}_{scheme.replace('-', '_')}",
                                          [f"-quant={scheme}", *options, *dimensions(name)], target="-target=native")
            error, cosine, same = agreement(model, inputs, want)
            trained = not isinstance(want[0], dict)
            fine = error <= FLOAT_BOUND if scheme == "none" else same >= LEAST_SAME if trained else cosine >= LEAST_COSINE
            good &= bool(fine)
            line += f" {error:.1e}" if scheme == "none" else f" {cosine:.4f} | {100 * same:.1f} %"
            line += " |" if fine else " FAIL |"
        print(line, flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
