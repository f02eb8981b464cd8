"""Activations: the factor ``(f(x) - f(0)) / x`` is held; a function without such a factor is held as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from mswin_viz.analysis.frozen.signals import Run, is_signal, mark_gate


def _pointwise(run: Run, func: Callable, x: torch.Tensor, *args: Any, **options: Any) -> Any:
    """``f(x) = f(0) + x (f(x) - f(0)) / x``, the factor held; at zero it is the slope from below."""
    if x.is_complex():
        return _of_complex(run, func, x, *args, **options)
    at_zero = func(torch.zeros_like(x[:1] if x.ndim else x), *args, **options)
    safe = torch.where(x == 0, torch.full_like(x, -1e-6), x).detach()
    linear = x * run.hold((func(safe, *args, **options) - at_zero) / safe)
    return linear + run.constant(at_zero, x) if bool((at_zero != 0).any()) else linear


def _clamped(run: Run, func: Callable, x: torch.Tensor, *args: Any, **options: Any) -> Any:
    """Between bounds; those that are tensors may depend on the input themselves."""
    names = {"clamp_min": ("min",), "clamp_max": ("max",)}.get(func.__name__.strip("_"), ("min", "max"))
    bounds = {**dict(zip(names, args, strict=False)), **options}
    if not any(isinstance(bound, torch.Tensor) for bound in bounds.values()):
        return _pointwise(run, func, x, *args, **options)
    with run:
        for key, choose in (("min", torch.maximum), ("max", torch.minimum)):
            if bounds.get(key) is not None:
                x = choose(x, torch.as_tensor(bounds[key], dtype=x.dtype, device=x.device))
        return x


def _of_complex(run: Run, func: Callable, x: torch.Tensor, *args: Any, **options: Any) -> Any:
    """``|z| = Re(conj(z / |z|) z)``, the phase held; any other function keeps torch's own derivative."""
    if func.__name__ not in ("abs", "absolute", "__abs__"):
        run.left.add(func.__name__)
        return func(x, *args, **options)
    return (x * run.hold(torch.sgn(x.detach()).conj())).real


def _gated(run: Run, func: Callable, x: torch.Tensor, *args: Any, **options: Any) -> Any:
    return mark_gate(_pointwise(run, func, x, *args, **options))


def _gated_halves(run: Run, func: Callable, x: torch.Tensor, dim: int = -1) -> Any:
    signal, gate = x.chunk(2, dim=dim)
    return signal * run.hold(gate.sigmoid())


def _powered(run: Run, func: Callable, x: Any, exponent: Any = 2, **_: Any) -> Any:
    if is_signal(exponent) or not is_signal(x) or bool((torch.as_tensor(exponent) <= 0).any()):
        return run.held_whole(torch.pow(x, exponent), "pow")
    safe = torch.where(x == 0, torch.ones_like(x), x)
    return x * run.hold(torch.where(x == 0, 0.0, torch.pow(safe, exponent) / safe))


def _root(run: Run, func: Callable, x: torch.Tensor, **_: Any) -> Any:
    return _powered(run, func, x, 0.5)


def _held(run: Run, func: Callable, *args: Any, **options: Any) -> Any:
    return run.held_whole(func(*args, **options), func.__name__.strip("_"))


_POINTWISE = [
    "relu", "relu6", "leaky_relu", "rrelu", "prelu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish",
    "hardtanh", "hardshrink", "softshrink", "tanhshrink", "threshold", "softsign", "tanh", "softplus",
    "logsigmoid", "abs", "sin", "sinh", "asinh", "atan", "erf", "expm1",
    "log1p",
]  # fmt: skip
_GATES = ["sigmoid", "hardsigmoid", "expit"]
_HELD = [
    "softmax", "softmin", "gumbel_softmax", "log_softmax", "logsumexp", "exp", "exp2", "log", "log2", "log10",
    "rsqrt", "reciprocal", "rpow", "cos", "cosh", "norm", "vector_norm", "matrix_norm", "std", "var", "cdist",
    "pdist", "pairwise_distance", "cosine_similarity", "sign", "sgn", "round", "floor", "ceil", "trunc",
]  # fmt: skip

RULES = {
    "clamp": _clamped,
    "clamp_min": _clamped,
    "clamp_max": _clamped,
    "glu": _gated_halves,
    "pow": _powered,
    "square": _powered,
    "sqrt": _root,
}
RULES |= dict.fromkeys(_POINTWISE, _pointwise) | dict.fromkeys(_GATES, _gated) | dict.fromkeys(_HELD, _held)
