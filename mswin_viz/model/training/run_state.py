"""What the state file of a head's training holds, and whose training it is of."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from mswin_viz.data.shown_text import counted
from mswin_viz.data.storage.stored_records import StoredRecord, checked, json_value
from mswin_viz.errors import WeightsError
from mswin_viz.model.addon.own import Addon
from mswin_viz.model.tokens.tokens import Tokens
from mswin_viz.model.training.heads import Head
from mswin_viz.model.training.token_store import TokenView
from mswin_viz.model.training.training_state import REMEDY, PlainTensor, TrainingState, named_state, refusal

if TYPE_CHECKING:
    from jaxtyping import Int


class _Identity(StoredRecord):
    """What makes a training this one and no other: digests, and settings as JSON."""

    tokens: str
    identities: str
    head: str
    seed: int
    schedule: str


class _Numbers(StoredRecord):
    """Of the generator PCG64."""

    state: Annotated[int, Field(ge=0, lt=2**128)]
    inc: Annotated[int, Field(ge=1, lt=2**128)]


class _Generator(StoredRecord):
    """State of NumPy's default generator."""

    bit_generator: Literal["PCG64"]
    state: _Numbers
    has_uint32: Annotated[int, Field(ge=0, le=1)]
    uinteger: Annotated[int, Field(ge=0, lt=2**32)]


class RunState(TrainingState):
    """All that decides how a training goes on."""

    training: _Identity
    head: dict[str, PlainTensor]
    loss: dict[str, PlainTensor]
    rng: Annotated[str, Field(max_length=1000)]
    losses: Annotated[list[float], Field(min_length=1)]
    checks: list[tuple[int, float]]
    best: dict[str, PlainTensor] | None


def stored_generator(path: Path, state: RunState) -> dict[str, Any]:
    """The state of the generator of random numbers; WeightsError if it is not one of NumPy's default generator."""
    options = {"what": f"rng of {named_state(path)}", "remedy": REMEDY, "error": WeightsError}
    return checked(_Generator, json_value(state.rng, **options), **options).model_dump()


def check_steps(path: Path, state: RunState, *, steps: int) -> None:
    """WeightsError if there are more steps than the schedule has, or validations at steps that were not done."""
    checked_at, done = [step for step, _ in state.checks], len(state.losses)
    in_order = checked_at == sorted({*checked_at}) and {*checked_at} <= {*range(1, done + 1)}
    if done > steps or not in_order or (state.best is None) != (not checked_at):
        raise refusal(path, f"its validations are not those of {done} of {counted(steps, 'steps')}")


def training_identity(
    tokens: Tokens | TokenView, labels: Int[np.ndarray, " image"], head: Head, **settings: Any
) -> dict[str, Any]:
    """What makes a training this one and no other; of its settings, the seed and the schedule."""
    shapes = {name: list(value.shape) for name, value in head.state_dict().items()}
    digests = {
        name: hashlib.blake2b(values.tobytes(), digest_size=16).hexdigest()
        for name, values in {"tokens": tokens.cls.detach().cpu().numpy(), "identities": labels}.items()
    }
    own = [head.body.words, head.body.combine] if isinstance(head.body, Addon) else []
    return {**digests, "head": json.dumps([head.reads, shapes, *own]), **settings}
