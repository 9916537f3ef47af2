#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Published models that come quantized, with real weights: objects against ONNX Runtime on the same file.

    published_int8.py VITQC MODELS WORK [NAME…]     MODELS: a folder that keeps what is fetched; NAME: smart_turn bge_small

smart_turn (QDQ, ONNX Runtime static): the probability within 0.02 on 20 inputs. bge_small (ONNX Runtime dynamic int8, operator
set 11): cosines of every two of 8 sentences within 0.02. Both are compiled as published and as ONNX Runtime's optimiser rewrites
them (level EXTENDED), the object is hardly larger than the weights, and products are integers. Exit code 77: what is published
cannot be fetched.
"""
import os
import sys

import numpy as np
import onnxruntime

import fetch_model
import objects

BOUND = 0.02
LENGTH = 64  # of sentences, padded
SENTENCES = ["A man is eating food.", "Someone is having a meal.", "The stock market fell sharply today.",
             "A cat sits on the mat.", "Quantized neural networks run faster on small devices.",
             "Integer arithmetic speeds up inference on embedded hardware.", "She bought a new car yesterday.",
             "The weather in Paris is lovely in spring."]


def session(model, level, optimized=None):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = level
    if optimized:
        options.optimized_model_filepath = optimized
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def log_mel(rng):
    """Something like the features of eight seconds of speech: 80 bands, 800 frames, normalised as Whisper does."""
    frames, bands = np.arange(800), np.linspace(0, rng.uniform(1, 4), 80)
    loud = np.abs(np.sin(frames / 800 * rng.uniform(3, 30))) ** rng.uniform(0.3, 3)
    loud *= (frames > rng.integers(0, 600)) & (frames < rng.integers(650, 900))
    power = (loud[None] * np.exp(-bands)[:, None] * rng.gamma(1.5, 1, (80, 800))) ** 2
    x = np.log10(power + 1e-6)
    return ((np.maximum(x, x.max() - 8) + 4) / 4).astype(np.float32)[None]


def tokens(text, vocabulary):
    """WordPiece: words and marks, each in the longest pieces that the vocabulary has."""
    ids, words = [vocabulary["[CLS]"]], "".join(c if c.isalnum() else f" {c} " for c in text.lower()).split()
    for word in words:
        start = 0
        while start < len(word):
            end = next((e for e in range(len(word), start, -1) if ("##" if start else "") + word[start:e] in vocabulary), None)
            if end is None:
                ids.append(vocabulary["[UNK]"])
                break
            ids.append(vocabulary[("##" if start else "") + word[start:end]])
            start = end
    return ids + [vocabulary["[SEP]"]]


def sentence_feeds(model):
    with open(os.path.join(os.path.dirname(model), "vocab.txt"), encoding="utf-8") as f:
        vocabulary = {line.rstrip("\n"): i for i, line in enumerate(f)}
    for text in SENTENCES:
        ids = tokens(text, vocabulary)
        feed = {n: np.zeros((1, LENGTH), np.int64) for n in ("input_ids", "attention_mask", "token_type_ids")}
        feed["input_ids"][0, :len(ids)], feed["attention_mask"][0, :len(ids)] = ids, 1
        yield feed


def cosines(outputs):
    e = np.array([o[0, 0] for o in outputs], np.float64)
    e /= np.linalg.norm(e, axis=1, keepdims=True)
    return e @ e.T


# name: (options, inputs of a model's path, what is compared of the outputs, least share of integers, bytes of 8-bit weights)
MODELS = {
    "smart_turn": (["-dim", "s6=1"], lambda model: [{"input_features": log_mel(np.random.default_rng(i))} for i in range(20)],
                   lambda outputs: np.array(outputs).reshape(-1), 1.0, 7.84e6),
    "bge_small": (["-dim", "batch_size=1", "-dim", f"sequence_length={LENGTH}"], sentence_feeds, cosines, 0.97, 33.19e6),
}


def check(vitqc, name, model, work):
    options, inputs, compared, least, weights = MODELS[name]
    feeds = list(inputs(model))
    level = onnxruntime.GraphOptimizationLevel
    plain = session(model, level.ORT_ENABLE_BASIC)
    want = compared([plain.run(None, f)[0] for f in feeds])
    optimized = f"{work}/{name}_extended.onnx"
    session(model, level.ORT_ENABLE_EXTENDED, optimized)
    good = True
    for form, path in (("published", model), ("extended", optimized)):
        stem = f"{work}/{name}_{form}"
        ours = objects.compile_model(vitqc, path, stem, options)
        apart = np.abs(compared([list(ours(f).values())[0] for f in feeds]) - want)
        size, share = os.path.getsize(f"{stem}.o"), ours.info.integer_macs / ours.info.macs
        fine = apart.max() <= BOUND and share >= least and size <= 1.1 * weights + 300e3
        good &= bool(fine)
        print(f"{name:11} {form:10} {len(feeds)} inputs, apart at most {apart.max():.4f}, mean {apart.mean():.4f}; {size} bytes, "
              f"{100 * share:.1f} % of products in integers{'' if fine else '   FAIL'}", flush=True)
    return good


def main():
    vitqc, models, work, *names = sys.argv[1:]
    if not objects.can_run():
        return 77
    os.makedirs(work, exist_ok=True)
    good = True
    for name in names or MODELS:
        try:
            model = fetch_model.fetch(models, name)
        except fetch_model.Unavailable as e:
            print(f"published_int8.py: skipped: {e}", file=sys.stderr)
            return 77
        good &= check(vitqc, name, model, work)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
