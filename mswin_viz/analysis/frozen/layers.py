"""Linear layers and convolutions, and normalisations, whose deviations are held."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from mswin_viz.analysis.frozen.signals import Run, is_signal


def _with_bias(
    run: Run, func: Callable, x: Any, weight: Any, bias: Any = None, *args: Any, **options: Any
) -> Any:
    """linear and convolutions."""
    if is_signal(weight) and is_signal(x):  # a kernel that the input makes
        one, other = run.hold(weight), run.hold(x)
        result = (func(x, one, None, *args, **options) + func(other, weight, None, *args, **options)) / 2
    elif is_signal(x) or is_signal(weight):
        result = func(x, weight, None, *args, **options)
    else:  # only the bias is a signal
        with run:
            result = func(x, weight, None, *args, **options)
    n_behind = 0 if func is torch.nn.functional.linear else weight.ndim - 2  # axes behind the channels
    return _affine(run, result, None, bias, (-1, *[1] * n_behind))


def _bilinear(
    run: Run, func: Callable, first: Any, second: Any, weight: torch.Tensor, bias: Any = None
) -> Any:
    if is_signal(first) and is_signal(second):
        result = (func(first, run.hold(second), weight) + func(run.hold(first), second, weight)) / 2
    else:
        result = func(first, second, weight)
    return _affine(run, result, None, bias)


def _layer_norm(
    run: Run, func: Callable, x: torch.Tensor, normalized_shape: Sequence[int],
    weight: Any = None, bias: Any = None, eps: float = 1e-5,
) -> Any:  # fmt: skip
    dims = tuple(range(x.ndim - len(tuple(normalized_shape)), x.ndim))
    return _standardised(run, x, dims, weight, bias, eps)


def _group_norm(
    run: Run, func: Callable, x: torch.Tensor, num_groups: int,
    weight: Any = None, bias: Any = None, eps: float = 1e-5,
) -> Any:  # fmt: skip
    grouped = x.reshape(len(x), num_groups, -1)
    normed = _standardised(run, grouped, (2,), None, None, eps).reshape(x.shape)
    return _scaled(run, normed, weight, bias, channel=1)


def _rms_norm(
    run: Run, func: Callable, x: torch.Tensor, normalized_shape: Sequence[int],
    weight: Any = None, eps: float | None = None,
) -> Any:  # fmt: skip
    dims = tuple(range(x.ndim - len(tuple(normalized_shape)), x.ndim))
    least = torch.finfo(x.dtype).eps if eps is None else eps
    normed = x / run.hold((x.detach() ** 2).mean(dims, keepdim=True).add(least).sqrt())
    return _affine(run, normed, weight, None)


def _batch_norm(
    run: Run, func: Callable, x: torch.Tensor, running_mean: Any, running_var: Any,
    weight: Any = None, bias: Any = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Any:  # fmt: skip
    if training or running_mean is None:
        dims = (0, *range(2, x.ndim))
        return _scaled(run, _standardised(run, x, dims, None, None, eps), weight, bias, channel=1)
    shape = (1, -1, *[1] * (x.ndim - 2))
    centred = x - run.constant(running_mean, x).reshape(shape)
    return _scaled(run, centred / (running_var.reshape(shape) + eps).sqrt(), weight, bias, channel=1)


def _instance_norm(
    run: Run, func: Callable, x: torch.Tensor, running_mean: Any = None, running_var: Any = None,
    weight: Any = None, bias: Any = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> Any:  # fmt: skip
    if not use_input_stats:
        return _batch_norm(run, func, x, running_mean, running_var, weight, bias, False, momentum, eps)
    dims = tuple(range(2, x.ndim))
    return _scaled(run, _standardised(run, x, dims, None, None, eps), weight, bias, channel=1)


def _unit(run: Run, func: Callable, x: torch.Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Any:
    return x / run.hold(x.detach().norm(p, dim, keepdim=True).clamp_min(eps))


def _standardised(
    run: Run, x: torch.Tensor, dims: tuple[int, ...], weight: Any, bias: Any, eps: float
) -> torch.Tensor:
    """The mean is linear; the deviation is held."""
    deviation = run.hold((x.detach().var(dims, correction=0, keepdim=True) + eps).sqrt())
    return _affine(run, (x - x.mean(dims, keepdim=True)) / deviation, weight, bias)


def _scaled(run: Run, x: torch.Tensor, weight: Any, bias: Any, *, channel: int) -> torch.Tensor:
    return _affine(run, x, weight, bias, (*[1] * channel, -1, *[1] * (x.ndim - channel - 1)))


def _affine(
    run: Run, x: torch.Tensor, weight: Any, bias: Any, shape: tuple[int, ...] | None = None
) -> torch.Tensor:
    """``x * weight + bias``, both shaped to fit; by the rules of products and sums, for either may depend on the input."""
    with run:
        if weight is not None:
            x = x * (weight if shape is None else weight.reshape(shape))
        return x if bias is None else x + (bias if shape is None else bias.reshape(shape))


RULES = {
    "linear": _with_bias, "conv1d": _with_bias, "conv2d": _with_bias, "conv3d": _with_bias, "bilinear": _bilinear,
    "conv_transpose1d": _with_bias, "conv_transpose2d": _with_bias, "conv_transpose3d": _with_bias,
    "layer_norm": _layer_norm, "group_norm": _group_norm, "rms_norm": _rms_norm, "batch_norm": _batch_norm,
    "instance_norm": _instance_norm, "normalize": _unit,
}  # fmt: skip
