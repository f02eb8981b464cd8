"""The end of a view: ipywidgets keeps every widget that was ever made until it is closed, one by one."""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import ipywidgets as widgets

from mswin_viz.errors import ClosedError

_LOG = logging.getLogger(__name__)
_MAKING = threading.RLock()
_CLOSING = threading.RLock()  # ipywidgets' own close() fails where two threads close one widget
_PATIENCE = 30.0  # seconds that a thread gets to come to its next look
_AT_WORK = weakref.WeakKeyDictionary[threading.Thread, weakref.ref[widgets.Widget]]()


def is_closed(view: widgets.Widget) -> bool:
    """Whether a view has been closed."""
    return view.comm is None


def check_open(view: widgets.Widget) -> None:
    """Refuse the use of a closed view with a ``ClosedError``."""
    if is_closed(view):
        name = type(view).__name__
        raise ClosedError(f"a {name} can be used until close(): this one was closed; make a new {name}")


def close_view(view: widgets.Widget) -> None:
    """Close a view with everything it is made of: parts, their layouts and styles, and the links between them.

    A part with a method ``release`` is asked to end its threads and empty its caches first; what a thread made before
    it ended is closed with the rest. A part that fails to release does not keep the others from it.
    """
    if is_closed(view):
        return
    _release(view)
    with _CLOSING:
        for part in parts_of(view):
            widgets.Widget.close(part)


class ClosedWhole(widgets.Widget):
    """A widget that closes with everything it is made of."""

    def close(self) -> None:
        """End its work, release what it keeps, and close it with its parts and layouts; it cannot be shown again."""
        close_view(self)


def ended_at_exit(thread: threading.Thread, view: widgets.Widget) -> None:
    """Let the view end its thread if the program ends first: otherwise Python may abort the whole process."""
    _AT_WORK[thread] = weakref.ref(view)


@contextmanager
def made_whole() -> Iterator[None]:
    """Where something fails inside, close every widget that this thread has made inside.

    The decorator of a constructor: ipywidgets would keep the parts of a view whose constructor raises.
    """
    made: list[widgets.Widget] = []
    maker = threading.get_ident()
    with _MAKING:
        before = widgets.Widget._widget_construction_callback

        def note(widget: widgets.Widget) -> None:
            if threading.get_ident() == maker:
                made.append(widget)
            if before is not None:
                before(widget)

        widgets.Widget.on_widget_constructed(note)
        try:
            yield
        except BaseException:
            for widget in reversed(made):
                with suppress(Exception):  # it may be half made, and what failed is on its way
                    getattr(widget, "release", lambda: None)()
                widgets.Widget.close(widget)
            raise
        finally:
            widgets.Widget.on_widget_constructed(before)


def parts_of(view: widgets.Widget) -> list[widgets.Widget]:
    """A view and every widget that it holds, each once; links in the browser are found where a part has ``links``."""
    parts, waiting = {id(view): view}, [view]
    while waiting:
        owner = waiting.pop()
        values = (getattr(owner, name) for name in owner.trait_names() if owner.trait_has_value(name))
        for part in _widgets_in((*values, getattr(owner, "links", ()))):
            if id(part) not in parts:
                parts[id(part)] = part
                waiting.append(part)
    return list(parts.values())


def joined(threads: Iterable[threading.Thread | None]) -> None:
    """Wait for threads that were told to stop; one that calls this itself is not waited for."""
    for thread in threads:
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            thread.join(_PATIENCE)


def _release(view: widgets.Widget) -> None:
    """Ask every part of a view to end its threads and empty its caches, those too that are made meanwhile."""
    released: set[int] = set()
    while waiting := [part for part in parts_of(view) if id(part) not in released]:
        for part in waiting:
            released.add(id(part))
            try:
                getattr(part, "release", lambda: None)()
            except Exception:
                _LOG.exception("a %s could not release what it holds", type(part).__name__)


@atexit.register
def _end_all_work() -> None:
    for view in {view() for thread, view in list(_AT_WORK.items()) if thread.is_alive()}:
        if view is not None:
            _release(view)


def _widgets_in(values: Iterable[Any]) -> Iterator[widgets.Widget]:
    for value in values:
        if isinstance(value, widgets.Widget):
            yield value
        elif isinstance(value, Mapping):
            yield from _widgets_in(value.values())
        elif isinstance(value, list | tuple):
            yield from _widgets_in(value)
