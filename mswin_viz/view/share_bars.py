"""The score as a row of exact shares, and the provenance badge: plain HTML, no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from mswin_viz.analysis.scale_view import ScaleView

__all__ = ["badge_html", "message_html", "scores_html", "share_rows", "shares_html", "words_html"]

_FONT = "font:13px/1.45 var(--jp-ui-font-family, sans-serif);color:var(--jp-ui-font-color1, #222)"


def share_rows(view: ScaleView) -> list[tuple[str, float]]:
    """Label and share of the CLS, each slot of the fusion, and the biases; they add up to the cosine."""
    slots = zip(view.slot_scales, view.cosine.slots, strict=True)
    fused = [
        (f"scale {scale}" if scale else "off", float(s.windows[0].sum()) if s else 0.0) for scale, s in slots
    ]
    return [("CLS", float(view.cosine.cls[0])), *fused, ("bias", float(view.cosine.bias[0]))]


def shares_html(view: ScaleView) -> str:
    """Signed bars about zero, one for each share, their sum, and what the sum leaves over."""
    rows = [*share_rows(view), ("= cosine", float(view.cosine.score[0]))]
    reach = max(abs(value) for _, value in rows) or 1.0
    bars = "".join(_bar(label, value, reach, label.startswith("=")) for label, value in rows)
    note = f"|enhanced CLS| = {view.cosine.norm[0]:.2f} (frozen); residual {view.cosine.residual[0]:.0e}"
    return f'<div class="mswin-shares" style="{_FONT};max-width:430px">{bars}<div style="opacity:.75">{note}</div></div>'


def scores_html(view: ScaleView, target: str) -> str:
    """Cosine with the target for plain and enhanced CLS."""
    enhanced = float(view.cosine.score[0])
    return (
        f'<div class="mswin-score" style="{_FONT}">cosine with <b>{escape(target)}</b>: plain CLS '
        f"<b>{view.plain_cosine:.3f}</b>, enhanced CLS <b>{enhanced:.3f}</b> ({enhanced - view.plain_cosine:+.3f})</div>"
    )


def words_html(view: ScaleView) -> str:
    """Every panel's windows in words."""
    lines = "".join(f"<li><b>scale {panel.scale}</b>: {escape(panel.words)}</li>" for panel in view.panels)
    return f'<ul class="mswin-words" style="{_FONT};margin:4px 0;padding-left:18px">{lines}</ul>'


def badge_html(items: Mapping[str, str]) -> str:
    """Which weights, input, normalisation and device are in use."""
    chip = "display:inline-block;border:1px solid var(--jp-border-color1, #bbb);border-radius:9px;padding:0 8px;margin:2px"
    chips = "".join(
        f'<span style="{chip}"><span style="opacity:.7">{escape(name)}</span> {escape(words)}</span>'
        for name, words in items.items()
    )
    return f'<div class="mswin-badge" style="{_FONT}">{chips}</div>'


def message_html(messages: Sequence[str]) -> str:
    """What went wrong, or nothing."""
    if not messages:
        return ""
    style = "border-left:3px solid var(--jp-error-color1, #c33);padding:2px 8px;margin:2px 0"
    lines = "".join(f'<div style="{style}">{escape(message)}</div>' for message in messages)
    return f'<div class="mswin-message" role="alert" style="{_FONT}">{lines}</div>'


def _bar(label: str, value: float, reach: float, is_sum: bool) -> str:
    width = 50 * abs(value) / reach
    left = 50 - width if value < 0 else 50
    colour = "var(--jp-ui-font-color2, #555)" if is_sum else ("#b2182b" if value >= 0 else "#2166ac")
    weight = "font-weight:600;" if is_sum else ""
    return (
        f'<div style="display:flex;gap:8px;align-items:center;{weight}"><span style="width:68px">{escape(label)}</span>'
        '<span style="position:relative;flex:1;height:12px;background:var(--jp-layout-color2, #eee)">'
        f'<span style="position:absolute;left:{left:.2f}%;width:{width:.2f}%;height:100%;background:{colour}"></span>'
        '<span style="position:absolute;left:50%;width:1px;height:100%;background:var(--jp-ui-font-color2, #777)"></span>'
        f'</span><span style="width:58px;text-align:right;font-variant-numeric:tabular-nums">{value:+.3f}</span></div>'
    )
