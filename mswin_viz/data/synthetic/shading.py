"""From parts to pixels: the colour, near-infrared reflectance and warmth of a person, shaded by relief."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageFilter

from mswin_viz.data.synthetic.draw_person import Pose, draw_person
from mswin_viz.data.synthetic.identity import COLOURS, Identity
from mswin_viz.data.synthetic.part_canvas import PARTS
from mswin_viz.data.synthetic.scenery import smooth_noise
from mswin_viz.data.synthetic.shots import ShotConditions

SHAPE = (256, 128)
"""Rows and columns of every picture."""
_SKINS = {"light": (232, 190, 164), "tan": (206, 156, 120), "brown": (150, 100, 70), "dark": (92, 62, 48)}
_HAIRS = {"black": (30, 27, 28), "brown": (92, 58, 36), "blond": (214, 176, 104), "grey": (158, 156, 154),
          "red": (164, 74, 32), "none": (0, 0, 0)}  # fmt: skip
_PERIODS = {"narrow": 0.03, "medium": 0.041, "wide": 0.056, "broad": 0.076}  # of a pattern, by stripe width


def _dyed(word: str, tint: Sequence[float], spread: float = 9.0) -> np.ndarray:
    """A colour word as this person's dye: near the chart's colour, and never that of another word."""
    base = np.array(COLOURS.get(word, (0, 0, 0)), np.float32)
    if word in ("black", "white", "grey"):  # a cast would make these another colour
        spread *= 0.2
    cast = spread * np.array([tint[1], tint[2], -tint[1]], np.float32) * 0.6
    return np.clip(base * (1 + 0.07 * tint[0]) + cast, 12, 248)


def _palette(who: Identity) -> Float[np.ndarray, "parts 5"]:
    """Red, green, blue, near infrared and warmth (all 0..255) of every part."""
    skin, hair = np.array(_SKINS[who.skin], np.float32), np.array(_HAIRS[who.hair_colour], np.float32)
    upper, lower = _dyed(who.upper_colour, who.tint), _dyed(who.lower_colour, who.tint[::-1])
    hat, bag, shoes = (
        _dyed(word, who.tint, 5) for word in (who.hat_colour, who.bag_colour, who.shoes_colour)
    )
    used = (who.upper_colour, who.pattern_colour)
    logo = _dyed(next(word for word in ("white", "red", "black") if word not in used), who.tint, 4)
    mark = 0.25 if who.upper_nir > 0.5 else 0.9
    look = {
        "background": ((0, 0, 0), 0, 0),
        "skin": (skin, 0.70, 0.93),
        "skin_far": (skin * 0.78, 0.56, 0.88),
        "feature": (skin * 0.3, 0.25, 0.86),
        "hair": (hair, who.hair_nir, 0.52),
        "glasses": (np.array((24, 24, 28)), 0.1, 0.4),  # glass holds back the warmth of the face
        "hat": (hat, who.hat_nir, who.hat_warmth),
        "hat_trim": (hat * 0.78, who.hat_nir * 0.85, who.hat_warmth * 0.92),
        "upper": (upper, who.upper_nir, who.upper_warmth),
        "upper_far": (upper * 0.72, who.upper_nir * 0.76, who.upper_warmth * 0.92),
        "upper_trim": (upper * 0.72, who.upper_nir * 0.8, who.upper_warmth * 0.88),
        "seam": (upper * 0.8, who.upper_nir * 0.82, min(who.upper_warmth * 1.3 + 0.06, 0.95)),  # thin padding
        "hood": (upper * 0.86, who.upper_nir * 0.9, who.upper_warmth * 0.84),
        "logo": (logo, mark, who.upper_warmth * 0.82),
        "lower": (lower, who.lower_nir, who.lower_warmth),
        "lower_far": (lower * 0.7, who.lower_nir * 0.76, who.lower_warmth * 0.92),
        "lower_trim": (lower * 0.78, who.lower_nir * 0.86, who.lower_warmth * 0.93),
        "shoes": (shoes, who.shoes_nir, who.shoes_warmth),
        "shoes_far": (shoes * 0.72, who.shoes_nir * 0.76, who.shoes_warmth * 0.95),
        "sole": (np.array((226, 224, 216)), 0.62, who.shoes_warmth * 0.85),
        "bag": (bag, who.bag_nir, 0.14),
        "bag_trim": (bag * 0.8, who.bag_nir * 0.82, 0.12),
        "strap": (_dyed(who.strap_colour, who.tint, 4), who.bag_nir * 0.7 + 0.1, 0.2),
    }
    rows = [(*colour, 255 * nir, 255 * warmth) for colour, nir, warmth in (look[part] for part in PARTS)]
    return np.array(rows, np.float32)


def _pattern_mask(
    who: Identity, pose: Pose, labels: UInt8[np.ndarray, "rows cols"]
) -> Bool[np.ndarray, "rows cols"]:
    """Where the upper garment has its pattern's second colour, in the enlarged drawing."""
    scale = labels.shape[0] / SHAPE[0]
    period = _PERIODS[who.stripe_width] * pose.size * scale
    y = ((np.arange(labels.shape[0], dtype=np.float32) - pose.top * scale) / period)[:, None]
    x = ((np.arange(labels.shape[1], dtype=np.float32) - pose.x * scale) / period)[None, :]
    if who.pattern == "striped":
        mask = np.broadcast_to((y % 1) < 0.42, labels.shape)
    elif who.pattern == "checked":
        mask = ((y % 1) < 0.26) | ((x % 1) < 0.26)
    else:
        odd = np.floor(y) % 2 * 0.5
        mask = ((y % 1) - 0.5) ** 2 + ((x + odd) % 1 - 0.5) ** 2 < 0.085
    cloth = np.isin(np.arange(len(PARTS)), [PARTS.index("upper"), PARTS.index("upper_far")])
    return mask & cloth[labels]


def halved(layer: UInt8[np.ndarray, "rows cols"]) -> Float[np.ndarray, "half_rows half_cols"]:
    """A layer at half its size, each pixel the mean of four."""
    return np.asarray(Image.fromarray(layer).reduce(2), np.float32)


def _edges(labels: UInt8[np.ndarray, "rows cols"]) -> UInt8[np.ndarray, "rows cols"]:
    """255 where two parts meet: seams and outlines."""
    edge = np.zeros(labels.shape, np.uint8)
    edge[1:] |= (labels[1:] != labels[:-1]).view(np.uint8)
    edge[:, 1:] |= (labels[:, 1:] != labels[:, :-1]).view(np.uint8)
    return edge * 255


def figure(
    who: Identity, shot: ShotConditions, pose: Pose, light_from: float
) -> tuple[Float[np.ndarray, "rows cols"], Float[np.ndarray, "rows cols 5"]]:
    """Coverage (0..1) and shaded look of a person."""
    drawn, relief = draw_person(who, pose, SHAPE)
    labels = np.asarray(drawn)
    table = _palette(who)
    layers = [np.clip(table[:, c], 0, 255).astype(np.uint8)[labels] for c in range(5)]
    if who.pattern != "plain":
        mask = _pattern_mask(who, pose, labels)
        second = (*_dyed(who.pattern_colour, who.tint, 4), 255 * who.pattern_nir)
        for layer, value in zip(layers, second, strict=False):
            layer[mask] = int(np.clip(value, 0, 255))
    cover = halved((labels > 0).view(np.uint8) * 255) / 255
    weight = 1 / np.maximum(cover, 1 / 255)
    look = np.stack([halved(layer) * weight for layer in layers], axis=2)
    height = np.asarray(relief.reduce(2).filter(ImageFilter.GaussianBlur(3.2)), np.float32) / 255
    slope_x, slope_y = np.gradient(height, axis=1), np.gradient(height, axis=0)
    y, x = shot.grain
    folds = smooth_noise()[y : y + SHAPE[0], x : x + SHAPE[1]]
    shade = 0.93 + 3.0 * (slope_y * 0.5 - light_from * slope_x) + 0.16 * height + 0.075 * folds
    shade = np.clip(shade - halved(_edges(labels)) * (0.26 / 255), 0.4, 1.35)
    flat = np.clip(0.96 + 1.4 * (slope_y * 0.4 + 0.2 * slope_x) + 0.1 * height + 0.09 * folds, 0.5, 1.25)
    flat -= halved(_edges(labels)) * (0.18 / 255)
    warm = np.clip(0.74 + 0.34 * height + 0.1 * folds[::-1], 0.5, 1.15)
    look[..., :3] *= shade[..., None]
    look[..., 3] *= flat
    look[..., 4] *= warm
    return cover, look
