"""The module as written against its fast pooled path: D = 512, N = 128, scales 4, 8, 16."""

from __future__ import annotations

import pytest
import torch

from mswin_viz.model.addon.sliding_window import CLIPMultiScaleSlidingWindow


@pytest.mark.parametrize("path", ["forward_literal", "forward"])
@pytest.mark.parametrize("batch", [1, 8, 64, 256])
def test_pooling(benchmark, device: str, batch: int, path: str) -> None:
    benchmark.group = f"pooling on {device}, batch {batch}"
    torch.manual_seed(0)
    module, patches = CLIPMultiScaleSlidingWindow().to(device), torch.randn(batch, 128, 512, device=device)
    pool = getattr(module, path)

    def done() -> None:
        pool(patches)
        if device == "cuda":
            torch.cuda.synchronize()

    with torch.no_grad():
        benchmark(done)
