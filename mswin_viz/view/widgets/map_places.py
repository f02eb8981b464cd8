"""Where the points of two maps lie, and the arrows between their places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.data.shown_text import counted
from mswin_viz.errors import ShapeError

if TYPE_CHECKING:
    from jaxtyping import Float

_HEAD = 0.3  # length of an arrow's barbs, as a part of the arrow's length, at most 0.03 of the map
_FILLED = 0.94  # of the map's half width, so that no point is cut at its edge


@dataclass(frozen=True, eq=False)
class MapPoints:
    """Places of each image on two maps of one joint projection, and the words of its tooltip by name.

    ``names`` are those of two models, where the maps are of these.

    A ``ShapeError`` says where there is no point, a place is missing, or the lengths differ.
    """

    plain: Float[np.ndarray, "point 2"]
    enhanced: Float[np.ndarray, "point 2"]
    words: Mapping[str, Sequence[str]]
    names: tuple[str, str] = ("plain", "enhanced")

    def __post_init__(self) -> None:
        shapes = np.shape(self.plain), np.shape(self.enhanced)
        if shapes[0] != shapes[1] or len(shapes[0]) != 2 or shapes[0][1] != 2 or not shapes[0][0]:
            raise ShapeError(
                f"maps need two places [n, 2] of the same points: got {shapes[0]} and {shapes[1]}"
            )
        missing = ~(np.isfinite(self.plain) & np.isfinite(self.enhanced)).all(axis=1)
        if missing.any():
            raise ShapeError(
                f"every point needs a place on both maps: got {int(missing.sum())} without, the first in row "
                f"{int(missing.argmax())}; leave those rows out"
            )
        misfits = {name: len(words) for name, words in self.words.items() if len(words) != len(self)}
        if misfits:
            raise ShapeError(f"words must be one for each of {counted(len(self), 'points')}: got {misfits}")

    def __len__(self) -> int:
        return len(self.plain)


def unit_square(
    plain: Float[np.ndarray, "point 2"], enhanced: Float[np.ndarray, "point 2"]
) -> tuple[Float[np.ndarray, "point 2"], Float[np.ndarray, "point 2"]]:
    """Both maps moved and scaled alike, so that together they nearly fill -1..1 in their longer direction."""
    both = np.concatenate([plain, enhanced])
    low, high = both.min(axis=0), both.max(axis=0)
    reach = float((high - low).max()) / 2 / _FILLED or 1.0
    middle = (low + high) / 2
    return (plain - middle) / reach, (enhanced - middle) / reach


def arrow(
    start: Float[np.ndarray, " coordinate"], end: Float[np.ndarray, " coordinate"]
) -> list[tuple[float, float]]:
    """One line that draws an arrow: the shaft, one barb, back to the tip, the other barb."""
    along = np.asarray(end, float) - np.asarray(start, float)
    length = float(np.hypot(*along))
    if length == 0:
        return [tuple(start), tuple(end)]
    back = -along / length * min(_HEAD * length, 0.03)
    turned = np.array([-back[1], back[0]]) * 0.5
    corners = (start, end, end + back + turned, end, end + back - turned)
    return [(float(x), float(y)) for x, y in corners]
