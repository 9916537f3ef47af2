# SPDX-License-Identifier: MIT
"""Node cases through objects for the other architectures, in QEMU: all objects of one target in one program."""
import os
import shutil
import subprocess

import numpy as np

from objects import ELEMENTS

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = 160  # chosen of those that pass on x86-64
LEAST = 150  # that must pass on each target
TARGETS = {
    "aarch64": ("aarch64-linux-gnu-gcc", ["qemu-aarch64", "-cpu", "cortex-a53"]),
    "armv7": ("arm-linux-gnueabihf-gcc", ["qemu-arm", "-cpu", "cortex-a7"]),
    "riscv64": ("riscv64-linux-gnu-gcc", ["qemu-riscv64", "-cpu", "rv64,v=false"]),
}


def chosen(cases):
    """Names of cases that pass here: the first ones of every operator, then second ones, until there are enough."""
    by_op = {}
    for name, case in sorted(cases.items()):
        if "object" in case and case["object"] is None and not case["evaluator"] and len(case["ops"]) == 1:
            by_op.setdefault(case["ops"][0], []).append(name)
    names = []
    for i in range(max((len(v) for v in by_op.values()), default=0)):
        names += [v[i] for _, v in sorted(by_op.items()) if i < len(v)]
    return names[:CASES]


def table_line(prefix, pointers):
    declared = ", ".join(["void *"] * (pointers + 1) + ["size_t", "const void *"])
    given = ", ".join([f"p[{k}]" for k in range(pointers)] + ["workspace", "bytes", "0"])
    return f"CASE({prefix}, ({declared}), ({given}))\n"


def read_outputs(path):
    with open(path, "rb") as f:
        data = f.read()
    outputs, at = [], 0
    while at < len(data):
        elem, rank = np.frombuffer(data, np.int64, 2, at)
        shape = np.frombuffer(data, np.int64, rank, at + 16)
        count = int(np.prod(shape, dtype=np.int64))
        at += 16 + 8 * int(rank)
        outputs.append(np.frombuffer(data, ELEMENTS[elem], count, at).reshape(shape))
        at += count * np.dtype(ELEMENTS[elem]).itemsize
    return outputs


def run_target(target, names, cases, work, run_commands, compare):
    """{name: None or what went wrong}; None if a tool is missing."""
    gcc, qemu = TARGETS[target]
    if not shutil.which(gcc) or not shutil.which(qemu[0]):
        return None
    folder = f"{work}/{target}"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    results, built = {}, {}
    codes = run_commands([[f"{folder}/c{i}.log", "-q", "-quant=none", f"-target={target}", f"-prefix=c{i}", "-o",
                           f"{folder}/c{i}.o", f"{work}/cases/{n}/{cases[n]['object_form']}.onnx"] for i, n in enumerate(names)])
    with open(f"{folder}/table.h", "w") as table:
        for i, (name, code) in enumerate(zip(names, codes)):
            if code:
                with open(f"{folder}/c{i}.log") as f:
                    results[name] = f.read().strip() or f"exit code {code}"
                continue
            built[f"c{i}"] = name
            with np.load(f"{work}/cases/{name}/{cases[name]['object_form']}.npz") as fed, open(f"{folder}/c{i}.in", "wb") as f:
                for k in fed.files:
                    f.write(np.ascontiguousarray(fed[k]).tobytes())
                pointers = len(fed.files) + len(cases[name]["types"])
            table.write(table_line(f"c{i}", pointers))
    subprocess.run([gcc, "-std=c11", "-D_POSIX_C_SOURCE=200809L", "-O1", "-Wall", "-Wextra", "-Werror", "-static", f"-I{folder}",
                    f"{HERE}/emulated_run.c", *[f"{folder}/{p}.o" for p in built], "-o", f"{folder}/all"], check=True)
    done = subprocess.run([*qemu, f"{folder}/all", folder], stdout=subprocess.PIPE, text=True, check=False)
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    for prefix, name in built.items():
        if prefix in said:
            results[name] = said[prefix]
        elif not os.path.exists(f"{folder}/{prefix}.out"):
            results[name] = f"no result; the program ended with {done.returncode}"
        else:
            results[name] = compare(read_outputs(f"{folder}/{prefix}.out"), cases[name], f"{work}/cases/{name}")
    return results


def run_all(cases, work, run_commands, compare):
    """Problems of all targets, and a line about each."""
    names = chosen(cases)
    problems, lines = [], []
    for target in TARGETS:
        results = run_target(target, names, cases, work, run_commands, compare)
        if results is None:
            lines.append(f"{target}: skipped, no {TARGETS[target][0]} or {TARGETS[target][1][0]}")
            continue
        wrong = {n: r for n, r in results.items() if r}
        problems += [f"{target}: {n}: {r}" for n, r in wrong.items()]
        lines.append(f"{target}: {len(results) - len(wrong)} of {len(names)} cases agree in QEMU")
        if len(names) >= LEAST > len(results) - len(wrong):
            problems.append(f"{target}: fewer than {LEAST} cases agree")
    return problems, lines
