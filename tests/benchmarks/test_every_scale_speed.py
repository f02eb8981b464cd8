"""What the free windows of all scales cost at once, run in turns with one scale after another; nothing fails on a clock."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from measured_pages import TIMINGS, note_timing

import mswin_viz as mv
from mswin_viz.analysis.blas_threads import one_blas_thread
from mswin_viz.analysis.scales.pyramid import every_window, free_panels
from mswin_viz.analysis.scales.request import VALUES, Subject, ViewRequest
from mswin_viz.analysis.scales.view import fused_part, scale_view
from mswin_viz.analysis.shares.fusion_weights import fusion_weights
from mswin_viz.view.widgets.labels import VALUES as LABELS


@pytest.fixture(scope="module")
def subject() -> Subject:
    """One image with the embedded model and add-on."""
    model = mv.load_model(device="cpu")
    tokens = model.encode([mv.samples()[0].images["RGB"]], progress=False)
    target = model.encode_text("a person wearing a red top")[0]
    return Subject(tokens, model.addon, fusion_weights(model.addon), np.asarray(target, np.float64))


@pytest.mark.parametrize("value", VALUES)
def test_every_scale_of_one_image_at_once(benchmark, subject: Subject, value: str) -> None:
    """ "kept": for another value or target of the same image, whose windows have answered before."""
    request = ViewRequest(1, value=value, slots=("on",) * len(subject.scales))
    fused, windows = fused_part(subject, request), every_window(subject)
    scales = range(1, subject.tokens.patches.shape[1] + 1)
    calls = {
        "at once": lambda: free_panels(subject, request, fused=fused),
        "kept": lambda: free_panels(subject, request, fused=fused, windows=windows),
        "one by one": lambda: [
            scale_view(subject, replace(request, free_scale=s), fused=fused) for s in scales
        ],
    }
    taken = {name: [] for name in calls}
    with one_blas_thread():  # as in the explorer, behind an answer
        for turn in range(8):
            for name, call in calls.items():
                started = time.perf_counter()
                call()
                taken[name] += [1000 * (time.perf_counter() - started)] if turn else []
    ms = {name: float(np.median(each)) for name, each in taken.items()}
    ratios = {name: f"{ms['one by one'] / each:.0f}x" for name, each in ms.items() if name != "one by one"}
    print(
        f"\n{value}: ms { ({name: round(each, 1) for name, each in ms.items()}) }, faster than one by one: {ratios}"
    )
    if (part := LABELS[value]) in TIMINGS["every_scale"].parts:
        note_timing("every_scale", part, ms["at once"])
        note_timing("every_scale_kept", part, ms["kept"])
    benchmark.pedantic(calls["at once"], rounds=1)
