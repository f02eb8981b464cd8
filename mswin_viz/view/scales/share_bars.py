"""The numbers beside the heatmaps, as plain HTML with no script: shares, scores, windows in words, provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mswin_viz.analysis.scales.inspection import WindowInspection, inspected_window
from mswin_viz.analysis.shares.slots import Slot
from mswin_viz.analysis.shares.waterfall import Waterfall, cosine_waterfall
from mswin_viz.data.shown_text import counted, n_of
from mswin_viz.errors import MswinVizError
from mswin_viz.view.parts.html import weight_html
from mswin_viz.view.parts.waterfall import Bar, cls_bars, waterfall_bars, waterfall_html, waterfall_words
from mswin_viz.view.scales.result_cache import ExplorerResult
from mswin_viz.view.widgets.glossary import TERMS
from mswin_viz.view.widgets.guarded import problem_words
from mswin_viz.view.widgets.labels import NO_ADDON, PARTS, VALUES, slot_name
from mswin_viz.view.widgets.markup import CELL, COLUMNS, FONT, NOTE, Markup, fragment, message_html, tag

if TYPE_CHECKING:
    from jaxtyping import Float

_LABEL = 118  # width of a bar's label, CSS pixels
_COLUMNS = {"share": "share", "share of the norm": "", "net push": "push", "change when removed": "removal"}
"""Term -> the value it is, if a panel may show it."""
_PATCH = "All of these are of the patch token as the add-on reads it, wherever it does."
_NAME = {"text-align": "left", "padding-right": "10px"}


def share_rows(result: ExplorerResult, image: int = 0) -> list[tuple[str, float]]:
    """Label and share of the CLS, each slot or the tokens, and the biases of one image; they add up to the cosine.

    Tokens outside the windows and the unexplained part have rows where they are not zero.
    """
    found = waterfall_of(result, image)
    return [(PARTS["cls"], found.cls), *((step.name or PARTS[step.kind], step.value) for step in found.parts)]


def waterfall_of(result: ExplorerResult, image: int = 0) -> Waterfall:
    """From the plain cosine of one image to its enhanced one; in a pair, from the cosine of both plain ones."""
    names = [_slot_label(result, slot) for slot in result.view.slots]
    plain, pair = (
        float(result.view.plain_cosine[image]),
        _plain_similarity(result) if result.is_pair else None,
    )
    return cosine_waterfall(result.view.cosine, image, names, plain, pair=pair)


def bars_of(result: ExplorerResult, image: int = 0) -> list[Bar]:
    """The waterfall of one image as bars; without an add-on, what the CLS share is made of once it is split."""
    found, of_cls = waterfall_of(result, image), cls_rows(result, image)
    if result.has_addon:
        return waterfall_bars(found, of_cls)
    return cls_bars(found.cls, of_cls) if of_cls else []


def sums_of(result: ExplorerResult, image: int = 0) -> str:
    """The same in a sentence."""
    return waterfall_words(waterfall_of(result, image)) if result.has_addon else NO_ADDON


def cls_rows(result: ExplorerResult, image: int = 0) -> list[tuple[str, float]]:
    """Label and share of each part of one image's CLS share; they add up to it. Empty before it is split."""
    if result.cls_splits is None:
        return []
    split = result.cls_splits[image]
    rows = [("its patches", float(split.patches.sum()))]
    rows += [
        (label, float(getattr(split, name)[0]))
        for name, label in (
            ("class_token", "class token"),
            ("positions", "positions"),
            ("biases", "tower's biases"),
        )
    ]
    unexplained = float(split.unexplained[0])
    return [*rows, *([(PARTS["unexplained"], unexplained)] if unexplained else [])]


def _slot_label(result: ExplorerResult, slot: Slot) -> str:
    if not result.subject.is_of_tokens:
        return slot_name(slot)
    return "tokens" if slot.scale == 1 else "windows"


def numbers_html(result: ExplorerResult) -> Markup:
    """Shares, scores and what a shuffle moved: what stays as it is while only the free windows move."""
    blocks = (_shares_html(result, image) for image in range(len(result.names)))
    gate = gate_html(result.names, [slot_name(slot) for slot in result.view.slots], result.view.cosine.gate)
    beside = tag("div", *blocks, gate, _prompts_html(result), style=COLUMNS)
    return tag("div", beside, _pair_html(result), _shuffle_html(result), style=FONT)


def gate_html(
    names: Sequence[str], slots: Sequence[str], gate: Float[np.ndarray, "batch slot"] | None
) -> Markup:
    """For each row a bar for each slot, 0 to 1, with a mark at equal weights; empty where there is no gate."""
    if gate is None:
        return fragment()
    groups = []
    for name, row in zip(names, gate, strict=True):
        bars = (weight_html(slot, float(w), 1 / len(slots)) for slot, w in zip(slots, row, strict=True))
        groups.append(tag("div", tag("b", name), *bars, css="mswin-gate-row"))
    note = (
        "The gate's softmax over scales, computed from all of them; it adds up to 1. The line marks equal weights. "
        "In the shares these weights are held as they stand."
    )
    title, style = "How much each scale's expert counts", FONT | {"flex": "1 1 220px", "max-width": "340px"}
    return tag("div", tag("div", title), *groups, tag("div", note, style=NOTE), css="mswin-gate", style=style)


def inspection_words(result: ExplorerResult | None, pinned: Mapping[str, Any] | None) -> Markup:
    """A table of the pinned window or patch, or the reason why it cannot be inspected; empty if nothing is pinned."""
    if not pinned or result is None:
        return fragment()
    key, row, window = (pinned[name] for name in ("key", "row", "window"))
    try:
        inspection = inspected_window(result.subject, result.view, key, row, window)
        kind = "Patch" if inspection.is_patch else "Window"
        where = f"{kind} {window} of {result.view.panel(key).title}, {result.names[row]}"
    except MswinVizError as problem:
        return message_html([problem_words(problem)])
    return _inspection_html(inspection, where)


def _inspection_html(inspection: WindowInspection, where: str) -> Markup:
    """What a window does to cosine and score, and why its removal is not minus its share."""
    i, parts = inspection, len(_COLUMNS)
    rows = (
        ("cosine", f"{i.share:+.5f}", f"{i.norm_share:+.2%}", f"{i.push:+.5f}", f"{i.change:+.5f}"),
        ("score v·enhanced", f"{i.score_share:+.5f}", *[""] * (parts - 2), f"{i.score_change:+.5f}"),
    )
    lines = (
        tag("tr", tag("td", name, style=_NAME), *(tag("td", cell, style=CELL) for cell in cells))
        for name, *cells in rows
    )
    headings = (
        tag("th", VALUES.get(key, name), style=CELL, title=TERMS[name]) for name, key in _COLUMNS.items()
    )
    table = tag("table", tag("tr", tag("th"), *headings), *lines, style=FONT)
    words = [_removal_in_words(i), *([_PATCH] if i.is_patch else [])]
    return tag("div", tag("b", where), table, tag("div", " ".join(words)), style=FONT)


def _removal_in_words(i: WindowInspection) -> str:
    """What is computed again without the window: the norm above all, and what else was held."""
    norm = f"Without it |enhanced CLS| goes from {i.norm_before:.3f} to {i.norm_after:.3f}, which moves every part's share"
    if i.is_of_tokens:
        what = "it is" if i.is_patch else "its tokens are"
        rest = f"{what} set to zero and the module runs again, nothing held"
    elif not i.n_gates:
        rest = "the experts' weights, deviations and GELU factors are computed again"
    elif i.n_flipped:
        rest = f"{n_of(i.n_flipped, i.n_gates, 'ReLU gates')} change{'s' * (i.n_flipped == 1)}"
    else:
        rest = (
            f"none of {counted(i.n_gates, 'ReLU gates')} changes, so the score changes by exactly the share"
        )
    left = "" if i.is_exact else " Share, share of the norm and net push leave out the unexplained part."
    return f"{norm}; {rest}.{left}"


def _shares_html(result: ExplorerResult, image: int) -> Markup:
    """From the plain to the enhanced cosine, in one sentence and as bars, and what the sum leaves over."""
    cosine = result.view.cosine
    bars = waterfall_html(bars_of(result, image), label_width=_LABEL)
    note = f"|CLS| {cosine.plain_norm[image]:.2f}"
    if result.has_addon:
        note += f", |enhanced CLS| {cosine.norm[image]:.2f}; residual {cosine.residual[image]:.0e}"
    if cosine.unexplained[image]:
        note += f"; unexplained: {', '.join(cosine.left)} cannot be held"
    if result.cls_splits is not None:
        note += ". The CLS share is split over the input patches with attention held: exact, not causal"
    names = tag("b", result.names[image]), ": cosine with ", tag("b", result.target), ": "
    score = tag("div", *names, _scores_in_words(result, image), css="mswin-score")
    style = {"flex": "1 1 260px", "max-width": "400px"}
    words = tag("div", sums_of(result, image), css="mswin-waterfall")
    return tag("div", score, words, bars, tag("div", note, style=NOTE), css="mswin-shares", style=style)


def _scores_in_words(result: ExplorerResult, image: int) -> Markup:
    enhanced, plain = float(result.view.cosine.score[image]), float(result.view.plain_cosine[image])
    if not result.has_addon:
        return fragment("plain CLS ", tag("b", f"{plain:.3f}"))
    score = fragment("enhanced CLS ", tag("b", f"{enhanced:.3f}"))
    if result.is_pair:
        return score  # the target is the other image's enhanced CLS; _pair_html has the plain cosine of both
    return fragment(f"plain CLS {plain:.3f}, ", score, f" ({enhanced - plain:+.3f})")


def _prompts_html(result: ExplorerResult) -> Markup:
    """Cosine of every prompt with plain and enhanced CLS, side by side, for each row."""
    if not result.prompts.texts:
        return fragment()
    shown = ("plain", "enhanced") if result.has_addon else ("plain",)
    names = (tag("th", name, style=CELL, colspan=len(shown)) for name in result.names)
    kinds = [tag("th", kind, style=CELL) for kind in shown] * len(result.names)
    lines = []
    for p, text in enumerate(result.prompts.texts):
        pairs = zip(result.plain_scores[p], result.enhanced_scores[p], strict=True)
        cells = (
            tag("td", f"{score:.3f}", style=CELL | weight)
            for pair in pairs
            for score, weight in zip(pair[: len(shown)], ({}, {"font-weight": "600"}), strict=False)
        )
        lines.append(tag("tr", tag("td", text, style=_NAME), *cells))
    head = tag("tr", tag("th"), *names), tag("tr", tag("th", "prompt", style={"text-align": "left"}), *kinds)
    return tag("div", tag("table", *head, *lines, css="mswin-prompts", style=FONT))


def _pair_html(result: ExplorerResult) -> Markup:
    if not result.is_pair:
        return fragment()
    if not result.has_addon:
        return tag(
            "div", "Similarity of the two: ", tag("b", f"{_plain_similarity(result):.4f}"), css="mswin-pair"
        )
    words = (
        f", plain {_plain_similarity(result):.4f}. The first bars split it over the query's windows, the second ones over the gallery image's; "
        "both add up to it."
    )
    score = tag("b", f"{result.view.cosine.score[0]:.4f}")
    return tag("div", "Similarity of the two: enhanced ", score, words, css="mswin-pair")


def _plain_similarity(result: ExplorerResult) -> float:
    """The cosine of both plain CLS tokens of a pair; zero where one is zero."""
    a, b = result.subject.plain_cls
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths else 0.0


def _shuffle_html(result: ExplorerResult) -> Markup:
    """What a shuffle moved and what it did not; empty where nothing is shuffled."""
    shuffle = result.shuffle
    if shuffle is None:
        return fragment()
    slots = () if result.subject.is_of_tokens else result.view.slots  # only these hand on a pooled vector
    changes = zip(slots, shuffle.pooled_change.T, strict=True)
    moved = "; ".join(f"{slot_name(slot)} {_change(change)}" for slot, change in changes)
    words = f"Shuffled windows. {f'Pooled vectors: {moved}. ' if moved else ''}Enhanced CLS {_change(shuffle.enhanced_change)}."
    return tag("div", words, css="mswin-shuffle-words")


def _change(changes: np.ndarray) -> str:
    largest = float(np.max(changes, initial=0.0))
    if largest == 0:
        return "unchanged to the last digit"
    if largest < 1e-12:
        return f"unchanged but for rounding ({largest:.0e} of its norm)"
    return f"moved by {largest:.2%} of its norm"
