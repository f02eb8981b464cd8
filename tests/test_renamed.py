"""What the documents of the last release showed still works, and says what to use."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch

import mswin_viz as mv
from mswin_viz import renamed

MOVED = [(module, old, new) for module, names in renamed.MOVED.items() for old, new in names.items()]


@pytest.mark.parametrize(("module", "old", "new"), MOVED)
def test_a_moved_name_is_the_public_one_and_warns(module: str, old: str, new: str) -> None:
    with pytest.warns(DeprecationWarning, match=rf"mswin_viz\.{module}\.{old} .* use mswin_viz\.{new}$"):
        value = getattr(importlib.import_module(f"mswin_viz.{module}"), old)
    assert getattr(value, "func", value) is getattr(mv, new)


def test_from_imports_work_and_name_the_line_that_imports() -> None:
    with pytest.warns(DeprecationWarning, match="use mswin_viz.shuffle_windows") as warned:
        from mswin_viz.analysis.shuffling import shuffled
    assert shuffled is mv.shuffle_windows
    assert warned[0].filename == __file__


def test_write_addon_still_writes_the_host_models_keys(tmp_path: Path) -> None:
    with pytest.warns(DeprecationWarning, match="use mswin_viz.save_addon"):
        from mswin_viz.model.addon_files import write_addon
    write_addon(mv.CLIPMultiScaleFeatureExtractor(6, (2, 4)), tmp_path / "addon.pth")
    keys = torch.load(tmp_path / "addon.pth", weights_only=True)
    assert all("multi_scale" in key for key in keys)


def test_a_name_that_was_never_there_is_refused() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        importlib.import_module("mswin_viz.data.crowds").nothing  # noqa: B018
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("mswin_viz.data.nothing")


def test_a_renamed_public_name_is_the_new_one_and_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(renamed.RENAMED, "sample_list", "samples")
    with pytest.warns(DeprecationWarning, match=r"mswin_viz\.sample_list .* use mswin_viz\.samples"):
        assert mv.sample_list is mv.samples
