"""Where the cells of a paper's figure lie, in inches: rows, groups of columns, and blocks of rows side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties

from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import counted, short_text
from mswin_viz.errors import OptionError
from mswin_viz.view.paper.paper_columns import Column
from mswin_viz.view.paper.paper_maps import Place
from mswin_viz.view.parts.figure_text import LEAST_SIZE, folded_name

WIDTHS = {"single": 3.5, "double": 7.16}
"""Inches of one and of two columns of a journal page (IEEE)."""
ROWS = ("images", "models", "modalities")
PAGE = 9.4
"""Inches: the highest figure that leaves room for its legend on a page."""
LINE = LEAST_SIZE * 1.25 / 72
"""Inches of a line of the smallest letters."""
_GAP, _GROUP_GAP, _BLOCK_GAP = 0.03, 0.1, 0.16
_EDGE = 0.02  # right of the last cell, for its line
_LABEL = 0.25  # beside each row, for two lines that stand upright
_TALL = (1.6, 2.2)  # inches of a cell: from here on rows stand side by side; never more


@dataclass(frozen=True)
class Row:
    """One row: the words beside it, and the place of each of its groups."""

    label: tuple[str, ...]
    places: tuple[Place, ...]


@dataclass(frozen=True, eq=False)
class Layout:
    """Rows in blocks side by side, each with ``groups`` of all columns; sizes in inches.

    ``n_together`` rows after one another, such as those of one image, stay in one block.
    """

    rows: tuple[Row, ...]
    groups: tuple[str, ...]
    columns: tuple[Column, ...]
    width: float
    n_blocks: int
    cell: tuple[float, float]
    foot: float
    n_together: int = 1

    @property
    def n_down(self) -> int:
        """Rows of a block."""
        return _n_down(len(self.rows), self.n_together, self.n_blocks)

    @property
    def head(self) -> float:
        """Inches above the first row: headings of groups, where there are some, and titles of columns."""
        return _head(self.groups, self.columns, self.cell[0])

    @property
    def height(self) -> float:
        """Inches of the whole figure."""
        return self.head + self.n_down * (self.cell[1] + _GAP) + self.foot

    @property
    def block_width(self) -> float:
        """Inches of one block with its labels."""
        return _LABEL + _across(len(self.groups), len(self.columns), self.cell[0])

    def corner(self, row: int, group: int, column: int) -> tuple[float, float]:
        """Left and upper edge of a cell, in inches from the figure's upper left corner."""
        block, down = divmod(row, self.n_down)
        whole = self.n_blocks * self.block_width + (self.n_blocks - 1) * _BLOCK_GAP
        left = (self.width - _EDGE - whole) / 2 + block * (self.block_width + _BLOCK_GAP) + _LABEL
        left += group * (_across(1, len(self.columns), self.cell[0]) + _GROUP_GAP)
        return left + column * (self.cell[0] + _GAP), self.head + down * (self.cell[1] + _GAP)


def layout_of(
    arranged: Arranged, columns: Sequence[Column], *, width: float, ratio: float, foot: float
) -> Layout:
    """Cells as large as fit: ``ratio`` is a picture's height over its width, ``foot`` what stands below the rows.

    Raises OptionError if a title would not fit above its column at 6 points.
    """
    rows, groups, together = arranged
    n_groups, n_columns = len(groups), len(columns)
    at_least = _LABEL + _across(n_groups, n_columns, max(_TALL[0] / ratio, _needed(columns)))
    n_parts = math.ceil(len(rows) / together)
    n_fit = max(1, min(n_parts, int((width - _EDGE + _BLOCK_GAP) // (at_least + _BLOCK_GAP))))
    n_blocks = math.ceil(n_parts / math.ceil(n_parts / n_fit))  # as few as hold them: cells are larger
    inside = (width - _EDGE + _BLOCK_GAP) / n_blocks - _BLOCK_GAP - _LABEL
    free = inside - (n_groups - 1) * _GROUP_GAP - n_groups * (n_columns - 1) * _GAP
    cell = min(free / (n_groups * n_columns), _TALL[1] / ratio)
    n_down = _n_down(len(rows), together, n_blocks)
    high = (PAGE - foot - _head(groups, columns, cell)) / n_down - _GAP
    cell = min(cell, high / ratio)
    needed = _needed(columns)
    if cell < needed:
        wanted = _EDGE + _LABEL + _across(n_groups, n_columns, needed) + 0.005
        least = f"titles of {LEAST_SIZE} points need columns of at least {needed:.2f} inches"
        if free / (n_groups * n_columns) < needed:
            raise OptionError(
                f"{least}: got {max(cell, 0):.2f}, for {counted(n_groups * n_columns, 'columns')} in a figure {width:.2f} inches wide; "
                f"make it {wanted:.2f} inches wide, or show fewer columns, modalities or models"
            )
        raise OptionError(
            f"a page is {PAGE} inches high, and {least}: got {counted(n_down, 'rows')} below one another, too many for it; show "
            "fewer images or models"
        )
    return Layout(
        tuple(rows), tuple(groups), tuple(columns), width, n_blocks, (cell, cell * ratio), foot, together
    )


class Arranged(NamedTuple):
    """The rows, the headings of the groups beside one another, and how many rows are of one image."""

    rows: list[Row]
    groups: list[str]
    n_together: int


def labels_of(samples: Sequence[Sample]) -> list[str]:
    """What stands beside the rows of each sample; numbered by their places, from 1, where labels are not all different."""
    labels = [sample.label for sample in samples]
    if len(set(labels)) == len(labels):
        return labels
    return [f"{at}: {label}" for at, label in enumerate(labels, 1)]


def rows_of(kind: str, models: Sequence[str], labels: Sequence[str], modalities: Sequence[str]) -> Arranged:
    """The rows in their order; ``labels`` are those of the images.

    ``"images"``: a row for each image and, below it, for each other model. ``"models"``: the same, model by model. Both have
    the modalities side by side; ``"modalities"``: a row for each image and modality, with the models side by side.
    """
    several = len(models) > 1
    if kind == "modalities":
        rows = [
            Row(
                _words(labels[at] if len(labels) > 1 else "", modality),
                tuple(Place(model, at, modality) for model in models),
            )
            for at in range(len(labels))
            for modality in modalities
        ]
        return Arranged(rows, list(models) if several else [""], len(modalities))
    pairs = [(model, at) for at in range(len(labels)) for model in models]
    if kind == "models":
        pairs = [(model, at) for model in models for at in range(len(labels))]
    rows = []
    for model, at in pairs:
        words = (labels[at], model if several else "")
        words = words if kind == "images" else words[::-1]
        rows.append(Row(_words(*words), tuple(Place(model, at, name) for name in modalities)))
    together = len(models) if kind == "images" else 1
    return Arranged(rows, list(modalities) if len(modalities) > 1 else [""], together)


def title_lines(column: Column, cell: float) -> list[str]:
    """A column's title in lines that fit its cell."""
    lines, line = [], ""
    for word in column.title.split(" "):
        longer = f"{line} {word}".strip()
        if line and inches(longer) > cell:
            lines.append(line)
            longer = word
        line = longer
    return [*lines, line]


def inches(words: str, size: float = LEAST_SIZE) -> float:
    """How wide words are drawn."""
    width, _, _ = RendererAgg(1, 1, 72).get_text_width_height_descent(words, FontProperties(size=size), False)
    return width / 72


def folded_to(words: str, width: float, *, most: int = 60) -> str:
    """Words in lines that fit a width in inches, about."""
    return folded_name(words, max(4, int(width / inches("n"))), most=most)


def _words(*parts: str) -> tuple[str, ...]:
    return tuple(short_text(part, 40) for part in parts if part)


def _n_down(n_rows: int, together: int, n_blocks: int) -> int:
    """Rows of a block, those of one image in one of them."""
    return math.ceil(math.ceil(n_rows / together) / n_blocks) * together


def _across(n_groups: int, n_columns: int, cell: float) -> float:
    of_a_group = n_columns * cell + (n_columns - 1) * _GAP
    return n_groups * of_a_group + (n_groups - 1) * _GROUP_GAP


def _needed(columns: Sequence[Column]) -> float:
    words = [word for column in columns for word in column.title.split(" ")]
    return max(inches(word) for word in [*words, "no RGB"]) + 0.02


def _head(groups: Sequence[str], columns: Sequence[Column], cell: float) -> float:
    lines = max(len(title_lines(column, cell)) for column in columns)
    return 0.05 + lines * LINE + (1.4 * LINE if any(groups) else 0)
