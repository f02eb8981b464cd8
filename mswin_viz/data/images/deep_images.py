"""Images of more than 8 bits -> 8-bit pictures by a stated rule, with a count of what is left of each."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mswin_viz.errors import ImageError, OptionError

if TYPE_CHECKING:
    from jaxtyping import Num, UInt8

DeepRange = tuple[float, float]
"""Values that become 0 and 255, in the units of the files."""
_PERCENTILES = (1, 99)
_MIDDLE_GREY = 128
_MOST_COUNTS = 65535


class Levels(NamedTuple):
    """What 8 bits keep of one image of more than 8 bits."""

    count: int  # different values in the 8-bit picture, 1..256
    low: float  # smallest and largest value in the file; NaN for colour files, of which Pillow reads the upper 8 bits
    high: float
    outside: float  # fraction of pixels outside the fixed range; 0 without one

    @property
    def is_of_colour(self) -> bool:
        """Whether it was a colour file."""
        return bool(np.isnan(self.low))


def checked_range(given: Sequence[float] | None) -> DeepRange | None:
    """``thermal_range`` as two floats, or None; an `OptionError` unless both are finite, the smaller one first."""
    if given is None:
        return None
    both = tuple(given) if isinstance(given, tuple | list | np.ndarray) else ()
    if (
        len(both) != 2
        or not all(isinstance(one, Real) and not isinstance(one, bool) and np.isfinite(one) for one in both)
        or not both[0] < both[1]
    ):
        raise OptionError(
            "thermal_range must be two finite numbers, the smaller one first, in the units of the files, for example "
            f"(29315, 30815) for centikelvin: got {given!r}; leave it out to stretch each image by itself"
        )
    return float(both[0]), float(both[1])


def range_words(deep_range: DeepRange) -> str:
    """A fixed range as text, every digit kept."""
    low, high = (f"{value:.15g}" for value in deep_range)
    return f"{low}..{high}"


def rule_words(deep_range: DeepRange | None) -> str:
    """How images of more than 8 bits become 0..255, in words."""
    if deep_range is None:
        low, high = _PERCENTILES
        return f"percentiles {low}..{high} of each image -> 0..255"
    return f"{range_words(deep_range)} -> 0..255"


def eight_bit(
    values: Num[np.ndarray, "rows cols *channels"], name: str, deep_range: DeepRange | None
) -> tuple[UInt8[np.ndarray, "rows cols *channels"], Levels]:
    """One image's values as 0..255, linearly and clipped; all channels share one scale.

    From ``deep_range``; without it, from the image's own 1st to 99th percentile (or from its smallest to its largest
    value if these are equal; a constant image becomes middle grey).

    Raises
    ------
    ImageError
        If values are not finite or, without a range, not whole numbers of 0..65535.
    """
    with np.errstate(
        invalid="ignore", over="ignore"
    ):  # a NaN may be a signal, and larger numbers become infinity
        exact = values.astype(np.float64)
    if not np.isfinite(exact).all():
        raise ImageError(
            f"an image must hold finite values: {name} holds NaN or infinity; replace them first"
        )
    low, high = float(exact.min()), float(exact.max())
    if deep_range is None:
        _check_counts(values, name, low, high)
        start, end = _stretch(exact)
    else:
        start, end = deep_range
    if start == end:
        shown = np.full(values.shape, _MIDDLE_GREY, np.uint8)
    else:
        shown = np.round(np.clip((exact - start) / (end - start), 0, 1) * 255).astype(np.uint8)
    outside = 0.0 if deep_range is None else float(np.mean((exact < start) | (exact > end)))
    return shown, Levels(_count(shown), low, high, outside)


def levels_of_colour(shown: UInt8[np.ndarray, "rows cols *channels"]) -> Levels:
    """What the upper 8 bits of a colour file of 16 bits hold."""
    return Levels(_count(shown), np.nan, np.nan, 0.0)


def _check_counts(values: np.ndarray, name: str, low: float, high: float) -> None:
    if values.dtype.kind == "f":
        raise ImageError(
            f"floating-point values need a range that says what is black and what is white: {name} holds "
            f"{low:g}..{high:g}; load the model with thermal_range=(lo, hi) in these units, or save 8 or 16 bits"
        )
    if low < 0 or high > _MOST_COUNTS:
        raise ImageError(
            f"without a range, an image must hold counts of 0..{_MOST_COUNTS}: {name} holds {low:.15g}..{high:.15g}; "
            "load the model with thermal_range=(lo, hi) in these units, or save 8 or 16 bits"
        )


def _stretch(values: np.ndarray) -> DeepRange:
    start, end = np.percentile(values, _PERCENTILES)
    return (start, end) if start < end else (values.min(), values.max())


def _count(shown: np.ndarray) -> int:
    return int(np.count_nonzero(np.bincount(shown.ravel(), minlength=256)))
