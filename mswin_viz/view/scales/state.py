"""The explorer's view as plain JSON, and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

from pydantic import Field, WrapValidator

from mswin_viz.analysis.scales.token_panels import CLS_PANEL
from mswin_viz.data.names import content_digest, found_sample, relative_names
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import short_text, shown_text
from mswin_viz.data.storage.stored_records import StoredRecord, checked, json_value, value_words
from mswin_viz.errors import MswinVizError, OptionError
from mswin_viz.view.scales.controls import Controls
from mswin_viz.view.scales.pins import pin_problem
from mswin_viz.view.scales.shown_results import ShownResults
from mswin_viz.view.widgets.board import HeatmapBoard

VERSION = 2
"""Of the states written here. Those of version 1, which name a sample by its file name alone, are read, too."""
_READ = (1, VERSION)
_ROLES = {"sample": "selected", "second": "second"}
_BOARD = ("hidden", "pinned")
MOST_BYTES = 2**20
"""Of the JSON of a state."""
_REMEDY = "copy it again with 'copy state', or create the explorer without one"
_DEVICE = re.compile(r"; device: [^;|]*?(?=;| \||$)")
"""The part of a provenance that says where the model ran, which changes nothing in the view."""
_LABEL = re.compile(r"(?:(?<=^)|(?<=\| ))weights: ")
"""What the weights are called in a provenance."""
_Text = Annotated[str, Field(max_length=10_000)]
_Number = Annotated[int, Field(ge=0, lt=2**31)]


def values_of(controls: Controls, board: HeatmapBoard) -> dict[str, Any]:
    """What a state holds, its images by their positions: taken at every move, where no file is looked at."""
    every = {**controls.of_the_view, **controls.of_the_display}
    return {
        **{role: getattr(controls.strip, trait) for role, trait in _ROLES.items()},
        "modality": controls.strip.modality,
        "controls": {name: control.value for name, control in every.items()},
        "hidden": board.hidden,
        "pinned": board.pinned or None,  # a board without a pin may have an empty one
    }


def named_state(values: Mapping[str, Any], samples: Sequence[Sample], provenance: str) -> dict[str, Any]:
    """A state from :func:`values_of`, ready for JSON.

    A sample is named by its path relative to the folder of all samples, with a digest of its file's content.
    """
    names = relative_names(samples)
    return {
        "version": VERSION,
        "weights": shown_text(provenance),
        **values,
        **{role: names[values[role]] for role in _ROLES},
        "digests": {role: content_digest(samples[values[role]]) for role in _ROLES},
    }


def state_of(
    controls: Controls,
    board: HeatmapBoard,
    samples: Sequence[Sample],
    provenance: str,
    shown: ShownResults | None,
) -> dict[str, Any]:
    """Everything that rebuilds this view from the same samples and weights, ready for JSON.

    A pin that is no longer on what is ``shown`` is left out.
    """
    values = values_of(controls, board)
    if shown and values["pinned"] and pin_problem(shown, values["pinned"]):
        values |= {"pinned": None}
    return named_state(values, samples, provenance)


class _Pinned(StoredRecord):
    """A window that is pinned."""

    key: _Text
    row: _Number
    window: _Number


def _empty_is_none(value: Any, check: Callable[[Any], Any]) -> Any:
    """A board without a pin has an empty one."""
    return value if value == {} and isinstance(value, dict) else check(value)


class _State(StoredRecord):
    """What `state_of` gives; version 1 has no digests."""

    version: Annotated[int, Field(ge=_READ[0], le=VERSION)]
    weights: _Text
    sample: _Text
    second: _Text
    digests: dict[str, _Text | None] = Field(default_factory=dict)
    modality: _Text
    controls: dict[str, Any]
    hidden: Annotated[list[_Text], Field(max_length=1000)] = Field(default_factory=list)
    pinned: Annotated[_Pinned | None, WrapValidator(_empty_is_none)] = None


def parsed(state: str | Mapping[str, Any]) -> dict[str, Any]:
    """A state from its JSON, or as it is; an ``OptionError`` says what is wrong with it."""
    if isinstance(state, str):
        record = json_value(state, what="a state", remedy=_REMEDY, most_bytes=MOST_BYTES)
    else:
        record = dict(state) if isinstance(state, Mapping) else state
    if isinstance(record, dict) and type(record.get("version")) is int and record["version"] not in _READ:
        raise OptionError(
            f"a state has version {' or '.join(map(str, _READ))}: got version {value_words(record['version'])}; "
            "copy it again from an explorer of this package's version"
        )
    return checked(_State, record, what="the state", remedy=_REMEDY).model_dump(warnings=False)


def apply_state(
    state: Mapping[str, Any],
    controls: Controls,
    board: HeatmapBoard,
    samples: Sequence[Sample],
    provenance: str,
    shown: Callable[[], ShownResults | None],
) -> list[str]:
    """Set every control as the state has it, or none if one does not fit; notes for the user.

    ``shown`` gives what the controls ask for once they are set, which pin and hidden panels must be of; None where that
    is not known. Errors say which image the samples do not hold for certain, and which control or value does not fit.
    """
    digests = state["digests"]
    named = {role: found_sample(samples, state[role], digests.get(role)) for role in _ROLES}
    every = {**controls.of_the_view, **controls.of_the_display}
    unknown = sorted(set(state["controls"]) - set(every))
    if unknown:
        names = short_text(", ".join(map(shown_text, unknown)), 200)
        raise OptionError(
            f"a state for this model has the controls {', '.join(every)}: also got {names}; load the model it was copied from"
        )
    with _all_or_none(controls, board):
        _set(controls.strip, "modality", state["modality"])
        for role, trait in _ROLES.items():
            setattr(controls.strip, trait, named[role].position)
        for name, value in state["controls"].items():
            _set(every[name], "value", value, name)
        # once all are set, for what one takes may depend on another
        for name, value in state["controls"].items():
            if not _is_same(every[name].value, value):
                raise _refusal(every[name], name, value)
        for name in _BOARD:
            _set(board, name, state[name])
        _check_panels(state, shown())
    notes = [sample.note for sample in named.values() if sample.note]
    made_with = _DEVICE.sub("", state["weights"])
    if made_with != _DEVICE.sub("", shown_text(provenance)):
        notes.append(f"This state was made with other weights: {_LABEL.sub('', made_with)}")
    return list(dict.fromkeys(notes))


def _check_panels(state: Mapping[str, Any], shown: ShownResults | None) -> None:
    """Refuse a pin or a hidden panel that is not of what the state shows."""
    if shown is None:
        return
    problem = pin_problem(shown, state["pinned"]) if state["pinned"] else ""
    if problem:
        raise OptionError(f"{problem}; {_REMEDY}")
    keys = tuple(dict.fromkeys([*(panel.key for panel in shown.panels), CLS_PANEL]))
    for key in state["hidden"]:
        if key not in keys:
            raise _refused("a hidden panel", f"one of {', '.join(keys)}", key)


@contextmanager
def _all_or_none(controls: Controls, board: HeatmapBoard) -> Iterator[None]:
    """Where setting one thing fails, all of them get back what they had."""
    before, strip = values_of(controls, board), controls.strip
    try:
        yield
    except BaseException:
        strip.modality = before["modality"]
        for role, trait in _ROLES.items():
            setattr(strip, trait, before[role])
        for name, value in before["controls"].items():
            getattr(controls, name).value = value
        for name in _BOARD:
            board.set_trait(name, before[name])
        raise


def _refused(name: str, takes: str, value: Any) -> OptionError:
    """A value that does not fit, and what would."""
    return OptionError(f"{name} of a state must be {takes}: got {value_words(value)}; {_REMEDY}")


def _set(widget: Any, trait: str, value: Any, name: str = "") -> None:
    try:
        setattr(widget, trait, value)
    except MswinVizError:
        raise
    except Exception as problem:  # traitlets' and ipywidgets' own, of several kinds
        raise _refusal(widget, name or trait, value) from problem


def _is_same(taken: Any, value: Any) -> bool:
    """Whether a control took a value as it is, neither rounded, clipped nor converted."""
    is_number = isinstance(taken, float) and type(value) is int
    return value is not None and taken == value and (type(taken) is type(value) or is_number)


def _refusal(widget: Any, name: str, value: Any) -> OptionError:
    """A value that a control does not take, and what it takes."""
    if name == "modality":
        takes = f"one of {', '.join(map(repr, widget.modalities))}"
    elif hasattr(widget, "options"):
        takes = f"one of {', '.join(repr(each[1]) if isinstance(each, tuple) else repr(each) for each in widget.options)}"
    elif hasattr(widget, "max"):
        takes = f"a {'whole ' * isinstance(widget.value, int)}number from {widget.min} to {widget.max}"
    else:
        takes = "True or False" if isinstance(widget.value, bool) else "text"
    return _refused(name, takes, value)
