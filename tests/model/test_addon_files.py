"""A trained add-on goes back into the host model's code."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import mswin_viz as mv
from mswin_viz.errors import OptionError
from mswin_viz.model.addon.mixture import MixtureOfExpertsAddon
from mswin_viz.model.addon.projected_windows import CLIPWithProjectionMultiScale
from mswin_viz.model.training.heads import window_head
from mswin_viz.model.weights.addon_files import save_addon


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
    save_addon(addon, tmp_path / "addon.pth", layout=layout)
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
    save_addon(addon, path, layout=layout)
    state = mv.load_addon(path).state_dict()
    assert all(torch.equal(value, state[key]) for key, value in addon.state_dict().items())


def test_another_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="onnx"):
        save_addon(window_head(6, (2,)).body, tmp_path / "a.pth", layout="onnx")


PATCHES = torch.randn(2, 12, 6, generator=torch.Generator().manual_seed(3))
KINDS = {
    "windows": lambda: window_head(6, (2, 3), seed=3).body.eval(),
    "scheme 2": lambda: CLIPWithProjectionMultiScale(6, 8, (2, 3)).eval(),
    "mixture": lambda: MixtureOfExpertsAddon(6, (2, 3), hidden_dim=5).eval(),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("before", ["head.", "net.multi_scale.", "clip_multi_scale_extractor.", "a.b.c."])
@pytest.mark.filterwarnings("ignore:.*its gate's temperature. 1 is assumed:UserWarning")
def test_an_addon_is_found_below_the_name_of_a_module_around_it(tmp_path: Path, kind, before) -> None:
    addon = KINDS[kind]()
    torch.save({before + key: value for key, value in addon.state_dict().items()}, tmp_path / "addon.pth")
    assert torch.equal(mv.load_addon(tmp_path / "addon.pth")(PATCHES), addon(PATCHES))


@pytest.mark.parametrize("ending", [".safetensors", ".SAFETENSORS", ".pth", ".tar", ""])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_saved_is_loaded_whatever_the_ending(tmp_path: Path, kind, ending) -> None:
    addon = KINDS[kind]()
    mv.save_addon(addon, tmp_path / f"addon{ending}")
    assert torch.equal(mv.load_addon(tmp_path / f"addon{ending}")(PATCHES), addon(PATCHES))


@pytest.mark.parametrize("kind", ["scheme 2", "mixture"])
def test_the_hosts_keys_of_windows_are_refused_to_other_addons(tmp_path: Path, kind) -> None:
    with pytest.raises(
        OptionError, match=r'windows of scheme 1 have keys in the host: got a \w+; layout="bare" writes any'
    ):
        save_addon(KINDS[kind](), tmp_path / "addon.pth", layout="host")


@pytest.mark.parametrize("module", [None, torch.nn.Linear, "addon.pth"])
def test_what_is_no_addon_is_not_saved_as_one(tmp_path: Path, module) -> None:
    with pytest.raises(
        OptionError, match=r"an add-on is a module, such as model\.addon: got a (NoneType|type|str)"
    ):
        mv.save_addon(module, tmp_path / "addon.pth")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("temperature", ["1", True, float("nan"), 0])
def test_a_temperature_of_no_use_is_refused(tmp_path: Path, temperature) -> None:
    mv.save_addon(KINDS["mixture"](), tmp_path / "addon.pth")
    with pytest.raises(OptionError, match="a temperature above 0"):
        mv.load_addon(tmp_path / "addon.pth", temperature=temperature)
