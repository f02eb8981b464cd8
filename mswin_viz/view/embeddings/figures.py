"""The measures of a view of embeddings, plain beside enhanced, as figures for print."""

from __future__ import annotations

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from mswin_viz.analysis.embeddings.export import measures_frame, points_frame
from mswin_viz.analysis.embeddings.similarity_pairs import similarity_pairs
from mswin_viz.analysis.embeddings.view import EmbeddingView
from mswin_viz.analysis.measures.joined import modality_words
from mswin_viz.analysis.measures.null_comparison import NullComparison
from mswin_viz.analysis.measures.paired_retrieval import NOT_MEASURED
from mswin_viz.analysis.measures.ranking import METRIC_WORDS
from mswin_viz.data.storage.given_kinds import of_kind
from mswin_viz.errors import OptionError
from mswin_viz.view.parts.figure_file import new_figure, tidy
from mswin_viz.view.parts.figure_text import caption, folded_name
from mswin_viz.view.parts.given import given_view
from mswin_viz.view.widgets.colours import FEATURES

ZERO = {"color": "0.4", "lw": 0.8, "ls": ":"}
"""How a line at no change is drawn."""
_WIDE = 40  # characters above a panel


def similarity_figure(view: EmbeddingView, *, provenance: str = "") -> Figure:
    """Distributions of the cosines of pairs, of the same and of different identities, plain and enhanced.

    Parameters
    ----------
    view
        From :func:`embedding_view`.
    provenance
        Printed small below, such as ``model.provenance``.

    Returns
    -------
    figure
        Of matplotlib; :func:`figure_bytes` makes a file of it.

    Raises
    ------
    OptionError
        If there is no pair of images of known identity.

    Examples
    --------
    >>> table = mv.embed(model, samples[:24], modalities=["TI"], progress=False)
    >>> view = mv.embedding_view(table, mv.ViewSettings(perplexity=5))
    >>> len(mv.similarity_figure(view).axes)  # plain above enhanced
    2
    """
    given_view(view)
    pairs = similarity_pairs(view.table, rule=view.settings.rule, seed=view.settings.seed)
    if not len(pairs.first):
        raise OptionError(
            "similarities are those of pairs of known identities: got a table without such a pair"
        )
    names = list(dict.fromkeys(pairs.modality.tolist()))
    frame = pairs.to_pandas()
    figure = new_figure(3.1 * len(names) + 0.4, 4.6)
    axes = figure.subplots(2, len(names), squeeze=False, sharex="col")
    for column, name in enumerate(names):
        gaps = pairs.gap(name)
        for axis, feature, gap in zip(axes[:, column], FEATURES, gaps, strict=True):
            part = frame.loc[(frame.modality == name) & (frame.feature == feature)]
            sns.histplot(
                part, x="cosine", hue="identity", hue_order=["same", "different"], stat="density", common_norm=False,
                element="step", bins=50, palette=["#0072b2", "#d98200"], ax=axis, alpha=0.35, legend=column == len(names) - 1,
            )  # fmt: skip
            axis.set_title(f"{panel_title(name)}, {feature}: gap of means {gap:.3f}", fontsize=8)
            axis.set_ylabel("density" if column == 0 else "", fontsize=8)
            axis.set_xlabel("cosine of a pair", fontsize=8)
            tidy(axis)
    drawn = "a random sample of pairs. " if pairs.is_sample else ""
    caption(figure, f"Pairs within a modality; query rule: {view.settings.rule}. {drawn}{provenance}")
    return figure


def silhouette_figure(view: EmbeddingView, *, provenance: str = "") -> Figure:
    """Silhouettes of the rows by identity, plain and enhanced: halves of one violin for each modality.

    Parameters
    ----------
    view
        From :func:`embedding_view`.
    provenance
        Printed small below, such as ``model.provenance``.

    Returns
    -------
    figure
        Of matplotlib; :func:`figure_bytes` makes a file of it.

    Raises
    ------
    OptionError
        If no identity has two images.

    Examples
    --------
    >>> table = mv.embed(model, samples[:24], modalities=["TI"], progress=False)
    >>> view = mv.embedding_view(table, mv.ViewSettings(perplexity=5))
    >>> mv.silhouette_figure(view).axes[0].get_ylabel()
    'silhouette by identity'
    """
    given_view(view)
    frame = points_frame(view).melt(
        ["modality"], ["plain_silhouette", "enhanced_silhouette"], "feature", "silhouette"
    )
    frame["feature"] = frame["feature"].str.removesuffix("_silhouette")
    frame = frame.dropna()
    if frame.empty:
        raise OptionError("a silhouette needs an identity with at least two images: got a table without one")
    names = [name for name in view.table.modalities if (frame.modality == name).any()]
    figure = new_figure(1.6 * len(names) + 2.6, 3.8)
    axis = figure.subplots()
    sns.violinplot(
        frame, x="modality", y="silhouette", hue="feature", order=names, hue_order=list(FEATURES), split=True, inner="quart",
        cut=0, palette=FEATURES, linewidth=0.8, ax=axis,
    )  # fmt: skip
    axis.axhline(0, **ZERO)
    axis.set_xticks(range(len(names)), list(map(modality_words, names)))
    axis.set_xlabel("")
    axis.set_ylabel("silhouette by identity", fontsize=8)
    axis.legend(fontsize=8, frameon=False, loc="lower right")
    tidy(axis, size=8)
    metric = METRIC_WORDS[view.table.metric].capitalize()
    caption(figure, f"{metric}, full space; 1: tight and far from other identities. {provenance}")
    return figure


def measures_figure(view: EmbeddingView, *, provenance: str = "") -> Figure:
    """mAP with its 95 % intervals, Rank-1, mINP, and the change of mAP against zero, by modality.

    Parameters
    ----------
    view
        From :func:`embedding_view`.
    provenance
        Printed small below, such as ``model.provenance``.

    Returns
    -------
    figure
        Of matplotlib; :func:`figure_bytes` makes a file of it.

    Raises
    ------
    OptionError
        If no identity has a query with a match.

    Examples
    --------
    >>> table = mv.embed(model, samples[:24], modalities=["TI"], progress=False)
    >>> view = mv.embedding_view(table, mv.ViewSettings(perplexity=5))
    >>> [axis.get_xlabel() for axis in mv.measures_figure(view, provenance=model.provenance).axes]
    ['%, bars with 95 % intervals over identities', 'change of mAP, points (95 %)']
    """
    given_view(view)
    names = measured_modalities(view)
    frame = measures_frame(view)
    figure = new_figure(8.6, 1.2 + 0.62 * len(names))
    levels, change = figure.subplots(1, 2, sharey=True, width_ratios=[1.5, 1])
    places = np.arange(len(names))[::-1]
    for feature, shift in (("plain", 0.17), ("enhanced", -0.17)):
        intervals = [getattr(view.comparisons[name], f"{feature}_interval") for name in names]
        value = np.array([100 * interval.value for interval in intervals])
        ends = np.array([[100 * interval.low, 100 * interval.high] for interval in intervals])
        ends = np.nan_to_num(np.abs(ends - value[:, None]))
        bars = {"color": FEATURES[feature], "label": f"mAP, {feature}", "capsize": 2}
        levels.barh(places + shift, value, 0.32, xerr=ends.T, **bars)
        for measure, name, mark in (("rank1", "Rank-1", "D"), ("mINP", "mINP", "s")):
            label, values = name if feature == "plain" else None, 100 * frame[f"{feature}_{measure}"]
            levels.plot(values, places + shift, mark, color="black", ms=4, mfc="white", label=label)
    gaps = [view.comparisons[name].difference_interval for name in names]
    for place, gap, name in zip(places, gaps, names, strict=True):
        change.plot([100 * gap.low, 100 * gap.high], [place, place], color="0.3", lw=2, solid_capstyle="butt")
        change.plot(100 * gap.value, place, "o", color=FEATURES["enhanced"])
        test = view.comparisons[name].test
        words = f"p = {test.p:.2g}" if np.isfinite(test.p) else "no test"
        above = {"xytext": (0, 6), "textcoords": "offset points", "ha": "center"}
        change.annotate(words, (100 * gap.value, place), fontsize=7, **above)
    change.axvline(0, **ZERO)
    levels.set_yticks(places, list(map(modality_words, names)))
    levels.set_xlabel("%, bars with 95 % intervals over identities", fontsize=8)
    change.set_xlabel("change of mAP, points (95 %)", fontsize=8)
    levels.legend(fontsize=7, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=4)
    tidy(levels, change, size=8)
    change.set_ylim(-0.6, len(names) - 0.35)
    metric = METRIC_WORDS[view.table.metric]
    caption(figure, f"Full space, {metric}, rule: {view.settings.rule}. {query_words(view)}{provenance}")
    return figure


def nulls_figure(nulls: NullComparison, *, provenance: str = "") -> Figure:
    """Change of mAP from plain by the trained add-on, and by add-ons that learned nothing, with 95 % intervals.

    Parameters
    ----------
    nulls
        From :func:`compare_with_nulls`.
    provenance
        Printed small below, such as ``model.provenance``.

    Returns
    -------
    figure
        Of matplotlib; :func:`figure_bytes` makes a file of it.

    Examples
    --------
    >>> table = mv.embed(model, samples[:24], modalities=["TI"], progress=False)
    >>> who = (table.pid, table.camid)
    >>> nulls = {"noise": np.random.default_rng(0).normal(size=table.plain.shape)}
    >>> against = mv.compare_with_nulls(table.plain, table.enhanced, nulls, *who, draws=200)
    >>> [label.get_text() for label in mv.nulls_figure(against).axes[0].get_yticklabels()]
    ['trained', 'noise']
    """
    of_kind(
        nulls,
        NullComparison,
        "nulls must be a comparison with nulls",
        "make one with mswin_viz.compare_with_nulls",
    )
    rows = {"trained": nulls.trained, **nulls.nulls}
    figure = new_figure(6.4, 1.1 + 0.3 * len(rows))
    axis = figure.subplots()
    for place, comparison in enumerate(rows.values()):
        gap, is_trained = comparison.difference_interval, place == 0
        colour = FEATURES["enhanced"] if is_trained else FEATURES["plain"]
        ends = [100 * gap.low, 100 * gap.high]
        axis.plot(ends, [place, place], color=colour, lw=2.5, solid_capstyle="butt")
        axis.plot(100 * gap.value, place, "o" if is_trained else "s", color=colour, ms=6 if is_trained else 4)
    axis.set_yticks(range(len(rows)), list(rows), fontsize=8)
    axis.invert_yaxis()
    axis.axvline(0, **ZERO)
    axis.set_xlabel("change of mAP from plain, points (95 % over identities)", fontsize=8)
    tidy(axis, size=8)
    cause = nulls.trained.unmeasured
    words = f"{NOT_MEASURED.capitalize()}: {cause}. " if cause else ""
    words += "Blue: the trained add-on; grey: its weights shuffled, or never trained. "
    if nulls.trained.plain.n_answered < nulls.trained.plain.n_queries:
        words += f"Over {nulls.trained.plain.queries}. "
    caption(figure, f"{words}{provenance}")
    return figure


def panel_title(modality: str) -> str:
    """A modality above its panel."""
    return folded_name(modality_words(modality), _WIDE)


def measured_modalities(view: EmbeddingView) -> list[str]:
    """Modalities with a measured identity; OptionError where no modality has one."""
    names = [name for name, comparison in view.comparisons.items() if len(comparison.identities)]
    if not names:
        raise OptionError("a comparison of identities needs a query with a match: got a table without one")
    return names


def query_words(view: EmbeddingView) -> str:
    """Over how many queries the measures are, modality by modality, where not over all."""
    plain = {modality_words(name): comparison.plain for name, comparison in view.comparisons.items()}
    words = [f"{name} over {r.queries}" for name, r in plain.items() if r.n_answered < r.n_queries]
    return f"{'; '.join(words)}. " if words else ""
