#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ONNX's own node cases through the evaluator (vitqc -run) and, where vitqc compiles them, through objects for x86-64; some of
each operator through objects for the other architectures in QEMU.

    node_tests.py VITQC RUN_COMMANDS WORK [PATTERN]      PATTERN: only cases whose names match, and neither the list nor the page is checked

exceptions.txt lists what does not pass, and why; the test fails when the list is wrong in either direction, and when
docs/supported-ops.md is not what supported.py makes of the results (UPDATE=1 rewrites it).
"""
import collections
import ctypes
import fnmatch
import multiprocessing
import os
import re
import shutil
import subprocess
import sys

import numpy as np

import contrib
import emulated
import node_cases
import objects as compiled
import onnx
import supported

HERE = os.path.dirname(os.path.abspath(__file__))
# Computed in f32 where the case rounds every step to its type: half a unit of the type, a few times.
NARROW = {"float16": 2e-3, "bfloat16": 2e-2}


# ---- running vitqc ----

def run_half(job):
    commands, runner = job
    text = "".join("\t".join(c) + "\n" for c in commands)
    done = subprocess.run([runner], input=text, stdout=subprocess.PIPE, text=True, check=True)
    return [int(x) for x in done.stdout.split()]


def run_commands(commands, runner, pool):
    """Exit codes of commands, each [file for messages, argument ...]; two at a time."""
    halves = [commands[0::2], commands[1::2]]
    codes = pool.map(run_half, [(h, runner) for h in halves], chunksize=1)
    result = [None] * len(commands)
    result[0::2], result[1::2] = codes
    return result


def message(path):
    """The first error in a file of messages."""
    with open(path, errors="replace") as f:
        lines = f.read().splitlines()
    for line in lines:
        if "warning: " not in line and not line.startswith("  "):
            return line
    return ""


# ---- comparing ----

def difference(got, want, kind, rtol, atol):
    """None, or what differs."""
    if got.shape != want.shape:
        return f"shape {got.shape}, expected {want.shape}"
    if want.dtype.kind in "iub":
        if got.dtype.kind not in "iub" or not np.array_equal(got, want):
            return f"{got.dtype} {got.reshape(-1)[:8]}, expected {want.dtype} {want.reshape(-1)[:8]}"
        return None
    if got.dtype != np.float32:
        return f"type {got.dtype}, expected {want.dtype}"
    if kind in NARROW:
        rtol = max(rtol, NARROW[kind])
        atol = max(atol, NARROW[kind] * float(np.max(np.abs(want), initial=0, where=np.isfinite(want))))
    if np.allclose(got, want, rtol=rtol, atol=atol, equal_nan=True):
        return None
    with np.errstate(invalid="ignore"):
        return f"off by {np.nanmax(np.abs(got.astype(np.float64) - want)):.3g}"


def compare(outputs, case, folder):
    with np.load(f"{folder}/expected.npz") as want:
        want = [want[k] for k in want.files]
    if len(outputs) != len(want):
        return f"{len(outputs)} outputs, expected {len(want)}"
    for got, w, kind in zip(outputs, want, case["types"]):
        wrong = difference(got, w, kind, case["rtol"], case["atol"])
        if wrong:
            return wrong
    return None


# ---- evaluator ----

def evaluate(cases, work, runner, pool):
    """Fills case["form"] of those that were accepted, case["evaluator"] = None (passes) or what went wrong."""
    for case in cases.values():
        case["form"], case["evaluator"] = None, "inputs or outputs that are no tensors"
    for form in node_cases.FORMS:
        todo = [(n, c) for n, c in cases.items()
                if not c["form"] and any(f[0] == form for f in c["forms"])
                and not c.get("crashed")]
        commands = [[f"{work}/cases/{n}/{form}.log", "-q", "-quant=none", f"-run={work}/cases/{n}/{form}.npz", "-o",
                     f"{work}/cases/{n}/out.npz", f"{work}/cases/{n}/{form}.onnx"] for n, _ in todo]
        for (name, case), code in zip(todo, run_commands(commands, runner, pool)):
            folder = f"{work}/cases/{name}"
            said = message(f"{folder}/{form}.log")
            if code == 0:
                case["form"] = form
                with np.load(f"{folder}/out.npz") as got:
                    case["evaluator"] = compare([got[k] for k in got.files], case, folder)
            elif code != 1 or not said:
                case["crashed"], case["evaluator"] = True, f"exit code {code}: {said}"
            else:
                case["evaluator"] = said


# ---- objects ----

def call_objects(path, work, todo, results):
    """Runs in a process of its own; after a crash results tell which case it was."""
    library = ctypes.CDLL(path)
    for name, prefix, case in todo:
        folder = f"{work}/cases/{name}"
        results[name] = "crashed"
        with np.load(f"{folder}/{case['object_form']}.npz") as fed:
            fed = {k: fed[k] for k in fed.files}
        try:
            results[name] = compare(list(compiled.Model(library, prefix)(fed).values()), case, folder)
        except (TypeError, RuntimeError) as e:
            results[name] = str(e)


def forms_after(case, form):
    """Forms of a case from form on, but for that without inputs, which tests folding alone."""
    return [f for f in node_cases.FORMS[node_cases.FORMS.index(form):-1] if any(k[0] == f for k in case["forms"])]


def objects(cases, work, runner, pool):
    """case["object"] = None (passes), what went wrong, or ["refused", why]; case["object_form"], the first form that compiles."""
    todo = [(n, f"c{i}", c) for i, (n, c) in enumerate(cases.items()) if c["form"] and c["form"] != "all"]
    folder = f"{work}/objects"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    built = []
    for turn in range(len(node_cases.FORMS)):
        trying = [(n, p, c, f) for n, p, c in todo for f in forms_after(c, c["form"])[turn:turn + 1]]
        commands = [[f"{folder}/{p}.log", "-q", "-quant=none", "-target=x86-64", f"-prefix={p}", "-o", f"{folder}/{p}.o",
                     f"{work}/cases/{n}/{f}.onnx"] for n, p, c, f in trying]
        for (name, prefix, case, form), code in zip(trying, run_commands(commands, runner, pool)):
            said = message(f"{folder}/{prefix}.log")
            if code == 0:
                built.append((name, prefix, case))
                case["object_form"] = form
                case.pop("object", None)
            elif code != 1 or not said:
                case["object"] = f"exit code {code}: {said}"
            else:
                case.setdefault("object", ["refused", said])  # the reason of the first form
        todo = [t for t in todo if isinstance(t[2].get("object"), list)]
    with open(f"{folder}/list", "w") as f:
        f.writelines(f"{folder}/{p}.o\n" for _, p, _ in built)
    subprocess.run(["gcc", "-shared", "-o", f"{folder}/all.so", f"@{folder}/list"], check=True)
    with multiprocessing.Manager() as manager:
        results = manager.dict()
        while built:
            worker = multiprocessing.Process(target=call_objects, args=(f"{folder}/all.so", work, built, results))
            worker.start()
            worker.join()
            if worker.exitcode == 0:
                break
            built = [b for b in built if b[0] not in results]
        for name, why in results.items():
            cases[name]["object"] = why


# ---- the list of exceptions ----

def read_exceptions():
    """{case: reason} of the evaluator and of objects, [patterns of messages with which objects are refused]."""
    listed, refusals, reason = {"evaluator": {}, "object": {}}, [], None
    with open(f"{HERE}/exceptions.txt") as f:
        for number, line in enumerate(f, 1):
            text = line.split("#")[0].rstrip()
            if not text:
                continue
            if text.startswith("object may be refused: "):
                refusals.append(text.split(": ", 1)[1])
            elif not text[0].isspace():
                kind, reason = text.split(": ", 1)
            elif text.strip() in listed[kind]:
                sys.exit(f"exceptions.txt:{number}: {text.strip()} is listed twice")
            else:
                listed[kind][text.strip()] = reason
    return listed, refusals


def check(cases, listed, refusals, complete):
    problems = []
    for kind in ("evaluator", "object"):
        for name, case in cases.items():
            failed = case.get(kind)
            if kind == "object" and isinstance(failed, list):
                case["refused"] = next((p for p in refusals if fnmatch.fnmatchcase(failed[1], f"*{p}*")), None)
                if not case["refused"]:
                    problems.append(f"{kind}: {name}: refused for no reason listed: {failed[1]}")
                failed = None
            if failed and name not in listed[kind]:
                problems.append(f"{kind}: {name} [{case['form']}]: {failed}")
            elif name in listed[kind] and not failed:
                problems.append(f"{kind}: {name} is listed as an exception, but passes")
        if complete:
            problems += [f"{kind}: {n} is listed as an exception, but there is no such case"
                         for n in listed[kind] if n not in cases]
    if complete and compiled.can_run():
        used = {case.get("refused") for case in cases.values()}
        problems += [f"object: no case is refused with '{p}', which is listed" for p in refusals if p not in used]
    return problems


def summary(cases):
    passed = [c for c in cases.values() if c["form"] and not c["evaluator"]]
    forms = collections.Counter(c["form"] for c in passed)
    print(f"evaluator: {len(passed)} of {len(cases)} cases agree "
          f"({', '.join(f'{forms[f]} as {f}' for f in node_cases.FORMS)})")
    tried = [c for c in passed if "object" in c]
    agree = sum(c["object"] is None for c in tried)
    refused = sum(isinstance(c["object"], list) for c in tried)
    print(f"objects: {agree} of {len(tried) - refused} that compile agree; {refused} refused")


def main():
    vitqc, runner, work = sys.argv[1:4]
    pattern = sys.argv[4] if len(sys.argv) > 4 else None
    ops = subprocess.run([vitqc, "-print-ops"], stdout=subprocess.PIPE, text=True, check=True).stdout
    declared = {line.split(",")[0] for line in ops.splitlines()}
    cases = node_cases.write_cases(work, declared)
    if pattern:
        cases = {n: c for n, c in cases.items() if re.search(pattern, n)}
    emulated_problems, lines = [], []
    with multiprocessing.Pool(2) as pool:
        evaluate(cases, work, runner, pool)
        if compiled.can_run():
            objects(cases, work, runner, pool)
            emulated_problems, lines = emulated.run_all(cases, work, lambda c: run_commands(c, runner, pool), compare)
    listed, refusals = read_exceptions()
    problems = check(cases, listed, refusals, complete=pattern is None) + emulated_problems
    if pattern is None and compiled.can_run():
        described = collections.Counter(c[0] for c in contrib.cases(np.random.default_rng(7)).values())
        problems += supported.check(supported.page(ops, cases, listed, described, f"onnx {onnx.__version__}"))
    print("\n".join(problems))
    summary(cases)
    print("\n".join(lines))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
