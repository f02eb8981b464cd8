"""The numbers beside the heatmaps, as plain HTML with no script: shares, scores, windows in words, provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from mswin_viz.analysis.fusion import Slot
from mswin_viz.analysis.inspection import WindowInspection
from mswin_viz.data.shown_text import shown_text
from mswin_viz.view.answers import Look
from mswin_viz.view.gate_bars import gate_html

__all__ = [
    "badge_html",
    "bar_html",
    "inspection_html",
    "message_html",
    "numbers_html",
    "share_rows",
    "shuffle_words",
    "slot_name",
    "words_html",
]

_FONT = "font:13px/1.45 var(--jp-ui-font-family, sans-serif);color:var(--jp-ui-font-color1, #222)"
_CELL = "padding:1px 10px 1px 0;text-align:right;font-variant-numeric:tabular-nums"
_CHIP = (
    "display:inline-block;box-sizing:border-box;max-width:min(34em,100%);overflow:hidden;text-overflow:ellipsis;"
    "white-space:nowrap;vertical-align:top;border:1px solid var(--jp-border-color1, #bbb);border-radius:9px;"
    "padding:0 8px;margin:2px 2px 2px 0"
)
_POSITIVE, _NEGATIVE = "#b2182b", "#2166ac"


def share_rows(look: Look, image: int = 0) -> list[tuple[str, float]]:
    """Label and share of the CLS, each slot of the fusion, and the biases of one image; they add up to the cosine."""
    cosine = look.view.cosine
    slots = [
        (slot_name(slot), float(shares.windows[image].sum()) if shares else 0.0)
        for slot, shares in zip(look.view.slots, cosine.slots, strict=True)
    ]
    return [("CLS", float(cosine.cls[image])), *slots, ("bias", float(cosine.bias[image]))]


def numbers_html(look: Look) -> str:
    """Shares, scores and what a shuffle moved: what stays as it is while only the free windows move."""
    blocks = "".join(_shares_html(look, image) for image in range(len(look.names)))
    gate = gate_html(look.names, [slot_name(slot) for slot in look.view.slots], look.view.cosine.gate)
    parts = [
        f'<div style="display:flex;flex-wrap:wrap;gap:8px 28px">{blocks}{gate}{_prompts_html(look)}</div>',
        _pair_html(look),
        _shuffle_html(look),
    ]
    return f'<div style="{_FONT}">{"".join(parts)}</div>'


def words_html(look: Look) -> str:
    """Every panel's windows in words."""
    lines = "".join(
        f"<li><b>{escape(panel.title)}</b>: {escape(panel.words)}</li>" for panel in look.view.panels
    )
    return f'<ul class="mswin-words" style="{_FONT};margin:4px 0;padding-left:18px">{lines}</ul>'


def inspection_html(inspection: WindowInspection, where: str) -> str:
    """A window's exact share next to its true ablation."""
    i = inspection
    if not i.n_gates:
        return _inspection_table(
            i, where, "Without it gate, norms and GELU factors are computed again, so the two need not agree"
        )
    gates = (
        f"{i.n_flipped} of {i.n_gates} ReLU gates flip"
        if i.n_flipped
        else f"none of {i.n_gates} ReLU gates flips"
    )
    why = (
        "so the two need not agree"
        if i.n_flipped
        else "so the score changes by exactly the share (the cosine's norm still moves)"
    )
    return _inspection_table(i, where, f"Without it {gates}, {why}")


def shuffle_words(look: Look) -> str:
    """What a shuffle moved and what it did not; empty where nothing is shuffled."""
    shuffle = look.shuffle
    if shuffle is None:
        return ""
    moved = [
        f"{slot_name(slot)} {_change(shuffle.pooled_change[:, i])}" for i, slot in enumerate(look.view.slots)
    ]
    slots = f"Pooled vectors: {'; '.join(moved)}. " if moved else ""
    return f"Shuffled windows. {slots}Enhanced CLS {_change(shuffle.enhanced_change)}."


def badge_html(items: Mapping[str, str]) -> str:
    """Which weights, input, normalisation and device are in use; long words are cut off, and whole under the mouse."""
    chips = "".join(
        f'<span style="{_CHIP}" title="{escape(shown_text(words))}"><span style="opacity:.7">{escape(name)}</span> '
        f"{escape(shown_text(words))}</span>"
        for name, words in items.items()
    )
    return f'<div class="mswin-badge" style="{_FONT};font-size:12px">{chips}</div>'


def message_html(messages: Sequence[str]) -> str:
    """What went wrong, or nothing."""
    if not messages:
        return ""
    style = "border-left:3px solid var(--jp-error-color1, #c33);padding:2px 8px;margin:2px 0"
    lines = "".join(f'<div style="{style}">{escape(shown_text(message))}</div>' for message in messages)
    return f'<div class="mswin-message" role="alert" style="{_FONT}">{lines}</div>'


def _inspection_table(i: WindowInspection, where: str, words: str) -> str:
    rows = (("cosine", i.share, i.change), ("score v·enhanced", i.score_share, i.score_change))
    lines = "".join(
        f'<tr><td style="text-align:left;padding-right:10px">{name}</td><td style="{_CELL}">{share:+.5f}</td>'
        f'<td style="{_CELL}">{change:+.5f}</td></tr>'
        for name, share, change in rows
    )
    return (
        f'<div style="{_FONT}"><b>{escape(where)}</b>'
        f'<table style="{_FONT}"><tr><th></th><th style="{_CELL}">exact share</th>'
        f'<th style="{_CELL}">change when it is removed</th></tr>{lines}</table>'
        f"<div>{words}. |enhanced CLS| {i.norm_before:.3f} → {i.norm_after:.3f}</div></div>"
    )


def _shares_html(look: Look, image: int) -> str:
    """Signed bars about zero, one for each share, their sum, and what the sum leaves over."""
    cosine = look.view.cosine
    enhanced = float(cosine.score[image])
    rows = [*share_rows(look, image), ("= cosine", enhanced)]
    reach = max(abs(value) for _, value in rows) or 1.0
    bars = "".join(bar_html(label, value, reach, label.startswith("=")) for label, value in rows)
    note = f"|enhanced CLS| = {cosine.norm[image]:.2f} (frozen); residual {cosine.residual[image]:.0e}"
    return (
        f'<div class="mswin-shares" style="flex:1 1 260px;max-width:400px"><div class="mswin-score">'
        f"<b>{escape(look.names[image])}</b>: cosine with <b>{escape(look.target)}</b>: "
        f"{_scores_in_words(look, image)}</div>{bars}"
        f'<div style="opacity:.75;font-size:12px">{note}</div></div>'
    )


def _scores_in_words(look: Look, image: int) -> str:
    enhanced, plain = float(look.view.cosine.score[image]), float(look.view.plain_cosine[image])
    if look.is_pair:  # the other image's CLS is enhanced here; plain with plain is said for both together
        return f"enhanced CLS <b>{enhanced:.3f}</b>"
    return f"plain CLS {plain:.3f}, enhanced CLS <b>{enhanced:.3f}</b> ({enhanced - plain:+.3f})"


def _prompts_html(look: Look) -> str:
    """Cosine of every prompt with plain and enhanced CLS, side by side, for each row."""
    if not look.prompts.texts:
        return ""
    names = "".join(f'<th colspan="2" style="{_CELL}">{escape(name)}</th>' for name in look.names)
    kinds = f'<th style="{_CELL}">plain</th><th style="{_CELL}">enhanced</th>' * len(look.names)
    lines = []
    for p, text in enumerate(look.prompts.texts):
        pairs = zip(look.plain_scores[p], look.enhanced_scores[p], strict=True)
        cells = "".join(
            f'<td style="{_CELL}">{a:.3f}</td><td style="{_CELL};font-weight:600">{b:.3f}</td>'
            for a, b in pairs
        )
        lines.append(f'<tr><td style="text-align:left;padding-right:10px">{escape(text)}</td>{cells}</tr>')
    return (
        f'<div><table class="mswin-prompts" style="{_FONT}"><tr><th></th>{names}</tr>'
        f'<tr><th style="text-align:left">prompt</th>{kinds}</tr>{"".join(lines)}</table></div>'
    )


def _pair_html(look: Look) -> str:
    if not look.is_pair:
        return ""
    a, b = look.subject.tokens.cls.double().cpu().numpy()
    plain = float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    return (
        f'<div class="mswin-pair">Similarity of the two: enhanced <b>{look.view.cosine.score[0]:.4f}</b>, plain '
        f"{plain:.4f}. The left bars split it over the query's windows, the right ones over the gallery image's; both add "
        "up to it.</div>"
    )


def _shuffle_html(look: Look) -> str:
    words = shuffle_words(look)
    return f'<div class="mswin-shuffle-words">{escape(words)}</div>' if words else ""


def slot_name(slot: Slot) -> str:
    """What stands in a slot of the fusion, in a word or two."""
    if slot.kernel == "off":
        return "off"
    return f"{slot.tile[0]}x{slot.tile[1]} tiles" if slot.tile else f"scale {slot.scale}"


def _change(changes: np.ndarray) -> str:
    largest = float(np.max(changes, initial=0.0))
    if largest == 0:
        return "unchanged to the last digit"
    if largest < 1e-12:
        return f"unchanged but for rounding ({largest:.0e} of its length)"
    return f"moved by {largest:.2%} of its length"


def bar_html(label: str, value: float, reach: float, is_sum: bool, *, label_width: int = 72) -> str:
    """One signed bar about zero, as long as ``value`` is of ``reach``; sums are grey and bold."""
    width = 50 * abs(value) / reach
    left = 50 - width if value < 0 else 50
    colour = "var(--jp-ui-font-color2, #555)" if is_sum else (_POSITIVE if value >= 0 else _NEGATIVE)
    weight = "font-weight:600;" if is_sum else ""
    return (
        f'<div style="display:flex;gap:8px;align-items:center;{weight}"><span style="width:{label_width}px">{escape(label)}</span>'
        '<span style="position:relative;flex:1;height:11px;background:var(--jp-layout-color2, #eee)">'
        f'<span style="position:absolute;left:{left:.2f}%;width:{width:.2f}%;height:100%;background:{colour}"></span>'
        '<span style="position:absolute;left:50%;width:1px;height:100%;background:var(--jp-ui-font-color2, #777)"></span>'
        f'</span><span style="width:54px;text-align:right;font-variant-numeric:tabular-nums">{value:+.3f}</span></div>'
    )
