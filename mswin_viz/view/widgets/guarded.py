"""Errors in threads and callbacks: the message goes to the view, the traceback to the log.

ipywidgets and threading drop an exception that reaches them: the browser would show the old picture, or "done". So
every callback and every thread of a view runs under its :class:`Guard`.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import ipywidgets as widgets

from mswin_viz.data.shown_text import short_text
from mswin_viz.errors import ClosedError, MswinVizError
from mswin_viz.view.widgets.lifetime import ended_at_exit, is_closed
from mswin_viz.view.widgets.markup import fragment, tag

OUT_OF_DATE = "Anything shown below is out of date: it does not match the controls."
"""Shown where an older picture stays on screen because the new one failed."""
OLD = "mswin-out-of-date"
"""The class of such a picture."""
_WAS_SHOWN = "_mswin_was_shown"
_LOG = logging.getLogger(__name__)
_MOST = 600  # characters of a foreign error's text
_SMALL = {"font-size": "11px", "opacity": ".7"}
_NO_MEMORY = re.compile(
    r"out of memory|can(?:'t|not) allocate memory|not enough memory|alloc_failed|unable to allocate",
    re.IGNORECASE,
)
_ADVICE = (
    "The memory is full: close other views, notebooks and programs, choose fewer images, methods or steps, or load the "
    'model on another device (load_model(device="cpu")); then try again.'
)


@dataclass(frozen=True, eq=False)
class Guard:
    """Runs the callbacks and threads of one view, and shows what goes wrong in them.

    A guard is called with the name of what it guards and gives what works both as a context and as a decorator::

        button.on_click(guarded("saving")(lambda _button: self._on_save()))

    A failure stays on screen until the same thing succeeds, or :meth:`forget`. The type and text of any error are shown,
    the traceback goes to the log, once, and the view goes on. Only what ends a program (KeyboardInterrupt, SystemExit)
    and a ``ClosedError`` of a closed view, which has nowhere to show it, are raised again.
    """

    view: widgets.Widget
    show: Callable[
        [Sequence[str]], None
    ]  # called with every failure that holds, in words; with none after the last one
    _problems: dict[str, str] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def __call__(self, what: str, *, failed: Callable[[], None] | None = None) -> Iterator[None]:
        """Guard something; ``failed`` is called once its failure is shown, to mark what is out of date."""
        before = self.problems.get(what)
        try:
            yield
        except BaseException as problem:
            if isinstance(problem, ClosedError) and is_closed(self.view):
                raise
            if getattr(problem, _WAS_SHOWN, False):
                raise  # on its way up through the guards around
            _log(what, problem)
            with self._faults_of_showing_logged(what):
                self._show(what, problem_words(problem))
            if failed is not None:
                with self._faults_of_showing_logged(what):
                    failed()
            if not isinstance(problem, Exception):
                setattr(problem, _WAS_SHOWN, True)
                raise
        else:
            if before is not None and self.problems.get(what) is before:
                with self._faults_of_showing_logged(what):
                    self._show(what, None)

    @property
    def problems(self) -> dict[str, str]:
        """What failed -> why, of every failure that holds."""
        with self._lock:
            return dict(self._problems)

    def forget(self) -> None:
        """No failure holds any longer; the caller shows what comes instead."""
        with self._lock:
            self._problems.clear()

    def thread(self, what: str, work: Callable[..., None], *args: object) -> threading.Thread:
        """A guarded thread, not started yet; where the program ends first, the view is asked to end it."""

        def run() -> None:
            with suppress(BaseException), self(what):  # it is shown, and a thread has no caller
                work(*args)

        thread = threading.Thread(target=run, name=f"mswin-viz {what}", daemon=True)
        ended_at_exit(thread, self.view)
        return thread

    def _show(self, what: str, words: str | None) -> None:
        with self._lock:
            self._problems.pop(what, None)
            if words is not None:
                self._problems[what] = words
        self.show(list(self.problems.values()))

    @contextmanager
    def _faults_of_showing_logged(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception:
            _LOG.exception("what went wrong in %s of a %s could not be shown", what, type(self.view).__name__)


def problem_words(problem: BaseException) -> str:
    """An exception as one line: type and text (text first for our own errors), and what to do if memory is full."""
    name = type(problem).__name__
    try:
        text = str(problem).strip()
    except Exception:
        text = "(its text cannot be shown)"
    if not isinstance(problem, MswinVizError):
        text = short_text(re.sub(r"\s*\n\s*", " ", text), _MOST)
    advice = f" {_ADVICE}" if _is_of_memory(problem, text) else ""
    if text and isinstance(problem, MswinVizError):
        return fragment(text, advice, " ", tag("span", name, style=_SMALL))
    return (f"{name}: {text}" if text else f"{name} (without any text)") + advice


def show_as_out_of_date(part: widgets.DOMWidget, is_old: bool) -> None:
    """Mark a picture that does not answer what was asked last, or take the mark away."""
    (part.add_class if is_old else part.remove_class)(OLD)


def _is_of_memory(problem: BaseException, text: str) -> bool:
    """Also torch's, known by its name since what draws does not import torch; and CUDA's libraries', by their text."""
    names = [kind.__name__ for kind in type(problem).__mro__]
    if isinstance(problem, MemoryError) or any("OutOfMemory" in name for name in names):
        return True
    return isinstance(problem, RuntimeError | OSError) and _NO_MEMORY.search(text) is not None


def _log(what: str, problem: BaseException) -> None:
    """The traceback: at level INFO for an error that this package raises on purpose, and an interrupt, else ERROR."""
    level = logging.INFO if isinstance(problem, MswinVizError | KeyboardInterrupt) else logging.ERROR
    _LOG.log(level, "%s failed: %s", what, type(problem).__name__, exc_info=problem)
