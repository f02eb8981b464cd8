"""Progress of long work, and how it is stopped: callbacks that a view connects to a bar and a button."""

from __future__ import annotations

import contextlib
import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm

_HIDDEN: ContextVar[bool] = ContextVar("hidden_bars", default=False)


@dataclass(frozen=True)
class Progress:
    """How far work has come.

    Attributes
    ----------
    done, total
        Steps so far, and in all.
    words
        What is being done, such as ``"embedding images"``; may be empty.

    Examples
    --------
    >>> seen, options = [], {"modalities": ["RGB"], "batch_size": 1, "progress": False}
    >>> table = mv.embed(model, samples[:2], report=seen.append, **options)
    >>> seen[0].done, seen[0].total, seen[0].fraction
    (1, 2, 0.5)
    >>> seen[-1].words
    'embedding: 2 of 2 images'
    """

    done: int
    total: int
    words: str = ""

    @property
    def fraction(self) -> float:
        """The part that is done, 0..1; 1 where there is nothing to do."""
        return self.done / self.total if self.total else 1.0


Report = Callable[[Progress], None]
"""Called every few steps."""
Stop = Callable[[], bool]
"""Called every few steps; True ends the work."""
_PARTS = 1000  # steps of a whole that is made of portions


def unheard(_progress: Progress) -> None:
    """A report that nobody reads."""


def reporter(report: Callable[..., None] | None) -> Report | None:
    """The callback as it is called today; one that still takes ``(done, total)`` is adapted, with a warning."""
    if report is None:
        return None
    try:
        inspect.signature(report).bind(Progress(0, 1))
    except TypeError:
        warnings.warn(
            "report= is called with one Progress (done, total, words): got a callable of two arguments; "
            "take one argument, such as lambda progress: print(progress.fraction)",
            DeprecationWarning,
            stacklevel=3,
        )
        return lambda progress: report(progress.done, progress.total)
    except ValueError:  # a builtin without a signature
        pass
    return report


def progress_bar(steps: Iterable[Any] | None = None, *, disable: bool = False, **options: Any) -> tqdm:
    """A bar of tqdm, with its options; not shown if it is disabled, or within :func:`hidden_bars`."""
    from tqdm.auto import tqdm

    return tqdm(steps, disable=disable or _HIDDEN.get(), **options)


@contextlib.contextmanager
def hidden_bars() -> Iterator[None]:
    """A context in which no :func:`progress_bar` is shown."""
    token = _HIDDEN.set(True)
    try:
        yield
    finally:
        _HIDDEN.reset(token)


def portion(report: Report, begin: float, end: float) -> Report:
    """The report of a part of the work, which takes the whole from the fraction ``begin`` to ``end``."""

    def scaled(progress: Progress) -> None:
        done = begin + (end - begin) * progress.fraction
        report(Progress(round(_PARTS * done), _PARTS, progress.words))

    return scaled


@dataclass(frozen=True, eq=False)
class StepCounter:
    """Counts the ``total`` steps of several runs as one piece of work; calls ``report`` and ``stop`` on the way."""

    total: int
    report: Report | None = None
    stop: Stop | None = None
    words: str = ""
    _done: list[int] = field(default_factory=list, repr=False)
    _spared: list[int] = field(default_factory=list, repr=False)
    _stopped: list[bool] = field(default_factory=list, repr=False)

    @property
    def done(self) -> int:
        """Steps so far, with those that were not needed."""
        return self.taken + sum(self._spared)

    @property
    def taken(self) -> int:
        """Steps so far without those that were not needed."""
        return sum(self._done)

    @property
    def stopped(self) -> bool:
        """Whether a stop was asked for while there was work left; it cannot be taken back."""
        return bool(self._stopped)

    def stopping(self) -> bool:
        """Ask whether to stop; finished work cannot be stopped any more."""
        if not self._stopped and self.stop is not None and self.done < self.total and self.stop():
            self._stopped.append(True)
        return self.stopped

    def passed(self, steps: int) -> bool:
        """Count steps, report them, and ask whether to stop."""
        self._done.append(steps)
        return self._told()

    def spared(self, steps: int) -> bool:
        """The same for steps that turn out not to be needed."""
        self._spared.append(steps)
        return self._told()

    def _told(self) -> bool:
        if self.report is not None:
            self.report(Progress(self.done, self.total, self.words))
        return self.stopping()
