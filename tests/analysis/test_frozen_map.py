"""Any module as a linear map: sums, plain loops, Captum, finite differences, and what cannot be held."""

from __future__ import annotations

import math

import captum.attr
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mswin_viz.analysis.frozen.calls import InOnePrecision
from mswin_viz.analysis.frozen.frozen_map import UNEXPLAINED_FROM, FrozenMap
from mswin_viz.analysis.frozen.frozen_pass import READ
from mswin_viz.errors import ShapeError

DIM, N, BATCH = 6, 12, 3


class Of(nn.Module):
    """A forward in one line, and its layers."""

    def __init__(self, forward, **layers):
        super().__init__()
        self._forward = forward
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x):
        return self._forward(self, x)


def linear(width=DIM, to=DIM):
    return nn.Linear(width, to)


def parameter(*shape):
    return nn.Parameter(torch.randn(*shape))


def by_hand(m, x):
    e = torch.exp(m.a(x) - m.a(x).max(dim=1, keepdim=True).values)
    return ((e / e.sum(1, keepdim=True)) * x).sum(1)


def in_place(m, x):
    y = m.a(x)
    y += 1
    y *= 2
    y -= x
    y = F.relu(y, inplace=True)
    y[:, 0] = 0.5
    y[:, 1] += x[:, 2]
    y.add_(x)
    return y.mean(1)


def into_a_buffer(m, x):
    out = torch.zeros(len(x), DIM, dtype=x.dtype)
    out[:] = m.a(x).mean(1)
    out += m.a.bias
    return out


def on_a_grid(m, x):
    return m.net(x.transpose(1, 2).reshape(len(x), DIM, 4, 3)).flatten(1) @ m.w


def _twice(y, layer):
    return (y + layer(y)).mean(1) + y.mean(1)


def into_new_zeros(m, x):
    out = x.new_zeros(len(x), DIM)
    out[:] = m.a.bias
    return out + m.a(x).mean(1)


ACTIVATIONS = (
    *(F.elu, F.selu, F.celu, F.gelu, F.silu, F.mish, F.softplus, F.leaky_relu, F.hardtanh, F.relu6, F.softsign),
    *(F.hardswish, F.hardsigmoid, torch.tanh, torch.sigmoid, torch.abs, torch.relu),
)  # fmt: skip
HELD = {
    "attention pooling": lambda: Of(lambda m, x: (m.a(x).softmax(dim=1) * m.b(x)).sum(1), a=linear(DIM, 1), b=linear()),
    "squeeze and excitation": lambda: Of(
        lambda m, x: (x * torch.sigmoid(m.b(torch.relu(m.a(x.mean(1)))))[:, None]).mean(1), a=linear(), b=linear()
    ),
    "glu": lambda: Of(lambda m, x: F.glu(m.a(x)).mean(1), a=linear(DIM, 2 * DIM)),
    "swiglu": lambda: Of(lambda m, x: (F.silu(m.a(x)) * m.b(x)).mean(1), a=linear(), b=linear()),
    "quick gelu": lambda: Of(lambda m, x: (m.a(x) * torch.sigmoid(1.702 * m.a(x))).mean(1), a=linear()),
    "gem": lambda: Of(lambda m, x: x.clamp(min=1e-6).pow(m.p).mean(1).pow(1 / m.p), p=nn.Parameter(torch.tensor(3.0))),
    "rms by hand": lambda: Of(
        lambda m, x: (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * m.w).mean(1), w=parameter(DIM)
    ),
    "rms norm": lambda: Of(lambda m, x: m.n(x).mean(1), n=nn.RMSNorm(DIM)),
    "multi-head attention": lambda: Of(
        lambda m, x: m.m(m.q.expand(len(x), 1, DIM), x, x)[0][:, 0],
        m=nn.MultiheadAttention(DIM, 2, batch_first=True), q=parameter(1, 1, DIM),
    ),
    "attention with bias tokens": lambda: Of(
        lambda m, x: m.m(x, x, x)[0].mean(1), m=nn.MultiheadAttention(DIM, 3, batch_first=True, add_bias_kv=True)
    ),
    "attention with zero tokens": lambda: Of(
        lambda m, x: m.m(x, x, x, need_weights=False)[0].mean(1),
        m=nn.MultiheadAttention(DIM, 3, batch_first=True, add_zero_attn=True, bias=False),
    ),
    "attention, other widths": lambda: Of(
        lambda m, x: m.m(x, m.a(x), m.a(x))[0].mean(1),
        m=nn.MultiheadAttention(DIM, 3, kdim=4, vdim=4, batch_first=True), a=linear(DIM, 4),
    ),
    "attention with padding": lambda: Of(
        lambda m, x: m.m(x, x, x, key_padding_mask=torch.arange(N).expand(len(x), N) > 8)[0].mean(1),
        m=nn.MultiheadAttention(DIM, 3, batch_first=True),
    ),
    "encoder, norm last": lambda: Of(
        lambda m, x: m.m(x).mean(1), m=nn.TransformerEncoderLayer(DIM, 2, 16, batch_first=True)
    ),
    "encoder, norm first": lambda: Of(
        lambda m, x: m.m(x)[:, 0],
        m=nn.TransformerEncoderLayer(DIM, 2, 16, batch_first=True, norm_first=True, activation="gelu"),
    ),
    "decoder": lambda: Of(
        lambda m, x: m.m(m.q.expand(len(x), 2, DIM), x).mean(1),
        m=nn.TransformerDecoderLayer(DIM, 2, 16, batch_first=True), q=parameter(1, 2, DIM),
    ),
    "causal attention": lambda: Of(
        lambda m, x: F.scaled_dot_product_attention(m.a(x), m.b(x), x, is_causal=True).mean(1), a=linear(), b=linear()
    ),
    "attention by hand": lambda: Of(
        lambda m, x: (torch.softmax(m.a(x) @ m.b(x).transpose(1, 2) / DIM**0.5, -1) @ m.c(x)).mean(1),
        a=linear(), b=linear(), c=linear(),
    ),
    "softmax by hand": lambda: Of(by_hand, a=linear(DIM, 1)),
    "convolutions on the grid": lambda: Of(
        on_a_grid,
        net=nn.Sequential(
            nn.Conv2d(DIM, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2, ceil_mode=True),
            nn.Conv2d(8, 4, 1), nn.AdaptiveAvgPool2d(1),
        ), w=parameter(4, DIM),
    ),
    "convolutions along the sequence": lambda: Of(
        lambda m, x: m.m(x.transpose(1, 2)).amax(2),
        m=nn.Sequential(nn.Conv1d(DIM, DIM, 3, groups=2), nn.GroupNorm(2, DIM), nn.Hardswish(), nn.ConvTranspose1d(DIM, DIM, 2)),
    ),
    "instance norm": lambda: Of(lambda m, x: m.n(x.transpose(1, 2)).amax(2), n=nn.InstanceNorm1d(DIM, affine=True)),
    "sort": lambda: Of(lambda m, x: torch.sort(m.a(x), dim=1).values[:, :3].mean(1), a=linear()),
    "topk": lambda: Of(lambda m, x: m.a(x).topk(2, dim=1).values.mean(1), a=linear()),
    "maximum of two": lambda: Of(lambda m, x: torch.maximum(m.a(x), m.w).mean(1), a=linear(), w=parameter(DIM)),
    "median": lambda: Of(lambda m, x: m.a(x).median(1).values, a=linear()),
    "every activation": lambda: Of(lambda m, x: sum(f(m.a(x)) for f in ACTIVATIONS)[:, 0], a=linear()),
    "prelu": lambda: Of(lambda m, x: m.p(m.a(x).transpose(1, 2)).mean(2), a=linear(), p=nn.PReLU(DIM)),
    "in place": lambda: Of(in_place, a=linear()),
    "into a buffer": lambda: Of(into_a_buffer, a=linear()),
    "unit rows": lambda: Of(lambda m, x: F.normalize(x, dim=-1).mean(1)),
    "over its norm": lambda: Of(lambda m, x: (x / x.norm(dim=-1, keepdim=True)).mean(1)),
    "product of two": lambda: Of(lambda m, x: (m.a(x) * m.b(x)).mean(1), a=linear(), b=linear()),
    "product of three": lambda: Of(
        lambda m, x: torch.einsum("bnd,bnd,bnd->bd", m.a(x), m.b(x), x), a=linear(), b=linear()
    ),
    "a kernel that the input makes": lambda: Of(
        lambda m, x: torch.bmm(x, m.a(x.mean(1)).view(len(x), DIM, 2)).mean(1).repeat(1, 3), a=linear(DIM, 2 * DIM)
    ),
    "bilinear": lambda: Of(lambda m, x: m.b(x, x).mean(1), b=nn.Bilinear(DIM, DIM, DIM)),
    "where": lambda: Of(lambda m, x: torch.where(x > 0, x, m.w * 1.0).mean(1), w=parameter(DIM)),
    "padded": lambda: Of(lambda m, x: F.pad(x, (0, 0, 2, 1), value=0.7).unfold(1, 4, 1).mean((1, 3))),
    "one minus a gate": lambda: Of(
        lambda m, x: ((1 - torch.sigmoid(m.a(x))) * x + torch.sigmoid(m.a(x)) * x.mean(1, keepdim=True)).mean(1), a=linear()
    ),
    "token by token": lambda: Of(lambda m, x: torch.stack([t.relu().mean(0) for t in m.a(x)]), a=linear()),
    "a branch": lambda: Of(lambda m, x: m.a(x).mean(1) if x.sum() > 0 else m.a(x).amax(1), a=linear()),
    "positions": lambda: Of(lambda m, x: (x + m.e(torch.arange(N))).relu().mean(1), e=nn.Embedding(N, DIM)),
    "fourier": lambda: Of(lambda m, x: torch.fft.rfft(x, dim=1).real.mean(1)),
    "a constant minus it": lambda: Of(lambda m, x: (3.0 - x)[:, 0]),
}  # fmt: skip
HELD |= {
    "in place by a layer": lambda: Of(lambda m, x: _twice(m.a(x), nn.ReLU(inplace=True)), a=linear()),
    "in place by position": lambda: Of(lambda m, x: _twice(m.a(x), nn.LeakyReLU(0.2, inplace=True)), a=linear()),
    "in place, clipped": lambda: Of(lambda m, x: _twice(m.a(x), nn.Hardtanh(-0.5, 0.5, inplace=True)), a=linear()),
    "by keyword": lambda: Of(
        lambda m, x: F.gelu(input=F.linear(input=x, weight=m.a.weight, bias=m.a.bias)).mean(1)
        + torch.add(input=x[:, 0], other=m.a.bias) + torch.max(input=x, dim=1).values, a=linear(),
    ),
    "ones beside it": lambda: Of(lambda m, x: (m.a(x) + torch.ones_like(x)).mean(1), a=linear()),
    "into new zeros": lambda: Of(into_new_zeros, a=linear()),
    "a float32 constant": lambda: Of(
        lambda m, x: (torch.eye(N) @ m.a(x)).mean(1) + torch.zeros(len(x), DIM).index_add_(0, torch.arange(len(x)), x[:, 1]),
        a=linear(),
    ),
    "a float32 mask": lambda: Of(lambda m, x: ((x > 0).float() * m.a(x)).mean(1), a=linear()),
    "looked up where the input says": lambda: Of(
        lambda m, x: F.grid_sample(
            m.a(x).transpose(1, 2).reshape(len(x), DIM, 4, 3), torch.tanh(x[:, :4, :2])[:, :, None], align_corners=False
        ).mean((2, 3)), a=linear(),
    ),
    "log-sigmoid": lambda: Of(lambda m, x: (F.logsigmoid(m.a(x)) + torch.special.expit(m.a(x))).mean(1), a=linear()),
    "magnitude of a spectrum": lambda: Of(lambda m, x: torch.fft.rfft(m.a(x), dim=1).abs().mean(1), a=linear()),
    "addcmul and lerp": lambda: Of(
        lambda m, x: torch.lerp(torch.addcmul(m.a.bias, x, m.a(x), value=0.3), x, 0.25).mean(1), a=linear()
    ),
    "adaptive layer norm": lambda: Of(
        lambda m, x: torch.stack([F.layer_norm(t, (DIM,), m.a(t.mean(0)), m.b(t.mean(0))).mean(0) for t in x]),
        a=linear(), b=linear(),
    ),
    "a bias that the input makes": lambda: Of(
        lambda m, x: torch.stack([F.linear(m.w, m.a.weight, m.a(t.mean(0))).mean(0) for t in x]), a=linear(), w=parameter(3, DIM)
    ),
    "addmm and baddbmm": lambda: Of(
        lambda m, x: torch.addmm(m.a.bias, x.mean(1), m.a.weight, alpha=0.5)
        + torch.baddbmm(x, x.softmax(dim=1), m.w.expand(len(x), DIM, DIM) * x.mean((1, 2))[:, None, None]).mean(1),
        a=linear(), w=parameter(DIM, DIM),
    ),
    "a tensor that wants a gradient": lambda: Of(lambda m, x: m.a(x).mean(1) * torch.ones(DIM, requires_grad=True) * 2, a=linear()),
}  # fmt: skip


def changed_in_place(m, x, held):
    """Held values belong to the module: it may write into them."""
    weights, norm = m.a(x).softmax(dim=1), x.norm(dim=-1, keepdim=True)
    best, places = m.a(x).topk(3, dim=1)
    mask, first = m.a(x) > 0, m.a(x).argmax(dim=1)
    if held == "weights":
        weights /= weights.amax(1, keepdim=True)
        weights[:, 0] = 0
    elif held == "norm":
        norm.add_(1e-6).clamp_(min=1e-3)
    elif held == "places":
        places.add_(1).remainder_(N)
    elif held == "mask":
        mask[:, 0] = True
        mask.logical_not_()
    elif held == "first":
        first.add_(1).remainder_(N)
    picked = x.gather(1, places).mean(1) + x.gather(1, first[:, None]).mean(1) + best.mean(1)
    return (weights * x / norm * mask).mean(1) + picked


def pooled_in_place(m, x):
    _, places = F.max_pool1d(x.transpose(1, 2), 2, return_indices=True)
    places.add_(1).remainder_(N)
    _, weights = m.m(x, x, x)
    weights *= 3
    return (weights @ x).mean(1) + x.transpose(1, 2).gather(2, places).mean(2)


def clusters(m, x):
    """Means over clusters, summed into zeros that are only typed like a signal."""
    which = m.a(x).argmax(-1)
    sums = torch.zeros(len(x), DIM, DIM).to(x).scatter_add_(1, which[..., None].expand(-1, -1, DIM), x)
    counts = torch.zeros(len(x), DIM).type_as(x).scatter_add_(1, which, torch.ones_like(x[..., 0]))
    return (sums / counts.clamp(min=1)[..., None]).amax(1)


def written_parts(m, x):
    y = m.a(x)
    y[:, 0].copy_(m.w)
    y[:, 1].fill_(0.3)
    y[:, 2].zero_()
    return y.index_fill(1, torch.tensor([3]), 0.2).relu().mean(1)


def written_out(m, x):
    sums, products, pair = torch.empty(len(x), N, DIM), torch.empty_like(x), torch.empty(len(x), DIM)
    torch.add(m.a(x), 1.5, out=sums)
    empty = torch.matmul(sums, m.a.weight, out=torch.empty(0))
    torch.mul(empty, 2, out=products)
    torch.max(x, 1, out=(pair, torch.empty(len(x), DIM, dtype=torch.long)))
    return products.mean(1) + pair


HELD |= {
    "written out": lambda: Of(written_out, a=linear()),
    "positions like the tokens": lambda: Of(
        lambda m, x: (x + m.e.to(x) + torch.arange(N).to(x)[:, None] + m.e.type_as(x).expand_as(x)).relu().mean(1)
        + (x + m.e.flatten().view_as(x[0]) + m.e.flatten().reshape_as(x[0])).relu().mean(1), e=parameter(N, DIM),
    ),
    "broadcast together": lambda: Of(
        lambda m, x: sum(torch.broadcast_tensors(x, m.e)).relu().mean(1) + sum(torch.atleast_3d(x, m.e[None])).relu().mean(1),
        e=parameter(N, DIM),
    ),
    "means over clusters": lambda: Of(clusters, a=linear()),
    "weights and places changed": lambda: Of(
        pooled_in_place, m=nn.MultiheadAttention(DIM, 2, batch_first=True)
    ),
    "parts written over": lambda: Of(written_parts, a=linear(), w=parameter(DIM)),
    "put together": lambda: Of(
        lambda m, x: torch.index_add(m.e.expand_as(x), 1, torch.arange(4), x[:, :4], alpha=0.5).relu().mean(1)
        + x.index_copy(1, torch.arange(4), m.e[:4].expand(len(x), 4, DIM)).relu().mean(1)
        + x.scatter(1, torch.arange(4)[None, :, None].expand(len(x), 4, DIM), 0.5).relu().mean(1), e=parameter(N, DIM),
    ),
    "between bounds that the input makes": lambda: Of(
        lambda m, x: torch.clamp(x, min=m.a(x), max=m.b(x) + 1).mean(1) + x.clamp(max=m.a.bias).mean(1), a=linear(), b=linear()
    ),
    "addr, addmv and addbmm": lambda: Of(
        lambda m, x: torch.stack([
            torch.addmv(m.a.bias, m.a.weight, t.sum(0)) + torch.addr(m.a.weight, t.mean(0), m.a.bias, alpha=0.5).sum(0)
            + torch.addbmm(m.a.bias, t[None], m.a.weight[None], beta=0.3).sum(0) for t in x
        ]), a=linear(),
    ),
    "a number that multiplies": lambda: Of(
        lambda m, x: torch.stack([t * (1 - t.norm().item() ** 2) for t in x]).mean(1)
        + torch.stack([t * float(t.norm()) for t in x]).mean(1)
    ),
}  # fmt: skip
HELD |= {
    f"changed in place: {held}": lambda held=held: Of(lambda m, x: changed_in_place(m, x, held), a=linear())
    for held in ("weights", "norm", "places", "mask", "first")
}


def grouped_queries(m, x):
    heads = [part.view(len(x), N, -1, 3).transpose(1, 2) for part in (m.a(x), m.b(x), x)]
    return F.scaled_dot_product_attention(*heads, enable_gqa=True).transpose(1, 2).flatten(2).mean(1)


def kernel_of_each(m, x, convolve):
    """A convolution whose kernel each image makes for itself."""
    return torch.cat([convolve(t.T[None], m.a(t.mean(0)).view(DIM, DIM, 2), m.b, 2, 1).amax(2) for t in x])


def tensors_by_their_names(m, x):
    w, b = m.a.weight, m.a.bias
    return torch.stack([
        torch.addmm(input=b, mat1=t, mat2=w).mean(0) + torch.addmv(input=b, mat=w, vec=t[1])
        + torch.addr(input=w, vec1=t[0], vec2=t[1]).mean(0) + torch.addbmm(b, batch1=t[None], batch2=w[None]).mean(0)
        + torch.baddbmm(t[None], batch1=t[None], batch2=w[None])[0, 0] + torch.mv(w, vec=t[0]) + b * torch.dot(t[0], tensor=t[1])
        + torch.addcmul(input=b, tensor1=t[0], tensor2=t[1], value=0.3) + torch.addcdiv(t[0], tensor1=t[1], tensor2=b, value=0.1)
        + torch.lerp(input=t[0], end=t[1], weight=0.3) + torch.masked_fill(input=t[0], mask=t[0] > 0, value=0.7)
        + F.bilinear(input1=t[0], input2=b, weight=m.c.weight, bias=m.c.bias) for t in x
    ])  # fmt: skip


HELD |= {
    "roots": lambda: Of(lambda m, x: ((m.a(x).square() + 1).sqrt() + m.a(x).relu().sqrt()).mean(1), a=linear()),
    "powers below zero": lambda: Of(
        lambda m, x: (x * (x.square() + 1).pow(-0.5) + m.a(x) * (x.abs() + 1) ** -1).mean(1), a=linear()
    ),
    "powers of the input": lambda: Of(lambda m, x: (x * (x.abs() + 1).pow(m.a(x)) + x * 2.0 ** m.a(x)).mean(1), a=linear()),
    "a power for each number": lambda: Of(
        lambda m, x: m.a(x).relu().pow(torch.tensor([1, 2, 3, 1.5, 2.5, 0.5])).mean(1), a=linear()
    ),
    "over a sum": lambda: Of(lambda m, x: (x / x.abs().sum(1, keepdim=True) + x * (2 / (1 + x.abs()))).mean(1)),
    "addcdiv": lambda: Of(
        lambda m, x: torch.addcdiv(m.a.bias, m.a(x), 1 + x.abs(), value=0.3).mean(1) + m.a(x).addcdiv_(x, 1 + x.abs())[:, 0],
        a=linear(),
    ),
    "filled where a mask says": lambda: Of(
        lambda m, x: m.a(x).masked_fill(x > 0.5, 0.7).mean(1)
        + (m.a(x).masked_fill_(x > 1, -torch.inf).softmax(dim=1) * x).sum(1), a=linear(),
    ),
    "filled with what the input makes": lambda: Of(
        lambda m, x: torch.stack([m.w.masked_fill(t > 0.1, t.mean()).mean(0) for t in x]), w=parameter(N, DIM)
    ),
    "where, by keyword": lambda: Of(
        lambda m, x: torch.where(condition=x > 0, input=x, other=m.w).mean(1) + torch.where(x > 0, m.w, other=x).mean(1),
        w=parameter(DIM),
    ),
    "where, as a method": lambda: Of(
        lambda m, x: (x.where(x > 0, m.w) + x.where(condition=x > 0, other=0.5) + m.w.where(x > 0.3, x)).mean(1)
        + x.where(m.w > 0, m.w.where(m.w > 0, m.w))[:, 0], w=parameter(DIM),
    ),
    "tensors by their names": lambda: Of(tensors_by_their_names, a=linear(), c=nn.Bilinear(DIM, DIM, DIM)),
    "grouped-query attention": lambda: Of(grouped_queries, a=linear(DIM, 2 * DIM), b=linear()),
    "masked attention with more tokens": lambda: Of(
        lambda m, x: m.m(x, x, x, attn_mask=torch.ones(N, N, dtype=torch.bool).triu(1))[0].mean(1),
        m=nn.MultiheadAttention(DIM, 2, batch_first=True, add_bias_kv=True, add_zero_attn=True),
    ),
    "a layer that the input makes": lambda: Of(
        lambda m, x: torch.stack([F.linear(t, m.a(t.mean(0)).view(DIM, DIM), m.b).mean(0) for t in x]),
        a=linear(DIM, DIM * DIM), b=parameter(DIM),
    ),
    "a convolution that the input makes": lambda: Of(
        lambda m, x: kernel_of_each(m, x, F.conv1d) + kernel_of_each(m, x, F.conv_transpose1d),
        a=linear(DIM, DIM * DIM * 2), b=parameter(DIM),
    ),
    "bilinear with a parameter": lambda: Of(
        lambda m, x: m.b(x, m.w.expand_as(x)).mean(1), b=nn.Bilinear(DIM, DIM, DIM), w=parameter(DIM)
    ),
    "batch norm in training": lambda: Of(
        lambda m, x: torch.cat([
            F.batch_norm(t.T[None], None, None, m.w, m.b, training=True).relu().mean(2) for t in x
        ]), w=parameter(DIM), b=parameter(DIM),
    ),
    "instance norm by what it has seen": lambda: Of(
        lambda m, x: m.n(x.transpose(1, 2)).amax(2), n=nn.InstanceNorm1d(DIM, affine=True, track_running_stats=True)
    ),
    "sort by position": lambda: Of(
        lambda m, x: torch.sort(x, 1, True).values[:, :3].mean(1) + torch.stack([torch.msort(t)[2] for t in x])
    ),
    "max and min of two": lambda: Of(
        lambda m, x: (torch.max(x, m.a(x)) + torch.min(m.a.bias, x) + torch.max(input=x, other=m.a.weight[0])).mean(1), a=linear()
    ),
    "one of all": lambda: Of(
        lambda m, x: torch.stack([m.w * t.max() + t[0] * t.min() + t.median() * t.nanmedian() for t in x]), w=parameter(DIM)
    ),
    "mode": lambda: Of(
        lambda m, x: x.transpose(1, 2).mode().values + torch.mode(x, dim=1, keepdim=True).values[:, 0] + x.kthvalue(3, 1)[0]
    ),
    "unbound": lambda: Of(
        lambda m, x: torch.stack([sum(t.relu() for t in one.unbind()) + next(iter(one)).tanh() for one in x.unbind(0)])
    ),
    "sums in float32": lambda: Of(
        lambda m, x: (m.a(x).softmax(dim=1, dtype=torch.float32) * x).sum(1, dtype=torch.float32), a=linear()
    ),
}  # fmt: skip


def own_gradient(m, x):
    """The gradient of something that the module computes, which a run without gradients cannot give."""
    return torch.autograd.grad(m.a(x).relu().sum(), x, retain_graph=True)[0]


NOT_HELD = {
    "exp": lambda: Of(lambda m, x: torch.exp(m.a(x)).mean(1), a=linear()),
    "logsumexp": lambda: Of(lambda m, x: torch.logsumexp(m.a(x), 1), a=linear()),
    "cdist": lambda: Of(lambda m, x: torch.cdist(x, m.c[None]).mean(1), c=parameter(DIM, DIM)),
    "std": lambda: Of(lambda m, x: torch.cat([x.mean(1)[:, :3], x.std(1)[:, :3]], 1)),
    "lstm": lambda: Of(lambda m, x: m.r(x)[0][:, -1], r=nn.LSTM(DIM, DIM, batch_first=True)),
    "tanh": lambda: Of(lambda m, x: torch.fft.rfft(x, dim=1).tanh().real.mean(1)),
    "pow": lambda: Of(lambda m, x: (x.abs() + 1).pow(-0.5).mean(1)),
    "div": lambda: Of(lambda m, x: (x + 1 / (1 + x.abs())).mean(1)),
    "grad": lambda: Of(lambda m, x: x.mean(1) + own_gradient(m, x).mean(1), a=linear()),
    "multi_head_attention_forward": lambda: Of(
        lambda m, x: m.m(x, m.k.expand(len(x), 5, DIM), m.k.expand(len(x), 5, DIM))[0].mean(1),
        m=nn.MultiheadAttention(DIM, 2, batch_first=True), k=parameter(1, 5, DIM),
    ),
}  # fmt: skip


def made(make, seed=0):
    torch.manual_seed(seed)
    return make().double().eval().requires_grad_(False)


def tokens(seed=1, batch=BATCH):
    return torch.randn(batch, N, DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def frozen(module, x):
    held = FrozenMap(module, [x], module)
    return held, torch.randn(
        held.output.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2)
    )


@pytest.mark.parametrize("name", HELD)
def test_shares_and_constants_add_up_to_the_score(name):
    module, x = made(HELD[name]), tokens()
    held, v = frozen(module, x)
    shares = held.shares(v)
    with InOnePrecision():
        plain = module(x.clone()).detach()
    np.testing.assert_allclose(held.output, plain, atol=1e-12)
    np.testing.assert_allclose(shares.score, (plain * v).sum(1), atol=1e-12)
    assert shares.residual.max() < 1e-12
    assert shares.inputs[0].shape == (BATCH, N, DIM)


@pytest.mark.parametrize("name", HELD)
def test_the_frozen_map_is_affine_at_any_distance(name):
    module, x = made(HELD[name]), tokens()
    held, v = frozen(module, x)
    far = 7 * tokens(seed=5)
    moved = ((held(far) - held(x)) * v).sum(1)
    expected = (held.gradients(v)[0] * (far - x)).sum((1, 2))
    np.testing.assert_allclose(moved, expected, atol=1e-9)
    np.testing.assert_allclose(held(x), held.output, atol=1e-12)


@pytest.mark.parametrize("name", HELD)
def test_an_image_has_the_same_shares_alone_and_in_a_batch(name):
    if name == "a branch":
        pytest.skip("this one looks at the whole batch")
    module, x = made(HELD[name]), tokens()
    held, v = frozen(module, x)
    alone = FrozenMap(module, [x[1:2]], module).shares(v[1:2])
    together = held.shares(v)
    np.testing.assert_allclose(alone.inputs[0][0], together.inputs[0][1], atol=1e-10)
    np.testing.assert_allclose(alone.constants[0], together.constants[1], atol=1e-10)


@pytest.mark.parametrize("name", HELD)
def test_gradients_are_those_of_finite_differences_of_the_frozen_function(name):
    module, x = made(HELD[name]), tokens()
    held, v = frozen(module, x)
    gradient = held.gradients(v)[0]
    for image, token, dim in ((0, 0, 0), (1, 5, 3), (2, N - 1, DIM - 1)):
        step = torch.zeros_like(x)
        step[image, token, dim] = 1e-3
        slope = (((held(x + step) - held(x - step)) * v).sum(1) / 2e-3)[image]
        np.testing.assert_allclose(gradient[image, token, dim], slope, atol=1e-8)


@pytest.mark.parametrize(
    "name", ["attention pooling", "encoder, norm first", "convolutions on the grid", "gem"]
)
def test_shares_are_captums_gradient_times_input_of_the_frozen_map(name):
    module, x = made(HELD[name]), tokens()
    held, v = frozen(module, x)
    shares = held.shares(v)

    class Score(nn.Module):
        def forward(self, inputs):
            return (replay(inputs) * v).sum(1)

    def replay(
        inputs,
    ):  # the map itself, with a gradient: what is linear in the input has Captum's attribution
        gradient = held.gradients(v)[0]
        return ((inputs * gradient).sum((1, 2), keepdim=True)[:, 0] / (v * v).sum(1, keepdim=True)) * v

    captums = captum.attr.InputXGradient(Score()).attribute(x.clone().requires_grad_())
    np.testing.assert_allclose(shares.inputs[0], captums.detach(), atol=1e-10)


def test_attention_pooling_by_plain_loops():
    module, x = made(HELD["attention pooling"]), tokens()
    held, v = frozen(module, x)
    shares = held.shares(v)
    for image in range(BATCH):
        weights = module.a(x[image]).softmax(dim=0)[:, 0]
        for token in range(N):
            of_token = weights[token] * (v[image] @ module.b.weight @ x[image, token])
            np.testing.assert_allclose(shares.inputs[0][image, token].sum(), of_token, atol=1e-12)
        np.testing.assert_allclose(shares.constants[image], v[image] @ module.b.bias, atol=1e-12)


def test_a_relu_net_by_plain_loops():
    module = made(lambda: Of(lambda m, x: m.b(torch.relu(m.a(x.mean(1)))), a=linear(DIM, 9), b=linear(9, 4)))
    x = tokens()
    held, v = frozen(module, x)
    shares = held.shares(v)
    for image in range(BATCH):
        hidden = module.a(x[image].mean(0))
        gates = (hidden > 0).double()
        r = (gates * (v[image] @ module.b.weight)) @ module.a.weight
        np.testing.assert_allclose(shares.inputs[0][image].sum(1), (x[image] @ r) / N, atol=1e-12)
        bias = (gates * (v[image] @ module.b.weight)) @ module.a.bias + v[image] @ module.b.bias
        np.testing.assert_allclose(shares.constants[image], bias, atol=1e-12)


@pytest.mark.parametrize("name", NOT_HELD)
def test_what_cannot_be_held_is_unexplained_and_named(name):
    module, x = made(NOT_HELD[name]), tokens()
    held, v = frozen(module, x)
    shares = held.shares(v)
    assert shares.residual.max() > UNEXPLAINED_FROM
    assert name in shares.left
    total = shares.inputs[0].sum((1, 2)) + shares.constants + shares.unexplained
    np.testing.assert_allclose(total, shares.score, atol=1e-12)


class Cubed(torch.autograd.Function):
    """Code of its own, which no function of torch shows."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 3 * ctx.saved_tensors[0] ** 2


def without_gradient(m, x):
    with torch.no_grad():
        held = m.a(x).mean(1)
    return held + x.mean(1)


def softmax_in_a_buffer(m, x):
    out = torch.zeros(len(x), DIM, dtype=x.dtype)
    out[:, :3] += x.mean(1)[:, :3].softmax(dim=1)
    return out + x.mean(1)


@pytest.mark.parametrize(
    ("forward", "name"),
    [
        (without_gradient, "linear without a gradient"),
        (softmax_in_a_buffer, "softmax"),
        (lambda m, x: torch.addcmul(x, x.softmax(dim=1), m.a.bias.expand_as(x)).mean(1), "softmax"),
        (
            lambda m, x: torch.baddbmm(x, x.softmax(dim=1), m.a.weight.expand(len(x), DIM, DIM)).mean(1),
            "softmax",
        ),
        (lambda m, x: torch.lerp(x.softmax(dim=1), x, 0.3).mean(1), "softmax"),
        (lambda m, x: x.mean(1) + 2 * x.norm().item(), READ),
        (lambda m, x: torch.div(m.a(x), 0.1, rounding_mode="floor").mean(1), "div with rounding"),
        (lambda m, x: Cubed.apply(m.a(x)).mean(1), "code outside torch's functions"),
    ],
)
def test_what_is_held_on_a_way_round_is_no_bias(forward, name):
    module, x = made(lambda: Of(forward, a=linear())), tokens()
    held, v = frozen(module, x)
    shares = held.shares(v)
    assert shares.residual.max() > UNEXPLAINED_FROM
    assert name in shares.left
    np.testing.assert_allclose(shares.score, (module(x.clone()) * v).sum(1), atol=1e-9)


@pytest.mark.parametrize("given", ["static_k", "static_v"])
def test_attention_that_is_given_its_keys_or_values_is_named(given):
    def forward(m, x):
        tokens, static = x.transpose(0, 1), m.k.expand(2 * len(x), N, DIM // 2)
        weights = m.m.in_proj_weight, m.m.in_proj_bias, None, None, False, 0.0
        last = m.m.out_proj.weight, m.m.out_proj.bias, False
        attended = F.multi_head_attention_forward(
            tokens, tokens, tokens, DIM, 2, *weights, *last, **{given: static}
        )
        return attended[0].mean(0)

    layers = {"m": nn.MultiheadAttention(DIM, 2), "k": parameter(1, N, DIM // 2)}
    module, x = made(lambda: Of(forward, **layers)), tokens()
    held, v = frozen(module, x)
    shares = held.shares(v)
    assert shares.left == ("multi_head_attention_forward",)
    np.testing.assert_allclose(shares.score, (module(x.clone()) * v).sum(1), atol=1e-12)


def test_a_module_that_needs_gradients_for_itself_is_split():
    module, x = made(lambda: Of(lambda m, x: (x * own_gradient(m, x)).mean(1), a=linear())), tokens()
    held, v = frozen(module, x)
    shares = held.shares(v)
    gates = (module.a(x) > 0).double()
    by_hand = x * (gates @ module.a.weight) * v[:, None] / N
    np.testing.assert_allclose(shares.inputs[0], by_hand, atol=1e-12)
    assert shares.residual.max() < 1e-12


def test_constants_of_a_branch_that_no_other_input_takes_are_biases():
    x = tokens()
    first = x[0, 0, 0].item()

    def forward(m, x):
        y = x.mean(1)
        return y + m.w if x[0, 0, 0].item() == first else y

    module = made(lambda: Of(forward, w=parameter(DIM)))
    held, v = frozen(module, x)
    shares = held.shares(v)
    np.testing.assert_allclose(shares.constants, v @ module.w, atol=1e-12)
    assert shares.left == ()


def test_what_is_not_filled_of_a_parameter_is_its_constant():
    module = made(HELD["filled with what the input makes"])
    x = tokens()
    held, v = frozen(module, x)
    kept = torch.where(x > 0.1, 0.0, module.w).mean(1)
    np.testing.assert_allclose(held.constants(v), (kept * v).sum(1), atol=1e-12)
    np.testing.assert_allclose(held.constants(v, lambda name: name != "w"), 0, atol=1e-12)


WAYS_OUT = {
    "numpy": lambda t: torch.from_numpy(np.sort(t.detach().numpy(), axis=0)),
    "asarray": lambda t: torch.as_tensor(np.asarray(t.detach()) * 2),
    "a list": lambda t: torch.tensor(t.tolist(), dtype=t.dtype),
    "a tensor like it": lambda t: t.new_tensor(t.detach().numpy() ** 2),
    "a constructor": lambda t: torch.DoubleTensor(t.detach().numpy() * 1.5),
    "number by number": lambda t: torch.tensor([[v.item() for v in row] for row in t], dtype=t.dtype),
    "dlpack": lambda t: torch.from_dlpack(t.detach()) * 2.0,
    "a function of a number": lambda t: torch.full_like(t, math.exp(float(t[0, 0]))),
    "a rounded number": lambda t: torch.ones_like(t) * round(float(t.mean()), 3),
    "a count": lambda t: t.new_ones(1, DIM) * (t > 0).sum().item(),
    "how many": lambda t: t.new_ones(1, DIM) * len((t > 0).nonzero()),
    "how many are left": lambda t: t.new_ones(1, DIM) * t[t > 0.1].numel(),
}


@pytest.mark.parametrize("way", WAYS_OUT)
@pytest.mark.parametrize("is_all", [False, True])
def test_numbers_that_leave_torch_and_come_back_are_no_bias(way, is_all):
    out = WAYS_OUT[way]

    def forward(m, x):
        read = out(x.mean(1)).expand(len(x), DIM)
        return m.a(read) if is_all else m.a(x).mean(1) + read

    module, x = made(lambda: Of(forward, a=linear())), tokens()
    held, v = frozen(module, x)
    shares = held.shares(v)
    assert shares.residual.max() > UNEXPLAINED_FROM
    assert READ in shares.left
    np.testing.assert_allclose(shares.score, (module(x.clone()) * v).sum(1), atol=1e-9)


@pytest.mark.parametrize(
    "plain",
    [lambda x: math.exp(x.mean().item()), lambda x: (x > 0).sum().item(), lambda x: float(x[0, 0, 0]) ** 2],
)
def test_plain_numbers_of_the_tokens_are_no_bias(plain):
    module, x = made(lambda: Of(lambda m, x: m.a(x).mean(1) + plain(x), a=linear())), tokens()
    held, v = frozen(module, x)
    shares = held.shares(v)
    assert shares.left == (READ,)
    by_hand = plain(x) * v.sum(1)
    np.testing.assert_allclose(shares.unexplained, by_hand, atol=1e-9)


def test_constants_stay_biases_where_numbers_have_left_torch():
    def forward(m, x):
        print(x.mean().item(), x.detach().numpy().shape)  # looked at, and not used
        return (x + m.e(torch.arange(N)) + torch.ones(DIM)).relu().mean(1)

    module, x = made(lambda: Of(forward, e=nn.Embedding(N, DIM))), tokens()
    held, v = frozen(module, x)
    shares = held.shares(v)
    assert shares.left == ()
    assert shares.residual.max() < 1e-12


FIRST = torch.arange(4)
ROWS = FIRST[None, :, None].expand(BATCH, 4, DIM)


@pytest.mark.parametrize(
    "forward",
    [
        lambda x, soft: torch.index_add(soft, 1, FIRST, x[:, :4]),
        lambda x, soft: x.index_add(1, FIRST, soft[:, :4]),
        lambda x, soft: x.index_copy(1, FIRST, soft[:, :4]),
        lambda x, soft: x.index_put((torch.arange(len(x))[:, None], FIRST[None]), soft[:, :4]),
        lambda x, soft: x.scatter(1, ROWS, soft[:, :4]),
        lambda x, soft: soft.scatter_add(1, ROWS, x[:, :4]),
        lambda x, soft: soft.scatter_add_(1, ROWS, x[:, :4]),
        lambda x, soft: x.masked_scatter(torch.ones_like(x, dtype=torch.bool), soft),
        lambda x, soft: x[:, :4].copy_(soft[:, :4]) + x[:, 4:8],
        lambda x, soft: torch.slice_scatter(x, soft[:, :4], 1, 0, 4),
        lambda x, soft: torch.select_scatter(x, soft[:, 0], 1, 0),
        lambda x, soft: torch.dstack([x, soft]).unflatten(-1, (2, DIM)).sum(2),
        lambda x, soft: torch.stack([torch.addr(u, t.mean(1), t.mean(0)) for t, u in zip(x, soft, strict=True)]),
        lambda x, soft: torch.clamp(x, min=soft),
        lambda x, soft: torch.stack([u.masked_fill(t > 0.1, t.mean()) for t, u in zip(x, soft, strict=True)]),
        lambda x, soft: x.where(x > 0.1, soft),
        lambda x, soft: torch.stack([t.clone().fill_diagonal_(float(u.max())) for t, u in zip(x, soft, strict=True)]),
        lambda x, soft: torch.stack([t + 2 * (u.max().item() - 1) ** 2 for t, u in zip(x, soft, strict=True)]),
        lambda x, soft: torch.stack([t + float(u.max()) for t, u in zip(x, soft, strict=True)]),
    ],
)  # fmt: skip
def test_what_is_held_and_put_beside_a_signal_is_no_bias(forward):
    module, x = made(lambda: Of(lambda m, x: forward(x, m.a(x).softmax(dim=1)).mean(1), a=linear())), tokens()
    held, v = frozen(module, x)
    shares = held.shares(v)
    assert shares.residual.max() > UNEXPLAINED_FROM
    assert shares.left
    assert np.abs(shares.constants).max() < 1e-9


def test_names_of_operations_appear_only_where_something_is_left():
    held, v = frozen(made(HELD["encoder, norm first"]), tokens())
    assert held.shares(v).left == ()


def test_constants_can_be_told_apart_by_the_parameters_they_come_from():
    module = made(HELD["positions"])
    x = tokens()
    held, v = frozen(module, x)
    positions = held.constants(v, lambda name: name == "e.weight")
    np.testing.assert_allclose(positions, held.constants(v), atol=1e-12)
    assert np.abs(held.constants(v, lambda name: name != "e.weight")).max() == 0


def test_a_module_that_gives_no_vector_an_image_is_refused():
    with pytest.raises(ShapeError, match=r"one vector for each image, \[3, D\]: got \(3, 12, 6\)"):
        FrozenMap(lambda x: x * 1, [tokens()])


def test_the_module_and_its_input_are_left_as_they_are():
    module, x = made(HELD["in place"]), tokens()
    before, weights = x.clone(), {k: v.clone() for k, v in module.state_dict().items()}
    held, v = frozen(module, x)
    held.shares(v)
    assert torch.equal(x, before)
    assert all(torch.equal(value, weights[key]) for key, value in module.state_dict().items())
    assert not any(p.requires_grad for p in module.parameters())


@settings(max_examples=25, deadline=None)
@given(
    batch=st.integers(1, 4), n=st.integers(1, 9), heads=st.sampled_from([1, 2, 3]), seed=st.integers(0, 99),
    dtype=st.sampled_from([torch.float64, torch.float32]), norm_first=st.booleans(),
)  # fmt: skip
def test_encoders_of_any_shape_and_type_add_up(batch, n, heads, seed, dtype, norm_first):
    torch.manual_seed(seed)
    layer = nn.TransformerEncoderLayer(
        6, heads, 10, batch_first=True, norm_first=norm_first, activation="gelu"
    )
    layer = layer.to(dtype).eval().requires_grad_(False)
    x = torch.randn(batch, n, 6, dtype=dtype)
    held = FrozenMap(lambda x: layer(x).mean(1), [x], layer)
    shares = held.shares(torch.randn(batch, 6, dtype=dtype))
    assert shares.residual.max() < (1e-12 if dtype == torch.float64 else 1e-5)


@pytest.mark.cuda
def test_a_map_on_the_gpu_is_that_of_the_cpu():
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device: this machine has none")
    module, x = made(HELD["encoder, norm first"]), tokens()
    held, v = frozen(module, x)
    here = held.shares(v)  # before the module moves
    there = FrozenMap(module.cuda(), [x.cuda()], module).shares(v.cuda())
    np.testing.assert_allclose(there.inputs[0], here.inputs[0], atol=1e-9)
