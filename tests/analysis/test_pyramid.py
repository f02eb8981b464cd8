"""The free windows of every scale at once, against the one-scale road and plain loops."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch
from support.oracles import resampled_kernel
from support.own_modules import TINY_ADDONS, tiny_model_with
from support.tiny import DIM, GRID, direction, pictures, tiny_model

from mswin_viz.analysis.scales.panels import Panel
from mswin_viz.analysis.scales.pyramid import every_window, free_panels
from mswin_viz.analysis.scales.request import VALUES, Subject, ViewRequest
from mswin_viz.analysis.scales.view import scale_view
from mswin_viz.analysis.shares import fusion_layers, fusion_scales
from mswin_viz.analysis.shares.fusion_weights import fusion_weights
from mswin_viz.analysis.windows.scale_windows import mean_windows, mixed_windows
from mswin_viz.errors import OptionError
from mswin_viz.model.addon.sliding_window import CLIPMultiScaleFeatureExtractor

N = GRID[0] * GRID[1]
KINDS = ("scheme 1", "plain", *TINY_ADDONS)


@lru_cache
def subject_of(kind: str, n_images: int = 2) -> Subject:
    model = tiny_model(addon=kind == "scheme 1") if kind in ("scheme 1", "plain") else tiny_model_with(kind)
    tokens = model.encode(pictures(n_images), progress=False)
    weights = None if model.addon is None else fusion_weights(model.addon)
    return Subject(tokens, model.addon, weights, direction())


def request_for(subject: Subject, **traits: object) -> ViewRequest:
    return replace(ViewRequest(1, channel=3, slots=("on",) * len(subject.scales)), **traits)


def assert_is_the_view_s(subject: Subject, request: ViewRequest, *, rtol: float = 1e-6) -> None:
    """Each panel is that of the one-scale road: numbers to ``rtol`` of the largest, words to the letter."""
    panels = free_panels(subject, request)
    assert len(panels) == subject.tokens.patches.shape[1]
    for scale, panel in enumerate(panels, start=1):
        alone = scale_view(subject, replace(request, free_scale=scale)).panel("free")
        np.testing.assert_allclose(
            panel.values, alone.values, rtol=0, atol=rtol * np.nanmax(np.abs(alone.values), initial=1e-30)
        )
        assert words_of(panel) == words_of(alone)
        assert panel.geometry is alone.geometry


def words_of(panel: Panel) -> tuple[str, ...]:
    return panel.key, panel.title, panel.origin, panel.unit, panel.words


@pytest.mark.parametrize("kernel", ["auto", "mean"])
@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:All-NaN")
def test_every_scale_is_what_the_view_of_that_scale_has(kind: str, value: str, kernel: str) -> None:
    subject = subject_of(kind)
    assert_is_the_view_s(subject, request_for(subject, value=value, kernel=kernel))


@pytest.mark.parametrize("value", VALUES)
def test_slots_that_are_off_stay_off_at_every_scale(value: str) -> None:
    subject = subject_of("scheme 1")
    assert_is_the_view_s(subject, request_for(subject, value=value, slots=("on", "off", "on")))


@pytest.mark.parametrize("kernel", ["auto", "mean"])
@pytest.mark.parametrize("kind", ["scheme 1", "scheme 2", "mixture"])
def test_what_the_windows_answer_is_kept_for_another_value_target_and_fusion(
    monkeypatch: pytest.MonkeyPatch, kind: str, kernel: str
) -> None:
    subject = subject_of(kind)
    windows = every_window(subject)
    requests = [request_for(subject, value=value, kernel=kernel) for value in VALUES]
    requests += [
        request_for(subject, value="share", kernel=kernel, slots=("on", *["off"] * (len(subject.scales) - 1)))
    ]
    others = [subject, replace(subject, direction=direction(seed=5))]
    expected = [[free_panels(own, request) for request in requests] for own in others]
    for request in requests:
        free_panels(subject, request, windows=windows)
    for name in ("mixed_windows", "mean_windows", "exact_pooled"):
        monkeypatch.setattr(fusion_scales, name, lambda *_: pytest.fail("computed again"))
    for own, panels in zip(others, expected, strict=True):
        for request, fresh in zip(requests, panels, strict=True):
            kept = free_panels(own, request, windows=windows)
            for one, other in zip(kept, fresh, strict=True):
                np.testing.assert_array_equal(one.values, other.values)
                assert words_of(one) == words_of(other)


@pytest.mark.parametrize("kind", ["scheme 1", "scheme 2"])
@pytest.mark.parametrize("value", ["share", "push", "removal"])
def test_scales_whose_gates_hang_on_rounding_are_pooled_in_float64_and_others_are_not(
    monkeypatch: pytest.MonkeyPatch, kind: str, value: str
) -> None:
    subject, exact = subject_of(kind), []
    pooled = fusion_scales.exact_pooled
    monkeypatch.setattr(
        fusion_scales,
        "exact_pooled",
        lambda weights, tokens, group: exact.extend(group.scales) or pooled(weights, tokens, group),
    )
    monkeypatch.setattr(fusion_layers, "_ROUNDING", 0)
    rough = free_panels(subject, request_for(subject, value=value))
    assert exact == []
    monkeypatch.setattr(fusion_layers, "_ROUNDING", np.inf)
    windows = every_window(subject)
    for _ in range(2):  # the second time they are kept
        fine = free_panels(subject, request_for(subject, value=value), windows=windows)
        assert sorted(exact) == list(range(1, N + 1))
    for one, other in zip(rough, fine, strict=True):
        np.testing.assert_allclose(one.values, other.values, rtol=0, atol=1e-6 * np.abs(other.values).max())


def test_a_gate_is_near_its_switch_within_the_rounding_of_what_goes_in() -> None:
    rng = np.random.default_rng(3)
    head = fusion_layers.MlpHead(rng.normal(size=(3, 4)), np.zeros(3), rng.normal(size=(4, 3)), np.zeros(4))
    hidden = np.array([[1, -2, 3e-6], [1, -2, -3e-6], [1, -2, 1e-4]])
    fused = replace(head.fused([np.zeros((3, 4))], 3), hidden=hidden)
    assert head.near_a_switch(fused).tolist() == [True, True, False]


def test_without_windows_nothing_is_kept() -> None:
    assert every_window(subject_of("plain")) is None
    assert every_window(subject_of("attention pooling")) is None


@pytest.mark.parametrize("value", ["cosine", "share", "push", "removal"])
def test_each_image_has_its_own_direction(value: str) -> None:
    subject = subject_of("scheme 2")
    own = replace(subject, direction=np.stack([direction(seed=1), direction(seed=2)]))
    assert_is_the_view_s(own, request_for(own, value=value))


def test_a_trained_scale_above_the_number_of_tokens_is_resampled_from() -> None:
    torch.manual_seed(6)
    addon = CLIPMultiScaleFeatureExtractor(DIM, (2, 20)).eval().requires_grad_(False)
    subject = subject_of("scheme 1")
    wide = Subject(subject.tokens, addon, fusion_weights(addon), direction())
    for value in VALUES:
        assert_is_the_view_s(wide, request_for(wide, value=value))
    assert free_panels(wide, request_for(wide))[-1].origin == "resampled from 20"


def test_windows_of_many_scales_are_a_convolution_with_the_resampled_kernel_each() -> None:
    rng, n_tokens, scales = np.random.default_rng(1), 70, (3, 7, 31, 40, 70)
    tokens = rng.normal(size=(2, n_tokens, 5)).astype(np.float32)
    kernel = torch.tensor(rng.normal(size=(4, 5, 7)))  # out, in, tap
    mixed = mixed_windows(tokens, kernel.permute(2, 1, 0).float().numpy().copy(), scales)
    at = 0
    for scale in scales:
        own = resampled_kernel(kernel, scale).numpy()
        for first in range(0, n_tokens - scale + 1, scale):
            window = tokens[:, first : first + scale]
            np.testing.assert_allclose(
                mixed[:, at], np.einsum("oik,bki->bo", own, window), rtol=1e-4, atol=1e-4
            )
            at += 1
    assert at == mixed.shape[1]


def test_plain_means_of_many_scales_are_means() -> None:
    tokens = np.random.default_rng(2).normal(size=(2, 11, 3)).astype(np.float32)
    means, scales = mean_windows(tokens, (1, 4, 11)), (1, 4, 11)
    wanted = [tokens[:, f : f + s].mean(axis=1) for s in scales for f in range(0, 11 - s + 1, s)]
    np.testing.assert_allclose(means, np.stack(wanted, axis=1), rtol=1e-5, atol=1e-6)


def test_a_module_s_removals_are_those_of_its_own_windows_at_every_scale() -> None:
    subject = subject_of("attention pooling")
    panels = free_panels(subject, request_for(subject, value="removal"))
    tokens, addon, v = subject.tokens, subject.addon, torch.tensor(subject.direction)

    def cosine(patches: torch.Tensor) -> torch.Tensor:
        enhanced = replace(tokens, patches=patches)
        return torch.cosine_similarity(tokens.cls + addon(enhanced.patches), v, dim=1)

    for scale in (1, 2, 5, 12):
        for window in range(N // scale):
            emptied = tokens.patches.clone()
            emptied[:, window * scale : (window + 1) * scale] = 0
            change = cosine(emptied) - cosine(tokens.patches)
            np.testing.assert_allclose(panels[scale - 1].values[:, window], change, atol=1e-5)


@pytest.mark.parametrize("beyond", [{"stride": 2}, {"tile": (2, 2)}, {"slots": ("on", "free", "on")}])
def test_what_moves_with_the_scale_otherwise_is_refused(beyond: dict[str, object]) -> None:
    subject = subject_of("scheme 1")
    with pytest.raises(OptionError, match="end to end"):
        free_panels(subject, request_for(subject, **beyond))
