"""Attributions and the checks on them as matplotlib figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import seaborn as sns
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from PIL import Image, ImageOps

from mswin_viz.analysis.attribution.attribute import METHOD_LABELS
from mswin_viz.analysis.attribution.faithfulness import REFERENCES, Faithfulness, bootstrap_interval
from mswin_viz.analysis.attribution.randomisation import Randomisation
from mswin_viz.analysis.attribution.record import Attribution
from mswin_viz.analysis.attribution.share_gap import ShareGap
from mswin_viz.data.shown_text import short_text
from mswin_viz.view.attributions.given_results import check_curves, check_gap, check_maps, check_randomised
from mswin_viz.view.attributions.panels import title_words
from mswin_viz.view.attributions.request import Maps
from mswin_viz.view.parts.figure_file import cell_size, new_figure, tidy
from mswin_viz.view.parts.figure_text import MOST_OF_A_NAME, caption, folded_name, named_legend
from mswin_viz.view.widgets.colours import SIGNED, sign_colour

if TYPE_CHECKING:
    from jaxtyping import Float

_SIGNED, _COLOURS = colormaps[SIGNED], sns.color_palette("tab10")
_REACH = 99.5  # percentile of a map's sizes that its colours reach to: single pixels may not set the scale
_BARS, _GREY = ("#35618f", "#e08214", "#b9b9b9"), "0.45"
_MOST_BESIDE = 8  # maps in a line


def attributions_figure(
    images: Sequence[Image.Image], maps: Maps, *, names: Sequence[str] = (), provenance: str = ""
) -> Figure:
    """Pictures and their maps side by side, one row for each image, on one signed scale; many maps take several lines.

    Each map is divided by its reach (the 99.5th percentile of its sizes, printed above it), since methods have
    different units: colours compare places and signs within a map, not sizes across maps.

    Parameters
    ----------
    images
        As the model saw them, ``model.displayed(...)``.
    maps
        Title -> attribution of all of the images.
    names
        Of the images, above each.
    provenance
        Printed small below.

    Returns
    -------
    figure
        Not shown or kept by pyplot.

    Examples
    --------
    >>> target = mv.Target.text("a person wearing a red top")
    >>> file = samples[0].images["RGB"]
    >>> maps = {"exact split": mv.attribute(model, file, target, method="exact_split", level="tokens")}
    >>> figure = mv.attributions_figure([model.displayed(file)], maps, provenance=model.provenance)
    >>> len(figure.axes)  # the picture, its map and the colours
    3
    """
    check_maps(images, maps)
    n_lines = max(1, -(-len(maps) // _MOST_BESIDE))
    beside = -(-len(maps) // n_lines)
    n_rows, n_cols = n_lines * len(images), beside + 1
    width, height = cell_size(images[0], width=1.45, height=2.75, above=0.75)
    figure = new_figure(width * n_cols + 0.5, height * n_rows + 0.7)
    axes = figure.subplots(n_rows, n_cols, squeeze=False)
    for at, line in enumerate(axes):
        block, row = divmod(at, len(images))
        line[0].imshow(images[row])
        heading = folded_name(names[row], 18) if names else "image" if row == 0 else ""
        line[0].set_title(heading, fontsize=8)
        some = list(maps.items())[block * beside : (block + 1) * beside]
        for axis, (title, attribution) in zip(line[1:], some, strict=False):
            _draw_map(axis, images[row], attribution, row)
            axis.set_title(_map_title(title if row == 0 else "", attribution, row), fontsize=8)
    _finish(figure, axes, provenance)
    return figure


def randomisation_figure(
    image: Image.Image, check: Randomisation, *, row: int = 0, provenance: str = ""
) -> Figure:
    r"""One image's maps from the trained model and from shuffled ones, with their rank correlations.

    Parameters
    ----------
    image
        As the model saw it, ``model.displayed(...)``.
    check
        From :func:`randomisation_check`.
    row, provenance
        Which of its images; what is printed small below.

    Returns
    -------
    figure
        A line for each map; a map for the trained model and each shuffled one.

    Examples
    --------
    >>> file, maps = samples[0].images["RGB"], {"IG": {"level": "tokens", "n_steps": 4}}
    >>> check = mv.randomisation_check(model, file, mv.Target.text("a red top"), maps)
    >>> figure = mv.randomisation_figure(model.displayed(file), check)
    >>> [axis.get_title().split("\n")[0] for axis in figure.axes][1:5]
    ['trained', 'add-on shuffled', 'CLIP shuffled', 'both shuffled']
    """
    check_randomised(check)
    parts = check.parts
    width, height = cell_size(image, width=1.45, height=2.6, above=0.6)
    figure = new_figure(width * (len(parts) + 2) + 0.6, height * len(check.original) + 0.7)
    axes = figure.subplots(len(check.original), len(parts) + 2, squeeze=False)
    for line, (name, original) in enumerate(check.original.items()):
        axes[line, 0].imshow(image)
        axes[line, 0].set_title(folded_name(title_words(name), 22), fontsize=8)
        _draw_map(axes[line, 1], image, original, row)
        axes[line, 1].set_title("trained", fontsize=8)
        for axis, part in zip(axes[line, 2:], parts, strict=True):
            _draw_map(axis, image, check.shuffled[name, part], row)
            rho = check.correlations[name, part][row]
            axis.set_title(f"{short_text(part, MOST_OF_A_NAME)} shuffled\nrank corr. {rho:+.2f}", fontsize=8)
    _finish(figure, axes, provenance)
    return figure


def curves_figure(checks: Faithfulness, *, best: int = 4, provenance: str = "") -> Figure:
    """Deletion and insertion curves of the best maps, over random order and centre prior with 95 % intervals.

    Parameters
    ----------
    checks
        ``rank_methods(...).faithfulness``.
    best
        How many maps are drawn, the most faithful first.
    provenance
        Printed small below.

    Returns
    -------
    figure
        A column for each way of leaving something out.

    Examples
    --------
    >>> options = {"scale": 16, "methods": ["gradient_x_input", "feature_ablation"]}
    >>> ranking = mv.rank_methods(model, tokens, mv.Target.shift(), level="windows", **options)
    >>> [axis.get_title() for axis in mv.curves_figure(ranking.faithfulness).axes][:2]
    ['deletion, absent = zero', 'deletion, absent = mean']
    """
    check_curves(checks)
    figure = new_figure(3.4 * len(checks.baselines) + 3.2, 4.6)
    axes = figure.subplots(2, len(checks.baselines), squeeze=False, sharex=True)
    names = [name for name in checks.ranked() if name in checks.names][:best]
    for column, baseline in enumerate(checks.baselines):
        for axis, kind in zip(axes[:, column], ("deletion", "insertion"), strict=True):
            for name, colour in zip(REFERENCES, ("0.35", "#b58900"), strict=True):
                _draw_reference(axis, checks, (name, baseline), kind, colour)
            for name, colour in zip(names, _COLOURS, strict=False):
                curves = checks.curves[name, baseline]
                axis.plot(curves.fractions, getattr(curves, kind).mean(axis=0), color=colour, lw=1.6, label=title_words(name))  # fmt: skip
            axis.set_title(f"{kind}, absent = {baseline}", fontsize=9)
            tidy(axis)
        axes[1, column].set_xlabel(f"fraction of {checks.units}", fontsize=8)
    for axis, better in zip(axes[:, 0], ("lower is better", "higher is better"), strict=True):
        axis.set_ylabel(f"mean score\n({better})", fontsize=8)
    lines = axes[0, 0].lines
    names = [line.get_label() for line in lines]
    named_legend(figure, lines, names, loc="outside right upper", fontsize=8, frameon=False)
    caption(figure, provenance)
    return figure


def gap_figure(gap: ShareGap, *, row: int = 0, provenance: str = "") -> Figure:
    """Exact shares of one image beside integrated gradients, and beside window removal, with and without the norm's part.

    Parameters
    ----------
    gap
        From :func:`share_gap`.
    row, provenance
        Which of its images; what is printed small below.

    Returns
    -------
    figure
        Three panels: the parts of the score, and the windows by two accounts each.

    Examples
    --------
    >>> gap = mv.share_gap(model, tokens[0], mv.Target.text("a person wearing a red top"), 16, n_steps=8)
    >>> len(mv.gap_figure(gap).axes)
    3
    """
    check_gap(gap)
    figure = new_figure(11, 3.6)
    parts, left, right = figure.subplots(1, 3, width_ratios=[0.7, 1.6, 1.6])
    _draw_parts(parts, gap, row)
    bars = {"exact share": gap.shares[row], METHOD_LABELS["integrated_gradients"]: gap.integrated[row]}
    _draw_bars(left, bars)
    on_path, flipped = gap.flipped_on_path[row], int(gap.flipped[row].sum())
    left.set_title(
        f"tokens of each window, through every scale\n{on_path} ReLU gates flip on the path", fontsize=8
    )
    share, norm_kept, removal = gap.own_share[row], gap.removal_norm_kept[row], gap.removal[row]
    bars = {"exact share": share, "fall when removed, norm kept": norm_kept, "norm recomputed": removal}
    _draw_bars(right, bars)
    kernel = f"each window through its kernel of scale {gap.scale}"
    right.set_title(f"{kernel}\nnumbers: ReLU gates that switch, {flipped} in all", fontsize=8)
    top = np.max([share, norm_kept, removal, np.zeros_like(share)], axis=0)
    for window, n_flipped in enumerate(gap.flipped[row]):
        if n_flipped:
            right.annotate(str(n_flipped), (window, top[window]), ha="center", va="bottom", fontsize=6)
    right.margins(y=0.12)
    caption(figure, provenance)
    return figure


def _draw_map(axis: Axes, image: Image.Image, attribution: Attribution, row: int) -> None:
    values, reach = _picture_of(attribution, row), _reach(attribution, row)
    rgba = _SIGNED(Normalize(-reach, reach, clip=True)(values))
    rgba[..., 3] = 0.85 * np.clip(np.abs(values) / reach, 0, 1) ** 0.6
    axis.imshow(_pale(image))
    axis.imshow(rgba, extent=(0, image.width, image.height, 0), interpolation="nearest")


def _picture_of(attribution: Attribution, row: int) -> Float[np.ndarray, "rows cols"]:
    if attribution.level == "pixels":
        return attribution.values[row]
    return attribution.on_patches()[row].reshape(attribution.grid)


def _reach(attribution: Attribution, row: int) -> float:
    sizes = np.abs(_picture_of(attribution, row))
    return float(np.percentile(sizes, _REACH)) or float(sizes.max()) or 1.0


def _map_title(title: str, attribution: Attribution, row: int) -> str:
    lines = [folded_name(title_words(title), 22)] if title else []
    lines.append(f"{attribution.level}, ±{_reach(attribution, row):.1e}")
    if attribution.method in ("integrated_gradients", "shapley", "exact_split"):
        lines.append(f"delta {attribution.delta[row]:+.0e}")
    return "\n".join(lines)


def _pale(image: Image.Image) -> np.ndarray:
    """Grey and light, so that only the map has colour."""
    grey = np.asarray(ImageOps.grayscale(image), dtype=float) / 255
    return np.repeat((0.45 + 0.55 * grey)[..., None], 3, axis=2)


def _draw_reference(axis: Axes, checks: Faithfulness, key: tuple[str, str], kind: str, colour: str) -> None:
    curves = checks.curves[key]
    scores = getattr(curves, kind)
    ends = np.array([bootstrap_interval(step, seed=checks.seed) for step in scores.T])
    axis.fill_between(curves.fractions, ends[:, 0], ends[:, 1], color=colour, alpha=0.15, lw=0)
    axis.plot(curves.fractions, scores.mean(axis=0), color=colour, lw=1.3, ls="--", label=f"{key[0]} (95 %)")


def _draw_bars(axis: Axes, series: Mapping[str, Float[np.ndarray, " window"]]) -> None:
    width = 0.8 / len(series)
    for n_before, ((label, numbers), colour) in enumerate(zip(series.items(), _BARS, strict=False)):
        places = np.arange(len(numbers)) + (n_before - (len(series) - 1) / 2) * width
        axis.bar(places, numbers, width, label=label, color=colour)
    axis.axhline(0, color="0.3", lw=0.8)
    axis.set_xlabel("window", fontsize=8)
    tidy(axis)
    axis.legend(fontsize=7, frameon=False)


def _draw_parts(axis: Axes, gap: ShareGap, row: int) -> None:
    """Shares of the CLS, all windows and the biases: they add up to the score."""
    windows = gap.score[row] - gap.cls[row] - gap.bias[row]
    rows = [("score", gap.score[row]), ("bias", gap.bias[row]), ("windows", windows), ("CLS", gap.cls[row])]
    colours = [_GREY, *(sign_colour(value) for _, value in rows[1:])]
    axis.barh([name for name, _ in rows], [value for _, value in rows], color=colours)
    axis.axvline(0, color="0.3", lw=0.8)
    tidy(axis)
    axis.set_title(f"exact parts of the score\nbias {rows[1][1]:+.3f} of {rows[0][1]:+.3f}", fontsize=8)


def _finish(figure: Figure, axes: np.ndarray, provenance: str) -> None:
    for axis in axes.ravel():
        axis.set_axis_off()
    place = {"location": "bottom", "shrink": 0.5, "aspect": 45, "pad": 0.02}
    bar = figure.colorbar(ScalarMappable(Normalize(-1, 1), _SIGNED), ax=list(axes.ravel()), **place)
    bar.set_ticks([-1, 0, 1], labels=["lowers the score", "0", "raises the score"])
    bar.ax.tick_params(labelsize=7)
    bar.set_label("value / reach of its map (±, above each)", fontsize=7)
    caption(figure, provenance)
