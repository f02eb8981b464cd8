"""Pipes, sockets, devices, links to nothing and folders named as pictures: no data set waits for one, or stops at one."""

from __future__ import annotations

import contextlib
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from support.published_sets import SETS, msmt17, regdb, sysu
from support.strange_files import STRANGE, make_strange, strew
from support.trees import grow

import mswin_viz as mv
from mswin_viz.data.sets.known_sets import SETS as KNOWN
from mswin_viz.errors import DataError

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes that have a name"),
]


def strips(root: Path) -> Path:
    for split, name in {"train": "0001_c3_0001", "query": "0007_c8_0100", "test": "0007_c2_0101"}.items():
        folder = root / "rgbir" / (split if split == "query" else f"bounding_box_{split}")
        folder.mkdir(parents=True)
        Image.new("RGB", (768, 128), (len(split), 0, 9)).save(folder / f"{name}.jpg")
    return root


def table(root: Path) -> Path:
    grow(root, "pictures/1.png", "pictures/2.png")
    (root / "manifest.csv").write_text("RGB,pid\npictures/1.png,1\npictures/2.png,2\n")
    return root


GROWN: dict[str, Callable[[Path], Path]] = {
    **{name: lambda root, names=names: grow(root, *names) for name, (names, _) in SETS.items()},
    "msmt17": msmt17,
    "sysu_mm01": sysu,
    "regdb": regdb,
    "rgbnt100": strips,
    "manifest": table,
    "folder": lambda root: grow(root, "a/1.png", "b/2.png"),
}
"""Name of a layout -> what makes a data set of it."""


def said(samples: list[mv.Sample], root: Path) -> list[tuple[object, ...]]:
    """Samples with their files; those that only opening tells from pictures are left out."""
    found = [
        (s.pid, s.camid, s.split, sorted(os.path.relpath(file, root) for file in s.files)) for s in samples
    ]
    return [one for one in found if "unreadable.png" not in str(one)]


def test_every_layout_is_grown_here() -> None:
    assert set(GROWN) == {*KNOWN, "manifest", "folder"}


@pytest.mark.parametrize("layout", GROWN)
@pytest.mark.filterwarnings("ignore::UserWarning")  # each says what is left out
def test_what_is_strewn_over_a_data_set_changes_no_sample(layout: str, tmp_path: Path) -> None:
    root = GROWN[layout](tmp_path / "set")
    whole = said(mv.samples(root, layout), root)
    strew(root)
    assert said(mv.samples(root, layout), root) == whole
    assert said(mv.samples(root), root) == whole
    report = mv.verify(mv.scan(root), progress=False)
    assert said(list(report.samples), root) == whole
    named = {(one.kind, one.path.name) for one in report.problems}
    assert named >= {
        ("not a regular file", "pipe.png"),
        ("not a regular file", "socket.png"),
        ("not a regular file", "device.png"),
        ("broken link", "broken link.png"),
        ("broken link", "loop.png"),
    }


@pytest.mark.parametrize("layout", ["rgbnt201", "manifest", "folder"])
@pytest.mark.parametrize("kind", STRANGE)
def test_a_picture_that_became_strange_after_it_was_listed_is_left_out_by_name(
    layout: str, kind: str, tmp_path: Path
) -> None:
    root = GROWN[layout](tmp_path / "set")
    report = mv.scan(root)
    lost = report.samples[0].files[0]
    make_strange(lost, kind)
    checked = mv.verify(report, progress=False)
    assert len(checked.samples) >= len(report.samples) - 1
    assert [one.path for one in checked.problems if one.path == lost] == [lost]


@pytest.mark.parametrize("name", ["manifest", "attributes", "train", "train_id", "train_visible_1"])
@pytest.mark.parametrize("kind", STRANGE)
def test_a_table_that_is_strange_is_said_or_left_out(name: str, kind: str, tmp_path: Path) -> None:
    layouts = {
        "attributes": "rgbnt201",
        "train": "msmt17",
        "train_id": "sysu_mm01",
        "train_visible_1": "regdb",
    }
    root = GROWN[layouts.get(name, "manifest")](tmp_path / "set")
    found = [path for path in root.rglob("*") if path.stem.removeprefix("list_") == name and path.is_file()]
    for path in found or [root / f"{name}.csv"]:
        if path.exists():
            shutil.copy(path, tmp_path / "kept")
        make_strange(path, kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with contextlib.suppress(DataError):  # in words of ours
            assert mv.samples(root)
