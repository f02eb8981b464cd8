"""Pictures and their tokens, each computed once: when asked for, or ahead of time in the background."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from mswin_viz.data.images import open_image
from mswin_viz.errors import MswinVizError
from mswin_viz.model.backbone import Model
from mswin_viz.model.tokens import Tokens
from mswin_viz.view.heatmap import picture_bytes

__all__ = ["MOST_KEPT", "UNKNOWN", "Kind", "Picture", "Pictures", "computed_ahead", "thumbnail"]

MOST_KEPT = 600
"""Pictures whose tokens are kept; at N = 128 and D = 512 that is 160 MiB."""
Kind = tuple[str | None, int]
"""Modality and camera number of an image."""
UNKNOWN: Kind = (None, -1)
_THUMBNAIL = (128, 64)


@dataclass(frozen=True, eq=False)
class Picture:
    """One image as the model saw it, and its tokens."""

    shown: Image.Image
    png: bytes
    tokens: Tokens


@dataclass(frozen=True, eq=False)
class Pictures:
    """Every picture's tokens, computed at its first use; of more than ``most`` the longest unused go.

    Attributes
    ----------
    model
        What encodes them.
    most
        How many are kept.
    """

    model: Model
    most: int = MOST_KEPT
    _kept: OrderedDict[tuple[Path, Kind], Picture] = field(default_factory=OrderedDict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def of(self, path: Path, kind: Kind = UNKNOWN) -> Picture:
        """The picture of a file, of a modality and camera where the weights ask for them.

        Raises
        ------
        ImageFileError, ImageError
            If it cannot be read or does not fit the model.
        OptionError
            If the weights need a modality or know no such camera.
        """
        options = self.model.encode_options(*kind)
        key = (path, kind if options else UNKNOWN)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        shown = self.model.displayed(path)
        picture = Picture(shown, picture_bytes(shown), self.model.encode([path], progress=False, **options))
        with self._lock:
            self._kept[key] = picture
            while len(self._kept) > self.most:
                self._kept.popitem(last=False)
        return picture

    def __contains__(self, path: Path) -> bool:
        with self._lock:
            return any(kept == path for kept, _ in self._kept)


def computed_ahead(
    pictures: Pictures,
    paths: Sequence[Path],
    *,
    report: Callable[[int, int, Path], None],
    stopped: threading.Event,
    kinds: Mapping[Path, Kind] | None = None,
) -> int:
    """Compute the tokens of files one after the other; how many could not be.

    Parameters
    ----------
    pictures
        Where they are kept; no more than it keeps are computed.
    paths
        In order.
    report
        Called after each with how many are done, of how many, and the file.
    stopped
        Ends the work after the file in hand.
    kinds
        Modality and camera number of each file, where known.
    """
    n_bad, kinds, ahead = 0, kinds or {}, list(paths)[: pictures.most]
    for n_done, path in enumerate(ahead, start=1):
        if stopped.is_set():
            break
        try:
            pictures.of(path, kinds.get(path, UNKNOWN))
        except MswinVizError:
            n_bad += 1  # said when it is chosen
        report(n_done, len(ahead), path)
    return n_bad


def thumbnail(path: Path) -> bytes:
    """A JPEG file at most 128 wide and 64 high; empty where the file cannot be read."""
    try:
        image = open_image(path)
    except MswinVizError:
        return b""
    image.thumbnail(_THUMBNAIL)
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=80)
    return file.getvalue()
