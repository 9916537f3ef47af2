#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What inputs and outputs may be: every element type, scalars, outputs that are inputs, constants or one another, unused
inputs. Each model runs in the evaluator, in the jit, as an object here and as one for AArch64 in QEMU, in float and in
w8a8-dynamic, and must give what numpy gives. What is refused must be refused by name.

    ports.py VITQC SOURCE WORK
"""
import os
import shutil
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto as T, helper, numpy_helper

import objects

TYPES = {np.dtype(n): t for n, t in (("float32", T.FLOAT), ("int64", T.INT64), ("int32", T.INT32), ("bool", T.BOOL),
                                     ("uint8", T.UINT8), ("int8", T.INT8))}
node = helper.make_node
W = (np.arange(12, dtype=np.float32).reshape(4, 3) / 7 - 0.7)
TABLE = (np.arange(20, dtype=np.float32).reshape(5, 4) / 9 - 1)
X = np.array([[1, -2, 3, -4], [0.5, 0.25, -8, 6]], np.float32)


def value(name, array):
    return helper.make_tensor_value_info(name, TYPES[array.dtype], array.shape)


def i64(*v):
    return np.array(v, np.int64)


def cases():
    """{name: (nodes, inputs, expected outputs, constants)}"""
    k, j = np.array([[1, 0, 1, 0], [0, 0, 1, 1]], bool), np.array([1, 1, 0, 1], bool)
    a, b = i64(3, -5, 1 << 40), i64(4, -5, 1)
    p, q = np.array([[0, 1, 2, 255], [128, 7, 9, 3]], np.uint8), np.array([-128, 0, 127], np.int8)
    s, y = np.float32(1.5), X @ W
    return {
        "output_is_input": ([node("MatMul", ["x", "w"], ["y"])], {"x": X}, {"x": X, "y": y}, {"w": W}),
        "nothing_to_do": ([node("Identity", ["x"], ["y"])], {"x": X}, {"y": X}, {}),
        "constants": ([node("Constant", [], ["c"], value=numpy_helper.from_array(W)), node("Relu", ["x"], ["y"])], {"x": X},
                      {"c": W, "w": W, "y": np.maximum(X, 0)}, {"w": W}),
        "only_a_constant": ([node("Identity", ["w"], ["y"])], {"x": X}, {"y": W}, {"w": W}),
        "unused_inputs": ([node("MatMul", ["x", "w"], ["y"])], {"a": i64(1, 2), "x": X, "b": np.array(True)}, {"y": y}, {"w": W}),
        "one_value_three_times": ([node("MatMul", ["x", "w"], ["m"]), node("Identity", ["m"], ["y"]),
                                   node("Identity", ["m"], ["z"]), node("Relu", ["m"], ["r"])], {"x": X},
                                  {"y": y, "z": y, "m": y, "r": np.maximum(y, 0)}, {"w": W}),
        "moved": ([node("MatMul", ["x", "w"], ["m"]), node("Transpose", ["m"], ["t"], perm=[1, 0]),
                   node("Reshape", ["t", "s"], ["u"])], {"x": X}, {"t": y.T, "m": y, "u": y.T.reshape(-1)},
                  {"w": W, "s": i64(6)}),
        "scalars": ([node("Mul", ["x", "s"], ["m"]), node("ReduceSum", ["m"], ["y"], keepdims=0), node("Add", ["s", "s"], ["d"])],
                    {"x": X, "s": np.array(s)}, {"y": np.array((X * s).sum()), "d": np.array(s + s)}, {}),
        "masks": ([node("Where", ["k", "x", "o"], ["y"]), node("Not", ["k"], ["z"]), node("And", ["k", "j"], ["a"])],
                  {"k": k, "x": X, "j": j}, {"y": np.where(k, X, np.float32(-3)), "z": ~k, "a": k & j}, {"o": np.float32(-3)}),
        "integers": ([node("Add", ["a", "b"], ["y"]), node("Cast", ["y"], ["f"], to=T.FLOAT), node("Cast", ["i"], ["j"], to=T.INT64),
                      node("Greater", ["a", "b"], ["g"])], {"a": a, "b": b, "i": np.array([7, -7], np.int32)},
                     {"y": a + b, "f": (a + b).astype(np.float32), "j": i64(7, -7), "g": a > b}, {}),
        "bytes": ([node("Cast", ["p"], ["f"], to=T.FLOAT), node("Mul", ["f", "c"], ["y"]), node("Cast", ["q"], ["g"], to=T.FLOAT)],
                  {"p": p, "q": q}, {"y": p.astype(np.float32) / 2, "g": q.astype(np.float32), "p": p}, {"c": np.float32(0.5)}),
        "tokens": ([node("Gather", ["t", "ids"], ["e"]), node("MatMul", ["e", "w"], ["y"])], {"ids": i64(4, 0, 2)},
                   {"y": TABLE[[4, 0, 2]] @ W, "e": TABLE[[4, 0, 2]]}, {"t": TABLE, "w": W}),
        "tokens_from_the_end": ([node("Less", ["ids", "0"], ["l"]), node("Add", ["ids", "5"], ["a"]), node("Where", ["l", "a", "ids"], ["i"]),
                                 node("Gather", ["t", "i"], ["e"])], {"ids": i64(4, -5, -1)}, {"e": TABLE[[4, 0, 4]]},
                                {"t": TABLE, "0": i64(0)[0], "5": i64(5)[0]}),
        "tokens_as_floats": ([node("Cast", ["ids"], ["i"], to=T.INT32), node("Gather", ["t", "i"], ["e"])],
                             {"ids": np.array([4, 0, 2], np.float32)}, {"e": TABLE[[4, 0, 2]]}, {"t": TABLE}),
        "tokens_counted": ([node("CumSum", ["ids", "0"], ["c"]), node("Mul", ["c", "ids"], ["i"]), node("Gather", ["t", "i"], ["e"])],
                           {"ids": i64(0, 1, 1)}, {"e": TABLE[[0, 1, 2]]}, {"t": TABLE, "0": i64(0)[0]}),
        "elements_of_rows": ([node("GatherElements", ["t", "ids"], ["e"], axis=1), node("GatherElements", ["t", "ids"], ["f"], axis=0)],
                             {"ids": np.array([[3, 0], [1, 1], [0, 2]])}, {"e": np.take_along_axis(TABLE[:3], np.array([[3, 0], [1, 1], [0, 2]]), 1),
                              "f": np.take_along_axis(TABLE[:, :2], np.array([[3, 0], [1, 1], [0, 2]]), 0)}, {"t": TABLE}),
        "names": ([node("Relu", ["int"], ["a.b"]), node("Neg", ["int"], ["a/b"]), node("Abs", ["workspace"], ["3"])],
                  {"int": X, "workspace": X}, {"a.b": np.maximum(X, 0), "a/b": -X, "3": np.abs(X)}, {}),
    }


# of cases: inputs that give no result but the code for an index out of range
E_INDEX = 4
OUT_OF_RANGE = {"tokens": [i64(4, 5, 0), i64(-1, 0, 0)], "tokens_from_the_end": [i64(0, 0, 5), i64(0, -6, 0)],
                "elements_of_rows": [np.array([[4, 0], [1, 1], [0, 2]]), np.array([[3, 0], [1, 1], [0, -1]])],
                "tokens_counted": [i64(0, 1, 2), i64(-1, 0, 0)],
                "tokens_as_floats": [np.array(a, np.float32) for a in ([0, 5, 0], [0, 0, -1], [np.nan, 0, 0])]}


def returns(model, fed):
    try:
        model(fed)
        return 0
    except RuntimeError as e:
        return int(str(e).split()[-1])


def shaped(name, elem, *shape):
    return helper.make_tensor_value_info(name, elem, shape)


def refusals():
    """{name: (nodes, inputs, outputs, constants, what is said)}"""
    x, y = shaped("x", T.FLOAT, 2, 4), shaped("y", T.FLOAT, 2, 4)
    relu = [node("Relu", ["x"], ["y"])]
    return {
        "empty_input": ([node("Concat", ["x", "e"], ["y"], axis=0)], [x, shaped("e", T.FLOAT, 0, 4)], [y], {},
                        "input 'e': dimension 0 is 0, expected at least 1"),
        "empty_output": ([node("Slice", ["x", "a", "a", "z"], ["y"])], [x], [shaped("y", T.FLOAT, 0, 4)],
                         {"a": i64(1), "z": i64(0)}, "output 'y': it has no elements"),
        "output_twice": (relu, [x], [y, y], {}, "output 'y': it is listed twice"),
        "input_twice": (relu, [x, x], [y], {}, "input 'x': the name is used twice: also by input 'x'"),
        "no_such_output": (relu, [x], [y, shaped("z", T.FLOAT, 1)], {}, "output 'z': no node computes it"),
        "no_outputs": (relu, [x], [], {}, "the graph has no outputs"),
        "index_of_data": ([node("Mul", ["x", "x"], ["m"]), node("Cast", ["m"], ["i"], to=T.INT64), node("Gather", ["t", "i"], ["z"])], [x],
                          [shaped("z", T.FLOAT, 2, 4, 4)], {"t": TABLE}, "hint: make the indices an input of the model, or limit them"),
        "text_input": (relu, [x, shaped("s", T.STRING, 3)], [y], {}, "input 's': its elements are"),
        "no_shape": (relu, [helper.make_tensor_value_info("x", T.FLOAT, None)], [y], {}, "input 'x': the model gives it no shape"),
    }


def save(path, nodes, inputs, outputs, constants):
    graph = helper.make_graph(nodes, "g", inputs, outputs, [numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def run_tool(vitqc, stem, options, executor):
    subprocess.run([vitqc, f"{stem}.onnx", "-q", *options, f"-run={stem}.npz", f"-calib-executor={executor}", "-o", f"{stem}.out.npz"],
                   check=True)
    with np.load(f"{stem}.out.npz") as z:
        return {n: z[n] for n in z.files}


def run_cross(vitqc, source, stem, options, fed, want):
    """An AArch64 object in QEMU, on raw files."""
    subprocess.run([vitqc, f"{stem}.onnx", "-q", *options, "-target=aarch64", "-prefix=model", "-o", f"{stem}.cross.o"], check=True)
    subprocess.run(["aarch64-linux-gnu-gcc", "-static", "-O1", "-include", f"{stem}.cross.h", f"-DINPUTS={len(fed)}",
                    f"-DOUTPUTS={len(want)}", f"{source}/tests/run/model_io.c", f"{stem}.cross.o", "-o", f"{stem}.cross"], check=True)
    for n, (_, a) in enumerate(fed.items()):
        a.tofile(f"{stem}.in{n}")
    files = [f"{stem}.in{n}" for n in range(len(fed))] + [f"{stem}.out{n}" for n in range(len(want))]
    subprocess.run(["qemu-aarch64", f"{stem}.cross", *files], check=True)
    return {name: np.fromfile(f"{stem}.out{n}", a.dtype).reshape(a.shape) for n, (name, a) in enumerate(want.items())}


def differs(got, want, bound):
    """What is wrong with the outputs, None if nothing."""
    if list(got) != list(want):
        return f"outputs {list(got)}, expected {list(want)}"
    for name, w in want.items():
        g = got[name]
        if g.dtype != w.dtype or g.shape != w.shape:
            return f"'{name}' is {g.dtype}{g.shape}, expected {w.dtype}{w.shape}"
        exact = w.dtype != np.float32
        if not (np.array_equal(g, w) if exact else np.max(np.abs(g - w), initial=0) <= bound * max(1, np.max(np.abs(w), initial=0))):
            return f"'{name}' is {g.tolist()}, expected {w.tolist()}"
    return None


def main():
    vitqc, source, work = sys.argv[1:4]
    os.makedirs(work, exist_ok=True)
    cross = shutil.which("aarch64-linux-gnu-gcc") and shutil.which("qemu-aarch64")
    runs, failed = 0, 0
    for name, (nodes, fed, want, constants) in cases().items():
        stem = f"{work}/{name}"
        save(f"{stem}.onnx", nodes, [value(n, a) for n, a in fed.items()], [value(n, a) for n, a in want.items()], constants)
        np.savez(f"{stem}.npz", **fed)
        for scheme, bound in (("none", 1e-6), ("w8a8-dynamic", 0.05)):
            options = [f"-quant={scheme}"]
            got = {"evaluator": run_tool(vitqc, stem, options, "evaluator"), "jit": run_tool(vitqc, stem, options, "jit")}
            if objects.can_run():
                model = objects.compile_model(vitqc, f"{stem}.onnx", f"{stem}_{scheme}", options)
                got["object"] = model(fed)
                for ids in OUT_OF_RANGE.get(name, []):
                    runs += 1
                    if returns(model, {"ids": ids}) != E_INDEX:
                        print(f"{name}, {scheme}: {ids} is not out of range")
                        failed += 1
            if cross:
                got["aarch64"] = run_cross(vitqc, source, stem, options, fed, want)
            if scheme != "none" and any(differs(o, got["evaluator"], 0) for o in got.values()):
                print(f"{name}, {scheme}: not the same bits everywhere")
                failed += 1
            for how, outputs in got.items():
                wrong = differs(outputs, want, bound)
                runs += 1
                if wrong:
                    print(f"{name}, {scheme}, {how}: {wrong}")
                    failed += 1
    for name, (nodes, inputs, outputs, constants, said) in refusals().items():
        save(f"{work}/{name}.onnx", nodes, inputs, outputs, constants)
        done = subprocess.run([vitqc, f"{work}/{name}.onnx", "-quant=none", "-o", f"{work}/{name}.o"], capture_output=True, text=True, check=False)
        runs += 1
        if done.returncode != 1 or said not in done.stderr or os.path.exists(f"{work}/{name}.o"):
            print(f"{name}: exit code {done.returncode}, expected 1 and '{said}':\n{done.stderr}")
            failed += 1
    print(f"{runs} runs, {failed} fail")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
