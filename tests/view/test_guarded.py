"""What goes wrong in a callback or a thread is said with its type, logged once, marked, and the view goes on."""

from __future__ import annotations

import ast
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np
import pytest
import torch
from PIL import Image
from support.tiny import pictures, tiny_model

import mswin_viz as mv
from mswin_viz.analysis.embeddings.batch import embed
from mswin_viz.data.sample import Sample
from mswin_viz.errors import ClosedError, ImageFileError, OptionError
from mswin_viz.model.encoder.token_cache import TokenCache
from mswin_viz.view.attributions import controls as attribution_controls
from mswin_viz.view.attributions import explorer as attribution_explorer
from mswin_viz.view.attributions import request as attribution_request
from mswin_viz.view.embeddings import board as embedding_board
from mswin_viz.view.embeddings import explorer as embedding_explorer
from mswin_viz.view.parts import background, figure_download, neighbour_rows
from mswin_viz.view.parts.worker import Worker
from mswin_viz.view.retrieval import (
    pair_panel,
    pair_work,
    query_choice,
    query_menu,
    ranked_words,
    rankings,
    shown_figure,
)
from mswin_viz.view.scales import explorer, figure, share_bars, taken_away
from mswin_viz.view.scales.result_cache import ResultCache
from mswin_viz.view.text_search import hit_tags, word_maps
from mswin_viz.view.text_search import view as text_view
from mswin_viz.view.widgets import maps
from mswin_viz.view.widgets.board import HeatmapBoard
from mswin_viz.view.widgets.guarded import OUT_OF_DATE, Guard, problem_words
from mswin_viz.view.widgets.lifetime import parts_of
from mswin_viz.view.widgets.maps import LinkedMaps

VIEW = Path(mv.__file__).parent / "view"
MODEL = tiny_model()
OLD = "mswin-out-of-date"


# ---- the rule, in the source ----------------------------------------------------------------------


def is_guarded(node: ast.expr) -> bool:
    """Whether an expression is ``guarded("what")(callback)``, or ``named_guard(callback)``."""
    if not isinstance(node, ast.Call) or not node.args or isinstance(node.args[0], ast.Constant):
        return False
    made = node.func.func if isinstance(node.func, ast.Call) else node.func
    return ast.unparse(made).endswith("guarded")


def unguarded(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        where = f"line {getattr(node, 'lineno', 0)}: {ast.unparse(node)[:80]}"
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name.split(".")[-1] in ("Thread", "Timer", "ThreadPoolExecutor", "start_new_thread"):
                yield where
            registers = isinstance(node.func, ast.Attribute) and node.func.attr in ("observe", "on_click", "on_msg", "on_submit", "on_trait_change")  # fmt: skip
            if registers and node.args and name != "traitlets.observe" and not is_guarded(node.args[0]):
                yield where
        elif isinstance(node, ast.Assign) and "_handle_custom_msg" in ast.unparse(node.targets[0]):
            if not is_guarded(node.value):
                yield where
        elif isinstance(node, ast.FunctionDef):
            observes = any(ast.unparse(some).startswith("traitlets.observe") for some in node.decorator_list)
            first = node.body[0]
            if observes and not (
                isinstance(first, ast.With) and "self._guarded(" in ast.unparse(first.items[0])
            ):
                yield where


@pytest.mark.parametrize("path", sorted(VIEW.rglob("*.py")), ids=lambda path: path.stem)
def test_every_callback_and_thread_of_a_view_is_guarded(path: Path) -> None:
    found = list(unguarded(ast.parse(path.read_text(encoding="utf-8"))))
    if path.stem == "guarded":
        assert len(found) == 1  # which makes the guarded threads
        found = []
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "a.observe(lambda c: f(), 'value')",
        "a.observe(self._f, 'value')",
        "a.observe(guarded('what'), 'value')",
        "a.on_click(f)",
        "a.on_msg(lambda *_: f())",
        "threading.Thread(target=f)",
        "Thread(target=guarded('x')(f))",
        "w._handle_custom_msg = f",
        "@traitlets.observe('x')\ndef f(self, change):\n    self.g()",
    ],
)
def test_what_is_not_guarded_is_found(source: str) -> None:
    assert list(unguarded(ast.parse(source)))


# ---- the words ------------------------------------------------------------------------------------


class Unprintable(RuntimeError):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (RuntimeError("boom"), "RuntimeError: boom"),
        (KeyError("gone"), "KeyError: 'gone'"),
        (RuntimeError(), "RuntimeError (without any text)"),
        (RuntimeError("two\n  lines"), "RuntimeError: two lines"),
        (SystemExit(3), "SystemExit: 3"),
        (Unprintable(), "Unprintable: (its text cannot be shown)"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"), "UnicodeDecodeError: 'utf-8' codec can't decode"),
        (RuntimeError("\udce9"), "RuntimeError: \\udce9"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_said_with_its_type_and_text(problem: BaseException, words: str) -> None:
    assert problem_words(problem).startswith(words)
    assert "memory" not in problem_words(problem)


def test_an_error_of_this_package_is_said_with_its_type_last_in_small_print() -> None:
    said = problem_words(OptionError("choose <b>one</b>"))
    assert said.startswith("choose &lt;b&gt;one&lt;/b&gt; <span ")
    assert said.endswith(">OptionError</span>")
    assert problem_words(OptionError()) == "OptionError (without any text)"


def test_a_foreign_text_of_any_length_is_cut() -> None:
    assert len(problem_words(RuntimeError("x" * 100_000))) < 700


@pytest.mark.parametrize(
    "problem",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        torch.cuda.OutOfMemoryError("CUDA out of memory."),
        MemoryError(),
        MemoryError("Unable to allocate 64. GiB for an array"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("MPS backend out of memory"),
        OSError(12, "Cannot allocate memory"),
    ],
    ids=str,
)
def test_a_full_memory_is_said_with_what_to_do(problem: Exception) -> None:
    said = problem_words(problem)
    assert said.startswith(type(problem).__name__)
    assert "close other views" in said
    assert "fewer images, methods or steps" in said


# ---- the guard ------------------------------------------------------------------------------------


@pytest.fixture
def shown() -> list[list[str]]:
    return []


@pytest.fixture
def guarded(shown: list[list[str]]) -> Guard:
    return Guard(widgets.VBox(), lambda problems: shown.append(list(problems)))


def raises(problem: BaseException) -> Callable[..., Any]:
    def fail(*_args: Any, **_options: Any) -> Any:
        raise problem

    return fail


def test_a_failure_holds_until_the_same_thing_succeeds(guarded: Guard, shown) -> None:
    guarded("saving")(raises(RuntimeError("boom")))()
    guarded("copying")(lambda: None)()
    assert shown == [["RuntimeError: boom"]]
    guarded("saving")(lambda: None)()
    assert shown[-1] == []


def test_two_failures_are_both_said(guarded: Guard, shown) -> None:
    guarded("saving")(raises(RuntimeError("one")))()
    guarded("copying")(raises(KeyError("two")))()
    assert shown[-1] == ["RuntimeError: one", "KeyError: 'two'"]


def test_a_message_that_cannot_be_shown_is_logged_and_raises_nothing(caplog) -> None:
    Guard(widgets.VBox(), raises(RuntimeError("no display")))("saving", failed=raises(KeyError("mark")))(
        raises(ValueError("first"))
    )()
    logged = [type(record.exc_info[1]).__name__ for record in caplog.records]
    assert logged == ["ValueError", "RuntimeError", "KeyError"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_ends_a_program_is_said_and_goes_on_its_way(guarded: Guard, shown, kind) -> None:
    with pytest.raises(kind):
        guarded("inner and outer")(guarded("inner")(raises(kind("now"))))()
    assert shown == [[f"{kind.__name__}: now"]]


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt, SystemExit, GeneratorExit, ClosedError])
def test_a_thread_that_fails_ends_without_a_word_but_its_message(guarded, shown, kind, recwarn) -> None:
    thread = guarded.thread("work", raises(kind("now")))
    thread.start()
    thread.join(5)
    assert shown == [[problem_words(kind("now"))]]
    assert not recwarn.list  # pytest warns of what reaches threading's hook


def test_a_closed_view_raises_that_it_is_closed_and_says_nothing(guarded: Guard, shown) -> None:
    guarded.view.close()
    with pytest.raises(ClosedError):
        guarded("moving")(raises(ClosedError("closed")))()
    assert shown == []


def test_an_interrupt_is_logged_once_below_warnings_since_it_goes_on_to_the_notebook(guarded, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(KeyboardInterrupt):
        guarded("outer")(guarded("inner")(raises(KeyboardInterrupt())))()
    assert [record.levelname for record in caplog.records] == ["INFO"]


def test_expected_errors_are_logged_below_warnings_and_others_as_errors(guarded: Guard, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    guarded("a")(raises(OptionError("ours")))()
    guarded("b")(raises(KeyError("foreign")))()
    assert [record.levelname for record in caplog.records] == ["INFO", "ERROR"]
    assert all(record.exc_info[1].__traceback__ is not None for record in caplog.records)


# ---- every view, every callback, every job --------------------------------------------------------


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
def table(samples) -> mv.EmbeddingTable:
    return embed(MODEL, samples, progress=False)


@pytest.fixture(scope="module")
def scales(samples) -> Iterator[mv.ScaleExplorer]:
    made = mv.ScaleExplorer(MODEL, samples, prompt="a person")
    yield made
    made.close()


@pytest.fixture(scope="module")
def attributions(samples) -> Iterator[mv.AttributionExplorer]:
    made = mv.AttributionExplorer(MODEL, samples, prompt="a person")
    made.controls.methods.value = ("gradient_x_input",)
    made.controls.n_steps.value = 4
    made.start().join()
    yield made
    made.close()


@pytest.fixture(scope="module")
def embeddings(samples, table) -> Iterator[mv.EmbeddingExplorer]:
    made = mv.EmbeddingExplorer(MODEL, samples, table=table, view=mv.embedding_view(table))
    made.saving.folder.value = str(samples[0].images["RGB"].parent / "saved")
    yield made
    made.close()


@pytest.fixture(scope="module")
def rankings_of(samples, table) -> Iterator[mv.RetrievalView]:
    made = mv.RetrievalView(MODEL, samples, table=table, k=3)
    yield made
    made.close()


@pytest.fixture(scope="module")
def texts(samples, table) -> Iterator[mv.TextSearchView]:
    made = mv.TextSearchView(MODEL, samples, table=table, prompt="a person", k=3)
    yield made
    made.close()


@pytest.fixture
def _quick(monkeypatch) -> None:
    """What takes seconds and is tested elsewhere: files of figures and tables."""
    monkeypatch.setattr(
        embedding_explorer, "export", lambda _view, folder, **_: [Path(folder) / "points.csv"]
    )
    monkeypatch.setattr(embedding_explorer, "save_figures", lambda *_, **__: [])
    monkeypatch.setattr(figure_download, "figure_bytes", lambda *_, **__: b"a figure")


def said(view: widgets.Widget) -> str:
    """Every text on the screen of a view."""
    texts = (getattr(part, name, "") for part in parts_of(view) for name in ("value", "message", "status"))
    return unescape("\n".join(text for text in texts if isinstance(text, str)))


def pale_parts(view: widgets.Widget) -> list[widgets.Widget]:
    return [part for part in parts_of(view) if OLD in getattr(part, "_dom_classes", ())]


def other_scale(view) -> None:
    view.controls.scale.value = 3 if view.controls.scale.value != 3 else 4


def pin(view) -> None:
    view.board.pinned = None
    view.board.pinned = {"key": "free", "row": 0, "window": 1}


def in_background(view) -> None:
    view._kept._held[0].entries.clear()
    view.strip._handle_custom_msg({"kind": "shown"}, [])
    thread = view._background._worker.thread
    if thread is not None:
        thread.join(20)


def run(view) -> None:
    view.start().join(60)


def press(view) -> None:
    """The button itself, and the end of what it starts."""
    view.worker.run.click()
    if view.worker.thread is not None:
        view.worker.thread.join(60)


def other_text(view) -> None:
    view.prompt = "a dog" if view.prompt == "a person" else "a person"
    if view.worker.thread is not None:
        view.worker.thread.join(60)


def new_maps(view) -> None:
    view._maps._kept.clear()
    press(view)


def point(row: int) -> Callable[[Any], None]:
    def select(view) -> None:
        view.maps.selected = []
        view.maps.selected = [row]

    return select


def neighbour(view) -> None:
    point(1)(view)
    view.strip.clicked = -1
    view.strip.clicked = int(view.strip.results["plain"].rows[0])


def toggle(name: str) -> Callable[[Any], None]:
    def act(view) -> None:
        control = getattr(view.controls, name)
        control.value = not control.value

    return act


def choose(name: str, *values: Any) -> Callable[[Any], None]:
    def act(view) -> None:
        control = getattr(view.controls, name)
        control.value = next(value for value in values if value != control.value)

    return act


def click_result(view) -> None:
    view.strip.clicked = -1
    view.strip.clicked = int(view.strip.results["plain"].rows[0])
    if view.pair_worker.thread is not None:
        view.pair_worker.thread.join(20)


def hover(view) -> None:
    view.maps._thumbnail.cache_clear()
    widget = view.maps.scatters[0].widget
    widget._handle_custom_msg({"type": "tooltip", "index": 3}, [])


def new_table(view) -> None:
    view.table = None
    press(view)


@dataclass(frozen=True)
class Fault:
    """What fails, what is done then, and whether an older picture is on screen afterwards."""

    view: str
    owner: Any
    name: str
    act: Callable[[Any], None]
    is_old: bool = False

    def __str__(self) -> str:
        return f"{self.view}-{getattr(self.owner, '__name__', self.owner).split('.')[-1]}-{self.name}"


FAULTS = [
    Fault("scales", ResultCache, "result", other_scale, True),
    Fault("scales", explorer, "one_blas_thread", other_scale, True),
    Fault("scales", explorer, "shown_numbers", other_scale, True),
    Fault("scales", HeatmapBoard, "show", other_scale, True),
    Fault("scales", explorer, "board_rows", lambda view: setattr(view.strip, "selected", 3 - view.strip.selected), True),
    Fault("scales", share_bars, "inspected_window", pin),
    Fault("scales", explorer, "samples", lambda view: setattr(view.bar.path, "value", f"somewhere {time.monotonic()}")),
    Fault("scales", figure_download, "figure_bytes", lambda view: view.bar.download.button.click()),
    Fault("scales", figure, "scales_figure", lambda view: view.bar.download.button.click()),
    Fault("scales", HeatmapBoard, "send", lambda view: view.bar.download.button.click()),
    Fault("scales", taken_away, "state_of", lambda view: view.bar.copy.click()),
    Fault("scales", background, "thumbnail", in_background),
    Fault("scales", background, "computed_ahead", in_background),
    Fault("scales", background, "images_in_turn", in_background),
    Fault("scales", background.Background, "start", in_background),
    Fault("attributions", attribution_request, "attribute", press),
    Fault("attributions", attribution_request, "exact_shares", press),
    Fault("attributions", TokenCache, "pictures", press, True),
    Fault("attributions", attribution_explorer, "map_panel", press, True),
    Fault("attributions", attribution_explorer, "scores_html", press, True),
    Fault("attributions", attribution_controls, "method_calls", press, True),
    Fault("embeddings", embedding_explorer, "embed", new_table, True),
    Fault("embeddings", embedding_explorer, "embedding_view", press, True),
    Fault("embeddings", embedding_board, "map_points", press, True),
    Fault("embeddings", embedding_board, "measures_html", press, True),
    Fault("embeddings", embedding_board, "LinkedMaps", press, True),
    Fault("embeddings", maps, "map_scatter", press, True),
    Fault("embeddings", embedding_board, "map_colouring", choose("colour", "camera", "modality", "plain_ap")),
    Fault("embeddings", LinkedMaps, "colour", choose("colour", "camera", "modality", "plain_ap")),
    Fault("embeddings", embedding_board, "identity_name", choose("search", "0", "1", "")),
    Fault("embeddings", LinkedMaps, "_place", toggle("morph")),
    Fault("embeddings", LinkedMaps, "_draw_arrows", toggle("arrows")),
    Fault("embeddings", embedding_explorer, "export", lambda view: view.saving.button.click()),
    Fault("embeddings", embedding_explorer, "save_figures", lambda view: view.saving.button.click()),
    Fault("embeddings", embedding_board, "selection_html", point(2)),
    Fault("embeddings", embedding_board.PointPanel, "look_at", point(2)),
    Fault("embeddings", ResultCache, "result", point(3)),
    Fault("embeddings", HeatmapBoard, "show", point(4)),
    Fault("embeddings", neighbour_rows, "neighbours", point(5)),
    Fault("embeddings", neighbour_rows, "row_thumbnail", lambda view: (view.strip.rows.release(), point(6)(view))),
    Fault("embeddings", neighbour_rows, "who", point(7)),
    Fault("embeddings", embedding_board.PointPanel, "compare_with", neighbour),
    Fault("embeddings", embedding_board, "thumbnail", hover),
    Fault("rankings_of", rankings, "ranked_queries", press),
    Fault("rankings_of", rankings.Rankings, "lists", lambda view: setattr(view, "k", 5 - view.k), True),
    Fault("rankings_of", ranked_words, "summary", lambda view: setattr(view, "k", 5 - view.k), True),
    Fault("rankings_of", query_menu, "matching", lambda view: setattr(view.controls.search, "value", f"{time.monotonic()}")),
    Fault("rankings_of", query_menu.QueryMenu, "_on_listed", lambda view: setattr(view.controls.query, "value", view.controls.query.options[2][1])),
    Fault("rankings_of", query_menu.QueryMenu, "_step", lambda view: view.controls.following.click()),
    Fault("rankings_of", query_menu.QueryMenu, "_step", lambda view: view.controls.previous.click()),
    Fault("rankings_of", query_choice, "jump_order", lambda view: view.controls.jumps["worst"].click()),
    Fault("rankings_of", figure_download, "figure_bytes", lambda view: view.download.button.click()),
    Fault("rankings_of", shown_figure, "ranked_figure", lambda view: view.download.button.click()),
    Fault("rankings_of", pair_work, "pair_window_shares", click_result),
    Fault("rankings_of", pair_panel, "pair_panels", click_result),
    Fault("rankings_of", pair_panel, "pair_html", click_result),
    Fault("rankings_of", Worker, "start", click_result),
    Fault("texts", hit_tags, "search_text", other_text, True),
    Fault("texts", text_view, "map_files", press),
    Fault("texts", word_maps, "cls_by_patch", new_maps),
]  # fmt: skip
ERRORS = [
    RuntimeError("boom <b>"),
    KeyError("gone"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    MemoryError(),
    ImageFileError("that picture is broken"),
]
FIRST = dict.fromkeys((FAULTS[0], FAULTS[16], FAULTS[23], FAULTS[44], FAULTS[13]), ERRORS)


def usable(kind: str, view) -> None:
    """Everything works as before."""
    acts = {
        "scales": [other_scale, pin, lambda view: view.bar.copy.click()],
        "attributions": [],
        "embeddings": [point(1), hover, choose("colour", "camera", "identity"), toggle("morph"), toggle("arrows")],
        "rankings_of": [press, lambda view: setattr(view, "k", 5 - view.k), click_result],
        "texts": [press, other_text],
    }[kind]  # fmt: skip
    for act in acts:
        act(view)


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize(
    ("fault", "problem"),
    [(fault, problem) for at, fault in enumerate(FAULTS) for problem in FIRST.get(fault, [ERRORS[at % 2]])],
    ids=lambda value: str(value) if isinstance(value, Fault) else type(value).__name__,
)
def test_a_failure_anywhere_is_said_and_logged_once_and_the_view_goes_on(
    fault: Fault, problem: Exception, request, monkeypatch, caplog
) -> None:
    view = request.getfixturevalue(fault.view)
    caplog.set_level(logging.INFO)
    raised: list[Exception] = []

    def fail(*_args: Any, **_options: Any) -> Any:
        raised.append(type(problem)(*problem.args))
        raise raised[-1]

    with monkeypatch.context() as broken:
        broken.setattr(fault.owner, fault.name, fail)
        fault.act(view)
    words = said(view)
    assert unescape(problem_words(problem)) in words
    if fault.act in (press, new_table):
        status = view.worker.status.value
        assert status.startswith("failed") or ", without" in status
    logged = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert [id(some) for some in logged] == [id(some) for some in raised]
    if fault.is_old:
        marked = fault.view == "scales" and view.board.failed == view.controls.asked
        assert marked or (OUT_OF_DATE in words and pale_parts(view))
    fault.act(view)
    usable(fault.view, view)
    words = said(view)
    assert type(problem).__name__ not in words
    assert OUT_OF_DATE not in words
    assert fault.act not in (press, new_table) or "done in" in words
    assert not pale_parts(view)
    if fault.view == "scales":
        assert (view.board.failed, view.board.answered) == (None, view.controls.asked)
