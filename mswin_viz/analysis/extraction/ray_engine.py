"""The shards of a store made on a Ray cluster: actors take numbers of shards, and call the same function as everywhere."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Sequence
from typing import Any

from mswin_viz.analysis.extraction.options import ExtractSettings
from mswin_viz.analysis.extraction.shard_work import Done, ShardWork, work_on_shards
from mswin_viz.data.storage.worker_processes import WorkerProcesses
from mswin_viz.data.store.shard_files import ShardFiles
from mswin_viz.data.store.store_record import read_commit
from mswin_viz.errors import OptionError, StoppedError, WorkerError

__all__ = ["on_ray"]


class ShardActor:
    """Holds a model and the processes that open files, on one machine of the cluster; makes the shards whose numbers it gets."""

    def __init__(self, work: ShardWork) -> None:
        self._work, self._processes = work, WorkerProcesses(work.workers)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[int]]:
        """Make the shards of a batch of numbers; gives them back with how many images each has."""
        numbers = [int(number) for number in batch["shard"]]
        n_images = []
        for number in numbers:
            n_images.append(
                sum(done.n_images for done in work_on_shards(self._work, [number], self._processes))
            )
        return {"shard": numbers, "n_images": n_images}


def on_ray(work: ShardWork, numbers: Sequence[int], settings: ExtractSettings) -> Iterator[Done]:
    """Make some shards on a cluster; the store's folder and the image files must be at the same paths on every machine.

    Only numbers travel, and the model once; no pixels. Ray takes the shard that a lost machine was at to another one.
    OptionError if Ray is not installed or not reached; WorkerError if an actor fails, with the first reason.
    """
    ray, data = _ray()
    with _cluster(ray, settings):
        shards = data.from_items(
            [{"shard": int(number)} for number in numbers], override_num_blocks=len(numbers)
        )
        made = shards.map_batches(
            ShardActor,
            fn_constructor_args=[ray.put(work)],
            batch_size=1,
            concurrency=settings.actors,
            num_cpus=1,
            num_gpus=1 if work.model.device.type == "cuda" else 0,
        )
        try:
            for row in made.iter_rows():
                number = int(row["shard"])
                yield Done(int(row["n_images"]), read_commit(ShardFiles(work.folder, number).commit))
                if settings.stop is not None and settings.stop():
                    raise StoppedError("extraction was stopped; the same call goes on where it ended")
        except (ray.exceptions.RayError, ray.exceptions.UserCodeException) as problem:
            raise WorkerError(
                f"an actor failed on the cluster: {_first_reason(problem)}; shards that are done stay, and the same call goes on"
            ) from problem


def _ray() -> tuple[Any, Any]:
    try:
        ray = importlib.import_module("ray")
        data = importlib.import_module("ray.data")
    except ImportError as problem:
        raise OptionError(
            "the engine ray needs the package ray: it is not installed; run pip install 'mswin-viz[ray]'"
        ) from problem
    return ray, data


@contextlib.contextmanager
def _cluster(ray: Any, settings: ExtractSettings) -> Iterator[None]:
    """A cluster that is there already, at an address, or on this machine alone; what was started here ends here."""
    is_ours = not ray.is_initialized()
    if is_ours:
        try:
            ray.init(address=settings.address or "local", include_dashboard=False, log_to_driver=False)
        except (ConnectionError, ValueError, RuntimeError) as problem:
            raise OptionError(
                f"the engine ray needs a cluster that answers: {settings.address} does not ({problem}); start one with "
                "ray start --head, or leave the address out"
            ) from problem
    data = ray.data.DataContext.get_current()
    before, data.enable_progress_bars = data.enable_progress_bars, False
    try:
        yield
    finally:
        data.enable_progress_bars = before
        if is_ours:
            ray.shutdown()


def _first_reason(problem: BaseException) -> str:
    cause = problem
    while cause.__cause__ is not None:
        cause = cause.__cause__
    lines = [line for line in str(cause).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(cause).__name__
