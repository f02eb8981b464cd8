"""What is known of an image beside its pixels, for weights that read it: its modality and its camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError
from mswin_viz.model.host.blocks import HostParts
from mswin_viz.model.host.tower import MEAN_CAMERA, Camera
from mswin_viz.model.weights.clip_towers import Tower


@dataclass(frozen=True)
class ImageTag:
    """What is known of an image; weights take from it what they read, plain CLIP nothing.

    Attributes
    ----------
    modality
        ``"RGB"``, ``"NI"`` or ``"TI"``; None where not known.
    camid
        The camera's number as a file name gives it (``Sample.camid``): RGBNT201 and RGBNT100 count from 1,
        MSVR310 as the table does. Below 0, where no camera is known, the mean camera is taken.

    Examples
    --------
    >>> sample = samples[0]
    >>> tags = [mv.ImageTag(modality, sample.camid) for modality in sample.images]
    >>> tags[2]
    ImageTag(modality='TI', camid=1)
    >>> model.encode(list(sample.images.values()), tags=tags).cls.shape[0]
    3
    """

    modality: str | None = None
    camid: int = -1


UNKNOWN = ImageTag()
"""The tag of an image of which nothing is known."""
Tags = ImageTag | Sequence[ImageTag]
"""One tag for all images, or one for each."""
Cameras = Camera | Sequence[Camera] | None
Modalities = str | Sequence[str | None] | None
Conditions = tuple[Cameras, Modalities]
"""Camera rows and modalities, one for all images or one for each; None for what the weights do not read."""


def one_each(tags: Tags, n_images: int) -> list[ImageTag]:
    """A tag for each image; OptionError if there is neither one tag nor one for each."""
    listed = [tags] * n_images if isinstance(tags, ImageTag) else list(tags)
    if len(listed) != n_images:
        raise OptionError(
            f"tags= takes one tag for all images or one for each: got {len(listed)} for {counted(n_images, 'images')}"
        )
    return listed


def conditions_of(tower: Tower, tags: Tags) -> Conditions:
    """What the weights read of one tag for all images, or of one for each.

    OptionError if the weights have no row for a camera, or something is not a tag.
    """
    if isinstance(tags, ImageTag):
        return _read(tower, tags)
    each, parts = [_read(tower, tag) for tag in tags], _parts(tower)
    cameras = [camera for camera, _ in each if camera is not None]
    modalities = [modality for _, modality in each]
    return cameras if parts.n_cameras else None, modalities if parts.reads_modality else None


def chosen_conditions(
    tower: Tower, tags: Tags | None, camera: Cameras, modality: Modalities, bound: Conditions = (None, None)
) -> Conditions:
    """Camera rows and modalities: those of tags, or those given, or else those bound; OptionError if given twice."""
    if tags is not None:
        if camera is not None or modality is not None:
            raise OptionError(
                "an image's camera and modality are given by tags=, or by camera= and modality=, not by both: got "
                f"{tags!r:.80} beside {camera!r} and {modality!r}"
            )
        camera, modality = conditions_of(tower, tags)
    return bound[0] if camera is None else camera, bound[1] if modality is None else modality


def reads_tags(tower: Tower) -> bool:
    """Whether the weights read an image's camera or modality; plain CLIP reads neither."""
    parts = _parts(tower)
    return bool(parts.n_cameras or parts.reads_modality)


def takes_mean_camera(tower: Tower, tag: ImageTag) -> bool:
    """Whether the mean of the camera embeddings stands for the image's camera, which is not known."""
    return bool(_parts(tower).n_cameras) and tag.camid < 0


def _parts(tower: Tower) -> HostParts:
    """What the tower has beside open_clip's own layers; nothing in open_clip's own towers."""
    return getattr(tower.clip.visual, "parts", HostParts())


def _read(tower: Tower, tag: ImageTag) -> tuple[Camera | None, str | None]:
    if not isinstance(tag, ImageTag):
        raise OptionError(
            f"a tag is ImageTag(modality, camid): got {tag!r:.60}; give one for all images or one for each"
        )
    parts, first, camid = _parts(tower), tower.first_camera, tag.camid
    modality = tag.modality if parts.reads_modality else None
    if not parts.n_cameras:
        return None, modality
    if not isinstance(camid, int | np.integer) or isinstance(camid, bool):
        raise OptionError(
            f"a camera's number must be whole, as Sample.camid is: got {camid!r}; give -1 if it is not known"
        )
    if camid >= 0 and not first <= camid < first + parts.n_cameras:
        raise OptionError(
            f"these weights know the cameras {first}..{first + parts.n_cameras - 1}: got an image of camera "
            f'{camid}; encode it with camera="{MEAN_CAMERA}" or as another camera'
        )
    return MEAN_CAMERA if camid < 0 else int(camid) - first, modality
