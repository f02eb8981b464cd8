"""From the plain cosine to the enhanced one as bars, each beginning where the last ended, and as one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Literal, NamedTuple

from matplotlib.axes import Axes

from mswin_viz.analysis.shares.waterfall import Step, Waterfall
from mswin_viz.view.widgets.colours import sign_colour
from mswin_viz.view.widgets.labels import PARTS, STEPS
from mswin_viz.view.widgets.markup import Markup, fragment, tag

_LEAST = 0.0005  # what three digits show
_LINE = {"display": "flex", "gap": "8px", "align-items": "center", "height": "17px"}
_TRACK = {"position": "relative", "flex": "1", "height": "17px", "min-width": "80px"}
_PLACED = {"position": "absolute"}
_NUMBER = {"width": "50px", "text-align": "right", "font-variant-numeric": "tabular-nums"}
_GREY = "var(--jp-ui-font-color2, #555)"
_BACK = "var(--jp-layout-color2, #eee)"


class Bar(NamedTuple):
    """A bar from one level to another: a ``"total"`` stands on zero, a ``"step"`` on the last one's end, a ``"detail"`` opens a total."""

    label: str
    start: float
    end: float
    kind: Literal["total", "step", "detail"]

    @property
    def number(self) -> str:
        """What stands beside it."""
        value = round(self.end - self.start, 3) + 0.0  # no minus before a zero
        return f"{value:.3f}" if self.kind == "total" else f"{value:+.3f}"


def waterfall_bars(waterfall: Waterfall, of_cls: Sequence[tuple[str, float]] = ()) -> list[Bar]:
    """Plain cosine, what leads to the CLS share, that share (and what it is made of), the parts, and the enhanced cosine."""
    bars, level = [Bar("plain cosine", 0.0, waterfall.plain, "total")], waterfall.plain
    for step in waterfall.before:
        bars.append(Bar(_label(step, waterfall), level, level := level + step.value, "step"))
    bars += cls_bars(waterfall.cls, of_cls)
    level = waterfall.cls
    for step in waterfall.parts:
        bars.append(Bar(_label(step, waterfall), level, level := level + step.value, "step"))
    return [*bars, Bar("= cosine", 0.0, waterfall.enhanced, "total")]


def cls_bars(share: float, of_cls: Sequence[tuple[str, float]]) -> list[Bar]:
    """The CLS share, and what it is made of."""
    bars, inner = [Bar(PARTS["cls"], 0.0, share, "total")], 0.0
    for label, value in of_cls:
        bars.append(Bar(f"· {label}", inner, inner := inner + value, "detail"))
    return bars


def limits_of(bars: Sequence[Bar]) -> tuple[float, float]:
    """The lowest and highest level of any of them, zero among them."""
    levels = [0.0, *(level for bar in bars for level in (bar.start, bar.end))]
    low, high = min(levels), max(levels)
    return (low, high) if high > low else (0.0, 1.0)


def waterfall_html(
    bars: Sequence[Bar], limits: tuple[float, float] | None = None, *, label_width: int = 118
) -> Markup:
    """The bars as HTML; with ``limits`` from :func:`limits_of`, several waterfalls share one scale."""
    low, high = limits_of(bars) if limits is None else limits
    lines = []
    for bar, after in zip_longest(bars, bars[1:]):
        left, right = sorted(100 * (level - low) / (high - low) for level in (bar.start, bar.end))
        colour = _GREY if bar.kind == "total" else sign_colour(bar.end - bar.start)
        filled = {
            "left": f"{left:.2f}%", "width": f"max(1px, {right - left:.2f}%)", "top": "3px", "height": "11px",
            "background": colour, "opacity": ".55" if bar.kind == "detail" else "1",
        }  # fmt: skip
        pieces = [
            tag(
                "span",
                style=_PLACED
                | {"left": "0", "right": "0", "top": "3px", "height": "11px", "background": _BACK},
            )
        ]
        pieces.append(_upright(100 * (0 - low) / (high - low), 0, 17))
        pieces.append(tag("span", style=_PLACED | filled))
        if after is not None and _is_joined(bar, after):
            pieces.append(_upright(100 * (bar.end - low) / (high - low), 8, 12))
        weight = {"font-weight": "600"} if bar.kind == "total" else {}
        lines.append(
            tag(
                "div",
                tag("span", bar.label, style={"width": f"{label_width}px"}),
                tag("span", *pieces, style=_TRACK),
                tag("span", bar.number, style=_NUMBER),
                style=_LINE | weight,
            )
        )
    return fragment(*lines)


def draw_waterfall(axis: Axes, bars: Sequence[Bar], *, size: float = 7) -> None:
    """The same bars on an axis, the first above."""
    low, high = limits_of(bars)
    for row, bar in enumerate(bars):
        width = bar.end - bar.start
        colour = "0.35" if bar.kind == "total" else sign_colour(width)
        alpha = 0.55 if bar.kind == "detail" else 1
        axis.barh(row, width, left=bar.start, height=0.62, color=colour, alpha=alpha)
        if row + 1 < len(bars) and _is_joined(bar, bars[row + 1]):
            axis.plot([bar.end, bar.end], [row, row + 1], color="0.6", lw=0.7)
        axis.text(high + 0.03 * (high - low), row, bar.number, va="center", fontsize=size - 1)
    axis.axvline(0, color="0.3", lw=0.8)
    axis.set_yticks(range(len(bars)), [bar.label for bar in bars], fontsize=size)
    axis.set_ylim(len(bars) - 0.4, -0.6)
    axis.set_xlim(low - 0.02 * (high - low), high + 0.34 * (high - low))
    axis.tick_params(axis="x", labelsize=size - 1)
    axis.locator_params(axis="x", nbins=4)
    axis.spines[["top", "right"]].set_visible(False)


def waterfall_words(waterfall: Waterfall) -> str:
    """One sentence: who adds, who takes, and from where to where the cosine moves."""
    moves = {kind: value for kind, value in waterfall.by_kind.items() if abs(value) >= _LEAST}
    order = sorted(moves, key=lambda kind: -moves[kind])  # what adds most first, what takes most last
    adding, taking = [k for k in order if moves[k] > 0], [k for k in reversed(order) if moves[k] < 0]
    said = []
    for kind in (*adding, *taking):
        name, is_plural = _subject(kind, waterfall)
        verb = "add" if moves[kind] > 0 else "take"
        said.append(f"{name} {verb}{'' if is_plural else 's'} {abs(moves[kind]):.3f}")
    ways = ", ".join(said) or "nothing moves it"
    return f"{ways}: {waterfall.plain:.3f} → {waterfall.enhanced:.3f}"


def _is_joined(bar: Bar, after: Bar) -> bool:
    """Whether the next bar begins or ends where this one ends."""
    return abs(bar.end - (after.end if after.kind == "total" else after.start)) < 1e-9


def _upright(place: float, top: int, height: int) -> Markup:
    line = {"left": f"{place:.2f}%", "width": "1px", "top": f"{top}px", "height": f"{height}px", "background": "var(--jp-ui-font-color2, #777)"}  # fmt: skip
    return tag("span", style=_PLACED | line)


def _label(step: Step, waterfall: Waterfall) -> str:
    if step.kind == "norm":
        return f"{_norm(waterfall)} norm"
    if step.kind == "windows":
        return step.name
    return f"{step.name} {STEPS.get(step.kind) or PARTS[step.kind]}".strip()


def _norm(waterfall: Waterfall) -> str:
    """How the norm changed."""
    if all(length > 1 for length in waterfall.lengths):
        return "longer"
    return "shorter" if all(length < 1 for length in waterfall.lengths) else "new"


def _subject(kind: str, waterfall: Waterfall) -> tuple[str, bool]:
    """Who moves the cosine, and whether that is more than one."""
    if kind == "norm":
        return f"the {_norm(waterfall)} norm", False
    if kind == "windows":
        names = " ".join(step.name for step in waterfall.parts if step.kind == "windows")
        return f"the {next((word for word in ('tokens', 'windows') if word in names), 'scales')}", True
    return {
        "other": ("the other image's add-on", False),
        "cls": ("the CLS inside the add-on", False),
        "outside": ("tokens outside windows", True),
        "bias": ("the biases", True),
        "unexplained": ("what is unexplained", False),
    }[kind]
