"""Tags are lines at the end of a file beside the data: nothing is lost, whatever happens to the file or the folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from support.image_files import sample_files, strip_files
from support.tiny import tiny_model

import mswin_viz as mv
from mswin_viz.data.sample import Sample
from mswin_viz.data.storage.appended_lines import append_lines
from mswin_viz.data.tags.tag_events import MOST_OF_A_LINE
from mswin_viz.errors import DataError, OptionError, OutputError

pytestmark = pytest.mark.filterwarnings("ignore:not everything in")  # a sample lacks an image
WRITER = """
import sys
import mswin_viz as mv
tags = mv.open_tags(sys.argv[1])
for number in range(200):
    tags.add(sys.argv[1] + "/RGB/0000.png", f"{sys.argv[2]} {number}")
"""


@pytest.fixture
def people(tmp_path: Path) -> list[Sample]:
    return sample_files(tmp_path / "set", 4)


@pytest.fixture
def tags(people: list[Sample], tmp_path: Path) -> mv.Tags:
    return mv.open_tags(tmp_path / "set")


def lines(tags: mv.Tags) -> list[dict]:
    return [json.loads(line) for line in tags.file.read_bytes().splitlines()]


def carried(events: list[dict]) -> dict[str, set[str]]:
    """Path -> tags, by hand: the last line that names both decides."""
    found: dict[str, set[str]] = {}
    for event in events:
        own = found.setdefault(event["path"], set())
        if event["set"]:
            own.add(event["tag"])
        else:
            own.discard(event["tag"])
    return found


# ---- giving and taking away ------------------------------------------------------------------


def test_a_tag_of_a_sample_is_one_line_for_each_of_its_images(tags, people) -> None:
    tags.add(people[0], " half hidden ", note="by a car")
    assert [(one["path"], one["tag"], one["set"], one["note"]) for one in lines(tags)] == [
        (f"{modality}/0000.png", "half hidden", True, "by a car") for modality in ("RGB", "NI", "TI")
    ]
    assert tags.of(people[0]) == ("half hidden",)
    assert tags.of(people[1]) == ()


def test_a_sample_has_a_tag_if_one_of_its_images_has_it(tags, people) -> None:
    tags.add(people[1].images["TI"], "cold")
    assert tags.of(people[1]) == ("cold",)
    assert tags.of(people[1].images["RGB"]) == ()
    assert tags.counts == {"cold": 1}


def test_what_images_carry_is_what_the_last_line_about_them_says(tags, people) -> None:
    tags.add(people, "b")
    tags.remove(people[1:3], "b")
    tags.add(people[:2], "A")
    tags.add(people[2], "b")
    by_hand = carried(lines(tags))
    for sample in people:
        own = {f"{modality}/{path.name}" for modality, path in sample.images.items()}
        assert set(tags.of(sample)) == set().union(*(by_hand[path] for path in own))
    assert tags.names == ("A", "b")
    assert tags.counts == {name: sum(name in own for own in by_hand.values()) for name in ("A", "b")}
    assert len(tags.history) == len(lines(tags))


def test_an_image_that_has_a_tag_gets_no_second_line(tags, people) -> None:
    assert len(tags.add(people[0], "x")) == 3
    assert tags.add(people[0], "x") == []
    assert tags.remove(people[1], "x") == []
    assert len(lines(tags)) == 3


def test_undo_appends_the_opposite_and_can_itself_be_undone(tags, people) -> None:
    tags.add(people[0], "old")
    events = tags.add(people[:2], "old")  # the first has it already
    opposite = tags.undo(events)
    assert [tags.of(sample) for sample in people[:2]] == [("old",), ()]
    tags.undo(opposite)
    assert [tags.of(sample) for sample in people[:2]] == [("old",), ("old",)]
    assert [one["set"] for one in lines(tags)] == [True] * 6 + [False] * 3 + [True] * 3


def test_a_filter_takes_all_of_some_tags_and_none_of_others(tags, people) -> None:
    tags.add(people[:3], "a")
    tags.add(people[1:], "b")
    tags.add(people[2], "c")
    assert tags.filter(people, tagged=["a", "b"]) == people[1:3]
    assert tags.filter(people, tagged="a", without=["b", "c"]) == people[:1]
    assert tags.filter(people, tagged=["a", "b"], without="c") == people[1:2]


def test_the_table_has_a_line_for_each_image_and_tag_that_it_has(tags, people) -> None:
    tags.add(people[:2], "a", note="first")
    tags.remove(people[0], "a")
    frame = tags.to_pandas()
    assert frame["path"].tolist() == [f"{modality}/0001.png" for modality in ("RGB", "NI", "TI")]
    assert set(frame["note"]) == {"first"}
    assert pd.to_datetime(frame["time"]).dt.tz is not None


@pytest.mark.parametrize("tag", ["", "  ", "a,b", "line\nbreak", "x" * 61, "caf\udce9", 7, None])
def test_what_cannot_be_a_tag_is_refused(tags, people, tag) -> None:
    with pytest.raises(OptionError, match="a tag is 1 to 60 printable characters without a comma"):
        tags.add(people, tag)
    assert not tags.file.exists()


@pytest.mark.parametrize("images", [7, [7], {"a": 1}, b"a.png"])
def test_what_has_no_tags_is_refused(tags, images) -> None:
    with pytest.raises(OptionError, match="tags belong to samples, paths of images"):
        tags.add(images, "a")


def test_a_path_that_is_no_image_is_refused(tags, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        tags.add("RGB/9999.png", "a")
    with pytest.raises(DataError, match="it is a folder: name its images"):
        tags.add(tmp_path / "set" / "RGB", "a")


def test_paths_begin_at_the_current_folder_or_at_the_data_sets(
    tags, people, tmp_path: Path, monkeypatch
) -> None:
    tags.add("RGB/0000.png", "a")
    monkeypatch.chdir(tmp_path / "set" / "NI")
    tags.add(["0000.png", str(people[0].images["TI"])], "a")
    assert [one["path"] for one in lines(tags)] == ["RGB/0000.png", "NI/0000.png", "TI/0000.png"]


def test_of_tags_that_differ_in_case_alone_the_nearer_is_meant(tags, people) -> None:
    tags.add(people[0], "Half Hidden")
    tags.add(people[0], "half hidden")
    with pytest.raises(OptionError, match="did you mean 'half hidden'"):
        tags.filter(people, tagged="half hiddenn")
    with pytest.raises(OptionError, match="did you mean 'Half Hidden'"):
        tags.filter(people, tagged="Half Hiddenn")


def test_a_tag_that_no_image_ever_had_cannot_be_taken_away(tags, people) -> None:
    tags.add(people[0], "blurred")
    with pytest.raises(OptionError, match="did you mean 'blurred'"):
        tags.remove(people[0], "blurrred")
    assert tags.remove(people[1], "blurred") == []  # others have it
    assert len(tags.remove(people[0], "blurred")) == 3
    assert tags.remove(people[0], "blurred") == []  # one had it once


def test_a_tag_that_no_image_has_is_refused_with_those_that_there_are(tags, people) -> None:
    tags.add(people, "Half hidden")
    tags.add(people[0], "blurred")
    with pytest.raises(
        OptionError, match=r"did you mean 'Half hidden'\? there are blurred \(3\), Half hidden \(11\)"
    ):
        tags.filter(people, tagged="haff hidden")
    for wrong in (None, 3, b"blurred", [3]):
        with pytest.raises(OptionError, match="a tag is 1 to 60 printable characters"):
            tags.filter(people, tagged=wrong)
    for wrong in (None, [3]):
        with pytest.raises(OptionError, match="what is undone is a list of events"):
            tags.undo(wrong)
    with pytest.raises(OptionError, match=r"none in .* has 'zzz'; there are blurred"):
        tags.filter(people, without="zzz")


# ---- the file --------------------------------------------------------------------------------


def test_nothing_is_written_before_the_first_tag(tags) -> None:
    assert (tags.names, tags.history, tags.file.exists()) == ((), (), False)


def test_two_programs_that_append_at_once_lose_no_line(tags, people, tmp_path: Path) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "set"), name]) for name in ("a", "b")
    ]
    assert [one.wait(60) for one in started] == [0, 0]
    found = [one["tag"] for one in lines(tags)]
    for name in ("a", "b"):
        assert [one for one in found if one.startswith(name)] == [f"{name} {number}" for number in range(200)]
    assert len(found) == 400
    tags.refresh()
    assert len(tags.counts) == 400


def test_what_another_program_has_written_is_seen_when_a_tag_is_given(tags, people, tmp_path: Path) -> None:
    other = mv.open_tags(tmp_path / "set")
    other.add(people[0], "theirs")
    tags.add(people[0], "mine")
    assert tags.of(people[0]) == ("mine", "theirs")


def test_a_file_in_the_place_of_the_one_that_was_read_is_read_from_its_beginning(
    tags, people, tmp_path
) -> None:
    tags.add(people, "old")
    (tmp_path / "new").write_text('{"path": "RGB/0001.png", "tag": "new", "set": true, "time": ""}\n')
    os.replace(tmp_path / "new", tags.file)
    tags.refresh()
    assert tags.counts == {"new": 1}


def test_damaged_lines_are_named_and_skipped_and_stay_as_they_are(tags, people) -> None:
    good = [
        {
            "path": "RGB/0000.png",
            "tag": "a",
            "set": True,
            "time": "2026-01-01T00:00:00Z",
            "later": {"x": [1]},
        },
        {"path": "RGB\\0001.png", "tag": "a", "set": True, "time": "2026-01-01T00:00:00Z"},
    ]
    bad = ["[1, 2]", "{", '{"path": 3, "tag": "a", "set": true, "time": ""}', '{"tag": "a"}', "\xff",
           json.dumps(good[0] | {"set": 1}), json.dumps(good[0] | {"box": [1, 2, 3]}), json.dumps(good[0] | {"tag": "a,b"}),
           json.dumps(good[0] | {"path": "x" * MOST_OF_A_LINE}), "[" * 5000]  # fmt: skip
    content = "\n".join([json.dumps(good[0]), *bad, "", json.dumps(good[1]), '{"path": "RGB/00']).encode(
        "latin-1"
    )
    tags.file.write_bytes(content)
    with pytest.warns(
        UserWarning, match="11 lines were skipped in the tags .*: line 2 .*; line 3 .*; and 8 more"
    ) as said:
        read = mv.open_tags(tags.file)
    assert len(said) == 1
    assert [read.of(sample) for sample in people] == [("a",), ("a",), (), ()]
    assert read.history[0].more == {"later": {"x": [1]}}
    with pytest.warns(UserWarning, match="skipped in the tags"):
        read.add(people[3].images["NI"], "b")
    assert tags.file.read_bytes().startswith(content + b"\n{")
    assert read.of(people[3]) == ("b",)


@pytest.mark.parametrize(("ending", "words"), [('{"path": "RG', "line 2 was cut off"), ("", "")])
def test_a_last_line_without_its_end_is_named_unless_it_is_whole(
    tags, people, ending: str, words: str
) -> None:
    tags.add(people[0].images["RGB"], "a")
    tags.file.write_bytes(tags.file.read_bytes().rstrip() + (f"\n{ending}" if ending else "").encode())
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        read = mv.open_tags(tags.file)
    assert [words in str(one.message) for one in said] == ([True] if words else [])
    assert read.of(people[0]) == ("a",)


def test_lines_are_counted_on_behind_a_line_that_was_read_without_its_end(tags, people) -> None:
    tags.add(people[0].images["RGB"], "a")
    tags.file.write_bytes(tags.file.read_bytes().rstrip())
    read = mv.open_tags(tags.file)
    append_lines(tags.file, [b"no event"])
    with pytest.warns(UserWarning, match="1 line was skipped in the tags .*: line 2 must be JSON"):
        read.refresh()


def test_lines_that_cannot_be_written_leave_the_file_as_it_was(tags, people, monkeypatch) -> None:
    tags.add(people[0], "a")
    before, write = tags.file.read_bytes(), os.write

    def full(handle: int, content: bytes) -> int:
        write(handle, content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mswin_viz.data.storage.appended_lines.os.write", full)
    with pytest.raises(OutputError, match="No space left on device"):
        tags.add(people[1], "a")
    monkeypatch.undo()
    assert tags.file.read_bytes() == before
    assert tags.of(people[1]) == ()


def test_a_link_stays_and_what_it_leads_to_is_appended_to(tags, people, tmp_path: Path) -> None:
    (tmp_path / "real.jsonl").touch()
    tags.file.symlink_to(tmp_path / "real.jsonl")
    tags.add(people[0], "a")
    assert tags.file.is_symlink()
    assert len((tmp_path / "real.jsonl").read_bytes().splitlines()) == 3


@pytest.mark.parametrize("place", ["a folder", "a device", "a pipe"])
def test_tags_are_not_written_to_what_is_no_file(tmp_path: Path, place: str) -> None:
    file = tmp_path / "tags.jsonl"
    {
        "a folder": file.mkdir,
        "a device": lambda: file.symlink_to("/dev/null"),
        "a pipe": lambda: os.mkfifo(file),
    }[place]()
    with pytest.raises(OutputError, match="lines can be added to a file only"):
        append_lines(file, [b"{}"])


# ---- images ----------------------------------------------------------------------------------


def test_tags_are_found_where_the_data_set_was_moved_to(tags, people, tmp_path: Path) -> None:
    tags.add(people[0], "a")
    shutil.move(tmp_path / "set", tmp_path / "elsewhere")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for place in ("elsewhere", "link"):
        moved = mv.samples(tmp_path / place)
        own = mv.open_tags(tmp_path / place)
        assert [own.of(sample) for sample in moved] == [("a",), (), (), ()]
    through_link = mv.samples(tmp_path / "link")
    assert mv.open_tags(tmp_path / "elsewhere").of(through_link[0]) == ("a",)


def test_names_of_any_characters_come_back(tmp_path: Path) -> None:
    names = [b"caf\xe9.png", "ä b#xywh=1,2,3,4.png".encode(), b"line\nbreak.png"]
    files = [tmp_path / "set" / os.fsdecode(name) for name in names]
    samples = [Sample(number, 1, {"RGB": file}) for number, file in enumerate(files)]
    mv.open_tags(_made(tmp_path / "set")).add(samples[:2], "odd")
    again = mv.open_tags(tmp_path / "set")
    assert [again.of(sample) for sample in samples] == [("odd",), ("odd",), ()]
    assert again.to_pandas()["path"][0] == "caf\\udce9.png"
    again.file.read_bytes().decode("ascii")


def test_composed_and_decomposed_letters_are_one_name(tmp_path: Path) -> None:
    tags = mv.open_tags(_made(tmp_path / "set"))
    tags.add(Sample(0, 0, {"RGB": tmp_path / "set" / "é.png"}), "a")
    assert tags.of(Sample(0, 0, {"RGB": tmp_path / "set" / "e\u0301.png"})) == ("a",)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_parts_of_one_file_have_tags_of_their_own(tmp_path: Path) -> None:
    strips = strip_files(_made(tmp_path / "set"), 2)
    tags = mv.open_tags(tmp_path / "set")
    tags.add(strips[0].images["NI"], "a")
    tags.add(f"{tmp_path}/set/0001.png#xywh=0,0,30,20", "b")
    assert [one["box"] for one in lines(tags)] == [[30, 0, 60, 20], [0, 0, 30, 20]]
    assert tags.of(strips[0].images["RGB"]) == ()
    assert [tags.of(strip) for strip in strips] == [("a",), ("b",)]
    assert tags.of(strips[0].images["NI"].path) == ()


def test_a_file_that_lies_elsewhere_names_images_below_the_data_set(people, tmp_path: Path) -> None:
    tags = mv.open_tags(tmp_path / "notes" / "mine.jsonl", root=tmp_path / "set", author="Ada")
    tags.add(people[0], "a")
    assert (lines(tags)[0]["path"], lines(tags)[0]["author"]) == ("RGB/0000.png", "Ada")
    assert not (tmp_path / "set" / "tags.jsonl").exists()
    assert [one.name for one in mv.samples(tmp_path / "set", tagged="a", tags=tags.file)] == ["0000"]
    assert [one.name for one in mv.samples(tmp_path / "set", tagged="a", tags=tags)] == ["0000"]


def test_images_outside_the_data_set_have_tags_too(tags, tmp_path: Path) -> None:
    outside = Sample(0, 0, {"RGB": tmp_path / "other" / "a.png"})
    tags.add(outside, "a")
    assert lines(tags)[0]["path"] == "../other/a.png"
    assert tags.of(outside) == ("a",)


# ---- readers of data sets --------------------------------------------------------------------


@pytest.mark.parametrize("place", ["set", "set/RGBNT201", "set/RGBNT201/test"])
def test_the_file_of_tags_is_found_from_around_and_inside_the_data_set(tmp_path: Path, place: str) -> None:
    root = mv.write_samples(tmp_path / "set", identities=2, cameras=1, shots=1)
    mv.open_tags(root).add(mv.samples(root)[0], "a")
    assert (root / "tags.jsonl").exists()
    assert [sample.pid for sample in mv.samples(tmp_path / place, tagged="a")] == [1]
    assert [sample.pid for sample in mv.samples(tmp_path / place, without=["a"])] == [2]


def test_the_file_of_tags_is_no_file_that_was_left_out(tags, people) -> None:
    before = mv.scan(tags.root).left_out
    tags.add(people, "a")
    assert mv.scan(tags.root).left_out == before


def test_scan_counts_only_the_samples_that_were_asked_for(tags, people) -> None:
    tags.add(people[:3], "a")
    report = mv.scan(tags.root, tagged="a")
    assert [split.samples for split in report.splits] == [3]


def test_samples_of_no_such_tags_are_an_error(tags, people, tmp_path: Path) -> None:
    tags.add(people, "all")
    tags.add(people[0], "one")
    with pytest.raises(DataError, match=r"none of 4 samples of .* has one, but not all; ask for others"):
        mv.samples(tags.root, tagged="one", without="all")
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(DataError, match=r"a file of tags must exist: got .*folder\.jsonl, a folder; correct"):
        mv.samples(people[0].root, tagged="one", tags=tmp_path / "folder.jsonl")
    with pytest.raises(DataError, match="a file of tags must exist"):
        mv.samples(tags.root, tagged="one", tags=tmp_path / "nowhere.jsonl")
    with pytest.raises(OptionError, match="it holds no tags yet"):
        mv.samples(_one_sample(tmp_path / "other"), tagged="one")


def _one_sample(folder: Path) -> Path:
    sample_files(folder, 1)
    return folder


@pytest.mark.parametrize("place", ["a.csv", "nowhere"])
def test_a_place_of_tags_is_a_folder_or_a_file_of_lines(tmp_path: Path, place: str) -> None:
    with pytest.raises(OptionError, match=r"a folder that exists or in a file ending in \.jsonl"):
        mv.open_tags(tmp_path / place)
    for wrong in (None, 3, ""):
        with pytest.raises(OptionError, match=r"or in a file ending in \.jsonl: got .*; give its path"):
            mv.open_tags(wrong)


# ---- stores and exports ----------------------------------------------------------------------


def test_tags_of_a_store_are_those_of_its_data_set_and_exports_have_them(people, tmp_path: Path) -> None:
    store = mv.extract(people, tmp_path / "store", model=tiny_model(), workers=0, progress=False)
    without = mv.export_store(store, tmp_path / "plain", to="csv")
    tags = mv.open_tags(tmp_path / "store")
    assert tags.file == tmp_path / "set" / "tags.jsonl"
    tags.add(people[:2], "b")
    tags.add(people[0].images["NI"], "A")
    assert [sample.name for sample in mv.samples(tmp_path / "store", tagged="A")] == ["0000"]
    frame = pd.read_csv(
        mv.export_store(store, tmp_path / "csv", to="csv") / "images.csv", keep_default_na=False
    )
    by_hand = {f"{m}/000{n}.png": ["b"] for n in (0, 1) for m in ("RGB", "NI", "TI")} | {
        "NI/0000.png": ["A", "b"]
    }
    assert frame["tags"].tolist() == [", ".join(by_hand.get(path, [])) for path in frame["path"]]
    assert "tags" not in pd.read_csv(without / "images.csv")
    atlas = pq.read_table(mv.export_store(store, tmp_path / "atlas", to="atlas") / "images.parquet")
    assert atlas["tags"].to_pylist() == [by_hand.get(path, []) for path in atlas["path"].to_pylist()]
    fiftyone = json.loads(
        (mv.export_store(store, tmp_path / "51", to="fiftyone") / "samples.json").read_text()
    )
    named = {
        Path(one["filepath"]).relative_to(tmp_path / "set").as_posix(): one["tags"]
        for one in fiftyone["samples"]
    }
    assert named == {path: ["test", *by_hand.get(path, [])] for path in named}
