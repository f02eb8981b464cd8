"""One training of a head: its steps, its best weights, and the file to resume it from."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError, ShapeError
from mswin_viz.model.tokens.tokens import Tokens
from mswin_viz.model.training.heads import Head, seeded
from mswin_viz.model.training.losses import ReidLoss
from mswin_viz.model.training.run_state import RunState, check_steps, stored_generator, training_identity
from mswin_viz.model.training.token_store import TokenView
from mswin_viz.model.training.training_state import (
    REMEDY,
    check_finite,
    check_optimiser,
    check_tensors,
    n_bytes,
    read_state,
    resume_optimiser,
    write_state,
)

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_DRAWS_STREAM = 2_000_003
_CLASSIFIER_STREAM = 1_000_003  # so that the classifier is not drawn from the numbers the head was drawn from


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

    Raises
    ------
    OptionError
        If a number is not positive.

    Examples
    --------
    >>> mv.Schedule()
    Schedule(steps=300, learning_rate=0.00035, check_every=25, patience=6)
    >>> mv.Schedule(steps=50, check_every=10, patience=2).learning_rate
    0.00035
    """

    steps: int = 300
    learning_rate: float = 3.5e-4
    check_every: int = 25
    patience: int = 6

    def __post_init__(self) -> None:
        if min(self.steps, self.check_every, self.patience) < 1 or not 0 < self.learning_rate < math.inf:
            raise OptionError(f"every number of a schedule must be positive: got {self}; correct them")


@dataclass(frozen=True)
class TrainingStep:
    """A step of a training that is done, of so many in all; ``score`` is None except at validations."""

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
    """A training under way: it owns the optimiser and the weights being changed. Parameters as of `fit.train_head`."""

    def __init__(
        self,
        tokens: Tokens | TokenView,
        pids: Sequence[int] | np.ndarray,
        head: Head,
        *,
        seed: int,
        schedule: Schedule,
    ) -> None:
        self.labels = _labels(pids, len(tokens))
        self.tokens, self.head, self.schedule = tokens, head, schedule
        self.losses: list[float] = []
        self.checks: list[tuple[int, float]] = []
        self._best: dict[str, torch.Tensor] | None = None
        self._seed, self._rng = seed, np.random.default_rng(seed)
        if not any(weight.requires_grad for weight in head.parameters()):
            raise OptionError(
                f"a training changes weights: got {type(head.body).__name__}, whose {counted(len(list(head.parameters())), 'parameters need', 'parameter needs')} "
                "no gradient; thaw them with requires_grad_(True), or measure it untrained"
            )
        no_tensor = next((k for k, v in head.state_dict().items() if not isinstance(v, torch.Tensor)), None)
        if no_tensor is not None:
            raise OptionError(
                f"a trained module is kept as tensors: got {type(head.body).__name__}, whose state dict holds more at "
                f"{no_tensor}; make it a buffer, or a number of the class"
            )
        placed, dim = next(head.parameters()).device, tokens.cls.shape[1] + head.n_behind
        device = self._device = tokens.cls.device if placed.type == "cpu" else placed
        with seeded(seed + _CLASSIFIER_STREAM):
            self._loss = ReidLoss(dim, int(self.labels.max()) + 1).to(device)
        self._identity = training_identity(
            tokens, self.labels, head, seed=seed, schedule=json.dumps(asdict(schedule))
        )
        head.to(device).train()
        self._optimiser = torch.optim.AdamW(
            [*head.parameters(), *self._loss.parameters()], lr=schedule.learning_rate, weight_decay=1e-2,
            fused=device.type in ("cpu", "cuda") and not any(map(torch.is_complex, head.parameters())),  # twice as fast
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
        with seeded(
            self._seed + _DRAWS_STREAM + self.step
        ):  # of Dropout, so that a resumed training goes on alike
            features = self.head.features(batch)
        loss = self._loss(features, target)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise OptionError(
                f"a training needs a finite loss: got {value} at step {self.step + 1}; lower the learning rate, or look "
                "for values in the tokens that are not finite"
            )
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()
        self.losses.append(value)
        return self.losses[-1]

    def note(self, score: float) -> None:
        """Keep a validation, and the weights if it is the best so far."""
        if self.best is None or score > self.best[1]:
            self._best = copy.deepcopy(self.head.state_dict())
        self.checks.append((self.step, score))

    def check_finite(self) -> None:
        """Refuse a training whose last step left numbers that are not finite; its loss shows that one step later."""
        check_finite(self._trained(), step=self.step)

    def _trained(self) -> dict[str, Any]:
        """All that steps change."""
        parts = {"head": self.head, "loss": self._loss, "optimiser": self._optimiser}
        return {name: part.state_dict() for name, part in parts.items()}

    def finish(self) -> TrainingLog:
        """Put the best weights in place; how it went."""
        if self._best is not None:
            self.head.load_state_dict(self._best)
        self.head.eval()
        steps, scores = zip(*self.checks, strict=True) if self.checks else ((), ())
        return TrainingLog(
            losses=np.array(self.losses),
            checked=np.array(steps, dtype=int),
            scores=np.array(scores, dtype=float),
            best_step=self.best[0] if self.best else self.step,
            stopped_early=self.step < self.schedule.steps,
        )

    def save(self, path: Path) -> None:
        """Write everything that decides how it goes on; a file is replaced only by a whole one."""
        state = {
            "training": self._identity, **self._trained(), "rng": json.dumps(self._rng.bit_generator.state),
            "losses": self.losses, "checks": self.checks, "best": self._best,
        }  # fmt: skip
        write_state(path, state)

    def restore(self, path: Path) -> None:
        """Go on from a saved state; nothing is changed unless all of it fits.

        OptionError for the state of another training (tokens, identities, head, seed or schedule), WeightsError for a
        damaged file.
        """
        most = 6 * n_bytes(self.head, self._loss)  # weights, the best ones, two moments
        state = read_state(path, RunState, most_bytes=most, most_numbers=4 * self.schedule.steps)
        theirs = state.training.model_dump()
        differing = [name for name, value in self._identity.items() if theirs[name] != value]
        if differing:
            raise OptionError(
                f"a state belongs to one training: {path} is of another ({', '.join(differing)} differ); {REMEDY}"
            )
        generator = stored_generator(path, state)
        check_steps(path, state, steps=self.schedule.steps)
        for name, module in (("head", self.head), ("loss", self._loss), ("best", self.head)):
            if getattr(state, name) is not None:
                check_tensors(path, getattr(state, name), module.state_dict(), name)
        check_optimiser(path, state.optimiser, self._optimiser, steps=len(state.losses))
        self.head.load_state_dict(state.head)
        self._loss.load_state_dict(state.loss)
        resume_optimiser(self._optimiser, state.optimiser)
        self._rng.bit_generator.state = generator
        self.losses, self.checks, self._best = state.losses, state.checks, state.best


def identity_batch(labels: Int[np.ndarray, " image"], rng: np.random.Generator) -> Int[np.ndarray, " chosen"]:
    """Indices of up to 16 identities x 4 images; identities with a single image, and labels of -1, are left out.

    Unlike MPerClassSampler of pytorch-metric-learning, the seed decides, and no image is in a batch twice.
    """
    counts = np.bincount(labels[labels >= 0])
    usable = np.flatnonzero(counts > 1)
    shots = [
        rng.choice(np.flatnonzero(labels == identity), size=min(4, counts[identity]), replace=False)
        for identity in rng.choice(usable, size=min(16, len(usable)), replace=False)
    ]
    return np.concatenate(shots)


def _labels(pids: Sequence[int] | np.ndarray, n_images: int) -> Int[np.ndarray, " image"]:
    """Identities numbered from 0; -1 for images of unknown identity, which are left out."""
    if len(pids) != n_images:
        raise ShapeError(
            f"every image needs one pid: got {counted(len(pids), 'pids')} for {counted(n_images, 'images')}"
        )
    numbers, labels = np.asarray(pids), np.full(n_images, -1)
    if numbers.dtype.kind == "O" and not any(isinstance(pid, str) for pid in numbers.tolist()):
        numbers = numbers.astype(float)  # None becomes NaN
    known = numbers >= 0 if numbers.dtype.kind in "iuf" else np.full(n_images, True)
    _, labels[known], counts = np.unique(numbers[known], return_inverse=True, return_counts=True)
    if (n_usable := (counts > 1).sum()) < 2:
        raise OptionError(
            f"training needs at least two identities with two images each: got {n_usable} among {counted(len(counts), 'identities')}"
        )
    return labels
