"""Pictures and their tokens, each computed once for a model, however many views use them."""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image

from mswin_viz.analysis.image_features import tokens_of
from mswin_viz.analysis.snapshots import versions
from mswin_viz.data.images import Crop
from mswin_viz.data.picture_bytes import png_file
from mswin_viz.data.picture_facts import PictureFacts
from mswin_viz.errors import ClosedError
from mswin_viz.model.backbone import Model
from mswin_viz.model.tokens import Tokens

__all__ = ["MOST_KEPT", "UNKNOWN", "KeptTokens", "Kind", "Picture"]

MOST_KEPT = 600
"""Pictures whose tokens are kept for one model; at N = 128 and D = 512 that is 160 MiB."""
Kind = tuple[str | None, int]
"""Modality and camera number of an image."""
UNKNOWN: Kind = (None, -1)


@dataclass(frozen=True, eq=False)
class Picture:
    """One image as the model saw it, its tokens (``B = 1``), and what it was before it was resized."""

    shown: Image.Image
    tokens: Tokens
    facts: PictureFacts

    @cached_property
    def png(self) -> bytes:
        """The picture as a PNG file."""
        return png_file(self.shown)


@dataclass(eq=False)
class _Shelf:
    """What is kept for one model: (source, kind) -> the file's state and the picture, the longest unused first."""

    kept: OrderedDict[tuple[Path | Crop, Kind], tuple[Any, Picture]] = field(default_factory=OrderedDict)
    tower: tuple[Any, ...] = ()
    lock: threading.Lock = field(default_factory=threading.Lock)


_SHELVES: weakref.WeakKeyDictionary[Model, weakref.ref[_Shelf]] = weakref.WeakKeyDictionary()
_SHELVES_LOCK = threading.Lock()


def _shelf_of(model: Model) -> _Shelf:
    """The model's one shelf, as long as something holds it."""
    with _SHELVES_LOCK:
        found = _SHELVES.get(model)
        shelf = found and found()
        if shelf is None:
            shelf = _Shelf()
            _SHELVES[model] = weakref.ref(shelf)
        return shelf


@dataclass(frozen=True, eq=False)
class KeptTokens:
    """Access to the pictures and tokens that are kept for a model; each is computed at its first use.

    All of a model's views share what is kept, for as long as one of them is open: a picture that one has computed, the
    others have too. A file that was written again is read again, and all are computed again once the tower's weights
    have changed.

    Attributes
    ----------
    model
        What encodes them.
    most
        Keep so many pictures apart from the shared ones; by default the shared ones, at most ``MOST_KEPT``.
    """

    model: Model
    most: int | None = None
    _held: list[_Shelf] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self._held.append(_Shelf() if self.most is not None else _shelf_of(self.model))

    def __len__(self) -> int:
        return len(self._held[0].kept) if self._held else 0

    def __contains__(self, source: Path | Crop) -> bool:
        shelf = self._shelf
        with shelf.lock:
            return any(kept == source for kept, _ in shelf.kept)

    @property
    def n_most(self) -> int:
        """How many pictures are kept at most."""
        return MOST_KEPT if self.most is None else self.most

    def close(self) -> None:
        """Release what is kept; it is freed once no other view of the model is open."""
        self._held.clear()

    def of(self, source: Path | Crop, modality: str | None = None, camid: int = -1) -> Tokens:
        """Tokens of one image, ``B = 1``; errors as in :meth:`picture`."""
        return self.picture(source, (modality, camid)).tokens

    def picture(self, source: Path | Crop, kind: Kind = UNKNOWN) -> Picture:
        """The picture of a file, of a modality and camera where the weights ask for them.

        Raises
        ------
        ImageFileError, ImageError
            If it cannot be read or does not fit the model.
        OptionError
            If the weights need a modality or know no such camera.
        ClosedError
            After :meth:`close`.
        """
        shelf, state = self._shelf, _file_state(source)
        key = (source, kind if self.model.encode_options(*kind) else UNKNOWN)
        self._forget_after_a_change(shelf)
        with shelf.lock:
            kept_state, picture = shelf.kept.get(key, (None, None))
            if picture is not None and state in (None, kept_state):
                shelf.kept.move_to_end(key)
                return picture
        shown, facts = self.model.displayed_with_facts(source)
        picture = Picture(shown, tokens_of(self.model, [shown], [kind]), facts)
        with shelf.lock:
            shelf.kept[key] = (state, picture)
            shelf.kept.move_to_end(key)
            while len(shelf.kept) > self.n_most:
                shelf.kept.popitem(last=False)
        return picture

    @property
    def _shelf(self) -> _Shelf:
        held = self._held[:1]
        if not held:
            raise ClosedError("tokens are kept while a view is open: this one was closed; make a new one")
        return held[0]

    def _forget_after_a_change(self, shelf: _Shelf) -> None:
        now = versions(self.model.clip.visual)
        with shelf.lock:
            if shelf.tower != now:
                shelf.kept.clear()
                shelf.tower = now


def _file_state(source: Path | Crop) -> tuple[int, int] | None:
    """Changes when the file is written again; None where it is gone, so that what was read of it still shows."""
    try:
        state = os.stat(source.path if isinstance(source, Crop) else source)
    except (OSError, TypeError, ValueError):
        return None
    return state.st_mtime_ns, state.st_size
