# SPDX-License-Identifier: MIT
"""Random valid ONNX graphs of 3 to 30 operators.

make(seed, declared) gives a model and its inputs. Every value is kept in a moderate range by the way operators are chosen
(what is divided by is away from 0, products are scaled by their depth), so that rounding stays rounding. Only operators that
vitqc declares are used, as the operator set of the model, which is chosen too, defines them.
"""
import numpy as np
import onnx
from onnx import helper, numpy_helper

import graph_operators
import graph_patterns
from graph_values import TYPES, Graph, Skip

TABLE = graph_operators.TABLE + graph_patterns.TABLE
WIDE, NARROW = [(maker, wide) for maker, wide, _ in TABLE], [(maker, narrow) for maker, _, narrow in TABLE if narrow]


def finish(g, name):
    """Outputs: what nobody uses, some of it, and now and then what somebody does."""
    used = {i for n in g.nodes for i in n.input}
    ends = [v for v in g.values if v.node is not None and v.name not in used and not v.constant]
    if not ends:
        raise Skip
    outputs = [v for v in ends if g.chance(0.7)] or [ends[-1]]
    inner = [v for v in g.values if v.node is not None and v.name in used and not v.constant]
    if inner and g.chance(0.3):
        outputs.append(g.of(inner))
    outputs = outputs[-6:]
    if not any(v.kind == "f" for v in outputs):
        raise Skip
    infos = [helper.make_tensor_value_info(v.name, TYPES[v.kind], list(v.shape)) for v in outputs]
    live = {v.name for v in outputs}
    for n in reversed(g.nodes):
        if live & set(n.output):
            live |= set(n.input)
    for i in list(g.inputs):
        if i.name not in live and g.chance(0.7):  # some inputs stay unused
            if any(i.name in n.input for n in g.nodes):
                continue
            g.inputs.remove(i)
            del g.fed[i.name]
    graph = helper.make_graph(g.nodes, name, g.inputs, infos, g.initializers)
    domains = [helper.make_opsetid(d, 1) for d in sorted(g.domains)]
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", g.opset), *domains])
    model.ir_version = 8
    return model


def attempt(seed, declared, table, quantizable):
    g = Graph(seed, declared, quantizable)
    shapes = [(1, g.dim(), g.dim()), (2, g.dim(), g.of([4, 8, 12])), (g.dim(), g.dim()), (1, g.of([1, 3, 4]), 8, 8),
              (1, 2, g.dim(), g.dim()), (g.dim(),), ()]
    for _ in range(1 + g.below(2)):
        g.input(g.of(shapes[:5] if quantizable else shapes))
    if not quantizable:
        for kind in "ijb":
            if g.chance(0.15):
                g.input(g.of([(3,), (1, 5), (2, 3), ()]), kind, most=4)
    want = 3 + g.below(28)
    makers, weights = zip(*table)
    likely = np.array(weights) / sum(weights)
    for _ in range(200):
        if len([n for n in g.nodes if n.op_type != "Constant"]) >= want:
            break
        state = len(g.nodes), len(g.values), len(g.initializers)
        try:
            makers[int(g.rng.choice(len(makers), p=likely))](g)
        except Skip:
            del g.nodes[state[0]:], g.values[state[1]:], g.initializers[state[2]:]
            for i in [i for i in g.inputs if not any(v.name == i.name for v in g.values)]:
                g.inputs.remove(i)
                del g.fed[i.name]
    model = finish(g, f"seed_{seed[0]}")
    if not 3 <= sum(n.op_type != "Constant" for n in model.graph.node) <= 40:
        raise Skip
    return model, g.fed


def make(seed, declared, quantizable=False):
    """A model and {input: array}; the same for the same arguments."""
    for again in range(100):
        try:
            return attempt([seed, again], declared, NARROW if quantizable else WIDE, quantizable)
        except Skip:
            pass
    raise RuntimeError(f"seed {seed} gives no graph")


# ---- scales: a float model becomes one in QDQ form ----

def quantize(model, seed, ranges):
    """
    Puts QuantizeLinear and DequantizeLinear on activations and constant factors, in one of the styles of the tools that do
    so. ranges: {value: (least, most)} of what the float model computes.
    """
    rng = np.random.default_rng([seed, 1])
    signed, symmetric, per_channel = rng.random() < 0.5, rng.random() < 0.4, rng.random() < 0.6
    share = rng.choice([0.6, 0.8, 1.0])
    graph = model.graph
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    for n in graph.node:
        if n.op_type == "Constant":
            constants[n.output[0]] = numpy_helper.to_array(n.attribute[0].t)
    added, done, new = [], {}, []
    code = np.int8 if signed else np.uint8

    def initializer(name, array):
        graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def activation(name):
        lo, hi = min(ranges[name][0], 0.0), max(ranges[name][1], 0.0)
        if symmetric:
            lo, hi = -max(-lo, hi), max(-lo, hi)
        scale = np.float32(max((hi - lo) / 255, 1e-3) * rng.uniform(1.0, 1.03))
        least = -128 if signed else 0
        zero = 0 if symmetric and signed else int(np.clip(np.rint(least - lo / scale), least, least + 255))
        s, z = initializer(f"{name}/scale", scale), initializer(f"{name}/zero", np.array(zero, code))
        new.append(helper.make_node("QuantizeLinear", [name, s, z], [f"{name}/q"]))
        new.append(helper.make_node("DequantizeLinear", [f"{name}/q", s, z], [f"{name}/dq"]))
        return f"{name}/dq"

    def factor(name, axis):
        w = constants[name].astype(np.float32)
        if per_channel and axis is not None:
            other = tuple(i for i in range(w.ndim) if i != axis)
            scale = np.maximum(np.abs(w).max(axis=other), 1e-3) / np.float32(127)
            shape = [-1 if i == axis else 1 for i in range(w.ndim)]
        else:
            scale, shape, axis = np.float32(max(np.abs(w).max(), 1e-3) / 127), [], None
        scale = scale.astype(np.float32)
        codes = np.clip(np.rint(w / scale.reshape(shape)), -127, 127).astype(np.int8)
        q = initializer(f"{name}/codes", codes)
        s, z = initializer(f"{name}/scale", scale), initializer(f"{name}/zero", np.zeros(scale.shape, np.int8))
        new.append(helper.make_node("DequantizeLinear", [q, s, z], [f"{name}/dq"], **({} if axis is None else {"axis": axis})))
        return f"{name}/dq"

    nodes = list(graph.node)
    floats = set(ranges)
    for n in nodes:
        if n.op_type == "Constant":
            new.append(n)
            continue
        for i, name in enumerate(n.input):
            role = None
            if name in constants and i == 1 and n.op_type in ("MatMul", "Gemm", "Conv"):
                role = ("w", name)
            elif name in floats and name not in constants and n.op_type not in ("Shape", "Cast", "Less", "Greater"):
                role = ("a", name)
            if not role:
                continue
            if role not in done:
                if rng.random() >= share and done:
                    done[role] = None
                elif role[0] == "a":
                    done[role] = activation(name)
                else:
                    rank = constants[name].ndim
                    axis = 0 if n.op_type == "Conv" else None if rank != 2 else 1
                    if n.op_type == "Gemm" and any(a.name == "transB" and a.i for a in n.attribute):
                        axis = 0
                    done[role] = factor(name, axis)
            if done[role]:
                n.input[i] = done[role]
        new.append(n)
    del graph.node[:]
    graph.node.extend(new)
    return model
