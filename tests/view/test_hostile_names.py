"""Whatever a file, folder, prompt or weight is called, a view holds it as text: no element, no attribute, no formula."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser

import ipywidgets as widgets
import numpy as np
import pytest
from support.hostile import HIT, NAMES, WORDS, hostile_model, hostile_samples

import mswin_viz as mv
from mswin_viz.analysis.embeddings.batch import embed
from mswin_viz.data.sample import Sample
from mswin_viz.data.sets.layouts import scan
from mswin_viz.data.sets.report import as_text
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.view.embeddings.measure_table import measures_html
from mswin_viz.view.widgets.lifetime import parts_of
from mswin_viz.view.widgets.markup import ATTRIBUTES, TAGS, Html

pytestmark = pytest.mark.filterwarnings("ignore:.* is left out:UserWarning")  # measures of unknown identities


class Page(HTMLParser):
    """Refuses every element and attribute that ``tag`` does not make; ``text`` is what a reader sees."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.titles, self._open = "", [], []
        self.feed(str(html))
        self.close()
        assert self._open == []

    def handle_starttag(self, name: str, given: list[tuple[str, str | None]]) -> None:
        assert name in TAGS
        for attribute, value in given:
            assert attribute in ATTRIBUTES
            assert not (attribute == "style" and (HIT in value or "url" in value))
            self.titles += [value] if attribute == "title" else []
            assert attribute != "src" or value.startswith("data:image/png;base64,")
        if name not in ("br", "img"):
            self._open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self._open.pop() == name

    def handle_data(self, text: str) -> None:
        self.text += text

    def handle_comment(self, text: str) -> None:
        raise AssertionError(f"a comment: {text}")

    handle_decl = handle_pi = unknown_decl = handle_comment


def pages(view: widgets.Widget) -> Iterator[str]:
    """What every HTML widget of a view shows, as text."""
    for part in parts_of(view):
        assert isinstance(part, Html) or not isinstance(part, widgets.HTML | widgets.HTMLMath | widgets.Label)
        if isinstance(part, Html):
            yield Page(part.value).text
        for name in ("description", "placeholder", "tooltip", "tooltips"):
            words = str(getattr(part, name, "") or "")  # JupyterLab looks for formulas in some of these
            assert not any(sign in words for sign in (HIT, "$", "\\"))
        assert not getattr(part, "description_allow_html", False)
        assert not any(HIT in css for css in getattr(part, "_dom_classes", ()))


def shown(view: widgets.Widget) -> str:
    return "\n".join(pages(view))


def stored(view: widgets.Widget) -> str:
    """What a notebook keeps of a view, as text."""
    return Page(view._repr_mimebundle_()["text/html"]).text


def unquoted(text: str) -> str:
    """Text whose names may stand in quotation marks as Python writes them."""
    return text.replace("\\\\", "\\").replace("\\'", "'")


@pytest.fixture(scope="module")
def model() -> Model:
    return hostile_model()


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    return hostile_samples(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def table(model: Model, samples: list[Sample]):
    return embed(model, samples, progress=False)


def test_the_scale_explorer_shows_them_as_text(model, samples) -> None:
    explorer = mv.ScaleExplorer(
        model, samples, prompt="<i>\n</b>&lt;"
    )  # as many words as the tiny model takes
    for rows in ("one", "modalities", "pair"):
        explorer.controls.rows.value = rows
        for at in (0, 4, 7):
            explorer.strip.selected, explorer.strip.second = at, at + 2
            text = shown(explorer)
            assert all(words in text for words in (WORDS[-2], WORDS[-3], "<i>", "</b>&lt;"))
    explorer.strip.selected, explorer.strip.second = len(samples) - 1, len(samples) - 2
    explorer.board.pinned = {"key": "scale-2", "row": 0, "window": 1}
    text = shown(explorer)
    assert f"query: {NAMES[-1]}: cosine" in text
    assert f"gallery: {NAMES[-2]}: cosine" in text
    assert f"Window 1 of scale 2, query: {NAMES[-1]}" in text
    assert WORDS[-3] in stored(explorer)
    explorer.close()


@pytest.mark.parametrize("words", WORDS)
def test_messages_about_a_prompt_and_about_a_path_show_it_as_text(words: str, model, samples) -> None:
    explorer = mv.ScaleExplorer(model, samples[:1], prompt="a person")
    explorer.controls.prompt.value = words
    shown(explorer)
    explorer.bar.path.value = f"/nowhere/{words}"
    assert words in unquoted(Page(explorer._html["message"].value).text)
    explorer.close()


def test_the_attribution_explorer_shows_them_as_text(model, samples, tmp_path) -> None:
    broken = Sample(0, 0, {"RGB": tmp_path / f"{NAMES[0]}.png"})
    broken.images["RGB"].write_bytes(b"no picture")
    explorer = mv.AttributionExplorer(model, [*samples, broken], prompt=WORDS[-2])
    assert explorer.controls.strip.items[0]["name"] == NAMES[0]  # the strip shows text
    explorer.controls.methods.value = ("gradient_x_input",)
    explorer.controls.strip.selected = 2
    explorer.start().join()
    assert WORDS[-3] in shown(explorer)
    assert WORDS[-3] in stored(explorer)
    explorer.controls.strip.selected = len(samples)
    explorer.start().join()
    assert NAMES[0] in Page(explorer._messages.value).text
    shown(explorer)
    explorer.close()


def test_the_embedding_explorer_shows_them_as_text(model, samples, table, tmp_path) -> None:
    explorer = mv.EmbeddingExplorer(model, samples, table=table, view=mv.embedding_view(table))
    for row in range(len(table)):
        explorer.open_row(row)
        explorer.panel.compare_with(samples[(row + 1) % len(samples)])
        shown(explorer)
        if table.pid[row] < 0:
            assert NAMES[table.sample[row]] in Page(explorer.panel._title.value).text
    for words in WORDS:
        explorer.controls.search.value = words
        assert words in unquoted(Page(explorer.board.html["selection"].value).text)
    explorer.saving.folder.value = str(tmp_path / NAMES[0] / NAMES[1])
    explorer.saving.button.click()
    assert WORDS[-3] in stored(explorer)
    text = Page(explorer.saving.message.value).text
    assert text.endswith(f" files in {tmp_path / NAMES[0] / NAMES[1]}")
    explorer.close()


def test_the_retrieval_view_shows_them_as_text(model, samples, table) -> None:
    view = mv.RetrievalView(model, samples, table=table, k=3)
    for at in range(len(samples)):
        view.query = at
        view.strip.clicked = int(view.results["enhanced"].rows[0])
        view.start().join()
        view.pair_worker.thread.join()
        text = shown(view)
        if samples[at].pid < 0:
            assert NAMES[at] in Page(view.pair._bars.value).text
    assert any(NAMES[0] in name for name, _ in view.controls.query.options)
    assert WORDS[-2] in text
    assert WORDS[-2] in stored(view)
    view.close()


def test_names_of_modalities_and_of_what_failed_are_text(model, samples, table) -> None:
    names = dict(zip(("RGB", "NI"), (NAMES[0], NAMES[3]), strict=True))
    strange = replace(
        table,
        modality=np.array([names[name] for name in table.modality]),
        files=tuple({names[name]: file for name, file in files.items()} for files in table.files),
    )
    text = Page(measures_html(mv.embedding_view(strange))).text
    assert NAMES[0] in text
    assert NAMES[3] in text


def test_a_curve_and_a_strip_are_stored_as_text(samples, table) -> None:
    curve = mv.TrainingCurve(score_name=WORDS[-2], status=WORDS[-3], losses=[1.0], checked=[1], scores=[50.0])
    assert WORDS[-3] in stored(curve)
    strip = mv.NeighbourStrip(table, row=len(NAMES) - 2)
    assert NAMES[-2] in stored(strip)


def test_a_report_and_the_text_forms_show_them_whole(samples) -> None:

    root = next(iter(samples[0].images.values())).parents[1]
    text = as_text(mv.verify(scan(root), progress=False), width=400)
    assert f"script>{HIT}" in text
    assert HIT in repr(samples[0])
