"""Every file is opened, and what is broken or there twice is reported."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mswin_viz as mv
from mswin_viz.data.sets.report import as_text
from mswin_viz.data.synthetic.write_samples import write_samples


@pytest.fixture
def people(tmp_path: Path) -> Path:
    return write_samples(tmp_path, identities=2, cameras=2, shots=1, seed=5)


def noise(path: Path, size: tuple[int, int], seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    pixels = np.random.default_rng(seed).integers(0, 256, size=(height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def test_a_sound_set_is_opened_whole(people: Path) -> None:
    report = mv.verify(mv.scan(people), progress=False)
    assert report.sound
    assert (report.opened, len(report.samples)) == (12, 4)
    assert "no problem found; 12 image files were opened" in str(report)


def test_a_truncated_file_is_taken_out_of_its_sample_and_reported(people: Path) -> None:
    broken = people / "test" / "NI" / "000001_cam2_0_00.jpg"
    broken.write_bytes(broken.read_bytes()[:600])
    report = mv.verify(mv.scan(people), progress=False)
    assert [(p.kind, p.path) for p in report.problems] == [("corrupt image", broken)]
    assert [set(s.images) for s in report.samples[:2]] == [{"RGB", "NI", "TI"}, {"RGB", "TI"}]
    assert "test/NI/000001_cam2_0_00.jpg" in str(report)


def test_the_same_content_under_another_name_is_a_duplicate(people: Path) -> None:
    for modality in ("RGB", "NI", "TI"):
        folder = people / "test" / modality
        shutil.copy(folder / "000001_cam1_0_00.jpg", folder / "000009_cam1_0_00.jpg")
    report = mv.verify(mv.scan(people), progress=False)
    assert report.counts == {"duplicate": 3}
    assert all("same content as" in p.detail and "000001_cam1" in p.detail for p in report.problems)
    assert len(report.samples) == 5


def test_a_training_image_in_the_test_split_is_called_shared(people: Path) -> None:
    for modality in ("RGB", "NI", "TI"):
        shutil.copytree(people / "test" / modality, people / "train_171" / modality)
    report = mv.verify(mv.scan(people), progress=False)
    assert report.counts == {"duplicate": 12}
    assert all("training and test share it" in problem.detail for problem in report.problems)


def test_a_query_that_is_also_in_the_gallery_is_no_duplicate(tmp_path: Path) -> None:
    first = noise(tmp_path / "query" / "0001_c1_000.png", (768, 128), 1)
    shutil.copytree(first.parent, tmp_path / "bounding_box_test")
    noise(tmp_path / "bounding_box_test" / "0001_c2_000.png", (768, 128), 2)
    report = mv.verify(mv.scan(tmp_path), progress=False)
    assert (report.layout, report.counts, report.opened) == ("rgbnt100", {}, 3)


def test_a_strip_of_another_size_is_reported_once_not_cut_wrongly(tmp_path: Path) -> None:
    noise(tmp_path / "query" / "0001_c1_000.png", (768, 128), 1)
    small = noise(tmp_path / "query" / "0001_c2_000.png", (384, 128), 2)
    report = mv.verify(mv.scan(tmp_path), progress=False)
    assert [(p.kind, p.path) for p in report.problems] == [("corrupt image", small)]
    assert "384 wide" in report.problems[0].detail
    assert len(report.samples) == 1


def test_many_problems_are_counted_and_only_the_first_listed(people: Path) -> None:
    for number in range(15):
        noise(people / "test" / "RGB" / f"holiday_{number:02d}.png", (4, 8), number)
    said = str(mv.scan(people))
    assert "holiday_09.png" in said
    assert "holiday_10.png" not in said
    assert "... and 5 more" in said


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_heading_and_no_number_is_cut_on_a_narrow_terminal(people: Path, width: int) -> None:
    said = as_text(mv.verify(mv.scan(people), progress=False), width=width)
    assert "\u2026" not in said
    for heading in ("identities", "samples", "with all 3", "unknown identity", "cameras", "scenes"):
        assert heading in said


def test_locks_and_unfinished_files_of_ours_are_not_counted(people: Path) -> None:
    before = mv.scan(people).left_out
    for name in (".RGBNT201.lock", ".a.jpg.0a1b2c3d.unfinished"):
        (people / name).touch()
    assert mv.scan(people).left_out == before
    (people / ".hidden.jpg").touch()
    assert mv.scan(people).left_out != before
