"""Finds the file of tags that belongs to a data set, a store or some samples."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import shown_text
from mswin_viz.data.storage.given_kinds import given_path
from mswin_viz.data.storage.stored_records import value_words
from mswin_viz.data.store.store_record import is_store, read_record
from mswin_viz.data.tags.tag_file import TAG_FILE
from mswin_viz.data.tags.tags import Tags
from mswin_viz.errors import DataError, OptionError

Place = str | os.PathLike | Tags | None
"""Tags, or their file; None for that beside the data."""
_MOST_ABOVE = 2  # folders above the given one in which tags are looked for, as captions are


def open_tags(
    place: str | os.PathLike, *, root: str | os.PathLike | None = None, author: str | None = None
) -> Tags:
    """The tags of a data set, from the file ``tags.jsonl`` in its folder or from a file that you name.

    Parameters
    ----------
    place
        The folder of a data set; a store of features, for its data set; or a file ending in ``.jsonl``, which need not
        exist. Where a folder has no file of tags, one that lies at most two folders above is taken, or the only one that
        lies in a folder inside. Nothing is written until the first tag is given.
    root
        The folder of the data set, where the file lies elsewhere, for example because the data set can only be read.
        Paths in the file are then relative to it; to the file's own folder where the data set lies in that.
    author
        A name that stands in every line written from here; without it, none does.

    Returns
    -------
    tags
        See :class:`Tags`.

    Raises
    ------
    DataError
        If there is no such folder, no folder ``root``, or the file cannot be read.
    OptionError
        If the file has another ending, or the author cannot be one.
    StoreError
        If the store is damaged.

    Examples
    --------
    >>> root = mv.write_samples("people", identities=2, cameras=1, shots=1)
    >>> tags = mv.open_tags("notes/mine.jsonl", root=root)  # where the data set cannot be written
    >>> tags
    Tags(notes/mine.jsonl: none yet)
    """
    if not isinstance(place, str | os.PathLike) or not os.fspath(place):
        raise OptionError(
            f"tags lie in a folder or in a file ending in .jsonl: got {value_words(place)}; give its path"
        )
    path = Path(os.path.expanduser(place))
    if path.is_dir():
        named = _folder(root) if root else None
        folder = named or (read_record(path).root if is_store(path) else path)
        if folder is None or not os.path.isdir(os.path.expanduser(folder)):
            raise DataError(
                f"tags lie beside the images: {shown_text(path)} names no folder of images that is there; say where "
                "they lie with root, and name the file of tags if it lies elsewhere"
            )
        file = _nearest(Path(os.path.expanduser(folder)))
        return Tags(file, file.parent, author=author)
    return _of_file(path, _folder(root) if root else path.parent, author)


def tags_of(root: Path, tags: Place = None) -> Tags:
    """The tags of the data set in a folder; a `DataError` where they are to be read from a file that is not there."""
    if isinstance(tags, Tags):
        return tags
    if tags is None:
        return open_tags(root)
    file = Path(os.path.expanduser(tags))
    if not file.is_file():
        raise DataError(
            f"a file of tags must exist: got {shown_text(file)}{_kind(file)}; correct the path, or leave it out for the one beside the "
            "images"
        )
    return _of_file(file, root)


def _of_file(path: Path, below: Path, author: str | None = None) -> Tags:
    if path.suffix.lower() != ".jsonl":
        raise OptionError(
            f"tags lie in a folder that exists or in a file ending in .jsonl: got {shown_text(path)}; correct it"
        )
    return Tags(path, path.parent if _holds(path.parent, below) else below, author=author)


def _folder(root: str | os.PathLike) -> Path:
    """The folder of a data set that was named; a `DataError` where none is there."""
    folder = Path(os.path.expanduser(given_path(root)))
    if not folder.is_dir():
        raise DataError(
            f"root must be a folder that exists, that of the data set: got {shown_text(folder)}; correct the path"
        )
    return folder


def _kind(file: Path) -> str:
    """What lies there, if anything does."""
    if file.is_dir():
        return ", a folder"
    return ", which is not a regular file" if file.exists() else ""


def tags_beside(samples: Iterable[Sample]) -> Tags | None:
    """The tags of samples that come from one folder; None if they come from several or from none that is known."""
    roots = {sample.root for sample in samples}
    root = roots.pop() if len(roots) == 1 else None
    return None if root is None or not root.is_dir() else open_tags(root)


def _nearest(folder: Path) -> Path:
    """The file of tags of a folder; that of a folder above, for a part of a data set, or inside, for one around it."""
    own = folder / TAG_FILE
    above = [
        Path(os.path.relpath(one, os.path.abspath(folder)))
        for one in Path(os.path.abspath(folder)).parents[:_MOST_ABOVE]
    ]
    for file in (own, *(folder / one / TAG_FILE for one in above)):
        if os.path.lexists(file):
            return file
    inside = [
        file for one in sorted(folder.iterdir()) if one.is_dir() and os.path.lexists(file := one / TAG_FILE)
    ]
    return inside[0] if len(inside) == 1 else own


def _holds(folder: Path, inside: Path) -> bool:
    """Whether a folder is another one, or lies around it."""
    above, below = os.path.realpath(folder), os.path.realpath(inside)
    return below == above or below.startswith(os.path.join(above, ""))
