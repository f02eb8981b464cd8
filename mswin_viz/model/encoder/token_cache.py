"""Pictures and their tokens in memory, each computed once for a model, however many views use them."""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from mswin_viz.data.images.image_source import Crop
from mswin_viz.data.images.picture_bytes import png_file
from mswin_viz.data.images.picture_facts import PictureFacts
from mswin_viz.errors import ClosedError, MswinVizError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.encoded_batch import encoded_batch
from mswin_viz.model.encoder.image_tags import UNKNOWN, ImageTag, Tags, one_each, reads_tags
from mswin_viz.model.encoder.preprocessing import FittedImage
from mswin_viz.model.tokens.tensors import versions
from mswin_viz.model.tokens.tokens import Tokens

MOST_KEPT = 600
"""Pictures whose tokens are kept for one model; at N = 128 and D = 512 that is 160 MiB."""
MOST_AT_ONCE = 16
"""Images in one pass."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One image as the model saw it, its tokens (``B = 1``), and what the weights read beside its pixels."""

    image: FittedImage
    tokens: Tokens
    tag: ImageTag

    @property
    def shown(self) -> Image.Image:
        """RGB at the input's size."""
        return self.image.shown

    @property
    def facts(self) -> PictureFacts:
        """What it was before it was resized."""
        return self.image.facts

    @cached_property
    def png(self) -> bytes:
        """The picture as a PNG file."""
        return png_file(self.shown)


_Key = tuple[Path | Crop, ImageTag]


class _Entry(NamedTuple):
    """A picture that is there or being computed, and the state of its file when that began."""

    file: tuple[int, int] | None
    picture: Future[Picture]


@dataclass(eq=False)
class _Kept:
    """What is kept for one model, the longest unused first."""

    entries: OrderedDict[_Key, _Entry] = field(default_factory=OrderedDict)
    tower: tuple[Any, ...] = ()
    lock: threading.Lock = field(default_factory=threading.Lock)


_SHARED: weakref.WeakKeyDictionary[Model, weakref.ref[_Kept]] = weakref.WeakKeyDictionary()
_SHARED_LOCK = threading.Lock()


def _shared(model: Model) -> _Kept:
    """What all views of the model share, as long as something holds it."""
    with _SHARED_LOCK:
        reference = _SHARED.get(model)
        kept = reference and reference()
        if kept is None:
            kept = _Kept()
            _SHARED[model] = weakref.ref(kept)
        return kept


@dataclass(frozen=True, eq=False)
class TokenCache:
    """Access to the pictures and tokens that are kept for a model; each is computed at its first use.

    All views of a model share what is kept, as long as one of them is open: a picture that one has computed, or is
    computing, the others need not compute. A file that was written again is read again, and all are computed again once
    the tower's weights have changed. With ``most``, up to that many pictures are kept here and not shared.
    """

    model: Model
    most: int | None = None
    _held: list[_Kept] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self._held.append(_Kept() if self.most is not None else _shared(self.model))

    def __len__(self) -> int:
        return len(self._held[0].entries) if self._held else 0

    def __contains__(self, source: Path | Crop) -> bool:
        kept = self._kept
        with kept.lock:
            return any(there == source for there, _ in kept.entries)

    @property
    def n_most(self) -> int:
        """How many pictures are kept at most."""
        return MOST_KEPT if self.most is None else self.most

    def close(self) -> None:
        """Release what is kept; it is freed once no other view of the model is open."""
        self._held.clear()

    def picture(self, source: Path | Crop, tag: ImageTag = UNKNOWN) -> Picture:
        """The picture of one file; errors as in :meth:`pictures`."""
        return self.pictures([source], tag)[0]

    def pictures(self, sources: Sequence[Path | Crop], tags: Tags = UNKNOWN) -> list[Picture]:
        """The pictures of files; the first that cannot be used raises its error, and the others are kept."""
        pictures = []
        for one in self.pictures_or_problems(sources, tags):
            if isinstance(one, MswinVizError):
                raise one
            pictures.append(one)
        return pictures

    def pictures_or_problems(
        self, sources: Sequence[Path | Crop], tags: Tags = UNKNOWN
    ) -> list[Picture | MswinVizError]:
        """The picture of each file, those that are missing computed in batches, or the reason why it cannot be used.

        That is an ImageFileError or ImageError, or an OptionError where the weights need a modality or know no such camera.
        """
        kept, missing = self._kept, {}
        each = one_each(tags if reads_tags(self.model.tower) else UNKNOWN, len(sources))
        keys: list[_Key] = list(zip(sources, each, strict=True))
        self._forget_after_a_change(kept)
        with kept.lock:
            waiting = [self._entry(kept, key, missing) for key in keys]
        self._compute(kept, missing)
        return [self._result(key, one) for key, one in zip(keys, waiting, strict=True)]

    @property
    def _kept(self) -> _Kept:
        held = self._held[:1]
        if not held:
            raise ClosedError("tokens are kept while a view is open: this one was closed; make a new one")
        return held[0]

    def _entry(self, kept: _Kept, key: _Key, missing: dict[_Key, Future[Picture]]) -> Future[Picture]:
        """What is there of a picture, or a promise that is added to what is missing; under the lock."""
        entry, state = kept.entries.get(key), _file_state(key[0])
        if entry is None or state not in (None, entry.file):
            missing[key] = Future()
            entry = kept.entries[key] = _Entry(state, missing[key])
        kept.entries.move_to_end(key)
        while len(kept.entries) > self.n_most:
            kept.entries.popitem(last=False)
        return entry.picture

    def _compute(self, kept: _Kept, missing: dict[_Key, Future[Picture]]) -> None:
        """Keep every promise, in batches; those that an error leaves open are withdrawn."""
        keys = list(missing)
        try:
            for start in range(0, len(keys), MOST_AT_ONCE):
                self._compute_batch({key: missing[key] for key in keys[start : start + MOST_AT_ONCE]})
        finally:
            with kept.lock:
                for key, promise in missing.items():
                    is_kept = promise.done() and promise.exception() is None
                    if not is_kept and key in kept.entries and kept.entries[key].picture is promise:
                        del kept.entries[key]
            for promise in missing.values():
                promise.cancel()

    def _compute_batch(self, missing: dict[_Key, Future[Picture]]) -> None:
        sources, tags = zip(*missing, strict=True)
        batch, promises = encoded_batch(self.model, sources, tags), list(missing.values())
        for row, (place, image) in enumerate(batch.images.items()):
            promises[place].set_result(Picture(image, _own(batch.tokens[row]), tags[place]))
        for place, problem in batch.problems.items():
            promises[place].set_exception(problem)

    def _result(self, key: _Key, picture: Future[Picture]) -> Picture | MswinVizError:
        try:
            return picture.result()
        except CancelledError:  # who was computing it was interrupted
            return self.pictures_or_problems([key[0]], key[1])[0]
        except MswinVizError as problem:
            return problem

    def _forget_after_a_change(self, kept: _Kept) -> None:
        now = versions(self.model.clip.visual)
        with kept.lock:
            if kept.tower != now:
                kept.entries.clear()
                kept.tower = now


def _own(tokens: Tokens) -> Tokens:
    """A copy that does not hold the rest of its batch in memory."""
    return replace(tokens, cls=tokens.cls.clone(), patches=tokens.patches.clone())


def _file_state(source: Path | Crop) -> tuple[int, int] | None:
    """Changes when the file is written again; None where it is gone, so that what was read of it still shows."""
    try:
        state = os.stat(source.path if isinstance(source, Crop) else source)
    except (OSError, TypeError, ValueError):
        return None
    return state.st_mtime_ns, state.st_size
