"""The map of a text's words over an image: its cosine with the text, split exactly over the patches, and kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.cm import ScalarMappable
from PIL import Image

from mswin_viz.analysis.shares.cls_split import cls_by_patch
from mswin_viz.analysis.text_search.record import TextSearch
from mswin_viz.data.images.picture_bytes import jpeg_file
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.image_tags import ImageTag
from mswin_viz.model.encoder.token_cache import TokenCache
from mswin_viz.view.parts.heat import colour_scale

if TYPE_CHECKING:
    from jaxtyping import Float

_MOST_KEPT = 256
_OPACITY = 0.9  # of the strongest share; weaker ones let more of the picture through
_STRONGEST = 0.99  # part of the shares within the colours' reach
_HEIGHT = 192  # of a picture with its map, pixels
_Key = tuple[str, str, int, int]


@dataclass(frozen=True, eq=False)
class WordMap:
    """One image's cosine with a text: ``values.sum() + rest = cosine``.

    Attributes
    ----------
    values
        Share of each patch, ``[rows, cols]``.
    rest
        Share of class token, positions and biases, and what could not be explained.
    cosine
        As the exact split has it, in float64.
    picture
        The image as the model saw it.
    """

    values: Float[np.ndarray, "rows cols"]
    rest: float
    cosine: float
    picture: Image.Image


@dataclass(frozen=True, eq=False)
class WordMaps:
    """The last few maps; only :meth:`compute` makes one, by a forward and a backward pass of the tower in float64."""

    model: Model
    _cache: TokenCache = field(init=False, repr=False)
    _kept: OrderedDict[_Key, WordMap] = field(default_factory=OrderedDict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_cache", TokenCache(self.model))

    def of(self, found: TextSearch, rows: Iterable[int]) -> dict[int, WordMap]:
        """Row -> map for the first prompt, of those that are kept."""
        with self._lock:
            kept = {row: self._kept.get(_key(found, row)) for row in rows}
        return {row: one for row, one in kept.items() if one is not None}

    def compute(self, found: TextSearch, row: int) -> None:
        """Compute the map of one row, unless it is kept. Errors as in :meth:`TokenCache.picture` for its file."""
        if self.of(found, [row]):
            return
        table = found.table
        ((modality, source),) = table.files[row].items()
        picture = self._cache.picture(source, ImageTag(modality, int(table.camid[row])))
        direction, feature = found.directions[0], "enhanced" if found.feature == "enhanced" else "plain"
        split = cls_by_patch(
            self.model, [picture.image], direction, tags=[picture.tag], feature=feature
        ).cosine()
        rest = float(split.constants[0] + split.unexplained[0])
        made = WordMap(split.patches[0].reshape(split.grid), rest, float(split.score[0]), picture.shown)
        with self._lock:
            self._kept[_key(found, row)] = made
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)

    def close(self) -> None:
        """Release everything that is kept."""
        self._cache.close()
        with self._lock:
            self._kept.clear()


def map_colours(maps: Mapping[int, WordMap]) -> ScalarMappable:
    """One scale for all maps, the same on both sides of zero; it ends where 1 % of the shares are stronger.

    A single strong patch would leave all others pale.
    """
    sizes = [np.abs(one.values).ravel() for one in maps.values()]
    reach = float(np.quantile(np.concatenate(sizes), _STRONGEST)) if sizes else 0.0
    return colour_scale((-(reach or 1.0), reach or 1.0), signed=True)


def heated(one: WordMap, colours: ScalarMappable) -> Image.Image:
    """The picture, in grey, under the colours of its map: the stronger a share, the less of the picture shows."""
    width = max(1, round(_HEIGHT * one.picture.width / one.picture.height))
    picture = one.picture.convert("L").convert("RGBA").resize((width, _HEIGHT))
    heat = colours.to_rgba(one.values)
    heat[..., 3] = _OPACITY * np.sqrt(np.clip(np.abs(one.values) / (colours.get_clim()[1] or 1), 0, 1))
    over = Image.fromarray((255 * heat).round().astype(np.uint8), "RGBA")
    return Image.alpha_composite(picture, over.resize(picture.size, Image.Resampling.NEAREST)).convert("RGB")


def map_files(maps: Mapping[int, WordMap]) -> dict[str, bytes]:
    """Row as text -> JPEG file of each picture under its map, all on one scale."""
    colours = map_colours(maps)
    return {str(row): jpeg_file(heated(one, colours), quality=85) for row, one in maps.items()}


def _key(found: TextSearch, row: int) -> _Key:
    return found.prompts[0], found.feature, id(found.table), row
