"""What `mswin-viz doctor` finds on machines of other kinds: GPUs, caches, browsers and kernels that this one lacks."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

from mswin_viz.model import environment


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of its own."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    return tmp_path


def test_every_gpu_has_its_name_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    about = SimpleNamespace(name="NVIDIA H100", total_memory=80 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _number: about)
    found = environment.devices()
    assert (found["cuda:0"], found["cuda:1"]) == ("NVIDIA H100, 80 GiB",) * 2
    assert "cuda" not in found


def test_weights_in_the_caches_of_hugging_face_and_of_clip_are_listed(home: Path, monkeypatch) -> None:
    repos = [
        SimpleNamespace(repo_id=name, size_on_disk=2**20 * size)
        for name, size in (("openai/clip-vit-base-patch16", 600), ("some/bert", 400))
    ]
    monkeypatch.setattr(environment, "scan_cache_dir", lambda: SimpleNamespace(repos=repos))
    file = home / ".cache" / "clip" / "ViT-B-16.pt"
    file.parent.mkdir(parents=True)
    file.write_bytes(bytes(3 * 2**20))
    found = environment.available_weights()
    assert found.pop("embedded").startswith("part of the package, with its add-on")
    assert found == {
        "openai/clip-vit-base-patch16": "in the Hugging Face cache, 600 MiB",
        str(file): "file, 3 MiB",
    }


def test_weights_that_are_gone_from_the_package_are_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(environment, "EMBEDDED", tmp_path)
    assert environment.available_weights()["embedded"].startswith("MISSING config.json, clip.safetensors")


@pytest.mark.parametrize(
    ("platform", "folder"),
    [("linux", ".cache"), ("darwin", "Library/Caches"), ("win32", "AppData/Local"), ("named", "")],
)
def test_the_browser_that_playwright_keeps_is_found(
    platform: str, folder: str, home: Path, monkeypatch
) -> None:
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(environment.shutil, "which", lambda _name: None)
    kept = home / folder / "ms-playwright"
    if platform == "named":
        monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(kept))
    else:
        monkeypatch.delenv("PLAYWRIGHT_BROWSERS_PATH", raising=False)
        monkeypatch.setattr(sys, "platform", platform)
    assert environment.browser()["Chromium"].startswith("not found")
    for number in (1100, 1200):
        (kept / f"chromium-{number}").mkdir(parents=True)
    assert environment.browser() == {"Chromium": str(kept / "chromium-1200")}


def test_a_kernel_that_is_missing_or_of_another_python_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise NoSuchKernel("python3")

    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", none)
    assert environment.kernel_parts()["kernel python3"].startswith("MISSING; python -m ipykernel install")
    other = SimpleNamespace(argv=["/opt/other/bin/python3"])
    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", lambda *_: other)
    assert environment.kernel_parts()["kernel python3"].startswith(
        "runs another Python, /opt/other/bin/python3"
    )


def test_memory_that_the_system_does_not_tell_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sysconf")
    assert "memory not known" in environment.devices()["cpu"]


def test_a_package_of_several_extras_is_offered_by_the_one_for_its_users(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(environment, "_version", lambda _name, missing="": missing)
    found = environment.optional_packages()
    assert found["faiss-cpu"] == "not installed; pip install 'mswin-viz[export]'"
    assert found["ray"] == "not installed; pip install 'mswin-viz[ray]'"
