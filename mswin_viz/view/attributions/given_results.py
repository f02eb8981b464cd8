"""The results that a figure is given, refused in words where they are of another kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image

from mswin_viz.analysis.attribution.faithfulness import Faithfulness
from mswin_viz.analysis.attribution.randomisation import Randomisation
from mswin_viz.analysis.attribution.share_gap import ShareGap
from mswin_viz.data.storage.given_kinds import of_kind

_PICTURES = ("images must be a list of pictures", "[model.displayed(file)] is a list of one")


def check_maps(images: object, maps: object) -> None:
    """Raises OptionError for anything but pictures, and maps by name."""
    for image in of_kind(images, Sequence, *_PICTURES):
        of_kind(image, Image.Image, *_PICTURES)
    of_kind(maps, Mapping, "maps must be a dictionary of maps by name", "make them with mswin_viz.attribute")


def check_randomised(check: object) -> None:
    """Raises OptionError for anything but a check of randomised weights."""
    rule = "check must be one of randomised weights"
    of_kind(check, Randomisation, rule, "make one with mswin_viz.randomisation_check")


def check_curves(checks: object) -> None:
    """Raises OptionError for anything but checks of faithfulness."""
    rule = "checks must be those of a ranking of methods"
    of_kind(checks, Faithfulness, rule, "pass mswin_viz.rank_methods(...).faithfulness")


def check_gap(gap: object) -> None:
    """Raises OptionError for anything but a gap between an attribution and a share."""
    of_kind(gap, ShareGap, "gap must be that of a share", "make one with mswin_viz.share_gap")
