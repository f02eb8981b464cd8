"""A trained add-on goes back into the host model's code."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import mswin_viz as mv
from mswin_viz.errors import OptionError
from mswin_viz.model.addon_files import write_addon
from mswin_viz.model.heads import window_head


class Host(torch.nn.Module):
    """The part of a re-ID model that holds the add-on, as its published code names it."""

    def __init__(self, *, dropout: bool) -> None:
        super().__init__()
        self.BACKBONE = torch.nn.Module()
        self.BACKBONE.base = torch.nn.Linear(2, 2)
        extractor = self.BACKBONE.clip_multi_scale_extractor = torch.nn.Module()
        windows = extractor.multi_scale_window = torch.nn.Module()
        windows.sliding_windows = torch.nn.ModuleList(torch.nn.Conv1d(6, 6, s, stride=s) for s in (2, 3))
        middle = [torch.nn.ReLU(), torch.nn.Dropout(0.1)] if dropout else [torch.nn.ReLU()]
        windows.fusion = torch.nn.Sequential(torch.nn.Linear(12, 6), *middle, torch.nn.Linear(6, 6))

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        windows, sequence = self.BACKBONE.clip_multi_scale_extractor.multi_scale_window, patches.mT
        return windows.fusion(
            torch.cat([conv(sequence).mean(dim=2) for conv in windows.sliding_windows], dim=1)
        )


@pytest.mark.parametrize(("layout", "dropout"), [("host", False), ("host-dropout", True)])
def test_a_host_model_loads_the_file_and_gives_the_same_vectors(tmp_path: Path, layout, dropout) -> None:
    addon = window_head(6, (2, 3), seed=3).body.eval()
    write_addon(addon, tmp_path / "addon.pth", layout=layout)
    host = Host(dropout=dropout).eval()
    keys = host.load_state_dict(torch.load(tmp_path / "addon.pth", weights_only=True), strict=False)
    assert keys.unexpected_keys == []
    assert all(key.startswith("BACKBONE.base.") for key in keys.missing_keys)
    patches = torch.randn(4, 12, 6, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(host(patches), addon(patches), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layout", ["host", "host-dropout", "bare"])
@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_every_layout_is_read_back(tmp_path: Path, layout, ending) -> None:
    addon, path = window_head(6, (2, 3), seed=3).body, tmp_path / f"addon.{ending}"
    write_addon(addon, path, layout=layout)
    state = mv.load_addon(path).state_dict()
    assert all(torch.equal(value, state[key]) for key, value in addon.state_dict().items())


def test_another_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="onnx"):
        write_addon(window_head(6, (2,)).body, tmp_path / "a.pth", layout="onnx")
