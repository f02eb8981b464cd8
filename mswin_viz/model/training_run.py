"""One training of a head: its steps, its best weights, and the file it can be taken up from."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import os
import pickle
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mswin_viz.errors import OptionError, ShapeError, WeightsError
from mswin_viz.model.heads import Head, seeded
from mswin_viz.model.losses import ReidLoss
from mswin_viz.model.token_shelf import TokenView
from mswin_viz.model.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float, Int

__all__ = ["Progress", "Run", "Schedule", "TrainingLog", "identity_batch"]

_CLASSIFIER_STREAM = 1_000_003  # so that the classifier is not drawn from the numbers the head was drawn from
_DAMAGED = (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, OSError)


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a head is trained.

    Attributes
    ----------
    steps
        Batches of up to 16 identities x 4 images.
    learning_rate
        Of AdamW at the first step; falls to zero along a cosine.
    check_every
        Steps between two validations, and between two saves of the state.
    patience
        Validations without a new best before training stops.
    """

    steps: int = 300
    learning_rate: float = 3.5e-4
    check_every: int = 25
    patience: int = 6

    def __post_init__(self) -> None:
        if min(self.steps, self.check_every, self.patience) < 1 or not 0 < self.learning_rate < math.inf:
            raise OptionError(f"a schedule is made of positive numbers: got {self}; correct them")


@dataclass(frozen=True)
class Progress:
    """What is known after a step; ``score`` is None except at validations."""

    step: int
    steps: int
    loss: float
    score: float | None


@dataclass(frozen=True, eq=False)
class TrainingLog:
    """How a training went.

    Attributes
    ----------
    losses
        Total loss at every step, ``[step]``.
    checked
        Steps at which it was validated, ``[check]``.
    scores
        Of the validations, ``[check]``.
    best_step
        The step whose weights were kept: that of the best score, the last one without validation.
    stopped_early
        Whether it ended before the schedule did.
    """

    losses: Float[np.ndarray, " step"]
    checked: Int[np.ndarray, " check"]
    scores: Float[np.ndarray, " check"]
    best_step: int
    stopped_early: bool


class Run:
    """A training under way. Mutable by nature: it owns the optimiser and the weights being changed.

    Parameters are those of `mswin_viz.model.training.train_head`.
    """

    def __init__(
        self, tokens: Tokens | TokenView, pids: Sequence[int], head: Head, *, seed: int, schedule: Schedule
    ) -> None:
        self.labels = _labels(pids, len(tokens))
        self.tokens, self.head, self.schedule = tokens, head, schedule
        self.losses: list[float] = []
        self.checks: list[tuple[int, float]] = []
        self._best: dict[str, torch.Tensor] | None = None
        self._rng = np.random.default_rng(seed)
        own, dim = next(head.parameters()).device, tokens.cls.shape[1]
        device = self._device = tokens.cls.device if own.type == "cpu" else own
        with seeded(seed + _CLASSIFIER_STREAM):
            self._loss = ReidLoss(dim, int(self.labels.max()) + 1).to(device)
        self._identity = _identity_of(tokens, self.labels, head, seed, schedule)
        head.to(device).train()
        self._optimiser = torch.optim.AdamW(
            [*head.parameters(), *self._loss.parameters()], lr=schedule.learning_rate, weight_decay=1e-2,
            fused=device.type in ("cpu", "cuda"),  # twice as fast a step on the CPU
        )  # fmt: skip

    @property
    def step(self) -> int:
        """Steps done."""
        return len(self.losses)

    @property
    def best(self) -> tuple[int, float] | None:
        """Step and score of the best validation, the first of equals."""
        return max(self.checks, key=lambda check: check[1]) if self.checks else None

    @property
    def finished(self) -> bool:
        """Whether the schedule, or the patience, is at its end."""
        late = [step for step, _ in self.checks if self.best is not None and step > self.best[0]]
        return self.step >= self.schedule.steps or len(late) >= self.schedule.patience

    def advance(self) -> float:
        """One batch; its loss."""
        fraction = 0.5 * (1 + math.cos(math.pi * self.step / self.schedule.steps))
        self._optimiser.param_groups[0]["lr"] = self.schedule.learning_rate * fraction
        chosen = identity_batch(self.labels, self._rng)
        batch = self.tokens[chosen.tolist()].to(self._device)
        target = torch.from_numpy(self.labels[chosen]).to(self._device)
        loss = self._loss(batch.plus(self.head(batch)), target)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()
        self.losses.append(float(loss.detach()))
        return self.losses[-1]

    def note(self, score: float) -> None:
        """Keep a validation, and the weights if it is the best so far."""
        if self.best is None or score > self.best[1]:
            self._best = copy.deepcopy(self.head.state_dict())
        self.checks.append((self.step, score))

    def finish(self) -> TrainingLog:
        """Put the best weights in place; how it went."""
        if self._best is not None:
            self.head.load_state_dict(self._best)
        self.head.eval()
        steps, scores = zip(*self.checks, strict=True) if self.checks else ((), ())
        return TrainingLog(
            np.array(self.losses),
            np.array(steps, dtype=int),
            np.array(scores, dtype=float),
            self.best[0] if self.best else self.step,
            self.step < self.schedule.steps,
        )

    def save(self, path: Path) -> None:
        """Write everything that decides how it goes on; a file is replaced only by a whole one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "training": self._identity, "head": self.head.state_dict(), "loss": self._loss.state_dict(),
            "optimiser": self._optimiser.state_dict(), "rng": json.dumps(self._rng.bit_generator.state),
            "losses": self.losses, "checks": self.checks, "best": self._best,
        }  # fmt: skip
        unfinished = path.with_name(f"{path.name}.unfinished")
        torch.save(state, unfinished)
        os.replace(unfinished, path)

    def restore(self, path: Path) -> None:
        """Go on from a saved state.

        Raises
        ------
        OptionError
            If it is the state of another training: other tokens, identities, head, seed or schedule.
        WeightsError
            If the file is damaged.
        """
        try:
            state: dict[str, Any] = torch.load(path, map_location=self._device, weights_only=True)
            theirs = state["training"]
        except _DAMAGED as problem:
            raise WeightsError(
                f"a training state must be whole: {path} cannot be read ({problem}); delete it to begin anew"
            ) from problem
        differing = [name for name, value in self._identity.items() if theirs.get(name) != value]
        if differing:
            raise OptionError(
                f"a state belongs to one training: {path} is of another ({', '.join(differing)} differ); delete it, "
                "or choose another file"
            )
        self.head.load_state_dict(state["head"])
        self._loss.load_state_dict(state["loss"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._rng.bit_generator.state = json.loads(state["rng"])
        self.losses, self._best = list(state["losses"]), state["best"]
        self.checks = [(int(step), float(score)) for step, score in state["checks"]]


def identity_batch(labels: Int[np.ndarray, " image"], rng: np.random.Generator) -> Int[np.ndarray, " chosen"]:
    """Indices of up to 16 identities x 4 images; identities with a single image, and labels of -1, are left out.

    pytorch-metric-learning's MPerClassSampler draws from NumPy's global generator and repeats images of
    identities with fewer than 4; here the seed decides, and an image is in a batch once.
    """
    counts = np.bincount(labels[labels >= 0])
    usable = np.flatnonzero(counts > 1)
    identities = rng.choice(usable, size=min(16, len(usable)), replace=False)
    shots = [
        rng.choice(np.flatnonzero(labels == i), size=min(4, counts[i]), replace=False) for i in identities
    ]
    return np.concatenate(shots)


def _labels(pids: Sequence[int], n_images: int) -> Int[np.ndarray, " image"]:
    if len(pids) != n_images:
        raise ShapeError(f"every image needs one pid: got {len(pids)} pids for {n_images} images")
    numbers, labels = np.asarray(pids), np.full(n_images, -1)
    if numbers.dtype.kind == "O" and not any(isinstance(pid, str) for pid in numbers.tolist()):
        numbers = numbers.astype(float)  # None becomes NaN
    known = (
        numbers >= 0 if numbers.dtype.kind in "iuf" else np.full(n_images, True)
    )  # unknown: nobody's, so left out
    _, labels[known], counts = np.unique(numbers[known], return_inverse=True, return_counts=True)
    if (counts > 1).sum() < 2:
        raise OptionError(
            "training needs at least two identities with two images each: got "
            f"{(counts > 1).sum()} such among {len(counts)} identities"
        )
    return labels


def _identity_of(
    tokens: Tokens | TokenView, labels: np.ndarray, head: Head, seed: int, schedule: Schedule
) -> dict[str, Any]:
    """What makes a training this one and no other."""
    content = hashlib.blake2b(tokens.cls.detach().cpu().numpy().tobytes(), digest_size=16)
    shapes = {name: list(value.shape) for name, value in head.state_dict().items()}
    return {
        "tokens": content.hexdigest(),
        "identities": hashlib.blake2b(labels.tobytes(), digest_size=16).hexdigest(),
        "head": json.dumps([head.reads, shapes]),
        "seed": seed,
        "schedule": json.dumps(asdict(schedule)),
    }
