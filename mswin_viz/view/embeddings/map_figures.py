"""Both maps of a view as one figure, and every figure of a view as files."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from mswin_viz.analysis.embeddings.view import EmbeddingView
from mswin_viz.data.shown_text import counted, without_home
from mswin_viz.data.storage.file_writing import write_bytes
from mswin_viz.data.storage.output_checks import output_file, output_folder
from mswin_viz.errors import OptionError
from mswin_viz.view.embeddings import figures
from mswin_viz.view.embeddings.change_figure import change_figure
from mswin_viz.view.parts.figure_file import FORMATS, figure_bytes, new_figure
from mswin_viz.view.parts.figure_text import caption, named_legend
from mswin_viz.view.parts.given import given_view
from mswin_viz.view.parts.neighbour_words import feature_names_words
from mswin_viz.view.widgets.labels import COLOURS, FEATURES, SHOWN, colours_of, named
from mswin_viz.view.widgets.map_colours import Colouring
from mswin_viz.view.widgets.map_points import map_colouring

_MOST_NAMED = 30  # colours in a legend


def maps_figure(view: EmbeddingView, *, by: str = "identity", provenance: str = "") -> Figure:
    """Both maps on one scale and in one set of colours; the caption says what they do not show.

    Parameters
    ----------
    view
        From :func:`embedding_view`.
    by
        What the colours mean: ``"identity"``, ``"camera"``, ``"modality"``, ``"plain_ap"``, ``"enhanced_ap"`` or ``"ap_change"``.
    provenance
        Printed small below, such as ``model.provenance``.

    Returns
    -------
    figure
        Of matplotlib; :func:`figure_bytes` makes a file of it.

    Raises
    ------
    OptionError
        If there is no such meaning.

    Examples
    --------
    >>> table = mv.embed(model, samples[:24], modalities=["TI"], progress=False)
    >>> view = mv.embedding_view(table, mv.ViewSettings(perplexity=5))
    >>> [axis.get_title().splitlines()[0] for axis in mv.maps_figure(view).axes][:2]
    ['plain CLS', 'enhanced CLS']
    """
    given_view(view)
    figure = new_figure(9.2, 4.9)
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    colouring, settings = map_colouring(view, by), view.settings
    size = float(np.clip(2500 / len(view), 3, 30))
    names, colours = _titles(view), colours_of(view.table.feature_names)
    for axis, (feature, name) in zip(axes, names.items(), strict=True):
        places, quality = getattr(view.projection, feature), getattr(view.projection, f"{feature}_quality")
        axis.scatter(*places.T, c=colouring.of_points, s=size, lw=0, alpha=0.85)
        axis.set(xticks=[], yticks=[], aspect="equal")
        axis.set_title(f"{name}\ntrustworthiness {quality.trustworthiness:.3f}", fontsize=9)
    _explain_colours(figure, axes, colouring, colours[by])
    words = (
        f"{counted(len(view), 'rows')} ({SHOWN[settings.show]}); joint t-SNE, coupling {settings.coupling:g}, perplexity "
        f"{view.projection.settings.perplexity:g}, seed {settings.seed}. How similar the two maps look is set by the "
        f"coupling; judge the add-on by the measures. {provenance}"
    )
    caption(figure, words)
    return figure


def save_figures(
    view: EmbeddingView, folder: str | Path, *, kinds: Sequence[str] = ("png", "pdf"), provenance: str = ""
) -> list[Path]:
    """Write every figure that has something to show, 300 dots an inch; return the files.

    Raises OptionError unless every kind is a file ending of figures; OutputError, before anything is drawn, if a file
    cannot be written.
    """
    if not kinds or not set(kinds) <= set(FORMATS):
        raise OptionError(f"kinds must be some of {', '.join(FORMATS)}: got {tuple(kinds)}")
    folder = output_folder(folder)
    draw = {
        "measures": figures.measures_figure, "change": change_figure,
        "similarities": figures.similarity_figure, "silhouettes": figures.silhouette_figure,
    }  # fmt: skip
    names = (*(f"maps_by_{by}" for by in COLOURS), *draw)
    paths = {name: [output_file(folder / f"{name}.{kind}") for kind in kinds] for name in names}
    about = f"{feature_names_words(view.table)}{without_home(provenance)}"
    made = {f"maps_by_{by}": maps_figure(view, by=by, provenance=about) for by in COLOURS}
    for name, function in draw.items():
        try:
            made[name] = function(view, provenance=about)
        except OptionError as nothing:
            warnings.warn(f"{name} is left out: {nothing}", stacklevel=2)
    for name, figure in made.items():
        for path, kind in zip(paths[name], kinds, strict=True):
            write_bytes(path, figure_bytes(figure, kind))
    return [path for name in made for path in paths[name]]


def _titles(view: EmbeddingView) -> dict[str, str]:
    """What each map is of."""
    names = view.table.feature_names
    return dict(FEATURES) if names == tuple(FEATURES) else dict(zip(FEATURES, map(named, names), strict=True))


def _explain_colours(figure: Figure, axes: np.ndarray, colouring: Colouring, title: str) -> None:
    if colouring.ends is not None:
        scale = ScalarMappable(Normalize(*colouring.ends), ListedColormap(colouring.colours[1:]))
        bar = figure.colorbar(scale, ax=list(axes), location="right", shrink=0.7, pad=0.01)
        missing = f"; grey: {colouring.n_missing} without a match" if colouring.n_missing else ""
        bar.set_label(title + missing, fontsize=8)
        bar.ax.tick_params(labelsize=7)
        return
    if len(colouring.names) > _MOST_NAMED:
        figure.suptitle(f"coloured by {title}: {counted(len(colouring.names), 'colours')}", fontsize=9)
        return
    dots = [axes[-1].plot([], [], "o", color=colour, ms=4)[0] for colour in colouring.colours]
    style = {"loc": "outside right center", "fontsize": 6, "frameon": False, "title_fontsize": 7}
    named_legend(figure, dots, colouring.names, title=title, **style)
