"""One range of values for all of a data set's images of more than 8 bits."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

import numpy as np

from mswin_viz.data.images.deep_images import DeepRange
from mswin_viz.data.images.image_source import MODALITIES, deep_values, source_name
from mswin_viz.data.progress import progress_bar
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import counted, n_of
from mswin_viz.errors import DataError, ImageError, ImageFileError, OptionError

_PERCENTILES = (1, 99)
_PIXELS = 4096  # of one image, spread evenly over it


def thermal_range(samples: Sequence[Sample], *, modality: str = "TI", progress: bool = False) -> DeepRange:
    """The 1st and 99th percentile of a data set's values, for ``thermal_range=`` of :func:`mswin_viz.load_model`.

    With one range for all images, the same temperature is the same grey in each. Images of 8 bits are left out, as are
    those that cannot be read, with one warning.

    Parameters
    ----------
    samples
        The data set, or part of it.
    modality
        Which of their images.
    progress
        Show a bar.

    Returns
    -------
    range
        ``(low, high)``, in the units of the files.

    Raises
    ------
    OptionError
        If there is no such modality, or something other than samples is passed.
    DataError
        If no image has more than 8 bits, or all values are equal.

    Examples
    --------
    >>> from PIL import Image
    >>> counts = np.linspace(29315, 30815, 64 * 32).reshape(64, 32)  # 20 to 35 degrees, in centikelvin
    >>> Image.fromarray(counts.astype(np.uint16)).save("thermal.png")
    >>> low, high = mv.thermal_range([mv.Sample(1, 1, {"TI": "thermal.png"})])
    >>> round(low), round(high)
    (29329, 30800)
    >>> mv.load_model(thermal_range=(low, high)).displayed("thermal.png").size
    (128, 256)
    """
    if modality not in MODALITIES:
        raise OptionError(f"modality must be one of {', '.join(MODALITIES)}: got {modality!r}; choose one")
    if not isinstance(samples, Iterable) or not all(isinstance(sample, Sample) for sample in samples):
        raise OptionError(
            "a range is computed from samples: got something else; pass what mv.samples(FOLDER) returns, or "
            "[mv.Sample(-1, -1, {'TI': path}), ...]"
        )
    sources = [sample.images[modality] for sample in samples if modality in sample.images]
    parts, problems = [], []
    for source in progress_bar(sources, desc="reading", unit="image", disable=not progress):
        try:
            values = deep_values(source)
        except (ImageFileError, ImageError) as problem:
            problems.append(str(problem))
            continue
        if values is not None and not np.isfinite(values).all():
            problems.append(f"an image must hold finite values: {source_name(source)} holds NaN or infinity")
        elif values is not None:
            at = np.linspace(0, values.size - 1, min(values.size, _PIXELS)).astype(int)
            parts.append(values.ravel()[at])
    if problems:
        warnings.warn(
            f"{n_of(len(problems), len(sources), f'{modality} images')} {'was' if len(problems) == 1 else 'were'} left out, the first because {problems[0]}",
            stacklevel=2,
        )
    if not parts:
        raise DataError(
            f"a range needs images of more than 8 bits: got none among {counted(len(sources), f'{modality} images')}; load the "
            "model without thermal_range="
        )
    low, high = (float(value) for value in np.percentile(np.concatenate(parts), _PERCENTILES))
    if not low < high:
        raise DataError(
            f"a range needs two different values: percentiles 1 and 99 of {counted(len(parts), f'{modality} images')} are both "
            f"{low:.15g}; give thermal_range=(lo, hi) yourself"
        )
    return low, high
