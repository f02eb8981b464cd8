"""What splitting a CLS costs beside encoding the same images, run in turns; nothing fails on a clock."""

from __future__ import annotations

import time

import numpy as np
import pytest

import mswin_viz as mv


@pytest.mark.parametrize("n_images", [1, 8])
def test_a_cls_by_patch_against_one_forward_pass(benchmark, n_images: int) -> None:
    """Embedded model; float64 forward, backward and three passes for the constants against a float32 forward pass."""
    model, images = mv.load_model(device="cpu"), [sample.images["RGB"] for sample in mv.samples()[:n_images]]
    opened, v = model.opened(images), model.encode_text("a person wearing a black top")[0]
    calls = {
        "encode": lambda: model.encode(opened, progress=False),
        "patches": lambda: mv.cls_by_patch(model, opened, v),
        "blocks": lambda: mv.cls_by_block(model, opened, v),
    }
    taken = {name: [] for name in calls}
    for turn in range(6):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            taken[name] += [time.perf_counter() - started] if turn else []
    seconds = {name: float(np.median(each)) for name, each in taken.items()}
    ratios = {name: f"{each / seconds['encode']:.1f}x" for name, each in seconds.items()}
    print(f"\n{n_images} images, times one forward pass: {ratios}, {seconds}")
    benchmark.pedantic(calls["patches"], rounds=1)
