"""The images of a page: which, as the strip shows them, and without the folders they lie in."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from mswin_viz.data.images.image_source import Crop
from mswin_viz.data.images.picture_bytes import jpeg_file
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import shown_text
from mswin_viz.data.storage.stored_records import value_words
from mswin_viz.errors import MswinVizError, OptionError
from mswin_viz.model.encoder.encoded_batch import Failure
from mswin_viz.view.parts.pictures import thumbnail
from mswin_viz.view.widgets.markup import Markup, message_html
from mswin_viz.view.widgets.strip import ThumbnailStrip

_QUALITY = 92  # of JPEG files: no difference is seen below colours
_FOLDER = re.compile(r"(?<![\w.~/\\])(~|[A-Za-z]:)?[/\\]([^\s:;,'\"]*[/\\])?(?=\w)")
"""The beginning of an absolute path, up to the last part."""


def page_picture(image: Image.Image) -> bytes:
    """The picture behind heatmaps as a small file."""
    return jpeg_file(image, quality=_QUALITY)


def check_count(name: str, value: Any) -> None:
    """Raise OptionError unless an option is a whole number, 1 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise OptionError(
            f"{name} must be a whole number, 1 or more: got {value_words(value)}; leave it out for the usual one"
        )


def chosen_images(images: Any, n_samples: int, needed: Sequence[int]) -> list[int]:
    """Positions of the images in a page, ascending: at most ``images``, but never without those ``needed``.

    Raises OptionError unless ``images`` is a whole number, 1 or more.
    """
    check_count("images", images)
    first = dict.fromkeys([*needed, *range(n_samples)])
    return sorted(list(first)[: max(images, len(set(needed)))])


def strip_traits(
    strip: ThumbnailStrip, samples: Sequence[Sample], positions: Sequence[int], modalities: Sequence[str]
) -> dict[str, Any]:
    """The strip of a page: these samples in these modalities, with thumbnails, and no second image to choose."""
    chosen = [samples[at] for at in positions]
    thumbs = [
        thumbnail(sample.images[name]) if name in sample.images else b""
        for name in modalities
        for sample in chosen
    ]
    places = {at: place for place, at in enumerate(positions)}
    return {
        "items": [strip.items[at] for at in positions], "serial": 0, "modalities": list(modalities), "thumbs": thumbs,
        "modality": strip.modality if strip.modality in modalities else modalities[0],
        "selected": places[strip.selected], "second": -1, "has_second": False,
        "scores": [], "has_scores": False, "progress": -1.0, "status": "",
    }  # fmt: skip


def shown_error(problem: MswinVizError, samples: Sequence[Sample]) -> Markup:
    """Why there is no answer, in words that name files without their folders."""
    return message_html([without_folders(str(problem), samples)])


def placeless_failures(failed: Sequence[Failure], samples: Sequence[Sample]) -> tuple[Failure, ...]:
    """Images that were left out, named without their folders."""
    return tuple(
        Failure(Path(shown_text(failure.path.name)), without_folders(failure.reason, samples))
        for failure in failed
    )


def without_folders(words: str, samples: Sequence[Sample]) -> str:
    """Words that may name files, without the folders these lie in."""
    return folderless(samples)(words)


def folderless(samples: Sequence[Sample]) -> Callable[[str], str]:
    """What takes the folders of these samples, and of other files, out of words."""
    folders = sorted(set(_folders(samples)), key=len, reverse=True)

    def words_without(words: str) -> str:
        for folder in folders if os.sep in words else ():
            words = words.replace(f"{folder}{os.sep}", "").replace(folder, "…")
        return _FOLDER.sub("", words)

    return words_without


def _folders(samples: Sequence[Sample]) -> Iterator[str]:
    yield from (str(Path.home()), str(Path.cwd()))
    for sample in samples:
        for image in sample.images.values():
            path = image.path if isinstance(image, Crop) else image
            yield from (str(path.parent), str(path.absolute().parent))
