"""Rows of a picture covered with one colour, as the tower sees it: after the resize, before the normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.preprocessing import FittedImage

SIDES = ("bottom", "top", "middle", "random")
"""Where the covered rows lie: at an edge, about the centre, or as one block at a height drawn for each sample."""
FILLS = ("mean", "own_mean", "black")
"""The normalisation's mean colour (zero behind it), the picture's own mean colour, or black."""
Fill = str | Sequence[int]


class Cover(NamedTuple):
    """Which rows of a picture are covered, and with what: ``n_rows`` of ``height``; ``fill`` one of ``FILLS``, or a colour."""

    n_rows: int
    height: int
    side: str
    fill: str | tuple[int, int, int]
    seed: int

    @property
    def fraction(self) -> float:
        """The part of the rows that is covered, exactly."""
        return self.n_rows / self.height

    def first_row(self, sample: int) -> int:
        """The uppermost covered row of a sample's pictures: the same in every modality, and drawn only for ``"random"``."""
        free = self.height - self.n_rows
        if self.side == "random":
            drawn = np.random.default_rng([self.seed, sample]).random()  # one height for all fractions
            return int(drawn * (free + 1))
        return {"bottom": free, "top": 0, "middle": free // 2}[self.side]

    def over(self, image: FittedImage, sample: int, model: Model) -> FittedImage:
        """The picture with its rows covered; unchanged if no row is to be covered."""
        if self.n_rows == 0:
            return image
        shown, first = image.shown.copy(), self.first_row(sample)
        shown.paste(self._colour(image, model), (0, first, shown.width, first + self.n_rows))
        return replace(image, shown=shown)

    def _colour(self, image: FittedImage, model: Model) -> tuple[int, int, int]:
        if not isinstance(self.fill, str):
            return self.fill
        if self.fill == "black":
            return 0, 0, 0
        if self.fill == "mean":
            red, green, blue = (round(255 * mean) for mean in model.tower.mean)
        else:
            pixels = np.asarray(image.shown, np.float64)
            red, green, blue = (round(mean) for mean in pixels.mean(axis=(0, 1)))
        return red, green, blue


def covered_rows(fraction: float, height: int) -> int:
    """How many of a picture's rows a fraction is: rounded, a half upwards."""
    return int(np.floor(fraction * height + 0.5))


def checked_fill(fill: Any) -> str | tuple[int, int, int]:
    """The fill, one of ``FILLS`` or red, green and blue of 0..255. Raises OptionError for anything else."""
    if isinstance(fill, str) and fill in FILLS:
        return fill
    is_colour = isinstance(fill, Sequence | np.ndarray) and not isinstance(fill, str) and len(fill) == 3
    if not is_colour or not all(isinstance(one, int | np.integer) and 0 <= one <= 255 for one in fill):
        raise OptionError(
            f"fill is one of {', '.join(FILLS)}, or red, green and blue as whole numbers of 0..255: got {fill!r:.80}"
        )
    red, green, blue = map(int, fill)
    return red, green, blue


def fill_words(fill: str | tuple[int, int, int]) -> str:
    """A fill in words."""
    if isinstance(fill, str):
        return {"mean": "the normalisation's mean colour", "own_mean": "the picture's mean colour"}.get(
            fill, fill
        )
    return f"the colour {fill[0]}, {fill[1]}, {fill[2]}"
