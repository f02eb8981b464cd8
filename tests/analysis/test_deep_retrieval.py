"""Thermal pictures stored as 16-bit counts find the same people as their 8-bit originals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mswin_viz as mv


@pytest.fixture(scope="module")
def samples() -> tuple[mv.Sample, ...]:
    return mv.samples()[:48]


def stored_as_counts(
    samples: Sequence[mv.Sample], folder: Path, band: tuple[int, int], ending: str
) -> list[mv.Sample]:
    """The samples' TI pictures, stored as a radiometric camera does."""
    low, high = band
    found = []
    for at, sample in enumerate(samples):
        with Image.open(sample.images["TI"]) as image:
            grey = np.asarray(image.convert("L"), np.float64)
        path = folder / f"{at}.{ending}"
        Image.fromarray(np.round(low + grey * ((high - low) / 255)).astype(np.uint16)).save(path)
        found.append(mv.Sample(sample.pid, sample.camid, {"TI": path}))
    return found


def thermal_map(model: mv.Model, samples: Sequence[mv.Sample]) -> float:
    table = mv.embed(model, samples, modalities=("TI",), progress=False)
    return mv.retrieval(table.enhanced, table.pid, table.camid).mAP


@pytest.fixture(scope="module")
def of_8_bits(samples) -> float:
    return thermal_map(mv.load_model(device="cpu"), samples)


@pytest.mark.parametrize(
    ("band", "ending"), [((7000, 8500), "png"), ((21000, 23500), "tiff"), ((29315, 30815), "png")]
)
def test_counts_of_any_band_retrieve_like_their_8_bit_originals(samples, of_8_bits, tmp_path, band, ending):
    stored = stored_as_counts(samples, tmp_path, band, ending)
    assert of_8_bits > 0.9
    exact = mv.load_model(device="cpu", thermal_range=band)
    assert thermal_map(exact, stored) == pytest.approx(of_8_bits, abs=1e-6)
    found = mv.load_model(device="cpu", thermal_range=mv.thermal_range(stored))
    assert thermal_map(found, stored) == pytest.approx(of_8_bits, abs=0.03)


@pytest.mark.parametrize("band", [(7000, 8500), (29315, 30815)])
def test_stretched_one_by_one_they_retrieve_far_better_than_divided_by_257(samples, tmp_path, band):
    stored, model = stored_as_counts(samples, tmp_path, band, "png"), mv.load_model(device="cpu")
    with pytest.warns(UserWarning, match="48 of 48 keep fewer than 32 grey levels"):
        divided = thermal_map(mv.load_model(device="cpu", thermal_range=(0, 65535)), stored)
    with pytest.warns(UserWarning, match="48 images of more than 8 bits are stretched one by one"):
        stretched = thermal_map(model, stored)
    assert stretched > divided + 0.1
