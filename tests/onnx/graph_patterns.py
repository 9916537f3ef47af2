# SPDX-License-Identifier: MIT
"""Operators of random graphs: products, convolutions, normalisation, and what exporters write as several operators."""
import numpy as np

from graph_operators import fits, with_axes
from graph_values import Skip


def layernorm(g, a=None):
    a = a or g.pick(least=1, where=lambda v: v.shape[-1] > 2)
    if g.opset < 17:
        raise Skip
    operands = [a, g.const(g.rng.uniform(0.5, 1.5, a.shape[-1:]).astype(np.float32))]
    if g.chance(0.8):
        operands.append(g.weights(a.shape[-1:], 0.5))
    return g.emit("LayerNormalization", operands, a.shape, "f", 3.0, axis=-1 if g.chance(0.7) else a.rank - 1,
                  epsilon=g.of([1e-2, 1e-3]))


def layernorm_written_out(g):
    """As exporters of older operator sets do, with variations."""
    a = g.pick(least=2, where=lambda v: v.shape[-1] > 2)
    row = a.shape[:-1] + (1,)
    mean = with_axes(g, "ReduceMean", a, [-1], 18, row, a.most)
    d = g.emit("Sub", [a, mean], a.shape, "f", 2 * a.most)
    if g.chance(0.5):
        sq = g.emit("Pow", [d, g.const(np.float32(2))], a.shape, "f", 4 * a.most ** 2)
    else:
        sq = g.emit("Mul", [d, d], a.shape, "f", 4 * a.most ** 2)
    var = with_axes(g, "ReduceMean", sq, [-1], 18, row, sq.most)
    s = g.emit("Sqrt", [g.emit("Add", [var, g.const(np.float32(1e-2))], row, "f", var.most)], row, "f", 2 * a.most)
    y = g.emit("Div", [d, s], a.shape, "f", 3.0)
    if g.chance(0.8):
        y = g.emit("Mul", [y, g.const(g.rng.uniform(0.5, 1.5, a.shape[-1:]).astype(np.float32))], a.shape, "f", 3.0)
    if g.chance(0.8):
        g.emit("Add", [y, g.weights(a.shape[-1:])] if g.chance(0.5) else [g.weights(a.shape[-1:]), y], a.shape, "f", 3.0)
    if g.chance(0.15):
        g.emit("Add", [mean, s], row, "f", 3 * a.most)  # a part of the pattern has another user


def gelu_written_out(g):
    a = g.calm(g.pick(least=1))
    c = float(np.sqrt(0.5)) if g.chance(0.8) else 0.7
    if g.chance(0.5):
        e = g.emit("Div", [a, g.const(np.float32(1 / c))], a.shape, "f", a.most)
    else:
        e = g.emit("Mul", [a, g.const(np.float32(c))], a.shape, "f", a.most)
    one = g.emit("Add", [g.emit("Erf", [e], a.shape, "f", 1.0), g.const(np.float32(1))], a.shape, "f", 2.0)
    if g.chance(0.5):
        y = g.emit("Mul", [g.emit("Mul", [a, one], a.shape, "f", 2 * a.most), g.const(np.float32(0.5))], a.shape, "f", a.most)
    else:
        y = g.emit("Mul", [g.emit("Mul", [a, g.const(np.float32(0.5))], a.shape, "f", a.most), one], a.shape, "f", a.most)
    return y


def silu_written_out(g):
    a = g.calm(g.pick())
    s = g.emit("Sigmoid", [a if g.chance(0.6) else g.emit("Mul", [a, g.const(np.float32(1.702))], a.shape, "f", 2 * a.most)],
               a.shape, "f", 1.0)
    g.emit("Mul", [a, s] if g.chance(0.5) else [s, a], a.shape, "f", a.most)


def product_of(g, a, n, bias=None):
    """a times a constant matrix, as MatMul and Add."""
    k = a.shape[-1]
    y = g.emit("MatMul", [a, g.weights((k, n), 1.5 / np.sqrt(k))], a.shape[:-1] + (n,), "f", a.most * 1.5)
    if bias or (bias is None and g.chance(0.6)):
        b = g.weights(g.of([(n,), (n,), (1, n)]) if a.rank > 1 else (n,))
        y = g.emit("Add", [y, b] if g.chance(0.5) else [b, y], y.shape, "f", y.most + 1)
    return y


def linear(g):
    a = g.calm(g.pick(least=1, where=lambda v: v.shape[-1] <= 64))
    product_of(g, a, g.dim())


def gemm(g):
    a = g.calm(g.pick(least=2, most=2))
    trans_a, trans_b = g.of([0, 0, 1]), g.of([0, 1])
    m, k = a.shape[::-1] if trans_a else a.shape
    n = g.dim()
    w = g.weights((n, k) if trans_b else (k, n), 1.5 / np.sqrt(k))
    operands = [a, w]
    attributes = {}
    if g.chance(0.7):
        operands.append(g.weights(g.of([(n,), (1, n), (m, n), (m, 1), (1,), ()])))
        if g.chance(0.3):
            attributes["beta"] = 0.5
    if g.chance(0.3):
        attributes["alpha"] = 0.7
    if trans_a or g.chance(0.3):
        attributes["transA"] = trans_a
    if trans_b or g.chance(0.3):
        attributes["transB"] = trans_b
    g.emit("Gemm", operands, (m, n), "f", a.most * 1.5 + 1, **attributes)


def matmul(g):
    """Of two values."""
    a = g.calm(g.pick(least=2))
    k = a.shape[-1]
    found = [v for v in g.values if v.kind == "f" and v.rank >= 2 and v.shape[-2] == k
             and fits(v.shape[:-2], a.shape[:-2]) is not None]
    if found and g.chance(0.6):
        b = g.calm(g.of(found))
    else:
        perm = list(range(a.rank))
        perm[-1], perm[-2] = perm[-2], perm[-1]
        b = g.emit("Transpose", [a], [a.shape[p] for p in perm], "f", a.most, perm=perm)
    shape = tuple(fits(a.shape[:-2], b.shape[:-2])) + (a.shape[-2], b.shape[-1])
    y = g.emit("MatMul", [a, b], shape, "f", a.most * b.most * np.sqrt(k))
    g.emit("Mul", [y, g.const(np.float32(1 / np.sqrt(k)))], shape, "f", a.most * b.most)


def matmul_vector(g):
    a = g.calm(g.pick(least=1))
    y = g.weights((a.shape[-1],), 1.5 / np.sqrt(a.shape[-1]))
    if g.chance(0.5) and a.rank >= 2:
        g.emit("MatMul", [g.weights((a.shape[-2],)), a], a.shape[:-2] + a.shape[-1:], "f", a.most * a.shape[-2])
    else:
        g.emit("MatMul", [a, y], a.shape[:-1], "f", a.most * 1.5)


def einsum(g):
    if g.opset < 12:
        raise Skip
    a = g.calm(g.pick(least=2, most=4))
    letters = "bhnd"[-a.rank:]
    n = g.dim()
    if g.chance(0.5):
        w = g.weights((a.shape[-1], n) if g.chance(0.5) else (n, a.shape[-1]), 1.5 / np.sqrt(a.shape[-1]))
        right = "de" if w.shape[0] == a.shape[-1] and w.shape[1] == n else "ed"
        out = letters[:-1] + "e"
        g.emit("Einsum", [a, w], a.shape[:-1] + (n,), "f", 1.5 * a.most, equation=f"{letters},{right}->{out}")
    else:
        other = letters[:-2] + "md"
        y = g.emit("Einsum", [a, a], a.shape[:-1] + (a.shape[-2],), "f", a.most ** 2 * a.shape[-1],
                   equation=f"{letters},{other}->{letters[:-1]}m")
        g.calm(y)


def attention(g):
    """The whole pattern in one of the ways exporters write it; sometimes with a mask, a scale on either side, shared keys."""
    x = g.calm(g.pick(least=3, most=3, where=lambda v: v.shape[1] <= 17))
    b, n, c = x.shape
    heads, d = g.of([1, 2, 3]), g.of([2, 4, 5, 8])
    e = d if g.chance(0.8) else g.of([3, 6])

    def split_heads(v, size, perm):
        shape = [b, v.shape[1], heads, size]
        r = g.emit("Reshape", [v, g.ints(*g.of([shape, [0, 0, heads, size], [b, -1, heads, size]]))], shape, "f", v.most)
        return g.emit("Transpose", [r], [shape[p] for p in perm], "f", v.most, perm=perm)

    merged = e == d and g.chance(0.4)
    if merged:
        qkv = product_of(g, x, 3 * heads * d)
        r = g.emit("Reshape", [qkv, g.ints(b, n, 3, heads, d)], [b, n, 3, heads, d], "f", qkv.most)
        t = g.emit("Transpose", [r], [3, b, heads, n, d], "f", qkv.most, perm=[2, 0, 3, 1, 4])
        if g.chance(0.5):
            q, k, v = [g.emit("Gather", [t, g.const(np.int64(i))], [b, heads, n, d], "f", qkv.most, axis=0) for i in range(3)]
        else:
            parts = g.emit("Split", [t, g.ints(1, 1, 1)] if g.opset >= 13 else [t], [[1, b, heads, n, d]] * 3, "f", qkv.most,
                           results=3, axis=0)
            q, k, v = [with_axes(g, "Squeeze", p, [0], 13, [b, heads, n, d], qkv.most) for p in parts]
        swap = list(range(4))
        swap[2], swap[3] = 3, 2
        kt = g.emit("Transpose", [k], [b, heads, d, n], "f", k.most, perm=swap)
    else:
        q = split_heads(product_of(g, x, heads * d), d, [0, 2, 1, 3])
        kt = split_heads(product_of(g, x, heads * d), d, [0, 2, 3, 1])
        v = split_heads(product_of(g, x, heads * e), e, [0, 2, 1, 3])
    scale = g.const(np.float32(1 / np.sqrt(d)))
    at = g.of(["q", "scores", "both"])
    if at == "q":
        q = g.emit("Mul", [q, scale], q.shape, "f", q.most)
    if at == "both":
        root = g.const(np.float32(d ** -0.25))
        q, kt = g.emit("Mul", [q, root], q.shape, "f", q.most), g.emit("Mul", [kt, root], kt.shape, "f", kt.most)
    s = g.emit("MatMul", [q, kt], [b, heads, n, n], "f", q.most * kt.most)
    if at == "scores":
        s = g.emit("Mul", [s, scale], s.shape, "f", s.most) if g.chance(0.5) else \
            g.emit("Div", [s, g.const(np.float32(np.sqrt(d)))], s.shape, "f", s.most)
    mask = g.below(4)
    if mask == 0:
        s = g.emit("Add", [s, g.weights(g.of([(n, n), (1, 1, n, n), (heads, 1, n), (b, 1, 1, n)]))], s.shape, "f", s.most)
    if mask == 1:
        causal = np.triu(np.full((n, n), -1e4, np.float32), 1)
        s = g.emit("Add", [s, g.const(causal)], s.shape, "f", s.most)
    p = g.emit("Softmax", [s], s.shape, "f", 1.0, axis=g.of([-1, 3]))
    y = g.emit("MatMul", [p, v], [b, heads, n, v.shape[-1]], "f", v.most)
    size = v.shape[-1]
    y = g.emit("Transpose", [y], [b, n, heads, size], "f", y.most, perm=[0, 2, 1, 3])
    y = g.emit("Reshape", [y, g.ints(b, n, heads * size) if g.chance(0.5) else g.ints(0, 0, -1)], [b, n, heads * size], "f",
               y.most)
    y = product_of(g, y, c)
    g.emit("Add", [x, y] if g.chance(0.5) else [y, x], x.shape, "f", x.most + y.most)


def rotary(g):
    a = g.calm(g.pick(least=2, where=lambda v: v.shape[-1] % 2 == 0))
    h = a.shape[-1] // 2
    half = a.shape[:-1] + (h,)
    lo = g.emit("Slice", [a, g.ints(0), g.ints(h), g.ints(-1)], half, "f", a.most)
    hi = g.emit("Slice", [a, g.ints(h), g.ints(2 ** 63 - 1), g.ints(-1)], half, "f", a.most)
    turned = g.emit("Concat", [g.emit("Neg", [hi], half, "f", a.most), lo], a.shape, "f", a.most, axis=-1)
    angle = g.rng.uniform(0, 6, a.shape[-2:]).astype(np.float32)
    left = g.emit("Mul", [a, g.const(np.cos(angle))], a.shape, "f", a.most)
    right = g.emit("Mul", [turned, g.const(np.sin(angle))], a.shape, "f", a.most)
    g.emit("Add", [left, right], a.shape, "f", 2 * a.most)


def embedding(g):
    table = g.weights((g.of([5, 9, 20]), g.dim()), 1.5)
    ids = [v for v in g.values if v.kind in "ij" and v.node is None and not v.constant and 0 <= v.most < table.shape[0]]
    v = g.of(ids) if ids and g.chance(0.7) else None
    if v is None or np.min(g.fed[v.name]) < 0:
        if len(g.inputs) > 4:
            raise Skip
        v = g.input(g.of([(3,), (1, 6), (2, 4)]), g.of("ij"), most=4)
    g.emit("Gather", [table, v], v.shape + table.shape[1:], "f", 1.5, axis=0)


def picture(g):
    found = [v for v in g.values if v.kind == "f" and v.rank == 4 and min(v.shape[2:]) >= 3 and v.shape[1] <= 16]
    if found and g.chance(0.7):
        return g.calm(g.of(found))
    if len(g.inputs) < 3 and g.chance(0.5):
        return g.input((1, g.of([1, 2, 3, 4]), g.of([5, 6, 8]), g.of([5, 7, 8])))
    a = g.calm(g.pick(least=2, where=lambda v: v.count % 4 == 0 and v.count >= 36))
    h = g.of([k for k in range(3, 12) if a.count % (4 * k) == 0 and a.count // 4 // k >= 3] or [0])
    if not h:
        raise Skip
    return g.emit("Reshape", [a, g.ints(1, 4, h, -1)], [1, 4, h, a.count // 4 // h], "f", a.most)


def window(size, kernel, stride, dilation, before, after):
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1


def conv(g):
    a = picture(g)
    c = a.shape[1]
    groups = g.of([1, 1, c] + [k for k in (2, 3) if c % k == 0])
    o = groups * g.of([1, 2, 4]) if groups > 1 else g.dim()
    kernel = [g.of([1, 2, 3]) for _ in range(2)]
    stride, dilation = g.of([[1, 1], [1, 1], [2, 2], [2, 1], kernel]), g.of([[1, 1], [1, 1], [1, 2]])
    pads = g.of([[0] * 4, [1, 1, 1, 1], [0, 1, 1, 0]])
    auto = g.of([None] * 5 + ["SAME_UPPER", "SAME_LOWER", "VALID"])
    if auto:
        dilation = [1, 1]
        pads = [0] * 4
    out = [window(a.shape[2 + i], kernel[i], stride[i], dilation[i], pads[i], pads[2 + i]) for i in range(2)]
    if auto and auto != "VALID":
        out = [-(-a.shape[2 + i] // stride[i]) for i in range(2)]
    if min(out) < 1:
        raise Skip
    n = c // groups * kernel[0] * kernel[1]
    operands = [a, g.weights((o, c // groups, *kernel), 1.5 / np.sqrt(n))]
    if g.chance(0.6):
        operands.append(g.weights((o,)))
    attributes = {"kernel_shape": kernel, "strides": stride, "dilations": dilation, "group": groups}
    attributes.update({"auto_pad": auto} if auto else {"pads": pads})
    y = g.emit("Conv", operands, (1, o, *out) if a.shape[0] == 1 else (a.shape[0], o, *out), "f", 1.5 * a.most + 1, **attributes)
    if g.chance(0.4) and o > 1:
        flat = g.emit("Reshape", [y, g.ints(0, o, -1)], [a.shape[0], o, out[0] * out[1]], "f", y.most)
        g.emit("Transpose", [flat], [a.shape[0], out[0] * out[1], o], "f", y.most, perm=[0, 2, 1])


def conv_1d(g):
    a = g.calm(g.pick(least=3, most=3, where=lambda v: v.shape[2] >= 3 and v.shape[1] <= 16))
    k, o, p = g.of([1, 2, 3]), g.dim(), g.of([0, 1])
    s = g.of([1, 1, 2])
    operands = [a, g.weights((o, a.shape[1], k), 1.5 / np.sqrt(a.shape[1] * k))]
    if g.chance(0.5):
        operands.append(g.weights((o,)))
    g.emit("Conv", operands, (a.shape[0], o, window(a.shape[2], k, s, 1, p, p)), "f", 1.5 * a.most + 1, kernel_shape=[k],
           strides=[s], pads=[p, p])


def pool(g):
    a = picture(g)
    op = g.of(["MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"])
    if op.startswith("Global"):
        g.emit(op, [a], a.shape[:2] + (1, 1), "f", a.most)
        return
    kernel, stride = [g.of([1, 2, 3]) for _ in range(2)], g.of([[1, 1], [2, 2], [1, 2]])
    pads = g.of([[0] * 4, [0] * 4, [1, 0, 0, 1]]) if min(kernel) > 1 else [0] * 4
    out = [window(a.shape[2 + i], kernel[i], stride[i], 1, pads[i], pads[2 + i]) for i in range(2)]
    attributes = {}
    if op == "AveragePool" and any(pads):
        attributes["count_include_pad"] = g.of([0, 1])
    g.emit(op, [a], (*a.shape[:2], *out), "f", a.most, kernel_shape=kernel, strides=stride, pads=pads, **attributes)


def norm_of_channels(g):
    a = picture(g)
    c = a.shape[1]
    op = g.of(["BatchNormalization", "InstanceNormalization", "GroupNormalization"])
    scale, shift = g.const(g.rng.uniform(0.5, 1.5, c).astype(np.float32)), g.weights((c,))
    if op == "BatchNormalization":
        operands = [a, scale, shift, g.weights((c,)), g.const(g.rng.uniform(0.5, 1.5, c).astype(np.float32))]
        g.emit(op, operands, a.shape, "f", a.most * 3 + 4, epsilon=1e-3)
    elif op == "InstanceNormalization":
        g.emit(op, [a, scale, shift], a.shape, "f", 4.0, epsilon=1e-2)
    else:
        if g.opset < 21:
            raise Skip
        g.emit(op, [a, scale, shift], a.shape, "f", 4.0, epsilon=1e-2, num_groups=g.of([k for k in range(1, c + 1) if c % k == 0]))


def depth_space(g):
    if g.chance(0.5):
        a = picture(g)
        b = g.of([k for k in (2, 3) if a.shape[2] % k == 0 and a.shape[3] % k == 0] or [0])
        if not b:
            raise Skip
        n, c, h, w = a.shape
        g.emit("SpaceToDepth", [a], (n, c * b * b, h // b, w // b), "f", a.most, blocksize=b)
    else:
        a = g.pick(least=4, most=4, where=lambda v: v.shape[1] % 4 == 0)
        n, c, h, w = a.shape
        g.emit("DepthToSpace", [a], (n, c // 4, h * 2, w * 2), "f", a.most, blocksize=2, mode=g.of(["DCR", "CRD"]))


def lp_norm(g):
    a = g.calm(g.pick(least=1))
    b = g.emit("Add", [a, g.const(np.float32(a.most + 0.5))], a.shape, "f", 2 * a.most + 0.5)
    g.emit("LpNormalization", [b], a.shape, "f", 1.0, p=g.of([1, 2]), axis=g.below(a.rank))


def rms_written_out(g):
    a = g.calm(g.pick(least=2, where=lambda v: v.shape[-1] > 1))
    row = a.shape[:-1] + (1,)
    sq = g.emit("Pow", [a, g.const(np.float32(2))], a.shape, "f", a.most ** 2)
    m = with_axes(g, "ReduceMean", sq, [-1], 18, row, sq.most)
    r = g.emit("Reciprocal", [g.emit("Sqrt", [g.emit("Add", [m, g.const(np.float32(1e-2))], row, "f", sq.most + 1)], row, "f",
                                    a.most + 1)], row, "f", 10.0)
    y = g.emit("Mul", [a, r], a.shape, "f", 4.0)
    g.emit("Mul", [g.const(g.rng.uniform(0.5, 1.5, a.shape[-1:]).astype(np.float32)), y], a.shape, "f", 4.0)


def rms_norm(g):
    if g.opset < 23:
        raise Skip
    a = g.pick(least=1, where=lambda v: v.shape[-1] > 1)
    g.emit("RMSNormalization", [a, g.const(g.rng.uniform(0.5, 1.5, a.shape[-1:]).astype(np.float32))], a.shape, "f", 4.0,
           epsilon=1e-2)


def attention_operator(g):
    if g.opset < 23:
        raise Skip
    a = g.calm(g.pick(least=3, most=3, where=lambda v: v.shape[1] <= 17))
    b, n, _ = a.shape
    heads, d = g.of([1, 2, 3]), g.of([2, 4, 8])
    q, k, v = product_of(g, a, heads * d), product_of(g, a, heads * d), product_of(g, a, heads * d)
    operands, attributes = [q, k, v], {}
    if g.chance(0.3):
        operands.append(g.weights(g.of([(n, n), (1, 1, n, n), (b, heads, n, n)])))
    elif g.chance(0.3):
        attributes["is_causal"] = 1
    if g.chance(0.3):
        attributes["scale"] = 0.3
    g.emit("Attention", operands, (b, n, heads * d), "f", v.most, q_num_heads=heads, kv_num_heads=heads, **attributes)


def resize(g):
    if g.opset < 13:
        raise Skip  # needs a region that nobody reads
    a = picture(g)
    mode = g.of(["nearest", "linear"])
    scales = [1.0, 1.0, g.of([1.0, 2.0]), g.of([2.0, 1.5])]
    shape = [int(np.floor(d * s)) for d, s in zip(a.shape, scales)]
    attributes = {"nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"} if mode == "nearest" else \
        {"coordinate_transformation_mode": g.of(["half_pixel", "align_corners", "pytorch_half_pixel"])}
    if g.chance(0.5):
        operands = [a, None, None, g.ints(*shape)]
    else:
        operands = [a, None, g.const(np.array(scales, np.float32))]
    if mode == "linear" and len(operands) == 3 and 1.5 in scales:
        raise Skip  # a size that is rounded: who takes which scale is not the same everywhere
    g.emit("Resize", operands, shape, "f", a.most, mode=mode, **attributes)


TABLE = [  # as that of graph_operators
    (layernorm, 3, 3), (layernorm_written_out, 3, 0), (gelu_written_out, 2, 2), (silu_written_out, 2, 1), (linear, 7, 10),
    (gemm, 3, 4), (matmul, 4, 3), (matmul_vector, 1, 0), (einsum, 2, 0), (attention, 4, 5), (attention_operator, 1, 1),
    (rotary, 2, 0), (embedding, 2, 1), (conv, 3, 4), (conv_1d, 2, 2), (pool, 2, 2), (norm_of_channels, 2, 0), (depth_space, 1, 0),
    (lp_norm, 1, 0), (rms_norm, 1, 0), (rms_written_out, 1, 0), (resize, 1, 0),
]
