"""Tags on the command line: given and taken away by ``tag``, and a filter of every command that reads images."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from support.tiny import tiny_model
from typer.testing import CliRunner

import mswin_viz as mv
from mswin_viz import cli
from mswin_viz.cli.app import COMMANDS, READ_IMAGES
from mswin_viz.cli.tag_options import TAG_OPTIONS, tag_choice
from mswin_viz.data.store.stored_images import StoredImages
from mswin_viz.errors import DataError, OptionError

GROUP = typer.main.get_command(cli.app)
READING = {"[IMAGES]", "ROOT", "STORE", "PATH"}
"""What arguments and options are called that stand for images or a store to read."""
NO_IMAGES = {
    "lab": "opens JupyterLab",
    "demo": "opens JupyterLab",
    "samples": "draws people",
    "tag": "writes the tags",
    "evaluate": "measures on drawn people",
    "controls": "measures on drawn people",
    "train-embedded": "trains on drawn people",
}
"""Commands that take no tags -> why."""
LINES = {
    "doctor": "doctor --data {set}",
    "extract": "extract {set} --dry-run --workers 0",
    "export": "export {store} --to csv --out {out}",
    "train": "train --data {set} --out {out}/a.pth --steps 1 --validation 0",
    "ablate": "ablate --data {set} --steps 1 --seeds 1",
    "occlude": "occlude --data {set} --out {out}.csv",
    "attribute": "attribute {set} --out {out}",
    "render": "render {set} --out {out}",
    "rank": "rank {set} --out {out}",
    "find": "find {set} --what outliers --out {out}",
}
"""Command -> a line that reads the data set."""


def run(line: str) -> tuple[int, str]:
    """Exit code and standard output; errors come out."""
    done = CliRunner().invoke(cli.app, shlex.split(line))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four drawn people, of which the first two are tagged."""
    root = mv.write_samples(tmp_path_factory.mktemp("people") / "set", identities=4, cameras=1, shots=1)
    samples = mv.samples(root)
    tags = mv.open_tags(root)
    tags.add(samples[:2], "half hidden")
    tags.add(samples[1], "blurred")
    return root


@pytest.fixture(scope="module")
def store(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored") / "store"
    mv.extract(mv.samples(people), folder, model=tiny_model(), tokens="none", workers=0, progress=False)
    return folder


class Read(Exception):
    """What a command was about to work on."""


@pytest.fixture
def read_by(people: Path, store: Path, tmp_path: Path, monkeypatch) -> Callable[[str, str], list[int]]:
    """Command and options -> the identities that it reads; it goes no further."""
    from mswin_viz.data.sets import layouts

    scan, rows = layouts.scan, StoredImages.rows

    def scanned(*given, **options):
        raise Read([sample.pid for sample in scan(*given, **options).samples])

    def chosen(self, places):
        raise Read([sample.pid for sample in rows(self, places)])

    def identities(name: str, options: str) -> list[int]:
        monkeypatch.setattr(layouts, "scan", scanned)
        monkeypatch.setattr(StoredImages, "rows", chosen)
        with pytest.raises(Read) as read:
            run(f"{LINES[name].format(set=people, store=store, out=tmp_path / 'out')} {options}")
        return read.value.args[0]

    return identities


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_reads_images_takes_tags(name: str) -> None:
    command = GROUP.commands[name]
    reads = {one.metavar for one in command.params if one.name not in TAG_OPTIONS} & READING
    assert bool(reads) == (name not in NO_IMAGES) or name == "tag"
    assert (name in READ_IMAGES) == (name not in NO_IMAGES)
    assert (set(TAG_OPTIONS) <= {one.name for one in command.params}) == (name in READ_IMAGES)
    assert set(LINES) == set(READ_IMAGES)


@pytest.mark.parametrize("name", READ_IMAGES)
@pytest.mark.parametrize(
    ("options", "pids"),
    [
        ("--tagged 'half hidden'", [1, 2]),
        ("--tagged 'half hidden' --tagged blurred", [2]),
        ("--tagged 'half hidden' --without blurred", [1]),
        ("--without blurred", [1, 3, 4]),
    ],
)
def test_a_command_reads_the_samples_with_all_of_some_tags_and_none_of_others(
    name: str, options: str, pids: list[int], read_by
) -> None:
    assert read_by(name, options) == pids


@pytest.mark.parametrize("name", READ_IMAGES)
def test_a_command_reads_tags_from_a_file_elsewhere(name: str, people: Path, tmp_path: Path, read_by) -> None:
    mv.open_tags(tmp_path / "mine.jsonl", root=people).add(mv.samples(people)[3], "mine")
    assert read_by(name, f"--tagged mine --tags {tmp_path / 'mine.jsonl'}") == [4]


@pytest.mark.parametrize("name", READ_IMAGES)
def test_a_tag_that_no_image_has_ends_a_command_with_those_that_there_are(
    name: str, people: Path, store: Path, tmp_path: Path
) -> None:
    line = LINES[name].format(set=people, store=store, out=tmp_path / "out")
    with pytest.raises(
        OptionError, match=r"did you mean 'half hidden'\? there are blurred \(3\), half hidden \(6\)"
    ):
        run(f"{line} --tagged 'haff hidden'")
    with pytest.raises(DataError, match="--tags must exist"):
        run(f"{line} --tagged blurred --tags {tmp_path / 'nowhere.jsonl'}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("line", ["doctor", "train --out a.pth", "ablate"])
def test_tags_without_a_data_set_are_refused(line: str) -> None:
    with pytest.raises(OptionError, match="--tagged, --without would have no effect without --data"):
        run(f"{line} --tagged a --without b")


def test_tags_of_one_command_are_forgotten_by_the_next(people: Path) -> None:
    run(f"doctor --data {people} --tagged blurred --json")
    assert tag_choice() == {}


def test_export_writes_the_rows_that_were_asked_for(people: Path, store: Path, tmp_path: Path) -> None:
    _, out = run(f"export {store} --to csv --out {tmp_path / 'out'} --tagged blurred --json")
    assert json.loads(out)["n_images"] == 3
    lines = (tmp_path / "out" / "images.csv").read_text().splitlines()
    assert all("blurred, half hidden" in line for line in lines[1:])


# ---- the command that writes them ------------------------------------------------------------


def test_tags_are_given_listed_and_taken_away(people: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    first, second = "test/RGB/000001_cam1_0_00.jpg", "test/NI/000002_cam1_0_00.jpg"
    assert run(f"tag {people} --add seen {first} {people / second} --tags {file} --note 'by a car' --author Ada") == (
        0, f"2 images tagged 'seen' in {file}\n",
    )  # fmt: skip
    assert [json.loads(line)["author"] for line in file.read_text().splitlines()] == ["Ada", "Ada"]
    assert json.loads(run(f"tag {people} --remove seen {first} --tags {file} --json")[1]) == {
        "file": str(file), "tag": "seen", "images": 1,
    }  # fmt: skip
    assert run(f"tag {people} --list --tags {file}") == (0, "seen  1\n")
    assert json.loads(run(f"tag {people} --list --json")[1])["tags"] == {"blurred": 3, "half hidden": 6}
    assert [one.pid for one in mv.samples(people, tagged="seen", tags=file)] == [2]


def test_a_store_stands_for_its_data_set(people: Path, store: Path) -> None:
    assert json.loads(run(f"tag {store} --list --json")[1])["file"] == str(people / "tags.jsonl")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("", "tag takes one of --add TAG, --remove TAG and --list: got none"),
        ("--list --add a x.jpg", "got --add and --list"),
        ("--add a", "--add needs images: name at least one PATH"),
        ("--list x.jpg", "would have no effect with --list"),
        ("--list --note a", "--note would have no effect with --list"),
        ("--add a,b test/RGB/000001_cam1_0_00.jpg", "without a comma"),
    ],
)
def test_a_wrong_line_is_refused(people: Path, options: str, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        run(f"tag {people} {options}")


def test_a_path_that_is_no_image_is_refused(people: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        run(f"tag {people} --add a nowhere.jpg")
