"""The pictures of the documents show the colours that the views draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from mswin_viz.view.widgets.colours import SIGNED

DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.mark.parametrize("name", ["attributions", "explorer"])
def test_a_picture_with_a_colour_bar_has_every_colour_of_its_map(name: str) -> None:
    """A palette of few colours once turned dark blue into green."""
    with Image.open(DOCS / f"{name}.png") as picture:
        shown = np.array(picture.convert("RGB").getcolors(1 << 24), dtype=object)[:, 1]
    shown = np.array([list(colour) for colour in shown])
    wanted = 255 * colormaps[SIGNED](np.linspace(0, 1, 33))[:, :3]
    distance = np.abs(wanted[:, None] - shown).max(axis=2).min(axis=1)
    assert distance.max() < 24, wanted[distance.argmax()]


@pytest.mark.parametrize("script", sorted(DOCS.glob("*.py")), ids=lambda path: path.stem)
def test_a_script_that_reduces_colours_covers_them_all(script: Path) -> None:
    for line in script.read_text("utf-8").splitlines():
        if "quantize(" in line:
            assert "MAXCOVERAGE" in line
