"""Warnings about a set of pictures: damaged files, distorted shapes, deep images with few grey levels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mswin_viz.data.images.deep_images import DeepRange, Levels, range_words, rule_words
from mswin_viz.data.shown_text import counted, n_of

_STRONG = 2.0  # the factor by which an aspect ratio changes above which it counts as strongly distorted
_FEW_LEVELS = 32
_MOSTLY_OUTSIDE = 0.9


class PictureFacts(NamedTuple):
    """One picture before it is resized, and what is wrong with its file although it could be read."""

    name: str  # its file, or what it is
    size: tuple[int, int]  # width and height, pixels, upright
    levels: Levels | None  # of an image of more than 8 bits
    remarks: tuple[str, ...] = ()


def picture_notes(
    facts: Sequence[PictureFacts],
    image_size: tuple[int, int],
    *,
    stretches: bool,
    deep_range: DeepRange | None,
    is_fixed: bool = False,
    even_of_one: bool = False,
) -> tuple[str, ...]:
    """Sentences about a set of pictures, with counts; none if all is well.

    Parameters
    ----------
    image_size
        The model's input, ``(height, width)``.
    stretches
        Whether every picture is resized to exactly that size, whatever its shape.
    deep_range
        Range of images of more than 8 bits; None for percentiles of each.
    is_fixed
        Whether a run's configuration sets the size, so that no other can be chosen.
    even_of_one
        Whether to mention the shape of a single picture too.
    """
    is_told = stretches and len(facts) > (0 if even_of_one else 1)
    notes = (
        _damage_note(facts),
        _shape_note(facts, image_size, is_fixed) if is_told else "",
        _level_note(facts, deep_range),
        "" if deep_range else _stretch_note(facts),
    )
    return tuple(note for note in notes if note)


def warn_of(notes: Sequence[str]) -> None:
    """One warning for each note, attributed to the caller's caller."""
    for note in notes:
        warnings.warn(note, stacklevel=3)


def _damage_note(facts: Sequence[PictureFacts]) -> str:
    damaged = [fact for fact in facts if fact.remarks]
    n = len(damaged)
    if n == 0:
        return ""
    return (
        f"{n_of(n, len(facts), 'image files')} {'is' if n == 1 else 'are'} damaged though {'its picture' if n == 1 else 'their pictures'} could be read (first: "
        f"{damaged[0].name}: {damaged[0].remarks[0]}); `mswin-viz doctor --data FOLDER` lists {'it' if n == 1 else 'them'}"
    )


def _shape_note(facts: Sequence[PictureFacts], image_size: tuple[int, int], is_fixed: bool) -> str:
    (height, width), n_all = image_size, len(facts)
    factors = [_factor(fact.size, image_size) for fact in facts]
    n_strong = sum(factor > _STRONG for factor in factors)
    n_across = sum((height - width) * (fact.size[1] - fact.size[0]) < 0 for fact in facts)
    is_transposed = 2 * n_across > n_all > 1
    remarks = []
    if n_strong == n_all == 1:
        remarks.append(
            f"{facts[0].name} is strongly distorted: resizing it from {facts[0].size[1]}x{facts[0].size[0]} to the input "
            f"of {height}x{width} (height x width) changes its aspect ratio {factors[0]:.1f} times"
        )
    elif n_strong:
        most = facts[int(np.argmax(factors))]
        remarks.append(
            f"{n_of(n_strong, n_all, 'images')} {'is' if n_strong == 1 else 'are'} strongly distorted: resizing {'it' if n_strong == 1 else 'them'} to the input of {height}x{width} "
            f"(height x width) changes {'its' if n_strong == 1 else 'their'} aspect ratio more than {_STRONG:g} times (most of all {most.name}, "
            f"{most.size[1]} high and {most.size[0]} wide)"
        )
    if is_transposed:
        turned, across = (
            f"({width}, {height})",
            f"{n_of(n_across, n_all, 'images')} {'lies' if n_across == 1 else 'lie'} across the input of",
        )
        remarks.append(
            f"{across} {height}x{width} (height x width), which the run's configuration sets: these images are "
            f"probably not of the kind it was trained on; use a model whose configuration has INPUT.SIZE_TEST {turned}"
            if is_fixed
            else f"{across} {height}x{width} (height x width), which is probably transposed: load the model with "
            f"image_size={turned}"
        )
    return "; ".join(remarks)


def _factor(size: tuple[int, int], image_size: tuple[int, int]) -> float:
    """By how much a resize changes the aspect ratio, at least 1."""
    ratio = (size[0] / size[1]) * (image_size[0] / image_size[1])
    return max(ratio, 1 / ratio)


def _deep(facts: Sequence[PictureFacts]) -> list[tuple[str, Levels]]:
    """Name and levels of the images of more than 8 bits."""
    return [(fact.name, fact.levels) for fact in facts if fact.levels is not None]


def _level_note(facts: Sequence[PictureFacts], deep_range: DeepRange | None) -> str:
    deep = _deep(facts)
    few = [one for one in deep if one[1].count < _FEW_LEVELS]
    cut_off = [one for one in deep if one[1].outside > _MOSTLY_OUTSIDE]
    remarks = []
    if few:
        name, levels = min(few, key=lambda one: one[1].count)
        remarks.append(
            f"{len(few)} of {len(deep)} {'keeps' if len(few) == 1 else 'keep'} fewer than {_FEW_LEVELS} grey levels (fewest: "
            f"{levels.count} in {_with_extent(name, levels)})"
        )
    if cut_off:
        verb, whose = ("has", "its") if len(cut_off) == 1 else ("have", "their")
        worst = max(cut_off, key=lambda one: one[1].outside)
        remarks.append(
            f"{len(cut_off)} of {len(deep)} {verb} more than {_MOSTLY_OUTSIDE:.0%} of {whose} pixels outside the range "
            f"(most: {_with_extent(*worst)})"
        )
    if not remarks:
        return ""
    n_colour = sum(levels.is_of_colour for _, levels in few)
    rule = f"images of more than 8 bits ({rule_words(deep_range)})"
    return f"{rule}: {'; '.join(remarks)}; {_advice(len(few) - n_colour, n_colour, deep_range)}"


def _stretch_note(facts: Sequence[PictureFacts]) -> str:
    """What several images lose if each is stretched by itself."""
    n_stretched = sum(not levels.is_of_colour for _, levels in _deep(facts))
    if n_stretched < 2:
        return ""
    return (
        f"{counted(n_stretched, 'images')} of more than 8 bits are stretched one by one ({rule_words(None)}), so the same "
        "temperature is a different grey in each, and retrieval suffers; load the model with thermal_range=(lo, hi) in "
        "the units of the files (mv.thermal_range(samples) finds it)"
    )


def _with_extent(name: str, levels: Levels) -> str:
    if levels.is_of_colour:
        return f"{name}, a colour file of which the upper 8 bits are read"
    return f"{name}, which holds {levels.low:.15g}..{levels.high:.15g}"


def _advice(n_grey: int, n_colour: int, deep_range: DeepRange | None) -> str:
    """What to do, depending on the cause."""
    advice = []
    if deep_range is not None and (n_grey or not n_colour):
        advice.append(
            f"choose a thermal_range closer to what the files hold than {range_words(deep_range)}, or leave it out "
            "to stretch each image by itself"
        )
    elif n_grey:
        advice.append("the files themselves hold few different values: check how they were written")
    if n_colour:
        advice.append("save these colour files as one grey channel of 16 bits, of which every bit is read")
    return "; ".join(advice)
