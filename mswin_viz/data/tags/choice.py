"""Tags as a filter: of the samples of a data set, and of the rows of a store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import counted, shown_text
from mswin_viz.data.store.stored_images import StoredImages
from mswin_viz.data.tags.opening import Place, tags_of
from mswin_viz.data.tags.tags import Tags
from mswin_viz.errors import DataError

Names = str | Sequence[str]
"""One tag, or several."""
_Rows = TypeVar("_Rows", bound=StoredImages)


def chosen_samples(
    samples: Iterable[Sample], root: Path, *, tagged: Names = (), without: Names = (), tags: Place = None
) -> list[Sample]:
    """The samples of the data set in ``root`` that have all of some tags and none of others.

    Raises
    ------
    DataError
        If there is no sample left, or no file where ``tags`` names one.
    OptionError
        If no image has such a tag.
    """
    own = tags_of(root, tags)
    listed = list(samples)
    kept = own.filter(listed, tagged=tagged, without=without)
    if not kept:
        raise DataError(
            f"at least one sample must have the tags that are asked for: none of {counted(len(listed), 'samples')} of "
            f"{shown_text(root)} has {_words(tagged, without)}; ask for others, or see mswin-viz tag {shown_text(root)} --list"
        )
    return kept


def chosen_rows(store: _Rows, *, tagged: Names = (), without: Names = (), tags: Place = None) -> _Rows:
    """The rows of a store whose samples have all of some tags and none of others; errors as in :func:`chosen_samples`."""
    if not tagged and not without:
        return store
    if store.root is None and not isinstance(tags, Tags):
        raise DataError(
            f"tags are looked up below the folder of the images: the store {shown_text(store.folder)} names none; say "
            "where they lie now with root"
        )
    numbered = list(store)
    kept = chosen_samples(numbered, store.root or Path(), tagged=tagged, without=without, tags=tags)
    there = {id(sample) for sample in kept}
    is_kept = np.array([id(sample) in there for sample in numbered])
    return store.rows(is_kept[store.sample_of_row])


def _words(tagged: Names, without: Names) -> str:
    wanted, unwanted = (
        " and ".join([names] if isinstance(names, str) else names) for names in (tagged, without)
    )
    return ", but not ".join(filter(None, (wanted, unwanted))) if wanted else f"none of {unwanted}"
