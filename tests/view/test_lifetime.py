"""Closed views leave nothing, and views that are not closed leave little: widgets, threads and memory are counted."""

from __future__ import annotations

import gc
import json
import threading
import time
import weakref
from collections.abc import Callable

import numpy as np
import pytest
from analysis.tiny import pictures, tiny_model
from ipywidgets import Widget
from ipywidgets.widgets.widget import _instances
from PIL import Image

import mswin_viz as mv
from mswin_viz.analysis.embedding_table import embed
from mswin_viz.analysis.fusion import fusion_weights
from mswin_viz.analysis.kept_tokens import KeptTokens
from mswin_viz.data.layouts import Sample
from mswin_viz.errors import ClosedError
from mswin_viz.model.training import Progress
from mswin_viz.view.heatmap import HeatmapBoard
from mswin_viz.view.lifetime import parts_of

MODEL = tiny_model()


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    folder, found = tmp_path_factory.mktemp("people"), []
    for at, picture in enumerate(pictures(8)):
        files = {name: folder / f"{name}_{at}.png" for name in ("RGB", "NI")}
        for turn, path in enumerate(files.values()):
            Image.fromarray(np.roll(picture, turn, axis=2)).save(path)
        found.append(Sample(at % 2, at, files))
    return found


@pytest.fixture(scope="module")
def table(samples: list[Sample]) -> mv.EmbeddingTable:
    return embed(MODEL, samples, progress=False)


@pytest.fixture(scope="module")
def view(table: mv.EmbeddingTable) -> mv.EmbeddingView:
    return mv.embedding_view(table)


def scales(samples, **_) -> mv.ScaleExplorer:
    explorer = mv.ScaleExplorer(MODEL, samples, prompt="a person")
    explorer._on_strip({"kind": "shown"})
    return explorer


def attributions(samples, **_) -> mv.AttributionExplorer:
    explorer = mv.AttributionExplorer(MODEL, samples, prompt="a person")
    explorer.controls.methods.value = ("gradient_x_input",)
    explorer.controls.n_steps.value = 4
    explorer.start()
    return explorer


def embeddings(samples, table, view) -> mv.EmbeddingExplorer:
    explorer = mv.EmbeddingExplorer(MODEL, samples, table=table, view=view)
    explorer._show(view)  # new maps in the place of the first
    explorer.open_row(0)
    explorer.strip.clicked = int(explorer.strip.results["plain"].rows[0])
    return explorer


def rankings(samples, table, **_) -> mv.RetrievalView:
    view = mv.RetrievalView(MODEL, samples, table=table, k=3)
    view.strip.clicked = int(view.strip.results["plain"].rows[0])
    view.start()
    return view


def neighbours(table, **_) -> mv.NeighbourStrip:
    return mv.NeighbourStrip(table, row=1)


def curve(**_) -> mv.TrainingCurve:
    curve = mv.TrainingCurve(plain=40.0)
    curve(Progress(step=1, steps=2, loss=1.5, score=0.5))
    return curve


def board(**_) -> HeatmapBoard:
    return HeatmapBoard((6, 2))


VIEWS = [scales, attributions, embeddings, rankings, neighbours, curve, board]
Make = Callable[..., Widget]


@pytest.fixture
def given(samples, table, view) -> dict:
    return {"samples": samples, "table": table, "view": view}


@pytest.mark.parametrize("make", VIEWS)
def test_a_closed_view_leaves_no_widget_and_no_thread_and_is_freed(make: Make, given: dict) -> None:
    gc.collect()
    widgets, threads = set(_instances), set(threading.enumerate())
    view = make(**given)
    assert set(_instances) > widgets
    gone = [weakref.ref(part) for part in parts_of(view)]
    view.close()
    assert set(_instances) == widgets
    assert set(threading.enumerate()) <= threads
    del view
    gc.collect()
    assert [ref() for ref in gone if ref() is not None] == []


@pytest.mark.parametrize("make", VIEWS)
def test_closing_twice_is_closing_once(make: Make, given: dict) -> None:
    view = make(**given)
    view.close()
    view.close()
    assert repr(view) == f"{type(view).__name__}(closed)"


def move_a_control(view: Widget) -> None:
    view.controls.scale.value = 3 if view.controls.scale.value != 3 else 4


@pytest.mark.parametrize(
    ("make", "use"),
    [
        (scales, lambda view: view.figure()),
        (scales, move_a_control),
        (scales, lambda view: setattr(view.strip, "selected", 2)),
        (attributions, lambda view: view.start()),
        (attributions, lambda view: view.figure()),
        (embeddings, lambda view: view.start()),
        (embeddings, lambda view: view.open_row(1)),
        (embeddings, lambda view: view.save("nowhere")),
        (embeddings, lambda view: setattr(view.maps, "selected", [2])),
        (rankings, lambda view: view.start()),
        (rankings, lambda view: view.figure()),
        (rankings, lambda view: view.jump("worst")),
        (rankings, lambda view: setattr(view, "query", 3)),
        (neighbours, lambda view: setattr(view, "row", 3)),
        (board, lambda view: view.show([])),
    ],
)
def test_a_closed_view_says_so_when_it_is_used(make: Make, use: Callable, given: dict) -> None:
    view = make(**given)
    view.close()
    with pytest.raises(ClosedError, match=r"can be used until close\(\): this one was closed; make a new"):
        use(view)


def test_what_a_closed_explorer_stood_at_can_still_be_read(samples) -> None:
    explorer = scales(samples)
    explorer.controls.scale.value = 3
    before = explorer.state
    explorer.close()
    assert explorer.state == before
    again = mv.ScaleExplorer.from_state(MODEL, samples, json.dumps(before))
    assert again.controls.scale.value == 3
    again.close()


def test_computed_tables_and_curves_outlive_their_view(given) -> None:
    shown, trained = embeddings(**given), curve()
    shown.close()
    trained.close()
    assert (shown.table, shown.view) == (given["table"], given["view"])
    assert trained.losses == [1.5]


def test_closing_one_of_two_explorers_leaves_the_other_as_it_was(samples) -> None:
    first, second = (mv.ScaleExplorer(MODEL, samples, prompt="a person") for _ in range(2))
    shared = second.look.pictures[0]
    assert first.look.pictures[0] is shared
    first.close()
    second.controls.scale.value = 5
    assert second.look.pictures[0] is shared
    assert second.view.panel("free").geometry.scale == 5
    second.close()


def test_tokens_are_freed_with_the_last_view_of_a_model(samples) -> None:
    model = MODEL.bound()
    explorer, view = mv.ScaleExplorer(model, samples), mv.RetrievalView(model, samples)
    picture = weakref.ref(explorer.look.pictures[0])
    assert KeptTokens(model).picture(samples[0].images["RGB"]) is picture()
    explorer.close()
    gc.collect()
    assert picture() is not None
    view.close()
    gc.collect()
    assert picture() is None


def test_all_views_of_an_addon_share_one_copy_of_its_weights(given) -> None:
    made = [scales(**given), scales(**given), embeddings(**given)]
    copies = [made[0].look.subject.weights, made[1].look.subject.weights, made[2].panel.look.subject.weights]
    assert all(weights is fusion_weights(MODEL.addon) for weights in copies)
    for explorer in made:
        explorer.close()


def test_a_cell_that_is_run_again_computes_nothing_again(samples, monkeypatch) -> None:
    model = MODEL.bound()
    first = mv.ScaleExplorer(model, samples)
    monkeypatch.setattr(type(model), "encode", lambda *_, **__: pytest.fail("the backbone ran"))
    for _ in range(3):
        assert mv.ScaleExplorer(model, samples).look.pictures == first.look.pictures


def test_closing_ends_the_work_at_its_next_look(samples, monkeypatch) -> None:
    encode = type(MODEL).encode

    def slow(*args, **options):
        time.sleep(0.05)
        return encode(*args, **options)

    explorer = mv.ScaleExplorer(MODEL.bound(), samples)
    monkeypatch.setattr(type(MODEL), "encode", slow)
    thread = explorer._background.start(samples * 20)
    explorer.close()
    assert not thread.is_alive()


def test_an_explorer_that_is_shown_in_a_box_leaves_the_box_open(samples) -> None:
    import ipywidgets as widgets

    explorer = mv.ScaleExplorer(MODEL, samples)
    box = widgets.VBox([explorer])
    explorer.close()
    assert box.comm is not None
    box.close()


def test_a_state_that_is_refused_leaves_no_explorer(samples) -> None:
    explorer = mv.ScaleExplorer(MODEL, samples)
    before, state = set(_instances), {**explorer.state, "sample": "gone"}
    with pytest.raises(mv.MswinVizError, match="'gone'"):
        mv.ScaleExplorer.from_state(MODEL, samples, state)
    assert set(_instances) == before


def test_ten_explorers_of_the_shipped_model_take_little_more_than_one() -> None:
    import psutil

    model, process = mv.load_model(device="cpu"), psutil.Process()
    kept = [mv.ScaleExplorer(model, mv.samples()[:2]) for _ in range(2)]
    gc.collect()
    before = process.memory_info().rss
    kept += [mv.ScaleExplorer(model, mv.samples()[:2]) for _ in range(10)]
    gc.collect()
    grown = (process.memory_info().rss - before) / 2**20
    for explorer in kept:
        explorer.close()
    assert grown < 60  # one float64 copy of the add-on takes 67 MiB
