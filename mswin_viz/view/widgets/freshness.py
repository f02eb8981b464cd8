"""What is out of date: a view shows the answer to one request, and another one has been made since.

Requests are numbered as they come, so nothing depends on positions in a list that may have been filled anew. A request
holds what is asked for (files, words, settings), and one that asks for what is on screen brings that number back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, eq=False)
class Asked:
    """A request and its serial number."""

    serial: int
    request: Any


@dataclass(eq=False)
class Freshness:
    """Of one view; ``mark(is_old)`` is called whenever what is shown becomes out of date, or current again."""

    mark: Callable[[bool], None]
    _asked: Asked = field(default=Asked(0, None), repr=False)
    _shown: Asked | None = field(default=None, repr=False)
    _last: int = 0
    _is_marked: bool = False
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def is_old(self) -> bool:
        """Whether something is shown, and something else was asked for last."""
        return self._shown is not None and self._shown.serial != self._asked.serial

    @property
    def shown(self) -> Any:
        """The request that is answered on screen; None for none."""
        return None if self._shown is None else self._shown.request

    def ask(self, request: Any) -> Asked:
        """Something is asked for; what is shown is marked until its answer is there."""
        with self._lock:
            asked = self._number(request)
            self._follow()
        return asked

    def answer(self, asked: Asked) -> None:
        """The answer to this request is on screen now."""
        with self._lock:
            self._shown = asked
            self._follow()

    def fail(self, asked: Asked) -> None:
        """This request cannot be answered; what is shown is marked, even if it was the answer to the same one."""
        with self._lock:
            if asked is self._asked:
                self._last += 1
                self._asked = Asked(self._last, asked.request)
            self._follow()

    @contextmanager
    def answering(self, request: Any) -> Iterator[None]:
        """The answer is shown inside, at once; where that fails, what was shown before is marked."""
        with self._lock:
            asked = self._number(request)
        try:
            yield
        except BaseException:
            self.fail(asked)
            raise
        self.answer(asked)

    def clear(self) -> None:
        """Nothing is shown any longer."""
        with self._lock:
            self._shown = None
            self._follow()

    def _number(self, request: Any) -> Asked:
        for known in (self._asked, self._shown):
            if known is not None and known.serial and known.request == request:
                self._asked = known
                return known
        self._last += 1
        self._asked = Asked(self._last, request)
        return self._asked

    def _follow(self) -> None:
        if self.is_old != self._is_marked:
            self._is_marked = self.is_old
            self.mark(self._is_marked)
