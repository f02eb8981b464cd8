"""The rows of the ablation table: what is trained, or left untrained, on one set of frozen tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from mswin_viz.errors import OptionError
from mswin_viz.model.addon.own import AddonSource
from mswin_viz.model.training.heads import (
    Head,
    addon_head,
    cls_control,
    mean_patch_control,
    n_parameters,
    scheme_2_head,
    window_head,
)

PLAIN = "plain_cls"
"""Name of the row without any head."""
OWN, OWN_CONTROL = "own_module", "own_module_control"
"""Names of the rows of a user's module and of its control."""
CONTROLS = ("mlp_on_cls", "mlp_on_mean_patch")
"""Heads of the windows' size that see no windows."""
_WORDS = {
    PLAIN: "plain CLS",
    "scheme_2": "scheme 2, all scales",
    "untrained_random": "untrained, random initialisation",
    "untrained_mean": "untrained, mean initialisation",
    "mlp_on_cls": "control: MLP on CLS",
    "mlp_on_mean_patch": "control: MLP on the mean patch",
}


@dataclass(frozen=True)
class HeadRow:
    """One way to change the CLS token: ``make(seed)`` gives a head with its initial weights.

    An untrained head is measured as it is made. ``whole_tokens``: it needs every patch token; for windows of scheme 1
    fewer are enough (see `phase_means`). ``words``: as the table prints it, where its name does not tell.
    """

    name: str
    make: Callable[[int], Head]
    is_trained: bool = True
    whole_tokens: bool = False
    words: str = ""


def head_rows(dim: int, scales: Sequence[int], *, only: Sequence[str] | None = None) -> tuple[HeadRow, ...]:
    """Every row but plain CLS: single scales, pairs, all; mean and no training; scheme 2; controls.

    Each subset of the scales is a row. The controls have as many parameters as all scales together. ``only`` names
    rows to keep; raises OptionError if there is no row of a given name.
    """
    rows = [_windows(dim, subset) for n in range(1, len(scales) + 1) for subset in combinations(scales, n)]
    size = n_parameters(window_head(dim, scales))
    rows += [
        HeadRow(f"{windows_name(scales)}_from_mean", lambda seed: window_head(dim, scales, seed=seed, init="mean")),
        HeadRow("scheme_2", lambda seed: scheme_2_head(dim, scales, seed=seed), whole_tokens=True),
        HeadRow("untrained_random", lambda seed: window_head(dim, scales, seed=seed), is_trained=False),
        HeadRow("untrained_mean", lambda seed: window_head(dim, scales, seed=seed, init="mean"), is_trained=False),
        HeadRow("mlp_on_cls", lambda seed: cls_control(dim, size, seed=seed)),
        HeadRow("mlp_on_mean_patch", lambda seed: mean_patch_control(dim, size, seed=seed)),
    ]  # fmt: skip
    known = [row.name for row in rows]
    unknown = [name for name in only or () if name not in known]
    if unknown:
        raise OptionError(
            f"rows must be among {', '.join(known)} (plain CLS is always there): got "
            f"{', '.join(map(repr, unknown))}; choose from these"
        )
    return tuple(row for row in rows if only is None or row.name in only)


def own_rows(source: AddonSource, dim: int, n_tokens: int) -> tuple[HeadRow, ...]:
    """A user's module, and a control of its size without windows: an MLP on the mean patch.

    Where no MLP is as small as the module, the smallest is taken. A module without a weight to train is measured as it
    is, alone. Raises OptionError if it does not fit the tokens.
    """

    def make(seed: int) -> Head:
        return addon_head(source, dim, n_tokens, seed=seed)

    head = make(0)
    words, size = type(getattr(head.body, "module", head.body)).__name__, n_parameters(head)
    if not any(weight.requires_grad for weight in head.parameters()):
        return (HeadRow(OWN, make, is_trained=False, whole_tokens=True, words=words),)
    least = 3 * dim + 1
    control = f"as large as {words}" if size >= least else f"the smallest, larger than {words}"
    return (
        HeadRow(OWN, make, whole_tokens=True, words=words),
        HeadRow(
            OWN_CONTROL,
            lambda seed: mean_patch_control(dim, max(size, least), seed=seed),
            words=f"control: MLP on the mean patch, {control}",
        ),
    )


def windows_name(scales: Sequence[int]) -> str:
    """Name of the row of a scheme-1 add-on with these scales."""
    return f"windows_{'_'.join(map(str, scales))}"


def windows_against_controls(scales: Sequence[int]) -> tuple[str, ...]:
    """The rows that answer whether the windows help: all of them, and the heads of their size without windows."""
    return (windows_name(scales), *CONTROLS)


def row_words(name: str) -> str:
    """A row's name as the table prints it."""
    if name in _WORDS:
        return _WORDS[name]
    words = f"windows {' + '.join(part for part in name.split('_') if part.isdigit())}"
    return f"{words}, trained from the mean" if name.endswith("_from_mean") else words


def _windows(dim: int, scales: Sequence[int]) -> HeadRow:
    return HeadRow(windows_name(scales), lambda seed: window_head(dim, scales, seed=seed))
