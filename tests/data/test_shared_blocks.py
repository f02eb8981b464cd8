"""Arrays come from worker processes unchanged, through shared memory or, on other systems, through the pipe."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from mswin_viz.data.storage.shared_blocks import Block, HandedOver, SharedBlocks
from mswin_viz.data.storage.worker_processes import WorkerProcesses

needs_memory_files = pytest.mark.skipif(
    not hasattr(os, "memfd_create"), reason="memory without a name is Linux's"
)


class Job(NamedTuple):
    number: int
    shape: tuple[int, ...]
    block: Block | None


def drawn(number: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)


def handed(job: Job) -> tuple[Job, np.ndarray | HandedOver]:
    array = drawn(job.number, job.shape)
    return job, array if job.block is None else job.block.hand_over(array)


SHAPES = [(4, 5, 3), (0, 5, 3), (1,), (60,), (61,)]  # of at most 60 bytes, and one of 61


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_arrays_of_worker_processes_arrive_as_they_were(workers) -> None:
    shapes = [SHAPES[number % len(SHAPES)] for number in range(40)]
    ways = set()
    with WorkerProcesses(workers, block_bytes=60) as processes:
        blocks = processes.blocks

        def jobs():
            for number, shape in enumerate(shapes):
                yield Job(number, shape, blocks.take())

        for number, (job, array) in enumerate(processes.results(handed, jobs())):
            into = np.empty(job.shape, np.uint8)
            blocks.receive(array, into)
            blocks.give_back(job.block)
            np.testing.assert_array_equal(into, drawn(number, shapes[number]))
            ways.add((type(array), array.nbytes if isinstance(array, np.ndarray) else None))
    if workers and hasattr(os, "memfd_create"):
        assert ways == {(HandedOver, None), (np.ndarray, 61)}, "only what does not fit goes through the pipe"


@needs_memory_files
def test_there_is_a_block_for_every_result_that_is_on_its_way() -> None:
    taken = []
    with WorkerProcesses(1, block_bytes=60) as processes:

        def jobs():
            for number in range(12):
                taken.append(processes.blocks.take())
                yield Job(number, (60,), taken[-1])

        for job, array in processes.results(handed, jobs()):
            processes.blocks.receive(array, np.empty(job.shape, np.uint8))
            processes.blocks.give_back(job.block)
    assert len(taken) == 12
    assert None not in taken


@needs_memory_files
def test_what_cannot_be_opened_or_does_not_fit_stays_an_array() -> None:
    array = drawn(0, (10,))
    assert Block("/nowhere/at/all", 0, 10).hand_over(array) is array
    assert Block(str(Path(__file__)), 0, 9).hand_over(array) is array
    assert SharedBlocks(0, 100).take() is None


def test_without_memory_of_that_kind_there_are_no_blocks(monkeypatch) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    blocks = SharedBlocks(3, 100)
    assert blocks.take() is None
    into = np.empty(10, np.uint8)
    blocks.receive(drawn(0, (10,)), into)
    np.testing.assert_array_equal(into, drawn(0, (10,)))
    blocks.close()


@needs_memory_files
def test_arrays_of_any_order_and_type_of_memory() -> None:
    blocks = SharedBlocks(1, 1_000)
    block = blocks.take()
    assert block is not None
    for array in (drawn(0, (6, 5)).T, drawn(1, (6, 10))[:, ::2], np.arange(12.0).reshape(3, 4)):
        given = block.hand_over(array)
        assert isinstance(given, HandedOver)
        into = np.empty(given.shape, array.dtype)
        blocks.receive(given, into)
        np.testing.assert_array_equal(into, array)
    blocks.close()


@needs_memory_files
def test_nothing_is_left_of_it() -> None:
    before = os.listdir("/proc/self/fd")
    blocks = SharedBlocks(2, 1_000)
    block = blocks.take()
    assert block is not None
    given = block.hand_over(drawn(0, (10,)))
    blocks.close()
    blocks.close()
    assert len(os.listdir("/proc/self/fd")) == len(before)
    assert not os.path.exists(block.file) or os.readlink(block.file) != "/memfd:mswin_viz (deleted)"
    blocks.give_back(block)
    assert blocks.take() is None
    with pytest.raises(ValueError, match="is closed already"):
        blocks.receive(given, np.empty(10, np.uint8))
