"""Everything below a folder is a sample, a problem, or counted with the reason why it is left out."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, features
from support.trees import each, grow, places
from typer.testing import CliRunner

import mswin_viz as mv
from mswin_viz import cli
from mswin_viz.data.images.image_source import open_image
from mswin_viz.data.sets import files
from mswin_viz.data.sets.files import image_suffixes, natural_key
from mswin_viz.errors import DataError

from .test_reid_sets import SETS, market_with_extras, msmt17, regdb, sysu

OPENED = [
    "jpg",
    "jpeg",
    "jpe",
    "jfif",
    "png",
    "bmp",
    "gif",
    "tif",
    "tiff",
    "webp",
    "ppm",
    "pgm",
    "pbm",
    "pnm",
    "tga",
]
if features.check("jpg_2000"):
    OPENED.append("jp2")
if features.check("avif"):
    OPENED.append("avif")
JUNK = [
    ".hidden.jpg", "._a.jpg", ".ipynb_checkpoints/a-checkpoint.jpg", "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg", "Thumbs.db",
    "__MACOSX/._a.jpg", ".git/a.jpg", "deeper/.thumbnails/a.png", "desktop.ini", "THUMBS.DB",
]  # fmt: skip


def save(folder: Path, ending: str) -> Path:
    file = folder / f"a.{ending}"
    Image.new({"pgm": "L", "pbm": "1"}.get(ending, "RGB"), (5, 9), 1).save(file)
    return file


@pytest.mark.parametrize("ending", OPENED)
@pytest.mark.parametrize("upper", [False, True])
def test_what_pillow_opens_is_a_sample_and_opens(tmp_path: Path, ending: str, upper: bool) -> None:
    file = save(tmp_path, ending)
    if upper:
        file = file.rename(tmp_path / f"A.{ending.upper()}")
    report = mv.verify(mv.scan(tmp_path), progress=False)
    assert [sample.images["RGB"] for sample in report.samples] == [file]
    assert open_image(file).size == (5, 9)
    assert report.sound


@pytest.mark.parametrize(
    "ending", ["pdf", "eps", "mpg", "h5", "grib", "wmf", "txt", "csv", "mat", "mp4", "npy"]
)
def test_documents_films_and_tables_are_no_pictures(ending: str) -> None:
    assert f".{ending}" not in image_suffixes()


def test_other_files_are_counted_by_their_endings_and_are_no_problem(tmp_path: Path) -> None:
    root = grow(tmp_path / "set", "a.jpg", "a.txt", "b.TXT", "c.mat", "LICENSE", "deeper/d.json")
    report = mv.scan(root)
    assert dict(report.left_out) == {
        ".txt file": 2,
        ".mat file": 1,
        "file without an ending": 1,
        ".json file": 1,
    }
    assert report.sound
    assert "2 x .txt file" in str(report)


@pytest.mark.parametrize("ending", ["heic", "HEIF", "dng", "jxl", "svg", "nef"])
def test_pictures_in_a_format_that_cannot_be_read_are_a_problem_by_name(tmp_path: Path, ending: str) -> None:
    root = grow(tmp_path / "set", "a.jpg", f"b.{ending}")
    with pytest.warns(
        UserWarning, match=rf"1 x format cannot be read.*b\.{ending}: \.{ending.lower()} cannot be read"
    ):
        assert len(mv.samples(root)) == 1


def test_nothing_but_such_pictures_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"format cannot be read.*b\.heic.*convert it to PNG"):
        mv.samples(grow(tmp_path / "set", "b.heic"))


@pytest.mark.parametrize("junk", JUNK)
def test_hidden_and_system_files_are_left_out_and_counted(tmp_path: Path, junk: str) -> None:
    root = grow(tmp_path / "set", "a.jpg", junk)
    report = mv.scan(root)
    assert [sample.name for sample in report.samples] == ["a"]
    assert dict(report.left_out) == {"hidden or system file or folder": 1}
    assert report.sound


@pytest.mark.parametrize(
    "junk", [".ipynb_checkpoints/000300_cam1_0-checkpoint.jpg", "._000258_cam3_0_01.jpg", "Thumbs.db"]
)
def test_junk_in_a_data_set_is_neither_sample_nor_problem(tmp_path: Path, junk: str) -> None:
    names = each(("RGB", "NI", "TI"), "test/{m}/000258_cam3_0_01.jpg")
    report = mv.scan(grow(tmp_path / "set", *names, f"test/NI/{junk}"))
    assert (len(report.samples), report.sound) == (1, True)


def test_a_folder_below_a_hidden_one_can_be_pointed_to(tmp_path: Path) -> None:
    assert len(mv.samples(grow(tmp_path / ".cache" / "set", "a.jpg"))) == 1


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    store = grow(tmp_path / "store", "000258_cam3_0_01.jpg")
    root = grow(tmp_path / "set", *each(("RGB", "TI"), "test/{m}/000258_cam3_0_01.jpg"))
    (root / "test" / "NI").symlink_to(store)
    (sample,) = mv.samples(root)
    assert set(sample.images) == {"RGB", "NI", "TI"}


def test_links_to_files_are_files(tmp_path: Path) -> None:
    store, root = grow(tmp_path / "store", "a.jpg"), tmp_path / "set"
    root.mkdir()
    (root / "b.jpg").symlink_to(store / "a.jpg")
    assert [sample.name for sample in mv.samples(root)] == ["b"]


def test_loops_of_links_end(tmp_path: Path) -> None:
    root = grow(tmp_path / "set", "x/a.jpg")
    (root / "x" / "up").symlink_to(root)
    (root / "again").symlink_to(root / "x")
    other = grow(tmp_path / "other", "b.jpg")
    (other / "back").symlink_to(root)
    (root / "other").symlink_to(other)
    report = mv.scan(root)
    assert sorted(sample.name for sample in report.samples) == ["a", "b"]
    assert report.left_out == {"link to a folder that is read already": 3}


def test_a_link_never_hides_the_folder_it_leads_to(tmp_path: Path) -> None:
    root = grow(tmp_path / "set", *each(("RGB", "NI"), "test/{m}/000258_cam3_0_01.jpg"))
    (root / "latest").symlink_to(root / "test")
    assert places(mv.scan(root).samples[0], root)["RGB"] == "test/RGB/000258_cam3_0_01.jpg"


def test_a_link_that_leads_nowhere_is_a_problem(tmp_path: Path) -> None:
    root = grow(tmp_path / "set", "a.jpg")
    (root / "b.jpg").symlink_to(tmp_path / "gone.jpg")
    (problem,) = mv.scan(root).problems
    assert (problem.kind, problem.path) == ("broken link", root / "b.jpg")


def test_a_folder_that_cannot_be_read_is_named_and_passed_over(tmp_path: Path, monkeypatch) -> None:
    root = grow(tmp_path / "set", "a.jpg", "private/b.jpg")
    true = os.scandir

    def guarded(path):
        if Path(path).name == "private":
            raise PermissionError(13, "Permission denied", str(path))
        return true(path)

    monkeypatch.setattr(files.os, "scandir", guarded)
    report = mv.scan(root)
    assert len(report.samples) == 1
    assert [(p.kind, p.path, p.detail) for p in report.problems] == [
        ("folder cannot be read", root / "private", "Permission denied; left out")
    ]


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff"])
def test_a_file_that_is_no_picture_is_a_problem_that_doctor_names(tmp_path: Path, content: bytes) -> None:
    root = grow(tmp_path / "set", "a.jpg")
    (root / "b.jpg").write_bytes(content)
    done = CliRunner().invoke(cli.app, ["doctor", "--data", str(root)])
    assert done.exit_code == 1
    assert "corrupt image" in done.stdout
    assert "b.jpg" in done.stdout


def test_pictures_outside_the_data_sets_folder_are_counted(tmp_path: Path) -> None:
    names = each(("RGB", "NI", "TI"), "RGBNT201/test/{m}/000258_cam3_0_01.jpg")
    report = mv.scan(grow(tmp_path / "set", *names, "sheet.jpg"))
    assert report.left_out == {"picture outside the data set's folder": 1}


def test_pictures_inside_it_that_are_not_read_are_a_problem(tmp_path: Path) -> None:
    names = each(("RGB", "NI", "TI"), "RGBNT201/test/{m}/000258_cam3_0_01.jpg")
    root = grow(tmp_path / "set", *names, "RGBNT201/demo/a.jpg", "RGBNT201/demo/b.jpg")
    with pytest.warns(UserWarning, match=r"outside the layout.*demo: 2 left out; not read as rgbnt201"):
        assert len(mv.samples(root)) == 1


TREES = {name: lambda root, names=names: grow(root, *names) for name, (names, _) in SETS.items()}
TREES |= {
    "market with extras": market_with_extras,
    "msmt17 lists": msmt17,
    "sysu": sysu,
    "regdb": regdb,
    "unknown": lambda root: grow(
        root, "a.jpg", "IR/b.jpg", "x/c.png", "d.heic", ".e.jpg", "@eaDir/f.jpg", "g.txt"
    ),
}


@pytest.mark.parametrize("tree", TREES)
def test_doctor_says_of_every_tree_what_it_counted_and_left_out(tmp_path: Path, tree: str) -> None:
    root = TREES[tree](tmp_path / "set")
    report = mv.scan(root)
    done = CliRunner().invoke(cli.app, ["doctor", "--all", "--data", str(root)])
    text = " ".join(done.stdout.split())
    assert f"{len(report.samples)} samples can be used" in text
    assert all(f"{count} x {reason}" in text for reason, count in report.left_out.items())
    assert all(problem.kind in text for problem in report.problems)


@pytest.mark.parametrize("tree", TREES)
def test_no_picture_is_passed_over_silently(tmp_path: Path, tree: str) -> None:
    root = TREES[tree](tmp_path / "set")
    assert_all_accounted(root)


NAMES = st.sampled_from(
    [
        "a",
        "0001_c1s1_000151_01",
        "000258_cam3_0_01",
        "0040_s004_v1_007",
        "v1_s003_1",
        "-1_c1s1_1",
        "0002_c2_f0046182",
    ]
)
FOLDERS = st.sampled_from(
    [
        "rgb",
        "NI",
        "thermal",
        "IR",
        "query",
        "test",
        "train",
        "bounding_box_test",
        "0001",
        "cam3",
        "x",
        "gt_bbox",
    ]
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    trees=st.sets(
        st.tuples(st.lists(FOLDERS, max_size=4), NAMES).map(lambda t: "/".join([*t[0], f"{t[1]}.jpg"])),
        min_size=1,
        max_size=9,
    )
)
def test_no_picture_of_any_tree_is_passed_over_silently(tmp_path_factory, trees: set[str]) -> None:
    root = grow(tmp_path_factory.mktemp("tree") / "set", *sorted(trees))
    with suppress(DataError):  # nothing can be used, or two data sets in one folder
        assert_all_accounted(root)


def assert_all_accounted(root: Path) -> None:
    """Every picture is in exactly one sample, in a problem or its folder's, or counted."""
    report = mv.scan(root)
    used = [path for sample in report.samples for path in sample.images.values()]
    assert len(used) == len(set(used))
    pictures = {
        path
        for path in root.rglob("*.jpg")
        if not any(part.startswith((".", "@")) for part in path.relative_to(root).parts)
    }
    rest = pictures - set(used)
    named = {path for path in rest for problem in report.problems if problem.path == path}
    in_folders = sum(
        int(problem.detail.split()[0])
        for problem in report.problems
        if problem.kind in ("modality not known", "outside the layout")
    )
    counted = sum(
        count for reason, count in report.left_out.items() if "picture" in reason or "junk" in reason
    )
    assert len(rest) == len(named) + in_folders + counted


def test_numbers_are_compared_as_numbers() -> None:
    names = ["f10", "f9", "f1", "F2", "f01", "a", "f1b", ""]
    assert sorted(names, key=natural_key) == ["", "a", "f01", "f1", "f1b", "F2", "f9", "f10"]


def test_ten_thousand_files_are_listed_without_opening_any(tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "test" / "RGB"
    folder.mkdir(parents=True)
    for number in range(10_000):
        (folder / f"{number:06d}_cam1_0_00.jpg").touch()
    monkeypatch.setattr("PIL.Image.open", lambda *_: pytest.fail("a file was opened"))
    assert len(mv.samples(tmp_path)) == 10_000


def test_names_that_are_not_utf8_can_be_printed(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    root = grow(tmp_path / "set", "a.jpg")
    (root / name).write_bytes(b"no picture")
    text = str(mv.verify(mv.scan(root), progress=False))
    assert "caf\\udce9.jpg" in text
    assert text.encode("utf-8")


def test_brackets_in_a_path_are_printed_as_they_are(tmp_path: Path) -> None:
    assert "my [red] set" in " ".join(str(mv.scan(grow(tmp_path / "my [red] set", "a.jpg"))).split())


def test_a_table_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("RGB\n", encoding="utf-8")
    with pytest.raises(DataError, match="the folder layout needs a folder: got the table"):
        mv.samples(tmp_path / "t.csv", "folder")


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    root = grow(tmp_path / "set", "notes.txt")
    with pytest.raises(DataError, match=r"Pillow cannot open .*notes\.txt"):
        mv.samples(root / "notes.txt")


def test_a_picture_without_an_ending_can_be_pointed_to(tmp_path: Path) -> None:
    root = grow(tmp_path / "set", "a.jpg")
    (root / "a.jpg").rename(root / "upload")
    assert len(mv.samples(root / "upload")) == 1


def test_pictures_of_phones_in_mpo_are_read(tmp_path: Path) -> None:
    grow(tmp_path, "a.mpo", "b.jpg")
    assert len(mv.samples(tmp_path)) == 2
