"""The pictures of the documents show the colours that the views draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from mswin_viz.view.widgets.colours import SIGNED

DOCS = Path(__file__).resolve().parents[1] / "docs" / "figures"


@pytest.mark.parametrize("name", ["attributions", "explorer"])
def test_a_picture_with_a_colour_bar_has_every_colour_of_its_map(name: str) -> None:
    """A palette of few colours once turned dark blue into green."""
    with Image.open(DOCS / f"{name}.png") as picture:
        shown = np.array(picture.convert("RGB").getcolors(1 << 24), dtype=object)[:, 1]
    shown = np.array([list(colour) for colour in shown])
    wanted = 255 * colormaps[SIGNED](np.linspace(0, 1, 33))[:, :3]
    distance = np.abs(wanted[:, None] - shown).max(axis=2).min(axis=1)
    assert distance.max() < 24, wanted[distance.argmax()]


def test_a_picture_in_few_colours_has_the_rare_ones_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    from saved_picture import in_few_colours

    wanted = (255 * colormaps[SIGNED](np.linspace(0, 1, 256))[:, :3]).astype(np.uint8)
    grey = np.random.default_rng(1).integers(0, 256, (400, 400, 1), np.uint8).repeat(3, axis=2)
    grey[7, :256] = wanted  # a thin colour bar in a large photograph
    shown = np.asarray(in_few_colours(Image.fromarray(grey)).convert("RGB")).astype(int)
    assert np.abs(shown[7, :256] - wanted).max() < 24


@pytest.mark.parametrize("script", sorted(DOCS.glob("*.py")), ids=lambda path: path.stem)
def test_one_script_alone_writes_pictures_and_reduces_their_colours(script: Path) -> None:
    text = script.read_text("utf-8")
    assert ("quantize(" in text, "optimize=" in text) == ((script.stem == "saved_picture",) * 2)
