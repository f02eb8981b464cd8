"""Maps and measures of embeddings -> print-quality figures (matplotlib, seaborn). No pyplot, no global state."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from mswin_viz.analysis.comparison_record import NOT_MEASURED, Comparison
from mswin_viz.analysis.embedding_export import measures_frame, points_frame
from mswin_viz.analysis.embedding_view import EmbeddingView
from mswin_viz.analysis.null_comparison import NullComparison
from mswin_viz.analysis.ranking import METRIC_WORDS
from mswin_viz.analysis.similarity_pairs import similarity_pairs
from mswin_viz.data.file_writing import write_bytes
from mswin_viz.data.output_checks import output_file, output_folder
from mswin_viz.data.shown_text import without_home
from mswin_viz.errors import OptionError
from mswin_viz.view.figure_download import FORMATS
from mswin_viz.view.figure_text import caption, folded_name, named_legend
from mswin_viz.view.figures import NotebookFigure, figure_bytes
from mswin_viz.view.map_colours import Colouring
from mswin_viz.view.map_points import COLOURED, map_colouring

__all__ = [
    "change_figure",
    "maps_figure",
    "measures_figure",
    "nulls_figure",
    "save_figures",
    "silhouette_figure",
    "similarity_figure",
]

_PAIR = {"plain": "#8a8f98", "enhanced": "#0072b2"}
_UP, _DOWN, _EVEN = "#1b7837", "#b35806", "0.6"
_MOST_LINES = 60
_WIDE = 40  # characters above a panel


def maps_figure(view: EmbeddingView, *, by: str = "identity", provenance: str = "") -> Figure:
    """Both maps on one scale, in one set of colours, with what they are not said below."""
    figure = NotebookFigure(figsize=(9.2, 4.9), layout="constrained", dpi=100)
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    colouring, settings = map_colouring(view, by), view.settings
    size = float(np.clip(2500 / len(view), 3, 30))
    qualities = (view.projection.plain_quality, view.projection.enhanced_quality)
    names = ("plain CLS", "enhanced CLS")
    for axis, places, name, quality in zip(
        axes, (view.projection.plain, view.projection.enhanced), names, qualities, strict=True
    ):
        axis.scatter(*places.T, c=colouring.of_points, s=size, lw=0, alpha=0.85)
        axis.set(xticks=[], yticks=[], aspect="equal")
        axis.set_title(f"{name}\ntrustworthiness {quality.trustworthiness:.3f}", fontsize=9)
    _explain_colours(figure, axes, colouring, by.replace("_", " "))
    words = (
        f"{len(view)} rows ({settings.show}); joint t-SNE, coupling {settings.coupling:g}, perplexity "
        f"{view.projection.settings.perplexity:g}, seed {settings.seed}. Likeness of the maps is made by the coupling: no "
        f"measure of improvement. {provenance}"
    )
    caption(figure, words)
    return figure


def change_figure(view: EmbeddingView, *, provenance: str = "") -> Figure:
    """Average precision of each identity before and after, as pairs; one panel for each modality.

    With few identities each has a line with an arrow to its enhanced value, worst change first; with many, the
    changes are drawn in order as one curve of points.
    """
    names = _measured(view)
    many = max(len(view.comparisons[name].identities) for name in names) > _MOST_LINES
    figure = NotebookFigure(figsize=(3.1 * len(names) + 0.4, 4.6), layout="constrained", dpi=100)
    for axis, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        found = view.comparisons[name]
        order = np.argsort(found.change, kind="stable")
        (_draw_changes if many else _draw_pairs)(axis, found, order)
        gap = found.difference_interval
        span = "" if np.isnan(gap.low) else f" ({100 * gap.low:+.1f} to {100 * gap.high:+.1f})"
        axis.set_title(f"{folded_name(name, _WIDE)}\nmAP {100 * gap.value:+.1f} points{span}", fontsize=8)
        axis.tick_params(labelsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    caption(
        figure,
        f"Each identity's AP before and after; arrows: \u25b2 rose, \u25bc fell. {_queries(view)}{provenance}",
    )
    return figure


def similarity_figure(view: EmbeddingView, *, provenance: str = "") -> Figure:
    """Distributions of the cosines of pairs, same and different identity, before and after."""
    pairs = similarity_pairs(view.table, rule=view.settings.rule, seed=view.settings.seed)
    if not len(pairs.first):
        raise OptionError("similarities are compared between known identities: the table has no pair of them")
    names = list(dict.fromkeys(pairs.modality.tolist()))
    frame = pairs.to_pandas()
    figure = NotebookFigure(figsize=(3.1 * len(names) + 0.4, 4.6), layout="constrained", dpi=100)
    axes = figure.subplots(2, len(names), squeeze=False, sharex="col")
    for column, name in enumerate(names):
        gaps = pairs.gap(name)
        for axis, feature, gap in zip(axes[:, column], _PAIR, gaps, strict=True):
            part = frame[(frame.modality == name) & (frame.feature == feature)]
            sns.histplot(
                part, x="cosine", hue="identity", hue_order=["same", "different"], stat="density", common_norm=False,
                element="step", bins=50, palette=["#0072b2", "#d98200"], ax=axis, alpha=0.35, legend=column == len(names) - 1,
            )  # fmt: skip
            axis.set_title(f"{folded_name(name, _WIDE)}, {feature}: gap of means {gap:.3f}", fontsize=8)
            axis.tick_params(labelsize=7)
            axis.set_ylabel("density" if column == 0 else "", fontsize=8)
            axis.set_xlabel("cosine of a pair", fontsize=8)
            axis.spines[["top", "right"]].set_visible(False)
    drawn = "a random sample of pairs. " if pairs.is_sample else ""
    caption(figure, f"Pairs within a modality; query rule: {view.settings.rule}. {drawn}{provenance}")
    return figure


def silhouette_figure(view: EmbeddingView, *, provenance: str = "") -> Figure:
    """Silhouettes of the rows by identity, before and after: halves of one violin for each modality."""
    frame = points_frame(view).melt(
        ["modality"], ["plain_silhouette", "enhanced_silhouette"], "feature", "silhouette"
    )
    frame["feature"] = frame["feature"].str.removesuffix("_silhouette")
    frame = frame.dropna()
    if frame.empty:
        raise OptionError("a silhouette needs identities with two images or more: the table has none")
    names = [name for name in view.table.modalities if (frame.modality == name).any()]
    figure = NotebookFigure(figsize=(1.6 * len(names) + 2.6, 3.8), layout="constrained", dpi=100)
    axis = figure.subplots()
    sns.violinplot(
        frame, x="modality", y="silhouette", hue="feature", order=names, hue_order=list(_PAIR), split=True, inner="quart",
        cut=0, palette=_PAIR, linewidth=0.8, ax=axis,
    )  # fmt: skip
    axis.axhline(0, color="0.4", lw=0.8, ls=":")
    axis.set_xlabel("")
    axis.set_ylabel("silhouette by identity", fontsize=8)
    axis.legend(fontsize=8, frameon=False, loc="lower right")
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    metric = METRIC_WORDS[view.table.metric].capitalize()
    caption(figure, f"{metric}, full space; 1: tight and far from other identities. {provenance}")
    return figure


def measures_figure(view: EmbeddingView, *, provenance: str = "") -> Figure:
    """mAP with its 95 % intervals, Rank-1, and its change against zero, by modality."""
    names = _measured(view)
    frame = measures_frame(view)
    figure = NotebookFigure(figsize=(8.6, 1.2 + 0.62 * len(names)), layout="constrained", dpi=100)
    levels, change = figure.subplots(1, 2, sharey=True, width_ratios=[1.5, 1])
    places = np.arange(len(names))[::-1]
    for feature, shift in (("plain", 0.17), ("enhanced", -0.17)):
        found = [getattr(view.comparisons[name], f"{feature}_interval") for name in names]
        value = np.array([100 * some.value for some in found])
        ends = np.nan_to_num(np.abs([[100 * some.low, 100 * some.high] for some in found] - value[:, None]))
        levels.barh(
            places + shift, value, 0.32, xerr=ends.T, color=_PAIR[feature], label=f"mAP, {feature}", capsize=2
        )
        levels.plot(100 * frame[f"{feature}_rank1"], places + shift, "D", color="black", ms=4, mfc="white",
                    label="Rank-1" if feature == "plain" else None)  # fmt: skip
    gaps = [view.comparisons[name].difference_interval for name in names]
    for place, gap, name in zip(places, gaps, names, strict=True):
        change.plot([100 * gap.low, 100 * gap.high], [place, place], color="0.3", lw=2, solid_capstyle="butt")
        change.plot(100 * gap.value, place, "o", color=_PAIR["enhanced"])
        test = view.comparisons[name].test
        change.annotate(
            f"p = {test.p:.2g}" if np.isfinite(test.p) else "no test", (100 * gap.value, place),
            (0, 6), textcoords="offset points", fontsize=7, ha="center",
        )  # fmt: skip
    change.axvline(0, color="0.4", lw=0.8, ls=":")
    levels.set_yticks(places, names)
    levels.set_xlabel("%, bars with 95 % intervals over identities", fontsize=8)
    change.set_xlabel("change of mAP, points (95 %)", fontsize=8)
    levels.legend(fontsize=7, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    for axis in (levels, change):
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    change.set_ylim(-0.6, len(names) - 0.35)
    metric = METRIC_WORDS[view.table.metric]
    caption(figure, f"Full space, {metric}, rule: {view.settings.rule}. {_queries(view)}{provenance}")
    return figure


def nulls_figure(found: NullComparison, *, provenance: str = "") -> Figure:
    """Change of mAP from plain by the trained add-on, and by add-ons that learned nothing, with 95 % intervals."""
    rows = {"trained": found.trained, **found.nulls}
    figure = NotebookFigure(figsize=(6.4, 1.1 + 0.3 * len(rows)), layout="constrained", dpi=100)
    axis = figure.subplots()
    for place, some in enumerate(rows.values()):
        gap, is_trained = some.difference_interval, place == 0
        colour = _PAIR["enhanced"] if is_trained else _PAIR["plain"]
        axis.plot(
            [100 * gap.low, 100 * gap.high], [place, place], color=colour, lw=2.5, solid_capstyle="butt"
        )
        axis.plot(100 * gap.value, place, "o" if is_trained else "s", color=colour, ms=6 if is_trained else 4)
    axis.set_yticks(range(len(rows)), list(rows), fontsize=8)
    axis.invert_yaxis()
    axis.axvline(0, color="0.4", lw=0.8, ls=":")
    axis.set_xlabel("change of mAP from plain, points (95 % over identities)", fontsize=8)
    axis.tick_params(axis="x", labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    cause = found.trained.unmeasured
    words = f"{NOT_MEASURED.capitalize()}: {cause}. " if cause else ""
    words += "Blue: the trained add-on; grey: its weights shuffled, or never trained. "
    if found.trained.plain.n_answered < found.trained.plain.n_queries:
        words += f"Over {found.trained.plain.queries}. "
    caption(figure, f"{words}{provenance}")
    return figure


def save_figures(
    view: EmbeddingView, folder: str | Path, *, kinds: Sequence[str] = ("png", "pdf"), provenance: str = ""
) -> list[Path]:
    """Write every figure that the view allows, 300 dots an inch.

    Parameters
    ----------
    folder
        Made if it is not there.
    kinds
        File endings: ``"png"``, ``"svg"``, ``"pdf"``.

    Returns
    -------
    paths
        What was written; a figure with nothing to show is left out.

    Raises
    ------
    OptionError
        If a kind is none of these.
    OutputError
        If a file cannot be written; checked before anything is drawn.
    """
    strange = [kind for kind in kinds if kind not in FORMATS]
    if strange or not kinds:
        raise OptionError(f"kinds are some of {', '.join(FORMATS)}: got {tuple(kinds)}")
    folder = output_folder(folder)
    draw = {
        "measures": measures_figure,
        "change": change_figure,
        "similarities": similarity_figure,
        "silhouettes": silhouette_figure,
    }
    names = (*(f"maps_by_{by}" for by in COLOURED), *draw)
    paths = {name: [output_file(folder / f"{name}.{kind}") for kind in kinds] for name in names}
    about = without_home(provenance)
    made = {f"maps_by_{by}": maps_figure(view, by=by, provenance=about) for by in COLOURED}
    for name, function in draw.items():
        try:
            made[name] = function(view, provenance=about)
        except OptionError as nothing:
            warnings.warn(f"{name} is left out: {nothing}", stacklevel=2)
    for name, figure in made.items():
        for path, kind in zip(paths[name], kinds, strict=True):
            write_bytes(path, figure_bytes(figure, kind))
    return [path for name in made for path in paths[name]]


def _measured(view: EmbeddingView) -> list[str]:
    names = [name for name, found in view.comparisons.items() if len(found.identities)]
    if not names:
        raise OptionError("identities are compared where a query has a match: none of this table has one")
    return names


def _queries(view: EmbeddingView) -> str:
    """Over how many queries the measures are, modality by modality, where not over all."""
    some = {name: found.plain for name, found in view.comparisons.items()}
    words = [f"{name} over {r.queries}" for name, r in some.items() if r.n_answered < r.n_queries]
    return f"{'; '.join(words)}. " if words else ""


def _draw_pairs(axis: Axes, found: Comparison, order: np.ndarray) -> None:
    """A line from plain to enhanced for each identity; its end points the way."""
    for place, at in enumerate(order):
        before, after = 100 * found.plain_ap[at], 100 * found.enhanced_ap[at]
        colour = _UP if after > before else _DOWN if after < before else _EVEN
        marker = "^" if after > before else "v" if after < before else "o"
        axis.plot([before, after], [place, place], color=colour, lw=1.4)
        axis.plot(before, place, "o", color="0.45", ms=2.5)
        axis.plot(after, place, marker, color=colour, ms=4)
    axis.set_yticks(range(len(order)), [str(found.identities[at]) for at in order], fontsize=5)
    axis.set_xlabel("AP of the identity, %", fontsize=8)
    axis.set_ylabel("identity, by its change", fontsize=8)


def _draw_changes(axis: Axes, found: Comparison, order: np.ndarray) -> None:
    changes = 100 * found.change[order]
    for sign, colour, marker in ((1, _UP, "^"), (-1, _DOWN, "v"), (0, _EVEN, ".")):
        at = np.flatnonzero(np.sign(changes) == sign)
        axis.plot(changes[at], at, marker, color=colour, ms=3, ls="")
    axis.axvline(0, color="0.4", lw=0.8, ls=":")
    axis.set_xlabel("change of AP, points", fontsize=8)
    axis.set_ylabel("identities, by their change", fontsize=8)


def _explain_colours(figure: Figure, axes: np.ndarray, colouring: Colouring, title: str) -> None:
    if colouring.ends is not None:
        scale = ScalarMappable(Normalize(*colouring.ends), ListedColormap(colouring.colours[1:]))
        bar = figure.colorbar(scale, ax=list(axes), location="right", shrink=0.7, pad=0.01)
        bar.set_label(
            title + (f"; grey: {colouring.n_missing} without a match" if colouring.n_missing else ""),
            fontsize=8,
        )
        bar.ax.tick_params(labelsize=7)
        return
    if len(colouring.names) > 30:
        figure.suptitle(f"coloured by {title}: {len(colouring.names)} colours", fontsize=9)
        return
    dots = [axes[-1].plot([], [], "o", color=colour, ms=4)[0] for colour in colouring.colours]
    named_legend(
        figure,
        dots,
        colouring.names,
        loc="outside right center",
        fontsize=6,
        frameon=False,
        title=title,
        title_fontsize=7,
    )
