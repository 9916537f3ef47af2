#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Exports the trained model (train.py) as vit.onnx and vit_outlier_hard.onnx. Needs torch 1.13.

usage: export.py [fashion_vit.pt]

The second model computes the same function: in front of every linear after a LayerNorm, 4 channels of gamma and beta are
multiplied by factors between 128 and 1024 (log-uniform, seed 11), and the same input columns of the linear divided by them.
"""
import copy
import math
import sys

import torch

from model import ViT


def layernorms(m):
    """pairs of a LayerNorm and the only linear that reads it"""
    for block in m.blocks:
        yield block.norm1, block.attn.qkv
        yield block.norm2, block.mlp.fc1
    yield m.norm, m.head


@torch.no_grad()
def with_outliers(m, seed=11, n=4, lo=128.0, hi=1024.0):
    m = copy.deepcopy(m)
    generator = torch.Generator().manual_seed(seed)
    for norm, linear in layernorms(m):
        channels = torch.randperm(norm.weight.numel(), generator=generator)[:n]
        factors = torch.exp(torch.rand(n, generator=generator) * math.log(hi / lo) + math.log(lo))
        norm.weight[channels] *= factors
        norm.bias[channels] *= factors
        linear.weight[:, channels] /= factors
    return m


if __name__ == "__main__":
    model = ViT()
    model.load_state_dict(torch.load(sys.argv[1] if len(sys.argv) > 1 else "fashion_vit.pt"))
    model.eval()
    image = torch.zeros(1, 1, 28, 28)
    for m, path in ((model, "vit.onnx"), (with_outliers(model).eval(), "vit_outlier_hard.onnx")):
        torch.onnx.export(m, image, path, opset_version=17, input_names=["image"], output_names=["logits"])
