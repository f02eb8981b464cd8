"""What we write loads into the design's modules as the design writes them, and comes back, with equal outputs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mswin_viz.model.addon.projected_windows import CLIPWithProjectionMultiScale
from mswin_viz.model.addon.sliding_window import CLIPMultiScaleFeatureExtractor
from mswin_viz.model.weights.addon_files import save_addon
from mswin_viz.model.weights.checkpoints import load_addon

DIM, WIDE, SCALES = 12, 18, (4, 8, 16)


class Windows(nn.Module):
    """Scheme 1: Conv1d for each scale, mean over windows, Linear, ReLU, (Dropout,) Linear."""

    def __init__(self, dim: int, scales: tuple[int, ...], *, dropout: bool = False) -> None:
        super().__init__()
        self.scales = scales
        self.sliding_windows = nn.ModuleList(
            nn.Conv1d(dim, dim, kernel_size=s, stride=s, padding=0) for s in scales
        )
        between = [nn.ReLU(), nn.Dropout(0.1)] if dropout else [nn.ReLU()]
        self.fusion = nn.Sequential(nn.Linear(dim * len(scales), dim), *between, nn.Linear(dim, dim))

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        x, pooled = patches.permute(0, 2, 1), []
        for scale, conv in zip(self.scales, self.sliding_windows, strict=True):
            pooled.append(conv(x).mean(dim=2) if x.shape[2] >= scale else x.mean(dim=2))
        return self.fusion(torch.cat(pooled, dim=1))


class Extractor(nn.Module):
    def __init__(self, dim: int, scales: tuple[int, ...], *, dropout: bool = False) -> None:
        super().__init__()
        self.multi_scale_window = Windows(dim, scales, dropout=dropout)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return self.multi_scale_window(patches)


class Projection(nn.Module):
    def __init__(self, narrow: int, wide: int) -> None:
        super().__init__()
        self.projection = nn.Sequential(
            nn.Linear(narrow, wide), nn.LayerNorm(wide), nn.ReLU(), nn.Linear(wide, wide)
        )


class Projected(nn.Module):
    """Scheme 2: projection up, windows there, projection back."""

    def __init__(self, narrow: int, wide: int, scales: tuple[int, ...]) -> None:
        super().__init__()
        self.projection = Projection(narrow, wide)
        self.multi_scale_extractor = Extractor(wide, scales)
        self.back_projection = nn.Sequential(nn.Linear(wide, narrow), nn.LayerNorm(narrow))

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        wide = self.projection.projection(patches)
        return self.back_projection(self.multi_scale_extractor(wide))


@pytest.fixture(params=[128, 210, 9], ids=lambda n: f"{n} tokens")
def patches(request) -> torch.Tensor:
    return torch.randn(3, request.param, DIM, generator=torch.Generator().manual_seed(12))


def drawn(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.4 * torch.randn(parameter.shape, generator=generator))
    return module.eval()


def assert_same(a: nn.Module, b: nn.Module, patches: torch.Tensor) -> None:
    with torch.no_grad():
        torch.testing.assert_close(a(patches), b(patches), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (CLIPMultiScaleFeatureExtractor(DIM, SCALES), Extractor(DIM, SCALES)),
        (CLIPWithProjectionMultiScale(DIM, WIDE, SCALES), Projected(DIM, WIDE, SCALES)),
    ],
    ids=["scheme 1", "scheme 2"],
)
def test_both_schemes_go_out_and_come_back(ours, theirs, patches, tmp_path, saved):
    save_addon(drawn(ours), tmp_path / "ours.pth")
    theirs.eval().load_state_dict(torch.load(tmp_path / "ours.pth", weights_only=True))
    assert_same(theirs, ours, patches)
    assert_same(load_addon(saved(theirs.state_dict())), ours, patches)


@pytest.mark.parametrize("prefix", ["", "BACKBONE.clip_multi_scale_extractor."])
def test_the_forks_module_with_a_dropout_comes_in(prefix, patches, saved):
    fork = drawn(Extractor(DIM, SCALES, dropout=True))
    assert any("fusion.3" in key for key in fork.state_dict())
    state = {prefix + key: value for key, value in fork.state_dict().items()}
    assert_same(load_addon(saved(state)), fork, patches)
