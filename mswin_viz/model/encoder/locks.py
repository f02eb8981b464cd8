"""A lock that does not hinder its owner from being sent to another process."""

from __future__ import annotations

import threading


class OwnLock:
    """A lock, used in a ``with``; a copy in another process is another lock, held by nobody."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_problem: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type[OwnLock], tuple[()]]:
        return OwnLock, ()
