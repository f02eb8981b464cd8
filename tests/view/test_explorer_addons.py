"""The scale explorer with every add-on: what is on screen adds up, and is what the module does."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from support.own_modules import ADDONS, seeded_addon

import mswin_viz as mv
from mswin_viz.analysis.scales.inspection import inspected_window
from mswin_viz.analysis.scales.request import VALUES
from mswin_viz.analysis.scales.token_panels import PLAIN_PANELS
from mswin_viz.model.addon.own import Addon
from mswin_viz.model.encoder.token_cache import TokenCache
from mswin_viz.view.scales import cls_splits
from mswin_viz.view.scales.share_bars import cls_rows, share_rows

KINDS = [*ADDONS, "plain CLIP"]
OWN = ["attention pooling", "convolution, concatenated"]


@pytest.fixture(scope="module")
def models() -> Iterator[dict[str, mv.Model]]:
    dim = mv.load_model(device="cpu").dim
    made = {kind: mv.load_model(addon=seeded_addon(kind, dim), device="cpu") for kind in ADDONS}
    every = {**made, "plain CLIP": mv.load_model(addon=None, device="cpu")}
    kept = [TokenCache(model) for model in every.values()]  # no image is encoded twice
    yield every
    for cache in kept:
        cache.close()


@pytest.fixture
def opened(models):
    explorers = []

    def make(kind: str) -> mv.ScaleExplorer:
        explorers.append(mv.ScaleExplorer(models[kind], mv.samples()[:3], prompt="a red top"))
        return explorers[-1]

    yield make
    for explorer in explorers:
        explorer.close()


def said(explorer: mv.ScaleExplorer) -> str:
    return str(explorer._html["message"].value)


def split(explorer: mv.ScaleExplorer) -> None:
    explorer.controls.cls.value = True
    thread = explorer._cls_work.worker.thread
    assert thread is not None
    thread.join(60)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", ["one", "modalities", "pair"])
def test_the_bars_add_up_to_the_cosine(opened, kind: str, rows: str) -> None:
    explorer = opened(kind)
    explorer.controls.rows.value = rows
    for value in VALUES:
        explorer.controls.value.value = value
        explorer.controls.scale.value = 13
        assert not said(explorer)
        for row, score in enumerate(explorer.view.cosine.score):
            assert sum(share for _, share in share_rows(explorer.result, row)) == pytest.approx(
                score, rel=1e-9
            )


@pytest.mark.parametrize("kind", KINDS)
def test_every_control_has_an_answer(opened, kind: str, tmp_path) -> None:
    explorer = opened(kind)
    for name in ("kernel", "windows", "target", "shuffle"):
        control = explorer.controls.of_the_view[name]
        for value in [option[1] for option in control.options]:
            control.value = value
            assert not said(explorer) or value == "shift", (name, value)
    for slot in explorer.controls.slots:
        for state in ("off", "free"):
            slot.value = state
            assert not said(explorer)
    assert explorer.save_figure(tmp_path / "view.png").stat().st_size > 10_000
    assert "image/png" in explorer._repr_mimebundle_()


def test_windows_of_scheme_2_have_the_channels_of_the_projected_tokens(opened, models) -> None:
    explorer = opened("scheme 2")
    explorer.controls.kernel.value, explorer.controls.value.value = "mean", "channel"
    explorer.controls.channel.value, explorer.controls.scale.value = 7, 5
    addon = models["scheme 2"].addon
    seen = addon.projection(explorer.result.subject.tokens.patches)[0]
    for w, value in enumerate(explorer.view.panel("free").values[0]):
        assert value == pytest.approx(float(seen[5 * w : 5 * w + 5, 7].mean()), abs=1e-6)
    assert "projected" in explorer.view.panel("free").words


@pytest.mark.parametrize("state", ["on", "free"])
def test_the_target_as_windows_of_scheme_2_see_it_gives_their_share(opened, models, state: str) -> None:
    """The mean of r . activation is the share of a slot's windows and their biases."""
    explorer = opened("scheme 2")
    explorer.controls.slots[1].value, explorer.controls.value.value = state, "cosine"
    subject, view = explorer.result.subject, explorer.view
    weights = subject.weights
    run = weights.run(subject.tokens, view.slots)
    directions = run.pulled_back(subject.direction_of_each)
    panels = {"on": "scale-8", "free": "free"}
    activations = mv.window_activations(
        subject.tokens, subject.addon, view.slots[1].scale, source_scale=8 if state == "free" else None
    ).values[0]
    r = directions[1][0]
    wanted = activations @ r / np.linalg.norm(activations, axis=1) / np.linalg.norm(r)
    np.testing.assert_allclose(view.panel(panels[state]).values[0], wanted, rtol=1e-4, atol=1e-6)
    shares = view.cosine.slot(1)
    norm = view.cosine.norm[0] * view.cosine.direction_norm[0]
    assert (activations @ r).mean() / norm == pytest.approx(
        float(shares.windows[0].sum() + shares.bias[0]), rel=1e-5
    )
    assert "pulled back" in view.panel("free").words


@pytest.mark.parametrize("kind", OWN)
def test_windows_of_a_module_are_sums_of_its_tokens_shares(opened, kind: str) -> None:
    explorer = opened(kind)
    explorer.controls.value.value, explorer.controls.target.value = "share", "image"
    explorer.controls.scale.value, explorer.controls.stride.value = 5, 4
    view = explorer.view
    tokens, free = view.panel("fused").values[0], view.panel("free")
    covers = [sum(token in window for window in free.geometry.tokens) for token in range(128)]
    for w, window in enumerate(free.geometry.tokens):
        assert free.values[0, w] == pytest.approx(sum(tokens[t] / covers[t] for t in window), abs=1e-12)
    outside = sum(tokens[t] for t in range(128) if not covers[t])
    assert dict(share_rows(explorer.result))["outside windows"] == pytest.approx(outside)


def test_declared_windows_have_panels_of_their_own(opened) -> None:
    explorer = opened("attention pooling")
    explorer.controls.value.value = "share"
    view = explorer.view
    assert [panel.key for panel in view.panels] == ["scale-8", "4x4-tiles", "free", "fused", *PLAIN_PANELS]
    tokens = view.panel("fused").values[0]
    for key in ("scale-8", "4x4-tiles"):
        panel = view.panel(key)
        np.testing.assert_allclose(panel.values[0], tokens[panel.geometry.tokens].sum(axis=1), atol=1e-12)
    assert explorer.controls.slots == ()


def test_what_a_module_says_of_its_tokens_is_drawn_and_said(opened, models) -> None:
    explorer, other = opened("attention pooling"), opened("convolution, concatenated")
    explorer.controls.scale.value = 8
    for each in (explorer, other):
        each.controls.value.value = "norm"
    panel = explorer.view.panel("free")
    told = models["attention pooling"].addon.activations(explorer.result.subject.tokens.patches)[0]
    np.testing.assert_allclose(panel.values[0], told.unflatten(0, (16, 8)).mean(1).norm(dim=1), rtol=1e-5)
    assert "the module's activations" in panel.words
    assert "patch tokens" in other.view.panel("free").words


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize("key", ["free", "fused", "plain"])
def test_a_pinned_window_of_a_module_shows_its_share_and_what_its_removal_changes(
    opened, models, kind, key
) -> None:
    explorer = opened(kind)
    explorer.controls.scale.value, explorer.controls.value.value = 12, "share"
    explorer.board.pinned = {"key": key, "row": 0, "window": 3}
    said = "its tokens are set to zero" if key == "free" else "it is set to zero"
    assert said in str(explorer._html["inspection"].value)
    subject, view = explorer.result.subject, explorer.view
    found = inspected_window(subject, view, key, 0, 3)
    window = view.panel(key).geometry.tokens[3]
    shares = view.panel("fused").values[0]
    assert found.share == pytest.approx(shares[window].sum())
    model = models[kind]
    emptied = subject.tokens.patches.clone()
    emptied[0, window.tolist()] = 0
    cls = [
        model.enhance(mv.Tokens(subject.tokens.cls, patches, subject.tokens.grid)).cls[0].double().numpy()
        for patches in (subject.tokens.patches, emptied)
    ]
    v = subject.direction_of_each[0]
    before, after = (c @ v / np.linalg.norm(c) / np.linalg.norm(v) for c in cls)
    assert found.change == pytest.approx(after - before, abs=1e-6)


def test_what_cannot_be_held_has_a_bar_and_a_name(opened) -> None:
    explorer = opened("unknown operation")
    assert abs(dict(share_rows(explorer.result))["unexplained"]) > 1e-4
    assert "unexplained: exp cannot be held" in str(explorer._html["scores"].value)


@pytest.mark.parametrize("kind", ["unknown operation", *OWN])
def test_shares_are_called_exact_only_where_they_are(opened, kind: str) -> None:
    explorer = opened(kind)
    is_exact = kind in OWN
    for panel in explorer.view.panels:
        if panel.unit == "share":
            assert ("exact" in panel.words) == is_exact, panel.words
            assert ("exp cannot be held" in panel.words) == (not is_exact)
    explorer.board.pinned = {"key": "free", "row": 0, "window": 1}
    assert ("leave out the unexplained part" not in explorer._html["inspection"].value) == is_exact


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_first_shown_by_what_removing_its_windows_changes(opened, kind: str) -> None:
    explorer = opened(kind)
    first = "norm" if kind == "plain CLIP" else "removal"
    assert explorer.controls.value.value == first
    assert {panel.unit for panel in explorer.view.panels if panel.key == "free"} == {first}


def test_declared_windows_that_do_not_fit_are_named(models) -> None:
    module = Addon(ADDONS["attention pooling"](models["plain CLIP"].dim), windows=(4, (20, 2)))
    explorer = mv.ScaleExplorer(mv.load_model(addon=module, device="cpu"), mv.samples()[:1])
    assert "No panel of 20x2 tiles" in said(explorer)
    assert "4x4-tiles" not in [panel.key for panel in explorer.view.panels]
    explorer.close()


# ---- the CLS by input patch -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_cls_bar_is_split_when_asked(opened, kind: str) -> None:
    explorer = opened(kind)
    assert "cls" not in [panel.key for panel in explorer.view.panels]
    assert cls_rows(explorer.result) == []
    split(explorer)
    rows, (label, share) = dict(cls_rows(explorer.result)), share_rows(explorer.result)[0]
    assert label == "CLS"
    assert sum(rows.values()) == pytest.approx(share, abs=1e-6)
    assert explorer.view.panel("cls").values.sum() == pytest.approx(rows["its patches"])
    assert "not causal" in explorer.view.panel("cls").words


@pytest.mark.parametrize("rows", ["modalities", "pair"])
def test_the_cls_of_every_row_is_split(opened, rows: str) -> None:
    explorer = opened("attention pooling")
    explorer.controls.rows.value = rows
    split(explorer)
    for row in range(len(explorer.result.names)):
        parts = sum(share for _, share in cls_rows(explorer.result, row))
        assert parts == pytest.approx(share_rows(explorer.result, row)[0][1], abs=1e-6)


def test_the_slider_does_not_split_the_cls_again_and_another_target_does(opened, monkeypatch) -> None:
    explorer, asked = opened("scheme 2"), []
    real = cls_splits.cls_by_patch
    monkeypatch.setattr(cls_splits, "cls_by_patch", lambda *a, **k: asked.append(a) or real(*a, **k))
    split(explorer)
    for scale in (3, 9, 40):
        explorer.controls.scale.value = scale
    explorer.controls.value.value = "share"
    assert len(asked) == 1
    assert np.isfinite(explorer.view.panel("cls").values).all()
    explorer.controls.prompt.value = "a blue bag"
    explorer._cls_work.worker.thread.join(60)
    explorer.controls.prompt.value = "a red top"
    assert len(asked) == 2


def test_patches_that_a_shuffle_moved_keep_their_share_of_the_cls(opened) -> None:
    explorer = opened("attention pooling")
    split(explorer)
    before = explorer.view.panel("cls").values[0]
    explorer.controls.shuffle.value = 8
    order = explorer.result.shuffle.order
    np.testing.assert_allclose(explorer.view.panel("cls").values[0], before[order], rtol=1e-12)


def test_a_split_that_is_on_its_way_is_a_panel_without_numbers(opened, monkeypatch) -> None:
    explorer = opened("plain CLIP")
    monkeypatch.setattr(explorer._cls_work.worker, "start", lambda: None)
    explorer.controls.cls.value = True
    assert np.isnan(explorer.view.panel("cls").values).all()
    assert cls_rows(explorer.result) == []


def test_the_state_holds_the_split(opened) -> None:
    explorer = opened("attention pooling")
    explorer.controls.cls.value = True
    again = mv.ScaleExplorer.from_state(explorer.model, mv.samples()[:3], explorer.state)
    assert again.controls.cls.value
    again.close()
