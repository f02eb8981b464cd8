"""The gate of a mixture of experts as bars: how much each scale's expert counts, for each row of the explorer."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["gate_html"]

_FONT = "font:13px/1.45 var(--jp-ui-font-family, sans-serif);color:var(--jp-ui-font-color1, #222)"
_BAR = "#7b5ea7"  # neither sign's colour: a weight has none


def gate_html(
    names: Sequence[str], slots: Sequence[str], gate: Float[np.ndarray, "batch slot"] | None
) -> str:
    """A group of bars for each row, 0 to 1, with a mark at equal weights; empty where there is no gate.

    Parameters
    ----------
    names
        Of the rows: modalities, or the two images of a pair.
    slots
        What stands in each slot of the fusion.
    gate
        Weight of each slot's expert; a row adds up to one.
    """
    if gate is None:
        return ""
    groups = "".join(
        f'<div class="mswin-gate-row"><b>{escape(name)}</b>'
        f"{''.join(_bar(slot, float(weight), len(slots)) for slot, weight in zip(slots, row, strict=True))}</div>"
        for name, row in zip(names, gate, strict=True)
    )
    note = (
        "The gate's softmax over scales, computed from all of them; it adds up to 1. The line marks equal weights. "
        "In the shares these weights are held as they stand."
    )
    return (
        f'<div class="mswin-gate" style="{_FONT};flex:1 1 220px;max-width:340px"><div>How much each scale\'s expert counts</div>'
        f'{groups}<div style="opacity:.75;font-size:12px">{note}</div></div>'
    )


def _bar(label: str, weight: float, n_slots: int) -> str:
    track = "position:relative;flex:1;height:11px;background:var(--jp-layout-color2, #eee)"
    mark = "position:absolute;width:1px;height:100%;background:var(--jp-ui-font-color2, #777)"
    return (
        f'<div style="display:flex;gap:8px;align-items:center"><span style="width:72px">{escape(label)}</span>'
        f'<span style="{track}"><span style="position:absolute;left:0;width:{100 * weight:.2f}%;height:100%;'
        f'background:{_BAR}"></span><span style="{mark};left:{100 / n_slots:.2f}%"></span></span>'
        f'<span style="width:44px;text-align:right;font-variant-numeric:tabular-nums">{weight:.3f}</span></div>'
    )
