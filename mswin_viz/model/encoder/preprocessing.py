"""A picture of any shape -> what a tower sees of it: RGB at the input's size, then normalised pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from PIL import Image
from torchvision.transforms import v2

from mswin_viz.data.images.deep_images import DeepRange
from mswin_viz.data.images.image_lists import Images
from mswin_viz.data.images.image_source import ImageSource, Opened, opened, source_name
from mswin_viz.data.images.picture_facts import PictureFacts, picture_notes
from mswin_viz.errors import ImageError, ImageFileError
from mswin_viz.model.weights.clip_towers import Tower

if TYPE_CHECKING:
    from jaxtyping import Float, Real


@dataclass(frozen=True, eq=False)
class FittedImage:
    """An image that was opened for a tower; taken wherever that tower's model takes images, and not opened again.

    Attributes
    ----------
    shown
        The picture as the tower sees it, before normalisation: RGB at the input's size.
    facts
        What is known of the picture as it was.
    """

    shown: Image.Image
    facts: PictureFacts


ModelImages = Images | Iterable[ImageSource | FittedImage]
"""Images, or what :meth:`Model.opened` made of them."""


class FittingRule(NamedTuple):
    """How pictures are brought to a tower's input: all of it that a process which only opens them needs.

    ``mode`` is the interpolation; what does not stretch is resized by its shorter side and cut out of the centre.
    """

    image_size: tuple[int, int]  # height and width
    mode: str
    stretches: bool
    deep_range: DeepRange | None


def fitting_rule(tower: Tower) -> FittingRule:
    """The rule of a tower: bilinear to its size, as host models do, or open_clip's where the tower has it."""
    return FittingRule(
        tower.image_size, tower.native_resize or "bilinear", _stretches(tower), tower.thermal_range
    )


def fitted(tower: Tower, source: ImageSource | FittedImage) -> FittedImage:
    """Open an image and bring it to the input's size."""
    if isinstance(source, FittedImage):
        return source
    rule = fitting_rule(tower)
    return fitted_picture(rule, opened(source, deep_range=rule.deep_range), source_name(source))


def fitted_picture(rule: FittingRule, picture: Opened, name: str) -> FittedImage:
    """An open picture at the input's size: the one place where pictures are resized for a tower."""
    height, width = rule.image_size
    size = [height, width] if rule.stretches else [min(height, width)]
    image: Any = picture.image  # annotated for tensors, takes pictures
    shown: Any = v2.functional.resize(image, size, v2.InterpolationMode(rule.mode))
    if not rule.stretches:
        shown = v2.functional.center_crop(shown, [height, width])
    return FittedImage(shown, PictureFacts(name, image.size, picture.levels, picture.remarks))


def fitted_images(
    tower: Tower, sources: Sequence[ImageSource | FittedImage], *, first: int | None
) -> list[FittedImage]:
    """Several images opened; errors name an image's place, counted from ``first``, None for a single image."""
    images = []
    for place, source in enumerate(sources, start=first or 0):
        try:
            images.append(fitted(tower, source))
        except (ImageFileError, ImageError) as problem:
            if first is None:
                raise
            raise type(problem)(f"image {place}, counted from 0: {problem}") from problem
    return images


def normalised(tower: Tower, images: Sequence[FittedImage]) -> Float[torch.Tensor, "batch 3 height width"]:
    """Images as the tower reads them, on the CPU."""
    return normalised_pixels(
        tower, torch.stack([v2.functional.pil_to_tensor(image.shown) for image in images])
    )


def normalised_pixels(
    tower: Tower, pixels: Real[torch.Tensor, "batch 3 height width"]
) -> Float[torch.Tensor, "batch 3 height width"]:
    """Pixels at the input's size as the tower reads them, where they lie."""
    mean, std = (torch.tensor(v, device=pixels.device)[None, :, None, None] for v in (tower.mean, tower.std))
    # In place: fresh memory costs more than the sums.
    return pixels.to(torch.float32, copy=True).div_(255).sub_(mean).div_(std)


def notes_on(tower: Tower, facts: Sequence[PictureFacts], *, even_of_one: bool = False) -> tuple[str, ...]:
    """What is worth saying about a set of pictures that a tower read, see `picture_notes`."""
    return picture_notes(
        facts,
        tower.image_size,
        stretches=_stretches(tower),
        deep_range=tower.thermal_range,
        is_fixed=tower.config is not None,
        even_of_one=even_of_one,
    )


def resizing_words(tower: Tower) -> str:
    """How pictures are brought to the input's size, in words."""
    if tower.native_resize is None:
        return "resized bilinearly"
    how = "shorter side resized and centre cropped" if tower.crops else "resized"
    return f"{how}, {tower.native_resize}, as open_clip does"


def _stretches(tower: Tower) -> bool:
    """Whether pictures are resized to the input whatever their shape; else their centre is cut out."""
    return tower.native_resize is None or not tower.crops
