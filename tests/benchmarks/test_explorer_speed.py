"""One step of the scale slider in the kernel, embedded tower, from the trait to the canvas messages."""

from __future__ import annotations

import itertools

import pytest
import torch
from support.own_modules import AttentionPool, Convolved

import mswin_viz as mv
from mswin_viz.model.addon.own import Addon

OTHER = {
    "scheme 2": mv.CLIPWithProjectionMultiScale,
    "attention pooling": AttentionPool,
    "convolution, concatenated": Convolved,
}


@pytest.mark.parametrize("state", ["on", "free"])
@pytest.mark.parametrize("value", ["norm", "share", "removal", "push"])
def test_slider_step(benchmark, monkeypatch, value: str, state: str) -> None:
    benchmark.group = f"slider step, value {value}"
    _measure(benchmark, monkeypatch, mv.load_model(device="cpu"), value, state)


@pytest.mark.parametrize("state", ["on", "free"])
@pytest.mark.parametrize("value", ["norm", "share", "removal", "cosine"])
@pytest.mark.parametrize("kind", OTHER)
def test_slider_step_of_other_addons(benchmark, monkeypatch, kind: str, value: str, state: str) -> None:
    torch.manual_seed(0)
    benchmark.group = f"slider step, {kind}, value {value}"
    addon = OTHER[kind](512)
    is_of_windows = hasattr(addon, "window_parts")
    if state == "free" and not is_of_windows:
        pytest.skip("it has no slots")
    model = mv.load_model(addon=addon if is_of_windows else Addon(addon), device="cpu")
    _measure(benchmark, monkeypatch, model, value, state)


def _measure(benchmark, monkeypatch, model: mv.Model, value: str, state: str) -> None:
    explorer = mv.ScaleExplorer(model, mv.samples()[:1])
    explorer.controls.value.value = value
    if explorer.controls.slots:
        explorer.controls.slots[2].value = state
    monkeypatch.setattr(type(explorer.model), "encode", lambda *_: pytest.fail("the backbone ran"))
    scales = itertools.cycle(range(1, 129))
    benchmark.pedantic(
        lambda: setattr(explorer.controls.scale, "value", next(scales)), rounds=128, warmup_rounds=2
    )
