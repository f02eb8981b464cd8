"""The explorer's view as plain JSON, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mswin_viz.data.layouts import Sample
from mswin_viz.errors import DataError, MswinVizError, OptionError
from mswin_viz.view.controls import Controls
from mswin_viz.view.heatmap import HeatmapBoard

__all__ = ["VERSION", "apply_state", "parsed", "state_of"]

VERSION = 1
_BOARD = ("hidden", "pinned")


def state_of(
    controls: Controls, board: HeatmapBoard, samples: Sequence[Sample], provenance: str
) -> dict[str, Any]:
    """Everything that rebuilds this view from the same samples and weights; JSON takes it as it is."""
    strip = controls.strip
    every = {**controls.of_the_view, **controls.of_the_display}
    return {
        "version": VERSION,
        "weights": provenance,
        "sample": samples[strip.selected].name,
        "second": samples[strip.second].name,
        "modality": strip.modality,
        "controls": {name: control.value for name, control in every.items()},
        **{name: getattr(board, name) for name in _BOARD},
    }


def parsed(state: str | Mapping[str, Any]) -> dict[str, Any]:
    """A state from its JSON, or as it is.

    Raises
    ------
    OptionError
        If it is none.
    """
    try:
        found = dict(json.loads(state) if isinstance(state, str) else state)
    except (ValueError, TypeError) as problem:
        raise OptionError(
            f"a state is the JSON of 'copy state': got {str(state)[:60]!r}, which cannot be read ({problem})"
        ) from problem
    if found.get("version") != VERSION or not isinstance(found.get("controls"), dict):
        raise OptionError(
            f"a state has version {VERSION} and controls: got version {found.get('version')!r} with "
            f"{', '.join(found)}; copy it again from an explorer of this package's version"
        )
    return found


def apply_state(
    state: Mapping[str, Any], controls: Controls, board: HeatmapBoard, samples: Sequence[Sample]
) -> None:
    """Set every control as the state has it.

    Raises
    ------
    DataError
        If the samples do not hold one of its images.
    OptionError
        If it names a control that is not here, or a value that a control does not take.
    """
    strip = controls.strip
    first, second = (_position(samples, state.get(role)) for role in ("sample", "second"))
    every = {**controls.of_the_view, **controls.of_the_display}
    unknown = sorted(set(state["controls"]) - set(every))
    if unknown:
        raise OptionError(
            f"a state for this model has the controls {', '.join(every)}: got also {', '.join(unknown)}; load the "
            "model it was copied from"
        )
    _set(strip, "modality", state.get("modality"))
    strip.selected, strip.second = first, second
    for name, value in state["controls"].items():
        _set(every[name], "value", value, name)
    for name in _BOARD:
        _set(board, name, state.get(name) if name == "pinned" else state.get(name) or [])


def _set(widget: Any, trait: str, value: Any, name: str = "") -> None:
    try:
        setattr(widget, trait, value)
    except MswinVizError:
        raise
    except Exception as problem:  # traitlets' and ipywidgets' own, of several kinds
        raise OptionError(f"{name or trait} cannot be {value!r}: {problem}") from problem


def _position(samples: Sequence[Sample], name: object) -> int:
    for at, sample in enumerate(samples):
        if sample.name == name:
            return at
    raise DataError(
        f"a state is rebuilt from the samples it was made of: found none named {name!r} among {len(samples)}"
    )
