"""The end of a view: ipywidgets keeps every widget that was ever made until it is closed, one by one."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import ipywidgets as widgets

from mswin_viz.errors import ClosedError

__all__ = ["check_open", "close_view", "is_closed", "joined", "parts_of"]

_PATIENCE = 30.0  # seconds that a thread gets to come to its next look


def is_closed(view: widgets.Widget) -> bool:
    """Whether a view has been closed."""
    return view.comm is None


def check_open(view: widgets.Widget) -> None:
    """Refuse the use of a closed view.

    Raises
    ------
    ClosedError
        If it was closed.
    """
    if is_closed(view):
        name = type(view).__name__
        raise ClosedError(f"a {name} can be used until close(): this one was closed; make a new {name}")


def close_view(view: widgets.Widget) -> None:
    """Close a view with everything it is made of: parts, their layouts and styles, and the links between them.

    A part with a method ``release`` is asked to end its threads and empty its caches first. Of a view that is closed
    already, nothing is left to do.
    """
    if is_closed(view):
        return
    parts = parts_of(view)
    for part in parts:
        release = getattr(part, "release", None)
        if release is not None:
            release()
    for part in parts:
        widgets.Widget.close(part)


def parts_of(view: widgets.Widget) -> list[widgets.Widget]:
    """A view and every widget that it holds, each once; links in the browser are found where a part has ``links``."""
    found, waiting = {id(view): view}, [view]
    while waiting:
        owner = waiting.pop()
        values = (getattr(owner, name) for name in owner.trait_names() if owner.trait_has_value(name))
        for part in _widgets_in((*values, getattr(owner, "links", ()))):
            if id(part) not in found:
                found[id(part)] = part
                waiting.append(part)
    return list(found.values())


def joined(threads: Iterable[threading.Thread | None]) -> None:
    """Wait for threads that were told to stop; one that calls this itself is not waited for."""
    for thread in threads:
        if thread is not None and thread is not threading.current_thread():
            thread.join(_PATIENCE)


def _widgets_in(values: Iterable[Any]) -> Iterator[widgets.Widget]:
    for value in values:
        if isinstance(value, widgets.Widget):
            yield value
        elif isinstance(value, Mapping):
            yield from _widgets_in(value.values())
        elif isinstance(value, list | tuple):
            yield from _widgets_in(value)
