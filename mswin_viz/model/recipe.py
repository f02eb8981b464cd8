"""What decides the embedded CLIP, beside the code: its architecture, data, schedules and seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["CLIP_CONFIG", "Recipe"]

CLIP_CONFIG = {
    "embed_dim": 512,
    "vision_cfg": {"image_size": [256, 128], "layers": 6, "width": 192, "head_width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 128, "heads": 4, "layers": 3},
}
"""open_clip model configuration of the embedded model (GELU)."""


@dataclass(frozen=True)
class Recipe:
    """What decides the weights, beside the code. Steps, not wall time, drive every schedule.

    Attributes
    ----------
    first_pid
        Training people are ``first_pid .. first_pid + identities - 1`` of world ``seed``.
    patch_dropout
        ``(until this fraction of the steps, share of patch tokens dropped)`` pairs.
    precision
        ``"float32"``, or ``"bfloat16"`` for mixed precision (faster where the processor has bfloat16 units, much
        slower where it has not).
    """

    seed: int = 20_000
    first_pid: int = 0
    identities: int = 2000
    shots: int = 8
    steps: int = 3000
    people_per_step: int = 16
    learning_rate: float = 8e-4
    weight_decay: float = 0.05
    warmup_steps: int = 40
    patch_dropout: tuple[tuple[float, float], ...] = ((0.75, 0.6), (0.92, 0.35), (1.01, 0.0))
    checkpoint_every: int = 100
    precision: str = "bfloat16"

    def dropout_at(self, step: int) -> float:
        """Share of patch tokens dropped at a step."""
        return next(share for until, share in self.patch_dropout if step < until * self.steps)

    def rate_at(self, step: int) -> float:
        """Learning rate at a step: linear warm-up, then cosine to zero."""
        warm = min(1.0, (step + 1) / self.warmup_steps)
        return self.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / self.steps))
