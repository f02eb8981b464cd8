"""File names that are no text, or hold what breaks lines, pages and formulas, through every view and file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.tiny import pictures, tiny_model

import mswin_viz as mv
from mswin_viz.analysis.embeddings.batch import embed
from mswin_viz.data.sample import Sample
from mswin_viz.view.parts.figure_file import figure_bytes

pytestmark = [
    pytest.mark.filterwarnings("ignore:.* is left out:UserWarning"),  # measures of unknown identities
]
MODEL = tiny_model()
ODD = {
    os.fsdecode(b"caf\xe9"): "caf\\udce9",
    "two\nlines": "two\\nlines",
    "bell\x07": "bell\\x07",
    "dollar $x_$ \\frac": "dollar $x_$ \\frac",
    "<b>&amp; \"quoted\" 'too'": "<b>&amp; \"quoted\" 'too'",
    "comma, semicolon; #xywh": "comma, semicolon; #xywh",
    "人 café": "人 café",
    "line\u2028separator": "line\\u2028separator",
}
"""File name without its ending -> how it is shown."""
SHOWN = list(ODD.values())


@pytest.fixture(params=[-1, 0], ids=["unknown identities", "known identities"])
def samples(request: pytest.FixtureRequest, tmp_path: Path) -> list[Sample]:
    folder = tmp_path / os.fsdecode(b"set \xff")
    folder.mkdir()
    found = []
    for at, (picture, name) in enumerate(zip(pictures(len(ODD)), ODD, strict=True)):
        Image.fromarray(picture).save(tmp_path / "x.png")
        (tmp_path / "x.png").rename(folder / f"{name}.png")
        pid = at % 2 if request.param == 0 else -1
        found.append(Sample(pid, at if pid >= 0 else -1, {"RGB": folder / f"{name}.png"}))
    return found


def sendable(state: object) -> None:
    """What goes to the browser must be UTF-8."""
    json.dumps(state, ensure_ascii=False, default=lambda _: "").encode("utf-8")


def test_the_scale_explorer_shows_saves_and_finds_every_one(samples, tmp_path) -> None:
    explorer = mv.ScaleExplorer(MODEL, samples, prompt="a person")
    assert [item["name"] for item in explorer.strip.items] == SHOWN
    explorer.controls.rows.value = "pair"
    for at in range(len(samples)):
        explorer.strip.selected, explorer.strip.second = at, (at + 1) % len(samples)
        sendable([explorer.strip.get_state(), explorer.board.get_state(), explorer._html["scores"].value])
        copied = json.dumps(explorer.state)
        assert json.loads(copied)["sample"] == f"{SHOWN[at]}.png"
        again = mv.ScaleExplorer.from_state(MODEL, samples[::-1], copied)
        assert again.strip.selected == len(samples) - 1 - at
        again.close()
    explorer.controls.rows.value, explorer.strip.selected, explorer.strip.second = "pair", 0, 3
    sendable(explorer._repr_mimebundle_())
    for kind in ("svg", "pdf", "png"):
        assert explorer.save_figure(tmp_path / f"view.{kind}").stat().st_size > 1000
    explorer.close()


def test_every_file_of_the_embedding_explorer_is_written(samples, tmp_path) -> None:
    table = embed(MODEL, samples, progress=False)
    explorer = mv.EmbeddingExplorer(MODEL, samples, table=table, view=mv.embedding_view(table))
    for row in range(len(table)):
        explorer.open_row(row)
        sendable([part.get_state() for part in (explorer.panel.board, explorer.strip)])
        sendable(explorer.panel._title.value)
    written = explorer.save(tmp_path / "out")
    assert all(path.stat().st_size for path in written)
    for frame in (
        pd.read_csv(tmp_path / "out" / "points.csv"),
        pd.read_parquet(tmp_path / "out" / "points.parquet"),
    ):
        assert [Path(path).name for path in frame.path] == [f"{name}.png" for name in SHOWN]
        assert not any(Path(path).is_absolute() for path in frame.path)
    explorer.close()


def test_the_retrieval_view_ranks_draws_and_saves_every_one(samples, monkeypatch) -> None:
    view = mv.RetrievalView(MODEL, samples, table=embed(MODEL, samples, progress=False), k=4)
    sent = []
    monkeypatch.setattr(view.pair.board, "send", lambda content, _buffers: sent.append(content))
    for at in range(len(samples)):
        view.query = at
        sendable([view.strip.get_state(), view.controls.query.get_state()])
        assert len(figure_bytes(view.figure(), "svg", dpi=50)) > 1000
        view.download.button.click()
    assert [content["name"] for content in sent] == [f"{name}_ranked.png" for name in SHOWN]
    view.close()


def test_what_failed_is_named_in_text(samples) -> None:
    samples[0].images["RGB"].write_bytes(b"no picture")
    explorer = mv.ScaleExplorer(MODEL, samples)
    sendable(explorer._html["message"].value)
    assert "caf\\udce9.png" in explorer._html["message"].value
    sendable(explorer._repr_mimebundle_())
    view = mv.RetrievalView(MODEL, samples, table=embed(MODEL, samples, progress=False))
    sendable(view._html["message"].value)
    assert "caf\\udce9.png" in view._html["message"].value


def test_weights_of_an_odd_name_are_written_too(samples, tmp_path) -> None:
    from dataclasses import replace

    odd = replace(MODEL, tower=replace(MODEL.tower, weights=os.fsdecode(b"poids\xe9.safetensors")))
    table = embed(odd, samples, progress=False)
    explorer = mv.EmbeddingExplorer(odd, samples, table=table, view=mv.embedding_view(table))
    explorer.save(tmp_path / "out")
    frame = pd.read_csv(tmp_path / "out" / "measures.csv")
    assert frame.weights.str.contains("poids\\udce9.safetensors", regex=False).all()
    scales = mv.ScaleExplorer(odd, samples)
    sendable([scales.state, repr(scales), *(some.value for some in scales._html.values())])
    again = mv.ScaleExplorer.from_state(odd, samples, json.dumps(scales.state))
    assert "other weights" not in again._html["message"].value


def test_the_same_picture_under_an_odd_name_gives_the_same_numbers(samples) -> None:
    table = embed(MODEL, samples, progress=False)
    wanted = MODEL.encode([next(iter(sample.images.values())) for sample in samples], progress=False).cls
    np.testing.assert_allclose(table.plain, wanted.numpy(), rtol=1e-4, atol=1e-5)
