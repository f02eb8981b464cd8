"""What decides the embedded CLIP, beside the code: its architecture, data, schedules and seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError

CLIP_CONFIG = {
    "embed_dim": 512,
    "vision_cfg": {"image_size": [256, 128], "layers": 6, "width": 192, "head_width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 128, "heads": 4, "layers": 3},
}
"""open_clip model configuration of the embedded model (GELU)."""


@dataclass(frozen=True)
class Cycle:
    """A stretch of the training with a learning rate that warms up and falls to zero (Loshchilov & Hutter 2017).

    Attributes
    ----------
    learning_rate
        At the end of the warm-up.
    patch_dropout
        ``(until this fraction of the cycle's steps, share of patch tokens dropped)`` pairs.
    local
        Weight of what single patches are asked for (`model.local_supervision`); 0 for nothing.
    """

    steps: int
    learning_rate: float
    patch_dropout: tuple[tuple[float, float], ...]
    local: float = 0.0


@dataclass(frozen=True)
class Recipe:
    """What decides the weights, beside the code. Steps, not wall time, drive every schedule.

    Attributes
    ----------
    first_pid
        Training people are ``first_pid .. first_pid + identities - 1`` of world ``seed``.
    cycles
        Run one after the other.
    precision
        ``"float32"``, or ``"bfloat16"`` for mixed precision (faster where the processor has bfloat16 units, much
        slower where it has not).
    """

    seed: int = 20_000
    first_pid: int = 0
    identities: int = 2000
    shots: int = 8
    people_per_step: int = 16
    cycles: tuple[Cycle, ...] = (
        Cycle(3000, 8e-4, ((0.75, 0.6), (0.92, 0.35), (1.01, 0.0))),
        Cycle(3000, 6e-4, ((0.533, 0.6), (0.88, 0.35), (1.01, 0.0)), local=1.0),
    )
    weight_decay: float = 0.05
    warmup_steps: int = 40
    checkpoint_every: int = 100
    precision: str = "bfloat16"

    def __post_init__(self) -> None:
        if self.precision not in ("float32", "bfloat16"):
            raise OptionError(f"precision must be float32 or bfloat16: got {self.precision!r}; choose one")

    @property
    def steps(self) -> int:
        """Of all cycles."""
        return sum(cycle.steps for cycle in self.cycles)

    def scaled(self, steps: int) -> Recipe:
        """The recipe with about ``steps`` steps in all, each cycle keeping its share of them."""
        share = steps / self.steps
        cycles = (replace(cycle, steps=max(1, round(cycle.steps * share))) for cycle in self.cycles)
        return replace(self, cycles=tuple(cycles))

    def cycle_at(self, step: int) -> tuple[Cycle, int]:
        """The cycle that a step belongs to, and the step's number in it."""
        for cycle in self.cycles:
            if step < cycle.steps:
                return cycle, step
            step -= cycle.steps
        raise OptionError(
            f"the recipe has {counted(self.steps, 'steps')}, counted from 0: got one {step} past the end"
        )

    def dropout_at(self, step: int) -> float:
        """Share of patch tokens dropped at a step."""
        cycle, step = self.cycle_at(step)
        return next(share for until, share in cycle.patch_dropout if step < until * cycle.steps)

    def rate_at(self, step: int) -> float:
        """Learning rate at a step: linear warm-up, then cosine to zero, in each cycle."""
        cycle, step = self.cycle_at(step)
        warm = min(1.0, (step + 1) / self.warmup_steps)
        return cycle.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / cycle.steps))
