"""Arrays handed from a worker process to the one that started it through memory both can open, not through a pipe."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np


class Block(NamedTuple):
    """A part of the shared memory: where another process of this machine opens it, and which bytes are its."""

    file: str
    first: int
    n_bytes: int

    def hand_over(self, array: np.ndarray) -> np.ndarray | HandedOver:
        """Write an array here; the array itself where it does not fit or the memory cannot be opened."""
        if array.nbytes > self.n_bytes:
            return array
        content = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        try:
            memory = os.open(self.file, os.O_WRONLY)
            try:
                n_written = 0
                while n_written < len(content):
                    n_written += os.pwrite(memory, content[n_written:], self.first + n_written)
            finally:
                os.close(memory)
        except OSError:  # no memory is left, or this system lets nobody open it
            return array
        return HandedOver(self, array.shape)


class HandedOver(NamedTuple):
    """An array that lies in a block."""

    block: Block
    shape: tuple[int, ...]


class SharedBlocks:
    """Some blocks of memory that has no name, so nothing is left of it however the program ends.

    Where the system has no such memory (it is Linux's), there are no blocks, and arrays travel through pipes.
    """

    def __init__(self, n_blocks: int, n_bytes: int) -> None:
        self._memory: int | None = None
        self._free: list[Block] = []
        if n_blocks * n_bytes and hasattr(os, "memfd_create"):
            self._memory = os.memfd_create("mswin_viz")  # takes room as it is written to
            file = f"/proc/{os.getpid()}/fd/{self._memory}"
            self._free = [Block(file, place * n_bytes, n_bytes) for place in range(n_blocks)]

    def close(self) -> None:
        """Give the memory back."""
        if self._memory is not None:
            os.close(self._memory)
            self._memory, self._free = None, []

    def take(self) -> Block | None:
        """A block that nobody uses; None if all are in use."""
        return self._free.pop() if self._free else None

    def give_back(self, block: Block | None) -> None:
        """A block is free again."""
        if block is not None and self._memory is not None:
            self._free.append(block)

    def receive(self, array: np.ndarray | HandedOver, into: np.ndarray) -> None:
        """Copy an array that a worker process handed over into one of its shape and type."""
        if isinstance(array, np.ndarray):
            into[...] = array
            return
        if self._memory is None:
            raise ValueError("an array is received before its memory is closed: it is closed already")
        room, n_read = into.reshape(-1).view(np.uint8).data, 0
        while n_read < len(room):
            n_read += os.preadv(self._memory, [room[n_read:]], array.block.first + n_read)
