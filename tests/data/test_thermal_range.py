"""One range for the thermal images of a data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mswin_viz as mv
from mswin_viz.errors import DataError, OptionError


def stored(folder: Path, arrays: list[np.ndarray], ending: str = "png") -> list[mv.Sample]:
    found = []
    for at, values in enumerate(arrays):
        Image.fromarray(values).save(folder / f"{at}.{ending}")
        found.append(mv.Sample(at, 1, {"TI": folder / f"{at}.{ending}"}))
    return found


def counts(low: int, high: int) -> np.ndarray:
    return np.linspace(low, high, 40 * 24).reshape(40, 24).round().astype(np.uint16)


def test_the_range_is_the_1st_and_99th_percentile_of_all_images_together(tmp_path):
    arrays = [counts(29_315, 30_000), counts(29_900, 30_815)]
    expected = tuple(np.percentile(np.stack(arrays), (1, 99)))
    assert mv.thermal_range(stored(tmp_path, arrays)) == pytest.approx(expected, abs=1)


def test_a_large_image_has_no_more_say_than_a_small_one(tmp_path):
    large = np.full((400, 240), 30_000, np.uint16)
    low, high = mv.thermal_range(stored(tmp_path, [large, np.full((64, 64), 7000, np.uint16)]))
    assert (low, high) == (7000, 30_000)


def test_float_images_have_a_range_in_their_own_unit(tmp_path):
    kelvin = np.linspace(293.15, 308.15, 960, dtype=np.float32).reshape(40, 24)
    assert mv.thermal_range(stored(tmp_path, [kelvin], "tiff")) == pytest.approx((293.3, 308.0), abs=0.01)


def test_images_of_8_bits_are_left_aside(tmp_path):
    samples = stored(tmp_path, [np.zeros((40, 24), np.uint8), counts(7000, 8500)])
    low, high = mv.thermal_range(samples)
    assert 7000 < low < high < 8500
    with pytest.raises(DataError, match="got none among 1 TI image;"):
        mv.thermal_range(samples[:1])


def test_broken_files_are_counted_in_one_warning(tmp_path):
    samples = stored(tmp_path, [counts(7000, 8500)] * 3)
    for sample in samples[:2]:
        sample.images["TI"].write_bytes(b"no picture")
    with pytest.warns(
        UserWarning, match=r"2 of 3 TI images were left out, the first because .*0\.png"
    ) as said:
        mv.thermal_range(samples)
    assert len(said) == 1


def test_a_range_that_cannot_be_is_refused(tmp_path):
    with pytest.raises(DataError, match="both 7000; give thermal_range"):
        mv.thermal_range(stored(tmp_path, [np.full((40, 24), 7000, np.uint16)]))
    with pytest.raises(OptionError, match="modality must be one of"):
        mv.thermal_range([], modality="TIR")
    with pytest.raises(DataError, match="none among 0"):
        mv.thermal_range([])


def test_an_image_with_nan_is_left_out_by_name(tmp_path):
    samples = stored(tmp_path, [np.linspace(290, 310, 12, dtype=np.float32).reshape(4, 3)] * 2, "tif")
    broken = np.full((4, 3), np.nan, np.float32)
    path = tmp_path / "broken.tif"
    Image.fromarray(broken).save(path)
    with pytest.warns(UserWarning, match=r"1 of 3 TI images was left out.*broken\.tif holds NaN or infinity"):
        low, high = mv.thermal_range([*samples, mv.Sample(-1, -1, {"TI": path})])
    assert 290 <= low < high <= 310


@pytest.mark.parametrize("given", ["folder", [Path("a.tif")]])
def test_something_else_than_samples_is_refused(given):
    with pytest.raises(
        OptionError, match=r"a range is computed from samples: .* pass what mv\.samples\(FOLDER\)"
    ):
        mv.thermal_range(given)
