"""A saved page, opened from the disk by a browser without a network: everything in it works, and it asks for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from support.axe import axe_file, serious_findings
from support.lab import Lab
from support.offline_browser import PICTURES, Opened, offline

import mswin_viz as mv
from browser.conftest import unavailable

pytestmark = pytest.mark.browser
MINUS = "\N{MINUS SIGN}"
FREE = ".mswin-heatmap[data-key=free] canvas"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of three images."""
    explorer = mv.ScaleExplorer(
        mv.load_model(addon="default"), mv.samples()[:3], prompt="a person wearing a red top"
    )
    path = explorer.to_html(
        tmp_path_factory.mktemp("pages") / "scales.html", progress=False, say=lambda _words: None
    )
    explorer.close()
    return path


@pytest.fixture
def opened(lab: Lab, file: Path) -> Iterator[Opened]:
    with offline(lab, file.as_uri()) as found:
        found.page.wait_for_selector(".mswin-heatmap canvas")
        found.pictures()
        yield found


def test_the_slider_and_the_heatmaps_are_in_sight_at_once(opened: Opened) -> None:
    boxes = [box.bounding_box() for box in opened.page.locator(f".mswin-slider-range, {FREE}").all()]
    assert len(boxes) == 2
    assert all(box and box["y"] >= 0 and box["y"] + 0.67 * box["height"] < 900 for box in boxes)


def test_the_slider_moves_the_free_windows_through_every_scale(opened: Opened) -> None:
    page = opened.page
    page.locator(".mswin-slider-range").focus()
    page.keyboard.press("Home")
    seen = set()
    for scale in range(2, 40):
        before = opened.pictures()
        page.keyboard.press("ArrowRight")
        changed = opened.changed(before)
        assert sum(changed) <= 1
        seen.add(opened.page.evaluate(PICTURES)[-3])
        assert (
            page.locator(".mswin-heatmap[data-key=free] .mswin-heatmap-title").inner_text()
            == f"scale {scale}"
        )
    assert len(seen) > 30


def test_values_modalities_rows_images_and_display_work(opened: Opened) -> None:
    page = opened.page
    before = opened.pictures()
    for section in ("measure", "fusion", "display"):
        page.locator(f"[data-section={section}]").click()
    for act in (
        lambda: page.locator(".mswin-value select").select_option(index=3),
        lambda: page.locator(".mswin-segment", has_text="TI").click(),
        lambda: page.locator(".mswin-thumb").nth(1).click(),
        lambda: page.locator(".mswin-opacity input").fill("0.9"),
        lambda: page.locator(".mswin-cmap select").select_option("magma"),
        lambda: page.locator(".mswin-outline input").uncheck(),
    ):
        act()
        assert sum(opened.changed(before)) >= 3
        before = opened.pictures()
    page.locator(".mswin-rows button", has_text="modalities").click()
    assert len(opened.pictures()) == 3 * len(before)
    assert page.locator(".mswin-heatmap-stale").count() == 0
    page.locator(".mswin-reset").click()
    assert len(opened.pictures()) == len(before)
    assert page.locator(".mswin-value select").evaluate("(menu) => menu.selectedIndex") == 0


def test_words_follow_what_is_chosen(opened: Opened) -> None:
    page = opened.page
    legend, scores = page.locator(".mswin-legend"), page.locator(".mswin-scores")
    assert "change when removed" in legend.inner_text()
    first = scores.inner_text()
    page.locator("[data-section=measure]").click()
    page.locator(".mswin-value select").select_option(index=3)
    assert "activation norm" in legend.inner_text()
    assert scores.inner_text() == first
    page.locator(".mswin-thumb").nth(2).click()
    assert scores.inner_text() != first


def test_a_click_pins_a_window_and_lists_its_numbers(opened: Opened) -> None:
    page = opened.page
    page.locator(".mswin-heatmap[data-key=scale-8] canvas").click(position={"x": 20, "y": 60})
    words = page.locator(".mswin-inspection").inner_text()
    assert words.startswith("Window ")
    assert "of scale 8, RGB: row" in words
    assert [
        line
        for line in ("change when removed", "net push", "share of cosine", "activation norm")
        if line not in words
    ] == []
    page.locator(".mswin-heatmap[data-key=scale-8] canvas").hover(position={"x": 60, "y": 60})
    assert "value" in page.locator(".mswin-board-tip").inner_text()
    page.locator(".mswin-heatmap[data-key=scale-8] canvas").click(position={"x": 20, "y": 60})
    assert page.locator(".mswin-inspection").inner_text() == ""


def test_where_the_scale_is_fixed_nothing_moves_it(lab: Lab, tmp_path: Path) -> None:
    explorer = mv.ScaleExplorer(mv.load_model(addon="default"), mv.samples()[:2])
    explorer.controls.stride.value = 2
    explorer.controls.rows.value = "pair"
    path = explorer.to_html(tmp_path / "pair.html", progress=False, say=lambda _words: None)
    explorer.close()
    with offline(lab, path.as_uri()) as found:
        page = found.page
        page.wait_for_selector(".mswin-heatmap canvas")
        assert page.locator(".mswin-slider :is(input, button):enabled").count() == 0
        page.locator(".mswin-reset").click()
        expect(page.locator(".mswin-heatmap-stale")).to_have_count(0)
        page.locator("[data-section=fusion]").click()
        page.locator(".mswin-rows button", has_text="pair").click()
        expect(page.locator(".mswin-board-row")).to_have_count(2)
        page.locator(".mswin-thumb").nth(1).click()
        expect(page.locator(".mswin-board-row")).to_have_count(1)
        expect(page.locator(".mswin-heatmap-stale")).to_have_count(0)
        expect(page.locator(".mswin-explorer-message")).to_contain_text("only the one that was on screen")


def test_thumbnails_are_searched_and_sorted_by_score(opened: Opened) -> None:
    page = opened.page
    page.locator(".mswin-strip-search").fill("score>-1")
    assert page.locator(".mswin-thumb").count() == 3
    page.locator(".mswin-strip-search").fill("score>1")
    assert page.locator(".mswin-thumb").count() == 0
    page.locator(".mswin-strip-search").fill("")
    page.locator(".mswin-strip-order").select_option("score, highest first")
    scores = [
        float(text.replace(MINUS, "-")) for text in page.locator(".mswin-thumb-score").all_inner_texts()
    ]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_has_no_serious_accessibility_finding(lab: Lab, file: Path, scheme: str) -> None:
    axe = axe_file()
    if axe is None:
        unavailable("axe-core is not installed")
    with offline(lab, file.as_uri(), bypass_csp=True, color_scheme=scheme) as found:  # for axe's own script
        for section in ("measure", "fusion", "display", "help"):
            found.page.locator(f"[data-section={section}]").click()
        assert serious_findings(found.page, "body", axe) == []


def test_a_frame_in_a_notebook_s_output_works_too(lab: Lab, file: Path, tmp_path: Path) -> None:
    from mswin_viz.view.page.saved_page import StaticPage

    around = tmp_path / "output.html"
    around.write_text(
        f"<!doctype html><body>{StaticPage(file.read_text(encoding='utf-8'))._repr_html_()}", encoding="utf-8"
    )
    with offline(lab, around.as_uri()) as found:
        inside = found.page.frame_locator("iframe")
        inside.locator(".mswin-heatmap canvas").first.wait_for()
        inside.locator(".mswin-slider-range").focus()
        found.page.keyboard.press("PageUp")
        title = inside.locator(".mswin-heatmap[data-key=free] .mswin-heatmap-title")
        expect(title).to_have_text("scale 16")
