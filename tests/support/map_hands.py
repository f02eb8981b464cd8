"""What a person does on the plain map of an embedding explorer in the browser, and sees there.

``root`` is the CSS selector of the explorer.
"""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image
from playwright.sync_api import Locator

from support.lab import Lab

_PLACES = """(map) => {
  const { api } = [...map.querySelectorAll('div')].find((d) => d.api);
  return [...Array(api.get('points').length).keys()].map((row) => api.getScreenPosition(row));
}"""
_EDGE = 4  # CSS pixels along the edges that are left alone


def canvas(lab: Lab, root: str) -> Locator:
    """The plain map, brought into sight."""
    found = lab.page.locator(f"{root} .mswin-map-plain canvas").first
    found.evaluate("(e) => e.scrollIntoView({block: 'center'})")
    return found


def places(lab: Lab, root: str) -> np.ndarray:
    """Where each row stands, ``row xy`` in CSS pixels from the left upper corner of the map; some may stand beyond its edges."""
    canvas(lab, root).wait_for()
    return np.array(lab.page.locator(f"{root} .mswin-map-plain").evaluate(_PLACES))


def in_sight(lab: Lab, root: str) -> np.ndarray:
    """Whether each row stands on the map, not at or beyond its edges."""
    where, box = places(lab, root), _box(lab, root)
    return ((where > _EDGE) & (where < box[2:] - _EDGE)).all(axis=1)


def lasso_around_some(lab: Lab, root: str, n_rows: int) -> list[int]:
    """Draw a square around so many points that stand together, and far from the others; their rows."""
    where, box = places(lab, root), _box(lab, root)
    distance = np.abs(where[:, None] - where[None]).max(axis=2)
    last, first_outside = np.sort(distance, axis=1)[:, n_rows - 1 : n_rows + 1].T
    half = (last + first_outside) / 2
    ends = np.stack([where - half[:, None], where + half[:, None]])
    fits = ((ends > _EDGE) & (ends < box[2:] - _EDGE)).all(axis=(0, 2))
    at = int(np.where(fits, first_outside - last, -1).argmax())
    assert fits[at], "no such points stand together in sight"
    _lasso(lab, root, where[at] + half[at] * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]))
    return np.flatnonzero(distance[at] < half[at]).tolist()


def drawn(lab: Lab, root: str, rows: np.ndarray) -> list[bool]:
    """Whether there is colour where each of these rows stands."""
    where = places(lab, root)[rows]
    lab.page.mouse.move(2, 2)
    lab.wait_idle(quiet=0.6)
    pixels = np.asarray(Image.open(BytesIO(canvas(lab, root).screenshot())).convert("RGB"), int)
    around = [pixels[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3] for x, y in where]
    return [bool(np.ptp(patch, axis=2).max() > 40) for patch in around]


def _box(lab: Lab, root: str) -> np.ndarray:
    """Left, top, width and height of the map on the screen."""
    found = canvas(lab, root).bounding_box()
    assert found is not None
    return np.array([found[name] for name in ("x", "y", "width", "height")])


def _lasso(lab: Lab, root: str, corners: np.ndarray) -> None:
    buttons, mouse = lab.page.locator(f"{root} .mswin-map-plain button"), lab.page.mouse
    buttons.nth(1).click()  # the lasso; the first one pans
    first, *rest = (corners + _box(lab, root)[:2]).tolist()
    mouse.move(*first)
    mouse.down()
    for corner in [*rest, first]:
        mouse.move(*corner, steps=8)
        lab.page.wait_for_timeout(60)
    mouse.up()
    lab.wait_idle(quiet=0.8)
    buttons.nth(0).click()
