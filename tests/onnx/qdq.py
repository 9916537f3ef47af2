#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Objects against ONNX Runtime on the Fashion-MNIST test images.

    qdq.py VITQC SOURCE WORK [ONLY]      ONLY: part of the titles of the rows to run

Exported: vitqc writes a model as an object and in QDQ form (-emit=onnx,obj); ONNX Runtime runs the latter. Imported: models
that bring scales (post-training QDQ and quantization-aware training), ONNX Runtime runs the same file. In both the largest
logit must be the same one on at least 99 % of the images: ONNX Runtime rounds its products elsewhere, so that codes differ by
one now and then. Float: the same model without quantization, logits within 1e-4.
"""
import os
import sys

import numpy as np
import onnx
import onnxruntime

import objects

MEAN, STD = 0.2860, 0.3530
LEAST = 0.99       # share of images with the same top-1
FLOAT_BOUND = 1e-4  # of float logits: sums in another order, at |logit| < 20


def logits(model, images):
    name = model.names[0]
    return np.concatenate([next(iter(model({name: x[None]}).values())) for x in images])


def onnxruntime_logits(model, images):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # several would wait for each other in a busy loop
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: x[None]})[0] for x in images])


def batch_of_one(model):
    """Options that give the sizes of symbolic dimensions."""
    if not os.path.exists(model):
        return []
    shape = onnx.load(model).graph.input[0].type.tensor_type.shape
    return [o for d in shape.dim if d.dim_param for o in ("-dim", f"{d.dim_param}=1")]


def main():
    vitqc, source, work = sys.argv[1:4]
    only = sys.argv[4] if len(sys.argv) > 4 else ""
    os.makedirs(work, exist_ok=True)
    fashion, zoo = f"{source}/samples/fashion", f"{source}/../shared/zoo/fm"
    pixels, labels = np.load(f"{fashion}/test_images.npy"), np.load(f"{fashion}/test_labels.npy")
    images = ((pixels.astype(np.float32) / np.float32(255) - np.float32(MEAN)) / np.float32(STD)).reshape(-1, 1, 28, 28)
    calibrated = [f"-calib={fashion}/calib_images.npy", f"-image-mean={MEAN}", f"-image-std={STD}"]
    rows = [(f"{name} exported", f"{fashion}/{name}.onnx", ["-emit=obj,onnx", *calibrated])
            for name in ("vit", "vit_outlier_hard")]
    rows += [(f"{name} float", f"{fashion}/{name}.onnx", ["-quant=none"]) for name in ("vit", "vit_outlier_hard")]
    rows += [(f"{name} imported", f"{zoo}/{name}.onnx", batch_of_one(f"{zoo}/{name}.onnx"))
             for name in ("vit_fm_qdq_op13", "vit_fm_qdq_op17", "vit_fm_qat_op13", "vit_fm_qat_op17")]
    print(f"{len(images)} images{'':24} {'same top-1':>10} {'largest difference':>19} {'mean':>8} "
          f"{'right: object':>14} {'onnxruntime':>12}")
    failed = False
    for title, model, options in rows:
        if only not in title:
            continue
        if not os.path.exists(model):
            print(f"{title:34} skipped: no {model}")
            continue
        stem = f"{work}/{title.replace(' ', '_')}"
        ours = logits(objects.compile_model(vitqc, model, stem, options), images)
        other = f"{stem}.onnx" if title.endswith("exported") else model
        if title.endswith("exported"):
            onnx.checker.check_model(other, full_check=True)
        theirs = onnxruntime_logits(other, images)
        same = float(np.mean(ours.argmax(1) == theirs.argmax(1)))
        apart = np.abs(ours - theirs)
        good = same >= LEAST and (not title.endswith("float") or float(apart.max()) <= FLOAT_BOUND)
        failed = failed or not good
        print(f"{title:34} {100 * same:9.2f}% {apart.max():19.3g} {apart.mean():8.2g} "
              f"{100 * np.mean(ours.argmax(1) == labels):13.2f}% {100 * np.mean(theirs.argmax(1) == labels):11.2f}%"
              f"{'' if good else '   FAIL'}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
