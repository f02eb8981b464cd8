"""Views used as in hours of work: what a program holds meanwhile is read again and again."""

from __future__ import annotations

import gc
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from ipywidgets import Widget
from ipywidgets.widgets.widget import _instances

import mswin_viz as mv


@dataclass(frozen=True)
class Held:
    """What a process holds once its garbage is gone: MiB, and how many threads, open files and widgets."""

    mebibytes: float
    threads: int
    files: int
    widgets: int


def held() -> Held:
    """What this process holds now."""
    gc.collect()
    process = psutil.Process()
    return Held(
        process.memory_info().rss / 2**20, threading.active_count(), process.num_fds(), len(_instances)
    )


def freeze() -> None:
    """Modules stay to the end: a search for garbage, which takes a third of a second in them, passes them over."""
    gc.collect()
    gc.freeze()


def moved(explorer: mv.ScaleExplorer, *, n_moves: int, n_switches: int, n_readings: int = 10) -> list[Held]:
    """What the process holds at equal steps, while the slider moves and other images are chosen, in a seeded order."""
    rng, found = random.Random(4), []
    slider, strip = explorer.controls.scale, explorer.strip
    scales = range(slider.min, slider.max + 1)
    freeze()
    switched = set(rng.sample(range(n_moves), n_switches))
    for at in range(n_moves):
        slider.value = rng.choice([scale for scale in scales if scale != slider.value])
        if at in switched:
            strip.selected = rng.choice(
                [image for image in range(len(strip.items)) if image != strip.selected]
            )
        if (at + 1) % (n_moves // n_readings) == 0:
            found.append(held())
    return found


def opened_and_closed(make: Callable[[], Widget], n_times: int) -> list[Held]:
    """What the process holds each time a view has been made, used by ``make`` and closed."""
    found = []
    make().close()
    freeze()
    for _ in range(n_times):
        make().close()
        found.append(held())
    return found


def soaked(code: str) -> list[Held]:
    """What a program of its own holds at the moments in the list ``found``, which the code makes; one thread, no accelerator."""
    tests = Path(__file__).resolve().parents[1]
    ended = subprocess.run(
        [sys.executable, "-c", f"from support.soak import *\n{code}\nprint_all(found)"],
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join([str(tests.parent), str(tests)]),
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
        },
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    return [Held(**each) for each in json.loads(ended.stdout.splitlines()[-1])]


def print_all(found: list[Held]) -> None:
    """For :func:`soaked`."""
    print(json.dumps([asdict(each) for each in found]))
