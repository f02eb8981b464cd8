"""``mswin-viz attribute`` and ``render`` on a folder of images, with a tiny model."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ipywidgets import Widget
from PIL import Image
from support.tiny import SIZE, pictures, tiny_model
from typer.testing import CliRunner

import mswin_viz as mv
from mswin_viz import cli
from mswin_viz.analysis.attribution.target import Target

NAMES = ("left", "b/upper")
ENDINGS = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}


@pytest.fixture(scope="module")
def model() -> mv.Model:
    return tiny_model()


@pytest.fixture
def folder(tmp_path: Path, model: mv.Model, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with two images and one that is broken; the model of every command is tiny."""
    (tmp_path / "photos" / "b").mkdir(parents=True)
    for name, pixels in zip(NAMES, pictures(2), strict=True):
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{name}.png")
    (tmp_path / "photos" / "broken.png").write_bytes(b"no picture")
    monkeypatch.setattr("mswin_viz.model.loading.load_model", lambda *_, **__: model)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    Widget.close_all()


def run(line: str) -> dict:
    """What a command gives as JSON."""
    done = CliRunner().invoke(cli.app, [*shlex.split(line), "--json"])
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def refused(line: str) -> str:
    done = CliRunner().invoke(cli.app, shlex.split(line))
    assert isinstance(done.exception, mv.MswinVizError), (done.exception, done.output)
    return str(done.exception)


@pytest.mark.parametrize("kind", ["png", "pdf"])
def test_attribute_writes_a_figure_of_each_image_and_leaves_out_a_broken_one(kind: str, folder: Path) -> None:
    found = run(f"attribute photos --out maps --method gradient_x_input --format {kind}")
    files = [Path(file) for image in found["images"] for file in image["files"]]
    assert {file.name for file in files} == {f"{name}_attributions.{kind}" for name in ("left", "b_upper")}
    assert all(file.read_bytes().startswith(ENDINGS[kind]) for file in files)
    assert list(found["left_out"]) == ["broken"]


@pytest.mark.parametrize("numbers", ["npz", "json"])
def test_the_numbers_that_attribute_writes_are_those_of_the_function(
    numbers: str, folder: Path, model: mv.Model
) -> None:
    run(f"attribute photos/left.png --out maps --method occlusion --numbers {numbers} --prompt 'a dog'")
    expected = mv.attribute(model, Image.open("photos/left.png"), Target.text("a dog"), method="occlusion")
    if numbers == "npz":
        with np.load("maps/left_attributions.npz") as stored:
            values, score = stored["occlusion, enhanced/values"], stored["occlusion, enhanced/score"]
    else:
        one = json.loads(Path("maps/left_attributions.json").read_text())["occlusion, enhanced"]
        values, score = np.array(one["values"]), one["score"]
        assert one["level"] == "pixels"
    np.testing.assert_allclose(values, expected.values[0], rtol=1e-6)
    np.testing.assert_allclose(score, expected.score[0], rtol=1e-6)


def test_attribute_takes_several_methods_and_both_features(folder: Path) -> None:
    line = "attribute photos/left.png --out maps --method gradient_x_input --method attention_relevance --feature both"
    found = run(f"{line} --numbers json")
    titles = json.loads(Path("maps/left_attributions.json").read_text())
    assert {f"{method}, {feature}" for method in ("gradient_x_input", "attention_relevance") for feature in ("plain", "enhanced")} <= set(titles)  # fmt: skip
    assert set(found["images"][0]["scores"]) == {"plain", "enhanced"}


def test_render_writes_a_figure_of_each_image_and_a_sheet(folder: Path) -> None:
    found = run("render photos --out heat --format pdf --sheet sheet.png --scale 3 --value norm")
    assert {Path(file).name for file in found["files"]} == {
        f"{name}_scales.pdf" for name in ("left", "b_upper")
    }
    assert all(Path(file).read_bytes().startswith(b"%PDF") for file in found["files"])
    assert list(found["left_out"]) == ["broken"]
    with Image.open(found["sheet"]) as sheet:
        assert sheet.size == (2 * 192 * SIZE[1] // SIZE[0], 2 * 192)


def test_the_colours_of_a_sheet_reach_over_the_values_of_all_images(folder: Path, model: mv.Model) -> None:
    found = run("render photos --sheet sheet.png --scale 4 --value norm")
    tokens = model.encode([f"photos/{name}.png" for name in NAMES])
    lengths = np.linalg.norm(mv.window_activations(tokens, model.addon, 4).values, axis=2)
    assert found["limits"][1] == pytest.approx(lengths.max(), rel=1e-5)
    assert found["files"] == []


def test_render_writes_a_page_and_figures_at_once(folder: Path) -> None:
    found = run("render photos/left.png --html page.html --out heat --prompt 'a dog' --images 1")
    assert Path(found["html"]).read_text().startswith("<!doctype html>")
    assert len(found["files"]) == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("render photos", "name a page with --html FILE"),
        ("render photos --html a.html --scale 3", "--scale would have no effect without --out or --sheet"),
        ("render photos --out heat --value nosuch", "--value is one of removal, push, share, norm, cosine"),
        ("render photos --out heat --format bmp", "bmp"),
        ("render photos --sheet a.bmp", "--sheet must end in"),
        ("render photos --out heat --modality XX", "--modality is one of RGB, NI, TI: got 'XX'"),
        ("render photos --out photos", "--out must not replace what is read"),
        ("render photos --out heat --scale 99", "1..12"),
        ("render photos/broken.png --out heat", "heatmaps need an image that can be read"),
        ("attribute photos --method nosuch", "--method is one of integrated_gradients"),
        ("attribute photos --feature nosuch", "--feature is one of plain, enhanced, both"),
        ("attribute photos --numbers csv", "--numbers is one of none, npz, json"),
        ("attribute photos --prompt ''", "prompt"),
        ("attribute photos/broken.png", "maps need an image that can be read"),
        ("attribute nosuch", "IMAGES must exist"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(line: str, words: str, folder: Path) -> None:
    assert words in refused(line)
    assert not list(folder.glob("heat/*"))
    assert not list(folder.glob("attributions/*"))
