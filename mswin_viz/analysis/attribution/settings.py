"""How an attribution is computed: the numbers a method takes, batching, progress and stopping."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import torch
from tqdm import tqdm

from mswin_viz.analysis.arrays import check_counts
from mswin_viz.analysis.attribution.scored_inputs import ScoredInputs
from mswin_viz.data.options import options_of
from mswin_viz.data.progress import Progress, Report, Stop, progress_bar, reporter
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError, StoppedError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.block_outputs import n_blocks

if TYPE_CHECKING:
    import threading

_MOST_BYTES = 2**30
"""Never more than this for one batch: larger ones are no faster on a CPU."""
_ASSUMED_FREE = 2**31


@dataclass(frozen=True)
class Settings:
    """Options of :func:`mswin_viz.analysis.attribution.attribute.attribute`; each method uses some of them.

    Attributes
    ----------
    scale
        Tokens in a window, 1..N; for the window level.
    block
        Where tokens are taken: behind this block, 0 for the first; None for the tower's output.
    baseline
        What "absent" means (``BASELINES``), for integrated gradients and everything that takes things away.
    n_steps
        Of integrated gradients.
    n_samples
        Noisy copies of SmoothGrad; permutations of Shapley value sampling.
    noise
        Standard deviation of SmoothGrad's noise, as a fraction of an image's own range.
    occluder
        Side of the square that covers pixels in occlusion, at most the input's shorter side; None for the patch. It
        moves by half its side.
    first_block
        Of attention relevance: the first block that counts, from 0; -1 for the last alone.
    norm
        Of cosine targets: ``"frozen"`` at its value at the inputs, ``"recomputed"`` for what is scored, or
        ``"auto"``: frozen for gradients, as in exact shares, recomputed where something is taken away.
    seed
        Of noise and permutations.
    batch_rows
        Rows in one pass; None for as many as free memory suggests.
    report
        Called with the rows done, of how many.
    stop
        Once true, the work ends with ``StoppedError``.
    progress
        Show a bar.
    """

    scale: int | None = None
    block: int | None = None
    baseline: str = "zero"
    n_steps: int = 50
    n_samples: int = 25
    noise: float = 0.1
    occluder: int | None = None
    first_block: int = 0
    norm: str = "auto"
    seed: int = 0
    batch_rows: int | None = None
    report: Report | None = None
    stop: Stop | None = None
    progress: bool = False

    def __post_init__(self) -> None:
        counts = {name: getattr(self, name) for name in ("n_steps", "n_samples", "occluder", "batch_rows")}
        check_counts(1, **{name: count for name, count in counts.items() if count is not None})
        if not isinstance(self.noise, Real) or not 0 < self.noise < math.inf:
            raise OptionError(
                f"noise is a positive fraction of the input's range: got {self.noise!r}; try 0.1"
            )
        if self.norm not in ("auto", "frozen", "recomputed"):
            raise OptionError(f"norm is auto, frozen or recomputed: got {self.norm!r}")


class AttributionOptions(TypedDict, total=False):
    """Options of :func:`attribute` by keyword: the fields of :class:`Settings`."""

    scale: int | None
    block: int | None
    baseline: str
    n_steps: int
    n_samples: int
    noise: float
    occluder: int | None
    first_block: int
    norm: str
    seed: int
    batch_rows: int | None
    report: Callable[..., None] | None
    stop: Stop | None
    stopped: threading.Event | None
    progress: bool


def settings_of(options: AttributionOptions) -> Settings:
    """Settings from keyword arguments; an event ``stopped=``, which ``stop=`` replaces, is still taken."""
    named: dict[str, Any] = dict(options)
    if "stopped" in named:
        warnings.warn("stopped=event is now stop=event.is_set", DeprecationWarning, stacklevel=3)
        event = named.pop("stopped")
        named["stop"] = None if event is None else event.is_set
    named["report"] = reporter(named.get("report"))
    return options_of(Settings, named, function="attribute", also=("method", "level"))


@dataclass(eq=False)
class RowCounter:
    """Counts the rows of a score, up to ``total``, reports them, and ends the work when it is stopped."""

    total: int
    settings: Settings
    _done: int = 0
    _bar: tqdm = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._bar = progress_bar(
            total=self.total, desc="attributing", unit="row", disable=not self.settings.progress
        )

    def __call__(self, rows: int) -> None:
        """Note rows that are done."""
        self._done = min(self._done + rows, self.total)
        self._bar.update(self._done - self._bar.n)
        if self.settings.report is not None:
            self.settings.report(Progress(self._done, self.total, "attributing"))
        if self.settings.stop is not None and self.settings.stop():
            raise StoppedError(
                f"the attribution was stopped at {self._done} of {counted(self.total, 'rows')}, so it has no values"
            )

    def counted(self, score: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        """The same score, its rows counted."""

        def counting(x: torch.Tensor, *context: torch.Tensor) -> torch.Tensor:
            values = score(x, *context)
            self(len(x))
            return values

        return counting

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()


def rows_that_fit(scored: ScoredInputs, model: Model, settings: Settings | None = None) -> int:
    """How many rows go through the score in one pass, forward and backward, at least 1."""
    if settings is not None and settings.batch_rows is not None:
        return settings.batch_rows
    budget = min(_free_bytes(model.device) // 4, _MOST_BYTES)
    return max(1, budget // _bytes_of_a_row(scored, model))


def _bytes_of_a_row(scored: ScoredInputs, model: Model) -> int:
    """Roughly what autograd keeps for one image: about 30 activations a token and block, and the attention."""
    at_entry = 6 * 4 * scored.inputs[0].numel()
    if scored.level.is_at_output:
        return at_entry
    transformer: Any = model.clip.visual.transformer  # open_clip's towers share no type that says so
    n_tokens, depth = 1 + scored.grid[0] * scored.grid[1], n_blocks(model)
    heads = transformer.resblocks[0].attn.num_heads
    return at_entry + 4 * depth * n_tokens * (30 * transformer.width + 2 * heads * n_tokens)


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return _ASSUMED_FREE
