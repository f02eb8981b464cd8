"""Names of the last release that were renamed or moved: they still work for one release, and warn."""

from __future__ import annotations

import functools
import importlib
import importlib.abc
import importlib.machinery
import sys
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any

RENAMED: dict[str, str] = {}
"""Old public name -> the public name of today."""
_FIGURES = (
    "change_figure",
    "measures_figure",
    "nulls_figure",
    "silhouette_figure",
    "similarity_figure",
    "maps_figure",
)
MOVED: dict[str, dict[str, str]] = {
    "analysis.ablation": {"ablations": "remove_each_window"},
    "analysis.ablation_run": {"People": "People", "ablate_people": "ablate_people"},
    "analysis.ablation_table": {"AblationPlan": "AblationPlan"},
    "analysis.ablation_words": {"one_table": "ablation_table", "sentences": "ablation_sentences"},
    "analysis.controls_report": {"compact": "ablation_brief", "embedded_controls": "embedded_ablation"},
    "analysis.fusion": {"fusion_weights": "fusion_weights"},
    "analysis.method_ranking": {"rank_methods": "rank_methods"},
    "analysis.randomisation": {"randomisation_check": "randomisation_check"},
    "analysis.share_gap": {"exact_shares": "exact_shares", "share_gap": "share_gap"},
    "analysis.shuffling": {"shuffled": "shuffle_windows"},
    "analysis.windows": {"describe": "describe_windows", "tiles": "tiles"},
    "data.crowds": {"Crowd": "Crowd"},
    "data.sample_files": {"write_samples": "write_samples"},
    "model.addon_files": {"write_addon": "save_addon"},
    "model.checkpoints": {"read_state_dict": "read_state_dict"},
    "model.worlds": {"modality_classes": "modality_classes", "world_tokens": "labelled_tokens"},
    "view.attribution_figures": {
        "curves_figure": "curves_figure",
        "gap_figure": "gap_figure",
        "maps_figure": "attributions_figure",
        "randomisation_figure": "randomisation_figure",
    },
    "view.embedding_figures": dict(zip(_FIGURES, _FIGURES, strict=True)),
    "view.figures": {"figure_bytes": "figure_bytes"},
}
"""Module that the documents showed, below the package -> its names that they showed -> the public names of today."""
_HELD: dict[str, dict[str, Any]] = {"write_addon": {"layout": "host"}}
"""Old function -> arguments by which the new one does what it did."""


def public_name(name: str) -> str:
    """The name of today for a public name; a renamed one gives a warning."""
    if name not in RENAMED:
        return name
    _warn(f"mswin_viz.{name}", RENAMED[name], stacklevel=4)
    return RENAMED[name]


def moved(module: str) -> Callable[[str], Any]:
    """The ``__getattr__`` of a module whose names are public names now."""

    names = MOVED[module.removeprefix("mswin_viz.")]

    def attribute(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        _warn(f"{module}.{name}", names[name], stacklevel=3)
        value = getattr(importlib.import_module("mswin_viz"), names[name])
        return functools.partial(value, **_HELD[name]) if name in _HELD else value

    return attribute


def install() -> None:
    """Let the modules of :data:`MOVED` be imported that are gone."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Comes last: it is asked for modules that do not exist."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        return (
            importlib.machinery.ModuleSpec(fullname, self)
            if fullname.removeprefix("mswin_viz.") in MOVED
            else None
        )

    def exec_module(self, module: types.ModuleType) -> None:
        module.__dict__["__getattr__"] = moved(module.__name__)


def _warn(old: str, public: str, *, stacklevel: int) -> None:
    warnings.warn(
        f"{old} will be gone in the next release: use mswin_viz.{public}",
        DeprecationWarning,
        stacklevel=stacklevel,
    )
