"""How unusual a number is among others of its kind: the modified z-score of Iglewicz and Hoaglin (1993)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float

UNUSUAL = 3.5
"""Modified z-scores beyond it are potential outliers, as Iglewicz and Hoaglin recommend."""
FEWEST = 8
"""Numbers of which the usual can be told."""
_MAD, _MEAN = 0.6745, 1.253314
"""A normal distribution's quartile, and its standard deviation over its mean absolute deviation."""


def modified_z(values: Float[np.ndarray, " item"]) -> Float[np.ndarray, " item"]:
    """``0.6745 (x - median) / MAD``; where at least half of the numbers are equal, by the mean absolute deviation.

    Infinite numbers have no part in what is usual and stay infinite; NaN stays NaN. All others are 0 where they do not
    differ, or fewer than ``FEWEST`` are finite.
    """
    values = np.asarray(values, np.float64)
    middle, width = usual_of(values[np.isfinite(values)])
    if not width > 0:
        return np.where(np.isfinite(values), 0.0, values)
    return (values - middle) / width


def usual_of(values: Float[np.ndarray, " item"]) -> tuple[float, float]:
    """Median and robust standard deviation of finite numbers; NaN where there are fewer than ``FEWEST``."""
    if len(values) < FEWEST:
        return float("nan"), float("nan")
    middle = float(np.median(values))
    away = np.abs(values - middle)
    return middle, float(np.median(away) / _MAD or _MEAN * away.mean())
