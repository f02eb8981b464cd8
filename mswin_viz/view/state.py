"""The explorer's view as plain JSON, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mswin_viz.data.names import content_digest, found_sample, relative_names
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import shown_text
from mswin_viz.errors import MswinVizError, OptionError
from mswin_viz.view.controls import Controls
from mswin_viz.view.heatmap import HeatmapBoard

__all__ = ["VERSION", "apply_state", "parsed", "state_of"]

VERSION = 2
"""Of the states written here. Those of version 1, which name a sample by its file name alone, are read, too."""
_READ = (1, VERSION)
_ROLES = {"sample": "selected", "second": "second"}
_BOARD = ("hidden", "pinned")


def state_of(
    controls: Controls, board: HeatmapBoard, samples: Sequence[Sample], provenance: str
) -> dict[str, Any]:
    """Everything that rebuilds this view from the same samples and weights; JSON takes it as it is.

    A sample is named by its path relative to the folder of all samples, with a digest of its file's content.
    """
    strip, names = controls.strip, relative_names(samples)
    chosen = {role: getattr(strip, trait) for role, trait in _ROLES.items()}
    every = {**controls.of_the_view, **controls.of_the_display}
    return {
        "version": VERSION,
        "weights": shown_text(provenance),
        **{role: names[at] for role, at in chosen.items()},
        "digests": {role: content_digest(samples[at]) for role, at in chosen.items()},
        "modality": strip.modality,
        "controls": {name: control.value for name, control in every.items()},
        **{name: getattr(board, name) for name in _BOARD},
    }


def parsed(state: str | Mapping[str, Any]) -> dict[str, Any]:
    """A state from its JSON, or as it is.

    Raises
    ------
    OptionError
        If it cannot be read as one, or is of a version that is not known.
    """
    try:
        found = dict(json.loads(state) if isinstance(state, str) else state)
    except (ValueError, TypeError) as problem:
        raise OptionError(
            f"a state is the JSON of 'copy state': got {str(state)[:60]!r}, which cannot be read ({problem})"
        ) from problem
    if found.get("version") not in _READ or not isinstance(found.get("controls"), dict):
        raise OptionError(
            f"a state has version {' or '.join(map(str, _READ))} and controls: got version {found.get('version')!r} "
            "with "
            f"{', '.join(found)}; copy it again from an explorer of this package's version"
        )
    return found


def apply_state(
    state: Mapping[str, Any], controls: Controls, board: HeatmapBoard, samples: Sequence[Sample]
) -> list[str]:
    """Set every control as the state has it; notes for the user.

    Raises
    ------
    DataError
        If the samples do not hold one of its images, or several of them may be it.
    OptionError
        If it names a control that is not here, or a value that a control does not take.
    """
    strip = controls.strip
    digests = state.get("digests")
    digests = digests if isinstance(digests, Mapping) else {}
    found = {role: found_sample(samples, state.get(role), digests.get(role)) for role in _ROLES}
    every = {**controls.of_the_view, **controls.of_the_display}
    unknown = sorted(set(state["controls"]) - set(every))
    if unknown:
        raise OptionError(
            f"a state for this model has the controls {', '.join(every)}: got also {', '.join(unknown)}; load the "
            "model it was copied from"
        )
    _set(strip, "modality", state.get("modality"))
    for role, trait in _ROLES.items():
        setattr(strip, trait, found[role].position)
    for name, value in state["controls"].items():
        _set(every[name], "value", value, name)
    for name in _BOARD:
        _set(board, name, state.get(name) if name == "pinned" else state.get(name) or [])
    return list(dict.fromkeys(some.note for some in found.values() if some.note))


def _set(widget: Any, trait: str, value: Any, name: str = "") -> None:
    try:
        setattr(widget, trait, value)
    except MswinVizError:
        raise
    except Exception as problem:  # traitlets' and ipywidgets' own, of several kinds
        raise OptionError(f"{name or trait} cannot be {value!r}: {problem}") from problem
