"""One BLAS thread for matrices so small that NumPy's threads would only wait for each other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from threadpoolctl import ThreadpoolController


@dataclass(eq=False)
class _Limit:
    """How many are inside, and the libraries that were changed for them with their own numbers of threads."""

    n_inside: int = 0
    changed: list[tuple[Any, int]] = field(default_factory=list)
    controller: ThreadpoolController | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self) -> None:
        with self.lock:
            if self.n_inside == 0:
                if self.controller is None:
                    self.controller = ThreadpoolController()  # looks through every loaded library
                for library in self.controller.lib_controllers:
                    n_threads = library.num_threads
                    if library.user_api == "blas" and n_threads is not None and n_threads > 1:
                        self.changed.append((library, n_threads))
                        _set(library, 1)
            self.n_inside += 1

    def leave(self) -> None:
        with self.lock:
            self.n_inside -= 1
            if self.n_inside:
                return
            changed, self.changed = self.changed, []
            for library, n_threads in changed:
                if library.num_threads == 1:  # else the user has set another number meanwhile, which stays
                    _set(library, n_threads)


_LIMIT = _Limit()


def _set(library: Any, n_threads: int) -> None:
    """Set a library's number from any thread.

    Since 3.8 threadpoolctl lets one thread at a time set OpenBLAS's and ignores all others without a word: the last
    one out, if another than the first one in, would restore nothing.
    """
    give_up_control = getattr(library, "clear_controlling_thread", None)
    if give_up_control is not None:
        give_up_control(force=True)
    library.set_num_threads(n_threads)
    if give_up_control is not None:
        give_up_control(force=True)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """BLAS works in one thread inside; the number is the whole process's.

    The first one in sets it and the last one out restores what was there, from however many threads. A number that was
    set by others in between stays.
    """
    _LIMIT.enter()
    try:
        yield
    finally:
        _LIMIT.leave()
