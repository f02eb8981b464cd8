"""What can be seen of the scale explorer at once: on two sizes of screen, with the file browser open."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.lab import Lab

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
SIZES = [(1440, 900), (1024, 768)]
SEEN = """(css) => {
  const page = document.querySelector(".jp-WindowedPanel-outer").getBoundingClientRect();
  const part = (low, high, from, to) => Math.max(0, Math.min(high, to) - Math.max(low, from)) / (high - low);
  return [...document.querySelectorAll(css)].map((element) => {
    const box = element.getBoundingClientRect();
    return part(box.top, box.bottom, page.top, page.bottom) * part(box.left, box.right, page.left, page.right);
  });
}"""
"""The part of each element that the page shows, 0 to 1."""


CONTRASTS = """() => {
  const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  const light = (colour) => {
    const [r, g, b] = colour.map((v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const around = (element) => (element ? [element, ...around(element.parentElement)] : []);
  const contrast = (element) => {
    const every = around(element);
    const ground = every.map((one) => rgba(getComputedStyle(one).backgroundColor)).reduceRight((below, top) => over(top, below), [255, 255, 255]);
    const ink = rgba(getComputedStyle(element).color);
    if (!ink[3]) return 21; // it is not shown
    ink[3] *= every.reduce((all, one) => all * Number(getComputedStyle(one).opacity), 1);
    const [a, b] = [light(over(ink, ground)), light(ground)];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const found = [];
  const words = document.createTreeWalker(document.querySelector(".mswin-explorer"), NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const element = words.currentNode.parentElement;
    if (words.currentNode.textContent.trim() && element.checkVisibility() && !element.closest(":disabled, datalist"))
      found.push([contrast(element), words.currentNode.textContent.trim()]);
  }
  return found;
}"""
"""The contrast of all text that is seen against what lies behind it (WCAG 2.2, 1.4.3), with the text."""
ORDER = """() => {
  const view = document.querySelector(".mswin-explorer");
  const stops = [...view.querySelectorAll("button, input, select, textarea, summary, [tabindex]")];
  const seen = stops.filter((one) => one.checkVisibility() && !one.disabled && one.tabIndex >= 0);
  return seen.map((one) => [one.getBoundingClientRect().top, one.getAttribute("aria-label") || one.labels?.[0]?.textContent || one.textContent]);
}"""
"""Where the stops of the Tab key are, and what each is called."""


@pytest.fixture(scope="module")
def opened(lab: Lab) -> Lab:
    """The notebook with every cell run, and the file browser open."""
    shutil.copy(ROOT / "notebooks" / "explore_scales.ipynb", lab.root / "layout.ipynb")
    lab.open("layout.ipynb")
    lab.page.evaluate("() => window.jupyterapp.commands.execute('filebrowser:activate')")
    lab.run_all(timeout=300)
    assert lab.page.locator(".jp-FileBrowser").is_visible()
    return lab


@pytest.fixture(params=SIZES, ids=["1440x900", "1024x768"])
def explorer(opened: Lab, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The explorer as it is at first, the upper edge of its cell at that of the page."""
    before, (width, height) = opened.page.viewport_size, request.param
    opened.page.set_viewport_size({"width": width, "height": height})
    yield opened
    opened.execute(
        "explorer.sections.unfolded = []; explorer.controls.rows.value = 'one'; explorer.board.captions = False"
    )
    opened.page.set_viewport_size(before)
    opened.wait_idle()
    opened.check()


def scrolled(lab: Lab) -> None:
    lab.wait_idle()
    lab.page.locator(".mswin-explorer").first.evaluate("(view) => view.scrollIntoView({ block: 'start' })")
    lab.wait_idle()


def do(lab: Lab, code: str) -> None:
    lab.execute(code)
    lab.wait_idle()


def seen(lab: Lab, css: str) -> list[float]:
    return lab.page.evaluate(SEEN, css)


@pytest.mark.parametrize(("rows", "n_heatmaps"), [("one", 6), ("modalities", 18)])
def test_the_images_the_slider_and_the_heatmaps_are_seen_at_once(
    explorer: Lab, rows: str, n_heatmaps: int
) -> None:
    do(explorer, f"explorer.controls.rows.value = {rows!r}")
    scrolled(explorer)
    assert seen(explorer, ".mswin-scale") == [1]
    assert seen(explorer, ".mswin-strip-list") == [1]
    parts = seen(explorer, ".mswin-heatmap canvas")
    assert len(parts) == n_heatmaps
    assert min(parts) >= 2 / 3
    above = explorer.page.locator(".mswin-scale").bounding_box()
    first = explorer.page.locator(".mswin-board").first.bounding_box()
    assert above is not None
    assert first is not None
    assert (
        above["y"] < first["y"] < above["y"] + above["height"] + 80
    )  # nothing but folded controls between them


def test_a_section_unfolds_above_the_heatmaps_which_stay_in_sight(explorer: Lab) -> None:
    scrolled(explorer)
    assert explorer.page.locator(".mswin-section:visible").count() == 0
    button = explorer.page.locator(".mswin-section-bar [data-section=measure]")
    assert button.get_attribute("aria-expanded") == "false"
    button.click()
    scrolled(explorer)
    assert button.get_attribute("aria-expanded") == "true"
    section = explorer.page.locator(f"[id='{button.get_attribute('aria-controls')}']")
    assert section.locator(".mswin-value").is_visible()
    assert min(seen(explorer, ".mswin-heatmap canvas")) >= 2 / 3
    assert explorer.ask("explorer.sections.unfolded") == "['measure']"
    button.click()
    explorer.wait_idle()
    assert explorer.page.locator(".mswin-section:visible").count() == 0


def test_captions_are_a_line_for_each_panel_at_a_press(explorer: Lab) -> None:
    captions = explorer.page.locator("ul.mswin-words li")
    assert not captions.first.is_visible()
    assert not explorer.page.locator(".mswin-heatmap-caption").first.is_visible()
    explorer.page.locator(".mswin-chip", has_text="captions").click()
    explorer.wait_idle()
    assert captions.count() == 6
    assert all(line.bounding_box()["height"] < 30 for line in captions.all())
    assert explorer.page.locator(".mswin-heatmap-caption").first.is_visible()


def test_the_provenance_is_one_line_until_it_is_clicked(explorer: Lab) -> None:
    badge = explorer.page.locator(".mswin-explorer .mswin-badge").first
    badge.scroll_into_view_if_needed()
    folded = badge.bounding_box()["height"]
    assert folded < 34
    badge.locator("summary").click()
    explorer.wait_idle()
    assert badge.bounding_box()["height"] > folded
    badge.locator("summary").click()


def test_a_reset_brings_the_controls_back_and_keeps_the_image(explorer: Lab) -> None:
    state = explorer.ask("explorer.strip.selected")
    do(
        explorer,
        "explorer.controls.scale.value, explorer.controls.rows.value, explorer.board.hidden = 40, 'modalities', ['plain']",
    )
    explorer.page.locator(".mswin-reset").click()
    explorer.wait_idle()
    asked = "(explorer.controls.scale.value, explorer.controls.rows.value, explorer.board.hidden, explorer.strip.selected)"
    assert explorer.ask(asked) == f"(12, 'one', [], {state})"


def test_ctrl_z_takes_a_step_of_the_view_back_and_in_a_text_field_what_was_typed(explorer: Lab) -> None:
    do(explorer, "explorer._history.begin()")
    undo, pinned = explorer.page.locator(".mswin-undo"), "explorer.board.pinned or None"
    assert undo.is_disabled()
    explorer.page.locator(".mswin-heatmap[data-key=scale-8] canvas").click()
    explorer.wait_idle()
    assert explorer.ask(pinned) != "None"
    assert undo.is_enabled()
    find = explorer.control(".mswin-prompt textarea")
    before = find.input_value()
    find.press("End")
    find.press_sequentially("x")
    find.press("Control+z")
    assert find.input_value() == before
    assert explorer.ask(pinned) != "None"
    explorer.page.locator(".mswin-heatmap[data-key=fused] canvas").focus()
    explorer.page.keyboard.press("Control+z")
    explorer.wait_idle()
    assert explorer.ask(pinned) == "None"
    assert undo.is_disabled()


def test_a_state_is_pasted_into_a_box_where_the_clipboard_is_not_to_be_read(explorer: Lab) -> None:
    do(explorer, "copied = __import__('json').dumps(explorer.state); explorer.controls.value.value = 'norm'")
    explorer.control(".mswin-paste button").click()
    box = explorer.page.locator(".mswin-paste-box")
    box.wait_for()
    box.fill("{}")
    box.press("Enter")
    explorer.wait_idle()
    assert "copy it again" in explorer.page.locator(".mswin-explorer-message").first.inner_text()
    assert explorer.ask("explorer.controls.value.value") == "'norm'"
    explorer.control(".mswin-paste button").click()
    box.evaluate("(box, text) => (box.value = text)", ast.literal_eval(explorer.ask("copied")))
    box.press("Enter")
    explorer.wait_idle()
    assert explorer.ask("explorer.controls.value.value") == "'removal'"
    assert not box.is_visible()


def test_full_screen_shows_the_explorer_alone_and_escape_leads_back(explorer: Lab) -> None:
    button = explorer.page.locator(".mswin-full-screen")
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    explorer.page.wait_for_function("() => document.fullscreenElement?.matches('.mswin-explorer')")
    explorer.wait_idle()
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    explorer.page.wait_for_function("() => !document.fullscreenElement")


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_all_text_has_enough_contrast(explorer: Lab, theme: str) -> None:
    do(explorer, "explorer.sections.unfolded = explorer.sections.names; explorer.board.captions = True")
    change = "(name) => window.jupyterapp.commands.execute('apputils:change-theme', { theme: name })"
    explorer.page.evaluate(change, f"JupyterLab {theme}")
    is_light = str(theme == "Light").lower()
    explorer.page.wait_for_function("(is) => document.body.dataset.jpThemeLight === is", arg=is_light)
    explorer.wait_idle()
    texts = explorer.page.evaluate(CONTRASTS)
    assert len(texts) > 60
    assert [text for text in texts if text[0] < 4.5] == []


def test_toggle_buttons_say_whether_they_are_pressed_and_sliders_have_names(explorer: Lab) -> None:
    do(explorer, "explorer.sections.unfolded = explorer.sections.names")
    buttons = explorer.page.locator(".mswin-rows button")
    assert [button.get_attribute("aria-pressed") for button in buttons.all()] == ["true", "false", "false"]
    buttons.nth(1).click()
    explorer.wait_idle()
    assert [button.get_attribute("aria-pressed") for button in buttons.all()] == ["false", "true", "false"]
    sliders = explorer.page.locator(".mswin-explorer [role=slider]").all()
    assert len(sliders) == 3
    named = "(one) => Boolean(one.ariaLabel || one.getAttribute('aria-labelledby') || one.labels?.length)"
    assert all(slider.evaluate(named) for slider in sliders)


def test_the_tab_key_goes_from_top_to_bottom_and_every_stop_has_a_name(explorer: Lab) -> None:
    stops = explorer.page.evaluate(ORDER)
    tops = [top for top, _ in stops]
    assert all(later > earlier - 40 for earlier, later in pairwise(tops))
    assert all(name.strip() for _, name in stops)
    assert len(stops) < 40
