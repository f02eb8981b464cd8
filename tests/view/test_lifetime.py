"""Closed views leave nothing, and views that are not closed leave little: widgets, threads and memory are counted."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable

import numpy as np
import pytest
from ipywidgets import Widget
from ipywidgets.widgets.widget import _instances
from PIL import Image
from support.tiny import pictures
from support.used_views import (
    MODEL,
    USED_VIEWS,
    attributions,
    board,
    curve,
    embeddings,
    neighbours,
    rankings,
    scales,
)

import mswin_viz as mv
from mswin_viz.analysis.embeddings.batch import embed
from mswin_viz.analysis.shares.fusion_weights import fusion_weights
from mswin_viz.data.sample import Sample
from mswin_viz.errors import ClosedError
from mswin_viz.model.encoder.token_cache import TokenCache
from mswin_viz.view.widgets.board import HeatmapBoard
from mswin_viz.view.widgets.lifetime import is_closed, parts_of


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


Make = Callable[..., Widget]


@pytest.fixture
def given(samples, table, view) -> dict:
    return {"samples": samples, "table": table, "view": view}


@pytest.mark.parametrize("make", USED_VIEWS)
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


@pytest.mark.parametrize("make", USED_VIEWS)
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


def test_explorers_of_one_model_share_one_cache_and_each_image_is_encoded_once(samples, monkeypatch) -> None:
    model, n_encoded, encode = MODEL.bound(), [], type(MODEL).encode_fitted

    def counting(self, images, *given):
        n_encoded.append(len(images))
        return encode(self, images, *given)

    monkeypatch.setattr(type(MODEL), "encode_fitted", counting)
    made = [mv.ScaleExplorer(model, samples, prompt="a person") for _ in range(2)]
    for explorer in made:
        explorer._background.start(samples)
    for explorer in made:
        explorer._background.start(samples).join(60)
        explorer.controls.rows.value = "modalities"
    assert sum(n_encoded) == len({path for sample in samples for path in sample.images.values()})
    assert made[0].result.pictures == made[1].result.pictures
    for explorer in made:
        explorer.close()


def test_closing_one_of_two_explorers_leaves_the_other_as_it_was(samples) -> None:
    first, second = (mv.ScaleExplorer(MODEL, samples, prompt="a person") for _ in range(2))
    shared = second.result.pictures[0]
    assert first.result.pictures[0] is shared
    first.close()
    second.controls.scale.value = 5
    assert second.result.pictures[0] is shared
    assert second.view.panel("free").geometry.scale == 5
    second.close()


def test_tokens_are_freed_with_the_last_view_of_a_model(samples) -> None:
    model = MODEL.bound()
    explorer, view = mv.ScaleExplorer(model, samples), mv.RetrievalView(model, samples)
    picture = weakref.ref(explorer.result.pictures[0])
    assert TokenCache(model).picture(samples[0].images["RGB"]) is picture()
    explorer.close()
    gc.collect()
    assert picture() is not None
    view.close()
    gc.collect()
    assert picture() is None


def test_all_views_of_an_addon_share_one_copy_of_its_weights(given) -> None:
    made = [scales(**given), scales(**given), embeddings(**given)]
    copies = [
        made[0].result.subject.weights,
        made[1].result.subject.weights,
        made[2].panel.result.subject.weights,
    ]
    assert all(weights is fusion_weights(MODEL.addon) for weights in copies)
    for explorer in made:
        explorer.close()


def test_a_cell_that_is_run_again_computes_nothing_again(samples, monkeypatch) -> None:
    model = MODEL.bound()
    first = mv.ScaleExplorer(model, samples)
    monkeypatch.setattr(type(model), "encode_fitted", lambda *_, **__: pytest.fail("the backbone ran"))
    for _ in range(3):
        assert mv.ScaleExplorer(model, samples).result.pictures == first.result.pictures


def test_closing_ends_the_work_at_its_next_look(samples, monkeypatch) -> None:
    encode = type(MODEL).encode_fitted

    def slow(*args, **options):
        time.sleep(0.05)
        return encode(*args, **options)

    explorer = mv.ScaleExplorer(MODEL.bound(), samples)
    monkeypatch.setattr(type(MODEL), "encode_fitted", slow)
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


AGAIN = """
import gc
import psutil
import mswin_viz as mv

model, process, made, used = mv.load_model(device="cpu"), psutil.Process(), [], []
for _ in range(10):  # widgets live until they are closed
    made.append(mv.ScaleExplorer(model, mv.samples()))
    made[-1]._background.start(mv.samples()).join(120)
    gc.collect()
    used.append(process.memory_info().rss / 2**20)
print(used[1], used[9])
"""


def test_a_cell_that_is_run_ten_times_takes_hardly_more_memory_than_one_that_is_run_twice() -> None:
    """One more copy of the add-on's float64 weights, or of the tokens, would be a sixth of it."""
    ended = subprocess.run([sys.executable, "-c", AGAIN], capture_output=True, text=True, timeout=280)
    assert ended.returncode == 0, ended.stderr
    twice, ten_times = map(float, ended.stdout.split())
    assert ten_times < 1.05 * twice


# ---- what fails or is at work while a view is made or closed ----------------------------------------


def constructed(
    make: Callable[[], Widget], monkeypatch, fails_at: int | None = None
) -> tuple[int, Widget | None]:
    """How many widgets a constructor opens, and what it makes; at the one given, ipywidgets fails."""
    opened, open_comm = [0], Widget.open

    def counted(widget: Widget) -> None:
        if opened[0] == fails_at:
            raise ConnectionError("the browser is gone")
        opened[0] += 1
        open_comm(widget)

    with monkeypatch.context() as patched:
        patched.setattr(Widget, "open", counted)
        try:
            made = make()
        except ConnectionError:
            made = None
    return opened[0], made


MADE: dict[str, Callable[..., Widget]] = {
    "ScaleExplorer": lambda samples, **_: mv.ScaleExplorer(MODEL, samples, prompt="a person"),
    "AttributionExplorer": lambda samples, **_: mv.AttributionExplorer(MODEL, samples, prompt="a person"),
    "EmbeddingExplorer": lambda samples, table, view: mv.EmbeddingExplorer(
        MODEL, samples, table=table, view=view
    ),
    "RetrievalView": lambda samples, table, **_: mv.RetrievalView(MODEL, samples, table=table, k=3),
    "TextSearchView": lambda samples, table, **_: mv.TextSearchView(MODEL, samples, table=table, k=3),
    "NeighbourStrip": lambda table, **_: mv.NeighbourStrip(table, row=1),
    "TrainingCurve": lambda **_: mv.TrainingCurve(plain=40.0),
    "HeatmapBoard": lambda **_: HeatmapBoard((6, 2)),
}


@pytest.mark.parametrize(
    "make",
    [
        lambda samples, **_: mv.EmbeddingExplorer(MODEL, samples),
        lambda samples, **_: mv.RetrievalView(MODEL, samples),
        lambda samples, **_: mv.AttributionExplorer(MODEL, samples),
        lambda samples, **_: mv.ScaleExplorer(MODEL, samples),
        lambda table, **_: mv.NeighbourStrip(table),
        lambda **_: mv.TrainingCurve(plain=40.0),
    ],
)
def test_a_view_that_nothing_was_done_with_leaves_no_widget(make: Make, given: dict) -> None:
    widgets = set(_instances)
    make(**given).close()
    assert set(_instances) == widgets


@pytest.mark.parametrize("name", MADE)
def test_a_constructor_that_fails_anywhere_leaves_nothing(name: str, given: dict, monkeypatch) -> None:
    def make() -> Widget:
        return MADE[name](**given)

    n_opened, whole = constructed(make, monkeypatch)
    whole.close()
    before, threads = set(_instances), set(threading.enumerate())
    for fails_at in {*range(0, n_opened, max(1, n_opened // 7)), n_opened - 1}:
        _, made = constructed(make, monkeypatch, fails_at)
        if made is not None:  # what failed is said in it
            assert "ConnectionError: the browser is gone" in made._html["message"].value
            made.close()
        assert set(_instances) == before, f"the {fails_at}-th of {n_opened} widgets failed"
    assert set(threading.enumerate()) <= threads
    make().close()
    assert set(_instances) == before


REFUSED: dict[str, Callable[..., Widget]] = {
    "no sample": lambda **_: mv.ScaleExplorer(MODEL, []),
    "no sample to attribute": lambda **_: mv.AttributionExplorer(MODEL, []),
    "a row beyond the table": lambda table, **_: mv.NeighbourStrip(table, row=999),
    "a rule that is none": lambda table, **_: mv.NeighbourStrip(table, rule="sometimes"),
    "too few results": lambda samples, table, **_: mv.RetrievalView(MODEL, samples, table=table, k=0),
    "too many results": lambda samples, table, **_: mv.RetrievalView(MODEL, samples, table=table, k=10_000),
    "a modality of no sample": lambda samples, **_: mv.RetrievalView(MODEL, samples, modalities=("TI",)),
    "a table of other samples": lambda samples, table, **_: mv.EmbeddingExplorer(
        MODEL, samples[:2], table=table
    ),
    "a view that is none": lambda samples, table, **_: mv.EmbeddingExplorer(
        MODEL, samples, table=table, view=table
    ),
    "settings that are none": lambda samples, **_: mv.EmbeddingExplorer(MODEL, samples, settings="fast"),
    "a colour map that is none": lambda **_: HeatmapBoard((6, 2), cmap="rainbows"),
    "a grid without rows": lambda **_: HeatmapBoard((0, 2)),
    "a model that is none": lambda samples, **_: mv.ScaleExplorer(None, samples),
    "samples that are none": lambda **_: mv.ScaleExplorer(MODEL, [1, 2]),
    "a state that is none": lambda samples, **_: mv.ScaleExplorer.from_state(MODEL, samples, "{}"),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_a_view_that_is_refused_leaves_nothing(make: Make, given: dict) -> None:
    before = set(_instances)
    with pytest.raises(Exception):  # noqa: B017, PT011 - of many kinds; what counts is what is left
        make(**given)
    assert set(_instances) == before
    assert Widget._widget_construction_callback is None


def test_others_that_watch_widgets_being_made_still_do(samples) -> None:
    seen: list[Widget] = []
    Widget.on_widget_constructed(seen.append)
    try:
        explorer = mv.ScaleExplorer(MODEL, samples)
        assert Widget._widget_construction_callback == seen.append
    finally:
        Widget.on_widget_constructed(None)
    assert explorer in seen
    explorer.close()


def test_widgets_that_another_thread_makes_meanwhile_stay(samples, monkeypatch) -> None:
    made: list[Widget] = []

    def beside(*_: object, **__: object) -> None:
        thread = threading.Thread(target=lambda: made.append(HeatmapBoard.__mro__[1]()))
        thread.start()
        thread.join()
        raise RuntimeError("and then it failed")

    monkeypatch.setattr("mswin_viz.view.scales.explorer.make_controls", beside)
    with pytest.raises(RuntimeError, match="and then"):
        mv.ScaleExplorer(MODEL, samples)
    assert not is_closed(made[0])
    made[0].close()


def test_what_the_work_still_made_while_its_view_was_closed_is_closed_too(given) -> None:
    widgets = set(_instances)
    explorer = mv.EmbeddingExplorer(MODEL, given["samples"], table=given["table"])
    at_work = threading.Event()
    show = explorer._show

    def late(view: mv.EmbeddingView) -> None:
        at_work.set()
        time.sleep(0.3)
        show(view)

    explorer._show = late
    explorer.start()
    assert at_work.wait(30)
    explorer.close()
    assert set(_instances) == widgets


def test_work_that_outlasts_the_patience_of_closing_makes_nothing_afterwards(given, monkeypatch) -> None:
    monkeypatch.setattr("mswin_viz.view.widgets.lifetime._PATIENCE", 0.05)
    widgets, go_on = set(_instances), threading.Event()

    def deaf(table, settings, **_: object) -> mv.EmbeddingView:
        go_on.wait(10)
        return given["view"]

    monkeypatch.setattr("mswin_viz.view.embeddings.explorer.embedding_view", deaf)
    explorer = mv.EmbeddingExplorer(MODEL, given["samples"], table=given["table"])
    thread = explorer.start()
    explorer.close()
    go_on.set()
    thread.join(10)
    assert not thread.is_alive()
    assert set(_instances) == widgets
    assert explorer.maps is None


def test_a_part_that_fails_to_release_does_not_keep_the_others(samples, monkeypatch, caplog) -> None:
    widgets = set(_instances)
    explorer = mv.ScaleExplorer(MODEL, samples)

    def broken(_board: HeatmapBoard) -> None:
        raise RuntimeError("it is stuck")

    monkeypatch.setattr(HeatmapBoard, "release", broken)
    explorer.close()
    assert set(_instances) == widgets
    assert "a HeatmapBoard could not release" in caplog.text


def test_a_view_is_closed_from_its_own_worker(given) -> None:
    widgets = set(_instances)
    explorer = mv.EmbeddingExplorer(MODEL, given["samples"], table=given["table"])
    explorer._show = lambda _view: explorer.close()
    thread = explorer.start()
    thread.join(30)
    assert not thread.is_alive()
    assert set(_instances) == widgets


def test_two_threads_may_close_a_view_at_once(samples, monkeypatch) -> None:
    """ipywidgets' own close() fails where another thread is in it with the same widget."""
    widgets, closed = set(_instances), Widget.close
    inside, met = [], []

    def watched(widget: Widget) -> None:
        met.extend(other for other in inside if other is widget)
        inside.append(widget)
        time.sleep(0.0005)
        closed(widget)
        inside.remove(widget)

    explorer = scales(samples)
    monkeypatch.setattr(Widget, "close", watched)
    threads = [threading.Thread(target=explorer.close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(_instances) == widgets
    assert met == []


def test_five_explorers_that_encode_in_the_background_are_quiet_at_once_when_closed(
    samples, monkeypatch
) -> None:
    encode = type(MODEL).encode_fitted

    def slow(*args, **options):
        time.sleep(0.02)
        return encode(*args, **options)

    monkeypatch.setattr(type(MODEL), "encode_fitted", slow)
    threads = set(threading.enumerate())
    explorers = [mv.ScaleExplorer(MODEL.bound(), samples * 30) for _ in range(5)]
    for explorer in explorers:
        explorer._background.on_strip({"kind": "shown"}, explorer._samples)
    encoding = [t for t in threading.enumerate() if t not in threads and "every scale" not in t.name]
    assert len(encoding) == 5
    started = time.monotonic()
    for explorer in explorers:
        explorer.close()
    assert time.monotonic() - started < 10
    assert set(threading.enumerate()) <= threads
    used = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - used < 0.25


@pytest.mark.parametrize(
    "name", ["ScaleExplorer", "EmbeddingExplorer", "RetrievalView", "AttributionExplorer"]
)
def test_twenty_views_made_and_closed_leave_no_widget_and_hardly_any_memory(name: str, given: dict) -> None:
    import psutil

    process = psutil.Process()

    def make_and_close(n_times: int) -> None:
        for _ in range(n_times):
            view = MADE[name](**given)
            freed.append(weakref.ref(view))
            view.close()

    freed: list[weakref.ref] = []
    widgets = set(_instances)
    make_and_close(3)  # caches of libraries are filled
    gc.collect()
    before = process.memory_info().rss
    make_and_close(20)
    gc.collect()
    grown = (process.memory_info().rss - before) / 2**20
    assert set(_instances) == widgets
    assert [ref() for ref in freed if ref() is not None] == []
    assert grown < 40  # 20 that leaked took 1.3 GiB


def test_pictures_and_thumbnails_are_freed_with_their_view(given) -> None:
    strip = neighbours(**given)
    assert strip.rows._thumbnail.cache_info().currsize > 0
    shown = embeddings(**given)
    shown.maps._thumbnail(3)
    maps = shown.maps
    strip.close()
    shown.close()
    assert strip.rows._thumbnail.cache_info().currsize == maps._thumbnail.cache_info().currsize == 0


AT_WORK = """
import threading, time
import mswin_viz as mv
from mswin_viz.errors import StoppedError
from mswin_viz.view.attributions import request as attribution_request
from mswin_viz.view.parts import background
from mswin_viz.view.parts.work_bar import WorkBar

begun = []

def until(stopped, name):
    begun.append(name)
    while not stopped():
        time.sleep(0.01)
    print(name, "has ended", flush=True)

model, samples = mv.load_model(), mv.samples()[:1]
def attribute(*_, stop, **__):
    until(stop, "attributing")
    raise StoppedError("by the end of the program")

attribution_request.attribute = attribute
background.computed_ahead = lambda *_, stop, **__: until(stop, "the background") or 0
made = [mv.AttributionExplorer(model, samples), mv.ScaleExplorer(model, samples)]
made.append(WorkBar(lambda report, stop: until(stop, "a worker"), name="work"))
made[0].controls.features.value = "plain"
made[0].start()
made[1]._background.on_strip({"kind": "shown"}, made[1]._samples)
made[2].start()
while len(begun) < 3:
    time.sleep(0.01)
"""


def test_a_program_that_ends_while_views_work_ends_them_first() -> None:
    """Python would stop such threads inside native code, and the process with them (SIGABRT)."""
    ended = subprocess.run([sys.executable, "-c", AT_WORK], capture_output=True, text=True, timeout=100)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sorted(ended.stdout.splitlines()) == [
        "a worker has ended",
        "attributing has ended",
        "the background has ended",
    ]
