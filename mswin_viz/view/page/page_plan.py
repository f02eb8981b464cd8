"""What a view saves: which of its parts still work without a kernel, and the answers to what they can ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ipywidgets as widgets

from mswin_viz.view.widgets.board import HeatmapBoard
from mswin_viz.view.widgets.markup import Html

NO_ANSWER = "This page holds no answer for this choice: it was saved with fewer images or settings; a live view has it."
Traits = Mapping[str, Any]
Changes = Mapping[widgets.Widget, Traits]
"""Widget -> traits that get other values."""


@dataclass(frozen=True, eq=False)
class PageAnswer:
    """What the kernel would show for some values of the controls, or why it could not."""

    chosen: tuple[Any, ...]  # values of the table's axes, in order
    changes: Changes
    has_failed: bool = False


@dataclass(frozen=True, eq=False)
class PageTable:
    """Answers by the values of some controls.

    ``axes`` are controls and traits; of a menu, the trait ``value``. ``n_answers`` says how many there are,
    ``n_first`` how many the first image has, and ``words`` what they are of; without, they cost nothing to speak of.
    """

    axes: Sequence[tuple[widgets.Widget, str]]
    answers: Iterator[PageAnswer]
    n_answers: int = 0
    n_first: int = 0
    words: str = ""


@dataclass(frozen=True, eq=False)
class PagePins:
    """Where the numbers of a pinned window are shown: ``axis`` of the first table chooses among ``labels``."""

    html: Html
    scale: widgets.Widget
    axis: int
    labels: Mapping[str, str]
    thousandths: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class PagePart:
    """What stands in a page where a widget does not work in one: a script and style sheet of ours, by name, and its traits."""

    script: str
    style: str
    traits: Traits


@dataclass(frozen=True, eq=False)
class PagePlan:
    """A view as it is saved.

    Attributes
    ----------
    title, about
        What the page is called, and what it says at its foot: what still works, and what is fixed.
    root
        The view.
    live
        The controls that still work; the others are left out.
    hidden
        Parts that are left out with everything in them.
    replaced
        Widgets in whose place something else stands; nothing of what is in them is in the page.
    changed
        Traits that differ in the page: menus with fewer choices, a strip with fewer images.
    tables
        The answers; those of the first are on the board.
    board, message
        Of the view, if it has them: the board is marked, and the message set, where there is no answer.
    reset
        What the reset button sets.
    fallback, no_answer
        What is set, and said, where there is no answer to what is chosen.
    words
        What becomes of the words of the view: without folders of this machine.
    made_at
        Values of the controls that the board watches which the answers were made at, and which the board itself follows:
        the scale, where every scale is in the answers.
    """

    title: str
    about: Sequence[str]
    root: widgets.Widget
    live: Sequence[widgets.Widget]
    changed: Changes
    tables: Sequence[PageTable]
    hidden: Sequence[widgets.Widget] = ()
    replaced: Mapping[widgets.Widget, PagePart] = field(default_factory=dict)
    board: HeatmapBoard | None = None
    message: Html | None = None
    pins: PagePins | None = None
    reset: Changes | None = None
    fallback: Changes | None = None
    no_answer: str = NO_ANSWER
    words: Callable[[str], str] = str
    made_at: Traits | None = None


def menu_choice(menu: Any, values: Sequence[Any], chosen: Any) -> dict[str, Any]:
    """Traits of a menu or row of buttons with fewer choices."""
    labels = dict(zip(_values(menu), menu._options_labels, strict=True))
    return {"_options_labels": [labels[value] for value in values], "index": list(values).index(chosen)}


def menu_values(menu: Any, changed: Traits) -> list[Any]:
    """The values of a menu at the positions that the page has."""
    if "_options_labels" not in changed:
        return _values(menu)  # labels may occur twice
    by_label = dict(zip(menu._options_labels, _values(menu), strict=True))
    return [by_label[label] for label in changed["_options_labels"]]


def _values(menu: Any) -> list[Any]:
    return [option[1] if isinstance(option, tuple) else option for option in menu.options]
