"""What became of every key of a weight file: used, unused and why, missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch

from mswin_viz.data.shown_text import counted, short_text
from mswin_viz.errors import WeightsError

_SHOWN = 8


@dataclass(frozen=True, eq=False)
class LoadReport:
    """Every key of a weight file, and every key it should have had.

    Attributes
    ----------
    file
        Its name.
    used
        Keys whose tensors are in the model.
    unused
        Key -> why it is not used.
    missing
        Keys of the architecture that the file lacks and the model does without: the text side of image towers. Any
        other missing key is an error.
    reading
        How the keys were found: the entry of the file that was read, prefixes removed, whose keys they are.

    Examples
    --------
    >>> import warnings
    >>> torch.save(model.clip.state_dict(), "clip.pt")
    >>> with warnings.catch_warnings():  # a plain file does not say how its pixels are normalised
    ...     warnings.simplefilter("ignore")
    ...     report = mv.load_model("clip.pt").load_report
    >>> print(report.summary)
    122 keys used, none unused, none missing
    """

    file: str
    used: tuple[str, ...]
    unused: Mapping[str, str]
    missing: tuple[str, ...] = ()
    reading: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "unused", MappingProxyType(dict(self.unused)))

    def taken(self, keys: Iterable[str]) -> LoadReport:
        """The same report after more of the file's keys were used."""
        new = set(keys) & set(self.unused)
        rest = {key: why for key, why in self.unused.items() if key not in new}
        return replace(self, used=(*self.used, *sorted(new)), unused=rest)

    @property
    def reasons(self) -> dict[str, tuple[str, ...]]:
        """Reason -> the keys that are unused for it."""
        keys_by_reason: dict[str, list[str]] = {}
        for key, why in self.unused.items():
            keys_by_reason.setdefault(why, []).append(key)
        return {why: tuple(keys) for why, keys in keys_by_reason.items()}

    @property
    def summary(self) -> str:
        """Counts in one line, with the first words of each reason."""
        counts: Counter[str] = Counter(why.partition(":")[0] for why in self.unused.values())
        why = ", ".join(f"{count} {reason}" for reason, count in counts.items())
        unused = f"{len(self.unused)} unused ({why})" if self.unused else "none unused"
        missing = f"{len(self.missing)} of the text side missing" if self.missing else "none missing"
        return ", ".join([f"{counted(len(self.used), 'keys')} used", unused, missing, *self.reading])

    def __str__(self) -> str:
        lines = [f"{self.file}: {counted(len(self.used), 'keys')} used", *self.reading]
        for why, keys in self.reasons.items():
            lines += [f"unused, {why}: {len(keys)}", *(f"  {key}" for key in keys)]
        text_side = " (of the text side; images do not need them)" if self.missing else ""
        lines += [f"missing: {len(self.missing)}{text_side}", *(f"  {key}" for key in self.missing)]
        return "\n".join([*lines, f"used: {len(self.used)}", *(f"  {key}" for key in self.used)])


def checked_fit(
    wanted: Mapping[str, Sequence[int]],
    state: Mapping[str, torch.Tensor],
    rule: str,
    *,
    unexpected: Iterable[str] = (),
    whole: Collection[str] = (),
) -> None:
    """Compare keys, shapes and kinds of tensor with those wanted; WeightsError says ``rule`` and the first problems.

    Keys that are ``whole`` hold whole numbers or truth values, as counters and masks do.
    """
    if problems := fit_problems(wanted, state, unexpected=unexpected, whole=whole):
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise WeightsError(f"{rule}: {'; '.join(problems[:_SHOWN])}{more}")


def fit_problems(
    wanted: Mapping[str, Sequence[int]],
    state: Mapping[str, torch.Tensor],
    *,
    unexpected: Iterable[str] = (),
    whole: Collection[str] = (),
) -> list[str]:
    """What :func:`checked_fit` refuses, one phrase for each key."""
    problems = [f"missing {key}" for key in wanted if key not in state]
    problems += [f"unexpected {short_text(key, 120)}" for key in unexpected]
    for key, shape in wanted.items():
        if key in state:
            problems += _problems(key, state[key], tuple(shape), is_whole=key in whole)
    return problems


def _problems(key: str, value: torch.Tensor, shape: tuple[int, ...], *, is_whole: bool) -> list[str]:
    if tuple(value.shape) != shape:
        return [f"{key} is {tuple(value.shape)}, not {shape}"]
    kind = str(value.dtype).removeprefix("torch.")
    if is_whole:
        is_right = not (value.is_floating_point() or value.is_complex())
        return [] if is_right else [f"{key} holds {kind} values, not whole numbers"]
    if not value.is_floating_point():
        return [f"{key} holds {kind} values, not floating-point ones"]
    return [] if _is_finite(value) else [f"{key} holds NaN or infinite values"]


def _is_finite(value: torch.Tensor) -> bool:
    """Whether no value is NaN or infinite; by the extremes, which is 30 times as fast as looking at each."""
    return not value.numel() or all(bool(extreme.isfinite()) for extreme in value.aminmax())
