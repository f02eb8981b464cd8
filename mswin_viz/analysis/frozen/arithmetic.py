"""Sums, products and joins of signals: a product of two signals counts half for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from mswin_viz.analysis.frozen.signals import Run, constant_or_signal, gate_if, is_gate, is_signal, signal_of


def _added(run: Run, func: Callable, first: Any, second: Any, *, alpha: float = 1, **_: Any) -> Any:
    signs = (1, alpha)
    parts = [
        part * sign if is_signal(part) else run.constant(part, signal_of(first, second)) * sign
        for part, sign in zip((first, second), signs, strict=True)
    ]
    return gate_if(parts[0] + parts[1], first, second)


def _subtracted(run: Run, func: Callable, first: Any, second: Any, *, alpha: float = 1, **_: Any) -> Any:
    return _added(run, func, first, second, alpha=-alpha)


def _multiplied(run: Run, func: Callable, first: Any, second: Any, **_: Any) -> Any:
    if not (is_signal(first) and is_signal(second)):
        return gate_if(torch.mul(first, second), first, second)
    if is_gate(first) != is_gate(second):
        gate, signal = (first, second) if is_gate(first) else (second, first)
        return signal * run.hold(gate)
    return gate_if((first * run.hold(second) + run.hold(first) * second) / 2, first, second)


def _divided(run: Run, func: Callable, first: Any, second: Any, **options: Any) -> Any:
    if options.get("rounding_mode"):
        return run.held_whole(torch.div(first, second, **options), "div with rounding")
    if not is_signal(second):
        return gate_if(torch.div(first, second), first, second)
    below = run.held_whole(second, "div")
    if is_signal(first):
        return gate_if(torch.div(first, below), first, second)
    return run.held_whole(torch.div(first, below), "div")


def _matrix_product(run: Run, func: Callable, first: Any, second: Any, **options: Any) -> Any:
    if not (is_signal(first) and is_signal(second)):
        return func(first, second, **options)
    return (func(first, run.hold(second), **options) + func(run.hold(first), second, **options)) / 2


def _summed_products(run: Run, func: Callable, equation: str, *operands: Any) -> Any:
    """einsum: each of ``k`` signals counts ``1 / k``."""
    listed = (
        list(operands[0]) if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else list(operands)
    )
    signals = [i for i, operand in enumerate(listed) if is_signal(operand)]
    if len(signals) == 1:
        return func(equation, *listed)
    held = [run.hold(operand) if i in signals else operand for i, operand in enumerate(listed)]
    terms = [func(equation, *[listed[i] if i == j else held[i] for i in range(len(listed))]) for j in signals]
    return torch.stack(terms).sum(dim=0) / len(signals)


def _joined(run: Run, func: Callable, tensors: Sequence[torch.Tensor], *args: Any, **options: Any) -> Any:
    like = next(part for part in tensors if is_signal(part))
    return func([constant_or_signal(run, p, like) for p in tensors], *args, **options)


def _chosen(run: Run, func: Callable, condition: Any, first: Any = None, second: Any = None) -> Any:
    like = signal_of(first, second)
    return func(condition, *(constant_or_signal(run, part, like) for part in (first, second)))


def _filled(run: Run, func: Callable, x: torch.Tensor, mask: torch.Tensor, value: Any) -> Any:
    return _chosen(run, torch.where, mask, value, x)


def _padded(
    run: Run, func: Callable, x: torch.Tensor, pad: Any, mode: str = "constant", value: Any = None
) -> Any:
    padded = func(x, pad, mode=mode) if mode != "constant" else func(x, pad)
    if not value:
        return padded
    frame = 1 - func(torch.ones_like(x), pad)
    return padded + run.constant(frame * value, x)


def _product_plus(
    run: Run, func: Callable, x: Any, first: Any, second: Any, *, beta: float = 1, alpha: float = 1
) -> Any:
    """addmm, baddbmm, addmv; addr and addbmm."""
    with run:
        if func.__name__.strip("_") == "addr":
            first, second = first[:, None], second[None]
        product = first @ second
        return beta * x + alpha * (product.sum(dim=0) if func.__name__.strip("_") == "addbmm" else product)


def _from_right(rule: Callable, func: Callable) -> Callable:
    """The rule of an operation whose operands stand the other way round."""
    return lambda run, _, first, second, **options: rule(run, func, second, first, **options)


def _product_added(run: Run, func: Callable, x: Any, first: Any, second: Any, *, value: float = 1) -> Any:
    with run:
        return x + value * (first * second)


def _quotient_added(run: Run, func: Callable, x: Any, first: Any, second: Any, *, value: float = 1) -> Any:
    with run:
        return x + value * (first / second)


def _between(run: Run, func: Callable, first: Any, second: Any, weight: Any) -> Any:
    """lerp."""
    with run:
        return first + weight * (second - first)


def _sampled(run: Run, func: Callable, x: Any, grid: Any, *args: Any, **options: Any) -> Any:
    """grid_sample: where it looks is held."""
    return func(x, run.hold(grid) if is_signal(grid) else grid, *args, **options)


RULES = {
    "add": _added, "sub": _subtracted, "rsub": _from_right(_subtracted, torch.sub), "mul": _multiplied, "div": _divided,
    "rdiv": _from_right(_divided, torch.div),
    "matmul": _matrix_product, "rmatmul": _from_right(_matrix_product, torch.matmul), "bmm": _matrix_product, "mm": _matrix_product,
    "mv": _matrix_product, "dot": _matrix_product, "inner": _matrix_product, "outer": _matrix_product,
    "tensordot": _matrix_product, "kron": _matrix_product, "einsum": _summed_products, "cat": _joined, "stack": _joined,
    "hstack": _joined, "vstack": _joined, "where": _chosen, "masked_fill": _filled, "pad": _padded,
    "addmm": _product_plus, "baddbmm": _product_plus, "addmv": _product_plus, "addr": _product_plus, "addbmm": _product_plus,
    "addcmul": _product_added, "addcdiv": _quotient_added,
    "lerp": _between, "grid_sample": _sampled,
}  # fmt: skip
