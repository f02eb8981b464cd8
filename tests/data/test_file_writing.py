"""What is written is there whole, or what was there before still is."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from support.killing import attempts, needs_fork
from support.strange_files import make_strange

from mswin_viz.data.storage import file_writing
from mswin_viz.data.storage.file_locks import locked
from mswin_viz.data.storage.file_writing import (
    is_unfinished,
    mapped_array,
    new_folder,
    replacing,
    write_bytes,
    write_json,
)
from mswin_viz.data.storage.temporary_folders import temporary_folder, write_kept_json
from mswin_viz.errors import OutputError


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_missing_folders_are_made_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a" / "b" / "file.bin", b"content")
    assert (tmp_path / "a" / "b" / "file.bin").read_bytes() == b"content"
    assert names_in(tmp_path / "a" / "b") == ["file.bin"]


def test_a_new_file_has_the_permissions_that_any_program_gives(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"")
    mode = write_bytes(tmp_path / "file", b"").stat().st_mode
    assert mode == (tmp_path / "other").stat().st_mode


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_a_replaced_file_keeps_its_permissions(tmp_path: Path) -> None:
    file = write_bytes(tmp_path / "file", b"old")
    file.chmod(0o640)
    assert stat.S_IMODE(write_bytes(file, b"new").stat().st_mode) == 0o640


def test_a_link_stays_one_and_its_file_is_replaced(tmp_path: Path) -> None:
    real = write_bytes(tmp_path / "real", b"old")
    (tmp_path / "link").symlink_to(real)
    write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert real.read_bytes() == b"new"


def test_a_home_folder_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_json(Path("~/numbers.json"), {"a": 1})
    assert (tmp_path / "numbers.json").read_text() == '{\n "a": 1\n}\n'


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="needs /dev/null")
def test_a_device_is_written_to_and_stays_a_device() -> None:
    write_bytes("/dev/null", b"content")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
@pytest.mark.parametrize("replaced", [replacing, new_folder])
@pytest.mark.parametrize("way", ["itself", "a link"])
def test_no_file_is_put_in_the_place_of_a_pipe_or_device(tmp_path: Path, replaced, way: str) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    path = pipe if way == "itself" else link
    with (
        pytest.raises(OutputError, match="is, or leads to, a device, pipe or socket; remove it"),
        replaced(path),
    ):
        pytest.fail("nothing is begun")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert link.is_symlink()
    assert {file.name for file in tmp_path.iterdir()} == {"pipe", "link"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE)
    write_bytes(tmp_path / "pipe", b"content")
    assert reader.communicate()[0] == b"content"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_pipe_that_nothing_reads_from_is_not_waited_for(tmp_path: Path, monkeypatch, kind: str) -> None:
    monkeypatch.setattr(file_writing, "_PATIENCE", 0.2)
    make_strange(tmp_path / kind, kind)
    with pytest.raises(
        OutputError, match=rf"{kind} is not \(it is a pipe or socket that nothing reads from\)"
    ):
        write_bytes(tmp_path / kind, b"content")


def write_half(file: Path, problem: BaseException) -> None:
    with replacing(file) as unfinished:
        unfinished.write_bytes(b"half")
        raise problem


def fill_half(path: Path, problem: BaseException) -> None:
    with new_folder(path) as folder:
        (folder / "new").touch()
        raise problem


UNWRITABLE = {
    "folder": "is a folder",
    "file/below": "output must be writable",
    "dangling/../file/below": "output must be writable",
    "x" * 300: "too long",
    "a\0b": "needs a valid path",
}


@pytest.mark.parametrize("name", UNWRITABLE)
def test_what_cannot_be_written_is_refused_with_its_reason(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(OutputError, match=UNWRITABLE[name]):
        write_bytes(f"{tmp_path}/{name}", b"new")
    assert names_in(tmp_path) == ["file", "folder"]
    assert (tmp_path / "file").read_bytes() == b"old"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_says_so() -> None:
    with pytest.raises(OutputError, match=r"No space left on device\); free some space"):
        write_bytes("/dev/full", b"content" * 10_000)


@pytest.mark.parametrize("problem", [OSError(28, "No space left"), KeyboardInterrupt(), ValueError("other")])
def test_an_error_on_the_way_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, problem: BaseException
) -> None:
    file = write_bytes(tmp_path / "file", b"old")
    with pytest.raises((OutputError, KeyboardInterrupt, ValueError)):
        write_half(file, problem)
    assert file.read_bytes() == b"old"
    assert names_in(tmp_path) == ["file"]


def test_a_file_that_fails_to_reach_the_disk_does_not_replace_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_bytes(tmp_path / "file", b"old")

    def failing(handle: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OutputError, match="Input/output error"):
        write_bytes(file, b"new")
    assert file.read_bytes() == b"old"
    assert names_in(tmp_path) == ["file"]


def test_a_file_larger_than_there_is_room_for_is_an_error_and_no_signal(tmp_path: Path) -> None:
    """The limit stands for a full disk: writing beyond it fails in the same way."""
    code = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "from mswin_viz.data.storage.file_writing import write_bytes\n"
        "write_bytes('file', b'x' * 1_000_000)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": os.getcwd()},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "OutputError: output must be writable: file is not (File too large)" in ended.stderr
    assert names_in(tmp_path) == []


def test_a_folder_appears_whole_in_place_of_the_old_one(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with new_folder(tmp_path / "set") as folder:
            (folder / "deep").mkdir()
            (folder / "deep" / content).write_text(content)
            assert is_unfinished(folder)
    assert names_in(tmp_path) == ["set"]
    assert names_in(tmp_path / "set" / "deep") == ["new"]


def test_an_error_while_a_folder_is_filled_leaves_the_old_one(tmp_path: Path) -> None:
    with new_folder(tmp_path / "set") as folder:
        (folder / "old").touch()
    with pytest.raises(OutputError, match="No space"):
        fill_half(tmp_path / "set", OSError(28, "No space left"))
    assert names_in(tmp_path) == ["set"]
    assert names_in(tmp_path / "set") == ["old"]


@pytest.mark.skipif(os.name == "nt", reason="mapped files cannot be deleted")
def test_arrays_mapped_from_a_replaced_folder_keep_their_values(tmp_path: Path) -> None:
    for value in (1, 2):
        with new_folder(tmp_path / "set") as folder:
            mapped_array(folder / "a.npy", (3, 5), np.float32)[:] = value
        if value == 1:
            old = np.load(tmp_path / "set" / "a.npy", mmap_mode="r")
    assert (old == 1).all()
    assert (np.load(tmp_path / "set" / "a.npy") == 2).all()


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="space cannot be reserved here")
def test_the_space_of_a_mapped_array_is_its_own(tmp_path: Path) -> None:
    array = mapped_array(tmp_path / "a.npy", (1000, 257), np.float32)
    assert (tmp_path / "a.npy").stat().st_blocks * 512 >= array.nbytes


def test_space_that_is_not_there_is_an_error_with_its_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int, start: int, length: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(OutputError, match=r"4,096,000 bytes are needed for an array\); free some space"):
        mapped_array(tmp_path / "a.npy", (1000, 1024), np.float32)


def test_a_file_system_that_cannot_reserve_is_asked_for_its_free_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(handle: int, start: int, length: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", unknown, raising=False)
    mapped_array(tmp_path / "a.npy", (10, 3), np.float32)
    with pytest.raises(OutputError, match="bytes are needed"):
        mapped_array(tmp_path / "b.npy", (2**38, 3), np.float32)


def test_a_temporary_folder_needs_room_first() -> None:
    assert temporary_folder("mswin_viz_test_").is_dir()
    with pytest.raises(OutputError, match=r"need 1,152,921,504,606,846,976 bytes.*set TMPDIR"):
        temporary_folder("mswin_viz_test_", n_bytes=2**60)


def test_only_one_writer_is_let_in(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "state.pt", busy=""),
        pytest.raises(OutputError, match="another training"),
        locked(tmp_path / "state.pt", busy="another training is at work"),
    ):
        pass
    with locked(tmp_path / "state.pt", busy=""):
        assert all(is_unfinished(path) for path in tmp_path.iterdir())


def test_a_lock_can_be_waited_for_and_ends_with_its_program(tmp_path: Path) -> None:
    code = (
        "import time\n"
        "from mswin_viz.data.storage.file_locks import locked\n"
        "with locked('state.pt', busy=''):\n"
        "    print('mine', flush=True)\n"
        "    time.sleep(60)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": os.getcwd()},
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout.readline() == b"mine\n"
    waited = []

    def waiting() -> None:
        waited.append(True)
        holder.kill()
        holder.communicate()

    with locked(tmp_path / "state.pt", busy="", waiting=waiting):
        assert waited == [True]


def test_what_a_killed_program_left_goes_after_a_day(tmp_path: Path) -> None:
    left = [tmp_path / f".file.{n}.unfinished" for n in "ab"]
    (tmp_path / ".other.c.unfinished").touch()
    for path in left:
        path.touch()
    os.utime(left[0], (time.time() - 2 * 24 * 3600,) * 2)
    write_bytes(tmp_path / "file", b"")
    assert names_in(tmp_path) == [".file.b.unfinished", ".other.c.unfinished", "file"]


@needs_fork
def test_a_program_killed_at_any_operation_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    kept, killed = [], 0
    with attempts("from mswin_viz.data.storage.file_writing import write_bytes", cwd=tmp_path) as program:
        for events in range(40):
            write_bytes(tmp_path / "file", b"old" * 1000)
            was_killed = program.run("write_bytes('file', b'new' * 50_000)", events=events)
            killed += was_killed
            kept.append((tmp_path / "file").read_bytes() in (b"old" * 1000, b"new" * 50_000))
            if not was_killed:
                break
    assert killed >= 3, "there are moments between the first operation and the last"
    assert not was_killed, "the last one is given enough"
    assert all(kept)
    assert (tmp_path / "file").read_bytes() == b"new" * 50_000


@needs_fork
def test_a_program_killed_at_any_operation_leaves_a_whole_folder_or_none(tmp_path: Path) -> None:
    """Between its two renames there is none under its name; the old one then lies beside it."""
    setup = "import numpy as np\nfrom mswin_viz.data.storage.file_writing import mapped_array, new_folder"
    fill = (
        "with new_folder('set') as folder:\n"
        "    for name in 'ab':\n"
        "        mapped_array(folder / f'{name}.npy', (70, 90), np.float32)[:] = 1\n"
    )
    killed = 0
    with attempts(setup, cwd=tmp_path) as program:
        for events in range(80):
            was_killed = program.run(fill, events=events)
            killed += was_killed
            if (tmp_path / "set").exists():
                found = {path.name: np.load(path) for path in (tmp_path / "set").iterdir()}
                assert set(found) == {"a.npy", "b.npy"}
                assert all((array == 1).all() for array in found.values())
            if not was_killed:
                break
    assert killed >= 5
    assert not was_killed


def test_the_names_of_unfinished_files_fit_where_the_name_itself_fits(tmp_path: Path) -> None:
    name = "ä" * 127
    assert write_bytes(tmp_path / name, b"x").read_bytes() == b"x"
    assert len(os.fsencode(file_writing._beside(tmp_path / name).name)) <= 255


# ---- errors of other things, locks without locks, temporary places ------------------------------

OTHERS = [
    BrokenPipeError(32, "Broken pipe"),
    OSError(12, "Cannot allocate memory"),
    FileNotFoundError(2, "a.jpg"),
]


@pytest.mark.parametrize("problem", OTHERS)
@pytest.mark.parametrize("write", [write_half, fill_half])
def test_an_error_of_the_work_is_not_taken_for_one_of_the_place(
    tmp_path: Path, write, problem: OSError
) -> None:
    with pytest.raises(type(problem)) as caught:
        write(tmp_path / "made", problem)
    assert caught.value is problem
    assert names_in(tmp_path) == []


HOLD_WITHOUT_LOCKS = """
import errno, fcntl, time, warnings
def refused(*_):
    raise OSError(errno.{name}, "no locks here")
fcntl.flock = refused
warnings.simplefilter("ignore")
from mswin_viz.data.storage.file_locks import locked
"""


@needs_fork
@pytest.mark.parametrize("name", ["ENOLCK", "ENOSYS", "EOPNOTSUPP", "EINVAL"])
def test_where_the_file_system_has_no_locks_a_file_is_one_and_a_dead_holder_no_matter(
    tmp_path: Path, name: str
) -> None:
    setup = HOLD_WITHOUT_LOCKS.format(name=name)
    hold = (
        "with locked('state.pt', busy='held'):\n    open('{mark}', 'w').close()\n    time.sleep({seconds})\n"
    )
    refused = (
        "import os\n"
        "child = os.fork()\n"
        "if not child:\n    " + hold.format(mark="held", seconds=60).replace("\n", "\n    ") + "\n"
        "while not os.path.exists('held'): time.sleep(0.01)\n"
        "try:\n    with locked('state.pt', busy='taken'): pass\n"
        "except OSError as problem:\n    open('said', 'w').write(str(problem))\n"
        "os.kill(child, 9), os.waitpid(child, 0)\n"
    )
    with attempts(setup, cwd=tmp_path) as program:
        assert not program.run(refused)
        assert (tmp_path / "said").read_text() == "taken"
        assert not program.run(hold.format(mark="again", seconds=0)), "the holder is dead"
    assert (tmp_path / "again").exists()


def no_place(*_) -> str:
    raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")


def test_without_any_place_for_temporary_files_that_is_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", no_place)
    for write in (lambda: temporary_folder("x_"), lambda: write_kept_json("a.json", 1)):
        with pytest.raises(OutputError, match=r"found none \(No usable temporary.*; set TMPDIR to one"):
            write()


def test_files_go_by_name_and_the_folder_only_when_it_is_empty(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / "set" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "set" / name).touch()
    assert file_writing.remove_named(tmp_path / "set", ["a", "missing"]) == ["b", "c"]
    assert names_in(tmp_path / "set") == ["b", "c"]
    assert file_writing.remove_named(tmp_path / "set", ["b", "c"]) == []
    assert names_in(tmp_path) == []
    assert file_writing.remove_named(tmp_path / "set", ["a"]) == []


def test_a_link_is_removed_and_what_it_points_to_stays(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    file_writing.discard(tmp_path / "link")
    assert names_in(tmp_path) == ["folder"]
    assert names_in(tmp_path / "folder") == ["file"]


@pytest.mark.parametrize("name", ["ä" * 127, "€" * 85, "a" + "ä" * 120, "𝄞" * 60])
def test_the_name_of_an_unfinished_file_is_text_where_the_name_itself_is(tmp_path: Path, name: str) -> None:
    beside = file_writing._beside(tmp_path / name).name
    assert beside.encode().decode() == beside
    assert len(beside.encode()) <= 255


def test_names_that_differ_in_bytes_that_are_no_text_have_locks_of_their_own(tmp_path: Path) -> None:
    one, other = (tmp_path / os.fsdecode(name) for name in (b"a", b"a\xff"))
    with locked(one, busy="taken"), locked(other, busy="taken"):
        assert len(names_in(tmp_path)) == 2
