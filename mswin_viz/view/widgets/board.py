"""The board of heatmaps: numbers for windows of patch tokens, painted over pictures.

The kernel sends numbers once; colour map, range, opacity, threshold, outlines, hover, pins and the scale of the free
windows, once those of every scale were sent, are the browser's (``js/``) and do not wait for the kernel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anywidget
import numpy as np
import traitlets
from ipywidgets import Widget, widget_serialization

from mswin_viz.analysis.scales.panels import Panel
from mswin_viz.data.images.picture_files import opened_file
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import ImageFileError, OptionError, ShapeError
from mswin_viz.view.widgets.assets import script, style
from mswin_viz.view.widgets.colours import CMAPS, SIGNED, UNSIGNED, colour_tables
from mswin_viz.view.widgets.labels import ABSENCES, THOUSANDTHS, VALUES, unit_words
from mswin_viz.view.widgets.lifetime import ClosedWhole, check_open, is_closed, made_whole


class DisplayError(OptionError, traitlets.TraitError):
    """A display trait got a value that it cannot take; it keeps its value."""


@dataclass(frozen=True, eq=False)
class BoardRow:
    """One picture of the board."""

    name: str  # stands above it
    image: bytes = b""  # PNG or JPEG file; empty for none
    group: int | None = None  # rows of one group show the same image; None for a row of its own
    is_difference: bool = False  # its numbers are differences: signed, on a colour scale of their own


class HeatmapBoard(ClosedWhole, anywidget.AnyWidget):
    """Heatmaps over pictures, drawn in the browser: a row for each picture, a column for each panel.

    The traits, and the values of the controls it watches, are its whole state. Every heatmap is an element of class
    ``mswin-heatmap`` with one 2-D canvas inside. A column whose answer no longer fits the watched controls is marked.

    Parameters
    ----------
    grid
        Rows and columns of patch tokens.
    watched
        Name -> (control, trait) of what an answer depends on; ``answered`` of :meth:`show` uses the same names.
    """

    _esm = script("board")
    _css = style("marks", "board")

    rows = traitlets.List(traitlets.Dict()).tag(sync=True)
    columns = traitlets.List(traitlets.Dict()).tag(sync=True)
    grid_rows = traitlets.Int(1, min=1).tag(sync=True)
    grid_cols = traitlets.Int(1, min=1).tag(sync=True)
    watched = traitlets.Dict().tag(sync=True, **widget_serialization)
    followed = traitlets.Dict().tag(sync=True, **widget_serialization)
    answered = traitlets.Dict().tag(sync=True)  # values of the watched controls that the columns fit
    failed = traitlets.Dict(None, allow_none=True).tag(sync=True)  # values that could not be answered
    free_is_fused = traitlets.Bool(False).tag(sync=True)  # so that every column depends on the free windows
    pyramid = traitlets.Dict().tag(sync=True)  # the free windows at every scale, see `show_every_scale`
    fits = traitlets.Dict().tag(sync=True)  # values of the controls, but the scale, that the pyramid fits
    lists_words = traitlets.Bool(False).tag(sync=True)  # each panel's words below them
    order = traitlets.List(traitlets.Int()).tag(
        sync=True
    )  # the patch at each place, where tokens are shuffled
    hidden = traitlets.List(traitlets.Unicode()).tag(sync=True)  # keys of columns
    captions = traitlets.Bool(False).tag(sync=True)  # what the numbers are, below each heatmap
    pinned = traitlets.Dict(None, allow_none=True).tag(sync=True)  # key, row and window that were clicked
    pinnable = traitlets.List(traitlets.Unicode(), None, allow_none=True).tag(
        sync=True
    )  # keys of the columns whose windows a click pins; None for all
    width = traitlets.Int(168, min=24).tag(sync=True)  # CSS pixels of a picture at most; patches are square
    cmap = traitlets.Unicode("auto").tag(sync=True)  # one of CMAPS, or "auto": by whether values are signed
    opacity = traitlets.Float(0.55).tag(sync=True)  # of the heat, 0 to 1
    threshold = traitlets.Float(0.0).tag(sync=True)  # hides what is weaker than this fraction of the range
    outline = traitlets.Bool(True).tag(sync=True)  # lines between windows; dashed around disconnected ones
    shared = traitlets.Bool(False).tag(sync=True)  # one colour scale for each unit, else for each column
    cmaps = traitlets.List(traitlets.Unicode(), list(CMAPS), read_only=True).tag(sync=True)
    auto = traitlets.Dict({"unsigned": UNSIGNED, "signed": SIGNED}, read_only=True).tag(sync=True)
    units = traitlets.Dict({unit: unit_words(unit) for unit in VALUES}, read_only=True).tag(sync=True)
    thousandths = traitlets.List(list(THOUSANDTHS), read_only=True).tag(
        sync=True
    )  # units that are shown times 1000
    places = traitlets.Dict({"token": "Token", "window": "Window"}, read_only=True).tag(
        sync=True
    )  # what a cell of the grid and a group of cells are called under the mouse
    absences = traitlets.Dict(ABSENCES, read_only=True).tag(sync=True)  # of a panel in a row that lacks it
    lut = traitlets.Bytes(colour_tables().tobytes(), read_only=True).tag(sync=True)

    @made_whole()
    def __init__(
        self,
        grid: tuple[int, int] = (16, 8),
        *,
        watched: Mapping[str, tuple[Widget, str]] | None = None,
        **traits: Any,
    ) -> None:
        rows, cols = grid
        if rows < 1 or cols < 1:
            raise ShapeError(
                f"a grid needs at least 1 row and 1 column: got {counted(rows, 'rows')} and {counted(cols, 'columns')}"
            )
        traits |= {"grid_rows": int(rows), "grid_cols": int(cols)}
        super().__init__(watched=_for_the_browser(watched or {}), **traits)

    def follow(self, controls: Mapping[str, tuple[Widget, str]]) -> None:
        """Set display traits, by name, to what controls hold; in the browser, while the kernel is busy too."""
        self.followed = _for_the_browser(controls)

    def show(
        self,
        panels: Sequence[Panel],
        *,
        rows: Sequence[BoardRow] | None = None,
        order: Sequence[int] = (),
        answered: Mapping[str, Any] | None = None,
        free_is_fused: bool = False,
    ) -> None:
        """Show panels: one message to the browser, holding only what changed; if anything does not fit, nothing changes.

        Parameters
        ----------
        panels
            One for each column, with values for every row. NaN and infinite ones are hatched and do not change
            the colour scale; a token in several windows shows the mean of their finite values.
        rows
            The pictures; those in use if None.
        order, answered, free_is_fused
            The traits of these names.
        """
        check_open(self)
        state = {"answered": dict(answered or {}), "failed": None, "free_is_fused": free_is_fused}
        state |= shown_traits(panels, self.rows if rows is None else rows, self._grid, order=order)
        with self.hold_sync(), self.hold_trait_notifications():
            for name, value in state.items():
                self.set_trait(name, value)

    def show_every_scale(self, panels: Sequence[Panel], *, fits: Mapping[str, Any]) -> None:
        """Let the browser draw the free panel of any scale by itself while the controls hold these values.

        Parameters
        ----------
        panels
            The free panel at each scale 1..N, with values for every row; none to end it.
        fits
            Values of watched controls; the one named ``scale`` is not among them, but says which panel is drawn.
        """
        check_open(self)
        with self.hold_sync(), self.hold_trait_notifications():
            self.pyramid, self.fits = pyramid_traits(panels, len(self.rows), self._grid), dict(fits)

    @property
    def _grid(self) -> tuple[int, int]:
        return self.grid_rows, self.grid_cols

    def __repr__(self) -> str:
        if is_closed(self):
            return "HeatmapBoard(closed)"
        grid = f"{self.grid_rows}x{self.grid_cols}"
        return f"HeatmapBoard({counted(len(self.rows), 'pictures')}, {counted(len(self.columns), 'heatmaps')} each, grid {grid})"

    def release(self) -> None:
        """Release pictures and numbers."""
        self.rows, self.columns, self.pyramid = [], [], {}

    @traitlets.validate("cmap")
    def _checked_cmap(self, proposal: Any) -> str:
        cmap, names = proposal["value"], ("auto", *CMAPS)
        if cmap not in names:
            raise DisplayError(f"cmap must be one of {', '.join(names)}: got {cmap!r}; choose one of these")
        return cmap

    @traitlets.validate("opacity", "threshold")
    def _checked_fraction(self, proposal: Any) -> float:
        name, value = proposal["trait"].name, proposal["value"]
        if not 0 <= value <= 1:
            raise DisplayError(f"{name} must lie in 0..1: got {value}; give a fraction, not a percentage")
        return value


def shown_traits(
    panels: Sequence[Panel],
    rows: Sequence[BoardRow | Mapping[str, Any]],
    grid: tuple[int, int],
    *,
    order: Sequence[int] = (),
) -> dict[str, Any]:
    """Panels and pictures as a board's traits; pictures that a board has already are taken as they are.

    Errors and parameters as in :meth:`HeatmapBoard.show`.
    """
    columns = [_column(panel, len(rows), grid) for panel in panels]
    pictures = [_row(row) if isinstance(row, BoardRow) else row for row in rows]
    return {"columns": columns, "rows": pictures, "order": [int(token) for token in order]}


def pyramid_traits(panels: Sequence[Panel], n_rows: int, grid: tuple[int, int]) -> dict[str, Any]:
    """The free panel at every scale as a board's trait ``pyramid``; nothing for no panels."""
    if not panels:
        return {}
    columns = [_column(panel, n_rows, grid) for panel in panels]
    sent = {name: columns[0][name] for name in ("key", "unit", "signed")}
    sent |= {f"{name}s": [column[name] for column in columns] for name in ("title", "origin")}
    sent |= {"words": [column["words"] for column in columns]}
    return sent | {"values": b"".join(column["values"] for column in columns)}


def _for_the_browser(controls: Mapping[str, tuple[Widget, str]]) -> dict[str, list[Any]]:
    """Each control with the trait that the browser has, and, for a menu, the values among which that is a position."""
    sent: dict[str, list[Any]] = {}
    for name, (control, trait) in controls.items():
        options = getattr(control, "options", None) if hasattr(control, "index") else None
        if options is None or trait != "value":
            sent[name] = [control, trait, None]
        else:  # a menu
            values = [option[1] if isinstance(option, tuple) else option for option in options]
            sent[name] = [control, "index", values]
    return sent


def _row(row: BoardRow) -> dict[str, Any]:
    about = {"name": row.name, "group": row.group, "is_difference": row.is_difference}
    return {**about, "image": _checked_file(row.image) if row.image else b""}


def _checked_file(data: bytes) -> bytes:
    try:
        with opened_file(data, "the picture") as image:
            kind = image.format
    except ImageFileError:
        kind = None
    if kind not in ("PNG", "JPEG"):
        raise ImageFileError(
            f"the canvas shows PNG and JPEG files: got {len(data)} bytes of {kind or 'something else'}; "
            "pass a PIL image instead"
        )
    return data


def _column(panel: Panel, n_rows: int, grid: tuple[int, int]) -> dict[str, Any]:
    values, geometry = np.asarray(panel.values, dtype=np.float32), panel.geometry
    if geometry.grid != grid:
        raise ShapeError(f"panels lie on the board's grid, {grid}: got {geometry.grid} in {panel.key!r}")
    if values.shape != (n_rows, geometry.n_windows):
        raise ShapeError(
            f"need one value for each of {counted(geometry.n_windows, 'windows')} in each of {counted(n_rows, 'rows')}: got values of "
            f"shape {values.shape} in {panel.key!r}"
        )
    about = {name: getattr(panel, name) for name in ("key", "title", "origin", "unit", "signed", "words")}
    tile = None if geometry.tile is None else list(geometry.tile)
    windows = {"scale": geometry.scale, "stride": geometry.stride, "tile": tile}
    return {**about, **windows, "absent": list(panel.absent), "values": values.tobytes()}
