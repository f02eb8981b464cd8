"""Two linked maps of the same images, plain and enhanced: an adapter for jupyter-scatter.

Rows are numbered from 0, as jupyter-scatter's links need them. Selection, hover and view are linked in the browser.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import anywidget
import ipywidgets as widgets
import jscatter
import numpy as np
import traitlets
from matplotlib.colors import to_rgba

from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError, ShapeError
from mswin_viz.view.widgets.assets import script, style
from mswin_viz.view.widgets.guarded import Guard, show_as_out_of_date
from mswin_viz.view.widgets.labels import named
from mswin_viz.view.widgets.lifetime import ClosedWhole, made_whole
from mswin_viz.view.widgets.map_colours import Colouring
from mswin_viz.view.widgets.map_places import MapPoints, arrow, unit_square
from mswin_viz.view.widgets.map_scatter import LIGHT, ORANGE, colour_points, forget_scatters, map_scatter
from mswin_viz.view.widgets.markup import Html, message_html, tag

MOST_ARROWS = 400
"""How many displacements are drawn; the selection may be larger."""
_DARK = "#111111"


class SelectionError(OptionError, traitlets.TraitError):
    """A selected row is not on the map; the selection stays as it was."""


class ThemeProbe(ClosedWhole, anywidget.AnyWidget):
    """Draws nothing; lends the page's colours to the maps' toolbars, and is told by the browser when the theme changes."""

    _esm = script("theme")
    _css = style("theme")

    is_dark = traitlets.Bool(False).tag(sync=True)


class LinkedMaps(ClosedWhole, widgets.VBox):
    """The plain and the enhanced map of the same images, side by side.

    Lasso or click in one map selects in both; so do hover, pan and zoom. The plain map can move its points to their
    enhanced places and back, and shows the displacement of what is selected as arrows.

    Parameters
    ----------
    thumbnail
        Row -> JPEG or PNG file, called when a point is hovered; empty bytes for no picture.
    height
        Of a map in CSS pixels.
    """

    selected = traitlets.List(traitlets.Int())  # rows, ascending; setting them selects in both maps
    hovered = traitlets.Int(-1)  # row under the mouse, -1 for none
    is_morphed = traitlets.Bool(False)  # the plain map's points stand at their enhanced places
    has_arrows = traitlets.Bool(True)  # the selection's displacements are drawn

    @made_whole()
    def __init__(
        self,
        points: MapPoints,
        colouring: Colouring,
        *,
        thumbnail: Callable[[int], bytes] | None = None,
        height: int = 340,
    ) -> None:
        self._thumbnail = lru_cache(maxsize=2048)(thumbnail or (lambda _row: b""))
        self._points, self._guarded, self._message = points, Guard(self, self._say), Html()
        self._titles = [Html().add_class(f"mswin-map-title-{name}") for name in ("plain", "enhanced")]
        # jupyter-scatter's script is 2 MB: small widgets go first, since anywidget gives each two seconds to load
        self._theme = ThemeProbe()
        self.scatters = tuple(map_scatter(points, colouring, height) for _ in range(2))
        self._place()
        view = uuid.uuid4().hex
        for scatter, name in zip(self.scatters, ("plain", "enhanced"), strict=True):
            scatter.widget.view_sync = view
            # jupyter-scatter overrides ipywidgets' dispatch, so on_msg never hears of a tooltip; and its answer
            # would need every picture in memory, while here a picture is read when its point is hovered
            react = partial(self._on_message, scatter.widget)
            scatter.widget._handle_custom_msg = self._guarded("showing a picture under the mouse")(react)
            scatter.widget.add_class(f"mswin-map-{name}")
        super().__init__([self._row(), self._theme, self._message], layout={"overflow": "visible"})
        self.add_class("mswin-view").add_class("mswin-maps")
        self._theme.observe(self._guarded("following the theme")(self._on_theme), "is_dark")
        self._link()

    def __repr__(self) -> str:
        return f"LinkedMaps({counted(len(self._points), 'points')}, {len(self.selected)} selected)"

    def colour(self, colouring: Colouring) -> None:
        """Colour the points of both maps."""
        if len(colouring.codes) != len(self._points):
            raise ShapeError(
                f"a colouring has one colour for each of {counted(len(self._points), 'points')}: got {len(colouring.codes)}"
            )
        for scatter in self.scatters:
            colour_points(scatter, colouring)

    def show_only(self, rows: Sequence[int] | None) -> None:
        """Hide all other points in both maps, and take them out of the selection; None shows all of them."""
        if rows is not None:
            shown = set(rows)
            self.selected = [row for row in self.selected if row in shown]
        for scatter in self.scatters:
            scatter.filter(None if rows is None else np.asarray(rows, dtype=np.uint32))

    def release(self) -> None:
        """Release the pictures, and the widgets that jupyter-scatter holds."""
        self._thumbnail.cache_clear()
        forget_scatters()

    def _row(self) -> widgets.Box:
        half = {"flex": "1 1 300px", "min_width": "0", "overflow": "visible"}  # tooltips may stand out
        columns = [
            widgets.VBox([title, scatter.widget], layout=half)
            for title, scatter in zip(self._titles, self.scatters, strict=True)
        ]
        return widgets.HBox(columns, layout={"width": "100%", "grid_gap": "6px", "overflow": "visible"})

    def _link(self) -> None:
        first, second = (scatter.widget for scatter in self.scatters)
        self.links = [widgets.jslink((first, trait), (second, trait)) for trait in ("selection", "hovering")]
        for one in (first, second):
            one.observe(self._guarded("selecting")(self._on_selection), "selection")
            one.observe(self._guarded("hovering")(self._on_hover), "hovering")

    def _place(self, *, animate: bool = True) -> None:
        """Put the points where they belong, and say which map is which."""
        plain, enhanced = unit_square(self._points.plain, self._points.enhanced)
        shown = (enhanced if self.is_morphed else plain, enhanced)
        for scatter, places in zip(self.scatters, shown, strict=True):
            scatter.xy(*places.T, animate=animate)
        for title, text in zip(
            self._titles, map_titles(self._points.names, is_morphed=self.is_morphed), strict=True
        ):
            title.value = tag("b", text)

    def _on_selection(self, change: Mapping[str, Any]) -> None:
        rows = [] if change["new"] is None else np.unique(change["new"]).tolist()
        self.selected = [int(row) for row in rows if row < len(self._points)]

    def _on_hover(self, change: Mapping[str, Any]) -> None:
        self.hovered = -1 if change["new"] is None else int(change["new"])

    def _on_theme(self, change: Mapping[str, Any]) -> None:
        # only these: jupyter-scatter's own background() also draws the axes and the legend that are switched off
        back, ink = (_DARK, LIGHT) if change["new"] else (LIGHT, _DARK)
        for scatter in self.scatters:
            with scatter.widget.hold_sync():
                scatter.widget.background_color = list(to_rgba(back))
                scatter.widget.set_trait("tooltip_color", list(to_rgba(back)))
                scatter.widget.reticle_color = list(to_rgba(ink, 0.2))
                scatter.widget.color_hover = list(to_rgba(ink))

    def _on_message(self, widget: Any, event: Mapping[str, Any], buffers: object) -> None:
        row = event.get("index")
        if event.get("type") != "tooltip" or not isinstance(row, int) or not 0 <= row < len(self._points):
            return
        properties = {name: str(words[row]) for name, words in self._points.words.items()}
        picture = _data_uri(self._thumbnail(row))
        widget.send({"type": "tooltip", "index": row, "preview": picture, "properties": properties})

    @traitlets.validate("selected")
    def _checked_rows(self, proposal: Any) -> list[int]:
        rows = sorted(set(proposal["value"]))
        if rows and not 0 <= rows[0] <= rows[-1] < len(self._points):
            raise SelectionError(
                f"selected rows must be 0..{len(self._points) - 1}: got {rows[0]} to {rows[-1]}"
            )
        return rows

    @traitlets.observe("selected")
    def _selected_changed(self, _change: object) -> None:
        with self._guarded("showing what is selected"):
            rows = np.array(self.selected, dtype=np.uint32)
            for scatter in self.scatters:
                now = scatter.widget.selection
                if now is None or not np.array_equal(np.sort(now), rows):
                    scatter.widget.selection = rows
            self._draw_arrows()

    @traitlets.observe("is_morphed")
    def _morph_changed(self, _change: object) -> None:
        with self._guarded("moving the points", failed=lambda: show_as_out_of_date(self, True)):
            self._place()
            show_as_out_of_date(self, False)

    @traitlets.observe("has_arrows")
    def _arrows_changed(self, _change: object) -> None:
        with self._guarded("drawing arrows"):
            self._draw_arrows()

    def _say(self, problems: Sequence[str]) -> None:
        self._message.value = message_html(problems)

    def _draw_arrows(self) -> None:
        rows = self.selected[:MOST_ARROWS] if self.has_arrows else []
        plain, enhanced = unit_square(self._points.plain, self._points.enhanced)
        arrows: list[Any] = [arrow(plain[row], enhanced[row]) for row in rows]
        lines: list[Any] = [jscatter.Line(places, line_color=ORANGE, line_width=2) for places in arrows]
        self.scatters[0].annotations(lines)


def map_titles(names: tuple[str, str] = ("plain", "enhanced"), *, is_morphed: bool) -> tuple[str, str]:
    """What the two maps are called."""
    if names != ("plain", "enhanced"):
        first, second = map(named, names)
        return (f"{first}, moved to the places of {second}" if is_morphed else first), second
    words = "plain, moved to its enhanced places" if is_morphed else "plain CLS"
    return words, "enhanced CLS (with the add-on)"


def _data_uri(picture: bytes) -> str:
    if not picture:
        return ""
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
