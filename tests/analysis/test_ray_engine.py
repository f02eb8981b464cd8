"""The shards of a store, made on a Ray cluster of this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.image_files import sample_files, shard_bytes
from support.tiny import tiny_model

import mswin_viz as mv
from mswin_viz.analysis.extraction import extract as module
from mswin_viz.data.sample import Sample
from mswin_viz.data.storage.file_locks import locked
from mswin_viz.errors import OptionError, OutputError, StoppedError, WorkerError

HOW = {"model": tiny_model(), "shard_images": 6, "batch_size": 4, "workers": 0, "progress": False}


@pytest.fixture
def ray(monkeypatch) -> Any:
    """The package, where it is installed; a cluster that is started needs no password, and takes its turn on a busy machine."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_worker_niceness", "0")
    return pytest.importorskip("ray", reason="ray is not installed: pip install 'mswin-viz[ray]'")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """One cluster for every test that does not start its own."""
    ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'mswin-viz[ray]'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_worker_niceness", "0")
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    return sample_files(tmp_path / "set")


def test_its_shards_are_those_of_the_local_engine_and_nothing_of_the_cluster_stays(
    ray, samples, tmp_path, monkeypatch, capfd
) -> None:
    mv.extract(samples, tmp_path / "here", **HOW)
    monkeypatch.chdir(tmp_path)
    relative = [
        dataclasses.replace(s, images={k: v.relative_to(tmp_path) for k, v in s.images.items()})
        for s in samples
    ]
    seen: list[int] = []
    before = set(psutil.Process().children(recursive=True))
    options = HOW | {"workers": 1, "engine": "ray", "report": lambda at: seen.append(at.done)}
    mv.extract(relative, tmp_path / "there", **options)
    assert shard_bytes(tmp_path / "there") == shard_bytes(tmp_path / "here")
    assert seen == sorted(seen)
    assert seen[-1] == 19
    assert not ray.is_initialized()
    left = set(psutil.Process().children(recursive=True)) - before
    assert not psutil.wait_procs(left, timeout=10)[1]
    assert capfd.readouterr().err == ""
    assert "RAY_USAGE_STATS_ENABLED" not in os.environ


def test_an_address_where_nobody_answers_is_refused_at_once(ray, samples, tmp_path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and not listening
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(
            OptionError, match=rf"cluster that answers: {address} does not \(.*ray start --head"
        ):
            mv.extract(samples, tmp_path / "store", engine="ray", address=address, **HOW)


def test_the_address_of_another_cluster_than_the_one_in_use_is_refused(
    cluster, ray, samples, tmp_path
) -> None:
    used = ray.get_runtime_context().gcs_address
    port = int(used.rpartition(":")[2])
    for other in (f"127.0.0.1:{port + 1}", "local", f"192.0.2.99:{port}", f"ray://127.0.0.1:{port}"):
        with pytest.raises(OptionError, match=rf"it uses {used}, got {other}; leave the address out"):
            mv.extract(samples, tmp_path / "other", engine="ray", address=other, **HOW)
    engine = sys.modules[module.on_ray.__module__]
    for same in (used, f"127.0.0.1:{port}", f"localhost:{port}", "auto"):
        engine._check_same_cluster(ray, same)
    mv.extract(samples, tmp_path / "store", engine="ray", address=used, **HOW)
    assert mv.open_store(tmp_path / "store").is_complete
    assert ray.is_initialized()


@pytest.mark.parametrize(
    ("device", "resources", "n_machines", "refused"),
    [
        ("cuda", {"CPU": 8.0}, 2, r"cluster with a GPU.*has 0; load the model with device='cpu'"),
        ("cuda", {"CPU": 8.0, "GPU": 0.5}, 2, r"has 0\.5;"),
        ("cuda", {"CPU": 8.0, "GPU": 1.0}, 2, None),
        ("mps", {"CPU": 8.0}, 3, r"mps.*this machine alone: the cluster has 3 machines; load.*'cpu'"),
        ("mps", {"CPU": 8.0}, 1, None),
        ("cpu", {"CPU": 8.0}, 3, None),
    ],
)
def test_a_cluster_without_the_devices_of_the_model_is_refused(
    device, resources, n_machines, refused
) -> None:
    nodes = [{"Alive": True}] * n_machines + [{"Alive": False}]
    fake = types.SimpleNamespace(cluster_resources=lambda: resources, nodes=lambda: nodes)
    engine = sys.modules[module.on_ray.__module__]
    with contextlib.nullcontext() if refused is None else pytest.raises(OptionError, match=refused):
        engine._check_devices(fake, device)


def test_an_actor_that_fails_ends_the_call_with_its_reason(
    cluster, samples, tmp_path, monkeypatch, capfd
) -> None:
    on_ray = module.on_ray

    def damaged(work, *rest):
        return on_ray(dataclasses.replace(work, record=work.record.model_copy(update={"dim": 3})), *rest)

    monkeypatch.setattr(module, "on_ray", damaged)
    with pytest.raises(WorkerError, match=r"ValueError: shape mismatch.*the same call goes on$") as caught:
        mv.extract(samples, tmp_path / "store", engine="ray", **HOW)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(module, "on_ray", on_ray)
    mv.extract(samples, tmp_path / "store", engine="ray", **HOW)
    mv.extract(samples, tmp_path / "whole", **HOW)
    assert shard_bytes(tmp_path / "store") == shard_bytes(tmp_path / "whole")


def test_a_shard_whose_actor_is_killed_is_made_by_the_next_one(cluster, samples, tmp_path) -> None:
    mv.extract(samples, tmp_path / "whole", **HOW)
    killed: list[int] = []

    def kill_once(at: mv.Progress) -> None:
        actors = [
            p for p in psutil.process_iter(["cmdline"]) if "MapWorker" in " ".join(p.info["cmdline"] or ())
        ]
        mine = [
            p for p in actors if p.pid in {child.pid for child in psutil.Process().children(recursive=True)}
        ]
        if mine and not killed:
            mine[0].kill()
            killed.append(mine[0].pid)

    mv.extract(samples, tmp_path / "store", engine="ray", report=kill_once, **HOW)
    assert killed
    assert shard_bytes(tmp_path / "store") == shard_bytes(tmp_path / "whole")


def test_it_stops_when_it_is_asked_to_and_leaves_no_half_written_shard(cluster, samples, tmp_path) -> None:
    with pytest.raises(StoppedError, match="goes on"):
        mv.extract(samples, tmp_path / "store", engine="ray", stop=lambda: True, **HOW)
    assert not list(tmp_path.rglob("*.unfinished"))
    assert mv.open_store(tmp_path / "store").verify() == []


def test_a_second_program_on_a_store_is_refused_before_it_starts_a_cluster(
    ray, samples, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(module, "on_ray", lambda *_: pytest.fail("a cluster was asked for"))
    with (
        locked(tmp_path / "store" / "extraction", busy="taken"),
        pytest.raises(OutputError, match=r"one program at a time extracts into a store: another is at work"),
    ):
        mv.extract(samples, tmp_path / "store", engine="ray", **HOW)


def test_without_the_package_the_error_says_how_to_install_it(samples, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        OptionError, match=r"package ray: it is not installed; run pip install 'mswin-viz\[ray\]'"
    ):
        mv.extract(samples, tmp_path / "store", engine="ray", **HOW)
