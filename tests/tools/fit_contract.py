#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Derives the polynomials of ir/contract.c and prints them (python3 with numpy and scipy; a few seconds).

Not part of the build: the coefficients in ir/contract.c are the contract, this says where they come from.

All fits are F(z) = z^s * P(z)^(2^k) with |W * (F - f)| minimal on a grid: Gauss-Newton on the power with a linear
program in each step, a discrete minimax, the same optimum as Remez on the grid. The coefficients are then rounded to
f32 and searched by single ulps, with F evaluated in f32 in the documented order.
"""
import re
import sys

import numpy as np
from scipy.optimize import linprog
from scipy.special import erf, erfc, expit

F = np.float32


def grid(lo, hi, n=400):
    return 0.5 * (lo + hi) + 0.5 * (hi - lo) * np.cos(np.pi * np.arange(n) / (n - 1))


def lp(A, b):
    """c that minimises max |A c - b|"""
    n = A.shape[1]
    one = np.ones((A.shape[0], 1))
    r = linprog(np.r_[np.zeros(n), 1], np.block([[A, -one], [-A, -one]]), np.r_[b, -b],
                bounds=[(None, None)] * n + [(0, None)], method="highs")
    return r.x[:n] if r.status == 0 else None


def fit(basis, lead, target, weight, K):
    """basis: values of the monomials, lead: the factor in front of P^K"""
    root = (target / lead) ** (1.0 / K)
    w0 = np.maximum(weight * lead * K * root ** (K - 1), 1e-9)
    c = lp(basis * w0[:, None], root * w0)

    def err(c):
        return np.max(np.abs(weight * (lead * (basis @ c) ** K - target)))

    for _ in range(25):
        P = basis @ c
        d = lp((weight * lead * K * P ** (K - 1))[:, None] * basis, weight * (target - lead * P ** K))
        if d is None:
            break
        step = 1.0
        while step > 1e-3 and not err(c + step * d) < err(c) * (1 - 1e-6):
            step /= 2
        if step <= 1e-3:
            break
        c = c + step * d
    return err(c), c


def horner(c, z):
    p = np.full_like(z, F(c[-1]))
    for a in c[-2::-1]:
        p = p * z
        p = p + F(a)
    return p


def power(p, k):
    for _ in range(k):
        p = p * p
    return p


def tune(c, err):
    """rounds to f32, then walks single coefficients by ulps while that lowers the error"""
    c = c.astype(F)
    e0 = best = err(c)
    moved = True
    while moved:
        moved = False
        for i in range(len(c)):
            for ulp in (-2, -1, 1, 2):
                t = c.copy()
                t.view(np.int32)[i] += ulp
                e = err(t)
                if e < best:
                    best, c, moved = e, t, True
    return c, e0, best


def hexf(v):
    m, e = float(F(v)).hex().split("p")
    return (m.rstrip("0").rstrip(".") if "." in m else m) + "p" + e + "f"


made = {}


def emit(name, k, limit, c, note):
    made[name] = [len(c), k, float(F(limit))] + [float(F(v)) for v in c]
    print(f"/* {note} */\n{name} = {{ {len(c)}, {k}, {hexf(limit)}, {{ {', '.join(hexf(v) for v in c)} }} }}\n",
          flush=True)


def tail(name, S, n, k, his, ref):
    """z S(z) on [0, hi], decaying to 0, error over max(1, z). The value at hi is tied to the error bound as well,
    because the clamp holds it for every larger z."""
    best = None
    for hi in his:
        hi = float(F(hi))
        z = np.r_[grid(0, hi)[:-1], hi]
        t = np.maximum(np.r_[z[:-1] * S(z[:-1]), 0.0], 1e-30)
        E, c = fit(np.vander(z / hi, n + 1, increasing=True), z, t, 1 / np.maximum(1, z), 2 ** k)
        if best is None or E < best[0] * 0.995:
            best = (E, hi, c / hi ** np.arange(n + 1))
    E, hi, c = best
    x = np.linspace(-1.2 * hi, 1.2 * hi, 300001).astype(F)
    r = ref(x.astype(float))
    w = 1 / np.maximum(1, np.abs(x.astype(float)))
    z = np.minimum(np.abs(x), F(hi))
    relu = np.where(x > 0, x, F(0))
    c, e0, e1 = tune(c, lambda c: np.max(np.abs(w * ((relu - z * power(horner(c, z), k)).astype(float) - r))))
    emit(name, k, hi, c, f"degree {n}, {k} squarings: fit {E:.2e}, rounded {e0:.2e}, tuned {e1:.2e}")


def odd(name, f, top, n, k, his, clamped):
    """z P(z^2)^(2^k), relative error"""
    best = None
    for hi in his:
        hi = float(F(hi))
        z = grid(0, hi)[:-1]
        t = f(z)
        if clamped:
            z, t = np.r_[z, hi], np.r_[t, top]
        E, c = fit(np.vander((z / hi) ** 2, n + 1, increasing=True), z, t, 1 / t, 2 ** k)
        if best is None or E < best[0]:
            best = (E, hi, c / hi ** (2 * np.arange(n + 1)))
    E, hi, c = best
    z = np.linspace(hi / 30000, hi, 300001).astype(F)
    r = f(z.astype(float))
    c, e0, e1 = tune(c, lambda c: np.max(np.abs(z * power(horner(c, z * z), k) / r - 1)))
    emit(name, k, hi, c, f"odd, degree {n} in z*z, {k} squarings: fit {E:.2e}, rounded {e0:.2e}, tuned {e1:.2e}")


def softmax_codes(name, n, k):
    """255 * 2^y on [-16, 0]. Absolute error counts where the code is large; below a quarter of a code the weight rises
    up to tenfold, so that the dithered tail keeps its mass and the value at the clamp stays below 1/256."""
    def weight(t):
        return 1 / np.minimum(1, t / 0.25 + 0.1)

    y = grid(-16, 0, 600)
    t = 255 * np.exp2(y)
    E, c = fit(np.vander(y / 16, n + 1, increasing=True), np.ones_like(y), t, weight(t), 2 ** k)
    c = c / 16.0 ** np.arange(n + 1)
    x = np.linspace(-16, 0, 600001).astype(F)
    t = 255 * np.exp2(x.astype(float))
    c, e0, e1 = tune(c, lambda c: np.max(weight(t) * np.abs(power(horner(c, x), k).astype(float) - t)))
    rel = np.max(np.abs(power(horner(c, x), k) / t - 1))
    emit(name, k, -16.0, c, f"255*2^y, degree {n}, {k} squarings: fit {E:.2e}, rounded {e0:.2e}, tuned {e1:.2e} codes "
         f"(weighted), relative {rel:.2e}")


def core(name, f, lead, n, lo, hi, limit, keep):
    """(f(r) - lead(r)) / r^2 as a polynomial of r, relative error of f"""
    r = grid(lo, hi)
    r = r[np.abs(r) > 1e-3]
    t = (f(r) - lead(r)) / r ** 2
    sign = np.sign(t[0])
    E, c = fit(np.vander(r, n + 1, increasing=True), np.ones_like(r), sign * t, r * r / np.abs(f(r)), 1)
    x = np.linspace(*keep).astype(F)
    ref = f(x.astype(float))
    use = np.abs(ref) > 1e-30
    one = F(lead(0.0))
    c, e0, e1 = tune(sign * c, lambda c: np.max(np.abs(((x * x * horner(c, x) + x) + one).astype(float) / ref - 1)[use]))
    emit(name, 0, limit, c, f"degree {n}: fit {E:.2e}, rounded {e0:.2e}, tuned {e1:.2e} (relative)")


R2 = np.sqrt(2)
GT = 2 * np.sqrt(2 / np.pi)
S_erf = lambda a: 0.5 * erfc(a / R2)
S_tanh = lambda a: expit(-GT * (a + 0.044715 * a ** 3))
S_quick = lambda a: expit(-1.702 * a)
S_sig = lambda a: expit(-a)
span = np.arange

softmax_codes("vq_poly_exp2_u8", 3, 5)
tail("vq_poly_gelu", S_erf, 5, 3, span(4.8, 5.5, .05), lambda x: x * S_erf(-x))
tail("vq_poly_gelu_tanh", S_tanh, 6, 3, span(4.6, 5.3, .05), lambda x: x * S_tanh(-x))
tail("vq_poly_gelu_quick", S_quick, 9, 3, span(7.3, 7.7, .05), lambda x: x * S_quick(-x))
tail("vq_poly_silu", S_sig, 9, 3, span(12, 15, .25), lambda x: x * S_sig(-x))
odd("vq_poly_erf", erf, 1.0, 8, 1, span(3.1, 3.6, .05), True)
odd("vq_poly_tanh", np.tanh, None, 4, 0, [0.625], False)
h = np.log(2) / 2
core("vq_poly_exp", np.exp, lambda r: 1 + r, 3, -h * 1.001, h * 1.001, h, (-h, h, 300001))
core("vq_poly_log", np.log1p, lambda r: r, 7, R2 / 2 - 1, R2 - 1, 0.0, (R2 / 2 - 1, R2 - 1, 300002))

if len(sys.argv) > 1:
    # compares with the tables of ir/contract.c; another solver of linear programs may end some ulps away
    text = open(sys.argv[1]).read()
    for name, want in made.items():
        body = re.search(r"const vq_poly " + name + r"\s*=\s*\{(.*?)\};", text, re.S).group(1)
        token = re.findall(r"-?0x[0-9a-f.]+p[+-]\d+|-?\d+(?:\.\d+)?", body)
        have = [float.fromhex(v) if "x" in v else float(v) for v in token]
        print(name, "as in the file" if have == want else f"differs: file has {have}")
