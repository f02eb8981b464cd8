"""How long a fresh interpreter takes to import this package, beside what it builds on."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator

from measuring import Row, Work


def rows() -> Iterator[Row]:
    """Processes of their own, files in the system's cache."""

    yield from Work(
        group="imports",
        what="import in a new interpreter",
        ours=(
            "`from mswin_viz import load_model, ScaleExplorer`",
            lambda: _imported("from mswin_viz import load_model, ScaleExplorer"),
        ),
        peers={
            "`import torch`": lambda: _imported("import torch"),
            "`import open_clip`": lambda: _imported("import open_clip"),
            "`import captum.attr`": lambda: _imported("import captum.attr"),
            "`import mswin_viz`, whose parts load when they are first used": lambda: _imported(
                "import mswin_viz"
            ),
        },
        floor=(
            "torch, open_clip and ipywidgets, which they need",
            lambda: _imported("import torch, open_clip, ipywidgets"),
        ),
        rounds=5,
    ).rows()


def _imported(statement: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", statement], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
