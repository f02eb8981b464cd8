"""What a user may say about a weight file: input size, architecture, activation and normalisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mswin_viz.errors import OptionError

__all__ = ["ACTIVATIONS", "PRECISIONS", "TowerOptions", "checked_options", "checked_precision"]

ACTIVATIONS = {"gelu": "GELU", "quick_gelu": "QuickGELU"}
PRECISIONS = ("auto", "float32", "mixed")
_CLOSE = 1e-6


@dataclass(frozen=True)
class TowerOptions:
    """Options of a tower, checked; None where the weights decide.

    Attributes
    ----------
    image_size
        Input height and width.
    arch
        open_clip's architecture.
    activation
        ``"GELU"`` or ``"QuickGELU"``.
    mean, std
        Pixel normalisation of values from 0 to 1.
    """

    image_size: tuple[int, int] | None = None
    arch: str | None = None
    activation: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def refuse_contradictions(
        self, activation: str | None, mean: Sequence[float] | None, std: Sequence[float] | None, source: str
    ) -> None:
        """Refuse an activation or normalisation other than the one that `source`, which decides, has.

        Raises
        ------
        OptionError
            With what was asked for and what `source` says.
        """
        if self.activation is not None and activation not in (None, self.activation):
            raise OptionError(
                f"activation= is for plain files, which do not tell: {source} has {activation}, got "
                f"{self.activation}; leave it out"
            )
        for name, asked, known in (("mean", self.mean, mean), ("std", self.std, std)):
            if asked is not None and known is not None and not np.allclose(asked, known, rtol=0, atol=_CLOSE):
                raise OptionError(
                    f"{name}= is for plain files, which do not tell: {source} has {name} {_listed(known)}, got "
                    f"{_listed(asked)}; leave it out"
                )


def checked_options(
    image_size: int | Sequence[int] | None,
    arch: str | None,
    activation: str | None,
    mean: float | Sequence[float] | None,
    std: float | Sequence[float] | None,
) -> TowerOptions:
    """Options as a user gives them, checked.

    Raises
    ------
    OptionError
        If one is not of its kind.
    """
    if isinstance(activation, str):  # QuickGELU, as the provenance writes it
        activation = activation.lower().replace("quickgelu", "quick_gelu")
    if activation is not None and (not isinstance(activation, str) or activation not in ACTIVATIONS):
        raise OptionError(f"activation is one of {', '.join(ACTIVATIONS)}: got {activation!r}")
    if arch is not None and not isinstance(arch, str):
        raise OptionError(f'arch is a name of open_clip, such as "ViT-B-16": got {arch!r}')
    return TowerOptions(
        _checked_size(image_size),
        arch,
        None if activation is None else ACTIVATIONS[activation],
        _channels("mean", mean),
        _channels("std", std),
    )


def checked_precision(precision: str, device: str) -> str:
    """The precision asked for, if it is one and the kind of device has it.

    Raises
    ------
    OptionError
        If it is not one of :data:`PRECISIONS`, or mixed elsewhere than on CUDA.
    """
    if not isinstance(precision, str) or precision not in PRECISIONS:
        raise OptionError(f"precision is one of {', '.join(PRECISIONS)}: got {precision!r}")
    if precision == "mixed" and device != "cuda":
        raise OptionError(
            f'mixed precision needs CUDA: got precision="mixed" on {device}; leave it at "auto", or take '
            'device="cuda"'
        )
    return precision


def _checked_size(image_size: int | Sequence[int] | None) -> tuple[int, int] | None:
    """Height and width, from one number or two; None stays None."""
    if image_size is None:
        return None
    sides = (image_size, image_size) if _is_whole(image_size) else _sequence(image_size)
    if len(sides) != 2 or not all(_is_whole(side) and side > 0 for side in sides):
        raise OptionError(f"image_size is (height, width) in whole pixels, or one number: got {image_size!r}")
    return int(sides[0]), int(sides[1])


def _channels(name: str, value: float | Sequence[float] | None) -> tuple[float, ...] | None:
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
        raise OptionError(f"std divides, so it is above 0: got {_listed(numbers)}")
    if max(map(abs, numbers)) > 2:
        raise OptionError(
            f"{name} is for pixels from 0 to 1: got {_listed(numbers)}; divide numbers of 0 to 255 by 255"
        )
    return numbers


def _sequence(value: Any) -> tuple:
    """Entries of a sequence or array; empty for what has none."""
    if isinstance(value, (str, bytes)) or not hasattr(value, "__len__"):
        return ()
    return tuple(value.tolist()) if hasattr(value, "tolist") else tuple(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    is_real = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return is_real and math.isfinite(value)


def _listed(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values)
