"""Operations that pick values of a signal by their order: which ones they pick is held."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.nn import functional

from mswin_viz.analysis.frozen.signals import Run, constant_or_signal, is_signal, signal_of


def _picked(run: Run, func: Callable, x: torch.Tensor, *args: Any, dim_at: int, **options: Any) -> Any:
    """Values and their places along an axis, as sort, topk and median give them."""
    options = {"dim": options.pop("axis"), **options} if "axis" in options else options
    result = func(x.detach(), *args, **options)
    dim = args[dim_at] if len(args) > dim_at else options.get("dim", -1)
    places = run.hold(result.indices)
    if places.ndim == x.ndim:
        return type(result)((x.gather(dim, places), places.clone()))
    return type(result)((x.gather(dim, places.unsqueeze(dim)).squeeze(dim), places.clone()))


def _sorted(run: Run, func: Callable, x: torch.Tensor, *args: Any, **options: Any) -> Any:
    return _picked(run, torch.sort, x, *args, dim_at=0, **options)


def _first_axis(run: Run, func: Callable, x: torch.Tensor) -> Any:
    return _sorted(run, func, x, 0).values


def _extreme(run: Run, func: Callable, x: Any, *args: Any, **options: Any) -> Any:
    """max and min: of all numbers, along an axis, or of two tensors."""
    second = args[0] if args else options.get("other")
    if isinstance(second, torch.Tensor):
        return _of_two(run, func, x, second)
    if args or "dim" in options or "axis" in options:
        return _picked(run, func, x, *args, dim_at=0, **options)
    return _one_of_all(run, func, x)


def _middle(run: Run, func: Callable, x: torch.Tensor, *args: Any, **options: Any) -> Any:
    if args or options:
        return _picked(run, func, x, *args, dim_at=0, **options)
    return _one_of_all(run, func, x)


def _one_of_all(run: Run, func: Callable, x: torch.Tensor) -> torch.Tensor:
    place = run.hold((x.detach() == func(x.detach())).flatten().double().argmax())
    return x.flatten()[place]


def _extremes(run: Run, func: Callable, x: torch.Tensor, *args: Any, **options: Any) -> Any:
    """amax and amin: equal values share, as torch's derivative has it."""
    dim = args[0] if args else options.get("dim", ())
    keepdim = args[1] if len(args) > 1 else options.get("keepdim", False)
    dims = tuple(range(x.ndim)) if dim in ((), None) else dim
    is_it = x.detach() == func(x.detach(), dims, keepdim=True)
    return (x * run.hold(is_it / is_it.sum(dims, keepdim=True))).sum(dims, keepdim=keepdim)


def _of_two(run: Run, func: Callable, first: Any, second: Any) -> torch.Tensor:
    """maximum and minimum."""
    like = signal_of(first, second)
    is_first = run.hold(func(_value(first), _value(second)) == _value(first))
    first, second = (constant_or_signal(run, part, like) for part in (first, second))
    return torch.where(is_first, first, second)


def _value(part: torch.Tensor) -> torch.Tensor:
    return part.detach() if is_signal(part) else part


def _max_pool(
    run: Run, func: Callable, x: torch.Tensor, *args: Any, n_axes: int, pool: Callable, **options: Any
) -> Any:
    with_places = options.pop("return_indices", False)
    _, places = pool(x.detach(), *args, **options, return_indices=True)
    places = run.hold(places)
    start = x.ndim - n_axes
    values = x.flatten(start).gather(start, places.flatten(start)).view(places.shape)
    return (values, places.clone()) if with_places else values


def _pool(name: str, n_axes: int) -> Callable:
    return partial(_max_pool, n_axes=n_axes, pool=getattr(functional, name))


RULES = {
    "sort": _sorted, "msort": _first_axis, "topk": partial(_picked, dim_at=1), "kthvalue": partial(_picked, dim_at=1),
    "cummax": partial(_picked, dim_at=0), "cummin": partial(_picked, dim_at=0), "mode": partial(_picked, dim_at=0), "median": _middle,
    "nanmedian": _middle, "max": _extreme, "min": _extreme, "amax": _extremes, "amin": _extremes, "maximum": _of_two,
    "minimum": _of_two, "fmax": _of_two, "fmin": _of_two,
}  # fmt: skip
RULES |= {f"max_pool{n}d": _pool(f"max_pool{n}d", n) for n in (1, 2, 3)}
RULES |= {f"adaptive_max_pool{n}d": _pool(f"adaptive_max_pool{n}d", n) for n in (1, 2, 3)}
RULES |= {f"max_pool{n}d_with_indices": _pool(f"max_pool{n}d", n) for n in (1, 2, 3)}
