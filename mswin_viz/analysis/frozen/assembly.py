"""What is put together of parts, or written into another tensor; parts that do not depend on the input are constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from mswin_viz.analysis.frozen.signals import Run, constant_or_signal, signal_of


def _assembled(run: Run, func: Callable, *args: Any, **options: Any) -> Any:
    """Each part as it is: a signal, or a constant; places, masks and factors are no parts."""
    like = signal_of(*_tensors(args), *options.values())
    factor = {key: options.pop(key) for key in ("alpha",) if key in options}
    parts = {key: _part(run, value, like) for key, value in options.items()}
    return func(*(_part(run, value, like) for value in args), **parts, **factor)


def _tensors(args: tuple[Any, ...]) -> list[Any]:
    return [part for value in args for part in (value if isinstance(value, (list, tuple)) else (value,))]


def _part(run: Run, value: Any, like: torch.Tensor) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_part(run, part, like) for part in value)
    if isinstance(value, float):
        return float(run.constant(value, like))
    is_summand = isinstance(value, torch.Tensor) and (value.is_floating_point() or value.is_complex())
    return constant_or_signal(run, value, like) if is_summand else value


RULES = dict.fromkeys(
    (
        "index_add", "index_copy", "index_put", "index_fill", "scatter_add", "scatter", "masked_scatter", "put",
        "slice_scatter", "select_scatter", "diagonal_scatter", "column_stack", "dstack", "row_stack", "block_diag",
        "fill_diagonal",
    ),
    _assembled,
)  # fmt: skip
