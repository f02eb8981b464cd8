"""No name runs in a page: files, folders, prompts, captions and weights called like scripts, through every view."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from support.hostile import NAMES, WORDS
from support.lab import Lab

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("notebook")]

TESTS = Path(__file__).resolve().parents[1]
FIRST = (
    f"import sys; sys.path.insert(0, {str(TESTS)!r})\n"
    "from pathlib import Path\n"
    "import mswin_viz as mv\n"
    "from support.hostile import NAMES, WORDS, hostile_model, hostile_samples\n"
    "from mswin_viz.analysis.embeddings.batch import embed"
)
ANEW = (
    "model, samples = hostile_model(), hostile_samples(Path.cwd())\n"
    "table = embed(model, samples, progress=False)\n"
)
CELLS = {
    "scales": "explorer = mv.ScaleExplorer(model, samples, prompt='<i>\\n</b>&lt;')\nexplorer",
    "attributions": "explorer = mv.AttributionExplorer(model, samples, prompt=WORDS[-2])\nexplorer",
    "embeddings": "explorer = mv.EmbeddingExplorer(model, samples, table=table, view=mv.embedding_view(table))\nexplorer",
    "retrieval": "explorer = mv.RetrievalView(model, samples, table=table, k=4)\nexplorer",
    "curve": "mv.TrainingCurve(score_name=WORDS[-2], status=WORDS[-3], losses=[1.0], checked=[1], scores=[50.0])",
    "report": (
        "from mswin_viz.data.sets.layouts import scan\n"
        "from mswin_viz.data.sets.report import tables\n"
        "from rich.console import Console\n"
        "for table in tables(mv.verify(scan(Path.cwd() / 'set<'), progress=False)):\n"
        "    Console(width=300, force_jupyter=True).print(table)"
    ),
}
RUN_SECOND = """async (source) => {
  const { content } = jupyterapp.shell.currentWidget;
  content.activeCellIndex = 1;
  content.activeCell.model.sharedModel.setSource(source);
  return jupyterapp.commands.execute("notebook:run-cell");
}"""
MADE_OF_NAMES = """() => [...document.querySelectorAll('.jp-Notebook *')].filter((e) =>
  ['SCRIPT', 'IFRAME', 'OBJECT', 'EMBED'].includes(e.tagName) || e.getAttributeNames().some((name) => name.startsWith('on'))
  || (e.tagName === 'IMG' && e.getAttribute('src') === 'x') || (e.getAttribute('href') ?? '').startsWith('javascript')
).map((e) => e.outerHTML.slice(0, 200))"""
TEXT = """() => [...document.querySelectorAll('.jp-OutputArea-output')].map((out) => [out.textContent,
  ...[...out.querySelectorAll('[title], [aria-label]')].map((e) => `${e.title}\\n${e.getAttribute('aria-label')}`)]
).flat().join('\\n').replaceAll('\\u00a0', ' ')"""


@pytest.fixture(scope="module")
def notebook(lab: Lab) -> None:
    """A notebook of two cells whose first, of imports, has run; torch is imported once for all views."""
    cells = [nbformat.v4.new_code_cell(source) for source in (FIRST, "")]
    made = nbformat.v4.new_notebook(cells=cells)
    made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(made, lab.root / "hostile.ipynb")
    lab.open("hostile.ipynb")
    lab.wait_idle(quiet=1.5)
    lab.run_all(timeout=300)


def shown(lab: Lab, name: str) -> Lab:
    """The page with this view in the second cell, in place of the one before; model and pictures are made anew."""
    assert lab.page.evaluate(RUN_SECOND, ANEW + CELLS[name])
    lab.wait_idle(timeout=300)
    lab.check()
    return lab


def check(lab: Lab, *wanted: str) -> None:
    """Nothing has run, nothing could run, and the words stand in the page as they are."""
    lab.wait_idle(quiet=0.8)
    assert lab.page.evaluate("() => window.__hit") is None
    assert lab.page.evaluate(MADE_OF_NAMES) == []
    text = lab.page.evaluate(TEXT)
    assert [words for words in wanted if words not in text] == []
    lab.check()  # a picture called x, too, would be a refused request or an error on the console


def do(lab: Lab, code: str) -> None:
    lab.execute(code)
    lab.wait_idle()


def test_the_scale_explorer_runs_no_name(lab: Lab) -> None:
    page = shown(lab, "scales").page
    check(lab, *NAMES, *WORDS[-3:-1], "<i>", "</b>&lt;")
    for at in (1, 3, 6, 9):
        do(
            lab,
            f"explorer.strip.selected, explorer.strip.second = {at}, {at - 1}; explorer.controls.rows.value = 'pair'",
        )
    check(lab, f"query: {NAMES[9]}", f"gallery: {NAMES[8]}")
    for words in WORDS[:3]:
        lab.control(".mswin-path input").fill(f"/nowhere/{words}")
        page.keyboard.press("Enter")
        check(lab, "/nowhere/")
    page.locator(".mswin-thumb").first.hover()
    lab.control(".mswin-strip-search").fill("<img")
    do(lab, "explorer.controls.prompt.value = WORDS[-2]")
    check(lab, NAMES[0])


def test_the_attribution_explorer_runs_no_name(lab: Lab) -> None:
    shown(lab, "attributions")
    check(lab, *NAMES, *WORDS[-3:-1])
    do(lab, "explorer.controls.methods.value = ('gradient_x_input',)\n"
            "samples[0].images['RGB'].write_bytes(b'no picture')\n"
            "explorer.start().join()")  # fmt: skip
    check(lab, *NAMES)


def test_the_embedding_explorer_runs_no_name(lab: Lab) -> None:
    page = shown(lab, "embeddings").page
    page.wait_for_selector(".mswin-map-enhanced canvas")
    for row in range(5, 10):  # of unknown identity: called by their names
        do(lab, f"explorer.open_row({row})")
        check(lab, NAMES[row])
    do(lab, "explorer.strip.clicked = explorer.strip.results['plain'].rows[0].item()")
    for words in WORDS:
        do(lab, f"explorer.controls.search.value = {words!r}")
    check(lab)
    page.locator(".mswin-embeddings input").last.scroll_into_view_if_needed()
    do(lab, "explorer.saving.folder.value = '/'.join(NAMES[:2])")
    page.locator(".mswin-embedding-save").click()
    page.wait_for_function("() => document.body.textContent.includes(' files in ')", timeout=200000)
    check(lab, f"{NAMES[0]}/{NAMES[1]}")


def test_the_tooltip_over_a_map_runs_no_name(lab: Lab) -> None:
    page = shown(lab, "embeddings").page
    page.wait_for_selector(".mswin-map-enhanced canvas")
    do(lab, "words = explorer.maps._points.words\n"
            "explorer.maps._points.words['modality'][:] = [NAMES[0]] * len(table)")  # fmt: skip
    box = page.locator(".mswin-map-enhanced canvas").first
    box.scroll_into_view_if_needed()
    place = page.evaluate("""() => {
      const map = document.querySelector('.mswin-map-enhanced');
      const { api } = [...map.querySelectorAll('div')].find((d) => d.api);
      const box = map.querySelector('canvas').getBoundingClientRect();
      const [x, y] = api.getScreenPosition(0);
      return [box.x + x, box.y + y];
    }""")
    page.mouse.move(place[0] - 4, place[1] - 4)
    page.mouse.move(*place, steps=4)
    page.wait_for_timeout(600)
    check(lab, NAMES[0])


def test_the_retrieval_view_runs_no_name(lab: Lab) -> None:
    shown(lab, "retrieval")
    for at in (5, 7, 9):
        do(lab, f"explorer.query = {at}\nexplorer.strip.clicked = explorer.results['enhanced'].rows[0].item()\n"
                "explorer.pair_worker.thread and explorer.pair_worker.thread.join()")  # fmt: skip
        check(lab, NAMES[at])
    do(lab, "explorer.controls.search.value = '<img'")
    check(lab, *NAMES[:1], *WORDS[-3:-1])


@pytest.mark.parametrize("name", ["curve", "report"])
def test_a_training_curve_and_a_report_run_no_name(name: str, lab: Lab) -> None:
    shown(lab, name)
    check(lab, *({"curve": WORDS[-3:-1], "report": ("set<",)}[name]))


@pytest.mark.parametrize("name", ["scales", "embeddings", "retrieval", "curve"])
def test_what_a_notebook_stores_runs_no_name(name: str, lab: Lab) -> None:
    shown(lab, name)
    html = lab.ask(f"({'explorer' if name != 'curve' else CELLS['curve']})._repr_mimebundle_()['text/html']")
    lab.page.evaluate(
        "(html) => document.querySelector('.jp-OutputArea-output').insertAdjacentHTML('beforeend', html)",
        eval(html),
    )
    lab.page.wait_for_timeout(300)
    check(lab, WORDS[-3])
