"""Weights are written whole or not at all, in a type that holds them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from support.killing import Attempts, attempts, needs_fork

import mswin_viz as mv
from mswin_viz.errors import OptionError, OutputError
from mswin_viz.model.training.heads import window_head
from mswin_viz.model.weights.addon_files import addon_bytes, save_addon

NAMES = ("addon.pth", "addon.safetensors")


def addon(seed: int) -> torch.nn.Module:
    return window_head(6, (2, 3), seed=seed).body


def is_that_of(path: Path, seed: int) -> bool:
    state = mv.load_addon(path).state_dict()
    return all(torch.equal(value, state[key]) for key, value in addon(seed).state_dict().items())


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("folder", "is a folder; add a file name"), ("file/a.pth", "on the way to"), ("", "is empty"),
        ("a\0b", "embedded null"), ("x" * 300, "too long"), ("/dev/full", "a device or pipe"), ("~no_such_user/a", "home folder"),
        ("loop", "links form a loop"), ("/proc/a.pth", "/proc is not writable"),
    ],
)  # fmt: skip
def test_a_place_that_cannot_be_written_to_is_refused_in_our_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OutputError, match=words):
        save_addon(addon(1), path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "loop"]


@pytest.mark.parametrize(
    "dtype",
    ["float16", "torch.float16", float, 16, torch.int8, torch.bool, torch.complex64, torch.float8_e4m3fn],
)
def test_a_type_that_is_none_for_weights_is_refused(tmp_path: Path, dtype: object) -> None:
    with pytest.raises(
        OptionError, match=r"dtype is one of torch\.float16, .*, or None for the module's own: got "
    ):
        mv.save_addon(addon(1), tmp_path / "a.pth", dtype=dtype)
    assert not list(tmp_path.iterdir())


def test_a_type_too_narrow_for_a_weight_is_refused_and_a_wider_one_taken(tmp_path: Path) -> None:
    large = addon(1)
    with torch.no_grad():
        large.multi_scale_window.fusion[0].bias[2] = -1e5
    with pytest.raises(
        OptionError, match=r"fusion\.0\.bias has values up to 1e\+05, too large for torch\.float16"
    ):
        mv.save_addon(large, tmp_path / "a.pth", dtype=torch.float16)
    mv.save_addon(large, tmp_path / "a.pth", dtype=torch.bfloat16)
    assert mv.load_addon(tmp_path / "a.pth").multi_scale_window.fusion[0].bias[2].item() == pytest.approx(
        -1e5, rel=1e-2
    )


def test_the_size_of_an_addon_is_known_without_making_one() -> None:
    assert addon_bytes(6, (2, 3)) == sum(value.nbytes for value in addon(1).state_dict().values())


_SETUP = (
    "import os, resource, signal\n"
    "from mswin_viz.errors import OutputError\n"
    "from mswin_viz.model.weights.addon_files import save_addon\n"
    "from mswin_viz.model.training.heads import window_head\n"
    "new = window_head({dim}, {scales}, seed=2).body\n"
    "save_addon(new, 'warm.pth'), save_addon(new, 'warm.safetensors')"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("killed")


@pytest.fixture(scope="module")
def program(folder: Path) -> Iterator[Attempts]:
    with attempts(_SETUP.format(dim=6, scales=(2, 3)), cwd=folder) as program:
        yield program


@needs_fork
@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_is_an_error_and_the_old_weights_stay(folder: Path, program: Attempts, name: str) -> None:
    """A limit on the size of files stands for the disk: writing beyond it fails in the same way."""
    save_addon(addon(1), folder / name)
    code = (
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        f"    save_addon(new, {name!r})\n"
        "except OutputError:\n"
        "    os._exit(0)\n"
        "os._exit(3)"
    )
    assert not program.run(code)
    assert is_that_of(folder / name, 1)
    assert not list(folder.glob("*unfinished"))


def killed_while_replacing(folder: Path, program: Attempts, name: str, moments: range) -> tuple[int, int]:
    """Programs that were killed, and those after which the file was the old one or the new one and a rerun worked."""
    killed = right = 0
    for events in moments:
        save_addon(addon(1), folder / name)
        killed += program.run(f"save_addon(new, {name!r})", events=events)
        was_whole = is_that_of(folder / name, 1) or is_that_of(folder / name, 2)
        program.run(f"save_addon(new, {name!r})")
        right += was_whole and is_that_of(folder / name, 2)
    return killed, right


@needs_fork
@pytest.mark.parametrize("name", NAMES)
def test_a_program_killed_while_it_replaces_weights_leaves_the_old_or_the_new(
    folder: Path, program: Attempts, name: str
) -> None:
    killed, right = killed_while_replacing(folder, program, name, range(16))
    assert killed >= 5
    assert right == 16


@needs_fork
@pytest.mark.torture
@pytest.mark.parametrize("name", NAMES)
def test_a_program_killed_after_any_time_leaves_the_old_or_the_new(tmp_path: Path, name: str) -> None:
    old, new = (window_head(256, (4, 8, 16), seed=seed).body for seed in (1, 2))
    weights = [some.multi_scale_window.fusion[0].weight for some in (old, new)]
    killed = 0
    with attempts(_SETUP.format(dim=256, scales=(4, 8, 16)), cwd=tmp_path) as program:
        for n in range(60):
            save_addon(old, tmp_path / name)
            killed += program.run(f"save_addon(new, {name!r})", seconds=0.002 * n)
            left = mv.load_addon(tmp_path / name).multi_scale_window.fusion[0].weight
            assert any(torch.equal(left, weight) for weight in weights)
            assert not program.run(f"save_addon(new, {name!r})")
    assert killed >= 10
