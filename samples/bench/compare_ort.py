#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A program of bench.sh against onnxruntime f32 on the same model and input, one thread, interleaved.

    compare_ort.py MODEL.onnx PROGRAM [ROUNDS]        needs numpy and onnxruntime==1.31.1

In every round each side runs in turn: one untimed inference, then five timed ones, and the loop of the machine's own dot
instruction. The ratio is the median over rounds of the two medians of a round, because machines drift. Times are CPU time: each side has one thread, and other programs cost it no waiting.
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime

TIMED = 5


def main():
    model, program = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 15
    if onnxruntime.__version__ != "1.31.1":
        print(f"note: onnxruntime is {onnxruntime.__version__}, figures were taken with 1.31.1")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    x = np.random.default_rng(0).standard_normal(source.shape, np.float32)
    with tempfile.TemporaryDirectory() as folder:
        given, result = os.path.join(folder, "in"), os.path.join(folder, "out")
        x.tofile(given)
        environment = dict(os.environ, PEERS_INPUT=given, PEERS_OUTPUT=result, PEERS_THREADS="1", PEERS_CLOCK="cpu")
        ours, theirs, ratios, peaks = [], [], [], []
        for _ in range(rounds):
            lines = subprocess.run([program, str(TIMED + 1)], env=environment, stdout=subprocess.PIPE, check=True, text=True).stdout
            ours.append(statistics.median(float(v) for v in lines.split()[1:]))
            times = []
            for _ in range(TIMED + 1):
                start = time.process_time()
                reference = session.run(None, {source.name: x})[0]
                times.append((time.process_time() - start) * 1e3)
            theirs.append(statistics.median(times[1:]))
            ratios.append(theirs[-1] / ours[-1])
            lines = subprocess.run([program, "0"], env=environment, stdout=subprocess.PIPE, check=True, text=True).stdout
            scheme, macs, instruction, peak = lines.rstrip("\n").split("\n")
            peaks.append(float(peak))
        logits = np.fromfile(result, np.float32)
    reference = reference.ravel()
    cosine = float(logits @ reference / np.linalg.norm(logits) / np.linalg.norm(reference))
    low, high = np.percentile(ratios, (10, 90))
    print(f"{'vitqc ' + scheme:<20} {statistics.median(ours):8.2f} ms", end="")
    if instruction:
        share = statistics.median(int(macs) / t / p for t, p in zip(ours, peaks))
        print(f"    {100 * share:.0f} % of the peak of {instruction}, {statistics.median(peaks) * 1e-6:.1f} GMAC/s", end="")
    print()
    print(f"{'onnxruntime f32':<20} {statistics.median(theirs):8.2f} ms")
    print(f"{'ratio':<20} {statistics.median(ratios):8.2f}    (p10-p90 {low:.2f}-{high:.2f}), cosine of the outputs {cosine:.5f}")


if __name__ == "__main__":
    main()
