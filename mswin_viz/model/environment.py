"""What this installation runs on and which weights it finds; nothing is downloaded or loaded."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from huggingface_hub import scan_cache_dir
from huggingface_hub.errors import CacheNotFound

import mswin_viz
from mswin_viz.model.weights.embedded_config import EMBEDDED

_PACKAGES = (
    "torch", "torchvision", "open-clip-torch", "numpy", "pillow", "captum", "pytorch-metric-learning", "matplotlib",
    "jupyterlab", "ipywidgets", "anywidget",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Name -> version of this package, Python and what matters most of the rest."""
    versions = {"mswin-viz": mswin_viz.__version__, "Python": platform.python_version()}
    return versions | {name: _version(name) for name in _PACKAGES}


def devices() -> dict[str, str]:
    """Name torch gives a device -> what it is, or why it cannot be used."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    devices = {"cpu": f"{cores} cores for this process, {torch.get_num_threads()} torch threads, {_memory()}"}
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(number)
            devices[f"cuda:{number}"] = f"{about.name}, {about.total_memory / 2**30:.0f} GiB"
    else:
        devices["cuda"] = "not available"
    devices["mps"] = "available" if torch.backends.mps.is_available() else "not available"
    return devices


def available_weights() -> dict[str, str]:
    """What `load_model` can be given without a download -> where it comes from."""
    weights = {"embedded": _embedded()}
    for repo, size in _hub_models():
        weights[repo] = f"in the Hugging Face cache, {size / 2**20:.0f} MiB"
    for file in sorted((Path.home() / ".cache" / "clip").glob("*.pt")):
        weights[str(file)] = f"file, {file.stat().st_size / 2**20:.0f} MiB"
    return weights


def _embedded() -> str:
    needed = ("config.json", "clip.safetensors", "addon.safetensors")
    missing = [name for name in needed if not (EMBEDDED / name).is_file()]
    if missing:
        return f"MISSING {', '.join(missing)}; reinstall, or `mswin-viz train-embedded`"
    size = sum(file.stat().st_size for file in EMBEDDED.iterdir() if file.is_file())
    return f"part of the package, with its add-on, {size / 2**20:.0f} MiB"


def _hub_models() -> list[tuple[str, int]]:
    """CLIPs among the cached repositories, and their sizes in bytes."""
    try:
        repos = scan_cache_dir().repos
    except CacheNotFound:
        return []
    return sorted((repo.repo_id, repo.size_on_disk) for repo in repos if "clip" in repo.repo_id.lower())


def _memory() -> str:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return "memory not known"
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB of memory"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "MISSING"
