"""Samples that an interrupted program left are finished; pictures of others are never replaced."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.killing import attempts, needs_fork

import mswin_viz as mv
from mswin_viz.data.synthetic import shipped_samples
from mswin_viz.data.synthetic.write_samples import write_samples
from mswin_viz.errors import OptionError, OutputError

SIZE = {"identities": 2, "cameras": 1, "shots": 1, "seed": 5}
PICTURE = "test/NI/000002_cam1_0_00.jpg"


def contents_of(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return contents_of(write_samples(tmp_path_factory.mktemp("whole"), **SIZE))


def half_sizes(n_bytes: int) -> tuple[int, ...]:
    return (0, 1, 2, 500, n_bytes // 2, n_bytes - 1)


@pytest.mark.parametrize("at", range(6))
@pytest.mark.parametrize("name", [PICTURE, "attributes.csv"])
@pytest.mark.parametrize("zeros", [False, True], ids=["cut", "zeros"])
def test_a_file_that_was_cut_is_finished_by_a_rerun(tmp_path: Path, whole, name, at, zeros) -> None:
    file = write_samples(tmp_path, **SIZE) / name
    n_bytes = half_sizes(len(whole[name]))[at]
    file.write_bytes(whole[name][:n_bytes] + b"\0" * (zeros * (len(whole[name]) - n_bytes)))
    assert contents_of(write_samples(tmp_path, **SIZE)) == whole


def test_missing_files_and_left_overs_are_finished_too(tmp_path: Path, whole) -> None:
    root = write_samples(tmp_path, **SIZE)
    (root / PICTURE).unlink()
    (root / "test" / "RGB" / ".000001_cam1_0_00.jpg.0a1b2c3d.unfinished").write_bytes(b"half")
    assert contents_of(write_samples(tmp_path, **SIZE)) == whole


def jpeg(array: np.ndarray, quality: int = 90) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "JPEG", quality=quality)
    return file.getvalue()


def of_others(content: bytes) -> dict[str, bytes]:
    picture = np.asarray(Image.open(io.BytesIO(content)))
    return {
        "another picture": jpeg(255 - picture),
        "brighter": jpeg(np.clip(picture.astype(int) + 4, 0, 255).astype(np.uint8)),
        "another size": jpeg(picture[:-8]),
        "a text": b"mine",
        "longer": content + b"more",
        "half of another": jpeg(255 - picture)[:900],
    }


@pytest.mark.parametrize("kind", of_others(jpeg(np.zeros((32, 16, 3), np.uint8))))
def test_a_picture_of_others_stays_and_is_named(tmp_path: Path, whole, kind: str) -> None:
    file = write_samples(tmp_path, **SIZE) / PICTURE
    theirs = of_others(whole[PICTURE])[kind]
    file.write_bytes(theirs)
    if kind == "longer":  # a decoder sees the same picture: it is kept as it is
        write_samples(tmp_path, **SIZE)
    else:
        with pytest.raises(
            OptionError, match=r"must not replace a different picture: .*000002_cam1_0_00\.jpg differs"
        ):
            write_samples(tmp_path, **SIZE)
    assert file.read_bytes() == theirs


def test_the_same_picture_written_by_another_library_is_kept(tmp_path: Path, whole) -> None:
    file = write_samples(tmp_path, **SIZE) / PICTURE
    again = jpeg(np.asarray(Image.open(io.BytesIO(whole[PICTURE]))), quality=95)
    assert again != whole[PICTURE]
    file.write_bytes(again)
    write_samples(tmp_path, **SIZE)
    assert file.read_bytes() == again


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, make) -> None:
    file = write_samples(tmp_path, **SIZE) / PICTURE
    file.unlink()
    make(file)
    with pytest.raises(OptionError, match="must not replace a different picture"):
        write_samples(tmp_path, **SIZE)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As from a wheel: no folder of samples beside the package; small samples; the cache in a home folder of the test."""
    monkeypatch.setattr(shipped_samples, "_CHECKOUT", tmp_path / "nowhere")
    monkeypatch.setattr("mswin_viz.data.synthetic.write_samples.SHIPPED", SIZE)
    monkeypatch.setenv("HOME", str(tmp_path))
    shipped_samples._drawn_for_this_program.cache_clear()
    return tmp_path / ".cache" / "mswin_viz" / "data_samples-2"


def test_the_cache_is_drawn_once(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(mv.samples()) == 2
    monkeypatch.setattr(
        "mswin_viz.data.synthetic.write_samples.render", lambda *_, **__: pytest.fail("drawn again")
    )
    found = mv.samples()
    assert found[0].images["RGB"].is_relative_to(installed)
    assert found[0].caption


@pytest.mark.parametrize("record", [None, b"", b"[]", b"{}", b'{"a": 1}', b"\0\0", b'{"../../x": 3}'])
@pytest.mark.parametrize("n_bytes", [0, 700, None])
def test_a_cache_of_an_earlier_version_that_was_cut_is_finished(
    installed: Path, whole, record, n_bytes
) -> None:
    mv.samples()
    picture = installed / "RGBNT201" / PICTURE
    picture.write_bytes(whole[PICTURE][:n_bytes])
    (installed / "complete").unlink()
    if record is not None:
        (installed / "complete").write_bytes(record)
    assert len(mv.samples()) == 2
    assert contents_of(installed / "RGBNT201") == whole


def test_a_cache_that_lost_a_picture_after_it_was_whole_is_finished(installed: Path, whole) -> None:
    mv.samples()
    (installed / "RGBNT201" / PICTURE).write_bytes(b"")
    (installed / "RGBNT201" / "attributes.csv").unlink()
    (installed / "RGBNT201" / "attributes.csv").write_bytes(b"")
    mv.samples()
    assert contents_of(installed / "RGBNT201") == whole


def stop_file(home: Path) -> None:
    (home / ".cache").write_bytes(b"")


def stop_full(home: Path) -> None:
    (home / ".cache").symlink_to("/proc")


def stop_loop(home: Path) -> None:
    (home / ".cache").symlink_to(".cache")


@pytest.mark.parametrize("stop", [stop_file, stop_full, stop_loop])
def test_without_a_place_for_the_cache_samples_are_temporary_and_that_is_said_once(
    installed: Path, stop
) -> None:
    stop(installed.parents[2])
    with pytest.warns(UserWarning, match="drawn into a temporary folder until this program ends: ") as said:
        found = mv.samples()
    assert len(said) == 1
    assert not found[0].images["RGB"].is_relative_to(installed.parents[2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mv.samples() == found


def test_a_home_folder_that_is_not_there_is_no_matter(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(installed / "gone"))
    with pytest.warns(UserWarning, match="there is no home folder ~"):
        assert len(mv.samples()) == 2


def test_a_disk_that_fills_while_the_cache_is_drawn_is_no_matter(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mswin_viz.data.synthetic import write_samples

    def full(path: Path, content: bytes) -> Path:
        if path.suffix == ".jpg" and path.is_relative_to(installed):
            raise OutputError("No space left on device")
        return write(path, content)

    write = write_samples.write_bytes
    monkeypatch.setattr(write_samples, "write_bytes", full)
    with pytest.warns(UserWarning, match="No space left on device"):
        assert len(mv.samples()) == 2
    monkeypatch.setattr(write_samples, "write_bytes", write)
    assert mv.samples()[0].images["RGB"].is_relative_to(installed)


def test_pictures_of_others_in_the_cache_stay_and_the_samples_are_ours(installed: Path) -> None:
    mv.samples()
    picture = installed / "RGBNT201" / PICTURE
    picture.write_bytes(b"mine")
    with pytest.warns(UserWarning, match="must not replace a different picture"):
        found = mv.samples()
    assert picture.read_bytes() == b"mine"
    assert not found[0].images["RGB"].is_relative_to(installed)


_AS_INSTALLED = (
    "from pathlib import Path\n"
    "import mswin_viz as mv\n"
    "from mswin_viz.data.synthetic import shipped_samples, write_samples\n"
    "shipped_samples._CHECKOUT = Path('nowhere')\n"
    f"write_samples.SHIPPED = {SIZE}\n"
)


def test_programs_that_begin_at_once_all_have_the_samples(tmp_path: Path, whole) -> None:
    code = _AS_INSTALLED + "print(len(mv.samples()))"
    environment = os.environ | {"HOME": str(tmp_path), "PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1"}
    programs = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code], env=environment, stdout=subprocess.PIPE
        )
        for _ in range(4)
    ]
    assert [program.communicate()[0] for program in programs] == [b"2\n"] * 4
    assert contents_of(tmp_path / ".cache" / "mswin_viz" / "data_samples-2" / "RGBNT201") == whole


def killed_and_rerun(tmp_path: Path, whole, events: list[int]) -> int:
    """How many of the programs that draw the cache were killed; after each the next one must find whole samples."""
    setup = _AS_INSTALLED + f"import os\nos.environ['HOME'] = {str(tmp_path)!r}\n"
    setup += "import mswin_viz.data.synthetic.write_samples, PIL.JpegImagePlugin\nPIL.Image.init()"
    killed = 0
    with attempts(setup, cwd=tmp_path) as program:
        for n in events:
            for file in sorted((tmp_path / ".cache").rglob("*"), reverse=True):
                file.unlink() if file.is_file() else file.rmdir()
            killed += program.run("mv.samples()", events=n)
            root = tmp_path / ".cache" / "mswin_viz" / "data_samples-2" / "RGBNT201"
            assert all(whole[name] == content for name, content in contents_of(root).items()), "no half file"
            assert not program.run("assert len(mv.samples()) == 2")
            assert contents_of(root) == whole
    return killed


@needs_fork
def test_a_cache_killed_at_any_operation_is_finished_by_the_next_program(tmp_path: Path, whole) -> None:
    assert killed_and_rerun(tmp_path, whole, list(range(3, 160, 30))) >= 3


@needs_fork
@pytest.mark.torture
def test_a_cache_killed_at_every_operation_is_finished_by_the_next_program(tmp_path: Path, whole) -> None:
    assert killed_and_rerun(tmp_path, whole, list(range(160))) >= 60
