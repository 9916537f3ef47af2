# SPDX-License-Identifier: MIT
"""Operators of random graphs: elementwise, reductions, movement. Each takes what it finds in the graph and adds nodes, or raises Skip."""
import numpy as np

from graph_values import KINDS, TYPES, Skip


def fits(a, b):
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        return None


def partner(g, a):
    """A second operand for a, by broadcasting: another value, a constant, a itself."""
    if g.chance(0.55):
        found = [v for v in g.values if v.kind == a.kind and fits(a.shape, v.shape) is not None]
        if found:
            return g.of(found)
    shape = list(a.shape)
    for i in range(len(shape)):
        if g.chance(0.3):
            shape[i] = 1
    shape = shape[g.below(len(shape) + 1):] if shape and g.chance(0.5) else shape
    if g.chance(0.1) and len(shape) < 5:
        shape = [g.of([1, 2, 3])] + shape
    if g.chance(0.15):
        shape = []
    if a.kind == "f":
        return g.const(g.rng.uniform(-2, 2, shape).astype(np.float32), visible=g.chance(0.3))
    if a.kind == "b":
        return g.const(np.asarray(g.rng.random(shape) < 0.5, np.bool_))
    return g.const(np.asarray(g.rng.integers(-4, 5, shape), KINDS[a.kind]))


def binary(op):
    def make(g):
        a = g.calm(g.pick())
        b = partner(g, a)
        if not b.constant:
            b = g.calm(b)
        pair = [a, b] if g.chance(0.6) else [b, a]
        most = a.most * b.most if op == "Mul" else a.most + b.most
        g.emit(op, pair, fits(a.shape, b.shape), "f", most)
    return make


def integer_binary(g):
    a = g.pick(g.of("ij"))
    b = partner(g, a)
    op = g.of(["Add", "Sub", "Mul"])
    if a.most * b.most > 1e6:
        raise Skip
    g.emit(op, [a, b], fits(a.shape, b.shape), a.kind, max(a.most * b.most, a.most + b.most))


def divide(g):
    a, b = g.calm(g.pick()), g.calm(g.pick())
    if fits(a.shape, b.shape) is None:
        b = a
    if g.chance(0.4):
        d = g.const((g.rng.uniform(0.5, 2, b.shape[-1:]) * g.of([-1, 1])).astype(np.float32))
    else:
        d = g.emit("Add", [g.emit("Abs", [b], b.shape, "f", b.most), g.const(np.float32(0.5))], b.shape, "f", b.most + 0.5)
    g.emit("Div", [a, d], fits(a.shape, d.shape), "f", a.most * 2)


def power(g):
    a = g.calm(g.pick())
    e = g.of([0.0, 1.0, 2.0, 3.0])
    g.emit("Pow", [a, g.const(np.float32(e) if g.chance(0.5) or not a.rank else np.array([e], np.float32))], a.shape, "f",
           max(1.0, a.most ** e))


SMOOTH = {  # operator: since, bound of the result for operands within m
    "Abs": (6, lambda m: m), "Erf": (9, lambda m: 1), "Exp": (6, lambda m: np.exp(min(m, 4))), "Neg": (6, lambda m: m),
    "Relu": (6, lambda m: m), "Sigmoid": (6, lambda m: 1), "Tanh": (6, lambda m: 1), "HardSigmoid": (6, lambda m: 1),
    "HardSwish": (14, lambda m: m), "Mish": (18, lambda m: m), "Softplus": (1, lambda m: m + 1),
    "Softsign": (1, lambda m: 1), "LeakyRelu": (6, lambda m: m), "Elu": (6, lambda m: max(m, 1)),
    "Selu": (6, lambda m: 2 * m + 2), "Celu": (12, lambda m: max(m, 1)), "Identity": (1, lambda m: m),
    "Gelu": (20, lambda m: m), "Dropout": (7, lambda m: m),
}
STEPS = ("Floor", "Ceil", "Round", "Sign")


def unary(g):
    op = g.of(list(SMOOTH))
    since, bound = SMOOTH[op]
    if since > g.opset:
        raise Skip
    a = g.calm(g.pick())
    attributes = {}
    if op in ("LeakyRelu", "Elu") and g.chance(0.5):
        attributes["alpha"] = float(g.rng.uniform(0.05, 0.9))
    if op == "HardSigmoid" and g.chance(0.5):
        attributes.update(alpha=0.3, beta=0.4)
    if op == "Gelu" and g.chance(0.5):
        attributes["approximate"] = g.of(["none", "tanh"])
    if op == "Dropout" and g.opset < 12:
        attributes["ratio"] = 0.3
    g.emit(op, [a], a.shape, "f", float(bound(a.most)), **attributes)


def microsoft(g):
    a = g.calm(g.pick(least=1))
    op = g.of(["Gelu", "FastGelu", "QuickGelu", "BiasGelu"])
    operands, attributes = [a], {}
    if op == "BiasGelu" or (op == "FastGelu" and g.chance(0.5)):
        operands.append(g.weights(a.shape[-1:]))
    if op == "QuickGelu":
        attributes["alpha"] = 1.702
    g.emit(op, operands, a.shape, "f", a.most + 1, domain="com.microsoft", **attributes)


def positive(g):
    a = g.calm(g.pick())
    p = g.emit("Add", [g.emit("Mul", [a, a], a.shape, "f", a.most ** 2), g.const(np.float32(0.25))], a.shape, "f",
               a.most ** 2 + 0.25)
    op = g.of(["Sqrt", "Log", "Reciprocal"])
    q = g.emit(op, [p], a.shape, "f", 4.0)
    if op == "Sqrt" and g.chance(0.5):
        g.emit("Div", [a, q], a.shape, "f", 2.0)


def step(g):
    a = g.calm(g.pick())
    g.emit(g.of(STEPS), [a], a.shape, "f", a.most + 1)


def clip(g):
    a = g.pick()
    lo, hi = sorted(g.rng.uniform(-3, 3, 2))
    which = g.of(["both", "low", "high"])
    low = g.const(np.float32(lo)) if which != "high" else None
    high = g.const(np.float32(hi)) if which != "low" else None
    operands = [a, low] + ([high] if high else [])
    g.emit("Clip", operands, a.shape, "f", a.most if which != "both" else 3.0)


def variadic(g):
    a = g.calm(g.pick())
    many = [a] + [partner(g, a) for _ in range(g.below(3))]
    shape = a.shape
    for v in many:
        shape = shape if shape is None else fits(shape, v.shape)
    if shape is None:
        raise Skip
    op = g.of(["Min", "Max", "Sum", "Mean"])
    g.emit(op, many, shape, "f", sum(v.most for v in many))


def compare(g):
    a = g.pick(g.of("ffij"))
    if a.kind == "f":
        a = g.calm(a)
    b = partner(g, a)
    op = g.of(["Less", "Greater", "LessOrEqual", "GreaterOrEqual", "Equal"])
    if op.endswith("OrEqual") and g.opset < 12:
        raise Skip
    if op == "Equal" and a.kind == "f":
        raise Skip  # decided by the last bit
    g.emit(op, [a, b] if g.chance(0.5) else [b, a], fits(a.shape, b.shape), "b", 1)


def logic(g):
    a = g.pick("b")
    op = g.of(["And", "Or", "Xor", "Not"])
    if op == "Not":
        g.emit(op, [a], a.shape, "b", 1)
        return
    b = partner(g, a)
    g.emit(op, [a, b], fits(a.shape, b.shape), "b", 1)


def where(g):
    c = g.pick("b")
    a = g.pick(where=lambda v: fits(v.shape, c.shape) is not None)
    shape = fits(a.shape, c.shape)
    b = g.of([v for v in g.values if v.kind == "f" and fits(v.shape, shape) is not None])
    if g.chance(0.4):
        b = g.const(np.float32(g.of([0.0, -3.0, 1.5])))
    g.emit("Where", [c, a, b] if g.chance(0.5) else [c, b, a], fits(shape, b.shape), "f", max(a.most, b.most))


def cast(g):
    a = g.pick(g.of("bbij"))
    if a.kind in "ij" and a.most > 1e5:
        raise Skip
    to = g.of("ffij")
    g.emit("Cast", [a], a.shape, to, a.most, to=TYPES[to])


def axes_of(g, rank, most=None):
    n = 1 + g.below(min(rank, most or rank))
    axes = sorted(int(x) for x in g.rng.choice(rank, n, replace=False))
    return axes, [a - rank if g.chance(0.4) else a for a in axes]


def with_axes(g, op, a, axes, since_input, shape, most, **attributes):
    if g.opset >= since_input:
        return g.emit(op, [a, g.ints(*axes)], shape, a.kind, most, **attributes)
    return g.emit(op, [a], shape, a.kind, most, axes=axes, **attributes)


def reduce(g):
    op = g.of(["ReduceSum", "ReduceMean", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
               "ReduceSumSquare", "ReduceLogSumExp"])
    a = g.calm(g.pick(least=1))
    axes, given = axes_of(g, a.rank)
    n = int(np.prod([a.shape[i] for i in axes]))
    keep = g.of([0, 1])
    shape = [1 if i in axes else d for i, d in enumerate(a.shape) if keep or i not in axes]
    most = a.most * (n if op in ("ReduceSum", "ReduceL1", "ReduceL2") else 1)
    if op == "ReduceSumSquare":
        most = a.most ** 2 * n
    if op == "ReduceProd":
        if n > 6:
            raise Skip
        most = a.most ** n
    if op == "ReduceLogSumExp":
        most = a.most + np.log(n)
    since = 13 if op == "ReduceSum" else 18
    if g.chance(0.1):
        if op == "ReduceProd":
            raise Skip
        g.emit(op, [a], [1] * a.rank if keep else [], "f", most * a.count / n, keepdims=keep)
        return
    attributes = {} if keep and g.chance(0.5) else {"keepdims": keep}
    with_axes(g, op, a, given, since, shape, most, **attributes)


def softmax(g):
    op = g.of(["Softmax", "Softmax", "LogSoftmax"])
    a = g.calm(g.pick(least=1))
    axis = g.below(a.rank) - (a.rank if g.chance(0.5) else 0)
    attributes = {} if g.chance(0.3) and a.rank > 1 else {"axis": axis}
    g.emit(op, [a], a.shape, "f", 1.0 if op == "Softmax" else 2 * a.most + 4, **attributes)


def gather(g):
    a = g.pick(g.of("fffi"), least=1)
    axis = g.below(a.rank)
    shape = g.of([(), (1,), (2,), (3,), (2, 2)])
    index = g.rng.integers(-a.shape[axis], a.shape[axis], shape)
    g.emit("Gather", [a, g.const(np.asarray(index, np.int64))], a.shape[:axis] + shape + a.shape[axis + 1:], a.kind, a.most,
           axis=axis - (a.rank if g.chance(0.3) else 0))


def transpose(g):
    a = g.pick(g.of("ffffbi"), least=2)
    perm = [int(x) for x in g.rng.permutation(a.rank)]
    if g.chance(0.15):
        g.emit("Transpose", [a], a.shape[::-1], a.kind, a.most)
    else:
        g.emit("Transpose", [a], [a.shape[p] for p in perm], a.kind, a.most, perm=perm)


def factors(g, n, rank):
    shape = []
    for _ in range(rank - 1):
        d = g.of([k for k in range(1, n + 1) if n % k == 0])
        shape.append(d)
        n //= d
    return shape + [n]


def reshape(g):
    a = g.pick(g.of("ffffbi"), least=0)
    shape = factors(g, a.count, 1 + g.below(4))
    g.rng.shuffle(shape)
    shape = [int(x) for x in shape]
    given = list(shape)
    if g.chance(0.3):
        given[g.below(len(given))] = -1
    elif g.chance(0.3):
        for i in range(min(len(given), a.rank)):
            if given[i] == a.shape[i]:
                given[i] = 0
    g.emit("Reshape", [a, g.ints(*given)], shape, a.kind, a.most)


def reshape_by_shape(g):
    """Shape arithmetic, as exporters of dynamic models leave it."""
    a = g.pick(least=2)
    sizes = g.emit("Shape", [a], [a.rank], "i", max(a.shape))
    g.values.pop()
    first = g.emit("Gather", [sizes, g.const(np.int64(0))], [], "i", max(a.shape), axis=0)
    g.values.pop()
    first = with_axes(g, "Unsqueeze", first, [0], 13, [1], max(a.shape))
    g.values.pop()
    shape = g.emit("Concat", [first, g.ints(-1)], [2], "i", a.count, axis=0)
    g.values.pop()
    g.emit("Reshape", [a, shape], [a.shape[0], a.count // a.shape[0]], "f", a.most)


def flatten(g):
    a = g.pick(g.of("fffb"), least=1)
    axis = g.below(a.rank + 1)
    shape = [int(np.prod(a.shape[:axis], dtype=np.int64)), int(np.prod(a.shape[axis:], dtype=np.int64))]
    g.emit("Flatten", [a], shape, a.kind, a.most, axis=axis)


def squeeze(g):
    a = g.pick(least=1, where=lambda v: 1 in v.shape)
    ones = [i for i, d in enumerate(a.shape) if d == 1]
    some = sorted(int(x) for x in g.rng.choice(ones, 1 + g.below(len(ones)), replace=False))
    if g.chance(0.2):
        g.emit("Squeeze", [a], [d for d in a.shape if d != 1], "f", a.most)
    else:
        with_axes(g, "Squeeze", a, [i - a.rank if g.chance(0.3) else i for i in some], 13,
                  [d for i, d in enumerate(a.shape) if i not in some], a.most)


def unsqueeze(g):
    a = g.pick(g.of("fffb"), most=4)
    rank = a.rank + 1 + g.below(2)
    axes = sorted(int(x) for x in g.rng.choice(rank, rank - a.rank, replace=False))
    rest = iter(a.shape)
    shape = [1 if i in axes else next(rest) for i in range(rank)]
    with_axes(g, "Unsqueeze", a, [i - rank if g.chance(0.3) else i for i in axes], 13, shape, a.most)


def expand(g):
    a = g.pick(g.of("fffb"), where=lambda v: 1 in v.shape or v.rank < 3)
    shape = [g.dim() if d == 1 and g.chance(0.6) else d for d in a.shape]
    if g.chance(0.3):
        shape = [g.of([1, 2, 3])] + shape
    given = [1 if d == s and g.chance(0.3) else s for d, s in zip(a.shape, shape[len(shape) - a.rank:])]
    given = shape[:len(shape) - a.rank] + given
    g.emit("Expand", [a, g.ints(*given)], shape, a.kind, a.most)


def tile(g):
    a = g.pick(least=1)
    times = [g.of([1, 1, 2, 3]) for _ in a.shape]
    g.emit("Tile", [a, g.ints(*times)], [d * t for d, t in zip(a.shape, times)], "f", a.most)


def concat(g):
    a = g.pick(g.of("fffi"), least=1)
    axis = g.below(a.rank)
    found = [v for v in g.values if v.kind == a.kind and v.rank == a.rank
             and all(i == axis or x == y for i, (x, y) in enumerate(zip(v.shape, a.shape)))]
    parts = [a] + [g.of(found) for _ in range(1 + g.below(3))]
    if a.kind == "f" and g.chance(0.4):
        parts[-1] = g.weights([1 if i == axis else d for i, d in enumerate(a.shape)])
    g.rng.shuffle(parts)
    shape = list(a.shape)
    shape[axis] = sum(p.shape[axis] for p in parts)
    g.emit("Concat", parts, shape, a.kind, max(p.most for p in parts), axis=axis - (a.rank if g.chance(0.3) else 0))


def split(g):
    a = g.pick(least=1, where=lambda v: max(v.shape) > 1)
    axis = g.of([i for i, d in enumerate(a.shape) if d > 1])
    d, n = a.shape[axis], min(a.shape[axis], 2 + g.below(2))
    cuts = sorted(int(x) for x in g.rng.choice(np.arange(1, d), n - 1, replace=False))
    sizes = [int(x) for x in np.diff([0, *cuts, d])]
    shapes = [a.shape[:axis] + (s,) + a.shape[axis + 1:] for s in sizes]
    if d % n == 0 and g.chance(0.4):
        shapes = [a.shape[:axis] + (d // n,) + a.shape[axis + 1:]] * n
        attributes = {"num_outputs": n} if g.opset >= 18 else {}
        g.emit("Split", [a], shapes, "f", a.most, results=n, axis=axis, **attributes)
    elif g.opset >= 13:
        g.emit("Split", [a, g.ints(*sizes)], shapes, "f", a.most, results=n, axis=axis - (a.rank if g.chance(0.3) else 0))
    else:
        g.emit("Split", [a], shapes, "f", a.most, results=n, axis=axis, split=sizes)


def slice_(g):
    a = g.pick(g.of("ffffbi"), least=1)
    axes, given = axes_of(g, a.rank)
    shape, starts, ends, steps = list(a.shape), [], [], []
    for i in axes:
        d = a.shape[i]
        step = g.of([1, 1, 1, 2, 3, -1, -2])
        lo, hi = sorted(int(x) for x in g.rng.integers(0, d + 1, 2))
        lo, hi = (lo, hi) if hi > lo else (0, d)
        start, end = (lo, hi) if step > 0 else (hi - 1, lo - 1)
        shape[i] = len(range(start, end, step))
        if step < 0 and end < 0:
            end = -2 ** 63 if g.chance(0.5) else -d - 1
        elif end == d and step > 0 and g.chance(0.3):
            end = g.of([2 ** 63 - 1, 2 ** 31 - 1])
        elif g.chance(0.3):
            start, end = start - d, end - d if end < d else end
        starts.append(start)
        ends.append(end)
        steps.append(step)
    operands = [a, g.ints(*starts), g.ints(*ends)]
    if axes != list(range(len(axes))) or g.chance(0.7) or any(s != 1 for s in steps):
        operands.append(g.ints(*given))
        if any(s != 1 for s in steps) or g.chance(0.5):
            operands.append(g.ints(*steps))
    g.emit("Slice", operands, shape, a.kind, a.most)


def roll(g):
    """Swin's cyclic shift."""
    a = g.pick(least=2, where=lambda v: max(v.shape) > 1)
    axis = g.of([i for i, d in enumerate(a.shape) if d > 1])
    k = 1 + g.below(a.shape[axis] - 1)
    shape = [list(a.shape), list(a.shape)]
    shape[0][axis], shape[1][axis] = a.shape[axis] - k, k
    back = g.emit("Slice", [a, g.ints(k), g.ints(2 ** 63 - 1), g.ints(axis)], shape[0], "f", a.most)
    front = g.emit("Slice", [a, g.ints(0), g.ints(k), g.ints(axis)], shape[1], "f", a.most)
    g.emit("Concat", [back, front], a.shape, "f", a.most, axis=axis)


def pad(g):
    a = g.pick(least=1)
    before = [g.of([0, 0, 1, 2]) for _ in a.shape]
    after = [g.of([0, 0, 1, 3]) for _ in a.shape]
    mode = g.of(["constant", "constant", "constant", "edge", "reflect"])
    if mode == "reflect" and any(max(x) >= d for x, d in zip(zip(before, after), a.shape)):
        mode = "constant"
    operands = [a, g.ints(*before, *after)]
    if mode == "constant" and g.chance(0.5):
        operands.append(g.const(np.float32(g.rng.uniform(-1, 1))))
    g.emit("Pad", operands, [p + d + q for p, d, q in zip(before, a.shape, after)], "f", a.most + 1,
           **({} if mode == "constant" else {"mode": mode}))


def cum_sum(g):
    a = g.calm(g.pick(least=1))
    axis = g.below(a.rank)
    attributes = {k: 1 for k in ("exclusive", "reverse") if g.chance(0.3)}
    g.emit("CumSum", [a, g.const(np.int64(axis))], a.shape, "f", a.most * a.shape[axis], **attributes)


def trilu(g):
    if g.opset < 14:
        raise Skip
    a = g.pick(least=2)
    operands = [a] + ([g.const(np.int64(g.of([-1, 0, 1, 2])))] if g.chance(0.6) else [])
    g.emit("Trilu", operands, a.shape, "f", a.most, upper=g.of([0, 1]))


def gather_elements(g):
    a = g.pick(least=1)
    axis = g.below(a.rank)
    shape = list(a.shape)
    shape[axis] = g.of([1, 2, 3])
    index = g.rng.integers(-a.shape[axis], a.shape[axis], shape)
    g.emit("GatherElements", [a, g.const(index.astype(np.int64))], shape, "f", a.most, axis=axis)


def gather_nd(g):
    if g.opset < 11:
        raise Skip
    a = g.pick(least=1)
    depth = 1 + g.below(a.rank)
    shape = g.of([(1,), (2,), (2, 2)])
    index = np.stack([g.rng.integers(-a.shape[i], a.shape[i], shape) for i in range(depth)], -1)
    g.emit("GatherND", [a, g.const(index.astype(np.int64))], shape + a.shape[depth:], "f", a.most)


def arg_max(g):
    a = g.calm(g.pick(least=1))
    axis, keep = g.below(a.rank), g.of([0, 1])
    shape = [1 if i == axis else d for i, d in enumerate(a.shape) if keep or i != axis]
    g.emit(g.of(["ArgMax", "ArgMin"]), [a], shape, "i", max(a.shape), axis=axis, keepdims=keep)


# maker, weight in float graphs, weight in quantized ones, which have nothing that amplifies a code that is off by one
TABLE = [
    (binary("Add"), 8, 8), (binary("Sub"), 3, 2), (binary("Mul"), 6, 4), (integer_binary, 2, 0), (divide, 2, 0), (power, 1, 0),
    (unary, 10, 2), (microsoft, 1, 0), (positive, 2, 0), (step, 1, 0), (clip, 1, 1), (variadic, 2, 0), (compare, 2, 0),
    (logic, 2, 0), (where, 2, 0), (cast, 2, 0), (reduce, 4, 1), (softmax, 3, 1), (gather, 3, 2), (transpose, 5, 4),
    (reshape, 5, 4), (reshape_by_shape, 1, 0), (flatten, 1, 1), (squeeze, 1, 1), (unsqueeze, 2, 1), (expand, 2, 1), (tile, 1, 1),
    (concat, 3, 3), (split, 2, 2), (slice_, 4, 3), (roll, 2, 2), (pad, 2, 1), (cum_sum, 1, 0), (trilu, 1, 0),
    (gather_elements, 1, 0), (gather_nd, 1, 0), (arg_max, 1, 0),
]
