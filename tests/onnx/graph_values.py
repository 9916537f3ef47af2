# SPDX-License-Identifier: MIT
"""What random graphs are made with: values, their graph, chance."""
import numpy as np
from onnx import TensorProto, helper, numpy_helper

MOST_ELEMENTS = 4096
OPSETS = (11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23)
KINDS = {"f": np.float32, "i": np.int64, "j": np.int32, "b": np.bool_}
TYPES = {"f": TensorProto.FLOAT, "i": TensorProto.INT64, "j": TensorProto.INT32, "b": TensorProto.BOOL}


class Skip(Exception):
    """An operator that finds nothing it could take."""


class Value:
    def __init__(self, name, shape, kind, most, constant=False, node=None):
        self.name, self.shape, self.kind = name, tuple(shape), kind
        self.most = most          # a bound of the magnitude, roughly
        self.constant = constant  # no operand of it is an input
        self.node = node

    @property
    def rank(self):
        return len(self.shape)

    @property
    def count(self):
        return int(np.prod(self.shape, dtype=np.int64))


class Graph:
    def __init__(self, seed, declared, quantizable=False):
        self.rng = np.random.default_rng(seed)
        self.declared = declared
        self.opset = int(self.rng.choice(OPSETS))
        if quantizable:
            self.opset = max(self.opset, 13)  # scales along an axis
        self.nodes, self.initializers, self.inputs, self.fed, self.values = [], [], [], {}, []
        self.names = 0
        self.domains = set()

    # ---- chance ----

    def chance(self, p):
        return bool(self.rng.random() < p)

    def below(self, n):
        return int(self.rng.integers(n))

    def of(self, choices):
        return choices[self.below(len(choices))]

    def dim(self):
        return int(self.rng.choice([1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 17, 24, 33], p=[.08] * 10 + [.05] * 4))

    # ---- values ----

    def name(self, stem):
        self.names += 1
        return f"{stem}_{self.names}" if self.chance(0.7) else f"/b.{self.names % 7}/{stem}/{self.names}"

    def input(self, shape, kind="f", most=2.0, least=0):
        name = self.name("in")
        if kind == "f":
            data = self.rng.uniform(-most, most, shape).astype(np.float32)
        elif kind == "b":
            data = self.rng.random(shape) < 0.6
        else:
            data = self.rng.integers(least, int(most) + 1, shape).astype(KINDS[kind])
        data = np.asarray(data, KINDS[kind])
        self.fed[name] = data
        self.inputs.append(helper.make_tensor_value_info(name, TYPES[kind], list(shape)))
        v = Value(name, shape, kind, most)
        self.values.append(v)
        return v

    def const(self, data, visible=False):
        """An initializer or a Constant node; visible: a later operator may take it as any other value."""
        data = np.asarray(data)
        kind = next((k for k, t in KINDS.items() if data.dtype == t), None)
        name = self.name("c")
        if self.chance(0.75):
            self.initializers.append(numpy_helper.from_array(data, name))
        else:
            self.nodes.append(helper.make_node("Constant", [], [name], value=numpy_helper.from_array(data)))
        most = float(np.max(np.abs(data.astype(np.float64)), initial=0))
        v = Value(name, data.shape, kind, most, constant=True)
        if visible:
            self.values.append(v)
        return v

    def weights(self, shape, most=1.0):
        return self.const(self.rng.uniform(-most, most, shape).astype(np.float32))

    def ints(self, *values):
        return self.const(np.array(values, np.int64))

    def pick(self, kind="f", least=0, most=8, where=None):
        """A value, the newer the likelier."""
        found = [v for v in self.values if v.kind == kind and least <= v.rank <= most and (not where or where(v))]
        if not found:
            raise Skip
        k = int(self.rng.exponential(2.5))
        return found[-1 - k] if k < len(found) else self.of(found)

    def emit(self, op, operands, shape, kind, most, domain="", results=1, **attributes):
        """One node; shape, kind and most of its result, or lists of them with results > 1."""
        if op not in self.declared and f"{domain}.{op}" not in self.declared:
            raise Skip
        if domain:
            self.domains.add(domain)
        shapes = [shape] if results == 1 else shape
        if None in shapes or any(np.prod(s, dtype=np.int64) > MOST_ELEMENTS or len(s) > 6 for s in shapes):
            raise Skip
        names = [self.name(op.lower()) for _ in range(results)]
        node = helper.make_node(op, [o.name if o else "" for o in operands], names, name=self.name(op), domain=domain,
                                **attributes)
        self.nodes.append(node)
        constant = all(o is None or o.constant for o in operands)
        out = [Value(n, s, kind, most, constant, node) for n, s in zip(names, shapes)]
        self.values.extend(out)
        return out[0] if results == 1 else out

    def calm(self, v):
        """v within about 4, by an operator if need be."""
        if v.kind != "f" or v.most <= 4:
            return v
        if self.chance(0.5):
            return self.emit("Tanh", [v], v.shape, "f", 1.0)
        return self.emit("Mul", [v, self.const(np.float32(2 / v.most))], v.shape, "f", 2.0)
