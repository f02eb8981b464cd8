"""Progress of long work, and a way to stop it: callbacks that a view may connect to a bar and a button."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Report", "Stop", "Watch"]

Report = Callable[[int, int], None]
"""Called with the steps done and the steps in all."""
Stop = Callable[[], bool]
"""Asked every few steps; True ends the work."""


@dataclass(frozen=True, eq=False)
class Watch:
    """Counts the steps of several runs as one piece of work.

    Attributes
    ----------
    total
        Steps of all runs.
    report, stop
        What is called, if anything.
    """

    total: int
    report: Report | None = None
    stop: Stop | None = None
    _done: list[int] = field(default_factory=list, repr=False)
    _stopped: list[bool] = field(default_factory=list, repr=False)

    @property
    def done(self) -> int:
        """Steps so far."""
        return sum(self._done)

    @property
    def stopped(self) -> bool:
        """Whether a stop was asked for while there was work left; once stopped, stopped."""
        return bool(self._stopped)

    def stopping(self) -> bool:
        """Ask whether to stop; what is done cannot be stopped any more."""
        if not self._stopped and self.stop is not None and self.done < self.total and self.stop():
            self._stopped.append(True)
        return self.stopped

    def passed(self, steps: int) -> bool:
        """Count steps, report them, and ask whether to stop."""
        self._done.append(steps)
        if self.report is not None:
            self.report(self.done, self.total)
        return self.stopping()
