"""What Windows and macOS lack is not needed: the package is imported and used with all of it hidden."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = ("fcntl", "resource", "pwd", "grp", "termios", "syslog", "posix")
WINDOWS = """
    fork forkpty register_at_fork memfd_create sched_getaffinity posix_fallocate fstatvfs statvfs getuid geteuid getgid mkfifo
    getpgid setsid killpg uname O_NONBLOCK O_NOCTTY O_NOFOLLOW O_DIRECTORY O_CLOEXEC pread pwrite preadv sendfile getloadavg fchown
    fdatasync sync nice WNOHANG
"""
MACOS = "memfd_create sched_getaffinity posix_fallocate preadv fdatasync"
SIGNALS = "SIGKILL SIGHUP SIGQUIT SIGALRM SIGUSR1 SIGUSR2 SIGPIPE SIGCHLD pthread_sigmask alarm setitimer"
HIDDEN = """
import importlib, os, pkgutil, signal, sys
import captum, filelock, ipywidgets, jscatter, matplotlib.pyplot, open_clip, openTSNE, pandas, pyarrow.parquet, pydantic
import rich, scipy.stats, seaborn, sklearn.manifold, torch, torchvision, typer, anywidget, jupyter_client, huggingface_hub
from huggingface_hub import scan_cache_dir, try_to_load_from_cache
import multiprocessing.popen_spawn_posix, concurrent.futures.process, subprocess, tempfile, ctypes, platform, IPython.display

class Without:  # a module without some of its names
    def __init__(self, module, names):
        vars(self).update(_module=module, _names=frozenset(names))

    def __getattr__(self, name):
        if name in self._names:
            raise AttributeError(name)
        return getattr(self._module, name)


assert not [name for name in sys.modules if name.startswith("mswin_viz")]
real = dict(sys.modules)
sys.modules |= dict(os=Without(os, {names!r}), signal=Without(signal, {signals!r}), **dict.fromkeys({modules!r}))
platform.libc_ver = lambda: ("", "")  # no glibc

import mswin_viz
for module in pkgutil.walk_packages(mswin_viz.__path__, "mswin_viz."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
for name in ("os", "signal", *{modules!r}):  # other packages know this system
    sys.modules[name] = real.get(name)
    if sys.modules[name] is None:
        del sys.modules[name]
kept = [module.os for name, module in sys.modules.items() if name.startswith("mswin_viz.") and hasattr(module, "os")]
assert len(kept) > 3 and all(isinstance(one, Without) for one in kept)
"""
USE = """
from pathlib import Path
import numpy as np
from mswin_viz.data.storage.file_locks import locked
from mswin_viz.data.storage.file_writing import write_bytes
from mswin_viz.data.storage.shared_blocks import SharedBlocks
import mswin_viz as mv
from PIL import Image

sys.path.insert(0, {tests!r})
from support.tiny import tiny_model
with locked(Path("held"), busy="busy"):
    write_bytes(Path("held"), b"new")
assert Path("held").read_bytes() == b"new"
Image.fromarray(np.zeros((48, 16, 3), np.uint8)).save("a.tiff")
Image.fromarray(np.full((48, 16, 3), 90, np.uint8)).save("b.png")
model = tiny_model()
samples = mv.samples(Path("."))
assert len(samples) == 2
mv.extract(samples, "store", model=model)
assert mv.open_store(Path("store")).n_rows == 2
explorer = mv.ScaleExplorer(model, samples, prompt="a person")
explorer.save_figure("figure.png")
explorer.to_html("page.html", images=1)
explorer.close()
print("used")
"""


@pytest.mark.parametrize(("platform", "names"), [("win32", WINDOWS), ("darwin", MACOS)])
def test_the_package_is_imported_and_used_without_what_the_system_lacks(
    platform: str, names: str, tmp_path: Path
) -> None:
    windows = platform == "win32"
    code = (HIDDEN + USE).format(
        modules=MODULES if windows else (),
        names=names.split(),
        signals=SIGNALS.split() if windows else [],
        tests=str(ROOT / "tests"),
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.stdout.endswith("used\n"), done.stderr
