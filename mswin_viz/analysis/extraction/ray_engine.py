"""The shards of a store made on a Ray cluster: actors take numbers of shards, and call the same function as everywhere."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from mswin_viz.analysis.extraction.options import ExtractSettings
from mswin_viz.analysis.extraction.ray_board import Board
from mswin_viz.analysis.extraction.shard_work import Done, ShardWork, work_on_shards
from mswin_viz.data.shown_text import short_text
from mswin_viz.data.storage.worker_processes import WorkerProcesses
from mswin_viz.errors import MswinVizError, OptionError, StoppedError, WorkerError

_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
"""Nothing is reported to Ray's makers, and its processes do not write on the user's screen."""
_LOGGERS = ("ray", "ray.data")
_LOOK = 0.2  # seconds between two looks at what the actors have done
_LAST_BATCH = 60.0  # seconds that actors have to end the batch they are at
_ANSWER = 10.0  # seconds within which a cluster must answer
_MOST_TRIES = 4  # of a shard whose actor was killed, or whose machine was lost; Ray itself would try for ever


class ShardActor:
    """Holds a model and the processes that open files, on one machine of the cluster; makes the shards whose numbers it gets."""

    def __init__(self, work: Any, board: Any, place: str) -> None:
        self._given, self._board, self._place = work, board, place
        self._should_stop = False

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Make the shards of a batch of numbers; gives the numbers back."""
        try:
            for number in batch["shard"].tolist():
                self._make(number)
        except StoppedError:
            raise
        except Exception as problem:  # Ray's own account of it is a page long
            said = problem if isinstance(problem, MswinVizError) else WorkerError(_failed(problem))
            _ray()[0].get(self._board.fail.remote(said))
            raise
        return batch

    def _make(self, number: int) -> None:
        ray, n_images = _ray()[0], 0
        if ray.get(self._board.begin.remote(number)) > _MOST_TRIES:
            raise WorkerError(
                f"an actor must make its shards: shard {number} was tried {_MOST_TRIES} times, and each time its actor was "
                "killed, perhaps because memory ran out; use fewer workers or a smaller batch_size"
            )
        work, processes = self._ready
        for done in work_on_shards(work, [number], processes, stop=lambda: self._should_stop):
            n_images += done.n_images
            self._should_stop = ray.get(self._board.note.remote(number, n_images))

    @cached_property
    def _ready(self) -> tuple[ShardWork, WorkerProcesses]:
        os.chdir(self._place)  # paths of images may be relative to it
        work: ShardWork = _ray()[0].get(self._given)
        return work, WorkerProcesses(work.workers, block_bytes=work.bytes_of_batch)


def on_ray(work: ShardWork, numbers: Sequence[int], settings: ExtractSettings) -> Iterator[Done]:
    """Make some shards on a cluster; the store's folder and the image files must be at the same paths on every machine.

    Only numbers travel, and the model and the list of samples once; no pixels. Ray gives the shard that a lost machine
    was at to another one. OptionError if Ray is not installed or not reached, if the address is not of the cluster that
    this program uses already, or the cluster has no place for the model's device; StoppedError; WorkerError if an actor
    fails, with its reason, or the error itself if it is one of this package.
    """
    ray, data = _ray()
    with _quiet(), _cluster(ray, data, settings):
        _check_devices(ray, work.model.device.type)
        board = ray.remote(num_cpus=0)(Board).remote()
        made = data.from_items([{"shard": number} for number in numbers], override_num_blocks=len(numbers))
        made = made.map_batches(
            ShardActor,
            fn_constructor_args=[ray.put(work), board, os.getcwd()],
            batch_size=1,
            compute=data.ActorPoolStrategy(size=settings.actors, max_tasks_in_flight_per_actor=1),
            num_cpus=1,
            num_gpus=1 if work.model.device.type == "cuda" else 0,
        )
        problems: list[BaseException] = []
        running = threading.Thread(target=_consume, args=(made, problems), daemon=True)
        running.start()
        try:
            yield from _followed(ray, board, running, settings)
        finally:
            board.stop.remote()
            running.join(_LAST_BATCH)
            said = _said(ray, board)
            ray.kill(board)
        for problem in problems:
            raise said or WorkerError(_failed(problem)) from problem


def _followed(ray: Any, board: Any, running: threading.Thread, settings: ExtractSettings) -> Iterator[Done]:
    """How many images the actors have done since the last look, as long as they work."""
    n_seen, asked = 0, board.n_images.remote()
    while running.is_alive():
        running.join(_LOOK)
        if ray.wait([asked], timeout=0)[0]:  # the board starts as late as the actors do
            n_images, asked = ray.get(asked), board.n_images.remote()
            yield Done(n_images - n_seen)
            n_seen = n_images
        if running.is_alive() and settings.stop is not None and settings.stop():
            raise StoppedError("extraction was stopped; the same call goes on where it ended")
    with contextlib.suppress(
        ray.exceptions.RayError
    ):  # the cluster is lost; the reason is told by the dataset
        yield Done(ray.get(board.n_images.remote(), timeout=_ANSWER) - n_seen)


def _consume(made: Any, problems: list[BaseException]) -> None:
    try:
        for _ in made.iter_rows():
            pass
    except BaseException as problem:
        problems.append(problem)


def _ray() -> tuple[Any, Any]:
    try:
        return importlib.import_module("ray"), importlib.import_module("ray.data")
    except ImportError as problem:
        raise OptionError(
            "the engine ray needs the package ray: it is not installed; run pip install 'mswin-viz[ray]'"
        ) from problem


@contextlib.contextmanager
def _cluster(ray: Any, data: Any, settings: ExtractSettings) -> Iterator[None]:
    """A cluster that this program uses already, one at an address, or one on this machine alone, which ends here."""
    is_ours = not ray.is_initialized()
    if not is_ours and settings.address is not None:
        _check_same_cluster(ray, settings.address)
    with contextlib.ExitStack() as ends:
        if is_ours:
            ends.enter_context(_muted())
            ends.callback(ray.shutdown)
            _connect(ray, settings)
        context = data.DataContext.get_current()
        ends.callback(setattr, context, "enable_progress_bars", context.enable_progress_bars)
        context.enable_progress_bars = False
        yield


@contextlib.contextmanager
def _muted() -> Iterator[None]:
    """What a cluster says of actors that it replaces is not printed among this program's output; Ray has no switch for it."""
    worker: Any = importlib.import_module("ray._private.worker")
    printed = getattr(worker, "print_to_stdstream", None)  # its own, and may go
    if printed is None:
        yield
        return
    worker.print_to_stdstream = lambda *_args, **_options: None
    try:
        yield
    finally:
        worker.print_to_stdstream = printed


def _connect(ray: Any, settings: ExtractSettings) -> None:
    """Start a cluster, or join the one at the address; `OptionError` if nobody answers there."""
    address, where = settings.address, {"address": settings.address}
    if address is None:  # a processor more than there are actors, or they could wait for each other
        where = {
            "address": "local",
            "num_cpus": max(os.cpu_count() or 1, settings.actors + 1),
            "include_dashboard": False,
        }
    try:
        host, colon, port = (address or "").rpartition(":")
        if colon and port.isdigit() and "/" not in host:  # Ray itself would try for minutes
            socket.create_connection((host, int(port)), timeout=_ANSWER).close()
        with _closed_stderr():
            ray.init(**where, log_to_driver=False, logging_level=logging.CRITICAL)
    except (OSError, OverflowError, ValueError, RuntimeError) as problem:
        raise OptionError(
            f"the engine ray needs a cluster that answers: {address or 'one on this machine'} does not "
            f"({_last_line(problem)}); start one with ray start --head and have the same RAY_AUTH_MODE, or leave the "
            "address out"
        ) from problem


def _check_same_cluster(ray: Any, address: str) -> None:
    """An `OptionError` if an address is of another cluster than the one that this program uses."""
    used = ray.get_runtime_context().gcs_address
    if address != "auto" and _place(ray, address) != _place(ray, used):
        raise OptionError(
            f"address must be that of the Ray cluster which this program uses already: it uses {used}, got "
            f"{short_text(address, 80)}; leave the address out, or call ray.shutdown() first"
        )


def _place(ray: Any, address: str) -> tuple[str, str]:
    """Host and port of an address; the host as a number where it has one, and this machine's own for 127.0.0.1."""
    host, _, port = address.rpartition(":")
    with contextlib.suppress(OSError, ValueError):
        host = socket.gethostbyname(host)
    return ray.util.get_node_ip_address() if host.startswith("127.") else host, port


def _check_devices(ray: Any, device: str) -> None:
    """An `OptionError` if the cluster has no place for the model's device; Ray would wait for one without end."""
    n_gpus, n_machines = ray.cluster_resources().get("GPU", 0), sum(node["Alive"] for node in ray.nodes())
    if device == "cuda" and n_gpus < 1:
        raise OptionError(
            f"a model on cuda needs a cluster with a GPU for each actor: this one has {n_gpus:g}; load the model with "
            "device='cpu', or join a cluster that has GPUs"
        )
    if device == "mps" and n_machines > 1:
        raise OptionError(
            f"a model on mps can be used on this machine alone: the cluster has {n_machines} machines; load the model with "
            "device='cpu'"
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Ray says nothing on the screen; what goes wrong is an error of this package."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels, environment = [logger.level for logger in loggers], dict(os.environ)
    os.environ |= _QUIET
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for name in _QUIET:
            os.environ.pop(name)
        os.environ |= {name: environment[name] for name in _QUIET if name in environment}


@contextlib.contextmanager
def _closed_stderr() -> Iterator[None]:
    """What Ray's compiled parts say while they start goes nowhere; they know no other way."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _said(ray: Any, board: Any) -> MswinVizError | None:
    """What an actor that failed said; None if none did, or could say anything any more."""
    with contextlib.suppress(ray.exceptions.RayError):
        return ray.get(board.problem.remote(), timeout=_ANSWER)
    return None


def _failed(problem: BaseException) -> str:
    return (
        f"an actor must make its shards: it failed on the cluster ({type(problem).__name__}: {_last_line(problem)}); "
        "shards that are done stay, and the same call goes on"
    )


def _last_line(problem: BaseException) -> str:
    lines = [line for line in str(problem).splitlines() if line.strip()]
    return short_text(lines[-1].strip(), 300) if lines else "no reason given"
