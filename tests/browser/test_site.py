"""The site, opened from the disk: a notebook is a page, and the explorer in it works without a kernel or a network."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from support.lab import Lab
from support.offline_browser import PICTURES, offline

from browser.conftest import unavailable

pytestmark = pytest.mark.browser
KEPT = "<!-- kept -->"
ROOT = Path(__file__).resolve().parents[2]
CELLS = [
    "import mswin_viz as mv\n\nexplorer = mv.ScaleExplorer(mv.load_model(), mv.samples()[:3])\nexplorer",
    "mv.TrainingCurve()",
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of one page and one notebook, built with the configuration of the real one."""
    if importlib.util.find_spec("myst_nb") is None:
        unavailable("the site cannot be built: pip install 'mswin-viz[docs]'")
    folder = tmp_path_factory.mktemp("site")
    (folder / "pages").mkdir()
    (folder / "notebooks").mkdir()
    (folder / "pages" / "index.md").write_text(
        "# A site\n\n[back](notebooks/small.ipynb)\n\n:::{toctree}\nnotebooks/small\n:::\n"
    )
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [
        nbformat.v4.new_markdown_cell("# A small notebook\n\n[the first page](../docs/index.md)"),
        *map(nbformat.v4.new_code_cell, CELLS),
    ]
    nbformat.write(notebook, folder / "notebooks" / "small.ipynb")
    settings = {
        "live_notebooks_source": folder / "notebooks",
        "nb_execution_cache_path": folder / "kept" / "state",
    }
    for turn in range(2):  # the second finds the outputs that the first kept
        built = subprocess.run(
            [
                sys.executable, "-m", "sphinx", "--fail-on-warning", "--quiet", "-E", "-c", ROOT / "docs", "-b", "html",
                *(f"-D{name}={value}" for name, value in settings.items()), folder / "pages", folder / f"built_{turn}",
            ],
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert built.returncode == 0, built.stdout + built.stderr
        for page in (folder / "kept" / "state" / "live").iterdir():
            page.write_text(page.read_text() + KEPT)
    return folder / "built_1"


@pytest.fixture
def shown(lab: Lab, site: Path) -> Iterator:
    with offline(lab, (site / "notebooks" / "small.html").as_uri()) as opened:
        yield opened


def test_an_explorer_in_a_page_of_the_site_answers_its_slider(shown) -> None:
    frame = shown.page.locator("iframe.live-view")
    frame.scroll_into_view_if_needed()
    inner = frame.content_frame
    inner.locator(".mswin-heatmap[data-key=free] canvas").wait_for()
    settled = "() => new Promise((done) => setTimeout(done, 300))"
    shown.page.evaluate(settled)
    before = inner.locator("body").evaluate(f"() => ({PICTURES})()")
    inner.locator(".mswin-slider-range").focus()
    shown.page.keyboard.press("PageUp")
    shown.page.keyboard.press("ArrowRight")
    shown.page.evaluate(settled)
    after = inner.locator("body").evaluate(f"() => ({PICTURES})()")
    assert len(before) == len(after) > 5
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 1  # the free scale's alone


def test_a_frame_is_as_high_as_the_explorer_in_it_and_stays_so(shown) -> None:
    frame = shown.page.locator("iframe.live-view")
    frame.scroll_into_view_if_needed()
    frame.content_frame.locator(".mswin-heatmap canvas").first.wait_for()
    heights = []
    for _ in range(6):
        shown.page.wait_for_timeout(250)
        box = frame.bounding_box()
        assert box is not None
        heights.append(box["height"])
    page = frame.content_frame.locator("html")
    inside, seen = page.evaluate("(e) => [e.scrollHeight, innerHeight]"), heights[-1]
    assert heights[-3:] == [seen] * 3
    assert inside[0] <= inside[1]  # nothing to scroll
    assert 500 < seen < 1400
    assert page.evaluate("(e) => e.scrollWidth <= innerWidth")


def test_what_is_no_saved_page_is_shown_as_its_picture_or_line_and_links_lead_to_pages(
    shown, site: Path
) -> None:
    text = (site / "notebooks" / "small.html").read_text()
    assert text.count("<iframe") == 1
    assert "TrainingCurve(" in text
    assert "application/vnd.jupyter.widget" not in text
    shown.page.get_by_role("link", name="the first page").click()
    shown.page.wait_for_url("**/index.html")


def test_a_notebook_that_has_not_changed_is_not_run_again(site: Path) -> None:
    (page,) = (site / "live").glob("ScaleExplorer_*.html")
    assert (site / "live" / "small.html").read_bytes() == page.read_bytes()
    assert page.read_text().count(KEPT) == 1
