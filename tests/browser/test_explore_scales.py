"""The notebook a newcomer opens, in a real JupyterLab: every part of the explorer, judged by its pixels."""

from __future__ import annotations

import json
import shutil
import time
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from support.held_kernel import kernel_held

from mswin_viz.view.widgets.labels import VALUES

from .test_heatmap import is_orange

if TYPE_CHECKING:
    from support.lab import Lab

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
ROWS, COLS = 16, 8
FREE = ".mswin-heatmap[data-key=free] canvas"
FUSED = ".mswin-heatmap[data-key=fused] canvas"
SCALE_8 = ".mswin-heatmap[data-key=scale-8] canvas"
PICTURE = ".mswin-picture canvas"
LOCK = "explorer._lock"


@pytest.fixture(scope="module")
def opened(lab: Lab) -> Lab:
    """The notebook with every cell run; the explorer on screen and its background work done."""
    shutil.copy(ROOT / "notebooks" / "explore_scales.ipynb", lab.root / "explore_scales.ipynb")
    lab.open("explore_scales.ipynb")
    lab.run_all(timeout=300)
    lab.check()
    lab.execute(
        "with explorer._held():\n"
        "    explorer.strip.selected, explorer.controls.value.value = 0, 'norm'\n"
        "first_state = explorer.state"
    )
    lab.wait_idle()
    return lab


@pytest.fixture
def explorer(opened: Lab) -> Lab:
    """The explorer as it was at first."""
    opened.page.mouse.move(0, 0)
    opened.execute("explorer._apply(first_state)\nexplorer.sections.unfolded = []")
    opened.wait_idle()
    yield opened
    opened.check()


def choose(lab: Lab, css: str, words: str) -> None:
    lab.control(f"{css} select").select_option(words)
    lab.wait_idle()


def press(lab: Lab, css: str, words: str) -> None:
    lab.control(f"{css} button", has_text=words).click()
    lab.wait_idle()


def type_into(lab: Lab, css: str, words: str) -> None:
    lab.control(css).fill(words)
    lab.page.locator(css).press("Tab")
    lab.wait_idle()


def text(lab: Lab, css: str) -> str:
    return lab.page.locator(css).first.inner_text()


def patch(pixels: np.ndarray, token: int) -> np.ndarray:
    """Inner pixels of a token's patch; the canvas is a picture with a bar below."""
    size = pixels.shape[1] / COLS
    row, col = divmod(token, COLS)
    edge = 3
    top, left = int(row * size) + edge, int(col * size) + edge
    return pixels[top : int((row + 1) * size) - edge, left : int((col + 1) * size) - edge, :3]


def bar(pixels: np.ndarray) -> np.ndarray:
    """Colour bar and its numbers."""
    return pixels[round(pixels.shape[1] * ROWS / COLS) + 1 :]


# ---- 1: live in the browser -----------------------------------------------------------------------


def test_every_cell_runs_and_six_heatmaps_are_drawn_over_one_picture(explorer: Lab) -> None:
    assert explorer.page.locator(".mswin-heatmap canvas").count() == 6
    assert explorer.page.locator(".mswin-heatmap").count() == 6
    assert explorer.page.locator(PICTURE).count() == 1
    for index in range(6):
        assert explorer.canvas(f".mswin-heatmap canvas >> nth={index}")[..., :3].std() > 10


def test_the_keyboard_moves_the_scale_and_repaints_the_free_heatmap(explorer: Lab) -> None:
    before, scale = explorer.canvas(FREE), explorer.slider_value(".mswin-scale")
    explorer.move_slider(".mswin-scale", keys=3)
    assert explorer.slider_value(".mswin-scale") == scale + 3
    assert (explorer.canvas(FREE) != before).any()


def test_the_mouse_moves_the_scale_and_repaints_the_free_heatmap_only(explorer: Lab) -> None:
    free, trained = explorer.canvas(FREE), explorer.canvas(SCALE_8)
    explorer.move_slider(".mswin-scale", drag=0.75)
    explorer.page.mouse.move(0, 0)
    explorer.wait_idle()
    scale = explorer.slider_value(".mswin-scale")
    assert scale > 80
    assert (explorer.canvas(FREE) != free).any()
    assert (explorer.canvas(SCALE_8) == trained).all()
    assert f"scale {scale:.0f}:" in text(explorer, "ul.mswin-words")


def test_what_only_changes_the_display_is_drawn_while_the_kernel_is_held(explorer: Lab) -> None:
    page, seen = explorer.page, explorer.canvas(FREE)
    with kernel_held(explorer, LOCK):
        for css in (".mswin-opacity", ".mswin-threshold"):
            explorer.move_slider(css, keys=4, wait=False)
            seen = explorer.wait_for_change(FREE, seen)
        explorer.control(".mswin-cmap select").select_option("magma")
        seen = explorer.wait_for_change(FREE, seen)
        explorer.control(".mswin-outline input").click()
        seen = explorer.wait_for_change(FREE, seen)
        explorer.control(".mswin-shared input").click()
        seen = explorer.wait_for_change(FREE, seen)
        page.locator(FREE).click(position={"x": 40, "y": 60})
        seen = explorer.wait_for_change(FREE, seen)
        assert is_orange(explorer.canvas(FREE)).any()
        page.locator(".mswin-chip", has_text="plain CLS").click()
        page.locator(".mswin-heatmap[data-key=plain]").wait_for(state="detached")
    explorer.wait_idle()
    assert (
        explorer.ask("explorer.board.hidden, explorer.board.shared, explorer.board.cmap")
        == "(['plain'], True, 'magma')"
    )


def test_with_one_colour_scale_the_bars_of_a_unit_are_the_same_and_without_they_are_not(
    explorer: Lab,
) -> None:
    assert (bar(explorer.canvas(FREE)) != bar(explorer.canvas(SCALE_8))).any()
    explorer.control(".mswin-shared input").click()
    explorer.wait_idle()
    assert (bar(explorer.canvas(FREE)) == bar(explorer.canvas(SCALE_8))).all()


@pytest.mark.parametrize("kernel", ["trained or resampled", "plain mean"])
@pytest.mark.parametrize("value", list(VALUES.values()))
def test_the_slider_is_drawn_without_the_kernel_and_as_the_kernel_does(
    explorer: Lab, value: str, kernel: str
) -> None:
    choose(explorer, ".mswin-value", value)
    press(explorer, ".mswin-kernel", kernel)
    with kernel_held(explorer, LOCK):
        before = explorer.canvas(FREE)
        explorer.move_slider(".mswin-scale", keys=5, wait=False)
        explorer.wait_for_change(FREE, before)
        explorer.page.wait_for_timeout(400)
        drawn = seen_of_the_free_panel(explorer)
        assert text(explorer, ".mswin-heatmap[data-key=free] .mswin-heatmap-status") == ""
    explorer.wait_idle()
    scale = explorer.slider_value(".mswin-scale")
    assert explorer.ask("explorer.view.panel('free').geometry.scale") == f"{scale:.0f}"
    answered = seen_of_the_free_panel(explorer)
    assert np.abs(drawn[0].astype(int) - answered[0]).max() <= 2
    assert drawn[1:] == answered[1:]
    assert f"scale {scale:.0f}" in drawn[1]


def seen_of_the_free_panel(lab: Lab) -> tuple[np.ndarray, str, str]:
    """Its pixels, its words, and its line in the list of words."""
    (line,) = (
        line
        for line in lab.page.locator("ul.mswin-words li").all_inner_texts()
        if line.startswith("scale 17:")
    )
    return lab.canvas(FREE)[..., :3], text(lab, ".mswin-heatmap[data-key=free]"), line


def test_no_step_of_the_slider_reaches_the_kernel_and_every_frame_is_painted(explorer: Lab) -> None:
    explorer.page.evaluate(
        "() => { const box = document.querySelector('.mswin-heatmap[data-key=free] .mswin-heatmap-title');"
        " window.titles = []; window.titleWatch = new MutationObserver(() => window.titles.push(box.textContent));"
        " window.titleWatch.observe(box, { childList: true }); }"
    )
    explorer.handle(".mswin-scale").press("Home")
    explorer.wait_idle()
    explorer.page.evaluate("() => { window.titles = []; }")
    sent = explorer.messages_sent()
    slider = explorer.page.locator(".mswin-scale [role=slider]")
    slider.evaluate(
        "async (node) => { for (let at = 0; at < 60; at++) {"
        " node.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true, repeat: true }));"
        " await new Promise(requestAnimationFrame); await new Promise(requestAnimationFrame); } }"
    )
    titles = explorer.page.evaluate("() => window.titles")
    assert titles == [f"scale {scale}" for scale in range(2, 62)]
    explorer.wait_idle()
    assert (
        explorer.messages_sent() - sent <= 2
    )  # where it rested; the slow machine of a test may rest once before
    assert explorer.ask("explorer.controls.scale.value") == "61"
    fast = explorer.canvas(FREE)
    assert explorer.ask("explorer.view.panel('free').geometry.scale") == "61"
    explorer.move_slider(".mswin-scale", keys=-1)
    explorer.move_slider(".mswin-scale", keys=1)
    assert (explorer.canvas(FREE) == fast).all()


def test_a_pin_on_a_scale_that_the_kernel_has_not_heard_of_is_inspected_there(explorer: Lab) -> None:
    explorer.move_slider(".mswin-scale", keys=3, wait=False)
    explorer.page.locator(FREE).click(position={"x": 40, "y": 60})
    explorer.wait_idle()
    scale = explorer.slider_value(".mswin-scale")
    assert f"of scale {scale:.0f}" in text(explorer, ".mswin-inspection")


def test_jump_keys_marks_and_the_play_button_move_the_scale(explorer: Lab) -> None:
    slider = explorer.handle(".mswin-scale")
    for key, scale in (("Home", 1), ("PageUp", 4), ("PageUp", 8), ("PageDown", 4), ("End", 128)):
        slider.press(key)
        assert explorer.slider_value(".mswin-scale") == scale
    explorer.page.locator(".mswin-slider-mark", has_text="16").click()
    assert explorer.slider_value(".mswin-scale") == 16
    assert slider.get_attribute("aria-valuetext") == "16 tokens trained scale"
    explorer.page.get_by_role("button", name="run through all scales").click()
    explorer.page.wait_for_function(
        "() => document.querySelector('.mswin-scale [role=slider]').getAttribute('aria-valuenow') > 18"
    )
    explorer.page.get_by_role("button", name="stop", exact=True).click()
    explorer.wait_idle()
    assert explorer.ask("explorer.controls.scale.value") == f"{explorer.slider_value('.mswin-scale'):.0f}"


def test_the_slider_follows_code(explorer: Lab) -> None:
    explorer.execute("explorer.controls.scale.value = 33")
    explorer.wait_idle()
    assert explorer.slider_value(".mswin-scale") == 33
    assert text(explorer, ".mswin-heatmap[data-key=free] .mswin-heatmap-title") == "scale 33"


def test_a_slot_that_holds_the_free_windows_makes_the_kernel_follow_each_move(explorer: Lab) -> None:
    press(explorer, ".mswin-slot-16", "free")
    sent = explorer.messages_sent()
    explorer.move_slider(".mswin-scale", keys=1, wait=False)
    assert explorer.messages_sent() == sent + 1


def test_a_stale_picture_is_never_passed_off_as_current(explorer: Lab) -> None:
    free = explorer.page.locator(".mswin-heatmap[data-key=free]")
    trained = explorer.page.locator(".mswin-heatmap[data-key=scale-8]")
    with kernel_held(explorer, LOCK):
        explorer.control(".mswin-stride input").fill("3")
        explorer.control(".mswin-stride input").press("Enter")
        explorer.page.wait_for_timeout(300)
        assert "mswin-heatmap-stale" in free.get_attribute("class")
        assert text(explorer, ".mswin-heatmap[data-key=free] .mswin-heatmap-status") == "working …"
        assert "mswin-heatmap-stale" not in trained.get_attribute("class")
        assert explorer.page.locator(".mswin-explorer.mswin-waiting").count() == 1
    explorer.wait_idle()
    assert "mswin-heatmap-stale" not in free.get_attribute("class")
    assert explorer.page.locator(".mswin-explorer.mswin-waiting").count() == 0


@pytest.mark.parametrize("size", [(1440, 900), (760, 700)], ids=["wide", "narrow"])
def test_what_fails_is_in_sight_and_the_picture_is_marked(explorer: Lab, size: tuple[int, int]) -> None:
    page, thumb = explorer.page, explorer.page.locator(".mswin-thumb")
    before = page.viewport_size
    page.set_viewport_size(dict(zip(("width", "height"), size, strict=True)))
    thumb.first.scroll_into_view_if_needed()
    explorer.execute(
        "def fail(asked): raise mv.MswinVizError('gone <b>')\nobject.__setattr__(explorer._results, 'result', fail)"
    )
    thumb.nth(3).click()
    explorer.wait_idle()
    message = page.locator(".mswin-explorer-message .mswin-message")
    assert message.inner_text() == "gone <b> MswinVizError"
    place = message.bounding_box()
    assert 0 <= place["y"] < place["y"] + place["height"] <= size[1]
    assert text(explorer, ".mswin-picture .mswin-heatmap-status") == "out of date"
    explorer.execute("del explorer._results.__dict__['result']")
    thumb.nth(4).click()
    explorer.wait_idle()
    assert message.count() == 0
    assert text(explorer, ".mswin-picture .mswin-heatmap-status") == ""
    page.set_viewport_size(before)


def test_sixty_moves_of_the_slider_end_on_the_right_picture(explorer: Lab) -> None:
    explorer.move_slider(".mswin-scale", keys=60, wait=False)
    last_move = time.monotonic()
    words = f"scale {explorer.slider_value('.mswin-scale'):.0f}"
    explorer.page.locator(
        f".mswin-heatmap[data-key=free]:not(.mswin-heatmap-stale) >> text='{words}'"
    ).wait_for()
    took = time.monotonic() - last_move
    explorer.wait_idle()
    scale = explorer.slider_value(".mswin-scale")
    assert explorer.ask("explorer.view.panel('free').geometry.scale") == f"{scale:.0f}"
    fast = explorer.canvas(FREE)
    explorer.move_slider(".mswin-scale", keys=-1)
    explorer.move_slider(".mswin-scale", keys=1)
    assert (explorer.canvas(FREE) == fast).all()
    assert took < 5  # no backlog of sixty answers; the benchmark prints the time


# ---- 2: side by side ----------------------------------------------------------------------------


def test_three_modalities_share_one_signed_colour_scale(explorer: Lab) -> None:
    choose(explorer, ".mswin-value", "share of cosine")
    press(explorer, ".mswin-rows", "modalities")
    canvases = [explorer.canvas(f"{SCALE_8} >> nth={row}") for row in range(3)]
    assert explorer.page.locator(".mswin-heatmap canvas").count() == 18
    assert all((bar(canvas) == bar(canvases[0])).all() for canvas in canvases)
    assert (canvases[0] != canvases[1]).any()
    assert explorer.page.locator(".mswin-shares").count() == 3


def test_the_board_is_busy_until_the_pictures_of_new_rows_are_decoded(explorer: Lab) -> None:
    slow = """() => {
      window.realDecoder = window.createImageBitmap;
      window.createImageBitmap = async (...picture) => {
        await new Promise((go) => setTimeout(go, 1500));
        return window.realDecoder(...picture);
      };
    }"""
    explorer.page.evaluate(slow)
    explorer.control(".mswin-rows button", has_text="modalities").click()
    busy = explorer.page.locator(".mswin-board-rows[aria-busy=true]")
    busy.wait_for()
    assert explorer.page.locator(PICTURE).count() == 1  # the old row is still there
    explorer.wait_idle()
    explorer.page.evaluate("() => { window.createImageBitmap = window.realDecoder; }")
    assert busy.count() == 0
    assert explorer.page.locator(PICTURE).count() == 3
    assert (
        len(
            {
                explorer.page.locator(PICTURE).nth(row).evaluate("(c) => mswinLab.pixels(c).data")
                for row in range(3)
            }
        )
        == 3
    )


def test_a_pair_has_shares_both_ways(explorer: Lab) -> None:
    press(explorer, ".mswin-rows", "pair")
    assert explorer.page.locator(PICTURE).count() == explorer.page.locator(".mswin-shares").count() == 2
    assert (explorer.canvas(f"{PICTURE} >> nth=0") != explorer.canvas(f"{PICTURE} >> nth=1")).any()
    sums = (
        "[sum(s for _, s in share_rows(explorer.result, i)) - explorer.view.cosine.score[i] for i in (0, 1)]"
    )
    explorer.execute("from mswin_viz.view.scales.share_bars import share_rows")
    assert explorer.ask(f"bool(max(abs(d) for d in {sums}) < 1e-9)") == "True"
    assert "both add up to it" in text(explorer, ".mswin-pair")


def test_a_slot_that_is_switched_off_changes_the_score_and_loses_its_shares(explorer: Lab) -> None:
    choose(explorer, ".mswin-value", "share of cosine")
    score, heat = text(explorer, ".mswin-score"), explorer.canvas(SCALE_8)
    press(explorer, ".mswin-slot-8", "off")
    assert text(explorer, ".mswin-score") != score
    assert (explorer.canvas(SCALE_8) != heat).any()
    assert "no value" in explorer.page.locator(SCALE_8).get_attribute("aria-label").replace("finite ", "")


def test_the_free_scale_in_a_slot_moves_every_panel_of_the_fusion(explorer: Lab) -> None:
    press(explorer, ".mswin-slot-16", "free")
    fused = explorer.canvas(FUSED)
    explorer.move_slider(".mswin-scale", keys=4)
    assert (explorer.canvas(FUSED) != fused).any()


# ---- 3: the traps of the design -----------------------------------------------------------------


def test_the_dropped_tail_is_hatched(explorer: Lab) -> None:
    explorer.move_slider(".mswin-scale", keys=11 - int(explorer.slider_value(".mswin-scale")))
    seen = explorer.canvas(FREE)
    explorer.move_slider(".mswin-opacity", keys=6)
    then = explorer.canvas(FREE)
    without_heat = {token for token in range(128) if (patch(seen, token) == patch(then, token)).all()}
    assert without_heat == set(range(121, 128))
    assert all(patch(seen, token).min() < 110 < 170 < patch(seen, token).max() for token in without_heat)


def test_disconnected_windows_are_marked_and_others_are_not(explorer: Lab) -> None:
    explorer.move_slider(".mswin-scale", keys=3 - int(explorer.slider_value(".mswin-scale")))
    assert is_orange(explorer.canvas(FREE)).sum() > 50
    assert "disconnected" in text(explorer, ".mswin-heatmap[data-key=free] .mswin-heatmap-caption")
    assert not is_orange(explorer.canvas(SCALE_8)).any()
    explorer.move_slider(".mswin-scale", keys=1)
    assert not is_orange(explorer.canvas(FREE)).any()


def test_every_panel_says_where_its_kernel_comes_from_and_the_weights_are_named(explorer: Lab) -> None:
    origins = {
        key: text(explorer, f".mswin-heatmap[data-key={key}] .mswin-origin") for key in ("scale-4", "free")
    }
    assert origins["scale-4"] == "trained"
    assert origins["free"].startswith("resampled from")
    press(explorer, ".mswin-kernel", "plain mean")
    assert text(explorer, ".mswin-heatmap[data-key=free] .mswin-origin") == "mean"
    assert "weights embedded CLIP" in text(explorer, ".mswin-badge")


def test_a_shuffle_moves_the_patches_of_the_picture_and_tells_what_stays(explorer: Lab) -> None:
    picture = explorer.canvas(PICTURE)
    choose(explorer, ".mswin-shuffle", "windows of 8")
    moved = explorer.canvas(PICTURE)
    order = json.loads(explorer.ask("list(explorer.board.order)"))
    for token in (0, 50, 127):
        here, there = patch(moved, token)[:12, :12].astype(int), patch(picture, order[token])[:12, :12]
        assert np.abs(here - there).mean() < 12
    assert "scale 8 unchanged to the last digit" in text(explorer, ".mswin-shuffle-words")
    assert "scale 16 moved by" in text(explorer, ".mswin-shuffle-words")
    choose(explorer, ".mswin-shuffle", "windows of 16")
    assert "Enhanced CLS unchanged to the last digit" in text(explorer, ".mswin-shuffle-words")


def test_a_pinned_window_has_its_share_next_to_its_ablation(explorer: Lab) -> None:
    explorer.page.locator(SCALE_8).click(position={"x": 40, "y": 60})
    explorer.page.mouse.move(0, 0)
    explorer.wait_idle()
    said = text(explorer, ".mswin-inspection")
    assert all(words in said for words in ("share of cosine", "net push", "change when removed"))
    assert "Without it |enhanced CLS| goes from" in said
    assert "ReLU gates" in said
    assert is_orange(explorer.canvas(SCALE_8)).sum() > 100


# ---- 4: targets ---------------------------------------------------------------------------------


def test_several_prompts_stand_side_by_side_and_unknown_words_are_named(explorer: Lab) -> None:
    type_into(explorer, ".mswin-prompt textarea", "a person wearing a red top\na zebra in blue trousers")
    table = text(explorer, ".mswin-prompts")
    assert "a person wearing a red top" in table
    assert "plain" in table
    assert "enhanced" in table
    assert "zebra" in text(explorer, ".mswin-message")


@pytest.mark.parametrize("target", ["the second image", "shift: enhanced minus plain", "the channel"])
def test_another_target_repaints_the_fused_shares(explorer: Lab, target: str) -> None:
    before = explorer.canvas(FUSED)
    choose(explorer, ".mswin-target", target)
    assert (explorer.canvas(FUSED) != before).any()


def test_one_channel_is_shown_signed(explorer: Lab) -> None:
    choose(explorer, ".mswin-value", "one channel")
    before = explorer.canvas(SCALE_8)
    explorer.control(".mswin-channel input").fill("7")
    explorer.control(".mswin-channel input").press("Enter")
    explorer.wait_idle()
    assert (explorer.canvas(SCALE_8) != before).any()


# ---- 5: geometry beyond the design --------------------------------------------------------------


def test_tiles_are_two_dimensional_and_labelled_as_not_trained(explorer: Lab) -> None:
    choose(explorer, ".mswin-windows", "2-D tiles")
    assert text(explorer, ".mswin-heatmap[data-key=free] .mswin-heatmap-title") == "4x4 tiles"
    assert text(explorer, ".mswin-heatmap[data-key=free] .mswin-origin") == "mean"
    assert "not in the trained model" in text(explorer, "ul.mswin-words")
    size = explorer.canvas(FREE).shape[1] / COLS
    explorer.page.locator(FREE).hover(position={"x": 1.5 * size, "y": 5.5 * size})
    said = text(explorer, ".mswin-board-tip").replace("\N{EN DASH}", "-")
    assert "rows 4-7, columns 0-3" in said


def test_an_overlapping_stride_repaints_and_is_labelled(explorer: Lab) -> None:
    before = explorer.canvas(FREE)
    explorer.control(".mswin-stride input").fill("2")
    explorer.control(".mswin-stride input").press("Enter")
    explorer.wait_idle()
    assert (explorer.canvas(FREE) != before).any()
    assert "not in the trained model" in text(explorer, "ul.mswin-words")


# ---- 6: take it away ----------------------------------------------------------------------------


def test_the_figure_is_downloaded_at_print_size(explorer: Lab) -> None:
    with explorer.page.expect_download() as waiting:
        explorer.control(".mswin-save").click()
    file = Path(waiting.value.path())
    assert waiting.value.suggested_filename.endswith(".png")
    with Image.open(BytesIO(file.read_bytes())) as image:
        assert image.width > 2500
    explorer.wait_idle()


@pytest.fixture
def clipboard(explorer: Lab) -> Iterator[None]:
    """The page may read and write the clipboard; other tests share its browser, and must not."""
    explorer.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield
    explorer.page.context.clear_permissions()


@pytest.mark.usefixtures("clipboard")
def test_the_copied_state_rebuilds_the_view(explorer: Lab) -> None:
    explorer.move_slider(".mswin-scale", keys=7)
    explorer.control(".mswin-copy").click()
    explorer.page.locator(".mswin-board-says", has_text="State copied.").wait_for(state="attached")
    copied = explorer.page.evaluate("() => navigator.clipboard.readText()")
    assert json.loads(copied)["controls"]["scale"] == explorer.slider_value(".mswin-scale")
    rebuilt = f"mv.ScaleExplorer.from_state(model, samples, {copied!r}).state == explorer.state"
    assert explorer.ask(rebuilt) == "True"


# ---- 7: habits ----------------------------------------------------------------------------------


def test_every_heatmap_can_be_reached_and_read_without_a_mouse(explorer: Lab) -> None:
    for index in range(6):
        canvas = explorer.page.locator(f".mswin-heatmap canvas >> nth={index}")
        assert canvas.get_attribute("tabindex") == "0"
        assert "windows, values" in canvas.get_attribute("aria-label")
    explorer.page.locator(SCALE_8).focus()
    explorer.page.keyboard.press("ArrowDown")
    explorer.page.keyboard.press("ArrowDown")
    assert "Window 1" in text(explorer, ".mswin-board-says")
    outline = explorer.page.locator(SCALE_8).evaluate("(node) => getComputedStyle(node).outlineStyle")
    assert outline == "solid"
    explorer.page.keyboard.press("Escape")
    assert explorer.page.locator(".jp-Notebook .jp-Cell").count() == explorer.page.locator(".jp-Cell").count()


def test_the_dark_theme_repaints_the_numbers_under_the_bars(explorer: Lab) -> None:
    def lightness() -> float:
        numbers = bar(explorer.canvas(FREE))[8:]
        return float(numbers[numbers[..., 3] > 128][:, :3].mean())

    light = lightness()
    theme = "(name) => window.jupyterapp.commands.execute('apputils:change-theme', { theme: name })"
    explorer.page.evaluate(theme, "JupyterLab Dark")
    explorer.page.wait_for_function("() => document.body.dataset.jpThemeLight === 'false'")
    explorer.wait_idle()
    dark = lightness()
    explorer.page.evaluate(theme, "JupyterLab Light")
    explorer.page.wait_for_function("() => document.body.dataset.jpThemeLight === 'true'")
    explorer.wait_idle()
    assert light + 40 < dark


@pytest.mark.parametrize("width", [760, 1800])
def test_narrow_and_wide_cells_hold_every_panel(explorer: Lab, width: int) -> None:
    size = explorer.page.viewport_size
    explorer.page.set_viewport_size({"width": width, "height": 1000})
    try:
        explorer.page.wait_for_timeout(500)
        explorer.wait_idle()
        board = explorer.page.locator(".mswin-board").first.bounding_box()
        for index in range(6):
            box = explorer.page.locator(f".mswin-heatmap >> nth={index}").bounding_box()
            assert box["x"] + box["width"] <= board["x"] + board["width"] + 1
            assert box["width"] >= 90
    finally:
        explorer.page.set_viewport_size(size)
        explorer.wait_idle()


# ---- 8: many images -----------------------------------------------------------------------------


def test_arrow_keys_go_through_the_thumbnails(explorer: Lab) -> None:
    picture, free = explorer.canvas(PICTURE), explorer.canvas(FREE)
    explorer.page.locator(".mswin-thumb").first.focus()
    explorer.page.keyboard.press("ArrowRight")
    explorer.page.keyboard.press("ArrowRight")
    explorer.wait_idle()
    assert explorer.ask("explorer.strip.selected") == "2"
    assert (explorer.canvas(PICTURE) != picture).any()
    assert (explorer.canvas(FREE) != free).any()


def test_a_search_narrows_the_thumbnails_by_identity_camera_and_modality(explorer: Lab) -> None:
    everyone = explorer.page.locator(".mswin-thumb").count()
    assert everyone == int(explorer.ask("len(samples)"))
    explorer.control(".mswin-strip-search").fill("id 1")
    own = explorer.page.locator(".mswin-thumb").count()
    assert own == int(explorer.ask("sum(s.pid == 1 for s in samples)"))
    explorer.control(".mswin-strip-bar select").select_option("2")
    assert explorer.page.locator(".mswin-thumb").count() == int(
        explorer.ask("sum(s.pid == 1 and s.camid == 2 for s in samples)")
    )
    explorer.control(".mswin-strip-bar select").select_option("all")
    explorer.control(".mswin-strip-search").fill("")
    picture = explorer.canvas(PICTURE)
    press(explorer, ".mswin-strip-bar", "TI")
    assert (explorer.canvas(PICTURE) != picture).any()


def test_thumbnails_are_sorted_by_the_change_of_the_score_and_keys_follow_that_order(explorer: Lab) -> None:
    order = explorer.control(".mswin-strip-order")
    order.select_option("most raised first")
    explorer.page.locator(".mswin-thumb-score").first.wait_for()
    explorer.wait_idle()
    shown = [
        int(thumb.get_attribute("data-at") or -1) for thumb in explorer.page.locator(".mswin-thumb").all()
    ]
    changes = json.loads(explorer.ask("[round(e - p, 12) for p, e in explorer.strip.scores]"))
    assert shown == sorted(range(len(changes)), key=lambda at: (-changes[at], at))
    explorer.page.locator(".mswin-thumb").first.click()
    explorer.page.keyboard.press("ArrowRight")
    explorer.wait_idle()
    assert explorer.ask("explorer.strip.selected") == str(shown[1])
    explorer.control(".mswin-strip-search").fill("change<0")
    explorer.wait_idle()
    assert explorer.page.locator(".mswin-thumb").count() == sum(change < 0 for change in changes)
    explorer.control(".mswin-strip-search").fill("")
    order.select_option("as read")


def test_tokens_of_all_samples_were_computed_in_the_background(explorer: Lab) -> None:
    assert explorer.ask("all(p in explorer._kept for s in samples for p in s.images.values())") == "True"
    assert explorer.page.locator(".mswin-thumb img").count() == explorer.page.locator(".mswin-thumb").count()


# ---- what cannot be done --------------------------------------------------------------------------


def test_an_unreadable_path_is_said_and_the_explorer_goes_on(explorer: Lab) -> None:
    box = explorer.control(".mswin-path input")
    box.fill("/no/such/folder")
    box.press("Enter")
    explorer.wait_idle()
    assert "/no/such/folder" in text(explorer, ".mswin-message")
    before = explorer.canvas(FREE)
    explorer.move_slider(".mswin-scale", keys=-3)
    assert (explorer.canvas(FREE) != before).any()
