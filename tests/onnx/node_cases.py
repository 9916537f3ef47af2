# SPDX-License-Identifier: MIT
"""The node cases of the onnx package as files: models whose operators vitqc declares, their inputs and expected outputs.

A case feeds everything at run time, shapes and scales too, as no exporter writes them. So each case has several forms,
tried in this order until one is accepted:

  run     as it is
  int     integers and booleans are constants (shapes, axes, indices)
  scale   scales and zero points are constants
  first   all inputs but the first one are constants
  all     all are: only constant folding is tested

vitqc gives no codes to its caller: where the output of a case is quantized, in all but the first form DequantizeLinear
follows, and the expected output is dequantized.
"""
import json
import os
import shutil
import warnings

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

FORMS = ("run", "int", "scale", "first", "all")
LEAST_OPSET, MOST_OPSET = 11, 24  # of the default domain, that vitqc reads


def schema(op, version):
    try:
        return onnx.defs.get_schema(op, version)
    except onnx.defs.SchemaError:
        return None


def means_the_same(node, a, b):
    """Is node, of version a of the operator set, also one of version b, but for element types? What is not given must have
    the same default, and what is new in either version must not be used."""
    a, b = schema(node.op_type, a), schema(node.op_type, b)
    if not a or not b:
        return False
    given = {x.name for x in node.attribute}
    alike = {k for k in a.attributes.keys() & b.attributes.keys()
             if str(a.attributes[k].default_value) == str(b.attributes[k].default_value)}
    one_sided = a.attributes.keys() ^ b.attributes.keys()
    if not given <= b.attributes.keys() or not (a.attributes.keys() & b.attributes.keys()) <= alike | given \
            or any(k in b.attributes and b.attributes[k].required for k in one_sided):
        return False
    return all([i.name for i in x][:len(used)] == [i.name for i in y][:len(used)] or not x
               for x, y, used in ((a.inputs, b.inputs, node.input), (a.outputs, b.outputs, node.output)))


def in_range(model):
    """Restates a model of a newer or older operator set in one that vitqc reads, where that changes nothing but the number."""
    for o in model.opset_import:
        to = min(max(o.version, LEAST_OPSET), MOST_OPSET)
        if o.domain == "" and all(means_the_same(n, o.version, to) for n in model.graph.node if n.domain == ""):
            o.version = to
    return model


def as_tensor(x, name):
    t = onnx.TensorProto()
    t.CopyFrom(x if isinstance(x, onnx.TensorProto) else numpy_helper.from_array(np.asarray(x)))
    t.name = name
    return t


def is_constant(form, index, name, array):
    return {"run": False, "int": array.dtype.kind in "iub", "scale": "scale" in name or "zero" in name,
            "first": index > 0, "all": True}[form]


def widened(a):
    """Element types that vitqc computes in f32."""
    return a.astype(np.float32) if a.dtype.name in ("float16", "bfloat16", "float64") else a


SCALE_INPUT = {"QuantizeLinear": 1, "QLinearMatMul": 6, "QLinearConv": 6}  # of the output; the zero point follows


def quantized_by(model):
    """The node, the scale and the zero point that quantize the only output, or None."""
    node = model.graph.node[-1]
    if node.op_type not in SCALE_INPUT or len(model.graph.output) != 1 or node.output[0] != model.graph.output[0].name:
        return None
    return [node, *node.input[SCALE_INPUT[node.op_type]:][:2]]


def dequantize(model, scales):
    node, *scales = scales
    axis = {a.name: a.i for a in node.attribute if a.name == "axis"} if node.op_type == "QuantizeLinear" else {}
    model.graph.node.append(onnx.helper.make_node("DequantizeLinear", [node.output[0], *scales], ["dequantized"], **axis))
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info("dequantized", onnx.TensorProto.FLOAT, None))


def dequantized(codes, node, scales, values):
    """What DequantizeLinear makes of codes; values: all inputs of the case by name."""
    axis = next((a.i for a in node.attribute if a.name == "axis"), 1) if node.op_type == "QuantizeLinear" else 1
    scale, zero = [values[s].astype(np.float32) for s in scales] + [np.float32(0)] * (2 - len(scales))
    if scale.size > 1:
        shape = [-1 if i == axis % codes.ndim else 1 for i in range(codes.ndim)]
        scale, zero = scale.reshape(shape), zero.reshape(shape) if zero.size > 1 else zero
    return (codes.astype(np.float32) - zero) * scale


def write_case(folder, case):
    """Returns the forms that differ, as [form, names of run-time inputs]."""
    os.makedirs(folder)
    values, results = case.data_sets[0]
    tensors = [as_tensor(x, i.name) for i, x in zip(case.model.graph.input, values)]
    arrays = [numpy_helper.to_array(t) for t in tensors]
    results = [numpy_helper.to_array(as_tensor(x, "y")) for x in results]
    kinds = [r.dtype.name for r in results]
    codes = quantized_by(case.model)
    if codes and kinds[0] in ("int8", "uint8") and not any(a.name == "block_size" and a.i for a in codes[0].attribute):
        results = [dequantized(results[0], codes[0], codes[1:], {t.name: a for t, a in zip(tensors, arrays)})]
        kinds = ["float32"]
    forms = []
    for form in FORMS:
        model = onnx.ModelProto()
        model.CopyFrom(case.model)
        if codes and form != "run":
            dequantize(model, codes)
        del model.graph.input[:]
        fed = {}
        for k, (info, t, a) in enumerate(zip(case.model.graph.input, tensors, arrays)):
            if is_constant(form, k, info.name, a):
                model.graph.initializer.append(t)
            else:
                model.graph.input.append(info)
                fed[info.name] = widened(a)
        if any(f[1] == list(fed) for f in forms):
            continue
        forms.append([form, list(fed)])
        onnx.save(in_range(model), f"{folder}/{form}.onnx")
        np.savez(f"{folder}/{form}.npz", **fed)
    # a type of the result is remembered apart: npz has no bfloat16
    np.savez(f"{folder}/expected.npz", *[widened(r) for r in results])
    return {"forms": forms, "types": kinds, "rtol": case.rtol, "atol": case.atol,
            "elements": arrays[0].dtype.name if arrays else None, "outputs": [o.name for o in case.model.graph.output], "ops": sorted({n.op_type for n in case.model.graph.node})}


def tensors_only(case):
    plain = all(i.type.HasField("tensor_type") for i in [*case.model.graph.input, *case.model.graph.output])
    return plain and all(x is not None and not isinstance(x, (list, dict)) for s in case.data_sets[0] for x in s)


def write_cases(work, declared):
    """The index {name: facts} of all cases in WORK/cases, made once per version of onnx, of this file and of the list of operators."""
    index = f"{work}/cases/index.json"
    with open(__file__) as f:
        key = [onnx.__version__, sorted(declared), f.read()]
    if os.path.exists(index):
        with open(index) as f:
            old = json.load(f)
        if old["key"] == key:
            return old["cases"]
    shutil.rmtree(f"{work}/cases", ignore_errors=True)
    os.makedirs(f"{work}/cases")
    cases, others = {}, 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, of cases about infinity
        collected = collect_testcases(None)
    for case in collected:
        operators = {n.op_type for n in case.model.graph.node} if case.model else {None}
        if case.name in cases or not operators <= declared:
            others += 1
            continue
        if not tensors_only(case):
            cases[case.name] = {"forms": [], "ops": sorted(operators)}
            continue
        cases[case.name] = write_case(f"{work}/cases/{case.name}", case)
    with open(index, "w") as f:
        json.dump({"key": key, "cases": cases}, f)
    print(f"{len(cases)} cases of operators that vitqc declares, {others} of others")
    return cases
