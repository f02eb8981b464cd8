"""A record of shares as a few lines: each image's score as a sum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.data.shown_text import counted

if TYPE_CHECKING:
    from jaxtyping import Float

_MOST = 4  # images that have a line


def sums_in_words(
    name: str,
    score: Float[np.ndarray, " batch"],
    parts: Mapping[str, Float[np.ndarray, " batch"]],
    residual: Float[np.ndarray, " batch"],
) -> str:
    """``name(score = part + part ...)``, a line for each of the first images; parts that are zero everywhere are left out."""
    shown = {label: np.broadcast_to(part, score.shape) for label, part in parts.items() if np.any(part)}
    lines = []
    for image, total in enumerate(score[:_MOST]):
        sums = " ".join(
            f"{'-' if part[image] < 0 else '+'} {label} {abs(part[image]):.4g}"
            for label, part in shown.items()
        )
        lines.append(f"{total:.4g} = {sums.removeprefix('+ ') or 0} (residual {residual[image]:.0e})")
    if len(score) > _MOST:
        lines.append(f"... {counted(len(score), 'images')}")
    return f"{name}({', '.join(lines)})" if len(lines) == 1 else "\n  ".join([f"{name}(", *lines]) + "\n)"
