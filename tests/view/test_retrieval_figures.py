"""The figure of ranked results: what stands in it, and how right and wrong are told apart."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle
from PIL import Image
from support.small_tables import small_table
from support.tiny import tiny_model

from mswin_viz.analysis.embeddings.batch import embed
from mswin_viz.analysis.embeddings.neighbours import MARKS, neighbours
from mswin_viz.analysis.embeddings.pair_shares import pair_window_shares
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.data.sample import Sample
from mswin_viz.errors import OptionError
from mswin_viz.view.parts.figure_file import figure_bytes
from mswin_viz.view.retrieval.figures import ranked_figure
from mswin_viz.view.widgets.colours import MARK_COLOURS


@pytest.fixture
def table(tmp_path: Path) -> EmbeddingTable:
    return small_table(tmp_path)


def results(table: EmbeddingTable, query: int, **options):
    return {name: neighbours(table, query, feature=name, **options) for name in ("plain", "enhanced")}


def frames(figure) -> list[tuple[str, object]]:
    """Colour and line of every result's frame, in reading order."""
    found = [patch for axis in figure.axes for patch in axis.patches if isinstance(patch, Rectangle)]
    return [
        (to_hex(p.get_edgecolor()), p.get_linestyle())
        for p in found
        if to_hex(p.get_edgecolor()) in MARK_COLOURS.values()
    ]


def test_every_result_has_the_frame_of_its_mark(table: EmbeddingTable) -> None:
    found = results(table, 0, rule="none")
    figure = ranked_figure(table, found)
    marks = [mark for some in found.values() for mark in some.marks]
    assert set(marks) == set(MARKS)
    assert [colour for colour, _ in frames(figure)] == [MARK_COLOURS[mark] for mark in marks]


def test_marks_differ_in_line_and_sign_not_only_in_colour(table: EmbeddingTable) -> None:
    found = {"plain": neighbours(table, 0, rule="none")}
    figure = ranked_figure(table, found)
    signs, lines = {}, {}
    for axis in figure.axes:
        markers = [line.get_marker() for line in axis.lines]
        if not markers:
            continue
        (frame,) = axis.patches
        colour = to_hex(frame.get_edgecolor())
        signs[colour] = markers[1].vertices.tobytes()
        lines[colour] = str(frame._dash_pattern)
    assert set(signs) == set(MARK_COLOURS.values())
    assert len(set(signs.values())) == len(set(lines.values())) == 3


def test_ranks_similarities_and_measures_are_printed(table: EmbeddingTable) -> None:
    found = results(table, 1, k=3)
    figure = ranked_figure(table, found, provenance="weights: none")
    words = " ".join(some.get_text() for axis in figure.axes for some in axis.texts)
    for some in found.values():
        for rank, similarity in enumerate(some.similarity, start=1):
            assert f"{rank}: {similarity:.3f}" in words
    assert "weights: none" in figure.get_supxlabel()


def test_the_query_is_shown_in_every_modality_and_those_that_ask_are_framed(table: EmbeddingTable) -> None:
    figure = ranked_figure(table, results(table, int(table.row_of(1, "NI"))))
    assert [axis.get_title() for axis in figure.axes[:2]] == ["RGB (not used)", "NI"]


def test_a_broken_file_does_not_sink_the_figure(table: EmbeddingTable) -> None:
    assert 3 in neighbours(table, 0, rule="none").rows  # its file is no picture
    data = figure_bytes(ranked_figure(table, results(table, 0, rule="none")), "png", dpi=60)
    assert Image.open(io.BytesIO(data)).width > 200


@pytest.fixture
def real(tmp_path: Path):
    """A tiny model's table of five samples, all of whose files are whole."""
    found = []
    for at in range(5):
        files = {name: tmp_path / f"{name}{at}.png" for name in ("RGB", "TI")}
        for turn, path in enumerate(files.values()):
            rng = np.random.default_rng([at, turn])
            Image.fromarray(rng.integers(0, 255, (48, 16, 3), dtype=np.uint8)).save(path)
        found.append(Sample(at % 2, at, files))
    model = tiny_model()
    return model, embed(model, found, progress=False)


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("scale", [4, None])
def test_window_shares_are_drawn_over_query_and_result(real, joint: bool, scale: int | None) -> None:
    model, table = real
    table = table.concatenated(("RGB", "TI")) if joint else table
    found = results(table, 0, k=3)
    shares = [pair_window_shares(model, table, 0, row) for row in found["enhanced"].rows.tolist()[:2]]
    plain, heated = ranked_figure(table, found), ranked_figure(table, found, shares=shares, scale=scale)
    n_heat = sum(len(axis.images) for axis in heated.axes) - sum(len(axis.images) for axis in plain.axes)
    n_modalities = 2 if joint else 1
    assert n_heat == 4 * (1 + n_modalities)  # picture and heat, of query and result, twice
    words = " ".join(some.get_text() for axis in heated.axes for some in axis.texts)
    side = shares[1].b
    assert f"bias {sum(some.bias for some in side.values()):+.3f}" in words


def test_what_cannot_be_drawn_is_an_error(real) -> None:
    model, table = real
    found = results(table, 0)
    shares = [pair_window_shares(model, table, 0, 1)]
    with pytest.raises(OptionError, match=r"one query: got those of \[\]"):
        ranked_figure(table, {})
    with pytest.raises(OptionError, match=r"\[0, 2\]"):
        ranked_figure(table, {"plain": neighbours(table, 0), "enhanced": neighbours(table, 2)})
    with pytest.raises(OptionError, match="got scale=16, and scales 2, 4, 5"):
        ranked_figure(table, found, shares=shares, scale=16)
    without = {name: replace(side, windows={}, fused=None) for name, side in shares[0].a.items()}
    with pytest.raises(OptionError, match=r"got scale=None, and scales \(none\)"):
        ranked_figure(table, found, shares=[replace(shares[0], a=without, b=without)])
