"""What every value is called on screen: one name for menus, captions, figures and the browser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from mswin_viz.analysis.measures.joined import modality_words
from mswin_viz.analysis.shares.slots import Slot
from mswin_viz.data.shown_text import short_text

Value = TypeVar("Value")
_MOST_OF_A_NAME = 40  # characters

VALUES = {
    "removal": "change when removed",
    "push": "net push",
    "share": "share of cosine",
    "norm": "activation norm",
    "cosine": "cosine to target",
    "channel": "one channel",
}
"""What a window's number is."""


@dataclass(frozen=True)
class ValueLegend:
    """What a value is, in a sentence, and what the two ends of its colour scale mean."""

    what: str
    low: str
    high: str
    is_signed: bool = True  # about zero


LEGENDS = {
    "removal": ValueLegend(
        "How the cosine changes when one window is taken away, with norm and gates computed again.",
        "falls without the window: it helps", "rises without it",
    ),
    "push": ValueLegend(
        "Which way a little more of a window moves the cosine, the longer norm counted; all pushes add up to zero.",
        "pulls the cosine down", "pushes it up",
    ),
    "share": ValueLegend(
        "The window's exact part of the cosine; all parts together are the score. A positive part need not raise the score, "
        "because every part also makes the norm longer.",
        "a negative part", "a positive part",
    ),
    "norm": ValueLegend("How long a window's answer is.", "short", "long", is_signed=False),
    "cosine": ValueLegend("How far a window's own answer points along the target.", "away from it", "towards it"),
    "channel": ValueLegend("One number of a window's answer.", "negative", "positive"),
}  # fmt: skip
"""The same values: what stands in the legend."""
THOUSANDTHS = ("removal", "push", "share", "cosine")
"""The values that are cosines or parts of one: shown in thousandths."""
SCALES_OF_COLOUR = {
    False: "each panel has its own colour scale: compare patterns, not colours",
    True: "one colour scale: the same colour is the same number in every panel",
}
"""What may be compared, by whether panels of a unit share a colour scale."""
DIFFERENCES = "these rows have a colour scale of their own, the same on both sides of zero"
"""How the rows of differences between two models are coloured."""
ABSENCES = {"value": "not in this model", "difference": "not in both models"}
"""Why there is no panel in a row of a model, or in one of differences."""
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
NO_ADDON = "no add-on: nothing is enhanced"
"""What stands in place of a waterfall for plain CLIP."""
TARGETS = {
    "text": "text: the first prompt",
    "image": "the second image",
    "shift": "shift: enhanced minus plain",
    "channel": "the channel",
    "own": "the image's own plain CLS",
}
"""What the cosine is taken with."""
ATTRIBUTION_TARGETS = {"prompt": "the prompt below", "image": "the second image"}
"""The same in the attribution explorer."""
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
SECTIONS = {
    "measure": ("what is measured", "The value that is painted, its target and prompts, and the CLS split."),
    "fusion": (
        "rows and fusion",
        "One image, its modalities or a pair; scales on, off or replaced; shuffled windows.",
    ),
    "display": ("display", "The free windows and their kernel; colours, opacity and outlines."),
    "files": ("files", "Open your own images; save the figure or a page; copy or paste the state."),
    "help": ("?", "What the values, colours and words mean."),
}
"""The folded sections of the scale explorer: what stands on each button, and its tooltip."""
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


def named(name: str) -> str:
    """The name that a user gave a model, in titles and menus."""
    return short_text(name, _MOST_OF_A_NAME)


def colours_of(names: tuple[str, str]) -> dict[str, str]:
    """:data:`COLOURS` of maps of two models, or, by the names ``plain`` and ``enhanced``, of one."""
    if names == tuple(FEATURES):
        return COLOURS
    first, second = map(named, names)
    of_two = {
        "plain_ap": f"AP, {first}",
        "enhanced_ap": f"AP, {second}",
        "ap_change": f"change of AP, {second} minus {first}",
    }
    return COLOURS | of_two


def difference_name(models: tuple[str, str]) -> str:
    """What the rows of differences between two models are called."""
    return f"{models[1]} minus {models[0]}"


def difference_words(models: tuple[str, str]) -> str:
    """What the numbers of these rows are."""
    return f"value of {models[1]} minus value of {models[0]}"


def unit_words(unit: str) -> str:
    """What the numbers of a panel are, and that they are thousandths where they are."""
    name = VALUES.get(unit, unit)
    return f"{name}, in thousandths" if unit in THOUSANDTHS else name


def choices(labels: Mapping[Value, str]) -> list[tuple[str, Value]]:
    """The options of a menu: what stands in it, and its value."""
    return [(label, value) for value, label in labels.items()]


def slot_name(slot: Slot) -> str:
    """What stands in a slot of the fusion: its scale, its tiles, or that it is off."""
    if slot.kernel == "off":
        return "off"
    return f"{slot.tile[0]}x{slot.tile[1]} tiles" if slot.tile else f"scale {slot.scale}"
