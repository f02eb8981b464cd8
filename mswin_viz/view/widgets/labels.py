"""What every value is called on screen: one name for menus, captions, figures and the browser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from mswin_viz.analysis.measures.joined import modality_words

Value = TypeVar("Value")

VALUES = {
    "removal": "change when removed",
    "push": "net push",
    "share": "share of cosine",
    "norm": "activation norm",
    "cosine": "cosine to target",
    "channel": "one channel",
}
"""What a window's number is."""
FEATURES = {"plain": "plain CLS", "enhanced": "enhanced CLS"}
"""The image's feature without the add-on and with it."""
PARTS = {
    "cls": "CLS",
    "tokens": "tokens",
    "outside": "outside windows",
    "bias": "bias",
    "unexplained": "unexplained",
}
"""What a part of a score comes from; a scale is called by its number."""
STEPS = {"other": "other's add-on", "cls": "CLS in add-on"}
"""What moves a cosine besides its parts: in a pair, the add-on of the other image; the CLS token, through a module."""
TARGETS = {
    "text": "text: the first prompt",
    "image": "the second image",
    "shift": "shift: enhanced minus plain",
    "channel": "the channel",
    "own": "the image's own plain CLS",
}
"""What the cosine is taken with."""
KERNELS = {"auto": "trained or resampled", "mean": "plain mean"}
"""How the free windows are pooled."""
WINDOWS = {"runs": "runs (as trained)", "tiles": "2-D tiles"}
"""Which tokens make a free window."""
WINDOWS_OF_TOKENS = {"runs": "runs of tokens", "tiles": "2-D tiles"}
"""The same where no window is trained."""
ROWS = {"one": "one image", "modalities": "modalities", "pair": "pair"}
"""The rows of the scale explorer's board."""
POINT_ROWS = {"one": "this image", "modalities": "its modalities", "pair": "with the neighbour"}
"""The same, of the image behind a point of a map."""
SLOTS = {
    "on": "its trained kernel is in the fusion",
    "off": "left out of the fusion",
    "free": "the free windows take its place",
}
"""What a slot of the fusion holds."""
MODALITIES = {"RGB": "RGB", "NI": "near infrared", "TI": "thermal"}
SHOWN = {"all": "every image", **MODALITIES, "together": modality_words("three_together")}
"""Which images the maps show."""
MATCHING_RULES = {
    "camera": "camera: leave out the same identity and camera",
    "scene": "scene: leave out the same identity and scene",
    "none": "none: leave out only the query itself",
}
"""Which images are left out of a query's gallery."""
COLOURS = {
    "identity": "identity", "camera": "camera", "modality": "modality",
    "plain_ap": "AP, plain", "enhanced_ap": "AP, enhanced", "ap_change": "change of AP",
}  # fmt: skip
"""What the points of a map are coloured by."""


def choices(labels: Mapping[Value, str]) -> list[tuple[str, Value]]:
    """The options of a menu: what stands in it, and its value."""
    return [(label, value) for value, label in labels.items()]
