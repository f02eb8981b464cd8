"""One step of the scale slider in the kernel, embedded model, from the trait to the canvas messages."""

from __future__ import annotations

import itertools

import pytest

import mswin_viz as mv


@pytest.mark.parametrize("state", ["on", "free"])
@pytest.mark.parametrize("value", ["norm", "share"])
def test_slider_step(benchmark, monkeypatch, value: str, state: str) -> None:
    benchmark.group = f"slider step, value {value}"
    explorer = mv.ScaleExplorer(mv.load_model(device="cpu"), mv.samples()[:1])
    explorer.controls.value.value = value
    explorer.controls.slots[2].value = state
    monkeypatch.setattr(type(explorer.model), "encode", lambda *_: pytest.fail("the backbone ran"))
    scales = itertools.cycle(range(1, 129))
    benchmark.pedantic(
        lambda: setattr(explorer.controls.scale, "value", next(scales)), rounds=128, warmup_rounds=2
    )
