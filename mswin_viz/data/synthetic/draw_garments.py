"""Garments and the limbs in them."""

from __future__ import annotations

from collections.abc import Sequence

from mswin_viz.data.synthetic.identity import Identity
from mswin_viz.data.synthetic.part_canvas import (
    PartCanvas,
    Point,
    between,
    draw_limb,
    draw_line,
    draw_oval,
    draw_shape,
    mirrored,
)

_BARE_LEG = (0.048, 0.034, 0.022)


def draw_leg(canvas: PartCanvas, who: Identity, joints: Sequence[Point], foot: float, far: bool) -> None:
    """One leg with its shoe; ``foot`` is how far the toe reaches forward (0 if seen from the front)."""
    build, suffix, relief = who.width**0.6, "_far" if far else "", 120 if far else 185
    hip, knee, ankle = joints
    bare = [width * build for width in _BARE_LEG]
    draw_limb(canvas, "skin" + suffix, joints, bare, relief)
    if who.lower_type == "trousers":
        widths = (0.056, 0.043 * who.fit, 0.034 * who.fit * (1 + who.flare))
        draw_limb(canvas, "lower" + suffix, joints, [w * build for w in widths], relief)
    elif who.lower_type == "leggings":
        end = between(knee, ankle, min(1.0, 0.62 + 0.5 * (who.fit - 0.84)))
        draw_limb(canvas, "lower" + suffix, (hip, knee, end), [w * build for w in (0.05, 0.035, 0.025)],
            relief)  # fmt: skip
    elif who.lower_type == "shorts":
        end, half = between(hip, knee, 0.6 + 0.8 * (who.fit - 0.84)), 0.05 * who.fit**0.6 * build
        draw_oval(canvas, "lower" + suffix, hip, (half, half), relief)
        draw_shape(canvas, "lower" + suffix, [(hip[0] - half, hip[1]), (hip[0] + half, hip[1]),
            (end[0] + half * 1.08, end[1] + 0.012), (end[0] - half * 1.08, end[1])], relief)  # fmt: skip
    x, y = ankle
    heel = y + 0.036
    if foot:
        shoe = [(x - 0.03, y + 0.004), (x + 0.022, y + 0.004), (x + 0.04, y + 0.018), (x + foot, y + 0.024),
            (x + foot, heel), (x - 0.034, heel)]  # fmt: skip
    else:
        shoe = [(x - 0.024, y + 0.004), (x + 0.024, y + 0.004), (x + 0.036, heel), (x - 0.036, heel)]
    draw_shape(canvas, "shoes" + suffix, shoe, relief)
    draw_line(canvas, "sole", [shoe[-1], shoe[-2]], 0.009)


def draw_arm(canvas: PartCanvas, who: Identity, joints: Sequence[Point], far: bool) -> None:
    """One arm, bare or sleeved, with its hand."""
    build, suffix, relief = who.width**0.7, "_far" if far else "", 120 if far else 215
    shoulder, elbow, wrist = joints
    kind = who.upper_type
    draw_limb(canvas, "skin" + suffix, joints, (0.032 * build, 0.027 * build, 0.02 * build), relief)
    hand = between(elbow, wrist, 1.14)
    draw_oval(canvas, "skin" + suffix, hand, (0.023, 0.028), relief)
    if kind == "t-shirt":
        sleeve_end = between(shoulder, elbow, who.sleeve)
        draw_limb(canvas, "upper" + suffix, (shoulder, sleeve_end), (0.034 * build, 0.041 * build), relief)
    elif kind != "vest":
        bulk = {"sweater": 1.0, "hoodie": 1.06, "jacket": 1.1, "coat": 1.18}[kind] * build
        draw_limb(canvas, "upper" + suffix, joints, (0.035 * bulk, 0.036 * bulk, 0.03 * bulk), relief)
        if kind in ("sweater", "hoodie"):
            draw_limb(canvas, "upper_trim", (between(elbow, wrist, 0.88), wrist),
                (0.026 * bulk, 0.024 * bulk), relief)  # fmt: skip


def draw_skirt(canvas: PartCanvas, half: float, knees: Sequence[Point], sway: float, low: float) -> None:
    """A skirt that hangs from the waist, opens over both knees and swings with the step."""
    left, right, flare = min(k[0] for k in knees), max(k[0] for k in knees), 0.034
    hem = [(max(right, half * 0.7) + flare + sway, low), (0.02 + sway, low + 0.012),
        (min(left, -half * 0.7) - flare + sway, low)]  # fmt: skip
    draw_shape(canvas, "lower", [(-half, 0.44), (half, 0.44), (half * 1.12, 0.52),
        *hem, (-half * 1.12, 0.52)], 170)  # fmt: skip
    for share in (0.25, 0.5, 0.75):
        draw_line(canvas, "lower_trim", [(half * (2 * share - 1) * 0.8, 0.53), between(hem[2], hem[0],
            share)], 0.006)  # fmt: skip


def hem_of(who: Identity) -> float:
    """Where the upper garment ends, as a fraction of the body's height."""
    usual = {"coat": 0.645, "jacket": 0.5, "hoodie": 0.52, "sweater": 0.512, "t-shirt": 0.505, "vest": 0.5}
    return usual[who.upper_type] + who.hem * (2.2 if who.upper_type == "coat" else 1.0)


def draw_torso(canvas: PartCanvas, who: Identity, shoulder: float, hip: float, sway: float) -> None:
    """Trunk of the upper garment, seen from the front, from behind or (narrower) from the side."""
    kind, hem = who.upper_type, hem_of(who)
    bulk = {"coat": 1.08, "jacket": 1.06, "hoodie": 1.04}.get(kind, 1.0)
    hip *= bulk * (1.05 if kind in ("coat", "jacket", "hoodie") else 1.0)
    shoulder *= bulk * (0.82 if kind == "vest" else 1.0)
    flare = 0.035 if kind == "coat" else 0.0
    sway *= 2.6 if kind == "coat" else 1.0
    points = [(-shoulder * 0.42, 0.145), (shoulder * 0.42, 0.145), (shoulder, 0.175), (shoulder * 0.93, 0.27),
        (hip * 0.93, 0.41), (hip + flare + sway, hem), (-hip - flare + sway, hem), (-hip * 0.93, 0.41),
        (-shoulder * 0.93, 0.27), (-shoulder, 0.175)]  # fmt: skip
    draw_shape(canvas, "upper", points, 165)
    for row in range(1, who.quilting):
        y = 0.17 + (hem - 0.17) * row / who.quilting
        half = (shoulder if y < 0.3 else hip) * 0.97
        draw_line(canvas, "seam", [(-half, y), (0, y + 0.006), (half, y)], 0.009)
    if kind in ("sweater", "hoodie"):
        waistband = mirrored([(hip * 0.97, hem - 0.018), (hip * 0.95, hem + 0.008)])
        draw_shape(canvas, "upper_trim", waistband, 160)
    if kind == "coat":
        draw_shape(canvas, "upper_trim", mirrored([(hip * 0.95, 0.405), (hip * 0.97, 0.428)]), 170)


def draw_front_details(canvas: PartCanvas, who: Identity, hip: float) -> None:
    """Details of a garment's front: neckline, zip, lapels, pocket, logo."""
    kind, hem = who.upper_type, hem_of(who)
    if kind in ("t-shirt", "vest"):
        depth = 0.03 if kind == "t-shirt" else 0.06
        neck = mirrored([(0.042, 0.14), (0.026, 0.15 + depth * 0.6), (0, 0.15 + depth)])
        draw_shape(canvas, "skin", neck, 165)
    elif kind == "sweater":
        draw_oval(canvas, "upper_trim", (0, 0.148), (0.05, 0.018))
    elif kind == "hoodie":
        draw_oval(canvas, "hood", (0, 0.152), (0.078, 0.032), 200)
        for x in (-0.018, 0.018):
            draw_line(canvas, "sole", [(x, 0.175), (x * 1.1, 0.245)], 0.007)
        draw_shape(canvas, "upper_trim", mirrored([(0.05, 0.40), (0.075, 0.475)]), 180)
        draw_shape(canvas, "upper", mirrored([(0.044, 0.406), (0.066, 0.469)]), 180)
    else:
        draw_line(canvas, "upper_trim", [(0, 0.18), (0.004, hem)], 0.012)
        reach = 0.26 if kind == "coat" else 0.2
        for side in (-1, 1):
            draw_shape(canvas, "upper_trim", [(side * 0.05, 0.135), (side * 0.075, 0.16), (side * 0.05, 0.2),
                (0, reach), (side * 0.012, 0.165)], 190)  # fmt: skip
        draw_shape(canvas, "skin", mirrored([(0.028, 0.135), (0, 0.185)]), 150)
        for side in (-1, 1):
            draw_line(canvas, "upper_trim", [(side * hip * 0.45, 0.455), (side * hip * 0.85, 0.445)], 0.01)
    if who.logo != "none":
        _logo(canvas, who.logo, 0.255)


def _logo(canvas: PartCanvas, place: str, y: float) -> None:
    """A badge at the person's left or right, or a print in the middle; ``y`` is the height of the badge."""
    if place == "centre":
        draw_oval(canvas, "logo", (0, y + 0.045), (0.034, 0.03), 165)
    else:
        draw_oval(canvas, "logo", (0.05 if place == "left" else -0.05, y), (0.02, 0.019), 165)


def draw_back_details(canvas: PartCanvas, who: Identity) -> None:
    """Details of a garment's back: logo, hood, seams and collar."""
    kind = who.upper_type
    if who.logo != "none":
        _logo(canvas, {"left": "right", "right": "left"}.get(who.logo, who.logo), 0.285)
    if kind == "hoodie":
        draw_shape(canvas, "hood", mirrored([(0.07, 0.14), (0.06, 0.205), (0, 0.245)]), 210)
    elif kind == "jacket":
        draw_line(canvas, "upper_trim", [(-0.11, 0.235), (0.11, 0.235)], 0.009)
        draw_oval(canvas, "upper_trim", (0, 0.147), (0.052, 0.017))
    elif kind == "coat":
        draw_oval(canvas, "upper_trim", (0, 0.15), (0.062, 0.024))
        draw_line(canvas, "upper_trim", [(0, 0.46), (0, 0.645)], 0.009)
    elif kind == "sweater":
        draw_oval(canvas, "upper_trim", (0, 0.146), (0.046, 0.013))
