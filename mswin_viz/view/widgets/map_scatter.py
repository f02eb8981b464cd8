"""One map as a jupyter-scatter widget. Every colouring is by category, so that there may be more than 256 colours."""

from __future__ import annotations

from typing import Any

import jscatter
import numpy as np
import pandas as pd
from jscatter.widget import JupyterScatter

from mswin_viz.view.widgets.map_colours import Colouring
from mswin_viz.view.widgets.map_places import MapPoints

ORANGE = "#ff8c00"
"""What is selected."""
LIGHT = "#ffffff"
"""The background until the page says that it is dark."""
_PICTURE, _COLOUR = "picture", "colour"
_MORPH_MS = 1500  # in which the plain map becomes the enhanced one
_DISTANCE = 1.15  # of the first view: the toolbar makes a map narrower than it is high
_TOOLBAR: list[Any] = ["pan_zoom", "lasso", "lasso_type", "full_screen", "download", "reset"]


def map_scatter(points: MapPoints, colouring: Colouring, height: int) -> jscatter.Scatter:
    """One map, ``height`` CSS pixels high, with the points at their plain places."""
    scatter = jscatter.Scatter(
        x=points.plain[:, 0], y=points.plain[:, 1], x_scale=(-1, 1), y_scale=(-1, 1), data=_frame(points, colouring),
        axes=False, height=height, size=_size(len(points)), opacity=0.85, opacity_unselected=0.45,
        color_selected=ORANGE, background_color=LIGHT, camera_distance=_DISTANCE, lasso_initiator=True,
        zoom_on_selection=False, transition_points_duration=_MORPH_MS, tooltip=True,
        tooltip_properties=list(points.words), tooltip_histograms=False, tooltip_preview=_PICTURE,
        tooltip_preview_type="image", tooltip_preview_image_size="contain", tooltip_preview_image_position="center",
        tooltip_preview_image_height=110,
    )  # fmt: skip
    colour_points(scatter, colouring)
    scatter.show(buttons=_TOOLBAR)
    return scatter


def colour_points(scatter: jscatter.Scatter, colouring: Colouring) -> None:
    """Give every point its colour."""
    categories, colours = _used(colouring)
    scatter.color(by=pd.Series(categories), map=colours)  # pyright: ignore[reportArgumentType]  # it takes a Series of categories


def forget_scatters() -> None:
    """Stop jupyter-scatter from watching its script for these widgets: its list would keep each of them forever."""
    for name in ("_esm", "_css"):
        changed = getattr(getattr(JupyterScatter, name, None), "changed", None)
        if changed is not None:
            changed.disconnect()


def _frame(points: MapPoints, colouring: Colouring) -> pd.DataFrame:
    """A column of colours, and one of each word: jupyter-scatter needs columns for what a tooltip names."""
    frame = pd.DataFrame({name: [str(word) for word in words] for name, words in points.words.items()})
    frame[_PICTURE], frame[_COLOUR] = "", _used(colouring)[0]
    return frame


def _used(colouring: Colouring) -> tuple[pd.Categorical, list[str]]:
    """Categories and colours that occur: jupyter-scatter numbers those only, and takes the colours in that order."""
    used, codes = np.unique(colouring.codes, return_inverse=True)
    categories = pd.Categorical.from_codes(codes, [str(code) for code in used])
    return categories, [colouring.colours[code] for code in used]


def _size(n_points: int) -> float:
    """Diameter of a point in CSS pixels."""
    return float(np.clip(150 / np.sqrt(n_points), 3, 9))
