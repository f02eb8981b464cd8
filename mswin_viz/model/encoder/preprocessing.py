"""A picture of any shape -> what a tower sees of it: RGB at the input's size, then normalised pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from PIL import Image
from torchvision.transforms import v2

from mswin_viz.data.images.image_lists import Images
from mswin_viz.data.images.image_source import ImageSource, opened, source_name
from mswin_viz.data.images.picture_facts import PictureFacts, picture_notes
from mswin_viz.errors import ImageError, ImageFileError
from mswin_viz.model.weights.clip_towers import Tower

if TYPE_CHECKING:
    from jaxtyping import Float


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


ModelImages = Images | Iterable[FittedImage]
"""Images, or what :meth:`Model.opened` made of them."""


def fitted(tower: Tower, source: ImageSource | FittedImage) -> FittedImage:
    """Open an image and bring it to the input's size: the one place where pictures are opened for a tower.

    It is stretched to that size bilinearly, as host models do, or resized by open_clip's rules where the tower has them.
    """
    if isinstance(source, FittedImage):
        return source
    image, levels, remarks = opened(source, deep_range=tower.thermal_range)
    facts = PictureFacts(source_name(source), image.size, levels, remarks)
    height, width = tower.image_size
    mode = v2.InterpolationMode(tower.native_resize or "bilinear")
    size = [height, width] if _stretches(tower) else [min(height, width)]
    resized: Any = v2.functional.resize(cast(Any, image), size, mode)  # annotated for tensors, takes pictures
    shown = resized if _stretches(tower) else v2.functional.center_crop(resized, [height, width])
    return FittedImage(cast(Image.Image, shown), facts)


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
    batch = torch.stack([v2.functional.pil_to_tensor(image.shown) for image in images]).float() / 255
    mean, std = (torch.tensor(v)[None, :, None, None] for v in (tower.mean, tower.std))
    return (batch - mean) / std


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
