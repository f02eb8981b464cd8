"""The numbers beside the heatmaps, as plain HTML with no script: shares, scores, windows in words, provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mswin_viz.analysis.scales.inspection import WindowInspection, inspected_window
from mswin_viz.analysis.shares.slots import Slot
from mswin_viz.errors import MswinVizError
from mswin_viz.view.parts.html import bar_html, weight_html
from mswin_viz.view.scales.result_cache import ExplorerResult
from mswin_viz.view.scales.slot_names import slot_name
from mswin_viz.view.widgets.guarded import problem_words
from mswin_viz.view.widgets.labels import PARTS
from mswin_viz.view.widgets.markup import CELL, COLUMNS, FONT, NOTE, Markup, fragment, message_html, tag

if TYPE_CHECKING:
    from jaxtyping import Float

_LABEL = 118  # width of a bar's label, CSS pixels
_NAME = {"text-align": "left", "padding-right": "10px"}


def share_rows(result: ExplorerResult, image: int = 0) -> list[tuple[str, float]]:
    """Label and share of the CLS, each slot or the tokens, and the biases of one image; they add up to the cosine.

    Tokens outside the windows and the unexplained part have rows where they are not zero.
    """
    cosine = result.view.cosine
    slots = [
        (_slot_label(result, slot), float(shares.windows[image].sum()) if shares else 0.0)
        for slot, shares in zip(result.view.slots, cosine.slots, strict=True)
    ]
    outside, unexplained = float(cosine.outside[image]), float(cosine.unexplained[image])
    return [
        ("CLS", float(cosine.cls[image])),
        *slots,
        *([(PARTS["outside"], outside)] if outside else []),
        ("bias", float(cosine.bias[image])),
        *([(PARTS["unexplained"], unexplained)] if unexplained else []),
    ]


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
    """A table of the pinned window, or the reason why it cannot be inspected; empty if no window is pinned."""
    if not pinned or result is None:
        return fragment()
    key, row, window = (pinned[name] for name in ("key", "row", "window"))
    try:
        inspection = inspected_window(result.subject, result.view, key, row, window)
        where = f"Window {window} of {result.view.panel(key).title}, {result.names[row]}"
    except MswinVizError as problem:
        return message_html([problem_words(problem)])
    return _inspection_html(inspection, where)


def _inspection_html(inspection: WindowInspection, where: str) -> Markup:
    """A window's exact share next to the change when it is removed."""
    n_gates, n_flipped = inspection.n_gates, inspection.n_flipped
    if inspection.is_of_tokens:
        words = "To remove it, its tokens are set to zero and the module runs again with nothing held, so the two need not agree"
    elif not n_gates:
        words = "Without it, gate, norms and GELU factors are computed again, so the two need not agree"
    elif n_flipped:
        words = f"Without it, {n_flipped} of {n_gates} ReLU gates flip, so the two need not agree"
    else:
        words = (
            f"Without it, none of {n_gates} ReLU gates flips, so the score changes by exactly the share (the cosine's "
            "norm still moves)"
        )
    i = inspection
    rows = (("cosine", i.share, i.change), ("score v·enhanced", i.score_share, i.score_change))
    lines = []
    for name, *numbers in rows:
        cells = (tag("td", f"{number:+.5f}", style=CELL) for number in numbers)
        lines.append(tag("tr", tag("td", name, style=_NAME), *cells))
    headings = (
        tag("th", name, style=CELL)
        for name in ("exact share" if i.is_exact else "share", "change when it is removed")
    )
    table = tag("table", tag("tr", tag("th"), *headings), *lines, style=FONT)
    norms = f"{words}. |enhanced CLS| {i.norm_before:.3f} → {i.norm_after:.3f}"
    return tag("div", tag("b", where), table, tag("div", norms), style=FONT)


def _shares_html(result: ExplorerResult, image: int) -> Markup:
    """Signed bars about zero, one for each share, their sum, and its residual."""
    cosine = result.view.cosine
    enhanced = float(cosine.score[image])
    rows = [*share_rows(result, image), ("= cosine", enhanced)]
    of_cls = cls_rows(result, image)
    reach = max(abs(value) for _, value in [*rows, *of_cls]) or 1.0
    bars = [bar_html(label, value, reach, label.startswith("="), label_width=_LABEL) for label, value in rows]
    bars[1:1] = [bar_html(f"· {label}", value, reach, False, label_width=_LABEL) for label, value in of_cls]
    note = f"|enhanced CLS| = {cosine.norm[image]:.2f} (frozen); residual {cosine.residual[image]:.0e}"
    if cosine.unexplained[image]:
        note += f"; unexplained: {', '.join(cosine.left)} cannot be held"
    if of_cls:
        note += ". The CLS share is split over the input patches with attention held: exact, not causal"
    names = tag("b", result.names[image]), ": cosine with ", tag("b", result.target), ": "
    score = tag("div", *names, _scores_in_words(result, image), css="mswin-score")
    style = {"flex": "1 1 260px", "max-width": "400px"}
    return tag("div", score, *bars, tag("div", note, style=NOTE), css="mswin-shares", style=style)


def _scores_in_words(result: ExplorerResult, image: int) -> Markup:
    enhanced, plain = float(result.view.cosine.score[image]), float(result.view.plain_cosine[image])
    score = fragment("enhanced CLS ", tag("b", f"{enhanced:.3f}"))
    if result.is_pair:
        return score  # the target is the other image's enhanced CLS; _pair_html has the plain cosine of both
    return fragment(f"plain CLS {plain:.3f}, ", score, f" ({enhanced - plain:+.3f})")


def _prompts_html(result: ExplorerResult) -> Markup:
    """Cosine of every prompt with plain and enhanced CLS, side by side, for each row."""
    if not result.prompts.texts:
        return fragment()
    names = (tag("th", name, style=CELL, colspan=2) for name in result.names)
    kinds = [tag("th", kind, style=CELL) for kind in ("plain", "enhanced")] * len(result.names)
    lines = []
    for p, text in enumerate(result.prompts.texts):
        pairs = zip(result.plain_scores[p], result.enhanced_scores[p], strict=True)
        cells = (
            tag("td", f"{score:.3f}", style=CELL | weight)
            for pair in pairs
            for score, weight in zip(pair, ({}, {"font-weight": "600"}), strict=True)
        )
        lines.append(tag("tr", tag("td", text, style=_NAME), *cells))
    head = tag("tr", tag("th"), *names), tag("tr", tag("th", "prompt", style={"text-align": "left"}), *kinds)
    return tag("div", tag("table", *head, *lines, css="mswin-prompts", style=FONT))


def _pair_html(result: ExplorerResult) -> Markup:
    if not result.is_pair:
        return fragment()
    a, b = result.subject.plain_cls
    plain = float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    words = (
        f", plain {plain:.4f}. The left bars split it over the query's windows, the right ones over the gallery image's; "
        "both add up to it."
    )
    score = tag("b", f"{result.view.cosine.score[0]:.4f}")
    return tag("div", "Similarity of the two: enhanced ", score, words, css="mswin-pair")


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
