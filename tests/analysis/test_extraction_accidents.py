"""What may go wrong while a store is filled: it says so, opens with what was committed, and the same call goes on."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.disks import mounted_disk, remount
from support.image_files import sample_files, shard_bytes
from support.tiny import tiny_model

import mswin_viz as mv
from mswin_viz.analysis.extraction import extract as module
from mswin_viz.analysis.extraction import shard_work
from mswin_viz.data.sample import Sample
from mswin_viz.errors import OutputError, StoppedError, StoreError, WorkerError

HOW = {
    "model": tiny_model(),
    "shard_images": 6,
    "batch_size": 4,
    "workers": 0,
    "progress": False,
    "tokens": "all",
}


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    return sample_files(tmp_path / "set")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted_disk(tmp_path / "disk", "44k") as place:
        yield place


def assert_it_goes_on(samples: list[Sample], store: Path, *, n_shards: int = 4) -> None:
    """What was committed is whole, and the same call ends with the bytes of a run that nothing disturbed."""
    opened = mv.open_store(store)
    assert len(opened.commits) < n_shards
    assert opened.verify() == []
    mv.extract(samples, store, **HOW)
    mv.extract(samples, store.parent.parent / "whole", **HOW)
    assert shard_bytes(store) == shard_bytes(store.parent.parent / "whole")
    assert not list(store.rglob("*.unfinished"))


def test_a_full_disk_is_said_and_the_store_goes_on_once_there_is_space(samples, small_disk) -> None:
    store = small_disk / "store"
    with pytest.raises(OutputError, match="No space left on device") as caught:
        mv.extract(samples, store, **HOW)
    assert "\n" not in str(caught.value)
    assert mv.open_store(store).commits
    assert not list(store.rglob("*.unfinished"))
    remount(small_disk, "size=1m")
    assert_it_goes_on(samples, store)


def test_space_for_tokens_is_reserved_before_the_tower_works(samples, small_disk, monkeypatch) -> None:
    (small_disk / "other").write_bytes(bytes(36_000))
    options = HOW | {"token_dtype": "float32", "shard_images": 100}
    with pytest.raises(OutputError, match=r"19 images need about [\d,]+ bytes: .*disk.* has [\d,]+ free"):
        mv.extract(samples, small_disk / "store", **options)
    monkeypatch.setattr(module, "check_space", lambda *_: None)  # the disk fills up after it was looked at
    monkeypatch.setattr(shard_work, "tower_pass", lambda *_: pytest.fail("the tower worked"))
    with pytest.raises(OutputError, match=r"No space left on device: 9,120 bytes are needed for tokens"):
        mv.extract(samples, small_disk / "store", **options)
    assert mv.open_store(small_disk / "store").n_rows == 0


def test_a_folder_that_takes_nothing_is_said(samples, small_disk, tmp_path) -> None:
    remount(small_disk, "ro")
    with pytest.raises(OutputError, match="Read-only file system"):
        mv.extract(samples, small_disk / "store", **HOW)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=r"file.*(Not a directory|exists)"):
        mv.extract(samples, tmp_path / "file", **HOW)


def test_a_process_that_is_killed_is_said_and_the_store_goes_on(samples, tmp_path) -> None:
    killed: list[int] = []

    def kill_once(at: mv.Progress) -> None:
        workers = [p for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())]
        if not killed:
            killed.append(workers[0].pid)
            workers[0].kill()
            workers[0].wait()

    many = sample_files(tmp_path / "many", 20)
    store = tmp_path / "stores" / "store"
    with pytest.raises(WorkerError, match="one of 1 worker processes was killed"):
        mv.extract(many, store, report=kill_once, **(HOW | {"workers": 1}))
    assert killed
    assert_it_goes_on(many, store, n_shards=10)


def test_images_that_vanish_between_two_runs_have_rows_that_say_so(samples, tmp_path) -> None:
    steps = iter([False] * 4 + [True] * 9)
    with pytest.raises(StoppedError):
        mv.extract(samples, tmp_path / "store", stop=lambda: next(steps), **HOW)
    assert mv.open_store(tmp_path / "store").commits[0].shard == 0
    for sample in (samples[0], samples[-1]):  # the first one is done already
        sample.images["RGB"].unlink()
    store = mv.extract(samples, tmp_path / "store", **HOW)
    failed = store.failed.to_pylist()
    assert [row["path"] for row in failed] == ["RGB/0006.png"]
    assert "No such file" in failed[0]["reason"]
    assert store.n_rows == 19


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.timeout(60)
def test_a_pipe_a_loop_of_links_and_an_empty_file_are_rows_that_failed(samples, tmp_path) -> None:
    pipe, loop, empty, folder = (samples[number].images["NI"] for number in range(4))
    for file in (pipe, loop, empty, folder):
        file.unlink()
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    empty.write_bytes(b"")
    folder.mkdir()
    store = mv.extract(samples, tmp_path / "store", **HOW)
    reasons = [row["reason"] for row in store.failed.to_pylist()]
    words = ("a pipe", "symbolic links", "it is empty", "a folder")
    assert len(reasons) == 4
    assert all(word in reason for word, reason in zip(words, reasons, strict=True)), reasons
    assert mv.extract(samples, tmp_path / "store", **HOW).n_rows == 19


@pytest.mark.parametrize(
    "content", [b"", b'{"shard": 1', b"\0" * 300, b'{"shard": 1}\n'], ids=["none", "half", "zeros", "other"]
)
def test_a_commit_that_is_damaged_is_named_with_what_to_do(samples, tmp_path, content) -> None:
    store = tmp_path / "stores" / "store"
    mv.extract(samples, store, **HOW)
    commit = store / "commits" / "part-00001.json"
    commit.write_bytes(content)
    for call in (lambda: mv.open_store(store), lambda: mv.extract(samples, store, **HOW)):
        with pytest.raises(StoreError, match=r"part-00001\.json.*delete it, and extract again") as caught:
            call()
        assert "\n" not in str(caught.value)
    commit.unlink()
    assert_it_goes_on(samples, store)


def test_a_manifest_that_became_a_folder_is_named_with_what_to_do(samples, tmp_path) -> None:
    store = tmp_path / "stores" / "store"
    opened = mv.extract(samples, store, **HOW)
    manifest = store / "manifest" / "part-00001.parquet"
    manifest.unlink()
    manifest.mkdir()
    assert [str(manifest) in words for words in opened.verify()] == [True]
    for read in (lambda: mv.open_store(store).features("plain"), lambda: mv.open_store(store).column("id")):
        with pytest.raises(
            StoreError, match=r"part-00001\.parquet.*delete .*part-00001\.json and extract again"
        ):
            read()
    (store / "commits" / "part-00001.json").unlink()
    with pytest.raises(OutputError, match=r"a file cannot replace a folder: .*part-00001\.parquet"):
        mv.extract(samples, store, **HOW)
    manifest.rmdir()
    assert_it_goes_on(samples, store)


def test_a_store_of_a_later_version_is_refused_and_stays_as_it_is(samples, tmp_path) -> None:
    mv.extract(samples, tmp_path / "store", **HOW)
    file = tmp_path / "store" / "store.json"
    later = json.loads(file.read_text()) | {"format": 2, "package": "9.8"}
    file.write_text(json.dumps(later))
    before = shard_bytes(tmp_path / "store")
    calls = (
        lambda: mv.open_store(tmp_path / "store"),
        lambda: mv.extract(samples, tmp_path / "store", **HOW),
    )
    for call in calls:
        with pytest.raises(StoreError, match=r"is of format 2, written by mswin-viz 9\.8; update mswin-viz"):
            call()
    assert json.loads(file.read_text()) == later
    assert shard_bytes(tmp_path / "store") == before


def test_a_store_that_is_moved_while_it_is_filled_loses_nothing(samples, tmp_path) -> None:
    store, moved = tmp_path / "stores" / "store", tmp_path / "stores" / "moved"

    def move_once(at: mv.Progress) -> None:
        if not moved.exists() and list(store.glob("commits/part-*.json")):
            store.rename(moved)

    with pytest.raises((OutputError, StoreError)) as caught:
        mv.extract(samples, store, report=move_once, **HOW)
    assert str(store) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert_it_goes_on(samples, moved)
    mv.extract(samples, store, **HOW)  # what was written to the old place goes on there
    assert shard_bytes(store) == shard_bytes(moved)


def test_a_clock_that_goes_back_changes_nothing(samples, tmp_path, monkeypatch) -> None:
    hours = itertools.count(500_000, -7)
    mv.extract(samples, tmp_path / "whole", **HOW)
    monkeypatch.setattr("time.time", lambda: 3600.0 * next(hours))
    monkeypatch.setattr("tqdm.std.time", lambda: 3600.0 * next(hours))
    mv.extract(samples, tmp_path / "store", **(HOW | {"progress": True}))
    assert shard_bytes(tmp_path / "store") == shard_bytes(tmp_path / "whole")


def test_of_two_programs_on_one_store_one_is_refused_or_both_end_without_a_double(samples, tmp_path) -> None:
    for file in (
        *samples[2].files,
        *samples[5].files,
    ):  # without TI: a warning would be said beside the error
        file.unlink()
    environment = os.environ | {
        "PYTHONPATH": str(Path(mv.__file__).parents[1]), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "COLUMNS": "500",
    }  # fmt: skip
    code = "from mswin_viz.cli import main; main()"
    command = [
        sys.executable,
        "-c",
        code,
        "extract",
        str(tmp_path / "set"),
        "-o",
        "store",
        "--shard-images",
        "3",
    ]
    programs = [
        subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    said = [program.communicate(timeout=300) for program in programs]
    assert sorted(program.returncode for program in programs) in ([0, 0], [0, 1])
    for program, (_, errors) in zip(programs, said, strict=True):
        if program.returncode:
            lines = [line for line in errors.splitlines() if "image/s" not in line and line.strip()]
            assert len(lines) == 1, errors
            assert "one program at a time extracts into a store" in lines[0]
    store = mv.open_store(tmp_path / "store")
    assert store.is_complete
    assert store.column("id").tolist() == list(range(15))
    assert store.verify() == []
