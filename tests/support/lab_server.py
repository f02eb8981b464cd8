"""A JupyterLab server of its own: a free local port, a throw-away profile, and no process left behind."""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil

TRACKER = "notebook-extension/tracker"
SETTINGS: dict[str, dict[str, Any]] = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},  # no network
    "docmanager-extension/plugin": {"autosave": False},  # no dialog about a file that a test wrote anew
    TRACKER: {"kernelShutdown": True},  # a closed notebook's kernel would go on to the end of the run
}
"""What differs from JupyterLab's defaults; how much of a notebook is in the page (``windowingMode``) does not."""
FOLDERS = {
    "JUPYTER_CONFIG_DIR": "config",
    "JUPYTER_DATA_DIR": "data",
    "JUPYTER_RUNTIME_DIR": "runtime",
    "JUPYTERLAB_SETTINGS_DIR": "settings",
    "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    "IPYTHONDIR": "ipython",
    "MPLCONFIGDIR": "matplotlib",
}


class LabServer:
    """JupyterLab serving one folder. ``stop`` ends it, its kernels and whatever they started."""

    def __init__(self, root: Path, *, timeout: float = 90, app: str = "jupyterlab") -> None:
        self.root, self.timeout, self.app = Path(root).resolve(), timeout, app
        self.token = secrets.token_hex(16)
        self.home = Path(tempfile.mkdtemp(prefix="mswin-lab-"))
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        environment = self._environment()
        deadline = time.monotonic() + self.timeout
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                self._launch(environment)  # again where another program took the port first
            try:
                self.api("api/status")
                return
            except OSError:
                time.sleep(0.1)
        raise TimeoutError(f"JupyterLab did not answer within {self.timeout} s:\n{self.log()[-3000:]}")

    def set(self, plugin: str, settings: dict[str, Any]) -> None:
        """The settings of a plug-in that differ from its defaults, for every page that is loaded from now on."""
        file = self.home / "settings" / "@jupyterlab" / f"{plugin}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings))

    def log(self) -> str:
        return (self.home / "server.log").read_text(errors="replace")

    def api(self, path: str, method: str = "GET") -> Any:
        request = urllib.request.Request(self.url + path, method=method)
        request.add_header("Authorization", f"token {self.token}")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as reply:
            return json.loads(reply.read() or b"null")

    def end_kernels(self) -> None:
        for session in self.api("api/sessions"):
            try:
                self.api(f"api/sessions/{session['id']}", "DELETE")
            except urllib.error.HTTPError as error:
                if error.code != 404:  # the closing notebook was faster
                    raise

    def stop(self) -> None:
        if self.process is not None:
            family = _family(self.process.pid)
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
            _end(family)
            self.process = None
        shutil.rmtree(self.home, ignore_errors=True)

    def _launch(self, environment: dict[str, str]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        options = ["--no-browser", "--allow-root", "--expose-app-in-browser", "--LabApp.news_url=None"]
        options += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
        options += ["--LabApp.extension_manager=readonly", "--ServerApp.terminals_enabled=False"]
        options += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={self.port}", "--ServerApp.port_retries=0"]
        options += [f"--ServerApp.root_dir={self.root}"]
        with open(self.home / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.app, *options],
                cwd=self.root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "IPYTHON"))}
        for variable, folder in FOLDERS.items():
            (self.home / folder).mkdir(exist_ok=True)
            kept[variable] = str(self.home / folder)
        for plugin, settings in SETTINGS.items():
            self.set(plugin, settings)
        kept["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
        return {**kept, "JUPYTER_TOKEN": self.token}


def _end_with_parent() -> None:
    """In the child: get SIGTERM when the test run ends, however it ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _family(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _end(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=5)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=5)
