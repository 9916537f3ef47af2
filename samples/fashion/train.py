#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Train the small ViT on Fashion-MNIST in a fixed wall-clock budget (1 thread).

usage: train.py [budget_s=1380] [out=fashion_vit.pt]
ViT: 28x28x1, patch 4 -> 49+1 tokens, dim 96, depth 6, 3 heads, mlp x4, GELU(erf), LN eps 1e-6.
To get there on one slow core: hidden matrices use orthogonalised momentum (Muon, 5 Newton-Schulz
steps, q/k/v treated separately, update RMS matched to 0.2*lr), the rest AdamW; the first 60 % of
the budget drops a random half of the patch tokens; batch 96, warm-up 3 %, then linear to 0;
horizontal flips; seed 0. Input normalisation: (u8/255 - 0.2860) / 0.3530.
"""
import sys, time, numpy as np, torch, torch.nn.functional as F

from model import ViT
budget = float(sys.argv[1]) if len(sys.argv) > 1 else 1380.
out = sys.argv[2] if len(sys.argv) > 2 else "fashion_vit.pt"
LR, WD, BS, DROP_UNTIL, KEEP = 2e-3, .05, 96, .60, 25
torch.set_num_threads(1); torch.manual_seed(0); rng = np.random.default_rng(0)
z = np.load("fashion_mnist.npz")
nrm = lambda a: torch.from_numpy((a.astype(np.float32) / 255 - 0.2860) / 0.3530)[:, None]
xtr, ytr = nrm(z["xtr"]), torch.from_numpy(z["ytr"].astype(np.int64))
xte, yte = nrm(z["xte"]), torch.from_numpy(z["yte"].astype(np.int64))
m = ViT()
hid = [p for n, p in m.named_parameters() if n.startswith("blocks") and p.ndim == 2]
hs = {id(p) for p in hid}
adam = torch.optim.AdamW([p for p in m.parameters() if id(p) not in hs], lr=LR, betas=(.9, .98), weight_decay=0.)
buf = {id(p): torch.zeros_like(p) for p in hid}

def ns5(X):
    X = X / (X.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        A = X @ X.transpose(-1, -2)
        X = 3.4445 * X + (-4.7750 * A + 2.0315 * (A @ A)) @ X
    return X

@torch.no_grad()
def muon_step(lr):
    groups = {}
    for p in hid:
        b = buf[id(p)]; b.mul_(.95).add_(p.grad)
        g = p.grad.add(b, alpha=.95)
        for k, part in enumerate(g.split(m.head.in_features, 0) if g.shape[0] == 3 * g.shape[1] else [g]):
            tr = part.shape[0] > part.shape[1]
            q = part.t() if tr else part
            groups.setdefault(tuple(q.shape), []).append((p, k, tr, q))
    for p in hid: p.mul_(1 - lr * WD)
    for sh, l in groups.items():
        U = ns5(torch.stack([q for *_, q in l])) * (.2 * max(sh) ** .5)
        for u, (p, k, tr, _) in zip(U, l):
            u = u.t() if tr else u
            n = u.shape[0]
            p[k * n:(k + 1) * n].add_(u, alpha=-lr)

def fwd(x, drop):
    if not drop: return m(x)
    t = m.patch_embed(x) + m.pos_embed[:, 1:]
    idx = torch.rand(t.shape[:2]).argsort(1)[:, :KEEP, None].expand(-1, -1, t.shape[2])
    t = torch.cat(((m.cls_token + m.pos_embed[:, :1]).expand(t.shape[0], -1, -1), t.gather(1, idx)), 1)
    return m.head(m.norm(m.blocks(t))[:, 0])

def acc(n):
    m.eval()
    idx = torch.from_numpy(np.random.default_rng(1).permutation(10000)[:n])
    c = 0
    with torch.no_grad():
        for i in range(0, n, 500):
            c += (m(xte[idx[i:i + 500]]).argmax(1) == yte[idx[i:i + 500]]).sum().item()
    m.train(); return c / n

t0, step, ep, last, done = time.time(), 0, 0, 0., False
while not done:
    perm = rng.permutation(60000)
    for i in range(0, 60000 - BS + 1, BS):
        f = (time.time() - t0) / budget
        if f >= 1: done = True; break
        lr = LR * (f / .03 if f < .03 else (1 - f) / .97)
        b = torch.from_numpy(perm[i:i + BS]); x = xtr[b]
        fl = torch.from_numpy(rng.random(BS) < .5)
        x[fl] = x[fl].flip(-1)
        loss = F.cross_entropy(fwd(x, f < DROP_UNTIL), ytr[b])
        m.zero_grad(set_to_none=True); loss.backward()
        for g in adam.param_groups: g["lr"] = lr
        adam.step(); muon_step(lr); step += 1
        if step % 100 == 0:
            print(f"{time.time()-t0:.0f}s ep {ep} step {step} lr {lr:.2e} loss {loss.item():.3f}", flush=True)
        if f - last > .12:
            last = f; print(f"   acc(1000) {acc(1000):.4f}", flush=True); torch.save(m.state_dict(), out)
    ep += 1
torch.save(m.state_dict(), out)
print(f"steps {step}, epochs {step*BS/60000:.2f}, time {time.time()-t0:.0f}s, test acc (10000) {acc(10000):.4f}", flush=True)
