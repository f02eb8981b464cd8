"""Published data sets as their authors lay them out: identities, cameras, scenes, splits and modalities."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from support.published_sets import MARKET, SETS, THREE, msmt17, regdb, sysu
from support.trees import each, grow, places, said

import mswin_viz as mv
from mswin_viz.errors import DataError


@pytest.mark.parametrize("layout", SETS)
@pytest.mark.parametrize("around", ["", "DATA/", "DATA/unzipped/"])
def test_a_published_layout_is_recognised_with_its_identities(
    tmp_path: Path, layout: str, around: str
) -> None:
    names, expected = SETS[layout]
    root = grow(tmp_path / "set", *(around + name for name in names))
    report = mv.scan(root)
    assert (report.layout, [said(sample) for sample in report.samples]) == (layout, expected)
    assert not report.problems
    assert len({path for sample in report.samples for path in sample.images.values()}) == len(names)


@pytest.mark.parametrize("layout", SETS)
def test_case_of_folders_and_endings_does_not_matter(tmp_path: Path, layout: str) -> None:
    names, expected = SETS[layout]
    loud = [f"{name.rpartition('/')[0].upper()}/{Path(name).stem}.JPG" for name in names]
    report = mv.scan(grow(tmp_path / "set", *loud))
    assert (report.layout, sorted(map(said, report.samples))) == (layout, sorted(expected))


@pytest.mark.parametrize("layout", SETS)
def test_a_layout_asked_for_is_found_and_any_other_refused(tmp_path: Path, layout: str) -> None:
    names, expected = SETS[layout]
    root = grow(tmp_path / "set", *names)
    assert [said(sample) for sample in mv.samples(root, layout)] == expected
    other = "sysu_mm01" if layout != "sysu_mm01" else "regdb"
    with pytest.raises(DataError, match=rf"the {other} layout has .*cam1.*has none"):
        mv.samples(root, other)


@pytest.mark.parametrize("layout", ["market1501", "dukemtmc", "veri776", "msmt17", "market_style"])
def test_a_set_of_one_modality_lacks_no_other(tmp_path: Path, layout: str) -> None:
    report = mv.scan(grow(tmp_path / "set", *SETS[layout][0]))
    assert {tuple(sample.images) for sample in report.samples} == {("RGB",)}
    assert not report.problems


@pytest.mark.parametrize("split", ["bounding_box_train", "query", "bounding_box_test"])
def test_one_split_of_market1501_can_be_pointed_to(tmp_path: Path, split: str) -> None:
    (sample,) = mv.samples(grow(tmp_path / "set", *MARKET) / split)
    names = {"bounding_box_train": "train", "query": "query", "bounding_box_test": "gallery"}
    assert sample.split == names[split]


def market_with_extras(root: Path) -> Path:
    return grow(
        root,
        *MARKET,
        "bounding_box_test/0000_c1s1_000151_01.jpg",
        "bounding_box_test/0000_c2s1_000151_02.jpg",
        "bounding_box_test/-1_c1s1_000401_03.jpg",
        "bounding_box_test/Thumbs.db",
        "gt_bbox/0003_c1s1_000151_00.jpg",
        "gt_query/0003_c1s1_000151_00_good.mat",
        "readme.txt",
    )


def test_junk_is_left_out_and_background_stays_in_the_gallery_as_nobody(tmp_path: Path) -> None:
    report = mv.scan(market_with_extras(tmp_path / "set"))
    assert [said(sample) for sample in report.samples if sample.pid == -1] == [
        (-1, 1, "gallery"),
        (-1, 2, "gallery"),
    ]
    assert len(report.samples) == 5
    assert dict(report.left_out) == {
        "junk (identity -1 in the name)": 1,
        "hidden or system file or folder": 1,
        "picture of gt_bbox": 1,
        ".mat file": 1,
        ".txt file": 1,
    }
    assert not report.problems
    assert "as identity -1, which matches nobody: 2" in " ".join(str(report).split())


def test_background_matches_nobody_in_retrieval(tmp_path: Path) -> None:
    report = mv.scan(market_with_extras(tmp_path / "set"))
    gallery = next(count for count in report.splits if count.split == "gallery")
    assert (gallery.identities, gallery.samples, gallery.unknown) == (1, 3, 2)


def test_background_and_junk_of_the_three_modality_market_are_treated_alike(tmp_path: Path) -> None:
    names = each(
        ("RGB", "NI", "TI"), "gallery/{m}/0000_c3s1_000151_01.jpg", "gallery/{m}/-1_c3s1_000151_01.jpg"
    )
    report = mv.scan(grow(tmp_path / "set", *SETS["market1501_rgbnt"][0], *names))
    assert [said(sample) for sample in report.samples if sample.pid == -1] == [(-1, 3, "gallery")]
    assert report.left_out["junk (identity -1 in the name)"] == 3


def test_copies_that_tools_make_inside_a_set_are_left_out_by_name(tmp_path: Path) -> None:
    copies = ["pytorch/train/0002/0002_c1s1_000451_03.jpg", "pytorch/query/0003/0003_c2s1_000776_00.jpg"]
    root = grow(tmp_path / "set", *MARKET, *copies)
    report = mv.scan(root)
    assert len(report.samples) == 3
    assert [(p.kind, p.path, p.detail) for p in report.problems] == [
        ("outside the layout", root / "pytorch", "2 left out; not read as market1501")
    ]


def test_two_copies_of_one_set_side_by_side_are_refused(tmp_path: Path) -> None:
    root = grow(tmp_path / "set", *(f"a/{name}" for name in MARKET), *(f"b/{name}" for name in MARKET))
    with pytest.raises(DataError, match=r"must hold one data set: got the \w+ split in set/a and in set/b"):
        mv.samples(root)
    assert len(mv.samples(root / "a")) == 3


def test_folders_of_identities_may_stand_in_between(tmp_path: Path) -> None:
    names = [
        "train/0002/0002_c1s1_000451_03.jpg",
        "query/0003/0003_c2s1_1.jpg",
        "gallery/0003/0003_c1s1_1.jpg",
    ]
    found = mv.samples(grow(tmp_path / "set", *names))
    assert [said(sample) for sample in found] == [(3, 1, "gallery"), (3, 2, "query"), (2, 1, "train")]


@pytest.mark.parametrize("gallery", ["test", "gallery"])
def test_wmveid863_has_the_camera_and_scene_of_the_name_and_the_identity_of_the_folder(
    tmp_path, gallery
) -> None:
    names = each(THREE, "query/0863/{m}/v2n1_s003_7.jpg", f"{gallery}/863/{{m}}/v3n0_0001.jpg")
    found = sorted(mv.samples(grow(tmp_path / "set", *names)), key=lambda sample: sample.split)
    assert [(*said(sample), sample.scene) for sample in found] == [
        (863, 3, "gallery", None),
        (863, 2, "query", 3),
    ]


def test_wmveid863_without_identity_folders_has_them_in_its_names(tmp_path: Path) -> None:
    names = each(
        THREE, "train/{m}/000001_cam1_1.jpg", "query/{m}/000002_cam2_1.jpg", "test/{m}/000002_cam3_1.jpg"
    )
    root = grow(tmp_path / "set", *names)
    expected = [(2, 2, "query"), (2, 3, "gallery"), (1, 1, "train")]
    assert [said(sample) for sample in mv.samples(root, "wmveid863")] == expected
    assert [said(sample) for sample in mv.samples(root)] == expected
    assert mv.scan(root).layout == "wmveid863"


def test_a_vehicle_name_without_a_camera_is_reported(tmp_path: Path) -> None:
    names = each(THREE, "query/0002/{m}/v2_s003_7.jpg", "test/0002/{m}/v3_s004_7.jpg")
    root = grow(tmp_path / "set", *names, "test/0002/vis/holiday.jpg")
    (problem,) = mv.scan(root).problems
    assert (problem.kind, problem.path) == (
        "name does not parse",
        root / "test" / "0002" / "vis" / "holiday.jpg",
    )


def test_msmt17_is_divided_as_its_lists_say(tmp_path: Path) -> None:
    report = mv.scan(msmt17(tmp_path / "MSMT17_V1"))
    assert report.layout == "msmt17"
    assert list(map(said, report.samples)) == [
        (0, 1, "train"),
        (1, 5, "train"),
        (0, 2, "query"),
        (0, 14, "gallery"),
    ]
    assert dict(report.left_out) == {"picture that no list names": 1}
    assert "another person" in report.notes[0]


def test_the_second_version_of_msmt17_has_other_folders(tmp_path: Path) -> None:
    root = msmt17(tmp_path / "MSMT17_V2")
    (root / "train").rename(root / "mask_train_v2")
    (root / "test").rename(root / "mask_test_v2")
    assert len(mv.samples(root.parent)) == 4


def test_a_picture_that_only_the_list_knows_is_reported(tmp_path: Path) -> None:
    root = msmt17(tmp_path / "MSMT17_V1")
    with (root / "list_query.txt").open("a", encoding="utf-8") as lines:
        lines.write("0007/0007_000_02_0303morning_0015_0.jpg 7\n")
    (problem,) = mv.scan(root).problems
    assert (problem.kind, problem.path.name, problem.detail[:8]) == (
        "missing file",
        "list_query.txt",
        "0007/000",
    )


@pytest.mark.parametrize("around", ["", "DATA"])
def test_sysu_mm01_sees_infrared_in_two_cameras_and_queries_with_it(tmp_path: Path, around: str) -> None:
    sysu(tmp_path / around / "SYSU-MM01")
    report = mv.scan(tmp_path / around)
    assert report.layout == "sysu_mm01"
    seen = {(s.camid, tuple(s.images), s.split) for s in report.samples if s.pid == 3}
    assert seen == {(c, ("NI",), "query") for c in (3, 6)} | {(c, ("RGB",), "gallery") for c in (1, 2, 4, 5)}
    assert {s.split for s in report.samples if s.pid in (1, 2)} == {"train"}
    assert not report.problems
    assert report.left_out == {"picture of an identity that no list names": 12}


def test_sysu_mm01_without_its_lists_has_no_splits_and_says_so(tmp_path: Path) -> None:
    root = grow(tmp_path / "SYSU-MM01", *(f"cam{camera}/0001/0001.jpg" for camera in (1, 3)))
    report = mv.scan(root)
    assert [said(sample) for sample in report.samples] == [(1, 1, None), (1, 3, None)]
    assert "the splits are unknown" in report.notes[0]


def test_regdb_pairs_no_pictures_and_takes_identities_from_folders(tmp_path: Path) -> None:
    report = mv.scan(regdb(tmp_path / "RegDB"))
    assert report.layout == "regdb"
    assert [(*said(sample), tuple(sample.images)) for sample in report.samples] == [
        (1, 1, "train", ("RGB",)),
        (1, 2, "train", ("TI",)),
        (2, 1, "query", ("RGB",)),
        (2, 2, "gallery", ("TI",)),
    ]
    assert not report.problems
    assert "split 1 of 2" in report.notes[0]


@pytest.mark.parametrize(
    ("names", "example"),
    [
        (["0001_c2_1.jpg", "0002_c3_1.jpg"], "0001_c2_1"),
        (["id_12.jpg", "id_13.jpg", "readme.jpg"], "id_12"),
        (["person_0003/1.jpg", "person_0004/1.jpg"], "person_0003"),
        (["0001/a.jpg", "0002/b.jpg"], "0001"),
        (["0000_000_01_0303morning_0015_0.jpg"], "0000_000_01_0303morning_0015_0"),
        (["0001C1T0001F001.jpg"], "0001C1T0001F001"),
        (["0001/vis/a.jpg", "0001/ni/a.jpg", "0001/th/a.jpg"], "0001"),
    ],
)
def test_names_that_look_like_identities_and_are_not_read_are_named(
    tmp_path: Path, names, example: str
) -> None:
    root = grow(tmp_path / "set", *names)
    with pytest.warns(UserWarning, match=rf"names look like identities \({example}\).*manifest\.csv"):
        found = mv.samples(root)
    assert {sample.pid for sample in found} == {-1}


@pytest.mark.parametrize("names", [["IMG_0001.jpg", "IMG_0002.jpg"], ["frame_0001.jpg"], ["holiday/a.jpg"]])
def test_names_that_do_not_look_like_identities_are_no_problem(tmp_path: Path, names: list[str]) -> None:
    assert mv.scan(grow(tmp_path / "set", *names)).sound


@pytest.mark.parametrize("folder", ["alice", "0001", "person_0003"])
def test_tracklets_keep_the_order_of_their_frames(tmp_path: Path, folder: str) -> None:
    root = grow(tmp_path / "set", *(f"{folder}/{number}.jpg" for number in range(1, 13)))
    assert [sample.name for sample in mv.scan(root).samples] == [str(number) for number in range(1, 13)]


def test_tracklets_of_mars_have_identities_cameras_and_their_order(tmp_path: Path) -> None:
    frames = [f"bbox_test/0002/0002C3T0001F{number:03d}.jpg" for number in (1, 2, 10)]
    root = grow(
        tmp_path / "set", *frames, "bbox_train/0001/0001C1T0001F001.jpg", "bbox_test/00-1/00-1C1T0001F001.jpg"
    )
    report = mv.scan(root)
    assert [(*said(s), s.name[-3:]) for s in report.samples] == [
        (2, 3, "gallery", "001"),
        (2, 3, "gallery", "002"),
        (2, 3, "gallery", "010"),
        (1, 1, "train", "001"),
    ]
    assert report.left_out["junk (identity -1 in the name)"] == 1


def test_order_is_natural_in_every_folder(tmp_path: Path) -> None:
    root = grow(tmp_path / "set", "t10/2.jpg", "t2/10.jpg", "t2/9.jpg", "1.jpg")
    assert [places(s, root)["RGB"] for s in mv.scan(root).samples] == [
        "1.jpg",
        "t2/9.jpg",
        "t2/10.jpg",
        "t10/2.jpg",
    ]


def test_camera_folders_of_another_set_are_not_taken_for_sysu_mm01(tmp_path: Path) -> None:
    root = grow(tmp_path / "mine", *(f"cam{camera}/0001/0001.jpg" for camera in (1, 3, 7)))
    report = mv.scan(root)
    assert (report.layout, {tuple(sample.images) for sample in report.samples}) == ("folder", {("RGB",)})
    assert report.counts == {"identities not read": 1}
    assert [said(sample) for sample in mv.scan(root, "sysu_mm01").samples] == [(1, 1, None), (1, 3, None)]


def test_two_copies_of_sets_with_lists_are_refused(tmp_path: Path) -> None:
    for copy in ("a", "b"):
        msmt17(tmp_path / "msmt" / copy)
        sysu(tmp_path / "sysu" / copy)
        regdb(tmp_path / "regdb" / copy)
    for name in ("msmt", "sysu", "regdb"):
        with pytest.raises(DataError, match=r"must hold one data set: got one in .* and one in"):
            mv.samples(tmp_path / name)


def test_a_backup_of_a_split_is_no_part_of_the_set(tmp_path: Path) -> None:
    names = each(("RGB", "NI", "TI"), "test/{m}/000258_cam3_0.jpg", "old_test/{m}/000258_cam3_0.jpg")
    report = mv.scan(grow(tmp_path / "set", *names))
    assert (len(report.samples), report.counts) == (1, {"outside the layout": 1})


def test_market1501_beside_another_set_is_refused_by_name(tmp_path: Path) -> None:
    names = [*(f"a/{name}" for name in MARKET), *(f"b/{name}" for name in SETS["rgbnt201"][0])]
    with pytest.raises(DataError, match="must hold one data set: got rgbnt201 and market1501; point to one"):
        mv.samples(grow(tmp_path / "set", *names))


@pytest.mark.parametrize(("camera", "modality"), [(1, "RGB"), (3, "NI"), (6, "NI")])
@pytest.mark.parametrize("inside", ["", "0001", "0001/0001.jpg"])
def test_a_part_of_sysu_mm01_pointed_to_keeps_its_modality(
    tmp_path: Path, camera: int, modality: str, inside: str
) -> None:
    grow(tmp_path / "SYSU-MM01", *(f"cam{number}/0001/0001.jpg" for number in range(1, 7)))
    (sample,) = mv.samples(tmp_path / "SYSU-MM01" / f"cam{camera}" / inside)
    assert list(sample.images) == [modality]


@pytest.mark.parametrize("inside", ["person_001", "person_001/a.jpg"])
@pytest.mark.parametrize("folder", ["thermal", "test/TI", "TIR/test"])
def test_an_identity_folder_below_a_modality_has_that_modality(
    tmp_path: Path, folder: str, inside: str
) -> None:
    grow(tmp_path, f"{folder}/person_001/a.jpg")
    (sample,) = mv.scan(tmp_path / folder / inside).samples
    assert list(sample.images) == ["TI"]


def test_msvr310_may_call_its_queries_query(tmp_path: Path) -> None:
    splits = ("bounding_box_train", "query", "bounding_box_test")
    names = [f"{split}/0040/{{m}}/0040_s00{scene}_v1_1.jpg" for split in splits for scene in (4, 5)]
    report = mv.scan(grow(tmp_path, *each(("vis", "ni", "th"), *names)))
    assert (report.layout, report.problems, len(report.samples)) == ("msvr310", (), 6)
    assert {sample.split for sample in report.samples} == {"train", "query", "gallery"}


@pytest.mark.parametrize(
    "splits", [("train", "query", "test"), ("bounding_box_train", "query", "bounding_box_test")]
)
@pytest.mark.parametrize("between", ["", "0001/"])
@pytest.mark.parametrize("size", [(768, 128), (384, 64), (1536, 256)])
def test_strips_of_three_modalities_are_cut_whatever_their_size_and_split_folders(
    tmp_path: Path, splits: tuple[str, ...], between: str, size: tuple[int, int]
) -> None:
    for split in splits:
        path = tmp_path / "rgbir" / split / between / "0001_c3_0001.jpg"
        path.parent.mkdir(parents=True)
        Image.new("RGB", size).save(path)
    report = mv.scan(tmp_path)
    assert (report.layout, report.problems) == ("rgbnt100", ())
    assert {said(sample) for sample in report.samples} == {
        (1, 3, "train"),
        (1, 3, "query"),
        (1, 3, "gallery"),
    }
    wide, high = size[0] // 3, size[1]
    assert [crop.box for crop in report.samples[0].images.values()] == [
        (0, 0, wide, high), (wide, 0, 2 * wide, high), (2 * wide, 0, 3 * wide, high),
    ]  # fmt: skip


def test_of_a_folder_in_no_known_layout_it_is_said_that_identities_are_unknown(tmp_path: Path) -> None:
    report = mv.scan(grow(tmp_path, "a.jpg", "b/c.jpg"))
    assert report.notes == ("the layout is not known, so identities and cameras are unknown",)
    assert report.sound
