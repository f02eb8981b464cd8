"""Attention written out, its weights held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from mswin_viz.analysis.frozen.signals import Run, is_signal


def _attention(
    run: Run, func: Callable, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
    attn_mask: torch.Tensor | None = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: float | None = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    """Scaled dot-product attention, its weights held."""
    if enable_gqa:
        repeats = query.shape[-3] // key.shape[-3]
        key, value = (part.repeat_interleave(repeats, dim=-3) for part in (key, value))
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    logits = query.detach() @ key.detach().transpose(-2, -1) * factor
    if is_causal:
        attn_mask = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = ~attn_mask
    weights = run.hold(_masked(logits, attn_mask).softmax(dim=-1))
    return weights @ value if is_signal(value) else run.held_whole(weights @ value, "attention")


def _multi_head_attention(
    run: Run, func: Callable, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
    width: int, num_heads: int, in_weight: Any, in_bias: Any, bias_k: Any, bias_v: Any, add_zero_attn: bool,
    dropout_p: float, out_weight: torch.Tensor, out_bias: Any, **options: Any,
) -> Any:  # fmt: skip
    """nn.MultiheadAttention written out, its weights held: ``[L, B, W]`` or ``[L, W]``."""
    is_given = any(options.get(name) is not None for name in ("static_k", "static_v"))
    if is_given or not is_signal(value):
        positional = (width, num_heads, in_weight, in_bias, bias_k, bias_v, add_zero_attn, dropout_p)
        run.left.add("multi_head_attention_forward")
        return func(query, key, value, *positional, out_weight, out_bias, **options)
    is_batched = query.ndim == 3
    query, key, value = (part if is_batched else part[:, None] for part in (query, key, value))
    names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
    separate = options.get("use_separate_proj_weight")
    weights = [options[name] for name in names] if separate else list(in_weight.chunk(3))
    biases = [None] * 3 if in_bias is None else list(in_bias.chunk(3))
    linear = torch.nn.functional.linear
    q, k = (linear(x.detach(), w, b) for x, w, b in zip((query, key), weights, biases, strict=False))
    v = linear(value, weights[2])
    if biases[2] is not None:
        v = v + run.constant(in_bias, v).chunk(3)[2]
    if bias_k is not None:
        k, v = torch.cat([k, bias_k.expand(1, k.shape[1], -1)]), _appended(run, v, bias_v)
    if add_zero_attn:
        k, v = (torch.cat([part, torch.zeros_like(part[:1])]) for part in (k, v))
    heads = [
        x.reshape(len(x), -1, x.shape[-1] // num_heads).transpose(0, 1) for x in (q, k, v)
    ]  # [B*H, L, d]
    logits = heads[0] @ heads[1].transpose(1, 2) * heads[0].shape[-1] ** -0.5
    n_more = logits.shape[-1] - len(key)  # what stands behind the keys is never masked
    logits = _masked(logits, _widened(options.get("attn_mask"), n_more))
    if (padding := options.get("key_padding_mask")) is not None:
        of_heads = padding.reshape(-1, 1, 1, len(key)).expand(-1, num_heads, 1, -1).reshape(-1, 1, len(key))
        logits = _masked(logits, _widened(of_heads, n_more))
    attention = run.hold(logits.softmax(dim=-1))
    mixed = (attention @ heads[2]).transpose(0, 1).reshape(len(query), query.shape[1], -1)
    result = linear(mixed, out_weight)
    result = result if out_bias is None else result + run.constant(out_bias, result)
    result = result if is_batched else result[:, 0]
    if not options.get("need_weights", True):
        return result, None
    shown = attention.reshape(-1, num_heads, *attention.shape[1:])
    return result, run.held_whole(
        shown.mean(dim=1) if options.get("average_attn_weights", True) else shown, "attention"
    )


def _appended(run: Run, v: torch.Tensor, bias_v: torch.Tensor) -> torch.Tensor:
    return torch.cat([v, run.constant(bias_v, v).expand(1, v.shape[1], -1)])


def _widened(mask: torch.Tensor | None, n_more: int) -> torch.Tensor | None:
    if mask is None or not n_more:
        return mask
    return torch.cat([mask, mask.new_zeros(*mask.shape[:-1], n_more)], dim=-1)


def _masked(logits: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """In nn.MultiheadAttention a mask's True leaves out, where scaled_dot_product_attention keeps."""
    if mask is None:
        return logits
    return logits.masked_fill(mask, -torch.inf) if mask.dtype == torch.bool else logits + mask


RULES = {"scaled_dot_product_attention": _attention, "multi_head_attention_forward": _multi_head_attention}
