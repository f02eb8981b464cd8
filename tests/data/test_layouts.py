"""Folders on disk -> samples."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import mswin_viz as mv
from mswin_viz.errors import DataError, OptionError


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 8)).save(path)
    return path


@pytest.fixture
def rgbnt201(tmp_path: Path) -> Path:
    for modality in ("RGB", "NI", "TI"):
        write(tmp_path / "RGBNT201" / "test" / modality / "000258_cam3_0_01.jpg")
    write(tmp_path / "RGBNT201" / "test" / "RGB" / "000301_cam1_0_00.jpg")
    return tmp_path / "RGBNT201"


def test_the_shipped_samples_have_three_modalities_and_captions() -> None:
    found = mv.samples()
    assert len(found) == 96
    assert all(set(sample.images) == {"RGB", "NI", "TI"} and sample.caption for sample in found)


@pytest.mark.parametrize("inside", ["", "..", "test"])
def test_rgbnt201_is_recognised_from_any_level(rgbnt201: Path, inside: str) -> None:
    first = mv.samples(rgbnt201 / inside)[0]
    assert (first.pid, first.camid, set(first.images)) == (258, 3, {"RGB", "NI", "TI"})


def test_a_missing_modality_file_is_left_out_of_the_sample(rgbnt201: Path) -> None:
    assert set(mv.samples(rgbnt201)[1].images) == {"RGB"}


def test_a_plain_folder_gives_images_of_no_known_identity(tmp_path: Path) -> None:
    write(tmp_path / "b.png")
    write(tmp_path / "deeper" / "a.JPG")
    assert [(s.pid, s.camid, s.name) for s in mv.samples(tmp_path)] == [(-1, -1, "b"), (-1, -1, "a")]


def test_one_file_is_one_sample(tmp_path: Path) -> None:
    assert [s.name for s in mv.samples(write(tmp_path / "me.png"))] == ["me"]


@pytest.mark.parametrize("root", [".", "missing"])
def test_a_folder_without_images_is_refused(tmp_path: Path, root: str) -> None:
    with pytest.raises(DataError, match="check the path"):
        mv.samples(tmp_path / root)


def test_a_layout_that_is_not_there_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    with pytest.raises(DataError, match="rgbnt201"):
        mv.samples(tmp_path, "rgbnt201")
    with pytest.raises(OptionError, match="market"):
        mv.samples(tmp_path, "market")
