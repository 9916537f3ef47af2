#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Published float models with real weights: objects against ONNX Runtime on the same file.

    published.py VITQC SOURCE MODELS WORK [NAME…]     MODELS: a folder that keeps what is fetched; NAME: minilm dinov2 magika

Every model is compiled as it was published and as ONNX Runtime's optimiser rewrites it (SessionOptions.optimized_model_filepath),
in float, w8a8-dynamic and w8a8; the reference is always ONNX Runtime in float on the published file. Bounds are stated beside
the models. PUBLISHED_FULL=1: every rewriting in every scheme on every input (minutes); otherwise a part of that.
Exit code 77: what is published cannot be fetched.
"""
import gzip
import io
import json
import os
import resource
import sys
import tarfile
import time
import zipfile

import numpy as np
import onnx
import onnxruntime
from PIL import Image

import fetch_model
import objects
import sentences

FULL = os.environ.get("PUBLISHED_FULL") == "1"
FLOAT_BOUND = 1e-4  # max |error| / max |reference|: sums in another order
SCHEMES = {"none": ["-quant=none"], "w8a8-dynamic": ["-quant=w8a8-dynamic"], "w8a8": ["-quant=w8a8"],
           "w8a8 token": ["-quant=w8a8", "-act-granularity=token"]}


def cosines(got, want):
    """Of the rows of two arrays of any rank."""
    a, b = (x.reshape(-1, x.shape[-1]).astype(np.float64) for x in (got, want))
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def relative_error(got, want):
    return float(max(np.abs(g - w).max() / np.abs(w).max() for g, w in zip(got, want)))


class Model:
    """One published model. Subclasses: options (sizes), calibration, inputs() and agreement(got, want, scheme)."""
    options, calibration_options = [], []
    schemes = ["none", "w8a8-dynamic", "w8a8"]

    def __init__(self, source, models, work):
        self.source, self.models, self.work = source, models, work
        self.path = fetch_model.fetch(models, self.name)

    def result(self, text, *conditions):
        """What the table says, and whether it is good enough."""
        return text, all(conditions)


class MiniLM(Model):
    """paraphrase-MiniLM-L3-v2: sentence embeddings (the mean of the tokens that count), padded to one length."""
    name, length = "minilm", 64
    options = ["-dim", "batch_size=1", "-dim", f"sequence_length={length}"]
    tokens, embedding = "onnx::Shape_422", "461"
    least = 0.99

    def feed(self, ids):
        fed = {"input_ids": np.zeros((1, self.length), np.int64), "attention_mask": np.zeros((1, self.length), np.int64)}
        fed["input_ids"][0, :len(ids)] = ids
        fed["attention_mask"][0, :len(ids)] = 1
        return fed

    def inputs(self):
        return [self.feed(ids) for ids in sentences.TEST]

    def calibration(self):
        samples = [self.feed(ids) for ids in sentences.CALIBRATION]
        path = f"{self.work}/minilm_calibration.npz"
        np.savez(path, **{k: np.stack([s[k] for s in samples]) for k in samples[0]})
        return path

    def agreement(self, got, want, scheme):
        a, b = ([o[self.embedding] for o in x] for x in (got, want))
        integers = all(np.array_equal(g[k], w[k]) for g, w in zip(got, want) for k in w if w[k].dtype == np.int64)
        cosine = np.concatenate([cosines(g, w) for g, w in zip(a, b)])
        error = relative_error(a, b)
        return self.result(f"embeddings: cosine {cosine.mean():.5f}, least {cosine.min():.5f}; error {error:.1e}", integers,
                           cosine.min() >= self.least, scheme != "none" or error <= FLOAT_BOUND)


class DINOv2(Model):
    """DINOv2 ViT-S/14 with a convolutional decoder that draws what matters in a photograph."""
    name, size = "dinov2", 224
    options = ["-dim", "batch_size=1"]
    schemes = [*Model.schemes, "w8a8 token"]
    calibration_options = ["-image-mean=0.485,0.456,0.406", "-image-std=0.229,0.224,0.225"]
    tokens, saliency = "/backbone/layernorm/Add_1_output_0", "output_importance"
    least_mean, least, least_iou = 0.995, 0.96, 0.9
    test = ["astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "china.jpg", "flower.jpg"]
    calibrate = ["brick.png", "camera.png", "clock_motion.png", "coins.png", "grass.png", "gravel.png", "hubble_deep_field.jpg",
                 "ihc.png", "moon.png", "motorcycle_left.png", "retina.jpg"]

    def __init__(self, source, models, work):
        super().__init__(source, models, work)
        self.photographs = [os.path.dirname(fetch_model.fetch(models, n)) for n in ("photographs", "photographs_2")]
        model = onnx.load(self.path)
        model.graph.output.append(onnx.helper.make_tensor_value_info(self.tokens, onnx.TensorProto.FLOAT, None))
        self.path = f"{work}/dinov2_tokens.onnx"
        onnx.save(model, self.path)

    def photograph(self, name):
        return next(p for p in (f"{folder}/{name}" for folder in self.photographs) if os.path.exists(p))

    def normalised(self, picture):
        x = np.asarray(picture, np.float32) / np.float32(255)
        mean, std = (np.array(v, np.float32) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        return {"input_image": np.ascontiguousarray(((x - mean) / std).transpose(2, 0, 1)[None])}

    def letterbox(self, picture):
        """The whole picture between black bars, as the model's package feeds it."""
        scale = self.size / max(picture.size)
        small = picture.resize([round(n * scale) for n in picture.size], Image.Resampling.BILINEAR)
        square = Image.new("RGB", (self.size, self.size))
        square.paste(small, [(self.size - n) // 2 for n in small.size])
        return square

    def crop(self, picture):
        n = min(picture.size)
        x, y = ((m - n) // 2 for m in picture.size)
        return picture.crop((x, y, x + n, y + n)).resize((self.size, self.size), Image.Resampling.BILINEAR)

    def inputs(self):
        pictures = [Image.open(self.photograph(n)).convert("RGB") for n in self.test]
        ways = [self.letterbox, self.crop] if FULL else [self.letterbox]
        return [self.normalised(way(p)) for p in pictures for way in ways]

    def calibration(self):
        path = f"{self.work}/dinov2_calibration.txt"
        with open(path, "w", encoding="ascii") as f:
            f.writelines(os.path.abspath(self.photograph(n)) + "\n" for n in self.calibrate)
        return path

    def agreement(self, got, want, scheme):
        cosine = np.concatenate([cosines(g[self.tokens], w[self.tokens]) for g, w in zip(got, want)])
        maps = [(g[self.saliency] > 0.5, w[self.saliency] > 0.5) for g, w in zip(got, want)]
        iou = [(g & w).sum() / max(1, (g | w).sum()) for g, w in maps]
        error = relative_error(*([o[self.tokens] for o in x] for x in (got, want)))
        return self.result(f"tokens: cosine {cosine.mean():.5f}, least {cosine.min():.5f}; saliency: IoU {np.mean(iou):.3f}, "
                           f"least {min(iou):.3f}; error {error:.1e}", cosine.mean() >= self.least_mean,
                           cosine.min() >= self.least, min(iou) >= self.least_iou, scheme != "none" or error <= FLOAT_BOUND)


class Magika(Model):
    """Magika v3.3: what kind of file begins and ends with these bytes."""
    name = "magika"
    options = ["-dim", "unk__214=1"]
    test = ["ir/eval.c", "ir/ir.h", "passes/passes.def", "backend/target.c", "tests/onnx/qdq.py", "tests/run/same_bits.sh",
            "README.md", "docs/ir.md", "CMakeLists.txt", "CMakePresets.json", "tests/fuzz/corpus/grey.png",
            "tests/fuzz/corpus/rgb.jpg", "tests/fuzz/corpus/samples.npy", "tests/fuzz/corpus/samples.npz",
            "tests/fuzz/corpus/tiny_vit.onnx", "tests/golden/fuse_gelu.vir", "docs/vitqc.1", "LICENSE",
            "tests/run/same_bits_data.S"]
    calibrate = ["ir/graph.c", "ir/build.h", "docs/kernels.md", "tests/onnx/node_tests.py", "tests/run/zoo_float.sh",
                 "tests/fuzz/corpus/rgba.png", "tests/fuzz/corpus/grey.jpg", "tests/fuzz/corpus/packed.npz",
                 "tests/fuzz/corpus/tiny_qdq.onnx", "tests/CMakeLists.txt"]

    def __init__(self, source, models, work):
        super().__init__(source, models, work)
        with open(os.path.join(os.path.dirname(self.path), "config.min.json"), encoding="utf-8") as f:
            self.config = json.load(f)

    def feed(self, content):
        """As the package does: the first and last bytes without white space, the rest padding."""
        n, m, block = self.config["beg_size"], self.config["end_size"], self.config["block_size"]
        fed = np.full((1, n + m), self.config["padding_token"], np.int32)
        head, tail = content[:block].lstrip()[:n], content[-block:].rstrip()[-m:]
        fed[0, :len(head)] = list(head)
        fed[0, n + m - len(tail):] = list(tail)
        return {"bytes": fed}

    def read(self, names):
        return [open(os.path.join(self.source, n), "rb").read() for n in names]

    def generated(self, vitqc):
        """Files that the repository has none of."""
        text = self.read(["docs/kernels.md"])[0]
        archive, tape = io.BytesIO(), io.BytesIO()
        with zipfile.ZipFile(archive, "w") as z:
            z.writestr("kernels.md", text)
        with tarfile.open(fileobj=tape, mode="w") as t:
            t.addfile(tarfile.TarInfo("kernels.md"), io.BytesIO(b""))
        page = b"<!DOCTYPE html>\n<html><head><title>Kernels</title></head><body><h1>Kernels</h1>" + \
            b"".join(b"<p>%s</p>\n" % line for line in text.splitlines()[:40]) + b"</body></html>\n"
        table = "name,bytes,seconds\n" + "".join(f"layer{i},{i * 384},{i / 7:.3f}\n" for i in range(200))
        with open(vitqc, "rb") as f:
            return [archive.getvalue(), tape.getvalue(), gzip.compress(text, mtime=0), page, table.encode(), f.read()]

    def inputs(self):
        return [self.feed(c) for c in self.read(self.test) + self.generated(sys.argv[1])]

    def calibration(self):
        path = f"{self.work}/magika_calibration.npy"
        np.save(path, np.stack([self.feed(c)["bytes"] for c in self.read(self.calibrate)]))
        return path

    def agreement(self, got, want, scheme):
        a, b = (np.concatenate([o["target_label"] for o in x]) for x in (got, want))
        same = a.argmax(1) == b.argmax(1)
        sure = b.max(1) >= self.config["medium_confidence_threshold"]  # below it the package does not answer with the label
        # in float: the variance is a difference of two means that ONNX Runtime and vitqc round differently
        worst = float(np.abs(a - b).max())
        return self.result(f"same label on {same.sum()} of {len(a)} files; probabilities differ by {worst:.4f} at most",
                           same[sure].all(), sure.sum() >= 0.8 * len(a), scheme != "none" or worst <= 2e-3)


def session(path, **settings):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # several would wait for each other in a busy loop
    options.log_severity_level = 3
    for name, value in settings.items():
        setattr(options, name, value)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def optimised(model, level):
    """The model as ONNX Runtime's optimiser writes it."""
    path = f"{model.work}/{model.name}_{level.lower()}.onnx"
    session(model.path, graph_optimization_level=getattr(onnxruntime.GraphOptimizationLevel, f"ORT_ENABLE_{level}"),
            optimized_model_filepath=path)
    return path


def cpu_seconds(who):
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def check(vitqc, model):
    """Prints a line for every form and scheme; true if all of them agree."""
    inputs, good = model.inputs(), True
    reference = session(model.path)
    names = [o.name for o in reference.get_outputs()]
    want = [dict(zip(names, reference.run(names, fed))) for fed in inputs]
    calibrated = [f"-calib={model.calibration()}", *model.calibration_options]
    rows = [("published", s, len(inputs)) for s in model.schemes]
    if FULL:
        rows += [(level, s, len(inputs)) for level in ("BASIC", "EXTENDED") for s in model.schemes]
    else:
        rows.append(("EXTENDED", "w8a8-dynamic", 4))
    for form, scheme, count in rows:
        path = model.path if form == "published" else optimised(model, form)
        stem = f"{model.work}/{model.name}_{form.lower()}_{scheme.replace('-', '_').replace(' ', '_')}"
        options = [*SCHEMES[scheme], *(calibrated if scheme.split()[0] == "w8a8" else []), *model.options]
        start = cpu_seconds(resource.RUSAGE_CHILDREN)
        compiled = objects.compile_model(vitqc, path, stem, options, target="-target=native")
        seconds = cpu_seconds(resource.RUSAGE_CHILDREN) - start
        start = time.process_time()
        got = [compiled(fed) for fed in inputs[:count]]
        run = (time.process_time() - start) / count
        text, agrees = model.agreement(got, want[:count], scheme)
        good &= agrees
        print(f"{model.name:8} {form:10} {scheme:13} {seconds:6.1f} s {os.path.getsize(stem + '.o') / 1e6:6.1f} MB "
              f"{1000 * run:7.1f} ms {100 * compiled.info.integer_macs / compiled.info.macs:6.1f} %  {text}"
              f"{'' if agrees else '   FAIL'}", flush=True)
        os.unlink(f"{stem}.so")
    return good


def main():
    vitqc, source, models, work = sys.argv[1:5]
    only = sys.argv[5:]
    if not objects.can_run():
        print("published.py: objects for this machine are not tried here")
        return 77
    os.makedirs(work, exist_ok=True)
    good = True
    print(f"{'model':8} {'form':10} {'scheme':13} {'compile':>8} {'object':>9} {'one run':>10} {'int. MACs':>8}  "
          "agreement with ONNX Runtime in float")
    for kind in (MiniLM, Magika, DINOv2):
        if only and kind.name not in only:
            continue
        try:
            model = kind(source, models, work)
        except fetch_model.Unavailable as e:
            print(f"published.py: {e}")
            return 77 if good else 1
        good &= check(vitqc, model)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
