"""The module as written against its fast pooled path: D = 512, N = 128, scales 4, 8, 16."""

from __future__ import annotations

import pytest
import torch

from mswin_viz.model.addon.sliding_window import CLIPMultiScaleSlidingWindow


@pytest.mark.parametrize("path", ["forward_literal", "forward"])
@pytest.mark.parametrize("batch", [1, 8, 64, 256])
def test_pooling(benchmark, batch: int, path: str) -> None:
    benchmark.group = f"pooling, batch {batch}"
    torch.manual_seed(0)
    module, patches = CLIPMultiScaleSlidingWindow(), torch.randn(batch, 128, 512)
    with torch.no_grad():
        benchmark(getattr(module, path), patches)
