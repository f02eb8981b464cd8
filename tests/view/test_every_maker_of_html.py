"""Every function that makes HTML has run here with names that break pages, and all that was made holds them as text."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import unicodedata
from dataclasses import dataclass, field, replace
from pathlib import Path

import ipywidgets as widgets
import pytest
from support.functions_that_ran import Ran, functions_that_call, noted
from support.hostile import BROKEN, NAMES, hostile_samples
from support.own_modules import tiny_model_with
from support.saved_pages import ReadPage
from support.tiny import tiny_model

import mswin_viz as mv
import mswin_viz.view
from mswin_viz.analysis.embeddings.batch import embed
from mswin_viz.data.sample import Sample
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.view.page.page_values import json_text
from mswin_viz.view.page.saved_page import SavedAsPage
from mswin_viz.view.parts.stored_output import StoredView
from mswin_viz.view.widgets import markup
from mswin_viz.view.widgets.lifetime import parts_of
from mswin_viz.view.widgets.markup import Html

from .test_hostile_names import Page

pytestmark = pytest.mark.filterwarnings("ignore:.* is left out:UserWarning")  # measures of unknown identities
VIEW = Path(mswin_viz.view.__file__).parent
MAKING = {"tag", "fragment", "message_html", "reworded", "page_document", "framed"}
"""What ``markup.py`` gives to those that make HTML."""
PROMPT = f"{NAMES[0]}\nred \u2067top"
"""As it was typed, it stands in the prompt box of a saved page, and nowhere else."""
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that end lines, turn text round, or are no text; tabs and line breaks stand in our own pages."""


@dataclass
class Made:
    """What was made, and by which functions."""

    documents: dict[str, str] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)
    classes: set[type] = field(default_factory=set)
    ran: Ran = field(default_factory=set)

    def keep(self, name: str, view: widgets.Widget) -> None:
        """All HTML of a view as it is now."""
        self.classes.update(type(view).__mro__)
        for at, part in enumerate(part for part in parts_of(view) if isinstance(part, Html)):
            self.documents[f"{name}, part {at}"] = part.value
        for at, part in enumerate(parts_of(view)):
            json.dumps(
                part.get_state(), ensure_ascii=False, default=lambda _: ""
            ).encode()  # as the browser gets it
            assert not getattr(part, "description_allow_html", False), f"{name}, part {at}"

    def store(self, name: str, view: StoredView) -> None:
        """What a notebook stores of a view."""
        self.keep(name, view)
        self.documents[f"{name}, stored"] = view._repr_mimebundle_()["text/html"]

    def save(self, name: str, view: SavedAsPage) -> None:
        """The page of a view, alone and inside of another, and what a notebook stores."""
        self.store(name, view)
        static = view.static(images=2)
        self.pages[name], self.documents[f"{name}, framed"] = static.document, static._repr_html_()


def named_model(model: Model, at: int) -> Model:
    """A model whose weights, add-on and notes are called what breaks pages."""
    tower = replace(model.tower, weights=BROKEN[at], notes=(NAMES[at], BROKEN[at + 1]))
    return replace(model, tower=tower, addon_origin=f"{NAMES[at + 1]}\0{BROKEN[at]}")


def of_scales(made: Made, models: list[Model], samples: list[Sample]) -> None:
    for name, given in {
        "one": models[0],
        "gated": models[1],
        "two": {NAMES[1]: models[0], BROKEN[2]: models[2]},
    }.items():
        shown = samples if name == "one" else [samples[0], samples[-1]]
        explorer = mv.ScaleExplorer(given, shown, prompt=PROMPT)
        for rows in ("one", "modalities", "pair"):
            explorer.controls.rows.value = rows
            explorer.strip.second = 1
            explorer.board.pinned = {"key": explorer.board.columns[-1]["key"], "row": 0, "window": 0}
            made.keep(f"scales of {name}, {rows}", explorer)
        explorer.controls.shuffle.value = explorer.controls.shuffle.options[-1][1]
        made.keep(f"scales of {name}, shuffled", explorer)
        explorer.board.pinned = {"key": "nothing", "row": 0, "window": 0}
        explorer.bar.path.value = f"/nowhere/{BROKEN[0]}"
        explorer.strip.selected = len(shown) - 1
        made.keep(f"scales of {name}, refused", explorer)
        explorer.strip.selected = 0
        if name != "gated":
            made.save(f"scales of {name}", explorer)
        explorer.close()


def of_attributions(made: Made, model: Model, samples: list[Sample]) -> None:
    explorer = mv.AttributionExplorer(model, samples[-3:], prompt="a person")
    explorer.controls.methods.value = ("gradient_x_input",)
    for at in range(3):
        explorer.controls.strip.selected = at
        explorer.start().join()
        made.keep(f"attributions, {at}", explorer)
    explorer.ranking.n_images.value = 1
    explorer.ranking.worker.start().join()
    explorer.controls.methods.value = ()
    made.keep("attributions, ranked", explorer)
    explorer.ranking.worker.start().join()
    made.keep("attributions, refused", explorer)
    explorer.controls.methods.value = ("gradient_x_input",)
    explorer.controls.strip.selected = 0
    explorer.start().join()
    made.save("attributions", explorer)
    explorer.close()


def of_embeddings(made: Made, model: Model, samples: list[Sample], folder: Path) -> None:
    table = embed(model, samples, modalities=["RGB", "NI"], progress=False)
    explorer = mv.EmbeddingExplorer(model, samples, table=table, view=mv.embedding_view(table))
    made.keep("maps, fresh", explorer)
    for row in (0, len(table) - 1):
        explorer.open_row(row)
        explorer.panel.compare_with(samples[1])
        made.keep(f"maps, row {row}", explorer)
    for words in (*NAMES[:2], BROKEN[0], BROKEN[3]):  # a page sends text
        explorer.controls.search.value = words
        made.keep(f"maps, search for {words[:9]!r}", explorer)
    file = folder / BROKEN[3] / NAMES[0]
    file.parent.mkdir()
    file.write_bytes(b"")
    explorer.saving.folder.value = str(file)
    explorer.saving.button.click()
    explorer.board.maps._guarded("following a name", failed=None)(_refuse)()
    made.keep("maps, refused", explorer)
    explorer.settings.seed.value += 1
    made.save("maps", explorer)
    made.store("maps, strip", mv.NeighbourStrip(table, row=0))
    explorer.close()
    view = mv.RetrievalView(model, samples, table=table, k=3)
    for at in (0, 2):
        view.query = at
        view.strip.clicked = int(view.results["enhanced"].rows[0])
        view.start().join()
        view.pair_worker.thread.join()
        made.keep(f"results, {at}", view)
    view.tag_bar.tag.value = "\n"
    view.tag_bar.add.click()
    made.keep("results, no tag", view)
    made.save("results", view)
    view.close()
    listed = mv.FindingsView([mv.outliers(table), mv.near_duplicates(table)])
    listed._guarded("choosing", failed=None)(_refuse)()
    made.keep("findings, refused", listed)
    made.save("findings", listed)
    listed.close()
    mv.save_ranked_lists(table, Path(samples[0].images["RGB"]).parent / "lists", queries=[0, 2], k=2)
    found = mv.TextSearchView(model, samples, table=table, prompt="a person", k=2)
    found.start().join()
    made.keep("texts", found)
    found.prompt = NAMES[0]
    made.keep("texts, refused", found)
    found.close()


def _refuse() -> None:
    raise mv.errors.OptionError(f"{NAMES[0]} must not be called {BROKEN[1]}")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """All views, opened on names and words of every kind."""
    folder = tmp_path_factory.mktemp("names")
    samples = hostile_samples(folder, (*BROKEN, *NAMES[:3]))
    broken = Sample(-1, -1, {"RGB": folder / f"{BROKEN[2]}{NAMES[2]}.png"}, caption=BROKEN[0])
    broken.images["RGB"].write_bytes(b"no picture")
    given = (tiny_model(), tiny_model_with("mixture"), tiny_model(seed=8))
    models = [named_model(model, at) for at, model in enumerate(given)]
    made = Made()
    with noted(VIEW) as made.ran:
        of_scales(made, models, [*samples[:4], broken])
        of_attributions(made, models[0], [*samples[:2], broken])
        of_embeddings(made, models[0], [*samples, broken], folder)
        made.store("curve", mv.TrainingCurve(score_name=NAMES[0], status=BROKEN[1], losses=[1.0], checked=[1], scores=[50.0]))  # fmt: skip
    return made


def test_every_function_that_makes_html_has_run(made: Made) -> None:
    wanted = [one for one in functions_that_call(MAKING, VIEW) if one.file != Path(markup.__file__)]
    assert len(wanted) > 40
    missing = [f"{one.file.name}:{one.first} {one.name}" for one in wanted if not one.is_in(made.ran)]
    assert not missing, "open what shows them in the fixture of this file"


def test_every_view_that_a_notebook_stores_is_among_them(made: Made) -> None:
    for module in pkgutil.walk_packages([str(VIEW)], "mswin_viz.view."):
        importlib.import_module(module.name)
    found, left = set(), [StoredView]
    while left:
        found.update(left[-1].__subclasses__())
        left += left.pop().__subclasses__()
    names = {
        f"{some.__module__}.{some.__qualname__}" for some in made.classes
    }  # a test may have imported one anew
    assert {
        f"{some.__module__}.{some.__qualname__}" for some in found if some.__module__.startswith("mswin_viz.")
    } <= names


def test_every_document_is_of_harmless_elements_and_text(made: Made) -> None:
    assert len(made.documents) > 60
    for name, document in made.documents.items():
        document.encode()
        if not name.endswith("framed"):
            assert not FORBIDDEN.search(document), name
            Page(document)


def test_every_saved_page_holds_them_as_text(made: Made) -> None:
    assert len(made.pages) == 6
    for name, text in made.pages.items():
        page = ReadPage(text)
        text.encode()
        assert page.policy["script-src"] == page.script_digest, name
        outside = text.replace(page.script, "").replace(json_text(PROMPT)[-8:-1], "")
        for found in FORBIDDEN.finditer(outside):
            pytest.fail(f"{name}: {unicodedata.name(found[0], hex(ord(found[0])))} after {outside[: found.start()][-90:]!r}")  # fmt: skip
        assert "<" not in outside.split('id="mswin-page-data">')[1].split("</script>")[0], name
        for template in page.templates.values():
            Page(template)
        Page(re.findall(r"<footer>(.*?)</footer>", text, re.DOTALL)[0])
