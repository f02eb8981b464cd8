"""The site, opened from the disk: a notebook is a page, and the explorer in it works without a kernel or a network."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.lab import Lab
from support.offline_browser import PICTURES, offline
from support.small_site import build, write_notebook, write_pages

from browser.conftest import unavailable

pytestmark = pytest.mark.browser
KEPT = "<!-- kept -->"
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
    write_pages(folder, "small")
    write_notebook(folder, "small", *CELLS)
    for turn in range(2):  # the second finds the outputs that the first kept
        built = build(folder, f"built_{turn}", "-E")
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
