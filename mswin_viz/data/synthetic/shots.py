"""The conditions of a shot: view, pose, light and obstacles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mswin_viz.data.synthetic.draw_person import Pose
from mswin_viz.data.synthetic.identity import Identity
from mswin_viz.data.synthetic.scenery import CAMERAS, MARGIN
from mswin_viz.errors import OptionError

VIEWS = ("front", "back", "left", "right")


@dataclass(frozen=True)
class ShotConditions:
    """Everything about one shot that does not depend on who is in it."""

    pose: Pose
    shift: tuple[int, int]  # of the place, in pixels
    flip: bool
    obstacle: str
    gain: float
    cast: tuple[float, ...]  # gain of red, green and blue
    ambient: float  # warmth of the surroundings, relative
    grain: tuple[int, ...]  # where the noise begins, down and across


def check_shot(camera: int, shot: int) -> None:
    """Refuse a camera that does not exist, or a negative shot, with an `OptionError`."""
    if not 0 <= camera < len(CAMERAS):
        raise OptionError(f"camera must be 0 to {len(CAMERAS) - 1}: got {camera}; choose one of these")
    if shot < 0:
        raise OptionError(f"shot must be at least 0: got {shot}; choose a larger number")


def shot_rng(identity: Identity, camera: int, shot: int, seed: int, purpose: int) -> np.random.Generator:
    """Random numbers for one purpose in one shot, the same at every call."""
    return np.random.default_rng([seed, identity.pid, camera, shot, purpose])


def shot_conditions(identity: Identity, camera: int, shot: int, seed: int) -> ShotConditions:
    """The conditions of one shot of a person, the same at every call."""
    rng = shot_rng(identity, camera, shot, seed, 21)
    size = 256 * identity.height * rng.uniform(0.93, 1.05)
    top = float(np.clip(rng.normal(0.5, 0.12), 0.15, 0.85)) * max(256 - size - 10, 2) + 6
    pose = Pose(
        view=VIEWS[int(rng.integers(4))],
        x=64 + float(np.clip(rng.normal(0, 4), -9, 9)),
        top=top,
        size=min(size, 244.0),
        phase=float(rng.uniform(0, 2 * np.pi)),
    )
    draw = rng.random()
    obstacle = "none" if draw > 0.2 else ("post", "bin", "hedge", "person")[int(draw / 0.05) % 4]
    return ShotConditions(
        pose=pose,
        shift=(int(rng.integers(0, 2 * MARGIN + 1)), int(rng.integers(0, 2 * MARGIN + 1))),
        flip=bool(rng.random() < 0.5),
        obstacle=obstacle,
        gain=float(rng.uniform(0.88, 1.1)),
        cast=tuple(rng.normal(1, 0.015, 3)),
        ambient=float(rng.uniform(0.75, 1.3)),
        grain=tuple(int(value) for value in rng.integers(0, 380, 2)),
    )
