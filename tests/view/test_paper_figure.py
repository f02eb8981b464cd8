"""The figure of a paper: its numbers are those of the functions that compute them; its file has text and no page of pixels."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import zlib
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text
from support.tiny import DIM, SIZE, tiny_model, two_modalities
from typer.testing import CliRunner

import mswin_viz as mv
from mswin_viz import cli
from mswin_viz.errors import DataError, OptionError, StoppedError

MODALITIES = ("RGB", "NI")
COLUMNS = ("image", "plain", "enhanced", "windows 4", "gradient_x_input", "rollout")


@pytest.fixture(scope="module")
def model() -> mv.Model:
    return tiny_model()


@pytest.fixture(scope="module")
def samples(tmp_path_factory) -> list[mv.Sample]:
    """Three samples; the second has no NI, the third's RGB is broken."""
    found = two_modalities(tmp_path_factory.mktemp("people"), 3, n_people=3)
    found[1] = dataclasses.replace(found[1], images={"RGB": found[1].images["RGB"]})
    found[2].images["RGB"].write_bytes(b"no picture")
    return found


@pytest.fixture(scope="module")
def figure(model, samples):
    return mv.paper_figure(model, samples, columns=COLUMNS, modalities=MODALITIES, width=8)


def cell(figure, row: int, group: int, column: int):
    return next(axis for axis in figure.axes if axis.get_gid() == f"cell {row} {group} {column}")


def numbers(axis) -> np.ndarray:
    return np.asarray(axis.images[-1].get_array())


def by_hand(model, file, name: str) -> np.ndarray:
    """The map of one image and column, from the functions that the documents name."""
    tokens = model.encode(file)
    own = mv.Target.image(tokens.cls)
    if name in ("plain", "enhanced"):
        v = tokens.cls.numpy()
        return mv.cls_by_patch(model, file, v, feature=name).cosine().patches[0].reshape(model.grid)
    if name.startswith("windows"):
        shares = mv.decompose(tokens, model.addon, tokens.cls.numpy()[0]).cosine().windows[4][0]
        return np.array([shares[token // 4] / 4 for token in range(12)]).reshape(model.grid)
    method = {"rollout": "attention_rollout"}.get(name, name)
    level = "tokens" if name == "rollout" else "pixels"
    found = mv.attribute(model, file, own, method=method, level=level, progress=False).values[0]
    if level == "tokens":
        return found.reshape(model.grid)
    summed = np.zeros(model.grid)
    for down in range(SIZE[0]):
        for across in range(SIZE[1]):
            summed[down // 8, across // 8] += found[down, across]
    return summed


@pytest.mark.parametrize("name", COLUMNS[1:])
def test_the_numbers_of_a_cell_are_those_of_the_function(model, samples, figure, name):
    for row, group, modality in ((0, 0, "RGB"), (1, 0, "RGB"), (2, 1, "NI")):
        shown = numbers(cell(figure, row, group, COLUMNS.index(name)))
        wanted = by_hand(model, samples[row].images[modality], name)
        np.testing.assert_allclose(shown, wanted, rtol=1e-4, atol=1e-6)


def test_columns_of_one_unit_have_one_scale_about_zero_and_others_their_own(figure):
    limits = {name: set() for name in COLUMNS[1:]}
    largest = 0.0
    for axis in figure.axes:
        if (axis.get_gid() or "").startswith("cell") and len(axis.images) == 2:
            name = COLUMNS[int(axis.get_gid().split()[-1])]
            limits[name].add(axis.images[-1].get_clim())
            largest = max(largest, np.abs(numbers(axis)).max() if name != "rollout" else 0)
    of_the_score = set().union(*(limits[name] for name in COLUMNS[1:5]))
    assert of_the_score == {(-largest, largest)}
    assert len(limits["rollout"]) == 1
    assert limits["rollout"] != of_the_score
    bars = [axis for axis in figure.axes if (axis.get_gid() or "").startswith("bar")]
    words = [" ".join(bar.get_xlabel().split()) for bar in bars]
    assert "part of the cosine, each patch" in words[0]
    assert "Attention rollout: its own unit" in words[1]


def test_a_missing_modality_and_a_broken_file_are_empty_cells_that_say_so(figure):
    for row, group, words in ((1, 1, "no NI"), (2, 0, "RGB cannot be read")):
        for column in range(len(COLUMNS)):
            axis = cell(figure, row, group, column)
            assert not axis.images
            assert " ".join(axis.texts[0].get_text().split()) == words


def streams(pdf: bytes) -> bytes:
    """Every compressed part of a PDF, unpacked, one behind the other."""
    found = []
    for part in re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL):
        try:
            found.append(zlib.decompressobj().decompress(part))
        except zlib.error:
            continue
    return b"\n".join(found)


def test_a_pdf_has_text_in_truetype_fonts_and_only_the_pictures_as_pixels(model, samples):
    columns = ("image", "plain")
    figure = mv.paper_figure(model, samples[:1], columns=columns, modalities=MODALITIES, width="single")
    pdf = mv.figure_bytes(figure, "pdf")
    plain = pdf + streams(pdf)
    assert b"/FontFile2" in plain
    assert b"/Type3" not in plain
    assert re.search(rb"\] TJ|\) Tj", plain)
    sizes = {
        (int(high), int(wide))
        for wide, high in zip(
            re.findall(rb"/Width (\d+)", plain), re.findall(rb"/Height (\d+)", plain), strict=True
        )
    }
    assert sizes == {
        SIZE,
        model.grid,
        (1, 256),
    }  # pictures, maps and the colour bar, each at its own resolution
    assert b"weights: tiny" in pdf  # the metadata
    assert b"<svg" in mv.figure_bytes(figure, "svg")


def overlaps(boxes) -> list[tuple[str, str]]:
    found = []
    for at, (name, box) in enumerate(boxes):
        for other, second in boxes[at + 1 :]:
            if box.x0 < second.x1 and second.x0 < box.x1 and box.y0 < second.y1 and second.y0 < box.y1:
                found.append((name, other))
    return found


@pytest.mark.parametrize("rows", ["images", "models", "modalities"])
@pytest.mark.parametrize("width", ["single", "double"])
def test_words_have_six_points_and_lie_over_nothing_else(model, samples, rows, width):
    models = {"first": model, "a second one": dataclasses.replace(model)}
    options = {"columns": ("plain", "enhanced"), "modalities": MODALITIES, "width": width}
    figure = mv.paper_figure(models, samples[:2], rows=rows, **options)
    figure.canvas.draw()
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    assert min(text.get_fontsize() for text in shown) >= 6
    boxes = [(text.get_text(), text.get_window_extent()) for text in figure.texts]
    boxes += [(axis.get_gid(), axis.get_window_extent()) for axis in figure.axes]
    assert overlaps(boxes) == []
    wide, high = figure.get_size_inches() * figure.dpi
    for name, box in boxes:
        assert box.x0 >= -1 and box.x1 <= wide + 1 and box.y0 >= -1 and box.y1 <= high + 1, name  # noqa: PT018
    assert wide / figure.dpi == pytest.approx({"single": 3.5, "double": 7.16}[width])


def test_rows_by_model_hold_the_same_cells_model_by_model(model, samples):
    other = dataclasses.replace(model, addon=tiny_model(seed=8).addon)
    models = {"one": model, "two": other}
    options = {"columns": ("enhanced",), "modalities": ("RGB",), "caption": False}
    by_image = mv.paper_figure(models, samples[:2], rows="images", **options)
    by_model = mv.paper_figure(models, samples[:2], rows="models", **options)
    side_by_side = mv.paper_figure(models, samples[:2], rows="modalities", **options)
    for at in range(2):
        for which in range(2):
            wanted = numbers(cell(by_image, 2 * at + which, 0, 0))
            np.testing.assert_array_equal(numbers(cell(by_model, 2 * which + at, 0, 0)), wanted)
            np.testing.assert_array_equal(numbers(cell(side_by_side, at, which, 0)), wanted)


def test_a_target_takes_the_place_of_the_own_cls(model, samples):
    v = np.random.default_rng(1).normal(size=DIM)
    options = {"columns": ("plain", "enhanced"), "modalities": ("RGB",)}
    figure = mv.paper_figure(model, samples[:2], target=mv.Target.direction(v), **options)
    for at in range(2):
        split = mv.cls_by_patch(model, samples[at].images["RGB"], v, feature="enhanced")
        np.testing.assert_allclose(
            numbers(cell(figure, at, 0, 1)).ravel(), split.patches[0], rtol=1e-4, atol=1e-6
        )
    (bar,) = (axis for axis in figure.axes if axis.get_gid() == "bar 0")
    assert bar.get_xlabel() == "part of the score, each patch"


def test_the_caption_can_be_left_out_and_the_provenance_stays_in_the_file(model, samples):
    options = {"columns": ("image",), "modalities": ("RGB",), "width": "single"}
    without = mv.paper_figure(model, samples[:1], caption=False, **options)
    assert not any("weights: tiny" in text.get_text() for text in without.texts)
    assert "weights: tiny" in without.get_label()
    assert any("weights: tiny" in t.get_text() for t in mv.paper_figure(model, samples[:1], **options).texts)


def test_names_of_any_kind_are_drawn_as_they_are(model, samples):
    odd = {"$\\frac{x": model, "人" * 300: dataclasses.replace(model)}
    figure = mv.paper_figure(odd, samples[:1], columns=("image", "plain"), modalities=("RGB",))
    assert mv.figure_bytes(figure, "pdf")[:4] == b"%PDF"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"columns": ("plane",)},
            r"a column is one of image, plain, enhanced, windows N .*gradcam.*got 'plane'",
        ),
        ({"columns": ()}, "at least one column"),
        ({"columns": ("plain", "plain")}, "none twice"),
        ({"columns": ("windows 3",)}, "2, 4, 5: got 3"),
        ({"rows": "people"}, "rows are one of images, models, modalities: got 'people'"),
        ({"modalities": ("IR",)}, "some of RGB, NI, TI"),
        ({"target": "a red top"}, r"Target\.text"),
        ({"width": "triple"}, "width is single, double, or inches"),
        ({"width": True}, "width is single"),
        ({"models": {}}, "a model, or a dictionary"),
        ({"models": "embedded"}, "a model, or a dictionary"),
        (
            {"models": {"bare": tiny_model(addon=False)}, "columns": ("plain", "enhanced")},
            r"column enhanced need.* an add-on: .*\(bare\)",
        ),
        ({"width": 1.5, "modalities": ("RGB", "NI")}, "make it .* inches wide"),
        ({"kolumns": ("plain",)}, "did you mean columns"),
    ],
)
def test_what_cannot_be_drawn_is_refused(model, samples, options, said):
    given = {"models": model, "samples": samples, "modalities": MODALITIES} | options
    with pytest.raises(OptionError, match=said):
        mv.paper_figure(**given)


def test_nothing_to_show_and_a_stop_are_errors(model, samples):
    with pytest.raises(DataError, match="no TI"):
        mv.paper_figure(model, samples, modalities=("TI",))
    with pytest.raises(DataError, match="there are no samples"):
        mv.paper_figure(model, [])
    seen = []
    with pytest.raises(StoppedError, match="after 1 of 2"):
        mv.paper_figure(
            model,
            samples[:1],
            columns=("image", "plain"),
            modalities=("RGB",),
            report=seen.append,
            stop=lambda: True,
        )
    assert seen[-1].done == 1


def shown(figure) -> list[list[int]]:
    """Row, group and column of each cell, and the cells' left and upper edges in thousandths."""
    cells = [axis for axis in figure.axes if str(axis.get_gid()).startswith("cell")]
    return [
        [
            *map(int, axis.get_gid().split()[1:]),
            *(round(1000 * edge) for edge in (axis.get_position().x0, axis.get_position().y1)),
        ]
        for axis in cells
    ]


@pytest.mark.parametrize("n_images", [1, 2, 3, 5, 8])
@pytest.mark.parametrize(
    ("n_models", "rows"), [(1, "modalities"), (2, "modalities"), (1, "images"), (3, "images")]
)
def test_the_rows_of_an_image_stay_in_one_block_and_blocks_are_centred(
    model, samples, n_images, n_models, rows
):
    several = {f"m{at}": model for at in range(n_models)}
    drawn = mv.paper_figure(
        several, [samples[0]] * n_images, rows=rows, columns=("image",), modalities=MODALITIES, width=7.16
    )
    cells = shown(drawn)
    together = len(MODALITIES) if rows == "modalities" else n_models
    block_of = {row: left for row, group, _, left, _ in cells if group == 0}
    for first in range(0, n_images * together, together):
        assert len({block_of[row] for row in range(first, first + together)}) == 1
    lefts, last = [left for *_, left, _ in cells], drawn.axes[0].get_position().width
    free = 1 - max(lefts) / 1000 - last
    assert abs(min(lefts) / 1000 - free) < 0.05  # beside the labels


def test_rows_of_equal_labels_are_numbered_and_the_names_stand_in_the_file(model, samples):
    names = [sample.name for sample in (samples[0], samples[0])]
    drawn = mv.paper_figure(model, [samples[0], samples[0]], columns=("image",), modalities=("RGB",))
    words = [text.get_text() for text in drawn.texts]
    assert {f"{at}: {samples[0].label}" for at in (1, 2)} <= set(words)
    assert f"Images: 1: {names[0]}; 2: {names[1]}" in drawn.get_label()
    assert f"mswin_viz {mv.__version__}" in drawn.get_label()
    assert "Cosine with" not in drawn.get_label()  # nothing is split


def test_what_is_shown_by_default_is_what_there_is(model, samples):
    bare = mv.paper_figure(tiny_model(addon=False), samples[1:2])
    assert [text.get_text() for text in bare.texts if text.get_text() in COLUMNS] == ["image", "plain"]
    assert len(shown(bare)) == 2  # the sample has RGB alone
    both = mv.paper_figure(model, samples[:1])
    assert len(shown(both)) == 2 * 3


def test_too_many_rows_for_a_page_are_refused_for_that_reason(model, samples):
    with pytest.raises(OptionError, match=r"a page is 9\.4 inches high.*rows below one another"):
        mv.paper_figure(
            model, [samples[0]] * 40, columns=("image", "plain", "enhanced"), modalities=MODALITIES, width=4
        )


def test_render_makes_it_of_a_folder(model, samples, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("mswin_viz.model.loading.load_model", lambda *_, **__: model)
    monkeypatch.chdir(tmp_path)
    folder = samples[0].images["RGB"]

    def run(line):
        return CliRunner().invoke(cli.app, [*shlex.split(f"render {folder} {line}"), "--json"])

    done = run(
        "--paper new/figure.pdf --columns 'plain,enhanced,windows 4' --rows images --images 1 --width single"
    )
    assert done.exit_code == 0, (done.output, done.exception)
    assert json.loads(done.stdout)["paper"] == "new/figure.pdf"
    assert Path("new/figure.pdf").read_bytes().startswith(b"%PDF")
    broken = tmp_path / "two" / "b.png"
    broken.parent.mkdir()
    broken.write_bytes(b"no picture")
    broken.with_name("a.png").write_bytes(folder.read_bytes())
    done = CliRunner().invoke(cli.app, ["--json", "render", str(broken.parent), "--paper", "all.pdf"])
    assert done.exit_code == 0, (done.output, done.exception)
    assert list(json.loads(done.stdout)["left_out"]) == [str(broken)]
    assert f"left out: {broken}: " in done.stderr
    for line, said in {
        "--paper a.pdf --columns plane": "a column is one of",
        "--paper a.pdf --rows models": "--rows is one of images, modalities",
        "--paper a.pdf --width wide": "--width is single, double, or inches: got 'wide'",
        "--paper a.gif": "--paper must end in .pdf or .svg or .png",
        "--sheet a.png --columns plain": "--columns would have no effect without --paper",
        "--paper a.pdf --scale 3": "--scale would have no effect without --out or --sheet",
    }.items():
        assert said in str(run(line).exception), line
