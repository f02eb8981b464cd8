"""Occlusion curves as a figure."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mswin_viz.analysis.experiments.occlusion_record import OcclusionCurves
from mswin_viz.analysis.measures.joined import modality_words
from mswin_viz.data.shown_text import counted
from mswin_viz.data.storage.stored_records import value_words
from mswin_viz.errors import OptionError
from mswin_viz.view.parts.figure_file import new_figure, tidy
from mswin_viz.view.parts.figure_text import caption, folded_name, named_legend
from mswin_viz.view.widgets.colours import FEATURES, distinct_colours

_WIDE = 28  # characters above a panel
_NULLS = {"shuffled": "#d55e00", "untrained": "#009e73", "zero shift": "#cc79a7"}
_DASH = 3  # widths of a null's line: where all kinds lie on plain, the dashes of each still show
_OWN = 6  # colours of others begin behind those of features and nulls


def occlusion_figure(curves: OcclusionCurves, *, provenance: str = "") -> Figure:
    """mAP against the part of the rows that is covered, a panel for each modality and for the joined ones.

    Parameters
    ----------
    curves
        From :func:`occlusion_curves`.
    provenance
        Printed small below, such as ``model.provenance``.

    Returns
    -------
    figure
        Bands are 95 % intervals over identities, of plain, enhanced and what was given as ``others``; nulls are thin dashed
        lines, a colour for each kind. Triangles at the bottom mark where enhanced is ahead of plain, or behind it, beyond chance.

    Examples
    --------
    >>> some = {"modalities": ["TI"], "fractions": (0, 0.5), "null_seeds": 1, "draws": 200, "progress": False}
    >>> curves = mv.occlusion_curves(model, samples[:16], **some)
    >>> figure = mv.occlusion_figure(curves, provenance=model.provenance)
    >>> figure.axes[0].get_title(), len(figure.axes[0].lines) >= len(curves.names)
    ('TI', True)
    """
    if not isinstance(curves, OcclusionCurves):
        raise OptionError(
            f"a figure of occlusion needs curves: got {value_words(curves)}; make them with mswin_viz.occlusion_curves"
        )
    n = len(curves.modalities)
    figure = new_figure(2.1 * n + 2.2, 3.3)
    axes = figure.subplots(1, n, squeeze=False, sharey=True)[0]
    looks = _looks(curves)
    for axis, modality in zip(axes, curves.modalities, strict=True):
        for name, look in looks.items():
            _draw_curve(axis, curves, (modality, name), look)
        _mark_leads(axis, curves, modality)
        axis.set_title(folded_name(modality_words(modality), _WIDE), fontsize=8)
        axis.set_xlabel("rows covered, %", fontsize=8)
        axis.set_ylim(0, 102)
        tidy(axis)
    axes[0].set_ylabel("mAP, %", fontsize=8)
    shown = _in_the_legend(curves)
    lines = {line.get_gid(): line for line in axes[0].lines}
    handles = [lines[name] for name in shown]
    legend = named_legend(
        figure, handles, shown.values(), loc="outside right upper", fontsize=7, frameon=False
    )
    for text in legend.get_texts():
        text.set_text(folded_name(text.get_text(), _WIDE))
    caption(figure, f"{_words(curves)} {provenance}")
    return figure


def _looks(curves: OcclusionCurves) -> dict[str, dict[str, object]]:
    """How each curve is drawn."""
    looks: dict[str, dict[str, object]] = {}
    others = [name for name in curves.names if name not in (*FEATURES, *curves.nulls)]
    own = dict(zip(others, distinct_colours(_OWN + len(others))[_OWN:], strict=True))
    for name in curves.names:
        if name in FEATURES:
            looks[name] = {"color": FEATURES[name], "lw": 1.8, "zorder": 4}
        elif name in own:
            looks[name] = {"color": own[name], "lw": 1.4, "zorder": 3}
        else:
            kind = name.split(",")[0]
            dashes = (_DASH * list(_NULLS).index(kind), (_DASH, 2 * _DASH))
            looks[name] = {"color": _NULLS[kind], "lw": 1.0, "ls": dashes, "zorder": 5}
    return looks


def _draw_curve(axis: Axes, curves: OcclusionCurves, key: tuple[str, str], look: dict[str, object]) -> None:
    points = curves.curve(*key)
    across = [100 * point.masked for point in points]
    if key[1] not in curves.nulls:
        low, high = ([100 * getattr(point, end) for point in points] for end in ("low", "high"))
        axis.fill_between(across, low, high, color=str(look["color"]), alpha=0.15, lw=0)
    marker = {} if key[1] in curves.nulls else {"marker": "o", "ms": 3}
    axis.plot(across, [100 * point.mAP for point in points], gid=key[1], **look, **marker)  # pyright: ignore[reportArgumentType]


def _mark_leads(axis: Axes, curves: OcclusionCurves, modality: str) -> None:
    """Where enhanced is ahead of plain, or behind it, beyond chance."""
    if curves.leading != "enhanced":
        return
    for point in curves.curve(modality, "plain"):
        if point.verdict != "level":
            sign = "^" if point.verdict == "ahead" else "v"
            axis.plot(100 * point.masked, 3, sign, color=FEATURES["enhanced"], ms=5, clip_on=False)


def _in_the_legend(curves: OcclusionCurves) -> dict[str, str]:
    """Name of a curve -> what the legend says: a kind of nulls once."""
    shown, kinds = {}, {}
    for name in curves.names:
        kind = name.split(",")[0] if name in curves.nulls else name
        kinds.setdefault(kind, []).append(name)
    for kind, names in kinds.items():
        is_null = names[0] in curves.nulls
        shown[names[0]] = f"{kind} ({len(names)} seeds)" if is_null and len(names) > 1 else kind
    return shown


def _words(curves: OcclusionCurves) -> str:
    first = curves.curve(curves.modalities[0], curves.names[0])[0]
    nulls = " Those of the nulls (thin dashed lines) are in the table." if curves.nulls else ""
    words = [curves.covering, f"Bands: 95 % intervals over identities.{nulls}"]
    if curves.leading == "enhanced":
        words.append(
            "Triangles: enhanced ahead of plain (up) or behind it (down) beyond chance, paired by identity, each fraction by itself."
        )
    over = f"{curves.modalities[0]}: {counted(first.n_queries, 'queries')} of {counted(first.n_identities, 'identities')}."
    return " ".join([*words, over, *curves.notes])
