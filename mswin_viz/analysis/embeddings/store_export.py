"""A store's rows as the files of other tools, with their places on a map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import numpy as np

from mswin_viz.analysis.embeddings.store import Store, open_store
from mswin_viz.analysis.projection.record import Projection
from mswin_viz.data.exports.exported_rows import MAP_COLUMNS, ExportedRows
from mswin_viz.data.exports.write_export import check_export, write_export
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.options import options_of
from mswin_viz.data.progress import Report, StepCounter, Stop, reporter
from mswin_viz.data.shown_text import counted
from mswin_viz.data.storage.given_kinds import given_path
from mswin_viz.data.tags.opening import Place, tags_of
from mswin_viz.data.tags.tags import Tags
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    from jaxtyping import Float


class ExportOptions(TypedDict, total=False):
    """Options of :func:`mswin_viz.export_store`."""

    projection: Projection | None
    images: bool
    tags: Place
    report: Callable[..., None] | None
    stop: Stop | None


@dataclass(frozen=True)
class _Settings:
    projection: Projection | None = None
    images: bool = False
    tags: Place = None
    report: Report | None = None
    stop: Stop | None = None


def export_store(
    store: Store | str | Path, folder: str | Path, *, to: str, **options: Unpack[ExportOptions]
) -> Path:
    """Write the rows in view of a store as files that another tool opens; ``docs/reference/export.md`` says what each format holds.

    The store is read part by part, so memory does not grow with it. The folder is there whole or not at all. Images without features are left
    out of every format but CSV.

    Parameters
    ----------
    store
        An open store, or its folder; ``store.where(...)`` exports some of its rows.
    folder
        Made if it is missing; one that holds anything but an earlier export is refused.
    to
        ``"csv"``: a table, and the features as NumPy arrays. ``"atlas"``: a Parquet file for Embedding Atlas.
        ``"fiftyone"``: a data set for FiftyOne. ``"lancedb"``: a table for LanceDB. ``"faiss"``: exact indexes for faiss.
    projection : Projection
        A map of ``store.table()``, whose places become the columns ``plain_x``, ``plain_y``, ``enhanced_x``, ``enhanced_y``.
    images : bool
        With ``"atlas"``: put each picture into the file, at most 256 pixels long; by default it has their paths alone.
    tags : Tags
        Or their file: each image's tags become the column ``tags``, and tags of FiftyOne; by default those that
        :func:`open_tags` finds beside the images, if there are any.
    report, stop
        As for :func:`mswin_viz.embed`.

    Returns
    -------
    folder
        The same, with ``~`` replaced by the home folder.

    Raises
    ------
    OptionError
        If there is no such format or option, the projection is of other rows, or the format's package is not installed.
    OutputError
        If the folder holds other files, or cannot be written.
    DataError
        If no row in view has features.
    StoreError
        If the store is damaged.
    ImageFileError
        With ``images``, if a file is no longer there.
    StoppedError
        If ``stop`` asked for it; what was in the folder before is as it was.

    Examples
    --------
    >>> store = mv.extract(samples[:4], "store", model=model, progress=False)
    >>> folder = mv.export_store(store.where(modality="RGB"), "exported", to="csv")
    >>> sorted(path.name for path in folder.iterdir())
    ['cls_enhanced.npy', 'cls_plain.npy', 'export.json', 'images.csv']
    """
    chosen = options_of(_Settings, options, function="export_store", also=("to",))
    opened = store if isinstance(store, Store) else open_store(given_path(store))
    given_path(folder)
    place = check_export(opened, folder, to, images=chosen.images)
    counter = StepCounter(opened.n_rows, reporter(chosen.report), chosen.stop, "exporting rows")
    places = None if chosen.projection is None else _places(opened, chosen.projection)
    rows = ExportedRows(opened, places, counter, _tags(opened, chosen.tags))
    write_export(rows, place, to, images=chosen.images)
    return place


def _tags(store: Store, place: Place) -> Tags | None:
    """The tags to export; None where no image has any."""
    is_there = store.root is not None and store.root.is_dir()
    if place is None and not is_there:
        return None
    found = tags_of(store.root or store.folder, place)
    return found if found.names else None


def _places(store: Store, projection: Projection) -> Float[np.ndarray, "row 4"]:
    """Where each row in view is on both maps, NaN for one without features."""
    rows, _ = store.rows_of(MODALITIES)
    if not isinstance(projection, Projection):
        raise OptionError(
            f"projection must be a map, as mv.project(table.plain, table.enhanced) gives: got {projection!r:.60}"
        )
    if len(projection.place_of) != len(rows):
        raise OptionError(
            f"projection must be a map of store.table(), {counted(len(rows), 'rows')}: got one of {len(projection.place_of):,}"
        )
    places = np.full((store.n_rows, len(MAP_COLUMNS)), np.nan, np.float32)
    places[rows] = np.hstack([projection.plain, projection.enhanced])[projection.place_of]
    return places
