"""What encode costs over open_clip's bare encode_image: ``pytest tests/benchmarks -s``."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import open_clip
import pytest
import torch

from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.weights.clip_towers import Tower

VIT_B_16 = {
    "embed_dim": 512,
    "vision_cfg": {"image_size": [256, 128], "layers": 12, "width": 768, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 1, "width": 64, "heads": 1, "layers": 1},
    "quick_gelu": True,
}


@pytest.fixture(scope="module", params=["cpu", "cuda"])
def model(request: pytest.FixtureRequest) -> Model:
    """ViT-B/16 at 256x128; random weights cost what trained ones do."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device: this machine has none")
    return vit_b_16(request.param)


def vit_b_16(device: str) -> Model:
    """ViT-B/16 at 256x128 on a device, without an add-on."""
    clip = open_clip.CLIP(**VIT_B_16).eval().requires_grad_(False).to(device)
    half = (0.5, 0.5, 0.5)
    tower = Tower(
        clip=clip,
        weights="random",
        image_size=(256, 128),
        mean=half,
        std=half,
        activation="QuickGELU",
        positions="16x8, as stored",
    )
    return Model(tower, None, "none", torch.device(device))


def test_encode_against_encode_image(model, benchmark):
    batch_size = 64 if model.device.type == "cuda" else 4
    batch = torch.randn(batch_size, 3, 256, 128, device=model.device)

    def bare() -> None:
        with torch.no_grad(), model.autocast():
            model.clip.encode_image(batch).float()
        _wait(model)

    def ours() -> None:
        model._encode_batch(batch)
        _wait(model)

    ratio = _ratio(ours, bare, rounds=15)
    benchmark.extra_info["ratio to encode_image"] = round(ratio, 3)
    print(f"\nencode / encode_image on {model.device}, batch {batch_size}: {ratio:.3f}")
    benchmark.pedantic(ours, rounds=3, warmup_rounds=1)


def _ratio(first: Callable[[], None], second: Callable[[], None], *, rounds: int) -> float:
    """Median over rounds of time against time, taken in turn, so that a slow spell hits both."""
    first(), second()
    return statistics.median(_seconds(first) / _seconds(second) for _ in range(rounds))


def _seconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _wait(model: Model) -> None:
    if model.device.type == "cuda":
        torch.cuda.synchronize()
