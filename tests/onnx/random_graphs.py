#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Random graphs through vitqc and ONNX Runtime.

    random_graphs.py VITQC RUN_COMMANDS WORK [COUNT [SEED]]      seeds SEED to SEED + COUNT - 1; default 100 from 1

A graph (graph_generator.py) is float, or every fourth one in QDQ form. ONNX Runtime computes it without optimisations. Compared are

  float    the evaluator and the object of -quant=none with ONNX Runtime
  dynamic  the object of -quant=w8a8-dynamic with the evaluator of the same graph, byte for byte where all is integer
  w8a8     likewise, calibrated with its own inputs
  qdq      the evaluator with ONNX Runtime, the object with the evaluator byte for byte

How far results may be apart is measured, not guessed: ONNX Runtime runs the graph again with inputs moved by NOISE, and
a result may differ as much as that moves it, a few times, and by EPSILON of the largest; and as much as a float result moves when SiLU, QuickGelu and
sigmoid are off by what docs/arithmetic.md allows them (their far tail may be all that is left of a tensor). What vitqc refuses must be refused with
a text of refusals in exceptions.txt, and is counted. A failing graph is reduced (nodes are cut off at both ends while
the failure stays) and left in WORK/failed-SEED.
"""
import ctypes
import multiprocessing
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import helper

import graph_generator
import node_tests
import objects

EPSILON = {"float": 2e-5, "qdq": 5e-3}
NOISE = {"float": 1e-6, "qdq": 4e-3}
TIMES = {"float": 30, "qdq": 3}   # what noise does, so many times
BATCH = 50
REFUSALS = ["w8a8 needs samples to calibrate with"]  # all that had scales was folded


class Case:
    def __init__(self, seed, mode, model, fed):
        self.seed, self.mode, self.model, self.fed = seed, mode, model, fed
        self.want, self.slack = None, None  # of ONNX Runtime
        self.refused = {}                   # variant: message


# ---- ONNX Runtime ----

def session_of(model):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


APPROXIMATE = ("Sigmoid", "QuickGelu", "Swish")  # a product with Sigmoid becomes SiLU
FUNCTION_BOUND = 2e-6                             # times max(1, |x|)


def moved_functions(model, sign):
    """The model whose APPROXIMATE functions are off by their bound; None if it has none."""
    moved = onnx.ModelProto()
    moved.CopyFrom(model)
    del moved.graph.node[:]
    for n in model.graph.node:
        if n.op_type not in APPROXIMATE:
            moved.graph.node.append(n)
            continue
        exact, off = n.output[0] + "/exact", n.output[0] + "/off"
        moved.graph.node.append(helper.make_node(n.op_type, n.input, [exact], n.name, domain=n.domain))
        moved.graph.node[-1].attribute.extend(n.attribute)
        moved.graph.node.append(helper.make_node("Abs", [n.input[0]], [off + "/abs"]))
        moved.graph.node.append(helper.make_node("Max", [off + "/abs", "/off/one"], [off + "/most"]))
        moved.graph.node.append(helper.make_node("Min", [off + "/most", "/off/end"], [off + "/size"]))
        moved.graph.node.append(helper.make_node("Mul", [off + "/size", "/off/by"], [off]))
        moved.graph.node.append(helper.make_node("Add", [exact, off], [n.output[0]]))
    if len(moved.graph.node) == len(model.graph.node):
        return None
    for name, number in (("one", 1), ("end", 1e4), ("by", sign * FUNCTION_BOUND)):
        moved.graph.initializer.append(helper.make_tensor(f"/off/{name}", onnx.TensorProto.FLOAT, [], [number]))
    return moved


def results_of(model, fed):
    session = session_of(model)
    known = {i.name for i in session.get_inputs()}
    return session.run(None, {k: v for k, v in fed.items() if k in known})


def refer(case):
    """Sets want and slack."""
    kind = "qdq" if case.mode == "qdq" else "float"
    session = session_of(case.model)
    known = {i.name for i in session.get_inputs()}
    fed = {k: v for k, v in case.fed.items() if k in known}
    case.want = session.run(None, fed)
    rng = np.random.default_rng(case.seed)
    apart = [np.zeros(w.shape) for w in case.want]
    for _ in range(6):
        moved = {k: v if v.dtype != np.float32 else
                 np.asarray(v * (1 + NOISE[kind] * rng.choice([-1, 1], v.shape)), np.float32) for k, v in fed.items()}
        for k, (w, x) in enumerate(zip(case.want, session.run(None, moved))):
            with np.errstate(invalid="ignore"):
                apart[k] = np.fmax(apart[k], np.abs(w.astype(np.float64) - x.astype(np.float64)))
    bent = [np.zeros(w.shape) for w in case.want]
    for sign in (1, -1):
        model = moved_functions(case.model, sign) if kind == "float" else None
        for k, (w, x) in enumerate(zip(case.want, results_of(model, fed) if model else [])):
            with np.errstate(invalid="ignore"):
                bent[k] = np.fmax(bent[k], np.abs(w.astype(np.float64) - x.astype(np.float64)))
    case.slack = []
    for w, a, b in zip(case.want, apart, bent):
        most = float(np.max(np.abs(w.astype(np.float64)), initial=0)) if w.dtype == np.float32 else 0.0
        spread = a if kind == "float" else np.full(w.shape, np.max(a, initial=0))
        case.slack.append(EPSILON[kind] * max(most, 1e-3) + TIMES[kind] * spread + TIMES[kind] * np.mean(a) + b)


def difference(got, case):
    if len(got) != len(case.want):
        return f"{len(got)} outputs, expected {len(case.want)}"
    for k, (g, w, slack) in enumerate(zip(got, case.want, case.slack)):
        name = case.model.graph.output[k].name
        if g.shape != w.shape:
            return f"output {name}: shape {g.shape}, expected {w.shape}"
        if g.dtype != w.dtype:
            return f"output {name}: type {g.dtype}, expected {w.dtype}"
        if w.dtype != np.float32:
            wrong = (g.astype(np.int64) != w.astype(np.int64)) & (np.broadcast_to(slack, w.shape) == 0)
            if wrong.any():
                return f"output {name}: {g[wrong][:4]}, expected {w[wrong][:4]}"
            continue
        same = (g == w) | (np.isnan(g) & np.isnan(w))
        with np.errstate(invalid="ignore"):
            off = np.where(same, 0, np.abs(g.astype(np.float64) - w))
        off = np.where(np.isnan(off), np.inf, off)
        if (off > slack).any():
            i = np.unravel_index(np.argmax(off - slack), off.shape) if off.ndim else ()
            return (f"output {name}: off by {off[i]:.3g} at {[int(x) for x in i]}, {g[i]:.6g} for {w[i]:.6g}, "
                    f"allowed {np.broadcast_to(slack, off.shape)[i]:.3g}, {int((off > slack).sum())} of {off.size}")
    return None


def bytes_differ(got, want):
    for k, (g, w) in enumerate(zip(got, want)):
        if g.tobytes() != w.tobytes():
            with np.errstate(invalid="ignore"):
                off = np.abs(g.astype(np.float64) - w.astype(np.float64))
            return f"output {k}: object and evaluator differ by {np.nanmax(off):.3g} in {int((g != w).sum())} of {g.size}"
    return None


# ---- vitqc ----

VARIANTS = {  # mode: [(name, options)]
    "float": [("none", ["-quant=none"]), ("dynamic", ["-quant=w8a8-dynamic"]), ("w8a8", ["-quant=w8a8", "-calib=CALIB"])],
    "qdq": [("scales", [])],
}


def save(case, folder):
    os.makedirs(folder, exist_ok=True)
    onnx.save(case.model, f"{folder}/model.onnx")
    np.savez(f"{folder}/in.npz", **case.fed)
    names = {i.name for i in case.model.graph.input}
    np.savez(f"{folder}/calib.npz", **{k: np.stack([v, v]).reshape((2 * v.shape[0], *v.shape[1:])) if v.ndim else
                                       np.stack([v, v]) for k, v in case.fed.items() if k in names})


def commands_of(case, folder, prefix):
    """[(variant, 'run' or 'object', command)]"""
    result = []
    for name, options in VARIANTS[case.mode]:
        if name == "w8a8" and (not case.fed or case.seed % 2):
            continue
        options = [o.replace("CALIB", f"{folder}/calib.npz") for o in options]
        common = [f"{folder}/model.onnx", "-q", "-verify", *options]
        result.append((name, "run", [f"{folder}/{name}-run.log", *common, f"-run={folder}/in.npz", "-o", f"{folder}/{name}.npz"]))
        result.append((name, "object", [f"{folder}/{name}-object.log", *common, "-target=x86-64", f"-mcpu={cpu(case.seed)}",
                                        f"-prefix={prefix}_{name}", "-o", f"{folder}/{prefix}_{name}.o"]))
    return result


def cpu(seed):
    """Baseline, AVX2 or AVX-512 by turns, as far as this machine has them."""
    best = ["x86-64"] + ["x86-64-v3"] * ("avx2" in FLAGS) + ["icelake-server"] * ("avx512_vnni" in FLAGS)
    return best[seed % len(best)]


def flags():
    try:
        with open("/proc/cpuinfo") as f:
            return f.read()
    except OSError:
        return ""


FLAGS = flags()


def call_objects(path, todo, results):
    """In a process of its own; after a crash results tell which one it was."""
    library = ctypes.CDLL(path)
    for key, symbol, fed, folder in todo:
        results[key] = "crashed"
        try:
            out = objects.Model(library, symbol)(fed)
            np.savez(f"{folder}/{key[1]}-object.npz", *out.values())
            results[key] = "ran"
        except (TypeError, KeyError, RuntimeError) as e:
            results[key] = str(e)


def run_objects(work, todo):
    """{key: 'ran', 'crashed' or a message}; todo: [(key, symbol, inputs, folder)]."""
    if not todo:
        return {}
    with open(f"{work}/list", "w") as f:
        f.writelines(f"{folder}/{symbol}.o\n" for _, symbol, _, folder in todo)
    subprocess.run(["gcc", "-shared", "-o", f"{work}/all.so", f"@{work}/list"], check=True)
    done = {}
    with multiprocessing.Manager() as manager:
        results = manager.dict()
        while todo:
            worker = multiprocessing.Process(target=call_objects, args=(f"{work}/all.so", todo, results))
            worker.start()
            worker.join()
            done = dict(results)
            if worker.exitcode == 0:
                break
            todo = [t for t in todo if t[0] not in done]
    return done


def load(path):
    with np.load(path) as z:
        return [z[k] for k in z.files]


def test(cases, tools, work, pool, refusals):
    """{seed: [what is wrong]}"""
    vitqc_commands, where = [], []
    for case in cases:
        folder = f"{work}/{case.seed}"
        save(case, folder)
        for variant, kind, command in commands_of(case, folder, f"g{case.seed}"):
            vitqc_commands.append(command)
            where.append((case, variant, kind, folder))
    codes = node_tests.run_commands(vitqc_commands, tools[1], pool) if pool else \
        node_tests.run_half((vitqc_commands, tools[1]))
    wrong, code_of, built = {}, {}, []
    for (case, variant, kind, folder), code in zip(where, codes):
        code_of[case.seed, variant, kind] = code
        said = node_tests.message(f"{folder}/{variant}-{kind}.log")
        if code == 1 and any(re.search(p, said) for p in refusals):
            case.refused[variant, kind] = said
        elif code != 0:
            wrong.setdefault(case.seed, []).append(f"{variant} {kind}: exit code {code}: {said}")
        elif kind == "object":
            built.append(((case.seed, variant), f"g{case.seed}_{variant}", case.fed, folder))
    ran = run_objects(work, built)
    for case in cases:
        folder = f"{work}/{case.seed}"
        for variant, _ in VARIANTS[case.mode]:
            evaluated = load(f"{folder}/{variant}.npz") if code_of.get((case.seed, variant, "run")) == 0 else None
            state = ran.get((case.seed, variant))
            said = None
            if evaluated is not None and variant in ("none", "scales"):
                said = difference(evaluated, case)
                said = said and f"{variant} evaluator: {said}"
            if not said and state == "ran":
                got = load(f"{folder}/{variant}-object.npz")
                if variant == "none":
                    said = difference(got, case)
                elif evaluated is not None:
                    said = bytes_differ(got, evaluated)
                said = said and f"{variant} object: {said}"
            elif not said and state:
                said = f"{variant} object: {state}"
            if said:
                wrong.setdefault(case.seed, []).append(said)
    return wrong


# ---- reducing a failure ----

def kind_of(text):
    """What must stay the same while a graph shrinks."""
    text = re.sub(r"node '[^']*'|output [^:]*:|[0-9.e+-]+|\[[^\]]*\]", "", text)
    return text[:60]


def values_of(model, fed):
    """{value: array} of everything the model computes."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    names = [o for n in model.graph.node for o in n.output if o]
    del whole.graph.output[:]
    whole.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names)
    return dict(zip(names, results_of(whole, fed)))


def element(array):
    return helper.np_dtype_to_tensor_dtype(array.dtype)


def cut(model, fed, outputs, as_inputs, values):
    """The part of model between the values as_inputs and outputs."""
    m = onnx.ModelProto()
    m.CopyFrom(model)
    live, keep = set(outputs), []
    for n in reversed(model.graph.node):
        if live & (set(n.output) - set(as_inputs)):
            live |= set(n.input)
            keep.append(n)
    del m.graph.node[:]
    m.graph.node.extend(reversed(keep))
    used = {i for n in keep for i in n.input}
    del m.graph.input[:]
    m.graph.input.extend(i for i in model.graph.input if i.name in used)
    new = {i.name: fed[i.name] for i in m.graph.input}
    for name in as_inputs:
        if name in used and name not in new:
            m.graph.input.append(helper.make_tensor_value_info(name, element(values[name]), values[name].shape))
            new[name] = values[name]
    initializers = [t for t in model.graph.initializer if t.name in used]
    del m.graph.initializer[:]
    m.graph.initializer.extend(initializers)
    del m.graph.output[:]
    m.graph.output.extend(helper.make_tensor_value_info(o, element(values[o]), values[o].shape) for o in outputs)
    return m, new


def reduce(case, tools, work, refusals, said):
    """A smaller case that fails alike."""
    kind = kind_of(said)
    values = {**values_of(case.model, case.fed), **case.fed}

    def fails(model, fed):
        if all(n.op_type == "Constant" for n in model.graph.node):
            return None
        small = Case(case.seed, case.mode, model, fed)
        try:
            refer(small)
        except Exception:  # cut where ONNX Runtime does not follow
            return None
        shutil.rmtree(f"{work}/{case.seed}", ignore_errors=True)
        found = test([small], tools, work, None, refusals).get(case.seed, [])
        return small if any(kind_of(f) == kind for f in found) else None

    best = case
    tries = 0
    progress = True
    while progress and tries < 300:
        progress = False
        produced = [o for n in best.model.graph.node for o in n.output if o]
        outputs = [o.name for o in best.model.graph.output]
        candidates = [([o], []) for o in produced if [o] != outputs and values[o].dtype == np.float32]
        candidates += [([o], []) for o in outputs if len(outputs) > 1]
        candidates += [(outputs, [o]) for o in reversed(produced) if o not in outputs and
                       values[o].dtype in (np.float32, np.int64, np.int32, np.bool_)]
        for out, into in candidates:
            m, fed = cut(best.model, best.fed, out, into, values)
            if len(m.graph.node) >= len(best.model.graph.node):
                continue
            tries += 1
            small = fails(m, fed)
            if small:
                best, progress = small, True
                break
    return best


def describe(model):
    lines = []
    sizes = {i.name: [d.dim_value for d in i.type.tensor_type.shape.dim] for i in model.graph.input}
    sizes.update({t.name: list(t.dims) for t in model.graph.initializer})
    for n in model.graph.node:
        attributes = [f"{a.name}={helper.get_attribute_value(a)}" for a in n.attribute if n.op_type != "Constant"]
        operands = [f"{i}{sizes[i]}" if i in sizes else i for i in n.input]
        lines.append(f"    {', '.join(n.output)} = {n.op_type}({', '.join(operands)}) {' '.join(attributes)}")
    return "\n".join(lines)


# ---- all ----

def make_case(seed, declared):
    quantized = seed % 4 == 0
    model, fed = graph_generator.make(seed, declared, quantized)
    if quantized:
        values = values_of(model, fed)
        values = {**{k: v for k, v in values.items()}, **fed}
        ranges = {k: (float(v.min()), float(v.max())) for k, v in values.items() if v.dtype == np.float32}
        graph_generator.quantize(model, seed, ranges)
    case = Case(seed, "qdq" if quantized else "float", model, fed)
    refer(case)
    return case


def main():
    vitqc, runner, work = sys.argv[1:4]
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 100
    first = int(sys.argv[5]) if len(sys.argv) > 5 else 1
    ops = subprocess.run([vitqc, "-print-ops"], stdout=subprocess.PIPE, text=True, check=True).stdout
    declared = {line.split(",")[0] for line in ops.splitlines()}
    refusals = [re.escape(r) for r in [*node_tests.read_exceptions()[1], *REFUSALS]]
    print(f"seeds {first} to {first + count - 1}", flush=True)
    shutil.rmtree(f"{work}/graphs", ignore_errors=True)
    os.makedirs(f"{work}/graphs")
    nodes, used, refused, failures = 0, {}, {}, 0
    with multiprocessing.Pool(2) as pool:
        for start in range(first, first + count, BATCH):
            cases = []
            for seed in range(start, min(start + BATCH, first + count)):
                try:
                    cases.append(make_case(seed, declared))
                except Exception as e:  # onnxruntime has several
                    failures += 1
                    print(f"seed {seed}: no valid graph: {e}")
            wrong = test(cases, (vitqc, runner), f"{work}/graphs", pool, refusals)
            for case in cases:
                nodes += len(case.model.graph.node)
                for n in case.model.graph.node:
                    used[n.op_type] = used.get(n.op_type, 0) + 1
                for (variant, kind), said in case.refused.items():
                    why = re.sub(r"^.*?: (node '[^']*'[^:]*: )?", "", said)
                    refused.setdefault(f"{variant} {kind}: {why}", []).append(case.seed)
                if case.seed not in wrong:
                    shutil.rmtree(f"{work}/graphs/{case.seed}")
                    continue
                failures += 1
                print(f"seed {case.seed}:", *wrong[case.seed], sep="\n  ", flush=True)
                if failures > 20:
                    continue
                folder = f"{work}/failed-{case.seed}"
                small = reduce(case, (vitqc, runner), f"{work}/graphs", refusals, wrong[case.seed][0])
                shutil.rmtree(folder, ignore_errors=True)
                save(small, folder)
                print(f"  reduced to {len(small.model.graph.node)} nodes, opset {small.model.opset_import[0].version}, in {folder}:")
                print(describe(small.model), flush=True)
    for why, seeds in sorted(refused.items(), key=lambda x: -len(x[1])):
        print(f"refused {len(seeds):4}: {why} (seed {seeds[0]})")
    print(f"{count} graphs, {nodes} nodes of {len(used)} operators, {failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
