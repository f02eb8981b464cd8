"""Two models in one scale explorer: rows equal those of an explorer of each, differences are plain subtraction."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.own_modules import TINY_ADDONS, tiny_model_with
from support.tiny import DIM, pictures, tiny_model

import mswin_viz as mv
from mswin_viz.analysis.scales.request import VALUES
from mswin_viz.data.sample import Sample
from mswin_viz.errors import OptionError, ShapeError
from mswin_viz.model.addon.sliding_window import CLIPMultiScaleFeatureExtractor
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.view.scales.figure import shown_words
from mswin_viz.view.scales.share_bars import bars_of
from mswin_viz.view.widgets.board import HeatmapBoard
from mswin_viz.view.widgets.labels import NO_ADDON

PROMPT = "a person\na dog"
FIRST, PLAIN = tiny_model(), tiny_model(addon=False, seed=8)  # scales 2, 4, 5; none


def with_scales(*scales: int, seed: int = 11) -> Model:
    """A model with other weights and an add-on of these scales."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        addon = CLIPMultiScaleFeatureExtractor(DIM, scales)
        for parameter in addon.parameters():
            torch.nn.init.normal_(parameter, std=0.4)
    return replace(tiny_model(seed=seed), addon=addon.eval().requires_grad_(False))


SECOND, OTHER = with_scales(2, 4, 5), with_scales(2, 3)
PAIRS = {
    "other weights": (FIRST, SECOND), "other scales": (FIRST, OTHER), "plain CLIP": (PLAIN, FIRST),
    "without an add-on": (OTHER, PLAIN),
}  # fmt: skip


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    made = []
    for at in range(3):
        images = {}
        for modality, picture in zip(("RGB", "NI", "TI"), pictures(3, seed=at), strict=True):
            images[modality] = tmp_path / f"{modality}_{at}.png"
            Image.fromarray(picture).save(images[modality])
        made.append(Sample(at, at, images))
    return made


@pytest.fixture
def opened(samples) -> Iterator:
    explorers = []

    def make(model, **options) -> mv.ScaleExplorer:
        explorers.append(mv.ScaleExplorer(model, samples, prompt=PROMPT, **options))
        return explorers[-1]

    yield make
    for explorer in explorers:
        explorer.close()


def said(explorer: mv.ScaleExplorer) -> str:
    return unescape(str(explorer._html["message"].value))


def settled(explorer: mv.ScaleExplorer) -> mv.ScaleExplorer:
    thread = explorer._every_scale.worker.thread
    if thread is not None:
        thread.join(30)
    return explorer


def heat(board: HeatmapBoard, key: str) -> np.ndarray:
    """The values on a board, ``[row window]``."""
    (column,) = (column for column in board.columns if column["key"] == key)
    return np.frombuffer(column["values"], np.float32).reshape(len(board.rows), -1)


def assert_joined(explorer: mv.ScaleExplorer, first: mv.ScaleExplorer, second: mv.ScaleExplorer) -> None:
    """Every row against the two explorers' own, window by window."""
    views = [alone.view for alone in (first, second)]
    every = [{panel.key: panel.values for panel in view.panels} for view in views]
    keys = [panel.key for panel in explorer.panels]
    assert set(keys) == set(every[0]) | set(every[1])
    for panel in explorer.panels:
        shown = heat(explorer.board, panel.key)
        np.testing.assert_array_equal(shown, panel.values.astype(np.float32))
        for image in range(len(first.result.names)):
            a, b = (own.get(panel.key) for own in every)
            for w in range(panel.geometry.n_windows):
                x, y = (np.nan if own is None else own[image, w] for own in (a, b))
                wanted = [x, y, y - x]
                for row in range(3):
                    np.testing.assert_equal(panel.values[3 * image + row, w], wanted[row])
                    is_absent = 3 * image + row in panel.absent
                    assert is_absent == ((a is None, b is None, a is None or b is None)[row])


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("rows", ["one", "modalities", "pair"])
def test_rows_are_those_of_each_model_alone_and_their_difference(opened, kind: str, rows: str) -> None:
    pair = PAIRS[kind]
    both, *alone = opened(list(pair)), *(opened(model) for model in pair)
    for value in VALUES:
        for explorer in (both, *alone):
            explorer.controls.rows.value, explorer.controls.value.value = rows, value
            explorer.controls.scale.value, explorer.controls.channel.value = 3, 2
            assert not said(explorer)
        assert_joined(both, *alone)
    for name, explorer in zip(("model a", "model b"), alone, strict=True):
        np.testing.assert_array_equal(both.results[name].view.cosine.score, explorer.view.cosine.score)


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("value", ["removal", "norm", "cosine"])
def test_the_slider_finds_every_scale_of_all_three_rows_in_the_browser(opened, kind: str, value: str) -> None:
    explorer = opened(list(PAIRS[kind]))
    explorer.controls.value.value = value
    board = settled(explorer).board
    assert not explorer.controls.scale.is_followed
    sent, first = np.frombuffer(board.pyramid["values"], np.float32), 0
    for scale in range(1, 13):
        explorer.controls.scale.value = scale
        wanted = heat(board, "free")
        found = sent[first : first + wanted.size].reshape(wanted.shape)
        first += wanted.size
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
        (free,) = (column for column in board.columns if column["key"] == "free")
        assert board.pyramid["origins"][scale - 1] == free["origin"]
    assert first == sent.size


def test_rows_are_named_after_model_and_picture_and_marked_where_they_are_differences(opened) -> None:
    explorer = opened({"baseline": FIRST, "mine": SECOND})
    rows = explorer.board.rows
    assert [row["name"] for row in rows] == ["baseline, RGB", "mine, RGB", "mine minus baseline, RGB"]
    assert [row["is_difference"] for row in rows] == [False, False, True]
    explorer.controls.rows.value = "modalities"
    rows = explorer.board.rows
    assert [row["name"].split(", ")[1] for row in rows] == [
        name for name in ("RGB", "NI", "TI") for _ in range(3)
    ]
    assert [row["group"] for row in rows] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_each_model_has_the_target_of_its_own_text_tower(opened) -> None:
    explorer = opened([FIRST, SECOND])
    image = explorer._samples[0].images["RGB"]
    for model, result in zip((FIRST, SECOND), explorer.results.values(), strict=True):
        assert result.target == "a person"
        enhanced = model.enhance(model.encode([image], progress=False)).cls
        wanted = torch.cosine_similarity(enhanced, model.encode_text("a person")).item()
        assert result.view.cosine.score[0] == pytest.approx(wanted, abs=1e-5)


def test_a_slot_is_that_of_the_models_that_have_its_scale(opened) -> None:
    explorer = opened([FIRST, OTHER])  # 2, 4, 5 and 2, 3
    assert [name for name in explorer.controls.of_the_view if name.startswith("slot")] == [
        "slot_2", "slot_4", "slot_5", "slot_3",
    ]  # fmt: skip

    def scores() -> list[float]:
        return [float(result.view.cosine.score[0]) for result in explorer.results.values()]

    before = scores()
    explorer.controls.slot_3.value = "off"
    after = scores()
    assert (after[0] == before[0], after[1] == before[1]) == (True, False)
    explorer.controls.slot_2.value = "off"
    assert scores()[0] != before[0]


def test_a_slot_that_holds_the_free_windows_in_one_model_makes_the_kernel_follow(opened) -> None:
    explorer = settled(opened([FIRST, OTHER]))
    assert not explorer.board.free_is_fused
    explorer.controls.slot_3.value = "free"
    assert settled(explorer).board.free_is_fused
    assert explorer.controls.scale.is_followed
    assert explorer.board.pyramid == {}


@pytest.mark.parametrize("kind", TINY_ADDONS)
def test_an_add_on_of_another_kind_stands_beside_one_of_windows(opened, kind: str) -> None:
    other = tiny_model_with(kind)
    both, *alone = opened([other, FIRST]), opened(other), opened(FIRST)
    for value in VALUES:
        for explorer in (both, *alone):
            explorer.controls.value.value = value
        assert not said(both)
        assert_joined(both, *alone)


def test_every_control_has_an_answer_for_both(opened, tmp_path: Path) -> None:
    explorer = opened([FIRST, OTHER])
    for name in ("kernel", "windows", "target", "shuffle"):
        control = explorer.controls.of_the_view[name]
        for value in [option[1] for option in control.options]:
            control.value = value
            assert not said(explorer), (name, value)
    explorer.controls.cls.value = True
    explorer._cls_work.worker.thread.join(60)
    (cls,) = (panel for panel in explorer.panels if panel.key == "cls")
    assert np.isfinite(cls.values).all()
    np.testing.assert_array_equal(cls.values[2], cls.values[1] - cls.values[0])
    assert explorer.save_figure(tmp_path / "view.png").stat().st_size > 10_000


def test_a_shuffle_moves_the_tokens_of_both_alike(opened) -> None:
    explorer = opened([PLAIN, FIRST])
    explorer.controls.shuffle.value = 4
    orders = [result.shuffle.order.tolist() for result in explorer.results.values()]
    assert orders[0] == orders[1] == explorer.board.order


@pytest.mark.parametrize(
    ("given", "kind", "match"),
    [
        ([], OptionError, "one model, or two side by side under different names: got 0"),
        ([FIRST, SECOND, OTHER], OptionError, "got 3"),
        ({"": FIRST, "b": SECOND}, OptionError, "a model's name is a text"),
        ({1: FIRST, "b": SECOND}, OptionError, "such as 'baseline': got 1"),
        ({"a": FIRST, " a": SECOND}, OptionError, "names of two models must differ .*: got 'a' and ' a'; rename one"),
        ([FIRST, "embedded"], OptionError, "got 'embedded'; make one with mswin_viz.load_model"),
        ([FIRST, replace(FIRST, tower=replace(FIRST.tower, image_size=(24, 8)))], ShapeError, "model a 48x16 on a grid of 6x2 and model b 24x8"),
    ],
)  # fmt: skip
def test_what_cannot_stand_side_by_side_is_refused(samples, given, kind: type, match: str) -> None:
    with pytest.raises(kind, match=match):
        mv.ScaleExplorer(given, samples)


def test_models_on_other_grids_are_refused_with_what_to_do(samples) -> None:
    with pytest.raises(
        ShapeError, match=r"large 256x128 on a grid of 16x8; load both with the same image_size="
    ):
        mv.ScaleExplorer({"small": FIRST, "large": mv.load_model(device="cpu")}, samples)


def test_an_option_that_one_model_cannot_serve_is_said_with_its_name(opened) -> None:
    explorer = opened({"bare": PLAIN, "mine": FIRST})
    explorer.controls.target.value = "shift"
    assert "bare: a target needs a direction" in said(explorer)
    assert explorer.board.answered != explorer.controls.asked
    explorer.controls.target.value = "text"
    assert not said(explorer)


def test_numbers_legend_and_badge_name_both_models_and_the_difference(opened) -> None:
    explorer = opened({"baseline": FIRST, "mine": SECOND})
    numbers, legend = (
        unescape(str(words)) for words in (explorer._html["scores"].value, explorer._legend.line.value)
    )
    a, b = (float(result.view.cosine.score[0]) for result in explorer.results.values())
    assert f"baseline {a:.3f}, mine {b:.3f}; mine minus baseline <b>{b - a:+.3f}</b>" in numbers
    assert numbers.count("mswin-waterfall") == 2
    assert "value of mine minus value of baseline" in legend
    assert "red</b> higher in mine" in legend
    badge = str(explorer._html["badge"].value)
    assert badge.count("mswin-badge") == 2
    assert badge.index("baseline") < badge.index("mine")
    assert repr(explorer).count("add-on:") == 2
    assert f"; baseline: {FIRST.tower.weights}; add-on: " in repr(explorer)
    assert f"; mine: {SECOND.tower.weights}; add-on: " in repr(explorer)


def test_a_pin_shows_the_window_in_both_models_wherever_it_was_clicked(opened) -> None:
    explorer = opened({"baseline": FIRST, "mine": SECOND})
    words = set()
    (panel,) = (panel for panel in explorer.panels if panel.key == "scale-4")
    numbers = 1000 * panel.values[:3, 1]
    for row in range(3):
        explorer.board.pinned = {"key": "scale-4", "row": row, "window": 1}
        shown = str(explorer._html["inspection"].value)
        words.add(shown)
        assert f"mine {numbers[1]:.4g}; mine minus baseline {numbers[2]:.4g}" in shown
        assert shown.count("Window 1 of scale 4, RGB") == 3  # above both, and of each
        explorer.board.pinned = {"key": "fused", "row": row, "window": 1}
        assert str(explorer._html["inspection"].value).count("Patch 1 of fused, RGB") == 3
        for result in explorer.results.values():
            change = result.view.panel("scale-4").values[0, 1]
            assert f"{change:+.5f}" in shown
    assert len(words) == 1


def test_a_pin_that_is_older_than_the_panels_says_why_there_is_nothing(opened) -> None:
    explorer = opened([FIRST, SECOND])
    for pinned in ({"key": "scale-4", "row": 7, "window": 0}, {"key": "scale-4", "row": 0, "window": 99}):
        explorer.board.pinned = pinned
        assert "mswin-message" in str(explorer._html["inspection"].value)
        assert "Pinned" not in shown_words(explorer._shown, pinned)
    explorer.controls.scale.value = 1
    explorer.board.pinned = {"key": "free", "row": 1, "window": 0}
    assert str(explorer._html["inspection"].value).count("Window 0 of scale 1, RGB") == 3


@pytest.mark.parametrize("rows", ["one", "pair"])
def test_nothing_is_called_enhanced_without_an_add_on(opened, rows: str) -> None:
    explorer = opened(PLAIN)
    explorer.controls.rows.value = rows
    numbers = unescape(str(explorer._html["scores"].value))
    assert "enhanced" not in numbers.replace(NO_ADDON, "")
    assert numbers.count(NO_ADDON) == len(explorer.result.names)
    assert "+0.000" not in numbers
    for score in explorer.result.plain_scores[0]:
        assert f"{score:.3f}" in numbers
    assert "plain CLS" in shown_words(explorer._shown)
    titles = " ".join(axis.get_title() for axis in explorer.figure().axes).replace("\n", " ")
    assert titles.count(NO_ADDON) == len(explorer.result.names)
    beside = unescape(str(opened([PLAIN, FIRST])._html["scores"].value))
    assert beside.count(NO_ADDON) == 1
    assert "enhanced CLS" in beside


def test_the_cls_of_plain_clip_can_be_split(opened) -> None:
    explorer = opened(PLAIN)
    explorer.controls.cls.value = True
    explorer._cls_work.worker.thread.join(60)
    bars = {bar.label: bar.end - bar.start for bar in bars_of(explorer.result)}
    assert bars.pop("CLS") == pytest.approx(explorer.result.plain_scores[0, 0], abs=1e-6)
    assert sum(bars.values()) == pytest.approx(explorer.result.plain_scores[0, 0], abs=1e-6)


def test_a_reset_brings_back_a_value_that_both_models_have(opened) -> None:
    for explorer, value in (
        (opened([PLAIN, FIRST]), "norm"),
        (opened(PLAIN), "norm"),
        (opened(FIRST), "removal"),
    ):
        assert explorer.controls.value.value == value
        explorer.controls.value.value = "cosine"
        explorer._reset()
        assert explorer.controls.value.value == value


def test_a_pin_in_a_panel_of_one_model_says_so_of_the_other(opened) -> None:
    explorer = opened({"bare": PLAIN, "mine": FIRST})
    assert "scale-4" in explorer.board.pinnable
    explorer.board.pinned = {"key": "scale-4", "row": 0, "window": 1}
    shown = str(explorer._html["inspection"].value)
    assert "bare</b><div>This panel is not in this model.</div>" in shown
    assert "Window 1 of scale 4, RGB" in shown


def test_the_strip_is_scored_by_the_first_model_and_says_so(opened) -> None:
    explorer, alone = opened({"baseline": FIRST, "mine": SECOND}), opened(FIRST)
    for one in (explorer, alone):
        one._scores._on_strip({"kind": "scores"})
        one._scores.worker.thread.join(60)
    assert explorer.strip.scores == alone.strip.scores
    assert (explorer.strip.scored_by, alone.strip.scored_by) == ("baseline", "")


def test_a_state_brings_both_models_view_back(opened, samples) -> None:
    explorer = opened({"baseline": FIRST, "mine": OTHER})
    explorer.controls.scale.value, explorer.controls.slot_3.value = 7, "off"
    explorer.board.pinned = {"key": "scale-2", "row": 2, "window": 3}
    state = json.dumps(explorer.state)
    again = mv.ScaleExplorer.from_state([FIRST, OTHER], samples, state)
    assert not said(again)  # names are no part of it
    assert again.state == explorer.state
    for panel, wanted in zip(again.panels, explorer.panels, strict=True):
        np.testing.assert_array_equal(panel.values, wanted.values)
    again.close()
    swapped = mv.ScaleExplorer.from_state([FIRST, with_scales(2, 3, seed=12)], samples, state)
    swapped.close()
    with pytest.raises(OptionError, match="slot_3"):
        mv.ScaleExplorer.from_state([FIRST, SECOND], samples, state)
    other = mv.ScaleExplorer.from_state(
        [FIRST, replace(OTHER, addon_origin="of another run")], samples, state
    )
    assert "made with other weights" in said(other)
    other.close()


def test_a_figure_has_the_rows_of_the_screen_and_says_whose_they_are(opened) -> None:
    explorer = opened({"baseline": PLAIN, "mine": FIRST})
    explorer.board.pinned = {"key": "free", "row": 0, "window": 0}
    figure = explorer.figure()
    titles = " ".join(axis.get_title() for axis in figure.axes).replace("\n", " ")
    for name in (
        "baseline, RGB",
        "mine, RGB",
        "mine minus baseline, RGB",
        "value of mine minus value of baseline",
    ):
        assert name in titles
    assert (
        titles.count("not in this model") == titles.count("not in both models") == 4
    )  # three scales, and fused
    caption = figure.get_supxlabel().replace("\n", " ")
    assert f"baseline: {PLAIN.provenance[:30]}" in caption
    assert f"mine: {FIRST.provenance[:30]}" in caption
    words = shown_words(explorer._shown, explorer.board.pinned)
    assert words.count("Pinned: window 0") == 3
    a, b = (result.view.cosine.score[0] for result in explorer.results.values())
    assert f"baseline, RGB {a:.3f}, mine, RGB {b:.3f}." in words


def test_a_hostile_name_is_text_everywhere_and_short(opened) -> None:
    explorer = opened({"<b onclick=x>": FIRST, "$m$" + "x" * 300: SECOND})
    assert all(len(row["name"]) < 70 for row in explorer.board.rows)
    for words in (*(html.value for html in explorer._html.values()), explorer._legend.line.value):
        assert "<b onclick" not in str(words)
    explorer.figure().canvas.draw()


def test_one_model_in_a_list_is_one_model(opened) -> None:
    alone, listed = opened(FIRST), opened([FIRST])
    for explorer in (alone, listed):
        settled(explorer)
    assert len(alone.board.rows) == 1
    assert alone.board.rows == listed.board.rows
    assert alone.board.columns == listed.board.columns
    assert alone.board.pyramid == listed.board.pyramid
    assert alone.state == listed.state
    for name, html in alone._html.items():
        assert html.value == listed._html[name].value
    assert alone.panels is alone.view.panels
    assert "minus" not in str(alone._legend.line.value)
    assert repr(alone) == repr(listed)


def test_closing_releases_both(opened) -> None:
    explorer = opened([FIRST, SECOND])
    caches = explorer._results.caches
    explorer.close()
    assert [len(cache._kept) for cache in caches] == [0, 0]
    assert explorer.results == {}
    assert explorer.result is None
