"""What the columns of a paper's figure show: names, units, and the numbers of each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mswin_viz.analysis.attribution.attribute import ATTRIBUTION_METHODS, METHOD_LABELS, attribute
from mswin_viz.analysis.attribution.share_gap import exact_shares, share_scales
from mswin_viz.analysis.attribution.target import Target
from mswin_viz.data.shown_text import short_text
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.image_tags import ImageTag
from mswin_viz.model.encoder.preprocessing import FittedImage
from mswin_viz.view.attributions.request import method_calls

if TYPE_CHECKING:
    from jaxtyping import Float

    from mswin_viz.model.tokens.tokens import Tokens

IMAGE = "image"
SPLITS = ("plain", "enhanced")
ALIASES = {
    "rollout": "attention_rollout",
    "chefer": "attention_relevance",
    "relevance": "attention_relevance",
}
"""Short names of methods."""
_OF_ITS_OWN = {"gradcam", "attention_rollout", "legrad", "attention_relevance"}
"""Methods whose values are not in units of the score: a scale and a bar for each."""
_WINDOWS = re.compile(r"windows ([1-9][0-9]{0,5})")


@dataclass(frozen=True)
class Column:
    """One column: its name as given, its kind (``"image"``, ``"split"``, ``"windows"`` or ``"method"``), and its title.

    ``method`` is one of ``ATTRIBUTION_METHODS``; ``scale``, of windows, tokens in a window.
    """

    name: str
    kind: str
    title: str
    method: str = ""
    scale: int = 0

    @property
    def unit(self) -> str:
        """Columns of one unit share their colours; empty for the image."""
        if self.kind == "image":
            return ""
        return self.method if self.method in _OF_ITS_OWN else "score"

    @property
    def needs_addon(self) -> bool:
        """Whether it shows what an add-on does."""
        return self.name == "enhanced" or self.kind == "windows"


def columns_of(names: Sequence[str]) -> list[Column]:
    """The columns of some names. Raises OptionError if there are no names, or one does not exist or occurs twice."""
    listed = [names] if isinstance(names, str) else list(names)
    columns = [_column(name) for name in listed]
    if not columns or len({column.name for column in columns}) < len(columns):
        raise OptionError(
            f"a figure needs at least one column, and none twice: got {', '.join(map(str, listed)) or 'none'}"
        )
    return columns


def _column(name: Any) -> Column:
    if name == IMAGE:
        return Column(IMAGE, "image", "image")
    if name in SPLITS:
        return Column(name, "split", name, "exact_split")
    if isinstance(name, str) and (found := _WINDOWS.fullmatch(name)):
        return Column(name, "windows", name, scale=int(found[1]))
    method = ALIASES.get(name, name) if isinstance(name, str) else ""
    if method not in ATTRIBUTION_METHODS:
        there = (IMAGE, *SPLITS, "windows N (a scale, such as windows 8)", *ATTRIBUTION_METHODS)
        raise OptionError(
            f"a column is one of {', '.join(there)}, or short {', '.join(ALIASES)}: got {short_text(repr(name), 60)}"
        )
    return Column(name, "method", METHOD_LABELS[method], method)


@dataclass(frozen=True, eq=False)
class Pictures:
    """Some samples' images in one modality, opened, and what a model makes of them."""

    model: Model
    images: Sequence[FittedImage]
    tags: Sequence[ImageTag]
    tokens: Tokens

    def target(self, target: Target | str, feature: str, places: Sequence[int]) -> Target:
        """The target of a feature; ``"own"``: each image's own plain CLS. ``places``: of the images among all samples."""
        if isinstance(target, str):
            return replace(Target.image(self.tokens.cls, feature=feature), words="the image's own plain CLS")
        vector, prompt = target.vector, target.prompt
        if vector is not None and vector.ndim == 2:
            vector = vector[list(places)]
        if isinstance(prompt, tuple):
            prompt = tuple(prompt[place] for place in places)
        return replace(target, vector=vector, prompt=prompt, feature=feature)


def column_values(
    pictures: Pictures, column: Column, target: Target | str, places: Sequence[int], *, n_steps: int
) -> Float[np.ndarray, "image rows cols"]:
    """One number for each patch of each image: shares of windows and pixels are spread over and added up by patch.

    Raises OptionError, ScaleError as the functions that compute them.
    """
    model = pictures.model
    last = SPLITS[model.addon is not None]
    feature = column.name if column.kind == "split" else last
    wanted = pictures.target(target, feature, places)
    if column.kind == "windows":
        found = exact_shares(model, pictures.tokens, wanted, column.scale)
    else:
        call: dict[str, Any] = {"method": "exact_split", "level": "tokens"}
        if column.kind == "method":
            call = method_calls(model, [column.method], n_steps=n_steps)[column.method]
        bound = model.bound(tags=list(pictures.tags))
        found = attribute(bound, list(pictures.images), wanted, progress=False, **call)
    return found.on_patches().reshape(-1, *found.grid)


def check_columns(columns: Sequence[Column], model: Model, name: str) -> None:
    """Refuse columns that a model cannot fill. Raises OptionError."""
    needing = [column.name for column in columns if column.needs_addon]
    whose = f" ({short_text(name, 60)})" if name else ""
    if needing and model.addon is None:
        one = len(needing) == 1
        raise OptionError(
            f"{'column' if one else 'columns'} {', '.join(needing)} {'needs' if one else 'need'} an add-on: got a model without one{whose}; "
            f"leave {'it' if one else 'them'} out, or load the model with addon="
        )
    trained = share_scales(model)
    wrong = [column.scale for column in columns if column.kind == "windows" and column.scale not in trained]
    if wrong and trained:
        raise OptionError(
            f"windows are those of a scale that the add-on{whose} has, {', '.join(map(str, trained))}: got {wrong[0]}"
        )
