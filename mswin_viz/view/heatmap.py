"""The canvas widget: one number per window of patch tokens, painted over the picture.

The kernel sends numbers once; colour map, range, opacity, threshold, outlines and hover are drawn in the
browser (``heatmap.js``) and never wait for the kernel.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import numpy as np
import traitlets
from matplotlib import colormaps
from PIL import Image, UnidentifiedImageError

from mswin_viz.errors import ImageFileError, OptionError, ShapeError

if TYPE_CHECKING:
    from jaxtyping import Float32, Int32, UInt8

__all__ = ["CMAPS", "DisplayError", "HeatmapCanvas", "colour_tables", "picture_bytes"]

_FREE = (
    *("image", "title", "caption", "width", "cmap", "vmin", "vmax", "signed", "opacity", "threshold"),
    *("outline", "busy", "stale", "layout"),
)

CMAPS = ("viridis", "cividis", "magma", "RdBu_r")
"""Colour maps on offer, by matplotlib's names: the first for plain values, the last for signed ones."""


class DisplayError(OptionError, traitlets.TraitError):
    """A display trait of the canvas got a value it cannot show; the old one stays."""


def colour_tables() -> UInt8[np.ndarray, "maps 256 3"]:
    """Red, green and blue of every map in ``CMAPS``, as matplotlib has them.

    The browser gets these very bytes, so canvas and figures cannot differ.
    """
    places = np.arange(256)
    return np.stack([colormaps[name].resampled(256)(places, bytes=True)[:, :3] for name in CMAPS])


def picture_bytes(image: Image.Image | UInt8[np.ndarray, "height width 3"] | bytes | None) -> bytes:
    """PNG file of a picture; JPEG or PNG bytes pass unchanged, None gives no picture.

    Raises
    ------
    ImageFileError
        If bytes are given that are not a PNG or JPEG file.
    ShapeError
        If an array is given that is not uint8 of shape (height, width, 3).
    """
    if image is None or (isinstance(image, bytes) and not image):
        return b""
    if isinstance(image, bytes):
        return _checked_file(image)
    if not isinstance(image, Image.Image):
        pixels = np.asarray(image)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ShapeError(
                "a picture array must be uint8 of shape (height, width, 3): "
                f"got {pixels.dtype} of shape {pixels.shape}; convert it, or pass a PIL image"
            )
        image = Image.fromarray(pixels)
    file = io.BytesIO()
    image.convert("RGB").save(file, format="PNG", compress_level=1)
    return file.getvalue()


def _checked_file(data: bytes) -> bytes:
    try:
        with Image.open(io.BytesIO(data)) as image:
            kind = image.format
    except UnidentifiedImageError:
        kind = None
    if kind not in ("PNG", "JPEG"):
        raise ImageFileError(
            f"the canvas shows PNG and JPEG files: got {len(data)} bytes of {kind or 'something else'}; "
            "pass a PIL image instead"
        )
    return data


class HeatmapCanvas(anywidget.AnyWidget):
    """A heatmap over a picture, drawn in the browser. The traits are its whole state.

    The DOM root carries the class ``mswin-heatmap`` and holds one 2-D canvas.

    Parameters
    ----------
    grid
        Rows and columns of patch tokens.
    traits
        Starting values of any trait below; ``image`` may also be a PIL image or a uint8 array.

    Attributes
    ----------
    title, caption
        Text above and below the picture; together the accessible name.
    width
        Width of the picture in CSS pixels; patches are square, so the grid gives the height.
    cmap
        A name in ``CMAPS``, or "auto": the first of them, the last for signed values. A position in
        ``("auto", *CMAPS)`` is taken too, so that a Dropdown's ``index`` can be linked in the browser.
    vmin, vmax
        Ends of the colour scale; None takes those of the finite values.
    signed
        Values have a meaningful zero: the colour scale is symmetric about it.
    opacity
        Of the heat, 0 to 1.
    threshold
        Hide cells weaker than this fraction of the range: distance from zero if signed, else from the
        low end.
    outline
        Draw lines between cells of different windows.
    busy, stale
        Say that new values are being computed, or that those shown no longer fit the controls.
    values, windows, scale, dropped, grid_rows, grid_cols, image
        What is drawn, as bytes; set them together with :meth:`set_values`.
    """

    _esm = Path(__file__).parent / "heatmap.js"
    _css = Path(__file__).parent / "heatmap.css"

    image = traitlets.Bytes().tag(sync=True)
    values = traitlets.Bytes().tag(sync=True)
    windows = traitlets.Bytes().tag(sync=True)
    dropped = traitlets.Bytes().tag(sync=True)
    scale = traitlets.Int(1, min=1).tag(sync=True)
    grid_rows = traitlets.Int(1, min=1).tag(sync=True)
    grid_cols = traitlets.Int(1, min=1).tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    caption = traitlets.Unicode().tag(sync=True)
    width = traitlets.Int(168, min=24).tag(sync=True)
    cmap = traitlets.Union([traitlets.Unicode(), traitlets.Int()], default_value="auto").tag(sync=True)
    vmin = traitlets.Float(None, allow_none=True).tag(sync=True)
    vmax = traitlets.Float(None, allow_none=True).tag(sync=True)
    signed = traitlets.Bool(False).tag(sync=True)
    opacity = traitlets.Float(0.55).tag(sync=True)
    threshold = traitlets.Float(0.0).tag(sync=True)
    outline = traitlets.Bool(True).tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)
    stale = traitlets.Bool(False).tag(sync=True)
    cmaps = traitlets.List(traitlets.Unicode(), CMAPS, read_only=True).tag(sync=True)
    lut = traitlets.Bytes(colour_tables().tobytes(), read_only=True).tag(sync=True)

    def __init__(self, grid: tuple[int, int] = (16, 8), **traits: Any) -> None:
        rows, cols = _checked_grid(grid)
        traits["image"] = picture_bytes(traits.get("image"))
        super().__init__(grid_rows=rows, grid_cols=cols, **_known(traits))

    def set_values(
        self,
        values: Sequence[float] | Float32[np.ndarray, " window"],
        tokens: Sequence[Sequence[int]] | Int32[np.ndarray, "window scale"],
        dropped: Sequence[int] | Int32[np.ndarray, " token"] = (),
        *,
        grid: tuple[int, int] | None = None,
        **traits: Any,
    ) -> None:
        """Show new values, windows and, with them, any other traits: one message to the browser.

        Everything is checked first; where something does not fit, nothing changes.

        Parameters
        ----------
        values
            One number per window. NaN and infinite ones are hatched and have no say in the colour scale.
        tokens
            Token indices of each window, row-major on the grid. Windows may overlap: a token then shows
            the mean of its windows' finite values.
        dropped
            Tokens in no window; hatched.
        grid
            Rows and columns; those in use if None.
        traits
            Further traits to change in the same message (``image``, ``signed``, ``title``, ``caption``, ...).

        Raises
        ------
        ShapeError
            If values, windows, dropped tokens and grid do not fit each other.
        OptionError
            If a further trait does not exist, or (DisplayError) cannot show its value; wrong types are
            traitlets' own TraitError.
        ImageFileError
            If image bytes are not a PNG or JPEG file.
        """
        rows, cols = _checked_grid(grid or (self.grid_rows, self.grid_cols))
        numbers, windows = _checked_windows(values, tokens, rows * cols)
        tail = _checked_dropped(dropped, windows, rows * cols)
        if "image" in traits:
            traits["image"] = picture_bytes(traits["image"])
        state = {
            **_known(traits),
            **{"values": numbers.tobytes(), "windows": windows.tobytes(), "dropped": tail.tobytes()},
            **{"scale": windows.shape[1], "grid_rows": rows, "grid_cols": cols},
        }
        with self.hold_sync(), self.hold_trait_notifications():
            for name, value in state.items():
                self.set_trait(name, value)

    @traitlets.validate("cmap")
    def _checked_cmap(self, proposal: Any) -> str:
        cmap, names = proposal["value"], ("auto", *CMAPS)
        if isinstance(cmap, int) and 0 <= cmap < len(names):
            return names[cmap]
        if cmap not in names:
            raise DisplayError(f"cmap must be one of {', '.join(names)}: got {cmap!r}; choose one of these")
        return cmap

    @traitlets.validate("opacity", "threshold")
    def _checked_fraction(self, proposal: Any) -> float:
        name, value = proposal["trait"].name, proposal["value"]
        if not 0 <= value <= 1:
            raise DisplayError(f"{name} must lie in 0..1: got {value}; give a fraction, not a percentage")
        return value

    @traitlets.validate("vmin", "vmax")
    def _checked_bound(self, proposal: Any) -> float | None:
        name, value = proposal["trait"].name, proposal["value"]
        if value is not None and not math.isfinite(value):
            raise DisplayError(f"{name} must be finite: got {value}; use None for the values' own end")
        return value


def _known(traits: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(traits) - set(_FREE))
    if unknown:
        raise OptionError(f"no trait {', '.join(unknown)} to set here: choose from {', '.join(_FREE)}")
    return traits


def _checked_grid(grid: tuple[int, int]) -> tuple[int, int]:
    rows, cols = grid
    if rows < 1 or cols < 1:
        raise ShapeError(f"a grid needs at least one row and one column: got {rows} rows and {cols} columns")
    return int(rows), int(cols)


def _checked_windows(
    values: Any, tokens: Any, n_tokens: int
) -> tuple[Float32[np.ndarray, " window"], Int32[np.ndarray, "window scale"]]:
    numbers, windows = np.asarray(values, dtype=np.float32), _integers(tokens, "windows")
    if windows.ndim != 2 or windows.size == 0:
        raise ShapeError(
            f"windows must be token indices [window scale], not empty: got shape {windows.shape}"
        )
    if numbers.shape != (len(windows),):
        got = f"values of shape {numbers.shape} for {len(windows)} windows"
        raise ShapeError(f"need one value per window: got {got}")
    _check_inside(windows, "windows", n_tokens)
    return numbers, windows


def _checked_dropped(
    dropped: Any, windows: Int32[np.ndarray, "window scale"], n_tokens: int
) -> Int32[np.ndarray, " token"]:
    tail = _integers(dropped, "dropped")
    if tail.ndim != 1:
        raise ShapeError(f"dropped must be a list of token indices: got shape {tail.shape}")
    _check_inside(tail, "dropped", n_tokens)
    both = np.intersect1d(tail, windows)
    if both.size:
        raise ShapeError(f"a dropped token lies in no window: got tokens {both.tolist()} in both")
    return tail


def _integers(indices: Any, name: str) -> Int32[np.ndarray, " ..."]:
    array = np.asarray(indices)
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise ShapeError(f"{name} must hold whole token indices: got {array.dtype}")
    return array.astype(np.int32)


def _check_inside(indices: Int32[np.ndarray, " ..."], name: str, n_tokens: int) -> None:
    if indices.size and (indices.min() < 0 or indices.max() >= n_tokens):
        got = f"{indices.min()} to {indices.max()}"
        raise ShapeError(f"{name} must hold tokens 0 to {n_tokens - 1} of this grid: got {got}")
