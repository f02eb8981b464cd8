"""Which samples are drawings of this package: their set's table says so, and nothing else does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

import mswin_viz as mv
from mswin_viz.data.synthetic.drawn_people import is_drawn


def test_shipped_samples_are_drawings() -> None:
    assert all(is_drawn(sample) for sample in mv.samples())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    mv.write_samples(tmp_path, identities=2, cameras=1, shots=1, seed=3)
    return tmp_path


def test_a_set_that_was_drawn_elsewhere_is_known_by_its_table(folder: Path) -> None:
    assert all(is_drawn(sample) for sample in mv.samples(folder))
    (folder / "RGBNT201" / "attributes.csv").unlink()
    assert not any(is_drawn(sample) for sample in mv.samples(folder))


@pytest.mark.parametrize(
    "table",
    ["pid,caption\n000001,a person\n", "", "pid\n\xff\n", "pid,upper_colour,caption\nx,red,a person\n"],
)
def test_a_table_of_captions_makes_no_drawing(folder: Path, table: str) -> None:
    found = mv.samples(folder)
    (folder / "RGBNT201" / "attributes.csv").write_text(table, encoding="latin-1")
    assert not any(is_drawn(sample) for sample in found)


def test_a_person_that_the_table_does_not_have_is_no_drawing(folder: Path) -> None:
    root = folder / "RGBNT201"
    for plane in ("RGB", "NI", "TI"):
        first = min((root / "test" / plane).iterdir())
        shutil.copy(first, first.with_name(first.name.replace(first.name[:6], "000900")))
    drawn = {sample.pid: is_drawn(sample) for sample in mv.samples(folder)}
    assert drawn.pop(900) is False
    assert all(drawn.values())


def test_a_picture_of_a_plain_folder_is_no_drawing(tmp_path: Path) -> None:
    Image.new("RGB", (32, 64)).save(tmp_path / "one.png")
    assert not is_drawn(mv.samples(tmp_path)[0])
    assert not is_drawn(mv.Sample(0, 0, {"RGB": tmp_path / "gone.png"}))
