"""The samples in the repository are what the command draws, and nobody in them was trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

import mswin_viz as mv
from mswin_viz.data.synthetic.identity import sample_identity
from mswin_viz.data.synthetic.write_samples import SHIPPED, write_samples
from mswin_viz.model.pretraining.make_embedded import ADDON_PEOPLE
from mswin_viz.model.pretraining.recipe import Recipe

ROOT = Path(__file__).resolve().parents[2] / "data_samples"


def test_the_shipped_samples_are_what_the_command_draws(tmp_path: Path) -> None:
    root = write_samples(tmp_path, **SHIPPED)
    shipped = ROOT / "RGBNT201"
    assert (root / "attributes.csv").read_bytes() == (shipped / "attributes.csv").read_bytes()
    names = sorted(path.relative_to(root) for path in root.rglob("*.jpg"))
    assert names == sorted(path.relative_to(shipped) for path in shipped.rglob("*.jpg"))
    for name in names[::12]:  # decoded, since other versions of the JPEG library may write other bytes
        drawn, stored = (np.asarray(Image.open(folder / name), int) for folder in (root, shipped))
        assert np.abs(drawn - stored).mean() < 1


def test_the_shipped_samples_are_small() -> None:
    assert sum(path.stat().st_size for path in ROOT.rglob("*") if path.is_file()) <= 6e6


def test_nobody_in_the_shipped_samples_was_trained_on() -> None:
    recipe = Recipe()
    trained = {replace(sample_identity(p, seed=recipe.seed), pid=0) for p in range(recipe.identities)}
    trained |= {replace(sample_identity(p, seed=recipe.seed + 1), pid=0) for p in range(ADDON_PEOPLE)}
    shown = {replace(sample_identity(s.pid, seed=SHIPPED["seed"]), pid=0) for s in mv.samples()}
    assert len(shown) == 24
    assert not shown & trained


def test_every_shipped_shot_has_three_modalities_and_a_caption() -> None:
    assert all(list(sample.images) == ["RGB", "NI", "TI"] and sample.caption for sample in mv.samples())
