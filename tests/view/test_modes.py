"""Controls without an effect are disabled, a pair has two images, and files come by path, upload and back."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.tiny import pictures, tiny_model

import mswin_viz as mv
from mswin_viz.data.sample import Sample
from mswin_viz.errors import DataError
from mswin_viz.view.widgets.upload import stored

MODEL = tiny_model()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people of the test")
    for at, picture in enumerate(pictures(4)):
        Image.fromarray(np.roll(picture, at, axis=1)).save(folder / f"p{at}.png")
    return folder


@pytest.fixture
def explorer(folder: Path) -> Iterator[mv.ScaleExplorer]:
    samples = [Sample(at, at, {"RGB": folder / f"p{at}.png"}) for at in range(3)]
    made = mv.ScaleExplorer(MODEL, samples, prompt="a person")
    yield made
    made.close()


def values(explorer: mv.ScaleExplorer) -> list[np.ndarray]:
    view = explorer.view
    return [panel.values for panel in view.panels] + [view.cosine.score]


OTHER = {"scale": 3, "kernel": "mean", "tile_rows": 2, "tile_cols": 1, "target": "own", "channel": 2}


@pytest.mark.parametrize(
    ("windows", "rows", "value", "target"),
    list(itertools.product(["runs", "tiles"], ["one", "pair"], ["share", "channel"], ["text", "channel"])),
)
def test_a_control_is_disabled_only_where_it_changes_no_number(
    explorer, windows, rows, value, target
) -> None:
    c = explorer.controls
    c.windows.value, c.rows.value, c.value.value, c.target.value = windows, rows, value, target
    for name, other in OTHER.items():
        control = getattr(c, name)
        before, was = values(explorer), control.value
        assert was != other
        control.value = other
        same = all(
            np.array_equal(a, b, equal_nan=True) for a, b in zip(before, values(explorer), strict=True)
        )
        if name != "target" or not control.disabled:
            control.value = was
        assert same or not control.disabled, f"{name} is disabled and has an effect"
        if name in ("scale", "tile_rows"):
            assert same == control.disabled, f"{name} has no effect and is not disabled"
        control.value = was


def test_only_windows_that_can_be_inspected_are_pinned(explorer) -> None:
    pinnable = explorer.board.pinnable
    assert "free" in pinnable
    assert {f"scale-{scale}" for scale in MODEL.addon.scales} <= set(pinnable)
    assert {"fused", "plain"} <= set(pinnable)
    assert "cls" not in pinnable
    for key in pinnable:
        explorer.board.pinned = {"key": key, "row": 0, "window": 0}
        assert "share" in explorer._html["inspection"].value, key


def test_a_pair_begins_with_two_different_images(explorer) -> None:
    for selected in (0, 1, 2):
        explorer.controls.rows.value = "one"
        explorer.strip.selected = explorer.strip.second = selected
        explorer.controls.rows.value = "pair"
        assert explorer.strip.second != selected
        assert len({sample.name for sample in explorer.result.samples}) == 2
    explorer.strip.second = explorer.strip.selected  # who wants the same image twice gets it
    assert len({sample.name for sample in explorer.result.samples}) == 1


def test_a_state_with_the_same_image_twice_comes_back_as_it_was(explorer) -> None:
    explorer.controls.rows.value = "pair"
    explorer.strip.second = explorer.strip.selected
    again = mv.ScaleExplorer.from_state(MODEL, explorer._samples, explorer.state)
    assert again.strip.second == again.strip.selected
    again.close()


def test_back_to_the_samples(explorer, folder: Path) -> None:
    names = [sample.name for sample in explorer._samples]
    assert explorer.bar.back.disabled
    explorer.bar.path.value = f" '{folder / 'p3.png'}' "
    assert [sample.name for sample in explorer._samples] == ["p3"]
    assert not explorer.bar.back.disabled
    explorer.bar.back.click()
    assert [sample.name for sample in explorer._samples] == names
    assert explorer.bar.back.disabled
    assert explorer.bar.path.value == ""
    assert explorer.board.answered == explorer.controls.asked
    explorer.bar.path.value = str(folder / "p3.png")  # the same path again is a change again
    assert [sample.name for sample in explorer._samples] == ["p3"]


def test_what_cannot_be_read_is_forgotten_with_its_picture(explorer, folder: Path, tmp_path: Path) -> None:
    for sample in explorer._samples:
        explorer._kept.picture(sample.images["RGB"])
    (tmp_path / "cut.png").write_bytes((folder / "p0.png").read_bytes()[:70])
    explorer.bar.path.value = str(tmp_path / "cut.png")
    explorer._background._worker.thread.join(60)
    assert "cannot be read" in explorer._html["message"].value
    assert "1 image cannot be read" in explorer.strip.status
    explorer.bar.back.click()
    explorer._background._worker.thread.join(60)
    assert explorer._html["message"].value == ""
    assert explorer.strip.status == ""


def upload(explorer: mv.ScaleExplorer, files: dict[str, bytes]) -> None:
    content = {"kind": "files", "names": list(files)}
    explorer.bar.upload._handle_custom_msg(content, [memoryview(data) for data in files.values()])


def test_uploaded_files_are_opened(explorer, folder: Path) -> None:
    data = (folder / "p2.png").read_bytes()
    upload(explorer, {"b.png": data, "a.png": (folder / "p1.png").read_bytes()})
    assert [sample.name for sample in explorer._samples] == ["a", "b"]
    assert explorer._samples[1].images["RGB"].read_bytes() == data
    assert explorer.board.answered == explorer.controls.asked


@pytest.mark.parametrize(
    "name", ["../../x.png", "/etc/x.png", "..\\..\\x.png", "C:\\x.png", "a/../x.png", "x.png\0"]
)
def test_an_uploaded_name_leads_nowhere_else(name: str) -> None:
    folder = stored([name, "x.png"], [b"1", b"2"])
    assert sorted(path.name for path in folder.rglob("*")) == ["1 x.png", "x.png"]


@pytest.mark.parametrize(
    ("name", "ending"),
    [("é" * 240 + ".png", "é.png"), ("人" * 250 + ".jpeg", "人.jpeg"), ("a" * 250 + ".png", "a.png"), ("x\ud800.png", "x_.png"),
     ("x." + "é" * 240, "é"), ("x\udce9" * 120 + ".png", ".png")],
)  # fmt: skip
def test_an_uploaded_name_that_only_other_systems_allow_is_changed_to_one_that_is_allowed_here(
    name: str, ending: str
) -> None:
    folder = stored([name, name], [b"1", b"2"])
    assert {path.read_bytes() for path in folder.iterdir()} == {b"1", b"2"}
    assert all(path.name.endswith(ending) for path in folder.iterdir())


@pytest.mark.parametrize(
    ("names", "contents"), [([], []), (["a"], []), (["a"], [b""]), ([".."], [b"1"]), (["/"], [b"1"])]
)
def test_an_upload_without_names_or_content_is_refused(names, contents) -> None:
    with pytest.raises(DataError, match="an upload needs"):
        stored(names, contents)


def test_an_upload_that_is_no_picture_is_said_and_the_view_stays(explorer) -> None:
    before = explorer.result
    upload(explorer, {"notes.txt": b"no picture"})
    assert "Error" in explorer._html["message"].value
    upload(explorer, {})
    assert explorer.result is before
