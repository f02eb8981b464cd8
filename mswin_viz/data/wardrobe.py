"""Who the synthetic pedestrians are: their clothes, hair and bags, and sentences that describe them.

Colours matter to the visible picture only. What near infrared and thermal cameras see follows from materials,
which are drawn independently of colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mswin_viz.errors import OptionError

__all__ = [
    "ATTRIBUTES",
    "COLOURS",
    "GROUP",
    "LOOKALIKES",
    "MATERIALS",
    "Identity",
    "attributes",
    "caption_of",
    "lookalike_difference",
    "sample_identity",
    "sample_lookalike",
]

COLOURS = {
    "black": (34, 34, 38),
    "white": (236, 236, 232),
    "grey": (132, 134, 138),
    "red": (200, 32, 38),
    "orange": (240, 128, 24),
    "yellow": (242, 212, 48),
    "green": (40, 138, 62),
    "blue": (40, 84, 190),
    "purple": (116, 52, 160),
    "pink": (240, 132, 178),
    "brown": (116, 74, 42),
}
# material: (near-infrared reflectance, warmth that reaches the surface), both in 0..1
MATERIALS = {
    "cotton": (0.72, 0.66),
    "wool": (0.55, 0.42),
    "polyester": (0.88, 0.58),
    "nylon": (0.38, 0.34),
    "denim": (0.47, 0.54),
    "leather": (0.24, 0.46),
}
_UPPER_COLOURS = {name: 1.0 for name in COLOURS if name != "brown"}
_LOWER_COLOURS = {
    "black": 20,
    "blue": 24,
    "grey": 16,
    "brown": 14,
    "white": 9,
    "green": 8,
    "red": 5,
    "purple": 4,
}
_PATTERNS = {"plain": 37, "striped": 23, "checked": 20, "dotted": 20}
_UPPER_TYPES = {"t-shirt": 20, "sweater": 15, "hoodie": 17, "jacket": 17, "coat": 18, "vest": 13}
_LOWER_TYPES = {"trousers": 38, "shorts": 23, "skirt": 25, "leggings": 14}
_BAGS = {"none": 45, "backpack": 20, "handbag": 17, "shoulder bag": 18}
_BAG_COLOURS = {
    "black": 26,
    "brown": 18,
    "red": 14,
    "blue": 12,
    "green": 8,
    "yellow": 8,
    "grey": 8,
    "pink": 6,
}
_HAIR = {"short": 42, "long": 32, "ponytail": 16, "bald": 10}
_HAIR_COLOURS = {"black": 32, "brown": 34, "blond": 20, "grey": 8, "red": 6}
_HATS = {"none": 58, "cap": 22, "beanie": 20}
_LOGOS = {"none": 52, "left": 16, "right": 16, "centre": 16}
_STRIPE_WIDTHS = {"narrow": 1, "medium": 1, "wide": 1, "broad": 1}
_GLASSES = {"none": 70, "dark": 30}
_STRAPS = {"black": 1, "brown": 1, "white": 1, "red": 1}
_SHOES = {"black": 34, "white": 28, "brown": 16, "red": 10, "blue": 7, "yellow": 5}
_SKINS = {"light": 40, "tan": 25, "brown": 20, "dark": 15}
_LOOKALIKE_MODELS = 2_000_000  # people from this number on are what groups of look-alikes are drawn after
_UPPER_MATERIALS = {
    "t-shirt": ("cotton", "polyester"),
    "vest": ("cotton", "nylon", "polyester"),
    "sweater": ("wool", "cotton", "polyester"),
    "hoodie": ("cotton", "polyester", "wool"),
    "jacket": ("nylon", "leather", "denim", "polyester"),
    "coat": ("wool", "nylon", "leather", "polyester"),
}
_LOWER_MATERIALS = {
    "trousers": ("denim", "cotton", "wool", "polyester"),
    "shorts": ("denim", "cotton", "nylon"),
    "skirt": ("cotton", "wool", "leather", "polyester"),
    "leggings": ("nylon", "cotton", "polyester"),
}
# how much cooler the outside of a thicker garment is
_INSULATION = {
    "t-shirt": 0.10,
    "vest": 0.04,
    "sweater": -0.04,
    "hoodie": -0.06,
    "jacket": -0.10,
    "coat": -0.16,
}


@dataclass(frozen=True)
class Identity:
    """One synthetic person. Words are plain English; ``*_nir`` and ``*_warmth`` are in 0..1."""

    pid: int
    height: float  # of the picture's height
    width: float  # 1 is average
    shoulders: float  # 1 is average
    fit: float  # how wide trousers, shorts and leggings are cut; 1 is average
    flare: float  # how much wider trousers are at the ankle; 0 is straight
    hem: float  # how far the upper garment reaches beyond its usual end, of the body's height
    sleeve: float  # how much of the upper arm a short sleeve covers, 0..1
    skirt_hem: float  # where a skirt ends, of the body's height
    quilting: int  # seams across a padded jacket, coat or vest; 0 where it is not padded
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
    tint: tuple[float, float, float]  # how this person's dyes differ from the colour chart
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
    "upper_colour",
    "lower_colour",
    "pattern",
    "pattern_colour",
    "upper_type",
    "lower_type",
    "any_bag",
    "bag",
    "bag_colour",
    "strap_colour",
    "hair",
    "hair_colour",
    "hat",
    "hat_colour",
    "shoes_colour",
    "glasses",
    "logo",
    "stripe_width",
    "skin",
    "upper_material",
    "lower_material",
)


def _pick(rng: np.random.Generator, weights: dict[str, float]) -> str:
    total = np.cumsum(list(weights.values()))
    return list(weights)[int(np.searchsorted(total, rng.random() * total[-1], side="right"))]


def _one_of(rng: np.random.Generator, words: Sequence[str]) -> str:
    return words[int(rng.integers(len(words)))]


def _near(rng: np.random.Generator, centre: float, spread: float) -> float:
    return round(float(np.clip(centre + rng.normal(0, spread), 0.06, 0.98)), 3)


def _contrasting(rng: np.random.Generator, colour: str) -> str:
    """A second colour that stands out from the first."""
    dark = ("black", "blue", "purple", "green", "red", "brown")
    choices = (
        ("white", "yellow", "white", "pink")
        if colour in dark
        else ("black", "blue", "red", "purple", "white")
    )
    alike = {"white": "yellow", "yellow": "white", "red": "pink", "pink": "white", "orange": "red"}
    too_close = {colour, alike.get(colour)}
    return _one_of(rng, [word for word in choices if word not in too_close])


def sample_identity(pid: int, *, seed: int = 0) -> Identity:
    """The person numbered ``pid`` in the world of ``seed``; the same one at every call.

    Parameters
    ----------
    pid
        Person number, at least 0.
    seed
        World number, at least 0.

    Raises
    ------
    OptionError
        If either number is negative.
    """
    if pid < 0 or seed < 0:
        raise OptionError(
            f"pid and seed count from 0: got pid={pid}, seed={seed}; give numbers of at least 0"
        )
    rng = np.random.default_rng([seed, pid, 11])
    upper_type, lower_type = _pick(rng, _UPPER_TYPES), _pick(rng, _LOWER_TYPES)
    if upper_type == "coat" and lower_type == "shorts":  # a coat would hide them
        lower_type = "trousers"
    upper_colour = _pick(rng, _UPPER_COLOURS)
    upper_material = _one_of(rng, _UPPER_MATERIALS[upper_type])
    lower_material = _one_of(rng, _LOWER_MATERIALS[lower_type])
    bag = _pick(rng, _BAGS)
    hat = _pick(rng, _HATS)
    hair = _pick(rng, _HAIR)
    pattern = _pick(rng, _PATTERNS)
    upper_nir, upper_warmth = MATERIALS[upper_material]
    lower_nir, lower_warmth = MATERIALS[lower_material]
    bag_colour, hat_colour = _pick(rng, _BAG_COLOURS), _pick(rng, _UPPER_COLOURS)
    hair_colour, second = _pick(rng, _HAIR_COLOURS), _contrasting(rng, upper_colour)
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
        glasses=_pick(rng, _GLASSES),
        skin=_pick(rng, _SKINS),
        hair=hair,
        hair_colour="none" if hair == "bald" else hair_colour,
        hat=hat,
        hat_colour="none" if hat == "none" else hat_colour,
        upper_type=upper_type,
        upper_colour=upper_colour,
        upper_material=upper_material,
        pattern=pattern,
        pattern_colour="none" if pattern == "plain" else second,
        stripe_width=_pick(rng, _STRIPE_WIDTHS),
        logo=_pick(rng, _LOGOS),
        lower_type=lower_type,
        lower_colour=_pick(rng, _LOWER_COLOURS),
        lower_material=lower_material,
        shoes_colour=_pick(rng, _SHOES),
        bag=bag,
        bag_colour="none" if bag == "none" else bag_colour,
        bag_side=_one_of(rng, ("left", "right")),
        strap_colour="none" if bag == "none" else _pick(rng, _STRAPS),
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
    """How many seams a padded garment has; only nylon and polyester are padded."""
    padded = upper_type in ("jacket", "coat", "vest") and material in ("nylon", "polyester")
    return int(rng.choice((4, 6, 9))) if padded and rng.random() < 0.7 else 0


LOOKALIKES = {
    "logo": ("none", "left", "right", "centre"),
    "shoes_colour": tuple(_SHOES),
    "strap_colour": tuple(_STRAPS),
    "stripe_width": tuple(_STRIPE_WIDTHS),
}
"""The small things in which look-alikes differ, and what each can be."""
GROUP = 4
"""Look-alikes come in groups of so many."""


def lookalike_difference(pid: int, *, seed: int = 0) -> str:
    """The one attribute in which person ``pid`` of the look-alike split differs from the rest of the group."""
    return list(LOOKALIKES)[int(np.random.default_rng([seed, pid // GROUP, 12]).integers(len(LOOKALIKES)))]


def sample_lookalike(pid: int, *, seed: int = 0) -> Identity:
    """Person ``pid`` of the look-alike split of a world: four in a row differ in one small thing.

    People ``4 k .. 4 k + 3`` share build, clothes and materials with somebody of the world, and differ from each
    other in one of `LOOKALIKES`: the place of a logo, the colour of the shoes or of a bag's strap, or the width of
    stripes. Shots differ as they do for anybody.

    Parameters
    ----------
    pid
        Person number, at least 0.
    seed
        World number, at least 0.

    Raises
    ------
    OptionError
        If either number is negative.
    """
    person = sample_identity(pid, seed=seed)
    model = sample_identity(_LOOKALIKE_MODELS + pid // GROUP, seed=seed)
    rng = np.random.default_rng([seed, pid // GROUP, 13])
    thing = lookalike_difference(pid, seed=seed)
    variants = rng.permutation(LOOKALIKES[thing])[:GROUP]
    shared = {thing: str(variants[pid % GROUP]), "pid": person.pid, "stride": person.stride}
    if thing == "stripe_width" and model.pattern == "plain":
        shared |= {"pattern": "striped", "pattern_colour": _contrasting(rng, model.upper_colour)}
    if thing == "strap_colour" and model.bag == "none":
        shared |= {"bag": _one_of(rng, ("backpack", "shoulder bag")), "bag_colour": _pick(rng, _BAG_COLOURS)}
    return replace(model, **shared)


def attributes(identity: Identity) -> dict[str, str]:
    """Every nameable attribute as a word; ``none`` where there is nothing to name."""
    return {"pid": str(identity.pid)} | {name: str(getattr(identity, name)) for name in ATTRIBUTES}


def _with_article(phrase: str) -> str:
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def _garments(words: dict[str, str], rng: np.random.Generator) -> list[str]:
    """Phrases that follow "wearing"."""
    found = []
    if words.keys() & {"upper_colour", "pattern", "upper_type"}:
        noun = words.get("upper_type", "top" if rng.random() < 0.75 else "upper garment")
        looks = [words[key] for key in ("upper_colour", "pattern") if key in words]
        if looks[1:] == ["plain"] and rng.random() < 0.5:
            looks.pop()
        found.append(_with_article(" ".join([*looks, noun])))
    if words.keys() & {"lower_colour", "lower_type"}:
        colour = [words["lower_colour"]] if "lower_colour" in words else []
        phrase = " ".join([*colour, words.get("lower_type", "bottoms")])
        found.append(_with_article(phrase) if phrase.endswith("skirt") else phrase)
    if "shoes_colour" in words:
        found.append(f"{words['shoes_colour']} shoes")
    colour = words.get("hat_colour", "none")
    if "hat" in words or colour != "none":
        hat = words.get("hat", "hat")
        phrase = hat if colour == "none" else f"{colour} {hat}"
        found.append("no hat" if hat == "none" else _with_article(phrase))
    return found


def _hair_and_logo(words: dict[str, str]) -> list[str]:
    """Phrases that follow "with"."""
    found = []
    if words.get("hair") == "bald":
        found.append("a bald head")
    elif "hair" in words or words.get("hair_colour", "none") != "none":
        kinds = {"short": ("short", "hair"), "long": ("long", "hair"), "ponytail": ("", "ponytail")}
        length, noun = kinds.get(words.get("hair", ""), ("", "hair"))
        colour = words.get("hair_colour", "").replace("none", "")
        phrase = " ".join(word for word in (length, colour, noun) if word)
        found.append(_with_article(phrase) if noun == "ponytail" else phrase)
    if "logo" in words:
        found.append("no logo" if words["logo"] == "none" else "a logo")
    if "glasses" in words:
        found.append("no glasses" if words["glasses"] == "none" else "dark glasses")
    return found


def _carried(words: dict[str, str], rng: np.random.Generator) -> str:
    """The closing phrase about the bag, or nothing."""
    bag, colour = words.get("bag"), words.get("bag_colour", "none")
    if bag is None and "any_bag" in words:
        bag = "bag" if words["any_bag"] == "yes" else "none"
    if bag == "none":
        return _one_of(rng, ("carrying no bag", "without a bag"))
    if bag is None and colour == "none":
        return ""
    phrase = " ".join(word for word in (colour.replace("none", ""), bag or "bag") if word)
    return f"{_one_of(rng, ('carrying', 'carrying', 'with'))} {_with_article(phrase)}"


def caption_of(identity: Identity, keys: Sequence[str], *, rng: np.random.Generator) -> str:
    """A sentence in lower case that says what ``keys`` name and nothing else.

    Parameters
    ----------
    keys
        Names from `ATTRIBUTES`. A colour without its garment speaks of a top, bottoms, a hat or a bag.
        Stripe width, strap, second colour, skin and materials have no wording and are passed over.
    rng
        Chooses the wording.

    Returns
    -------
    caption
        "a person wearing a red top" is the commonest form for a colour. Garments, bag and hair together stay
        under 30 tokens of CLIP's tokenizer; naming hat, shoes and logo as well can take up to about 35.

    Raises
    ------
    OptionError
        If a key is not an attribute.
    """
    unknown = [key for key in keys if key not in ATTRIBUTES]
    if unknown:
        choices = ", ".join(ATTRIBUTES)
        raise OptionError(f"captions are made of attributes: got {unknown}; choose from {choices}")
    words = {key: getattr(identity, key) for key in keys}
    garments, traits, carried = _garments(words, rng), _hair_and_logo(words), _carried(words, rng)
    who = (
        "a person" if rng.random() < 0.7 else _one_of(rng, ("someone", "a pedestrian", "a photo of a person"))
    )
    worn = " and ".join([", ".join(garments[:-1]), garments[-1]] if len(garments) > 1 else garments)
    verb = "wearing" if rng.random() < 0.75 else "in"
    if garments and garments[0] == "no hat":
        verb = "wearing"
    parts = [
        who,
        *([f"with {' and '.join(traits)}"] if traits else []),
        *([f"{verb} {worn}"] if worn else []),
    ]
    sentence = " ".join(parts)
    if not carried:
        return sentence
    return f"{sentence}, {carried}" if len(parts) > 1 else f"{sentence} {carried}"
