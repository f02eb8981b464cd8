"""Work in several processes, which all end when this one ends, however it ends."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import parent_process
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any, Self, TypeVar

from mswin_viz.data.storage.shared_blocks import SharedBlocks
from mswin_viz.errors import WorkerError

_AHEAD = 3  # results a process may be ahead of their use, or all of them would lie in memory

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class WorkerProcesses:
    """Processes, started afresh ("spawn"), that wait for work until they are closed; or this process, with 0 workers.

    ``blocks`` has one of ``block_bytes`` for every job whose result is on its way, for arrays in it.
    """

    def __init__(self, workers: int, *, block_bytes: int = 0) -> None:
        self._workers, self._context = workers, _Recorded()
        self.blocks = SharedBlocks(_AHEAD * workers + 1 if workers else 0, block_bytes)
        self._pool = (
            ProcessPoolExecutor(workers, mp_context=self._context, initializer=_prepare) if workers else None
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_problem: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self.blocks.close()

    def results(
        self, function: Callable[[_Job], _Result], jobs: Iterable[_Job]
    ) -> Generator[_Result, None, None]:
        """The results of a module's function for every job, in order, computed some jobs ahead of their use.

        Raises
        ------
        WorkerError
            If a process was killed, for example because memory ran out.
        """
        if self._pool is None:
            yield from map(function, jobs)
            return
        drawn = deque()
        try:
            for job in jobs:
                drawn.append(self._pool.submit(function, job))
                if len(drawn) > _AHEAD * self._workers:
                    yield drawn.popleft().result()
            while drawn:
                yield drawn.popleft().result()
        except BrokenProcessPool as problem:
            raise WorkerError(
                f"one of {self._workers} worker processes was killed, perhaps because memory ran out, or could not "
                "start; use fewer workers, free some memory, or in a script put the call below "
                "if __name__ == '__main__':"
            ) from problem
        except BaseException:  # an interrupt between two steps of the pool could leave it waiting for ever
            self._context.end()
            raise


def by_processes(
    function: Callable[[_Job], _Result], jobs: Iterable[_Job], *, workers: int
) -> Generator[_Result, None, None]:
    """:meth:`WorkerProcesses.results`, with processes of their own."""
    with WorkerProcesses(workers) as processes:
        yield from processes.results(function, jobs)


class _Recorded(SpawnContext):
    """Knows the processes it made, even those whose start was interrupted before the pool knew them."""

    def __init__(self) -> None:
        super().__init__()
        self._made: list[BaseProcess] = []

    def Process(self, *args: Any, **options: Any) -> BaseProcess:  # noqa: N802 (the library's name)
        made = SpawnContext.Process(*args, **options)
        made.start = partial(_started, made.start)
        self._made.append(made)
        return made

    def end(self) -> None:
        """End all of them now."""
        for process in self._made:
            if process.pid is not None:
                process.kill()


def _started(start: Callable[[], None]) -> None:
    """Start a process that an interrupt does not reach while it imports: it could only print a traceback."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        start()
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare() -> None:
    """In a worker process: leave Ctrl-C to the parent, and end when the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
