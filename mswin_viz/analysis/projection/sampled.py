"""A map of very many images: computed of some, drawn at random, among which the others are placed."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from dataclasses import replace
from typing import TYPE_CHECKING, Unpack

import numpy as np

from mswin_viz.analysis.projection.extension import Extension, extend
from mswin_viz.analysis.projection.project import project
from mswin_viz.analysis.projection.record import Projection
from mswin_viz.analysis.projection.request import MapOptions
from mswin_viz.data.progress import Progress, portion, reporter
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

MOST_MAPPED = 10_000
"""Images that a map is computed of, if not given: it takes most of a minute, and its quality needs all distances."""
_BLOCK = 2_000  # images that are placed at a time; each asks for its distances to all images of the map
_COMPUTING = 0.5  # part of the progress bar that the map itself takes


def project_some(
    plain: Float[np.ndarray, "image dim"],
    enhanced: Float[np.ndarray, "image wide"],
    *,
    coupling: float = 0.05,
    most: int = MOST_MAPPED,
    **options: Unpack[MapOptions],
) -> Projection:
    """:func:`project` of at most ``most`` images, drawn with the map's seed; the others are placed among them by :func:`extend`.

    Every image has a place, and none is removed as a duplicate but among those drawn. Quality and disparity are those
    of the map that was computed; a note says how many images that were.

    Parameters
    ----------
    plain, enhanced, coupling
        As in :func:`project`.
    most
        Of how many images the map is computed, at least 5.
    **options
        As in :func:`project`, without ``method``: the map is a joint one.

    Returns
    -------
    projection
        Of all images, ``[n, 2]``.

    Raises
    ------
    OptionError
        If ``most`` is below 5, or as in :func:`project`.
    ShapeError
        As in :func:`project` and :func:`extend`.

    Examples
    --------
    >>> table = mv.embed(model, samples[:24], modalities=["RGB"], progress=False)
    >>> projection = mv.project_some(table.plain, table.enhanced, most=16, perplexity=5)
    >>> projection.plain.shape
    (24, 2)
    >>> print(projection.notes[0])
    The map was computed of 16 of 24 images, drawn at random; the others were placed among them, without the coupling and without moving them. Its quality is that of the images drawn.
    """
    n_images = len(plain) if isinstance(plain, Sized) else 0  # what has no length is refused by project()
    if most < 5:
        raise OptionError(f"a map is computed of at least 5 images: got most={most}")
    if n_images <= most:
        return project(plain, enhanced, coupling=coupling, **options)
    rng = np.random.default_rng(options.get("seed", 0))
    drawn = np.sort(rng.choice(n_images, most, replace=False))
    others = np.setdiff1d(np.arange(n_images), drawn)
    report, stop = reporter(options.get("report")), options.get("stop")
    about = {**options, "report": portion(report, 0, _COMPUTING) if report else None}
    first = project(plain[drawn], enhanced[drawn], coupling=coupling, **about)
    if first.stopped:
        return first
    parts = []
    for rows in _blocks(others):
        if report is not None:
            done = _COMPUTING + (1 - _COMPUTING) * sum(len(part.plain) for part in parts) / len(others)
            report(Progress(round(1000 * done), 1000, f"placing {counted(len(others), 'more images')}"))
        parts.append(extend(first, plain[rows], enhanced[rows], stop=stop))
        if parts[-1].stopped:
            return replace(first, stopped=True)
    return _whole(first, (drawn, others), parts, (plain, enhanced))


def _blocks(rows: Int[np.ndarray, " row"]) -> Iterator[Int[np.ndarray, " row"]]:
    for start in range(0, len(rows), _BLOCK):
        yield rows[start : start + _BLOCK]


def _whole(
    first: Projection,
    rows: tuple[np.ndarray, np.ndarray],
    parts: list[Extension],
    features: tuple[np.ndarray, np.ndarray],
) -> Projection:
    """The map with a place for every image."""
    drawn, others = rows
    n_images = len(drawn) + len(others)
    places, scores = [], []
    for is_enhanced, name in enumerate(("plain", "enhanced")):
        place = np.empty((n_images, 2))
        place[drawn] = getattr(first, name)[first.place_of]
        place[others] = np.concatenate([getattr(part, name) for part in parts])
        places.append(place)
        scores.append(first.space.scores(features[is_enhanced], is_enhanced=bool(is_enhanced)))
    note = (
        f"The map was computed of {len(drawn):,} of {counted(n_images, 'images')}, drawn at random; the others were placed among "
        "them, without the coupling and without moving them. Its quality is that of the images drawn."
    )
    every, none = np.arange(n_images), np.arange(0)
    return replace(
        first,
        plain=places[0],
        enhanced=places[1],
        kept=every,
        place_of=every,
        removed=none,
        equals=none,
        notes=(note, *first.notes),
        space=replace(first.space, plain=scores[0], enhanced=scores[1]),
    )
