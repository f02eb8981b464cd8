"""The options that load weights: input size, architecture, activation, normalisation, and the range of deep images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, TypeGuard

import numpy as np

from mswin_viz.data.images.deep_images import checked_range
from mswin_viz.errors import OptionError

ACTIVATIONS = {"gelu": "GELU", "quick_gelu": "QuickGELU"}
PRECISIONS = ("auto", "float32", "mixed")
_CLOSE = 1e-6


class LoadOptions(TypedDict, total=False):
    """Options of :func:`mswin_viz.load_model` that :class:`TowerOptions` gathers, as a user gives them."""

    image_size: int | tuple[int, int] | None
    arch: str | None
    thermal_range: tuple[float, float] | None
    activation: str | None
    mean: float | Sequence[float] | None
    std: float | Sequence[float] | None


@dataclass(frozen=True, kw_only=True)
class TowerOptions:
    """Options of a tower, as :func:`mswin_viz.load_model` documents them, checked; None where the weights decide."""

    image_size: tuple[int, int] | None = None
    arch: str | None = None
    thermal_range: tuple[float, float] | None = None
    activation: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.arch is not None and not isinstance(self.arch, str):
            raise OptionError(f'arch is one of open_clip\'s names, such as "ViT-B-16": got {self.arch!r}')
        checked = {
            "image_size": _checked_size(self.image_size),
            "thermal_range": checked_range(self.thermal_range),
            "activation": _checked_activation(self.activation),
            "mean": _channels("mean", self.mean),
            "std": _channels("std", self.std),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def refuse_contradictions(
        self, activation: str | None, mean: Sequence[float] | None, std: Sequence[float] | None, source: str
    ) -> None:
        """Refuse an activation or normalisation that differs from the one of ``source``, which decides."""
        if self.activation is not None and activation not in (None, self.activation):
            raise OptionError(
                f"activation= is only for plain files, which do not state it: {source} has {activation}, got "
                f"{self.activation}; leave it out"
            )
        for name, option, known in (("mean", self.mean, mean), ("std", self.std, std)):
            if option is None or known is None:
                continue
            if not np.allclose(option, known, rtol=0, atol=_CLOSE):
                raise OptionError(
                    f"{name}= is only for plain files, which do not state it: {source} has {name} {_listed(known)}, got "
                    f"{_listed(option)}; leave it out"
                )


def checked_precision(precision: str, device: str) -> str:
    """The precision, if it is one of :data:`PRECISIONS` and the kind of device has it; mixed needs CUDA."""
    if not isinstance(precision, str) or precision not in PRECISIONS:
        raise OptionError(f"precision is one of {', '.join(PRECISIONS)}: got {precision!r}")
    if precision == "mixed" and device != "cuda":
        raise OptionError(
            f'mixed precision needs CUDA: got precision="mixed" on {device}; use "auto", or device="cuda"'
        )
    return precision


def _checked_activation(activation: Any) -> str | None:
    """The activation as provenance writes it, such as QuickGELU, which is also accepted."""
    if activation is None:
        return None
    word = activation.lower().replace("quickgelu", "quick_gelu") if isinstance(activation, str) else ""
    if word not in ACTIVATIONS:
        raise OptionError(f"activation is one of {', '.join(ACTIVATIONS)}: got {activation!r}")
    return ACTIVATIONS[word]


def _checked_size(image_size: Any) -> tuple[int, int] | None:
    """Height and width, from one number or two; None stays None."""
    if image_size is None:
        return None
    sides = (image_size, image_size) if _is_whole(image_size) else _sequence(image_size)
    if len(sides) != 2 or not all(_is_whole(side) and side > 0 for side in sides):
        raise OptionError(f"image_size is (height, width) in whole pixels, or one number: got {image_size!r}")
    return int(sides[0]), int(sides[1])


def _channels(name: str, value: Any) -> tuple[float, ...] | None:
    """Three numbers from three or one; None stays None."""
    if value is None:
        return None
    numbers = (value,) * 3 if _is_number(value) else _sequence(value)
    if len(numbers) != 3 or not all(_is_number(number) for number in numbers):
        raise OptionError(
            f"{name} is three finite numbers, one for each channel, or one for all: got {value!r}"
        )
    numbers = tuple(map(float, numbers))
    if name == "std" and min(numbers) <= 0:
        raise OptionError(f"std divides, so it must be above 0: got {_listed(numbers)}")
    if max(map(abs, numbers)) > 2:
        raise OptionError(
            f"{name} is for pixels from 0 to 1: got {_listed(numbers)}; divide numbers of 0 to 255 by 255"
        )
    return numbers


def _sequence(value: Any) -> tuple[Any, ...]:
    """Entries of a sequence or array; empty for anything else."""
    if isinstance(value, (str, bytes)) or not hasattr(value, "__len__"):
        return ()
    return tuple(value.tolist()) if hasattr(value, "tolist") else tuple(value)


def _is_whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_number(value: Any) -> TypeGuard[float]:
    is_real = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return is_real and math.isfinite(value)


def _listed(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values)
