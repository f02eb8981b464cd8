"""Draw a synthetic pedestrian as a map of body parts, from which every modality is shaded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from mswin_viz.data.wardrobe import Identity

__all__ = ["PARTS", "SUPERSAMPLING", "Pose", "draw_person"]

SUPERSAMPLING = 2
PARTS = (
    "background", "skin", "skin_far", "feature", "hair", "glasses", "hat", "hat_trim",
    "upper", "upper_far", "upper_trim", "seam", "hood", "logo", "lower", "lower_far", "lower_trim",
    "shoes", "shoes_far", "sole", "bag", "bag_trim", "strap",
)  # fmt: skip
_ID = {name: index for index, name in enumerate(PARTS)}
_Point = tuple[float, float]


@dataclass(frozen=True)
class Pose:
    """How a person stands before one camera.

    ``x`` and ``top`` (crown of the head) are pixels of the finished picture,
    ``size`` is the body height in pixels,
    ``phase`` is the walking phase in radians.
    """

    view: str
    x: float
    top: float
    size: float
    phase: float


@dataclass(frozen=True)
class _Sheet:
    """Two aligned drawings: part labels, and how far each part stands out (for the light)."""

    labels: ImageDraw.ImageDraw
    relief: ImageDraw.ImageDraw
    x: float
    top: float
    size: float
    flip: int = 1

    def at(self, point: _Point) -> _Point:
        return (self.x + self.flip * point[0] * self.size, self.top + point[1] * self.size)


def _shape(sheet: _Sheet, part: str, points: Sequence[_Point], relief: int = 150) -> None:
    placed = [sheet.at(point) for point in points]
    sheet.labels.polygon(placed, fill=_ID[part])
    sheet.relief.polygon(placed, fill=relief)


def _oval(sheet: _Sheet, part: str, centre: _Point, radii: _Point, relief: int = 190) -> None:
    x, y = sheet.at(centre)
    rx, ry = radii[0] * sheet.size, radii[1] * sheet.size
    sheet.labels.ellipse((x - rx, y - ry, x + rx, y + ry), fill=_ID[part])
    sheet.relief.ellipse((x - rx, y - ry, x + rx, y + ry), fill=relief)


def _line(sheet: _Sheet, part: str, points: Sequence[_Point], width: float) -> None:
    """A thin mark that does not stand out."""
    pixels = max(1, round(width * sheet.size))
    sheet.labels.line([sheet.at(point) for point in points], fill=_ID[part], width=pixels)


def _limb(
    sheet: _Sheet, part: str, joints: Sequence[_Point], widths: Sequence[float], relief: int = 190
) -> None:
    """A chain of tapering segments with round joints; ``widths`` are half widths."""
    for (x0, y0), (x1, y1), w0, w1 in zip(joints, joints[1:], widths, widths[1:], strict=False):
        length = math.hypot(x1 - x0, y1 - y0) or 1e-6
        nx, ny = (y0 - y1) / length, (x1 - x0) / length
        corners = [(x0 + nx * w0, y0 + ny * w0), (x1 + nx * w1, y1 + ny * w1),
                   (x1 - nx * w1, y1 - ny * w1), (x0 - nx * w0, y0 - ny * w0)]  # fmt: skip
        _shape(sheet, part, corners, relief)
    for joint, width in zip(joints, widths, strict=True):
        _oval(sheet, part, joint, (width, width), relief)


def _between(a: _Point, b: _Point, t: float) -> _Point:
    return (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t)


_BARE_LEG = (0.048, 0.034, 0.022)


def _leg(sheet: _Sheet, who: Identity, joints: Sequence[_Point], foot: float, far: bool) -> None:
    """One leg with its shoe; ``foot`` is how far the toe reaches forward (0 seen from the front)."""
    build, suffix, relief = who.width**0.6, "_far" if far else "", 120 if far else 185
    hip, knee, ankle = joints
    bare = [width * build for width in _BARE_LEG]
    _limb(sheet, "skin" + suffix, joints, bare, relief)
    if who.lower_type == "trousers":
        widths = (0.056, 0.043 * who.fit, 0.034 * who.fit * (1 + who.flare))
        _limb(sheet, "lower" + suffix, joints, [w * build for w in widths], relief)
    elif who.lower_type == "leggings":
        end = _between(knee, ankle, min(1.0, 0.62 + 0.5 * (who.fit - 0.84)))
        _limb(sheet, "lower" + suffix, (hip, knee, end), [w * build for w in (0.05, 0.035, 0.025)], relief)
    elif who.lower_type == "shorts":
        end, half = _between(hip, knee, 0.6 + 0.8 * (who.fit - 0.84)), 0.05 * who.fit**0.6 * build
        _oval(sheet, "lower" + suffix, hip, (half, half), relief)
        _shape(sheet, "lower" + suffix, [(hip[0] - half, hip[1]), (hip[0] + half, hip[1]),
                                         (end[0] + half * 1.08, end[1] + 0.012), (end[0] - half * 1.08, end[1])], relief)  # fmt: skip
    x, y = ankle
    heel = y + 0.036
    if foot:
        shoe = [(x - 0.03, y + 0.004), (x + 0.022, y + 0.004), (x + 0.04, y + 0.018), (x + foot, y + 0.024),
                (x + foot, heel), (x - 0.034, heel)]  # fmt: skip
    else:
        shoe = [(x - 0.024, y + 0.004), (x + 0.024, y + 0.004), (x + 0.036, heel), (x - 0.036, heel)]
    _shape(sheet, "shoes" + suffix, shoe, relief)
    _line(sheet, "sole", [shoe[-1], shoe[-2]], 0.009)


def _arm(sheet: _Sheet, who: Identity, joints: Sequence[_Point], far: bool) -> None:
    """One arm, bare or sleeved, with its hand."""
    build, suffix, relief = who.width**0.7, "_far" if far else "", 120 if far else 215
    shoulder, elbow, wrist = joints
    kind = who.upper_type
    _limb(sheet, "skin" + suffix, joints, (0.032 * build, 0.027 * build, 0.02 * build), relief)
    hand = _between(elbow, wrist, 1.14)
    _oval(sheet, "skin" + suffix, hand, (0.023, 0.028), relief)
    if kind == "t-shirt":
        sleeve_end = _between(shoulder, elbow, who.sleeve)
        _limb(sheet, "upper" + suffix, (shoulder, sleeve_end), (0.034 * build, 0.041 * build), relief)
    elif kind != "vest":
        bulk = {"sweater": 1.0, "hoodie": 1.06, "jacket": 1.1, "coat": 1.18}[kind] * build
        _limb(sheet, "upper" + suffix, joints, (0.035 * bulk, 0.036 * bulk, 0.03 * bulk), relief)
        if kind in ("sweater", "hoodie"):
            _limb(
                sheet,
                "upper_trim",
                (_between(elbow, wrist, 0.88), wrist),
                (0.026 * bulk, 0.024 * bulk),
                relief,
            )


def _skirt(sheet: _Sheet, half: float, knees: Sequence[_Point], sway: float, low: float) -> None:
    """A skirt that hangs from the waist, opens over both knees and swings with the step."""
    left, right, flare = min(k[0] for k in knees), max(k[0] for k in knees), 0.034
    hem = [(max(right, half * 0.7) + flare + sway, low), (0.02 + sway, low + 0.012),
           (min(left, -half * 0.7) - flare + sway, low)]  # fmt: skip
    _shape(
        sheet, "lower", [(-half, 0.44), (half, 0.44), (half * 1.12, 0.52), *hem, (-half * 1.12, 0.52)], 170
    )
    for share in (0.25, 0.5, 0.75):
        _line(
            sheet,
            "lower_trim",
            [(half * (2 * share - 1) * 0.8, 0.53), _between(hem[2], hem[0], share)],
            0.006,
        )


def _hem(who: Identity) -> float:
    """Where the upper garment ends, of the body's height."""
    usual = {"coat": 0.645, "jacket": 0.5, "hoodie": 0.52, "sweater": 0.512, "t-shirt": 0.505, "vest": 0.5}
    return usual[who.upper_type] + who.hem * (2.2 if who.upper_type == "coat" else 1.0)


def _torso(sheet: _Sheet, who: Identity, shoulder: float, hip: float, sway: float) -> None:
    """Trunk of the upper garment, seen from the front, from behind or (narrower) from the side."""
    kind, hem = who.upper_type, _hem(who)
    bulk = {"coat": 1.08, "jacket": 1.06, "hoodie": 1.04}.get(kind, 1.0)
    hip *= bulk * (1.05 if kind in ("coat", "jacket", "hoodie") else 1.0)
    shoulder *= bulk * (0.82 if kind == "vest" else 1.0)
    flare = 0.035 if kind == "coat" else 0.0
    sway *= 2.6 if kind == "coat" else 1.0
    points = [(-shoulder * 0.42, 0.145), (shoulder * 0.42, 0.145), (shoulder, 0.175), (shoulder * 0.93, 0.27),
              (hip * 0.93, 0.41), (hip + flare + sway, hem), (-hip - flare + sway, hem), (-hip * 0.93, 0.41),
              (-shoulder * 0.93, 0.27), (-shoulder, 0.175)]  # fmt: skip
    _shape(sheet, "upper", points, 165)
    for row in range(1, who.quilting):
        y = 0.17 + (hem - 0.17) * row / who.quilting
        half = (shoulder if y < 0.3 else hip) * 0.97
        _line(sheet, "seam", [(-half, y), (0, y + 0.006), (half, y)], 0.009)
    if kind in ("sweater", "hoodie"):
        _shape(sheet, "upper_trim", [(-hip * 0.97, hem - 0.018), (hip * 0.97, hem - 0.018),
                                     (hip * 0.95, hem + 0.008),
                                     (-hip * 0.95, hem + 0.008)], 160)  # fmt: skip
    if kind == "coat":
        _shape(sheet, "upper_trim", [(-hip * 0.95, 0.405), (hip * 0.95, 0.405), (hip * 0.97, 0.428),
                                     (-hip * 0.97, 0.428)], 170)  # fmt: skip


def _front_details(sheet: _Sheet, who: Identity, hip: float) -> None:
    """Neckline, zip, lapels, pocket, logo: what only the front of a garment has."""
    kind, hem = who.upper_type, _hem(who)
    if kind in ("t-shirt", "vest"):
        depth = 0.03 if kind == "t-shirt" else 0.06
        _shape(sheet, "skin", [(-0.042, 0.14), (0.042, 0.14), (0.026, 0.15 + depth * 0.6), (0, 0.15 + depth),
                               (-0.026, 0.15 + depth * 0.6)], 165)  # fmt: skip
    elif kind == "sweater":
        _oval(sheet, "upper_trim", (0, 0.148), (0.05, 0.018))
    elif kind == "hoodie":
        _oval(sheet, "hood", (0, 0.152), (0.078, 0.032), 200)
        for x in (-0.018, 0.018):
            _line(sheet, "sole", [(x, 0.175), (x * 1.1, 0.245)], 0.007)
        _shape(sheet, "upper_trim", [(-0.05, 0.40), (0.05, 0.40), (0.075, 0.475), (-0.075, 0.475)], 180)
        _shape(sheet, "upper", [(-0.044, 0.406), (0.044, 0.406), (0.066, 0.469), (-0.066, 0.469)], 180)
    else:
        _line(sheet, "upper_trim", [(0, 0.18), (0.004, hem)], 0.012)
        reach = 0.26 if kind == "coat" else 0.2
        for side in (-1, 1):
            _shape(sheet, "upper_trim", [(side * 0.05, 0.135), (side * 0.075, 0.16), (side * 0.05, 0.2),
                                         (0, reach), (side * 0.012, 0.165)], 190)  # fmt: skip
        _shape(sheet, "skin", [(-0.028, 0.135), (0.028, 0.135), (0, 0.185)], 150)
        for side in (-1, 1):
            _line(sheet, "upper_trim", [(side * hip * 0.45, 0.455), (side * hip * 0.85, 0.445)], 0.01)
    if who.logo != "none":
        _logo(sheet, who.logo, 0.255)


def _logo(sheet: _Sheet, place: str, y: float) -> None:
    """A badge at the person's left or right, or a print in the middle; ``y`` is the height of the badge."""
    if place == "centre":
        _oval(sheet, "logo", (0, y + 0.045), (0.034, 0.03), 165)
    else:
        _oval(sheet, "logo", (0.05 if place == "left" else -0.05, y), (0.02, 0.019), 165)


def _back_details(sheet: _Sheet, who: Identity) -> None:
    kind = who.upper_type
    if who.logo != "none":
        _logo(sheet, {"left": "right", "right": "left"}.get(who.logo, who.logo), 0.285)
    if kind == "hoodie":
        _shape(sheet, "hood", [(-0.07, 0.14), (0.07, 0.14), (0.06, 0.205), (0, 0.245), (-0.06, 0.205)], 210)
    elif kind == "jacket":
        _line(sheet, "upper_trim", [(-0.11, 0.235), (0.11, 0.235)], 0.009)
        _oval(sheet, "upper_trim", (0, 0.147), (0.052, 0.017))
    elif kind == "coat":
        _oval(sheet, "upper_trim", (0, 0.15), (0.062, 0.024))
        _line(sheet, "upper_trim", [(0, 0.46), (0, 0.645)], 0.009)
    elif kind == "sweater":
        _oval(sheet, "upper_trim", (0, 0.146), (0.046, 0.013))


def _hat(sheet: _Sheet, who: Identity, view: str) -> None:
    if who.hat == "none":
        return
    side = view in ("left", "right")
    rx = 0.056 if side else 0.049
    dome = [(rx * math.cos(a) - (0.004 if side else 0), 0.05 - 0.058 * math.sin(a))
            for a in [math.pi * i / 12 for i in range(13)]]  # fmt: skip
    _shape(sheet, "hat", dome, 215)
    if who.hat == "beanie":
        _shape(
            sheet,
            "hat_trim",
            [(-rx - 0.003, 0.036), (rx + 0.001, 0.036), (rx, 0.06), (-rx - 0.003, 0.06)],
            220,
        )
        _oval(sheet, "hat_trim", (0, -0.012), (0.014, 0.014), 220)
    elif side:
        _shape(
            sheet, "hat_trim", [(0.02, 0.04), (0.06, 0.042), (0.1, 0.056), (0.1, 0.063), (0.02, 0.056)], 220
        )
    elif view == "front":
        _shape(
            sheet,
            "hat_trim",
            [(-0.046, 0.045), (0.046, 0.045), (0.056, 0.062), (0, 0.054), (-0.056, 0.062)],
            220,
        )
    else:
        _line(sheet, "hat_trim", [(-0.02, 0.047), (0.02, 0.047)], 0.01)


def _head_front(sheet: _Sheet, who: Identity) -> None:
    if who.hair == "long":  # two locks beside the neck, so that the chin stays free
        for s in (-1, 1):
            _shape(sheet, "hair", [(s * 0.02, 0.02), (s * 0.054, 0.03), (s * 0.066, 0.1), (s * 0.07, 0.2),
                                   (s * 0.05, 0.225), (s * 0.03, 0.2), (s * 0.034, 0.1)], 140)  # fmt: skip
    _shape(sheet, "skin", [(-0.025, 0.1), (0.025, 0.1), (0.03, 0.15), (0, 0.162), (-0.03, 0.15)], 130)
    if who.hair != "bald":
        _oval(sheet, "hair", (0, 0.055), (0.05, 0.056), 190)
    for s in (-1, 1):
        _oval(sheet, "skin", (s * 0.044, 0.072), (0.008, 0.013), 170)
    _oval(sheet, "skin", (0, 0.068), (0.042, 0.06), 200)
    if who.hair != "bald":
        _shape(sheet, "hair", [(-0.043, 0.062), (-0.047, 0.035), (-0.03, 0.008), (0, 0.0), (0.03, 0.008),
                               (0.047, 0.035), (0.043, 0.062), (0.036, 0.04), (0.012, 0.032), (-0.014, 0.03),
                               (-0.034, 0.042)], 205)  # fmt: skip
    for s in (-1, 1):
        if who.glasses == "dark":
            _oval(sheet, "glasses", (s * 0.018, 0.066), (0.0145, 0.0115), 215)
        else:
            _oval(sheet, "feature", (s * 0.017, 0.066), (0.0055, 0.0045), 200)
        _line(
            sheet,
            "hair" if who.hair != "bald" else "skin_far",
            [(s * 0.009, 0.056), (s * 0.026, 0.055)],
            0.006,
        )
    _line(sheet, "skin_far", [(0.001, 0.07), (0.004, 0.084), (-0.002, 0.086)], 0.005)
    _line(sheet, "feature", [(-0.012, 0.104), (0.012, 0.104)], 0.006)


def _head_back(sheet: _Sheet, who: Identity) -> None:
    _shape(sheet, "skin", [(-0.025, 0.1), (0.025, 0.1), (0.03, 0.15), (-0.03, 0.15)], 150)
    for s in (-1, 1):
        _oval(sheet, "skin", (s * 0.045, 0.072), (0.008, 0.013), 170)
    _oval(sheet, "skin", (0, 0.066), (0.043, 0.058), 200)
    if who.hair == "bald":
        return
    _oval(sheet, "hair", (0, 0.055), (0.048, 0.057), 205)
    _shape(sheet, "hair", [(-0.045, 0.06), (0.045, 0.06), (0.03, 0.115), (-0.03, 0.115)], 200)
    if who.hair == "long":
        _shape(sheet, "hair", [(-0.05, 0.05), (0.05, 0.05), (0.062, 0.12), (0.062, 0.23),
                               (0.03, 0.255), (0, 0.248),
                               (-0.03, 0.255), (-0.062, 0.23), (-0.062, 0.12)], 215)  # fmt: skip
    elif who.hair == "ponytail":
        _limb(sheet, "hair", [(0, 0.05), (0.004, 0.13), (-0.004, 0.215)], (0.018, 0.022, 0.008), 230)
        _line(sheet, "hat_trim", [(-0.018, 0.062), (0.018, 0.062)], 0.012)


def _head_side(sheet: _Sheet, who: Identity, sway: float) -> None:
    _shape(sheet, "skin", [(-0.03, 0.09), (0.022, 0.1), (0.028, 0.15), (-0.032, 0.15)], 140)
    if who.hair == "ponytail":
        _limb(
            sheet,
            "hair",
            [(-0.045, 0.045), (-0.078, 0.09), (-0.082 - sway, 0.18)],
            (0.016, 0.022, 0.008),
            170,
        )
    if who.hair != "bald":
        _oval(sheet, "hair", (-0.006, 0.055), (0.054, 0.057), 190)
    face = [(-0.03, 0.025), (0.02, 0.012), (0.043, 0.04), (0.046, 0.06), (0.06, 0.08),
            (0.046, 0.087), (0.047, 0.1),
            (0.042, 0.112), (0.036, 0.126), (0.012, 0.122), (-0.02, 0.1), (-0.034, 0.07)]  # fmt: skip
    if who.hair == "bald":
        _oval(sheet, "skin", (-0.006, 0.058), (0.052, 0.056), 195)
    _shape(sheet, "skin", face, 200)
    if who.hair != "bald":
        _shape(sheet, "hair", [(0.043, 0.036), (0.028, 0.008), (-0.006, -0.002), (-0.04, 0.016),
                               (-0.058, 0.055),
                               (-0.046, 0.1), (-0.02, 0.105), (-0.012, 0.07), (0.004, 0.075), (0.012, 0.045),
                               (0.03, 0.03)], 210)  # fmt: skip
    if who.hair == "long":
        _shape(sheet, "hair", [(0.004, 0.03), (0.006, 0.075), (-0.002, 0.13), (-0.01, 0.21),
                               (-0.05 - sway, 0.235),
                               (-0.075 - sway, 0.2), (-0.066, 0.1), (-0.056, 0.04)], 215)  # fmt: skip
    else:
        _oval(sheet, "skin", (-0.008, 0.074), (0.009, 0.014), 215)
    if who.glasses == "dark":
        _line(sheet, "glasses", [(-0.004, 0.06), (0.03, 0.062)], 0.007)
        _oval(sheet, "glasses", (0.037, 0.065), (0.0125, 0.0115), 215)
    else:
        _oval(sheet, "feature", (0.035, 0.064), (0.005, 0.0045), 200)
    _line(sheet, "feature", [(0.03, 0.104), (0.046, 0.103)], 0.006)


def _bag_body(sheet: _Sheet, centre: _Point, half: _Point, relief: int = 225) -> None:
    (x, y), (w, h) = centre, half
    _shape(sheet, "bag", [(x - w * 0.9, y - h), (x + w * 0.9, y - h), (x + w, y + h * 0.8),
                          (x + w * 0.85, y + h),
                          (x - w * 0.85, y + h), (x - w, y + h * 0.8)], relief)  # fmt: skip
    _shape(sheet, "bag_trim", [(x - w * 0.9, y - h), (x + w * 0.9, y - h), (x + w * 0.5, y - h * 0.1),
                               (x - w * 0.5, y - h * 0.1)], relief)  # fmt: skip
    _oval(sheet, "strap", (x, y - h * 0.1), (0.008, 0.008), relief)


def _handbag(sheet: _Sheet, hand: _Point) -> None:
    x, y = hand[0], hand[1] + 0.015
    _line(
        sheet,
        "strap",
        [(x - 0.035, y + 0.055), (x - 0.012, y), (x + 0.012, y), (x + 0.035, y + 0.055)],
        0.011,
    )
    _bag_body(sheet, (x, y + 0.095), (0.06, 0.045))


def _frontal(sheet: _Sheet, who: Identity, pose: Pose) -> None:
    """A person seen from the front or from behind."""
    front, build, step = pose.view == "front", who.width, math.sin(pose.phase) * who.stride
    shoulder, hip = 0.108 * build**0.8 * who.shoulders, 0.086 * build
    right = -1 if front else 1  # where this person's right hand is in the picture
    bag_at = right if who.bag_side == "right" else -right
    if who.bag == "backpack" and front:
        _shape(
            sheet,
            "bag",
            [
                (-shoulder * 0.8, 0.15),
                (shoulder * 0.8, 0.15),
                (shoulder * 1.1, 0.3),
                (shoulder * 1.02, 0.43),
                (-shoulder * 1.02, 0.43),
                (-shoulder * 1.1, 0.3),
            ],
            110,
        )
    arms = {s: ((s * (shoulder - 0.018), 0.198), (s * (shoulder + 0.014 + 0.008 * abs(step)), 0.325),
                (s * (shoulder + 0.018), 0.455 - 0.022 * s * step)) for s in (-1, 1)}  # fmt: skip
    legs = {s: ((s * hip * 0.52, 0.5), (s * (hip * 0.6 + 0.004), 0.715 + 0.008 * s * step),
                (s * hip * 0.62, 0.935 + 0.022 * (s * step - abs(step)))) for s in (-1, 1)}  # fmt: skip
    behind = 1 if step < 0 else -1
    for s in (behind, -behind):
        _leg(sheet, who, legs[s], 0.0, far=s == behind and abs(step) > 0.5)
    if who.lower_type == "skirt":
        _skirt(sheet, hip * 0.95, [legs[-1][1], legs[1][1]], 0.016 * step, who.skirt_hem)
    else:
        _shape(
            sheet,
            "lower",
            [(-hip * 0.95, 0.44), (hip * 0.95, 0.44), (hip, 0.54), (0, 0.56), (-hip, 0.54)],
            170,
        )
        _line(sheet, "lower_trim", [(0, 0.5), (0, 0.56)], 0.007)
    _torso(sheet, who, shoulder, hip, 0.01 * step)
    if front:
        _front_details(sheet, who, hip)
    else:
        _back_details(sheet, who)
    for s in (-1, 1):
        _arm(sheet, who, arms[s], far=False)
    _bag_frontal(sheet, who, (bag_at, front, shoulder, hip), arms[bag_at][2])
    (_head_front if front else _head_back)(sheet, who)
    _hat(sheet, who, pose.view)


def _bag_frontal(sheet: _Sheet, who: Identity, frame: tuple[int, bool, float, float], wrist: _Point) -> None:
    bag_at, front, shoulder, hip = frame
    if who.bag == "backpack" and front:
        for s in (-1, 1):
            _line(
                sheet,
                "strap",
                [(s * shoulder * 0.5, 0.148), (s * shoulder * 0.62, 0.25), (s * shoulder * 0.9, 0.34)],
                0.022,
            )
    elif who.bag == "backpack":
        w = shoulder * 0.78
        _shape(sheet, "bag", [(-w * 0.75, 0.165), (w * 0.75, 0.165), (w, 0.22), (w * 1.04, 0.42),
                              (w * 0.85, 0.445),
                              (-w * 0.85, 0.445), (-w * 1.04, 0.42), (-w, 0.22)], 235)  # fmt: skip
        _shape(
            sheet, "bag_trim", [(-w * 0.7, 0.32), (w * 0.7, 0.32), (w * 0.72, 0.42), (-w * 0.72, 0.42)], 245
        )
        _line(sheet, "strap", [(-w * 0.8, 0.235), (w * 0.8, 0.235)], 0.01)
        for s in (-1, 1):
            _line(sheet, "strap", [(s * w * 0.8, 0.15), (s * w * 0.75, 0.2)], 0.02)
    elif who.bag == "handbag":
        _handbag(sheet, (wrist[0] + bag_at * 0.012, wrist[1] + 0.02))
    elif who.bag == "shoulder bag":
        _line(sheet, "strap", [(-bag_at * shoulder * 0.55, 0.15), (bag_at * (hip + 0.012), 0.44)], 0.017)
        _bag_body(sheet, (bag_at * (hip + 0.022), 0.485), (0.056, 0.052))


def _swing(
    hip: _Point, angle: float, bend: float, lengths: tuple[float, float]
) -> tuple[_Point, _Point, _Point]:
    """Joints of a limb that hangs from ``hip`` at ``angle`` (forward positive),
    its lower half turned by ``bend``."""
    knee = (hip[0] + lengths[0] * math.sin(angle), hip[1] + lengths[0] * math.cos(angle))
    low = angle + bend
    return hip, knee, (knee[0] + lengths[1] * math.sin(low), knee[1] + lengths[1] * math.cos(low))


def _profile(sheet: _Sheet, who: Identity, pose: Pose) -> None:
    """A person walking to the right of the sheet (mirrored for the other side)."""
    build, step = who.width, math.sin(pose.phase)
    swing = 0.42 * who.stride * step
    lift = max(0.0, math.cos(pose.phase))
    depth = 0.072 * build
    near_leg = _swing((0, 0.5), swing, -0.12 - 0.5 * lift * (step < 0.3), (0.222, 0.215))
    far_leg = _swing(
        (0, 0.5), -swing, -0.12 - 0.5 * max(0.0, -math.cos(pose.phase)) * (step > -0.3), (0.222, 0.215)
    )
    near_arm = _swing((-0.004, 0.19), -swing * 0.9, 0.22, (0.145, 0.13))
    far_arm = _swing((0.004, 0.19), swing * 0.9, 0.22, (0.145, 0.13))
    near_bag = (pose.view == "right") == (who.bag_side == "right")
    _arm(sheet, who, far_arm, far=True)
    if who.bag == "handbag" and not near_bag:
        _handbag(sheet, (far_arm[2][0], far_arm[2][1] + 0.02))
    if who.bag == "shoulder bag" and not near_bag:
        _bag_body(sheet, (0.075, 0.485), (0.05, 0.05), 130)
    _leg(sheet, who, far_leg, 0.075, far=True)
    _leg(sheet, who, near_leg, 0.08, far=False)
    if who.lower_type == "skirt":
        _skirt(sheet, depth * 1.05, [near_leg[1], far_leg[1]], -0.02 * step, who.skirt_hem)
    else:
        _shape(sheet, "lower", [(-depth, 0.44), (depth, 0.44), (depth * 0.95, 0.55), (-depth, 0.55)], 170)
    if who.bag == "backpack":
        b = -depth * 0.8
        _shape(sheet, "bag", [(b, 0.165), (b - 0.06, 0.18), (b - 0.092, 0.24), (b - 0.095, 0.42),
                              (b - 0.06, 0.445),
                              (b, 0.44)], 200)  # fmt: skip
        _shape(
            sheet, "bag_trim", [(b - 0.06, 0.33), (b - 0.112, 0.34), (b - 0.112, 0.42), (b - 0.06, 0.43)], 215
        )
    _torso(sheet, who, depth * 0.95, depth * 1.05, -0.02 * step)
    if who.upper_type == "hoodie":
        _shape(
            sheet,
            "hood",
            [(0.035, 0.135), (-0.04, 0.13), (-0.088, 0.165), (-0.075, 0.215), (-0.03, 0.19)],
            205,
        )
    elif who.upper_type in ("jacket", "coat", "sweater"):
        _shape(sheet, "upper_trim", [(-0.045, 0.128), (0.034, 0.135), (0.045, 0.165), (-0.05, 0.16)], 195)
    if who.upper_type in ("jacket", "coat"):
        _line(sheet, "upper_trim", [(depth * 0.8, 0.19), (depth * 0.98, _hem(who))], 0.011)
    if who.bag == "shoulder bag":
        _line(sheet, "strap", [(-0.01, 0.148), (0.03 if near_bag else 0.065, 0.44)], 0.016)
    _head_side(sheet, who, 0.012 * step)
    _hat(sheet, who, pose.view)
    _arm(sheet, who, near_arm, far=False)
    if who.bag == "backpack":
        _line(sheet, "strap", [(-0.03, 0.15), (0.03, 0.2), (0.02, 0.3), (-depth * 0.9, 0.37)], 0.018)
    if who.bag == "handbag" and near_bag:
        _handbag(sheet, (near_arm[2][0], near_arm[2][1] + 0.02))
    if who.bag == "shoulder bag" and near_bag:
        _bag_body(sheet, (0.025, 0.485), (0.058, 0.052))


def draw_person(who: Identity, pose: Pose, shape: tuple[int, int]) -> tuple[Image.Image, Image.Image]:
    """Part labels (indices into `PARTS`) and relief, both ``SUPERSAMPLING`` times as large as ``shape``.

    Parameters
    ----------
    shape
        Rows and columns of the finished picture.
    """
    size = (shape[1] * SUPERSAMPLING, shape[0] * SUPERSAMPLING)
    labels, relief = Image.new("L", size), Image.new("L", size)
    sheet = _Sheet(
        ImageDraw.Draw(labels),
        ImageDraw.Draw(relief),
        x=pose.x * SUPERSAMPLING,
        top=pose.top * SUPERSAMPLING,
        size=pose.size * SUPERSAMPLING,
        flip=-1 if pose.view == "left" else 1,
    )
    (_frontal if pose.view in ("front", "back") else _profile)(sheet, who, pose)
    return labels, relief
