"""The identities of synthetic pedestrians: their build, clothes, hair and bags.

Colours show in visible light only. What near-infrared and thermal cameras see depends on materials, which are drawn
independently of colours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mswin_viz.errors import OptionError

MOST_PEOPLE = 100_000
"""The most people of a crowd or a sample set: drawing them takes hours, so a larger number is probably a mistake."""
COLOURS = {
    "black": (34, 34, 38), "white": (236, 236, 232), "grey": (132, 134, 138), "red": (200, 32, 38),
    "orange": (240, 128, 24), "yellow": (242, 212, 48), "green": (40, 138, 62), "blue": (40, 84, 190),
    "purple": (116, 52, 160), "pink": (240, 132, 178), "brown": (116, 74, 42),
}  # fmt: skip
# material: (near-infrared reflectance, warmth that reaches the surface), both in 0..1
MATERIALS = {
    "cotton": (0.72, 0.66), "wool": (0.55, 0.42), "polyester": (0.88, 0.58), "nylon": (0.38, 0.34),
    "denim": (0.47, 0.54), "leather": (0.24, 0.46),
}  # fmt: skip
_UPPER_COLOURS = {name: 1.0 for name in COLOURS if name != "brown"}
_LOWER_COLOURS = {
    "black": 20, "blue": 24, "grey": 16, "brown": 14, "white": 9, "green": 8, "red": 5, "purple": 4,
}  # fmt: skip
_PATTERNS = {"plain": 37, "striped": 23, "checked": 20, "dotted": 20}
_UPPER_TYPES = {"t-shirt": 20, "sweater": 15, "hoodie": 17, "jacket": 17, "coat": 18, "vest": 13}
_LOWER_TYPES = {"trousers": 38, "shorts": 23, "skirt": 25, "leggings": 14}
_BAGS = {"none": 45, "backpack": 20, "handbag": 17, "shoulder bag": 18}
BAG_COLOURS = {"black": 26, "brown": 18, "red": 14, "blue": 12, "green": 8, "yellow": 8, "grey": 8, "pink": 6}
_HAIR = {"short": 42, "long": 32, "ponytail": 16, "bald": 10}
_HAIR_COLOURS = {"black": 32, "brown": 34, "blond": 20, "grey": 8, "red": 6}
_HATS = {"none": 58, "cap": 22, "beanie": 20}
_LOGOS = {"none": 52, "left": 16, "right": 16, "centre": 16}
STRIPE_WIDTHS = {"narrow": 1, "medium": 1, "wide": 1, "broad": 1}
_GLASSES = {"none": 70, "dark": 30}
STRAPS = {"black": 1, "brown": 1, "white": 1, "red": 1}
SHOES = {"black": 34, "white": 28, "brown": 16, "red": 10, "blue": 7, "yellow": 5}
_SKINS = {"light": 40, "tan": 25, "brown": 20, "dark": 15}
_UPPER_MATERIALS = {
    "t-shirt": ("cotton", "polyester"), "vest": ("cotton", "nylon", "polyester"),
    "sweater": ("wool", "cotton", "polyester"), "hoodie": ("cotton", "polyester", "wool"),
    "jacket": ("nylon", "leather", "denim", "polyester"), "coat": ("wool", "nylon", "leather", "polyester"),
}  # fmt: skip
_LOWER_MATERIALS = {
    "trousers": ("denim", "cotton", "wool", "polyester"), "shorts": ("denim", "cotton", "nylon"),
    "skirt": ("cotton", "wool", "leather", "polyester"), "leggings": ("nylon", "cotton", "polyester"),
}  # fmt: skip
# how much cooler the outside of a thicker garment is
_INSULATION = {
    "t-shirt": 0.10, "vest": 0.04, "sweater": -0.04, "hoodie": -0.06, "jacket": -0.10, "coat": -0.16,
}  # fmt: skip


@dataclass(frozen=True)
class Identity:
    """One synthetic person; ``*_nir`` (near-infrared reflectance) and ``*_warmth`` are in 0..1."""

    pid: int
    height: float  # of the picture's height
    width: float  # 1 is average
    shoulders: float  # 1 is average
    fit: float  # how wide trousers, shorts and leggings are cut; 1 is average
    flare: float  # how much wider trousers are at the ankle; 0 is straight
    hem: float  # how far the upper garment reaches beyond its usual end, as a fraction of the body's height
    sleeve: float  # how much of the upper arm a short sleeve covers, 0..1
    skirt_hem: float  # where a skirt ends, as a fraction of the body's height
    quilting: int  # seams across a padded jacket, coat or vest; 0 if it is not padded
    glasses: str  # none or dark
    skin: str
    hair: str
    hair_colour: str
    hat: str
    hat_colour: str
    upper_type: str
    upper_colour: str
    upper_material: str
    pattern: str
    pattern_colour: str
    stripe_width: str  # narrow to broad: the pattern's period
    logo: str  # none, left, right or centre; on the chest, and between the shoulders
    lower_type: str
    lower_colour: str
    lower_material: str
    shoes_colour: str
    bag: str
    bag_colour: str
    bag_side: str
    strap_colour: str
    tint: tuple[float, ...]  # how this person's dyes differ from the colour chart
    upper_nir: float
    pattern_nir: float
    lower_nir: float
    hat_nir: float
    hair_nir: float
    shoes_nir: float
    bag_nir: float
    upper_warmth: float
    lower_warmth: float
    hat_warmth: float
    shoes_warmth: float
    stride: float  # 1 is average

    @property
    def any_bag(self) -> str:
        """Whether the person carries a bag of any kind: yes or no."""
        return "no" if self.bag == "none" else "yes"


ATTRIBUTES = (
    "upper_colour", "lower_colour", "pattern", "pattern_colour", "upper_type", "lower_type", "any_bag", "bag",
    "bag_colour", "strap_colour", "hair", "hair_colour", "hat", "hat_colour", "shoes_colour", "glasses",
    "logo", "stripe_width", "skin", "upper_material", "lower_material",
)  # fmt: skip


def pick(rng: np.random.Generator, weights: Mapping[str, float]) -> str:
    """A word, drawn by its weight."""
    total = np.cumsum(list(weights.values()))
    return list(weights)[int(np.searchsorted(total, rng.random() * total[-1], side="right"))]


def one_of(rng: np.random.Generator, words: Sequence[str]) -> str:
    """One of several words, drawn with equal weights."""
    return words[int(rng.integers(len(words)))]


def _near(rng: np.random.Generator, centre: float, spread: float) -> float:
    return round(float(np.clip(centre + rng.normal(0, spread), 0.06, 0.98)), 3)


def contrasting(rng: np.random.Generator, colour: str) -> str:
    """A second colour that stands out from the first."""
    dark = ("black", "blue", "purple", "green", "red", "brown")
    light = ("white", "yellow", "white", "pink")
    choices = light if colour in dark else ("black", "blue", "red", "purple", "white")
    alike = {"white": "yellow", "yellow": "white", "red": "pink", "pink": "white", "orange": "red"}
    too_close = {colour, alike.get(colour)}
    return one_of(rng, [word for word in choices if word not in too_close])


def sample_identity(pid: int, *, seed: int = 0) -> Identity:
    """The person number ``pid`` in the world ``seed``, the same at every call; negative numbers are an `OptionError`."""
    if pid < 0 or seed < 0:
        raise OptionError(
            f"pid and seed must be at least 0: got pid={pid}, seed={seed}; choose other numbers"
        )
    rng = np.random.default_rng([seed, pid, 11])
    upper_type, lower_type = pick(rng, _UPPER_TYPES), pick(rng, _LOWER_TYPES)
    if upper_type == "coat" and lower_type == "shorts":  # a coat would hide them
        lower_type = "trousers"
    upper_colour = pick(rng, _UPPER_COLOURS)
    upper_material = one_of(rng, _UPPER_MATERIALS[upper_type])
    lower_material = one_of(rng, _LOWER_MATERIALS[lower_type])
    bag = pick(rng, _BAGS)
    hat = pick(rng, _HATS)
    hair = pick(rng, _HAIR)
    pattern = pick(rng, _PATTERNS)
    upper_nir, upper_warmth = MATERIALS[upper_material]
    lower_nir, lower_warmth = MATERIALS[lower_material]
    bag_colour, hat_colour = pick(rng, BAG_COLOURS), pick(rng, _UPPER_COLOURS)
    hair_colour, second = pick(rng, _HAIR_COLOURS), contrasting(rng, upper_colour)
    upper_shown = _near(rng, upper_nir, 0.09)
    offset = rng.uniform(0.12, 0.34)  # what the pattern's dye does to near infrared
    return Identity(
        pid=pid,
        height=round(float(np.clip(rng.normal(0.84, 0.045), 0.74, 0.93)), 3),
        width=round(float(np.clip(rng.normal(1.0, 0.12), 0.78, 1.26)), 3),
        shoulders=round(float(np.clip(rng.normal(1.0, 0.07), 0.86, 1.16)), 3),
        fit=round(float(rng.uniform(0.84, 1.28)), 3),
        flare=round(float(max(0.0, rng.uniform(-0.5, 0.75))), 3),
        hem=round(float(rng.uniform(-0.022, 0.03)), 3),
        sleeve=round(float(rng.uniform(0.5, 0.95)), 3),
        skirt_hem=round(float(rng.uniform(0.615, 0.785)), 3),
        quilting=_seams(rng, upper_type, upper_material),
        glasses=pick(rng, _GLASSES),
        skin=pick(rng, _SKINS),
        hair=hair,
        hair_colour="none" if hair == "bald" else hair_colour,
        hat=hat,
        hat_colour="none" if hat == "none" else hat_colour,
        upper_type=upper_type,
        upper_colour=upper_colour,
        upper_material=upper_material,
        pattern=pattern,
        pattern_colour="none" if pattern == "plain" else second,
        stripe_width=pick(rng, STRIPE_WIDTHS),
        logo=pick(rng, _LOGOS),
        lower_type=lower_type,
        lower_colour=pick(rng, _LOWER_COLOURS),
        lower_material=lower_material,
        shoes_colour=pick(rng, SHOES),
        bag=bag,
        bag_colour="none" if bag == "none" else bag_colour,
        bag_side=one_of(rng, ("left", "right")),
        strap_colour="none" if bag == "none" else pick(rng, STRAPS),
        tint=tuple(round(float(value), 3) for value in rng.normal(0, 1, 3)),
        upper_nir=upper_shown,
        pattern_nir=round(float(upper_shown - offset if upper_shown > 0.5 else upper_shown + offset), 3),
        lower_nir=_near(rng, lower_nir, 0.09),
        hat_nir=_near(rng, 0.55, 0.22),
        hair_nir=_near(rng, 0.4, 0.14),
        shoes_nir=_near(rng, 0.5, 0.24),
        bag_nir=_near(rng, 0.42, 0.22),
        upper_warmth=_near(rng, upper_warmth + _INSULATION[upper_type], 0.08),
        lower_warmth=_near(rng, lower_warmth, 0.1),
        hat_warmth=_near(rng, 0.45, 0.14),
        shoes_warmth=_near(rng, 0.34, 0.12),
        stride=round(float(np.clip(rng.normal(1.0, 0.2), 0.55, 1.5)), 3),
    )


def _seams(rng: np.random.Generator, upper_type: str, material: str) -> int:
    """How many seams a garment has; only nylon and polyester are padded."""
    padded = upper_type in ("jacket", "coat", "vest") and material in ("nylon", "polyester")
    return int(rng.choice((4, 6, 9))) if padded and rng.random() < 0.7 else 0


def attributes(identity: Identity) -> dict[str, str]:
    """Every attribute as a word; ``none`` for what the person does not have."""
    return {"pid": str(identity.pid)} | {name: str(getattr(identity, name)) for name in ATTRIBUTES}
