"""Sentences about synthetic pedestrians, true by construction and varied in wording."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mswin_viz.data.synthetic.identity import ATTRIBUTES, Identity, one_of
from mswin_viz.errors import OptionError


def _with_article(phrase: str) -> str:
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def _garments(words: dict[str, str], rng: np.random.Generator) -> list[str]:
    """Phrases that follow "wearing"."""
    phrases = []
    if words.keys() & {"upper_colour", "pattern", "upper_type"}:
        noun = words.get("upper_type", "top" if rng.random() < 0.75 else "upper garment")
        looks = [words[key] for key in ("upper_colour", "pattern") if key in words]
        if looks[1:] == ["plain"] and rng.random() < 0.5:
            looks.pop()
        phrases.append(_with_article(" ".join([*looks, noun])))
    if words.keys() & {"lower_colour", "lower_type"}:
        colour = [words["lower_colour"]] if "lower_colour" in words else []
        phrase = " ".join([*colour, words.get("lower_type", "bottoms")])
        phrases.append(_with_article(phrase) if phrase.endswith("skirt") else phrase)
    if "shoes_colour" in words:
        phrases.append(f"{words['shoes_colour']} shoes")
    colour = words.get("hat_colour", "none")
    if "hat" in words or colour != "none":
        hat = words.get("hat", "hat")
        phrase = hat if colour == "none" else f"{colour} {hat}"
        phrases.append("no hat" if hat == "none" else _with_article(phrase))
    return phrases


def _hair_and_logo(words: dict[str, str]) -> list[str]:
    """Phrases that follow "with"."""
    phrases = []
    if words.get("hair") == "bald":
        phrases.append("a bald head")
    elif "hair" in words or words.get("hair_colour", "none") != "none":
        kinds = {"short": ("short", "hair"), "long": ("long", "hair"), "ponytail": ("", "ponytail")}
        length, noun = kinds.get(words.get("hair", ""), ("", "hair"))
        colour = words.get("hair_colour", "").replace("none", "")
        phrase = " ".join(word for word in (length, colour, noun) if word)
        phrases.append(_with_article(phrase) if noun == "ponytail" else phrase)
    if "logo" in words:
        phrases.append("no logo" if words["logo"] == "none" else "a logo")
    if "glasses" in words:
        phrases.append("no glasses" if words["glasses"] == "none" else "dark glasses")
    return phrases


def _carried(words: dict[str, str], rng: np.random.Generator) -> str:
    """The phrase about the bag that ends the sentence; may be empty."""
    bag, colour = words.get("bag"), words.get("bag_colour", "none")
    if bag is None and "any_bag" in words:
        bag = "bag" if words["any_bag"] == "yes" else "none"
    if bag == "none":
        return one_of(rng, ("carrying no bag", "without a bag"))
    if bag is None and colour == "none":
        return ""
    phrase = " ".join(word for word in (colour.replace("none", ""), bag or "bag") if word)
    return f"{one_of(rng, ('carrying', 'carrying', 'with'))} {_with_article(phrase)}"


def caption_of(identity: Identity, keys: Sequence[str], *, rng: np.random.Generator) -> str:
    """A sentence in lower case that says what ``keys`` name and nothing else; ``rng`` chooses the wording.

    ``keys`` are names from `ATTRIBUTES`. A colour without its garment may be that of a top, bottoms, a hat or a bag.
    Stripe width, strap, second colour, skin and materials have no wording and are left out. Garments, bag and hair
    together take fewer than 30 tokens of CLIP's tokenizer; hat, shoes and logo bring them to about 35.

    Raises
    ------
    OptionError
        If a key is not an attribute.
    """
    unknown = [key for key in keys if key not in ATTRIBUTES]
    if unknown:
        raise OptionError(f"captions describe attributes: got {unknown}; choose from {', '.join(ATTRIBUTES)}")
    words = {key: getattr(identity, key) for key in keys}
    garments, traits, carried = _garments(words, rng), _hair_and_logo(words), _carried(words, rng)
    others = ("someone", "a pedestrian", "a photo of a person")
    sentence = who = "a person" if rng.random() < 0.7 else one_of(rng, others)
    if traits:
        sentence += f" with {' and '.join(traits)}"
    verb = "wearing" if rng.random() < 0.75 or garments[:1] == ["no hat"] else "in"
    if garments:
        worn = " and ".join([", ".join(garments[:-1]), garments[-1]] if len(garments) > 1 else garments)
        sentence += f" {verb} {worn}"
    if carried:
        sentence += f" {carried}" if sentence == who else f", {carried}"
    return sentence
