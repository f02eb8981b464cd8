"""What a notebook keeps of a view: a line of text, and a picture to show where no kernel runs (GitHub, nbconvert)."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from mswin_viz.data.shown_text import shown_text
from mswin_viz.errors import MswinVizError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.view.parts.figure_file import figure_picture
from mswin_viz.view.widgets.lifetime import ClosedWhole
from mswin_viz.view.widgets.markup import Markup, fragment, tag

MOST_BYTES = 220_000
"""Of a stored picture's file; as text in a notebook it takes a third more."""
MOST_OF_A_NAME = 60
"""Characters of a file name in a line."""
_MOST_PIXELS = 1600  # of a stored picture's longer side
_SMALLER = 0.8
_LIVE = "The live view needs a running kernel: run this cell again."


def one_line(
    view: object, shows: str, *models: Model, names: Sequence[str] = (), is_closed: bool = False
) -> str:
    """The text form of a view: its class, what it shows, and with which weights; the same wherever it is run.

    ``names`` has one for each model, or none where there is one model or no model.
    """
    weights = "".join(
        f"; {name and f'{name}: '}{model.tower.weights}; add-on: {model.addon_origin}"
        for name, model in zip(names or [""] * len(models), models, strict=True)
    )
    words = "closed" if is_closed else f"{shows}{weights}"
    return f"{type(view).__name__}({shown_text(words)})"


class StoredView(ClosedWhole):
    """A widget that says of itself what a stored notebook keeps: a line (``text/plain``), a picture, and both (``text/html``).

    Where the widget can be shown, Jupyter prefers it; pages prefer ``text/html``, and PDF ``image/png``. A view that
    cannot be drawn now (a file is broken, nothing is computed yet) is described by the line alone, its ``repr``.
    """

    def _picture(self) -> Figure | Image.Image | None:
        """A figure or picture of the present view, or None where there is nothing to see."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any] | None:
        bundle: Any = super()._repr_mimebundle_(**options)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data is None:
            return None
        line, picture = repr(self), _drawn(self._picture)
        shown = {**data, "text/plain": line, "text/html": str(_html(line, picture))}
        if isinstance(picture, str) or not picture:
            return shown
        return {**shown, "image/png": base64.b64encode(picture).decode("ascii")}


def small_png(picture: Image.Image) -> bytes:
    """A PNG file of at most ``MOST_BYTES``: 256 colours, quickly chosen, and smaller than it was if need be."""
    picture = picture.convert("RGB")
    picture.thumbnail((_MOST_PIXELS, _MOST_PIXELS))
    while True:
        file = io.BytesIO()
        picture.quantize(256, method=Image.Quantize.FASTOCTREE).save(file, format="PNG", optimize=True)
        if file.tell() <= MOST_BYTES or min(picture.size) < 2:
            return file.getvalue()
        picture = picture.resize([max(1, int(_SMALLER * side)) for side in picture.size])


def _drawn(draw: Callable[[], Figure | Image.Image | None]) -> bytes | str:
    """A PNG file, or why it could not be drawn."""
    try:
        drawn = draw()
        if isinstance(drawn, Figure):
            drawn = figure_picture(drawn)
        return b"" if drawn is None else small_png(drawn)
    except MswinVizError as problem:
        return str(problem)


def _html(line: str, picture: bytes | str) -> Markup:
    words = fragment(tag("code", line, style={"overflow-wrap": "anywhere"}), tag("br"), _LIVE)
    if isinstance(picture, str):
        return tag("div", words, tag("br"), f"No picture: {picture}")
    if not picture:
        return tag("div", words)
    data = f"data:image/png;base64,{base64.b64encode(picture).decode('ascii')}"
    return tag("div", tag("img", alt=line, style={"max-width": "100%"}, src=data), tag("div", words))
