"""Folders on disk -> samples."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from support.published_sets import SETS as PUBLISHED

import mswin_viz as mv
from mswin_viz.data.images.image_source import open_image
from mswin_viz.data.sets.known_sets import SETS
from mswin_viz.errors import DataError, OptionError

COLOURS = {"RGB": (255, 0, 0), "NI": (0, 255, 0), "TI": (0, 0, 255)}


def write(path: Path, size: tuple[int, int] = (4, 8), colour: tuple[int, int, int] = (0, 0, 0)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def write_strip(path: Path) -> Path:
    strip = Image.new("RGB", (768, 128))
    for at, colour in enumerate(COLOURS.values()):
        strip.paste(colour, (256 * at, 0, 256 * (at + 1), 128))
    path.parent.mkdir(parents=True, exist_ok=True)
    strip.save(path, quality=95)
    return path


@pytest.fixture
def rgbnt201(tmp_path: Path) -> Path:
    for modality in ("RGB", "NI", "TI"):
        write(tmp_path / "RGBNT201" / "test" / modality / "000258_cam3_0_01.jpg")
        write(tmp_path / "RGBNT201" / "test" / modality / "000301_cam1_0_00.jpg")
        write(tmp_path / "RGBNT201" / "train_171" / modality / "000004_cam2_0_00.jpg")
    return tmp_path / "RGBNT201"


@pytest.fixture
def rgbnt100_root(tmp_path: Path) -> Path:
    root = tmp_path / "RGBNT100" / "rgbir"
    write_strip(root / "bounding_box_train" / "0001_c3_0001.jpg")
    write_strip(root / "query" / "0007_c8_0100.jpg")
    write_strip(root / "bounding_box_test" / "0007_c2_0101.jpg")
    return tmp_path / "RGBNT100"


@pytest.fixture
def msvr310_root(tmp_path: Path) -> Path:
    root = tmp_path / "msvr310"
    shots = {
        "bounding_box_train": ["0002_s011_v3_000.jpg"],
        "query3": ["0040_s004_v1_007.jpg"],
        "bounding_box_test": ["0040_s004_v1_007.jpg", "0040_s012_v6_001.jpg"],
    }
    for split, names in shots.items():
        for name in names:
            for folder in ("vis", "ni", "th"):
                write(root / split / name[:4] / folder / name)
    return root


def test_the_shipped_samples_have_three_modalities_and_captions() -> None:
    found = mv.samples()
    assert len(found) == 96
    assert all(set(sample.images) == {"RGB", "NI", "TI"} and sample.caption for sample in found)
    assert {sample.split for sample in found} == {"test"}


@pytest.mark.parametrize("inside", ["", "..", "test"])
def test_rgbnt201_is_recognised_from_any_level(rgbnt201: Path, inside: str) -> None:
    first = mv.samples(rgbnt201 / inside)[0]
    assert (first.pid, first.camid, set(first.images)) == (258, 3, {"RGB", "NI", "TI"})


def test_rgbnt201_has_a_training_and_a_test_split(rgbnt201: Path) -> None:
    assert [(s.pid, s.split) for s in mv.samples(rgbnt201)] == [(258, "test"), (301, "test"), (4, "train")]
    assert [s.pid for s in mv.samples(rgbnt201, split="train")] == [4]


def test_a_missing_modality_file_is_left_out_of_the_sample_and_said(rgbnt201: Path) -> None:
    (rgbnt201 / "test" / "TI" / "000301_cam1_0_00.jpg").unlink()
    with pytest.warns(UserWarning, match=r"1 x missing modality.*mswin-viz doctor"):
        found = mv.samples(rgbnt201)
    assert set(found[1].images) == {"RGB", "NI"}
    (problem,) = mv.scan(rgbnt201).problems
    assert problem.path == rgbnt201 / "test" / "TI" / "000301_cam1_0_00.jpg"


def test_a_shot_without_its_rgb_file_is_not_lost(rgbnt201: Path) -> None:
    (rgbnt201 / "test" / "RGB" / "000258_cam3_0_01.jpg").unlink()
    report = mv.scan(rgbnt201)
    assert (report.samples[0].pid, set(report.samples[0].images)) == (258, {"NI", "TI"})
    assert report.counts == {"missing modality": 1}


def test_names_that_do_not_parse_are_left_out_and_reported_with_their_paths(rgbnt201: Path) -> None:
    odd = write(rgbnt201 / "test" / "NI" / "holiday.jpg")
    report = mv.scan(rgbnt201)
    assert len(report.samples) == 3
    assert [(p.kind, p.path) for p in report.problems] == [("name does not parse", odd)]


def test_a_strip_is_three_pictures_of_one_vehicle(rgbnt100_root: Path) -> None:
    found = mv.samples(rgbnt100_root)
    assert {(s.pid, s.camid, s.split) for s in found} == {(1, 3, "train"), (7, 8, "query"), (7, 2, "gallery")}
    for modality, colour in COLOURS.items():
        picture = open_image(found[0].images[modality])
        assert picture.size == (256, 128)
        assert max(abs(a - b) for a, b in zip(picture.getpixel((128, 64)), colour, strict=True)) < 8


@pytest.mark.parametrize("inside", ["", "..", "rgbir", "rgbir/query"])
def test_rgbnt100_is_recognised_from_any_level(rgbnt100_root: Path, inside: str) -> None:
    assert mv.scan(rgbnt100_root / inside).layout == "rgbnt100"


def test_ordinary_pictures_in_folders_of_those_names_are_not_cut(tmp_path: Path) -> None:
    write(tmp_path / "bounding_box_train" / "0002_c1s1_000451_03.jpg", (64, 128))
    report = mv.scan(tmp_path)
    assert (report.layout, set(report.samples[0].images)) == ("market1501", {"RGB"})


def test_msvr310_has_scenes_cameras_and_three_splits(msvr310_root: Path) -> None:
    found = mv.samples(msvr310_root)
    assert [(s.pid, s.scene, s.camid, s.split) for s in found] == [
        (40, 4, 1, "gallery"), (40, 12, 6, "gallery"), (2, 11, 3, "train"), (40, 4, 1, "query"),
    ]  # fmt: skip
    assert all(set(sample.images) == {"RGB", "NI", "TI"} for sample in found)
    assert found[0].images["TI"].parent.name == "th"


def test_a_file_in_the_folder_of_another_identity_is_reported(msvr310_root: Path) -> None:
    odd = write(msvr310_root / "query3" / "0040" / "vis" / "0041_s001_v1_000.jpg")
    (problem,) = mv.scan(msvr310_root).problems
    assert (problem.path, "identity 0040" in problem.detail) == (odd, True)


def test_test_stands_for_query_and_gallery(msvr310_root: Path) -> None:
    found = mv.samples(msvr310_root, split="test")
    assert mv.query_and_gallery(found) == ([2], [0, 1])


def test_query_and_gallery_are_one_where_a_set_has_only_a_test_split(rgbnt201: Path) -> None:
    assert mv.query_and_gallery(mv.samples(rgbnt201, split="test")) == ([0, 1], [0, 1])


def test_a_gallery_nobody_asks_is_refused(msvr310_root: Path) -> None:
    with pytest.raises(DataError, match="got 0 and 2"):
        mv.query_and_gallery(mv.samples(msvr310_root, split="gallery"))


def test_a_split_that_is_not_there_is_refused(rgbnt201: Path) -> None:
    with pytest.raises(DataError, match="has test, train"):
        mv.samples(rgbnt201, split="query")
    with pytest.raises(OptionError, match="valid"):
        mv.samples(rgbnt201, split="valid")


def test_two_data_sets_in_one_folder_are_not_mixed(rgbnt201: Path, msvr310_root: Path) -> None:
    with pytest.raises(DataError, match="rgbnt201 and msvr310"):
        mv.samples(rgbnt201.parent)
    assert {s.scene for s in mv.samples(rgbnt201.parent, "msvr310")} == {4, 11, 12}


@pytest.mark.parametrize(
    "layout", [layout for layout in SETS.values() if layout.published], ids=lambda it: it.name
)
def test_every_split_of_a_published_set_has_a_published_count(layout) -> None:
    whole = {"train", "test"} if layout.name == "rgbnt201" else {"train", "query", "gallery"}
    assert set(layout.published) == whole


def test_every_set_is_listed_under_its_own_name() -> None:
    assert set(SETS) == {*PUBLISHED, "rgbnt100", "sysu_mm01", "regdb"}  # those three are grown by functions
    assert all(name == layout.name for name, layout in SETS.items())


def test_published_counts_are_compared_where_all_splits_are_there(rgbnt201: Path) -> None:
    train, test = mv.scan(rgbnt201).published
    assert (train.identities, train.samples, test.identities, test.samples) == (171, 3951, 30, 836)
    assert (train.found_identities, test.found_samples, train.matches) == (1, 2, False)
    assert not mv.scan(rgbnt201).sound
    assert mv.scan(rgbnt201 / "test").published == ()


def test_counts_as_published_match(tmp_path: Path, monkeypatch, rgbnt201: Path) -> None:
    counted = replace(SETS["rgbnt201"], published={"train": (1, 1), "test": (2, 2)})
    monkeypatch.setitem(SETS, "rgbnt201", counted)
    report = mv.scan(rgbnt201)
    assert report.sound
    assert "match those its authors published" in str(report)


def test_a_plain_folder_gives_images_of_no_known_identity(tmp_path: Path) -> None:
    write(tmp_path / "b.png")
    write(tmp_path / "deeper" / "a.JPG")
    assert [(s.pid, s.camid, s.name) for s in mv.samples(tmp_path)] == [(-1, -1, "b"), (-1, -1, "a")]


def test_modality_folders_with_names_of_ones_own_are_aligned_without_identities(tmp_path: Path) -> None:
    for modality in ("RGB", "TI"):
        write(tmp_path / modality / "mine.png")
    write(tmp_path / "other.png")
    report = mv.scan(tmp_path)
    assert [(s.pid, set(s.images)) for s in report.samples] == [(-1, {"RGB", "TI"}), (-1, {"RGB"})]
    assert report.layout == "folder"
    assert [p.detail for p in report.problems] == ["no NI image in the whole set; loaded with RGB, TI"]


def test_one_file_is_one_sample(tmp_path: Path) -> None:
    assert [s.name for s in mv.samples(write(tmp_path / "me.png"))] == ["me"]


@pytest.mark.parametrize("root", [".", "missing"])
def test_a_folder_without_images_is_refused(tmp_path: Path, root: str) -> None:
    with pytest.raises(DataError, match="check the path"):
        mv.samples(tmp_path / root)


@pytest.mark.parametrize("layout", ["rgbnt201", "rgbnt100", "msvr310", "manifest"])
def test_a_layout_that_is_not_there_is_refused(tmp_path: Path, layout: str) -> None:
    write(tmp_path / "a.png")
    with pytest.raises(DataError, match=layout):
        mv.samples(tmp_path, layout)
    with pytest.raises(OptionError, match="market"):
        mv.samples(tmp_path, "market")


def test_a_sound_set_warns_of_nothing(rgbnt201: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(mv.samples(rgbnt201)) == 3
