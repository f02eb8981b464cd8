"""What this installation runs on and which weights it finds; nothing is downloaded or loaded."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections import defaultdict
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

import torch
from huggingface_hub import scan_cache_dir
from huggingface_hub.errors import CacheNotFound
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from jupyter_core.paths import jupyter_path
from packaging.requirements import Requirement

import mswin_viz
from mswin_viz.data.shown_text import counted
from mswin_viz.data.storage.worker_processes import cores
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
    devices = {
        "cpu": f"{counted(cores(), 'cores')} for this process, {counted(torch.get_num_threads(), 'torch threads')}, {_memory()}"
    }
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


def kernel_parts() -> dict[str, str]:
    """What a notebook needs to run on this Python and show widgets -> whether it is here."""
    return {
        "ipykernel": _version("ipykernel"),
        "kernel python3": _kernel(),
        "widgets in JupyterLab": _lab_extension("@jupyter-widgets/jupyterlab-manager", "ipywidgets"),
        "anywidget in JupyterLab": _lab_extension("anywidget", "anywidget"),
    }


def optional_packages() -> dict[str, str]:
    """Package of an extra -> its version, or how it is installed; none of them is needed by the rest."""
    extras: dict[str, list[str]] = defaultdict(list)
    for line in requires("mswin-viz") or ():
        needed = Requirement(line)
        for extra in _extras_of(needed):
            extras[needed.name].append(extra)
    return {
        name: _version(
            name, missing=f"not installed; pip install 'mswin-viz[{min(of, key=_is_for_developers)}]'"
        )
        for name, of in extras.items()
    }


def browser() -> dict[str, str]:
    """The browser that tests of the page would drive, or how to get one."""
    named = os.environ.get("CHROMIUM")
    names = [named] if named else ["chromium", "google-chrome"]
    found = [path for name in names if (path := shutil.which(name))]
    if not found and not named:
        found = [str(folder) for folder in sorted(_playwright_folder().glob("chromium-*"))]
    missing = "not found; playwright install chromium, or set CHROMIUM to its path"
    return {"Chromium": found[-1] if found else missing}


def _is_for_developers(extra: str) -> bool:
    return extra in ("benchmarks", "lint", "test")


def _extras_of(needed: Requirement) -> list[str]:
    """The extras that a requirement belongs to."""
    marker = needed.marker
    if marker is None or marker.evaluate({"extra": ""}):
        return []
    provided = metadata("mswin-viz").get_all("Provides-Extra") or []
    return [name for name in provided if marker.evaluate({"extra": name})]


def _playwright_folder() -> Path:
    """Where Playwright keeps its browsers."""
    if named := os.environ.get("PLAYWRIGHT_BROWSERS_PATH"):
        return Path(named)
    caches = {"darwin": Path.home() / "Library" / "Caches", "win32": Path.home() / "AppData" / "Local"}
    return caches.get(sys.platform, Path.home() / ".cache") / "ms-playwright"


def _kernel() -> str:
    try:
        started = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return "MISSING; python -m ipykernel install --sys-prefix"
    own = started in ("python", "python3") or Path(started).absolute() == Path(sys.executable).absolute()
    words = "; python -m ipykernel install --sys-prefix gives this Python one"
    return "runs this Python" if own else f"runs another Python, {started}{words}"


def _lab_extension(name: str, package: str) -> str:
    places = (Path(folder) / name for folder in jupyter_path("labextensions"))
    here = any((place / "package.json").is_file() for place in places)
    return "found" if here else f"MISSING; pip install --force-reinstall {package}"


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


def _version(name: str, *, missing: str = "") -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return missing or f"MISSING; pip install {name}"
