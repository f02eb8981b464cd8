"""The gate of a mixture of experts as bars: how much each scale's expert counts, for each row of the explorer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.view.markup import FONT, TRACK, Markup, fragment, tag

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["gate_html"]

_BAR = "#7b5ea7"  # neither sign's colour: a weight has none


def gate_html(
    names: Sequence[str], slots: Sequence[str], gate: Float[np.ndarray, "batch slot"] | None
) -> Markup:
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
        return fragment()
    groups = (
        tag(
            "div",
            tag("b", name),
            *(_bar(slot, float(weight), len(slots)) for slot, weight in zip(slots, row, strict=True)),
            css="mswin-gate-row",
        )
        for name, row in zip(names, gate, strict=True)
    )
    note = (
        "The gate's softmax over scales, computed from all of them; it adds up to 1. The line marks equal weights. "
        "In the shares these weights are held as they stand."
    )
    return tag(
        "div",
        tag("div", "How much each scale's expert counts"),
        *groups,
        tag("div", note, style={"opacity": ".75", "font-size": "12px"}),
        css="mswin-gate",
        style=FONT | {"flex": "1 1 220px", "max-width": "340px"},
    )


def _bar(label: str, weight: float, n_slots: int) -> Markup:
    filled = {"position": "absolute", "left": "0", "width": f"{100 * weight:.2f}%", "height": "100%"}
    mark = {"position": "absolute", "width": "1px", "height": "100%"}
    number = {"width": "44px", "text-align": "right", "font-variant-numeric": "tabular-nums"}
    equal = {"background": "var(--jp-ui-font-color2, #777)", "left": f"{100 / n_slots:.2f}%"}
    return tag(
        "div",
        tag("span", label, style={"width": "72px"}),
        tag(
            "span",
            tag("span", style=filled | {"background": _BAR}),
            tag("span", style=mark | equal),
            style=TRACK,
        ),
        tag("span", f"{weight:.3f}", style=number),
        style={"display": "flex", "gap": "8px", "align-items": "center"},
    )
