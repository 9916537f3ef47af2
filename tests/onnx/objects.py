# SPDX-License-Identifier: MIT
"""Objects that vitqc makes, called from Python.

    model = objects.compile_model(VITQC, "model.onnx", "WORK/stem", ["-quant=none"])
    outputs = model({"input": array})            by name, both; model.info has sizes and the share of integer products
"""
import ctypes
import os
import platform
import subprocess

import numpy as np

ELEMENTS = [np.float32, np.int64, np.int32, np.bool_, np.uint8, np.int8]  # vq_elem


class TensorInfo(ctypes.Structure):
    _fields_ = [("name", ctypes.c_uint32), ("elem", ctypes.c_uint32), ("rank", ctypes.c_uint32),
                ("reserved", ctypes.c_uint32), ("dim", ctypes.c_int64 * 8)]


class Info(ctypes.Structure):
    _fields_ = [(n, ctypes.c_uint32) for n in ("bytes", "abi", "n_inputs", "n_outputs", "tensors", "tool", "target",
                                               "scheme")] + \
               [(n, ctypes.c_uint64) for n in ("model_hash", "workspace_bytes", "worker_bytes", "weight_bytes", "macs",
                                               "integer_macs")]


def aligned(count, dtype):
    room = np.zeros(count * np.dtype(dtype).itemsize + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start:start + count * np.dtype(dtype).itemsize].view(dtype)


class Model:
    """<prefix>_run of a shared library, its tensors as <prefix>_info describes them."""

    def __init__(self, library, prefix):
        self.library, self.prefix = library, prefix
        self.info = Info.in_dll(library, f"{prefix}_info")
        base = ctypes.addressof(self.info)
        tensors = [TensorInfo.from_address(base + self.info.tensors + i * ctypes.sizeof(TensorInfo))
                   for i in range(self.info.n_inputs + self.info.n_outputs)]
        self.names = [ctypes.string_at(base + t.name).decode() for t in tensors]
        self.types = [(ELEMENTS[t.elem], list(t.dim[:t.rank])) for t in tensors]
        self.workspace = aligned(self.info.workspace_bytes + 1, np.uint8)  # numpy has no address of nothing

    def __call__(self, fed):
        """{name: array} of the outputs; every input is read from FED."""
        arrays = []
        for i, (name, (dtype, shape)) in enumerate(zip(self.names, self.types)):
            a = aligned(int(np.prod(shape, dtype=np.int64)), dtype)
            if i < self.info.n_inputs:
                value = fed[name]
                if value.dtype != dtype or list(value.shape) != shape:
                    raise TypeError(f"input {value.dtype}{list(value.shape)} is {dtype}{shape} in the object")
                a[:] = value.reshape(-1)
            arrays.append(a.reshape(shape))
        pointers = [ctypes.c_void_p(a.ctypes.data) for a in [*arrays, self.workspace]]
        code = getattr(self.library, f"{self.prefix}_run")(*pointers, ctypes.c_size_t(self.info.workspace_bytes), None)
        if code:
            raise RuntimeError(f"{self.prefix}_run returned {code}")
        return dict(zip(self.names[self.info.n_inputs:], arrays[self.info.n_inputs:]))


def compile_model(vitqc, model, stem, options, target="-target=x86-64"):
    """STEM.o, linked and loaded. Raises subprocess.CalledProcessError where vitqc refuses the model."""
    subprocess.run([vitqc, model, "-q", target, "-prefix=model", "-o", f"{stem}.o", *options], check=True)
    subprocess.run(["gcc", "-shared", "-o", f"{stem}.so", f"{stem}.o"], check=True)
    return Model(ctypes.CDLL(os.path.abspath(f"{stem}.so")), "model")


def can_run():
    """Objects for x86-64 on this machine?"""
    return platform.machine() == "x86_64"
