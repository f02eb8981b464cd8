"""A sample is found again by its path relative to the data set's root, or refused; never by its file name alone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path, PureWindowsPath

import pytest

from mswin_viz.data.images.image_source import Crop
from mswin_viz.data.names import content_digest, found_sample, relative_names
from mswin_viz.data.sample import Sample
from mswin_viz.errors import DataError


def people(root: Path, names: tuple[str, ...] = ("alice", "bob")) -> list[Sample]:
    """Two frames of each person, RGB and TI, every file with a content of its own."""
    found = []
    for name in names:
        for frame in range(2):
            files = {kind: root / name / kind / f"frame_{frame:04d}.jpg" for kind in ("RGB", "TI")}
            for kind, path in files.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(f"{name} {frame} {kind}".encode())
            found.append(Sample(-1, -1, files))
    return found


def lone(path: Path, content: str = "") -> Sample:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((content or str(path.parent.name)).encode())
    return Sample(-1, -1, {"RGB": path})


def test_a_name_is_the_first_image_s_path_below_the_folder_of_all(tmp_path: Path) -> None:
    assert relative_names(people(tmp_path)) == [
        "alice/RGB/frame_0000.jpg",
        "alice/RGB/frame_0001.jpg",
        "bob/RGB/frame_0000.jpg",
        "bob/RGB/frame_0001.jpg",
    ]


@pytest.mark.parametrize("at", range(4))
def test_every_sample_is_found_by_its_own_name_in_any_order(tmp_path: Path, at: int) -> None:
    samples = people(tmp_path)
    name, digest = relative_names(samples)[at], content_digest(samples[at])
    assert found_sample(samples, name, digest) == (at, "")
    assert found_sample(samples[::-1], name, digest) == (3 - at, "")


def test_the_order_of_the_modalities_does_not_matter(tmp_path: Path) -> None:
    samples = people(tmp_path)
    turned = [Sample(-1, -1, dict(reversed(sample.images.items()))) for sample in samples]
    assert relative_names(turned) == relative_names(samples)
    assert found_sample(turned, "bob/RGB/frame_0001.jpg").position == 3


def test_a_moved_data_set_is_the_same(tmp_path: Path) -> None:
    samples = people(tmp_path / "here")
    moved = people(tmp_path / "elsewhere" / "deeper")
    for at, name in enumerate(relative_names(samples)):
        assert found_sample(moved, name, content_digest(samples[at])) == (at, "")


def test_part_of_a_data_set_is_enough_if_it_holds_the_sample(tmp_path: Path) -> None:
    samples = people(tmp_path)
    name, digest = relative_names(samples)[2], content_digest(samples[2])
    assert found_sample(samples[2:], name, digest).position == 0
    with pytest.raises(
        DataError, match=r"none of 2 is named 'bob/RGB/frame_0000\.jpg' .*RGB/frame_0000\.jpg"
    ):
        found_sample(samples[:2], name, digest)


def test_a_name_made_among_few_is_found_among_many_by_what_the_file_holds(tmp_path: Path) -> None:
    samples = people(tmp_path)
    (name,), digest = relative_names(samples[2:3]), content_digest(samples[2])
    assert name == "RGB/frame_0000.jpg"
    assert found_sample(samples, name, digest) == (2, "")


def test_what_fits_several_is_refused_with_their_names(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"may be alice/RGB/frame_0000\.jpg, bob/RGB/frame_0000\.jpg;"):
        found_sample(people(tmp_path), "RGB/frame_0000.jpg")


def test_files_of_equal_content_are_told_apart_by_their_path_or_refused(tmp_path: Path) -> None:
    twins = [lone(tmp_path / name / "x.jpg", "same") for name in ("alice", "bob")]
    digest = content_digest(twins[0])
    assert found_sample(twins, "bob/x.jpg", digest).position == 1
    with pytest.raises(DataError, match=r"may be alice/x\.jpg, bob/x\.jpg"):
        found_sample(twins, "x.jpg", digest)


def test_another_picture_of_the_same_file_name_is_refused(tmp_path: Path) -> None:
    alice, bob = (lone(tmp_path / name / "frame_0000.jpg") for name in ("alice", "bob"))
    (name,), digest = relative_names([alice]), content_digest(alice)
    assert name == "frame_0000.jpg"
    with pytest.raises(DataError, match="holds another picture"):
        found_sample([bob], name, digest)


def test_a_flat_folder_may_be_renamed(tmp_path: Path) -> None:
    before = lone(tmp_path / "pictures" / "x.jpg", "content")
    shutil.copytree(tmp_path / "pictures", tmp_path / "renamed")
    after = Sample(-1, -1, {"RGB": tmp_path / "renamed" / "x.jpg"})
    assert found_sample([after], "x.jpg", content_digest(before)) == (0, "")


def test_a_file_that_was_changed_at_its_place_is_taken_and_named(tmp_path: Path) -> None:
    samples = people(tmp_path)
    name, digest = relative_names(samples)[1], content_digest(samples[1])
    samples[1].images["RGB"].write_bytes(b"cropped anew")
    position, note = found_sample(samples, name, digest)
    assert position == 1
    assert note == f"{name} is no longer the file that this state was copied from: its content has changed."


def test_a_file_that_cannot_be_read_is_known_by_its_path(tmp_path: Path) -> None:
    samples = people(tmp_path)
    samples[3].images["RGB"].unlink()
    assert content_digest(samples[3]) is None
    assert found_sample(samples, "bob/RGB/frame_0001.jpg", None) == (3, "")


def test_parts_of_one_file_differ(tmp_path: Path) -> None:
    sheet = tmp_path / "set" / "0001.jpg"
    sheet.parent.mkdir()
    sheet.write_bytes(b"two pictures")
    samples = [Sample(1, 1, {"RGB": Crop(sheet, (left, 0, left + 4, 9), (8, 9))}) for left in (0, 4)]
    assert relative_names(samples) == ["0001.jpg#xywh=0,0,4,9&of=8,9", "0001.jpg#xywh=4,0,4,9&of=8,9"]
    for at, name in enumerate(relative_names(samples)):
        assert found_sample(samples, name, content_digest(samples[at])).position == at


def test_windows_and_posix_separators_are_the_same() -> None:
    windows = [Sample(-1, -1, {"RGB": PureWindowsPath(rf"D:\set\{name}\x.jpg")}) for name in ("alice", "bob")]
    posix = [Sample(-1, -1, {"RGB": Path(f"/set/{name}/x.jpg")}) for name in ("alice", "bob")]
    assert relative_names(windows) == relative_names(posix) == ["alice/x.jpg", "bob/x.jpg"]
    for samples in (windows, posix):
        assert found_sample(samples, "bob/x.jpg").position == 1
        assert found_sample(samples, r"bob\x.jpg").position == 1


def test_relative_paths_and_steps_up_are_the_same_file(tmp_path: Path, monkeypatch) -> None:
    samples = people(tmp_path)
    monkeypatch.chdir(tmp_path / "alice")
    near = [
        Sample(-1, -1, {"RGB": Path("RGB/frame_0000.jpg")}),
        Sample(-1, -1, {"RGB": Path("../bob/RGB/frame_0000.jpg")}),
    ]
    assert relative_names(near) == ["alice/RGB/frame_0000.jpg", "bob/RGB/frame_0000.jpg"]
    assert found_sample(near, relative_names(samples)[2], content_digest(samples[2])).position == 1


def test_names_that_are_no_text_and_accents_written_otherwise_are_found(tmp_path: Path) -> None:
    odd = [
        Sample(-1, -1, {"RGB": Path(os.fsdecode(b"/set/caf\xe9/x.jpg"))}),
        Sample(-1, -1, {"RGB": Path("/set/cafe\u0301/x.jpg")}),
    ]
    assert relative_names(odd) == ["caf\\udce9/x.jpg", "caf\xe9/x.jpg"]
    assert [found_sample(odd, name).position for name in relative_names(odd)] == [0, 1]


@pytest.mark.parametrize("name", [None, "", 7, ["x"], "gone", "carol/RGB/frame_0000.jpg", "ame_0000.jpg"])
def test_what_names_no_sample_is_refused(tmp_path: Path, name: object) -> None:
    with pytest.raises(DataError, match="is named"):
        found_sample(people(tmp_path), name)


def test_an_old_name_without_folder_and_ending_is_taken_where_only_one_has_it(tmp_path: Path) -> None:
    samples = people(tmp_path)
    with pytest.raises(DataError, match=r"'frame_0000' may be alice/RGB/frame_0000\.jpg, bob/RGB"):
        found_sample(samples, "frame_0000")
    assert found_sample(samples[2:], "frame_0001").position == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_has_become_a_pipe_or_a_device_is_never_read(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    sample = Sample(-1, -1, {"RGB": path})
    assert content_digest(sample) is None
    assert found_sample([sample], "a.png", "0" * 16).position == 0
